"""Reading a partition from its beginning to its end as it is now. Reads only: nothing is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.ports.broker import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.ports.broker import Broker, Message, TopicPartition

BATCH = 200
WAIT_S = 0.2


class Stored(NamedTuple):
    """One record of the log."""

    message: Message
    end: int
    """Next offset to be written, as far as the broker told; −1: unknown."""


def stored(broker: Broker, group: str, where: TopicPartition) -> Iterator[Stored]:
    """Every record of a partition, in order.

    Args:
        broker: the cluster.
        group: what the cluster's own logs call the reader.
        where: the partition.

    Raises:
        UnavailableError, DependencyError: the cluster does not answer, or refuses.
    """
    consumer = broker.consumer(group, report_ends=True)
    try:
        consumer.assign({where: BEGINNING})
        while True:
            ended = where in consumer.take_ended()
            for message in consumer.read(BATCH, WAIT_S):
                yield Stored(message, consumer.known_end(where))
                ended = False
            if ended:
                return
    finally:
        consumer.close()
