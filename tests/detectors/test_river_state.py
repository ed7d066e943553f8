"""The contract with River's insides that packed state stands on: a newer River must pass this before the pin moves."""

from __future__ import annotations

import random

import pytest
from river import stats

from pipeline.detectors.river_state import read_moments, restore_moments

VALUES = [random.Random(7).gauss(0.3, 1.7) for _ in range(400)]


@pytest.mark.parametrize("before", [1, 2, 30, 200])
@pytest.mark.parametrize("fading_factor", [0.01, 0.05, 0.5])
def test_restored_moments_continue_bit_for_bit(before: int, fading_factor: float) -> None:
    """An EWMean and an EWVar restored from two numbers give the same values as the originals, for ever after."""
    mean, variance = stats.EWMean(fading_factor), stats.EWVar(fading_factor)
    for x in VALUES[:before]:
        mean.update(x)
        variance.update(x)
    mean2, variance2 = stats.EWMean(fading_factor), stats.EWVar(fading_factor)
    restore_moments(mean2, variance2, read_moments(variance))
    assert (mean2.get(), variance2.get()) == (mean.get(), variance.get())
    for x in VALUES[before:]:
        for pair in ((mean, mean2), (variance, variance2)):
            for statistic in pair:
                statistic.update(x)
            assert pair[0].get() == pair[1].get()
    assert mean._ewmean.__getstate__() == mean2._ewmean.__getstate__()
    assert variance._ewvar.__getstate__() == variance2._ewvar.__getstate__()


def test_the_variance_holds_the_mean() -> None:
    """EWVar's inner mean equals an EWMean fed the same values, so that two numbers are enough for both."""
    mean, variance = stats.EWMean(0.05), stats.EWVar(0.05)
    for x in VALUES:
        mean.update(x)
        variance.update(x)
        moments = read_moments(variance)
        assert moments.mean == mean.get()
        assert variance.get() == moments.square - moments.mean**2
