"""The detect role against real brokers: what Faust must do, and what stops the process."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from pipeline.accounts.book import Book
from pipeline.base.errors import CodecError, LineageError, StillwatchError, UnavailableError
from pipeline.base.settings import DetectSettings, KafkaSettings, Settings
from pipeline.events.alert import decode_alert
from pipeline.events.frame import decode_frame
from pipeline.ports.broker import BEGINNING, TopicPartition
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.topics import ensure_topics
from pipeline.roles import detect as role
from pipeline.roles.health import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("kernels")
DETECT = DetectSettings(epoch_s=3_600, dedupe_ring=2_048, max_hot_accounts=16, cooldown_h=8.0, checkpoint_interval_s=0.2)


class Worker:
    """A detect worker in a thread, with the error that ended it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stop = threading.Event()
        self.health = Health("detect")
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            role.run_detect(self.settings, self.stop, self.health)
        except StillwatchError as error:
            self.error = error

    def join(self, timeout_s: float = 60.0) -> None:
        """Wait until it ended."""
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "the worker did not end"

    def end(self) -> None:
        """Drain and wait."""
        self.stop.set()
        self.join()


class Stage:
    """One environment of one partition on a broker."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        kafka = KafkaSettings(
            bootstrap_servers=bootstrap, frames_partitions=1, session_timeout_ms=6_000, replication_factor=1, min_insync_replicas=1
        )
        self.settings = Settings(prefix=prefix, requests_topic=f"{prefix}.requests", kafka=kafka, detect=DETECT)
        self.broker = KafkaBroker(kafka)
        ensure_topics(self.broker, self.settings, dev=True)

    def send(self, frames: list[bytes]) -> None:
        """Append frames."""
        producer = self.broker.producer()
        for frame in frames:
            producer.send(self.settings.topic("frames"), frame, partition=0)
        producer.flush(30)

    def committed(self) -> int:
        """Next offset of the group, 0 when it never committed, −1 while nobody can say."""
        where = TopicPartition(self.settings.topic("frames"), 0)
        consumer = self.broker.consumer(self.settings.group("detect"))
        try:
            found = consumer.committed([where]).get(where)
        except UnavailableError:  # a fresh broker's coordinator still loads
            return -1
        else:
            return found.offset if found else 0
        finally:
            consumer.close()

    def read(self, topic: str) -> Iterator[bytes]:
        """Values of a topic's first partition, to its end now."""
        where = TopicPartition(topic, 0)
        consumer = self.broker.consumer("test", report_ends=True)
        try:
            consumer.assign({where: BEGINNING})
            while where not in consumer.take_ended():
                yield from (message.value() or b"" for message in consumer.read(500, 0.1))
        finally:
            consumer.close()

    def until_committed(self, offset: int, worker: Worker, deadline_s: float = 60.0) -> None:
        """Poll until the group stands at `offset`."""
        deadline = time.monotonic() + deadline_s
        while self.committed() < offset:
            assert worker.error is None, worker.error
            assert time.monotonic() < deadline, f"committed {self.committed()}, {offset} expected"
            time.sleep(0.1)  # a poll, bounded by the deadline


@pytest.fixture
def stage(broker: str, unique: str) -> Stage:
    """On each broker."""
    return Stage(broker, unique)


def test_a_backlog_stretches_the_interval_and_its_end_saves_at_once() -> None:
    """While frames wait, or hold what waited, checkpoints keep to the longer interval and to the frame count; then to the short one."""
    detect = DetectSettings(checkpoint_interval_s=2.0, checkpoint_backlog_s=10.0, checkpoint_frames=100)
    many = role.BEHIND_FRAMES
    assert not role.checkpoint_due(detect, 99, 9.9, 0.0, many, 0.0)
    assert not role.checkpoint_due(detect, 99, 9.9, 0.0, 0, 10.0)
    assert role.checkpoint_due(detect, 99, 9.9, 0.0, many - 1, 9.9)
    assert role.checkpoint_due(detect, 1, 10.0, 0.0, many, 10.0)
    assert role.checkpoint_due(detect, 100, 0.0, 0.0, many, 10.0)
    assert not role.checkpoint_due(detect, 1, 1.9, 0.0, 0, 0.0)
    assert not role.checkpoint_due(detect, 0, 60.0, 60.0, 0, 60.0)
    assert role.checkpoint_due(detect, 1, 0.4, role.IDLE_S, 0, 60.0)
    assert not role.checkpoint_due(detect, 1, 0.4, role.IDLE_S, 1, 0.0)


def test_frames_become_alerts_and_a_durable_checkpoint(stage: Stage, cut: Callable[..., list[bytes]]) -> None:
    """A worker that stops and one that goes on give the alerts of one uninterrupted pass; the commit follows the marker."""
    frames = cut(97)
    half = len(frames) // 2
    stage.send(frames[:half])
    worker = Worker(stage.settings)
    stage.until_committed(half, worker)
    worker.end()
    assert worker.error is None
    stage.send(frames[half:])
    second = Worker(stage.settings)
    stage.until_committed(len(frames), second)
    second.end()
    info = stage.broker.topic(stage.settings.topic("frames"))
    assert info is not None
    book = Book(0, 1, DETECT, info.topic_id)
    expected = [alert for offset, data in enumerate(frames) for alert in book.step(offset, decode_frame(data)).alerts]
    assert [decode_alert(value) for value in stage.read(stage.settings.topic("alerts"))] == expected
    assert expected


def test_a_death_before_the_commit_leaves_no_lag(apache_kafka: str, unique: str, cut: Callable[..., list[bytes]]) -> None:
    """The marker is durable and the commit is not: the next worker commits what it restored, though no frame comes any more."""
    stage = Stage(apache_kafka, unique)
    stage.send(cut(97)[:20])
    worker = Worker(stage.settings)
    stage.until_committed(20, worker)
    worker.end()
    where = TopicPartition(stage.settings.topic("frames"), 0)
    consumer = stage.broker.consumer(stage.settings.group("detect"))
    assert consumer.commit({where: 1})
    consumer.close()
    assert stage.committed() == 1
    second = Worker(stage.settings)
    stage.until_committed(20, second)
    second.end()
    assert (worker.error, second.error) == (None, None)


def test_frames_reach_the_core_only_through_the_agent(
    tansu: str, unique: str, cut: Callable[..., list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the agent stopped, nothing is applied although the process lives and frames wait; it is not another path."""
    stage = Stage(tansu, unique)
    frames = cut(97)
    made: list[role.DetectWorker] = []
    real = role.DetectWorker.__init__

    def remember(self: role.DetectWorker, *args: object) -> None:
        real(self, *args)  # type: ignore[arg-type]
        made.append(self)

    monkeypatch.setattr(role.DetectWorker, "__init__", remember)
    stage.send(frames[:10])
    worker = Worker(stage.settings)
    stage.until_committed(10, worker)
    inner = made[0]
    agents = list(inner.app.agents.values())
    assert len(agents) == 1
    for agent in agents:
        inner.app.loop.call_soon_threadsafe(agent.cancel)
    stage.send(frames[10:20])
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        assert inner._owned[0].book.applied == 9
        time.sleep(0.1)
    assert worker.error is None
    worker.end()
    assert stage.committed() == 10


def test_a_frame_that_does_not_decode_ends_the_process_with_nothing_committed(stage: Stage, cut: Callable[..., list[bytes]]) -> None:
    """The error names topic, partition and offset; the commit stays before the bad frame."""
    frames = cut(97)
    stage.send([*frames[:3], b"SWF1 this is no frame at all", *frames[3:6]])
    worker = Worker(stage.settings)
    worker.join()
    assert isinstance(worker.error, CodecError)
    assert f"{stage.settings.topic('frames')}[0]@3" in str(worker.error)
    assert stage.committed() <= 3


def test_a_recreated_frames_topic_ends_the_process(apache_kafka: str, unique: str, cut: Callable[..., list[bytes]]) -> None:
    """State of another topic of the same name is refused with the next step."""
    stage = Stage(apache_kafka, unique)
    frames = cut(97)
    stage.send(frames[:5])
    worker = Worker(stage.settings)
    stage.until_committed(5, worker)
    worker.end()
    _recreate(stage)
    stage.send(frames[:5])
    again = Worker(stage.settings)
    again.join()
    assert isinstance(again.error, LineageError)
    assert "recreated" in str(again.error)


def _recreate(stage: Stage) -> None:
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - what an operator's tool does

    name = stage.settings.topic("frames")
    before = stage.broker.topic(name)
    assert before is not None
    admin = AdminClient({"bootstrap.servers": stage.settings.kafka.bootstrap_servers})
    admin.delete_topics([name])[name].result(15)
    deadline = time.monotonic() + 20
    while stage.broker.topic(name) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ensure_topics(stage.broker, stage.settings, dev=True)
