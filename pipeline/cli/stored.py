"""Topics of ours as verbs read them: a partition from its beginning to its end as it is now. Nothing is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.base.errors import DependencyError
from pipeline.ports.broker import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.base.settings import Settings
    from pipeline.ports.broker import Broker, Message, TopicInfo, TopicPartition

BATCH = 200
WAIT_S = 0.2


class Stored(NamedTuple):
    """One record of the log."""

    message: Message
    end: int
    """Next offset to be written, as far as the broker told; −1: unknown."""


def own_topic(settings: Settings, broker: Broker, name: Literal["frames", "control"]) -> TopicInfo:
    """Describe a topic of ours by its short name.

    Raises:
        DependencyError: there is none.
    """
    topic = broker.topic(settings.topic(name))
    if topic is None:
        raise DependencyError(f"topic {settings.topic(name)} does not exist", next_step="run `stillwatch init`")
    return topic


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
