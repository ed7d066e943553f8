"""Numbered ClickHouse migrations (`schemas/clickhouse/NNNN_name.sql`): apply, remember by checksum, keep retention as set.

ClickHouse has no transactional DDL, so every statement must be safe to repeat: a migration that broke off half-way runs
again from its start. `init` run twice at once does no harm for the same reason.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import DependencyError, LineageError, NewerFormatError
from pipeline.ports.clickhouse import check_identifier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.base.settings import Settings
    from pipeline.ports.clickhouse import Admin

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_PLACEHOLDER = re.compile(r"\{\{(\w*)\}\}")
_STATEMENT_END = re.compile(r";[ \t]*$", re.MULTILINE)
_HISTORY = """
CREATE TABLE IF NOT EXISTS {database}.schema_migrations
(
    version UInt32 COMMENT 'Number of the migration',
    name String COMMENT 'Its file',
    checksum String COMMENT 'SHA-256 of the file before placeholders are filled in',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version
COMMENT 'Migrations that `stillwatch init` has applied'
"""


class Migration(NamedTuple):
    """One file."""

    version: int
    name: str
    checksum: str
    text: str


class SchemaStatus(NamedTuple):
    """What `doctor` asks."""

    applied: int
    """Highest version in the database; 0: none."""
    expected: int
    """Highest version this program has."""


class _Retention(NamedTuple):
    table: str
    column: str
    days: int


def load(folder: Path | None = None) -> list[Migration]:
    """The packaged migrations, in order.

    Raises:
        DependencyError: the folder is missing, or its numbers are not 1, 2, 3, ….
    """
    folder = folder or _packaged()
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise DependencyError("a migration is named NNNN_name.sql", location=str(path))
        data = path.read_bytes()
        found.append(Migration(int(match[1]), path.name, hashlib.sha256(data).hexdigest(), data.decode()))
    if [m.version for m in found] != list(range(1, len(found) + 1)) or not found:
        raise DependencyError("migrations are numbered 0001, 0002, … without a gap", location=str(folder))
    return found


def statements(text: str, values: dict[str, str]) -> list[str]:
    """Fill in placeholders and split; a statement ends with a semicolon at the end of a line.

    Raises:
        DependencyError: a placeholder that no setting fills.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] not in values and match[1]:
            raise DependencyError(f"unknown placeholder {match[0]} in a migration")
        return values.get(match[1], match[0])

    return [part.strip() for part in _STATEMENT_END.split(_PLACEHOLDER.sub(fill, text)) if part.strip()]


def migrate(admin: Admin, settings: Settings, migrations: Iterable[Migration] | None = None) -> list[str]:
    """Bring the database to this program's schema; what is done already is left alone.

    Returns:
        What was done, one line each; empty when nothing was to do.

    Raises:
        LineageError: an applied migration's file has changed since.
        NewerFormatError: a newer program has migrated this database.
        UnavailableError, DependencyError: ClickHouse does not answer or refuses.
    """
    known = list(migrations) if migrations is not None else load()
    database = check_identifier(settings.database, "clickhouse.database")
    values = {"database": f"`{database}`", **{f"{key}": str(days) for key, days in _days(settings).items()}}
    admin.execute(f"CREATE DATABASE IF NOT EXISTS `{database}`")
    admin.execute(_HISTORY.format(database=f"`{database}`"))
    applied = _applied(admin, database)
    _refuse_strangers(applied, known, database)
    done = []
    for migration in known:
        if migration.version in applied:
            continue
        for statement in statements(migration.text, values):
            admin.execute(statement)
        admin.execute(
            f"INSERT INTO `{database}`.schema_migrations (version, name, checksum) SELECT {{v:UInt32}}, {{n:String}}, {{c:String}}",
            {"v": migration.version, "n": migration.name, "c": migration.checksum},
        )
        done.append(f"applied {migration.name}")
    return done + _apply_retention(admin, database, settings)


def schema_version(admin: Admin, settings: Settings) -> SchemaStatus:
    """What is applied and what this program expects.

    Raises:
        UnavailableError, DependencyError: ClickHouse does not answer or refuses.
    """
    database = check_identifier(settings.database, "clickhouse.database")
    expected = load()[-1].version
    exists = admin.rows(
        "SELECT count() FROM system.tables WHERE database = {d:String} AND name = 'schema_migrations'",
        {"d": database},
    )
    if not exists[0][0]:
        return SchemaStatus(0, expected)
    return SchemaStatus(max(_applied(admin, database), default=0), expected)


def _packaged() -> Path:
    here = Path(__file__).resolve().parent
    installed = here / "migrations_sql"
    return installed if installed.is_dir() else here.parents[1] / "schemas" / "clickhouse"


def _applied(admin: Admin, database: str) -> dict[int, str]:
    rows = admin.rows(f"SELECT version, checksum FROM `{database}`.schema_migrations FINAL ORDER BY version")  # noqa: S608 - the identifier is checked
    return {int(version): str(checksum) for version, checksum in rows}


def _refuse_strangers(applied: dict[int, str], known: list[Migration], database: str) -> None:
    newest = known[-1].version
    if applied and max(applied) > newest:
        raise NewerFormatError(
            f"database {database} has schema version {max(applied)}, this program knows up to {newest}",
            location=f"{database}.schema_migrations",
            next_step="upgrade this program, or point clickhouse.database elsewhere",
        )
    for migration in known:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise LineageError(
                f"{migration.name} was edited after it had been applied",
                location=f"{database}.schema_migrations",
                next_step="restore the file and put the change into a new migration",
            )


def _days(settings: Settings) -> dict[str, int]:
    clickhouse = settings.clickhouse
    return {
        "alerts_ttl_days": clickhouse.alerts_ttl_days,
        "hourly_ttl_days": clickhouse.hourly_ttl_days,
        "dead_letters_ttl_days": clickhouse.dead_letters_ttl_days,
    }


def _apply_retention(admin: Admin, database: str, settings: Settings) -> list[str]:
    """Change a table's TTL when the setting differs from what the table has."""
    clickhouse = settings.clickhouse
    done = []
    for wanted in (
        _Retention("alerts", "raised_at", clickhouse.alerts_ttl_days),
        _Retention("account_rollups", "hour", clickhouse.hourly_ttl_days),
        _Retention("dead_letters", "rejected_at", clickhouse.dead_letters_ttl_days),
        _Retention("webhook_attempts", "attempted_at", clickhouse.alerts_ttl_days),
    ):
        rule = f"{wanted.column} + toIntervalDay({wanted.days})"
        engine = admin.rows(
            "SELECT engine_full FROM system.tables WHERE database = {d:String} AND name = {t:String}",
            {"d": database, "t": wanted.table},
        )
        if engine and f"TTL {rule}" not in engine[0][0]:
            admin.execute(f"ALTER TABLE `{database}`.{wanted.table} MODIFY TTL {rule}")
            done.append(f"{wanted.table}: retention is now {wanted.days} days")
    return done
