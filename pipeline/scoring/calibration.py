"""Calibration: how often comparable accounts show at least so much, from fixed-bin integer histograms, as a normal score.

Histograms add and commute, so it does not matter who was counted first. A table is made from the shipped prior's counts plus
what a partition has counted, at an epoch's boundary, and is fixed within the epoch. Where fewer than 30 stand beyond, the tail
is exponential with their mean excess (a generalised Pareto tail of shape 0; Siffer et al., KDD 2017).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 64
_ENOUGH = 30
_TAIL = 0.02
"""The upper share of a histogram that a partition may only thicken."""
_NORMAL = NormalDist()
_LOWEST = -3.0
HIGHEST = 6.0
"""Scores are cut here: no histogram knows more."""
_SMALLEST = 0.5 * math.erfc(HIGHEST / math.sqrt(2.0))


class Grid(NamedTuple):
    """Bins of equal width from `low` to `high`; outside values count in the first and last bin."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Width of a bin."""
        return (self.high - self.low) / BINS

    def bin_of(self, value: float) -> int:
        """Bin of a value."""
        return min(max(int((value - self.low) / self.width), 0), BINS - 1)


def tail_table(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts [BINS] → a normal score per bin, such that a bin's score z means P(value ≥ the bin's lower edge) = P(N ≥ z).

    The lowest bin, whose lower edge says nothing, scores as the mean of a normal below its upper edge. An empty histogram
    gives zeros: it knows nothing.
    """
    beyond = np.append(np.cumsum(counts[::-1])[::-1], 0.0)  # counted at or above each edge
    total = float(beyond[0])
    if total <= 0.0:
        return np.zeros(BINS)
    known = int(np.flatnonzero(beyond >= min(_ENOUGH, total))[-1])
    at_least = float(beyond[known])
    centres = np.arange(BINS) + 0.5
    excess = max(float(np.cumsum((centres[known:] - known) * counts[known:])[-1]) / at_least, 0.5)
    scores = np.empty(BINS)
    for edge in range(1, BINS):
        p = float(beyond[edge]) / total if edge <= known else at_least / total * math.exp(-(edge - known) / excess)
        scores[edge] = _score(p)
    lowest = 1.0 - float(beyond[1]) / total
    scores[0] = max(-_NORMAL.pdf(scores[1]) / lowest, _LOWEST) if lowest > 0.0 else _LOWEST
    return scores


def blend(prior: NDArray[np.int64], counted: NDArray[np.int64]) -> NDArray[np.float64]:
    """The prior's counts plus a partition's own, whose upper tail is never thinner than the prior's.

    What a partition counts leaves out the suspicious, so its own tail would be too thin (Bashari, Sesia, Romano, ICML 2025);
    where it is thicker all the same, it counts.
    """
    beyond = np.append(np.cumsum(prior[::-1])[::-1], 0)
    total = int(beyond[0])
    if total == 0:
        return counted.astype(np.float64)
    cut = int(np.flatnonzero(beyond >= total * _TAIL)[-1])
    body = int(counted[:cut].sum())
    share = int(beyond[cut]) / total
    scale = body / total / (1.0 - share) if share < 1.0 else 0.0
    both = prior.astype(np.float64)
    both[:cut] += counted[:cut]
    both[cut:] += np.maximum(prior[cut:] * scale, counted[cut:])
    return both


def _score(p: float) -> float:
    if p >= 1.0:
        return _LOWEST
    return min(max(-_NORMAL.inv_cdf(max(p, _SMALLEST)), _LOWEST), HIGHEST)


def look_up(table: NDArray[np.float64], grid: Grid, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of values; NaN stays NaN.

    A value scores as its bin's lower edge, so a score is never above what the histogram holds, not even for a value that half
    of all accounts share.
    """
    known = ~np.isnan(values)
    at = np.clip((np.where(known, values, grid.low) - grid.low) / grid.width, 0.0, BINS - 1.0).astype(np.int64)
    return np.where(known, table[at], np.nan)


def score_of(table: list[float], grid: Grid, value: float) -> float:
    """`look_up` of one value, a number."""
    return table[grid.bin_of(value)]
