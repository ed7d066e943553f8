"""Migrations: applied once, remembered, guarded; retention follows the settings."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from pipeline.base.errors import DependencyError, LineageError, NewerFormatError, SettingsError
from pipeline.base.settings import Settings
from pipeline.ports.clickhouse import Admin
from pipeline.ports.migrations import Migration, load, migrate, schema_version, statements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.devstack.clickhouse import EmbeddedClickHouse


@dataclasses.dataclass
class Place:
    """A database of the test's own."""

    settings: Settings
    admin: Admin

    def tables(self) -> dict[str, str]:
        """Table → comment."""
        rows = self.admin.rows("SELECT name, comment FROM system.tables WHERE database = {d:String}", {"d": self.settings.database})
        return {str(name): str(comment) for name, comment in rows}

    def ttl(self, table: str) -> str:
        """The table's TTL clause."""
        rows = self.admin.rows(
            "SELECT extract(engine_full, 'TTL (.*?) SETTINGS') FROM system.tables WHERE database = {d:String} AND name = {t:String}",
            {"d": self.settings.database, "t": table},
        )
        return str(rows[0][0])


@pytest.fixture
def place(clickhouse: EmbeddedClickHouse, unique: str) -> Iterator[Place]:
    """An empty place."""
    settings = Settings(prefix=unique, clickhouse={"host": clickhouse.host, "port": clickhouse.port})
    admin = Admin(settings)
    yield Place(settings, admin)
    admin.close()


def with_clickhouse(settings: Settings, **values: object) -> Settings:
    """The same settings with other ClickHouse values."""
    return settings.model_copy(update={"clickhouse": settings.clickhouse.model_copy(update=values)})


def test_an_empty_server_gets_the_schema(place: Place) -> None:
    """From nothing to the current version, every table and view with a comment that says what it is for."""
    expected = load()[-1].version
    assert schema_version(place.admin, place.settings) == (0, expected)
    done = migrate(place.admin, place.settings)
    assert len(done) == expected
    assert schema_version(place.admin, place.settings) == (expected, expected)
    tables = place.tables()
    names = {"alerts", "alerts_latest", "account_rollups", "account_hourly", "dead_letters", "webhook_attempts", "schema_migrations"}
    names |= {"controls", "feedback", "declarations", "tunings"}
    assert set(tables) == names
    assert all(tables.values())


def test_every_column_says_what_it_holds(place: Place) -> None:
    """No column of a table is without a comment."""
    migrate(place.admin, place.settings)
    silent = place.admin.rows(
        "SELECT table, name FROM system.columns WHERE database = {d:String} AND comment = '' "
        "AND table NOT IN ('alerts_latest', 'account_hourly', 'feedback', 'declarations', 'tunings')",
        {"d": place.settings.database},
    )
    assert silent == []


def test_again_does_nothing(place: Place) -> None:
    """`init` twice is `init` once."""
    migrate(place.admin, place.settings)
    assert migrate(place.admin, place.settings) == []


def test_a_migration_that_broke_off_runs_again(place: Place) -> None:
    """Every statement may be repeated: a schema without its history is completed, not refused."""
    migrate(place.admin, place.settings)
    place.admin.execute(f"TRUNCATE TABLE {place.settings.database}.schema_migrations")
    assert len(migrate(place.admin, place.settings)) == load()[-1].version


def test_only_what_is_new_is_applied(place: Place) -> None:
    """A later program brings an older database forward."""
    migrate(place.admin, place.settings, load()[:1])
    assert "account_hourly" not in place.tables()
    assert migrate(place.admin, place.settings) == [f"applied {migration.name}" for migration in load()[1:]]
    assert "account_hourly" in place.tables()


def test_alerts_from_before_the_context_columns_stay_readable(place: Place) -> None:
    """A row of the first schema has empty context afterwards, and its nested columns still unfold."""
    migrate(place.admin, place.settings, load()[:2])
    place.admin.execute(
        f"INSERT INTO {place.settings.database}.alerts (alert_id, revision, raised_at,"
        " explanation.feature, explanation.unit, explanation.window_s, explanation.observed, explanation.expected_low,"
        " explanation.expected_high, explanation.baseline, explanation.tail_probability, explanation.contribution)"
        " SELECT 'old', 1, now64(3), ['a', 'b'], ['', ''], [0, 0], [1, 2], [0, 0], [0, 0], ['own', 'own'], [0.5, 0.5], [1, 0]"
    )
    migrate(place.admin, place.settings)
    rows = place.admin.rows(
        f"SELECT e.feature, e.phrase, slices.value, account_age_days, canary FROM {place.settings.database}.alerts_latest"  # noqa: S608 - a test's own database
        " ARRAY JOIN explanation AS e ORDER BY e.feature"
    )
    assert [list(row) for row in rows] == [["a", "", [], None, False], ["b", "", [], None, False]]


def test_an_edited_migration_is_refused(place: Place) -> None:
    """A file that changed after it was applied would make two databases differ under one number."""
    migrate(place.admin, place.settings)
    edited = [load()[0]._replace(checksum="0" * 64), *load()[1:]]
    with pytest.raises(LineageError, match=r"0001_tables\.sql was edited"):
        migrate(place.admin, place.settings, edited)


def test_a_newer_database_is_refused(place: Place) -> None:
    """An older program does not touch what a newer one has made."""
    future = Migration(len(load()) + 1, "9999_future.sql", "f" * 64, "SELECT 1;")
    migrate(place.admin, place.settings, [*load(), future])
    with pytest.raises(NewerFormatError, match="upgrade this program"):
        migrate(place.admin, place.settings)


def test_retention_follows_the_settings(place: Place) -> None:
    """A changed number of days is applied to tables that exist, once, and said."""
    migrate(place.admin, place.settings)
    assert place.ttl("account_rollups") == "hour + toIntervalDay(400)"
    longer = with_clickhouse(place.settings, hourly_ttl_days=40, alerts_ttl_days=73)
    assert migrate(place.admin, longer) == [
        "alerts: retention is now 73 days",
        "account_rollups: retention is now 40 days",
        "webhook_attempts: retention is now 73 days",
    ]
    assert place.ttl("account_rollups") == "hour + toIntervalDay(40)"
    assert place.ttl("dead_letters") == "rejected_at + toIntervalDay(30)"
    assert migrate(place.admin, longer) == []


@pytest.mark.parametrize("name", ["stillwatch; DROP DATABASE x", "a`b", "a.b", "1a", "ä"])
def test_a_database_name_that_is_no_name_is_refused(place: Place, name: str) -> None:
    """The name stands in SQL, so it is checked before anything is sent."""
    with pytest.raises(SettingsError, match=r"clickhouse\.database"):
        migrate(place.admin, with_clickhouse(place.settings, database=name))


def test_statements_end_at_line_ends_only() -> None:
    """A semicolon inside a comment's text or a string does not cut a statement."""
    assert statements("SELECT ';x';\n\nSELECT {{a}} ; \n", {"a": "1"}) == ["SELECT ';x'", "SELECT 1"]


def test_an_unknown_placeholder_is_refused() -> None:
    """A typing error in a migration does not reach the server."""
    with pytest.raises(DependencyError, match="nope"):
        statements("SELECT {{nope}};", {})


@pytest.mark.parametrize("names", [["0002_b.sql"], ["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "first.sql"], []])
def test_numbers_have_no_gap(tmp_path: Path, names: list[str]) -> None:
    """A missing or unnumbered file is noticed before anything is applied."""
    for name in names:
        (tmp_path / name).write_text("SELECT 1;\n")
    with pytest.raises(DependencyError):
        load(tmp_path)
