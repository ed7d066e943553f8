"""Intervals that respect what hangs together: the pigeonhole bootstrap over tenant × text group × seed, and Poisson's own.

Account-days of one tenant, one pool of texts or one population are not independent. Each replicate draws every factor's levels
with replacement, independently, and weighs a unit by the product of its levels' counts (Owen, "The pigeonhole bootstrap",
Ann. Appl. Stat. 2007: never too narrow for crossed factors, a little wide).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

_REPLICATES = 500
_SEED = 4


class Interval(NamedTuple):
    """A ratio with its 95 % interval."""

    value: float
    low: float
    high: float


def levels(values: Sequence[Hashable]) -> NDArray[np.int64]:
    """Numbers of the distinct values."""
    index: dict[Hashable, int] = {}
    return np.array([index.setdefault(v, len(index)) for v in values], np.int64)


def ratio(top: NDArray[np.float64], bottom: NDArray[np.float64], factors: Sequence[NDArray[np.int64]]) -> Interval:
    """Sum of `top` over sum of `bottom` with its bootstrap interval; NaN where there is nothing.

    Args:
        top: [n], numerators of the units.
        bottom: [n], their denominators.
        factors: each [n], levels as numbers.
    """
    total = float(bottom.sum())
    if total <= 0:
        return Interval(math.nan, math.nan, math.nan)
    rng = np.random.default_rng(_SEED)
    sizes = [int(f.max()) + 1 for f in factors]
    found = []
    for _ in range(_REPLICATES):
        weight = np.ones(top.size)
        for factor, size in zip(factors, sizes, strict=True):
            weight *= np.bincount(rng.integers(size, size=size), minlength=size)[factor]
        below = float((weight * bottom).sum())
        if below > 0:
            found.append(float((weight * top).sum()) / below)
    low, high = np.quantile(found, (0.025, 0.975)).tolist() if found else (math.nan, math.nan)
    return Interval(float(top.sum()) / total, low, high)


def poisson_upper(count: int, level: float = 0.975) -> float:
    """Exact upper bound of a Poisson mean after `count` events (Garwood, 1936), by bisection."""
    low, high = 0.0, 10.0 + 2.0 * count + 10.0 * math.sqrt(count + 1.0)
    for _ in range(80):
        middle = (low + high) / 2
        term, below = math.exp(-middle), 0.0
        for k in range(count + 1):
            below += term
            term *= middle / (k + 1)
        low, high = (middle, high) if below > 1 - level else (low, middle)
    return high


def wilson(hits: int, size: int) -> Interval:
    """Share with Wilson's 95 % interval; NaN of nothing."""
    if size == 0:
        return Interval(math.nan, math.nan, math.nan)
    z = 1.96
    p = hits / size
    centre = (p + z * z / (2 * size)) / (1 + z * z / size)
    half = z * math.sqrt(p * (1 - p) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return Interval(p, max(0.0, centre - half), min(1.0, centre + half))
