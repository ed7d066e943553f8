"""ClickHouse over HTTP: the only file that imports clickhouse_connect.

`ClickHouseSink` writes (one insert is one block with a deduplication token), `Reader` reads with limits and cannot write,
`Admin` runs migrations. `ports.clickhouse_memory` is the sink's twin under the same contract tests. Errors leave as `UnavailableError`
(try again: down, slow, overloaded) or `DependencyError` (trying again will not help).
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import clickhouse_connect
import orjson
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError, Error, OperationalError
from clickhouse_connect.driver.httputil import get_pool_manager
from clickhouse_connect.driver.insert import InsertContext

from pipeline.base.errors import DependencyError, SettingsError, StillwatchError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from clickhouse_connect.datatypes.base import ClickHouseType
    from clickhouse_connect.driver.client import Client

    from pipeline.base.settings import ClickHouseSettings, Settings

CONNECT_TIMEOUT_S = 5
INSERT_TIMEOUT_S = 60
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

RETRIABLE_CODES = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED
        160,  # TOO_SLOW
        173,  # CANNOT_ALLOCATE_MEMORY
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED: the server is shutting down
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY: a replica without its keeper
        243,  # NOT_ENOUGH_SPACE: an operator frees some; waiting loses nothing
        252,  # TOO_MANY_PARTS: merges are behind
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        319,  # UNKNOWN_STATUS_OF_INSERT: the token makes the repeat safe
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        473,  # DEADLOCK_AVOIDED
        999,  # KEEPER_EXCEPTION
    }
)
"""ClickHouse error codes (src/Common/ErrorCodes.cpp) after which the same statement may succeed."""

MISSING_SCHEMA_CODES = frozenset({16, 60, 81})
"""NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_TABLE, UNKNOWN_DATABASE: `stillwatch init` has not run, or ran with an older version."""

USER_CODES = frozenset({192, 193, 194, 195, 492, 516})
"""Unknown user, wrong or missing password, address not allowed, expired access: about who asks, not what."""

COST_CODES = frozenset({159, 160, 241})
"""Too slow, too much memory: to a reader with limits it is the query, to a writer it is the server."""


class QueryError(DependencyError):
    """ClickHouse refused the statement itself: syntax, an unknown name, a limit, missing rights, an attempt to write.

    Attributes:
        code: ClickHouse's error code.
    """

    def __init__(self, message: str, *, code: int, location: str = "", next_step: str = "") -> None:
        super().__init__(message, location=location, next_step=next_step)
        self.code = code


class Sink(Protocol):
    """Where rows go. One caller at a time."""

    def insert(self, table: str, columns: Mapping[str, Sequence[object]], token: str) -> None:
        """Write rows (equally long columns) as one block, durably, before returning; no rows is no call.

        The same `token` again for the same table, among its last 1,000 inserts, changes nothing.

        Raises:
            UnavailableError: not accepted, or not known to be; repeat with the same rows and token.
            DependencyError: refused; a repeat will be refused too.
        """

    def close(self) -> None:
        """Let the connection go."""


@dataclass(frozen=True)
class Limits:
    """What one read may cost, so that a question cannot take the server down."""

    rows: int = 10_000  # more than a person reads, less than fills a terminal's memory
    seconds: int = 30
    memory_bytes: int = 2 << 30


@dataclass(frozen=True)
class Table:
    """A result: column names, their ClickHouse types, rows as JSON values (times as text, UTC)."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[list[Any]]
    truncated: bool
    """There were more rows than asked for."""

    def records(self) -> list[dict[str, Any]]:
        """Rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def check_identifier(name: str, key: str) -> str:
    """A name that may stand unquoted in SQL.

    Raises:
        SettingsError: it may not.
    """
    if not _IDENTIFIER.fullmatch(name):
        raise SettingsError(f"{key}={name!r}: letters, digits and _ only, not starting with a digit")
    return name


@contextmanager
def _mapped(location: str, *, reading: bool = False) -> Iterator[None]:
    """The vendor's errors as ours."""
    try:
        yield
    except StillwatchError:
        raise
    except (DataError, ValueError, TypeError, OverflowError) as err:  # the client's serialiser lets the latter through
        raise DependencyError(f"values do not fit the columns ({type(err).__name__})", location=location) from err
    except (ClickHouseError, OSError) as err:
        raise _translate(err, location, reading=reading) from err


def _translate(err: Exception, location: str, *, reading: bool) -> StillwatchError:
    code = err.code if isinstance(err, Error) else None
    text = _first_line(str(err))
    if code is None:
        status = re.search(r"HTTP status (\d{3})", str(err))
        if isinstance(err, OSError | OperationalError) or (status and (status[1] == "429" or status[1] >= "500")):
            return UnavailableError(f"ClickHouse does not answer: {_root_cause(err)}", location=location)
        return DependencyError(f"ClickHouse refused: {text}", location=location)
    if code in RETRIABLE_CODES and not (reading and code in COST_CODES):
        return UnavailableError(f"ClickHouse is overloaded or unwell: {text}", location=location)
    if code in USER_CODES:
        return DependencyError(f"ClickHouse refused: {text}", location=location, next_step="check the clickhouse.* settings")
    step = "run `stillwatch init`" if code in MISSING_SCHEMA_CODES and not reading else ""
    return QueryError(f"ClickHouse refused: {text}", code=code, location=location, next_step=step)


def _root_cause(err: BaseException) -> str:
    """The innermost reason of a failed call, without the request's address, which differs each time."""
    while True:
        inner = getattr(err, "reason", None) or err.__cause__
        if not isinstance(inner, BaseException):
            break
        err = inner
    return _first_line(re.sub(r"^<?HTTPS?Connection.*?>?: ", "", str(err))) or type(err).__name__


def _first_line(text: str) -> str:
    text = re.sub(r"^Received ClickHouse exception, code: \d+, server response: ", "", text)
    text = re.sub(r"(Code: \d+\. DB::Exception: )+", "", text)
    text = re.sub(r" \(for url [^)]*\)| ?\(version [^()]*(\([^()]*\))?\)", "", text)
    return " ".join(text.split())[:600]


def _connect(settings: ClickHouseSettings, database: str | None, *, reader: bool, timeout_s: int) -> Client:
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it logs values and each failed call; our callers say it better
    own_user = reader and bool(settings.readonly_username)
    password = settings.readonly_password if own_user else settings.password
    return clickhouse_connect.get_client(
        host=settings.host,
        port=settings.port,
        interface="https" if settings.secure else "http",
        username=settings.readonly_username if own_user else settings.username,
        password=password.get_secret_value() if password else "",
        database=database,
        pool_mgr=get_pool_manager(ca_cert=str(settings.ca_file) if settings.ca_file else None),  # our own: no proxy from the environment
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=timeout_s,
        query_retries=0,  # retrying is the caller's: it knows the budget and says so
        autogenerate_session_id=False,  # sessions serialise queries and break behind balancers
        client_name="stillwatch",
    )


class _Connected:
    """A client made on first use, so that a role starts while ClickHouse is down."""

    def __init__(self, settings: Settings, *, database: str | None, reader: bool, timeout_s: int) -> None:
        self._settings = settings.clickhouse
        self._database = database
        self._reader = reader
        self._timeout_s = timeout_s
        self._client: Client | None = None
        self._where = f"{self._settings.host}:{self._settings.port}"

    def _connection(self) -> Client:
        if self._client is None:
            self._client = _connect(self._settings, self._database, reader=self._reader, timeout_s=self._timeout_s)
        return self._client

    def close(self) -> None:
        """Let the connection go; the object may be used again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
            client.http.clear()  # type: ignore[attr-defined]  # the pool is ours, not the client's

    def server_version(self) -> str:
        """Version of the server.

        Raises:
            UnavailableError, DependencyError: as the tree says.
        """
        with _mapped(self._where):
            return self._connection().server_version or ""


class ClickHouseSink(_Connected):
    """The real sink: synchronous inserts in Native format."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, database=settings.database, reader=False, timeout_s=INSERT_TIMEOUT_S)
        self._types: dict[str, dict[str, ClickHouseType]] = {}

    def prepare(self, tables: Iterable[str]) -> None:
        """Connect and learn the tables' columns now, so that the first insert does not pay for it (seconds, cold).

        Raises:
            UnavailableError, DependencyError: as `insert`.
        """
        for table in tables:
            with self._mapped_to(table):
                self._context(table, (), [[]], {})

    def insert(self, table: str, columns: Mapping[str, Sequence[object]], token: str) -> None:
        """See `Sink.insert`."""
        names = tuple(columns)
        rows = len(columns[names[0]]) if names else 0
        if rows == 0:
            return
        if any(len(column) != rows for column in columns.values()):
            raise DependencyError("columns of one insert have different lengths", location=table)
        settings = {
            "insert_deduplication_token": token,
            "async_insert": 0,
            "wait_end_of_query": 1,
            "max_partitions_per_insert_block": 0,  # late events of many months may come at once
        }
        with self._mapped_to(table):
            self._connection().data_insert(self._context(table, names, list(columns.values()), settings))

    def _mapped_to(self, table: str) -> AbstractContextManager[None]:
        return _mapped(f"{self._where}/{self._database}.{table}")

    def _context(self, table: str, names: tuple[str, ...], data: list[Sequence[object]], settings: dict[str, object]) -> InsertContext:
        known = self._types.get(table)
        if known is None:
            probe = self._connection().create_insert_context(table, "*", database=self._database, column_oriented=True)
            known = self._types[table] = dict(zip(probe.column_names, probe.column_types, strict=True))
        if unknown := [name for name in names if name not in known]:
            self._types.pop(table)  # it may have been added since
            raise QueryError(f"unknown columns {unknown}", code=16, location=table, next_step="run `stillwatch init`")
        return InsertContext(
            f"`{self._database}`.`{table}`",
            names,
            [known[name] for name in names],
            data=data,
            column_oriented=True,
            block_size=max(len(data[0]), 1),  # one block: a token covers the first block of an insert only
            settings=settings,
        )


class Reader(_Connected):
    """Reads with limits; cannot write. Values are bound by the server (`{name:Type}`), never pasted."""

    def __init__(self, settings: Settings, limits: Limits = Limits()) -> None:
        super().__init__(settings, database=settings.database, reader=True, timeout_s=limits.seconds + 10)
        self.limits = limits

    def query(self, sql: str, parameters: Mapping[str, object] | None = None, *, rows: int | None = None) -> Table:
        """Run one statement and return at most `rows` rows (default: the limit).

        Raises:
            QueryError: the statement is wrong, too costly, or writes.
            UnavailableError: ClickHouse does not answer.
            DependencyError: it refuses the user.
        """
        limit = min(rows, self.limits.rows) if rows is not None else self.limits.rows
        with _mapped(f"{self._where}/{self._database}", reading=True):
            client = self._connection()
            data = client.raw_query(
                sql.strip().rstrip(";"),
                parameters=dict(parameters or {}),
                settings=self._allowed(client, limit + 1),
                fmt="JSONCompact",
            )
        parsed = orjson.loads(data)
        found = parsed["data"]
        return Table(
            columns=tuple(column["name"] for column in parsed["meta"]),
            types=tuple(column["type"] for column in parsed["meta"]),
            rows=found[:limit],
            truncated=len(found) > limit,
        )

    def _allowed(self, client: Client, rows: int) -> dict[str, object]:
        """Limits as settings; a user whose profile is read-only may not set all of them, and its profile rules then."""
        profile = client.server_settings.get("readonly")
        level = profile.value if profile else "0"
        if level == "1":
            return {}
        wanted: dict[str, object] = {
            "limit": rows,
            "max_result_rows": rows,
            "result_overflow_mode": "throw",
            "max_execution_time": self.limits.seconds,
            "max_memory_usage": self.limits.memory_bytes,
            "output_format_json_quote_64bit_integers": 0,
        }
        return wanted if level == "2" else {"readonly": 1, **wanted}


class Admin(_Connected):
    """Statements of migrations; not bound to a database, which may not exist yet."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, database=None, reader=False, timeout_s=INSERT_TIMEOUT_S)

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run one statement that returns nothing.

        Raises:
            UnavailableError, DependencyError: as the tree says.
        """
        with _mapped(self._where):
            self._connection().command(sql, parameters=dict(parameters or {}), use_database=False)

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[list[Any]]:
        """Run one SELECT, values bound by the server.

        Raises:
            UnavailableError, DependencyError: as the tree says.
        """
        with _mapped(self._where):
            data = self._connection().raw_query(
                sql,
                parameters=dict(parameters or {}),
                settings={"output_format_json_quote_64bit_integers": 0},
                fmt="JSONCompact",
                use_database=False,
            )
        rows: list[list[Any]] = orjson.loads(data)["data"]
        return rows
