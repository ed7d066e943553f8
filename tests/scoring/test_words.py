"""An alert's words: every feature has some, headlines fit, twins are complete and say what fits and what does not."""

from __future__ import annotations

import math
import re

import pytest

from pipeline.events.alert import Kind
from pipeline.features.catalogue import FEATURES, INDEX, Feature
from pipeline.features.layout import WIDTH
from pipeline.scoring.explain import headline
from pipeline.scoring.facts import facts, seen_hours
from pipeline.scoring.twins import BY_KIND, NEAREST, TWINS, alternatives
from pipeline.scoring.words import PHRASES, say, sentence

JARGON = re.compile(r"\b(ln|log(?!-prob)|cosine|sigma|quantile|baseline|score|vector|sketch|entropy|embedding|p-value|z)\b", re.IGNORECASE)


def test_every_feature_has_a_phrase() -> None:
    """No feature of the catalogue is without words, and no two have the same."""
    assert {feature.name for feature in FEATURES} <= set(PHRASES)
    assert len({words.noun for words in PHRASES.values()}) == len(PHRASES)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_phrases_are_plain_and_their_scale_is_the_units(feature: Feature) -> None:
    """No jargon; logarithms are taken back, shares are percentages."""
    name, unit = feature.name, feature.unit
    words = PHRASES[name]
    assert not JARGON.search(words.noun)
    assert (words.scale == "percent") == (unit in ("share", "cosine", "1-cosine") and name != "life_suffixes")
    assert (words.scale in ("amount", "days")) == unit.startswith("ln(1+")
    assert (words.scale in ("rate", "times")) == (unit.startswith("ln(") and not unit.startswith("ln(1+"))


def test_values_are_said_in_the_units_of_people() -> None:
    """Logarithms become amounts, shares percentages, spreads factors; wild values do not break it."""
    assert say("output_length", math.log1p(1_840)) == "1,840"
    assert say("output_ratio", math.log(2.5)) == "2.5"
    assert say("marker_share", 0.624) == "62 %"
    assert say("similarity", -0.01) == "0 %"
    assert say("prompt_length_sd", math.log(1.4)) == "× 1.4"
    assert say("age_days", math.log1p(3)) == "3"
    assert say("tokens_week", 1e9)
    line = sentence("output_length", math.log1p(1_840), math.log1p(150), math.log1p(400), "own")
    assert line == "tokens in a typical answer: 1,840, usual for this account: 150 to 400"


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(("requests", "tokens", "hours"), [(0, 0, 0.0), (25, 9_999, 1.6), (2**40, 2**62, 1e5)])
def test_headlines_fit_and_are_plain(kind: Kind, requests: int, tokens: int, hours: float) -> None:
    """At most 160 characters for every kind and any amount, whole words only, no jargon."""
    text = headline(kind, requests, tokens, hours, [])
    assert 20 <= len(text) <= 160
    assert text.endswith("unlike comparable accounts")
    assert not JARGON.search(text)


def test_every_kind_has_twins() -> None:
    """At least two benign twins for each kind, each with several checks on features that exist, and one question."""
    assert all(len(BY_KIND[kind]) >= NEAREST for kind in Kind)
    assert len({twin.name for twin in TWINS}) == len(TWINS)
    for twin in TWINS:
        assert len(twin.checks) >= 3
        assert all(check.feature in INDEX and check.low < check.high for check in twin.checks)
        assert all(check.fits != check.contradicts for check in twin.checks)
        assert twin.question.endswith("?")
        assert twin.question.count("?") == 1


def _vector(**values: float) -> list[float]:
    vector = [math.nan] * WIDTH
    for name, value in values.items():
        vector[INDEX[name]] = value
    return vector


def test_the_nearest_twin_comes_first_with_what_contradicts_it() -> None:
    """A suite-like block names the suite first; what it lacks is said with its value; unknown fields speak neither way."""
    first, second = alternatives(
        Kind.SYSTEMATIC_DISTILLATION,
        _vector(template_recurrence=0.95, output_length=math.log1p(40), age_days=math.log1p(400), active_day=20.0, cached_share=0.0),
    )
    assert first.twin == "nightly_evaluation"
    assert first.fits == [
        "95 % of the prompts use templates that it has long used", "answers are short (40 tokens)", "it signed up 400 days ago",
    ]  # fmt: skip
    assert first.contradicts == ["it ran in 20 of the last 24 hours, so it does not end"]
    assert second.twin != first.twin
    assert len(alternatives(Kind.PROBING, _vector())) == NEAREST
    assert all(not a.fits and not a.contradicts for a in alternatives(Kind.PROBING, _vector()))


def test_facts_come_from_the_vector() -> None:
    """Age only when sign-up was told; volume exact for a month, then from the decaying count, never above the total."""
    seen = {"life_hourly_requests": math.log(10.0), "life_active_share": 0.5, "age_days": math.log1p(40.0)}
    young = _vector(**seen, life_pace=1.0, requests_week=math.log1p(50.0))
    assert seen_hours(young, 120) == pytest.approx(24.0)
    found = facts(young, 120, "free", ["false_positive"])
    assert (found.plan, found.seen_days, found.requests_30d, found.verdicts) == ("free", 1.0, 120, ["false_positive"])
    assert found.age_days == pytest.approx(40.0)
    old = _vector(**seen, requests_week=math.log1p(7.0 / math.log(2.0) * 100.0))
    assert facts(old, 120 * 60, "").requests_30d == pytest.approx(3_000, abs=1)
    assert facts(old, 120 * 60, "").age_days is None
    assert facts(old, 4_000, "").requests_30d <= 4_000
