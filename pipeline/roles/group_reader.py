"""A consumer group member that never loses its place: starts at the group's commits, commits what its owner has done.

What deliver's two halves share. Not thread-safe: one reader, one thread; callbacks run inside `read`, `hold` and `close`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipeline.base.errors import UnavailableError
from pipeline.ports import metrics
from pipeline.ports.broker import BEGINNING, TopicPartition
from pipeline.ports.logs import get_logger

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pipeline.ports.broker import Broker, Message
    from pipeline.roles.health import Health

_LOG = get_logger(__name__)
REPORT_EVERY_S = 1.0
HOLD_POLL_S = 1.0
"""While held, the group is spoken to this often: a member that stays silent for minutes is thrown out."""


class GroupReader:
    """Reads topics as a member of a group.

    Args:
        broker: the cluster.
        group: consumer group.
        topics: what to read.
        role: label of metrics.
        stop: ends every wait.
        health: learns about an unreachable cluster and stalled partitions.
        on_assign: called with partitions that are new here, before they are read; may raise UnavailableError to be called again.
        on_revoke: called with partitions that are someone else's now.
    """

    def __init__(
        self,
        broker: Broker,
        group: str,
        topics: Sequence[str],
        *,
        role: str,
        stop: threading.Event,
        health: Health,
        on_assign: Callable[[list[TopicPartition]], None],
        on_revoke: Callable[[list[TopicPartition]], None],
    ) -> None:
        self._role = role
        self._stop = stop
        self._health = health
        self._on_assign = on_assign
        self._on_revoke = on_revoke
        self._next: dict[TopicPartition, int] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._reported_at = 0.0
        self._consumer = broker.consumer(group)
        self._consumer.subscribe(topics, self._assigned, self._revoked)

    def read(self, max_records: int, timeout_s: float) -> dict[TopicPartition, list[Message]]:
        """Up to `max_records` records, by partition: as soon as there is one, with all that have arrived by then.

        Raises:
            UnavailableError, DependencyError: the client is beyond repair, or refused.
        """
        messages = self._consumer.read(1, timeout_s)
        if messages and max_records > 1:
            messages = [*messages, *self._consumer.read(max_records - 1, 0.0)]
        taken: dict[TopicPartition, list[Message]] = {}
        for message in messages:
            tp = _where(message)
            if tp in self._next:
                taken.setdefault(tp, []).append(message)
        for tp, records in taken.items():
            self._next[tp] = (records[-1].offset() or 0) + 1
            metrics.count("stillwatch_records_total", len(records), role=self._role, topic=tp.topic)
        self._look_after()
        return taken

    def hold(self, timeout_s: float) -> None:
        """Read nothing for a while, and stay a member of the group."""
        self._stop.wait(min(timeout_s, HOLD_POLL_S))
        for message in self._consumer.read(1, 0.0):  # there is no way to be heard without reading: put it back
            if _where(message) in self._next:
                self._consumer.seek(_where(message), message.offset() or 0)
        self._look_after(held=True)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the next offset to read; when the cluster is away or the group is rebalancing, keep it for later.

        Not promised: that it was committed. What was not will be read again, by us or by a successor.
        """
        self._uncommitted |= {tp: offset for tp, offset in offsets.items() if tp in self._next}
        if not self._uncommitted:
            return
        try:
            accepted = self._consumer.commit(self._uncommitted)
        except UnavailableError as err:
            _LOG.warning("commit.postponed", reason=err.message)
            return
        if accepted:
            self._uncommitted = {}
        else:  # a rebalance is under way: what stays ours is committed later, what goes is forgotten when it is revoked
            _LOG.info("commit.postponed", reason="the group is rebalancing")

    def close(self) -> None:
        """Commit what was postponed and leave the group."""
        self.commit({})
        self._consumer.close()

    def _assigned(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        committed = {}
        while not self._stop.is_set():
            try:
                committed = self._consumer.committed(partitions)
                self._on_assign(partitions)
                break
            except UnavailableError as err:
                self._health.waits(f"{self._role}.assignment", err.message)
                self._stop.wait(0.5)
        self._health.holds(f"{self._role}.assignment")
        starts = {tp: committed[tp].offset if tp in committed else BEGINNING for tp in partitions}
        if not self._stop.is_set():
            self._next |= starts
        _LOG.info("partitions.assigned", reader=self._role, partitions=_names(partitions))
        return starts

    def _revoked(self, partitions: list[TopicPartition], _: bool) -> None:  # noqa: FBT001 - the port's signature
        for tp in partitions:
            self._next.pop(tp, None)
            self._uncommitted.pop(tp, None)
            self._health.watchdog.forget(self._key(tp))
            metrics.forget("stillwatch_consumer_lag", role=self._role, topic=tp.topic, partition=str(tp.partition))
        self._on_revoke(partitions)
        _LOG.info("partitions.revoked", reader=self._role, partitions=_names(partitions))

    def _key(self, tp: TopicPartition) -> str:
        return f"{self._role} {tp.topic}[{tp.partition}]"

    def _look_after(self, *, held: bool = False) -> None:
        """Lag, stalls, lost offsets, an unreachable cluster."""
        for tp in self._consumer.take_out_of_range():
            if tp in self._next:
                low = self._consumer.low_watermark(tp)
                _LOG.error(
                    "records.lost", partition=_names([tp])[0], wanted=self._next[tp], oldest=low, reason="retention, or a recreated topic"
                )
                self._consumer.seek(tp, low)
                self._next[tp] = low
        now = time.monotonic()
        if now - self._reported_at < REPORT_EVERY_S:
            return
        self._reported_at = now
        reason = self._consumer.down_reason()
        if reason:
            self._health.waits(f"{self._role}.kafka", reason)
        else:
            self._health.holds(f"{self._role}.kafka")
        if self._uncommitted and not reason:
            self.commit({})
        for tp, position in self._next.items():
            end = self._consumer.known_end(tp)
            lag = max(end - max(position, 0), 0)
            metrics.gauge("stillwatch_consumer_lag", lag, role=self._role, topic=tp.topic, partition=str(tp.partition))
            self._health.watchdog.progress(self._key(tp), position, pending=lag > 0 and not held and not reason)


def _where(message: Message) -> TopicPartition:
    return TopicPartition(message.topic() or "", message.partition() or 0)


def _names(partitions: Iterable[TopicPartition]) -> list[str]:
    return [f"{tp.topic}[{tp.partition}]" for tp in partitions]
