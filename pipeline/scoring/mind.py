"""The decision state of one account: its River models, its evidence so far, its open episode, the events that prove it."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.base.errors import CodecError, check_format
from pipeline.detectors.models import AccountModels
from pipeline.scoring.episode import Closed, Episode
from pipeline.scoring.kinds import KINDS
from pipeline.scoring.notes import Memory
from pipeline.scoring.verdicts import Rulings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.scoring.notes import Requests

FORMAT = 4
_HEAD = struct.Struct("<BBiHdddq")
_MODELS = struct.Struct("<B")
_LENGTH = struct.Struct("<I")
_HAS_RUN, _HAS_CASE, _WATCHED, _HAS_RULINGS = 1, 2, 4, 8
_DAYS_MAX = 65_535


class Pace(NamedTuple):
    """How a sum of CHANGE takes blocks in.

    Attributes:
        drift: log-odds beyond the usual that a block must bring to count: below, being odd never adds up.
        cap: the most that a block can bring: none convicts alone.
    """

    drift: float
    cap: float

    def add(self, so_far: float, excess: float) -> float:
        """A reflected sum (Page, 1954), one block later."""
        return max(0.0, so_far + min(excess, self.cap) - self.drift)


PATIENT, SHARP = Pace(2.0, 4.0), Pace(3.0, 5.0)


class Run(msgspec.Struct, array_like=True):
    """Where the suspicion that is now growing began."""

    since_ms: int
    first_ms: int
    requests: int
    input_tokens: int
    output_tokens: int
    votes: list[float]
    """Log-likelihood of each kind, up to a constant."""
    peak: float = 0.0
    """Highest evidence so far."""
    sharpest: float = 0.0
    """The same of the sharp sum, since that was last nothing."""


class _Case(msgspec.Struct, array_like=True):
    """The part of a mind that calm accounts do not have."""

    notes: Memory
    episodes: list[Episode]
    counts: list[int]
    closed: Closed | None
    told: float = -math.inf


_ENCODER = msgspec.msgpack.Encoder()
_CASE = msgspec.msgpack.Decoder(_Case)
_RUN = msgspec.msgpack.Decoder(Run)
_RULINGS = msgspec.msgpack.Decoder(Rulings)


class Mind:
    """See the module. Changed only by `Judge` and `note`."""

    __slots__ = (
        "closed", "counts", "day", "days", "deadline_ms", "episodes", "evidence", "models", "notes", "risk", "rulings", "run",
        "sharp", "told", "watch",
    )  # fmt: skip

    def __init__(self) -> None:
        self.models = AccountModels()
        self.evidence = 0.0
        """CHANGE so far, the patient sum."""
        self.sharp = 0.0
        """The sharp one; never above it."""
        self.run: Run | None = None
        """Set while there is evidence."""
        self.episodes: list[Episode] = []
        self.closed: Closed | None = None
        """The last episode that ended."""
        self.told = -math.inf
        """Log-odds of the look for which LEVEL last accused."""
        self.counts: list[int] = [0] * len(KINDS)
        """Episodes so far by kind."""
        self.notes = Memory()
        """The latest requests, while the account is watched and has no episode."""
        self.risk = 0.0
        self.deadline_ms = 0
        self.day = -1
        """Event-day of the latest block judged."""
        self.days = 0
        """Event-days with a block so far."""
        self.watch = False
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

    def gather(self, excess: float) -> None:
        """Let CHANGE take in a block's log-odds beyond the usual."""
        self.evidence, self.sharp = PATIENT.add(self.evidence, excess), SHARP.add(self.sharp, excess)

    def forget(self) -> None:
        """Let go of the evidence so far: what it was about is over, or is usual now."""
        self.evidence = self.sharp = 0.0
        self.run = None

    def turn(self, day: int) -> bool:
        """Let the account's clock reach event-day `day` → whether that is a new one."""
        if day <= self.day:
            return False
        self.day = day
        self.days = min(self.days + 1, _DAYS_MAX)
        return True

    def pack(self) -> bytes:
        """Bytes of this mind; equal minds give equal bytes."""
        flags = _WATCHED if self.watch else 0
        models = self.models.pack()
        parts = [b"", _MODELS.pack(len(models)), models]
        if self.run is not None:
            flags |= _HAS_RUN
            run = _ENCODER.encode(self.run)
            parts += (_LENGTH.pack(len(run)), run)
        if self.rulings is not None:
            flags |= _HAS_RULINGS
            rulings = _ENCODER.encode(self.rulings)
            parts += (_LENGTH.pack(len(rulings)), rulings)
        if self.notes.telling or self.notes.plain or self.episodes or any(self.counts):
            flags |= _HAS_CASE
            parts.append(_ENCODER.encode(_Case(self.notes, self.episodes, self.counts, self.closed, self.told)))
        parts[0] = _HEAD.pack(
            FORMAT, flags, self.day, self.days, self.evidence, self.sharp, self.risk, self.deadline_ms
        )  # fmt: skip
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes) -> Mind:
        """The mind that `pack` wrote; it goes on bit for bit as the packed one would.

        Raises:
            NewerFormatError: written by a newer program.
            CodecError: the bytes do not decode.
        """
        mind = cls()
        if data:
            check_format("mind", data[0], FORMAT)
        try:
            _, flags, mind.day, mind.days, mind.evidence, mind.sharp, mind.risk, mind.deadline_ms = _HEAD.unpack_from(data)
            mind.watch = bool(flags & _WATCHED)
            (length,) = _MODELS.unpack_from(data, _HEAD.size)
            at = _HEAD.size + _MODELS.size + length
            mind.models = AccountModels.unpack(data[at - length : at])
            if flags & _HAS_RUN:
                (length,) = _LENGTH.unpack_from(data, at)
                at += _LENGTH.size + length
                mind.run = _RUN.decode(data[at - length : at])
            if flags & _HAS_RULINGS:
                (length,) = _LENGTH.unpack_from(data, at)
                at += _LENGTH.size + length
                mind.rulings = _RULINGS.decode(data[at - length : at])
            if flags & _HAS_CASE:
                case = _CASE.decode(data[at:])
                mind.notes, mind.episodes, mind.counts = case.notes, case.episodes, case.counts
                mind.closed, mind.told = case.closed, case.told
        except (struct.error, msgspec.MsgspecError) as err:
            raise CodecError(f"packed mind does not decode: {err}") from None
        return mind
