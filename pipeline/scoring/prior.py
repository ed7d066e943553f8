"""The shipped prior: what is usual in general, counted by `python -m pipeline.lab.teach` on benign accounts.

A partition with ten accounts is not blind because of it; what the partition counts itself is added at epochs' ends.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from pipeline.scoring.calibration import BINS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "prior.json"


class Spread(msgspec.Struct, frozen=True):
    """A feature over benign blocks: its usual deviation within an account, its 5 % and 95 % points over accounts."""

    within: float
    low: float
    high: float


class PriorFile(msgspec.Struct, frozen=True):
    """The file's contents: histograms sparse, as [bin, count, bin, count, …]."""

    accounts: int
    account_days: int
    features: dict[str, Spread]
    days: list[int]
    looks: list[int]


class Prior(NamedTuple):
    """The prior in memory."""

    features: dict[str, Spread]
    days: NDArray[np.int64]  # [BINS] highest CHANGE evidence of benign account-days
    looks: NDArray[np.int64]  # [BINS] log-odds of LEVEL looks at benign accounts


def sparse(counts: NDArray[np.int64]) -> list[int]:
    """A histogram as [bin, count, bin, count, …]."""
    found: list[int] = []
    for at in np.flatnonzero(counts).tolist():
        found += [at, int(counts[at])]
    return found


def dense(pairs: list[int]) -> NDArray[np.int64]:
    """A histogram from `sparse`."""
    counts = np.zeros(BINS, np.int64)
    counts[pairs[0::2]] = pairs[1::2]
    return counts


def empty_prior() -> Prior:
    """A prior that knows nothing, to count the first one with: its bars are out of reach."""
    return Prior({}, np.zeros(BINS, np.int64), np.zeros(BINS, np.int64))


def read_prior(data: bytes) -> Prior:
    """The prior in a file's bytes.

    Raises:
        msgspec.ValidationError: it is not one.
    """
    found = msgspec.json.decode(data, type=PriorFile)
    return Prior(found.features, dense(found.days), dense(found.looks))


@functools.cache
def shipped_prior() -> Prior:
    """The prior inside the package."""
    return read_prior(files(__package__).joinpath(FILE).read_bytes())
