"""The attack archetypes, over every kind a single account can show, with strength knobs drawn wide and independent.

An attack plays beside its account's ordinary life (the cover), which goes on before, during and after it at one rate. Three
archetypes use only benign texts. Each names the benign twin that plays at the same scale as its control.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.lab.evaluate.arrivals import Arrivals, Pace, exactly, riding, steady
from pipeline.lab.evaluate.marginals import SLOTS, TextKind
from pipeline.lab.evaluate.voices import Voice, joined
from pipeline.lab.evaluate.weather import NEW_MODEL
from pipeline.lab.evaluate.wording import paraphrasers, templates
from pipeline.lab.evaluate.world import PEOPLE_PACE, Desk, Part
from pipeline.lab.simulate.identity import COUNTRIES, PLANS, draw_keys, draw_network
from pipeline.lab.simulate.outcomes import Failures
from pipeline.lab.simulate.traffic import CHAT_MODELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pipeline.lab.evaluate.stream import Line, Recipe
    from pipeline.lab.simulate.dice import Dice

_MOST_EVENTS = 70_000
"""Of one account in all; stronger draws are made again, so that a shard stays playable. Low shares of the largest attacks are
therefore rarer than independent draws would have them."""
_MINUTE_MS = 60_000
_UNKNOWN_MODELS = ("corvus-2-large-internal", "lyra-5", "lyra-4-base", "lyra-4-nofilter", "corvus-2-logits", "corvus-4")
TEXTS = ("template", "paraphrase", "dataset", "self_instruct", "mixed")


@dataclass(frozen=True, slots=True)
class Strength:
    """The knobs, drawn independently (see `draw_strength`).

    Attributes:
        requests: 300–50,000, log-uniform.
        share: 5–100 % of the account's requests during the attack, log-uniform.
        days: 0.5–10, log-uniform.
        timing: `human` or `flat`.
        new: signs up for it, or had a life before.
        ramp: `none`, `linear`, or `doubling` (about four doublings over the attack).
        text: how extraction prompts are made.
    """

    requests: int
    share: float
    days: float
    timing: str
    new: bool
    ramp: str
    text: str

    @property
    def cover_per_day(self) -> float:
        """Requests a day of the account's ordinary life."""
        return max(4.0, self.requests * (1 - self.share) / self.share / self.days)

    def history_days(self) -> float:
        """Days of ordinary life before the attack: 2 to 6, fewer for the busiest."""
        return 0.0 if self.new else float(np.clip(_MOST_EVENTS / 3 / self.cover_per_day, 2.0, 6.0))

    def intensity(self) -> NDArray[np.float64]:
        """Relative rate over the attack, 64 steps."""
        if self.ramp == "linear":
            return np.linspace(0.1, 1.9, 64)
        return 2.0 ** np.linspace(0, 4, 64) if self.ramp == "doubling" else np.ones(64)


def draw_strength(dice: Dice, longest_days: float = 10.0) -> Strength:
    """Draw all knobs; again when the account would exceed `_MOST_EVENTS`."""
    while True:
        found = Strength(
            requests=round(dice.log_uniform(300, 50_000)),
            share=dice.log_uniform(0.05, 1.0),
            days=dice.log_uniform(0.5, longest_days),
            timing=dice.pick(("human", "flat")),
            new=dice.flip(0.5),
            ramp=dice.pick(("none", "none", "linear", "doubling")),
            text=dice.pick(TEXTS),
        )
        if found.requests + found.cover_per_day * (found.days + found.history_days() + 0.5) <= _MOST_EVENTS:
            return found


class Attack(NamedTuple):
    """One archetype.

    Attributes:
        kind: what an alert should call it.
        also: kinds that describe it as well.
        twin: the benign archetype that plays at its scale as the control, with the same sort of text.
    """

    name: str
    kind: str
    also: tuple[str, ...]
    twin: str
    describe: Callable[[Desk, Strength, Scene], list[Part]]
    judge_only: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds that are right."""
        return (self.kind, *self.also)


class Scene(NamedTuple):
    """When the attack is, and the cover it hides behind (None for an account that has none)."""

    start_ms: int
    end_ms: int
    cover: Part | None


def _when(desk: Desk, strength: Strength, scene: Scene, pace: Pace | None = None) -> Arrivals:
    span, dice = (scene.start_ms, scene.end_ms), desk.dice
    if strength.timing == "flat":
        return steady(dice.rng, strength.requests, span, dice.uniform(0.2, 1.0), strength.intensity())
    tenant = dice.pick(desk.marginals.rhythms(desk.split, swing=(0.35, 9.0)))
    return exactly(dice.rng, strength.requests, tenant, span, dice.integer(0, SLOTS - 1), pace or PEOPLE_PACE, strength.intensity())


def _from(desk: Desk, scene: Scene, strength: Strength, *, own: float = 0.4) -> Line:
    """A way in: the account's usual one, or one of its own as any account's is drawn."""
    dice = desk.dice
    per_minute = max(PLANS[desk.who.plan], int(3.0 * strength.requests / strength.days / 1440) + 60)
    if scene.cover is not None and not dice.flip(own):
        return replace(scene.cover.line, limit_per_minute=max(per_minute, scene.cover.line.limit_per_minute))
    return replace(desk.line(addresses=dice.integer(1, 3)), limit_per_minute=per_minute)


def _base(desk: Desk, voice: Voice, scene: Scene) -> Recipe:
    """Ordinary settings; two in three attackers stay with the models that the account used anyway."""
    found = replace(desk.chat(voice, desk.pick_tenant()), context=0.0, cached=desk.dice.uniform(0.0, 0.4))
    chats = scene.cover is not None and not any("embed" in name for name, _ in scene.cover.recipe.models)
    return replace(found, models=scene.cover.recipe.models) if scene.cover is not None and chats and desk.dice.flip(0.67) else found


def _breadth(desk: Desk) -> int:
    return round(desk.dice.log_uniform(2, 24))


def _extraction_text(desk: Desk, how: str, kind: TextKind, use: str) -> Voice:
    """Prompts of data-set tasks, made in one of the ways of `TEXTS`."""
    dice, writer = desk.dice, desk.writer
    groups = desk.groups(kind, _breadth(desk))
    words = dice.some(templates(desk.split, use), round(dice.log_uniform(1, 6)))
    if how == "template":
        return writer.templated(words, groups, sweep=dice.flip(0.5))
    if how == "paraphrase":
        return writer.paraphrased(dice.some(paraphrasers(desk.split), dice.integer(1, 4)), groups, words if dice.flip(0.5) else ())
    if how == "dataset":
        return writer.plain(groups, by_session=False)
    if how == "self_instruct":
        return writer.templated([t for t in words if "ive" in t.text] or words[:1], groups[: max(1, len(groups) // 2)])
    some = groups[: max(1, len(groups) // 2)]
    return joined(dice, writer.templated(words, some), writer.plain(groups[len(some) :] or some, by_session=False))


# ---- bulk extraction


def bulk_drain(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """Long answers to ordinary people's questions on many subjects, no conversation."""
    dice = desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, _breadth(desk), dice.pick(("en", desk.spoken()))), by_session=False)
    recipe = replace(
        _base(desk, voice, scene), output=(dice.lognormal(900, 0.3), dice.uniform(0.4, 0.7)), max_tokens=(dice.pick((None, 4096, 8192)),)
    )
    return [Part(_when(desk, strength, scene), recipe, _from(desk, scene, strength), attack=True)]


def bulk_records(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """Somebody else's records through a template, the whole catalogue, as fast as it goes."""
    dice = desk.dice
    voice = desk.writer.templated(dice.some(templates(desk.split, "app"), 2), desk.groups(TextKind.RECORD, _breadth(desk)))
    recipe = replace(_base(desk, voice, scene), output=(dice.lognormal(600, 0.4), 0.5))
    return [Part(_when(desk, strength, scene, Pace(2.0, 0.7, 8.0)), recipe, _from(desk, scene, strength), attack=True)]


# ---- systematic distillation


def _distil(how: str) -> Callable[[Desk, Strength, Scene], list[Part]]:
    def describe(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
        dice = desk.dice
        voice = _extraction_text(desk, how or strength.text, TextKind.TASK, "task")
        recipe = replace(
            _base(desk, voice, scene),
            output=(dice.lognormal(450, 0.5), dice.uniform(0.25, 0.6)),
            max_tokens=(dice.pick((None, 1024, 2048, 4096)),),
            temperatures=(dice.pick((None, 0.0, 0.7, 1.0)),),
            choices=(dice.pick((None, None, None, 2, 4)),),
        )
        return [Part(_when(desk, strength, scene), recipe, _from(desk, scene, strength), attack=True)]

    return describe


def foreign_sweep(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """Passages and questions of many articles in many languages, answered at length: a corpus in the making."""
    dice = desk.dice
    languages = dice.some(sorted({g.language for g in desk.marginals.texts(desk.split, TextKind.PASSAGE)}), dice.integer(3, 8))
    groups = [g for code in languages for g in desk.groups(TextKind.PASSAGE, 3, code)]
    voice = desk.writer.templated(dice.some(templates(desk.split, "task"), 2), groups)
    recipe = replace(_base(desk, voice, scene), output=(dice.lognormal(500, 0.4), 0.5))
    return [Part(_when(desk, strength, scene), recipe, _from(desk, scene, strength), attack=True)]


# ---- reasoning elicitation


def _elicit(desk: Desk, voice: Voice, scene: Scene) -> Recipe:
    dice = desk.dice
    return replace(
        _base(desk, voice, scene),
        models=desk.models(reasons=True) if dice.flip(0.6) else _base(desk, voice, scene).models,
        output=(dice.lognormal(1500, 0.4), dice.uniform(0.3, 0.6)),
        reasoning=dice.uniform(0.5, 0.8),
        max_tokens=(dice.pick((None, 8192, 16_384)),),
    )


def cot_harvest(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """Questions of chain-of-thought sets, as they are, or tasks with the demand for the whole reasoning."""
    voice = _extraction_text(desk, strength.text, desk.dice.pick((TextKind.REASONING, TextKind.TASK)), "reasoning")
    return [Part(_when(desk, strength, scene), _elicit(desk, voice, scene), _from(desk, scene, strength), attack=True)]


def polyglot_cot(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """The same demand in many languages over ordinary questions."""
    dice = desk.dice
    codes = dice.some(desk.marginals.languages(desk.split), dice.integer(3, 8))
    voices = [desk.writer.templated(templates(desk.split, "reasoning", code), desk.groups(TextKind.PEOPLE, 2, code)) for code in codes]
    return [Part(_when(desk, strength, scene), _elicit(desk, joined(dice, *voices), scene), _from(desk, scene, strength), attack=True)]


def logprob_harvest(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """Short continuations with log-probabilities and several choices: the distribution itself is wanted."""
    dice = desk.dice
    voice = _extraction_text(desk, strength.text, TextKind.REASONING, "reasoning")
    recipe = replace(
        _elicit(desk, voice, scene),
        models=desk.models(),
        logprobs=dice.uniform(0.7, 1.0),
        choices=(dice.pick((None, 4, 8)),),
        output=(dice.lognormal(200, 0.6), 0.5),
    )
    return [Part(_when(desk, strength, scene), recipe, _from(desk, scene, strength), attack=True)]


# ---- limit evasion


def ride_limits(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """As many ordinary questions as the limit lets through and some more, keys and addresses turned run by run."""
    dice = desk.dice
    desk.plans = ("free", "pro")
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, _breadth(desk), desk.spoken()), by_session=False)
    limit = dice.pick((20, 60))
    run = round(limit * dice.uniform(1.1, 1.5)) + 1
    network = draw_network(dice, desk.who.country, addresses=dice.integer(4, 16), agents=dice.integer(1, 3))
    line = replace(desk.line(network), keys=draw_keys(dice, dice.pick((1, 3, 6, 12))), key_by="turn", limit_per_minute=limit)
    times = riding(dice.rng, strength.requests, (scene.start_ms, scene.end_ms), run, 45.0)
    return [Part(times, replace(_base(desk, voice, scene), output=(dice.lognormal(450, 0.4), 0.5)), line, attack=True)]


def failover_rotation(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """Keys get blocked (403), the next one takes over within seconds, from another address."""
    dice = desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, _breadth(desk), "en"), by_session=False)
    recipe = replace(_base(desk, voice, scene), output=(dice.lognormal(500, 0.4), 0.5))
    times = _when(desk, strength, scene)
    lives = dice.integer(3, 14)
    edges = np.linspace(0, times.size, lives + 1).astype(int).tolist()
    parts = []
    for a, b in pairwise(edges):
        line = replace(_from(desk, scene, strength, own=1.0), keys=draw_keys(dice, 1))
        end = max(a, b - dice.integer(3, 30))
        blocked = replace(recipe, failures=Failures(0.0, 1.0, 0.0, ((403, "key_blocked", 0.7), (429, "rate_limited", 0.3))))
        parts.append(Part(Arrivals(*(c[a:end] for c in times)), recipe, line, attack=True))
        parts.append(Part(Arrivals(*(c[end:b] for c in times)), blocked, line, attack=True))
    return parts


# ---- probing


def _probe_recipe(desk: Desk, voice: Voice, scene: Scene, *, client: float, refusal: float) -> Recipe:
    dice = desk.dice
    wrong = (
        (400, "invalid_request", dice.uniform(0.3, 0.6)),
        (404, "model_not_found", dice.uniform(0.2, 0.5)),
        (403, "permission_denied", dice.uniform(0.1, 0.3)),
        (413, "request_too_large", dice.uniform(0.02, 0.1)),
    )
    return replace(_base(desk, voice, scene), failures=Failures(0.003, client, refusal, wrong), output=(dice.lognormal(80, 0.5), 0.8))


def jailbreak_probe(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """One technique after the other, each a little different, most of them refused."""
    dice = desk.dice
    groups = desk.groups(TextKind.PEOPLE, dice.integer(3, 8), "en")
    voice = desk.writer.templated(templates(desk.split, "probe"), groups)
    recipe = replace(
        _probe_recipe(desk, voice, scene, client=dice.uniform(0.02, 0.15), refusal=dice.uniform(0.3, 0.8)), temperatures=(None, 0.0, 1.0)
    )
    return [Part(_when(desk, strength, scene), recipe, _from(desk, scene, strength), attack=True)]


def parameter_probe(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """What is there and what gives: models that exist or not, list calls, one-token answers, settings swept."""
    dice = desk.dice
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, 3, "en"), by_session=False)
    names = (*CHAT_MODELS, *dice.some(_UNKNOWN_MODELS, dice.integer(3, 6)))
    recipe = replace(
        _probe_recipe(desk, voice, scene, client=dice.uniform(0.3, 0.7), refusal=0.02),
        models=tuple((n, 1.0) for n in names),
        operations=(("chat", 1.0), ("list_models", dice.uniform(0.03, 0.12)), ("text_completion", 0.1)),
        max_tokens=(1, 1, 1, 16, None, 200_000),
        temperatures=(None, 0.0, 0.5, 1.0, 1.5, 2.0),
        choices=(None, 1, 8),
        logprobs=0.3,
    )
    return [Part(_when(desk, strength, scene), recipe, _from(desk, scene, strength), attack=True)]


# ---- model pivot


def release_pivot(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """Extraction moves to a model that the account did not use, at once and for good."""
    release = next((w for w in desk.weather if w.kind == "release"), None)
    used = {name for name, _ in scene.cover.recipe.models} if scene.cover else set()
    other = NEW_MODEL if release else desk.dice.pick([m for m in CHAT_MODELS if m not in used])
    voice = _extraction_text(desk, strength.text, TextKind.TASK, "task")
    recipe = replace(_base(desk, voice, scene), models=((other, 1.0),), output=(desk.dice.lognormal(500, 0.4), 0.5))
    return [Part(_when(desk, strength, scene), recipe, _from(desk, scene, strength, own=0.3), attack=True)]


# ---- credential theft


def stolen_key(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """The key turns up elsewhere: a look around (lists, tiny and malformed requests), then dear models from abroad, at all hours."""
    dice = desk.dice
    abroad = draw_network(dice, dice.pick(COUNTRIES)[0], addresses=dice.integer(2, 12), agents=dice.integer(1, 2))
    keys = scene.cover.line.keys if scene.cover else draw_keys(dice, 1)
    line = replace(_from(desk, scene, strength, own=1.0), network=abroad, keys=keys)
    voice = desk.writer.plain(
        desk.groups(TextKind.PEOPLE, _breadth(desk), dice.pick(desk.marginals.languages(desk.split))), by_session=False
    )
    recipe = replace(_base(desk, voice, scene), models=(("corvus-2-large", 1.0), ("lyra-4", 0.3)), output=(dice.lognormal(700, 0.5), 0.7))
    times = _when(desk, strength, scene)
    look = min(dice.integer(6, 30), times.size // 4)
    about = replace(
        _probe_recipe(desk, voice, scene, client=0.4, refusal=0.0),
        operations=(("chat", 1.0), ("list_models", 0.6)),
        max_tokens=(1, 16),
        models=recipe.models,
    )
    early = Arrivals(scene.start_ms + np.sort(dice.rng.integers(0, 20 * _MINUTE_MS, look)), times.sessions[:look], times.turns[:look])
    rest = Arrivals(*(c[look:] for c in times))
    return [Part(early, about, line, attack=True), Part(rest, recipe, line, attack=True)]


def stolen_key_quiet(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """No look around, the owner's own models and country, but another machine, other questions, nights included."""
    dice = desk.dice
    network = draw_network(dice, desk.who.country, addresses=dice.integer(1, 3), agents=1)
    keys = scene.cover.line.keys if scene.cover else draw_keys(dice, 1)
    voice = desk.writer.plain(desk.groups(TextKind.PEOPLE, dice.integer(3, 8), dice.pick(desk.marginals.languages(desk.split))))
    models = scene.cover.recipe.models if scene.cover else desk.models()
    recipe = replace(_base(desk, voice, scene), models=models, conversations=True)
    line = replace(_from(desk, scene, strength, own=1.0), network=network, keys=keys)
    return [Part(_when(desk, strength, scene), recipe, line, attack=True)]


# ---- resale


def relay(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """Other people's users behind one key: many languages and subjects, agents passed through, no prefix ever repeats."""
    dice = desk.dice
    languages = dice.some(desk.marginals.languages(desk.split), dice.integer(4, 10))
    voice = desk.writer.plain([g for code in languages for g in desk.groups(TextKind.PEOPLE, dice.integer(2, 5), code)])
    network = draw_network(dice, desk.who.country, addresses=dice.integer(6, 60), agents=dice.integer(3, 10))
    line = replace(_from(desk, scene, strength, own=1.0), network=network)
    if scene.cover is not None:
        line = replace(line, keys=scene.cover.line.keys)
    recipe = replace(_base(desk, voice, scene), cached=dice.uniform(0.0, 0.08), conversations=dice.flip(0.5))
    return [Part(_when(desk, strength, scene), recipe, line, attack=True)]


def relay_pool(desk: Desk, strength: Strength, scene: Scene) -> list[Part]:
    """A reselling pool: one agent of its own, rotating exits in many countries, long contexts without reuse."""
    dice = desk.dice
    languages = dice.some(desk.marginals.languages(desk.split), dice.integer(3, 8))
    voice = desk.writer.plain([g for code in languages for g in desk.groups(TextKind.PEOPLE, 3, code)])
    exits = draw_network(dice, desk.who.country, addresses=dice.integer(20, 80))
    pool = tuple((address, dice.pick(COUNTRIES)[0]) for address, _ in exits.pool)
    line = replace(_from(desk, scene, strength, own=1.0), network=replace(exits, pool=pool))
    recipe = replace(_base(desk, voice, scene), context=1.0, cached=dice.uniform(0.0, 0.1))
    return [Part(_when(desk, strength, scene), recipe, line, attack=True)]


ATTACKS: dict[str, Attack] = {
    a.name: a
    for a in (
        Attack("bulk_drain", "bulk_extraction", (), "chat_product", bulk_drain),
        Attack("bulk_records", "bulk_extraction", ("systematic_distillation",), "tireless_batch", bulk_records, judge_only=True),
        Attack("template_sweep", "systematic_distillation", ("bulk_extraction",), "in_house_synthetic", _distil("template")),
        Attack("paraphrase_sweep", "systematic_distillation", ("bulk_extraction",), "in_house_synthetic", _distil("paraphrase")),
        Attack("dataset_replay", "systematic_distillation", ("bulk_extraction",), "nightly_evaluation", _distil("dataset")),
        Attack("self_instruct", "systematic_distillation", ("bulk_extraction",), "in_house_synthetic", _distil("self_instruct")),
        Attack("mixed_sweep", "systematic_distillation", ("bulk_extraction",), "nightly_evaluation", _distil("mixed"), judge_only=True),
        Attack("foreign_sweep", "systematic_distillation", ("bulk_extraction",), "support_rag", foreign_sweep, judge_only=True),
        Attack("cot_harvest", "reasoning_elicitation", ("systematic_distillation",), "audit_explainer", cot_harvest),
        Attack("polyglot_cot", "reasoning_elicitation", ("systematic_distillation",), "audit_explainer", polyglot_cot, judge_only=True),
        Attack("logprob_harvest", "reasoning_elicitation", ("systematic_distillation",), "audit_explainer", logprob_harvest),
        Attack("ride_limits", "limit_evasion", ("bulk_extraction",), "limited_client", ride_limits),
        Attack("failover_rotation", "limit_evasion", ("bulk_extraction",), "rotating_keys", failover_rotation, judge_only=True),
        Attack("jailbreak_probe", "probing", (), "safety_tester", jailbreak_probe),
        Attack("parameter_probe", "probing", (), "solo_developer", parameter_probe),
        Attack("release_pivot", "model_pivot", ("systematic_distillation", "bulk_extraction"), "in_house_synthetic", release_pivot),
        Attack("stolen_key", "credential_theft", ("bulk_extraction",), "team_key", stolen_key),
        Attack("stolen_key_quiet", "credential_theft", ("resale", "bulk_extraction"), "chat_product", stolen_key_quiet, judge_only=True),
        Attack("relay", "resale", ("credential_theft",), "platform_aggregator", relay),
        Attack("relay_pool", "resale", ("credential_theft", "limit_evasion"), "platform_aggregator", relay_pool, judge_only=True),
    )
}
"""Attack archetypes by permanent id."""

COVERS = (
    "chat_product",
    "solo_developer",
    "team_key",
    "one_language_product",
    "support_rag",
    "ci_agent",
    "one_topic_product",
    "failover_client",
)
"""Lives that an attacker's account leads beside the attack."""
