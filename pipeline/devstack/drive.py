"""One run of the demo: traffic in, progress shown, everything awaited at the other end, the outcome read back and judged."""

from __future__ import annotations

import time
from collections import Counter, deque
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import UnavailableError
from pipeline.devstack.feed import Feed
from pipeline.devstack.live import Progress
from pipeline.devstack.readback import Sent, judge, read_back, requests_by_account
from pipeline.ports.clickhouse import Limits, Reader
from pipeline.ports.kafka import KafkaBroker

if TYPE_CHECKING:
    import queue
    from collections.abc import Sequence

    from pipeline.devstack.demo import DemoStack
    from pipeline.devstack.live import View
    from pipeline.devstack.readback import Claim, Outcome
    from pipeline.devstack.receiver import Delivery
    from pipeline.lab.simulate import Label, Scenario

AHEAD = 20_000
"""Records under way at most, so that alerts come while the traffic goes on."""
TURN_S = 0.25
RATE_WINDOW_S = 5.0
SETTLE_S = 45.0
"""How long nothing may move after the last record before the counts are taken as they are."""
READ_ROWS = 1_000_000


class Result(NamedTuple):
    """What a run came to."""

    outcome: Outcome
    claims: Sequence[Claim]

    @property
    def holds(self) -> bool:
        """Whether everything the demo claims is true."""
        return all(claim.holds for claim in self.claims)


class Drive:
    """One run over a started stack.

    Args:
        scenario: what is played.
        labels: the truth about its accounts.
        stack: where.
        view: what people see.
        arrived: deliveries from the webhook receiver.
    """

    def __init__(
        self, scenario: Scenario, labels: Sequence[Label], stack: DemoStack, view: View, arrived: queue.SimpleQueue[Delivery]
    ) -> None:
        self._scenario = scenario
        self._labels = labels
        self._stack = stack
        self._view = view
        self._arrived = arrived
        self._expected = sum(label.requests for label in labels)
        self._verified: set[str] = set()
        self._opened: set[str] = set()
        self._refused = 0
        self._metrics: dict[str, dict[str, float]] = {}
        self._speed: deque[tuple[float, int]] = deque()

    def run(self, speedup: float | None) -> Result:
        """Play the traffic, wait for all of it, read back, judge.

        Raises:
            DependencyError: a role ended; its last log lines are in the message.
            UnavailableError: the broker or ClickHouse stopped answering.
        """
        settings = self._stack.settings
        producer = KafkaBroker(settings.kafka).producer()
        with (
            Feed(self._scenario, producer, settings.requests_topic, speedup=speedup, ahead=AHEAD) as feed,
            closing(Reader(settings, Limits(rows=READ_ROWS))) as reader,
        ):
            while not feed.done:
                self._turn(feed)
                if feed.error is not None:
                    raise feed.error
            self._settle(feed, reader)
            outcome = read_back(reader)
        sent = Sent(
            feed.tally.records, feed.per_account, feed.tally.duplicates, Counter({str(k): n for k, n in feed.tally.rejected.items()})
        )
        claims = judge(
            sent, outcome, self._labels, self._count("detect", "stillwatch_duplicates_total"), len(self._verified), self._refused
        )
        return Result(outcome, claims)

    def watch(self) -> None:
        """One look at a stack that is kept running: alerts that still arrive, processes that should not have ended."""
        self._stack.check()
        self._show_arrived()
        time.sleep(TURN_S)

    def _turn(self, feed: Feed) -> None:
        self._stack.check()
        for role in ("ingest", "detect"):
            self._metrics[role] = self._stack.metrics(role) or self._metrics.get(role, {})
        feed.through = (
            self._count("detect", "stillwatch_events_total")
            + self._count("detect", "stillwatch_duplicates_total")
            + self._count("ingest", "stillwatch_rejects_total")
        )
        self._show_arrived()
        self._view.progress(
            Progress(
                sent=feed.tally.records,
                expected=self._expected,
                through=feed.through,
                rate=self._rate(feed.through),
                accounts=self._count("detect", "stillwatch_accounts"),
                alerts=len(self._opened),
                webhooks=len(self._verified),
                event_time_ms=feed.event_time_ms,
            )
        )
        time.sleep(TURN_S)

    def _settle(self, feed: Feed, reader: Reader) -> None:
        """Wait until everything that went in has come out, or until nothing has moved for `SETTLE_S`."""
        last, moved_at = None, time.monotonic()
        while True:
            self._turn(feed)
            revisions = self._count("detect", "stillwatch_alerts_total")
            try:
                rows = sum(requests_by_account(reader).values())
                alerts, letters = reader.query("SELECT (SELECT count() FROM alerts FINAL), (SELECT count() FROM dead_letters FINAL)").rows[
                    0
                ]
            except UnavailableError:
                continue
            now = (feed.through, rows, alerts, letters, len(self._verified))
            wanted = (feed.tally.records, feed.tally.counted, revisions, feed.tally.rejected.total(), revisions)
            if now == wanted:
                return
            if now != last:
                last, moved_at = now, time.monotonic()
            elif time.monotonic() - moved_at > SETTLE_S:
                return

    def _show_arrived(self) -> None:
        while not self._arrived.empty():
            delivery = self._arrived.get()
            self._view.delivery(delivery)
            if not delivery.verified:
                self._refused += 1
                continue
            self._verified.add(delivery.webhook_id)
            if isinstance(delivery.body, dict):
                self._opened.add(str(delivery.body.get("data", {}).get("alert_id", "")))

    def _count(self, role: str, metric: str) -> int:
        return round(self._metrics.get(role, {}).get(metric, 0.0))

    def _rate(self, through: int) -> float:
        now = time.monotonic()
        self._speed.append((now, through))
        while now - self._speed[0][0] > RATE_WINDOW_S:
            self._speed.popleft()
        since, before = self._speed[0]
        return (through - before) / (now - since) if now > since else 0.0
