"""The shipped prior: what is usual in general, counted by `python -m pipeline.lab.teach` on benign accounts.

A partition with ten accounts is not blind because of it; what the partition counts itself is added at epochs' ends.
"""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from pipeline.base.errors import SettingsError
from pipeline.scoring.calibration import BINS, CALM, LEVEL_GRID, Measure, spread_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings

FILE = "prior.json"
TAUGHT_FILE = "taught.npz"
_MOST = 2**40
"""No history counts more of anything."""


class Spread(msgspec.Struct, frozen=True):
    """A feature over benign blocks: its usual deviation within an account, its 5 % and 95 % points over accounts."""

    within: float
    low: float
    high: float


class PriorFile(msgspec.Struct, frozen=True):
    """The file's contents: a histogram per measure, sparse, as [bin, count, bin, count, …]."""

    accounts: int
    account_days: int
    features: dict[str, Spread]
    patient: list[int]
    sharp: list[int]
    level: list[int]
    width: float | None = None
    """Width of the fleet behind it (`bars.Standing`); absent: that of `level`, where no other fleet is in it."""
    detector: str = ""
    """`detector_digest` of the program that counted it; the shipped one is counted with the package and does not say."""


class Prior(NamedTuple):
    """The prior in memory."""

    features: dict[str, Spread]
    account_days: int
    counts: NDArray[np.int64]  # [measures, BINS] what benign accounts reached, rows as `Measure` counts them
    width: float
    """Of the fleet behind it, see `bars.Standing`."""


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
    return Prior({}, 0, np.zeros((len(Measure), BINS), np.int64), 0.0)


def write_prior(file: PriorFile) -> bytes:
    """Bytes of a prior file, one number or so a line, so that two of them diff."""
    return msgspec.json.format(msgspec.json.encode(file), indent=0) + b"\n"


def read_prior(data: bytes) -> Prior:
    """The prior in a file's bytes.

    Raises:
        msgspec.ValidationError: it is not one.
    """
    return _in_memory(msgspec.json.decode(data, type=PriorFile))


def _in_memory(found: PriorFile) -> Prior:
    counts = np.array([dense(found.patient), dense(found.sharp), dense(found.level)])
    width = spread_of(LEVEL_GRID, counts[Measure.LEVEL]) if found.width is None else found.width
    return Prior(found.features, found.account_days, counts, width)


@functools.cache
def detector_digest() -> str:
    """Names the taught ensembles that evidence is counted with, and what a width is: a prior of others says nothing about these."""
    return hashlib.sha256(files(__package__).joinpath(TAUGHT_FILE).read_bytes() + repr(CALM).encode()).hexdigest()[:16]


def prior_of(settings: DetectSettings) -> Prior:
    """The prior that the settings name, or the shipped one.

    Raises:
        SettingsError: the file is not a prior, or was counted by another detector.
    """
    return shipped_prior() if settings.prior is None else _prior_in(settings.prior)


@functools.lru_cache(maxsize=2)
def _prior_in(data: bytes) -> Prior:
    step = "make it anew with `stillwatch calibrate`, or unset detect.prior_file"
    try:
        found = msgspec.json.decode(data, type=PriorFile)
        prior = _in_memory(found)
    except (msgspec.MsgspecError, UnicodeError, IndexError, ValueError, OverflowError, RecursionError) as err:
        raise SettingsError(f"detect.prior_file is not a prior: {err}", next_step=step) from None
    if found.detector != detector_digest():
        raise SettingsError("detect.prior_file was counted by another version of the detector", next_step=step)
    told = [
        prior.counts.min(),
        prior.counts.max(),
        prior.account_days,
        prior.width,
        *found.patient[::2],
        *found.sharp[::2],
        *found.level[::2],
    ]
    if min(told) < 0 or max(told) > _MOST or not prior.counts.sum(axis=1).all():
        raise SettingsError("detect.prior_file is not a prior: its counts are not those of any history", next_step=step)
    return prior


@functools.cache
def shipped_prior() -> Prior:
    """The prior inside the package."""
    return read_prior(files(__package__).joinpath(FILE).read_bytes())
