"""The benign cast: sixteen ways to use a model API, among them every twin that a detector must leave alone.

Each function describes one account. Volumes are relative (1 is an ordinary account's day) and heavy-tailed; the cast
scales them. Sources of the shapes: `FIELD.md` 1 (look-alikes), `DESIGN.md` 5.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.lab.simulate.habits import Desk, Habit, campaigns, chat, failures, fixed_text, people, pick_models, restless
from pipeline.lab.simulate.identity import FULL, PROVIDERS, STRIPPED, draw_keys, draw_network, draw_runners
from pipeline.lab.simulate.languages import SPOKEN
from pipeline.lab.simulate.phrases import DUTIES, ELICITATION, TASKS, template
from pipeline.lab.simulate.rhythm import Nightly, Sessions, Tireless
from pipeline.lab.simulate.texts import Recipe, free, own_topics
from pipeline.lab.simulate.traffic import EMBEDDING_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable


class Archetype(NamedTuple):
    """A named habit with its share of accounts and its volume (median, and spread of the logarithm)."""

    name: str
    share: float
    volume: float
    sigma: float
    describe: Callable[[Desk], Habit]


def chat_product(desk: Desk) -> Habit:
    """A product's users talk to it: conversations, day and week, one backend."""
    dice, code = desk.dice, desk.who.language
    recipe = Recipe(
        templates=((free(code, 6), 1.0), (free("en", 7), 0.15)), topics=own_topics(dice, dice.integer(3, 5)), sigma=dice.uniform(0.8, 1.1)
    )
    return Habit(
        rhythm=Sessions(people(desk), turns=dice.uniform(3, 8), gap_s=dice.uniform(30, 90)),
        traffic=replace(chat(desk, recipe), conversations=True, stream=0.97),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(2, 6)),
        keys=draw_keys(dice, dice.integer(1, 2)),
        trend=restless(dice, desk.days),
        peak_per_minute=120,
    )


def solo_developer(desk: Desk) -> Habit:
    """One person, questions and code, evenings and bursts."""
    dice = desk.dice
    recipe = Recipe(
        templates=(
            (free("en", 8), 1.0),
            (template("en", "{3}\n```\n{14}\n```"), dice.uniform(0.1, 0.6)),
            (free("code", 12), dice.uniform(0, 0.4)),
        ),
        topics=own_topics(dice, dice.integer(2, 4)),
        sigma=1.0,
    )
    return Habit(
        rhythm=Sessions(people(desk), turns=dice.uniform(4, 12), gap_s=dice.uniform(40, 120), gap_sigma=1.3),
        traffic=replace(chat(desk, recipe), conversations=dice.flip(0.5), failures=failures(dice, client=0.02)),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(1, 3), agents=dice.integer(1, 2)),
        keys=draw_keys(dice, 1),
        trend=restless(dice, desk.days, 0.5),
        plans=("free", "pro", "pro", "team"),
    )


def evaluation_suite(desk: Desk) -> Habit:
    """The same benchmark every night: one or two templates, big volume, short regular answers, sometimes log-probabilities."""
    dice = desk.dice
    recipe = Recipe(
        templates=tuple((template("en", t), 1.0) for t in dice.some(TASKS, dice.integer(1, 2))),
        topics=own_topics(dice, dice.integer(4, 8)),
        sigma=dice.uniform(0.15, 0.4),
        by_session=False,
        amplitude=0.1,
    )
    rate = dice.uniform(0.5, 3)
    return Habit(
        rhythm=Nightly(desk.who.utc_offset_h, dice.integer(0, 5), rate),
        traffic=replace(
            chat(desk, recipe),
            output_median=dice.lognormal(90, 0.6),
            output_sigma=dice.uniform(0.2, 0.6),
            temperatures=(0.0,),
            max_tokens=(dice.pick((16, 256, 1024, 2048)),),
            logprobs=1.0 if dice.flip(0.3) else 0.0,
        ),
        network=draw_network(dice, desk.who.country, addresses=1),
        keys=draw_keys(dice, 1),
        trend=restless(dice, desk.days, 0.04),
        peak_per_minute=110 * rate,
        plans=("team", "scale", "enterprise"),
    )


def ci_agent(desk: Desk) -> Habit:
    """Coding agents in CI: jobs in working hours, a new machine and address each time."""
    dice = desk.dice
    recipe = Recipe(
        templates=((template("code", fixed_text(desk, "en", 18) + "{24}"), 1.0), (free("code", 16), 0.5)),
        topics=own_topics(dice, dice.integer(1, 3)),
        sigma=0.9,
    )
    return Habit(
        rhythm=Sessions(people(desk, "office", 0.2), turns=dice.uniform(8, 30), gap_s=dice.uniform(3, 12), gap_sigma=0.8),
        traffic=replace(
            chat(desk, recipe), conversations=dice.flip(0.5), prefix_tokens=dice.integer(800, 4000), cached=0.85, temperatures=(0.0,)
        ),
        network=draw_runners(dice, desk.who.country),
        keys=draw_keys(dice, 1),
        trend=restless(dice, desk.days, 0.35),
        peak_per_minute=90,
    )


def team_key(desk: Desk) -> Habit:
    """A dozen colleagues on one key: many addresses and agents, several topics, two languages."""
    dice = desk.dice
    other = dice.pick(SPOKEN)
    recipe = Recipe(
        templates=((free("en", 8), 1.0), (free(desk.who.language, 8), 0.6), (free(other, 7), 0.15), (free("code", 10), 0.3)),
        topics=own_topics(dice, 5),
        sigma=1.0,
    )
    return Habit(
        rhythm=Sessions(people(desk, "office", 0.1), turns=dice.uniform(3, 7)),
        traffic=replace(chat(desk, recipe), conversations=True),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(8, 24), agents=dice.integer(3, 6)),
        keys=draw_keys(dice, 1),
        trend=restless(dice, desk.days),
        peak_per_minute=60,
    )


def stripping_gateway(desk: Desk) -> Habit:
    """A company's own gateway passes on little: no address, agent, key or settings, sometimes no prompt."""
    habit = chat_product(desk) if desk.dice.flip(0.5) else team_key(desk)
    hidden = STRIPPED | {"prompt"} if desk.dice.flip(0.3) else STRIPPED
    return replace(habit, peak_per_minute=200, hidden=hidden)


def embedding_backfill(desk: Desk) -> Habit:
    """A corpus goes through the embedding model for days, around the clock, then nothing."""
    dice = desk.dice
    recipe = Recipe(templates=((free(desk.who.language, 30), 1.0),), topics=own_topics(dice, 5), sigma=0.35, by_session=False)
    return Habit(
        rhythm=Tireless(dice.uniform(0.5, 1.0)),
        traffic=replace(
            chat(desk, recipe), operations=(("embeddings", 1.0),), models=((EMBEDDING_MODEL, 1.0),), prefix_tokens=0, cached=0.0
        ),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(1, 4)),
        keys=draw_keys(dice, 1),
        trend=campaigns(dice, desk.days, 0.5),
        peak_per_minute=400,
        plans=("team", "scale", "enterprise"),
    )


def failover_client(desk: Desk) -> Habit:
    """A router over several providers: this one serves a varying part, errors send sessions elsewhere and back."""
    dice, code = desk.dice, desk.who.language
    recipe = Recipe(templates=((free(code, 8), 1.0),), topics=own_topics(dice, dice.integer(2, 4)), sigma=0.9)
    providers = tuple((name, w) for name, w in zip(dice.some(PROVIDERS, 3), (1.0, 0.25, 0.08), strict=True))
    return Habit(
        rhythm=Sessions(people(desk, "consumer"), turns=dice.uniform(2, 5)),
        traffic=replace(chat(desk, recipe), providers=providers, failures=failures(dice, server=0.02), conversations=dice.flip(0.5)),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(2, 6), agents=2),
        keys=draw_keys(dice, 3),
        trend=restless(dice, desk.days, 0.6),
        peak_per_minute=150,
        hidden=FULL,
    )


def one_language_product(desk: Desk) -> Habit:
    """A product in one language that is not English."""
    dice = desk.dice
    code = dice.pick(tuple(c for c in SPOKEN if c != "en"), (1, 1, 1, 1, 1, 3, 3, 2, 1, 2, 2))
    recipe = Recipe(templates=((free(code, 7), 1.0),), topics=own_topics(dice, dice.integer(2, 4)), sigma=dice.uniform(0.8, 1.1))
    return Habit(
        rhythm=Sessions(people(desk, "evening", 1.0), turns=dice.uniform(3, 8)),
        traffic=replace(chat(desk, recipe), conversations=True),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(1, 4)),
        keys=draw_keys(dice, 1),
        trend=restless(dice, desk.days),
        peak_per_minute=90,
    )


def support_bot(desk: Desk) -> Habit:
    """Retrieval-augmented answers: a fixed system text, passages, a question. One topic, one template, varied payload."""
    dice, code = desk.dice, desk.who.language
    system = fixed_text(desk, code, dice.integer(12, 60)) + " ".join(dice.some(DUTIES, dice.integer(1, 3)))
    body = "\n\nPassages:\n" + "".join(f"[{i + 1}] {{{dice.integer(10, 20)}}}\n" for i in range(dice.integer(2, 4))) + "\nQuestion: {5}"
    recipe = Recipe(templates=((template(code, system + body), 1.0),), topics=own_topics(dice, 1), sigma=dice.uniform(0.4, 0.8))
    return Habit(
        rhythm=Sessions(people(desk, "consumer", 0.7), turns=dice.uniform(1.5, 4)),
        traffic=replace(chat(desk, recipe), output_median=dice.lognormal(140, 0.3), output_sigma=0.5, temperatures=(0.2,)),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(1, 4)),
        keys=draw_keys(dice, 1),
        trend=restless(dice, desk.days),
        peak_per_minute=150,
    )


def tireless_batch(desk: Desk) -> Habit:
    """Enrichment of records that come in all day and night: flat, templated, for ever."""
    dice = desk.dice
    recipe = Recipe(
        templates=((template(desk.who.language, fixed_text(desk, desk.who.language, dice.integer(6, 20)) + "{16}"), 1.0),),
        topics=own_topics(dice, dice.integer(1, 3)),
        sigma=dice.uniform(0.3, 0.7),
        by_session=False,
    )
    return Habit(
        rhythm=Tireless(dice.uniform(0.6, 1.2)),
        traffic=replace(chat(desk, recipe), output_median=dice.lognormal(120, 0.5), output_sigma=0.4, temperatures=(0.0,), stream=None),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(1, 3)),
        keys=draw_keys(dice, 1),
        trend=restless(dice, desk.days, 0.08),
        peak_per_minute=300,
        plans=("team", "scale", "enterprise"),
    )


def audit_app(desk: Desk) -> Habit:
    """Decisions with reasons for the file: asks for explanations and chains of thought, always has, a little every day."""
    dice, code = desk.dice, desk.who.language if desk.who.language in ELICITATION else "en"
    asks = dice.some(ELICITATION[code], 2)
    system = fixed_text(desk, code, dice.integer(4, 12))
    recipe = Recipe(
        templates=tuple((template(code, system + "{14}\n" + ask), 1.0) for ask in asks),
        topics=own_topics(dice, dice.integer(1, 2)),
        sigma=0.5,
    )
    return Habit(
        rhythm=Sessions(people(desk, "office", 0.05), turns=dice.uniform(2, 5), gap_s=90),
        traffic=replace(
            chat(desk, recipe),
            models=pick_models(dice, reasons=True),
            reasoning=dice.uniform(0.5, 0.65),
            output_median=dice.lognormal(800, 0.25),
        ),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(1, 3)),
        keys=draw_keys(dice, 1),
        trend=restless(dice, desk.days),
    )


def synthetic_data(desk: Desk) -> Habit:
    """Training data for an own small model, in one domain: task templates, long answers, days on and off."""
    dice = desk.dice
    recipe = Recipe(
        templates=tuple((template("en", t), 1.0) for t in dice.some(TASKS, dice.integer(1, 3))),
        topics=own_topics(dice, dice.integer(1, 3)),
        sigma=dice.uniform(0.2, 0.5),
        by_session=False,
    )
    return Habit(
        rhythm=Tireless(dice.uniform(0.4, 0.9)),
        traffic=replace(
            chat(desk, recipe), output_median=dice.lognormal(420, 0.3), output_sigma=0.4, temperatures=(dice.pick((0.7, 0.9, 1.0)),)
        ),
        network=draw_network(dice, desk.who.country, addresses=dice.integer(1, 2)),
        keys=draw_keys(dice, 1),
        trend=campaigns(dice, desk.days, 0.5),
        peak_per_minute=200,
        plans=("team", "scale", "enterprise"),
    )


def growing_customer(desk: Desk) -> Habit:
    """A product that takes off: doubles every three to ten days."""
    dice = desk.dice
    habit = chat_product(desk)
    growth = 2.0 ** (np.arange(desk.days) / dice.uniform(3, 10))
    return replace(habit, trend=habit.trend * growth / growth.mean(), peak_per_minute=300)


def newcomer(desk: Desk) -> Habit:
    """Signs up while we watch, tries things, stays small or not."""
    habit = solo_developer(desk) if desk.dice.flip(0.6) else chat_product(desk)
    return replace(habit, arrives=True, plans=("free", "pro", "team"))


def batch_newcomer(desk: Desk) -> Habit:
    """Signs up and starts an honest batch at once: in-house data, embeddings or records. No ramp either."""
    habit = desk.dice.pick((synthetic_data, embedding_backfill, tireless_batch))(desk)
    return replace(habit, trend=np.ones(desk.days), arrives=True, peak_per_minute=300)


ARCHETYPES: tuple[Archetype, ...] = (
    Archetype("chat_product", 0.16, 2.0, 1.2, chat_product),
    Archetype("solo_developer", 0.17, 0.25, 0.9, solo_developer),
    Archetype("evaluation_suite", 0.05, 4.0, 0.8, evaluation_suite),
    Archetype("ci_agent", 0.07, 1.0, 1.0, ci_agent),
    Archetype("team_key", 0.08, 1.0, 0.8, team_key),
    Archetype("stripping_gateway", 0.05, 1.5, 1.1, stripping_gateway),
    Archetype("embedding_backfill", 0.04, 4.0, 1.0, embedding_backfill),
    Archetype("failover_client", 0.04, 1.0, 0.9, failover_client),
    Archetype("one_language_product", 0.08, 1.2, 1.0, one_language_product),
    Archetype("support_bot", 0.08, 1.5, 1.0, support_bot),
    Archetype("tireless_batch", 0.04, 4.0, 0.9, tireless_batch),
    Archetype("audit_app", 0.04, 0.3, 0.6, audit_app),
    Archetype("synthetic_data", 0.03, 3.0, 0.8, synthetic_data),
    Archetype("growing_customer", 0.03, 0.8, 0.8, growing_customer),
    Archetype("newcomer", 0.03, 0.4, 0.9, newcomer),
    Archetype("batch_newcomer", 0.01, 1.5, 0.7, batch_newcomer),
)

COVERS = tuple(
    a for a in ARCHETYPES if a.name in {"chat_product", "solo_developer", "team_key", "one_language_product", "support_bot", "ci_agent"}
)
"""Lives that an attacker's account leads beside, or before, the attack."""
