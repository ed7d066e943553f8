"""The attackers' side: what each kind asks for, and when. Everything else comes from the same hands as benign accounts.

Two kinds (bulk extraction, limit evasion) use ordinary people's texts only; distillation shares its templates with
in-house synthetic data and evaluation suites, elicitation its wording with audit apps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.times import HOUR_MS
from pipeline.events.alert import Kind
from pipeline.lab.simulate.habits import failures, pick_models
from pipeline.lab.simulate.identity import PLANS, draw_keys, draw_network
from pipeline.lab.simulate.outcomes import Failures
from pipeline.lab.simulate.phrases import ELICITATION, SENSITIVE, TASKS, template
from pipeline.lab.simulate.rhythm import Arrivals, Week, by_people, in_bursts, steady
from pipeline.lab.simulate.texts import Recipe, free, own_topics
from pipeline.lab.simulate.traffic import CHAT_MODELS, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.lab.simulate.habits import Desk, Habit
    from pipeline.lab.simulate.traffic import Traffic

_UNKNOWN_MODELS = ("corvus-3-large", "corvus-2-large-internal", "lyra-5", "lyra-4-base", "lyra-4-nofilter", "corvus-2-logits")


class Plan(NamedTuple):
    """An attack as decided: how much, when, in which way."""

    kind: Kind
    requests: int
    start_ms: int
    end_ms: int
    timing: str


def _bulk(desk: Desk, cover: Traffic) -> Traffic:
    """Long answers to ordinary questions on many subjects, no conversation."""
    dice = desk.dice
    recipe = Recipe(
        templates=((free(desk.who.language, 9), 1.0), (free("en", 9), dice.uniform(0.2, 2)), (free("code", 10), dice.uniform(0, 0.5))),
        topics=own_topics(dice, dice.integer(8, 24)),
        sigma=dice.uniform(0.5, 0.8),
        by_session=False,
    )
    return replace(
        cover,
        text=recipe,
        output_median=dice.lognormal(900, 0.25),
        output_sigma=dice.uniform(0.4, 0.6),
        max_tokens=(dice.pick((None, 4096, 8192)),),
        prefix_tokens=0,
        cached=0.05,
    )


def _distillation(desk: Desk, cover: Traffic) -> Traffic:
    """Task templates swept over every subject, regular in and out."""
    dice = desk.dice
    recipe = Recipe(
        templates=tuple((template("en", t), 1.0) for t in dice.some(TASKS, dice.integer(1, 4))),
        topics=(),
        sigma=dice.uniform(0.08, 0.25),
        by_session=False,
        sweep=dice.integer(1, 25),
    )
    return replace(
        cover,
        text=recipe,
        output_median=dice.lognormal(480, 0.3),
        output_sigma=dice.uniform(0.25, 0.4),
        max_tokens=(dice.pick((1024, 2048, 4096)),),
        temperatures=(dice.pick((None, 0.7, 0.9, 1.0)),),
        choice_counts=(dice.pick((None, None, 2, 4)),),
        prefix_tokens=0,
        cached=0.2,
    )


def _elicitation(desk: Desk, cover: Traffic) -> Traffic:
    """Hard questions with the demand for the whole chain of thought, in several languages."""
    dice = desk.dice
    codes = dice.some(tuple(ELICITATION), dice.integer(2, 8))
    if dice.flip(0.7) and "en" not in codes:
        codes = ("en", *codes)
    first = dice.flip(0.5)
    asks = [(code, ask) for code in codes for ask in dice.some(ELICITATION[code], 2)]
    texts = tuple((template(code, f"{ask}\n\n{{12}}" if first else f"{{12}}\n\n{ask}"), 1.0) for code, ask in asks)
    recipe = Recipe(templates=texts, topics=(), sigma=dice.uniform(0.2, 0.5), by_session=False, sweep=dice.integer(1, 10))
    return replace(
        cover,
        text=recipe,
        models=pick_models(dice, reasons=True),
        output_median=dice.lognormal(1700, 0.2),
        output_sigma=0.4,
        reasoning=dice.uniform(0.6, 0.8),
        logprobs=dice.pick((0.0, 0.5, 1.0)),
        max_tokens=(dice.pick((None, 8192, 16_384)),),
        prefix_tokens=0,
        cached=0.1,
    )


def _evasion(desk: Desk, cover: Traffic) -> Traffic:
    """Ordinary questions on many subjects, as many as the limit lets through and some more."""
    dice = desk.dice
    recipe = Recipe(
        templates=((free(desk.who.language, 8), 1.0), (free("en", 8), 1.0)),
        topics=own_topics(dice, dice.integer(6, 16)),
        sigma=0.7,
        by_session=False,
    )
    return replace(cover, text=recipe, output_median=dice.lognormal(450, 0.2), output_sigma=0.5, prefix_tokens=0, cached=0.1)


def _probing(desk: Desk, cover: Traffic) -> Traffic:
    """Tiny requests that try models, parameters and refusals; most of them fail, each in its way."""
    dice = desk.dice
    recipe = Recipe(
        templates=(*((template("en", t), 1.0) for t in dice.some(SENSITIVE, dice.integer(3, 6))), (free("en", 2), 1.0)),
        topics=(),
        sigma=0.6,
        by_session=False,
        sweep=1,
    )
    kinds = (
        (400, "invalid_request", dice.uniform(0.3, 0.6)),
        (404, "model_not_found", dice.uniform(0.2, 0.5)),
        (403, "permission_denied", dice.uniform(0.1, 0.3)),
        (401, "invalid_key", dice.uniform(0.02, 0.1)),
        (413, "request_too_large", dice.uniform(0.02, 0.1)),
    )
    names = (*CHAT_MODELS, *dice.some(_UNKNOWN_MODELS, dice.integer(3, 6)))
    return replace(
        cover,
        text=recipe,
        models=tuple((name, 1.0) for name in names),
        operations=(("chat", 1.0), ("list_models", dice.uniform(0.03, 0.12)), ("text_completion", 0.1)),
        output_median=60.0,
        output_sigma=0.8,
        max_tokens=(1, 1, 1, 16, None, 200_000),
        temperatures=(None, 0.0, 0.5, 1.0, 1.5, 2.0),
        choice_counts=(None, 1, 8),
        logprobs=0.3,
        prefix_tokens=0,
        cached=0.0,
        failures=Failures(0.003, dice.uniform(0.45, 0.75), dice.uniform(0.2, 0.5), kinds),
    )


_ASKS: dict[Kind, Callable[[Desk, Traffic], Traffic]] = {
    Kind.BULK_EXTRACTION: _bulk,
    Kind.SYSTEMATIC_DISTILLATION: _distillation,
    Kind.REASONING_ELICITATION: _elicitation,
    Kind.LIMIT_EVASION: _evasion,
    Kind.PROBING: _probing,
}


def strike(desk: Desk, cover: Habit, limit_per_minute: int, plan: Plan, rng: np.random.Generator) -> tuple[Stream, Arrivals]:
    """Play the attack beside the account's cover → its stream and all its requests.

    Half of the attackers use a key, an address and an agent of their own, drawn as any account's are. Limit evasion
    turns keys and addresses run by run.
    """
    dice = desk.dice
    traffic = _ASKS[plan.kind](desk, replace(cover.traffic, conversations=False, failures=failures(dice)))
    keys, network, limit = cover.keys, cover.network, limit_per_minute
    if dice.flip(0.5):
        keys = draw_keys(dice, 1)
        network = draw_network(dice, desk.who.country, addresses=dice.integer(1, 3))
    if plan.kind is Kind.LIMIT_EVASION:
        limit = PLANS[desk.who.plan]
        keys = draw_keys(dice, dice.pick((1, 3, 6, 12)))
        network = draw_network(dice, desk.who.country, addresses=dice.integer(4, 16), agents=dice.integer(1, 3))
        run = round(limit * dice.uniform(1.1, 1.4)) + 1
        arrivals = in_bursts(rng, plan.requests, plan.start_ms, plan.end_ms, run, 45.0)
    else:
        limit = max(limit, -(-plan.requests * 120_000 // (plan.end_ms - plan.start_ms)))
        if plan.timing == "human":
            week = Week(dice.pick(("consumer", "office", "evening")), desk.who.utc_offset_h, dice.uniform(0.3, 0.8))
            arrivals = by_people(rng, plan.requests, plan.start_ms, plan.end_ms, week)
        else:
            times = steady(rng, plan.requests, plan.start_ms, plan.end_ms, dice.uniform(0.3, 0.9))
            order = np.arange(plan.requests)
            arrivals = Arrivals(times, plan.start_ms // HOUR_MS + order // 50, order % 50)
    stream = Stream(
        identity=desk.who,
        network=network,
        keys=keys,
        key_by="turn" if plan.kind is Kind.LIMIT_EVASION else "session",
        limit_per_minute=limit,
        traffic=traffic,
        salt=int(dice.rng.integers(2**62)),
    )
    return stream, arrivals
