"""The shipped prior: what is usual in general, counted by `python -m pipeline.lab.prior` on benign simulated accounts.

A partition with ten accounts is not blind because of it; what the partition counts itself is added at epochs' ends.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from pipeline.detectors.models import CHANNELS
from pipeline.scoring.calibration import BINS
from pipeline.scoring.kinds import KINDS
from pipeline.scoring.levels import LEVELS, LOOKS

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
    centers: list[float]
    scales: list[float]
    features: dict[str, Spread]
    levels: list[list[list[int]]]
    joint: list[list[list[int]]]
    change: list[list[int]]


class Prior(NamedTuple):
    """The prior in memory."""

    centers: NDArray[np.float64]  # [channels]
    scales: NDArray[np.float64]  # [channels]
    features: dict[str, Spread]
    levels: NDArray[np.int64]  # [levels, looks, BINS]
    joint: NDArray[np.int64]  # [kinds, looks, BINS]
    change: NDArray[np.int64]  # [kinds, BINS]


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
    """A prior that knows nothing, to count the first one with."""
    return Prior(
        np.zeros(len(CHANNELS)),
        np.ones(len(CHANNELS)),
        {},
        np.zeros((len(LEVELS), LOOKS, BINS), np.int64),
        np.zeros((len(KINDS), LOOKS, BINS), np.int64),
        np.zeros((len(KINDS), BINS), np.int64),
    )


def read_prior(data: bytes) -> Prior:
    """The prior in a file's bytes.

    Raises:
        msgspec.ValidationError: it is not one.
    """
    found = msgspec.json.decode(data, type=PriorFile)
    return Prior(
        np.array(found.centers),
        np.array(found.scales),
        found.features,
        np.array([[dense(h) for h in looks] for looks in found.levels]),
        np.array([[dense(h) for h in looks] for looks in found.joint]),
        np.array([dense(h) for h in found.change]),
    )


def shipped_prior() -> Prior:
    """The prior inside the package."""
    return read_prior(files(__package__).joinpath(FILE).read_bytes())
