"""The queries that the guide shows run against the schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.base.settings import Settings
from pipeline.ports.clickhouse import Admin, Reader
from pipeline.ports.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.devstack.clickhouse import EmbeddedClickHouse

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "clickhouse.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture(scope="module")
def place(clickhouse: EmbeddedClickHouse) -> Iterator[tuple[Admin, Reader]]:
    """A migrated, empty database."""
    settings = Settings(prefix="guide", clickhouse={"host": clickhouse.host, "port": clickhouse.port})
    admin, reader = Admin(settings), Reader(settings)
    migrate(admin, settings)
    yield admin, reader
    admin.close()
    reader.close()


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_of_the_guide_runs(place: tuple[Admin, Reader], sql: str) -> None:
    """Every example is accepted by the real engine, read-only and within the limits."""
    assert place[1].query(sql).columns


def test_the_guide_names_every_table(place: tuple[Admin, Reader]) -> None:
    """A table that `init` makes and the guide does not mention is a surprise to whoever finds it."""
    tables = [str(row[0]) for row in place[0].rows("SELECT name FROM system.tables WHERE database = 'guide'")]
    assert len(tables) >= 7
    assert [table for table in tables if f"| `{table}`" not in GUIDE] == []
    assert len(QUERIES) >= 10
