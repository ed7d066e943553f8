"""Why: the features behind a decision, what was expected of them and what was seen, and one sentence for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipeline.detectors.models import Channel
from pipeline.events.alert import Explanation, Kind
from pipeline.features.catalogue import FEATURES, INDEX
from pipeline.features.layout import USUAL_FROM
from pipeline.features.row import USUAL
from pipeline.scoring import channels, levels
from pipeline.scoring.verdicts import DECLARED, limit_headline
from pipeline.scoring.words import sentence

if TYPE_CHECKING:
    from pipeline.scoring.levels import Level
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
    """A channel or level that spoke for the decision, with its normal score."""

    source: Channel | Level
    score: float


class _Part(NamedTuple):
    feature: str
    observed: float
    low: float
    high: float
    baseline: Literal["own", "population"]
    score: float


def explain(vector: list[float], reasons: list[Reason], spreads: dict[str, Spread]) -> list[Explanation]:
    """The features behind the reasons, the strongest first, at most 8.

    A reason's contribution is its share of the squared scores, divided among its features in proportion to how far each is
    out. Expected values are the account's own usual ± 2 deviations, or for LEVEL the middle 90 % of the population.
    """
    found: list[tuple[float, _Part]] = []
    for reason in reasons:
        parts = [part for part in _parts(vector, reason, spreads) if part.score > 0.0]
        weight = sum(part.score for part in parts)
        found += [(reason.score**2 * part.score / weight, part) for part in parts]
    total = sum(share for share, _ in found)
    found.sort(key=lambda pair: (-pair[0], pair[1].feature))
    return [_explanation(share / total, part) for share, part in found[:_MOST]]


def _parts(vector: list[float], reason: Reason, spreads: dict[str, Spread]) -> list[_Part]:
    own = isinstance(reason.source, Channel)
    parts = channels.PARTS[reason.source] if own else levels.PARTS[reason.source]  # type: ignore[index]
    found = []
    for part in parts:
        observed = vector[INDEX[part.feature]]
        spread = spreads.get(part.feature)
        if math.isnan(observed) or spread is None:
            continue
        sign = 1.0 if part.weight > 0.0 else -1.0
        usual = vector[_USUAL_AT[part.feature]] if own else math.nan
        if math.isnan(usual):
            middle, half = (spread.low + spread.high) / 2.0, max((spread.high - spread.low) / 2.0, spread.within, 1e-9)
            score = sign * (observed - middle) / half * 1.645
            found.append(_Part(part.feature, observed, spread.low, spread.high, "population", score))
        else:
            half = max(spread.within, 1e-9)
            low, high = usual - 2.0 * half, usual + 2.0 * half
            if FEATURES[INDEX[part.feature]].unit == "share":
                low, high = max(low, 0.0), min(high, 1.0)
            found.append(_Part(part.feature, observed, low, high, "own", sign * (observed - usual) / half))
    return found


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
