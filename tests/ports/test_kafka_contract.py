"""What every broker promises to the roles: the same tests on the memory twin, the embedded broker and Apache Kafka."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from pipeline.base.settings import KafkaSettings
from pipeline.ports.broker import BEGINNING, Broker, Committed, Consumer, Message, TopicPartition
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.memory import MemoryBroker
from pipeline.ports.topics import TopicSpec

DEADLINE_S = 30.0
PARTITIONS = 3


class Cluster(NamedTuple):
    """A broker, and a topic of the test's own with three partitions."""

    broker: Broker
    topic: str


@pytest.fixture(params=["memory", "embedded", "apache"])
def cluster(request: pytest.FixtureRequest, unique: str) -> Cluster:
    """Each broker in turn."""
    if request.param == "memory":
        return Cluster(MemoryBroker({unique: PARTITIONS}), unique)
    address: str = request.getfixturevalue({"embedded": "tansu", "apache": "apache_kafka"}[request.param])
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=address, session_timeout_ms=6_000, replication_factor=1, min_insync_replicas=1))
    assert broker.create(TopicSpec(unique, PARTITIONS, 1, {}))
    return Cluster(broker, unique)


@contextmanager
def opened(consumer: Consumer) -> Iterator[Consumer]:
    """Closes a consumer whatever happens."""
    try:
        yield consumer
    finally:
        consumer.close()


def until(condition: Callable[[], bool], *steps: Callable[[], object]) -> None:
    """Take the steps again and again until the condition holds; fail after a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        for step in steps:
            step()


def read(consumer: Consumer, count: int) -> list[Message]:
    """Exactly this many records."""
    got: list[Message] = []
    until(lambda: len(got) >= count, lambda: got.extend(consumer.read(count - len(got), 0.1)))
    return got


def fill(cluster: Cluster, values: Sequence[bytes], partition: int = 0) -> None:
    """Write records to one partition."""
    producer = cluster.broker.producer()
    for value in values:
        producer.send(cluster.topic, value, partition=partition)
    producer.flush(DEADLINE_S)


class Member:
    """A group member that remembers what it was given and what was taken away."""

    def __init__(self, cluster: Cluster, group: str, start: int = BEGINNING) -> None:
        self.consumer = cluster.broker.consumer(group)
        self.mine: set[TopicPartition] = set()
        self.revoked: list[bool] = []
        self.start = start
        self.got: list[Message] = []
        self.consumer.subscribe([cluster.topic], self._assigned, self._revoked)

    def _assigned(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.mine |= set(partitions)
        return dict.fromkeys(partitions, self.start)

    def _revoked(self, partitions: list[TopicPartition], lost: bool) -> None:  # noqa: FBT001 - the port's signature
        self.mine -= set(partitions)
        self.revoked.append(lost)

    def step(self) -> None:
        """One read."""
        self.got += self.consumer.read(100, 0.1)


def test_records_arrive_as_written(cluster: Cluster) -> None:
    """Key, value, tombstone, timestamp and partition survive; offsets count from 0 in the order of sending; acks name them."""
    producer = cluster.broker.producer()
    acks: list[tuple[int, int]] = []
    for i in range(20):
        producer.send(
            cluster.topic,
            None if i == 7 else f"v{i}".encode(),
            key=f"k{i}".encode(),
            partition=i % 2,
            timestamp_ms=1_700_000_000_000 + i,
            on_ack=lambda partition, offset: acks.append((partition, offset)),
        )
    producer.flush(DEADLINE_S)
    assert producer.outstanding() == 0
    assert sorted(acks) == [(p, o) for p in range(2) for o in range(10)]
    with opened(cluster.broker.consumer(f"{cluster.topic}.g")) as consumer:
        consumer.assign({TopicPartition(cluster.topic, p): BEGINNING for p in range(PARTITIONS)})
        messages = read(consumer, 20)
    for partition in range(2):
        mine = [m for m in messages if m.partition() == partition]
        assert [m.offset() for m in mine] == list(range(10))
        assert [m.key() for m in mine] == [f"k{i}".encode() for i in range(partition, 20, 2)]
        assert [m.value() for m in mine] == [None if i == 7 else f"v{i}".encode() for i in range(partition, 20, 2)]
        assert [m.timestamp() for m in mine] == [(1, 1_700_000_000_000 + i) for i in range(partition, 20, 2)]
        assert {m.topic() for m in mine} == {cluster.topic}


def test_equal_keys_share_a_partition(cluster: Cluster) -> None:
    """Without an explicit partition the key decides."""
    producer = cluster.broker.producer()
    where: dict[int, set[int]] = {}
    for i in range(60):
        key = i % 20
        producer.send(cluster.topic, b"v", key=f"key-{key}".encode(), on_ack=lambda p, _, key=key: where.setdefault(key, set()).add(p))  # type: ignore[misc]  # the default binds the loop's value
    producer.flush(DEADLINE_S)
    assert len(where) == 20
    assert all(len(partitions) == 1 for partitions in where.values())
    assert len(set.union(*where.values())) > 1


def test_reading_starts_where_it_is_told(cluster: Cluster) -> None:
    """`assign` begins at an offset; `seek` moves; the end is reported once it is reached, and again after new records."""
    fill(cluster, [b"%d" % i for i in range(10)])
    where = TopicPartition(cluster.topic, 0)
    with opened(cluster.broker.consumer(f"{cluster.topic}.g", report_ends=True)) as consumer:
        consumer.assign({where: 6})
        assert [m.value() for m in read(consumer, 4)] == [b"6", b"7", b"8", b"9"]
        ends: dict[TopicPartition, int] = {}
        until(lambda: where in ends, lambda: consumer.read(10, 0.1), lambda: ends.update(consumer.take_ended()))
        assert ends == {where: 10}
        assert consumer.known_end(where) == 10
        assert consumer.low_watermark(where) == 0
        consumer.seek(where, 2)
        assert [m.offset() for m in read(consumer, 8)] == list(range(2, 10))
        fill(cluster, [b"10"])
        assert [m.value() for m in read(consumer, 1)] == [b"10"]
        ends.clear()
        until(lambda: where in ends, lambda: consumer.read(10, 0.1), lambda: ends.update(consumer.take_ended()))
        assert ends == {where: 11}


def test_commits_are_kept_per_group(cluster: Cluster) -> None:
    """A commit is read back by the same group only; partitions without one are absent; nothing commits by itself."""
    fill(cluster, [b"%d" % i for i in range(10)])
    every = [TopicPartition(cluster.topic, p) for p in range(PARTITIONS)]
    member = Member(cluster, f"{cluster.topic}.g")
    with opened(member.consumer):
        until(lambda: len(member.got) == 10, member.step)
        assert member.consumer.committed(every) == {}
        assert member.consumer.commit({every[0]: 4, every[2]: 0}, "note")
    with opened(cluster.broker.consumer(f"{cluster.topic}.g")) as again:
        found = again.committed(every)
        assert {tp: commit.offset for tp, commit in found.items()} == {every[0]: 4, every[2]: 0}
        assert {commit.note for commit in found.values()} <= {"note", ""}  # the embedded broker keeps no notes
    with opened(cluster.broker.consumer(f"{cluster.topic}.h")) as other:
        assert other.committed(every) == {}


def test_a_group_shares_the_partitions(cluster: Cluster) -> None:
    """Two members divide the partitions, each read by one; when one leaves, the other takes over; leaving revokes."""
    fill(cluster, [b"a"], 0)
    first, second = Member(cluster, f"{cluster.topic}.g"), Member(cluster, f"{cluster.topic}.g")
    every = {TopicPartition(cluster.topic, p) for p in range(PARTITIONS)}
    until(lambda: bool(first.mine and second.mine) and first.mine | second.mine == every, first.step, second.step)
    assert not first.mine & second.mine
    second.consumer.close()
    assert not second.mine
    assert second.revoked[-1] is False
    until(lambda: first.mine == every, first.step)
    for partition in range(PARTITIONS):
        fill(cluster, [b"z"], partition)
    until(lambda: {m.partition() for m in first.got if m.value() == b"z"} == set(range(PARTITIONS)), first.step)
    first.consumer.close()
    assert not first.mine


def test_a_topic_has_an_identity(cluster: Cluster) -> None:
    """A topic is described with its partitions and an id that stays the same; one that is not there is None."""
    info = cluster.broker.topic(cluster.topic)
    assert info is not None
    assert (info.name, info.partitions, info.replication_factor) == (cluster.topic, PARTITIONS, 1)
    assert info.topic_id
    assert cluster.broker.topic(cluster.topic) == info
    assert cluster.broker.topic(f"{cluster.topic}.nothing") is None


def test_an_abandoned_producer_is_finished(cluster: Cluster) -> None:
    """After `abandon` nothing can be sent, and nothing waits."""
    producer = cluster.broker.producer()
    producer.send(cluster.topic, b"x", partition=0)
    producer.abandon()
    with pytest.raises(Exception, match="abandoned"):
        producer.send(cluster.topic, b"y", partition=0)


def test_commit_notes_are_kept(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    """The note beside a commit comes back, where the broker keeps notes."""
    if "embedded" in request.node.name:
        pytest.skip("Tansu keeps no commit metadata")
    where = TopicPartition(cluster.topic, 0)
    member = Member(cluster, f"{cluster.topic}.g")
    with opened(member.consumer):
        until(lambda: where in member.mine, member.step)
        assert member.consumer.commit({where: 3}, "topic-id")
        assert member.consumer.committed([where]) == {where: Committed(3, "topic-id")}
