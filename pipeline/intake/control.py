"""Control records at the door: bytes → decisions or rejections, decisions → frames.

The same promises as for requests: bad input is a value with a reason; every frames partition is told every offset of the
control topic once, in segments that tile it; what may be committed is what all of them were told in acknowledged frames. Pure.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, get_args

import msgspec
import numpy as np

from pipeline.base.catalogue import RejectReason
from pipeline.base.hashing import HASH_NAME, hash_texts, partition_of
from pipeline.events.control import CONTROL_VERSION, Control, ControlSegment, Tuning, complaint_about, decode_control, encode_segment
from pipeline.events.frame import CONTROL_FRAME_VERSION, FrameHeader, pack_frame
from pipeline.intake.columns import build
from pipeline.intake.framing import FrameOut, Framer
from pipeline.intake.rows import NO_EVENTS
from pipeline.intake.scan import repeated_key
from pipeline.intake.validate import Rejection, explain_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.intake.framing import FramingConfig

MAX_CONTROL_BYTES = 65_536
"""A prior with every quotation mark escaped."""
MAX_RECORDS = 500
"""Decisions of one frame at most: a quarter of a megabyte. Priors are larger, so frames with them hold fewer."""
_VERSION = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAMES = frozenset(name for kind in get_args(Control) for name in (*kind.__struct_fields__, "type"))
_NONE = np.zeros(0, np.int64)


def read_control(value: bytes | None) -> Control | Rejection:
    """One record of the control topic → the decision, or why it is none. Never an exception."""
    data = value or b""
    if not data:
        return _reject(data, RejectReason.EMPTY, "the record has no value")
    if len(data) > MAX_CONTROL_BYTES:
        return _reject(data, RejectReason.TOO_LARGE, f"{len(data)} bytes; a decision has at most {MAX_CONTROL_BYTES}")
    try:
        return _checked(decode_control(data), data)
    except msgspec.ValidationError as err:
        newer = _version(data) not in (None, CONTROL_VERSION)
        why = _NEWER if newer else explain_error(str(err), _NAMES)
    except UnicodeError:
        why = (RejectReason.NOT_UTF8, "not UTF-8", "$")
    except (msgspec.MsgspecError, RecursionError):
        why = (RejectReason.NOT_JSON, "not JSON", "$")
    return _reject(data, *why)


_NEWER = (RejectReason.UNKNOWN_VERSION, f"this program reads schema_version {CONTROL_VERSION}", "$.schema_version")


def _checked(record: Control, data: bytes) -> Control | Rejection:
    """What the types do not say."""
    if twice := repeated_key(data.decode()):
        path = ".".join(["$", *twice]) if _NAMES.issuperset(twice) else "$"
        return _reject(data, RejectReason.DUPLICATE_KEY, "one object names a field twice", path)
    wrong = complaint_about(record)
    return record if wrong is None else _reject(data, *wrong)


def _version(data: bytes) -> int | None:
    try:
        return msgspec.json.decode(_VERSION.decode(data)["schema_version"], type=int)
    except (msgspec.MsgspecError, KeyError):
        return None


def _reject(data: bytes, reason: RejectReason, message: str, path: str = "$") -> Rejection:
    return Rejection(reason, path, message, len(data), hashlib.sha256(data).hexdigest(), {})


class ControlFramer(Framer):
    """Decisions → frames without rows. The ledger (who was told what, what is acknowledged, what may be committed) is `Framer`'s.

    Decisions do not linger: `flush` after every `take`.
    """

    def __init__(self, config: FramingConfig) -> None:
        super().__init__(config._replace(frame_events=MAX_RECORDS))
        self._decisions: list[dict[int, list[tuple[int, Control]]]] = [{} for _ in range(config.frames_partitions)]

    def take(self, source: int, offsets: Sequence[int], records: Sequence[Control | Rejection]) -> None:
        """Take records of one assigned partition, in order; rejected ones only move the position."""
        state = self._sources[source]
        for offset, record in zip(offsets, records, strict=True):
            state.position = offset
            if isinstance(record, Rejection):
                continue
            bare = msgspec.structs.replace(record, note="")  # what people write about people is for the audit alone
            for f in self._concerned(record):
                self._decisions[f].setdefault(source, []).append((offset, bare))

    def _concerned(self, record: Control) -> Iterable[int]:
        """Frames partitions that a decision is for: its account's, or all of them."""
        count = self.config.frames_partitions
        return range(count) if isinstance(record, Tuning) else partition_of(hash_texts([record.account_id]), count).tolist()

    def revoke(self, source: int) -> None:
        """See `Framer.revoke`."""
        super().revoke(source)
        for decisions in self._decisions:
            decisions.pop(source, None)

    def _cut(self, f: int) -> list[FrameOut]:
        frames = super()._cut(f)
        self._decisions[f] = {}
        return frames

    def _drafts(self, f: int, room: int) -> list[FrameOut]:
        """Frames of at most `room` decisions that tell `f` everything it does not know. Changes nothing."""
        segments: list[ControlSegment] = []
        for source, state in sorted(self._sources.items()):
            start, records = int(state.told[f]), self._decisions[f].get(source, [])
            for lo in range(0, max(len(records), 1), room):
                part = records[lo : lo + room]
                end = part[-1][0] if lo + room < len(records) else state.position
                if end > start:
                    segments.append(ControlSegment("control", self.config.topic_id, source, start, end, part))
                start = end
        return [self._bare_frame(f, self._frames + k, segment) for k, segment in enumerate(segments)]

    def _bare_frame(self, f: int, number: int, segment: ControlSegment) -> FrameOut:
        table = build(NO_EVENTS, _NONE, _NONE)
        header = FrameHeader(
            version=CONTROL_FRAME_VERSION,
            frames_partition=f,
            frames_partitions=self.config.frames_partitions,
            hash_name=HASH_NAME,
            source_topic=self.config.source_topic,
            segments=[],
            rows=0,
            accounts=[],
            symbols=[],
            control=[encode_segment(segment)],
        )
        told = (segment.partition, self._sources[segment.partition].assignment, segment.to_offset)
        return FrameOut(f, number, pack_frame(header, table.accounts, table.symbols, table.columns), 0, (told,))
