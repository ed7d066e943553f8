"""Decisions through ingest: framed with their positions, applied once whatever crashed, bad ones to the dead letters."""

from __future__ import annotations

import threading
import time
import zlib
from typing import TYPE_CHECKING

import pytest

from pipeline.accounts.book import Book
from pipeline.accounts.record import decode_account
from pipeline.base.errors import LineageError, StillwatchError
from pipeline.base.settings import DetectSettings, IngestSettings, KafkaSettings, Settings
from pipeline.base.times import DAY_MS
from pipeline.events.control import Declaration, Twin, declaration_control_id, encode_control
from pipeline.events.frame import decode_frame
from pipeline.events.outputs import decode_dead_letter
from pipeline.ports.broker import TopicPartition
from pipeline.ports.memory import MemoryBroker
from pipeline.roles.health import Health
from pipeline.roles.ingest import run_ingest
from pipeline.scoring.mind import Mind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_S = 30.0
FRAMES = 4
CONTROL = TopicPartition("t.control", 0)
SETTINGS = Settings(
    prefix="t",
    requests_topic="requests",
    kafka=KafkaSettings(frames_partitions=FRAMES),
    ingest=IngestSettings(frame_events=20, linger_ms=5, idle_frame_s=0.05),
)


def declaration(account: str, limit: int) -> bytes:
    """A record as `declare` writes it."""
    return encode_control(
        Declaration(
            control_id=declaration_control_id(account, Twin.RESEARCH), account_id=account, issued_at_ms=1, issued_by="ann",
            note="seen on a call", twin=Twin.RESEARCH, until_ms=DAY_MS, requests_per_day=limit,
        )
    )  # fmt: skip


class Ingest:
    """The role in a thread, on a broker in memory; what it wrote, applied by books."""

    def __init__(self) -> None:
        self.broker = MemoryBroker({"requests": 2, "t.frames": FRAMES, "t.deadletter": 1, "t.control": 1})
        self.error: StillwatchError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: None)

    def start(self) -> None:
        """Begin, or begin again."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), daemon=True)
        self._thread.start()

    def _run(self, stop: threading.Event) -> None:
        try:
            run_ingest(SETTINGS, stop, Health("ingest"), self.broker)
        except StillwatchError as error:
            self.error = error

    def stop(self) -> None:
        """Drain."""
        self._stop.set()
        self._thread.join(DEADLINE_S)

    def decide(self, *values: bytes) -> None:
        """Append to the control topic."""
        for value in values:
            self.broker.append(CONTROL, None, value, 7)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a condition; fail after a deadline."""
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < deadline
            threading.Event().wait(0.005)

    def committed(self) -> int:
        """Next control record to be read by a successor."""
        commit = self.broker.commits.get("t.ingest", {}).get(CONTROL)
        return commit.offset if commit is not None else 0

    def limits(self) -> dict[str, int]:
        """Limit in force by account, after every frame was applied; every partition knows the whole control topic."""
        books = [Book(f, FRAMES, DetectSettings(dedupe_ring=1_024)) for f in range(FRAMES)]
        for message in self.broker.records("t.frames"):
            books[message.partition()].step(message.offset(), decode_frame(message.content or b""))
        found = {}
        for book in books:
            position = book.control_positions.by_partition[0]
            assert (position.offset, position.hole) == (self.broker.log(CONTROL).end - 1, 0)
            book._pack_cold(0)
            for account, (record, _, _) in book._cold.items():
                rulings = Mind.unpack(decode_account(zlib.decompress(record)).mind).rulings
                assert rulings is not None
                (found[account],) = (excuse.requests_per_day for excuse in rulings.excuses)
        return found


@pytest.fixture
def ingest() -> Iterator[Ingest]:
    """An ingest that ends with the test."""
    made = Ingest()
    yield made
    made.broker.down = False
    made.stop()


def test_decisions_reach_their_accounts_in_order(ingest: Ingest) -> None:
    """Each partition hears of every offset; the last word about an account counts; the commit follows; notes stay behind."""
    ingest.decide(*(declaration(f"a{i % 9}", i + 1) for i in range(40)))
    ingest.start()
    ingest.until(lambda: ingest.committed() == 40)
    ingest.decide(declaration("a3", 99))
    ingest.until(lambda: ingest.committed() == 41)
    ingest.stop()
    assert ingest.limits() == {**{f"a{i % 9}": i + 1 for i in range(40)}, "a3": 99}
    assert all(b"seen on a call" not in (message.content or b"") for message in ingest.broker.records("t.frames"))


def test_a_bad_decision_becomes_a_dead_letter_and_the_next_one_counts(ingest: Ingest) -> None:
    """Reason, path and position are there; nothing of the record is."""
    ingest.decide(b'{"type": "amnesty", "note": "hush"}', declaration("a", 5), b"hush")
    ingest.start()
    ingest.until(lambda: ingest.committed() == 3)
    ingest.stop()
    letters = [decode_dead_letter(message.content or b"") for message in ingest.broker.records("t.deadletter")]
    assert [(x.source_topic, x.source_partition, x.source_offset, x.reason, x.json_path) for x in letters] == [
        ("t.control", 0, 0, "wrong_type", "$.type"),
        ("t.control", 0, 2, "not_json", "$"),
    ]
    assert all(b"hush" not in (message.content or b"") for message in ingest.broker.records("t.deadletter"))
    assert ingest.limits() == {"a": 5}


@pytest.mark.parametrize("refused", range(1, 6))
def test_after_a_crash_each_decision_still_counts_once(ingest: Ingest, refused: int) -> None:
    """A delivery failure ends the session; its successor repeats what was not committed, and positions sort it out."""
    ingest.decide(*(declaration(f"a{i % 5}", i + 1) for i in range(10)))
    ingest.broker.refuse_deliveries = refused
    ingest.start()
    ingest.until(lambda: ingest.committed() == 10)
    ingest.broker.refuse_deliveries = refused
    ingest.decide(*(declaration(f"a{i % 5}", i + 1) for i in range(10, 20)))
    ingest.until(lambda: ingest.committed() == 20)
    ingest.stop()
    assert ingest.limits() == {f"a{i % 5}": i + 1 for i in range(20)}


def test_a_recreated_control_topic_is_refused(ingest: Ingest) -> None:
    """Its offsets would mean other decisions: the role ends and says what to do."""
    ingest.decide(declaration("a", 5), declaration("b", 5))
    ingest.start()
    ingest.until(lambda: ingest.committed() == 2)
    ingest.stop()
    ingest.broker.recreate("t.control")
    ingest.start()
    ingest.until(lambda: ingest.error is not None)
    assert isinstance(ingest.error, LineageError)
    assert ingest.error.location == "t.control"
    assert "--reset-state" in ingest.error.next_step
