"""Episodes over time: when they end, when the same thing again is the same alert, what they count."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from pipeline.base.settings import DetectSettings
from pipeline.base.times import HOUR_MS
from pipeline.events.alert import Kind
from pipeline.events.control import Baseline, Verdict, VerdictId
from pipeline.features.blocks import new_blocks
from pipeline.features.catalogue import INDEX
from pipeline.scoring.explain import Reason
from pipeline.scoring.kinds import INDEX as KIND_INDEX
from pipeline.scoring.mind import Mind
from pipeline.scoring.policy import REOPENS_MS, Finding, Policy
from pipeline.scoring.prior import shipped_prior
from pipeline.scoring.verdicts import rule

if TYPE_CHECKING:
    from pipeline.events.alert import Alert

START_MS = 1_790_000_000_000
SPREADS = shipped_prior().features


class Account:
    """One account whose blocks the test writes: 25 requests with 10 input and 100 output tokens each."""

    def __init__(self, settings: DetectSettings | None = None) -> None:
        self.policy = Policy(settings or DetectSettings(), SPREADS)
        self.mind = Mind.fresh()
        self.requests = 0

    def block(self, hours: float, kind: Kind | None = None, support: float = 0.0, *, level: bool = False) -> list[Alert]:
        """A block that ends so many hours after the start, with a finding of a kind or none; the clock runs before it."""
        self.requests += 25
        now = START_MS + int(hours * HOUR_MS)
        found = self.policy.expire("acct", self.mind, now)
        blocks = new_blocks(1)
        blocks.opened_ms[0], blocks.closed_ms[0], blocks.requests[0] = now - 60_000, now, 25
        blocks.totals[0] = (self.requests, self.requests * 10, self.requests * 100)
        blocks.tokens[0] = (250, 2_500)
        for name, value in {
            "life_hourly_requests": math.log(25.0),
            "life_active_share": 1.0,
            "output_length": 9.0,
            "requests_week": 5.0,
        }.items():
            blocks.vector[0, INDEX[name]] = value
        findings = [] if kind is None else [Finding(KIND_INDEX[kind], [Reason(INDEX["output_length"], own=True, score=4.0)], level)]
        return found + self.policy.judge(self.mind, findings, support, blocks, 0, "acct")


def test_an_episode_ends_six_quiet_hours_after_its_last_support() -> None:
    """A block that supports it puts the end off, one that does not leaves it; the figures stay those of the last support."""
    account = Account()
    (opened,) = account.block(1, Kind.BULK_EXTRACTION)
    assert account.block(4, support=2.0) == []
    assert account.block(9.9, support=1.0) == []
    (closed,) = account.block(10.1)
    assert (opened.state, closed.state, closed.alert_id) == ("opened", "closed", opened.alert_id)
    assert closed.raised_at_ms == START_MS + 10 * HOUR_MS
    assert (opened.requests, opened.output_tokens) == (25, 2_500)
    assert (closed.requests, closed.output_tokens, closed.requests_before) == (50, 5_000, 25)
    assert not account.mind.episodes


def test_the_same_kind_within_a_day_opens_the_same_alert_again() -> None:
    """One incident with pauses is one alert: same id, revisions go on, what lay between is not counted."""
    account = Account()
    (first,) = account.block(1, Kind.BULK_EXTRACTION)
    (closed,) = account.block(8)
    account.block(20)
    account.mind = Mind.unpack(account.mind.pack())
    (again,) = account.block(30, Kind.BULK_EXTRACTION)
    assert [a.revision for a in (first, closed, again)] == [1, 2, 3]
    assert (again.state, again.alert_id, again.first_seen_ms) == ("opened", first.alert_id, first.first_seen_ms)
    assert (again.requests, again.output_tokens, again.requests_before) == (50, 5_000, 25)
    (third,) = account.block(31, Kind.BULK_EXTRACTION)
    assert (third.revision, third.requests) == (4, 75)


def test_a_life_that_stands_out_again_is_counted_once() -> None:
    """LEVEL accuses the whole life: what the earlier opening of the same alert counted is a part of it."""
    account = Account()
    (opened,) = account.block(1, Kind.BULK_EXTRACTION, level=True)
    account.block(8)
    (again,) = account.block(9, Kind.BULK_EXTRACTION, level=True)
    assert again.alert_id == opened.alert_id
    assert (again.requests, again.input_tokens, again.output_tokens) == (75, 750, 7_500)


@pytest.mark.parametrize(
    ("kind", "hours"), [(Kind.PROBING, 20.0), (Kind.BULK_EXTRACTION, 1.0 + 6.0 + REOPENS_MS / HOUR_MS + 0.1)], ids=["another kind", "later"]
)
def test_another_kind_or_a_later_one_is_an_alert_of_its_own(kind: Kind, hours: float) -> None:
    """It has another id, counts from itself, and says what was before it."""
    account = Account()
    (first,) = account.block(1, Kind.BULK_EXTRACTION)
    account.block(8)
    (other,) = account.block(hours, kind)
    assert other.alert_id != first.alert_id
    assert (other.revision, other.requests, other.requests_before) == (1, 25, 75)
    assert other.first_seen_ms > first.first_seen_ms


def test_what_leaves_is_of_the_last_hour() -> None:
    """The rate follows the last hour's blocks: 4 blocks an hour are 100 requests, whatever went before."""
    account = Account()
    account.block(1, Kind.BULK_EXTRACTION)
    alerts = []
    for quarter in range(1, 40):
        alerts += account.block(1 + quarter / 4, Kind.BULK_EXTRACTION if quarter % 10 == 0 else None, support=2.0)
    assert alerts
    assert all(90.0 <= alert.loss_rate.requests <= 130.0 for alert in alerts)
    assert all(alert.loss_rate.output_tokens == pytest.approx(100 * alert.loss_rate.requests) for alert in alerts)


def test_a_folded_episode_opens_its_own_alert_once_it_is_severe() -> None:
    """In a storm nothing of it goes out; at severity 4 it opens as revision 1 and goes on; one that ends unnoticed says nothing."""
    account, other = Account(), Account()
    for one in (account, other):
        for number in range(8):
            assert one.policy.storm.fold(_like(number)) is None
    (incident,) = account.block(1, Kind.BULK_EXTRACTION)
    assert (incident.subject_type, incident.account_ids[-1]) == ("population", "acct")
    assert account.block(2, Kind.BULK_EXTRACTION) == []
    account.requests += 60_000
    (opened,) = account.block(3, Kind.BULK_EXTRACTION)
    assert (opened.subject_type, opened.state, opened.revision) == ("account", "opened", 1)
    assert opened.severity >= 4
    (closed,) = account.block(30)
    assert (closed.state, closed.revision, closed.alert_id) == ("closed", 2, opened.alert_id)
    other.block(1, Kind.BULK_EXTRACTION)
    assert other.block(30) == []


def _like(number: int) -> Alert:
    """Somebody else's alert with the same strongest feature."""
    (alert,) = Account(DetectSettings(storm_factor=0.0)).block(1, Kind.BULK_EXTRACTION)
    return msgspec.structs.replace(alert, subject_id=f"a{number}")


def test_earlier_verdicts_stand_in_the_alert() -> None:
    """What people decided about the account before is told, the newest last."""
    account = Account()
    given = ((Kind.PROBING, VerdictId.FALSE_POSITIVE), (Kind.BULK_EXTRACTION, VerdictId.TRUE_POSITIVE))
    for number, (kind, verdict_id) in enumerate(given):
        rule(
            account.mind,
            Verdict(
                control_id=f"{number:016x}", account_id="acct", issued_at_ms=START_MS, issued_by="someone", alert_id="a", kind=kind,
                baselines=[Baseline.CHANGE], verdict_id=verdict_id,
            ),
        )  # fmt: skip
    (opened,) = account.block(1, Kind.BULK_EXTRACTION)
    assert opened.account.verdicts == ["probing harmless", "bulk_extraction confirmed"]
