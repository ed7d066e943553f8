"""The ingest role: request records and people's decisions in, frames and dead letters out, and a commit only for what is durable.

One session: a consumer, a producer, a framer for each of the two topics. After anything that may have torn the order of what was
produced the whole session is thrown away, and the next one starts from the commit; what is then produced twice, detect recognises
by its position.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import DependencyError, LineageError, UnavailableError
from pipeline.events.outputs import DeadLetter, encode
from pipeline.intake import ControlFramer, FrameOut, Framer, FramingConfig, Limits, Rejection, read_batch, read_control
from pipeline.ports import metrics
from pipeline.ports.broker import TopicPartition
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.logs import get_logger
from pipeline.roles.health import STARTING
from pipeline.roles.lifecycle import crash_point

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from pipeline.base.settings import Settings
    from pipeline.events.control import Control
    from pipeline.intake.batch import Batch
    from pipeline.ports.broker import Broker, Message, TopicInfo
    from pipeline.roles.health import Health

READ_S = 0.05
"""Longest wait for a record before the framer is asked what is due."""
COMMIT_EVERY_S = 0.5
LOOK_EVERY_S = 1.0
"""Pause between two looks at lag, readiness and the reachability of the cluster."""
IDENTITY_EVERY_S = 10.0
"""Pause between two checks that the source topic is still the one we began with."""
DRAIN_S = 20.0
"""How long acknowledgements may take when a partition or the process goes."""
MAX_OUTSTANDING = 64
"""Frames on their way at most; beyond, nothing is read: 64 MB."""
SWITCH_S = 0.0005
"""The reading thread needs the interpreter between two kernels only; at Python's 5 ms it waited a third of its time for it."""
FIRST_WAIT_S, MAX_WAIT_S = 0.5, 10.0
CLUSTER, INPUT = "kafka", "input"
_LOG = get_logger(__name__)


def run_ingest(settings: Settings, stop: threading.Event, health: Health, broker: Broker | None = None) -> None:
    """Run until `stop` is set: then drain, commit, leave the group. While the cluster is out of reach, wait and go on.

    Args:
        settings: everything.
        stop: asks for the drain.
        health: told what the role waits for.
        broker: the cluster; by default the one of the settings.

    Raises:
        DependencyError: a topic is missing, or the cluster refuses us.
        LineageError: the source topic was recreated or truncated, or the frames topic has another partition count.
        UnavailableError: the cluster did not acknowledge the drain.
    """
    broker = broker or KafkaBroker(settings.kafka)
    sys.setswitchinterval(SWITCH_S)
    wait_s = FIRST_WAIT_S
    while not stop.is_set():
        session: _Session | None = None
        try:
            session = _Session(settings, broker, health)
            health.holds(STARTING)
            session.run(stop)
        except UnavailableError as err:
            if session is not None:
                session.abandon()
                if stop.is_set() or session.moved:
                    wait_s = FIRST_WAIT_S
            if stop.is_set():
                raise
            health.waits(CLUSTER, err.message)
            _LOG.warning("cluster.unavailable", reason=err.message, retry_in_s=wait_s)
            stop.wait(wait_s)
            wait_s = min(2 * wait_s, MAX_WAIT_S)
        except BaseException:
            if session is not None:
                session.abandon()
            raise


class _Door:
    """One source topic: what it was when we began, its framer, what is committed of it."""

    def __init__(self, source: TopicInfo, framer: Framer) -> None:
        self.source = source
        self.framer = framer
        self.committed: dict[int, int] = {}

    @property
    def topic(self) -> str:
        return self.source.name


class _Part(NamedTuple):
    """Records of one source partition that are being read."""

    door: _Door
    source: int
    offsets: list[int]
    appended: list[int]
    values: list[bytes | None]
    batch: Future[Batch] | None
    """None for control records."""


class _Session:
    """From joining the group to leaving it, or to the first failure."""

    def __init__(self, settings: Settings, broker: Broker, health: Health) -> None:
        self._settings = settings
        self._broker = broker
        self._health = health
        self._topic = settings.requests_topic
        self._limits = Limits.of(settings.ingest)
        requests, control = self._look_at_topics()
        config = FramingConfig(
            self._topic,
            requests.topic_id,
            settings.kafka.frames_partitions,
            settings.ingest.frame_events,
            settings.ingest.linger_ms / 1000,
            settings.ingest.idle_frame_s,
        )
        self._requests = _Door(requests, Framer(config))
        self._control = _Door(control, ControlFramer(config._replace(topic_id=control.topic_id)))
        self._doors = {door.topic: door for door in (self._requests, self._control)}
        self._share = _BadShare(settings.ingest.bad_share_window)
        self._committed_at = self._looked_at = 0.0
        self._identified_at = time.monotonic()
        self._abandoned = False
        self._reader = ThreadPoolExecutor(1, "read")
        self._reading: list[_Part] = []
        self.moved = False
        """Whether anything was committed: then the cluster was there, and the next wait is short."""
        self._producer = broker.producer()
        self._consumer = broker.consumer(settings.group("ingest"))
        self._consumer.subscribe(list(self._doors), self._assigned, self._revoked)

    def _look_at_topics(self) -> tuple[TopicInfo, TopicInfo]:
        """The requests topic and the control topic; the others are there, too."""
        source = self._broker.topic(self._topic)
        if source is None:
            raise DependencyError(f"no topic {self._topic}", next_step="create it, or run `stillwatch init --dev`")
        control = source
        for name in ("frames", "deadletter", "control"):
            topic = self._settings.topic(name)
            info = self._broker.topic(topic)
            if info is None:
                raise DependencyError(f"no topic {topic}", next_step="run `stillwatch init`")
            control = info
            if name == "frames" and info.partitions != self._settings.kafka.frames_partitions:
                raise LineageError(
                    f"{topic} has {info.partitions} partitions, kafka.frames_partitions is {self._settings.kafka.frames_partitions}",
                    location=topic,
                    next_step=f"set kafka.frames_partitions to {info.partitions}, or start afresh under a new prefix",
                )
        return source, control

    # ---- the loop

    def run(self, stop: threading.Event) -> None:
        """Read, frame, produce, commit until `stop`; then drain and leave the group."""
        while not stop.is_set():
            messages: list[Message] = []
            behind = sum(door.framer.outstanding() for door in self._doors.values()) >= MAX_OUTSTANDING
            if behind:
                self._producer.poll(READ_S)
            else:
                messages = self._consumer.read(1, READ_S)
                if messages:  # and whatever else has arrived by now
                    messages += self._consumer.read(self._settings.ingest.batch_records - 1, 0.0)
                behind = 2 * len(messages) >= self._settings.ingest.batch_records
            now_s = time.monotonic()
            late, self._reading = self._reading, self._begin(messages)
            self._take(late, now_s)
            if not behind:
                self._settle(now_s)
            self._skip_lost()
            for door in self._doors.values():
                self._send(door, door.framer.due(now_s, behind=behind))
            self._producer.poll()
            if now_s - self._committed_at >= COMMIT_EVERY_S:
                self._committed_at = now_s
                self._commit()
            if now_s - self._looked_at >= LOOK_EVERY_S:
                self._looked_at = now_s
                self._look(now_s)
        self._drain()
        self._reader.shutdown()
        self._consumer.close()
        self._producer.abandon()

    def abandon(self) -> None:
        """Throw everything away: nothing more is produced on purpose, nothing is committed."""
        self._abandoned = True
        self._reading = []
        self._reader.shutdown(cancel_futures=True)
        self._producer.abandon()
        self._consumer.close()
        for door in self._doors.values():
            for source in door.framer.positions():
                self._forget(door, source)

    def _begin(self, messages: Sequence[Message]) -> list[_Part]:
        """Hand requests to the reading thread: while there is a backlog it reads one batch as the loop frames the one before."""
        parts = []
        for (topic, source), records in sorted(_by_source(messages).items()):
            offsets = [record.offset() or 0 for record in records]
            appended = [ms if kind else -1 for kind, ms in [record.timestamp() for record in records]]
            values = [record.value() for record in records]
            batch = self._reader.submit(read_batch, values, appended, self._limits) if topic == self._requests.topic else None
            parts.append(_Part(self._doors[topic], source, offsets, appended, values, batch))
        return parts

    def _settle(self, now_s: float) -> None:
        """Take what is still being read."""
        late, self._reading = self._reading, []
        self._take(late, now_s)

    def _take(self, parts: Sequence[_Part], now_s: float) -> None:
        for door, source, offsets, appended, values, reading in parts:
            if source not in door.framer.positions():  # revoked while it was on its way
                continue
            if isinstance(door.framer, ControlFramer):
                self._take_control(door, door.framer, source, offsets, appended, values)
            elif reading is not None:
                batch = reading.result()
                door.framer.add(source, offsets, appended, batch, 0, now_s)
                self._share.add(len(offsets), self._reject(door, source, offsets, appended, batch.results))
            metrics.count("stillwatch_records_total", len(offsets), role="ingest", topic=door.topic)

    def _take_control(
        self, door: _Door, framer: ControlFramer, source: int, offsets: list[int], appended: list[int], values: list[bytes | None]
    ) -> None:
        """Decisions go on at once, behind the requests that were read before them."""
        results = [read_control(value) for value in values]
        framer.take(source, offsets, results)
        self._reject(door, source, offsets, appended, results)
        self._send(self._requests, self._requests.framer.flush())
        self._send(door, framer.flush())

    def _reject(
        self, door: _Door, source: int, offsets: list[int], appended: list[int], results: Sequence[Control | Rejection | None]
    ) -> int:
        """Write the dead letters of a batch → how many."""
        bad = 0
        for offset, ms, result in zip(offsets, appended, results, strict=True):
            if isinstance(result, Rejection):
                bad += 1
                self._dead_letter(door, source, offset, ms, result)
        return bad

    def _dead_letter(self, door: _Door, source: int, offset: int, timestamp_ms: int, rejection: Rejection) -> None:
        letter = DeadLetter(
            source_topic=door.topic,
            source_partition=source,
            source_offset=offset,
            record_timestamp_ms=timestamp_ms,
            reason=rejection.reason.value,
            json_path=rejection.json_path,
            message=rejection.message,
            size=rejection.size,
            sha256=rejection.sha256,
            fields=rejection.fields,
        )
        door.framer.hold(source, offset)
        self._producer.send(
            self._settings.topic("deadletter"),
            encode(letter),
            key=f"{source}:{offset}".encode(),
            on_ack=lambda _partition, _offset: door.framer.release(source, offset),
        )
        metrics.count("stillwatch_rejects_total", reason=rejection.reason.value)

    def _send(self, door: _Door, frames: Sequence[FrameOut]) -> None:
        topic = self._settings.topic("frames")
        for frame in frames:
            self._producer.send(topic, frame.value, partition=frame.partition, on_ack=self._acknowledge(door.framer, frame))
            metrics.count("stillwatch_frames_total", role="ingest")
            metrics.count("stillwatch_events_total", frame.rows, role="ingest")

    def _acknowledge(self, framer: Framer, frame: FrameOut) -> Callable[[int, int], None]:
        return lambda _partition, _offset: framer.acked(frame)

    def _commit(self) -> None:
        """Commit what is acknowledged. A refusal means the group has moved on: the partitions are about to be revoked."""
        for door in self._doors.values():
            due = {source: offset for source, offset in door.framer.committable().items() if offset > door.committed.get(source, -1)}
            if not due or self._consumer.down_reason():
                continue
            crash_point("ingest:after-produce")
            if self._consumer.commit({TopicPartition(door.topic, source): offset for source, offset in due.items()}, door.source.topic_id):
                door.committed.update(due)
                self.moved = True
            else:
                _LOG.info("commit.refused", topic=door.topic, partitions=sorted(due))

    def _drain(self) -> None:
        self._settle(time.monotonic())
        for door in self._doors.values():
            self._send(door, door.framer.flush())
        self._producer.flush(DRAIN_S)
        self._commit()

    # ---- the group

    def _assigned(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to start each partition: at the commit, or at the oldest record; what retention ate in between is lost."""
        self._check_identity()
        committed = self._consumer.committed(partitions)
        starts = {}
        for tp in partitions:
            low = self._consumer.low_watermark(tp)
            commit = committed.get(tp)
            door = self._doors[tp.topic]
            if commit is not None and commit.note and commit.note != door.source.topic_id:
                raise _recreated(door, f"commits of {tp.partition} belong to topic id {commit.note}")
            position = commit.offset - 1 if commit is not None else -1
            door.framer.assign(tp.partition, position)
            if commit is not None:
                door.committed[tp.partition] = commit.offset
            starts[tp] = max(position + 1, low)
            self._lose(door, tp.partition, starts[tp] - 1)
        _LOG.info("partitions.assigned", partitions=_names(partitions))
        return starts

    def _revoked(self, partitions: list[TopicPartition], lost: bool) -> None:  # noqa: FBT001 - the port's signature
        if not lost and not self._abandoned:
            self._drain()
        gone = {(tp.topic, tp.partition) for tp in partitions}  # what is being read of them would tear a hole once they come back
        self._reading = [part for part in self._reading if (part.door.topic, part.source) not in gone]
        for tp in partitions:
            door = self._doors[tp.topic]
            door.framer.revoke(tp.partition)
            door.committed.pop(tp.partition, None)
            self._forget(door, tp.partition)
        _LOG.info("partitions.revoked", partitions=_names(partitions), lost=lost)

    def _forget(self, door: _Door, source: int) -> None:
        self._health.watchdog.forget(_watched(door, source))
        metrics.forget("stillwatch_consumer_lag", role="ingest", topic=door.topic, partition=str(source))

    def _skip_lost(self) -> None:
        """Retention overtook us, or the log is not the one we read before."""
        gone = self._consumer.take_out_of_range()
        if gone:
            self._settle(time.monotonic())
        for tp in gone:
            door = self._doors[tp.topic]
            position = door.framer.positions().get(tp.partition)
            if position is None:
                continue
            low = self._consumer.low_watermark(tp)
            if low <= position + 1:
                raise _recreated(door, f"partition {tp.partition} ends before offset {position + 1}, which was read already")
            self._lose(door, tp.partition, low - 1)
            self._consumer.seek(tp, low)

    def _lose(self, door: _Door, source: int, to_offset: int) -> None:
        gone = to_offset - door.framer.positions()[source]
        if gone > 0:
            door.framer.lose(source, to_offset)
            metrics.gauge("stillwatch_source_gap", gone, partition=str(source), kind="lost")
            why = "retention removed them before they were read"
            _LOG.error("source.lost", topic=door.topic, partition=source, offsets=gone, reason=why)

    # ---- is it still what we began with, and how does it do

    def _check_identity(self) -> None:
        self._identified_at = time.monotonic()
        for door in self._doors.values():
            info = self._broker.topic(door.topic)
            if info is None or info.topic_id != door.source.topic_id:
                raise _recreated(door, f"its id is {info.topic_id if info else 'gone'}, it was {door.source.topic_id}")

    def _look(self, now_s: float) -> None:
        down = self._consumer.down_reason()
        if down:
            self._health.waits(CLUSTER, down)
        else:
            self._health.holds(CLUSTER)
            if now_s - self._identified_at >= IDENTITY_EVERY_S:
                self._check_identity()
        limit = self._settings.ingest.bad_share_limit
        if self._share.value > limit:
            self._health.waits(INPUT, f"{self._share.value:.0%} of the last {self._share.window} records rejected (limit {limit:.0%})")
        else:
            self._health.holds(INPUT)
        for door in self._doors.values():
            for source, position in door.framer.positions().items():
                lag = max(self._consumer.known_end(TopicPartition(door.topic, source)) - position - 1, 0)
                metrics.gauge("stillwatch_consumer_lag", lag, role="ingest", topic=door.topic, partition=str(source))
                self._health.watchdog.progress(_watched(door, source), position, pending=lag > 0 and not down)


def _by_source(messages: Sequence[Message]) -> dict[tuple[str, int], list[Message]]:
    """Records by topic and partition. They come in stretches of one partition."""
    found: dict[tuple[str, int], list[Message]] = {}
    topic, partition = "", -1
    records: list[Message] = []
    for message in messages:
        if message.partition() != partition or message.topic() != topic:
            topic, partition = message.topic() or "", message.partition() or 0
            records = found.setdefault((topic, partition), [])
        records.append(message)
    return found


def _recreated(door: _Door, how: str) -> LineageError:
    return LineageError(
        f"{door.topic} is not the topic that was read before: {how}",
        location=door.topic,
        next_step="restore it; or start with a new prefix, or reset this one with `stillwatch init --reset-state`",
    )


def _watched(door: _Door, source: int) -> str:
    return f"ingest {door.topic}[{source}]"


def _names(partitions: list[TopicPartition]) -> list[str]:
    return [f"{tp.topic}[{tp.partition}]" for tp in sorted(partitions)]


class _BadShare:
    """Share of rejected records among the last `window`, to the accuracy of a batch; records not yet seen count as good."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._batches: deque[tuple[int, int]] = deque()
        self._records = self._bad = 0

    def add(self, records: int, bad: int) -> None:
        """One batch."""
        self._batches.append((records, bad))
        self._records += records
        self._bad += bad
        while self._records - self._batches[0][0] >= self.window:
            gone, gone_bad = self._batches.popleft()
            self._records -= gone
            self._bad -= gone_bad

    @property
    def value(self) -> float:
        """The share, 0–1."""
        return self._bad / max(self._records, self.window)
