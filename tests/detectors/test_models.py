"""An account's models: packed and restored they go on exactly as before; they fit their budget of bytes."""

from __future__ import annotations

import math
import random

import pytest

from pipeline.base.errors import CodecError
from pipeline.detectors.models import AccountModels, Channel


def feed(models: AccountModels, values: list[float]) -> list[float]:
    """Score, then learn, every value on every channel; the drift watch on the side."""
    out: list[float] = []
    for x in values:
        for channel in Channel:
            value = x * (1.0 + channel)
            out.append(models.score(channel, value))
            models.learn(channel, value)
        out.append(float(models.drifted(x)))
    return out


@pytest.mark.parametrize("before", [0, 1, 7, 60, 300])
def test_packed_models_score_the_next_thousand_blocks_identically(before: int) -> None:
    """Models restored from their bytes give the same 1,000 next scores, and then the same bytes."""
    rng = random.Random(before)
    values = [rng.gauss(0.5, 1.0) + (4.0 if i > 600 else 0.0) for i in range(before + 1_000)]
    models = AccountModels()
    feed(models, values[:before])
    packed = models.pack()
    restored, end = AccountModels.unpack(packed)
    assert end == len(packed)
    assert feed(models, values[before:]) == feed(restored, values[before:])
    assert models.pack() == restored.pack()


def test_packed_models_are_small() -> None:
    """At most 200 bytes with everything in use, two bytes for an account that showed nothing."""
    models = AccountModels()
    assert len(models.pack()) == 2
    feed(models, [0.1] * 50)
    assert len(models.pack()) <= 200


def test_a_missing_value_is_neither_scored_nor_learned() -> None:
    """NaN in, NaN out, and the models' numbers stay."""
    models = AccountModels()
    feed(models, [0.2, 0.4, 0.1])
    before = models.pack()
    assert math.isnan(models.score(Channel.SHIFT, math.nan))
    models.learn(Channel.SHIFT, math.nan)
    assert models.pack() == before


def test_drift_watch_fires_on_a_lasting_change_and_not_on_noise() -> None:
    """A mean that moves by two deviations for good is noticed; 500 standard normal values are not."""
    rng = random.Random(2)
    models = AccountModels()
    assert not any(models.drifted(rng.gauss(0.0, 1.0)) for _ in range(500))
    assert any(models.drifted(rng.gauss(2.0, 1.0)) for _ in range(60))


def test_reanchoring_forgets() -> None:
    """After `reanchor` the account is a young one again."""
    models = AccountModels()
    feed(models, [5.0] * 40)
    assert models.ready(Channel.VOLUME)
    models.reanchor()
    assert not models.ready(Channel.VOLUME)
    assert len(models.pack()) == 2


def test_truncated_bytes_are_refused() -> None:
    """Packed models that end early raise a codec error, whatever byte they end at."""
    models = AccountModels()
    feed(models, [0.5, 0.6])
    packed = models.pack()
    for end in range(len(packed)):
        with pytest.raises(CodecError):
            AccountModels.unpack(packed[:end])
