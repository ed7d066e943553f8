"""The decision state of one account: its River models, its evidence so far, its open episode, the events that prove it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.detectors.models import AccountModels, Channel
from pipeline.events.alert import EvidenceEvent
from pipeline.scoring.episode import Episode
from pipeline.scoring.evidence import TILTS, ZERO
from pipeline.scoring.kinds import KINDS

FORMAT = 1
NOTES_MAX = 8
WATCH_REQUESTS = 200
"""An account's first requests are watched: what proves a case that is odd from the start happened there."""
_HEAD = struct.Struct("<BBBIIfqi")
_EVIDENCE = struct.Struct(f"<{len(KINDS) * len(TILTS)}f")
_LAST = struct.Struct(f"<{len(Channel)}f")
_HAS_EVIDENCE, _HAS_LAST, _HAS_CASE = 1, 2, 4
_NEVER = -1


class _Case(msgspec.Struct, array_like=True):
    """The part of a mind that calm accounts do not have."""

    notes: list[EvidenceEvent]
    episodes: list[Episode]
    counts: list[int]


_ENCODER = msgspec.msgpack.Encoder()
_CASE = msgspec.msgpack.Decoder(_Case)


class Mind:
    """See the module. Changed only by `Judge` and `note`."""

    __slots__ = (
        "counts", "deadline_ms", "episodes", "evidence", "hour", "last", "looks", "models", "notes", "risk", "seen", "voted", "watch",
    )  # fmt: skip

    def __init__(self) -> None:
        self.models = AccountModels()
        self.evidence: list[tuple[float, ...]] | None = None
        """Accumulators by kind, None while all are zero."""
        self.last: tuple[float, ...] | None = None
        """Last raw scores by channel, for whitening."""
        self.episodes: list[Episode] = []
        self.counts: list[int] = [0] * len(KINDS)
        """Episodes so far by kind."""
        self.notes: list[EvidenceEvent] = []
        self.risk = 0.0
        self.deadline_ms = 0
        self.looks = 0
        self.seen = 0
        """Blocks judged."""
        self.hour = _NEVER
        """Event-hour whose volume the volume evidence already holds."""
        self.voted = _NEVER
        """Event-hour of the last block that taught the calibration."""
        self.watch = True

    @classmethod
    def fresh(cls) -> Mind:
        """The mind of an unseen account."""
        return cls()

    def note(self, event: EvidenceEvent) -> None:
        """Remember a request as possible evidence: the latest few before an episode, a fair sample inside one."""
        if self.episodes:
            for episode in self.episodes:
                episode.offer(event)
            return
        self.notes.append(event)
        if len(self.notes) > NOTES_MAX:
            del self.notes[0]

    def pack(self) -> bytes:
        """Bytes of this mind; equal minds give equal bytes."""
        flags = 0
        parts = [b"", self.models.pack()]
        if self.evidence is not None:
            flags |= _HAS_EVIDENCE
            parts.append(_EVIDENCE.pack(*(m for row in self.evidence for m in row)))
        if self.last is not None:
            flags |= _HAS_LAST
            parts.append(_LAST.pack(*self.last))
        if self.notes or self.episodes or any(self.counts):
            flags |= _HAS_CASE
            parts.append(_ENCODER.encode(_Case(self.notes, self.episodes, self.counts)))
        flags |= 8 if self.watch else 0
        parts[0] = _HEAD.pack(FORMAT, flags, self.looks, self.seen, self.hour & 0xFFFFFFFF, self.risk, self.deadline_ms, self.voted)
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes) -> Mind:
        """The mind that `pack` wrote; it goes on bit for bit as the packed one would.

        Raises:
            NewerFormatError: written by a newer program.
            CodecError: the bytes do not decode.
        """
        mind = cls()
        try:
            version, flags, mind.looks, mind.seen, hour, mind.risk, mind.deadline_ms, mind.voted = _HEAD.unpack_from(data)
            if version > FORMAT:
                raise NewerFormatError(f"mind format {version}; this program reads {FORMAT}", next_step="upgrade this worker")
            mind.hour = hour - (1 << 32) if hour >= 1 << 31 else hour
            mind.watch = bool(flags & 8)
            mind.models, at = AccountModels.unpack(data, _HEAD.size)
            if flags & _HAS_EVIDENCE:
                flat = _EVIDENCE.unpack_from(data, at)
                at += _EVIDENCE.size
                mind.evidence = [flat[i : i + len(TILTS)] for i in range(0, len(flat), len(TILTS))]
            if flags & _HAS_LAST:
                mind.last = _LAST.unpack_from(data, at)
                at += _LAST.size
            if flags & _HAS_CASE:
                case = _CASE.decode(data[at:])
                mind.notes, mind.episodes, mind.counts = case.notes, case.episodes, case.counts
        except (struct.error, msgspec.MsgspecError) as err:
            raise CodecError(f"packed mind does not decode: {err}") from None
        return mind

    def evidence_of(self, kind: int) -> tuple[float, ...]:
        """Accumulators of one kind."""
        return ZERO if self.evidence is None else self.evidence[kind]
