"""Reading with limits, on the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.base.errors import UnavailableError
from pipeline.base.settings import Settings
from pipeline.devstack.processes import free_port
from pipeline.ports.clickhouse import Admin, ClickHouseSink, Limits, QueryError, Reader
from pipeline.ports.migrations import schema_version

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def reader(migrated: Settings) -> Iterator[Reader]:
    """A reader of it."""
    reader = Reader(migrated, Limits(rows=50, seconds=2, memory_bytes=200 << 20))
    yield reader
    reader.close()


def test_values_arrive_as_json_values(reader: Reader) -> None:
    """Numbers of 64 bits stay numbers, times are text in UTC, what JSON has no number for is null."""
    table = reader.query(
        "SELECT 18446744073709551615 AS big, toDateTime64('2026-11-23 10:00:00.5', 3, 'UTC') AS at, nan AS none, [1, 2] AS list"
    )
    assert table.records() == [{"big": 2**64 - 1, "at": "2026-11-23 10:00:00.500", "none": None, "list": [1, 2]}]
    assert table.types[0] == "UInt64"


def test_values_are_bound_not_pasted(reader: Reader) -> None:
    """A value full of quotes is a value."""
    hostile = "x'; DROP TABLE alerts; --\\"
    assert reader.query("SELECT {v:String} AS v", {"v": hostile}).rows == [[hostile]]


def test_more_rows_than_asked_for_are_cut_and_said(reader: Reader) -> None:
    """A result is cut at the limit, and the result says that there was more; an exact fit is not called cut."""
    cut = reader.query("SELECT number FROM numbers(1000)", rows=3)
    assert (cut.rows, cut.truncated) == ([[0], [1], [2]], True)
    whole = reader.query("SELECT number FROM numbers(3)", rows=3)
    assert (len(whole.rows), whole.truncated) == (3, False)


def test_no_caller_gets_more_than_the_limit(reader: Reader) -> None:
    """Asking for more rows than the limit gives the limit."""
    assert len(reader.query("SELECT number FROM numbers(1000)", rows=10_000).rows) == 50


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE alerts",
        "INSERT INTO schema_migrations (version) VALUES (9)",
        "TRUNCATE TABLE alerts",
        "CREATE TABLE x (a UInt8) ENGINE = Memory",
        "SELECT * FROM alerts SETTINGS readonly = 0",
        "SELECT 1; DROP TABLE alerts",
        "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')",
    ],
)
def test_writing_is_refused(reader: Reader, migrated: Settings, sql: str) -> None:
    """A reader writes nothing, changes no setting, and reaches no other address."""
    with pytest.raises(QueryError):
        reader.query(sql)
    admin = Admin(migrated)
    assert schema_version(admin, migrated).applied < 9
    assert admin.rows(
        "SELECT count() FROM system.tables WHERE database = {d:String} AND name IN ('alerts', 'x')", {"d": migrated.database}
    ) == [[1]]
    admin.close()


@pytest.mark.parametrize(
    "sql",
    ["SELECT groupArray(number) FROM numbers(1000000000)", "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1"],
    ids=["memory", "time"],
)
def test_a_query_that_costs_too_much_is_the_query_s_fault(reader: Reader, sql: str) -> None:
    """Limits of time and memory end the query and are not mistaken for an outage."""
    with pytest.raises(QueryError):
        reader.query(sql)


@pytest.mark.parametrize(
    ("sql", "named"), [("SELEC 1", "SELEC"), ("SELECT nope FROM alerts", "nope"), ("SELECT 1 FROM nowhere", "nowhere")]
)
def test_a_wrong_query_is_named(reader: Reader, sql: str, named: str) -> None:
    """The error repeats what ClickHouse could not read, on one line."""
    with pytest.raises(QueryError, match=named) as caught:
        reader.query(sql)
    assert "\n" not in caught.value.message


def test_a_dedicated_user_is_used_for_reading(migrated: Settings) -> None:
    """With a read-only user in the settings the reader is that user; the embedded engine knows only `default`."""
    own = migrated.model_copy(update={"clickhouse": migrated.clickhouse.model_copy(update={"readonly_username": "analyst"})})
    reader, sink = Reader(own), ClickHouseSink(own)
    with pytest.raises(Exception, match="AUTHENTICATION_FAILED"):
        reader.query("SELECT 1")
    sink.insert("dead_letters", {"source_topic": ["t"]}, "t")
    sink.close()


def test_nobody_listening_is_an_outage() -> None:
    """A refused connection is retriable, and its text is the same each time, so that a log line is not repeated."""
    settings = Settings(clickhouse={"port": free_port()})
    texts = set()
    for _ in range(2):
        with pytest.raises(UnavailableError) as caught:
            Reader(settings).query("SELECT 1")
        texts.add(str(caught.value))
    assert len(texts) == 1
