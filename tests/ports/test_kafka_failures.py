"""What goes wrong with a real cluster, and how the port says so."""

import time

import pytest
from confluent_kafka import TopicPartition as VendorPartition
from confluent_kafka.admin import AdminClient

from pipeline.base.errors import DependencyError, LineageError, UnavailableError
from pipeline.base.settings import KafkaSettings, Settings
from pipeline.devstack.processes import free_port
from pipeline.ports import kafka as port
from pipeline.ports.broker import TopicPartition
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.topics import TopicSpec, describe_topics, ensure_topics, topic_specs

DEADLINE_S = 30.0


def kafka_settings(address: str) -> KafkaSettings:
    """Settings of a test cluster."""
    return KafkaSettings(
        bootstrap_servers=address, session_timeout_ms=6_000, replication_factor=1, min_insync_replicas=1, frames_partitions=4
    )


def settings_of(address: str, prefix: str, **kafka: int) -> Settings:
    """Settings with a prefix and a requests topic of the test's own."""
    return Settings(prefix=prefix, requests_topic=f"{prefix}.requests", kafka=kafka_settings(address).model_copy(update=kafka))


def test_a_refused_record_ends_the_producer(apache_kafka: str, unique: str) -> None:
    """When the broker refuses one record of a queue, flush raises, no later ack is believed, and nothing more is sent."""
    broker = KafkaBroker(kafka_settings(apache_kafka))
    assert broker.create(TopicSpec(unique, 1, 1, {"max.message.bytes": "2000"}))
    producer = broker.producer()
    acks: list[int] = []
    for i in range(20):
        noise = bytes((i * j * 7919 >> 3) & 0xFF for j in range(4_000 if i == 5 else 100))
        producer.send(unique, noise, partition=0, on_ack=lambda _, offset: acks.append(offset))
        if i in (4, 5):  # a batch of its own for the bad one
            time.sleep(0.05)
            if i == 4:
                producer.flush(DEADLINE_S)
    with pytest.raises(DependencyError, match="not delivered"):
        producer.flush(DEADLINE_S)
    assert acks[:5] == [0, 1, 2, 3, 4]
    acks.clear()
    with pytest.raises(DependencyError):
        producer.send(unique, b"later", partition=0)
    with pytest.raises(DependencyError):
        producer.poll()
    assert acks == []
    producer.abandon()


def test_an_offset_that_is_gone_is_reported_not_reset(apache_kafka: str, unique: str) -> None:
    """Retention overtaking a reader: the partition stands still, is reported once, and goes on after a seek."""
    broker = KafkaBroker(kafka_settings(apache_kafka))
    assert broker.create(TopicSpec(unique, 1, 1, {}))
    producer = broker.producer()
    for i in range(10):
        producer.send(unique, b"%d" % i, partition=0)
    producer.flush(DEADLINE_S)
    admin = AdminClient({"bootstrap.servers": apache_kafka})
    admin.delete_records([VendorPartition(unique, 0, 6)])[VendorPartition(unique, 0)].result(DEADLINE_S)
    where = TopicPartition(unique, 0)
    consumer = broker.consumer(f"{unique}.g")
    try:
        consumer.assign({where: 2})
        deadline = time.monotonic() + DEADLINE_S
        gone: list[TopicPartition] = []
        while not gone:
            assert time.monotonic() < deadline
            assert consumer.read(10, 0.1) == []
            gone = consumer.take_out_of_range()
        assert gone == [where]
        assert consumer.low_watermark(where) == 6
        consumer.seek(where, 6)
        got: list[bytes | None] = []
        while len(got) < 4:
            assert time.monotonic() < deadline
            got += [message.value() for message in consumer.read(10, 0.1)]
        assert got == [b"6", b"7", b"8", b"9"]
        assert consumer.take_out_of_range() == []
    finally:
        consumer.close()


def test_a_cluster_out_of_reach_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: questions raise UnavailableError after their time, and the consumer knows why it reads nothing."""
    monkeypatch.setattr(port, "_ANSWER_S", 1.0)
    broker = KafkaBroker(kafka_settings(f"127.0.0.1:{free_port()}"))
    with pytest.raises(UnavailableError):
        broker.topic("anything")
    consumer = broker.consumer("g")
    try:
        deadline = time.monotonic() + DEADLINE_S
        consumer.assign({TopicPartition("t", 0): 0})
        while not consumer.down_reason():
            assert time.monotonic() < deadline
            assert consumer.read(1, 0.1) == []
        with pytest.raises(UnavailableError):
            consumer.committed([TopicPartition("t", 0)])
    finally:
        consumer.close()


def test_init_creates_the_topics_once(broker: str, unique: str) -> None:
    """Every topic of the design is made with its partitions, a second call makes nothing, and doctor agrees."""
    settings = settings_of(broker, unique)
    cluster = KafkaBroker(settings.kafka)
    created = ensure_topics(cluster, settings, dev=True)
    names = ("frames", "state", "alerts", "rollups", "evidence", "deadletter", "risk", "outbox", "control")
    assert sorted(created) == sorted([*(f"{unique}.{name}" for name in names), settings.requests_topic])
    assert ensure_topics(cluster, settings, dev=True) == []
    for name, partitions in {
        "frames": 4,
        "state": 4,
        "alerts": 4,
        "rollups": 4,
        "risk": 4,
        "evidence": 4,
        "deadletter": 4,
        "outbox": 4,
        "control": 1,
    }.items():
        info = cluster.topic(f"{unique}.{name}")
        assert info is not None
        assert info.partitions == partitions
    findings = describe_topics(cluster, settings, dev=True)
    assert [finding for finding in findings if not finding.ok] == []
    assert {finding.topic for finding in findings} == set(created)


def test_another_partition_count_is_refused(broker: str, unique: str) -> None:
    """Changed frames partitions would move accounts away from their state: refused by name, and nothing is created."""
    settings = settings_of(broker, unique)
    cluster = KafkaBroker(settings.kafka)
    assert cluster.create(next(spec for spec in topic_specs(settings, dev=True) if spec.name.endswith(".state")))
    other = settings_of(broker, unique, frames_partitions=6)
    with pytest.raises(LineageError, match="has 4 partitions, the settings ask for 6") as refused:
        ensure_topics(cluster, other, dev=True)
    assert "frames_partitions back to 4" in refused.value.next_step
    assert cluster.topic(f"{unique}.frames") is None
    assert any("4 partitions, the settings ask for 6" in finding.what for finding in describe_topics(cluster, other, dev=True))


def test_doctor_names_each_wrong_setting(apache_kafka: str, unique: str) -> None:
    """A topic with short retention, the wrong cleanup and unclean elections is found out, each with the command that mends it."""
    settings = settings_of(apache_kafka, unique)
    cluster = KafkaBroker(settings.kafka)
    bad = {"retention.ms": "3600000", "cleanup.policy": "compact", "unclean.leader.election.enable": "true", "max.message.bytes": "1000"}
    assert cluster.create(TopicSpec(f"{unique}.frames", 4, 1, bad))
    findings = [f for f in describe_topics(cluster, settings, dev=True) if f.topic == f"{unique}.frames"]
    assert {f.what.split("=")[0] for f in findings} == set(bad)
    assert all(not f.ok and f"--topic {unique}.frames" in f.next_step for f in findings)
    missing = [f for f in describe_topics(cluster, settings, dev=True) if f.topic == f"{unique}.state"]
    assert [(f.ok, f.next_step) for f in missing] == [(False, "run `stillwatch init`")]


def test_a_recreated_topic_has_another_id(broker: str, unique: str) -> None:
    """Deleting a topic and making it again changes its id, which is how a lost log is told from a short one."""
    cluster = KafkaBroker(kafka_settings(broker))
    spec = TopicSpec(unique, 1, 1, {})
    assert cluster.create(spec)
    before = cluster.topic(unique)
    admin = AdminClient({"bootstrap.servers": broker})  # a name of its own: dropped, it would take its answer with it
    admin.delete_topics([unique])[unique].result(DEADLINE_S)
    deadline = time.monotonic() + DEADLINE_S
    while cluster.topic(unique) is not None:
        assert time.monotonic() < deadline
    while not cluster.create(spec):
        assert time.monotonic() < deadline
    after = cluster.topic(unique)
    assert before is not None
    assert after is not None
    assert before.topic_id != after.topic_id
