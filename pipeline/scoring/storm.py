"""The storm brake of a partition: when many accounts stand out alike within an hour, that is one incident, not hundreds.

A release, a price cut or a changed gateway moves everybody at once. From 5 × the alert budget in an event-hour on (never below 8),
alerts whose strongest feature is of the same family fold into one `population` incident until that has been quiet for a while.
Severity 4 and above passes. Event time only, in the order of the blocks, so equal frames give equal incidents.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec

from pipeline.base.errors import CodecError
from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.events.alert import TECHNIQUES, Alert, Alternative, EvidenceEvent, Explanation, Kind
from pipeline.features.catalogue import FEATURES, INDEX
from pipeline.scoring.words import PHRASES

if TYPE_CHECKING:
    from pipeline.base.settings import DetectSettings

PASSES = 4
"""Severity from which an alert is never folded."""
FLOOR = 8
"""Alerts of one family in an hour that are no storm, however small the fleet."""
MEMBERS_MAX = 200
EVIDENCE_MAX = 50
HEADLINE_MAX = 160
_SEVERITY, _RISK, _CONFIDENCE = 3, 0.5, 0.5
"""Of an incident: somebody should look; it accuses nobody."""


class Incident(msgspec.Struct, array_like=True):
    """One storm."""

    family: str
    feature: str
    """Strongest feature of the alert that began it."""
    number: int
    first_ms: int
    last_ms: int
    raised_ms: int
    revision: int
    accounts: int
    """Accounts in it."""
    reported: int
    """The same at the last revision."""
    members: list[str]
    """The first of them by arrival."""
    kinds: dict[str, int]
    totals: tuple[int, int, int]
    """Requests, input and output tokens of the folded alerts."""
    explanation: list[Explanation]
    evidence: list[EvidenceEvent]


class State(msgspec.Struct, array_like=True):
    """Everything a partition's brake knows."""

    opened: dict[str, list[str]] = {}
    """Family → accounts whose alerts opened in this hour."""
    day: int = -1
    active: int = 0
    """Accounts with a block on that day."""
    active_before: int = 0
    """On the day before."""
    incidents: dict[str, Incident] = {}
    numbers: dict[str, int] = {}
    """Incidents so far by family."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(State)


class Storm:
    """See the module."""

    def __init__(self, settings: DetectSettings, partition: int, detector_version: str) -> None:
        self._partition = partition
        self._version = detector_version
        self.state = State()
        self.tune(settings)

    def tune(self, settings: DetectSettings) -> None:
        """Let other settings take effect."""
        self._factor = settings.storm_factor
        self._hourly = settings.alert_budget / 1_000.0 / 24.0
        self._quiet_ms = int(settings.cooldown_h * HOUR_MS)

    @property
    def allowance(self) -> float:
        """Alerts of one family in an hour that still go out one by one."""
        return max(self._factor * self._hourly * max(self.state.active, self.state.active_before), FLOOR)

    def seen(self) -> None:
        """An account's first block of its day closed."""
        self.state.active += 1

    def fold(self, alert: Alert) -> list[Alert] | None:
        """An alert is about to open → None: let it; else it is folded, and these revisions of the incident go out instead."""
        if not self._factor or alert.severity >= PASSES or not alert.explanation or alert.canary:
            return None
        top = alert.explanation[0].feature
        family = FEATURES[INDEX[top]].family if top in INDEX else top
        incident = self.state.incidents.get(family)
        if incident is not None:
            return self._join(incident, alert)
        opened = self.state.opened.setdefault(family, [])
        if len(opened) < self.allowance:
            opened.append(alert.subject_id)
            return None
        number = self.state.numbers[family] = self.state.numbers.get(family, 0) + 1
        incident = self.state.incidents[family] = Incident(
            family, top, number, alert.first_seen_ms, alert.raised_at_ms, alert.raised_at_ms, 0, len(opened), 0, opened[:MEMBERS_MAX], {},
            (0, 0, 0), alert.explanation, [],
        )  # fmt: skip
        return self._join(incident, alert)

    def _join(self, incident: Incident, alert: Alert) -> list[Alert]:
        incident.accounts += 1
        incident.first_ms = min(incident.first_ms, alert.first_seen_ms)
        incident.last_ms = max(incident.last_ms, alert.raised_at_ms)
        if len(incident.members) < MEMBERS_MAX:
            incident.members.append(alert.subject_id)
        if alert.evidence and len(incident.evidence) < EVIDENCE_MAX:
            incident.evidence.append(alert.evidence[-1])
        incident.kinds[alert.kind.value] = incident.kinds.get(alert.kind.value, 0) + 1
        requests, inputs, outputs = incident.totals
        incident.totals = (requests + alert.requests, inputs + alert.input_tokens, outputs + alert.output_tokens)
        if not incident.revision:
            return [self._revision(incident, "opened", incident.last_ms)]
        if incident.accounts >= 2 * incident.reported:
            return [self._revision(incident, "updated", incident.last_ms)]
        return []

    def tick(self, now_ms: int) -> list[Alert]:
        """The watermark passed an hour: count anew, and close the incidents that nobody has joined for the cooldown.

        Not the time of any one block: a request with a wild time must not stop the clock.
        """
        state = self.state
        state.opened = {}
        day = now_ms // DAY_MS
        if day > state.day:
            state.active_before = state.active if day == state.day + 1 else 0
            state.day, state.active = day, 0
        over = sorted(family for family, i in state.incidents.items() if i.last_ms + self._quiet_ms <= now_ms)
        found = []
        for family in over:
            incident = state.incidents.pop(family)
            found.append(self._revision(incident, "closed", incident.last_ms + self._quiet_ms))
        return found

    def _revision(self, i: Incident, state: Literal["opened", "updated", "closed"], raised_ms: int) -> Alert:
        i.revision += 1
        i.reported = i.accounts
        i.raised_ms = max(i.raised_ms, raised_ms)
        kind = Kind(max(sorted(i.kinds), key=i.kinds.__getitem__))
        subject = f"{i.family}@{self._partition}"
        digest = hashlib.blake2b(f"population\0{subject}\0{i.number}".encode(), digest_size=16)
        return Alert(
            alert_id=digest.hexdigest(), revision=i.revision, state=state, subject_type="population", subject_id=subject,
            account_ids=list(i.members), kind=kind, headline=headline(i.accounts, i.feature), severity=_SEVERITY, risk=_RISK,
            confidence=_CONFIDENCE, first_seen_ms=i.first_ms, last_seen_ms=i.last_ms, raised_at_ms=i.raised_ms, requests=i.totals[0],
            input_tokens=i.totals[1], output_tokens=i.totals[2], explanation=i.explanation, techniques=list(TECHNIQUES[kind]),
            evidence=sorted(i.evidence, key=lambda event: (event.occurred_at_ms, event.position)), recommended_action="watch",
            detector_version=self._version, alternatives=[_CHANGE_OF_OURS],
        )  # fmt: skip

    def pack(self) -> bytes:
        """Exact bytes."""
        return _ENCODER.encode(self.state)

    def unpack(self, data: bytes) -> None:
        """Continue from `pack`.

        Raises:
            CodecError: the bytes do not decode.
        """
        try:
            self.state = _DECODER.decode(data)
        except msgspec.MsgspecError as err:
            raise CodecError(f"packed storm brake does not decode: {err}") from None


_CHANGE_OF_OURS = Alternative(
    "gateway_change",
    "a release, a price change or a changed gateway",
    ["many accounts stand out alike within an hour"],
    [],
    "What was released or changed at this time, on the gateway, the models or the prices?",
)


def headline(accounts: int, feature: str) -> str:
    """One sentence, at most 160 characters."""
    noun = PHRASES[feature].noun if feature in PHRASES else feature.replace("_", " ")
    return f"{accounts:,} accounts stand out alike ({noun}): rather a change on our side than {accounts:,} attackers"
