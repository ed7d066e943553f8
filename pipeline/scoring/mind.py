"""The decision state of one account: its River models, its evidence so far, its open episode, the events that prove it."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import msgspec

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.detectors.models import AccountModels
from pipeline.scoring.episode import Episode
from pipeline.scoring.evidence import TILTS, ZERO, strength
from pipeline.scoring.kinds import KINDS
from pipeline.scoring.notes import Memory
from pipeline.scoring.verdicts import Rulings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.scoring.notes import Requests

FORMAT = 2
_HEAD = struct.Struct("<BBBIHIiddq")
_EVIDENCE = struct.Struct(f"<{len(KINDS) * len(TILTS)}f")
_RUN = struct.Struct("<qqqqq")
_LENGTH = struct.Struct("<I")
_HAS_EVIDENCE, _HAS_RUN, _HAS_CASE, _WATCHED, _HAS_RULINGS = 1, 2, 4, 8, 16


class Run(msgspec.Struct, array_like=True):
    """Where the suspicion that is now growing began."""

    since_ms: int
    first_ms: int
    requests: int
    input_tokens: int
    output_tokens: int


class _Case(msgspec.Struct, array_like=True):
    """The part of a mind that calm accounts do not have."""

    notes: Memory
    episodes: list[Episode]
    counts: list[int]


_ENCODER = msgspec.msgpack.Encoder()
_CASE = msgspec.msgpack.Decoder(_Case)
_RULINGS = msgspec.msgpack.Decoder(Rulings)


class Mind:
    """See the module. Changed only by `Judge` and `note`."""

    __slots__ = (
        "counts", "day_blocks", "deadline_ms", "episodes", "evidence", "hour", "mismatches", "models", "notes", "pending", "risk",
        "rulings", "run", "seen", "shape", "watch",
    )  # fmt: skip

    def __init__(self) -> None:
        self.models = AccountModels()
        self.evidence: list[tuple[float, ...]] | None = None
        """Accumulators by kind, None before the first."""
        self.run: Run | None = None
        """Set while evidence is elevated."""
        self.episodes: list[Episode] = []
        self.counts: list[int] = [0] * len(KINDS)
        """Episodes so far by kind."""
        self.notes = Memory()
        """The latest requests, while the account is watched and has no episode."""
        self.risk = 0.0
        self.deadline_ms = 0
        self.seen = 0
        """Blocks judged."""
        self.hour = -1
        """Event-hour of the last block judged (the latest one)."""
        self.pending = math.nan
        """Volume of that hour as last seen, scored and learned when the hour is over."""
        self.day_blocks = 0
        """Blocks judged in that hour's day."""
        self.shape = 0
        """Which parts of the channels the account's gateway passes on."""
        self.mismatches = 0
        """Blocks in a row with another shape."""
        self.watch = True
        self.rulings: Rulings | None = None
        """Verdicts and declarations in force, see `scoring.verdicts`."""

    @classmethod
    def fresh(cls) -> Mind:
        """The mind of an unseen account."""
        return cls()

    def note(self, rows: Sequence[int], requests: Requests) -> None:
        """Rows of a watched account, oldest first: into its episode, or to be remembered in case there will be one."""
        if not self.episodes:
            self.notes.add(rows, requests)
            return
        for row in rows:
            note = requests.note(row)
            for episode in self.episodes:
                episode.take(note)

    def evidence_of(self, kind: int) -> tuple[float, ...]:
        """Accumulators of one kind."""
        return ZERO if self.evidence is None else self.evidence[kind]

    @property
    def suspicion(self) -> float:
        """The strongest kind's evidence: 1 opens an episode."""
        return 0.0 if self.evidence is None else max(map(strength, self.evidence))

    def pack(self) -> bytes:
        """Bytes of this mind; equal minds give equal bytes."""
        flags = _WATCHED if self.watch else 0
        parts = [b"", self.models.pack()]
        if self.evidence is not None:
            flags |= _HAS_EVIDENCE
            parts.append(_EVIDENCE.pack(*(m for row in self.evidence for m in row)))
        if self.run is not None:
            flags |= _HAS_RUN
            parts.append(_RUN.pack(*msgspec.structs.astuple(self.run)))
        if self.rulings is not None:
            flags |= _HAS_RULINGS
            rulings = _ENCODER.encode(self.rulings)
            parts += (_LENGTH.pack(len(rulings)), rulings)
        if self.notes.telling or self.notes.plain or self.episodes or any(self.counts):
            flags |= _HAS_CASE
            parts.append(_ENCODER.encode(_Case(self.notes, self.episodes, self.counts)))
        parts[0] = _HEAD.pack(
            FORMAT, flags, self.mismatches, self.shape, self.day_blocks, self.seen, self.hour, self.pending, self.risk, self.deadline_ms
        )
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes) -> Mind:
        """The mind that `pack` wrote; it goes on bit for bit as the packed one would.

        Raises:
            NewerFormatError: written by a newer program.
            CodecError: the bytes do not decode.
        """
        mind = cls()
        if data and data[0] > FORMAT:
            raise NewerFormatError(f"mind format {data[0]}; this program reads {FORMAT}", next_step="upgrade this worker")
        if data and data[0] < FORMAT:
            raise CodecError(f"mind format {data[0]}; this program reads {FORMAT}: replay the frames under a new prefix")
        try:
            (
                _, flags, mind.mismatches, mind.shape, mind.day_blocks, mind.seen, mind.hour, mind.pending, mind.risk, mind.deadline_ms,
            ) = _HEAD.unpack_from(data)  # fmt: skip
            mind.watch = bool(flags & _WATCHED)
            mind.models, at = AccountModels.unpack(data, _HEAD.size)
            if flags & _HAS_EVIDENCE:
                flat = _EVIDENCE.unpack_from(data, at)
                at += _EVIDENCE.size
                mind.evidence = [flat[i : i + len(TILTS)] for i in range(0, len(flat), len(TILTS))]
            if flags & _HAS_RUN:
                mind.run = Run(*_RUN.unpack_from(data, at))
                at += _RUN.size
            if flags & _HAS_RULINGS:
                (length,) = _LENGTH.unpack_from(data, at)
                at += _LENGTH.size + length
                mind.rulings = _RULINGS.decode(data[at - length : at])
            if flags & _HAS_CASE:
                case = _CASE.decode(data[at:])
                mind.notes, mind.episodes, mind.counts = case.notes, case.episodes, case.counts
        except (struct.error, msgspec.MsgspecError) as err:
            raise CodecError(f"packed mind does not decode: {err}") from None
        return mind
