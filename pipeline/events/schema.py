"""JSON Schemas of everything on the wire, generated from the types (`schemas/*.json`, `stillwatch schema export`)."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.events.alert import Alert
from pipeline.events.control import Declaration, Revocation, Tuning, Verdict
from pipeline.events.outputs import DeadLetter, Risk, Rollup
from pipeline.events.request import RequestEvent

TYPES: dict[str, type[msgspec.Struct]] = {
    "request_event.v1": RequestEvent,
    "alert.v1": Alert,
    "rollup.v1": Rollup,
    "risk.v1": Risk,
    "dead_letter.v1": DeadLetter,
    "verdict.v1": Verdict,
    "declaration.v1": Declaration,
    "revocation.v1": Revocation,
    "tuning.v1": Tuning,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Schema by name; deterministic."""
    return {name: msgspec.json.schema(kind) for name, kind in TYPES.items()}
