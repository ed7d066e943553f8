"""One episode of one account and kind: from the block that opened it to the end of its quiet time."""

from __future__ import annotations

import msgspec

from pipeline.events.alert import EvidenceEvent, Explanation

EVENTS_MAX = 50
_THIN = 25


class Episode(msgspec.Struct, array_like=True):
    """Mutable state of an open episode; everything its next revision needs."""

    kind: str
    number: int
    alert_id: str
    revision: int
    opened_ms: int
    first_seen_ms: int
    last_seen_ms: int
    raised_ms: int
    """Event time of the last revision."""
    start_requests: int
    start_input: int
    start_output: int
    requests: int
    input_tokens: int
    output_tokens: int
    risk: float
    severity: int
    confidence: float
    reported_risk: float
    requests_before: int
    output_before: int
    headline: str
    explanation: list[Explanation]
    events: list[EvidenceEvent]
    stride: int = 1
    """Every stride-th event is kept."""
    offered: int = 0

    def offer(self, event: EvidenceEvent) -> None:
        """Keep the first 25 events, and an evenly thinned sample of the later ones, at most 50."""
        self.offered += 1
        if len(self.events) < _THIN:
            self.events.append(event)
            return
        if self.offered % self.stride:
            return
        self.events.append(event)
        if len(self.events) > EVENTS_MAX:
            self.events[_THIN:] = self.events[_THIN::2]
            self.stride *= 2
