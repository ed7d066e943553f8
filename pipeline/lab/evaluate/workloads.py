"""Workloads with permanent ids. An id names a population for ever; what changes gets a new id.

`standard` is what promises are judged on. The others look closer at one thing.
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import SettingsError
from pipeline.lab.evaluate.attacks import ATTACKS
from pipeline.lab.evaluate.benign import BENIGN
from pipeline.lab.evaluate.population import Builder, Plan
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.tenants import PER_SHARD, tenant_shard, tenants_of
from pipeline.lab.evaluate.weather import KINDS

if TYPE_CHECKING:
    from pipeline.lab.evaluate.marginals import Marginals
    from pipeline.lab.evaluate.table import Shard


class Workload(NamedTuple):
    """One id.

    Attributes:
        shards: (tune, judge) populations of it by default.
        ordinary: ordinary accounts per shard.
        rounds: how often each attack archetype plays per shard.
        probe, forests: measure these on it too.
    """

    id: str
    meaning: str
    shards: tuple[int, int]
    ordinary: int = 400
    rounds: int = 1
    attacks: tuple[str, ...] | None = None
    benign: tuple[str, ...] = ()
    weather: tuple[str, ...] | None = None
    controls: bool = True
    swap: str = ""
    sybils: int = 0
    doubling_days: float = 0.0
    crossed: float = 0.0
    foreign: bool = False
    drawn: bool = False
    turning: float = 0.0
    days: int = 14
    probe: bool = False
    forests: bool = False

    def populations(self, marginals: Marginals, split: Split) -> int:
        """Shards of a half."""
        if self.id == "tenants":
            return -(-len(tenants_of(marginals, split)) // PER_SHARD)
        return self.shards[split is Split.JUDGE]

    def plan(self, split: Split) -> Plan:
        """What one shard holds. Where a workload names attacks that are for the judge only, the tune half plays more of its others."""
        allowed = tuple(a.name for a in ATTACKS.values() if split is Split.JUDGE or not a.judge_only)
        names = allowed
        if self.attacks is not None:
            names = tuple(islice(cycle([n for n in self.attacks if n in allowed]), len(self.attacks)))
        return Plan(
            ordinary=self.ordinary,
            attacks=names * self.rounds,
            controls=self.controls,
            benign=self.benign,
            weather=self.weather,
            days=self.days,
            swap=self.swap,
            sybils=self.sybils,
            doubling_days=self.doubling_days,
            crossed=self.crossed,
            foreign=self.foreign,
            drawn=self.drawn,
            turning=self.turning,
        )

    def build(self, marginals: Marginals, split: Split, number: int, *, keep_texts: bool = False) -> Shard:
        """Play one shard."""
        if self.id == "tenants":
            return tenant_shard(self.id, marginals, split, number)
        return Builder(self.id, marginals, split, number, self.plan(split), keep_texts=keep_texts).build()


def _contamination(percent: int) -> Workload:
    """Attackers as a share of all accounts, a third of them sybils of one organisation and card."""
    ordinary = 380
    attackers = round(ordinary * percent / (100 - percent))
    names = tuple(ATTACKS) * (-(-attackers // len(ATTACKS)))
    return Workload(
        f"contamination.{percent}",
        f"{percent} % of the accounts attack, a third of those are sybils",
        (2, 4),
        ordinary=ordinary,
        attacks=names[:attackers],
        controls=False,
        sybils=attackers // 3,
    )


_SMOKE = ("template_sweep", "cot_harvest", "bulk_drain", "parameter_probe")
_FOREIGN = "the same with traits of archetypes crossed, each population with habits of its own"
_HABITS = "the same with habits of its own, fewer traits crossed: kinds are learned from what is of one kind"
_DRAWN = "the same with habits and a source of its own, drawn between and beside what there is; honest lives change too"
_STANDARD = "what promises are judged on: every benign archetype, every attack with a control at its scale, weather"


def _ramp(days: int) -> Workload:
    meaning = f"every attack ramps up, doubling every {days} days"
    return Workload(f"ramp.{days}", meaning, (1, 2), ordinary=300, rounds=2, doubling_days=float(days), days=28)


def _shift(kind: str) -> Workload:
    meaning = f"nobody attacks; {kind.replace('_', ' ')} moves everybody"
    return Workload(f"shift.{kind}", meaning, (2, 6), ordinary=500, attacks=(), weather=(kind,))


def _benign(name: str) -> Workload:
    tune = int(not BENIGN[name].judge_only)
    return Workload(f"benign.{name}", f"{name.replace('_', ' ')} accounts only", (tune, 2), ordinary=300, attacks=(), benign=(name,))


def _attack(name: str) -> Workload:
    tune = int(not ATTACKS[name].judge_only)
    return Workload(
        f"attack.{name}", f"thirty {name.replace('_', ' ')} attacks with controls", (tune, 2), ordinary=300, attacks=(name,) * 30
    )


def _swap(what: str, meaning: str) -> Workload:
    return Workload(f"swap.{what}", meaning, (4, 2), ordinary=200, rounds=2, swap=what)


_ALL: tuple[Workload, ...] = (
    Workload(
        "smoke", "a minute's look: few accounts, four attacks, a week", (1, 1), ordinary=40, days=7, weather=("outage",), attacks=_SMOKE
    ),
    Workload("standard", _STANDARD, (8, 26), ordinary=640, probe=True, forests=True),
    Workload("teaching", "the tune half as the shipped ensembles see it, with more attacks", (16, 0), ordinary=300, rounds=2),
    Workload("teaching.foreign", _FOREIGN, (8, 0), ordinary=300, rounds=2, crossed=0.8, foreign=True),
    Workload("teaching.habits", _HABITS, (8, 0), ordinary=300, rounds=2, crossed=0.3, foreign=True),
    Workload("teaching.drawn", _DRAWN, (8, 0), ordinary=300, rounds=2, crossed=0.5, foreign=True, drawn=True, turning=0.25),
    Workload("tenants", "every tenant unmodified, once (the busiest with fewer bursts), its alerts listed by name", (0, 0)),
    _swap("text", "every attack's choreography with benign text"),
    _swap("choreography", "benign choreography at the attacks' scale with attack text"),
    *map(_contamination, (0, 1, 5, 20)),
    *map(_ramp, (3, 10, 30)),
    *map(_shift, KINDS),
    *map(_benign, BENIGN),
    *map(_attack, ATTACKS),
)

WORKLOADS: dict[str, Workload] = {w.id: w for w in _ALL}
"""Every workload by id."""

JUDGE_SUITE = ("standard", "tenants", "swap.text", "swap.choreography")
"""What `evaluate run` plays when no workload is named."""


def workload(name: str) -> Workload:
    """Look one up.

    Raises:
        SettingsError: no such id.
    """
    found = WORKLOADS.get(name)
    if found is None:
        raise SettingsError(f"workload {name!r}: no such id", next_step="`stillwatch evaluate list` shows them")
    return found
