"""The alert, version 1: topic `stillwatch.alerts`, table `alerts`, webhook body. Fields are appended, each with a default."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec
import orjson

ALERT_VERSION = 1
CANARY_PREFIX = "stillwatch-canary-"
"""Reserved account ids: planted attackers (`stillwatch canary`). A gateway must not issue them to customers."""


class Kind(StrEnum):
    """What an account does; each has a benign twin that must stay quiet."""

    BULK_EXTRACTION = "bulk_extraction"
    SYSTEMATIC_DISTILLATION = "systematic_distillation"
    REASONING_ELICITATION = "reasoning_elicitation"
    LIMIT_EVASION = "limit_evasion"
    PROBING = "probing"
    MODEL_PIVOT = "model_pivot"
    CREDENTIAL_THEFT = "credential_theft"
    RESALE = "resale"
    CAMPAIGN = "campaign"


TECHNIQUES: dict[Kind, tuple[str, ...]] = {
    Kind.BULK_EXTRACTION: ("AML.T0024.002", "AML.T0034", "LLM10:2025"),
    Kind.SYSTEMATIC_DISTILLATION: ("AML.T0024.002", "AML.T0048.004", "LLM10:2025"),
    Kind.REASONING_ELICITATION: ("AML.T0024", "AML.T0024.002", "LLM02", "LLM10:2025"),
    Kind.LIMIT_EVASION: ("AML.T0034", "T1090.003", "LLM10:2025"),
    Kind.PROBING: ("AML.T0040", "AML.T0065"),
    Kind.MODEL_PIVOT: ("AML.T0024.002",),
    Kind.CREDENTIAL_THEFT: ("AML.T0012", "AML.T0055", "T1078.004", "T1496.004"),
    Kind.RESALE: ("AML.T0012", "T1090.003"),
    Kind.CAMPAIGN: ("AML.T0008.005", "AML.T0021", "T1585"),
}
"""MITRE ATLAS and ATT&CK techniques, OWASP ids, by kind."""


class Explanation(msgspec.Struct, frozen=True):
    """One feature's part in the decision: what was expected, what was seen, how unlikely that is."""

    feature: str
    unit: str
    window_s: int
    observed: float
    expected_low: float
    expected_high: float
    baseline: Literal["own", "cohort", "population"]
    tail_probability: float
    contribution: float
    """Share of the decision's score, 0–1."""
    phrase: str = ""
    """The same in an analyst's words."""


class EvidenceEvent(msgspec.Struct, frozen=True, gc=False):
    """A request that proves the point; opens in the customer's own log."""

    event_id: str
    occurred_at_ms: int
    conversation_id: str
    position: str
    """`partition:offset` in `api.requests`."""
    why: str = ""
    """What about this request supports the suspicion; empty: it only stands near those that do."""


class Slice(msgspec.Struct, frozen=True):
    """Part of the subject's traffic: how much of what is suspicious goes through it."""

    dimension: Literal["api_key", "address_block", "template", "model"]
    value: str
    """An API key's id, a /24 or /48 block, the short hash of a template, a model's name."""
    requests: int
    """Suspicious requests counted in it; a lower bound when there are many values."""
    share: float
    """Of the suspicious requests counted, 0–1."""
    ordinary_share: float
    """Of the subject's other requests counted, 0–1: what blocking this slice would hit besides."""
    stops: bool
    """Belongs to the smallest slice that holds at least 90 % of what is suspicious: blocking those values stops it."""


class AccountFacts(msgspec.Struct, frozen=True):
    """Who the subject is, as far as events and verdicts told."""

    plan: str = ""
    age_days: float | None = None
    """Since sign-up; None when events do not tell it."""
    seen_days: float = 0.0
    """Since the first request that was seen here."""
    requests_30d: int = 0
    """Requests of the last 30 days: exact while `seen_days` is at most 30, later from a decaying count, as if the pace were even."""
    verdicts: list[str] = []
    """Earlier verdicts on its alerts, the newest last."""


class LossRate(msgspec.Struct, frozen=True):
    """What leaves per hour at the time of the revision: of the last hour, or of the last block of requests where that is longer."""

    requests: float = 0.0
    output_tokens: float = 0.0


class Alternative(msgspec.Struct, frozen=True):
    """A harmless explanation of the same picture."""

    twin: str
    title: str
    fits: list[str]
    contradicts: list[str]
    question: str
    """One question to the owner that would settle it."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of one alert. A consumer keeps the highest revision per `alert_id`."""

    schema_version: int = ALERT_VERSION
    alert_id: str
    revision: int
    state: Literal["opened", "updated", "closed"]
    subject_type: Literal["account", "api_key", "organization", "campaign", "population"]
    subject_id: str
    account_ids: list[str]
    kind: Kind
    headline: str
    severity: int
    risk: float
    confidence: float
    first_seen_ms: int
    last_seen_ms: int
    raised_at_ms: int
    requests: int
    input_tokens: int
    output_tokens: int
    explanation: list[Explanation]
    techniques: list[str]
    evidence: list[EvidenceEvent]
    recommended_action: Literal["watch", "throttle", "verify", "suspend"]
    detector_version: str
    requests_before: int = 0
    """Requests of the subject before the alert opened (`backtest` reports them)."""
    output_tokens_before: int = 0
    """Output tokens of the subject before the alert opened."""
    slices: list[Slice] = []
    account: AccountFacts = AccountFacts()
    """Of a single account; empty for groups."""
    loss_rate: LossRate = LossRate()
    if_wrong: float = 0.0
    """Benign requests per hour that the recommended action would block if the suspicion is wrong."""
    alternatives: list[Alternative] = []
    """The nearest benign twins, the nearest first."""
    canary: bool = False
    """Raised by a planted attacker (`stillwatch canary`): proof of life, nobody's account."""


_DECODER = msgspec.json.Decoder(Alert)


def encode_alert(alert: Alert) -> bytes:
    """Alert → JSON bytes. Deterministic: equal alerts give equal bytes."""
    return orjson.dumps(msgspec.to_builtins(alert))


def decode_alert(data: bytes) -> Alert:
    """JSON bytes → alert; unknown (newer) fields are ignored.

    Raises:
        msgspec.ValidationError: a field is missing or has the wrong type, with its path.
    """
    return _DECODER.decode(data)
