"""One episode of one account and kind: from the block that opened it to the end of its quiet time."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from pipeline.events.alert import EvidenceEvent, Explanation

EVENTS_MAX = 50
_FIRST = 25
RISK_CLASSES = (0.7, 0.85, 0.95)
"""A revision is due when the risk enters a higher class."""
_LARGE_OUTPUT = 1_000_000
_HUGE_OUTPUT = 5_000_000
_SMALL_OUTPUT = 20_000


_ACTIONS: tuple[Literal["watch", "throttle", "verify", "suspend"], ...] = ("watch", "watch", "verify", "throttle", "suspend")


class Episode(msgspec.Struct, array_like=True):
    """Mutable state of an open episode; everything its next revision needs."""

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
    events: list[EvidenceEvent]
    stride: int = 1
    """Every stride-th event is kept."""
    offered: int = 0
    anchored: bool = False
    """The models were re-anchored: what goes on is the account's new normal."""

    def offer(self, event: EvidenceEvent) -> None:
        """Keep the first 25 events, and an evenly thinned sample of the later ones, at most 50."""
        self.offered += 1
        if len(self.events) < _FIRST:
            self.events.append(event)
            return
        if self.offered % self.stride:
            return
        self.events.append(event)
        if len(self.events) > EVENTS_MAX:
            self.events[_FIRST:] = self.events[_FIRST::2]
            self.stride *= 2

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
