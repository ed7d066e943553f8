"""Crossed archetypes, to teach on: an account of one archetype with traits of others of the same sort.

What is taught on twenty named choreographies knows those twenty. Crossing them shows which traits go on meaning something when
the rest changes: an attack stays one when it is sent from elsewhere, a product stays one when its users ask for other things.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.base.times import DAY_MS
from pipeline.lab.evaluate.arrivals import outside, within
from pipeline.lab.evaluate.attacks import ATTACKS, Attack, Scene, Strength
from pipeline.lab.evaluate.benign import BENIGN, Benign

if TYPE_CHECKING:
    from pipeline.lab.evaluate.world import Desk, Part

SIGN = "+"
"""Between the names of the archetype and of those that lent a trait."""
_TRAITS: tuple[tuple[str, ...], ...] = (
    ("voice",),
    ("output", "output_levels", "reasoning", "models", "operations", "context", "cached"),
    ("temperatures", "choices", "logprobs", "max_tokens", "failures"),
    (),  # the line
)
"""Fields of a recipe that change hands together."""
_MOST = 3
"""Traits that an account borrows, each of another archetype."""
_MOST_TURNED = 2
"""Traits that change when an honest life does."""
_HONEST = [b for b in BENIGN.values() if not b.judge_only]


def cross_benign(desk: Desk, archetype: Benign) -> tuple[list[Part], str]:
    """An honest account of `archetype` with traits of others of the tune half → its streams and its name."""
    return _borrow_honestly(desk, archetype.describe(desk), archetype.name, [b for b in _HONEST if b.name != archetype.name], _MOST)


def turn_benign(desk: Desk, parts: list[Part], name: str) -> tuple[list[Part], str]:
    """An honest life in which something changes, for good or for some days: another product, model, office or client.

    A change alone is no attack; where only attackers ever change, it looks like one.
    """
    dice, (start, end) = desk.dice, desk.span
    since = start + int(dice.uniform(0.15, 0.9) * (end - start))
    until = end if dice.flip(0.6) else since + int(dice.log_uniform(0.3, 5.0) * DAY_MS)
    turned, name = _borrow_honestly(desk, parts, name, _HONEST, _MOST_TURNED)
    before = [replace(part, arrivals=outside(part.arrivals, since, until)) for part in parts]
    return before + [replace(part, arrivals=within(part.arrivals, since, until)) for part in turned], name


def cross_attack(desk: Desk, attack: Attack, strength: Strength, scene: Scene) -> tuple[list[Part], Attack]:
    """An attack of an archetype with traits of others of the tune half → its streams and what to call it."""
    parts, name = attack.describe(desk, strength, scene), attack.name
    others = [a for a in ATTACKS.values() if not a.judge_only and a.name != attack.name]
    for fields in _traits(desk, _MOST):
        donor = desk.dice.pick(others)
        parts = _crossed(parts, donor.describe(desk, strength, scene)[-1], fields, honest=False)
        name += SIGN + donor.name
    return parts, attack._replace(name=name)


def _borrow_honestly(desk: Desk, parts: list[Part], name: str, donors: list[Benign], most: int) -> tuple[list[Part], str]:
    """The streams with up to `most` traits of donors, and the name with theirs; plan and gateway stay the account's own."""
    plans, hidden = desk.plans, desk.hidden
    for fields in _traits(desk, most):
        donor = desk.dice.pick(donors)
        parts = _crossed(parts, donor.describe(desk)[-1], fields, honest=True)
        name += SIGN + donor.name
    desk.plans, desk.hidden = plans, hidden
    return parts, name


def _traits(desk: Desk, most: int) -> tuple[tuple[str, ...], ...]:
    return desk.dice.some(_TRAITS, desk.dice.integer(1, most))


def _crossed(parts: list[Part], lent: Part, fields: tuple[str, ...], *, honest: bool) -> list[Part]:
    if fields:
        taken = {name: getattr(lent.recipe, name) for name in fields}
        return [replace(part, recipe=replace(part.recipe, **taken)) for part in parts]
    if not honest:
        return [replace(part, line=lent.line) for part in parts]
    # an honest client has a plan that fits its habits, whatever line it uses
    limits = [max(part.line.limit_per_minute, lent.line.limit_per_minute) for part in parts]
    return [replace(part, line=replace(lent.line, limit_per_minute=limit)) for part, limit in zip(parts, limits, strict=True)]
