"""Playing a scenario into the requests topic from a thread, with exact counts of what was sent."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pipeline.lab.simulate import Note, Tally, publish, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.lab.simulate import Scenario, SimulatedEvent
    from pipeline.ports.broker import Producer

WAIT_S = 0.05


class _StoppedError(Exception):
    """Ends the thread when its owner leaves."""


class Feed:
    """Sends a scenario's records; use it as a context manager, which stops it and is done with the producer, however it ends.

    Args:
        scenario: what to play.
        producer: where it goes; the feed's own from here on.
        topic: the requests topic.
        speedup: seconds of event time per second at most; None for no limit.
        ahead: records that may be under way to the other end (`through`) before the feed waits.

    Attributes:
        through: records that have reached the other end; its owner sets it.
        tally: what was sent so far.
        per_account: events that count, by account.
        event_time_ms: event time reached; −1 before the first record.
        done: everything was sent and acknowledged.
        error: why it ended early, or None.
    """

    def __init__(self, scenario: Scenario, producer: Producer, topic: str, *, speedup: float | None, ahead: int) -> None:
        self.through = 0
        self.tally = Tally()
        self.per_account: Counter[str] = Counter()
        self.event_time_ms = -1
        self.done = False
        self.error: BaseException | None = None
        self._scenario = scenario
        self._producer = producer
        self._topic = topic
        self._speedup = speedup
        self._ahead = ahead
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed")

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except BaseException:  # interrupted: it may run all the same
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with suppress(RuntimeError):  # it did not get to begin, and stops as soon as it does
            self._thread.join()
        self._producer.abandon()  # librdkafka's threads must not outlive the interpreter

    def _run(self) -> None:
        try:
            publish(self._counted(), self._producer, self._topic, speedup=self._speedup, on_progress=self._progress)
            self.done = True
        except _StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - its owner raises it
            self.error = error

    def _counted(self) -> Iterator[SimulatedEvent]:
        for event in simulate(self._scenario):
            if event.note not in (Note.BAD, Note.DUPLICATE):
                self.per_account[event.account_id] += 1
            yield event

    def _progress(self, tally: Tally, at_ms: int) -> None:
        self.tally = tally
        self.event_time_ms = at_ms
        while not self._stop.is_set() and tally.records - self.through > self._ahead:
            self._stop.wait(WAIT_S)
        if self._stop.is_set():
            raise _StoppedError
