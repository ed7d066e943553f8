"""The state log: model state as records of a compacted topic, one partition per frames partition.

Writing is acknowledged before it returns; reading goes to the partition's end. What a set of records means is the
book's business (`accounts.book`); this port only moves them, exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.base.errors import DivergenceError
from pipeline.ports.broker import BEGINNING, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.ports.broker import Broker, Producer

READ_BATCH = 2_000
READ_WAIT_S = 0.1
"""A read waits this long for a full batch; the end of the partition is noticed after it."""


class StateLog:
    """State records of one topic, over a broker."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker = broker
        self._topic = topic

    def read(self, partition: int, give_up: Callable[[], bool]) -> dict[bytes, bytes] | None:
        """Every live record of a partition, up to its end; None when `give_up()` said so first.

        Raises:
            DivergenceError: one key was written twice with different bytes.
            UnavailableError: the cluster does not answer.
        """
        where = TopicPartition(self._topic, partition)
        consumer = self._broker.consumer(f"{self._topic}.recovery", report_ends=True)
        live: dict[bytes, bytes] = {}
        try:
            consumer.assign({where: BEGINNING})
            while not give_up():
                for message in consumer.read(READ_BATCH, READ_WAIT_S):
                    key, value = message.key() or b"", message.value()
                    if value is None:
                        live.pop(key, None)
                    elif live.setdefault(key, value) != value:
                        raise DivergenceError(
                            f"state key {key[:80]!r} was written twice with different bytes: two workers disagree",
                            location=f"{self._topic}[{partition}]@{message.offset()}",
                            next_step="stop the workers, keep the topic, and report this: replay is not deterministic",
                        )
                if where in consumer.take_ended():
                    return live
        finally:
            consumer.close()
        return None

    def write(self, producer: Producer, parts: Iterable[tuple[int, Iterable[tuple[bytes, bytes | None]]]], timeout_s: float) -> None:
        """Append records (None: tombstone) to each partition and wait until every one is acknowledged.

        Raises:
            UnavailableError: not all were acknowledged in time, or one failed; the producer is of no use any more.
            DependencyError: one was refused.
        """
        for partition, records in parts:
            for key, value in records:
                producer.send(self._topic, value, key=key, partition=partition)
        producer.flush(timeout_s)
