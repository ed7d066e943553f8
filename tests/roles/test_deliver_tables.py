"""Every field of our records arrives in its column, read back from the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pipeline.base.errors import CodecError
from pipeline.base.settings import Settings
from pipeline.events.alert import AccountFacts, Alert, Alternative, EvidenceEvent, Explanation, Kind, LossRate, Slice, encode_alert
from pipeline.events.control import (
    Action,
    Baseline,
    Declaration,
    Revocation,
    Setting,
    Tuning,
    Twin,
    Verdict,
    VerdictId,
    declaration_control_id,
    encode_control,
    tuning_control_id,
    verdict_control_id,
)
from pipeline.events.outputs import DeadLetter, Rollup, encode
from pipeline.ports.broker import TopicPartition
from pipeline.ports.clickhouse import Admin, ClickHouseSink, Reader
from pipeline.ports.memory import MemoryMessage
from pipeline.ports.migrations import migrate
from pipeline.roles.tables import ALERTS, CONTROLS, DEAD_LETTERS, FEEDS, ROLLUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.devstack.clickhouse import EmbeddedClickHouse
    from pipeline.events.control import Control
    from pipeline.roles.tables import Feed

HOUR_MS = 1_794_999_600_000
ALERT = Alert(
    alert_id="a/1.b", revision=2, state="updated", subject_type="campaign", subject_id="c–1", account_ids=["x", "y"], kind=Kind.CAMPAIGN,
    headline="two accounts act as one", severity=4, risk=0.75, confidence=0.5, first_seen_ms=HOUR_MS, last_seen_ms=HOUR_MS + 1_500,
    raised_at_ms=HOUR_MS + 2_000, requests=2**40, input_tokens=5, output_tokens=6,
    explanation=[
        Explanation("requests_per_hour", "1/h", 3_600, 900.0, 2.5, 40.0, "own", 1e-9, 0.75),
        Explanation("template_share", "share", -1, 0.9, 0.0, 0.2, "cohort", 0.001, 0.25, "most from one template"),
    ],
    techniques=["AML.T0021", "T1585"], evidence=[EvidenceEvent("e1", HOUR_MS + 7, "conv", "3:99", "failed")], recommended_action="verify",
    detector_version="0.1", requests_before=11, output_tokens_before=12,
    slices=[Slice("api_key", "k1", 9, 0.9, 0.1, stops=True), Slice("template", "00ff00ff", 1, 0.1, 0.0, stops=False)],
    account=AccountFacts("pro", 1.5, 2.5, 77, ["false_positive"]), loss_rate=LossRate(3.5, 4.5), if_wrong=2.5,
    alternatives=[Alternative("team_key", "one key", ["fits"], ["does not", "at all"], "Who?"), Alternative("x", "y", [], [], "Z?")],
    canary=True,
)  # fmt: skip
ROLLUP = Rollup(
    account_id="acme", hour_ms=HOUR_MS, arrival_epoch=498_611 << 20, frames_partition=3, version=77, requests=1, input_tokens=2,
    output_tokens=3, reasoning_tokens=4, cached_input_tokens=5, errors=6, models=[1, 2**64 - 1], risk=0.25,
)  # fmt: skip
LETTER = DeadLetter(
    source_topic="api.requests", source_partition=5, source_offset=2**40, record_timestamp_ms=HOUR_MS, reason="wrong_type",
    json_path="$.status", message="expected int", size=99, sha256="ab" * 32,
    fields={"account_id": "acme", "status": 200, "temperature": 0.5, "stream": True},
)  # fmt: skip


def message(value: bytes | None, offset: int = 0, at_ms: int | None = None) -> MemoryMessage:
    """One record of a topic."""
    return MemoryMessage(TopicPartition("t.topic", 1), offset, b"k", value, at_ms)


@pytest.fixture
def tables(clickhouse: EmbeddedClickHouse, unique: str) -> Iterator[tuple[ClickHouseSink, Reader]]:
    """The schema, a sink and a reader."""
    settings = Settings(prefix=unique, clickhouse={"host": clickhouse.host, "port": clickhouse.port})
    admin, sink, reader = Admin(settings), ClickHouseSink(settings), Reader(settings)
    migrate(admin, settings)
    yield sink, reader
    for connection in (admin, sink, reader):
        connection.close()


def test_an_alert_arrives_whole(tables: tuple[ClickHouseSink, Reader]) -> None:
    """Each field of the wire format is a column with the same value; times are UTC with milliseconds."""
    sink, reader = tables
    sink.insert("alerts", ALERTS.convert([message(encode_alert(ALERT))]), "t")
    (row,) = reader.query("SELECT * FROM alerts_latest").records()
    times = {"first_seen": "11:00:00.000", "last_seen": "11:00:01.500", "raised_at": "11:00:02.000"}
    assert {name: row.pop(name) for name in times} == {name: f"2026-11-18 {time}" for name, time in times.items()}
    assert row.pop("delivered_at") > "2026"
    expected = msgspec.to_builtins(ALERT)
    for name in ("first_seen_ms", "last_seen_ms", "raised_at_ms"):
        del expected[name]
    for group in ("explanation", "slices", "alternatives", "evidence"):
        for entry in expected.pop(group):
            for field, value in entry.items():
                expected.setdefault(f"{group}.{field}", []).append(value)
    del expected["evidence.occurred_at_ms"]
    expected |= {f"account_{name}": value for name, value in expected.pop("account").items()}
    expected |= {f"loss_{name}_per_hour": value for name, value in expected.pop("loss_rate").items()}
    assert row.pop("evidence.occurred_at") == ["2026-11-18 11:00:00.007"]
    assert row == expected


def test_the_latest_view_shows_the_highest_revision(tables: tuple[ClickHouseSink, Reader]) -> None:
    """Whatever the order of arrival, also when a revision came twice."""
    sink, reader = tables
    revisions = [3, 1, 2, 3]
    for i, revision in enumerate(revisions):
        alert = msgspec.structs.replace(ALERT, revision=revision)
        sink.insert("alerts", ALERTS.convert([message(encode_alert(alert))]), f"t{i}")
    assert reader.query("SELECT alert_id, revision FROM alerts_latest").rows == [["a/1.b", 3]]


def test_a_rollup_arrives_and_the_hour_adds_up(tables: tuple[ClickHouseSink, Reader]) -> None:
    """Of one arrival epoch the highest version counts; arrival epochs add up; distinct models are counted over all."""
    sink, reader = tables
    late = msgspec.structs.replace(ROLLUP, arrival_epoch=ROLLUP.arrival_epoch + 1, version=90, requests=10, models=[2, 1], risk=0.5)
    older = msgspec.structs.replace(ROLLUP, version=76, requests=1_000)
    for i, rollup in enumerate((ROLLUP, late, older, ROLLUP)):
        sink.insert("account_rollups", ROLLUPS.convert([message(encode(rollup))]), f"t{i}")
    raw = "SELECT * FROM account_rollups FINAL WHERE version = 77"
    (row,) = reader.query(raw).records()
    assert row.pop("hour") == "2026-11-18 11:00:00"
    assert row == {key: value for key, value in msgspec.to_builtins(ROLLUP).items() if key != "hour_ms"}
    (hour,) = reader.query("SELECT * EXCEPT hour FROM account_hourly").records()
    assert hour == {
        "account_id": "acme",
        "requests": 11,
        "input_tokens": 4,
        "output_tokens": 6,
        "reasoning_tokens": 8,
        "cached_input_tokens": 10,
        "errors": 12,
        "distinct_models": 3,
        "risk": 0.5,
    }


def test_a_dead_letter_arrives(tables: tuple[ClickHouseSink, Reader]) -> None:
    """Position, reason and the allow-listed fields as text; a repeat of the rejection is one row."""
    sink, reader = tables
    sink.insert("dead_letters", DEAD_LETTERS.convert([message(encode(LETTER), 0, HOUR_MS + 60_000)]), "t0")
    sink.insert("dead_letters", DEAD_LETTERS.convert([message(encode(LETTER), 1, HOUR_MS + 61_000)]), "t1")
    (row,) = reader.query("SELECT * FROM dead_letters FINAL").records()
    assert (row.pop("record_time"), row.pop("rejected_at")) == ("2026-11-18 11:00:00.000", "2026-11-18 11:01:01.000")
    assert row.pop("fields") == {"account_id": "acme", "status": "200", "temperature": "0.5", "stream": "true"}
    expected = msgspec.to_builtins(LETTER)
    assert row == {key: value for key, value in expected.items() if key not in ("record_timestamp_ms", "fields")}


def test_a_wild_event_time_is_stored_as_an_hour_of_its_own(tables: tuple[ClickHouseSink, Reader]) -> None:
    """Hours far outside the calendar of ClickHouse's DateTime neither fail the insert nor fall together."""
    sink, reader = tables
    hours = [HOUR_MS + 3_600_000 * 24 * 365 * years for years in (0, 100, 200)]
    rollups = [msgspec.structs.replace(ROLLUP, hour_ms=hour) for hour in hours]
    sink.insert("account_rollups", ROLLUPS.convert([message(encode(r)) for r in rollups]), "t")
    assert reader.query("SELECT count(), sum(requests) FROM account_hourly").rows == [[3, 3]]


def decisions(*records: Control) -> list[MemoryMessage]:
    """Records of the control topic, in order."""
    return [message(encode_control(record), offset, HOUR_MS + offset) for offset, record in enumerate(records)]


VERDICT = Verdict(
    control_id=verdict_control_id("alert-1"), account_id="acme", issued_at_ms=HOUR_MS - 500, issued_by="ann", note="their nightly run",
    alert_id="alert-1", kind=Kind.PROBING, baselines=[Baseline.LEVEL], verdict_id=VerdictId.FALSE_POSITIVE, action=Action.CONTACTED,
)  # fmt: skip
DECLARATION = Declaration(
    control_id=declaration_control_id("acme", Twin.AUDIT), account_id="acme", issued_at_ms=4_000_000_000_000, issued_by="bob",
    twin=Twin.AUDIT, until_ms=4_001_000_000_000, requests_per_day=900,
)  # fmt: skip


def test_decisions_arrive_whole(tables: tuple[ClickHouseSink, Reader]) -> None:
    """Each field of a verdict and a declaration is in the audit table and in the view of what is in force."""
    sink, reader = tables
    sink.insert("controls", CONTROLS.convert(decisions(VERDICT, DECLARATION)), "t")
    (verdict,) = reader.query("SELECT * FROM feedback").records()
    assert verdict == {
        "feedback_id": VERDICT.control_id, "account_id": "acme", "alert_id": "alert-1", "kind": "probing", "baselines": ["level"],
        "verdict_id": 1, "verdict": "false_positive", "action": "contacted", "note": "their nightly run", "issued_by": "ann",
        "issued_at": "2026-11-18 10:59:59.500", "in_force": 1, "revoked_by": "",
    }  # fmt: skip
    (declaration,) = reader.query("SELECT * FROM declarations").records()
    assert declaration == {
        "declaration_id": DECLARATION.control_id, "account_id": "acme", "twin": "audit", "until": "2096-10-13 20:53:20.000",
        "requests_per_day": 900, "note": "", "issued_by": "bob", "issued_at": "2096-10-02 07:06:40.000", "in_force": 1, "revoked_by": "",
    }  # fmt: skip
    assert reader.query("SELECT type, source_offset, recorded_at FROM controls FINAL ORDER BY source_offset").rows == [
        ["verdict", 0, "2026-11-18 11:00:00.000"],
        ["declaration", 1, "2026-11-18 11:00:00.001"],
    ]


def test_settings_arrive_whole_and_their_last_word_counts(tables: tuple[ClickHouseSink, Reader]) -> None:
    """About no account; replaced and reset; the audit table forgets nothing."""
    sink, reader = tables
    wide = Tuning(
        control_id=tuning_control_id(Setting.ALERT_BUDGET), issued_at_ms=HOUR_MS, issued_by="ann", note="more hands",
        setting=Setting.ALERT_BUDGET, value="3",
    )  # fmt: skip
    longer = msgspec.structs.replace(wide, control_id=tuning_control_id(Setting.COOLDOWN_H), setting=Setting.COOLDOWN_H, value="8")
    sink.insert(
        "controls", CONTROLS.convert(decisions(VERDICT, wide, longer, msgspec.structs.replace(wide, value="", issued_by="bob"))), "t"
    )
    rows = reader.query("SELECT setting, value, note, issued_by, in_force FROM tunings ORDER BY setting").rows
    assert rows == [["alert_budget", "", "more hands", "bob", 0], ["cooldown_h", "8", "more hands", "ann", 1]]
    audit = reader.query("SELECT type, account_id, value FROM controls FINAL WHERE setting = 'alert_budget' ORDER BY source_offset").rows
    assert audit == [["tuning", "", "3"], ["tuning", "", ""]]
    assert [row[0] for row in reader.query("SELECT account_id FROM feedback").rows] == ["acme"]


def test_the_last_word_about_a_decision_counts(tables: tuple[ClickHouseSink, Reader]) -> None:
    """Replaced, revoked, given again; over: the views say what is in force, and the audit table forgets nothing."""
    sink, reader = tables
    replace = msgspec.structs.replace
    changed = replace(VERDICT, verdict_id=VerdictId.TRUE_POSITIVE, issued_by="bob")
    gone = Revocation(control_id=VERDICT.control_id, account_id="acme", issued_at_ms=HOUR_MS, issued_by="eve")
    over = replace(DECLARATION, issued_at_ms=HOUR_MS, until_ms=HOUR_MS + 1)
    records: list[Control] = [VERDICT, changed, gone, over, VERDICT]

    def word(upto: int) -> list[list[object]]:
        sink.insert("controls", CONTROLS.convert(decisions(*records[:upto])), f"t{upto}")
        return reader.query("SELECT verdict, issued_by, in_force, revoked_by FROM feedback").rows

    assert word(2) == [["true_positive", "bob", 1, ""]]
    assert word(3) == [["true_positive", "bob", 0, "eve"]]
    assert word(5) == [["false_positive", "ann", 1, ""]]
    assert reader.query("SELECT in_force, revoked_by FROM declarations").rows == [[0, ""]]
    assert reader.query("SELECT count() FROM controls FINAL").rows == [[5]]


def test_a_decision_that_ingest_rejects_has_no_row(tables: tuple[ClickHouseSink, Reader]) -> None:
    """Bad records of the control topic are ingest's dead letters; they stop nobody here."""
    sink, reader = tables
    good = decisions(VERDICT)
    sink.insert("controls", CONTROLS.convert([message(b"hush", 7), *good, message(None, 8), message(b"{}", 9)]), "t")
    assert reader.query("SELECT count() FROM controls").rows == [[1]]
    assert not any(CONTROLS.convert([message(b"hush")]).values())


@pytest.mark.parametrize("feed", [feed for feed in FEEDS if feed is not CONTROLS], ids=lambda feed: feed.topic)
@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"{},{}", b"null", b'{"account_id":', b"\xff", None])
def test_a_record_that_does_not_decode_is_named(feed: Feed, value: bytes | None) -> None:
    """One bad record among good ones is found and named by topic, partition and offset."""
    good = {"alerts": encode_alert(ALERT), "rollups": encode(ROLLUP), "deadletter": encode(LETTER)}[feed.topic]
    with pytest.raises(CodecError, match=r"t\.topic\[1\]@41"):
        feed.convert([message(good, 40), message(value, 41), message(good, 42)])
