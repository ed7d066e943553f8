"""The demo's own parts: its settings file, what it reads from /metrics, how it shows alerts, how it judges itself."""

from __future__ import annotations

import io
import math
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from pipeline.base.errors import UnavailableError
from pipeline.base.settings import load_settings
from pipeline.devstack.demo import new_secret, only_settings, settings_toml, totals
from pipeline.devstack.feed import Feed
from pipeline.devstack.live import Progress, View, alert_lines, plain, reason, short, span, table
from pipeline.devstack.readback import MUST_CATCH, Outcome, Revision, Sent, attackers, flagged, judge
from pipeline.devstack.receiver import Delivery
from pipeline.lab.simulate import AttackSpec, Faults, Label, Scenario
from pipeline.ports.webhook import WebhookSender

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = 1_780_000_000_000


# ---- settings


def written(folder: Path) -> Path:
    """A settings file as the demo writes it."""
    secret = folder / "secret"
    secret.write_text(new_secret())
    file = folder / "stillwatch.toml"
    file.write_text(settings_toml("127.0.0.1:1234", 5678, "db", "http://127.0.0.1:99/webhooks", secret))
    return file


def test_the_settings_file_is_valid_and_only_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the block the file's values hold and variables of the caller's own do not; afterwards they are back."""
    monkeypatch.setenv("STILLWATCH_PREFIX", "mine")
    monkeypatch.delenv("STILLWATCH_CONFIG", raising=False)
    with only_settings(written(tmp_path)):
        settings = load_settings()
    assert (settings.prefix, settings.kafka.bootstrap_servers, settings.clickhouse.port) == ("stillwatch", "127.0.0.1:1234", 5678)
    assert settings.database == "db"
    WebhookSender(settings.deliver.webhooks[0])  # its secret and address are ones that sending accepts
    assert os.environ["STILLWATCH_PREFIX"] == "mine"
    assert "STILLWATCH_CONFIG" not in os.environ


def test_secrets_are_never_the_same() -> None:
    """Each run signs with a secret of its own."""
    assert new_secret() != new_secret()


def test_metrics_are_summed_over_their_labels() -> None:
    """The text format's comments are skipped, series of one metric add up, exponents are numbers."""
    text = '# HELP x y\n# TYPE x counter\nx{role="a",topic="t t"} 2.0\nx{role="b"} 3.0\ny 1e+06\n'
    assert totals(text) == {"x": 5.0, "y": 1_000_000.0}


# ---- view


def delivery(*, verified: bool = True, state: str = "opened") -> Delivery:
    """An alert as it arrives at the receiver."""
    alert = {
        "alert_id": "a1",
        "state": state,
        "kind": "bulk_extraction",
        "subject_id": "acct[1]",
        "severity": 4,
        "headline": "drains [volume]",
        "recommended_action": "throttle",
        "raised_at_ms": START,
        "requests": 1234,
        "output_tokens": 5_600_000,
        "explanation": [
            {
                "feature": "tokens_hour",
                "unit": "ln(1+tokens)",
                "window_s": 3600,
                "observed": math.log1p(91_000),
                "expected_low": math.log1p(120),
                "expected_high": math.log1p(900),
                "baseline": "own",
                "tail_probability": 1e-9,
                "contribution": 0.8,
            }
        ],
    }
    body = {"type": f"alert.{state}", "timestamp": "", "data": alert}
    return Delivery("id", verified, "" if verified else "no match", 204, body, b"", {}, "/", 0.0)


def shown(deliveries: list[Delivery]) -> str:
    """What people see of deliveries where there is no terminal."""
    out = io.StringIO()
    with View(Console(file=out, width=200)) as view:
        for one in deliveries:
            view.delivery(one)
    return out.getvalue()


def test_an_alert_says_what_was_expected_observed_and_gone() -> None:
    """An opened alert shows expected range, observed value, how much had gone, and that its webhook verified; ids are shown as they are."""
    text = shown([delivery()])
    assert "acct[1]" in text
    assert "drains [volume]" in text
    assert "tokens in this event-hour so far: expected 120–900 tokens from its own past, observed 91 k" in text
    assert "gone so far: 1,234 requests, 5.6 M output tokens" in text
    assert "webhook verified" in text


def test_a_refused_webhook_is_shown_as_refused() -> None:
    """A bad signature is never shown as verified."""
    text = shown([delivery(verified=False)])
    assert "REFUSED: no match" in text
    assert "verified ✓" not in text


def test_a_body_that_is_no_alert_is_said_to_be_none() -> None:
    """Whatever arrives is shown as something, not as a crash."""
    bodies: list[Any] = [None, [], {"data": {}}]
    strange = [Delivery("id", True, "", 204, body, b"", {}, "/", 0.0) for body in bodies]
    assert all("no alert" in alert_lines(one)[0] for one in strange)


def test_without_a_terminal_progress_is_a_line_every_five_seconds() -> None:
    """Elsewhere than on a terminal nothing moves: one plain line per five seconds, with every figure."""
    out, now = io.StringIO(), [0.0]
    with View(Console(file=out, width=200), clock=lambda: now[0]) as view:
        for at in (0.0, 1.0, 4.9, 5.0, 6.0):
            now[0] = at
            view.progress(
                Progress(sent=1_000, expected=2_000, through=900, rate=50.0, accounts=7, alerts=1, webhooks=2, event_time_ms=START)
            )
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert "events in 1,000 (50%), events/s 50, lag 100, accounts 7, alerts 1, webhooks ✓ 2" in lines[0]


def test_the_moving_line_fits_a_narrow_terminal() -> None:
    """Every figure of a full-size run is readable on 80 columns."""
    out = io.StringIO()
    progress = Progress(sent=123_456, expected=200_000, through=100_000, rate=12_345.6, accounts=1_240, alerts=12, webhooks=345)
    Console(file=out, width=80).print(table(progress))
    assert "…" not in out.getvalue()
    for figure in ("123,456 (62%)", "12,346", "23,456", "1,240", "12", "345"):
        assert figure in out.getvalue()


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (0.1234, "0.123"), (999, "999"), (9_999, "9,999"), (12_345, "12.3 k"), (4e6, "4 M")]
)
def test_numbers_are_short(number: float, text: str) -> None:
    """Numbers of any size fit into a line."""
    assert short(number) == text


@pytest.mark.parametrize(("seconds", "text"), [(30, "30 s"), (90, "1.5 min"), (7_200, "2 h"), (172_800, "2 d")])
def test_durations_have_peoples_units(seconds: float, text: str) -> None:
    """A window is said in the largest unit it fills."""
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(math.log1p(99), "ln(1+requests)", 99), (math.log(0.5), "ln(out/in)", 0.5), (0.25, "share", 0.25), (1.3, "ln(ms)", 1.3)],
)
def test_logarithms_are_taken_back_for_people(value: float, unit: str, shown: float) -> None:
    """An amount or a ratio is shown as itself; a share, and a spread of logarithms (`ln(ms)`), are what they are."""
    assert plain(value, unit) == pytest.approx(shown)


def test_a_feature_nobody_has_described_keeps_its_name() -> None:
    """An alert of a newer detector is still readable."""
    part = {**delivery().body["data"]["explanation"][0], "feature": "moon_phase", "unit": "share", "observed": 0.5, "baseline": "cohort"}
    assert reason(part).startswith("moon_phase: expected")
    assert reason(part).endswith("share from accounts like it, observed 0.5")


# ---- verdict


def truth() -> list[Label]:
    """Three attackers of the promised kinds, one of another, a hundred benign accounts."""
    bad = [
        Label(f"bad-{kind}", kind, "chat_product", 10, account="new", attack_start_ms=START, attack_end_ms=START + 9) for kind in MUST_CATCH
    ]
    other = Label("bad-probing", "probing", "chat_product", 10, account="new", attack_start_ms=START, attack_end_ms=START + 9)
    return [*bad, other, *(Label(f"ok-{i}", "benign", "support_bot", 5) for i in range(100))]


def alert(account: str, *, raised_ms: int = START + 5, state: str = "opened") -> Revision:
    """A revision about an account."""
    return Revision(f"alert-{account}", 1, state, "bulk_extraction", (account,), raised_ms, 7, 70)


def verdict(revisions: list[Revision], **changes: Any) -> list[bool]:  # noqa: ANN401 - any of the facts below
    """Which claims hold: caught, benign, counts, webhooks."""
    facts: dict[str, Any] = {
        "requests": {"a": 3, "b": 4},
        "dead_letters": {"not_json": 2},
        "duplicates": 1,
        "verified": len(revisions),
        "refused": 0,
        **changes,
    }
    sent = Sent(10, {"a": 3, "b": 4}, 1, {"not_json": 2})
    outcome = Outcome(revisions, [], facts["requests"], facts["dead_letters"])
    return [claim.holds for claim in judge(sent, outcome, truth(), facts["duplicates"], facts["verified"], facts["refused"])]


CAUGHT = [alert(f"bad-{kind}") for kind in MUST_CATCH]


def test_all_claims_hold_when_all_is_well() -> None:
    """The three promised attackers caught, nobody else flagged, counts equal, webhooks verified; probing is not promised."""
    assert verdict(CAUGHT) == [True, True, True, True]


@pytest.mark.parametrize("missing", range(3))
def test_a_missed_attacker_fails_the_run(missing: int) -> None:
    """Each of the three must be caught."""
    assert verdict([one for i, one in enumerate(CAUGHT) if i != missing]) == [False, True, True, True]


@pytest.mark.parametrize("changed", [{"raised_ms": START - 1}, {"state": "closed"}])
def test_an_alert_before_the_attack_or_a_closing_one_catches_nobody(changed: dict[str, Any]) -> None:
    """What was raised before the attack began was about something else; closing an alert finds nothing."""
    assert verdict([*CAUGHT[:2], alert(f"bad-{MUST_CATCH[2]}", **changed)])[0] is False


def test_a_scenario_without_an_attacker_cannot_claim_to_have_caught_it() -> None:
    """No attackers, no success: the claim is about three of them."""
    sent = Sent(0, {}, 0, {})
    claims = judge(sent, Outcome([], [], {}, {}), [label for label in truth() if label.label == "benign"], 0, 0, 0)
    assert claims[0].holds is False


def test_benign_accounts_may_be_flagged_up_to_the_stated_share() -> None:
    """Two of a hundred pass, three do not; an attacker's account is not benign."""
    assert verdict([*CAUGHT, alert("ok-1"), alert("ok-2"), alert("bad-probing")])[1] is True
    assert verdict([*CAUGHT, alert("ok-1"), alert("ok-2"), alert("ok-3")])[1] is False


@pytest.mark.parametrize(
    "facts",
    [
        {"requests": {"a": 3, "b": 3}},
        {"requests": {"a": 4, "b": 3}},  # the same sum, the wrong accounts
        {"requests": {"a": 3, "b": 4, "c": 1}},
        {"dead_letters": {"not_json": 1}},
        {"dead_letters": {"not_utf8": 2}},
        {"duplicates": 0},
        {"requests": {"a": 3, "b": 5}, "duplicates": 0},  # a repeat that was counted
    ],
)
def test_any_difference_in_the_counts_fails_the_run(facts: dict[str, Any]) -> None:
    """Requests per account, dead letters per reason and repeats must each be equal, not only their sum."""
    assert verdict(CAUGHT, **facts) == [True, True, False, True]


@pytest.mark.parametrize("facts", [{"verified": 2}, {"verified": 4}, {"refused": 1}])
def test_every_revision_has_one_verified_webhook(facts: dict[str, int]) -> None:
    """One webhook per alert revision, each with a good signature."""
    assert verdict(CAUGHT, **facts) == [True, True, True, False]


def test_the_first_alert_after_the_attack_began_is_the_one_that_caught() -> None:
    """An attacker with several alerts is caught by the first that is not before its attack; a group's alert counts for each member."""
    early, hit, later = alert("bad-probing", raised_ms=START - 1), alert("bad-probing"), alert("bad-probing", raised_ms=START + 50)
    found = {one.label.label: one.alert for one in attackers(truth(), [early, hit, later])}
    assert found["probing"] is hit
    group = hit._replace(accounts=("ok-1", "bad-probing"))
    assert flagged(truth(), [group]) == (["ok-1"], 100)
    assert {one.label.label for one in attackers(truth(), [group]) if one.alert} == {"probing"}


# ---- feed


class Wire:
    """A producer that remembers."""

    def __init__(self, *, fails: bool = False) -> None:
        self.records = 0
        self.abandoned = False
        self._fails = fails

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_ack: Callable[[int, int], None] | None = None,
    ) -> None:
        """Count."""
        del topic, value, key, partition, timestamp_ms, on_ack
        if self._fails:
            raise UnavailableError("no broker")
        self.records += 1

    def poll(self, timeout_s: float = 0.0) -> None:
        """Nothing waits."""

    def flush(self, timeout_s: float) -> None:
        """Nothing waits."""

    def outstanding(self) -> int:
        """Nothing waits."""
        return 0

    def abandon(self) -> None:
        """Remember that."""
        self.abandoned = True


SMALL = Scenario(
    seed=1,
    start_ms=START,
    days=0.5,
    accounts=10,
    requests_per_account_day=200,
    attacks=(AttackSpec(MUST_CATCH[0], requests=300),),
    faults=Faults(duplicates=0.05, conflicts=0.05, bad=0.05),
)


def until(feed: Feed, question: Callable[[], bool]) -> None:
    """Wait for a feed, by its own doing only."""
    waiting = threading.Event()
    for _ in range(2_000):
        if question():
            return
        waiting.wait(0.01)
    pytest.fail(f"not in time: {feed.tally}")


def test_the_feed_counts_what_it_sends() -> None:
    """Accounts add up to what counts, repeats and rubbish aside, and all records were sent."""
    wire = Wire()
    with Feed(SMALL, wire, "t", speedup=None, ahead=10**9) as feed:
        until(feed, lambda: feed.done)
    assert wire.records == feed.tally.records == feed.tally.counted + feed.tally.duplicates + feed.tally.rejected.total()
    assert feed.per_account.total() == feed.tally.counted > 0
    assert feed.tally.duplicates
    assert feed.tally.conflicts
    assert feed.tally.rejected.total()


def test_the_feed_waits_for_the_other_end_and_goes_on() -> None:
    """With few records allowed under way it stops, sends more when they are through, and stops for good when told to."""
    wire = Wire()
    with Feed(SMALL, wire, "t", speedup=None, ahead=300) as feed:
        until(feed, lambda: wire.records == 512)  # the first report at which more than 300 are under way
        feed.through = 500
        until(feed, lambda: wire.records == 1_024)
        assert not feed.done
    assert wire.abandoned
    assert wire.records == 1_024


def test_a_feed_that_cannot_send_says_why() -> None:
    """The broker's error is the feed's, for its owner to raise."""
    with Feed(SMALL, Wire(fails=True), "t", speedup=None, ahead=300) as feed:
        until(feed, lambda: feed.error is not None)
    assert isinstance(feed.error, UnavailableError)
    assert not feed.done


@pytest.mark.parametrize("began", [True, False])
def test_a_feed_interrupted_as_it_starts_leaves_no_thread_and_no_producer(*, began: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C inside `Thread.start`, before or after the thread exists: nothing sends on."""
    wire = Wire()
    before = set(threading.enumerate())
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if began:
            real(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt), Feed(SMALL, wire, "t", speedup=None, ahead=300):
        pytest.fail("it was entered")
    assert wire.abandoned
    assert set(threading.enumerate()) <= before
