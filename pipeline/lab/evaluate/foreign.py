"""Foreign habits, to teach on: what goes without saying in one source of traffic is otherwise in the next.

A source, real or drawn, has habits that hold for everybody in it: which fields its gateway passes on, how much its customers ask
and in what bursts, how long answers and prompts are. Trees taught on two sources learn the habits of two. A population with
habits of its own draws them for honest accounts and attackers from one distribution, so that they say nothing about anybody
(domain randomisation: Tobin et al., 2017).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.lab.evaluate.arrivals import Arrivals, ordered, steady
from pipeline.lab.simulate.identity import STRIPPED

if TYPE_CHECKING:
    from pipeline.lab.evaluate.attacks import Strength
    from pipeline.lab.evaluate.stream import Recipe
    from pipeline.lab.evaluate.world import Part
    from pipeline.lab.simulate.dice import Dice

_UNTOLD: tuple[tuple[frozenset[str], float], ...] = (
    (frozenset({"account_created_at_ms"}), 0.25),
    (frozenset({"prompt"}), 0.2),
    (frozenset({"reasoning_tokens", "cached_input_tokens"}), 0.35),
    (frozenset({"temperature", "choice_count", "logprobs", "max_tokens"}), 0.3),
    (frozenset({"client_address"}), 0.2),
    (frozenset({"country"}), 0.25),
    (frozenset({"user_agent"}), 0.25),
    (frozenset({"api_key_id"}), 0.25),
)
"""Fields that a source may not tell of anybody, and how often it is so."""
_BARE = 0.15
"""Chance that a source tells hardly more than who asked, when and how much; and that a single account's gateway passes on no more."""
_WIDEST_JITTER_MS = 10_800_000
_BUSY = 1_000.0
"""Requests a day from which an account's history stays short, so that a population stays playable."""
_STEADY = 0.12
"""Chance of an account, honest or not, whose requests come at a machine's even pace."""
_PURE = 0.35
"""Share of attacks that have their account to themselves."""


class Wording(NamedTuple):
    """What an account does to every text before it says it.

    Attributes:
        how: `cut` to a size, `pair` (two texts in one prompt), `preamble` (the same beginning for all of a group), or empty.
        size: characters.
    """

    how: str = ""
    size: int = 0

    def apply(self, texts: list[str]) -> list[str]:
        """The texts as this account words them."""
        if self.how == "cut":
            return [t[: self.size] for t in texts]
        if self.how == "pair":
            return [a + "\n" + b for a, b in zip(texts, texts[1:] + texts[:1], strict=True)]
        if self.how == "preamble" and texts:
            begin = (texts[0] + "\n") * (self.size // (len(texts[0]) + 1) + 1)
            return [begin[: self.size] + "\n" + t for t in texts]
        return texts


AS_IT_IS = Wording()


class Ordinary:
    """A population without habits of its own: everything is as drawn."""

    volume: float = 1.0

    def wording(self, dice: Dice, before: Wording | None = None) -> Wording:  # noqa: ARG002 - what `Habits` is asked
        """An account's; `before` is how it worded what it did so far."""
        return AS_IT_IS

    def age(self, dice: Dice) -> int:
        """Of a newcomer at its first request, ms."""
        return dice.integer(30_000, HOUR_MS)

    def age_of_attacker(self, dice: Dice) -> int:  # noqa: ARG002
        """Likewise, of one that signs up to attack."""
        return 0

    def strength(self, dice: Dice, drawn: Strength) -> Strength:  # noqa: ARG002
        """What becomes of an attack's strength."""
        return drawn

    def history(self, dice: Dice, drawn_ms: int, longest_ms: int, per_day: float) -> int:  # noqa: ARG002
        """How long an aged account has been seen before its attack."""
        return drawn_ms

    def untold(self, dice: Dice) -> frozenset[str]:  # noqa: ARG002
        """Fields that are not told of an account, whatever it does."""
        return frozenset()

    def parts(self, dice: Dice, parts: list[Part]) -> list[Part]:  # noqa: ARG002
        """An account's streams as they are lived here."""
        return parts


@dataclass(frozen=True, kw_only=True)
class Habits(Ordinary):
    """Of a population that has its own.

    Attributes:
        hidden: fields told of nobody.
        volume: factor of everybody's ordinary requests.
        output, spread: factors of everybody's output tokens and of the spread of their logarithm.
        smooth: everybody's requests come one by one, not in bursts.
    """

    hidden: frozenset[str]
    volume: float
    output: float
    spread: float
    smooth: bool

    def wording(self, dice: Dice, before: Wording | None = None) -> Wording:
        """What else an account does it words as before or otherwise."""
        if before is not None and not dice.flip(0.5):
            return before
        how = dice.pick(("", "cut", "pair", "preamble"), (0.5, 0.2, 0.1, 0.2))
        return Wording(how, round(dice.log_uniform(24, 400) if how == "cut" else dice.log_uniform(40, 1_500)))

    def age(self, dice: Dice) -> int:
        """Half a minute to twenty days."""
        return round(dice.log_uniform(30_000, 20 * DAY_MS))

    def age_of_attacker(self, dice: Dice) -> int:
        """As everybody's: where only attackers are young, youth is guilt."""
        return self.age(dice)

    def untold(self, dice: Dice) -> frozenset[str]:
        """Whoever it is: where only the honest sit behind poor gateways, silence is a tell."""
        return self.hidden | STRIPPED if dice.flip(_BARE) else self.hidden

    def strength(self, dice: Dice, drawn: Strength) -> Strength:
        """Some attackers do nothing else: where shares are drawn evenly on a log scale hardly one does."""
        return replace(drawn, share=1.0) if dice.flip(_PURE) else drawn

    def history(self, dice: Dice, drawn_ms: int, longest_ms: int, per_day: float) -> int:
        """As drawn, or ever since the population is seen."""
        return longest_ms if per_day < _BUSY and dice.flip(0.5) else drawn_ms

    def parts(self, dice: Dice, parts: list[Part]) -> list[Part]:
        """Longer or shorter answers, other contexts and caches, another pace."""
        told = _Account(
            scale=self.output * dice.lognormal(1.0, 0.35),
            spread=self.spread * dice.lognormal(1.0, 0.15),
            context=dice.pick((0.0, 0.5, 1.0)) if dice.flip(0.3) else None,
            cached=dice.uniform(0.0, 0.85) if dice.flip(0.3) else None,
        )
        found = [replace(part, recipe=told.recipe(part.recipe)) for part in parts]
        if dice.flip(_STEADY):
            return [replace(part, arrivals=_even(dice, part.arrivals)) for part in found]
        widest = _WIDEST_JITTER_MS if self.smooth else 60_000
        jitter = dice.log_uniform(widest / 10, widest) if self.smooth or dice.flip(0.3) else 0.0
        # who rides limits comes in runs of the limit's size
        return [part if part.line.key_by == "turn" else replace(part, arrivals=_moved(dice, part.arrivals, jitter)) for part in found]


def draw_habits(dice: Dice) -> Habits:
    """A population's."""
    untold = [fields for fields, often in _UNTOLD if dice.flip(often)]
    if dice.flip(_BARE):
        untold += [STRIPPED, frozenset({"prompt"} if dice.flip(0.4) else ())]
    return Habits(
        hidden=frozenset().union(*untold),
        volume=dice.lognormal(1.0, 0.6),
        output=dice.lognormal(1.0, 0.4),
        spread=dice.lognormal(1.0, 0.3),
        smooth=dice.flip(0.4),
    )


class _Account(NamedTuple):
    """What an account changes of a recipe; None: nothing."""

    scale: float
    spread: float
    context: float | None
    cached: float | None

    def recipe(self, recipe: Recipe) -> Recipe:
        found = replace(recipe, scale=self.scale, spread=self.spread)
        found = found if self.context is None else replace(found, context=self.context)
        return found if self.cached is None else replace(found, cached=self.cached)


def _even(dice: Dice, arrivals: Arrivals) -> Arrivals:
    """As many requests over the same time at a machine's even pace, around the clock."""
    if arrivals.size < 2:
        return arrivals
    return steady(dice.rng, arrivals.size, (int(arrivals.times[0]), int(arrivals.times[-1]) + 1), dice.uniform(0.2, 1.0))


def _moved(dice: Dice, arrivals: Arrivals, jitter_ms: float) -> Arrivals:
    """Every request moved on its own: bursts narrower than that dissolve, days and weeks stay."""
    if jitter_ms == 0.0 or arrivals.size < 2:
        return arrivals
    first, last = arrivals.times[0], arrivals.times[-1]
    times = arrivals.times + np.rint(jitter_ms * dice.rng.standard_normal(arrivals.size)).astype(np.int64)
    times = np.clip(last - np.abs(last - (first + np.abs(times - first))), first, last)  # what leaves at an end comes back in
    return ordered(arrivals._replace(times=times))
