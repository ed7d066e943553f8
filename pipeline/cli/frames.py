"""Reading the frames topic from its beginning to its end as it is now, for the verbs that replay it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.cli.stored import stored
from pipeline.events.frame import Frame, decode_frame
from pipeline.ports.broker import TopicPartition
from pipeline.ports.kafka import KafkaBroker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.base.settings import Settings
    from pipeline.ports.broker import Broker, TopicInfo


class StoredFrame(NamedTuple):
    """A frame of the log, or (`frame` None) the end of a partition."""

    partition: int
    offset: int
    end: int
    """Next offset to be written, as far as the broker told; −1: unknown."""
    frame: Frame | None


def stored_frames(settings: Settings, reader: str, topic: TopicInfo, broker: Broker | None = None) -> Iterator[StoredFrame]:
    """Every frame, partition by partition, each followed by its end. Reads only: nothing is committed.

    Args:
        settings: where the cluster is.
        reader: name of the reading verb, for the cluster's own logs.
        topic: the frames topic.
        broker: the cluster; default: the one of the settings.

    Raises:
        CodecError: a frame does not decode.
        UnavailableError, DependencyError: the cluster does not answer, or refuses.
    """
    broker = broker or KafkaBroker(settings.kafka)
    for partition in range(topic.partitions):
        last = -1
        for message, end in stored(broker, settings.group(reader), TopicPartition(topic.name, partition)):
            last = message.offset() or 0
            yield StoredFrame(partition, last, end, decode_frame(message.value() or b""))
        yield StoredFrame(partition, last, last + 1, None)
