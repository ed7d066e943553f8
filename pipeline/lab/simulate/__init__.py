"""Seeded traffic of a model API: benign accounts of every habit, attackers among them, and the truth about both.

`simulate(Scenario(…))` plays; `labels` tells who did what; `bulk_workload` makes load for benches.
"""

from pipeline.lab.simulate.bulk import bulk_records, bulk_workload
from pipeline.lab.simulate.faults import Note, SimulatedEvent, Tally
from pipeline.lab.simulate.files import labels_file, open_output
from pipeline.lab.simulate.labels import Label, encode_label, labels
from pipeline.lab.simulate.publish import publish
from pipeline.lab.simulate.scenario import ATTACK_KINDS, AttackSpec, Faults, Scenario, demo_scenario, parse_attackers
from pipeline.lab.simulate.stream import simulate

__all__ = [
    "ATTACK_KINDS",
    "AttackSpec",
    "Faults",
    "Label",
    "Note",
    "Scenario",
    "SimulatedEvent",
    "Tally",
    "bulk_records",
    "bulk_workload",
    "demo_scenario",
    "encode_label",
    "labels",
    "labels_file",
    "open_output",
    "parse_attackers",
    "publish",
    "simulate",
]
