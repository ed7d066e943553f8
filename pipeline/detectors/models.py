"""The River model of one account: what log-odds its blocks usually have. Made when first needed, packed to numbers."""

from __future__ import annotations

import math
import struct

from pipeline.base.errors import CodecError
from pipeline.detectors.gaussian import AccountGaussian
from pipeline.detectors.river_state import Moments

_FADING = 1.0 / 64.0
_MEAN_WEIGHT = 0.1
"""Accounts lie far wider apart than an account's own blocks do: the first values decide what is usual."""
_VARIANCE_WEIGHT = 6.0
READY = 8
"""Blocks after which the account's own past counts."""
HIGHEST = 5.0
"""Log-odds are cut at this height: no single block says more."""
USUAL_AT_LEAST = -2.0
"""An account whose blocks never look like an attack gains nothing from it: everybody starts from here."""
_ODDS = "odds"
_MOMENTS = struct.Struct("<Hdd")


class AccountModels:
    """What is usual for one account. Scores and learns through River; knows nothing of decisions."""

    __slots__ = ("_odds",)

    def __init__(self) -> None:
        self._odds: AccountGaussian | None = None

    def excess(self, odds: float) -> float:
        """Log-odds of a block beyond what is usual for the account; NaN until `READY` blocks are known.

        An account that always looks like this is not changing: what the ensemble cannot know about it, its own past does.
        """
        if self._odds is None or self._odds.seen(_ODDS) < READY or math.isnan(odds):
            return math.nan
        usual, _, _ = self._odds.expect(_ODDS)
        return cut(odds) - max(usual, USUAL_AT_LEAST)

    def learn(self, odds: float) -> None:
        """Take a block's log-odds as usual; NaN not at all."""
        if math.isnan(odds):
            return
        if self._odds is None:
            self._odds = _new()
        self._odds.learn_one({_ODDS: cut(odds)})

    def pack(self) -> bytes:
        """The model's numbers: 18 bytes, or none before the first block."""
        known = self._odds.read(_ODDS) if self._odds is not None else None
        return b"" if known is None else _MOMENTS.pack(known[0], *known[1])

    @classmethod
    def unpack(cls, data: bytes) -> AccountModels:
        """Models from `pack`. They score and learn on bit for bit as the packed ones would.

        Raises:
            CodecError: the bytes are not a model's.
        """
        models = cls()
        if data:
            try:
                n, mean, square = _MOMENTS.unpack(data)
            except struct.error as err:
                raise CodecError(f"packed models do not decode: {err}") from None
            models._odds = _new()
            models._odds.restore(_ODDS, n, Moments(mean, square))
        return models


def _new() -> AccountGaussian:
    return AccountGaussian(_FADING, _MEAN_WEIGHT, _VARIANCE_WEIGHT, READY)


def cut(odds: float) -> float:
    """Log-odds within ±`HIGHEST`."""
    return min(max(odds, -HIGHEST), HIGHEST)
