"""The users that compose gives ClickHouse, enforced by the real engine: each may do its work and nothing beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.base.settings import load_settings
from pipeline.ports.clickhouse import Limits
from pipeline.ports.migrations import load, statements

if TYPE_CHECKING:
    from collections.abc import Callable

    RunAs = Callable[..., list[tuple[int, str]]]

ACCESS_DENIED = 497
READONLY = 164
SETTING_CONSTRAINT_VIOLATION = 452
INSERT = (
    "INSERT INTO stillwatch.dead_letters (source_topic, source_partition, source_offset, rejected_at, reason) "
    "SELECT 't', 0, 7, now64(3), 'empty'"
)
DAYS = {"alerts_ttl_days": "730", "hourly_ttl_days": "400", "dead_letters_ttl_days": "30"}


@pytest.fixture(scope="module")
def run_as(root: Path, tmp_path_factory: pytest.TempPathFactory) -> RunAs:
    """Statements as a user, each call in a process of its own over the same data."""
    data = tmp_path_factory.mktemp("clickhouse") / "data"

    def run(user: str, *sql: str) -> list[tuple[int, str]]:
        script = Path(__file__).with_name("as_clickhouse_user.py")
        done = subprocess.run(
            [sys.executable, str(script), str(root / "infra/clickhouse/users.xml"), user, str(data)],
            input=json.dumps(sql),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, **{f"CLICKHOUSE_{who}_PASSWORD": "unused" for who in ("ADMIN", "WRITER", "READER")}},
        )
        assert done.returncode == 0, done.stderr
        return [(code, text) for code, text in json.loads(done.stdout)]

    return run


@pytest.fixture(scope="module")
def migrated(run_as: RunAs) -> RunAs:
    """The schema, made by the admin user with every migration this program ships."""
    values = {"database": "`stillwatch`", **DAYS}
    sql = [statement for migration in load() for statement in statements(migration.text, values)]
    for statement, (code, text) in zip(sql, run_as("stillwatch_admin", "CREATE DATABASE stillwatch", *sql)[1:], strict=True):
        assert code == 0, f"{statement}\n{text}"
    return run_as


def _codes(answers: list[tuple[int, str]]) -> list[int]:
    return [code for code, _ in answers]


def test_the_file_names_the_default_database() -> None:
    """Grants name a database: the one that settings without a prefix use."""
    assert load_settings().database == "stillwatch"


def test_admin_migrates_and_changes_retention(migrated: RunAs) -> None:
    """What `init` does beyond creating: views replaced, retention changed, history written and read."""
    answers = migrated(
        "stillwatch_admin",
        "CREATE OR REPLACE VIEW stillwatch.alerts_latest AS SELECT 1",
        *[s for s in statements(load()[1].text, {"database": "stillwatch"}) if "alerts_latest" in s],
        "ALTER TABLE stillwatch.alerts MODIFY TTL raised_at + toIntervalDay(90)",
        "CREATE TABLE stillwatch.probe (a UInt8) ENGINE = MergeTree ORDER BY a",
        "INSERT INTO stillwatch.probe VALUES (1)",
        "SELECT engine_full FROM system.tables WHERE database = 'stillwatch' AND name = 'alerts'",
    )
    assert set(_codes(answers)) == {0}, answers
    assert "toIntervalDay(90)" in answers[-1][1]


def test_admin_stays_in_its_database(migrated: RunAs) -> None:
    """A leaked admin password opens one database, and cannot make users."""
    answers = migrated(
        "stillwatch_admin",
        "CREATE DATABASE other",
        "CREATE USER intruder",
        "DROP DATABASE stillwatch",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    )
    assert _codes(answers) == [ACCESS_DENIED] * 4


def test_writer_inserts_and_reads_and_no_more(migrated: RunAs) -> None:
    """`deliver` needs INSERT and SELECT; what it may not: change or remove what is there."""
    answers = migrated(
        "stillwatch_writer",
        INSERT,
        "SELECT reason FROM stillwatch.dead_letters WHERE source_offset = 7",
        "ALTER TABLE stillwatch.dead_letters DELETE WHERE 1",
        "TRUNCATE TABLE stillwatch.dead_letters",
        "DROP TABLE stillwatch.dead_letters",
        "CREATE TABLE stillwatch.more (a UInt8) ENGINE = MergeTree ORDER BY a",
        "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')",
    )
    assert _codes(answers) == [0, 0, *[ACCESS_DENIED] * 5]
    assert answers[1][1] == "empty\n"


def test_reader_reads_within_limits(migrated: RunAs) -> None:
    """`query` with the limits it asks for works; asking for more, writing, or leaving the database does not."""
    limits = Limits()
    asked = (
        f"SETTINGS max_result_rows = {limits.rows + 1}, max_execution_time = {limits.seconds}, "
        f"max_memory_usage = {limits.memory_bytes}, output_format_json_quote_64bit_integers = 0"
    )
    views = ("stillwatch.alerts_latest", "stillwatch.account_hourly")
    assert migrated("stillwatch_reader", *(f"SELECT count() FROM {view} {asked}" for view in views)) == [(0, "0\n")] * 2  # noqa: S608 - two names
    refused = {
        "SELECT 1 SETTINGS max_execution_time = 3600": SETTING_CONSTRAINT_VIOLATION,
        "SELECT 1 SETTINGS max_execution_time = 0": SETTING_CONSTRAINT_VIOLATION,
        "SELECT 1 SETTINGS max_memory_usage = 0": SETTING_CONSTRAINT_VIOLATION,
        "SELECT 1 SETTINGS max_result_rows = 0": SETTING_CONSTRAINT_VIOLATION,
        "SET readonly = 0": READONLY,
        INSERT: ACCESS_DENIED,
        "DROP TABLE stillwatch.alerts": ACCESS_DENIED,
        "SELECT * FROM file('/etc/passwd', 'LineAsString')": ACCESS_DENIED,
        "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')": ACCESS_DENIED,
    }
    assert dict(zip(refused, _codes(migrated("stillwatch_reader", *refused)), strict=True)) == refused
