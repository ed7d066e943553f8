"""The alert, version 1: topic `stillwatch.alerts`, table `alerts`, webhook body. Fields are appended, each with a default."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec
import orjson

ALERT_VERSION = 1


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


class EvidenceEvent(msgspec.Struct, frozen=True, gc=False):
    """A request that proves the point; opens in the customer's own log."""

    event_id: str
    occurred_at_ms: int
    conversation_id: str
    position: str
    """`partition:offset` in `api.requests`."""


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
