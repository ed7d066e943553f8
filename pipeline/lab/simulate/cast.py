"""Casting: from a scenario to accounts with their lives and, for some, an attack."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.events.alert import Kind
from pipeline.lab.simulate.archetypes import ARCHETYPES, COVERS
from pipeline.lab.simulate.attacks import Plan, strike
from pipeline.lab.simulate.decks import Library
from pipeline.lab.simulate.dice import Dice, generator
from pipeline.lab.simulate.habits import Desk
from pipeline.lab.simulate.identity import PLANS, age_before, draw_identity
from pipeline.lab.simulate.rhythm import Arrivals, cut, in_order
from pipeline.lab.simulate.traffic import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pipeline.lab.simulate.archetypes import Archetype
    from pipeline.lab.simulate.habits import Habit
    from pipeline.lab.simulate.identity import Identity
    from pipeline.lab.simulate.rhythm import Rhythm
    from pipeline.lab.simulate.scenario import AttackSpec, Scenario

BENIGN = "benign"

_ACCOUNT_PATH, _CAST_PATH, _TIMES_PATH, _STRIKE_PATH = 1, 2, 3, 4
_MAX_ACCOUNT_SHARE = 0.12  # of all benign requests, so that one account does not decide what a run is about


@dataclass(frozen=True, slots=True)
class Life:
    """An account's ordinary traffic: requests expected per day from `begin_ms` to `end_ms`."""

    rhythm: Rhythm
    expected: NDArray[np.float64]
    start_ms: int
    begin_ms: int
    end_ms: int

    def arrivals(self, rng: np.random.Generator) -> Iterator[Arrivals]:
        """Play the days → stretches of requests in order."""
        for stretch in in_order(self._days(rng), self.end_ms):
            if stretch.times[-1] >= self.begin_ms:
                yield cut(stretch, stretch.times >= self.begin_ms)

    def _days(self, rng: np.random.Generator) -> Iterator[tuple[int, Arrivals]]:
        for number, expected in enumerate(self.expected.tolist()):
            start = self.start_ms + number * DAY_MS
            if start < self.end_ms:
                yield start + DAY_MS, self.rhythm.day(rng, start, expected)


class Voice(NamedTuple):
    """One stream of an account and when it sends; `life` is None for an attack, whose requests are all known."""

    stream: Stream
    life: Life | None
    strike: Arrivals | None

    def arrivals(self, rng: np.random.Generator) -> Iterator[Arrivals]:
        """Requests in order, a stretch at a time."""
        if self.life is not None:
            yield from self.life.arrivals(rng)
        if self.strike is not None and self.strike.times.size:
            yield self.strike


class Account(NamedTuple):
    """One member of the cast. `number` names its generators; `label` is `benign` or the kind of its attack."""

    number: int
    identity: Identity
    archetype: str
    label: str
    age: str
    timing: str
    voices: tuple[Voice, ...]

    def times(self, scenario: Scenario) -> list[Iterator[Arrivals]]:
        """When each voice sends; every call plays the same."""
        return [voice.arrivals(generator(scenario.seed, _TIMES_PATH, self.number, which)) for which, voice in enumerate(self.voices)]


def _archetypes(scenario: Scenario) -> list[Archetype]:
    """One of each, then by share, in random order."""
    rng = generator(scenario.seed, _CAST_PATH)
    chosen = list(ARCHETYPES[: scenario.accounts])
    shares = np.array([a.share for a in ARCHETYPES])
    more = rng.choice(len(ARCHETYPES), size=max(0, scenario.accounts - len(chosen)), p=shares / shares.sum())
    chosen += [ARCHETYPES[i] for i in more.tolist()]
    return [chosen[i] for i in rng.permutation(len(chosen)).tolist()]


def _volumes(scenario: Scenario, archetypes: list[Archetype]) -> NDArray[np.float64]:
    """Requests per day of each benign account: lognormal around its archetype, scaled to the scenario's mean."""
    rng = generator(scenario.seed, _CAST_PATH, 1)
    raw = np.array([a.volume for a in archetypes]) * np.exp(np.array([a.sigma for a in archetypes]) * rng.standard_normal(len(archetypes)))
    for _ in range(3):
        raw = np.minimum(raw, max(_MAX_ACCOUNT_SHARE, 4 / max(1, len(raw))) * raw.sum())
    return raw / raw.sum() * scenario.accounts * scenario.requests_per_account_day if raw.size else raw


def _limit(plan: str, peak_per_minute: float) -> int:
    return max(PLANS[plan], int(1.3 * peak_per_minute))


def _voice(scenario: Scenario, desk: Desk, habit: Habit, per_day: float, begin_ms: int, end_ms: int) -> Voice:
    stream = Stream(
        identity=desk.who,
        network=habit.network,
        keys=habit.keys,
        limit_per_minute=_limit(desk.who.plan, max(habit.peak_per_minute, per_day / 200)),
        traffic=habit.traffic,
        salt=int(desk.dice.rng.integers(2**62)),
    )
    return Voice(stream, Life(habit.rhythm, per_day * habit.trend, scenario.start_ms, begin_ms, end_ms), None)


def _settle(desk: Desk, habit: Habit) -> Desk:
    """Let the habit have its say on the identity: the plan such customers pay for, the gateway they sit behind."""
    who = desk.who
    if habit.plans:
        who = replace(who, plan=desk.dice.pick(habit.plans))
    if habit.hidden is not None:
        who = replace(who, hidden=habit.hidden)
    return desk._replace(who=who)


def _benign(scenario: Scenario, library: Library, number: int, archetype: Archetype, per_day: float) -> Account:
    dice = Dice(generator(scenario.seed, _ACCOUNT_PATH, number))
    desk = Desk(dice, library, draw_identity(dice, age_before(dice, scenario.start_ms)), _days(scenario))
    habit = archetype.describe(desk)
    desk = _settle(desk, habit)
    begin = scenario.start_ms
    if habit.arrives:
        begin += int(dice.uniform(0.1, 0.7) * (scenario.end_ms - scenario.start_ms))
        desk = desk._replace(who=replace(desk.who, created_at_ms=begin - dice.integer(30_000, HOUR_MS)))
    voice = _voice(scenario, desk, habit, per_day, begin, scenario.end_ms)
    return Account(number, desk.who, archetype.name, BENIGN, "", "", (voice,))


def _days(scenario: Scenario) -> int:
    return int(np.ceil(scenario.days))


class _Window(NamedTuple):
    begin_ms: int
    """Sign-up of a new account, start of the run for an aged one."""
    start_ms: int
    end_ms: int


def _window(dice: Dice, scenario: Scenario, kind: Kind, cover_requests: float, *, new: bool) -> _Window:
    """When an attack happens: hours to days, long enough that its cover of so many requests is an ordinary account's."""
    span = scenario.end_ms - scenario.start_ms
    hours = dice.log_uniform(2, 10) if kind is Kind.PROBING else dice.log_uniform(8, 36)
    ordinary_per_day = dice.lognormal(2.5 * scenario.requests_per_account_day, 0.6)
    length = min(int(max(hours * HOUR_MS, cover_requests / ordinary_per_day * DAY_MS)), int(0.42 * span))
    if new:
        created = scenario.start_ms + int(dice.uniform(0.25, 0.5) * span)
        start = created + min(dice.integer(60_000, HOUR_MS), span // 50)
        return _Window(created, start, start + length)
    start = scenario.start_ms + int(dice.uniform(0.42, 0.55) * span)
    return _Window(scenario.start_ms, start, start + length)


def _attacker(scenario: Scenario, library: Library, number: int, spec: AttackSpec) -> Account:
    dice = Dice(generator(scenario.seed, _ACCOUNT_PATH, number))
    new = spec.account == "new" if spec.account else dice.flip(0.5)
    requests = spec.requests or int(dice.log_uniform(1_500, 6_000))
    share = spec.share or dice.uniform(0.5, 1.0)
    timing: str = spec.timing or dice.pick(("human", "flat"))
    cover = requests * (1 - share) / share
    created, start, end = _window(dice, scenario, spec.kind, cover, new=new)
    archetype = dice.pick(COVERS, [c.share for c in COVERS])
    desk = Desk(dice, library, draw_identity(dice, created if new else age_before(dice, scenario.start_ms)), _days(scenario))
    habit = archetype.describe(desk)
    desk = _settle(desk, habit)
    if spec.kind is Kind.LIMIT_EVASION:
        desk = desk._replace(who=replace(desk.who, plan=dice.pick(("free", "pro"))))
        timing = "bursts"
    voices: list[Voice] = []
    if share < 1:
        per_day = cover / ((end - start) / DAY_MS)
        voices.append(_voice(scenario, desk, habit, per_day, created, scenario.end_ms))
    elif not new:
        per_day = dice.lognormal(0.4 * scenario.requests_per_account_day, 0.8)
        voices.append(_voice(scenario, desk, habit, per_day, created, start))
    plan = Plan(spec.kind, requests, start, end, timing)
    stream, arrivals = strike(
        desk, habit, _limit(desk.who.plan, habit.peak_per_minute), plan, generator(scenario.seed, _STRIKE_PATH, number)
    )
    arrivals = cut(arrivals, arrivals.times < scenario.end_ms)
    voices.append(Voice(stream, None, arrivals))
    return Account(number, desk.who, archetype.name, spec.kind.value, "new" if new else "aged", timing, tuple(voices))


@lru_cache(maxsize=1)
def cast(scenario: Scenario) -> tuple[tuple[Account, ...], Library]:
    """Return every account, attackers at random places among the others, and the library they write from.

    The last cast is kept: its labels and its play need the same one.
    """
    library = Library(scenario.seed)
    archetypes = _archetypes(scenario)
    total = scenario.accounts + len(scenario.attacks)
    places = generator(scenario.seed, _CAST_PATH, 2).permutation(total).tolist()
    accounts = [
        _benign(scenario, library, places[i], archetype, per_day)
        for i, (archetype, per_day) in enumerate(zip(archetypes, _volumes(scenario, archetypes).tolist(), strict=True))
    ]
    accounts += [_attacker(scenario, library, places[scenario.accounts + i], spec) for i, spec in enumerate(scenario.attacks)]
    accounts.sort(key=lambda a: a.number)
    return tuple(accounts), library
