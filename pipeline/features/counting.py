"""Counting in small spaces, for use inside kernels: bitmaps, heavy hitters, shares, spreads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.jit import inline

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ONE = np.uint64(1)


@inline
def bits(x: np.uint64) -> int:
    """Bits set."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@inline
def distinct(bits: int, size: float) -> float:
    """Linear counting: distinct values behind `bits` set of `size`."""
    full = float(bits)
    full = min(full, size - 1.0)
    return -size * math.log(1.0 - full / size)


@inline
def mark(value: np.uint64) -> np.uint64:
    """The bit of a hash in a 64-bit map; the top bits, whose SipHash quality is that of any other."""
    return _ONE << (value >> np.uint64(58))


@inline
def ratio(part: float, whole: float) -> float:
    """Part of the whole; NaN of nothing."""
    return part / whole if whole > 0.0 else math.nan


@inline
def sd(total: float, squares: float, n: float) -> float:
    """Standard deviation from a sum and a sum of squares; NaN below two values."""
    if n < 2.0:
        return math.nan
    var = (squares - total * total / n) / (n - 1.0)
    return math.sqrt(var) if var > 0.0 else 0.0


@inline
def popular(keys: NDArray[np.uint64], counts: NDArray[np.int32], value: np.uint64) -> None:
    """Count `value` among heavy hitters; a count is never above the truth (Misra & Gries, 1982)."""
    free = -1
    for j in range(keys.shape[0]):
        if counts[j] == 0:
            free = j
        elif keys[j] == value:
            counts[j] += 1
            return
    if free >= 0:
        keys[free] = value
        counts[free] = 1
        return
    for j in range(keys.shape[0]):
        counts[j] -= 1


@inline
def repeats(buckets: NDArray[np.uint8], n: float) -> tuple[float, float]:
    """Share of the fullest bucket, and the share of pairs of prompts that are equal (unbiased, so it does not depend on n)."""
    if n < 2.0:
        return math.nan, math.nan
    top = 0
    pairs = 0
    for j in range(buckets.shape[0]):
        x = int(buckets[j])
        pairs += x * (x - 1)
        top = max(top, x)
    chance = 1.0 / buckets.shape[0]
    return float(top) / n, (float(pairs) / (n * (n - 1.0)) - chance) / (1.0 - chance)
