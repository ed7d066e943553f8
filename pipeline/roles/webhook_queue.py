"""What one webhook endpoint still has to get, and when to try again. Pure: time and randomness are arguments.

Standard Webhooks 1.0: a fixed schedule with jitter, `Retry-After` honoured, 429/502/504 slow the whole endpoint down,
410 ends it. Each revision of an alert stands for itself: a newer one may arrive while an older one waits.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.base.times import HOUR_MS
from pipeline.events.alert import Alert

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from pipeline.ports.webhook import Attempt

JITTER = 0.1
"""Waits vary by this share either way, so that endpoints that failed together do not come back together."""
MAX_PENDING = 10_000
"""Deliveries one worker holds for retry; above it new alerts stay in Kafka, which keeps them for days."""
SLOW_DOWN_FIRST_S = 1.0
SLOW_DOWN_LIMIT_S = 300.0
"""Pause of an endpoint that says it is overloaded: doubled each time up to the limit, seconds."""


class Outcome(StrEnum):
    """What one attempt meant for its delivery."""

    DELIVERED = "delivered"
    FAILED = "failed"  # will be tried again
    GAVE_UP = "gave_up"  # failed, and was the schedule's last
    DISABLED = "disabled"  # 410: the endpoint wants nothing any more


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery that has not succeeded yet: the value of a record in the outbox topic."""

    version: int = 1
    endpoint: str
    partition: int
    """Partition of the alerts topic: whoever reads it delivers this."""
    attempts: int
    first_at_ms: int
    """Wall-clock time at which this worker first saw the alert."""
    due_ms: int
    alert: Alert

    @property
    def key(self) -> str:
        """Key in the outbox topic."""
        return f"{self.endpoint}|{self.alert.alert_id}|{self.alert.revision}"


class Verdict(NamedTuple):
    """What to do after an attempt: `retry` is what the outbox must hold from now on (None: nothing)."""

    outcome: Outcome
    retry: Pending | None


class EndpointQueue:
    """Deliveries of one endpoint that wait for their next attempt."""

    def __init__(self, schedule_s: Sequence[float], rng: random.Random) -> None:
        self._schedule_s = tuple(schedule_s)
        self._rng = rng
        self._waiting: dict[str, Pending] = {}
        self._slow_downs = 0
        self.paused_until_ms = 0
        """No attempt at all before this."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: str) -> bool:
        return key in self._waiting

    @property
    def full(self) -> bool:
        """No new alert should be taken."""
        return len(self._waiting) >= MAX_PENDING

    def fresh(self, endpoint: str, partition: int, alert: Alert, now_ms: int) -> Pending:
        """A delivery for an alert that was just read."""
        due = now_ms + self._wait_ms(0)
        return Pending(endpoint=endpoint, partition=partition, attempts=0, first_at_ms=now_ms, due_ms=due, alert=alert)

    def add(self, deliveries: Iterable[Pending]) -> None:
        """Take deliveries over, from the outbox or after a failure."""
        self._waiting.update((delivery.key, delivery) for delivery in deliveries)

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        """Forget what another worker delivers from now on."""
        gone = set(partitions)
        self._waiting = {key: p for key, p in self._waiting.items() if p.partition not in gone}

    def clear(self) -> list[Pending]:
        """Forget everything and return it."""
        dropped, self._waiting = list(self._waiting.values()), {}
        return dropped

    def due(self, now_ms: int) -> Pending | None:
        """The delivery to try now: the one that has been due longest; None when none is or the endpoint pauses."""
        if now_ms < self.paused_until_ms or not self._waiting:
            return None
        first = min(self._waiting.values(), key=lambda p: (p.due_ms, p.key))
        return first if first.due_ms <= now_ms else None

    def idle_ms(self, now_ms: int) -> int:
        """How long nothing of this queue will be due; a large number when it is empty."""
        first = min((p.due_ms for p in self._waiting.values()), default=now_ms + HOUR_MS)
        return max(first, self.paused_until_ms) - now_ms

    def oldest_ms(self) -> int | None:
        """When the oldest waiting delivery was first seen."""
        return min((p.first_at_ms for p in self._waiting.values()), default=None)

    def settle(self, delivery: Pending, attempt: Attempt, now_ms: int) -> Verdict:
        """Judge an attempt that just ended and keep the delivery, or not."""
        self._waiting.pop(delivery.key, None)
        if attempt.delivered:
            self._slow_downs = 0
            self.paused_until_ms = 0
            return Verdict(Outcome.DELIVERED, None)
        if attempt.gone:
            return Verdict(Outcome.DISABLED, None)
        asked_ms = round((attempt.retry_after_s or 0.0) * 1_000)
        if attempt.slow_down:
            pause_s = min(SLOW_DOWN_FIRST_S * 2**self._slow_downs, SLOW_DOWN_LIMIT_S)
            self._slow_downs = min(self._slow_downs + 1, 30)
            self.paused_until_ms = now_ms + max(round(pause_s * 1_000), asked_ms)
        tried = delivery.attempts + 1
        if tried >= len(self._schedule_s):
            return Verdict(Outcome.GAVE_UP, None)
        due = now_ms + max(self._wait_ms(tried), asked_ms)
        retry = msgspec.structs.replace(delivery, attempts=tried, due_ms=due)
        self._waiting[retry.key] = retry
        return Verdict(Outcome.FAILED, retry)

    def _wait_ms(self, attempt: int) -> int:
        wait_s = self._schedule_s[attempt] if self._schedule_s else 0.0
        return round(wait_s * 1_000 * self._rng.uniform(1 - JITTER, 1 + JITTER))
