"""`alerts`, `query`, `deadletter list`: what they print, for people and programs, and how they end."""

from __future__ import annotations

import csv
import io
import os
import pty
import select
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import orjson
import pytest
import typer
from typer.testing import CliRunner

from pipeline.base.errors import UnavailableError
from pipeline.base.settings import Settings
from pipeline.cli import alerts, deadletter_list, query
from pipeline.cli.since import since_ms
from pipeline.devstack.processes import free_port
from pipeline.events.alert import AccountFacts, Alert, Alternative, EvidenceEvent, Explanation, Kind, LossRate, Slice, encode_alert
from pipeline.events.outputs import DeadLetter, Rollup, encode
from pipeline.ports.broker import TopicPartition
from pipeline.ports.clickhouse import Admin, ClickHouseSink
from pipeline.ports.memory import MemoryMessage
from pipeline.ports.migrations import migrate
from pipeline.roles.tables import ALERTS, DEAD_LETTERS, ROLLUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer.testing import Result

    from pipeline.devstack.clickhouse import EmbeddedClickHouse
    from pipeline.roles.tables import Feed

HOUR_MS = 1_794_999_600_000
ALERT = Alert(
    alert_id="aaaa1111", revision=1, state="opened", subject_type="account", subject_id="acct-7", account_ids=["acct-7"],
    kind=Kind.BULK_EXTRACTION, headline="acct-7 drains volume", severity=4, risk=0.91, confidence=0.8, first_seen_ms=HOUR_MS,
    last_seen_ms=HOUR_MS + 60_000, raised_at_ms=HOUR_MS + 60_000, requests=1_200, input_tokens=34_000, output_tokens=560_000,
    explanation=[
        Explanation("error_share", "share", 0, 0.01, 0.0, 0.05, "cohort", 0.9, 0.1),
        Explanation("tokens_hour", "ln(1+tokens)", 3_600, 13.2, 2.0, 9.2, "own", 1e-9, 0.9),
    ],
    techniques=["AML.T0024.002", "LLM10:2025"],
    evidence=[EvidenceEvent(f"event-{i}", HOUR_MS + i, "conv-1" if i == 0 else "", f"3:{i}") for i in range(12)],
    recommended_action="suspend", detector_version="0.1", requests_before=40, output_tokens_before=50,
)  # fmt: skip
CONTEXT = {
    "slices": [Slice("api_key", "k1", 9, 0.95, 0.1, stops=True), Slice("model", "m1", 10, 1.0, 1.0, stops=False)],
    "account": AccountFacts("pro", 1.5, 2.5, 77, ["false_positive"]), "loss_rate": LossRate(35.5, 4_500.0), "if_wrong": 12.0,
    "alternatives": [Alternative("team_key", "one key shared by a team", ["few keys"], ["new questions"], "How many people?")],
    "explanation": [Explanation("output_length", "ln(1+tokens)", 0, 7.5, 5.0, 6.0, "own", 1e-3, 1.0, "tokens in an answer: 1,807")],
}  # fmt: skip
app = typer.Typer()
app.add_typer(alerts.app, name="alerts")
query.register(app)
deadletter = typer.Typer()
deadletter_list.register(deadletter)
deadletter.callback()(lambda: None)
app.add_typer(deadletter, name="deadletter")


@dataclass
class Program:
    """The verbs over a database of the test's own."""

    env: dict[str, str | None]

    def __call__(self, *args: str, stdin: str = "") -> Result:
        """Run one."""
        return CliRunner().invoke(app, args, env=self.env, input=stdin)


def insert(sink: ClickHouseSink, feed: Feed, *records: bytes) -> None:
    """Put records into their table, as the role does."""
    messages = [MemoryMessage(TopicPartition("t", 0), i, None, record, HOUR_MS + i * 1_000) for i, record in enumerate(records)]
    sink.insert(feed.table, feed.convert(messages), feed.topic)


@pytest.fixture(scope="module")
def program(clickhouse: EmbeddedClickHouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Two alerts (one with three revisions), an hour, two dead letters."""
    name = "cli_reading"
    settings = Settings(prefix=name, clickhouse={"host": clickhouse.host, "port": clickhouse.port})
    admin, sink = Admin(settings), ClickHouseSink(settings)
    migrate(admin, settings)
    replace = msgspec.structs.replace
    hostile = "esc\x1b[31mred\ttab"
    insert(
        sink, ALERTS, encode_alert(ALERT), encode_alert(replace(ALERT, revision=2, state="updated", requests=2_000)),
        encode_alert(replace(ALERT, revision=3, state="closed", requests=3_000)),
        encode_alert(replace(ALERT, alert_id="aaaa2222", kind=Kind.PROBING, headline=hostile, evidence=[],
                             raised_at_ms=HOUR_MS + 86_400_000, **CONTEXT)),
    )  # fmt: skip
    insert(
        sink, ROLLUPS,
        encode(Rollup(account_id="acct-7", hour_ms=HOUR_MS, arrival_epoch=0, frames_partition=0, version=1, requests=5, input_tokens=2**60,
                      output_tokens=3, reasoning_tokens=2, cached_input_tokens=1, errors=0, models=[1], risk=0.5)),
    )  # fmt: skip
    letters = [
        DeadLetter(source_topic="api", source_partition=2, source_offset=at, record_timestamp_ms=HOUR_MS, reason=reason,
                   json_path="$.status", message="expected int", size=9, sha256="ab", fields=dict(fields))
        for at, reason, fields in ((5, "wrong_type", {"account_id": "acct-9"}), (6, "not_json", {}))
    ]  # fmt: skip
    insert(sink, DEAD_LETTERS, *map(encode, letters))
    empty = tmp_path_factory.mktemp("settings") / "stillwatch.toml"
    empty.write_text("")
    yield Program(
        {
            "STILLWATCH_CONFIG": str(empty),
            "STILLWATCH_PREFIX": name,
            "STILLWATCH_CLICKHOUSE__HOST": clickhouse.host,
            "STILLWATCH_CLICKHOUSE__PORT": str(clickhouse.port),
            "COLUMNS": "300",
        }
    )
    admin.close()
    sink.close()


def lines(text: str) -> list[list[str]]:
    """Tab-separated lines."""
    return [line.split("\t") for line in text.splitlines()]


def test_alerts_list_shows_the_current_revision_of_each_newest_first(program: Program) -> None:
    """Into a pipe: a header and one tab-separated, uncut line per alert."""
    header, first, second = lines(program("alerts", "list").stdout)
    assert header[:5] == ["alert_id", "revision", "state", "kind", "severity"]
    assert [first[:4], second[:4]] == [["aaaa2222", "1", "opened", "probing"], ["aaaa1111", "3", "closed", "bulk_extraction"]]
    assert len(first) == len(header), "a tab inside a value does not make a column"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--kind", "probing"], ["aaaa2222"]),
        (["--state", "closed"], ["aaaa1111"]),
        (["--state", "updated"], []),
        (["--since", "2026-11-19"], ["aaaa2222"]),
        (["--since", "2026-11-18T00:00"], ["aaaa2222", "aaaa1111"]),
        (["--limit", "1"], ["aaaa2222"]),
    ],
)
def test_alerts_list_filters(program: Program, options: list[str], found: list[str]) -> None:
    """Kind, state of the current revision, event time of its raising, a limit."""
    done = program("alerts", "list", "--json", *options)
    assert done.exit_code == 0
    assert [orjson.loads(line)["alert_id"] for line in done.stdout.splitlines()] == found
    assert ("--limit shows more" in done.stderr) is ("--limit" in options)


def test_no_alerts_is_said_on_standard_error(program: Program) -> None:
    """An empty result is empty output, not an error."""
    done = program("alerts", "list", "--state", "updated")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "stillwatch: no such alerts\n")


def test_alerts_show_has_every_field_and_the_revisions(program: Program) -> None:
    """JSON nests explanation and evidence as the wire format does, and adds the revisions."""
    shown = orjson.loads(program("alerts", "show", "aaaa1111", "--json").stdout)
    assert (shown["revision"], shown["state"], shown["requests"]) == (3, "closed", 3_000)
    assert shown["explanation"] == msgspec.to_builtins(ALERT.explanation)
    assert [entry["event_id"] for entry in shown["evidence"]] == [f"event-{i}" for i in range(12)]
    assert [(r["revision"], r["state"]) for r in shown["revisions"]] == [(1, "opened"), (2, "updated"), (3, "closed")]
    text = program("alerts", "show", "aaaa1111").stdout
    for expected in ("acct-7 drains volume", "tokens_hour", "event-11", "AML.T0024.002, LLM10:2025"):
        assert expected in text


def test_alerts_show_without_evidence(program: Program) -> None:
    """An alert that carries no evidence has an empty list, and control characters do not reach a terminal."""
    assert orjson.loads(program("alerts", "show", "aaaa2222", "--json").stdout)["evidence"] == []
    assert "\x1b" not in program("alerts", "show", "aaaa2222").stdout


@pytest.mark.parametrize("verb", ["show", "explain"])
def test_an_alert_is_found_by_the_beginning_of_its_id(program: Program, verb: str) -> None:
    """The beginning is enough while it is unique; else the candidates are named; nothing found is status 1."""
    assert program("alerts", verb, "aaaa1").exit_code == 0
    several = program("alerts", verb, "aaaa")
    assert (several.exit_code, several.stdout) == (2, "")
    assert "aaaa1111, aaaa2222" in several.stderr
    for unknown in ("bbbb", ""):
        missing = program("alerts", verb, unknown)
        assert (missing.exit_code, missing.stdout) == (1, "")
        assert "no alert" in missing.stderr


def test_alerts_explain_speaks_an_analyst_s_language(program: Program) -> None:
    """Expected and observed in natural units, what counted first, how unlikely, evidence, and the next step."""
    text = program("alerts", "explain", "aaaa1111").stdout
    assert "account acct-7: suspected bulk extraction, severity 4 of 5, risk 0.91" in text
    assert "3,000 requests, 34,000 input and 560,000 output tokens; before it opened: 40 requests" in text
    assert "input and output tokens in this event-hour so far (tokens_hour), in an hour" in text
    assert "expected 6.39 to 9,896 tokens from its own past, observed 540,364: about 1 in 10^9 by chance; 90% of the decision" in text
    assert text.index("tokens_hour") < text.index("error_share")
    assert "nothing unusual by itself; 10% of the decision" in text
    assert "event-0  2026-11-18 11:00:00.000  at 3:0  conversation conv-1" in text
    assert "and 2 more" in text
    assert "Next: suspend: suspend it, after a second person" in text


def test_alerts_explain_says_what_to_act_on(program: Program) -> None:
    """Who it is, what leaves per hour, the smallest slice that stops it, harmless explanations with a question, the price of an error."""
    text = program("alerts", "explain", "aaaa2222").stdout
    for expected in (
        "Leaving at the moment: 35.5 requests and 4,500 output tokens an hour.",
        "Account: plan pro, signed up 1.5 days ago, seen for 2.5 days, 77 requests in 30 days, earlier verdicts: false_positive.",
        "  tokens in an answer: 1,807\n    output_length, in one block of requests: about 1 in 1,000 by chance; 100% of the decision",
        "  key k1: 95%; 10%  ← this stops it\n  model m1: 100%; 100%\n",
        "  one key shared by a team\n    fits: few keys\n    contradicts: new questions\n    ask: How many people?",
        "If the suspicion is wrong, that blocks 12 benign requests an hour.",
    ):
        assert expected in text
    assert orjson.loads(program("alerts", "show", "aaaa2222", "--json").stdout)["slices"] == msgspec.to_builtins(CONTEXT["slices"])


def test_query_in_each_format(program: Program) -> None:
    """The same rows as tab-separated lines, JSON objects and CSV; 64-bit numbers are exact in each."""
    sql = "SELECT account_id, input_tokens, [1, 2] AS list, 'a,b' AS text FROM account_hourly"
    table = program("query", sql)
    assert lines(table.stdout) == [["account_id", "input_tokens", "list", "text"], ["acct-7", str(2**60), "[1,2]", "a,b"]]
    as_json = program("query", sql, "--format", "json")
    assert orjson.loads(as_json.stdout) == {"account_id": "acct-7", "input_tokens": 2**60, "list": [1, 2], "text": "a,b"}
    as_csv = program("query", sql, "--format", "csv")
    assert list(csv.reader(io.StringIO(as_csv.stdout))) == [
        ["account_id", "input_tokens", "list", "text"],
        ["acct-7", str(2**60), "[1,2]", "a,b"],
    ]
    assert program("query", "-", stdin=sql).stdout == table.stdout


def test_query_says_when_it_cut(program: Program) -> None:
    """Rows beyond the limit are left out and that is said, beside the output."""
    done = program("query", "SELECT number FROM numbers(10)", "--limit", "3")
    assert done.stdout.splitlines() == ["number", "0", "1", "2"]
    assert "first 3 rows" in done.stderr
    assert program("query", "SELECT number FROM numbers(3)", "--limit", "3").stderr == ""


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("DROP TABLE alerts", "only reads"),
        ("SELECT * FROM alerts SETTINGS max_threads = 1", "settings cannot be changed"),
        ("SELECT 1 FORMAT JSON", "--format"),
        ("SELECT * FROM alert", "SHOW TABLES"),
        ("SELECT nope FROM alerts", "DESCRIBE"),
        ("SELECT groupArray(number) FROM numbers(1000000000)", "Narrow it down"),
        ("SELEC 1", "SELEC"),
    ],
)
def test_a_refused_query_ends_with_status_2_and_a_hint(program: Program, sql: str, hint: str) -> None:
    """What ClickHouse said, and what to do about it; nothing on standard output."""
    done = program("query", sql)
    assert (done.exit_code, done.stdout) == (2, "")
    assert hint in done.stderr


def test_deadletter_list(program: Program) -> None:
    """Newest first, with the position of the original; filtered by reason."""
    header, first, second = lines(program("deadletter", "list").stdout)
    rows = [dict(zip(header, row, strict=True)) for row in (first, second)]
    assert [(row["reason"], row["position"], row["account_id"]) for row in rows] == [
        ("not_json", "api:2:6", ""),
        ("wrong_type", "api:2:5", "acct-9"),
    ]
    (only,) = program("deadletter", "list", "--reason", "wrong_type", "--json").stdout.splitlines()
    found = orjson.loads(only)
    assert (found["topic"], found["partition"], found["offset"], found["fields"]) == ("api", 2, 5, {"account_id": "acct-9"})
    assert program("deadletter", "list", "--since", "2026-11-18T11:00:01", "--json").stdout.count("\n") == 1
    nothing = program("deadletter", "list", "--reason", "too_deep")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "stillwatch: no dead letters\n")


@pytest.mark.parametrize(
    "args", [["alerts", "list", "--kind", "nope"], ["alerts", "list", "--since", "soon"], ["query", "SELECT 1", "--limit", "0"]]
)
def test_wrong_options_are_usage_errors(program: Program, args: list[str]) -> None:
    """Status 2, before ClickHouse is asked."""
    assert program(*args).exit_code == 2


@pytest.mark.parametrize("args", [["alerts", "list"], ["alerts", "show", "a"], ["query", "SELECT 1"], ["deadletter", "list"]])
def test_a_clickhouse_that_does_not_answer_is_an_outage(program: Program, args: list[str]) -> None:
    """The error is the one that the entry point turns into status 3."""
    done = Program({**program.env, "STILLWATCH_CLICKHOUSE__PORT": str(free_port())})(*args)
    assert isinstance(done.exception, UnavailableError)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("", 0), ("30m", 998_200_000), ("1 h", 996_400_000), ("2d", 827_200_000), ("1970-01-02", 86_400_000), ("1970-01-01T01:00+01:00", 0)],
)
def test_points_in_time(text: str, ms: int) -> None:
    """An age counts back from now, a time is UTC unless it says otherwise."""
    assert since_ms(text, now_ms=1_000_000_000) == ms


def test_a_terminal_gets_a_table_without_control_characters(program: Program) -> None:
    """On a terminal: aligned columns, no tabs, and what others sent cannot steer the terminal."""
    leader, follower = pty.openpty()
    code = "from pipeline.cli import alerts; alerts.app()"
    path = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": path, "TERM": "xterm", **{k: v for k, v in program.env.items() if v is not None}}
    with subprocess.Popen([sys.executable, "-c", code, "list"], stdin=follower, stdout=follower, stderr=follower, env=env) as process:
        shown = _read(leader, process)
    assert process.returncode == 0, shown
    assert "aaaa2222 " in shown
    assert "\t" not in shown
    assert "\x1b[31m" not in shown
    assert "esc�[31mred" in shown


def _read(leader: int, process: subprocess.Popen[bytes]) -> str:
    data = b""
    while True:
        ready, _, _ = select.select([leader], [], [], 0.1)
        if ready:
            with suppress(OSError):
                data += os.read(leader, 65_536)
        elif process.poll() is not None:
            return data.decode()
