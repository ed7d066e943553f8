"""The book of one frames partition: every account's state, and `step(offset, frame) -> effects`, the only way to change it.

One step, in order (the numbers stand again in the body):
1. check that the frame belongs to this book and comes next; apply the decisions it carries;
2. source positions decide which rows are new, the ring which are repeats;
3. each account of the frame gets a slot (unpacked if it was cold, fresh if unseen);
4. rows run in order up to the next tick of event time: features, then the closed blocks are judged, then rollups;
5. at a tick (an event-time hour has passed): open blocks close by the clock, quiet episodes end, epochs turn;
6. cold accounts are packed when too many are live.

Nothing depends on where frames begin or end, nor on which accounts are packed: `tests/accounts` holds it to that.
"""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson

from pipeline.accounts.positions import Positions
from pipeline.accounts.record import STATE_VERSION, AccountRecord, Marker, decode_account, decode_marker, encode_state
from pipeline.accounts.ring import CHUNK, Ring
from pipeline.accounts.rollups import Rollups
from pipeline.accounts.watermark import Watermarks
from pipeline.base.errors import CodecError, LineageError, SettingsError, StillwatchError
from pipeline.base.hashing import HASH_NAME
from pipeline.base.times import HOUR_MS
from pipeline.events.control import Setting, Tuning, decode_segment
from pipeline.features.kernel import DAY_HOURS, MIN_BLOCK, apply_events, close_open, new_blocks
from pipeline.features.row import ROW
from pipeline.scoring.judge import Judge
from pipeline.scoring.mind import Mind
from pipeline.scoring.notes import Requests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings
    from pipeline.events.alert import Alert
    from pipeline.events.control import ControlSegment
    from pipeline.events.frame import Columns, Frame, FrameHeader, Segment
    from pipeline.events.outputs import Rollup

LATE_MS = HOUR_MS
OPERATIONAL = frozenset({"checkpoint_interval_s", "checkpoint_backlog_s", "checkpoint_frames", "max_hot_accounts", "prior_file"})
"""Detect settings that do not shape state or decisions; of the prior it is the content that does, wherever the file lies."""
TOGETHER = 4_096
"""Accounts packed, or judged by the clock, in one go: some ten megabytes."""


class HoleError(StillwatchError):
    """A frame beyond the next one: the reader must seek back."""


class Effects(NamedTuple):
    """What a step wants done. Rollups wait for the checkpoint (`Book.checkpoint`)."""

    alerts: list[Alert]
    alert_rows: list[int]
    """For each alert the frame row whose event decided it, −1 for the clock."""
    applied: int
    duplicates: int
    conflicts: int
    late: int


class Checkpoint(NamedTuple):
    """A consistent cut: write `rollups`, then `records`, then `marker`, each acknowledged before the next."""

    rollups: list[Rollup]
    records: list[tuple[bytes, bytes]]
    """State key → value."""
    marker: tuple[bytes, bytes]
    superseded: list[bytes]
    """Keys to tombstone once the marker is durable."""


_NOBODY = Mind.fresh()
"""Stands where a slot has no account yet."""
_NO_EFFECTS = Effects([], [], 0, 0, 0, 0)


def settings_digest(settings: DetectSettings, tuned: Collection[str] = ()) -> str:
    """Digest of everything in the settings that shapes state or decisions, but for what was changed through the log."""
    shaping = settings.model_dump(mode="json", exclude={*OPERATIONAL, *tuned})
    if settings.prior is not None and Setting.PRIOR_FILE not in tuned:
        shaping["prior"] = hashlib.sha256(settings.prior).hexdigest()
    return hashlib.sha256(orjson.dumps(shaping, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def account_key(account_id: str, version: int) -> bytes:
    """State key of an account's record: readable prefix, account, version."""
    return b"a" + account_id.encode("utf-8", "surrogatepass") + b"\0" + version.to_bytes(8, "big")


def numbered_key(prefix: bytes, version: int, number: int = 0) -> bytes:
    """State key of a ring chunk (`r`), the judge (`j`) or a marker (`m`)."""
    return prefix + number.to_bytes(8, "big") + version.to_bytes(8, "big")


class Book:
    """State of one frames partition; see the module."""

    def __init__(self, partition: int, partitions: int, settings: DetectSettings, frames_topic_id: str = "") -> None:
        self.partition = partition
        self.frames_topic_id = frames_topic_id
        self.partitions = partitions
        self.settings = settings
        self.tuned: dict[str, str] = {}
        """Settings that were changed through the log; `settings` are those of this process."""
        self.complaints: list[str] = []
        """What was wrong with a change, until somebody takes it away: it is not in force."""
        self.applied = -1
        self.source_topic = ""
        self.positions = Positions()
        self.control_positions = Positions()
        self.watermarks = Watermarks()
        self.judge = Judge(settings, partition=partition, partitions=partitions)
        self._ring = Ring(settings.dedupe_ring)
        self._rollups = Rollups(partition)
        self._tick_ms = -1
        self._blocks = new_blocks(256)
        # accounts, live ones by slot
        self._slot: dict[str, int] = {}
        self._ids: list[str] = []
        self._minds: list[Mind] = []
        self._rows = np.zeros(256, ROW)
        self._version = np.zeros(256, np.int64)  # frames offset of the last change
        self._saved = np.full(256, -1, np.int64)  # version in the last checkpoint, −1 none
        self._used_at = np.zeros(256, np.int64)  # frames offset of the last use, for choosing what to pack
        self._free: list[int] = []
        # packed accounts: (squeezed record, version, saved version)
        self._cold: dict[str, tuple[bytes, int, int]] = {}
        self._cold_dirty: set[str] = set()  # packed since the last checkpoint with unsaved changes
        self._cold_due: dict[str, int] = {}  # packed with an open block or episode: event time at which the clock wants them
        # what the last checkpoint wrote
        self._saved_ring = 0
        self._ring_version = -1
        self._saved_chunks: dict[int, bytes] = {}
        self._saved_judge: bytes | None = None
        self._saved_marker: bytes | None = None
        self._garbage: list[bytes] = []  # superseded keys that recovery found

    def begin(self, offset: int) -> None:
        """Replay from this frame on, the first that the log still has: what came before is unknown and no hole.

        Only a fresh book may begin so. A worker's book never does: what it lacks is in its state.
        """
        self.applied = offset - 1
        self.positions.adopts = self.control_positions.adopts = offset > 0

    # ---- reading

    @property
    def accounts(self) -> tuple[int, int]:
        """(live, packed) accounts."""
        return len(self._slot), len(self._cold)

    @property
    def watermark_ms(self) -> int:
        """Event time of the partition, −1 before the first event."""
        return self.watermarks.now_ms

    # ---- the step

    def step(self, offset: int, frame: Frame) -> Effects:
        """Apply the frame at `offset`. Lower offsets than the next are skipped (their effects were already produced).

        Raises:
            HoleError: `offset` is beyond `applied + 1`.
            LineageError: the frame belongs to another topic, partition count or hash.
        """
        header, columns = frame
        self._check(offset, header)  # 1
        if offset <= self.applied:
            return _NO_EFFECTS
        for data in header.control:
            self._rule(offset, decode_segment(data))
        take = np.ones(header.rows, np.bool_)
        segments = list(self.positions.accept(header, columns.offset, take))  # 2
        applies = take.copy()  # repeats still move time
        conflict = self._ring.dedupe(columns.identity, columns.content, take)
        if take.any():
            self._ring_version = offset
        slots = self._slots_of(header, columns, take, offset)  # 3
        run = _Run(offset, header, columns, slots, segments)
        self._run_segments(run, take, applies)
        self.applied = offset
        effects = Effects(run.alerts, run.alert_rows, int(take.sum()), int(applies.sum() - take.sum()), int(conflict.sum()), run.late)
        if len(self._slot) > self.settings.max_hot_accounts * 9 // 8:  # some room, so that it is some thousand at a time
            self._pack_cold(self.settings.max_hot_accounts)  # 6
        return effects

    def _check(self, offset: int, header: FrameHeader) -> None:
        where = f"frames[{self.partition}]@{offset}"
        if header.frames_partition != self.partition or header.frames_partitions != self.partitions or header.hash_name != HASH_NAME:
            raise LineageError(
                f"the frame is of partition {header.frames_partition}/{header.frames_partitions} ({header.hash_name}), "
                f"this book of {self.partition}/{self.partitions} ({HASH_NAME})",
                location=where,
                next_step="the partition count is fixed at `init`: start a new prefix and replay",
            )
        if self.source_topic and header.source_topic != self.source_topic:
            raise LineageError(f"the frame reads {header.source_topic}, this book {self.source_topic}", location=where)
        if offset > self.applied + 1:
            raise HoleError(f"frame {offset} while {self.applied + 1} comes next", location=where)
        self.source_topic = header.source_topic

    def _rule(self, offset: int, segment: ControlSegment) -> None:
        """Apply the decisions of a control segment that are new."""
        before = self.control_positions.move(segment, "the control topic")
        if before is None:
            return
        for at, record in segment.records:
            if at <= before:
                continue
            if isinstance(record, Tuning):
                self._tune(record.onto(self.tuned))
                continue
            slot = self._live(record.account_id, offset)
            self.judge.rule(self._minds[slot], record)
            self._version[slot] = self._used_at[slot] = offset

    def _tune(self, tuned: dict[str, str]) -> None:
        """Let changed settings take effect, unless this program cannot use them: then those before stay in force."""
        try:
            self.judge.tune(self.settings.tuned(tuned))
        except SettingsError as err:
            self.complaints.append(f"a changed setting is not in force: {err.message}")
        else:
            self.tuned = tuned

    def _run_segments(self, run: _Run, take: NDArray[np.bool_], applies: NDArray[np.bool_]) -> None:
        """Rows of all segments in order, as many at once as no hour's end falls between."""
        columns = run.columns
        for segment, lo, hi in run.segments:
            source = self.watermarks.source(segment.partition)
            row = lo
            while row < hi:  # 4
                row = self.watermarks.advance(
                    source, columns.occurred_at_ms, columns.account_hash, columns.account, applies, row, hi, self._next_tick()
                )
                self._end_hour(run, row, take)
            self.watermarks.hint(source, segment.watermark_ms)
            self._end_hour(run, hi, take)
        self._run_rows(run, run.header.rows, take)

    def _end_hour(self, run: _Run, row: int, take: NDArray[np.bool_]) -> None:
        """If an hour is over: what came before `row` belongs to it, then it ends."""
        if self.watermarks.now_ms >= max(self._next_tick(), 0):
            self._run_rows(run, row, take)
            self._tick(run)

    def _run_rows(self, run: _Run, hi: int, take: NDArray[np.bool_]) -> None:
        """Apply the rows up to `hi` that are not applied yet."""
        lo, run.done = run.done, hi
        if lo >= hi:
            return
        columns, slots = run.columns, run.slots
        self._reserve_blocks(2 * (hi - lo))
        count = int(apply_events(self._rows, columns, slots, lo, hi, self.settings.block_requests, self._blocks, 0))
        self._rollups.apply(columns, slots, lo, hi, run.offset, self._ids)
        self._judge(run, count, _Notes(run, lo, hi, self._minds))
        behind = columns.occurred_at_ms[lo:hi] < self._tick_ms - LATE_MS
        run.late += int((behind & take[lo:hi]).sum())

    def _judge(self, run: _Run, count: int, notes: _Notes | None) -> None:
        blocks = self._blocks
        prepared = self.judge.prepare(blocks, 0, count)
        for k in range(count):
            slot = int(blocks.slot[k])
            mind = self._minds[slot]
            if notes is not None:
                notes.up_to(slot, int(blocks.event[k]))
            alerts = self.judge.decide(prepared, k, blocks, mind, self._ids[slot])
            self._rollups.raise_risk(slot, int(blocks.closed_ms[k]), mind.risk, run.offset)
            self._version[slot] = run.offset
            run.emit(alerts, int(blocks.event[k]))
        if notes is not None:
            notes.rest()

    # ---- event time

    def _next_tick(self) -> int:
        """Watermark at which the next hour is over, its allowed lateness included."""
        return self._tick_ms + HOUR_MS + self.settings.allowed_lateness_s * 1_000 if self._tick_ms >= 0 else 0

    def _tick(self, run: _Run) -> None:
        now_ms = self.watermarks.now_ms
        hour_ms = (now_ms - self.settings.allowed_lateness_s * 1_000) // HOUR_MS * HOUR_MS
        first = self._tick_ms < 0
        epoch_ms = self.settings.epoch_s * 1_000
        before, self._tick_ms = self._tick_ms, hour_ms
        self._rollups.hour = hour_ms // HOUR_MS
        if first:
            return
        for account_id in [a for a, due_ms in self._cold_due.items() if due_ms <= hour_ms]:  # 5
            self._live(account_id, run.offset)
        for slots in self._due(hour_ms):
            self._reserve_blocks(len(slots))
            self._judge(run, int(close_open(self._rows, slots, hour_ms, self._blocks, 0)), None)
        for slot in sorted((s for s in self._slot.values() if 0 < self._minds[s].deadline_ms <= hour_ms), key=self._ids.__getitem__):
            run.emit(self.judge.expire(self._ids[slot], self._minds[slot], hour_ms), -1)
            self._version[slot] = run.offset
        run.emit(self.judge.tick(hour_ms), -1)
        if hour_ms // epoch_ms > before // epoch_ms:
            self.judge.end_epoch(hour_ms // epoch_ms)

    def _due(self, hour_ms: int) -> Iterator[NDArray[np.int32]]:
        """Slots whose open block the clock ends, some at a time, in the order of their accounts' ids: slots are chance."""
        live = np.array(list(self._slot.values()), np.int32)
        ends = _block_ends_ms(self._rows, live)
        due = np.array(sorted(live[(ends > 0) & (ends <= hour_ms)].tolist(), key=self._ids.__getitem__), np.int32)
        for lo in range(0, len(due), TOGETHER):
            yield due[lo : lo + TOGETHER]

    def _reserve_blocks(self, capacity: int) -> None:
        if len(self._blocks.slot) < capacity:
            self._blocks = new_blocks(2 * capacity)

    # ---- accounts

    def _slots_of(self, header: FrameHeader, columns: Columns, take: NDArray[np.bool_], offset: int) -> NDArray[np.int32]:
        """Slot of each row's account, −1 for rows that do not apply."""
        by_account = np.full(len(header.accounts) + 1, -1, np.int32)
        present = np.zeros(len(header.accounts), np.bool_)
        present[columns.account[take]] = True
        known, accounts = self._slot.get, header.accounts
        for index in np.flatnonzero(present).tolist():
            slot = known(accounts[index])
            by_account[index] = self._live(accounts[index], offset) if slot is None else slot
        touched = by_account[by_account >= 0]
        self._version[touched] = offset
        self._used_at[touched] = offset
        slots = np.full(header.rows, -1, np.int32)
        slots[take] = by_account[columns.account[take]]
        return slots

    def _live(self, account_id: str, offset: int) -> int:
        """Slot of an account, unpacking or creating it."""
        slot = self._slot.get(account_id)
        if slot is not None:
            return slot
        slot = self._free.pop() if self._free else len(self._ids)
        if slot == len(self._ids):
            self._ids.append("")
            self._minds.append(_NOBODY)
            if slot == len(self._rows):
                rows = np.zeros(2 * slot, ROW)
                _bytes(rows)[:slot] = _bytes(self._rows)
                self._rows = rows
                self._version = np.concatenate((self._version, np.zeros(slot, np.int64)))
                self._saved = np.concatenate((self._saved, np.full(slot, -1, np.int64)))
                self._used_at = np.concatenate((self._used_at, np.zeros(slot, np.int64)))
        self._slot[account_id] = slot
        self._ids[slot] = account_id
        packed = self._cold.pop(account_id, None)
        if packed is None:
            _bytes(self._rows)[slot] = 0
            self._minds[slot] = Mind.fresh()
            self._version[slot], self._saved[slot] = offset, -1
            self._rollups.unpack(slot, 0, b"")
        else:
            squeezed, self._version[slot], self._saved[slot] = packed
            self._cold_dirty.discard(account_id)
            self._cold_due.pop(account_id, None)
            record = decode_account(zlib.decompress(squeezed))
            if len(record.row) != ROW.itemsize:
                raise CodecError(f"account record has a feature row of {len(record.row)} bytes, {ROW.itemsize} expected")
            _bytes(self._rows)[slot] = np.frombuffer(record.row, np.uint8)
            self._minds[slot] = Mind.unpack(record.mind)
            self._rollups.unpack(slot, record.arrival_epoch, record.cells)
        self._used_at[slot] = offset
        return slot

    def _pack(self, slots: list[int]) -> Iterator[tuple[bytes, int]]:
        """(record, event time at which the clock must look at it or 0) of each account, in bulk: a checkpoint has thousands."""
        for lo in range(0, len(slots), TOGETHER):
            yield from self._pack_some(slots[lo : lo + TOGETHER])

    def _pack_some(self, slots: list[int]) -> list[tuple[bytes, int]]:
        packed = _bytes(self._rows)[slots].tobytes()
        size = ROW.itemsize
        due = [
            _due_ms(self._minds[slot].deadline_ms, block_ms)
            for slot, block_ms in zip(slots, _block_ends_ms(self._rows, slots).tolist(), strict=True)
        ]
        parts = zip(slots, range(0, len(packed), size), self._rollups.pack(slots), due, strict=True)
        return [
            (encode_state(AccountRecord(STATE_VERSION, packed[at : at + size], self._minds[slot].pack(), epoch, cells, due_ms)), due_ms)
            for slot, at, (epoch, cells), due_ms in parts
        ]

    def _pack_cold(self, keep: int) -> None:
        """Pack the least recently used accounts until `keep` are live."""
        slots = np.array(list(self._slot.values()), np.int64)
        coldest = slots[np.argsort(self._used_at[slots], kind="stable")][: len(slots) - keep].tolist()
        packed = [(_squeezed(data), due_ms) for data, due_ms in self._pack(coldest)]
        self._rollups.drop(np.array(coldest, np.int32), self._ids)
        for slot, (squeezed, due_ms) in zip(coldest, packed, strict=True):
            account_id = self._ids[slot]
            version, saved = int(self._version[slot]), int(self._saved[slot])
            self._cold[account_id] = (squeezed, version, saved)
            if version != saved:
                self._cold_dirty.add(account_id)
            if due_ms:
                self._cold_due[account_id] = due_ms
            del self._slot[account_id]
            self._ids[slot] = ""
            self._version[slot] = self._saved[slot] = -1
            self._free.append(slot)

    # ---- checkpoints

    def take_rollups(self) -> list[Rollup]:
        """Every rollup that changed since it was last taken, with absolute values."""
        return self._rollups.drain(self._ids)

    def checkpoint(self) -> Checkpoint:
        """A consistent cut of everything that changed since the last one. Marks it saved: write it or die."""
        records: list[tuple[bytes, bytes]] = []
        superseded, self._garbage = self._garbage, []
        rollups = self.take_rollups()
        count = len(self._ids)
        changed = np.flatnonzero(self._version[:count] != self._saved[:count])
        slots, versions, saved_at = changed.tolist(), self._version[changed].tolist(), self._saved[changed].tolist()
        for slot, (data, _), version, saved in zip(slots, self._pack(slots), versions, saved_at, strict=True):
            self._save(records, superseded, self._ids[slot], data, version, saved)
        self._saved[changed] = self._version[changed]
        for account_id in sorted(self._cold_dirty):
            squeezed, version, saved = self._cold[account_id]
            self._save(records, superseded, account_id, zlib.decompress(squeezed), version, saved)
            self._cold[account_id] = (squeezed, version, version)
        self._cold_dirty.clear()
        self._save_ring(records, superseded)
        judge_key = numbered_key(b"j", self.applied)
        if judge_key != self._saved_judge:
            records.append((judge_key, self.judge.pack()))
            superseded.extend(filter(None, (self._saved_judge, self._saved_marker)))
        self._saved_judge = judge_key
        marker_key = self._saved_marker = numbered_key(b"m", self.applied)
        marker = Marker(
            format=STATE_VERSION,
            applied=self.applied,
            frames_topic_id=self.frames_topic_id,
            frames_partitions=self.partitions,
            hash_name=HASH_NAME,
            source_topic=self.source_topic,
            settings_digest=settings_digest(self.settings, self.tuned),
            positions=[p for _, p in sorted(self.positions.by_partition.items())],
            watermarks=self.watermarks.snapshot(),
            tick_ms=self._tick_ms,
            ring_size=self._ring.size,
            ring_head=self._ring.head,
            accounts=len(self._slot) + len(self._cold),
            control_positions=[p for _, p in sorted(self.control_positions.by_partition.items())],
            tuned=self.tuned,
        )
        return Checkpoint(rollups, records, (marker_key, encode_state(marker)), superseded)

    @staticmethod
    def _save(records: list[tuple[bytes, bytes]], superseded: list[bytes], account_id: str, data: bytes, version: int, saved: int) -> None:
        records.append((account_key(account_id, version), data))
        if saved >= 0:
            superseded.append(account_key(account_id, saved))

    def _save_ring(self, records: list[tuple[bytes, bytes]], superseded: list[bytes]) -> None:
        head = self._ring.head
        if head > self._saved_ring:
            for number in range(self._saved_ring // CHUNK, (head - 1) // CHUNK + 1):
                if old := self._saved_chunks.get(number):
                    superseded.append(old)
                key = self._saved_chunks[number] = numbered_key(b"r", self._ring_version, number)
                records.append((key, self._ring.chunk(number)))
            self._saved_ring = head
        passed = [number for number in self._saved_chunks if number < self._ring.oldest_chunk]
        superseded.extend(map(self._saved_chunks.pop, passed))

    @classmethod
    def restore(
        cls,
        partition: int,
        partitions: int,
        settings: DetectSettings,
        records: Iterable[tuple[bytes, bytes]],
        frames_topic_id: str = "",
    ) -> Book:
        """The book as of the highest marker among `records` (state keys and values in log order, tombstones left out).

        Raises:
            LineageError: the state was written under another partition count, hash or settings.
            NewerFormatError: by a newer program.
            CodecError: it does not decode or is incomplete.
        """
        book = cls(partition, partitions, settings, frames_topic_id)
        by_kind: dict[bytes, dict[bytes, bytes]] = {b"a": {}, b"r": {}, b"j": {}, b"m": {}}
        for key, value in records:
            by_kind.setdefault(key[:1], {})[key] = value
        if not by_kind[b"m"]:
            return book
        marker_key = max(by_kind[b"m"])
        marker = decode_marker(by_kind[b"m"][marker_key])
        book._accept_marker(marker)
        for raw_id, (version, _, value) in _newest(by_kind[b"a"], marker.applied, book._garbage).items():
            account_id = raw_id.decode("utf-8", "surrogatepass")
            book._cold[account_id] = (_squeezed(value), version, version)
            if due_ms := decode_account(value).due_ms:
                book._cold_due[account_id] = due_ms
        if len(book._cold) < marker.accounts:
            raise CodecError(f"the marker at {marker.applied} counts {marker.accounts} accounts, the state log holds {len(book._cold)}")
        book._restore_ring(marker, by_kind[b"r"])
        judge_key = numbered_key(b"j", marker.applied)
        if judge_key not in by_kind[b"j"]:
            raise CodecError(f"the calibration at {marker.applied} is missing from the state log")
        book.judge.unpack(by_kind[b"j"][judge_key])
        for setting, said in marker.tuned.items():
            book._tune({**book.tuned, setting: said})
        book._saved_judge, book._saved_marker = judge_key, marker_key
        for kind, kept in ((b"j", judge_key), (b"m", marker_key)):
            book._garbage += [key for key in by_kind[kind] if key != kept and int.from_bytes(key[-8:], "big") <= marker.applied]
        return book

    def _accept_marker(self, marker: Marker) -> None:
        mine = (self.partitions, HASH_NAME, settings_digest(self.settings, marker.tuned))
        theirs = (marker.frames_partitions, marker.hash_name, marker.settings_digest)
        if mine != theirs:
            raise LineageError(
                f"the state was written with partitions, hash, settings digest {theirs}, this worker has {mine}",
                location=f"state[{self.partition}]",
                next_step="restore the detect settings it was written with and change them by `stillwatch tune`, "
                "or start a new prefix and replay the frames",
            )
        if self.frames_topic_id != marker.frames_topic_id:
            raise LineageError(
                f"the frames topic was recreated: its id is {self.frames_topic_id}, the state was built from {marker.frames_topic_id}",
                location=f"state[{self.partition}]",
                next_step="start with a new prefix, or reset this one with `stillwatch init --reset-state`",
            )
        self.applied = marker.applied
        self.source_topic = marker.source_topic
        self.positions.by_partition = {p.partition: p for p in marker.positions}
        self.control_positions.by_partition = {p.partition: p for p in marker.control_positions}
        self.watermarks.restore(marker.watermarks)
        self._tick_ms = marker.tick_ms
        self._rollups.hour = max(marker.tick_ms, 0) // HOUR_MS

    def _restore_ring(self, marker: Marker, chunks: dict[bytes, bytes]) -> None:
        newest = _newest(chunks, marker.applied, self._garbage)
        by_number = {int.from_bytes(number, "big"): record for number, record in newest.items()}
        self._ring.restore(marker.ring_head, {number: value for number, (_, _, value) in by_number.items()})
        self._saved_ring = marker.ring_head
        self._saved_chunks = {number: key for number, (_, key, _) in by_number.items()}
        self._ring_version = max((version for version, _, _ in by_number.values()), default=-1)


def _newest(records: dict[bytes, bytes], applied: int, garbage: list[bytes]) -> dict[bytes, tuple[int, bytes, bytes]]:
    """Per subject the highest version at or below `applied` → (version, key, value); the lower ones go to `garbage`.

    A key is one kind byte, the subject (for accounts closed by a zero byte), 8 bytes of version.
    """
    best: dict[bytes, tuple[int, bytes, bytes]] = {}
    for key, value in records.items():
        version = int.from_bytes(key[-8:], "big")
        if version > applied:
            continue
        subject = key[1:-9] if key[:1] == b"a" else key[1:-8]
        known = best.get(subject)
        if known is None or known[0] < version:
            if known is not None:
                garbage.append(known[1])
            best[subject] = (version, key, value)
        else:
            garbage.append(key)
    return best


def _bytes(rows: NDArray[np.void]) -> NDArray[np.uint8]:
    """Rows as bytes [n, ROW.itemsize]: copying by fields would leave the padding between them undefined."""
    return rows.view(np.uint8).reshape(len(rows), ROW.itemsize)


def _squeezed(record: bytes) -> bytes:
    """A packed account as it waits in memory: most of the row of a small customer is zero."""
    return zlib.compress(record, 1)


def _block_ends_ms(rows: NDArray[np.void], slots: list[int] | NDArray[np.int32]) -> NDArray[np.int64]:
    """Event time at which the clock closes the open block of each slot, 0: none is open."""
    hour, requests = rows["block_hour"][slots].astype(np.int64) + 1, rows["block_requests"][slots]
    end = np.where(requests >= MIN_BLOCK, hour, -(-hour // DAY_HOURS) * DAY_HOURS)
    return np.where(requests > 0, HOUR_MS * end, 0)


def _due_ms(deadline_ms: int, block_ms: int) -> int:
    """The earlier of two event times, of which 0 is never."""
    return min(deadline_ms, block_ms) if deadline_ms and block_ms else deadline_ms or block_ms


class _Run:
    """One step's frame and what it produced so far."""

    def __init__(
        self, offset: int, header: FrameHeader, columns: Columns, slots: NDArray[np.int32], segments: list[tuple[Segment, int, int]]
    ) -> None:
        self.offset = offset
        self.header = header
        self.columns = columns
        self.slots = slots
        self.segments = segments
        self.sources = np.full(header.rows, -1, np.int64)
        """Source partition of each row that is new."""
        for segment, lo, hi in segments:
            self.sources[lo:hi] = segment.partition
        self.done = self.late = 0
        """Rows that are applied, and how many of them were late."""
        self.alerts: list[Alert] = []
        self.alert_rows: list[int] = []

    def emit(self, alerts: list[Alert], row: int) -> None:
        self.alerts += alerts
        self.alert_rows += [row] * len(alerts)


class _Notes:
    """Tells watched minds about their events, in row order, interleaved with the blocks that turn watching on and off."""

    def __init__(self, run: _Run, lo: int, hi: int, minds: list[Mind]) -> None:
        self._requests = Requests(run.columns, run.header.symbols, run.sources, lo, hi)
        self._hi = hi
        self._minds = minds
        self._slots = run.slots[lo:hi]
        self._lo = lo
        order = np.argsort(self._slots, kind="stable")
        ranked = self._slots[order]
        edges = np.flatnonzero(np.diff(ranked, prepend=-1))  # rows that do not apply (slot −1) come first and open no stretch
        self._order: list[int] = order.tolist()
        self._present: list[int] = ranked[edges].tolist()
        starts = edges.tolist()
        self._next = dict(zip(self._present, starts, strict=True))
        self._stop = dict(zip(self._present, [*starts[1:], len(ranked)], strict=False))

    def up_to(self, slot: int, row: int) -> None:
        """Note the slot's events up to `row` (inclusive), if it is watched; either way they are behind us."""
        at = self._next.get(slot)
        if at is None:
            return
        stop, order, mind = self._stop[slot], self._order, self._minds[slot]
        end = bisect_right(order, row - self._lo, at, stop)
        if mind.watch and end > at:
            mind.note([i + self._lo for i in order[at:end]], self._requests)
        self._next[slot] = end

    def rest(self) -> None:
        """Note what is left."""
        for slot in self._present:
            if self._minds[slot].watch:
                self.up_to(slot, self._hi)
