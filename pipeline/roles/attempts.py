"""Webhook attempts on their way into ClickHouse: handed over by the endpoints' threads, written by deliver's main loop.

Best effort, never silent: each attempt is also a log line and a metric; what does not fit while ClickHouse is away is
counted in a log line; what a killed worker had not written yet is lost.
"""

from __future__ import annotations

import threading
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import UnavailableError
from pipeline.ports import metrics
from pipeline.ports.logs import get_logger

if TYPE_CHECKING:
    from pipeline.ports.clickhouse import Sink

_LOG = get_logger(__name__)
TABLE = "webhook_attempts"
MAX_ROWS = 10_000
"""Attempts kept while ClickHouse is away; a few megabytes."""


class AttemptRow(NamedTuple):
    """One row of the table `webhook_attempts`; field names are its columns."""

    endpoint: str
    alert_id: str
    revision: int
    attempt: int
    attempted_at: int
    outcome: str
    status: int
    error: str
    duration_ms: float


class AttemptLog:
    """Thread-safe buffer of attempts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[AttemptRow] = []

    def add(self, row: AttemptRow) -> None:
        """Take one attempt; when full the oldest goes, and the log says so."""
        with self._lock:
            self._rows.append(row)
            dropped = self._rows.pop(0) if len(self._rows) > MAX_ROWS else None
        if dropped is not None:
            _LOG.warning("webhook.attempt_not_recorded", endpoint=dropped.endpoint, reason="ClickHouse is away and the buffer is full")

    def flush(self, sink: Sink) -> bool:
        """Write what there is; False when ClickHouse does not take it now (it is kept).

        Raises:
            DependencyError: ClickHouse refuses the rows.
        """
        with self._lock:
            rows, self._rows = self._rows, []
        if not rows:
            return True
        columns = {name: [row[i] for row in rows] for i, name in enumerate(AttemptRow._fields)}
        try:
            sink.insert(TABLE, columns, f"attempts:{blake2b(repr(rows).encode(), digest_size=16).hexdigest()}")
        except UnavailableError:
            with self._lock:
                self._rows = (rows + self._rows)[-MAX_ROWS:]
            return False
        metrics.count("stillwatch_rows_total", len(rows), table=TABLE)
        return True
