import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from pipeline.base.errors import DependencyError, LineageError, StillwatchError, UnavailableError
from pipeline.base.settings import IngestSettings, KafkaSettings, LogSettings, Settings
from pipeline.events.frame import decode_frame
from pipeline.events.outputs import DeadLetter, decode_dead_letter
from pipeline.ports import logs
from pipeline.ports.broker import TopicPartition
from pipeline.ports.memory import MemoryBroker
from pipeline.roles import ingest
from pipeline.roles.health import Health
from pipeline.roles.ingest import run_ingest

DEADLINE_S = 30.0
SOURCES, FRAMES = 3, 4
CANARY = "the heron flies at dawn over quiet water"
SETTINGS = Settings(
    prefix="t",
    requests_topic="requests",
    kafka=KafkaSettings(frames_partitions=FRAMES),
    ingest=IngestSettings(frame_events=20, linger_ms=5, idle_frame_s=0.05, batch_records=64, bad_share_window=100),
)


def record(i: int, account: int = 0) -> bytes:
    """A good record."""
    fields = {
        "event_id": f"e{i}",
        "occurred_at_ms": 1_000 + i,
        "account_id": f"a{account}",
        "operation": "chat",
        "model": "m",
        "status": 200,
    }
    return json.dumps({**fields, "prompt": CANARY, "messages": [CANARY]}).encode()


BAD = (b'{"event_id": "' + CANARY.encode(), b'{"x": "\xff' + CANARY.encode() + b'"}', json.dumps({CANARY: 1, "account_id": "bad"}).encode())


class World:
    """A memory broker with the topics of ingest, and workers on it."""

    def __init__(self, frames: int = FRAMES) -> None:
        self.broker = MemoryBroker({"requests": SOURCES, "t.frames": frames, "t.deadletter": 2, "t.control": 1})
        self.written: list[int] = [0] * SOURCES
        self.events: set[tuple[int, int]] = set()
        self.bad: set[tuple[int, int]] = set()
        self.workers: list[Worker] = []

    def write(self, count: int, bad_every: int = 0) -> None:
        """Append records, some of them bad, to all source partitions."""
        for i in range(count):
            source = i % SOURCES
            bad = bool(bad_every) and i % bad_every == 0
            offset = self.broker.append(
                TopicPartition("requests", source), None, BAD[i // bad_every % 3] if bad else record(i, i % 17), 1_700_000_000_000
            )
            (self.bad if bad else self.events).add((source, offset))
            self.written[source] = offset + 1

    def start(self, settings: Settings = SETTINGS) -> "Worker":
        """One more worker of the group."""
        worker = Worker(self.broker, settings)
        self.workers.append(worker)
        return worker

    def committed(self) -> list[int]:
        """Next offset per source partition, 0 without a commit."""
        commits = self.broker.commits.get("t.ingest", {})
        found = (commits.get(TopicPartition("requests", source)) for source in range(SOURCES))
        return [commit.offset if commit is not None else 0 for commit in found]

    def apply(self) -> tuple[Counter[tuple[int, int]], list[list[int]], set[int]]:
        """What detect would apply of the frames: events with their counts, positions per frames partition, lost offsets of source 0."""
        applied: Counter[tuple[int, int]] = Counter()
        positions = [[-1] * SOURCES for _ in range(FRAMES)]
        lost: set[int] = set()
        for message in self.broker.records("t.frames"):
            header, columns = decode_frame(message.value() or b"")
            assert header.frames_partition == message.partition()
            at, row = positions[header.frames_partition], 0
            for segment in header.segments:
                offsets = columns.offset[row : row + segment.events].tolist()
                row += segment.events
                if segment.from_offset > at[segment.partition]:
                    continue
                if segment.lost and segment.partition == 0:
                    lost |= set(range(segment.from_offset + 1, segment.to_offset + 1))
                applied.update((segment.partition, offset) for offset in offsets if offset > at[segment.partition])
                at[segment.partition] = max(at[segment.partition], segment.to_offset)
        return applied, positions, lost

    def letters(self) -> list[DeadLetter]:
        """Every dead letter."""
        return [decode_dead_letter(message.value() or b"") for message in self.broker.records("t.deadletter")]

    def assert_exact(self) -> None:
        """Each event applies once, each bad record has its letter, every position is at the end, no hole is left."""
        applied, positions, _ = self.apply()
        assert set(applied) == self.events
        assert set(applied.values()) <= {1}
        assert positions == [[end - 1 for end in self.written]] * FRAMES
        assert {(letter.source_partition, letter.source_offset) for letter in self.letters()} == self.bad


class Worker:
    """`run_ingest` in a thread."""

    def __init__(self, broker: MemoryBroker, settings: Settings) -> None:
        self.stop = threading.Event()
        self.health = Health("ingest")
        self.error: StillwatchError | None = None
        self._thread = threading.Thread(target=self._run, args=(settings, broker), daemon=True)
        self._thread.start()

    def _run(self, settings: Settings, broker: MemoryBroker) -> None:
        try:
            run_ingest(settings, self.stop, self.health, broker)
        except StillwatchError as error:
            self.error = error

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def drain(self) -> None:
        """Ask for the drain and wait for its end."""
        self.stop.set()
        self._thread.join(DEADLINE_S)
        assert not self.running


@pytest.fixture
def world() -> Iterator[World]:
    """A world whose workers end with the test."""
    made = World()
    yield made
    made.broker.down = False
    for worker in made.workers:
        worker.drain()


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; fail after a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_everything_read_is_told_once_and_committed(world: World) -> None:
    """Good records become events of frames, bad ones dead letters; the commit follows to the end while it runs."""
    world.write(1_000, bad_every=9)
    worker = world.start()
    until(lambda: world.committed() == world.written)
    assert worker.health.unready_reason() == ""
    world.write(300)
    until(lambda: world.committed() == world.written)
    worker.drain()
    assert worker.error is None
    world.assert_exact()


def test_a_drain_tells_and_commits_what_was_read(world: World) -> None:
    """With nothing due for a long time, stopping flushes what is pending and commits it."""
    slow = SETTINGS.model_copy(update={"ingest": SETTINGS.ingest.model_copy(update={"linger_ms": 5_000, "idle_frame_s": 1e6})})
    world.write(30, bad_every=10)
    worker = world.start(slow)
    until(lambda: len(world.letters()) == len(world.bad))
    worker.drain()
    assert world.committed() == world.written
    world.assert_exact()


def test_dead_letters_say_where_and_why_and_nothing_else(world: World) -> None:
    """A dead letter is keyed by its source position and holds reason, place, size, hash and allowed fields; the text is nowhere."""
    world.write(90, bad_every=2)
    world.start()
    until(lambda: world.committed() == world.written)
    assert {letter.reason for letter in world.letters()} == {"not_json", "not_utf8", "missing_field"}
    for message in world.broker.records("t.deadletter"):
        letter = decode_dead_letter(message.value() or b"")
        assert message.key() == f"{letter.source_partition}:{letter.source_offset}".encode()
        original = world.broker.log(TopicPartition("requests", letter.source_partition)).records[letter.source_offset]
        assert letter.size == len(original.value() or b"")
        assert letter.source_topic == "requests"
        assert letter.record_timestamp_ms == 1_700_000_000_000
        assert letter.fields in ({}, {"account_id": "bad"})


@pytest.fixture
def _real_logs(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:  # noqa: ARG001 - captures before the handler is made
    """Logs as the command writes them, on captured standard error, for one test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(LogSettings(level="debug"), "ingest")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.usefixtures("_real_logs")
def test_the_canary_is_nowhere(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Text of prompts, broken records and unknown fields reaches no topic but the requests, no log and no error."""
    world.broker.refuse_deliveries = 1
    world.write(300, bad_every=3)
    worker = world.start()
    until(lambda: world.committed() == world.written)
    worker.drain()
    for topic in ("t.frames", "t.deadletter"):
        assert all(CANARY.encode() not in (m.value() or b"") + (m.key() or b"") for m in world.broker.records(topic))
    captured = capsys.readouterr()
    assert "cluster.unavailable" in captured.err
    assert CANARY not in captured.err + captured.out


@pytest.mark.parametrize("refused", [1, 3])
def test_a_failed_delivery_throws_the_producer_away(world: World, monkeypatch: pytest.MonkeyPatch, refused: int) -> None:
    """After a refused record, what was queued behind it may be in the log: the restart from the commit fills the hole."""
    monkeypatch.setattr(ingest, "FIRST_WAIT_S", 0.01)
    world.write(500, bad_every=50)
    world.start()
    until(lambda: world.committed() == world.written)
    for _ in range(4):
        world.broker.refuse_deliveries = refused
        world.write(200, bad_every=40)
        until(lambda: world.committed() == world.written)
        assert world.broker.refuse_deliveries == 0
    world.assert_exact()


def test_workers_share_and_hand_over(world: World) -> None:
    """Workers that join and leave while records arrive: every partition goes on where it was, nothing is told twice or missed."""
    world.write(300, bad_every=30)
    first = world.start()
    until(lambda: world.committed() == world.written)
    second = world.start()
    for _ in range(5):
        world.write(200, bad_every=25)
    until(lambda: world.committed() == world.written)
    first.drain()
    world.write(200, bad_every=25)
    until(lambda: world.committed() == world.written)
    second.drain()
    assert (first.error, second.error) == (None, None)
    world.assert_exact()


def test_a_broker_that_is_down_is_waited_for(world: World) -> None:
    """While the cluster is away the role is unready, says why and goes on living; when it is back, it goes on."""
    world.write(100)
    worker = world.start()
    until(lambda: world.committed() == world.written)
    world.broker.down = True
    until(lambda: "down" in worker.health.unready_reason())
    world.write(100)
    assert worker.running
    world.broker.down = False
    until(lambda: world.committed() == world.written)
    until(lambda: worker.health.unready_reason() == "")
    world.assert_exact()


def test_a_cluster_that_is_away_at_the_start_is_waited_for(world: World) -> None:
    """Starting before the broker is no failure."""
    world.broker.down = True
    worker = world.start()
    until(lambda: worker.health.unready_reason() != "")
    world.broker.down = False
    world.write(50)
    until(lambda: world.committed() == world.written)


def test_stopping_while_the_cluster_is_away_says_so(world: World) -> None:
    """A drain that cannot be acknowledged ends in an error, not in silence."""
    slow = SETTINGS.model_copy(update={"ingest": SETTINGS.ingest.model_copy(update={"linger_ms": 5_000, "idle_frame_s": 1e6})})
    world.write(30, bad_every=30)
    worker = world.start(slow)
    until(lambda: len(world.letters()) == 1)
    world.broker.down = True
    worker.drain()
    assert isinstance(worker.error, UnavailableError)
    assert world.committed() == [0] * SOURCES


def test_what_retention_ate_is_told_as_lost(world: World) -> None:
    """Records that were deleted before they were read, on first start and behind a commit, become lost segments."""
    world.write(90)
    source = TopicPartition("requests", 0)
    world.broker.retain(source, 10)
    worker = world.start()
    until(lambda: world.committed() == world.written)
    worker.drain()
    world.write(90)
    world.broker.retain(source, 40)
    world.start()
    until(lambda: world.committed() == world.written)
    _, positions, lost = world.apply()
    assert lost == {*range(10), *range(30, 40)}
    assert positions == [[end - 1 for end in world.written]] * FRAMES


def test_retention_overtaking_a_reader_is_told_as_lost(world: World) -> None:
    """A worker whose next offset vanishes goes on at the oldest record and says what is missing."""
    world.write(90)
    worker = world.start()
    until(lambda: world.committed() == world.written)
    source = TopicPartition("requests", 0)
    world.broker.down = True
    until(lambda: "down" in worker.health.unready_reason())  # a read that began before is over
    world.write(90)
    world.broker.retain(source, 45)
    world.broker.down = False
    until(lambda: world.committed() == world.written)
    _, positions, lost = world.apply()
    assert lost == set(range(30, 45))
    assert positions == [[end - 1 for end in world.written]] * FRAMES


def test_a_recreated_topic_ends_the_role(world: World) -> None:
    """A topic that was deleted and made again is refused on the next start, by name, and nothing is committed."""
    world.write(90)
    worker = world.start()
    until(lambda: world.committed() == world.written)
    worker.drain()
    before = dict(world.broker.commits["t.ingest"])
    world.broker.recreate("requests")
    world.broker.append(TopicPartition("requests", 0), None, record(1), 1)
    again = world.start()
    until(lambda: not again.running)
    assert isinstance(again.error, LineageError)
    assert again.error.next_step
    assert world.broker.commits["t.ingest"] == before


def test_a_topic_recreated_under_a_running_role_ends_it(world: World) -> None:
    """A log that ends before what was read already is not the log that was read."""
    world.write(90)
    worker = world.start()
    until(lambda: world.committed() == world.written)
    before = dict(world.broker.commits["t.ingest"])
    world.broker.recreate("requests")
    until(lambda: not worker.running)
    assert isinstance(worker.error, LineageError)
    assert world.broker.commits["t.ingest"] == before


def test_too_many_bad_records_make_the_role_unready(world: World) -> None:
    """Above the configured share of the last records it is unready, with the share as the reason, and recovers."""
    world.write(300)
    worker = world.start()
    until(lambda: world.committed() == world.written)
    for i in range(60):
        offset = world.broker.append(TopicPartition("requests", 0), None, b"bad", 1)
        world.bad.add((0, offset))
        world.written[0] = offset + 1
        if i == 40:
            until(lambda: world.committed() == world.written)
            assert "input" not in worker.health.unready_reason()
    until(lambda: "% of the last 100 records rejected (limit 50%)" in worker.health.unready_reason())
    world.write(100)
    until(lambda: worker.health.unready_reason() == "")
    world.assert_exact()


@pytest.mark.parametrize(
    ("topics", "error"),
    [
        ({}, DependencyError),
        ({"requests": 1}, DependencyError),
        ({"requests": 1, "t.frames": FRAMES, "t.control": 1}, DependencyError),
        ({"requests": 1, "t.frames": FRAMES, "t.deadletter": 1}, DependencyError),
        ({"requests": 1, "t.frames": FRAMES + 1, "t.deadletter": 1, "t.control": 1}, LineageError),
    ],
)
def test_missing_and_changed_topics_are_refused(topics: dict[str, int], error: type[StillwatchError]) -> None:
    """Without its topics, or with another number of frames partitions, the role ends with the next step."""
    with pytest.raises(error) as refused:
        run_ingest(SETTINGS, threading.Event(), Health("ingest"), MemoryBroker(topics))
    assert refused.value.next_step


def test_a_role_told_to_stop_before_it_starts_does_nothing() -> None:
    """A stop that is set already ends the role without touching the cluster."""
    stop: Any = threading.Event()
    stop.set()
    run_ingest(SETTINGS, stop, Health("ingest"), MemoryBroker({}))
