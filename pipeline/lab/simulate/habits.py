"""Parts that the cast is described with: an account's lasting habit, and the draws that many habits share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.lab.simulate.decks import HEADS, MIDDLES, TOPICS, deal
from pipeline.lab.simulate.outcomes import Failures
from pipeline.lab.simulate.rhythm import Week
from pipeline.lab.simulate.traffic import CHAT_MODELS, MODELS, USUAL_CLIENT_ERRORS, Traffic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.simulate.decks import Library
    from pipeline.lab.simulate.dice import Dice
    from pipeline.lab.simulate.identity import Identity, Network
    from pipeline.lab.simulate.rhythm import Rhythm
    from pipeline.lab.simulate.texts import Recipe


class Desk(NamedTuple):
    """What a description may use: dice, phrases, who the account is, and how many days are played."""

    dice: Dice
    library: Library
    who: Identity
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """One account's lasting way of using the API.

    Attributes:
        trend: relative volume of each day played, mean about 1.
        peak_per_minute: what the account's agreed limit must allow, requests per minute and key.
        hidden: fields its gateway drops, when that differs from the drawn identity.
        plans: what such a customer pays for; empty: any.
        arrives: the account signs up while the simulation runs.
    """

    rhythm: Rhythm
    traffic: Traffic
    network: Network
    keys: tuple[str, ...]
    trend: NDArray[np.float64]
    peak_per_minute: float = 20.0
    hidden: frozenset[str] | None = None
    plans: tuple[str, ...] = ()
    arrives: bool = False


def restless(dice: Dice, days: int, sigma: float = 0.25) -> NDArray[np.float64]:
    """Steady over the weeks, with good and bad days that hang together (AR(1), φ = .6)."""
    noise = np.empty(days)
    level = dice.rng.standard_normal()
    for day in range(days):
        level = 0.6 * level + 0.8 * dice.rng.standard_normal()
        noise[day] = level
    return np.exp(sigma * noise - sigma * sigma / 2)


def campaigns(dice: Dice, days: int, duty: float = 0.4) -> NDArray[np.float64]:
    """Runs of one to three days of work, then nothing for a while."""
    on = np.zeros(days)
    day = dice.integer(0, min(2, days - 1))
    while day < days:
        length = dice.integer(1, 3)
        on[day : day + length] = dice.uniform(0.6, 1.5)
        day += length + max(1, round(dice.rng.exponential(length * (1 / duty - 1))))
    return on / duty


def pick_models(dice: Dice, *, reasons: bool | None = None) -> tuple[tuple[str, float], ...]:
    """Return one or two chat models with weights, of those that reason or do not when that is given."""
    names = [n for n in CHAT_MODELS if reasons is None or reasons == MODELS[n].reasons]
    chosen = dice.some(names, dice.integer(1, 2))
    return tuple((name, 1.0 if i == 0 else dice.uniform(0.05, 0.4)) for i, name in enumerate(chosen))


def fixed_text(desk: Desk, code: str, phrases: int) -> str:
    """Text that stays the same for ever: the body of somebody's own template."""
    deck = desk.library.deck(code, desk.dice.integer(0, TOPICS - 1))
    numbers = deal(desk.dice.rng, np.array([phrases]))
    return "".join(deck[i] for i in numbers.tolist()) + deck[HEADS + MIDDLES].rstrip() + "\n"


def people(desk: Desk, hours: str | None = None, weekend: float | None = None) -> Week:
    """Return the week of the account's people, at their place."""
    dice = desk.dice
    return Week(
        hours or dice.pick(("consumer", "office", "evening")),
        desk.who.utc_offset_h,
        dice.uniform(0.15, 0.6) if weekend is None else weekend,
    )


def _settings(dice: Dice) -> tuple[tuple[int | None, ...], tuple[float | None, ...]]:
    """Return max_tokens and temperature as people set them: mostly not, else one value of their own."""
    ceiling: int | None = dice.pick((None, None, 512, 1024, 2048, 4096))
    heat: float | None = dice.pick((None, None, 0.0, 0.2, 0.7, 1.0))
    return (ceiling,), (heat,)


def failures(dice: Dice, *, client: float = 0.006, server: float = 0.003) -> Failures:
    """Return what goes wrong for one account, around these shares."""
    return Failures(dice.lognormal(server, 0.4), dice.lognormal(client, 0.7), dice.lognormal(0.003, 0.8), USUAL_CLIENT_ERRORS)


def chat(desk: Desk, recipe: Recipe) -> Traffic:
    """Ordinary traffic around a recipe; a description replaces what it knows better."""
    dice = desk.dice
    ceiling, heat = _settings(dice)
    return Traffic(
        text=recipe,
        models=pick_models(dice),
        output_median=dice.lognormal(260, 0.35),
        output_sigma=dice.uniform(0.7, 1.0),
        reasoning=dice.uniform(0.2, 0.5),
        prefix_tokens=dice.pick((0, 0, 180, 400, 900)),
        cached=dice.uniform(0.4, 0.85),
        max_tokens=ceiling,
        temperatures=heat,
        stream=dice.pick((None, 0.98, 0.6)),
        failures=failures(dice),
    )
