"""One webhook endpoint: a consumer group of its own over the alerts topic, retries in the outbox, a thread of its own.

The offset of an alert is committed once it was delivered, or its retry is acknowledged by the outbox. So nothing is lost,
a slow endpoint delays only itself, and a repeat after a crash carries the same `webhook-id`.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

import msgspec

from pipeline.base.errors import CodecError, UnavailableError
from pipeline.events.alert import Alert, decode_alert
from pipeline.ports import metrics
from pipeline.ports.logs import get_logger
from pipeline.ports.webhook import WebhookSender, alert_message
from pipeline.roles.attempts import AttemptRow
from pipeline.roles.group_reader import GroupReader
from pipeline.roles.outbox import Disabled, Outbox
from pipeline.roles.webhook_queue import EndpointQueue, Outcome

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from pipeline.base.settings import Settings, WebhookEndpoint
    from pipeline.ports.broker import Broker, Message, TopicPartition
    from pipeline.ports.webhook import Attempt
    from pipeline.ports.webhook import Message as WebhookMessage
    from pipeline.roles.attempts import AttemptLog
    from pipeline.roles.health import Health
    from pipeline.roles.webhook_queue import Pending

_LOG = get_logger(__name__)
IDLE_S = 0.5
"""Longest time between two looks at the stop signal while nothing is due."""
PERSIST_RETRY_S = 1.0


class Sender(Protocol):
    """Makes one attempt at one endpoint; `ports.webhook.WebhookSender` for real."""

    def send(self, message: WebhookMessage, now: datetime) -> Attempt:
        """Send and say what came of it; never raises for what the network does."""
        ...


def settings_digest(endpoint: WebhookEndpoint) -> str:
    """Changes when the endpoint's address or secret changes: then a 410 of the past no longer counts."""
    secret = endpoint.secret.get_secret_value().encode() if endpoint.secret else b""
    return blake2b(endpoint.url.encode(), key=secret[:64], digest_size=12).hexdigest()


class EndpointWorker:
    """Delivers alerts to one endpoint until told to stop.

    Raises:
        SettingsError: at construction, when the endpoint's settings do not allow sending.
    """

    def __init__(
        self,
        settings: Settings,
        endpoint: WebhookEndpoint,
        broker: Broker,
        attempts: AttemptLog,
        health: Health,
        stop: threading.Event,
        *,
        sender: Sender | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        rng: random.Random | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._sender: Sender = sender or WebhookSender(endpoint)
        self._attempts = attempts
        self._stop = stop
        self._now_ms = now_ms
        self._queue = EndpointQueue(settings.deliver.webhook_schedule_s, rng or random.Random())
        self._group = settings.group(f"webhook.{endpoint.name}")
        self._outbox = Outbox(broker, settings.topic("outbox"), endpoint.name, self._group)
        self._disabled = False
        self._broker = broker
        self._health = health
        self._alerts = settings.topic("alerts")
        self._canaries = settings.deliver.canary_alerts

    @property
    def name(self) -> str:
        """Name of the endpoint."""
        return self._endpoint.name

    def reader(self) -> GroupReader:
        """Join the endpoint's consumer group."""
        return GroupReader(
            self._broker,
            self._group,
            [self._alerts],
            role=f"webhook.{self.name}",
            stop=self._stop,
            health=self._health,
            on_assign=self._assigned,
            on_revoke=self._revoked,
        )

    def run(self) -> None:
        """Deliver until `stop` is set.

        Raises:
            CodecError: a record of the alerts topic or the outbox does not decode.
            DependencyError: Kafka refuses us.
        """
        reader = self.reader()
        try:
            while not self._stop.is_set():
                self.step(reader)
        finally:
            reader.close()
            self._outbox.close()

    def step(self, reader: GroupReader) -> None:
        """Try one delivery that is due, if any; then take one new alert, if there is one and it may be tried."""
        due = self._queue.due(self._now_ms())
        if due is not None:
            self._try(due, in_outbox=True)
        now = self._now_ms()
        oldest = self._queue.oldest_ms()
        metrics.gauge("stillwatch_outbox_age_seconds", 0.0 if oldest is None else max(now - oldest, 0) / 1_000, endpoint=self.name)
        wait_s = min(max(self._queue.idle_ms(now), 0) / 1_000, IDLE_S)
        if now < self._queue.paused_until_ms or self._queue.full:
            reader.hold(wait_s)
            return
        for tp, messages in reader.read(1, wait_s).items():
            for message in messages:
                if self._stop.is_set() or not self._take(message, tp):
                    return
                reader.commit({tp: (message.offset() or 0) + 1})

    def _assigned(self, partitions: list[TopicPartition]) -> None:
        """Take over what waits for these partitions; runs before their alerts are read."""
        waiting, mark = self._outbox.load((tp.partition for tp in partitions), self._stop.is_set)
        self._disabled = mark is not None and mark.settings_digest == settings_digest(self._endpoint)
        if mark is not None and not self._disabled:
            self._outbox.enable()
            _LOG.info("webhook.enabled", endpoint=self.name, reason="its url or secret was changed since it answered 410")
        if self._disabled:
            _LOG.warning("webhook.disabled", endpoint=self.name, reason="it answered 410; change its url or secret to send again")
            self._outbox.forget(p.key for p in waiting)
            return
        self._queue.add(waiting)

    def _revoked(self, partitions: list[TopicPartition]) -> None:
        self._queue.drop_partitions(tp.partition for tp in partitions)

    def _take(self, message: Message, tp: TopicPartition) -> bool:
        """Handle one new alert; False when it must be read again (we are stopping)."""
        try:
            alert = decode_alert(message.value() or b"")
        except msgspec.DecodeError as err:
            raise CodecError(
                f"a record that should be an alert does not decode: {err}", location=f"{tp.topic}[{tp.partition}]@{message.offset()}"
            ) from None
        if self._disabled or alert.severity < self._endpoint.min_severity or (alert.canary and not self._canaries):
            return True
        now = self._now_ms()
        delivery = self._queue.fresh(self.name, tp.partition, alert, now)
        if delivery.key in self._queue:  # written to the outbox before a crash that kept the offset from being committed
            return True
        if delivery.due_ms > now:
            self._queue.add([delivery])
            return self._persist(lambda: self._outbox.put(delivery))
        return self._try(delivery, in_outbox=False)

    def _try(self, delivery: Pending, *, in_outbox: bool) -> bool:
        """Make one attempt and remember what came of it; False when that could not be made durable."""
        alert = delivery.alert
        started = self._now_ms()
        attempt = self._sender.send(alert_message(alert), datetime.fromtimestamp(started / 1_000, UTC))
        verdict = self._queue.settle(delivery, attempt, self._now_ms())
        self._record(delivery, attempt, verdict.outcome, started)
        if verdict.outcome is Outcome.DISABLED:
            return self._disable(alert, delivery.key if in_outbox else None)
        retry = verdict.retry
        if retry is not None:
            return self._persist(lambda: self._outbox.put(retry))
        return not in_outbox or self._persist(lambda: self._outbox.forget([delivery.key]))

    def _disable(self, alert: Alert, key: str | None) -> bool:
        self._disabled = True
        _LOG.error("webhook.disabled", endpoint=self.name, reason="it answered 410", alert_id=alert.alert_id)
        dropped = [p.key for p in self._queue.clear()] + ([key] if key else [])
        mark = Disabled(endpoint=self.name, at_ms=self._now_ms(), settings_digest=settings_digest(self._endpoint))
        return self._persist(lambda: self._outbox.disable(mark)) and self._persist(lambda: self._outbox.forget(dropped))

    def _persist(self, write: Callable[[], None]) -> bool:
        """Repeat a write to the outbox until Kafka has it; False when told to stop first."""
        while True:
            try:
                write()
            except UnavailableError as err:
                _LOG.warning("outbox.waiting", endpoint=self.name, reason=err.message)
                if self._stop.wait(PERSIST_RETRY_S):
                    return False
            else:
                return True

    def _record(self, delivery: Pending, attempt: Attempt, outcome: Outcome, started_ms: int) -> None:
        alert = delivery.alert
        metrics.count("stillwatch_webhook_attempts_total", endpoint=self.name, outcome=outcome.value)
        write = {Outcome.DELIVERED: _LOG.info, Outcome.GAVE_UP: _LOG.error}.get(outcome, _LOG.warning)
        write(
            f"webhook.{outcome.value}",
            endpoint=self.name,
            alert_id=alert.alert_id,
            revision=alert.revision,
            attempt=delivery.attempts + 1,
            status=attempt.status,
            error=attempt.error,
        )
        self._attempts.add(
            AttemptRow(
                endpoint=self.name,
                alert_id=alert.alert_id,
                revision=alert.revision,
                attempt=delivery.attempts + 1,
                attempted_at=started_ms,
                outcome=outcome.value,
                status=attempt.status,
                error=attempt.error[:500],
                duration_ms=round(attempt.duration_s * 1_000, 3),
            )
        )
