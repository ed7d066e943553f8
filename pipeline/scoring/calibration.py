"""Calibration: how often comparable accounts reach so much, from fixed-bin integer histograms, and the bar that spends a budget.

Histograms add and commute, so it does not matter who was counted first. Where fewer than 30 stand beyond, the tail is exponential
with their mean excess: that is how maxima of a reflected sum fall off (Siegmund, Sequential Analysis, 1985), and a generalised
Pareto tail of shape 0 (Siffer et al., KDD 2017).
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 64
_ENOUGH = 30
_TAIL = 0.02
"""The upper share of a histogram that a partition may only thicken."""
_LEAST_EXCESS = 0.5
CALM = (0.1, 0.4)
"""Between which quantiles a fleet's width is measured."""


class Measure(IntEnum):
    """What has a bar: rows of the histograms."""

    PATIENT = 0
    """The sum of CHANGE with the low drift."""
    SHARP = 1
    """The one with the high drift."""
    LEVEL = 2


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


LEVEL_GRID = Grid(-8.0, 8.0)
"""Of the log-odds of LEVEL's looks."""


class Tail(NamedTuple):
    """What a histogram says about large values.

    Attributes:
        beyond: share of all values at or above each bin's lower edge, [BINS + 1].
        known: last edge that at least 30 values reach (fewer, when there are fewer).
        excess: mean distance beyond that edge, in units of the grid: a bar this much higher is reached e times less often.
    """

    grid: Grid
    beyond: NDArray[np.float64]
    known: int
    excess: float

    def bar(self, probability: float) -> float:
        """The value that comparable accounts reach with this probability, exponential between edges; infinite when nothing was counted."""
        if self.beyond[0] <= 0.0:
            return math.inf
        above = np.flatnonzero(self.beyond[: self.known + 1] > probability)
        if not above.size:
            return self.grid.low
        at = int(above[-1])
        rarer = math.log(float(self.beyond[at]) / probability)
        scale = self.excess if at == self.known else self.grid.width / math.log(float(self.beyond[at] / self.beyond[at + 1]))
        return self.grid.low + at * self.grid.width + scale * rarer


def tail_of(grid: Grid, counts: NDArray[np.float64]) -> Tail:
    """Counts [BINS] → their tail."""
    beyond = np.append(np.cumsum(counts[::-1])[::-1], 0.0)
    total = float(beyond[0])
    if total <= 0.0:
        return Tail(grid, beyond, 0, 0.0)
    known = int(np.flatnonzero(beyond >= min(_ENOUGH, total))[-1])
    centres = np.arange(BINS) + 0.5
    excess = float(np.cumsum((centres[known:] - known) * counts[known:])[-1]) / float(beyond[known])
    return Tail(grid, beyond / total, known, max(excess, _LEAST_EXCESS) * grid.width)


def spread_of(grid: Grid, counts: NDArray[np.int64]) -> float:
    """Distance between the quantiles `CALM`, in units of the grid: how much a fleet's accounts differ, told by its calm ones.

    A robust scale (Huber, Robust Statistics, 1981): a fifth of attackers, who stand at the other end, hardly moves it.
    """
    edges = np.concatenate(([0], np.cumsum(counts))) / max(int(counts.sum()), 1)
    low, high = np.interp(CALM, edges, np.arange(BINS + 1))
    return float(high - low) * grid.width


def moved(counts: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """A histogram moved up by so many bins (down: negative); what leaves it counts in its first or last bin."""
    found = np.zeros_like(counts)
    np.add.at(found, np.clip(np.arange(BINS) + bins, 0, BINS - 1), counts)
    return found


def blend(prior: NDArray[np.int64], counted: NDArray[np.int64]) -> NDArray[np.float64]:
    """The prior's counts plus a partition's own, whose upper tail is never thinner than the prior's.

    What a partition counts leaves out the suspicious, so its own tail would be too thin (Bashari, Sesia, Romano, ICML 2025);
    where it is thicker all the same, it counts.
    """
    beyond = np.append(np.cumsum(prior[::-1])[::-1], 0)
    total = int(beyond[0])
    if total == 0:
        return counted.astype(np.float64)
    cut = max(int(np.flatnonzero(beyond >= total * _TAIL)[-1]), 1)
    body = int(counted[:cut].sum())
    share = int(beyond[cut]) / total
    scale = body / total / (1.0 - share) if share < 1.0 else 0.0
    both = prior.astype(np.float64)
    both[:cut] += counted[:cut]
    both[cut:] += np.maximum(prior[cut:] * scale, counted[cut:])
    return both
