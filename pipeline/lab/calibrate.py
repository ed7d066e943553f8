"""Refit the prior to a user's own history: what is usual here, and what the evidence of calm accounts reaches here.

Two passes over the same lines. The first judges them as at present and keeps every block; accounts that alert in it do not teach
(they would teach what they do). The second judges them with the refitted prior, so that "expected afterwards" is counted, not guessed.
What is left out is put back from the shipped prior: a tail may grow by what is seen here and never shrink by leaving out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.errors import SettingsError
from pipeline.base.times import DAY_MS
from pipeline.features.blocks import joined, rows_of
from pipeline.lab.backtest import Backtest
from pipeline.lab.prior import History, count, spreads
from pipeline.scoring.bars import Bars, standing
from pipeline.scoring.judge import Judge
from pipeline.scoring.prior import PriorFile, Spread, detector_digest, prior_of, read_prior, shipped_prior, sparse, write_prior

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from pipeline.base.settings import Settings
    from pipeline.events.alert import Alert
    from pipeline.features.blocks import Blocks
    from pipeline.lab.backtest import Counts
    from pipeline.scoring.judge import Prepared
    from pipeline.scoring.mind import Mind
    from pipeline.scoring.prior import Prior

MIN_ACCOUNTS = 30
"""Calm accounts below which spreads stay as they are: the 5 % and 95 % points of twenty accounts are two accounts."""
MIN_BLOCKS, MIN_LONG = 10, 10
"""Blocks from which an account tells how much a feature moves within it, and how many such accounts it takes."""
MIN_DAYS = 100
"""Calm account-days below which there is nothing to fit."""


class Pass(NamedTuple):
    """What one pass over the lines gave."""

    counts: Counts
    accounts: int
    alerts: list[Alert]
    """Account alerts, as they opened."""


class _Recorder(Judge):
    """A judge that keeps every block it judges, with its account."""

    def __init__(self, settings: Settings, prior: Prior | None) -> None:
        super().__init__(settings.detect, prior)
        self.kept: list[Blocks] = []
        self.owners: list[NDArray[np.int32]] = []
        self.accounts: dict[str, int] = {}

    def prepare(self, blocks: Blocks, lo: int, hi: int) -> Prepared:
        self.kept.append(rows_of(blocks, slice(lo, hi)))
        self.owners.append(np.full(hi - lo, -1, np.int32))
        self._lo = lo
        return super().prepare(blocks, lo, hi)

    def decide(self, prepared: Prepared, k: int, blocks: Blocks, mind: Mind, account_id: str) -> list[Alert]:
        self.owners[-1][k - self._lo] = self.accounts.setdefault(account_id, len(self.accounts))
        return super().decide(prepared, k, blocks, mind, account_id)

    def history(self, without: set[str]) -> History:
        """Everything kept, in order, but for some accounts."""
        blocks = joined(self.kept)._replace(slot=np.concatenate(self.owners))
        out = np.array([account in without for account in self.accounts], np.bool_)
        return History(rows_of(blocks, ~out[blocks.slot]), list(self.accounts))


class Calibration(NamedTuple):
    """A refitted prior, and what it changes."""

    file: PriorFile
    before: Pass
    after: Pass
    days: int
    """UTC days of the history."""
    active_accounts_per_day: float
    left_out: list[str]
    """Accounts that alert at present and did not teach."""
    spreads_kept: bool
    """Too few calm accounts: the spreads of features are the shipped ones."""
    bars_before: Bars
    """At the present budget, before anything is counted live."""
    bars_after: Bars
    expected_per_day: float
    """False alerts a day that the budget allows a fleet of this size."""


def calibrate(settings: Settings, read: Callable[[str], Iterable[bytes]], received_at_ms: int) -> Calibration:
    """Fit a prior to a history.

    Args:
        settings: limits of intake, the detector, the present prior.
        read: the lines, from the beginning, each time it is called; given the name of the pass.
        received_at_ms: the time that "too far ahead" is measured from.

    Raises:
        SettingsError: too little calm history to fit anything, or a present prior that is none.
    """
    present = prior_of(settings.detect)
    recorder = _Recorder(settings, present)
    before = _run(settings, recorder, read("judging as at present"), received_at_ms)
    left_out = sorted({account for alert in before.alerts for account in alert.account_ids})
    if not recorder.kept:
        raise SettingsError(
            f"nothing to learn from: {before.counts.lines:,} lines, {before.counts.rejected:,} of them rejected",
            next_step="`stillwatch backtest` names what is wrong with each line",
        )
    everyone = recorder.history(set())
    calm = recorder.history(set(left_out))
    calm_days = calm.account_days
    if calm_days < MIN_DAYS:
        raise SettingsError(
            f"{calm_days:,} account-days of accounts that do not alert, {MIN_DAYS} are needed", next_step="give a longer history"
        )
    file, kept = _fit(calm, calm_days, shipped_prior())  # not the present one: calibrating twice is calibrating once
    fitted = read_prior(write_prior(file))
    after = _run(settings, Judge(settings.detect, fitted), read("judging with the refitted prior"), received_at_ms)
    days = len(np.unique(everyone.blocks.closed_ms // DAY_MS))
    active = everyone.account_days / days
    return Calibration(
        file=file,
        before=before,
        after=after,
        days=days,
        active_accounts_per_day=active,
        left_out=left_out,
        spreads_kept=kept,
        bars_before=Bars(settings.detect, present),
        bars_after=Bars(settings.detect, fitted),
        expected_per_day=settings.detect.promised_a_day(active),
    )


def _fit(calm: History, calm_days: int, shipped: Prior) -> tuple[PriorFile, bool]:
    teachers = np.unique(calm.blocks.slot, return_counts=True)[1]
    kept = len(teachers) < MIN_ACCOUNTS or int((teachers >= MIN_BLOCKS).sum()) < MIN_LONG
    features = dict(shipped.features)
    if not kept:
        features |= {name: spread for name, spread in spreads([calm]).items() if _tells(spread)}
    counted = count([calm], shipped._replace(features=features))
    here = standing(shipped, counted)
    patient, sharp, level = (sparse(_rounded(counts)) for counts in here.counts)
    file = PriorFile(
        accounts=len(teachers),
        account_days=shipped.account_days + calm_days,
        features=features,
        patient=patient,
        sharp=sharp,
        level=level,
        width=here.width,
        detector=detector_digest(),
    )
    return file, kept


def _tells(spread: Spread) -> bool:
    """Whether a spread was seen whole, and is one: a feature that never moves here (a field that is never sent) tells nothing."""
    seen = all(np.isfinite(value) for value in (spread.within, spread.low, spread.high))
    return seen and (spread.within > 0.0 or spread.high > spread.low)


def _rounded(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole counts; what is there stays there."""
    return np.ceil(counts).astype(np.int64)


def _run(settings: Settings, judge: Judge, lines: Iterable[bytes], received_at_ms: int) -> Pass:
    """One backtest on one partition, with this judge in the book."""
    alerts: list[Alert] = []

    def on_alert(alert: Alert) -> None:
        if alert.state == "opened" and alert.subject_type == "account":
            alerts.append(alert)

    run = Backtest(settings, 1, on_alert, lambda _line, _rejection: None)
    run.books[0].judge = judge
    run.feed(lines, received_at_ms)
    return Pass(run.finish(), sum(1 for _ in run.accounts()), alerts)
