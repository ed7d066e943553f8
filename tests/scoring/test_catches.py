"""Who is caught: attackers of every kind, new and aged; their benign twins are left alone; and River's scores are why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pipeline.base.settings import DetectSettings
from pipeline.base.times import HOUR_MS
from pipeline.events.alert import Kind
from pipeline.lab.simulate import AttackSpec

if TYPE_CHECKING:
    from tests.scoring.conftest import Play, Populate, Population

MUST = (Kind.BULK_EXTRACTION, Kind.SYSTEMATIC_DISTILLATION, Kind.REASONING_ELICITATION)
AGED = tuple(AttackSpec(kind, requests=2_000, account="aged") for kind in (*MUST, *MUST, Kind.LIMIT_EVASION, Kind.PROBING))
BESIDE = tuple(replace(spec, requests=600, share=0.5) for spec in AGED)
"""An attack that goes on beside as much ordinary traffic."""
NEW = tuple(AttackSpec(kind, requests=2_000, account="new") for kind in (*MUST, *MUST, Kind.LIMIT_EVASION, Kind.PROBING))


def caught(play: Play, people: Population, settings: DetectSettings | None = None) -> set[str]:
    """Attackers with an episode that opened after their first attack request and within an hour of the last."""
    found = set()
    for alert in play(people, settings).alerts:
        label = people.labels[alert.subject_id]
        start, end = label.attack_start_ms, label.attack_end_ms
        if alert.state == "opened" and start is not None and end is not None and start <= alert.raised_at_ms <= end + HOUR_MS:
            found.add(alert.subject_id)
    return found


def test_new_accounts_are_caught(play: Play, populate: Populate) -> None:
    """Of accounts that sign up to drain, distil, harvest, evade or probe seven in eight are caught."""
    people = [populate(seed, 0, NEW) for seed in (21, 22, 23, 24)]
    assert sum(len(caught(play, p)) for p in people) >= 4 * (len(NEW) - 1)


@pytest.mark.parametrize("seed", [23, 24])
def test_aged_accounts_that_turn_are_caught(seed: int, play: Play, populate: Populate) -> None:
    """Customers of long standing that turn are caught by the change against their own past."""
    people = populate(seed, 0, AGED)
    assert len(caught(play, people)) >= len(AGED) - 1


def test_river_decides_who_is_caught(play: Play, populate: Populate) -> None:
    """With River's scores replaced by a constant a third of the attacks beside an ordinary life are missed; new accounts are caught."""
    constant = DetectSettings(constant_scores=True)
    aged = [populate(seed, 0, BESIDE) for seed in (21, 22, 23, 24)]
    with_river = sum(len(caught(play, p)) for p in aged)
    assert with_river >= 4 * (len(BESIDE) - 1.5)
    assert sum(len(caught(play, p, constant)) for p in aged) <= 0.67 * with_river
    assert len(caught(play, populate(21, 0, NEW), constant)) >= len(NEW) - 1


def test_benign_twins_are_left_alone(play: Play, populate: Populate) -> None:
    """A hundred benign accounts of every habit, five days: at most two are accused."""
    people = populate(25, 100, ())
    accused = {alert.subject_id for alert in play(people).alerts}
    assert len({label.archetype for label in people.labels.values()}) >= 16
    assert len(accused) <= 2, [people.labels[a].archetype for a in accused]
