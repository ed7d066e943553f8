"""The sink's contract, on the real engine and on its twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pipeline.base.errors import DependencyError, UnavailableError
from pipeline.base.settings import Settings
from pipeline.ports.clickhouse import Admin, ClickHouseSink, Limits, QueryError, Reader
from pipeline.ports.clickhouse_memory import MemorySink
from pipeline.ports.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.devstack.clickhouse import EmbeddedClickHouse
    from pipeline.ports.clickhouse import Sink

HOUR = 1_795_000_000 // 3_600 * 3_600
TABLES = {
    "account_rollups": ("account_id", "hour", "arrival_epoch", "version", "requests", "models"),
    "dead_letters": ("source_topic", "source_partition", "source_offset", "reason", "rejected_at", "message"),
}


@dataclass
class Bench:
    """A sink, a way to look behind it, and a way to take its server away and bring it back."""

    sink: Sink
    accounts: Callable[[], list[tuple[object, object]]]
    stop: Callable[[], object]
    start: Callable[[], object]


def settings_for(server: EmbeddedClickHouse, database: str) -> Settings:
    """Settings of a database of the test's own."""
    return Settings(prefix=database, clickhouse={"host": server.host, "port": server.port})


def _real(server: EmbeddedClickHouse, database: str) -> Iterator[Bench]:
    settings = settings_for(server, database)
    admin, sink, reader = Admin(settings), ClickHouseSink(settings), Reader(settings, Limits(rows=100_000))
    migrate(admin, settings)

    def accounts() -> list[tuple[object, object]]:
        table = reader.query("SELECT account_id, requests FROM account_rollups FINAL ORDER BY account_id, hour")
        return [(account, requests) for account, requests in table.rows]

    yield Bench(sink, accounts, server.child.kill, server.child.start)
    for connection in (admin, sink, reader):
        connection.close()


def _twin() -> Iterator[Bench]:
    sink = MemorySink(TABLES)

    def accounts() -> list[tuple[object, object]]:
        return sorted((str(row["account_id"]), row["requests"]) for row in sink.rows["account_rollups"])

    def switch(*, down: bool) -> None:
        sink.down = down

    yield Bench(sink, accounts, lambda: switch(down=True), lambda: switch(down=False))


@pytest.fixture(params=["twin", "real"])
def bench(request: pytest.FixtureRequest, unique: str) -> Iterator[Bench]:
    """Both sinks in turn."""
    yield from _twin() if request.param == "twin" else _real(request.getfixturevalue("clickhouse"), unique)


@pytest.fixture(params=["twin", "real"])
def mortal_bench(request: pytest.FixtureRequest, unique: str) -> Iterator[Bench]:
    """Both sinks in turn, the real one on a server that may be killed."""
    yield from _twin() if request.param == "twin" else _real(request.getfixturevalue("own_clickhouse"), unique)


def rollups(accounts: list[str], requests: int = 1) -> dict[str, list[object]]:
    """Columns of one hour of these accounts."""
    return {
        "account_id": list(accounts),
        "hour": [HOUR] * len(accounts),
        "arrival_epoch": [0] * len(accounts),
        "version": [1] * len(accounts),
        "requests": [requests] * len(accounts),
        "models": [[1, 2**64 - 1]] * len(accounts),
    }


def test_rows_are_there_when_insert_returns(bench: Bench) -> None:
    """What insert accepted can be read at once."""
    bench.sink.insert("account_rollups", rollups(["a", "b"], 7), "t:0:0-1")
    assert bench.accounts() == [("a", 7), ("b", 7)]


def test_a_repeated_token_changes_nothing(bench: Bench) -> None:
    """The same token again is dropped, whatever rows come with it: they are taken to be the same."""
    bench.sink.insert("account_rollups", rollups(["a"]), "t:0:0-0")
    bench.sink.insert("account_rollups", rollups(["b"]), "t:0:0-0")
    assert bench.accounts() == [("a", 1)]


def test_another_token_adds(bench: Bench) -> None:
    """Equal rows under different tokens are not mistaken for a repeat, other rows are added."""
    bench.sink.insert("account_rollups", rollups(["a"]), "t:0:0-0")
    bench.sink.insert("account_rollups", rollups(["b"]), "t:0:1-1")
    assert bench.accounts() == [("a", 1), ("b", 1)]


def test_a_token_belongs_to_a_table(bench: Bench) -> None:
    """One token in two tables is two inserts."""
    letter: dict[str, list[object]] = {"source_topic": ["r"], "source_partition": [0], "source_offset": [1], "reason": ["empty"]}
    bench.sink.insert("dead_letters", letter, "t:0:0-0")
    bench.sink.insert("account_rollups", rollups(["a"]), "t:0:0-0")
    assert bench.accounts() == [("a", 1)]


def test_a_large_insert_is_one_block(bench: Bench) -> None:
    """All rows of an insert of many megabytes land under its token; several blocks would lose all but the first."""
    accounts = [f"account-{i:06d}-{'x' * 200}" for i in range(30_000)]
    for _ in range(2):
        bench.sink.insert("account_rollups", rollups(accounts), "t:0:0-29999")
    assert len(bench.accounts()) == 30_000


def test_no_rows_is_no_call(bench: Bench) -> None:
    """An insert of nothing succeeds, even into nowhere."""
    bench.sink.insert("account_rollups", rollups([]), "t")
    bench.sink.insert("nowhere", {}, "t")
    assert bench.accounts() == []


def test_an_unknown_table_is_refused_with_the_next_step(bench: Bench) -> None:
    """A missing schema is not worth a retry, and the error says what to run."""
    with pytest.raises(QueryError, match="stillwatch init") as caught:
        bench.sink.insert("nowhere", rollups(["a"]), "t")
    assert not caught.value.retriable


@pytest.mark.parametrize(
    "columns",
    [{"account_id": ["a"], "no_such_column": [1]}, {"account_id": ["a", "b"], "requests": [1]}],
    ids=["unknown-column", "ragged"],
)
def test_rows_that_do_not_fit_are_refused(bench: Bench, columns: dict[str, list[object]]) -> None:
    """A wrong shape is our mistake: refused, nothing written."""
    with pytest.raises(DependencyError):
        bench.sink.insert("account_rollups", columns, "t")
    assert bench.accounts() == []


def test_down_is_retriable_and_the_repeat_lands_once(mortal_bench: Bench) -> None:
    """While the server is away inserts fail as unavailable; the same call succeeds when it is back, and counts once."""
    mortal_bench.sink.insert("account_rollups", rollups(["a"]), "t:0:0-0")
    mortal_bench.stop()
    with pytest.raises(UnavailableError) as caught:
        mortal_bench.sink.insert("account_rollups", rollups(["b"]), "t:0:1-1")
    assert caught.value.retriable
    mortal_bench.start()
    for _ in range(2):
        mortal_bench.sink.insert("account_rollups", rollups(["b"]), "t:0:1-1")
    assert mortal_bench.accounts() == [("a", 1), ("b", 1)]


@pytest.mark.parametrize("bad", [-1, 2**40, "many"], ids=["negative", "too-large", "text"])
def test_values_that_do_not_fit_a_column_are_refused(clickhouse: EmbeddedClickHouse, unique: str, bad: object) -> None:
    """The client's own serialiser errors leave as ours, without the value."""
    for bench in _real(clickhouse, unique):
        columns: dict[str, list[object]] = {**rollups(["a"]), "frames_partition": [bad]}
        with pytest.raises(DependencyError, match="do not fit") as caught:
            bench.sink.insert("account_rollups", columns, "t")
        assert str(bad) not in caught.value.message


def test_rows_of_many_months_come_in_one_insert(clickhouse: EmbeddedClickHouse, unique: str) -> None:
    """Late events may touch more months than ClickHouse's default of 100 partitions per insert."""
    for bench in _real(clickhouse, unique):
        months = 150
        columns: dict[str, list[object]] = {**rollups(["a"] * months), "hour": [HOUR + m * 31 * 86_400 for m in range(months)]}
        bench.sink.insert("account_rollups", columns, "t")
        assert len(bench.accounts()) == months


def test_a_wrong_password_is_refused_and_never_shown(clickhouse: EmbeddedClickHouse, unique: str) -> None:
    """Credentials that are refused are no outage, and the error does not repeat them."""
    settings = Settings(prefix=unique, clickhouse={"host": clickhouse.host, "port": clickhouse.port, "password": "hunter2-hunter2"})
    sink = ClickHouseSink(settings)
    with pytest.raises(DependencyError) as caught:
        sink.insert("account_rollups", rollups(["a"]), "t")
    assert "hunter2" not in str(caught.value)
    assert not caught.value.retriable
