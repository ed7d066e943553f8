"""The one ClickHouse engine of this process (chDB), used the way a server uses it: one context per query.

Each query gets a connection of its own, so its database, settings, parameters and read-only mode end with it
(opening one costs about 0.5 ms). Queries of several threads run in parallel; the engine locks for itself.
"""

from __future__ import annotations

import importlib.util
import re
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import DependencyError
from pipeline.devstack.processes import NotInstalledError
from pipeline.devstack.statement import QueryError, Statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_Connection = Any  # chDB's; it ships no types
IN_MEMORY = ":memory:"
# What a server would do and the embedded engine does not by default: no SELECT without the word SELECT, no
# introspection. One insert is one block, so it is one part per partition: all of it lands, or nothing, and a
# deduplication token stands for all of its rows.
_SERVER_LIKE = {
    "implicit_select": "0",
    "allow_introspection_functions": "0",
    "max_insert_block_size": "1000000000",
    "min_insert_block_size_rows": "1000000000",
    "min_insert_block_size_bytes": "100000000000",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_EXCEPTION = re.compile(r"Code: (?P<code>\d+)\..*?\((?P<name>[A-Z][A-Z0-9_]+)\)(?: \(version [^)]*\))?\.?\s*$", re.DOTALL)


@dataclass(frozen=True)
class Context:
    """What a query runs under.

    Attributes:
        database: the default database; empty for `default`.
        settings: query settings by name, values as text; `readonly` among them is applied last and then binds.
        parameters: values of `{name:Type}` placeholders, in ClickHouse's escaped text form.
        format: of the result, when the statement names none.
    """

    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    format: str = "TabSeparated"


@dataclass(frozen=True)
class Result:
    """What a query gave.

    Attributes:
        body: the result in its format; empty for statements without one.
        format: that format.
        summary: counts under the names of ClickHouse's `X-ClickHouse-Summary`.
    """

    body: bytes
    format: str
    summary: dict[str, str]


def require_chdb() -> None:
    """Check, without loading it, that the engine is there.

    Raises:
        NotInstalledError: it is not.
    """
    if importlib.util.find_spec("chdb") is None:
        raise NotInstalledError("the embedded ClickHouse is not installed", next_step="pip install 'stillwatch[embedded]'")


class Engine:
    """The engine over one data folder; one per process, and one process per folder.

    Args:
        path: the data folder, or None for a temporary one that the engine removes when it closes.

    Raises:
        NotInstalledError: chDB is not there.
        DependencyError: it does not start, e.g. because another process owns the folder.
    """

    def __init__(self, path: Path | None) -> None:
        require_chdb()
        import chdb  # noqa: PLC0415 - an extra; half a gigabyte to load, only where the engine runs

        target = IN_MEMORY if path is None else str(path)
        if "?" in target:
            raise DependencyError("the data folder's name must not contain '?'", location=target)
        self._chdb = chdb
        self._target = target
        try:
            self._root = chdb.connect(target)  # keeps the engine up between queries
        except RuntimeError as err:
            raise DependencyError(
                f"the embedded ClickHouse does not start: {err}",
                location=target,
                next_step="check that no other process uses this folder",
            ) from None
        version, timezone = self.run(Statement(b"SELECT version(), timezone()", None, ""), Context()).body.split(b"\t")
        self.version = version.decode()
        self.timezone = timezone.decode().strip()

    def close(self) -> None:
        """Shut the engine down; call it when no query runs."""
        self._root.close()

    def run(self, statement: Statement, context: Context) -> Result:
        """Run one statement to its end.

        The whole result is in memory before this returns, so an error is never mixed into it.

        Raises:
            QueryError: the engine refused the statement, a setting, the database or the data.
        """
        with closing(self._chdb.connect(self._target)) as connection:
            try:
                _enter(connection, context)
                if statement.data is None:
                    return _query(connection, statement, context)
                return _insert(connection, statement)
            except RuntimeError as err:
                raise self._query_error(str(err)) from None

    def _query_error(self, text: str) -> QueryError:
        text = text[max(text.find("Code: "), 0) :].strip()  # chDB puts words of its own in front
        match = _EXCEPTION.match(text)
        code, name = (int(match["code"]), match["name"]) if match else (1002, "UNKNOWN_EXCEPTION")
        trailer = f" (version {self.version})"
        return QueryError(code, name, text if text.endswith(trailer) else text + trailer)


def _enter(connection: _Connection, context: Context) -> None:
    """Put the connection into the query's context; `readonly` last, since from then on nothing can be changed."""
    if context.database:
        connection.query(f"USE {_quoted(context.database, '`')}")
    settings = {**_SERVER_LIKE, **context.settings}
    readonly = settings.pop("readonly", "0")
    settings |= {f"param_{name}": value for name, value in context.parameters.items()}
    for name in settings:
        if not _NAME.fullmatch(name):
            raise QueryError(115, "UNKNOWN_SETTING", f"Unknown setting {name!r}")
    assignments = ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())
    connection.query(f"SET {assignments}".encode(errors="surrogateescape"))
    if readonly != "0":
        connection.query(f"SET readonly = {_quoted(readonly)}")


def _quoted(text: str, quote: str = "'") -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


def _query(connection: _Connection, statement: Statement, context: Context) -> Result:
    answer = connection.query(statement.text, context.format)
    summary = {
        "read_rows": answer.storage_rows_read(),
        "read_bytes": answer.storage_bytes_read(),
        "written_rows": answer.rows_written(),
        "written_bytes": answer.bytes_written(),
        "result_rows": answer.rows_read(),
        "result_bytes": answer.bytes_read(),
        "elapsed_ns": int(answer.elapsed() * 1e9),
    }
    return Result(answer.bytes(), statement.format or context.format, {k: str(v) for k, v in summary.items()})


def _insert(connection: _Connection, statement: Statement) -> Result:
    # The newline ends a comment that would swallow the FORMAT clause which chDB appends.
    inserter = connection.send_insert(statement.text + b"\n", statement.format)
    try:
        if statement.data:
            inserter.append(statement.data)
        written = inserter.finish()
    except BaseException:
        with suppress(Exception):
            inserter.cancel()
        raise
    rows, size = str(written.rows_written), str(written.bytes_written)
    summary = {"read_rows": rows, "read_bytes": size, "written_rows": rows, "written_bytes": size}
    return Result(b"", "", {**summary, "result_rows": rows, "result_bytes": size})
