"""One episode of one account and kind: from the block that opened it to the end of its quiet time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from pipeline.base.times import HOUR_MS
from pipeline.events.alert import AccountFacts, Alternative, EvidenceEvent, Explanation, Kind, LossRate
from pipeline.scoring.notes import pack_note, unpack_note
from pipeline.scoring.tally import Tally

if TYPE_CHECKING:
    from pipeline.scoring.notes import Note

EVENTS_MAX = 50
FIRST, PROOF, LATEST, PLAIN = 15, 35, 10, 8
"""Kept at most: telling requests from the beginning, those and a sample of the later ones, the latest, others."""
_OLDEST = 2
"""Of the others, so many are the first ones."""
MARKS = 16
RISK_CLASSES = (0.7, 0.85, 0.95)
"""A revision is due when the risk enters a higher class."""
_LARGE_OUTPUT = 1_000_000
_HUGE_OUTPUT = 5_000_000
_SMALL_OUTPUT = 20_000


_ACTIONS: tuple[Literal["watch", "throttle", "verify", "suspend"], ...] = ("watch", "watch", "verify", "throttle", "suspend")


class Mark(NamedTuple):
    """Where an account stood at a block's end."""

    at_ms: int
    requests: int
    output_tokens: int


class Closed(msgspec.Struct, array_like=True, frozen=True):
    """What is kept of an account's last episode, so that the same thing soon after goes on under the same alert."""

    kind: str
    alert_id: str
    revision: int
    closed_ms: int
    first_seen_ms: int
    counted: tuple[int, int, int]
    """Requests, input and output tokens of it."""
    before: tuple[int, int, int]


class Episode(msgspec.Struct, array_like=True):
    """Mutable state of an open episode; everything its next revision needs. At most about 20 KB, and only while it is open."""

    kind: str
    alert_id: str
    revision: int
    opened_ms: int
    first_seen_ms: int
    last_seen_ms: int
    """Event time of the last block that supported it."""
    raised_ms: int
    """Event time of the last revision."""
    start: tuple[int, int, int]
    """The account's requests, input and output tokens where the suspicion began."""
    now: tuple[int, int, int]
    """The same at the last supporting block."""
    before: tuple[int, int, int]
    """The same when the alert opened."""
    fires: int
    """How many times the evidence crossed the bar."""
    reported: tuple[int, int, int]
    """Risk class, severity and requests in the last revision."""
    confidence: float
    headline: str
    explanation: list[Explanation]
    usual: float
    """The account's requests per hour before the suspicion began."""
    marks: list[Mark]
    """The blocks' ends of the last hour, the oldest first."""
    tally: Tally
    account: AccountFacts = AccountFacts()
    alternatives: list[Alternative] = []
    proof: list[bytes] = []
    """Telling requests: the first ones and an evenly thinned sample of the later ones."""
    latest: list[bytes] = []
    """The latest telling requests."""
    plain: list[bytes] = []
    """Other requests: the first two, so that a closing revision has some of its own time, and the latest."""
    stride: int = 1
    """Every stride-th later proof is kept."""
    offered: int = 0
    anchored: bool = False
    """The models were re-anchored: what goes on is the account's new normal."""
    folded: bool = False
    """Part of a population incident: its own alert has not gone out."""

    def take(self, note: Note) -> None:
        """Count a request, and keep it if it proves something that the kept ones do not."""
        tells = self.tally.add(note)
        speaks = self.tally.speaks
        if tells != note.tells:
            note = msgspec.structs.replace(note, tells=tells)
        data = pack_note(note)
        if speaks and not tells & speaks:
            self.plain = [*self.plain[:_OLDEST], *self.plain[_OLDEST:][1 + _OLDEST - PLAIN :], data]
            return
        self.latest = [*self.latest[1 - LATEST :], data]
        self.offered += 1
        if len(self.proof) >= FIRST and self.offered % self.stride:
            return
        self.proof.append(data)
        if len(self.proof) > PROOF:
            self.proof[FIRST:] = self.proof[FIRST::2]
            self.stride *= 2

    def evidence(self, until_ms: int) -> list[EvidenceEvent]:
        """At most 50 requests until then, the oldest first: telling ones from beginning, middle and end, a few others beside."""
        telling = dict.fromkeys(self.proof + self.latest)
        notes = [unpack_note(data) for data in [*telling, *self.plain[len(telling) - EVENTS_MAX :]]]
        notes.sort(key=lambda note: (note.occurred_at_ms, note.position))
        return [note.evidence(Kind(self.kind)) for note in notes if note.occurred_at_ms <= until_ms]

    def mark(self, at: Mark) -> None:
        """The account's blocks go on: remember where it stands."""
        self.marks.append(at)
        while len(self.marks) > 2 and (len(self.marks) > MARKS or self.marks[1].at_ms <= at.at_ms - HOUR_MS):
            del self.marks[0]

    @property
    def loss_rate(self) -> LossRate:
        """What leaves per hour, by the marks."""
        first, last = self.marks[0], self.marks[-1]
        hours = max((last.at_ms - first.at_ms) / HOUR_MS, 1.0)
        return LossRate(round((last.requests - first.requests) / hours, 1), round((last.output_tokens - first.output_tokens) / hours, 1))

    @property
    def if_wrong(self) -> float:
        """Benign requests per hour that the recommended action would block if all of them are benign."""
        now = self.loss_rate.requests
        if self.action == "suspend":
            return max(now, self.usual)
        return max(round(now - self.usual, 1), 0.0) if self.action == "throttle" else 0.0

    def close(self, at_ms: int) -> Closed:
        """What to keep of it."""
        counted = (self.requests, self.input_tokens, self.output_tokens)
        return Closed(self.kind, self.alert_id, self.revision, at_ms, self.first_seen_ms, counted, self.before)

    def go_on_from(self, closed: Closed) -> None:
        """Be the continuation of an episode that ended a short while ago: its alert, its figures; what lay between does not count.

        Where the whole life stands out, that episode's requests are in it already.
        """
        self.alert_id, self.revision = closed.alert_id, closed.revision + 1
        self.first_seen_ms, self.before = closed.first_seen_ms, closed.before
        requests, inputs, outputs = closed.counted
        self.start = (max(self.start[0] - requests, 0), max(self.start[1] - inputs, 0), max(self.start[2] - outputs, 0))

    @property
    def requests(self) -> int:
        """Requests since the suspicion began."""
        return self.now[0] - self.start[0]

    @property
    def input_tokens(self) -> int:
        """Input tokens since the suspicion began."""
        return self.now[1] - self.start[1]

    @property
    def output_tokens(self) -> int:
        """Output tokens since the suspicion began."""
        return self.now[2] - self.start[2]

    @property
    def risk(self) -> float:
        """0.7 when it opens; each further crossing of the bar halves what is missing to 1."""
        return 1.0 - 0.3 * 0.5 ** min(self.fires - 1, 10)

    @property
    def risk_class(self) -> int:
        """Number of risk classes reached."""
        return sum(self.risk >= edge for edge in RISK_CLASSES)

    @property
    def severity(self) -> int:
        """1–5 as OCSF: the certainty of the finding, moved by how much output is gone."""
        level = 2 + (self.risk_class >= 2)
        level += (self.output_tokens >= _LARGE_OUTPUT) + (self.output_tokens >= _HUGE_OUTPUT)
        level -= self.output_tokens < _SMALL_OUTPUT and self.risk_class < len(RISK_CLASSES)
        return min(max(level, 1), 5)

    @property
    def action(self) -> Literal["watch", "throttle", "verify", "suspend"]:
        """What to do now."""
        return _ACTIONS[self.severity - 1]


def alert_id(account_id: str, kind: str, number: int) -> str:
    """Identity of an account's `number`-th episode of a kind, the same wherever and whenever it is computed."""
    return hashlib.blake2b(f"account\0{account_id}\0{kind}\0{number}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
