"""What an operator asks of a cluster beyond `ports.kafka`: groups and their lag, topics and groups that go.

Not on any role's path: `init --reset-state` and `doctor` use it.
"""

# ruff: noqa: SLF001 - librdkafka's own (client-side) error codes begin with an underscore

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from pipeline.base.errors import DependencyError, UnavailableError
from pipeline.ports.kafka_connection import cause_of, error_of, new_client

if TYPE_CHECKING:
    from pipeline.base.settings import KafkaSettings

ANSWER_S = 15.0
GONE_S = 30.0
"""How long a deleted topic may stay visible."""
POLL_S = 0.1
_E = ck.KafkaError


class GroupLag(NamedTuple):
    """How far a consumer group is behind in one topic; `partitions` counts those it has committed in."""

    partitions: int
    records: int


class Janitor:
    """Deletes topics and groups, and tells a group's lag."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._admin = new_client(AdminClient, kafka, {})

    def lag(self, group: str, topic: str) -> GroupLag:
        """Records between what a group has committed and the topic's end, as the cluster tells it.

        Raises:
            UnavailableError: the cluster does not answer.
            DependencyError: it does not tell.
        """
        reader = new_client(ck.Consumer, self._kafka, {"group.id": group, "enable.auto.commit": False})
        # not AdminClient.list_consumer_group_offsets: 2.16.1 crashes the process when the group has no coordinator yet
        try:
            partitions = reader.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
            answers = reader.committed([ck.TopicPartition(topic, partition) for partition in partitions], timeout=ANSWER_S)
            committed = [answer for answer in answers if answer.offset >= 0]
            ends = [reader.get_watermark_offsets(where, timeout=ANSWER_S)[1] for where in committed]
        except ck.KafkaException as err:
            raise error_of(cause_of(err), f"asking for the lag of {group}") from None
        finally:
            reader.close()
        behind = sum(max(0, end - where.offset) for where, end in zip(committed, ends, strict=True))
        return GroupLag(len(committed), behind)

    def delete_group(self, group: str) -> bool:
        """Forget a group and what it has committed; False when there is none.

        Raises:
            DependencyError: it has members: its workers run.
            UnavailableError: the cluster does not answer.
        """
        try:
            self._admin.delete_consumer_groups([group], request_timeout=ANSWER_S)[group].result()
        except ck.KafkaException as err:
            code = cause_of(err).code()
            if code in (_E.GROUP_ID_NOT_FOUND, _E.INVALID_GROUP_ID):
                return False
            if code == _E.NON_EMPTY_GROUP:
                raise DependencyError(f"group {group} has members", next_step="stop its workers first, then repeat") from None
            raise error_of(cause_of(err), f"deleting group {group}") from None
        return True

    def delete_topic(self, topic: str) -> bool:
        """Delete a topic and wait until it is gone; False when there is none.

        Raises:
            DependencyError: the cluster refuses.
            UnavailableError: it does not answer, or the topic stays.
        """
        try:
            self._admin.delete_topics([topic], request_timeout=ANSWER_S)[topic].result()
        except ck.KafkaException as err:
            if cause_of(err).code() in (_E.UNKNOWN_TOPIC_OR_PART, _E._UNKNOWN_TOPIC):
                return False
            raise error_of(cause_of(err), f"deleting {topic}") from None
        deadline = time.monotonic() + GONE_S
        while topic in self._admin.list_topics(timeout=ANSWER_S).topics:
            if time.monotonic() > deadline:
                raise UnavailableError(f"Kafka: {topic} was deleted and is still there after {GONE_S:g} s", next_step="repeat later")
            time.sleep(POLL_S)
        return True
