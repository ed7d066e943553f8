"""Ingest against the embedded broker and Apache Kafka: sharing, crashes, a broker that dies, retention."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition as VendorPartition
from confluent_kafka.admin import AdminClient

from pipeline.base.errors import UnavailableError
from pipeline.base.settings import IngestSettings, KafkaSettings, Settings
from pipeline.devstack.apache_kafka import ApacheKafka
from pipeline.events.frame import decode_frame
from pipeline.events.outputs import decode_dead_letter
from pipeline.ports.broker import BEGINNING, Message, TopicPartition
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.topics import TopicSpec, ensure_topics
from pipeline.roles.health import Health
from pipeline.roles.ingest import run_ingest
from pipeline.roles.lifecycle import CRASH_ENV

pytestmark = pytest.mark.usefixtures("kernels")
DEADLINE_S = 60.0
SOURCES, FRAMES = 4, 3
ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; fail after a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


class Site:
    """The topics of one environment on a broker, and what was written to its requests topic."""

    def __init__(self, address: str, prefix: str) -> None:
        self.settings = Settings(
            prefix=prefix,
            requests_topic=f"{prefix}.requests",
            kafka=KafkaSettings(
                bootstrap_servers=address, session_timeout_ms=6_000, replication_factor=1, min_insync_replicas=1, frames_partitions=FRAMES
            ),
            ingest=IngestSettings(frame_events=100, idle_frame_s=0.2, linger_ms=20),
        )
        self.broker = KafkaBroker(self.settings.kafka)
        self.broker.create(TopicSpec(self.settings.requests_topic, SOURCES, 1, {}))
        ensure_topics(self.broker, self.settings, dev=True)
        self.events: set[tuple[int, int]] = set()
        self.bad: set[tuple[int, int]] = set()
        self.ends = [0] * SOURCES

    def write(self, count: int) -> None:
        """Append records, every tenth of them bad."""
        producer = self.broker.producer()

        def remember(into: set[tuple[int, int]]) -> Callable[[int, int], None]:
            return lambda partition, offset: into.add((partition, offset))

        for i in range(count):
            fields = {"event_id": f"e{i}", "occurred_at_ms": 1_000 + i, "account_id": f"a{i % 41}", "operation": "chat", "model": "m"}
            value = b"{" if i % 10 == 0 else json.dumps({**fields, "status": 200, "prompt": f"What is {i}?"}).encode()
            producer.send(
                self.settings.requests_topic, value, partition=i % SOURCES, on_ack=remember(self.bad if i % 10 == 0 else self.events)
            )
        producer.flush(DEADLINE_S)
        for partition, offset in self.events | self.bad:
            self.ends[partition] = max(self.ends[partition], offset + 1)

    def read(self, topic: str, partitions: int) -> list[Message]:
        """Everything in one of our topics."""
        consumer = self.broker.consumer(f"{topic}.test", report_ends=True)
        try:
            left = {TopicPartition(topic, p) for p in range(partitions)}
            consumer.assign(dict.fromkeys(left, BEGINNING))
            got: list[Message] = []
            deadline = time.monotonic() + DEADLINE_S
            while left:
                assert time.monotonic() < deadline
                got += consumer.read(1_000, 0.1)
                left -= set(consumer.take_ended())
            return got
        finally:
            consumer.close()

    def committed(self) -> list[int]:
        """Next offset per source partition, 0 without a commit; nothing while the group's coordinator is on its way."""
        consumer = self.broker.consumer(self.settings.group("ingest"))
        try:
            every = [TopicPartition(self.settings.requests_topic, p) for p in range(SOURCES)]
            found = consumer.committed(every)
            return [found[tp].offset if tp in found else 0 for tp in every]
        except UnavailableError:
            return []
        finally:
            consumer.close()

    def until_committed(self) -> None:
        """Wait until everything written is committed."""
        until(lambda: self.committed() == self.ends)

    def assert_exact(self, lost: frozenset[tuple[int, int]] = frozenset()) -> None:
        """By detect's rule every event applies once, no hole is left, and each bad record has its letters, all equal."""
        applied: Counter[tuple[int, int]] = Counter()
        told_lost: set[tuple[int, int]] = set()
        positions = [[-1] * SOURCES for _ in range(FRAMES)]
        for message in self.read(self.settings.topic("frames"), FRAMES):
            header, columns = decode_frame(message.value() or b"")
            assert header.frames_partition == message.partition()
            at, row = positions[header.frames_partition], 0
            for segment in header.segments:
                offsets = columns.offset[row : row + segment.events].tolist()
                row += segment.events
                if segment.from_offset > at[segment.partition]:
                    continue
                if segment.lost:
                    told_lost |= {(segment.partition, offset) for offset in range(segment.from_offset + 1, segment.to_offset + 1)}
                applied.update((segment.partition, offset) for offset in offsets if offset > at[segment.partition])
                at[segment.partition] = max(at[segment.partition], segment.to_offset)
        assert positions == [[end - 1 for end in self.ends]] * FRAMES
        assert told_lost == lost
        assert set(applied) == self.events - lost
        assert set(applied.values()) == {1}
        letters: dict[tuple[int, int], set[bytes]] = {}
        for message in self.read(self.settings.topic("deadletter"), 4):
            letter = decode_dead_letter(message.value() or b"")
            letters.setdefault((letter.source_partition, letter.source_offset), set()).add(message.value() or b"")
        assert set(letters) == self.bad - lost
        assert all(len(copies) == 1 for copies in letters.values())


class Worker:
    """`run_ingest` in a thread; any error of it fails the drain."""

    def __init__(self, site: Site) -> None:
        self.stop = threading.Event()
        self.health = Health("ingest")
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(site.settings,), daemon=True)
        self._thread.start()

    def _run(self, settings: Settings) -> None:
        try:
            run_ingest(settings, self.stop, self.health)
        except BaseException as error:  # noqa: BLE001 - the test wants it, whatever it is
            self.error = error

    def reads(self) -> bool:
        """Whether it has partitions."""
        return bool(self.health.watchdog._since)

    def drain(self) -> None:
        """Ask for the drain and wait for its end."""
        self.stop.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        assert self.error is None, self.error


@pytest.fixture
def site(broker: str, unique: str) -> Site:
    """An environment on each broker."""
    return Site(broker, unique)


@pytest.fixture
def apache_site(apache_kafka: str, unique: str) -> Site:
    """An environment on Apache Kafka."""
    return Site(apache_kafka, unique)


@pytest.fixture
def workers() -> Iterator[Callable[[Site], Worker]]:
    """Starts workers that end with the test."""
    started: list[Worker] = []

    def start(site: Site) -> Worker:
        started.append(Worker(site))
        return started[-1]

    yield start
    for worker in started:
        worker.stop.set()


def test_two_workers_share_and_one_takes_over(site: Site, workers: Callable[[Site], Worker]) -> None:
    """A second worker joins while records arrive and the first leaves: everything is told once and committed."""
    site.write(2_000)
    first = workers(site)
    site.until_committed()
    second = workers(site)
    until(second.reads)  # Tansu: a member that leaves while others are joining stalls the group for good
    for _ in range(3):
        site.write(500)
    site.until_committed()
    assert first.reads()
    first.drain()
    site.write(500)
    site.until_committed()
    second.drain()
    site.assert_exact()


def test_a_crash_between_produce_and_commit_repeats_nothing(apache_site: Site, workers: Callable[[Site], Worker]) -> None:
    """Killed after the acks and before the commit, with records left: its successor's overlap applies once."""
    site = apache_site
    site.write(3_000)
    kafka = site.settings.kafka
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("STILLWATCH")},
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "STILLWATCH_PREFIX": site.settings.prefix,
        "STILLWATCH_REQUESTS_TOPIC": site.settings.requests_topic,
        "STILLWATCH_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "STILLWATCH_KAFKA__SESSION_TIMEOUT_MS": "6000",
        "STILLWATCH_KAFKA__FRAMES_PARTITIONS": str(FRAMES),
        "STILLWATCH_INGEST__FRAME_EVENTS": "100",
        "STILLWATCH_INGEST__BATCH_RECORDS": "50",
        "STILLWATCH_INGEST__IDLE_FRAME_S": "0.2",
        CRASH_ENV: "ingest:after-produce:3",
    }
    with subprocess.Popen([sys.executable, "-m", "pipeline.cli", "run", "ingest"], env=env, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + DEADLINE_S
            while process.poll() is None:
                assert time.monotonic() < deadline
                site.write(100)
            said = process.communicate()[1]
        finally:
            process.kill()
    site.write(100)
    assert process.returncode == -signal.SIGKILL, said.decode()
    assert site.committed() != site.ends
    successor = workers(site)
    site.until_committed()
    successor.drain()
    site.assert_exact()


def test_a_broker_that_dies_is_waited_for(kafka_node: ApacheKafka, unique: str, workers: Callable[[Site], Worker]) -> None:
    """The broker is killed and comes back: unready meanwhile, then everything goes on, exactly."""
    site = Site(kafka_node.bootstrap_servers, unique)
    site.write(1_000)
    worker = workers(site)
    site.until_committed()
    kafka_node.child.kill()
    until(lambda: "kafka" in worker.health.unready_reason())
    kafka_node.child.start()
    site.write(1_000)
    site.until_committed()
    until(lambda: not worker.health.unready_reason())
    worker.drain()
    site.assert_exact()


def test_retention_becomes_a_lost_segment(apache_site: Site, workers: Callable[[Site], Worker]) -> None:
    """Records deleted before the first start, behind a commit and under a running reader are told as lost, the rest is exact."""
    site = apache_site
    site.write(400)
    admin = AdminClient({"bootstrap.servers": site.settings.kafka.bootstrap_servers})

    def delete(low: int) -> None:
        where = VendorPartition(site.settings.requests_topic, 0, low)
        admin.delete_records([where])[where].result(DEADLINE_S)

    delete(30)
    worker = workers(site)
    site.until_committed()
    worker.drain()
    site.write(400)
    delete(150)
    worker = workers(site)
    site.until_committed()
    worker.drain()
    gone = [*range(30), *range(100, 150)]
    site.assert_exact(frozenset((0, offset) for offset in gone))
