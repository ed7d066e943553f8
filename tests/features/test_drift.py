"""Content that drifts: centred where nothing changes, high where something does, whatever the account's prompts are like."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.features import layout as at
from tests.features.test_kernel import DAY, START, run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.features.conftest import Fabric

PER_DAY = 100


def vectors(fabric: Fabric, sketches: NDArray[np.float64], per_day: int = PER_DAY) -> NDArray[np.float64]:
    """Prompts of these directions, 100 a day → vectors of their blocks of 25."""
    sizes = np.linalg.norm(sketches, axis=1, keepdims=True)
    sketches = np.clip(np.rint(300 * sketches / sizes), -127, 127)
    times = [START + (i // per_day) * DAY + (i % per_day) * 1_000 for i in range(len(sketches))]
    _, blocks = run(fabric(times, print_present=1, print_sketch=sketches))
    return blocks.vector


def cloud(rng: np.random.Generator, count: int, spread: float) -> NDArray[np.float64]:
    """Prompts around one direction: `spread` 0.3 is a template, 3 is anything."""
    centre = rng.normal(size=128)
    return np.asarray(centre + spread * rng.normal(size=(count, 128)))


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
def test_a_stationary_account_is_centred(fabric: Fabric, spread: float) -> None:
    """Twenty days of the same sort of prompts: both shifts are around 0, whether the prompts are alike or not."""
    mean, recent = [], []
    for seed in range(12):
        v = vectors(fabric, cloud(np.random.default_rng(seed), 2_000, spread))
        mean.append(v[12:, at.MEAN_SHIFT])
        recent.append(v[12:, at.RECENT_SHIFT])
    assert abs(np.mean(mean)) < 0.1
    assert np.quantile(mean, 0.99) < 0.6
    assert abs(np.mean(recent)) < 0.25


def test_an_account_of_clustered_prompts_is_centred(fabric: Fabric) -> None:
    """Each block is one conversation with a direction of its own: that is the account's scatter, not a shift."""
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        centre = rng.normal(size=128)
        topics = np.repeat(rng.normal(size=(80, 128)), 25, axis=0)
        v = vectors(fabric, centre + topics + 0.5 * rng.normal(size=(2_000, 128)))
        found.append(v[20:, at.MEAN_SHIFT])
    assert abs(np.mean(found)) < 0.2


def test_other_content_shows_at_once(fabric: Fabric) -> None:
    """A block of another direction is far beyond chance."""
    rng = np.random.default_rng(3)
    v = vectors(fabric, np.concatenate([cloud(rng, 1_000, 1.0), cloud(rng, 25, 1.0)]))
    assert v[-1, at.MEAN_SHIFT] > 1.5
    assert v[-2, at.MEAN_SHIFT] < 0.6


def test_a_tenth_of_other_content_shows_in_the_recent_mean(fabric: Fabric) -> None:
    """One prompt in eight from elsewhere is within chance for a block and beyond it for the last 200 prompts, in most accounts."""
    before, after, block = [], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        usual, other = cloud(rng, 1_300, 1.5), cloud(rng, 1_300, 0.5)
        usual[1_000::8] = other[1_000::8]
        v = vectors(fabric, usual, per_day=300)
        before.append(v[30:40, at.RECENT_SHIFT].mean())
        after.append(v[48:52, at.RECENT_SHIFT].mean())
        block.append(v[48:52, at.MEAN_SHIFT].mean())
    assert np.median(np.subtract(after, before)) > 0.5
    assert np.median(np.subtract(after, before)) > 2 * np.median(block)


def test_shifts_wait_for_a_past(fabric: Fabric) -> None:
    """Missing until 50 and 200 earlier prompts, and without prompts."""
    v = vectors(fabric, cloud(np.random.default_rng(1), 300, 1.0), per_day=300)
    assert np.isnan(v[:2, at.MEAN_SHIFT]).all()
    assert not np.isnan(v[2:, at.MEAN_SHIFT]).any()
    assert np.isnan(v[:8, at.RECENT_SHIFT]).all()
    assert not np.isnan(v[8:, at.RECENT_SHIFT]).any()
    _, blocks = run(fabric([START + i for i in range(25)]))
    assert math.isnan(blocks.vector[0, at.MEAN_SHIFT])


def test_the_same_prompt_for_ever_is_no_shift(fabric: Fabric) -> None:
    """Without any scatter nothing divides by nothing: 0."""
    v = vectors(fabric, np.tile(np.random.default_rng(1).normal(size=128), (300, 1)))
    assert v[10:, at.MEAN_SHIFT] == pytest.approx(0.0, abs=0.01)
    assert v[10:, at.RECENT_SHIFT] == pytest.approx(0.0, abs=0.05)


def test_a_drain_does_not_become_its_own_scatter_overnight(fabric: Fabric) -> None:
    """After ten days as usual, a day of 1,000 other prompts is beyond chance to its last block, and so is the next day's first."""
    rng = np.random.default_rng(5)
    v = vectors(fabric, np.concatenate([cloud(rng, 10_000, 1.0), cloud(rng, 1_025, 1.0)]), per_day=1_000)
    assert v[400:, at.MEAN_SHIFT].min() > 0.8
    assert v[400:440, at.RECENT_SHIFT][4:].min() > 0.8
