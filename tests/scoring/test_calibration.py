"""Histograms into bars: valid where they were counted, careful beyond."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from pipeline.scoring.calibration import BINS, Grid, blend, moved, spread_of, tail_of

GRID = Grid(0.0, 6.4)


def counted(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A histogram of values."""
    return np.bincount([GRID.bin_of(v) for v in values.tolist()], minlength=BINS)


@pytest.mark.parametrize("probability", [0.3, 0.03, 0.003])
def test_a_bar_is_reached_as_often_as_it_says(probability: float) -> None:
    """Fresh values of the same kind reach the bar at most as often as asked, and at least half as often."""
    rng = np.random.default_rng(1)
    bar = tail_of(GRID, counted(rng.exponential(0.5, 40_000)).astype(np.float64)).bar(probability)
    reached = float((rng.exponential(0.5, 400_000) >= bar).mean())
    assert 0.5 * probability <= reached <= 1.1 * probability


def test_the_tail_goes_on_beyond_what_was_counted() -> None:
    """Ten times rarer costs the mean excess times ln 10, far beyond the highest value that was seen."""
    tail = tail_of(GRID, counted(np.random.default_rng(2).exponential(0.3, 5_000)).astype(np.float64))
    assert tail.bar(1e-7) - tail.bar(1e-6) == pytest.approx(tail.excess * math.log(10.0))
    assert tail.excess == pytest.approx(0.3, rel=0.35)
    assert tail.bar(1e-6) == pytest.approx(0.3 * math.log(1e6), rel=0.25)


def test_a_bar_moves_a_little_when_a_little_changes() -> None:
    """From 300 to 3 of 40,000 in steps of a twentieth, over bins and beyond the last that thirty reach, no step is a bin high."""
    counts = counted(np.random.default_rng(3).exponential(0.5, 40_000)).astype(np.float64)
    tail = tail_of(GRID, counts)
    bars = [tail.bar(300 / 40_000 * 0.95**step) for step in range(90)]
    assert tail.beyond[tail.known] > 300 / 40_000 * 0.95**89
    assert all(0.0 < b - a < GRID.width for a, b in pairwise(bars))
    one_more = counts.copy()
    one_more[tail.known] += 1.0
    for wanted in (60.0, 30.0, float(counts[tail.known :].sum())):
        assert abs(tail_of(GRID, one_more).bar(wanted / 40_000) - tail.bar(wanted / 40_000)) < GRID.width / 2


def test_an_empty_histogram_sets_a_bar_out_of_reach() -> None:
    """It knows nothing, so nothing is rare."""
    assert tail_of(GRID, np.zeros(BINS)).bar(0.5) == math.inf


def test_leaving_out_the_suspicious_does_not_lower_the_bar() -> None:
    """What a partition counted without its upper tail leaves the prior's bar where it was."""
    rng = np.random.default_rng(4)
    prior = counted(rng.exponential(0.6, 10_000))
    trimmed = rng.exponential(0.6, 1_000_000)
    trimmed = trimmed[trimmed < 2.0]
    before, after = tail_of(GRID, prior.astype(np.float64)), tail_of(GRID, blend(prior, counted(trimmed)))
    naive = tail_of(GRID, (prior + counted(trimmed)).astype(np.float64))
    assert after.bar(1e-3) == pytest.approx(before.bar(1e-3), abs=0.3)
    assert naive.bar(1e-3) < before.bar(1e-3) - 1.0


def test_a_noisier_partition_raises_its_bar() -> None:
    """Where calm accounts reach higher than the prior's, that is what rare means there."""
    rng = np.random.default_rng(5)
    prior, own = counted(rng.exponential(0.3, 5_000)), counted(rng.exponential(0.9, 100_000))
    assert tail_of(GRID, blend(prior, own)).bar(1e-3) > tail_of(GRID, prior.astype(np.float64)).bar(1e-3) + 1.0


def test_a_spread_is_told_by_the_calm_and_attackers_hardly_move_it() -> None:
    """Of a normal distribution 1.03 deviations; a fifth of the values far above it changes that by a fifth at most."""
    calm = np.random.default_rng(6).normal(3.2, 0.4, 20_000)
    expected = (1.2816 - 0.2533) * 0.4
    assert spread_of(GRID, counted(calm)) == pytest.approx(expected, rel=0.03)
    beset = np.concatenate([calm, np.full(5_000, 6.0)])
    assert expected < spread_of(GRID, counted(beset)) < 1.2 * expected


def test_a_histogram_moves_whole_and_piles_up_at_its_ends() -> None:
    """Nothing is lost on either side."""
    counts = counted(np.array([0.05, 3.25, 6.35]))
    up, down = moved(counts, 2), moved(counts, -2)
    assert np.flatnonzero(up).tolist() == [2, 34, BINS - 1]
    assert np.flatnonzero(down).tolist() == [0, 30, BINS - 3]
    assert np.array_equal(moved(counts, 0), counts)
    assert moved(counts, BINS)[-1] == moved(counts, -BINS)[0] == 3
