"""An account's River model: packed and restored it goes on exactly as before; it fits its budget of bytes."""

from __future__ import annotations

import math
import random

import pytest

from pipeline.base.errors import CodecError
from pipeline.detectors.models import HIGHEST, READY, AccountModels


def feed(models: AccountModels, values: list[float]) -> list[float]:
    """Score, then learn, every block's log-odds; `repr` so that a missing score equals a missing score."""
    out = []
    for odds in values:
        out.append(models.excess(odds))
        models.learn(odds)
    return [-99.0 if math.isnan(x) else x for x in out]


@pytest.mark.parametrize("before", [0, 1, 7, 60, 300])
def test_packed_models_score_the_next_thousand_blocks_identically(before: int) -> None:
    """Models restored from their bytes give the same 1,000 next scores, and then the same bytes."""
    rng = random.Random(before)
    values = [rng.gauss(-1.0, 1.5) + (4.0 if i > 600 else 0.0) for i in range(before + 1_000)]
    models = AccountModels()
    feed(models, values[:before])
    restored = AccountModels.unpack(models.pack())
    assert feed(models, values[before:]) == feed(restored, values[before:])
    assert models.pack() == restored.pack()


def test_packed_models_are_small() -> None:
    """Eighteen bytes however much was learned, none for an account that showed nothing."""
    models = AccountModels()
    assert models.pack() == b""
    feed(models, [0.1] * 50)
    assert len(models.pack()) == 18


def test_unknown_is_not_normal() -> None:
    """Until enough blocks are known the account's own past says nothing at all."""
    models = AccountModels()
    scores = feed(models, [0.0] * READY + [4.0])
    assert scores[:READY] == [-99.0] * READY
    assert scores[READY] == pytest.approx(4.0)


def test_an_account_that_always_looks_like_this_is_not_changing() -> None:
    """High log-odds that are usual bring nothing; the same ones in an account that never had them bring everything."""
    habitual, turning = AccountModels(), AccountModels()
    feed(habitual, [3.0] * 40)
    feed(turning, [-4.0] * 40)
    assert habitual.excess(3.0) == pytest.approx(0.0, abs=0.05)
    assert turning.excess(3.0) == pytest.approx(5.0)  # everybody starts from −2 at least


def test_one_block_says_no_more_than_the_highest() -> None:
    """Values are cut before they are scored and before they are learned."""
    models = AccountModels()
    feed(models, [0.0] * 20)
    assert models.excess(1e9) == models.excess(HIGHEST)
    models.learn(1e9)
    other = AccountModels()
    feed(other, [0.0] * 20)
    other.learn(HIGHEST)
    assert models.pack() == other.pack()


def test_a_missing_value_is_neither_scored_nor_learned() -> None:
    """NaN in, NaN out, and the model's numbers stay."""
    models = AccountModels()
    feed(models, [0.2] * 20)
    before = models.pack()
    assert math.isnan(models.excess(math.nan))
    models.learn(math.nan)
    assert models.pack() == before


def test_truncated_bytes_are_refused() -> None:
    """A packed model that ends early raises a codec error, whatever byte it ends at."""
    models = AccountModels()
    feed(models, [0.5, 0.6])
    packed = models.pack()
    for end in range(1, len(packed)):
        with pytest.raises(CodecError):
            AccountModels.unpack(packed[:end])
