"""detect: a Faust agent reads frames, the book decides, outputs and state go back to Kafka.

Faust delivers raw frames and owns group membership. Everything exact is ours: a frame is applied only when it is the
next one, state is restored before the flow resumes, and an offset is committed only after a durable checkpoint
(outputs → account records → marker → commit). The recipe and the traps behind it: `docs/decisions/0006-faust.md`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import faust
from faust.transport.drivers.aiokafka import Consumer as AiokafkaConsumer
from faust.transport.drivers.aiokafka import Transport as AiokafkaTransport
from faust.types import TP

from pipeline.accounts.book import Book, HoleError
from pipeline.base.errors import DependencyError, StillwatchError
from pipeline.events.alert import encode_alert
from pipeline.events.frame import decode_frame
from pipeline.events.outputs import Risk, encode
from pipeline.ports import metrics
from pipeline.ports.kafka import KafkaBroker, aiokafka_credentials
from pipeline.ports.logs import get_logger
from pipeline.ports.statelog import StateLog
from pipeline.roles.lifecycle import crash_point

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from pipeline.accounts.book import Checkpoint, Effects
    from pipeline.base.settings import Settings
    from pipeline.events.alert import Alert
    from pipeline.ports.broker import Broker, Producer

_LOG = get_logger("detect")
FLUSH_TIMEOUT_S = 120.0
RISK_VALID_MS = 24 * 3_600_000


class _Owned:
    """A partition in this worker's hands."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.lock = asyncio.Lock()
        self.saved_at = time.monotonic()
        self.frames_since = 0
        self.generation = -1


class DetectWorker:
    """One worker process: owns the books of the partitions that the group assigns to it."""

    def __init__(self, settings: Settings, broker: Broker, ready: Callable[[str], None]) -> None:
        self._settings = settings
        self._broker = broker
        self._ready = ready
        frames = broker.topic(settings.topic("frames"))
        if frames is None:
            raise DependencyError(f"topic {settings.topic('frames')} does not exist", next_step="run `stillwatch init`")
        self._frames = frames
        self._state = StateLog(broker, settings.topic("state"))
        self._outputs: Producer = broker.producer()
        self._state_producer: Producer = broker.producer()
        self._owned: dict[int, _Owned] = {}
        self._parked: dict[int, _Owned] = {}  # revoked; useful again if they come back in the next generation
        self._saving = asyncio.Lock()
        self._task: asyncio.Future[None] | None = None
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.app = self._make_app()

    # ---- faust

    def _make_app(self) -> Any:  # noqa: ANN401 - faust ships no types
        worker = self

        class ExactConsumer(AiokafkaConsumer):
            """Seeks to what the state covers, whatever was committed."""

            async def perform_seek(self) -> None:
                await super().perform_seek()
                for tp in self.assignment():
                    owned = worker._owned.get(tp.partition)  # noqa: SLF001 - one class in two halves
                    if owned is not None:
                        await self.seek_wait({tp: owned.book.applied + 1})

        class ExactTransport(AiokafkaTransport):
            Consumer = ExactConsumer

        kafka = self._settings.kafka
        app = faust.App(
            self._settings.group("detect"),
            broker=[f"kafka://{address.strip()}" for address in kafka.bootstrap_servers.split(",")],
            broker_credentials=aiokafka_credentials(kafka),
            broker_session_timeout=kafka.session_timeout_ms / 1000,
            broker_heartbeat_interval=max(kafka.session_timeout_ms / 10_000, 0.3),
            broker_request_timeout=max(90.0, 3 * kafka.session_timeout_ms / 1000),
            broker_commit_interval=3_600.0,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=4 * 1024 * 1024,
            producer_linger=0,
            stream_wait_empty=False,
            stream_buffer_maxsize=64,
            stream_publish_on_commit=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            autodiscover=False,
            loghandlers=[],
        )
        app.transport = ExactTransport(url=app.conf.broker_consumer, app=app)
        topic = app.topic(self._settings.topic("frames"), key_serializer="raw", value_serializer="raw", acks=False)

        @app.agent(topic, name="detect", concurrency=1)
        async def detect(stream: Any) -> None:  # noqa: ANN401
            async for event in stream.noack().events():
                await worker._guard(worker._on_record(event.message))  # noqa: SLF001

        @app.on_rebalance_complete.connect(weak=False)
        async def restored(_app: Any, **_: Any) -> None:  # noqa: ANN401
            await worker._guard(worker._restore())  # noqa: SLF001

        @app.on_partitions_revoked.connect(weak=False)
        async def revoked(_app: Any, _revoked: Any, **_: Any) -> None:  # noqa: ANN401
            await worker._guard(worker._revoke())  # noqa: SLF001

        return app

    async def _guard(self, work: Any) -> None:  # noqa: ANN401
        """The agent's body never lets an error out: Faust would acknowledge, restart and go on."""
        if self.failure is not None:
            work.close()
            return
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it ends the process with its own words
            self.failure = error
            self.failed.set()

    # ---- frames

    async def _on_record(self, message: Any) -> None:  # noqa: ANN401
        partition, offset = message.tp.partition, message.offset
        owned = self._owned.get(partition)
        if owned is None:
            return
        async with owned.lock:
            if self._owned.get(partition) is not owned or offset <= owned.book.applied:
                return
            try:
                frame = decode_frame(message.value or b"")
                effects = owned.book.step(offset, frame)
            except HoleError:
                if offset == owned.book.applied + 1:
                    raise
                await self.app.consumer.seek_wait({message.tp: owned.book.applied + 1})
                return
            except StillwatchError as error:
                error.location = error.location or f"{message.tp.topic}[{partition}]@{offset}"
                raise
            owned.frames_since += 1
            self._publish(partition, effects, frame.columns.appended_at_ms)
        self._checkpoint_if_due(partition, owned)

    def _publish(self, partition: int, effects: Effects, appended_at_ms: Any) -> None:  # noqa: ANN401
        settings = self._settings
        for alert, row in zip(effects.alerts, effects.alert_rows, strict=True):
            key = alert.subject_id.encode()
            self._outputs.send(settings.topic("alerts"), encode_alert(alert), key=key, partition=partition)
            self._outputs.send(settings.topic("risk"), encode(_risk(alert)), key=key, partition=partition)
            metrics.count("stillwatch_alerts_total", kind=alert.kind.value, state=alert.state)
            if row >= 0 and appended_at_ms[row] > 0:
                metrics.observe("stillwatch_event_to_alert_seconds", max(0.0, time.time() - appended_at_ms[row] / 1000))
        self._outputs.poll()
        metrics.count("stillwatch_frames_total", role="detect")
        metrics.count("stillwatch_events_total", effects.applied, role="detect")
        metrics.count("stillwatch_duplicates_total", effects.duplicates)
        metrics.count("stillwatch_event_id_conflicts_total", effects.conflicts)
        metrics.count("stillwatch_late_events_total", effects.late)

    # ---- checkpoints

    def _checkpoint_if_due(self, partition: int, owned: _Owned) -> None:
        """Start a checkpoint in the background, one at a time; frames go on meanwhile, the cut is immutable."""
        detect = self._settings.detect
        due = owned.frames_since >= detect.checkpoint_frames or (
            owned.frames_since and time.monotonic() - owned.saved_at >= detect.checkpoint_interval_s
        )
        if due and not self._saving.locked() and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._guard(self._checkpoint(partition, owned)))

    async def _checkpoint(self, partition: int, owned: _Owned) -> None:
        """Outputs → account records → marker → commit → tombstones; each step durable before the next."""
        async with self._saving:
            async with owned.lock:
                if not owned.frames_since:
                    return
                cut = owned.book.checkpoint()
                applied = owned.book.applied
                owned.frames_since = 0
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self._write, partition, cut)
            crash_point("detect:after-marker")
            with suppress(KeyError):  # the partition may have gone: then the commit is refused, and that is fine
                await self.app.consumer._commit_offsets({TP(self._frames.name, partition): applied + 1})  # noqa: SLF001
            crash_point("detect:after-commit")
            owned.saved_at = time.monotonic()
            tombstones: list[tuple[bytes, bytes | None]] = [(key, None) for key in cut.superseded]
            await loop.run_in_executor(None, self._state.write, self._state_producer, partition, tombstones, FLUSH_TIMEOUT_S)
            self._report(partition, owned)

    def _write(self, partition: int, cut: Checkpoint) -> None:
        topic = self._settings.topic("rollups")
        for rollup in cut.rollups:
            self._outputs.send(topic, encode(rollup), key=rollup.account_id.encode("utf-8", "surrogatepass"), partition=partition)
        self._outputs.flush(FLUSH_TIMEOUT_S)
        crash_point("detect:after-outputs")
        half = len(cut.records) // 2
        self._state.write(self._state_producer, partition, cut.records[:half], FLUSH_TIMEOUT_S)
        crash_point("detect:amid-accounts")
        self._state.write(self._state_producer, partition, cut.records[half:], FLUSH_TIMEOUT_S)
        crash_point("detect:before-marker")
        self._state.write(self._state_producer, partition, [cut.marker], FLUSH_TIMEOUT_S)

    def _report(self, partition: int, owned: _Owned) -> None:
        book, where = owned.book, str(partition)
        live, packed = book.accounts
        metrics.gauge("stillwatch_accounts", live, partition=where, state="live")
        metrics.gauge("stillwatch_accounts", packed, partition=where, state="packed")
        if book.watermark_ms >= 0:
            metrics.gauge("stillwatch_watermark_lag_seconds", time.time() - book.watermark_ms / 1000, partition=where)
        for kind in ("lost", "hole"):
            missing = sum(getattr(position, kind) for position in book.positions.by_partition.values())
            metrics.gauge("stillwatch_source_gap", missing, partition=where, kind=kind)

    # ---- membership

    def _assigned(self) -> set[int]:
        return {tp.partition for tp in self.app.consumer.assignment() if tp.topic == self._frames.name}

    async def _restore(self) -> None:
        """Runs before the flow resumes. A later rebalance makes it give up: that one restores again."""
        generation = self.app.consumer_generation_id
        moved_on = lambda: self.app.consumer_generation_id != generation or self.failure is not None  # noqa: E731
        parked, self._parked = self._parked, {}
        for partition in sorted(self._assigned()):
            if partition in self._owned:
                continue
            kept = parked.get(partition)
            if kept is not None and kept.generation + 1 == generation:
                owned = kept
            else:
                book = await asyncio.get_running_loop().run_in_executor(None, self._read_book, partition, moved_on)
                if book is None:
                    return
                owned = _Owned(book)
            owned.generation = generation
            self._owned[partition] = owned
            _LOG.info("partition.restored", partition=partition, applied=owned.book.applied, accounts=sum(owned.book.accounts))
        self._ready("")

    def _read_book(self, partition: int, give_up: Callable[[], bool]) -> Book | None:
        records = self._state.read(partition, give_up)
        if records is None:
            return None
        return Book.restore(partition, self._frames.partitions, self._settings.detect, records.items(), self._frames.topic_id)

    async def _revoke(self) -> None:
        """Save what we have; the next owner starts there. If the group is gone already, the save is harmless."""
        self._ready("rebalancing")
        owned, self._owned = self._owned, {}
        for partition, one in owned.items():
            await self._checkpoint(partition, one)
            self._parked[partition] = one

    async def drain(self) -> None:
        """SIGTERM: stop applying, save, commit."""
        for partition, owned in list(self._owned.items()):
            await self._checkpoint(partition, owned)
        self._owned.clear()

    async def tick(self) -> None:
        """Every second: a quiet partition is saved too; gauges move on."""
        for partition, owned in list(self._owned.items()):
            self._checkpoint_if_due(partition, owned)
            metrics.gauge("stillwatch_checkpoint_age_seconds", time.monotonic() - owned.saved_at, partition=str(partition))
            tp = TP(self._frames.name, partition)
            end = self.app.consumer.highwater(tp)
            if end is not None:
                lag = max(0, end - owned.book.applied - 1)
                metrics.gauge("stillwatch_consumer_lag", lag, role="detect", topic=tp.topic, partition=str(partition))

    def progress(self) -> Iterable[tuple[int, int]]:
        """(partition, applied offset) for the watchdog."""
        return [(partition, owned.book.applied) for partition, owned in self._owned.items()]


def _risk(alert: Alert) -> Risk:
    return Risk(
        account_id=alert.subject_id,
        risk=alert.risk if alert.state != "closed" else 0.0,
        kind=alert.kind.value,
        recommended_action=alert.recommended_action,
        alert_id=alert.alert_id,
        as_of_ms=alert.raised_at_ms,
        valid_until_ms=alert.raised_at_ms + RISK_VALID_MS,
    )


async def _run(settings: Settings, stop: threading.Event, ready: Callable[[str], None]) -> None:
    broker = KafkaBroker(settings.kafka)
    worker = DetectWorker(settings, broker, ready)
    await worker.app.start()
    try:
        while not stop.is_set() and not worker.failed.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(worker.failed.wait(), 1.0)
            if worker.failure is None:
                await worker._guard(worker.tick())  # noqa: SLF001
        if worker.failure is None:
            await worker._guard(worker.drain())  # noqa: SLF001
    finally:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(worker.app.stop(), 20.0)
    if worker.failure is not None:
        raise worker.failure


def run_detect(settings: Settings, stop: threading.Event, ready: Callable[[str], None]) -> None:
    """Run a detect worker until `stop` is set (then it drains) or something is wrong (then it raises).

    Raises:
        StillwatchError: a frame or state that does not decode, a log of another lineage, outputs not accepted.
    """
    ready("starting")
    asyncio.run(_run(settings, stop, ready))
