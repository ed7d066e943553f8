"""The bars in force in one partition: fixed within an epoch, from what comparable accounts reached, counted for the next ones.

Three histograms of benign life: the height of every run of each of CHANGE's two sums (from nothing until nothing is left), and the
log-odds of every LEVEL look; and the account-days in which they happened. A bar is the height that spends its share of the budget.
LEVEL compares an account with all others, and fleets are not alike: where calm accounts differ more than the prior's, its bar rises.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.scoring.calibration import BINS, LEVEL_GRID, Grid, Measure, blend, moved, spread_of, tail_of
from pipeline.scoring.prior import Prior, dense, prior_of, sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings

FORMAT = 3
_DAYS_OPEN = 1.5
"""Account-days that a false alert costs: the day it opens and, every other time, the next."""
_DAY_S = 86_400


class Rule(NamedTuple):
    """How one measure is counted, and what it may spend.

    Attributes:
        share: of the budget.
        lowest: neither budget nor verdict takes its bar below this, where the fleet is as wide as the prior's.
        follows: how far its bar rises per unit by which the fleet is wider.
    """

    grid: Grid
    share: float
    lowest: float
    follows: float


_RULES = (
    Rule(Grid(0.0, 64.0), 0.25, 4.0, 0.0),  # two blocks at full surprise
    Rule(Grid(0.0, 64.0), 0.15, 4.0, 0.0),  # likewise
    Rule(LEVEL_GRID, 0.6, -1.0, 2.0),  # three to one against
)
"""In the order of `Measure`."""
_FURTHEST = (-2.0, 4.0)
"""Where a bar stops to follow: no fleet makes the detector deaf."""
_DOUBT = 100
"""Looks that say as much about a fleet's width as the prior does."""


class Standing(NamedTuple):
    """A fleet beside the prior's.

    Attributes:
        width: median less lowest decile of its looks' log-odds, as far as it is known.
        bins: by which each of the prior's histograms moves to stand where this fleet's would, in the order of `Measure`.
        counts: the prior's, moved, and the fleet's own [measures, BINS].
    """

    width: float
    bins: list[int]
    counts: list[NDArray[np.float64]]


def standing(prior: Prior, counted: NDArray[np.int64]) -> Standing:
    """How the fleet that counted this [measures, BINS] stands beside the prior's."""
    looks = counted[Measure.LEVEL]
    n = int(looks.sum())
    wider = (spread_of(LEVEL_GRID, looks) - prior.width) * n / (n + _DOUBT)
    bins = [round(min(max(rule.follows * wider, _FURTHEST[0]), _FURTHEST[1]) / rule.grid.width) for rule in _RULES]
    counts = [blend(moved(usual, by), own) for usual, by, own in zip(prior.counts, bins, counted, strict=True)]
    return Standing(prior.width + wider, bins, counts)


class _Packed(msgspec.Struct, array_like=True):
    """Counts as sparse histograms: what is in force and what waits for the epoch's end."""

    format: int
    epoch: int
    in_force: list[list[int]]
    waiting: list[list[int]]
    account_days: int
    days_waiting: int
    last_day: list[int]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Packed)


class Bars:
    """See the module."""

    def __init__(self, settings: DetectSettings, prior: Prior | None = None, partitions: int = 1) -> None:
        self._settings = settings
        self._partitions = partitions
        self._epochs_a_day = max(_DAY_S // settings.epoch_s, 1)
        self.prior = prior_of(settings) if prior is None else prior
        self.epoch = 0
        self.counts = np.zeros((len(Measure), BINS), np.int64)
        self.waiting = np.zeros((len(Measure), BINS), np.int64)
        self.account_days = 0
        self.days_waiting = 0
        self._last_day: list[int] = []
        """Account-days that began in each of the last day's epochs."""
        self._set()

    def _set(self) -> None:
        days = max(self.prior.account_days + self.account_days, 1)
        self._bars: list[float] = []
        self._lowest: list[float] = []
        self._halvings: list[float] = []
        _, bins, counts = standing(self.prior, self.counts)
        seen = (self.prior.counts + self.counts).sum(axis=1).tolist()
        for rule, by, histogram, cases in zip(_RULES, bins, counts, seen, strict=True):
            tail = tail_of(rule.grid, histogram)
            a_day = max(cases, 1) / days
            wanted = self.budget / 1000.0 / _DAYS_OPEN * rule.share
            self._lowest.append(rule.lowest + by * rule.grid.width)
            self._bars.append(max(tail.bar(wanted / a_day), self._lowest[-1]))
            self._halvings.append(math.log(2.0) * max(tail.excess, rule.grid.width))

    def bar(self, measure: Measure, halvings: float = 0.0) -> float:
        """From where a measure accuses, moved by so many halvings of how often it gets there; never below its floor."""
        return max(self._bars[measure] + halvings * self._halvings[measure], self._lowest[measure])

    @property
    def budget(self) -> float:
        """False alerts per 1,000 active account-days: as set, or what `false_alerts_per_day` allows a fleet of this size."""
        active = self._partitions * sum(self._last_day)
        allowed = 1000.0 * self._settings.false_alerts_per_day / active if active else self._settings.alert_budget
        return min(self._settings.alert_budget, allowed)

    def teach_day(self) -> None:
        """Count an account-day that begins."""
        self.days_waiting += 1

    def teach(self, measure: Measure, height: float) -> None:
        """Count what a calm account reached: the height of a run that is over, the log-odds of a look."""
        self.waiting[measure, _RULES[measure].grid.bin_of(height)] += 1

    def end_epoch(self, epoch: int) -> None:
        """Bring what was counted into force."""
        passed = epoch - self.epoch if self.epoch else 1
        self.epoch = epoch
        fresh = [self.days_waiting, *[0] * min(passed - 1, self._epochs_a_day)]
        self._last_day = [*self._last_day, *fresh][-self._epochs_a_day :]
        self.account_days += self.days_waiting
        self.days_waiting = 0
        self.counts += self.waiting
        self.waiting[:] = 0
        self._set()

    def counted(self) -> NDArray[np.int64]:
        """Everything counted, in force or waiting [measures, BINS]."""
        return self.counts + self.waiting

    def pack(self) -> bytes:
        """Counts in force and waiting, exact."""
        counts = [sparse(c) for c in self.counts], [sparse(c) for c in self.waiting]
        return _ENCODER.encode(_Packed(FORMAT, self.epoch, *counts, self.account_days, self.days_waiting, self._last_day))

    def unpack(self, data: bytes) -> None:
        """Continue from `pack`.

        Raises:
            CodecError: the bytes do not decode.
            NewerFormatError: written by a newer program.
        """
        try:
            packed = _DECODER.decode(data)
        except msgspec.MsgspecError as err:
            raise CodecError(f"packed calibration does not decode: {err}") from None
        if packed.format > FORMAT:
            raise NewerFormatError(f"calibration format {packed.format}; this program reads {FORMAT}", next_step="upgrade this worker")
        if packed.format < FORMAT or len(packed.in_force) != len(self.counts) or len(packed.waiting) != len(self.counts):
            raise CodecError(f"calibration format {packed.format}; this program reads {FORMAT}: replay the frames under a new prefix")
        self.epoch, self._last_day = packed.epoch, packed.last_day
        self.account_days, self.days_waiting = packed.account_days, packed.days_waiting
        self.counts = np.array([dense(row) for row in packed.in_force])
        self.waiting = np.array([dense(row) for row in packed.waiting])
        self._set()
