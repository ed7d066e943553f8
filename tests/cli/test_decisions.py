"""`feedback` and `declare`: what people type becomes one record in the control topic, and the lists say what is in force."""

from __future__ import annotations

import getpass
import json
import os
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from pipeline.base.errors import SettingsError, StillwatchError
from pipeline.base.settings import KafkaSettings, Settings
from pipeline.cli.decisions import until_ms
from pipeline.cli.main import command_line
from pipeline.cli.stored import stored
from pipeline.events.alert import Alert, Explanation, Kind, encode_alert
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
    key_of,
)
from pipeline.intake import Rejection, read_control
from pipeline.ports.broker import TopicPartition
from pipeline.ports.clickhouse import Admin, ClickHouseSink
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.memory import MemoryMessage
from pipeline.ports.migrations import migrate
from pipeline.ports.topics import ensure_topics
from pipeline.roles.tables import ALERTS, CONTROLS
from tests.priors import refitted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.devstack.clickhouse import EmbeddedClickHouse
    from pipeline.events.control import Control

HOUR_MS = 1_794_999_600_000
DAY_MS = 86_400_000
OWN = Explanation("output_length", "ln", 0, 7.0, 4.0, 6.0, "own", 1e-6, 0.7)
OTHERS = Explanation("life_pace", "ln", -1, 7.0, 4.0, 6.0, "population", 1e-6, 0.3)
ALERT = Alert(
    alert_id="aaaa1111", revision=1, state="opened", subject_type="account", subject_id="acct-7", account_ids=["acct-7"],
    kind=Kind.BULK_EXTRACTION, headline="acct-7 drains volume", severity=4, risk=0.91, confidence=0.8, first_seen_ms=HOUR_MS,
    last_seen_ms=HOUR_MS, raised_at_ms=HOUR_MS, requests=1, input_tokens=2, output_tokens=3, explanation=[OWN, OTHERS], techniques=[],
    evidence=[], recommended_action="watch", detector_version="1",
)  # fmt: skip


class Program:
    """The verbs, in this process: what is asked of here is what they do, and a process costs seconds."""

    def __init__(self, **settings: str) -> None:
        self._env = {f"STILLWATCH_{key}": value for key, value in settings.items()}
        self._app = command_line()

    def set(self, **settings: str) -> None:
        """Change settings."""
        self._env |= {f"STILLWATCH_{key}": value for key, value in settings.items()}

    def run(self, *args: str) -> tuple[int, str]:
        """Run one → exit status as `main` maps it, and what it said."""
        done = CliRunner().invoke(self._app, args, env=self._env)
        if isinstance(done.exception, StillwatchError):
            return 2 if isinstance(done.exception, SettingsError) else 4, str(done.exception)
        return done.exit_code, done.output


class Desk:
    """An analyst's desk: the program, the topic it writes to, the database it reads from."""

    def __init__(self, program: Program, settings: Settings) -> None:
        self.program = program
        self.settings = settings
        self._sink = ClickHouseSink(settings)
        self._seen = 0

    def alerts(self, *alerts: Alert) -> None:
        """Put alerts where the program looks for them."""
        messages = [MemoryMessage(TopicPartition("a", 0), i, None, encode_alert(alert), HOUR_MS) for i, alert in enumerate(alerts)]
        self._sink.insert(ALERTS.table, ALERTS.convert(messages), "alerts")

    def records(self) -> list[Control]:
        """Everything in the control topic; also delivered to the database, as the role does."""
        where = TopicPartition(self.settings.topic("control"), 0)
        messages = [message for message, _ in stored(KafkaBroker(self.settings.kafka), f"{self.settings.prefix}.test", where)]
        self._seen += 1
        self._sink.insert(CONTROLS.table, CONTROLS.convert(messages), f"control-{self._seen}")
        found = [read_control(message.value()) for message in messages]
        return [record for record in found if not isinstance(record, Rejection)]

    def close(self) -> None:
        """Let go."""
        self._sink.close()


@pytest.fixture
def desk(tansu: str, clickhouse: EmbeddedClickHouse, unique: str) -> Iterator[Desk]:
    """Topics and tables in place, nothing in them."""
    kafka = KafkaSettings(bootstrap_servers=tansu, frames_partitions=2, replication_factor=1, min_insync_replicas=1)
    settings = Settings(prefix=unique, kafka=kafka, clickhouse={"host": clickhouse.host, "port": clickhouse.port})
    ensure_topics(KafkaBroker(kafka), settings, dev=True)
    admin = Admin(settings)
    migrate(admin, settings)
    admin.close()
    program = Program(
        PREFIX=unique, KAFKA__BOOTSTRAP_SERVERS=tansu, CLICKHOUSE__HOST=clickhouse.host, CLICKHOUSE__PORT=str(clickhouse.port)
    )
    made = Desk(program, settings)
    yield made
    made.close()


def test_a_verdict_is_given_listed_and_revoked(desk: Desk) -> None:
    """By name or number, with who and why; it rests on what the alert mostly rested on; revoked it is listed only with --all."""
    desk.alerts(ALERT, msgspec.structs.replace(ALERT, alert_id="aaaa2222", explanation=[OTHERS]))
    status, said = desk.program.run("feedback", "aaaa1", "false_positive", "--action", "contacted", "--note", "nightly run", "--by", "ann")
    assert status == 0, said
    assert "raises the bar of bulk_extraction (change) for acct-7" in said
    status, said = desk.program.run("feedback", "give", "--by", "bob", "aaaa2222", "2")
    assert status == 0, said
    first, second = desk.records()
    assert isinstance(first, Verdict)
    assert isinstance(second, Verdict)
    assert (first.account_id, first.alert_id, first.verdict_id, first.action) == (
        "acct-7", "aaaa1111", VerdictId.FALSE_POSITIVE, Action.CONTACTED,
    )  # fmt: skip
    assert (first.issued_by, first.note, first.baselines, first.kind) == ("ann", "nightly run", [Baseline.CHANGE], Kind.BULK_EXTRACTION)
    assert (second.verdict_id, second.baselines, second.issued_by) == (VerdictId.TRUE_POSITIVE, [Baseline.LEVEL], "bob")
    status, said = desk.program.run("feedback", "list", "--json")
    assert {row["feedback_id"] for row in map(json.loads, said.splitlines())} == {first.control_id, second.control_id}
    status, said = desk.program.run("feedback", "revoke", first.control_id[:6], "--by", "eve", "--note", "wrong account")
    assert status == 0, said
    revoked = desk.records()[-1]
    assert isinstance(revoked, Revocation)
    assert (revoked.control_id, revoked.account_id, revoked.issued_by) == (first.control_id, "acct-7", "eve")
    status, said = desk.program.run("feedback", "list", "--json")
    assert [json.loads(line)["feedback_id"] for line in said.splitlines()] == [second.control_id]
    status, said = desk.program.run("feedback", "list", "--all")
    assert first.control_id in said
    status, said = desk.program.run("feedback", "revoke", first.control_id)
    assert (status, "is in force" in said) == (1, True)


def test_a_verdict_on_a_group_goes_to_each_account(desk: Desk) -> None:
    """Each account lives in a partition of its own; one id names the whole, and one revocation takes all of it back."""
    desk.alerts(msgspec.structs.replace(ALERT, subject_type="campaign", subject_id="c1", account_ids=["x", "y"], kind=Kind.CAMPAIGN))
    assert desk.program.run("feedback", "aaaa1111", "benign", "--by", "ann")[0] == 0
    records = desk.records()
    assert [key_of(record) for record in records] == [b"x", b"y"]
    assert len({record.control_id for record in records}) == 1
    assert desk.program.run("feedback", "revoke", records[0].control_id, "--by", "ann")[0] == 0
    assert sorted(map(key_of, desk.records()[2:])) == [b"x", b"y"]


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["feedback", "aaaa1111", "meh"], 2, "1 false_positive, 2 true_positive"),
        (["feedback", "bbbb", "benign"], 1, "alerts list"),
        (["feedback", "aaaa", "benign"], 2, "beginning of several"),
        (["feedback", "revoke", "0123"], 1, "feedback list"),
        (["declare", "acct-7", "audit"], 2, "--until"),
        (["declare", "acct-7", "holiday", "--until", "3d"], 2, "evaluation"),
        (["declare", "acct-7", "audit", "--until", "soon"], 2, "90d"),
        (["declare", "acct-7", "audit", "--until", "400d"], 2, "366 days"),
        (["declare", "acct-7", "audit", "--until", "2020-01-01"], 2, "366 days"),
        (["declare", "../acct", "audit", "--until", "3d"], 2, "path"),
        (["declare", "acct-7", "audit", "--until", "3d", "--note", "x" * 1_001], 2, "note"),
        (["declare", "revoke", "0123"], 1, "declare list"),
        (["tune", "alert_budget"], 2, "--reset"),
        (["tune", "alert_budget", "3", "--reset"], 2, "--reset"),
        (["tune", "alert_budget", "none"], 2, "detect.alert_budget"),
        (["tune", "alert_budget", "-1"], 2, "--help"),
        (["tune", "alert_budget", "0"], 2, "greater than or equal to 0.001"),
        (["tune", "cooldown_h", "1e18"], 2, "less than or equal to 8760"),
        (["tune", "block_requests", "30"], 2, "alert_budget"),
        (["tune", "prior_file", "no/such/file"], 2, "cannot read no/such/file"),
        (["tune", "prior_file", os.devnull], 2, "is empty"),
        (["tune", "prior_file", __file__], 2, "is not a prior"),
        (["tune", "prior_file", str(files("pipeline.scoring") / "prior.json")], 2, "another version of the detector"),
    ],
)
def test_what_cannot_be_done_is_said(desk: Desk, args: list[str], status: int, says: str) -> None:
    """With what is allowed or where to look; nothing is written."""
    desk.alerts(ALERT, msgspec.structs.replace(ALERT, alert_id="aaaa2222"))
    ended, said = desk.program.run(*args)
    assert ended == status, said
    assert says in said
    assert desk.records() == []


def test_a_declaration_is_made_listed_and_revoked(desk: Desk) -> None:
    """With its end and limit; an account that nobody has seen is remarked on, and a repeat replaces."""
    args = ("declare", "acct-7", "evaluation", "--until", "30d", "--limit", "5000", "--note", "contract 12", "--by", "ann")
    status, said = desk.program.run(*args)
    assert status == 0, said
    assert "is the id right?" in said
    (record,) = desk.records()
    assert isinstance(record, Declaration)
    assert (record.account_id, record.twin, record.requests_per_day) == ("acct-7", Twin.EVALUATION, 5_000)
    assert record.until_ms == record.issued_at_ms + 30 * DAY_MS
    assert record.control_id == declaration_control_id("acct-7", Twin.EVALUATION)
    assert desk.program.run(*args)[0] == 0
    assert len({record.control_id for record in desk.records()}) == 1
    status, said = desk.program.run("declare", "list", "--json")
    (row,) = map(json.loads, said.splitlines())
    assert (row["account_id"], row["twin"], row["requests_per_day"], row["note"]) == ("acct-7", "evaluation", 5_000, "contract 12")
    assert desk.program.run("declare", "revoke", record.control_id, "--by", "eve")[0] == 0
    desk.records()
    assert "no declarations in force" in desk.program.run("declare", "list")[1]
    assert record.control_id in desk.program.run("declare", "list", "--all")[1]


def test_a_setting_is_changed_listed_and_reset(desk: Desk, tmp_path: Path) -> None:
    """With what it was and is, who and why; the last word counts; a prior says what it was counted on; reset, the settings count again."""
    status, said = desk.program.run("tune", "alert_budget", "3", "--note", "more hands", "--by", "ann")
    assert status == 0, said
    assert "alert_budget is 3 from here on, in every partition (was 1)" in said
    assert "is 0.5 from here on, in every partition (was 3)" in desk.program.run("tune", "give", "alert_budget", "0.5", "--by", "bob")[1]
    first, second = desk.records()
    assert isinstance(first, Tuning)
    assert isinstance(second, Tuning)
    assert (first.setting, first.value, first.issued_by, first.note) == (Setting.ALERT_BUDGET, "3", "ann", "more hands")
    assert first.control_id == second.control_id
    prior = tmp_path / "prior.json"
    prior.write_bytes(refitted(account_days=77_777))
    status, said = desk.program.run("tune", "prior_file", str(prior))
    assert status == 0, said
    assert "prior_file is a file (77,777 account-days) from here on" in said
    rows = {row["setting"]: row for row in map(json.loads, desk.program.run("tune", "list", "--json")[1].splitlines())}
    assert list(rows) == list(Setting)
    assert (rows["alert_budget"]["in_force"], rows["alert_budget"]["settings_say"], rows["alert_budget"]["issued_by"]) == (
        "0.5",
        "1",
        "bob",
    )
    assert (rows["cooldown_h"]["in_force"], rows["cooldown_h"]["issued_by"]) == ("6", "")
    assert "77,777" in rows["prior_file"]["in_force"]
    assert "settings in force" in desk.program.run("doctor", "--dev")[1]
    assert "(was 0.5)" in desk.program.run("tune", "alert_budget", "--reset", "--by", "eve")[1]
    history = [json.loads(line) for line in desk.program.run("tune", "list", "--all", "--json")[1].splitlines()]
    assert [row["value"] for row in history] == ["(reset)", f"a file of {len(prior.read_text()):,} characters", "0.5", "3"]
    desk.records()
    status, said = desk.program.run("query", "SELECT setting, in_force, issued_by FROM tunings ORDER BY setting", "--format", "csv")
    assert said.splitlines()[1:3] == ["alert_budget,0,eve", f"prior_file,1,{getpass.getuser()}"]


def test_without_the_topic_init_is_named(desk: Desk) -> None:
    """An environment that was made before there was a control topic says what to do."""
    desk.program.set(PREFIX="elsewhere")
    status, said = desk.program.run("declare", "acct-7", "audit", "--until", "3d")
    assert status == 4
    assert "stillwatch init" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90d", HOUR_MS + 90 * DAY_MS),
        ("12h", HOUR_MS + DAY_MS // 2),
        ("2026-12-31", 1_798_761_600_000),  # the day is included
        ("2026-12-31T00:00", 1_798_675_200_000),
        ("2026-12-31T01:00+01:00", 1_798_675_200_000),
    ],
)
def test_times_to_come(text: str, expected: int) -> None:
    """Ages ahead, dates with their whole day, times with or without a zone."""
    assert until_ms(text, HOUR_MS) == expected


def test_what_is_no_time_to_come() -> None:
    """It says what is one."""
    with pytest.raises(typer.BadParameter, match="90d"):
        until_ms("3 fortnights", HOUR_MS)
