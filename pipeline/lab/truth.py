"""What the aggregates must say, computed from the input by plain Python: the other side of every end-to-end comparison.

It shares no code with ingest, detect or ClickHouse: the standard library's JSON, dictionaries and integers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.base.times import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class HourTotals:
    """One account's hour of event time. Absent token counts add nothing; an error is a status ≥ 400."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_input_tokens: int = 0
    errors: int = 0
    models: set[str] = field(default_factory=set)
    """Names of the models asked for; calls without one do not count as a model."""


def truth(records: Iterable[bytes]) -> dict[tuple[str, int], HourTotals]:
    """Sum valid request events → totals by (account_id, start of the hour in Unix ms).

    A repeat (same account, `event_id` and content) counts once however far apart; the same id with other content counts
    again. Two records have the same content when their JSON objects are equal, whatever the order of fields.

    Raises:
        json.JSONDecodeError, KeyError: a record that is no request event; leave refused ones out.
    """
    totals: dict[tuple[str, int], HourTotals] = {}
    seen: set[bytes] = set()
    for record in records:
        event = json.loads(record)
        content = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.blake2b(content, digest_size=16).digest()  # account and id are part of the content
        if digest in seen:
            continue
        seen.add(digest)
        at = event["occurred_at_ms"]
        hour = totals.setdefault((event["account_id"], at - at % HOUR_MS), HourTotals())
        hour.requests += 1
        for name in ("input_tokens", "output_tokens", "reasoning_tokens", "cached_input_tokens"):
            setattr(hour, name, getattr(hour, name) + (event.get(name) or 0))
        hour.errors += event["status"] >= 400
        if event["model"]:
            hour.models.add(event["model"])
    return totals
