"""The framer: valid events of several source partitions become frames per frames partition, with ranges that tile the source.

For every frames partition f and source partition p it remembers up to which offset f has been told (`sent`) and up to which
that was acknowledged (`acked`). A frame for f carries a segment `(sent, now]` for every p that advanced, also when none of
its events fell to f. What may be committed of p is what every f has acknowledged. So ingest may crash, repeat or overlap
with its successor: the reader sees ranges, and skips or reports.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.hashing import HASH_NAME, hash_texts, partition_of
from pipeline.events.frame import FRAME_VERSION, FrameHeader, Segment, encode_frame
from pipeline.intake.columns import Row, build_columns
from pipeline.intake.fingerprint import PRINT
from pipeline.intake.watermark import SourceWatermark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.base.settings import IngestSettings
    from pipeline.events.request import RequestEvent

MAX_FRAME_BYTES = 900_000
_FIXED_ROW_BYTES = 340
"""Bytes of a row's columns."""


class Record(NamedTuple):
    """One source record after validation; `event` is None when it was rejected. `size`: bytes of text it may add to a frame."""

    partition: int
    offset: int
    timestamp_ms: int
    size: int
    event: RequestEvent | None


class OutgoingFrame(NamedTuple):
    """A frame to produce, and the source offsets it accounts for once it is acknowledged."""

    frames_partition: int
    value: bytes
    covers: dict[int, int]
    """Source partition → last offset."""
    rows: int


class _Pending:
    """What waits for the next frame of one frames partition."""

    __slots__ = ("bytes", "prints", "rows", "since")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.prints: list[NDArray[np.void]] = []
        self.bytes = 0
        self.since = 0.0


class Framer:
    """See the module. Times are seconds of any monotonic clock, given by the caller."""

    def __init__(self, source_topic: str, topic_id: str, frames_partitions: int, settings: IngestSettings) -> None:
        self._topic, self._topic_id = source_topic, topic_id
        self._count = frames_partitions
        self._settings = settings
        self._pending = [_Pending() for _ in range(frames_partitions)]
        self._sent: list[dict[int, int]] = [{} for _ in range(frames_partitions)]
        self._acked: list[dict[int, int]] = [{} for _ in range(frames_partitions)]
        self._last_frame = [0.0] * frames_partitions
        self._now: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        self._watermarks: dict[int, SourceWatermark] = defaultdict(SourceWatermark)

    # ---- membership

    def assign(self, partition: int, position: int, first: int | None = None) -> None:
        """Begin a source partition after `position` (the last offset accounted for, −1: none).

        Args:
            partition: source partition.
            position: committed next offset minus one.
            first: oldest offset still there; what lies between is told as lost.
        """
        for f in range(self._count):
            self._sent[f][partition] = self._acked[f][partition] = position
        self._now[partition] = position
        if first is not None and first - 1 > position:
            self._lost[partition] = self._now[partition] = first - 1

    def revoke(self, partition: int) -> None:
        """Forget a source partition; events of it that wait are dropped, its next owner reads them again."""
        for f in range(self._count):
            self._sent[f].pop(partition, None)
            self._acked[f].pop(partition, None)
            pending = self._pending[f]
            keep = [i for i, row in enumerate(pending.rows) if row.partition != partition]
            if len(keep) < len(pending.rows):
                prints = np.concatenate(pending.prints)[keep]
                pending.rows, pending.prints = [pending.rows[i] for i in keep], [prints]
        for state in (self._now, self._lost, self._watermarks):
            state.pop(partition, None)

    # ---- events in

    def add(self, records: Sequence[Record], prints: NDArray[np.void], now_s: float) -> list[OutgoingFrame]:
        """Take records, in offset order per source partition → frames that became full.

        Args:
            records: valid and rejected ones.
            prints: [m] of `PRINT`, one per valid event, in their order.
            now_s: the caller's clock.
        """
        valid = [record.event for record in records if record.event is not None]
        hashes = hash_texts([event.account_id for event in valid])
        targets = list(zip(partition_of(hashes, self._count).tolist(), hashes.tolist(), strict=True))
        fresh: list[list[int]] = [[] for _ in range(self._count)]  # rows of `prints` not yet handed to a pending frame
        full: list[OutgoingFrame] = []
        index = -1
        for partition, offset, timestamp_ms, size, event in records:
            self._now[partition] = offset
            if event is None:
                continue
            index += 1
            f, account = targets[index]
            self._watermarks[partition].see(event.occurred_at_ms, account)
            pending = self._pending[f]
            if not pending.rows:
                pending.since = now_s
            pending.rows.append(Row(partition, offset, timestamp_ms, event))
            pending.bytes += _FIXED_ROW_BYTES + size
            fresh[f].append(index)
            if len(pending.rows) >= self._settings.frame_events or pending.bytes >= MAX_FRAME_BYTES:
                pending.prints.append(prints[fresh[f]])
                fresh[f] = []
                full.append(self._cut(f, now_s))
        for f, rows in enumerate(fresh):
            if rows:
                self._pending[f].prints.append(prints[rows])
        return full

    # ---- frames out

    def due(self, now_s: float) -> list[OutgoingFrame]:
        """Frames whose linger is over, and empty ones for frames partitions that heard nothing for long."""
        linger_s, idle_s = self._settings.linger_ms / 1_000, self._settings.idle_frame_s
        return [
            self._cut(f, now_s)
            for f, pending in enumerate(self._pending)
            if (pending.rows and now_s - pending.since >= linger_s) or (self._behind(f) and now_s - self._last_frame[f] >= idle_s)
        ]

    def flush(self, now_s: float) -> list[OutgoingFrame]:
        """Everything that is not told yet, whatever the linger."""
        return [self._cut(f, now_s) for f in range(self._count) if self._behind(f)]

    def acknowledge(self, frame: OutgoingFrame) -> None:
        """The frame is durable. Frames of one frames partition must be acknowledged in order."""
        acked = self._acked[frame.frames_partition]
        for partition, offset in frame.covers.items():
            if partition in acked:
                acked[partition] = max(acked[partition], offset)

    def committable(self) -> dict[int, int]:
        """Next offset to read per source partition, as far as every frames partition has durably heard."""
        return {p: 1 + min(acked[p] for acked in self._acked) for p in self._now}

    @property
    def idle(self) -> bool:
        """Whether everything taken in has been told (not: acknowledged)."""
        return not any(self._behind(f) for f in range(self._count))

    def _behind(self, f: int) -> bool:
        return any(offset > self._sent[f][p] for p, offset in self._now.items())

    def _cut(self, f: int, now_s: float) -> OutgoingFrame:
        pending, self._pending[f] = self._pending[f], _Pending()
        self._last_frame[f] = now_s
        sent = self._sent[f]
        order = sorted(range(len(pending.rows)), key=lambda i: pending.rows[i].partition)  # stable: offsets stay in order
        rows = [pending.rows[i] for i in order]
        prints = np.concatenate(pending.prints)[order] if rows else np.zeros(0, PRINT)
        counts = Counter(row.partition for row in rows)
        segments, covers = [], {}
        for p in sorted(self._now):
            until = self._now[p]
            lost = self._lost.get(p, -1)
            if sent[p] < lost:
                segments.append(Segment(self._topic_id, p, sent[p], lost, 0, -1, lost=True))
                sent[p] = lost
            if until > sent[p]:
                segments.append(Segment(self._topic_id, p, sent[p], until, counts[p], self._watermarks[p].value_ms))
            if until > self._acked[f][p]:
                covers[p] = until
            sent[p] = max(sent[p], until)
        columns, tables = build_columns(rows, prints)
        header = FrameHeader(
            version=FRAME_VERSION,
            frames_partition=f,
            frames_partitions=self._count,
            hash_name=HASH_NAME,
            source_topic=self._topic,
            segments=segments,
            rows=len(rows),
            accounts=tables.accounts,
            symbols=tables.symbols,
        )
        return OutgoingFrame(f, encode_frame(header, columns), covers, len(rows))
