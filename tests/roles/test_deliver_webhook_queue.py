"""When a webhook is tried again, by a clock of the test's own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from pipeline.events.alert import Alert, Kind
from pipeline.ports.webhook import Attempt
from pipeline.roles.webhook_queue import JITTER, MAX_PENDING, SLOW_DOWN_LIMIT_S, EndpointQueue, Outcome

if TYPE_CHECKING:
    from pipeline.roles.webhook_queue import Pending

SCHEDULE = (0.0, 5.0, 300.0, 1_800.0)
OK = Attempt(204, "", 0.1)
DOWN = Attempt(0, "refused", 0.1)
GONE = Attempt(410, "HTTP 410", 0.1)


def busy(status: int = 429, retry_after_s: float | None = None) -> Attempt:
    """An answer that asks for patience."""
    return Attempt(status, f"HTTP {status}", 0.1, retry_after_s)


def alert(name: str, revision: int = 1) -> Alert:
    """A small alert."""
    return Alert(
        alert_id=name, revision=revision, state="opened", subject_type="account", subject_id="acme", account_ids=["acme"],
        kind=Kind.PROBING, headline="h", severity=3, risk=0.5, confidence=0.5, first_seen_ms=1, last_seen_ms=2, raised_at_ms=3,
        requests=1, input_tokens=1, output_tokens=1, explanation=[], techniques=[], evidence=[], recommended_action="watch",
        detector_version="1",
    )  # fmt: skip


@pytest.fixture
def queue() -> EndpointQueue:
    """An empty queue."""
    return EndpointQueue(SCHEDULE, random.Random(7))


def fail(queue: EndpointQueue, delivery: Pending, now_ms: int, attempt: Attempt = DOWN) -> Pending:
    """Settle a failure that will be tried again."""
    verdict = queue.settle(delivery, attempt, now_ms)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.retry is not None
    return verdict.retry


def test_a_new_alert_is_due_at_once(queue: EndpointQueue) -> None:
    """The schedule's first wait is nothing."""
    assert queue.fresh("siem", 0, alert("a"), 1_000).due_ms == 1_000


def test_the_schedule_is_followed_with_jitter_and_ends(queue: EndpointQueue) -> None:
    """Each failure waits for the next step, within the jitter; after the last step the delivery is given up."""
    now = 1_000_000
    delivery = queue.fresh("siem", 0, alert("a"), now)
    for wait_s in SCHEDULE[1:]:
        delivery = fail(queue, delivery, now)
        assert wait_s * (1 - JITTER) <= (delivery.due_ms - now) / 1_000 <= wait_s * (1 + JITTER)
        assert queue.due(delivery.due_ms - 1) is None
        now = delivery.due_ms
        assert queue.due(now) == delivery
    assert queue.settle(delivery, DOWN, now) == (Outcome.GAVE_UP, None)
    assert len(queue) == 0


def test_jitter_differs_between_deliveries(queue: EndpointQueue) -> None:
    """Deliveries that failed together do not come back together."""
    dues = {fail(queue, queue.fresh("siem", 0, alert(f"a{i}"), 0), 0).due_ms for i in range(20)}
    assert len(dues) > 15


def test_success_forgets(queue: EndpointQueue) -> None:
    """What was delivered is not tried again."""
    delivery = fail(queue, queue.fresh("siem", 0, alert("a"), 0), 0)
    assert queue.settle(delivery, OK, delivery.due_ms) == (Outcome.DELIVERED, None)
    assert (len(queue), queue.due(10**15), queue.oldest_ms()) == (0, None, None)


def test_retry_after_outweighs_the_schedule_but_does_not_shorten_it(queue: EndpointQueue) -> None:
    """The endpoint may ask for more patience than the schedule has, not for less."""
    patient = fail(queue, queue.fresh("siem", 0, alert("a"), 0), 0, busy(503, 60.0))
    assert patient.due_ms == 60_000
    assert queue.paused_until_ms == 60_000
    eager = fail(queue, queue.fresh("siem", 0, alert("b"), 0), 0, busy(503, 0.0))
    assert eager.due_ms >= 4_500


@pytest.mark.parametrize("status", [429, 502, 504])
def test_an_overloaded_endpoint_is_left_alone_for_longer_each_time(queue: EndpointQueue, status: int) -> None:
    """Overload pauses every delivery to the endpoint, doubling up to a limit; one success ends it."""
    pauses = []
    for i in range(12):
        fail(queue, queue.fresh("siem", 0, alert(f"a{i}"), 0), 0, busy(status))
        pauses.append(queue.paused_until_ms / 1_000)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == SLOW_DOWN_LIMIT_S
    assert queue.due(int(SLOW_DOWN_LIMIT_S * 1_000) - 1) is None
    assert queue.due(int(SLOW_DOWN_LIMIT_S * 1_000)) is not None
    queue.settle(queue.fresh("siem", 0, alert("ok"), 0), OK, 0)
    assert queue.paused_until_ms == 0
    fail(queue, queue.fresh("siem", 0, alert("again"), 0), 0, busy(status))
    assert queue.paused_until_ms == 1_000


def test_other_failures_do_not_pause_the_endpoint(queue: EndpointQueue) -> None:
    """A refused connection delays its own delivery only."""
    fail(queue, queue.fresh("siem", 0, alert("a"), 0), 0)
    assert queue.paused_until_ms == 0


def test_a_newer_revision_does_not_wait_for_an_older_one(queue: EndpointQueue) -> None:
    """Revisions are deliveries of their own: what is due longest goes first, whichever it is."""
    first = fail(queue, queue.fresh("siem", 0, alert("a", 1), 0), 0)
    second = queue.fresh("siem", 0, alert("a", 2), 1_000)
    assert second.key != first.key
    queue.add([second])
    assert queue.due(1_000) == second
    assert queue.due(first.due_ms) == second
    queue.settle(second, OK, 1_000)
    assert queue.due(first.due_ms) == first


def test_gone_ends_everything(queue: EndpointQueue) -> None:
    """410 is neither a success nor tried again."""
    assert queue.settle(queue.fresh("siem", 0, alert("a"), 0), GONE, 0) == (Outcome.DISABLED, None)


def test_partitions_that_move_take_their_deliveries_along(queue: EndpointQueue) -> None:
    """Another worker delivers what waits for partitions it took over."""
    for partition in (0, 1, 2):
        queue.add([queue.fresh("siem", partition, alert(f"a{partition}"), 5)])
    queue.drop_partitions([0, 2])
    assert [p.alert.alert_id for p in queue.clear()] == ["a1"]


def test_idle_time_and_age(queue: EndpointQueue) -> None:
    """The loop sleeps until something is due, and the oldest delivery's age is known."""
    assert queue.idle_ms(0) > 1_000_000
    delivery = fail(queue, queue.fresh("siem", 0, alert("a"), 100), 200)
    assert queue.idle_ms(200) == delivery.due_ms - 200
    assert queue.oldest_ms() == 100
    fail(queue, queue.fresh("siem", 0, alert("b"), 300), 300, busy(429, 600.0))
    assert queue.idle_ms(300) == 600_000


def test_the_queue_has_a_limit(queue: EndpointQueue) -> None:
    """Past the limit it says full, and alerts stay in Kafka."""
    one = queue.fresh("siem", 0, alert("a"), 0)
    assert not queue.full
    queue.add(queue.fresh("siem", 0, alert(f"a{i}"), 0) for i in range(MAX_PENDING - 1))
    assert not queue.full
    queue.add([one, queue.fresh("siem", 0, alert("b"), 0)])
    assert queue.full
