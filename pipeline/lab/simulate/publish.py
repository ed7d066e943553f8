"""Playing records into Kafka: at a rate, at a multiple of event time, or as fast as the broker takes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipeline.lab.simulate.faults import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.lab.simulate.faults import SimulatedEvent
    from pipeline.ports.broker import Producer

_POLL_EVERY = 256
_LONGEST_WAIT_S = 0.05
_FLUSH_S = 60.0


def publish(
    events: Iterable[SimulatedEvent],
    producer: Producer,
    topic: str,
    *,
    rate: float | None = None,
    speedup: float | None = None,
    on_progress: Callable[[Tally, int], None] | None = None,
) -> Tally:
    """Send every record under its key, wait until all are acknowledged → what was sent.

    Args:
        events: records in order of arrival.
        producer: a producer of `ports`.
        topic: where to.
        rate: records per second of wall-clock at most.
        speedup: seconds of event time per second of wall-clock at most (1 is live).
        on_progress: called every few hundred records with the tally and the event time reached (ms).

    Raises:
        UnavailableError: a record was not acknowledged. How many were written before is then unknown.
        DependencyError: the broker refused one.
    """
    tally = Tally()
    begun = time.monotonic()
    first_ms: int | None = None
    reached_ms = 0
    for event in events:
        reached_ms = max(reached_ms, event.occurred_at_ms)  # a late record does not turn the clock back
        first_ms = reached_ms if first_ms is None else first_ms
        due_s = 0.0
        if rate is not None:
            due_s = tally.records / rate
        if speedup is not None:
            due_s = max(due_s, (reached_ms - first_ms) / 1000 / speedup)
        while (ahead_s := begun + due_s - time.monotonic()) > 0:
            time.sleep(min(ahead_s, _LONGEST_WAIT_S))
            producer.poll()
        producer.send(topic, event.raw, key=event.key.encode())
        tally.add(event)
        if tally.records % _POLL_EVERY == 0:
            producer.poll()
            if on_progress is not None:
                on_progress(tally, reached_ms)
    producer.flush(_FLUSH_S)
    if on_progress is not None:
        on_progress(tally, reached_ms)
    return tally
