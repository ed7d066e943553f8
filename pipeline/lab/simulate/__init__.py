"""Seeded traffic of a model API: benign accounts of every habit, attackers among them, and the truth about both.

`simulate(Scenario(…))` plays; `labels` tells who did what; `bulk_workload` makes load for benches.
"""

from pipeline.lab.simulate.faults import Note, SimulatedEvent, Tally
from pipeline.lab.simulate.scenario import ATTACK_KINDS, AttackSpec, Faults, Scenario, parse_attackers
from pipeline.lab.simulate.stream import Label, labels, simulate

__all__ = [
    "ATTACK_KINDS",
    "AttackSpec",
    "Faults",
    "Label",
    "Note",
    "Scenario",
    "SimulatedEvent",
    "Tally",
    "labels",
    "parse_attackers",
    "simulate",
]
