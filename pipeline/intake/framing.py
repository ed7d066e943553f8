"""Framing: events and rejections of source partitions → frames of frames partitions, and how far the source may be committed.

Per frames partition `f` and source partition `p` the framer remembers how far `f` has been told about `p`. A frame of `f` tells
it everything since, in segments that tile the offsets without gap or overlap. What may be committed for `p` is what *every*
`f` has been told in frames that are acknowledged, and never beyond a rejection whose dead letter is not.

Pure: time is an argument (seconds of any monotonic clock), frames are values. Same calls, same frames, byte for byte.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.hashing import HASH_NAME, partition_of
from pipeline.events.frame import FRAME_VERSION, FrameHeader, Segment, pack_frame
from pipeline.intake.columns import build
from pipeline.intake.rows import INTEGER_FIELDS, NO_EVENTS, Events, join
from pipeline.intake.watermark import Watermark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.intake.batch import Batch

MAX_FRAME_BYTES = 1_000_000
"""Below Kafka's default `max.message.bytes` of 1,048,588 with room for the record's own overhead."""


BEHIND = 10
"""So many times longer may a frame linger while there is more to read."""
_OCCURRED = INTEGER_FIELDS.index("occurred_at_ms")


class FramingConfig(NamedTuple):
    """How frames are cut. `topic_id` names the incarnation of the source topic."""

    source_topic: str
    topic_id: str
    frames_partitions: int
    frame_events: int = 1_000
    linger_s: float = 0.05
    idle_s: float = 5.0
    max_bytes: int = MAX_FRAME_BYTES


class FrameOut(NamedTuple):
    """A frame to be produced to `partition`. Tell `Framer.acked` once it is durable."""

    partition: int
    number: int
    value: bytes
    rows: int
    told: tuple[tuple[int, int, int], ...]
    """(source partition, its assignment, last offset told)."""


class _Rows(NamedTuple):
    events: Events
    offset: NDArray[np.int64]
    appended_at_ms: NDArray[np.int64]
    watermark_ms: NDArray[np.int64]

    @property
    def size(self) -> int:
        return len(self.offset)

    def part(self, lo: int, hi: int) -> _Rows:
        if lo == 0 and hi == self.size:
            return self
        cut = slice(lo, hi)
        return _Rows(self.events.part(lo, hi), self.offset[cut], self.appended_at_ms[cut], self.watermark_ms[cut])


_NONE = np.zeros(0, np.int64)
_NO_ROWS = _Rows(NO_EVENTS, _NONE, _NONE, _NONE)


def _join(parts: list[_Rows]) -> _Rows:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _NO_ROWS
    return _Rows(
        join([part.events for part in parts]),
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.appended_at_ms for part in parts]),
        np.concatenate([part.watermark_ms for part in parts]),
    )


class _Source:
    """One assigned source partition."""

    def __init__(self, assignment: int, position: int, frames_partitions: int) -> None:
        self.assignment = assignment
        self.position = position
        self.watermark = Watermark()
        self.lost: list[tuple[int, int]] = []
        self.told = np.full(frames_partitions, position, np.int64)
        self.acked = self.told.copy()
        self.held: set[int] = set()

    def pieces(self, start: int) -> list[tuple[int, bool]]:
        """Tile `(start, position]`: the end of each piece, and whether it is lost."""
        found: list[tuple[int, bool]] = []
        for lost_from, lost_to in self.lost:
            if lost_to > start:
                if lost_from > start:
                    found.append((lost_from, False))
                found.append((lost_to, True))
                start = lost_to
        if self.position > start:
            found.append((self.position, False))
        return found


class _Draft:
    """A frame being filled."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.segments: list[Segment] = []
        self.rows: list[_Rows] = []


class Framer:
    """See the module. Not thread-safe."""

    def __init__(self, config: FramingConfig) -> None:
        self.config = config
        count = config.frames_partitions
        self._sources: dict[int, _Source] = {}
        self._assignments = 0
        self._frames = 0
        self._pending: list[dict[int, list[_Rows]]] = [{} for _ in range(count)]
        self._count = [0] * count
        self._latest = [0] * count  # how many came with the last batch
        self._since = [0.0] * count
        self._behind: list[float | None] = [None] * count  # since when it has not been told everything
        self._out: list[deque[FrameOut]] = [deque() for _ in range(count)]
        self._acked: set[int] = set()

    # ---- which source partitions

    def assign(self, source: int, position: int) -> None:
        """Begin with a source partition; `position` is the last offset already accounted for (committed − 1), −1 for none."""
        self._assignments += 1
        self._sources[source] = _Source(self._assignments, position, self.config.frames_partitions)

    def revoke(self, source: int) -> None:
        """Forget a source partition and what is pending from it. `flush` first if that shall not be read again."""
        self._sources.pop(source, None)
        for f, pending in enumerate(self._pending):
            self._count[f] -= sum(rows.size for rows in pending.pop(source, []))

    def lose(self, source: int, to_offset: int) -> None:
        """Offsets up to `to_offset` are gone from the log before we read them: account for them as lost."""
        state = self._sources[source]
        if to_offset > state.position:
            state.lost.append((state.position, to_offset))
            state.position = to_offset
            self._behind = [-np.inf] * self.config.frames_partitions  # say so at once

    def positions(self) -> dict[int, int]:
        """Last offset read of each source partition."""
        return {source: state.position for source, state in self._sources.items()}

    # ---- in

    def add(self, source: int, offsets: Sequence[int], appended_at_ms: Sequence[int], batch: Batch, lo: int, now_s: float) -> None:
        """Take records of one source partition, in order.

        Args:
            source: the partition; must be assigned.
            offsets: ascending, above everything added before. Offsets in between (compaction, transactions) hold no records.
            appended_at_ms: timestamp of each record, −1 when unknown.
            batch: results and prints; these records begin at index `lo`.
            lo: index of the first.
            now_s: time, for linger.
        """
        if not offsets:
            return
        state = self._sources[source]
        part = batch if lo == 0 and len(batch.results) == len(offsets) else batch.part(lo, lo + len(offsets))
        state.position = offsets[-1]
        self._behind = [now_s if since is None else since for since in self._behind]
        if not part.events.rows:
            return
        account_hash = part.events.account_hash
        watermark = state.watermark.advance(np.ascontiguousarray(part.events.numbers[:, _OCCURRED]), account_hash)
        target = partition_of(account_hash, self.config.frames_partitions)
        order = np.argsort(target, kind="stable")
        index = part.record[order]
        rows = _Rows(
            part.events.take(order),
            np.array(offsets, np.int64)[index],
            np.array(appended_at_ms, np.int64)[index],
            watermark[order],
        )
        bounds = np.searchsorted(target[order], np.arange(self.config.frames_partitions + 1)).tolist()
        for f in range(self.config.frames_partitions):
            first, last = bounds[f], bounds[f + 1]
            if last > first:
                if not self._count[f]:
                    self._since[f] = now_s
                self._pending[f].setdefault(source, []).append(rows.part(first, last))
                self._count[f] += last - first
                self._latest[f] = last - first

    def hold(self, source: int, offset: int) -> None:
        """A dead letter for this offset is on its way: do not commit past it until `release`."""
        self._sources[source].held.add(offset)

    def release(self, source: int, offset: int) -> None:
        """The dead letter for this offset is durable. A partition that was revoked meanwhile is no error."""
        state = self._sources.get(source)
        if state is not None:
            state.held.discard(offset)

    # ---- out

    def due(self, now_s: float, *, behind: bool = False) -> list[FrameOut]:
        """Frames whose time has come: full, or lingering for `linger_s`, or (empty) when positions moved `idle_s` ago.

        While `behind` (more records wait to be read) they linger `BEHIND` times as long: they will fill, and full ones cost less.
        """
        config = self.config
        linger_s = config.linger_s * BEHIND if behind else config.linger_s
        frames: list[FrameOut] = []
        for f in range(config.frames_partitions):
            count = self._count[f]
            full = count + self._latest[f] if behind else count  # another batch like the last would not fit: better one frame than two
            if full >= config.frame_events or (count and now_s - self._since[f] >= linger_s) or self._is_idle(f, now_s):
                frames += self._cut(f)
        return frames

    def flush(self) -> list[FrameOut]:
        """Everything pending, and positions of frames partitions that are behind: after their acks, all that was read commits."""
        return [frame for f in range(self.config.frames_partitions) if self._untold(f) for frame in self._cut(f)]

    def _is_idle(self, f: int, now_s: float) -> bool:
        since = self._behind[f]
        return since is not None and now_s - since >= self.config.idle_s and self._untold(f)

    def _untold(self, f: int) -> bool:
        return any(state.position > state.told[f] for state in self._sources.values())

    def _cut(self, f: int) -> list[FrameOut]:
        room = self.config.frame_events
        frames = self._drafts(f, room)
        while room > 1 and any(len(frame.value) > self.config.max_bytes for frame in frames):
            room = (room + 1) // 2
            frames = self._drafts(f, room)
        for state in self._sources.values():
            state.told[f] = state.position
            state.lost = [piece for piece in state.lost if piece[1] > state.told.min()]
        self._pending[f] = {}
        self._count[f] = self._latest[f] = 0
        self._behind[f] = None
        self._frames += len(frames)
        self._out[f].extend(frames)
        return frames

    def _drafts(self, f: int, room: int) -> list[FrameOut]:
        """Frames of at most `room` events that tell `f` everything it does not know. Changes nothing."""
        drafts = [_Draft(room)]
        for source, state in sorted(self._sources.items()):
            start = int(state.told[f])
            rows = _join(self._pending[f].get(source, []))
            at = 0
            for end, lost in state.pieces(start):
                until = int(np.searchsorted(rows.offset, end, "right"))
                while until - at > drafts[-1].room:  # full: the rest of this piece goes on in the next frame
                    cut = at + drafts[-1].room
                    if cut > at:
                        last = int(rows.offset[cut - 1])
                        self._put(drafts[-1], source, start, last, rows.part(at, cut), int(rows.watermark_ms[cut - 1]))
                        start, at = last, cut
                    drafts.append(_Draft(room))
                if end > start:
                    mark = state.watermark.now_ms if end == state.position else int(rows.watermark_ms[until - 1]) if until else -1
                    self._put(drafts[-1], source, start, end, rows.part(at, until), mark, lost=lost)
                start, at = end, until
        return [self._frame(f, self._frames + k, draft) for k, draft in enumerate(drafts) if draft.segments]

    def _put(self, draft: _Draft, source: int, start: int, end: int, rows: _Rows, watermark_ms: int, *, lost: bool = False) -> None:
        draft.segments.append(Segment(self.config.topic_id, source, start, end, rows.size, watermark_ms, lost))
        draft.rows.append(rows)
        draft.room -= rows.size

    def _frame(self, f: int, number: int, draft: _Draft) -> FrameOut:
        rows = _join([part for part in draft.rows if part.size])
        table = build(rows.events, rows.offset, rows.appended_at_ms)
        header = FrameHeader(
            version=FRAME_VERSION,
            frames_partition=f,
            frames_partitions=self.config.frames_partitions,
            hash_name=HASH_NAME,
            source_topic=self.config.source_topic,
            segments=draft.segments,
            rows=rows.size,
            accounts=[],
            symbols=[],
        )
        told = tuple((s.partition, self._sources[s.partition].assignment, s.to_offset) for s in draft.segments)
        return FrameOut(f, number, pack_frame(header, table.accounts, table.symbols, table.columns), rows.size, told)

    # ---- acknowledgements

    def acked(self, frame: FrameOut) -> None:
        """This frame is durable. Counts only once every earlier frame of its frames partition is, too."""
        self._acked.add(frame.number)
        waiting = self._out[frame.partition]
        while waiting and waiting[0].number in self._acked:
            done = waiting.popleft()
            self._acked.remove(done.number)
            for source, assignment, offset in done.told:
                state = self._sources.get(source)
                if state is not None and state.assignment == assignment:
                    state.acked[done.partition] = offset

    def outstanding(self) -> int:
        """Frames handed out and not yet acknowledged."""
        return sum(map(len, self._out))

    def committable(self) -> dict[int, int]:
        """Next offset to read per source partition, as far as everything before it is durable."""
        return {
            source: min([int(state.acked.min()) + 1, *(offset for offset in state.held if offset <= state.acked.min())])
            for source, state in self._sources.items()
        }
