"""Histograms into scores: valid where they were counted, careful beyond."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from pipeline.scoring.calibration import BINS, HIGHEST, Grid, blend, look_up, score_of, tail_table

GRID = Grid(0.0, 6.4)
NORMAL = NormalDist()


def counted(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A histogram of values."""
    return np.bincount([GRID.bin_of(v) for v in values.tolist()], minlength=BINS)


def test_scores_are_valid_on_what_was_counted() -> None:
    """For every bar z, no more than P(N ≥ z) of fresh values of the same kind score at least z."""
    rng = np.random.default_rng(1)
    table = tail_table(counted(rng.exponential(0.6, 40_000)).astype(np.float64))
    scores = look_up(table, GRID, rng.exponential(0.6, 400_000))
    for z in (0.5, 1.0, 2.0, 3.0, 3.5):
        assert (scores >= z).mean() <= 1.1 * (1.0 - NORMAL.cdf(z))
    assert (scores >= 3.0).mean() >= 0.5 * (1.0 - NORMAL.cdf(3.0))


def test_the_tail_goes_on_beyond_what_was_counted() -> None:
    """Beyond the last thirty counted values scores still grow, never above the highest."""
    table = tail_table(counted(np.random.default_rng(2).exponential(0.3, 5_000)).astype(np.float64))
    assert (np.diff(table) >= 0.0).all()
    assert table[GRID.bin_of(3.0)] > table[GRID.bin_of(2.2)]
    assert table[-1] == pytest.approx(HIGHEST)
    assert table.max() <= HIGHEST


def test_a_value_that_half_of_all_share_is_not_unusual() -> None:
    """An atom scores by the share of those at or above it, wherever it lies in its bin."""
    values = np.concatenate([np.full(500, 1.05), np.full(490, 0.0), np.full(10, 3.0)])
    table = tail_table(counted(values).astype(np.float64))
    for value in (1.01, 1.05, 1.09):
        assert score_of(table.tolist(), GRID, value) == pytest.approx(-NORMAL.inv_cdf(0.51), abs=1e-6)


def test_the_lowest_bin_costs_what_it_should() -> None:
    """The bin in which nothing agrees has the mean of the normals below its edge: the expected score stays near zero."""
    rng = np.random.default_rng(3)
    values = np.maximum(rng.normal(size=100_000), 0.0)
    table = tail_table(counted(values).astype(np.float64))
    scores = look_up(table, GRID, values)
    assert -0.1 < scores.mean() <= 0.01
    for tilt in (0.25, 0.5, 1.0, 2.0):
        assert np.exp(tilt * np.minimum(scores, 4.0) - tilt * tilt / 2).mean() <= 1.03


def test_missing_values_stay_missing_and_an_empty_histogram_knows_nothing() -> None:
    """NaN gives NaN; no counts give zero."""
    table = tail_table(np.zeros(BINS))
    assert np.isnan(look_up(table, GRID, np.array([np.nan]))[0])
    assert (table == 0.0).all()


def test_leaving_out_the_suspicious_does_not_make_the_tail_thin() -> None:
    """What a partition counted without its upper tail leaves the prior's tail where it was."""
    rng = np.random.default_rng(4)
    prior = counted(rng.exponential(0.6, 10_000))
    trimmed = rng.exponential(0.6, 1_000_000)
    trimmed = trimmed[trimmed < 2.0]
    before, after = tail_table(prior.astype(np.float64)), tail_table(blend(prior, counted(trimmed)))
    naive = tail_table((prior + counted(trimmed)).astype(np.float64))
    at = GRID.bin_of(3.0)
    assert after[at] == pytest.approx(before[at], abs=0.15)
    assert naive[at] > before[at] + 1.0


def test_a_partitions_own_counts_move_the_body() -> None:
    """A partition whose calm accounts vary more than the prior's soon takes that as usual."""
    rng = np.random.default_rng(5)
    prior, own = counted(rng.exponential(0.3, 5_000)), counted(rng.exponential(0.9, 100_000))
    at = GRID.bin_of(1.0)
    assert tail_table(blend(prior, own))[at] < tail_table(prior.astype(np.float64))[at] - 0.5
