"""The contract with clickhouse-connect: what deliver and the command line do with a server works here too."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.devstack.clickhouse import EmbeddedClickHouse

Client = Any  # clickhouse-connect's; it ships no types we may follow
COLUMNS = ["id", "name", "at", "tags", "share"]
AT = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
READ_AT = AT.replace(tzinfo=None)  # the client gives UTC times back without a zone
DEDUPLICATED = "non_replicated_deduplication_window = 1000"


def _client(server: EmbeddedClickHouse, database: str = "default", **options: Any) -> Client:  # noqa: ANN401 - theirs
    return clickhouse_connect.get_client(host=server.host, port=server.port, database=database, autogenerate_session_id=False, **options)


def _rows(count: int, start: int = 0) -> list[list[Any]]:
    return [[i, f"näme'\\\n{i}", AT, ["a", str(i)], i / 7] for i in range(start, start + count)]


@pytest.fixture
def client(clickhouse: EmbeddedClickHouse, unique: str) -> Iterator[Client]:
    """A client of a database of its own with one table, `events`, that drops repeated blocks."""
    root = _client(clickhouse)
    root.command(f"CREATE DATABASE {unique}")
    client = _client(clickhouse, unique)
    client.command(
        "CREATE TABLE events (id UInt64, name String, at DateTime64(3, 'UTC'), tags Array(LowCardinality(String)),"
        f" share Nullable(Float64)) ENGINE = MergeTree PARTITION BY id % 2 ORDER BY id SETTINGS {DEDUPLICATED}"
    )
    yield client
    client.close()
    root.command(f"DROP DATABASE {unique}")
    root.close()


@pytest.mark.parametrize(
    ("count", "compress"), [(1, True), (1, False), (50_000, True), (50_000, False), (20_000, "zstd"), (20_000, "gzip")]
)
def test_a_native_insert_lands_whole(
    clickhouse: EmbeddedClickHouse,
    client: Client,
    count: int,
    compress: bool | str,  # noqa: FBT001 - the client's own parameter
) -> None:
    """One row and fifty thousand, under every compression, come back as they went in."""
    writer = _client(clickhouse, client.database, compress=compress)
    summary = writer.insert("events", _rows(count), column_names=COLUMNS)
    assert summary.written_rows == count
    last = client.query("SELECT * FROM events ORDER BY id DESC LIMIT 1").result_rows
    [[number, name, _, tags, share]] = _rows(1, count - 1)
    assert last == [(number, name, READ_AT, tags, share)]
    assert client.query("SELECT count(), uniqExact(id), sum(id) FROM events").result_rows == [(count, count, count * (count - 1) // 2)]
    writer.close()


@pytest.mark.parametrize("count", [1, 50_000])
def test_a_repeated_token_adds_nothing(client: Client, count: int) -> None:
    """The same insert under the same token lands once; another token lands again."""
    for token in ("topic-0-1-9", "topic-0-1-9", "topic-0-10-19"):
        client.insert("events", _rows(count), column_names=COLUMNS, settings={"insert_deduplication_token": token})
    assert client.command("SELECT count() FROM events") == 2 * count


def _million_rows(client: Client) -> bytes:
    """3 million rows of one column in five Native blocks, each too large to be joined to its neighbour by default."""
    client.command(f"CREATE TABLE plain (n UInt64) ENGINE = MergeTree PARTITION BY n % 3 ORDER BY n SETTINGS {DEDUPLICATED}")
    block = "SELECT number + {start:UInt64} AS n FROM numbers(600000)"
    return b"".join(client.raw_query(block, {"start": i * 600_000}, fmt="Native") for i in range(5))


def test_several_blocks_under_one_token_all_land(client: Client) -> None:
    """An insert whose data comes in several large blocks is stored as one, so its token loses none of them."""
    data = _million_rows(client)
    for _ in range(2):
        client.raw_insert("plain", ["n"], data, fmt="Native", settings={"insert_deduplication_token": "t"})
        found = client.query("SELECT count(), uniqExact(n), max(n) FROM plain").result_rows
        assert found == [(3_000_000, 3_000_000, 2_999_999)]
    parts = "SELECT max(level), count() FROM system.parts WHERE database = currentDatabase() AND table = 'plain' AND active"
    assert client.query(parts).result_rows == [(0, 3)]  # never merged: one insert was one part per partition


def test_a_broken_insert_leaves_nothing(client: Client) -> None:
    """Data that breaks off after more than a million good rows is refused as a whole."""
    data = _million_rows(client)
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert("plain", ["n"], data[:-100], fmt="Native")
    assert caught.value.code == 33  # CANNOT_READ_ALL_DATA
    assert client.command("SELECT count() FROM plain") == 0


def test_values_are_bound_by_the_server(client: Client) -> None:
    """`{name:Type}` placeholders take any text, arrays, times and nulls, and never become SQL."""
    nasty = "it's \\ a\ttab\nnew line ü ; DROP TABLE events -- {x:String} $$"
    query = "SELECT {s:String}, {n:UInt8}, {a:Array(String)}, {t:DateTime64(3, 'UTC')}, {z:Nullable(String)}"
    parameters = {"s": nasty, "n": 7, "a": ["x'", "y"], "t": AT, "z": None}
    assert client.query(query, parameters=parameters).result_rows == [(nasty, 7, ["x'", "y"], READ_AT, None)]
    client.insert("events", _rows(3), column_names=COLUMNS)
    found = client.query("SELECT id FROM {t:Identifier} WHERE id >= {from:UInt64}", parameters={"t": "events", "from": 2})
    assert found.result_rows == [(2,)]


def test_long_parameters_travel_as_a_form(clickhouse: EmbeddedClickHouse, client: Client) -> None:
    """Parameters that do not fit a URL arrive in a multipart form."""
    long = "x\r\n" * 50_000
    wide = _client(clickhouse, form_encode_query_params=True)
    answer = wide.query("SELECT\nlength({s:String}),\n{s:String}", parameters={"s": long})
    assert answer.result_rows == [(150_000, long)]
    assert client.query("SELECT {x:UInt8}", parameters={"x": 1}).result_rows == [(1,)]
    wide.close()


def test_results_keep_names_types_and_counts(client: Client) -> None:
    """Column names, ClickHouse types and the summary are a server's."""
    client.insert("events", _rows(10), column_names=COLUMNS)
    answer = client.query("SELECT id, tags FROM events ORDER BY id LIMIT 2")
    assert answer.column_names == ("id", "tags")
    assert [t.name for t in answer.column_types] == ["UInt64", "Array(String)"] or [t.name for t in answer.column_types] == [
        "UInt64",
        "Array(LowCardinality(String))",
    ]
    assert answer.result_rows == [(0, ["a", "0"]), (1, ["a", "1"])]
    assert int(answer.summary["read_rows"]) == 10
    assert client.query("SELECT id, tags FROM events LIMIT 0").column_names == ("id", "tags")
    assert client.query("SELECT id FROM events WHERE 0").result_rows == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO events (id) VALUES (1)",
        "INSERT INTO events (id) SELECT 1",
        "CREATE TABLE other (a UInt8) ENGINE = Memory",
        "CREATE DATABASE other",
        "DROP TABLE events",
        "TRUNCATE TABLE events",
        "ALTER TABLE events DELETE WHERE 1",
        "RENAME TABLE events TO other",
        "OPTIMIZE TABLE events FINAL",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS readonly = 2",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')",
        "SELECT 1 INTO OUTFILE 'written'",
        "SELECT 1; DROP TABLE events",
    ],
)
def test_read_only_cannot_be_left(client: Client, statement: str) -> None:
    """Under `readonly=1` nothing is written and no setting moves, whatever the SQL says about settings."""
    client.insert("events", _rows(3), column_names=COLUMNS)
    with pytest.raises(DatabaseError) as caught:
        client.command(statement, settings={"readonly": 1, "max_execution_time": 20})
    assert caught.value.code in {164, 48, 62}  # READONLY; file access; several statements
    assert client.command("SELECT count() FROM events") == 3
    assert client.command("SELECT count() FROM events", settings={"readonly": 1}) == 3


def test_limits_hold_in_read_only(client: Client) -> None:
    """Limits sent beside `readonly` bind: rows of the result and time."""
    limits = {"readonly": 1, "max_result_rows": 10, "max_execution_time": 1}
    assert len(client.query("SELECT number FROM numbers(10)", settings=limits).result_rows) == 10
    with pytest.raises(DatabaseError) as too_many:
        client.query("SELECT number FROM numbers(11)", settings=limits)
    assert too_many.value.code == 396
    with pytest.raises(DatabaseError) as too_long:
        client.query("SELECT count() FROM numbers(1000000000000) WHERE cityHash64(number) = 1", settings=limits)
    assert too_long.value.code == 159


def test_a_setting_ends_with_its_query(client: Client) -> None:
    """Settings, `USE` and temporary state of one query are not there for the next."""
    assert client.query("SELECT getSetting('max_threads')", settings={"max_threads": 3}).result_rows == [(3,)]
    client.command("USE system")
    client.command("SET max_threads = 5")
    assert client.query("SELECT currentDatabase() != 'system', getSetting('max_threads') != 5").result_rows == [(1, 1)]


@pytest.mark.parametrize(
    ("statement", "code", "word"),
    [
        ("SELECT * FROM nowhere", 60, "nowhere"),
        ("SELECT nothing", 47, "nothing"),
        ("SELEC 1", 62, "Syntax error"),
        ("SELECT no_such_function(1)", 46, "no_such_function"),
        ("SELECT throwIf(number = 70000) FROM numbers(100000)", 395, "throwIf"),
        ("SELECT toUInt8('x')", 6, "Cannot parse"),
        ("SELECT 1; SELECT 2", 62, "Multi-statements"),
    ],
)
def test_errors_carry_clickhouses_number(client: Client, statement: str, code: int, word: str) -> None:
    """A refused query raises the client's error with the server's number and words, also late in a result."""
    with pytest.raises(DatabaseError, match=word) as caught:
        client.query(statement)
    assert caught.value.code == code


def test_an_unknown_setting_is_refused(clickhouse: EmbeddedClickHouse) -> None:
    """A setting nobody knows is an error, not a silence."""
    client = _client(clickhouse)
    with pytest.raises(DatabaseError) as caught:
        client.query("SELECT 1", settings={"no_such_setting": 1})
    assert caught.value.code == 115
    client.close()


def test_sessions_and_users_are_refused_in_words(clickhouse: EmbeddedClickHouse) -> None:
    """What the engine cannot do is said, with what to do instead."""
    client = clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port, autogenerate_session_id=True)
    with pytest.raises(DatabaseError, match=r"no sessions.*autogenerate_session_id=False"):
        client.command("SELECT 1")
    client.close()
    with pytest.raises(DatabaseError, match="one user, `default`, without a password"):
        _client(clickhouse, username="admin", password="x")  # noqa: S106 - there is no such user
    with pytest.raises(DatabaseError, match="one user"):
        _client(clickhouse, password="x")  # noqa: S106 - there is no password


def test_versions_of_a_row_collapse_as_on_a_server(client: Client) -> None:
    """The engine is ClickHouse: `ReplacingMergeTree` with FINAL keeps the highest version."""
    client.command("CREATE TABLE latest (k String, v UInt64) ENGINE = ReplacingMergeTree(v) ORDER BY k")
    for version in (1, 3, 2):
        client.insert("latest", [["a", version]], column_names=["k", "v"])
    assert client.query("SELECT k, v FROM latest FINAL").result_rows == [("a", 3)]


def test_many_clients_write_and_read_at_once(clickhouse: EmbeddedClickHouse, client: Client) -> None:
    """Concurrent inserts and queries of several clients neither fail nor lose a row."""
    problems: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            mine = _client(clickhouse, client.database)
            for i in range(8):
                token = {"insert_deduplication_token": f"{worker}-{i}"}
                for _ in range(2):
                    mine.insert("events", _rows(5, worker * 1_000 + i * 5), column_names=COLUMNS, settings=token)
                mine.query("SELECT count(), max(name) FROM events", settings={"readonly": 1})
            mine.close()
        except BaseException as err:  # noqa: BLE001 - shown by the assertion below
            problems.append(err)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert client.query("SELECT count(), uniqExact(id) FROM events").result_rows == [(160, 160)]
