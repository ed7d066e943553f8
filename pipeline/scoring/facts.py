"""What a block's vector says about an account besides suspicion: its age, its pace, how long it has been seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeline.events.alert import AccountFacts
from pipeline.features.catalogue import INDEX

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIFE_PACE, _AGE, _WEEK = INDEX["life_pace"], INDEX["age_days"], INDEX["requests_week"]
_ACTIVE_SHARE, _HOURLY = INDEX["life_active_share"], INDEX["life_hourly_requests"]
_DAYS = 30
_EVEN_PACE = _DAYS * math.log(2.0) / 7.0
"""A count that decays with a half-life of a week, at an even pace, is 7 / ln 2 days' worth."""


def seen_hours(vector: Sequence[float], requests: int) -> float:
    """Event-hours from the account's first request to its latest, both counted."""
    active_hours = requests / math.exp(vector[_HOURLY])
    return max(active_hours / vector[_ACTIVE_SHARE], 1.0)


def facts(vector: Sequence[float], requests: int, plan: str, verdicts: Sequence[str] = ()) -> AccountFacts:
    """The account as of a block.

    Args:
        vector: of the block.
        requests: of the account, this block included.
        plan: as its latest noted request told it.
        verdicts: earlier ones, the newest last.
    """
    days = seen_hours(vector, requests) / 24.0
    told = not math.isnan(vector[_LIFE_PACE])
    lately = requests if days <= _DAYS else min(requests, round(math.expm1(vector[_WEEK]) * _EVEN_PACE))
    return AccountFacts(plan, round(math.expm1(vector[_AGE]), 2) if told else None, round(days, 2), lately, list(verdicts))
