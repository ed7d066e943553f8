"""One shard: a population of ordinary accounts, attackers, and benign controls at the attackers' scale, played into a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.lab.evaluate.arrivals import within
from pipeline.lab.evaluate.attacks import ATTACKS, COVERS, Attack, Scene, Strength, draw_strength
from pipeline.lab.evaluate.benign import BENIGN, Benign
from pipeline.lab.evaluate.crossing import cross_attack, cross_benign, turn_benign
from pipeline.lab.evaluate.drawn import draw_source, own_settings
from pipeline.lab.evaluate.foreign import Ordinary, draw_habits
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.stream import Context, play
from pipeline.lab.evaluate.table import Account, Shard, Symbols, Truth
from pipeline.lab.evaluate.voices import Scribe, Writer
from pipeline.lab.evaluate.weather import KINDS, apply, draw_weather
from pipeline.lab.evaluate.world import Desk, Part
from pipeline.lab.simulate.dice import Dice, generator
from pipeline.lab.simulate.identity import draw_identity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.evaluate.marginals import Marginals
    from pipeline.lab.evaluate.weather import Weather
    from pipeline.lab.simulate.identity import Identity

EPOCH_MS = 1_772_409_600_000
"""2026-03-02, a Monday: shards begin on it or up to six days later."""
_MEDIAN_PER_DAY = 90.0
_SIGMA = 1.2
_MOST_PER_DAY = 5_000.0
_SALT = {Split.TUNE: 1, Split.JUDGE: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a shard holds.

    Attributes:
        ordinary: accounts with ordinary volumes, archetypes by share.
        attacks: names of attack archetypes, one account each.
        controls: play the benign twin of each attack at its scale.
        benign: the ordinary accounts are of these archetypes only; empty: of all of the half.
        weather: kinds that happen for sure; None: one or two are drawn.
        days: length in event time.
        swap: `text` (attacks say what benign accounts say), `choreography` (benign controls say what attacks say), or empty.
        sybils: attackers that share one organisation, payment and address block.
        doubling_days: every attack ramps up by doubling in so many days, 0: as drawn.
        crossed: share of ordinary accounts and of attacks that borrow traits, see `crossing`.
        foreign: the population has habits of its own, see `foreign`.
        drawn: and a source of its own, see `drawn`.
        turning: share of honest accounts in whose life something changes, see `crossing`.
    """

    ordinary: int
    attacks: tuple[str, ...] = ()
    controls: bool = True
    benign: tuple[str, ...] = ()
    weather: tuple[str, ...] | None = None
    days: int = 14
    swap: str = ""
    sybils: int = 0
    doubling_days: float = 0.0
    crossed: float = 0.0
    foreign: bool = False
    drawn: bool = False
    turning: float = 0.0


class Builder:
    """Builds one shard. The same arguments give the same events."""

    def __init__(self, workload: str, marginals: Marginals, split: Split, number: int, plan: Plan, *, keep_texts: bool = False) -> None:
        self.split = split
        self.plan = plan
        self.number = number
        self.workload = workload
        self._path = (_SALT[split], _number_of(workload), number)
        self.marginals = draw_source(self._dice(8), marginals) if plan.drawn else marginals
        dice = self._dice(0)
        self.start_ms = EPOCH_MS + dice.integer(0, 6) * DAY_MS
        self.end_ms = self.start_ms + plan.days * DAY_MS
        self.weather = self._draw_weather(dice)
        self.habits = draw_habits(self._dice(7)) if plan.foreign else Ordinary()
        self.symbols = Symbols()
        self.scribe = Scribe()
        if keep_texts:
            self.scribe.kept = []
        self.context = Context(self.symbols, self.marginals.reuse, networks_known=dice.flip(0.7))
        self.accounts: list[Account] = []
        self.played: list[NDArray[np.void]] = []

    def _dice(self, *path: int) -> Dice:
        return Dice(generator(20_260, *self._path, *path))

    def _draw_weather(self, dice: Dice) -> tuple[Weather, ...]:
        span = (self.start_ms, self.end_ms)
        fewest = int(self.plan.foreign)  # what moves everybody teaches what moves nobody's guilt
        kinds = dice.some(KINDS, dice.integer(fewest, fewest + 2)) if self.plan.weather is None else self.plan.weather
        return tuple(draw_weather(dice, kind, span) for kind in kinds)

    def build(self) -> Shard:
        """Play everybody."""
        chosen = self._archetypes()
        for index, archetype in enumerate(chosen):
            self._ordinary(archetype, self._dice(1, index))
        sybil_dice = self._dice(4)
        family = draw_identity(sybil_dice, self.start_ms)
        for index, name in enumerate(self.plan.attacks):
            attack = ATTACKS[name]
            strength = self._strength(self._dice(2, index))
            sybil = family if index < self.plan.sybils else None
            self._attacker(attack, strength, self._dice(2, index, 1), sybil)
            if self.plan.controls:
                self._control(BENIGN[attack.twin], strength, self._dice(3, index), attack)
        return self.finish()

    def finish(self) -> Shard:
        """Put the accounts played so far into a shard."""
        said = self.scribe.finish()
        events = np.concatenate(self.played)
        events = events[np.argsort(events["time"], kind="stable")]
        # numbers in random order: position says nothing
        order = self._dice(5).rng.permutation(len(self.accounts))
        new = np.empty(order.size, np.int32)
        new[order] = np.arange(order.size)
        events["account"] = new[events["account"]]
        return Shard(
            workload=self.workload,
            split=self.split.value,
            number=self.number,
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            accounts=[self.accounts[i] for i in order.tolist()],
            events=events,
            symbols=self.symbols.names,
            prints=said.prints,
            tokens=said.tokens,
            pools=said.pools,
            pool_names=said.pool_names,
            weather=tuple(w.label for w in self.weather),
            texts=self.scribe.kept,
        )

    def _archetypes(self) -> list[Benign]:
        allowed = [BENIGN[n] for n in self.plan.benign] or [b for b in BENIGN.values() if self.split is Split.JUDGE or not b.judge_only]
        rng = self._dice(6).rng
        shares = np.array([b.share for b in allowed])
        first = allowed[: self.plan.ordinary]
        more = rng.choice(len(allowed), size=max(0, self.plan.ordinary - len(first)), p=shares / shares.sum())
        return [*first, *(allowed[i] for i in more.tolist())]

    def _strength(self, dice: Dice) -> Strength:
        longest = min(10.0, 0.7 * self.plan.days)
        found = draw_strength(dice, longest)
        if self.plan.doubling_days:
            days = float(np.clip(self.plan.doubling_days * 4, 1.0, self.plan.days * 0.7))
            while found.requests + replace(found, days=days).cover_per_day * (days + 3) > 70_000:
                found = draw_strength(dice, longest)
            found = replace(found, days=days, ramp="doubling", new=False)
        return self.habits.strength(dice, found)

    # ---- accounts

    def desk(self, dice: Dice, who: Identity, per_day: float, span: tuple[int, int], requests: float) -> Desk:
        """A desk for one account; `requests` is about how many it will make."""
        writer = Writer(self.scribe, dice, int(requests), wording=self.habits.wording(dice))
        return Desk(dice, self.marginals, self.split, writer, who, per_day, span, self.weather, who.hidden)

    def _settle(self, desk: Desk, parts: list[Part]) -> list[Part]:
        """Let the description have its say on the plan; limits were drawn generously enough for any."""
        if desk.plans:
            desk.who = replace(desk.who, plan=desk.dice.pick(desk.plans))
        return parts

    def _ordinary(self, archetype: Benign, dice: Dice) -> None:
        median = _MEDIAN_PER_DAY * archetype.volume * self.habits.volume
        per_day = min(median * float(np.exp(_SIGMA * dice.rng.standard_normal())), _MOST_PER_DAY)
        begin, created = self.start_ms, signed_up(dice, self.start_ms)
        if archetype.arrives:
            begin += int(dice.uniform(0.05, 0.8) * (self.end_ms - self.start_ms))
            created = begin - self.habits.age(dice)
        elif dice.flip(0.12):  # an old customer that comes back
            begin += int(dice.uniform(0.1, 0.7) * (self.end_ms - self.start_ms))
        days = (self.end_ms - begin) / DAY_MS
        desk = self.desk(dice, draw_identity(dice, created), per_day, (begin, self.end_ms), per_day * days)
        parts, name = cross_benign(desk, archetype) if self._crosses(dice) else (archetype.describe(desk), archetype.name)
        parts, name = self._turn(desk, parts, name)
        self.take(desk, self._settle(desk, parts), name, "ordinary", None)

    def _turn(self, desk: Desk, parts: list[Part], name: str) -> tuple[list[Part], str]:
        return turn_benign(desk, parts, name) if self.plan.turning and desk.dice.flip(self.plan.turning) else (parts, name)

    def _crosses(self, dice: Dice) -> bool:
        return self.plan.crossed > 0.0 and dice.flip(self.plan.crossed)

    def _scale(self, strength: Strength, dice: Dice) -> tuple[int, int, int]:
        """Sign-up or first day, begin and end of the attack."""
        length = int(strength.days * DAY_MS)
        before = int(strength.history_days() * DAY_MS)
        room = self.end_ms - self.start_ms - length - 2 * HOUR_MS
        begin = self.start_ms + int(dice.uniform(min(before, room) / max(room, 1), 1.0) * room)
        if not strength.new:
            before = self.habits.history(dice, before, begin - self.start_ms, strength.cover_per_day)
        first = max(self.start_ms, begin - dice.integer(60_000, HOUR_MS)) if strength.new else max(self.start_ms, begin - before)
        return first, begin, begin + length

    def _control(self, archetype: Benign, strength: Strength, dice: Dice, attack: Attack) -> None:
        first, begin, end = self._scale(strength, dice)
        until = min(self.end_ms, end + DAY_MS // 2)
        life = max((until - first) / DAY_MS, 0.25)
        total = strength.requests + strength.cover_per_day * life
        per_day = total / life
        created = first - self.habits.age(dice) if strength.new else signed_up(dice, self.start_ms)
        desk = self.desk(dice, draw_identity(dice, created), per_day, (first if not strength.new else begin, until), total)
        parts, name = self._turn(desk, archetype.describe(desk), archetype.name)
        parts = self._settle(desk, parts)
        if self.plan.swap == "choreography":
            other = attack.describe(self.desk(dice, desk.who, per_day, desk.span, total), strength, Scene(begin, end, parts[0]))
            said = next(p.recipe.voice for p in other)
            parts = [replace(p, recipe=replace(p.recipe, voice=said)) for p in parts]
        self.take(desk, parts, name, "matched", None)

    def _attacker(self, attack: Attack, strength: Strength, dice: Dice, family: Identity | None) -> None:
        first, begin, end = self._scale(strength, dice)
        age = self.habits.age_of_attacker(dice)
        created = first - age if strength.new else signed_up(dice, self.start_ms)
        who = draw_identity(dice, created)
        if family is not None:
            who = replace(
                who, organization_id=family.organization_id, payment_fingerprint=family.payment_fingerprint, country=family.country
            )
        cover_name = dice.pick(COVERS)
        until = min(self.end_ms, end + DAY_MS // 2)
        life_days = (until - first) / DAY_MS
        desk = self.desk(dice, who, strength.cover_per_day, (first, until), strength.cover_per_day * life_days)
        cover = self._settle(desk, BENIGN[cover_name].describe(desk))
        desk.writer = Writer(self.scribe, dice, strength.requests, desk.writer.templates, self.habits.wording(dice, desk.writer.wording))
        scene = Scene(begin, end, cover[0])
        if self._crosses(dice):
            described, attack = cross_attack(desk, attack, strength, scene)
        else:
            described = attack.describe(desk, strength, scene)
        parts = self._settle(desk, described)
        if self.plan.swap == "text":
            parts = [replace(p, recipe=replace(p.recipe, voice=cover[0].recipe.voice)) for p in parts]
        keep_cover = strength.share < 0.97 or not strength.new
        self.take(desk, [*(cover if keep_cover else []), *parts], attack.name, "attack", attack)

    def take(self, desk: Desk, parts: list[Part], archetype: str, role: str, attack: Attack | None) -> None:
        """Play the account's streams and keep its events."""
        number = len(self.accounts)
        desk.hidden |= self.habits.untold(desk.dice)
        if self.plan.drawn:
            parts = own_settings(desk.dice, parts, desk.who.country)
        parts = self.habits.parts(desk.dice, parts)
        tokens = self.scribe.tokens()
        rng = desk.dice.rng
        played = []
        for part in parts:
            arrivals = within(part.arrivals, self.start_ms, self.end_ms)
            played.append(play(self.context, rng, part.recipe, part.line, arrivals, number, attack=part.attack, tokens=tokens))
        events = np.concatenate(played)
        events = apply(self.weather, Dice(rng), events, self.symbols)
        events = events[events["time"] < self.end_ms]
        _hide(events, desk.hidden)
        self.played.append(events)
        who = desk.who
        self.accounts.append(
            Account(
                account_id=who.account_id,
                organization_id=who.organization_id,
                plan=who.plan,
                payment=who.payment_fingerprint,
                created_ms=who.created_at_ms,
                country=who.country,
                language=who.language,
                archetype=archetype,
                role=role,
                tenant=desk.tenant.name if desk.tenant else "",
                groups=tuple(sorted({g for p in parts for g in p.recipe.voice.groups})),
                wording=tuple(sorted(set(desk.writer.templates))),
                hidden=desk.hidden,
                truth=_truth(attack, events) if attack is not None else None,
            )
        )


def signed_up(dice: Dice, start_ms: int) -> int:
    """Sign-up of an account that is there when the shard begins: 2 to 900 days earlier, log-uniform."""
    return start_ms - int(dice.log_uniform(2, 900) * DAY_MS)


_FIELDS = {
    "api_key_id": ("key", 0),
    "conversation_id": ("conversation", 0),
    "provider": ("provider", 0),
    "client_address": ("address", 0),
    "country": ("country", 0),
    "user_agent": ("agent", 0),
    "temperature": ("temperature", np.nan),
    "choice_count": ("choices", -1),
    "logprobs": ("logprobs", -1),
    "stream": ("stream", -1),
    "max_tokens": ("max_tokens", -1),
    "reasoning_tokens": ("reasoning", -1),
    "cached_input_tokens": ("cached", -1),
    "prompt": ("text", -1),
}


def _hide(events: NDArray[np.void], hidden: frozenset[str]) -> None:
    for name in hidden & _FIELDS.keys():
        column, absent = _FIELDS[name]
        events[column] = absent
    if "client_address" in hidden:
        events["asn"] = -1


def _truth(attack: Attack, events: NDArray[np.void]) -> Truth:
    hostile = events["attack"] == 1
    if not hostile.any():
        return Truth(archetype=attack.name, kinds=attack.kinds, first_ms=0, last_ms=0, requests=0, share=0.0, output_tokens=0)
    first, last = int(events["time"][hostile].min()), int(events["time"][hostile].max())
    during = int(((events["time"] >= first) & (events["time"] <= last)).sum())
    requests = int(hostile.sum())
    return Truth(
        archetype=attack.name,
        kinds=attack.kinds,
        first_ms=first,
        last_ms=last,
        requests=requests,
        share=requests / during,
        output_tokens=int(np.maximum(events["output"][hostile], 0).sum()),
    )


def _number_of(workload: str) -> int:
    """A stable number for the workload's name: its population is its own."""
    return int.from_bytes(workload.encode()[:24].ljust(24, b"\0"), "big") % (2**31 - 1)
