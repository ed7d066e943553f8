"""The one door to confluent-kafka (librdkafka): settings, consumer, idempotent producer, topic admin.

Both clients log through the standard library's logger `librdkafka`. A consumer never commits by itself and never jumps:
an offset that is not in the log is reported, not reset. A producer that failed one record is finished, since later
records of the same queue may already have been written past the hole.
"""

# ruff: noqa: SLF001 - librdkafka's own (client-side) error codes begin with an underscore

from __future__ import annotations

import functools
import math
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING, TypeVar

import confluent_kafka as ck
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the vendor's stubs do not re-export three of them
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from pipeline.base.errors import UnavailableError
from pipeline.ports.broker import BEGINNING, Committed, TopicInfo, TopicPartition
from pipeline.ports.credentials import aiokafka_credentials
from pipeline.ports.kafka_connection import LATE, REFUSED, Reach, cause_of, error_of, librdkafka_config, new_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future

    from pipeline.base.errors import StillwatchError
    from pipeline.base.settings import KafkaSettings
    from pipeline.ports.broker import Message
    from pipeline.ports.topics import TopicSpec

A = TypeVar("A")
_ANSWER_S = 15.0
"""How long a metadata, offset or admin question may take before the cluster counts as out of reach."""
_REFUSED_S = 1.0
"""How long another broker may take to answer after one refused us."""
_REFUSAL_POLL_S = 0.05
_QUEUE_S = 60.0
"""How long `send` waits for room in a full queue."""
_MAX_MESSAGE = 1_048_588
"""Kafka's default `max.message.bytes` of a topic, and ours."""
_ANY_PARTITION = -1
_E = ck.KafkaError


class KafkaProducer:
    """See `ports.broker.Producer`. Idempotent, `acks=all`: per partition, records are written in order and once."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._failure: StillwatchError | None = None
        self._reach = Reach()
        self._producer: ck.Producer | None = new_client(
            ck.Producer,
            kafka,
            {
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": kafka.compression,
                "linger.ms": 5,
                "message.max.bytes": _MAX_MESSAGE,
                "message.timeout.ms": 60_000,
                "queue.buffering.max.kbytes": 65_536,
                "partitioner": "murmur2_random",  # as Java producers place keys, so that mixed producers agree
                "error_cb": self._reach.on_error,
            },
        )

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
        delivered = self._delivered if on_ack is None else functools.partial(self._delivered, on_ack=on_ack)
        where = _ANY_PARTITION if partition is None else partition
        deadline = math.inf
        while True:
            client = self._client()
            try:
                client.produce(topic, value, key, where, delivered, timestamp=timestamp_ms or 0)  # 0: now
            except BufferError:
                deadline = min(deadline, time.monotonic() + _QUEUE_S)
                if time.monotonic() > deadline:
                    raise UnavailableError(f"Kafka: queue for {topic} stays full: the broker takes nothing") from None
                client.poll(0.05)
            except ck.KafkaException as err:
                self._failure = error_of(cause_of(err), f"record for {topic} not queued")
            else:
                return

    def _delivered(self, err: ck.KafkaError | None, message: ck.Message, on_ack: Callable[[int, int], None] | None = None) -> None:
        if err is not None:
            self._failure = self._failure or error_of(err, f"record for {message.topic()}[{message.partition()}] not delivered")
        elif on_ack is not None and self._failure is None:
            on_ack(message.partition() or 0, message.offset() or 0)

    def poll(self, timeout_s: float = 0.0) -> None:
        """See `ports.broker.Producer.poll`."""
        self._client().poll(timeout_s)
        self._check()

    def flush(self, timeout_s: float) -> None:
        """See `ports.broker.Producer.flush`."""
        left = self._client().flush(timeout_s)
        self._check()
        if left:
            raise UnavailableError(f"Kafka: {left} records not acknowledged within {timeout_s:g} s")

    def outstanding(self) -> int:
        """See `ports.broker.Producer.outstanding`."""
        return len(self._producer) if self._producer is not None else 0

    def abandon(self) -> None:
        """See `ports.broker.Producer.abandon`."""
        self._failure = self._failure or UnavailableError("Kafka: this producer was abandoned")
        if self._producer is not None:
            self._producer.purge()
            self._producer.poll(0)
            self._producer = None  # ends its threads and connections

    def _check(self) -> None:
        failure = self._failure or self._reach.refusal
        if failure is not None:
            raise failure

    def _client(self) -> ck.Producer:
        self._check()
        if self._producer is None:
            raise UnavailableError("Kafka: this producer was abandoned")
        return self._producer


class KafkaConsumer:
    """See `ports.broker.Consumer`."""

    def __init__(self, kafka: KafkaSettings, group: str, *, report_ends: bool = False) -> None:
        self._reach = Reach()
        self._out_of_range: list[TopicPartition] = []
        self._ended: dict[TopicPartition, int] = {}
        self._closing = False
        self._consumer = new_client(
            ck.Consumer,
            kafka,
            {
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "session.timeout.ms": kafka.session_timeout_ms,
                "heartbeat.interval.ms": max(min(kafka.session_timeout_ms // 10, 3_000), 200),
                "max.poll.interval.ms": max(kafka.session_timeout_ms, 300_000),
                "partition.assignment.strategy": "cooperative-sticky",
                "isolation.level": "read_committed",  # a gateway may write in transactions; aborted ones never happened
                "fetch.queue.backoff.ms": 10,  # the default of 1 s lets a fast reader starve between fetches
                "queued.max.messages.kbytes": 32_768,
                "fetch.message.max.bytes": 4_194_304,
                "enable.partition.eof": report_ends,
                "error_cb": self._reach.on_error,
            },
        )
        self._kafka = kafka

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Callable[[list[TopicPartition]], Mapping[TopicPartition, int]],
        on_revoke: Callable[[list[TopicPartition], bool], None],
    ) -> None:
        """See `ports.broker.Consumer.subscribe`."""

        def assigned(_: object, partitions: list[ck.TopicPartition]) -> None:
            if self._closing or not partitions:
                return
            starts = on_assign([TopicPartition(p.topic, p.partition) for p in partitions])
            self._consumer.incremental_assign([ck.TopicPartition(*tp, offset) for tp, offset in starts.items()])

        def gone(partitions: list[ck.TopicPartition], *, lost: bool) -> None:
            moved = [TopicPartition(p.topic, p.partition) for p in partitions]
            self._out_of_range = [tp for tp in self._out_of_range if tp not in moved]
            if moved:
                on_revoke(moved, lost)

        self._consumer.subscribe(
            list(topics),
            on_assign=assigned,
            on_revoke=lambda _, partitions: gone(partitions, lost=False),
            on_lost=lambda _, partitions: gone(partitions, lost=True),
        )

    def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """See `ports.broker.Consumer.assign`."""
        self._consumer.assign([ck.TopicPartition(*tp, offset) for tp, offset in starts.items()])

    def read(self, max_records: int, timeout_s: float) -> list[Message]:
        """See `ports.broker.Consumer.read`."""
        batch = self._consumer.consume(max_records, timeout_s)
        if self._reach.refusal is not None:
            raise self._reach.refusal
        good: list[Message] = [message for message in batch if message.error() is None]
        if len(good) < len(batch) or self._ended:
            for message in batch:
                err = message.error()
                if err is not None:
                    self._note(err, message)
                else:
                    self._ended.pop(TopicPartition(message.topic() or "", message.partition() or 0), None)
        if good:
            self._reach.reason = ""
        return good

    def _note(self, err: ck.KafkaError, message: ck.Message) -> None:
        where = TopicPartition(message.topic() or "", message.partition() or 0)
        code = err.code()
        if code == _E._PARTITION_EOF:
            self._ended[where] = message.offset() or 0
        elif code in (_E._AUTO_OFFSET_RESET, _E.OFFSET_OUT_OF_RANGE, _E._NO_OFFSET):
            self._out_of_range.append(where)
        elif code in REFUSED or err.fatal():
            raise error_of(err, f"reading {where.topic}[{where.partition}]")
        elif code == _E._ALL_BROKERS_DOWN:
            self._reach.reason = err.str()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """See `ports.broker.Consumer.seek`."""
        self._ended.pop(partition, None)
        try:
            self._consumer.seek(ck.TopicPartition(*partition, offset))
        except ck.KafkaException as err:
            if cause_of(err).code() == _E._STATE:  # after an offset out of range the fetcher has stopped: give it the partition anew
                self._consumer.incremental_unassign([ck.TopicPartition(*partition)])
                self._consumer.incremental_assign([ck.TopicPartition(*partition, offset)])
                return
            raise error_of(cause_of(err), f"seek in {partition.topic}[{partition.partition}]") from None

    def take_out_of_range(self) -> list[TopicPartition]:
        """See `ports.broker.Consumer.take_out_of_range`."""
        taken, self._out_of_range = list(dict.fromkeys(self._out_of_range)), []
        return taken

    def take_ended(self) -> dict[TopicPartition, int]:
        """See `ports.broker.Consumer.take_ended`."""
        taken, self._ended = self._ended, {}
        return taken

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Committed]:
        """See `ports.broker.Consumer.committed`."""
        try:
            answers = self._consumer.committed([ck.TopicPartition(*tp) for tp in partitions], timeout=_ANSWER_S)
        except ck.KafkaException as err:
            raise error_of(cause_of(err), "asking for committed offsets") from None
        found = {}
        for answer in answers:
            if answer.error is not None:
                raise error_of(answer.error, f"asking for the commit of {answer.topic}[{answer.partition}]")
            if answer.offset >= 0:
                found[TopicPartition(answer.topic, answer.partition)] = Committed(answer.offset, answer.metadata or "")
        return found

    def low_watermark(self, partition: TopicPartition) -> int:
        """See `ports.broker.Consumer.low_watermark`."""
        try:
            answer = self._consumer.get_watermark_offsets(ck.TopicPartition(*partition), timeout=_ANSWER_S, cached=False)
        except ck.KafkaException as err:
            raise error_of(cause_of(err), f"asking for the oldest offset of {partition.topic}[{partition.partition}]") from None
        if not answer:
            raise UnavailableError(f"Kafka: no answer for the oldest offset of {partition.topic}[{partition.partition}]")
        return int(answer[0])

    def known_end(self, partition: TopicPartition) -> int:
        """See `ports.broker.Consumer.known_end`."""
        answer: Sequence[int] | None = self._consumer.get_watermark_offsets(ck.TopicPartition(*partition), cached=True)
        return max(list(answer or [-1])[-1], -1)  # None: nothing is known yet, whatever the vendor's stubs say

    def commit(self, offsets: Mapping[TopicPartition, int], note: str = "") -> bool:
        """See `ports.broker.Consumer.commit`."""
        wanted = [ck.TopicPartition(*tp, offset, note) if note else ck.TopicPartition(*tp, offset) for tp, offset in offsets.items()]
        try:
            answers = self._consumer.commit(offsets=wanted, asynchronous=False)
        except ck.KafkaException as err:
            cause = cause_of(err)
            if cause.code() in LATE:
                return False
            raise error_of(cause, "commit") from None
        for answer in answers:
            if answer.error is not None:
                if answer.error.code() in LATE:
                    return False
                raise error_of(answer.error, f"commit of {answer.topic}[{answer.partition}]")
        return True

    def down_reason(self) -> str:
        """See `ports.broker.Consumer.down_reason`."""
        if self._reach.reason:
            try:
                self._consumer.list_topics("", timeout=1.0)
            except ck.KafkaException:
                return self._reach.reason
            self._reach.reason = ""
        return ""

    def close(self) -> None:
        """See `ports.broker.Consumer.close`."""
        self._closing = True
        self._consumer.close()


class KafkaBroker:
    """See `ports.broker.Broker`; also creates topics and reads their configuration, for `init` and `doctor`."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._reach = Reach()
        self._admin: AdminClient | None = None

    def consumer(self, group: str, *, report_ends: bool = False) -> KafkaConsumer:
        """See `ports.broker.Broker.consumer`."""
        return KafkaConsumer(self._kafka, group, report_ends=report_ends)

    def producer(self) -> KafkaProducer:
        """See `ports.broker.Broker.producer`."""
        return KafkaProducer(self._kafka)

    def _client(self) -> AdminClient:
        if self._admin is None:
            self._admin = new_client(AdminClient, self._kafka, {"error_cb": self._reach.on_error})
        return self._admin

    def _answer(self, question: Future[A], doing: str) -> A:
        """Await an admin question. A cluster that will not have us is not waited for, unless another of its brokers answers at once.

        Raises:
            ck.KafkaException: the cluster's answer, where it is an error.
        """
        refused_at = 0.0
        while not wait([question], _REFUSAL_POLL_S).done:
            self._client().poll(0)  # error callbacks
            now = time.monotonic()
            refused_at = refused_at or (now if self._reach.refusal else 0.0)
            if refused_at and now - refused_at > _REFUSED_S:
                raise self._no_answer(_E(_E._AUTHENTICATION), doing)
        return question.result()

    def _no_answer(self, cause: ck.KafkaError, doing: str) -> StillwatchError:
        """Why a question failed: a wrong password or certificate only shows in what the connection said meanwhile."""
        self._client().poll(0)
        refusal, self._reach.refusal = self._reach.refusal, None
        said, self._reach.said = self._reach.said, ""
        error = refusal or error_of(cause, f"{doing} ({said})" if said else doing)
        error.next_step = error.next_step or "check kafka.bootstrap_servers, and that kafka.security_protocol is that of the listener there"
        return error

    def topic(self, name: str) -> TopicInfo | None:
        """See `ports.broker.Broker.topic`."""
        future = self._client().describe_topics(ck.TopicCollection([name]), request_timeout=_ANSWER_S)[name]
        try:
            found = self._answer(future, f"describing {name}")
        except ck.KafkaException as err:
            cause = cause_of(err)
            if cause.code() in (_E.UNKNOWN_TOPIC_OR_PART, _E._UNKNOWN_TOPIC):
                return None
            raise self._no_answer(cause, f"describing {name}") from None
        replicas = min((len(p.replicas) for p in found.partitions), default=0)
        return TopicInfo(name, str(found.topic_id), len(found.partitions), replicas)

    def topic_config(self, name: str) -> dict[str, str]:
        """Configuration of a topic as far as the broker tells; UnavailableError or DependencyError when it does not."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        future = self._client().describe_configs([resource], request_timeout=_ANSWER_S)[resource]
        try:
            return {
                key: entry.value
                for key, entry in self._answer(future, f"reading the configuration of {name}").items()
                if entry.value is not None
            }
        except ck.KafkaException as err:
            raise self._no_answer(cause_of(err), f"reading the configuration of {name}") from None

    def create(self, spec: TopicSpec) -> bool:
        """Create a topic and wait until the cluster shows it; False when it was there already, whatever its settings."""
        topic = NewTopic(spec.name, spec.partitions, spec.replication_factor, config=dict(spec.config))
        future = self._client().create_topics([topic], request_timeout=_ANSWER_S)[spec.name]
        try:
            self._answer(future, f"creating {spec.name}")
        except ck.KafkaException as err:
            cause = cause_of(err)
            if cause.code() == _E.TOPIC_ALREADY_EXISTS:
                return False
            raise self._no_answer(cause, f"creating {spec.name}") from None
        deadline = time.monotonic() + _ANSWER_S
        while self.topic(spec.name) is None:  # the controller answers before the brokers know
            if time.monotonic() > deadline:
                raise UnavailableError(f"Kafka: {spec.name} was created and does not show up")
            self._client().poll(0.05)
        return True

    def describe(self) -> str:
        """Cluster id and brokers, one line; UnavailableError or DependencyError when there is no answer."""
        try:
            cluster = self._answer(self._client().describe_cluster(request_timeout=_ANSWER_S), "describing the cluster")
        except ck.KafkaException as err:
            raise self._no_answer(cause_of(err), "describing the cluster") from None
        return f"cluster {cluster.cluster_id}, {len(cluster.nodes)} broker(s)"


__all__ = ["BEGINNING", "KafkaBroker", "KafkaConsumer", "KafkaProducer", "aiokafka_credentials", "librdkafka_config"]
