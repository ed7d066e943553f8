"""Marginals from the package's own generator: tenants of drawn rhythms, texts dealt from the simulator's decks. Needs no data.

The shapes (heavy tails, clumps, days and weeks, short stays) are those of public traces; the numbers are drawn.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pipeline.lab.evaluate.marginals import CLUMPS, QUANTILES, SLOTS, Group, Marginals, Tenant, TextKind, chars_per_token, swing_of
from pipeline.lab.simulate.decks import TOPICS, Library, deal
from pipeline.lab.simulate.dice import Dice, generator, wander
from pipeline.lab.simulate.languages import SPOKEN
from pipeline.lab.simulate.phrases import ELICITATION, TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_SEED = 20_260
"""Fixed: tenant `p17` and deck `en/5` are the same thing in every run, so the split means something."""
_TENANTS = 160
_LEVELS = np.linspace(0.0, 1.0, QUANTILES)
_NORMAL = np.array([-3.0, -1.86, -1.53, -1.32, -1.15, -1.01, -0.89, -0.78, -0.67, -0.58, -0.49, -0.4, -0.32, -0.24, -0.16, -0.08, 0.0])
_GRID = np.concatenate([_NORMAL, -_NORMAL[-2::-1]])
"""Standard normal quantiles at the 33 levels, the ends cut at 3."""


@lru_cache(maxsize=1)
def load_parametric() -> Marginals:
    """Make them once per process."""
    library = Library(_SEED)
    reuse = np.clip(0.1 + 0.9 * _LEVELS**1.6, 0.0, 1.0)
    return Marginals("parametric", tuple(_tenant(i) for i in range(_TENANTS)), tuple(_groups(library)), reuse)


def _tenant(number: int) -> Tenant:
    dice = Dice(generator(_SEED, 1, number))
    weights = _profile(dice)
    spread = dice.lognormal(1.4, 0.5)
    clump = np.clip((1 + (spread * np.exp(0.3 * dice.rng.standard_normal(SLOTS))) ** 2) / 2, *CLUMPS)
    inputs = np.exp(np.log(dice.lognormal(560, 1.1)) + dice.uniform(0.2, 1.2) * _GRID)
    outputs = np.exp(np.log(dice.lognormal(110, 1.2)) + dice.uniform(0.2, 1.1) * _GRID)
    stretches = np.exp(0.12 * dice.rng.standard_normal((28, 1)))
    return Tenant(
        name=f"p{number}",
        weights=weights / weights.sum(),
        clump=clump,
        inputs=np.maximum(inputs * stretches, 5.0),
        outputs=np.maximum(outputs * stretches, 1.0),
        days=int((weights.reshape(-1, 144).sum(axis=1) > 0).sum()),
        swing=swing_of(weights),
        requests=dice.lognormal(40_000, 2.0),
    )


def _profile(dice: Dice) -> NDArray[np.float64]:
    """Rates of the slots: one or two daily humps, a week, weather that hangs together, and for some only a stay of days."""
    slot = np.arange(SLOTS)
    hour = slot / 6 % 24
    rate = np.full(SLOTS, dice.pick((0.02, 0.1, 0.4, 3.0)))
    for _ in range(dice.integer(1, 2)):
        rate += dice.uniform(0.4, 1.0) * np.exp(dice.uniform(1.0, 5.0) * (np.cos(2 * np.pi * (hour - dice.uniform(0, 24)) / 24) - 1))
    day = slot // 144
    rate *= np.where((day + dice.integer(0, 6)) % 7 >= 5, dice.uniform(0.2, 1.0), 1.0)
    noise = wander(dice.rng.standard_normal(SLOTS), 0.93, 0.37)
    rate *= np.exp(dice.uniform(0.1, 0.7) * noise)
    if dice.flip(0.3):
        first, stay = dice.integer(0, 13), dice.integer(1, 8)
        rate *= (day >= first) & (day < first + stay)
    return rate


def _groups(library: Library) -> Iterable[Group]:
    for language in (*SPOKEN, "code"):
        for topic in range(TOPICS):
            yield _deck(library, f"deck/{language}/{topic}", TextKind.PEOPLE, language, topic, (7.0, 0.9))
            if language != "code" and topic % 2:
                yield _deck(library, f"record/{language}/{topic}", TextKind.RECORD, language, topic, (16.0, 0.35))
            if language != "code" and topic % 3 == 0:
                yield _deck(library, f"passage/{language}/{topic}", TextKind.PASSAGE, language, topic, (60.0, 0.4))
    for number, task in enumerate(TASKS):
        for topic in range(0, TOPICS, 4):
            yield _filled(library, f"task/{number}/{topic}", TextKind.TASK, "en", topic, task)
    for topic in range(TOPICS):
        yield _deck(library, f"dataset/{topic}", TextKind.TASK, "en", topic, (11.0, 0.4))
    for language, asks in sorted(ELICITATION.items()):
        for topic in range(0, TOPICS, 3):
            yield _filled(
                library, f"reasoning/{language}/{topic}", TextKind.REASONING, language, topic, f"{{9}}\n{asks[topic % len(asks)]}"
            )


def _deck(library: Library, name: str, kind: TextKind, language: str, topic: int, size: tuple[float, float]) -> Group:
    median, sigma = size

    def draw(rng: np.random.Generator, count: int) -> list[str]:
        phrases = library.deck(language, topic)
        lengths = np.clip(np.rint(median * np.exp(sigma * rng.standard_normal(count))), 1, 400).astype(np.int64)
        numbers, ends = deal(rng, lengths).tolist(), np.cumsum(lengths).tolist()
        starts = [0, *ends[:-1]]
        return ["".join(phrases[i] for i in numbers[a:b]).strip() for a, b in zip(starts, ends, strict=True)]

    return Group(name, name, "generated", kind, language, draw)


def _filled(library: Library, name: str, kind: TextKind, language: str, topic: int, text: str) -> Group:
    """A task wording with every slot filled from one deck."""
    parts = text.replace("}", "{").split("{")

    def draw(rng: np.random.Generator, count: int) -> list[str]:
        phrases = library.deck(language, topic)
        made = [[""] * len(parts) for _ in range(count)]
        for number, part in enumerate(parts):
            if not number % 2:
                for row in made:
                    row[number] = part
                continue
            lengths = np.clip(np.rint(int(part) * np.exp(0.3 * rng.standard_normal(count))), 1, 200).astype(np.int64)
            numbers, ends = deal(rng, lengths).tolist(), np.cumsum(lengths).tolist()
            for row, a, b in zip(made, [0, *ends[:-1]], ends, strict=True):
                row[number] = "".join(phrases[i] for i in numbers[a:b]).strip()
        return ["".join(row) for row in made]

    return Group(name, name, "generated", kind, language, draw)


def tokens_of(text: str, language: str) -> int:
    """Model tokens of a text, about."""
    return int(len(text) / chars_per_token(language)) + 1
