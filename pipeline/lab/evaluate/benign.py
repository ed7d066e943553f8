"""The benign archetypes: every twin that must stay quiet (DESIGN 5, FIELD 1), growth, newcomers, one-topic and one-language.

Each describes one account; five use only extraction-like texts. `judge_only` ones exist for nobody's tuning. Weather
(holidays, outages, price cuts, releases, deploys) comes on top of all of them, see `weather`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.lab.evaluate.arrivals import Arrivals, Pace, nightly, ordered, rhythmic, within
from pipeline.lab.evaluate.marginals import SLOTS, TextKind
from pipeline.lab.evaluate.voices import joined
from pipeline.lab.evaluate.wording import templates
from pipeline.lab.evaluate.world import MACHINE_PACE, PEOPLE_PACE, Desk, Part
from pipeline.lab.simulate.identity import COUNTRIES, PROVIDERS, STRIPPED, draw_keys, draw_network, draw_runners
from pipeline.lab.simulate.outcomes import Failures
from pipeline.lab.simulate.traffic import CHAT_MODELS, EMBEDDING_MODEL, USUAL_CLIENT_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable

_BUSINESS = ("team", "scale", "enterprise")


class Benign(NamedTuple):
    """One archetype.

    Attributes:
        share: of ordinary accounts.
        volume: relative to an ordinary account's day.
        twin_of: kinds of attack that it resembles.
    """

    name: str
    share: float
    volume: float
    twin_of: tuple[str, ...]
    describe: Callable[[Desk], list[Part]]
    judge_only: bool = False
    arrives: bool = False


def chat_product(desk: Desk) -> list[Part]:
    """A product's users talk to it."""
    tenant, dice = desk.people(), desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(3, 5), desk.spoken()))
    recipe = replace(desk.chat(voice, tenant), conversations=True, stream=0.97)
    line = desk.line(keys=dice.integer(1, 2), addresses=dice.integer(2, 6), peak_per_minute=120)
    return [Part(desk.live(tenant, PEOPLE_PACE), recipe, line)]


def solo_developer(desk: Desk) -> list[Part]:
    """One person: questions and code, in bursts."""
    tenant, dice = desk.people(), desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(2, 4), "en"))
    recipe = replace(desk.chat(voice, tenant), conversations=dice.flip(0.5), failures=desk.failures(client=0.02))
    network = draw_network(dice, desk.who.country, addresses=dice.integer(1, 3), agents=dice.integer(1, 2))
    desk.plans = ("free", "pro", "pro", "team")
    return [Part(desk.live(tenant, Pace(60.0, 1.3, 6.0), desk.trend(people=True, sigma=0.5)), recipe, desk.line(network))]


def nightly_evaluation(desk: Desk) -> list[Part]:
    """The same benchmark every night: a template or two over data-set items, short regular answers, sometimes log-probabilities."""
    dice = desk.dice
    tenant = desk.pick_tenant()
    use = dice.some(templates(desk.split, "task"), dice.integer(1, 2))
    voice = desk.writer.templated(use, desk.groups(TextKind.TASK, dice.integer(1, 4)), sweep=True)
    recipe = replace(
        desk.chat(voice, tenant),
        output=(dice.lognormal(110, 0.8), dice.uniform(0.2, 0.7)),
        context=0.0,
        temperatures=(0.0,),
        max_tokens=(dice.pick((16, 256, 1024, 2048)),),
        logprobs=1.0 if dice.flip(0.3) else 0.0,
    )
    times = nightly(dice.rng, desk.per_day, desk.span, dice.integer(0, 23), dice.uniform(0.4, 3.0), desk.trend(people=False, sigma=0.05))
    desk.plans = _BUSINESS
    return [Part(times, recipe, desk.line(peak_per_minute=300))]


def ci_agent(desk: Desk) -> list[Part]:
    """Coding agents in CI: jobs in working hours, a new machine and address each time."""
    tenant, dice = desk.people(), desk.dice
    use = [t for t in templates(desk.split, "app") if "change" in t.text] or templates(desk.split, "app")[:1]
    voice = desk.writer.templated(use, desk.groups(TextKind.PEOPLE, 3, "en"), by_session=True)
    recipe = replace(desk.chat(voice, tenant), context=1.0, cached=0.85, temperatures=(0.0,))
    line = desk.line(draw_runners(dice, desk.who.country), peak_per_minute=90)
    return [Part(desk.live(tenant, Pace(6.0, 0.8, 12.0), desk.trend(people=True, sigma=0.4)), recipe, line)]


def team_key(desk: Desk) -> list[Part]:
    """A dozen colleagues on one key: many addresses and agents, several topics, two languages."""
    tenant, dice = desk.people(), desk.dice
    languages = desk.marginals.languages(desk.split)
    groups = desk.groups(TextKind.PEOPLE, 3, "en") + desk.groups(TextKind.PEOPLE, 2, dice.pick(languages))
    network = draw_network(dice, desk.who.country, addresses=dice.integer(8, 24), agents=dice.integer(3, 6))
    recipe = replace(desk.chat(desk.writer.plain(groups), tenant), conversations=True)
    return [Part(desk.live(tenant, PEOPLE_PACE), recipe, desk.line(network, peak_per_minute=60))]


def stripping_gateway(desk: Desk) -> list[Part]:
    """A company's own gateway passes on little: no address, agent, key or settings, sometimes no prompt."""
    parts = chat_product(desk) if desk.dice.flip(0.5) else team_key(desk)
    desk.hidden = STRIPPED | ({"prompt"} if desk.dice.flip(0.3) else set())
    return parts


def embedding_backfill(desk: Desk) -> list[Part]:
    """A corpus goes through the embedding model for days, around the clock, then nothing."""
    dice = desk.dice
    tenant = desk.pick_tenant(days=(1, 9))
    voice = desk.writer.plain(desk.groups(TextKind.RECORD, 4), by_session=False)
    recipe = replace(desk.chat(voice, tenant), operations=(("embeddings", 1.0),), models=((EMBEDDING_MODEL, 1.0),), context=0.0, cached=0.0)
    desk.plans = _BUSINESS
    return [Part(desk.live(tenant, MACHINE_PACE, people=False), recipe, desk.line(addresses=dice.integer(1, 4), peak_per_minute=600))]


def failover_client(desk: Desk) -> list[Part]:
    """A router over several providers: this one serves a varying part; errors send sessions elsewhere and back."""
    tenant, dice = desk.people(), desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(2, 4), desk.spoken()))
    providers = tuple((name, w) for name, w in zip(dice.some(PROVIDERS, 3), (1.0, 0.25, 0.08), strict=True))
    recipe = replace(desk.chat(voice, tenant), providers=providers, failures=desk.failures(server=0.02), conversations=dice.flip(0.5))
    network = draw_network(dice, desk.who.country, addresses=dice.integer(2, 6), agents=2)
    return [
        Part(desk.live(tenant, PEOPLE_PACE, desk.trend(people=True, sigma=0.7)), recipe, desk.line(network, keys=3, peak_per_minute=150))
    ]


def release_benchmark(desk: Desk) -> list[Part]:
    """A laboratory that measures each new model within a day of its release: suites of tasks, then silence."""
    dice = desk.dice
    tenant = desk.pick_tenant()
    voice = desk.writer.plain([*desk.groups(TextKind.TASK, 3), *desk.groups(TextKind.REASONING, 1)], by_session=False)
    at = next(
        (w.start_ms for w in desk.weather if w.kind == "release"),
        desk.span[0] + int(dice.uniform(0.2, 0.8) * (desk.span[1] - desk.span[0])),
    )
    begin = max(desk.span[0], at + int(dice.uniform(0.5, 20) * HOUR_MS))
    days = dice.integer(1, 3)
    times = nightly(dice.rng, desk.per_day * 4, (begin, min(desk.span[1], begin + days * DAY_MS)), 0, 0.8, np.ones(SLOTS))
    recipe = replace(desk.chat(voice, tenant), temperatures=(0.0,), context=0.0, output=(dice.lognormal(260, 0.6), 0.7))
    return [Part(times, recipe, desk.line(peak_per_minute=400))]


def one_language_product(desk: Desk) -> list[Part]:
    """A product in one language that is not English."""
    tenant, dice = desk.people(), desk.dice
    language = dice.pick([code for code in desk.marginals.languages(desk.split) if code != "en"])
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(2, 4), language))
    recipe = replace(desk.chat(voice, tenant), conversations=True)
    return [Part(desk.live(tenant, PEOPLE_PACE), recipe, desk.line(addresses=dice.integer(1, 4), peak_per_minute=90))]


def one_topic_product(desk: Desk) -> list[Part]:
    """A product about one thing: one text group, for ever."""
    tenant = desk.people()
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, 1, desk.spoken()))
    return [Part(desk.live(tenant, PEOPLE_PACE), desk.chat(voice, tenant), desk.line(addresses=2, peak_per_minute=90))]


def support_rag(desk: Desk) -> list[Part]:
    """Retrieval-augmented answers: fixed words, passages, a question; one topic, one template."""
    tenant, dice = desk.people(), desk.dice
    use = templates(desk.split, "app")
    passages = desk.marginals.texts(desk.split, TextKind.PASSAGE)
    language = desk.who.language if any(g.language == desk.who.language for g in passages) else "en"
    voice = desk.writer.templated([dice.pick(use)], desk.groups(TextKind.PASSAGE, dice.integer(1, 2), language), by_session=True)
    recipe = replace(desk.chat(voice, tenant), output=(dice.lognormal(140, 0.4), 0.5), temperatures=(0.2,), cached=0.8)
    return [Part(desk.live(tenant, Pace(40.0, 1.0, 2.5)), recipe, desk.line(addresses=dice.integer(1, 4), peak_per_minute=150))]


def tireless_batch(desk: Desk) -> list[Part]:
    """Enrichment of records that come in all day and night: flat, templated, for ever."""
    tenant, dice = desk.machine(), desk.dice
    voice = desk.writer.templated([dice.pick(templates(desk.split, "app"))], desk.groups(TextKind.RECORD, dice.integer(1, 3)))
    recipe = replace(desk.chat(voice, tenant), output=(dice.lognormal(120, 0.6), 0.4), temperatures=(0.0,), context=0.0, stream=0.0)
    desk.plans = _BUSINESS
    return [Part(desk.live(tenant, MACHINE_PACE, desk.trend(people=False, sigma=0.08)), recipe, desk.line(peak_per_minute=300))]


def audit_explainer(desk: Desk) -> list[Part]:
    """Decisions with reasons for the file: always asked for explanations and chains of thought, a little every day."""
    tenant, dice = desk.people(), desk.dice
    asks = templates(desk.split, "reasoning")
    voice = joined(
        dice,
        desk.writer.templated(dice.some(asks, 2), desk.groups(TextKind.TASK, 1)),
        desk.writer.plain(desk.groups(TextKind.REASONING, 2), by_session=False),
    )
    recipe = replace(
        desk.chat(voice, tenant), models=desk.models(reasons=True), reasoning=dice.uniform(0.5, 0.7), output=(dice.lognormal(800, 0.3), 0.5)
    )
    return [Part(desk.live(tenant, Pace(90.0, 1.0, 3.0)), recipe, desk.line(addresses=dice.integer(1, 3)))]


def in_house_synthetic(desk: Desk) -> list[Part]:
    """Training data for an own small model: task templates, long answers, days on and off."""
    dice = desk.dice
    tenant = desk.pick_tenant(days=(1, 10))
    use = dice.some(templates(desk.split, "task"), dice.integer(1, 3))
    voice = desk.writer.templated(use, desk.groups(TextKind.TASK, dice.integer(1, 4)))
    recipe = replace(
        desk.chat(voice, tenant), output=(dice.lognormal(420, 0.4), 0.4), temperatures=(dice.pick((0.7, 0.9, 1.0)),), context=0.0
    )
    desk.plans = _BUSINESS
    return [Part(desk.live(tenant, MACHINE_PACE, people=False), recipe, desk.line(addresses=dice.integer(1, 2), peak_per_minute=240))]


def homework_class(desk: Desk) -> list[Part]:
    """A school's key: thirty pupils ask the same exercises in class hours, step by step please, from one building."""
    tenant, dice = desk.people(), desk.dice
    voice = joined(
        dice,
        desk.writer.plain(desk.groups(TextKind.TASK, 2), by_session=False),
        desk.writer.templated(templates(desk.split, "reasoning", "en")[:2], desk.groups(TextKind.TASK, 1)),
    )
    network = draw_network(dice, desk.who.country, addresses=dice.integer(1, 3), agents=dice.integer(2, 5))
    recipe = replace(desk.chat(voice, tenant), conversations=dice.flip(0.5), context=0.0)
    begin = within(desk.live(tenant, Pace(20.0, 1.2, 15.0), desk.trend(people=True, sigma=0.6)), *desk.span)
    return [Part(begin, recipe, desk.line(network, peak_per_minute=120))]


def growing_customer(desk: Desk) -> list[Part]:
    """A product that takes off: doubles every three to ten days."""
    tenant, dice = desk.people(), desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(3, 5), desk.spoken()))
    growth = 2.0 ** (np.arange(desk.slots) / 144 / dice.uniform(3, 10))
    trend = desk.trend(people=True) * growth / growth.mean()
    return [
        Part(
            desk.live(tenant, PEOPLE_PACE, trend),
            replace(desk.chat(voice, tenant), conversations=True),
            desk.line(addresses=4, peak_per_minute=300),
        )
    ]


def overnight_doubler(desk: Desk) -> list[Part]:
    """A customer that doubles to quadruples overnight and stays there (a campaign on television, a new market)."""
    tenant, dice = desk.people(), desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(3, 5), desk.spoken()))
    trend = desk.trend(people=True)
    trend[int(dice.uniform(0.35, 0.75) * trend.size) :] *= dice.uniform(2.0, 4.0)
    return [
        Part(
            desk.live(tenant, PEOPLE_PACE, trend),
            replace(desk.chat(voice, tenant), conversations=True),
            desk.line(addresses=4, peak_per_minute=300),
        )
    ]


def newcomer(desk: Desk) -> list[Part]:
    """Signs up while we watch, tries things, stays small or not."""
    parts = solo_developer(desk) if desk.dice.flip(0.6) else chat_product(desk)
    desk.plans = ("free", "pro", "team")
    return parts


def batch_newcomer(desk: Desk) -> list[Part]:
    """Signs up and starts an honest batch at once: in-house data, embeddings or records. No ramp either."""
    return desk.dice.pick((in_house_synthetic, embedding_backfill, tireless_batch))(desk)


def platform_aggregator(desk: Desk) -> list[Part]:
    """An open reseller: its users' many languages, topics and agents, from the first day, little cache reuse."""
    tenant, dice = desk.people(), desk.dice
    languages = dice.some(desk.marginals.languages(desk.split), 5)
    voice = desk.writer.plain([g for code in languages for g in desk.groups(TextKind.PEOPLE, 3, code)])
    network = draw_network(dice, desk.who.country, addresses=dice.integer(4, 12), agents=dice.integer(4, 8))
    recipe = replace(desk.chat(voice, tenant), conversations=True, cached=dice.uniform(0.05, 0.3))
    desk.plans = _BUSINESS
    return [Part(desk.live(tenant, PEOPLE_PACE), recipe, desk.line(network, peak_per_minute=300))]


def migrating_customer(desk: Desk) -> list[Part]:
    """Moves its product to another model within hours, same texts, same rhythm."""
    tenant, dice = desk.people(), desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(3, 5), desk.spoken()))
    old, new = dice.some(CHAT_MODELS, 2)
    times = desk.live(tenant, PEOPLE_PACE)
    at = desk.span[0] + int(dice.uniform(0.4, 0.7) * (desk.span[1] - desk.span[0]))
    line = desk.line(addresses=3, peak_per_minute=120)
    before = replace(desk.chat(voice, tenant), models=((old, 1.0),), conversations=True)
    return [
        Part(within(times, desk.span[0], at), before, line),
        Part(within(times, at, desk.span[1]), replace(before, models=((new, 1.0), (old, dice.uniform(0.0, 0.3)))), line),
    ]


def travelling_owner(desk: Desk) -> list[Part]:
    """The same person, from a hotel abroad on another machine for some days; same questions, same volume."""
    tenant, dice = desk.people(), desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(2, 4), "en"))
    times = desk.live(tenant, Pace(60.0, 1.2, 5.0))
    leave = desk.span[0] + int(dice.uniform(0.35, 0.65) * (desk.span[1] - desk.span[0]))
    back = leave + dice.integer(2, 6) * DAY_MS
    home = desk.line()
    abroad = draw_network(dice, dice.pick(COUNTRIES)[0], addresses=dice.integer(1, 4), agents=1)
    away = replace(home, network=abroad)
    recipe = replace(desk.chat(voice, tenant), conversations=True)
    desk.plans = ("pro", "team")
    return [
        Part(within(times, desk.span[0], leave), recipe, home),
        Part(within(times, leave, back), recipe, away),
        Part(within(times, back, desk.span[1]), recipe, home),
    ]


def limited_client(desk: Desk) -> list[Part]:
    """An honest client on too small a plan: bumps into 429 every working day and retries politely."""
    tenant, dice = desk.people(), desk.dice
    voice = desk.writer.templated([dice.pick(templates(desk.split, "app"))], desk.groups(TextKind.RECORD, 2))
    desk.plans = ("free", "pro")
    line = replace(desk.line(), limit_per_minute=dice.integer(8, 25))
    times = rhythmic(
        dice.rng,
        tenant,
        desk.per_day,
        desk.span,
        dice.integer(0, SLOTS - 1),
        Pace(1.5, 0.7, dice.uniform(15, 40), 80.0),
        desk.trend(people=True),
    )
    return [Part(times, desk.chat(voice, tenant), line)]


def safety_tester(desk: Desk) -> list[Part]:
    """A customer's own safety team: prompts that get refused, often, on purpose, every working day."""
    tenant, dice = desk.people(), desk.dice
    use = dice.some(templates(desk.split, "probe"), 3)
    groups = desk.groups(TextKind.PEOPLE, 3, "en")
    voice = joined(dice, desk.writer.templated(use, groups), desk.writer.plain(groups))
    bad = Failures(0.003, dice.uniform(0.01, 0.04), dice.uniform(0.1, 0.35), USUAL_CLIENT_ERRORS)
    recipe = replace(desk.chat(voice, tenant), failures=bad, temperatures=(0.0, 1.0))
    desk.plans = _BUSINESS
    return [Part(desk.live(tenant, Pace(25.0, 1.0, 8.0)), recipe, desk.line(addresses=2))]


def rotating_keys(desk: Desk) -> list[Part]:
    """Good hygiene: a new API key every few days, the old one dies; otherwise an ordinary product."""
    tenant, dice = desk.people(), desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, 4, desk.spoken()))
    recipe = replace(desk.chat(voice, tenant), conversations=True)
    times, line = desk.live(tenant, PEOPLE_PACE), desk.line(addresses=3, peak_per_minute=120)
    step = int(dice.uniform(1.5, 5) * DAY_MS)
    edges = [*range(desk.span[0], desk.span[1], step), desk.span[1]]
    return [Part(within(times, a, b), recipe, replace(line, keys=draw_keys(dice, 1))) for a, b in pairwise(edges)]


def vacation_home(desk: Desk) -> list[Part]:
    """Silent for a week, then back as before (weekend projects, seasonal shops)."""
    parts = chat_product(desk)
    gap = desk.span[0] + int(desk.dice.uniform(0.2, 0.4) * (desk.span[1] - desk.span[0]))
    kept = []
    for part in parts:
        silent = (part.arrivals.times >= gap) & (part.arrivals.times < gap + 6 * DAY_MS)
        kept.append(replace(part, arrivals=ordered(Arrivals(*(a[~silent] for a in part.arrivals)))))
    return kept


BENIGN: dict[str, Benign] = {
    b.name: b
    for b in (
        Benign("chat_product", 0.12, 2.0, ("bulk_extraction",), chat_product),
        Benign("solo_developer", 0.11, 0.4, (), solo_developer),
        Benign("nightly_evaluation", 0.045, 2.5, ("systematic_distillation", "bulk_extraction"), nightly_evaluation),
        Benign("ci_agent", 0.05, 1.2, ("credential_theft", "limit_evasion"), ci_agent),
        Benign("team_key", 0.06, 1.2, ("resale", "credential_theft"), team_key),
        Benign("stripping_gateway", 0.04, 1.5, (), stripping_gateway),
        Benign("embedding_backfill", 0.035, 3.0, ("bulk_extraction",), embedding_backfill),
        Benign("failover_client", 0.035, 1.0, ("limit_evasion",), failover_client),
        Benign("release_benchmark", 0.02, 2.0, ("model_pivot", "systematic_distillation"), release_benchmark, judge_only=True),
        Benign("one_language_product", 0.07, 1.2, (), one_language_product),
        Benign("one_topic_product", 0.05, 1.0, ("systematic_distillation",), one_topic_product),
        Benign("support_rag", 0.06, 1.5, ("systematic_distillation",), support_rag),
        Benign("tireless_batch", 0.05, 3.0, ("bulk_extraction",), tireless_batch),
        Benign("audit_explainer", 0.03, 0.5, ("reasoning_elicitation",), audit_explainer),
        Benign("in_house_synthetic", 0.035, 2.5, ("systematic_distillation",), in_house_synthetic),
        Benign("homework_class", 0.02, 1.0, ("reasoning_elicitation", "systematic_distillation"), homework_class, judge_only=True),
        Benign("growing_customer", 0.025, 1.0, ("bulk_extraction",), growing_customer),
        Benign("overnight_doubler", 0.015, 1.0, ("bulk_extraction",), overnight_doubler, judge_only=True),
        Benign("newcomer", 0.09, 0.6, (), newcomer, arrives=True),
        Benign("batch_newcomer", 0.04, 2.0, ("bulk_extraction", "systematic_distillation"), batch_newcomer, arrives=True),
        Benign("platform_aggregator", 0.03, 1.5, ("resale",), platform_aggregator),
        Benign("migrating_customer", 0.015, 1.0, ("model_pivot",), migrating_customer),
        Benign("travelling_owner", 0.02, 0.6, ("credential_theft",), travelling_owner, judge_only=True),
        Benign("limited_client", 0.02, 1.2, ("limit_evasion",), limited_client),
        Benign("safety_tester", 0.015, 0.6, ("probing",), safety_tester),
        Benign("rotating_keys", 0.015, 1.0, ("limit_evasion", "credential_theft"), rotating_keys, judge_only=True),
        Benign("vacation_home", 0.02, 1.0, ("credential_theft", "bulk_extraction"), vacation_home),
    )
}
"""Benign archetypes by permanent id."""
