"""detect: a Faust agent reads frames, the book decides, outputs and state go back to Kafka.

Faust delivers raw frames and owns group membership. Everything exact is ours: a frame is applied only when it is the
next one, state is restored before the flow resumes, and an offset is committed only after a durable checkpoint
(outputs → account records → marker → commit). The recipe and the traps behind it: `docs/decisions/0006-faust.md`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import tempfile
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import faust
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import Consumer as AiokafkaConsumer
from faust.transport.drivers.aiokafka import Transport as AiokafkaTransport
from faust.types import TP

from pipeline.accounts.book import Book, HoleError
from pipeline.base.errors import DependencyError, StillwatchError, UnavailableError
from pipeline.base.times import DAY_MS
from pipeline.events.alert import encode_alert
from pipeline.events.frame import decode_frame
from pipeline.events.outputs import Risk, encode, encode_rollup
from pipeline.ports import metrics
from pipeline.ports.credentials import aiokafka_credentials
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.logs import get_logger
from pipeline.ports.statelog import StateLog
from pipeline.roles.health import STARTING
from pipeline.roles.lifecycle import GC_THRESHOLDS, crash_point

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from pipeline.accounts.book import Checkpoint, Effects
    from pipeline.base.settings import DetectSettings, KafkaSettings, Settings
    from pipeline.events.alert import Alert
    from pipeline.ports.broker import Broker, Producer
    from pipeline.roles.health import Health

_LOG = get_logger("detect")
FLUSH_TIMEOUT_S = 120.0
STOP_S = 20.0
IDLE_S = 0.3
"""A partition whose last frame is so old, with none waiting, is saved at once: its rollups need not wait for the interval."""
TICK_S = 0.25
BEHIND_FRAMES = 8
"""So many frames waiting are a backlog: then checkpoints are rarer, since each would write the same busy accounts again."""
GROUP_RECORDS = 20_000
"""Partitions are saved together until they have so many records: some fifty megabytes."""
MAX_WAIT_S = 15.0
MEMBERSHIP = "membership"
CLUSTER = "cluster"
RISK_VALID_MS = DAY_MS


class _Owned:
    """A partition in this worker's hands."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.lock = asyncio.Lock()
        self.saved_at = self.applied_at = time.monotonic()
        self.frames_since = 0
        self.appended_at = time.time()
        self.generation = -1


class _Cut(NamedTuple):
    """A partition's checkpoint on its way."""

    partition: int
    owned: _Owned
    content: Checkpoint
    applied: int
    """Frames offset it covers."""


def checkpoint_due(detect: DetectSettings, frames: int, waited_s: float, idle_s: float, lag: int, age_s: float) -> bool:
    """Whether a partition should be saved.

    Args:
        detect: intervals.
        frames: applied since the last checkpoint.
        waited_s: time since then, seconds.
        idle_s: time since the last frame, seconds. Once it is quiet there is nothing to wait for.
        lag: frames that wait to be applied.
        age_s: how long ago the last frame's records were appended to the source, seconds. A backlog, here or before ingest, stretches
            the interval: it would write the same busy accounts again and again, for rollups that are old news.
    """
    if frames > 0 and lag == 0 and idle_s >= IDLE_S:
        return True
    interval_s = detect.checkpoint_interval_s
    if lag >= BEHIND_FRAMES or age_s >= detect.checkpoint_backlog_s:
        interval_s = max(interval_s, detect.checkpoint_backlog_s)
    return frames >= detect.checkpoint_frames or (frames > 0 and waited_s >= interval_s)


class DetectWorker:
    """One worker process: owns the books of the partitions that the group assigns to it."""

    def __init__(self, settings: Settings, broker: Broker, health: Health) -> None:
        self._settings = settings
        self._broker = broker
        self._health = health
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
                    owned = worker._owned.get(tp.partition)
                    if owned is not None:
                        await self.seek_wait({tp: owned.book.applied + 1})

        class ExactTransport(AiokafkaTransport):
            Consumer = ExactConsumer

        kafka = self._settings.kafka
        scratch = tempfile.mkdtemp(prefix="stillwatch-faust-")  # Faust makes the folders of tables we do not have, by default where we run
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        app = faust.App(
            self._settings.group("detect"),
            broker=[f"kafka://{address.strip()}" for address in kafka.bootstrap_servers.split(",")],
            broker_credentials=_credentials(kafka),
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
            datadir=scratch,
            loghandlers=[],
        )
        app.transport = ExactTransport(url=app.conf.broker_consumer, app=app)
        topic = app.topic(self._settings.topic("frames"), key_serializer="raw", value_serializer="raw", acks=False)

        @app.agent(topic, name="detect", concurrency=1)
        async def detect(stream: Any) -> None:  # noqa: ANN401
            async for event in stream.noack().events():
                await worker.guard(worker._on_record(event.message))

        @app.on_rebalance_complete.connect(weak=False)
        async def restored(_app: Any, **_: Any) -> None:  # noqa: ANN401
            await worker.guard(worker._restore())

        @app.on_partitions_revoked.connect(weak=False)
        async def revoked(_app: Any, _revoked: Any, **_: Any) -> None:  # noqa: ANN401
            await worker.guard(worker._revoke())

        return app

    async def guard(self, work: Any) -> None:  # noqa: ANN401
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
            _tell_complaints(partition, owned.book)
            owned.frames_since += 1
            owned.applied_at = time.monotonic()
            if len(frame.columns.appended_at_ms) and frame.columns.appended_at_ms[-1] > 0:
                owned.appended_at = frame.columns.appended_at_ms[-1] / 1_000
            self._publish(partition, effects, frame.columns.appended_at_ms)
        if self._due(partition, owned):
            self._start_checkpoints()

    def _publish(self, partition: int, effects: Effects, appended_at_ms: Any) -> None:  # noqa: ANN401
        settings = self._settings
        for alert, row in zip(effects.alerts, effects.alert_rows, strict=True):
            key = alert.subject_id.encode()
            self._outputs.send(settings.topic("alerts"), encode_alert(alert), key=key, partition=partition)
            if alert.canary:  # nobody's account: not counted, not in the gateway's feed
                continue
            if alert.subject_type == "account":  # the feed accuses no population
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

    def _due(self, partition: int, owned: _Owned) -> bool:
        now = time.monotonic()
        lag, age_s = self._lag(partition, owned), time.time() - owned.appended_at
        return checkpoint_due(self._settings.detect, owned.frames_since, now - owned.saved_at, now - owned.applied_at, lag, age_s)

    def _lag(self, partition: int, owned: _Owned) -> int:
        """Frames that wait to be applied, as far as the last fetch knows."""
        end = self.app.consumer.highwater(TP(self._frames.name, partition))
        return max(0, (end or 0) - owned.book.applied - 1)

    def _start_checkpoints(self) -> None:
        """Save every partition that is due, in the background; frames go on meanwhile, a cut is immutable."""
        if self._saving.locked() or (self._task is not None and not self._task.done()):
            return
        due = [(partition, owned) for partition, owned in self._owned.items() if self._due(partition, owned)]
        if due:
            self._task = asyncio.ensure_future(self.guard(self._checkpoint(due)))

    async def _checkpoint(self, due: list[tuple[int, _Owned]]) -> None:
        """Save partitions together: they share the waits for acknowledgements. A group ends where its records get many."""
        async with self._saving:
            waiting = due[::-1]
            while waiting:
                group: list[_Cut] = []
                while waiting and sum(len(cut.content.records) for cut in group) < GROUP_RECORDS:
                    partition, owned = waiting.pop()
                    async with owned.lock:
                        if owned.frames_since:
                            group.append(_Cut(partition, owned, owned.book.checkpoint(), owned.book.applied))
                            owned.frames_since = 0
                    await asyncio.sleep(0)  # let frames of other partitions in between two cuts
                if group:
                    await self._save(group)

    async def _save(self, group: list[_Cut]) -> None:
        """Outputs → account records → marker → commit → tombstones, for all of the group; each step durable before the next."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._write, group)
        _crash("detect:after-marker", group)
        for cut in group:
            await self._commit({cut.partition: cut.applied})
            crash_point("detect:after-commit")
            cut.owned.saved_at = time.monotonic()
        await loop.run_in_executor(None, self._forget_superseded, group)
        for cut in group:
            self._report(cut.partition, cut.owned)

    async def _commit(self, applied: dict[int, int]) -> None:
        """Commit each partition behind its last applied frame."""
        with suppress(KeyError):  # a partition may have gone: then the commit is refused, and that is fine
            await self.app.consumer._commit_offsets({TP(self._frames.name, p): at + 1 for p, at in applied.items()})  # noqa: SLF001

    def _write(self, group: list[_Cut]) -> None:
        topic = self._settings.topic("rollups")
        for cut in group:
            for rollup in cut.content.rollups:
                key = rollup.account_id.encode("utf-8", "surrogatepass")
                self._outputs.send(topic, encode_rollup(rollup), key=key, partition=cut.partition)
        self._outputs.flush(FLUSH_TIMEOUT_S)
        _crash("detect:after-outputs", group)
        halves = [(cut, len(cut.content.records) // 2) for cut in group]
        self._log_state([(cut.partition, cut.content.records[:half]) for cut, half in halves])
        _crash("detect:amid-accounts", group)
        self._log_state([(cut.partition, cut.content.records[half:]) for cut, half in halves])
        _crash("detect:before-marker", group)
        self._log_state([(cut.partition, [cut.content.marker]) for cut in group])

    def _forget_superseded(self, group: list[_Cut]) -> None:
        self._log_state([(cut.partition, [(key, None) for key in cut.content.superseded]) for cut in group])

    def _log_state(self, parts: Sequence[tuple[int, Sequence[tuple[bytes, bytes | None]]]]) -> None:
        self._state.write(self._state_producer, parts, FLUSH_TIMEOUT_S)

    def _report(self, partition: int, owned: _Owned) -> None:
        book, where = owned.book, str(partition)
        live, packed = book.accounts
        metrics.gauge("stillwatch_accounts", live, partition=where, state="live")
        metrics.gauge("stillwatch_accounts", packed, partition=where, state="packed")
        metrics.gauge("stillwatch_alert_budget", book.judge.bars.budget, partition=where)
        for baseline, halvings in book.judge.bars.raised.items():
            metrics.gauge("stillwatch_bars_raised", halvings, partition=where, baseline=baseline.value)
        if book.watermark_ms >= 0:
            metrics.gauge("stillwatch_watermark_lag_seconds", time.time() - book.watermark_ms / 1000, partition=where)
        for kind in ("lost", "hole"):
            positions = [*book.positions.by_partition.values(), *book.control_positions.by_partition.values()]
            missing = sum(getattr(position, kind) for position in positions)
            metrics.gauge("stillwatch_source_gap", missing, partition=where, kind=kind)

    # ---- membership

    def _assigned(self) -> set[int]:
        return {tp.partition for tp in self.app.consumer.assignment() if tp.topic == self._frames.name}

    async def _restore(self) -> None:
        """Runs before the flow resumes. A later rebalance makes it give up: that one restores again."""
        generation = self.app.consumer_generation_id

        def moved_on() -> bool:
            return self.app.consumer_generation_id != generation or self.failure is not None

        parked, self._parked = self._parked, {}
        missing = []
        for partition in sorted(self._assigned() - self._owned.keys()):
            kept = parked.get(partition)
            if kept is not None and kept.generation + 1 == generation:
                self._own(partition, kept, generation)
            else:
                missing.append(partition)
        loop = asyncio.get_running_loop()
        reads = [loop.run_in_executor(None, self._read_book, partition, moved_on) for partition in missing]
        books = await asyncio.gather(*reads)
        if moved_on() or None in books:
            return
        for partition, book in zip(missing, books, strict=True):
            if book is not None:
                self._own(partition, _Owned(book), generation)
        await self._commit_restored()
        self._health.holds(STARTING)
        self._health.holds(MEMBERSHIP)

    async def _commit_restored(self) -> None:
        """What the state covers counts as read: whoever died before its commit leaves no lag behind that no frame comes to end."""
        covered = {partition: owned.book.applied for partition, owned in self._owned.items() if owned.book.applied >= 0}
        if covered:
            await self._commit(covered)

    def _own(self, partition: int, owned: _Owned, generation: int) -> None:
        owned.generation = generation
        self._owned[partition] = owned
        book = owned.book
        _LOG.info("partition.restored", partition=partition, applied=book.applied, accounts=sum(book.accounts), tuned=sorted(book.tuned))
        _tell_complaints(partition, book)

    def _read_book(self, partition: int, give_up: Callable[[], bool]) -> Book | None:
        records = self._state.read(partition, give_up)
        if records is None:
            return None
        return Book.restore(partition, self._frames.partitions, self._settings.detect, records.items(), self._frames.topic_id)

    async def _revoke(self) -> None:
        """Save what we have; the next owner starts there. If the group is gone already, the save is harmless."""
        self._health.waits(MEMBERSHIP, "the group is rebalancing")
        owned, self._owned = self._owned, {}
        await self._checkpoint(list(owned.items()))
        for partition, one in owned.items():
            self._parked[partition] = one
            self._health.watchdog.forget(_watched(partition))

    async def drain(self) -> None:
        """SIGTERM: stop applying, save, commit."""
        await self._checkpoint(list(self._owned.items()))
        self._owned.clear()

    async def tick(self) -> None:
        """Every quarter of a second: a quiet partition is saved too; gauges move on."""
        self._start_checkpoints()
        for partition, owned in list(self._owned.items()):
            metrics.gauge("stillwatch_checkpoint_age_seconds", time.monotonic() - owned.saved_at, partition=str(partition))
            lag = self._lag(partition, owned)
            self._health.watchdog.progress(_watched(partition), owned.book.applied, pending=lag > 0)
            metrics.gauge("stillwatch_consumer_lag", lag, role="detect", topic=self._frames.name, partition=str(partition))


def _crash(point: str, group: list[_Cut]) -> None:
    """A crash point counts partitions, however many are saved together."""
    for _ in group:
        crash_point(point)


def _watched(partition: int) -> str:
    return f"frames[{partition}]"


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


def _tell_complaints(partition: int, book: Book) -> None:
    for complaint in book.complaints:
        _LOG.warning("settings.not_tuned", partition=partition, reason=complaint)
    book.complaints.clear()


def _credentials(kafka: KafkaSettings) -> Any:  # noqa: ANN401 - faust ships no types
    plain = aiokafka_credentials(kafka)
    if plain is None:
        return None
    if not plain.sasl_mechanism:
        return faust.SSLCredentials(plain.ssl_context)
    return faust.SASLCredentials(
        username=plain.sasl_username, password=plain.sasl_password, ssl_context=plain.ssl_context, mechanism=plain.sasl_mechanism
    )


async def _start(app: Any) -> None:  # noqa: ANN401 - faust ships no types
    try:
        await app.start()
    except KafkaError as error:  # a moment ago the other client got an answer: the cluster went, or only this client is refused
        raise UnavailableError(
            f"Kafka: the agent's client (aiokafka) does not connect: {error}", next_step="`stillwatch doctor`; the log says more"
        ) from None


async def _run(settings: Settings, stop: threading.Event, health: Health) -> None:
    worker = DetectWorker(settings, KafkaBroker(settings.kafka), health)
    try:
        await _start(worker.app)
        while not stop.is_set() and not worker.failed.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(worker.failed.wait(), TICK_S)
            await worker.guard(worker.tick())
        await worker.guard(worker.drain())
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(worker.app.stop(), STOP_S)
    if worker.failure is not None:
        raise worker.failure


def run_detect(settings: Settings, stop: threading.Event, health: Health) -> None:
    """Run a detect worker until `stop` is set: then it drains. While the cluster is out of reach it waits and starts again.

    Raises:
        StillwatchError: a frame or state that does not decode, a log of another lineage, outputs that are refused.
    """
    for vendor in ("faust", "mode", "aiokafka"):  # their every step is news to themselves only
        logging.getLogger(vendor).setLevel(logging.WARNING)
    gc.set_threshold(*GC_THRESHOLDS)
    wait_s = 1.0
    while not stop.is_set():
        try:
            asyncio.run(_run(settings, stop, health))
        except UnavailableError as error:  # what was not saved is read again from the last checkpoint
            health.waits(CLUSTER, str(error))
            _LOG.warning("cluster.unavailable", error=str(error), retry_in_s=wait_s)
            stop.wait(wait_s)
            wait_s = min(2 * wait_s, MAX_WAIT_S)
        else:
            return
        health.holds(CLUSTER)
