"""A source of its own for each population, to teach on: what tenants and texts are like in one source is otherwise in the next.

The two sources that we have agree in more than any third need to, and one of them is far more restless than the other. A drawn
source takes each sort of text from either or both of them, and changes what all its tenants and all its texts have in common: how
peaked days are, how large bursts, how tight limits, how restless volumes and lengths, how long prompts, how often a text comes
again or asks as attackers ask, how far an account's subjects wander. Honest accounts and attackers draw from the same one, so that
none of this says anything about anybody (domain randomisation: Tobin et al., 2017).
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from pipeline.base.hashing import hash_text
from pipeline.lab.evaluate.marginals import CLUMPS, SLOTS, Group, Marginals, Tenant, swing_of
from pipeline.lab.evaluate.parametric import load_parametric
from pipeline.lab.evaluate.wording import templates
from pipeline.lab.simulate.dice import wander
from pipeline.lab.simulate.identity import draw_keys, draw_network

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pipeline.lab.evaluate.stream import Recipe
    from pipeline.lab.evaluate.world import Part
    from pipeline.lab.simulate.dice import Dice

T = TypeVar("T")

_PARTS = (0.35, 0.35, 0.3)
"""Chances that tenants, or texts of one kind and language, come from the first source, from the second, from both."""
_MOST_TOKENS = 200_000.0
_EXPONENTS = (0.2, 2.5)
_STRETCHES = 56
"""Six hours each, in 14 days."""
_TIMES = (14, _STRETCHES, _STRETCHES, _STRETCHES)
_ASIDES = ("task", "reasoning")
"""Uses of templates that anybody may say now and then."""
_OFTEN = 0.15
"""Chance of each setting of its own that a client has."""
_ELSEWHERE = 5
"""Other groups that strays of one draw come from."""


class _Texts(NamedTuple):
    """What all texts of the source have in common.

    Attributes:
        stray: share of an account's texts that come from anywhere in the source (same kind and language).
        known: distinct texts of a group, 0: as many as are asked for; popular ones come more often.
        joined: mean number of texts that make one prompt (geometric).
        longest: characters of a prompt.
        aside: share of prompts in the wording of a task or of a demand for reasoning, whoever says it.
    """

    stray: float
    known: int
    joined: float
    longest: int
    aside: float


class _Tenants(NamedTuple):
    """What all tenants of the source have in common.

    Attributes:
        peaks: exponent of the rates: above 1, busy hours are busier.
        bursts, inputs, outputs: factors of the size of bursts and of tokens.
        spread: exponent of tokens around their median.
        restless: about the standard deviation of the logarithm of the day's volume, of input tokens, of output tokens and of
            their spread from one time to another; each tenant has its own.
    """

    peaks: float
    bursts: float
    inputs: float
    outputs: float
    spread: float
    restless: tuple[float, float, float, float]


def draw_source(dice: Dice, marginals: Marginals) -> Marginals:
    """A source between, and beside, these marginals and the parametric ones."""
    second = load_parametric()
    sources = (marginals, second) if marginals is not second else (marginals,)
    tenants = _Tenants(
        peaks=dice.uniform(0.5, 1.5),
        bursts=dice.lognormal(1.2, 0.7),
        inputs=dice.lognormal(1.0, 0.5),
        outputs=dice.lognormal(1.0, 0.4),
        spread=dice.uniform(0.6, 1.5),
        restless=(dice.log_uniform(0.1, 1.2), dice.log_uniform(0.1, 1.0), dice.log_uniform(0.1, 1.2), dice.log_uniform(0.05, 0.5)),
    )
    texts = _Texts(
        stray=dice.log_uniform(0.05, 1.0) if dice.flip(0.5) else 0.0,
        known=round(dice.log_uniform(8, 400)) if dice.flip(0.4) else 0,
        joined=dice.uniform(1.0, 3.0) if dice.flip(0.5) else 1.0,
        longest=round(dice.log_uniform(60, 6_000)),
        aside=dice.log_uniform(0.003, 0.25) if dice.flip(0.75) else 0.0,
    )
    return Marginals(
        f"drawn from {marginals.name}",
        tuple(_changed(dice, t, tenants) for source in _chosen(dice, [list(s.tenants) for s in sources]) for t in source),
        tuple(_groups(dice, sources, texts)),
        np.clip(marginals.reuse ** dice.uniform(0.5, 2.0), 0.0, 1.0),
        limits=min(dice.lognormal(0.6, 0.7), 1.5),
    )


def own_settings(dice: Dice, parts: list[Part], country: str) -> list[Part]:
    """An account's streams with its client's own settings, whatever it is for; honest ones also with more keys, agents, addresses.

    Whoever always asks for four answers or for log-probabilities is no attacker for it, nor who has six keys.
    """
    recipe: dict[str, Any] = {}
    line: dict[str, Any] = {}
    if dice.flip(_OFTEN):
        recipe["choices"] = (dice.pick((2, 3, 4, 8)),)
    if dice.flip(_OFTEN):
        recipe["logprobs"] = dice.pick((1.0, 1.0, 0.3))
    if dice.flip(_OFTEN):
        recipe["max_tokens"] = (dice.pick((16, 64, 256, 8_192)),)
    if dice.flip(_OFTEN):
        recipe["temperatures"] = dice.some((None, 0.0, 0.3, 0.7, 1.0, 1.3), dice.integer(1, 4))
    if dice.flip(_OFTEN):
        line["keys"] = draw_keys(dice, dice.integer(2, 8))
    if dice.flip(_OFTEN):
        line["network"] = draw_network(dice, country, addresses=dice.integer(2, 60), agents=dice.integer(1, 16))
    found = [replace(part, recipe=replace(part.recipe, **_unswept(part.recipe, recipe))) for part in parts]
    return [part if part.attack else replace(part, line=replace(part.line, **line)) for part in found]


def _unswept(recipe: Recipe, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings, without those that the recipe sweeps through: there the sweep is the point."""
    return {name: value for name, value in settings.items() if name == "logprobs" or len(getattr(recipe, name)) == 1}


def _chosen(dice: Dice, lists: list[list[T]]) -> list[list[T]]:
    """One of the two or both of them; what is there, when only one has anything."""
    lists = [found for found in lists if found]
    if len(lists) < 2:
        return lists
    return dice.pick((lists[:1], lists[1:], lists), _PARTS)


def _changed(dice: Dice, tenant: Tenant, how: _Tenants) -> Tenant:
    days, inputs, outputs, spread = (_wandering(dice, sd * dice.lognormal(1.0, 0.7), n) for sd, n in zip(how.restless, _TIMES, strict=True))
    weights = tenant.weights**how.peaks * np.repeat(days, SLOTS // days.size)
    weights /= weights.sum()
    return replace(
        tenant,
        weights=weights,
        clump=np.clip(tenant.clump * how.bursts, *CLUMPS),
        inputs=np.clip(_spread(tenant.inputs, how.spread * spread) * how.inputs * inputs[:, None], 5.0, _MOST_TOKENS),
        outputs=np.clip(_spread(tenant.outputs, how.spread * spread) * how.outputs * outputs[:, None], 1.0, _MOST_TOKENS),
        swing=swing_of(weights),
    )


def _wandering(dice: Dice, deviation: float, times: int) -> NDArray[np.float64]:
    """Factors that wander around 1, from one time to the next hardly or at will (AR(1))."""
    hold = dice.pick((0.0, 0.5, 0.9, 0.98))
    first, *steps = dice.rng.standard_normal(times + 1)[:-1]  # the last is drawn for the sake of populations that have taught
    levels = wander(np.array(steps), hold, math.sqrt(1.0 - hold * hold), first)
    return np.exp(deviation * np.concatenate(([first], levels)))


def _spread(quantiles: NDArray[np.float64], exponent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Token quantiles of k stretches pulled together or apart around each median → [_STRETCHES, QUANTILES]."""
    quantiles = quantiles[np.arange(_STRETCHES) % len(quantiles)]
    middle = np.maximum(np.median(quantiles, axis=1, keepdims=True), 1.0)
    found: NDArray[np.float64] = middle * (np.maximum(quantiles, 1.0) / middle) ** np.clip(exponent, *_EXPONENTS)[:, None]
    return found


def _groups(dice: Dice, sources: tuple[Marginals, ...], how: _Texts) -> Iterable[Group]:
    """Each half's groups of each kind and language, from either source or both, with the source's ways."""
    cells = [{key: list(found) for key, found in groupby(sorted(s.groups, key=_cell), _cell)} for s in sources]
    for key in sorted({key for cell in cells for key in cell}):
        chosen = [g for groups in _chosen(dice, [cell.get(key, []) for cell in cells]) for g in groups]
        for group in chosen:
            yield _with_ways(group, chosen, how)


def _cell(group: Group) -> tuple[str, str, str]:
    return group.split.value, group.kind.value, group.language


def _with_ways(group: Group, among: list[Group], how: _Texts) -> Group:
    def draw(rng: np.random.Generator, count: int) -> list[str]:
        sizes = rng.geometric(1.0 / how.joined, count)
        wanted = int(sizes.sum())
        texts = _popular(group, rng, wanted, how.known) if how.known else group.draw(rng, wanted)
        _stray(among, rng, texts, how.stray)
        ends = np.cumsum(sizes).tolist()
        prompts = ["\n".join(texts[end - size : end])[: how.longest] for end, size in zip(ends, sizes.tolist(), strict=True)]
        for at in np.flatnonzero(rng.random(count) < how.aside).tolist():
            wordings = templates(group.split, _ASIDES[rng.integers(len(_ASIDES))], group.language)
            prompts[at] = wordings[rng.integers(len(wordings))].fill(prompts[at])
        return prompts

    return replace(group, draw=draw)


def _stray(among: list[Group], rng: np.random.Generator, texts: list[str], share: float) -> None:
    """Put texts of a few other groups in the place of some."""
    strays = np.flatnonzero(rng.random(len(texts)) < share).tolist()
    if strays:
        elsewhere = rng.integers(len(among), size=min(_ELSEWHERE, len(strays))).tolist()
        found = (text for other in elsewhere for text in among[other].draw(rng, -(-len(strays) // len(elsewhere))))
        for at, text in zip(strays, found, strict=False):
            texts[at] = text


def _popular(group: Group, rng: np.random.Generator, count: int, known: int) -> list[str]:
    """Texts of the few that everybody asks for, the rank even on a log scale."""
    texts = group.draw(np.random.default_rng(hash_text(group.name)), known)
    return [texts[rank - 1] for rank in (known ** rng.random(count)).astype(np.int64).tolist()]
