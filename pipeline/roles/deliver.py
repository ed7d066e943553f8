"""deliver: alerts, rollups and dead letters → ClickHouse; alerts → webhooks. Kafka is the outbox.

Rows are inserted before their offsets are committed; a repeat of an insert is dropped by its token, a repeat after a crash
by the table's key. While ClickHouse is away the role waits, unready, and says for what.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from pipeline.base.errors import DependencyError, UnavailableError
from pipeline.ports import metrics
from pipeline.ports.clickhouse import Admin, ClickHouseSink
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.logs import get_logger
from pipeline.ports.migrations import schema_version
from pipeline.roles.attempts import TABLE as ATTEMPTS
from pipeline.roles.attempts import AttemptLog
from pipeline.roles.group_reader import GroupReader
from pipeline.roles.health import STARTING
from pipeline.roles.lifecycle import crash_point
from pipeline.roles.tables import FEEDS
from pipeline.roles.webhooks import EndpointWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.base.settings import Settings
    from pipeline.ports.broker import Broker, Message, TopicPartition
    from pipeline.ports.clickhouse import Sink
    from pipeline.roles.health import Health
    from pipeline.roles.tables import Columns, Feed

_LOG = get_logger(__name__)
IDLE_S = 0.25
"""Longest wait for records: bounds how late the stop signal and a lingering batch are noticed."""
RETRY_FIRST_S = 0.1
RETRY_LIMIT_S = 15.0
"""Waits before an insert is tried again: doubled from the first to the limit, with jitter, for as long as it takes."""
ATTEMPTS_EVERY_S = 0.5
"""Webhook attempts gather this long before they are written."""


def run_deliver(
    settings: Settings,
    stop: threading.Event,
    health: Health,
    *,
    broker: Broker | None = None,
    sink: Sink | None = None,
) -> None:
    """Deliver until `stop` is set, then write what was read, commit and return.

    Args:
        settings: all of them.
        stop: ends the role; set by this function too when one half of it fails.
        health: told what the role waits for.
        broker: the cluster; default: the one of the settings.
        sink: where rows go; default: the settings' ClickHouse, whose schema version is checked first.

    Raises:
        CodecError: a record of our own topics does not decode; nothing from it on is committed.
        DependencyError: ClickHouse or Kafka refuses.
        SettingsError: a webhook endpoint's settings do not allow sending.
    """
    broker = broker or KafkaBroker(settings.kafka)
    attempts = AttemptLog()
    workers = [EndpointWorker(settings, endpoint, broker, attempts, health, stop) for endpoint in settings.deliver.webhooks]
    sink = sink or _connect(settings, stop, health)
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as err:  # noqa: BLE001 - carried to the main thread, which raises it
            failures.append(err)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(worker.run,), name=f"webhook-{worker.name}") for worker in workers]
    for thread in threads:
        thread.start()
    guarded(_Deliverer(settings, broker, sink, health, stop, attempts).run)
    for thread in threads:
        thread.join()
    guarded(lambda: _last_attempts(attempts, sink))
    sink.close()
    if failures:
        raise failures[0]


def _connect(settings: Settings, stop: threading.Event, health: Health) -> Sink:
    """Wait until ClickHouse answers, and refuse to start on a schema that is too old."""
    admin, sink = Admin(settings), ClickHouseSink(settings)
    wait_s = RETRY_FIRST_S
    while not stop.is_set():
        try:
            status = schema_version(admin, settings)
            if status.applied < status.expected:
                raise DependencyError(
                    f"database {settings.database} has schema version {status.applied}, this program needs {status.expected}",
                    location="ClickHouse",
                    next_step="run `stillwatch init`",
                )
            sink.prepare([*(feed.table for feed in FEEDS), ATTEMPTS])
        except UnavailableError as err:
            health.waits("clickhouse", err.message)
            stop.wait(wait_s)
            wait_s = min(2 * wait_s, RETRY_LIMIT_S)
        else:
            health.holds("clickhouse")
            break
    admin.close()
    return sink


def _last_attempts(attempts: AttemptLog, sink: Sink) -> None:
    if not attempts.flush(sink):
        _LOG.warning("webhook.attempts_not_recorded", reason="ClickHouse does not answer and the role is stopping")


@dataclass
class _Batch:
    """One insert: frozen, so that a repeat is the same block under the same token."""

    feed: Feed
    taken: dict[TopicPartition, list[Message]]
    columns: Columns
    token: str
    rows: int
    tries: int = 0
    next_try: float = 0.0


class _Buffer:
    """Rows of one feed that wait to be inserted, by partition in order."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.waiting: dict[TopicPartition, list[Message]] = {}
        self.since = 0.0

    @property
    def rows(self) -> int:
        return sum(len(messages) for messages in self.waiting.values())

    def add(self, tp: TopicPartition, messages: list[Message], now: float) -> None:
        if not self.waiting:
            self.since = now
        self.waiting.setdefault(tp, []).extend(messages)

    def take(self, limit: int) -> dict[TopicPartition, list[Message]]:
        """The oldest rows of each partition, at most `limit`; they stay until `done`."""
        taken: dict[TopicPartition, list[Message]] = {}
        for tp, messages in self.waiting.items():
            if limit <= 0:
                break
            taken[tp] = messages[:limit]
            limit -= len(taken[tp])
        return taken

    def done(self, taken: dict[TopicPartition, list[Message]]) -> None:
        for tp, messages in taken.items():
            rest = self.waiting.get(tp, [])[len(messages) :]
            if rest:
                self.waiting[tp] = rest
            else:
                self.waiting.pop(tp, None)


class _Deliverer:
    """The ClickHouse half: one thread, one consumer, one insert at a time."""

    def __init__(self, settings: Settings, broker: Broker, sink: Sink, health: Health, stop: threading.Event, attempts: AttemptLog) -> None:
        self._limits = settings.deliver
        self._broker = broker
        self._group = settings.group("deliver")
        self._sink = sink
        self._health = health
        self._stop = stop
        self._attempts = attempts
        self._attempts_at = 0.0
        self._buffers = {settings.topic(feed.topic): _Buffer(feed) for feed in FEEDS}
        self._batch: _Batch | None = None
        self._rng = random.Random()

    def run(self) -> None:
        """Read, insert, commit, until told to stop; then write what was read."""
        reader = GroupReader(
            self._broker,
            self._group,
            list(self._buffers),
            role="deliver",
            stop=self._stop,
            health=self._health,
            on_assign=lambda _: None,
            on_revoke=self._revoked,
        )
        self._health.holds(STARTING)
        try:
            while not self._stop.is_set():
                self.step(reader)
            self._drain(reader)
        finally:
            reader.close()

    def step(self, reader: GroupReader) -> None:
        """One turn: repeat a refused insert when its time has come, else read and insert what is due."""
        if self._batch is not None:
            wait_s = self._batch.next_try - time.monotonic()
            if wait_s > 0:
                reader.hold(wait_s)
            elif not self._insert(reader):
                return
        else:
            for tp, messages in reader.read(self._limits.batch_rows, self._wait_s()).items():
                self._buffers[tp.topic].add(tp, messages, time.monotonic())
        self._write_attempts()
        while self._batch is None and self._next_batch(time.monotonic()):
            self._insert(reader)

    def _wait_s(self) -> float:
        now = time.monotonic()
        linger_s = self._limits.linger_ms / 1_000
        return max(min([IDLE_S, *(b.since + linger_s - now for b in self._buffers.values() if b.waiting)]), 0.0)

    def _next_batch(self, now: float, *, draining: bool = False) -> bool:
        """Freeze the next batch that is due; False when none is."""
        for buffer in self._buffers.values():  # in the order of FEEDS: alerts first
            lingered = now - buffer.since >= self._limits.linger_ms / 1_000
            if buffer.waiting and (draining or buffer.feed.urgent or lingered or buffer.rows >= self._limits.batch_rows):
                taken = buffer.take(self._limits.batch_rows)
                messages = [message for part in taken.values() for message in part]
                self._batch = _Batch(buffer.feed, taken, buffer.feed.convert(messages), _token(taken), len(messages))
                return True
        return False

    def _insert(self, reader: GroupReader) -> bool:
        """Try the frozen batch once. On success its offsets are committed; else its next try is set."""
        batch = self._batch
        if batch is None:
            return True
        table = batch.feed.table
        try:
            self._sink.insert(table, batch.columns, batch.token)
        except UnavailableError as err:
            batch.tries += 1
            wait_s = min(RETRY_FIRST_S * 2 ** min(batch.tries, 20), RETRY_LIMIT_S) * self._rng.uniform(0.5, 1.0)
            batch.next_try = time.monotonic() + max(wait_s, min(err.retry_after_s or 0.0, RETRY_LIMIT_S))
            metrics.count("stillwatch_insert_retries_total", table=table)
            self._health.waits("clickhouse", err.message)
            return False
        self._health.holds("clickhouse")
        crash_point("deliver:after-insert")
        metrics.count("stillwatch_rows_total", batch.rows, table=table)
        for buffer in self._buffers.values():
            if buffer.feed is batch.feed:
                buffer.done(batch.taken)
        self._batch = None
        reader.commit({tp: (messages[-1].offset() or 0) + 1 for tp, messages in batch.taken.items()})
        return True

    def _revoked(self, partitions: list[TopicPartition]) -> None:
        """Forget rows of partitions that are someone else's now: they were not committed and will be read again there."""
        for buffer in self._buffers.values():
            for tp in partitions:
                buffer.waiting.pop(tp, None)
        if self._batch is not None and any(tp in self._batch.taken for tp in partitions):
            self._batch = None  # what is still ours of it is in the buffers and makes a new batch

    def _write_attempts(self) -> None:
        now = time.monotonic()
        if self._batch is None and now - self._attempts_at >= ATTEMPTS_EVERY_S:
            self._attempts_at = now
            self._attempts.flush(self._sink)

    def _drain(self, reader: GroupReader) -> None:
        """Give every batch one more try; what ClickHouse does not take now stays uncommitted in Kafka."""
        while self._batch is not None or self._next_batch(time.monotonic(), draining=True):
            if not self._insert(reader):
                _LOG.warning("deliver.left_in_kafka", rows=sum(b.rows for b in self._buffers.values()))
                return


def _token(taken: dict[TopicPartition, list[Message]]) -> str:
    """Names the block: topic, partitions, offset ranges, and a digest of the content.

    The digest is for a topic that was deleted and made again: its offsets start over, and the same ranges would be
    taken for a repeat.
    """
    digest = blake2b(digest_size=16)
    ranges = []
    for tp, messages in taken.items():
        ranges.append(f"{tp.partition}:{messages[0].offset()}-{messages[-1].offset()}")
        for message in messages:
            digest.update(message.value() or b"")
    return f"{next(iter(taken)).topic}:{','.join(ranges)}:{digest.hexdigest()}"
