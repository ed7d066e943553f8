"""The bars in force in one partition: fixed within an epoch, from what comparable accounts reached, counted for the next ones.

Two histograms of benign life: the height of every run of CHANGE evidence (from nothing until nothing is left), and the log-odds
of every LEVEL look; and the account-days in which they happened. A bar is the height that spends its half of the budget.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.scoring.calibration import BINS, Grid, Tail, blend, tail_of
from pipeline.scoring.prior import Prior, dense, prior_of, sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings

FORMAT = 2
RUN_GRID = Grid(0.0, 64.0)
LOOK_GRID = Grid(-8.0, 8.0)
_CHANGE_SHARE = 0.5
"""Of the budget; LEVEL has the rest."""
_DAYS_OPEN = 1.5
"""Account-days that a false alert costs: the day it opens and, every other time, the next."""
_LOWEST_CHANGE, _LOWEST_LEVEL = 4.0, -1.0
"""Neither budget nor verdict takes the bars below this: two blocks at full surprise; three to one against."""
_DAY_S = 86_400


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
        self.counts = np.zeros((2, BINS), np.int64)
        self.waiting = np.zeros((2, BINS), np.int64)
        self.account_days = 0
        self.days_waiting = 0
        self._last_day: list[int] = []
        """Account-days that began in each of the last day's epochs."""
        self._set()

    def _set(self) -> None:
        runs = tail_of(RUN_GRID, blend(self.prior.runs, self.counts[0]))
        looks = tail_of(LOOK_GRID, blend(self.prior.looks, self.counts[1]))
        per_day = self.budget / 1000.0 / _DAYS_OPEN
        days = max(self.prior.account_days + self.account_days, 1)
        runs_a_day = max(int(self.prior.runs.sum() + self.counts[0].sum()), 1) / days
        looks_a_day = max(int(self.prior.looks.sum() + self.counts[1].sum()), 1) / days
        self.change = max(runs.bar(per_day * _CHANGE_SHARE / runs_a_day), _LOWEST_CHANGE)
        """Evidence from which CHANGE opens an episode."""
        self.level = max(looks.bar(per_day * (1.0 - _CHANGE_SHARE) / looks_a_day), _LOWEST_LEVEL)
        """Log-odds from which LEVEL does."""
        self.change_halving, self.level_halving = math.log(2.0) * _excess(runs), math.log(2.0) * _excess(looks)
        """How much higher a bar must be to be reached half as often."""

    def change_for(self, halvings: float) -> float:
        """The bar of CHANGE, moved by so many halvings of how often it is reached; no verdict takes it below its floor."""
        return max(self.change + halvings * self.change_halving, _LOWEST_CHANGE)

    def level_for(self, halvings: float) -> float:
        """The bar of LEVEL, moved likewise."""
        return max(self.level + halvings * self.level_halving, _LOWEST_LEVEL)

    @property
    def budget(self) -> float:
        """False alerts per 1,000 active account-days: as set, or what `false_alerts_per_day` allows a fleet of this size."""
        active = self._partitions * sum(self._last_day)
        allowed = 1000.0 * self._settings.false_alerts_per_day / active if active else self._settings.alert_budget
        return min(self._settings.alert_budget, allowed)

    def teach_day(self) -> None:
        """Count an account-day that begins."""
        self.days_waiting += 1

    def teach_run(self, peak: float) -> None:
        """Count the height of one calm run of evidence that is over."""
        self.waiting[0, RUN_GRID.bin_of(peak)] += 1

    def teach_look(self, odds: float) -> None:
        """Count the log-odds of one calm account's look."""
        self.waiting[1, LOOK_GRID.bin_of(odds)] += 1

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
        """Everything counted, in force or waiting: runs and looks [2, BINS]."""
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


def _excess(tail: Tail) -> float:
    return max(tail.excess, tail.grid.width)
