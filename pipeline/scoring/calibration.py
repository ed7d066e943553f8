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


def tail_table(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Counts [BINS] → normal scores at the BINS + 1 edges: score z at an edge means P(value ≥ edge) = P(N ≥ z).

    An empty histogram gives zeros: it knows nothing.
    """
    total = int(counts.sum())
    if total == 0:
        return np.zeros(BINS + 1)
    beyond = np.append(np.cumsum(counts[::-1])[::-1], 0)  # counted at or above each edge
    known = max(int(np.flatnonzero(beyond >= min(_ENOUGH, total))[-1]), 0)
    at_least = int(beyond[known])
    centres = np.arange(BINS) + 0.5
    excess = float(((centres[known:] - known) * counts[known:]).sum()) / at_least
    excess = max(excess, 0.5)
    scores = np.empty(BINS + 1)
    for edge in range(BINS + 1):
        p = beyond[edge] / total if edge <= known else at_least / total * math.exp(-(edge - known) / excess)
        scores[edge] = _score(p)
    return scores


def _score(p: float) -> float:
    if p >= 1.0:
        return _LOWEST
    return min(max(-_NORMAL.inv_cdf(max(p, _SMALLEST)), _LOWEST), HIGHEST)


def look_up(table: NDArray[np.float64], grid: Grid, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of values, linear between edges; NaN stays NaN."""
    at = np.clip((values - grid.low) / grid.width, 0.0, float(BINS))
    with np.errstate(invalid="ignore"):
        low = np.minimum(np.nan_to_num(at), BINS - 1).astype(np.int64)
    return table[low] + (at - low) * (table[low + 1] - table[low])


def score_of(table: list[float], grid: Grid, value: float) -> float:
    """`look_up` of one value."""
    at = min(max((value - grid.low) / grid.width, 0.0), float(BINS))
    low = min(int(at), BINS - 1)
    return table[low] + (at - low) * (table[low + 1] - table[low])
