"""The desk at which an account is described: dice, texts, tenants, who it is, when it lives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pipeline.lab.evaluate.arrivals import Arrivals, Pace, rhythmic
from pipeline.lab.evaluate.marginals import SLOT_MS, SLOTS, TextKind
from pipeline.lab.evaluate.stream import Line, Recipe
from pipeline.lab.evaluate.weather import Weather, rate
from pipeline.lab.simulate.dice import wander
from pipeline.lab.simulate.identity import PLANS, draw_keys, draw_network
from pipeline.lab.simulate.outcomes import Failures
from pipeline.lab.simulate.traffic import CHAT_MODELS, MODELS, USUAL_CLIENT_ERRORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.evaluate.marginals import Group, Marginals, Tenant
    from pipeline.lab.evaluate.split import Split
    from pipeline.lab.evaluate.voices import Voice, Writer
    from pipeline.lab.simulate.dice import Dice
    from pipeline.lab.simulate.identity import Identity, Network

PEOPLE_PACE = Pace(gap_s=35.0, sigma=1.1, burst=4.0)
_LEAST_LIMIT = 5
"""Requests per minute that any plan lets through."""
MACHINE_PACE = Pace(gap_s=4.0, sigma=0.9, burst=2.0)


@dataclass(frozen=True, slots=True)
class Part:
    """One stream of an account: when, what, from where, and whether it is the attack."""

    arrivals: Arrivals
    recipe: Recipe
    line: Line
    attack: bool = False


@dataclass(slots=True)
class Desk:
    """What a description may use.

    Attributes:
        per_day: requests on an active day that this account is meant to make.
        span: [start, end) of its life in the shard, event time ms.
        hidden: fields its gateway drops; a description may add to it.
        tenant: set by the first stream's description; the bootstrap groups by it.
    """

    dice: Dice
    marginals: Marginals
    split: Split
    writer: Writer
    who: Identity
    per_day: float
    span: tuple[int, int]
    weather: tuple[Weather, ...]
    hidden: frozenset[str] = frozenset()
    tenant: Tenant | None = None
    plans: tuple[str, ...] = field(default=())

    # ---- choosing from the half of the world that is in use

    def pick_tenant(self, *, swing: tuple[float, float] = (0.0, 9.0), days: tuple[int, int] = (5, 14)) -> Tenant:
        """Return a tenant; the first one chosen is the account's."""
        found = self.dice.pick(self.marginals.rhythms(self.split, swing=swing, days=days))
        if self.tenant is None:
            self.tenant = found
        return found

    def people(self) -> Tenant:
        """Return a tenant whose days and nights differ."""
        return self.pick_tenant(swing=(0.35, 9.0))

    def machine(self) -> Tenant:
        """Return a tenant that hardly sleeps."""
        return self.pick_tenant(swing=(0.0, 0.35))

    def groups(self, kind: TextKind, count: int, language: str | None = None) -> list[Group]:
        """Return up to `count` different text groups."""
        return list(self.dice.some(self.marginals.texts(self.split, kind, language), count))

    def spoken(self) -> str:
        """Return the account's language if anybody of this half writes it, else English."""
        return self.who.language if self.who.language in self.marginals.languages(self.split) else "en"

    # ---- common parts

    @property
    def slots(self) -> int:
        """Ten-minute slots of the account's life."""
        return -(-(self.span[1] - self.span[0]) // SLOT_MS)

    def trend(self, *, people: bool, sigma: float = 0.2) -> NDArray[np.float64]:
        """Multiplier of each slot: the weather, and good and bad days that hang together (AR(1), φ = .6)."""
        days = -(-self.slots // 144)
        noise = wander(self.dice.rng.standard_normal(days), 0.6, 0.8)
        return np.repeat(np.exp(sigma * noise), 144)[: self.slots] * rate(self.weather, self.dice, self.span[0], self.slots, people=people)

    def live(self, tenant: Tenant, pace: Pace, trend: NDArray[np.float64] | None = None, *, people: bool = True) -> Arrivals:
        """Arrivals over the account's life in the tenant's rhythm."""
        trend = self.trend(people=people) if trend is None else trend
        return rhythmic(self.dice.rng, tenant, self.per_day, self.span, self.turn(tenant), pace, trend)

    def turn(self, tenant: Tenant) -> int:
        """Turn of the tenant's clock under which the account's life holds its fair part of the tenant's requests, if one is found.

        A life of days inside a tenant's fortnight could fall on its silence, or on its one busy day.
        """
        fair = tenant.days * self.slots / SLOTS
        at = np.arange(self.slots)
        rotate = 0
        for _ in range(12):
            rotate = self.dice.integer(0, SLOTS - 1)
            held = float(tenant.weights[(at + rotate) % SLOTS].sum()) * tenant.days
            if 0.5 * fair <= held <= 1.6 * fair:
                break
        return rotate

    def models(self, *, reasons: bool | None = None) -> tuple[tuple[str, float], ...]:
        """Return one or two chat models with weights."""
        names = [n for n in CHAT_MODELS if reasons is None or reasons == MODELS[n].reasons]
        chosen = self.dice.some(names, self.dice.pick((1, 1, 2, 2, 3)))
        return tuple((name, 1.0 if i == 0 else self.dice.uniform(0.05, 0.4)) for i, name in enumerate(chosen))

    def failures(self, *, client: float = 0.006, server: float = 0.003, refusal: float = 0.003) -> Failures:
        """Return what goes wrong, around these shares."""
        dice = self.dice
        return Failures(dice.lognormal(server, 0.4), dice.lognormal(client, 0.7), dice.lognormal(refusal, 0.8), USUAL_CLIENT_ERRORS)

    def chat(self, voice: Voice, tenant: Tenant) -> Recipe:
        """Ordinary settings around a voice; a description replaces what it knows better."""
        dice = self.dice
        return Recipe(
            voice=voice,
            tenant=tenant,
            models=self.models(),
            failures=self.failures(),
            context=dice.pick((0.0, 0.0, 0.5, 1.0)),
            reasoning=dice.uniform(0.2, 0.5),
            cached=dice.uniform(0.3, 0.85),
            max_tokens=(dice.pick((None, None, 512, 1024, 2048, 4096)),),
            temperatures=(dice.pick((None, None, 0.0, 0.2, 0.7, 1.0)),),
            stream=dice.pick((0.0, 0.98, 0.6)),
        )

    def line(self, network: Network | None = None, *, keys: int = 1, addresses: int = 1, peak_per_minute: float = 0.0) -> Line:
        """A way in: its keys and network, and a limit that lets the account's own habit through."""
        network = network or draw_network(self.dice, self.who.country, addresses=addresses)
        allowed = max(PLANS[self.who.plan], int(1.3 * max(peak_per_minute, self.per_day / 40)))
        limit = max(_LEAST_LIMIT, round(allowed * self.marginals.limits))
        return Line(network=network, keys=draw_keys(self.dice, keys), limit_per_minute=limit, salt=int(self.dice.rng.integers(2**62)))
