"""The only file that looks inside River 0.26.1: reading and restoring the numbers behind its Rust statistics.

`EWMean` and `EWVar` hold their state in Rust objects whose `__getstate__` is little-endian bytes: per running mean the mean
(f8), a (f8), 1 − a (f8), a started flag (u1); `EWMean` has one and a again, `EWVar` two, of x and of x², and a twice. Pickles of
these are 176 bytes and more for two numbers, so we keep the numbers. `tests/detectors/test_river_state.py` is the contract
that a newer River must pass before the pin moves.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from river import stats

_ONE = struct.Struct("<dddBd")
_TWO = struct.Struct("<dddBdddBdd")


class Moments(NamedTuple):
    """Running means of x and x² as `EWMean` and `EWVar` of equal fading factor hold them."""

    mean: float
    square: float


def read_moments(variance: stats.EWVar) -> Moments:
    """The numbers behind an `EWVar` (its mean is also that of an `EWMean` fed the same values)."""
    state = _TWO.unpack(variance._ewvar.__getstate__())  # noqa: SLF001 - this file is where that is allowed
    return Moments(state[0], state[4])


def restore_moments(mean: stats.EWMean, variance: stats.EWVar, moments: Moments) -> None:
    """Give two fresh statistics of equal fading factor the numbers of `read_moments`; they go on from there with that factor.

    With the factor that the numbers came from, bit for bit as the original would have.
    """
    a = mean.fading_factor
    m = (moments.mean, a, 1.0 - a, 1, a)
    mean._ewmean.__setstate__(_ONE.pack(*m))  # noqa: SLF001 - this file is where that is allowed
    variance._ewvar.__setstate__(_TWO.pack(*m[:4], moments.square, a, 1.0 - a, 1, a, a))  # noqa: SLF001 - as above
