"""A ClickHouse sink in memory: the same contract as `ports.clickhouse.ClickHouseSink`, with an outage on request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pipeline.base.errors import DependencyError, UnavailableError
from pipeline.ports.clickhouse import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MemorySink:
    """The sink's twin: tables in memory, tokens remembered, an outage at will. For tests and the backtest; thread-safe."""

    def __init__(self, tables: Mapping[str, Sequence[str]]) -> None:
        self._columns = {table: frozenset(columns) for table, columns in tables.items()}
        self._lock = threading.Lock()
        self._tokens: dict[str, dict[str, None]] = {table: {} for table in tables}
        self.rows: dict[str, list[dict[str, object]]] = {table: [] for table in tables}
        self.down = False

    def insert(self, table: str, columns: Mapping[str, Sequence[object]], token: str) -> None:
        """See `Sink.insert`."""
        length = len(next(iter(columns.values()), ()))
        if length == 0:
            return
        if any(len(column) != length for column in columns.values()):
            raise DependencyError("columns of one insert have different lengths", location=table)
        with self._lock:
            if self.down:
                raise UnavailableError("ClickHouse does not answer: switched off", location=table)
            if table not in self._columns:
                raise QueryError(f"unknown table {table}", code=60, location=table, next_step="run `stillwatch init`")
            if unknown := set(columns) - self._columns[table]:
                raise QueryError(f"unknown columns {sorted(unknown)}", code=16, location=table, next_step="run `stillwatch init`")
            tokens = self._tokens[table]
            if token in tokens:
                return
            tokens[token] = None
            if len(tokens) > 1_000:
                del tokens[next(iter(tokens))]
            self.rows[table] += [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def close(self) -> None:
        """Nothing to let go."""
