"""What the taught ensembles look at: columns of a block's vector, their change against the account's usual, its life so far.

The order is part of the taught file: `NAMES` of each ensemble are stored beside its trees and must match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.features.catalogue import FEATURES, INDEX
from pipeline.features.layout import USUAL_COLUMNS, USUAL_FROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.features.catalogue import Feature

_LEFT_OUT = frozenset({"temperature", "age_days"})
"""Habits that tell programs apart, not purposes."""
BLOCK = np.array([i for i, f in enumerate(FEATURES) if not f.name.startswith("life_") and f.name not in _LEFT_OUT])
LIFE = np.array([i for i, f in enumerate(FEATURES) if f.name.startswith("life_")])
_USUAL = np.arange(USUAL_FROM, USUAL_FROM + len(USUAL_COLUMNS))
_JUMPS = (
    ("requests_hour", "requests_day"),
    ("requests_day", "requests_week"),
    ("tokens_hour", "tokens_day"),
    ("tokens_day", "tokens_week"),
)
"""Volume of a short horizon over that of a longer one: a sum of logarithms says in one split what two columns say in many."""
_SHORT, _LONG = (np.array([INDEX[pair[i]] for pair in _JUMPS]) for i in (0, 1))
MIN_REQUESTS = 5
"""Smaller blocks (what a day left behind) say nothing about an account."""

UNTOLD = {
    "prompts": frozenset({"prompt"}),
    "origins and sign-up": frozenset({"origin", "sign_up"}),
    "prompts, origins and sign-up": frozenset({"prompt", "origin", "sign_up"}),
}
"""What gateways do not tell, in words → the sorts of field (`Feature.needs`)."""

_BLOCK_NAMES = tuple(FEATURES[i].name for i in BLOCK)
_CHANGE_NAMES = tuple(f"change:{FEATURES[i].name}" for i in USUAL_COLUMNS)
_JUMP_NAMES = tuple(f"jump:{short}" for short, _ in _JUMPS)
_LIFE_NAMES = tuple(FEATURES[i].name for i in LIFE)
CHANGE_NAMES = (*_BLOCK_NAMES, *_CHANGE_NAMES, *_JUMP_NAMES, "requests")
LEVEL_NAMES = (*_LIFE_NAMES, *_BLOCK_NAMES, *_JUMP_NAMES, "requests")
KIND_NAMES = (*_BLOCK_NAMES, *_CHANGE_NAMES, *_LIFE_NAMES, "requests")


def _requests(totals: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.log(np.maximum(totals[:, :1], 1).astype(np.float64))


def _change(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector[:, USUAL_COLUMNS] - vector[:, _USUAL]


def _jump(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector[:, _SHORT] - vector[:, _LONG]


def change_inputs(vector: NDArray[np.float64], totals: NDArray[np.int64]) -> NDArray[np.float64]:
    """Vectors [m, width] and totals [m, 3] → inputs [m, len(CHANGE_NAMES)]; NaN is missing."""
    return np.concatenate((vector[:, BLOCK], _change(vector), _jump(vector), _requests(totals)), axis=1)


def level_inputs(vector: NDArray[np.float64], totals: NDArray[np.int64]) -> NDArray[np.float64]:
    """Vectors [m, width] and totals [m, 3] → inputs [m, len(LEVEL_NAMES)]."""
    return np.concatenate((vector[:, LIFE], vector[:, BLOCK], _jump(vector), _requests(totals)), axis=1)


def kind_inputs(vector: NDArray[np.float64], totals: NDArray[np.int64]) -> NDArray[np.float64]:
    """Vectors [m, width] and totals [m, 3] → inputs [m, len(KIND_NAMES)]."""
    return np.concatenate((vector[:, BLOCK], _change(vector), vector[:, LIFE], _requests(totals)), axis=1)


def _source(name: str) -> tuple[int, bool]:
    """Feature index (−1: none) of an input, and whether it speaks of the account's own past."""
    what, _, feature = name.rpartition(":")
    return INDEX.get(feature, -1), what == "change"


def feature_of(name: str) -> Feature | None:
    """What an input is read from; None: no feature."""
    at, _ = _source(name)
    return FEATURES[at] if at >= 0 else None


def needs(name: str, sorts: frozenset[str]) -> bool:
    """Whether an input is missing at a gateway that tells none of these sorts of field (`Feature.needs`)."""
    feature = feature_of(name)
    return feature is not None and not sorts.isdisjoint(feature.needs)


CHANGE_SOURCES = tuple(map(_source, CHANGE_NAMES))
LEVEL_SOURCES = tuple(map(_source, LEVEL_NAMES))
