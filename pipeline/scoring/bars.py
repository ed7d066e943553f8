"""The bars in force in one partition: fixed within an epoch, from what comparable accounts reached, counted for the next ones.

Three histograms of benign life: the height of every run of each of CHANGE's two sums (from nothing until nothing is left), and the
log-odds of every LEVEL look; and the account-days in which they happened. A bar is the height that spends its share of the budget.
Fleets are not alike: where calm accounts differ more than the prior's, bars rise; where they differ less, LEVEL's falls.
And people have the last word: each account that they find accused in vain raises the bars that accused it, for the whole partition,
and each account-day pays a share of that back, so that in the long run no more of them are found than the budget allows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from pipeline.base.errors import CodecError, check_format
from pipeline.events.control import Baseline
from pipeline.scoring.calibration import BINS, LEVEL_GRID, Grid, Measure, blend, moved, spread_of, tail_of
from pipeline.scoring.prior import Prior, dense, prior_of, sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings

FORMAT = 3
_DAYS_OPEN = 1.5
"""Account-days that a false alert costs: the day it opens and, every other time, the next."""
_DAY_S = 86_400
_STEP = 0.5
"""Halvings of how often accounts get there, by which one accused in vain raises a bar."""
_AT_ONCE = 2.0
"""Halvings an epoch at most: one verdict on an incident of hundreds of accounts, or a script gone wrong, is told in time."""
_MOST = 6.0
"""Halvings in all at most: a sixty-fourth of the prior's sensitivity is left whatever people say."""


class Rule(NamedTuple):
    """How one measure is counted, and what it may spend.

    Attributes:
        share: of the budget.
        lowest: neither budget nor verdict takes its bar below this, where the fleet is as wide as the prior's.
        falls: how far its bar falls at most where the fleet is narrower.
        baseline: what verdicts on its alerts name.
    """

    grid: Grid
    share: float
    lowest: float
    falls: float
    baseline: Baseline


_RULES = (
    Rule(Grid(0.0, 64.0), 0.25, 4.0, 0.0, Baseline.CHANGE),  # two blocks at full surprise
    Rule(Grid(0.0, 64.0), 0.15, 4.0, 0.0, Baseline.CHANGE),  # likewise
    Rule(LEVEL_GRID, 0.6, -1.0, 2.0, Baseline.LEVEL),  # three to one against
)
"""In the order of `Measure`."""
_FOLLOWS = 3.75
"""How far a bar rises per unit by which the fleet is wider."""
_RISES = 5.0
"""How far at most: no fleet makes the detector deaf."""
_DOUBT = 100
"""Looks that say as much about a fleet's width as the prior does."""


class Standing(NamedTuple):
    """A fleet beside the prior's.

    Attributes:
        width: `calibration.spread_of` its looks' log-odds, as far as it is known.
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
    bins = [round(min(max(_FOLLOWS * wider, -rule.falls), _RISES) / rule.grid.width) for rule in _RULES]
    counts = [blend(moved(usual, by), own) for usual, by, own in zip(prior.counts, bins, counted, strict=True)]
    return Standing(prior.width + wider, bins, counts)


class _Packed(msgspec.Struct, array_like=True):
    """Counts as sparse histograms: in force, and waiting for the epoch's end. State of before decision 0065 lacks the last two fields."""

    format: int
    epoch: int
    in_force: list[list[int]]
    waiting: list[list[int]]
    account_days: int
    days_waiting: int
    last_day: list[int]
    raised: dict[Baseline, float] = {}
    in_vain: dict[Baseline, int] = {}


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
        self.raised = dict.fromkeys(Baseline, 0.0)
        """Halvings by which verdicts raise the bars of a baseline."""
        self._in_vain = dict.fromkeys(Baseline, 0)
        """Accounts that were found accused in vain since the epoch began."""
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
            wanted = self._false_a_day * rule.share
            self._lowest.append(rule.lowest + by * rule.grid.width)
            self._halvings.append(math.log(2.0) * max(tail.excess, rule.grid.width))
            raised = self.raised[rule.baseline] * self._halvings[-1]
            self._bars.append(max(tail.bar(wanted / a_day), self._lowest[-1]) + raised)

    def tune(self, settings: DetectSettings) -> None:
        """Let another budget or prior take effect.

        Raises:
            SettingsError: the prior is not one of this detector's; nothing has changed.
        """
        self.prior = prior_of(settings)
        self._settings = settings
        self._set()

    def bar(self, measure: Measure, halvings: float = 0.0) -> float:
        """From where a measure accuses, moved by so many halvings of how often it gets there; never below its floor."""
        return max(self._bars[measure] + halvings * self._halvings[measure], self._lowest[measure])

    @property
    def budget(self) -> float:
        """False alerts per 1,000 active account-days: as set, or what `false_alerts_per_day` allows a fleet of this size."""
        active = self._partitions * sum(self._last_day)
        allowed = 1000.0 * self._settings.false_alerts_per_day / active if active else self._settings.alert_budget
        return min(self._settings.alert_budget, allowed)

    @property
    def _false_a_day(self) -> float:
        """Accounts that may be accused in vain per account-day."""
        return self.budget / 1000.0 / _DAYS_OPEN

    def teach_day(self) -> None:
        """Count an account-day that begins."""
        self.days_waiting += 1

    def teach(self, measure: Measure, height: float) -> None:
        """Count what a calm account reached: the height of a run that is over, the log-odds of a look."""
        self.waiting[measure, _RULES[measure].grid.bin_of(height)] += 1

    def found_in_vain(self, baseline: Baseline, accounts: int) -> None:
        """Count accounts of which people found that this baseline accused them in vain; negative: that they took it back."""
        self._in_vain[baseline] += accounts

    def _steer(self) -> None:
        """Raise bars by what people found in the epoch, less what the budget allows for its account-days.

        Quantile tracking (Gibbs and Candès, Adaptive conformal inference under distribution shift, NeurIPS 2021): over a long time the
        rate of what is found comes to the allowed one, whatever the fleet is like. Silence never takes a bar below the prior's.
        """
        allowed = self._false_a_day * self.days_waiting
        for baseline in Baseline:
            share = sum(rule.share for rule in _RULES if rule.baseline is baseline)
            step = min(_STEP * (self._in_vain[baseline] - share * allowed), _AT_ONCE)
            self.raised[baseline] = min(max(self.raised[baseline] + step, 0.0), _MOST)
            self._in_vain[baseline] = 0

    def end_epoch(self, epoch: int) -> None:
        """Bring what was counted into force."""
        passed = epoch - self.epoch if self.epoch else 1
        self.epoch = epoch
        fresh = [self.days_waiting, *[0] * min(passed - 1, self._epochs_a_day)]
        self._last_day = [*self._last_day, *fresh][-self._epochs_a_day :]
        self.account_days += self.days_waiting
        self._steer()
        self.days_waiting = 0
        self.counts += self.waiting
        self.waiting[:] = 0
        self._set()

    def counted(self) -> NDArray[np.int64]:
        """Everything counted, in force or waiting [measures, BINS]."""
        return self.counts + self.waiting

    def pack(self) -> bytes:
        """Counts in force and waiting, and what verdicts did, exact."""
        in_force, waiting = ([sparse(c) for c in counts] for counts in (self.counts, self.waiting))
        days, days_waiting, last = self.account_days, self.days_waiting, self._last_day
        return _ENCODER.encode(_Packed(FORMAT, self.epoch, in_force, waiting, days, days_waiting, last, self.raised, self._in_vain))

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
        check_format("calibration", packed.format, FORMAT)
        if len(packed.in_force) != len(self.counts) or len(packed.waiting) != len(self.counts):
            raise CodecError(f"a packed calibration of {len(packed.in_force)} measures; there are {len(self.counts)}")
        self.epoch, self._last_day = packed.epoch, packed.last_day
        self.account_days, self.days_waiting = packed.account_days, packed.days_waiting
        self.counts = np.array([dense(row) for row in packed.in_force])
        self.waiting = np.array([dense(row) for row in packed.waiting])
        self.raised = dict.fromkeys(Baseline, 0.0) | packed.raised
        self._in_vain = dict.fromkeys(Baseline, 0) | packed.in_vain
        self._set()
