"""Writing prompts: a recipe (templates, topics, regularity) and the hand that deals them from the library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.times import DAY_MS
from pipeline.lab.simulate.decks import TOPICS, deal
from pipeline.lab.simulate.dice import scatter
from pipeline.lab.simulate.languages import LANGUAGES
from pipeline.lab.simulate.phrases import Slot, Template

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.simulate.decks import Library
    from pipeline.lab.simulate.dice import Dice

_MAX_PHRASES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one stream of traffic writes.

    Attributes:
        templates: with their weights.
        topics: topic numbers, with the log-weight, phase and amplitude of each one's slow drift.
        period_days: length of the drift.
        sigma: spread (of the logarithm) of slot lengths: .1 is a script, .9 is people.
        by_session: a session keeps its topic.
        sweep: requests per topic before the next one is taken, in order, covering all; 0: topics by weight.
    """

    templates: tuple[tuple[Template, float], ...]
    topics: tuple[tuple[int, float, float], ...]
    period_days: float = 40.0
    amplitude: float = 0.7
    sigma: float = 0.8
    by_session: bool = True
    sweep: int = 0


def free(code: str, phrases: int) -> Template:
    """Nothing but generated text."""
    return Template(code, (Slot(phrases),))


def own_topics(dice: Dice, count: int) -> tuple[tuple[int, float, float], ...]:
    """Return `count` topics with uneven weights, each with its own phase of drift."""
    numbers = dice.some(range(TOPICS), count)
    return tuple((number, float(dice.rng.normal(0, 0.8)), dice.uniform(0, 2 * np.pi)) for number in numbers)


def _topics(recipe: Recipe, rng: np.random.Generator, at_ms: int, sessions: NDArray[np.int64], serial: int, salt: int) -> NDArray[np.int64]:
    size = sessions.size
    if recipe.sweep:
        return ((serial + np.arange(size)) // recipe.sweep) % TOPICS
    numbers = np.array([t[0] for t in recipe.topics], np.int64)
    if numbers.size == 1:
        return np.repeat(numbers, size)
    turn = 2 * np.pi * (at_ms / DAY_MS) / recipe.period_days
    logits = np.array([t[1] + recipe.amplitude * np.sin(turn + t[2]) for t in recipe.topics])
    edges = np.cumsum(np.exp(logits))
    u = scatter(sessions, salt).astype(np.float64) / 2.0**64 if recipe.by_session else rng.random(size)
    chosen: NDArray[np.int64] = numbers[np.minimum(np.searchsorted(edges, u * edges[-1], side="right"), numbers.size - 1)]
    return chosen


def write(
    recipe: Recipe,
    library: Library,
    rng: np.random.Generator,
    at_ms: int,
    sessions: NDArray[np.int64],
    serial: int,
    salt: int,
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Write one prompt per entry of `sessions` → texts, tokens per character, and characters before the first slot.

    Args:
        recipe: how to write.
        library: where phrases come from.
        rng: the stream's generator.
        at_ms: event time, for the drift of topics.
        sessions: session number of each request.
        serial: number of the first request in its stream, for sweeps.
        salt: the stream's own number: its sessions choose topics by it.
    """
    size = sessions.size
    topics = _topics(recipe, rng, at_ms, sessions, serial, salt).tolist()
    count = len(recipe.templates)
    if count == 1:
        choice = np.zeros(size, np.int64)
    else:
        weights = np.cumsum([w for _, w in recipe.templates])
        choice = np.searchsorted(weights, rng.random(size) * weights[-1], side="right")
    texts = [""] * size
    density, lead = np.empty(size), np.zeros(size)
    for number, (template, _) in enumerate(recipe.templates):
        at = np.flatnonzero(choice == number) if count > 1 else np.arange(size)
        if at.size:
            density[at] = 1.0 / LANGUAGES[template.code].chars_per_token
            opening = template.pieces[0]
            lead[at] = len(opening) if isinstance(opening, str) else 0
            _fill(template, recipe.sigma, library, rng, at.tolist(), topics, texts)
    return texts, density, lead


def _fill(
    template: Template,
    sigma: float,
    library: Library,
    rng: np.random.Generator,
    at: list[int],
    topics: list[int],
    texts: list[str],
) -> None:
    dealt: list[tuple[list[int], list[int]]] = []
    for piece in template.pieces:
        if isinstance(piece, Slot):
            counts = np.rint(piece.phrases * np.exp(sigma * rng.standard_normal(len(at)))).astype(np.int64)
            counts = np.clip(counts, 1, _MAX_PHRASES)
            dealt.append((deal(rng, counts).tolist(), np.cumsum(counts).tolist()))
    for order, index in enumerate(at):
        phrase = library.deck(template.code, topics[index]).__getitem__
        parts: list[str] = []
        slot = 0
        for piece in template.pieces:
            if isinstance(piece, str):
                parts.append(piece)
            else:
                numbers, ends = dealt[slot]
                slot += 1
                parts += map(phrase, numbers[ends[order - 1] if order else 0 : ends[order]])
        texts[index] = "".join(parts)
