"""What the roles ask of a broker: the protocol that `ports.kafka` speaks for real and `ports.memory` in tests.

Offsets are inclusive positions of records; a *commit* and a *start* name the next record to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BEGINNING = -2
"""Start at the oldest record there is."""


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Committed(NamedTuple):
    """What a group committed for one partition: the next offset to read, and the note written beside it."""

    offset: int
    note: str


class TopicInfo(NamedTuple):
    """A topic as the cluster describes it. `topic_id` changes when the topic is deleted and made again (KIP-516)."""

    name: str
    topic_id: str
    partitions: int
    replication_factor: int


class Message(Protocol):
    """One record. The methods are librdkafka's, so that a batch of them costs nothing to hand over."""

    def topic(self) -> str | None:
        """Name of the topic."""
        ...

    def partition(self) -> int | None:
        """Partition in the topic."""
        ...

    def offset(self) -> int | None:
        """Offset in the partition."""
        ...

    def key(self) -> bytes | None:
        """Key, or None."""
        ...

    def value(self) -> bytes | None:
        """Value; None for a tombstone."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """(type, ms); type 0 means the record has none."""
        ...


class Producer(Protocol):
    """Writes records, in order per partition, acknowledged by all replicas; one failure ends it for good."""

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
        """Queue one record; `on_ack(partition, offset)` runs inside a later `poll` or `flush`.

        Not promised: that it was written. Only `on_ack` and a `flush` that returns say so.

        Raises:
            UnavailableError: an earlier record was not delivered, or the queue stays full.
            DependencyError: an earlier record was refused.
        """
        ...

    def poll(self, timeout_s: float = 0.0) -> None:
        """Run the acknowledgements that arrived; raises as `send` once a record has failed."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Wait until every record sent is acknowledged.

        Raises:
            UnavailableError: not all were within `timeout_s`, or one failed.
            DependencyError: one was refused.
        """
        ...

    def outstanding(self) -> int:
        """Records sent and not yet acknowledged."""
        ...

    def abandon(self) -> None:
        """Forget what is queued and close. Records in flight may still be written."""
        ...


class Consumer(Protocol):
    """Reads records; never commits by itself."""

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Callable[[list[TopicPartition]], Mapping[TopicPartition, int]],
        on_revoke: Callable[[list[TopicPartition], bool], None],
    ) -> None:
        """Join the group. Both callbacks run inside `read` and `close`.

        Args:
            topics: what to read.
            on_assign: given the new partitions, returns where to start each (an offset or `BEGINNING`).
            on_revoke: given the partitions that go away and whether they are already lost (then a commit is refused).
        """
        ...

    def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read exactly these partitions from these offsets, without a group."""
        ...

    def read(self, max_records: int, timeout_s: float) -> list[Message]:
        """Up to `max_records` records, after at most `timeout_s`; an empty list when nothing came.

        Raises:
            UnavailableError: the client is broken beyond its own repair.
            DependencyError: the broker refuses us: credentials, rights, a missing topic.
        """
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on reading an assigned partition elsewhere."""
        ...

    def take_out_of_range(self) -> list[TopicPartition]:
        """Partitions whose next offset is not in the log; they stand still until `seek`. Empties the list."""
        ...

    def take_ended(self) -> dict[TopicPartition, int]:
        """Partitions read to their end since the last call and not beyond, with their next offset (if asked for)."""
        ...

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Commits of the group; a partition without one is absent.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...

    def low_watermark(self, partition: TopicPartition) -> int:
        """Oldest offset still there.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...

    def known_end(self, partition: TopicPartition) -> int:
        """End of the partition (next offset to be written) as of the last fetch; −1 when nothing was fetched yet."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, int], note: str = "") -> bool:
        """Commit the next offset to read per partition and wait for the answer.

        Returns:
            False when the group refused it: the partitions belong to someone else by now.

        Raises:
            UnavailableError: the broker does not answer.
        """
        ...

    def down_reason(self) -> str:
        """Why the cluster is out of reach right now, or empty."""
        ...

    def close(self) -> None:
        """Leave the group. Runs `on_revoke` for what is still assigned."""
        ...


class Broker(Protocol):
    """A cluster: makes clients, describes topics."""

    def consumer(self, group: str, *, report_ends: bool = False) -> Consumer:
        """A consumer of a group; with `report_ends`, `take_ended` tells which partitions were read to their end."""
        ...

    def producer(self) -> Producer:
        """A fresh producer."""
        ...

    def topic(self, name: str) -> TopicInfo | None:
        """Describe one topic; None when it does not exist.

        Raises:
            UnavailableError: the cluster does not answer.
        """
        ...
