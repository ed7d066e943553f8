"""Why: the features behind a decision, what was expected of them and what was seen, and one sentence for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.events.alert import Explanation, Kind
from pipeline.features.catalogue import FEATURES, INDEX
from pipeline.features.layout import USUAL_FROM
from pipeline.features.row import USUAL
from pipeline.scoring.verdicts import DECLARED, limit_headline
from pipeline.scoring.words import sentence

if TYPE_CHECKING:
    from pipeline.scoring.prior import Spread

_USUAL_AT = {name: USUAL_FROM + i for i, name in enumerate(USUAL)}
_MOST = 8
_SMALLEST = 1e-12

_WORDS: dict[Kind, str] = {
    Kind.BULK_EXTRACTION: "takes long answers in bulk",
    Kind.SYSTEMATIC_DISTILLATION: "works through task templates as if to build a training set",
    Kind.REASONING_ELICITATION: "collects the model's way of thinking",
    Kind.LIMIT_EVASION: "keeps pushing past its rate limit",
    Kind.PROBING: "tries out what the model and the key allow",
    Kind.MODEL_PIVOT: "moved most of its traffic to another model at once",
    Kind.CREDENTIAL_THEFT: "behaves as if somebody else held its key",
    Kind.RESALE: "passes on requests of many strangers",
    Kind.CAMPAIGN: "is one of several accounts run as one",
}
"""What each kind looks like to somebody who reads the headline only."""


class Reason(NamedTuple):
    """A feature that spoke for the decision."""

    feature: int
    """Index in the catalogue."""
    own: bool
    """Seen against the account's own past; else against comparable accounts."""
    score: float
    """What it moved the log-odds by."""


class _Part(NamedTuple):
    feature: str
    observed: float
    low: float
    high: float
    baseline: Literal["own", "population"]
    score: float
    """How far out it is, in deviations."""


def explain(vector: list[float], reasons: list[Reason], spreads: dict[str, Spread]) -> list[Explanation]:
    """The features behind a decision, the strongest first, at most 8; contributions are shares of what they moved together.

    Expected values are the account's own usual ± 2 deviations, or the middle 90 % of the population.
    """
    found = [(reason.score, _part(vector, reason, spreads)) for reason in reasons if reason.score > 0.0]
    known = [(score, part) for score, part in found if part is not None]
    total = sum(score for score, _ in known)
    known.sort(key=lambda pair: (-pair[0], pair[1].feature))
    return [_explanation(score / total, part) for score, part in known[:_MOST]]


def _part(vector: list[float], reason: Reason, spreads: dict[str, Spread]) -> _Part | None:
    name = FEATURES[reason.feature].name
    observed, spread = vector[reason.feature], spreads.get(name)
    if math.isnan(observed) or spread is None:
        return None
    usual = vector[_USUAL_AT[name]] if reason.own and name in _USUAL_AT else math.nan
    if math.isnan(usual):
        middle, half = (spread.low + spread.high) / 2.0, max((spread.high - spread.low) / 2.0, spread.within, 1e-9)
        return _Part(name, observed, spread.low, spread.high, "population", abs(observed - middle) / half * 1.645)
    half = max(spread.within, 1e-9)
    low, high = usual - 2.0 * half, usual + 2.0 * half
    if FEATURES[reason.feature].unit == "share":
        low, high = max(low, 0.0), min(high, 1.0)
    return _Part(name, observed, low, high, "own", abs(observed - usual) / half)


def _explanation(share: float, part: _Part) -> Explanation:
    feature = FEATURES[INDEX[part.feature]]
    tail = max(0.5 * math.erfc(part.score / math.sqrt(2.0)), _SMALLEST)
    return Explanation(
        part.feature, feature.unit, feature.window_s, _round(part.observed), _round(part.low), _round(part.high), part.baseline,
        float(f"{tail:.3g}"), _round(share), sentence(part.feature, part.observed, part.low, part.high, part.baseline),
    )  # fmt: skip


def _round(value: float) -> float:
    return round(value, 4)


def headline(kind: Kind, requests: int, output_tokens: int, hours: float, reasons: list[Explanation]) -> str:
    """One sentence in plain words, at most 160 characters: what it does, how much so far, against what it stands out."""
    if reasons and reasons[0].feature == DECLARED:
        return limit_headline(reasons[0])
    much = f"{_short(requests)} requests, {_short(output_tokens)} output tokens" + (f" in {_hours(hours)}" if hours >= 1.5 else "")
    text = f"{_WORDS[kind][0].upper()}{_WORDS[kind][1:]}: {much}"
    against = "its own past" if any(r.baseline == "own" for r in reasons) else "comparable accounts"
    return f"{text}, unlike {against}"


def _hours(hours: float) -> str:
    return f"{hours:.0f} hours" if hours < 72.0 else f"{hours / 24.0:,.0f} days"


def _short(count: int) -> str:
    for unit, name in ((1_000_000_000_000, "trillion"), (1_000_000_000, "billion"), (1_000_000, "million")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count:,}"
