"""A broker in memory: the same protocol as `ports.kafka`, for backtests and tests, with failures on request.

One thread, no clock: a record without a timestamp has none. Group members rebalance inside their next `read`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import DependencyError, UnavailableError
from pipeline.base.hashing import hash_texts, partition_of
from pipeline.ports.broker import BEGINNING, Committed, TopicInfo, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipeline.ports.broker import Message

_NO_TIMESTAMP = 0
_CREATE_TIME = 1


class MemoryMessage(NamedTuple):
    """A record; see `ports.broker.Message`."""

    where: TopicPartition
    at: int
    content_key: bytes | None
    content: bytes | None
    timestamp_ms: int | None

    def topic(self) -> str:
        """Name of the topic."""
        return self.where.topic

    def partition(self) -> int:
        """Partition in the topic."""
        return self.where.partition

    def offset(self) -> int:
        """Offset in the partition."""
        return self.at

    def key(self) -> bytes | None:
        """Key, or None."""
        return self.content_key

    def value(self) -> bytes | None:
        """Value, or None."""
        return self.content

    def timestamp(self) -> tuple[int, int]:
        """(type, ms)."""
        return (_NO_TIMESTAMP, 0) if self.timestamp_ms is None else (_CREATE_TIME, self.timestamp_ms)


class _Log:
    def __init__(self) -> None:
        self.low = 0
        self.records: list[MemoryMessage] = []  # from `low` on

    @property
    def end(self) -> int:
        return self.low + len(self.records)


class MemoryProducer:
    """See `ports.broker.Producer`. Records are written when polled or flushed, as a real one writes them later."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._queue: deque[tuple[TopicPartition, bytes | None, bytes | None, int | None, Callable[[int, int], None] | None]] = deque()
        self._failure: UnavailableError | None = None

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_ack: Callable[[int, int], None] | None = None,
    ) -> None:
        """See `ports.broker.Producer.send`."""
        self._check()
        count = self._broker.partitions(topic)
        if partition is None:
            hashed = hash_texts([(key or b"").decode("latin-1")])
            partition = int(partition_of(hashed, count)[0])
        if not 0 <= partition < count:
            raise DependencyError(f"{topic} has no partition {partition}")
        self._queue.append((TopicPartition(topic, partition), key, value, timestamp_ms, on_ack))

    def poll(self, timeout_s: float = 0.0) -> None:  # noqa: ARG002 - nothing to wait for in memory
        """See `ports.broker.Producer.poll`."""
        while self._queue and not self._broker.down:
            where, key, value, timestamp_ms, on_ack = self._queue.popleft()
            if self._broker.refuse_deliveries > 0:
                self._broker.refuse_deliveries -= 1
                self._failure = self._failure or UnavailableError(f"record for {where.topic}[{where.partition}] not delivered")
                continue  # what is queued behind it is written all the same, as a real broker may do
            offset = self._broker.append(where, key, value, timestamp_ms)
            if on_ack is not None and self._failure is None:
                on_ack(where.partition, offset)
        self._check()

    def flush(self, timeout_s: float) -> None:
        """See `ports.broker.Producer.flush`."""
        self.poll()
        if self._queue:
            raise UnavailableError(f"{len(self._queue)} records not acknowledged within {timeout_s:g} s")

    def outstanding(self) -> int:
        """See `ports.broker.Producer.outstanding`."""
        return len(self._queue)

    def abandon(self) -> None:
        """See `ports.broker.Producer.abandon`."""
        self._queue.clear()
        self._failure = self._failure or UnavailableError("this producer was abandoned")

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


class MemoryConsumer:
    """See `ports.broker.Consumer`."""

    def __init__(self, broker: MemoryBroker, group: str, *, report_ends: bool) -> None:
        self._broker = broker
        self._group = group
        self._report_ends = report_ends
        self._next: dict[TopicPartition, int] = {}
        self._told: set[TopicPartition] = set()
        self._out_of_range: list[TopicPartition] = []
        self._ended: dict[TopicPartition, int] = {}
        self._on_assign: Callable[[list[TopicPartition]], Mapping[TopicPartition, int]] | None = None
        self._on_revoke: Callable[[list[TopicPartition], bool], None] | None = None
        self.topics: tuple[str, ...] = ()

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Callable[[list[TopicPartition]], Mapping[TopicPartition, int]],
        on_revoke: Callable[[list[TopicPartition], bool], None],
    ) -> None:
        """See `ports.broker.Consumer.subscribe`."""
        self.topics, self._on_assign, self._on_revoke = tuple(topics), on_assign, on_revoke
        self._broker.join(self._group, self)

    def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """See `ports.broker.Consumer.assign`."""
        self._next = {tp: self._broker.log(tp).low if offset == BEGINNING else offset for tp, offset in starts.items()}
        self._told.clear()

    def read(self, max_records: int, timeout_s: float) -> list[Message]:  # noqa: ARG002 - nothing to wait for
        """See `ports.broker.Consumer.read`."""
        if self._broker.down:
            return []
        if self._on_assign is not None:
            self._rebalance(self._broker.share(self._group, self))
        batch: list[Message] = []
        for tp in sorted(self._next):
            log, at = self._broker.log(tp), self._next[tp]
            if not log.low <= at <= log.end:
                if tp not in self._out_of_range:
                    self._out_of_range.append(tp)
                continue
            taken = log.records[at - log.low : at - log.low + max_records - len(batch)]
            batch += taken
            self._next[tp] = at + len(taken)
            if taken:
                self._told.discard(tp)
                self._ended.pop(tp, None)
            elif self._report_ends and len(batch) < max_records and tp not in self._told:
                self._told.add(tp)
                self._ended[tp] = at
        return batch

    def _rebalance(self, mine: set[TopicPartition]) -> None:
        gone, new = sorted(set(self._next) - mine), sorted(mine - set(self._next))
        if gone and self._on_revoke is not None:
            self._on_revoke(gone, False)
            for tp in gone:
                del self._next[tp]
        if new and self._on_assign is not None:
            for tp, offset in self._on_assign(new).items():
                self._next[tp] = self._broker.log(tp).low if offset == BEGINNING else offset

    def holds(self) -> set[TopicPartition]:
        """Partitions assigned to this consumer."""
        return set(self._next)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """See `ports.broker.Consumer.seek`."""
        self._next[partition] = offset
        self._told.discard(partition)
        self._ended.pop(partition, None)

    def take_out_of_range(self) -> list[TopicPartition]:
        """See `ports.broker.Consumer.take_out_of_range`."""
        taken, self._out_of_range = self._out_of_range, []
        return taken

    def take_ended(self) -> dict[TopicPartition, int]:
        """See `ports.broker.Consumer.take_ended`."""
        taken, self._ended = self._ended, {}
        return taken

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Committed]:
        """See `ports.broker.Consumer.committed`."""
        self._broker.require_up()
        commits = self._broker.commits.setdefault(self._group, {})
        return {tp: commits[tp] for tp in partitions if tp in commits}

    def low_watermark(self, partition: TopicPartition) -> int:
        """See `ports.broker.Consumer.low_watermark`."""
        self._broker.require_up()
        return self._broker.log(partition).low

    def known_end(self, partition: TopicPartition) -> int:
        """See `ports.broker.Consumer.known_end`."""
        return self._broker.log(partition).end

    def commit(self, offsets: Mapping[TopicPartition, int], note: str = "") -> bool:
        """See `ports.broker.Consumer.commit`."""
        self._broker.require_up()
        if self._on_assign is not None and not set(offsets) <= set(self._next):
            return False
        self._broker.commits.setdefault(self._group, {}).update({tp: Committed(offset, note) for tp, offset in offsets.items()})
        return True

    def down_reason(self) -> str:
        """See `ports.broker.Consumer.down_reason`."""
        return "the memory broker is down" if self._broker.down else ""

    def close(self) -> None:
        """See `ports.broker.Consumer.close`."""
        if self._on_assign is not None and not self._broker.down:
            self._rebalance(set())
        self._broker.leave(self._group, self)


class MemoryBroker:
    """See `ports.broker.Broker`.

    Attributes:
        down: nothing is read, written or answered while True.
        refuse_deliveries: the next so many records are refused; what is queued behind them is written.
        commits: by group, what was committed.
    """

    def __init__(self, topics: Mapping[str, int]) -> None:
        self._logs = {name: [_Log() for _ in range(count)] for name, count in topics.items()}
        self._incarnation = dict.fromkeys(topics, 1)
        self._members: dict[str, list[MemoryConsumer]] = {}
        self.commits: dict[str, dict[TopicPartition, Committed]] = {}
        self.down = False
        self.refuse_deliveries = 0

    def consumer(self, group: str, *, report_ends: bool = False) -> MemoryConsumer:
        """See `ports.broker.Broker.consumer`."""
        return MemoryConsumer(self, group, report_ends=report_ends)

    def producer(self) -> MemoryProducer:
        """See `ports.broker.Broker.producer`."""
        return MemoryProducer(self)

    def topic(self, name: str) -> TopicInfo | None:
        """See `ports.broker.Broker.topic`."""
        self.require_up()
        if name not in self._logs:
            return None
        return TopicInfo(name, f"{name}#{self._incarnation[name]}", len(self._logs[name]), 1)

    def recreate(self, name: str) -> None:
        """Delete a topic and make it again: empty, with another id."""
        self._logs[name] = [_Log() for _ in self._logs[name]]
        self._incarnation[name] += 1

    def retain(self, where: TopicPartition, low: int) -> None:
        """Let retention eat everything below `low`."""
        log = self.log(where)
        del log.records[: max(0, low - log.low)]
        log.low = max(low, log.low)

    def records(self, topic: str) -> list[MemoryMessage]:
        """Everything in a topic, by partition."""
        return [record for log in self._logs[topic] for record in log.records]

    # what the clients above need
    def require_up(self) -> None:
        """Raise UnavailableError while the broker is down."""
        if self.down:
            raise UnavailableError("the memory broker is down")

    def partitions(self, topic: str) -> int:
        """Partitions of a topic; DependencyError when there is none."""
        if topic not in self._logs:
            raise DependencyError(f"no topic {topic}")
        return len(self._logs[topic])

    def log(self, where: TopicPartition) -> _Log:
        """The records of one partition."""
        return self._logs[where.topic][where.partition]

    def append(self, where: TopicPartition, key: bytes | None, value: bytes | None, timestamp_ms: int | None) -> int:
        """Write one record → its offset."""
        log = self.log(where)
        log.records.append(MemoryMessage(where, log.end, key, value, timestamp_ms))
        return log.end - 1

    def join(self, group: str, member: MemoryConsumer) -> None:
        """A consumer joins a group."""
        self._members.setdefault(group, []).append(member)

    def leave(self, group: str, member: MemoryConsumer) -> None:
        """A consumer leaves its group, if it is in one."""
        members = self._members.get(group, [])
        if member in members:
            members.remove(member)

    def share(self, group: str, member: MemoryConsumer) -> set[TopicPartition]:
        """The partitions of one member: round robin in order of joining, less what another has not let go of yet."""
        members = self._members[group]
        every = [TopicPartition(topic, p) for topic in sorted(member.topics) for p in range(self.partitions(topic))]
        held = {tp for other in members if other is not member for tp in other.holds()}
        return set(every[members.index(member) :: len(members)]) - held
