"""Worlds by other hands: what they tell is valid, the same each time, and true; and what is decided on one that never teaches."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pytest
import typer
from typer.testing import CliRunner

from pipeline.base.errors import SettingsError
from pipeline.base.settings import DetectSettings, IngestSettings, Settings
from pipeline.base.times import DAY_MS
from pipeline.cli.evaluate import register
from pipeline.events.alert import Kind
from pipeline.intake.batch import read_batch
from pipeline.intake.validate import Limits, Rejection
from pipeline.lab.backtest import Backtest
from pipeline.lab.evaluate.parametric import load_parametric
from pipeline.lab.evaluate.split import Split
from pipeline.lab.rehearsal import cast, rehearse, total
from pipeline.lab.teach import world_history
from pipeline.lab.worlds.authors import AUTHORS
from tests.lab import campus, forge, harbour, province, town, workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.events.alert import Alert
    from pipeline.lab.worlds.world import World

CUSTOMERS, DAYS = 48, 2
MORE = dict.fromkeys(("campus", "forge", "harbour", "province"), 96)
"""Customers where some of them are the attackers: fewer would not be of all kinds."""
EPOCH_MS = 1_772_409_600_000
WORLDS = {
    **AUTHORS,
    "campus": campus.world,
    "forge": forge.world,
    "harbour": harbour.world,
    "province": province.world,
    "town": town.world,
    "workshop": workshop.world,
}
authors = pytest.mark.parametrize("author", WORLDS)


def made(author: str, seed: int) -> World:
    """A small world on the parametric source."""
    return WORLDS[author](seed, load_parametric(), Split.TUNE, MORE.get(author, CUSTOMERS), DAYS)


first = lru_cache(made)


@pytest.fixture(autouse=True)
def memory_goes_back() -> Iterator[None]:
    """Millions of small texts come and go here; glibc keeps their pages until it is asked, eight gigabytes at the end."""
    yield
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@authors
def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(author: str) -> None:
    """Nothing depends on anything but the arguments."""
    world = first(author, 1)
    again = made(author, 1)
    assert again.events == world.events
    assert np.array_equal(again.hostile, world.hostile)
    assert made(author, 2).events != world.events


@authors
def test_intake_takes_every_event_in_order_of_time(author: str) -> None:
    """Valid, and sorted."""
    world = first(author, 1)
    batch = read_batch(world.events, [-1] * len(world.events), Limits.of(IngestSettings()))
    refused = [result for result in batch.results if isinstance(result, Rejection)]
    assert not refused
    times = [orjson.loads(event)["occurred_at_ms"] for event in world.events]
    assert times == sorted(times)


@authors
def test_all_kinds_attack_and_only_attackers_are_hostile(author: str) -> None:
    """Eight kinds; no honest account has a hostile request."""
    world = first(author, 1)
    assert set(world.attackers.values()) == {kind.value for kind in Kind} - {Kind.CAMPAIGN.value}
    assert len(world.sorts) == MORE.get(author, CUSTOMERS + len(world.attackers))
    (blocks, accounts), hostile = world_history(world)
    guilty = {accounts[slot] for slot in blocks.slot[hostile > 0].tolist()}
    assert guilty
    assert guilty <= set(world.attackers)
    assert (hostile <= blocks.requests).all()


def test_a_world_that_never_taught_has_most_attackers_found_and_few_customers_accused() -> None:
    """Half of its honest sorts look alarming on purpose; the budget of 1 is not held there (docs/evaluation.md)."""
    world = workshop.world(5, load_parametric(), Split.JUDGE, 60, 6)
    opened: dict[str, int] = {}

    def note(alert: Alert) -> None:
        if alert.subject_type == "account":
            opened.setdefault(alert.subject_id, alert.raised_at_ms)

    backtest = Backtest(Settings(), 1, note, lambda number, why: pytest.fail(f"event {number}: {why}"))
    backtest.feed(world.events, EPOCH_MS + 60 * DAY_MS)
    backtest.finish()
    accused = [world.sorts[a] for a in opened if a not in world.attackers]
    found = [a for a in world.attackers if a in opened]
    assert len(found) >= 0.6 * len(world.attackers), found
    assert len(accused) <= 8, accused


def test_an_analyst_who_rules_on_every_alert_reads_fewer_in_vain() -> None:
    """Three worlds in turn that never taught, where the budget is overspent; verdicts come twelve hours after an alert.

    Eight days are short: most customers are there from the first day on (docs/evaluation.md has longer ones).
    """
    fleet = [cast(town.world(seed, load_parametric(), Split.JUDGE, 60, 8)) for seed in (7, 8, 9)]
    silent, ruled = (total(rehearse(fleet, DetectSettings(), after)) for after in (None, DAY_MS // 2))
    assert silent.accused >= 20, "nothing to be seen here"
    assert ruled.accused <= 0.8 * silent.accused
    assert ruled.found >= 0.75 * silent.found
    assert ruled._replace(accused=0, found=0) == silent._replace(accused=0, found=0)


def test_the_command_shows_every_fleet_with_and_without_verdicts() -> None:
    """Two small worlds of one author in a table; an author who is none is told who there are."""
    app = typer.Typer()
    register(app)
    arguments = ["evaluate", "worlds", "--author", "enterprise", "--seeds", "2", "--customers", "12", "--days", "3"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    silent, ruled = (line.split() for line in shown.stdout.splitlines()[1:])
    assert silent[:3] == ["enterprise", "nobody", "rules"]
    assert ruled[:5] == ["enterprise", "verdicts", "after", "12", "h"]
    assert silent[-4] == ruled[-4], "account-days"
    wrong = CliRunner().invoke(app, ["evaluate", "worlds", "--author", "nobody"])
    assert isinstance(wrong.exception, SettingsError)
    assert "enterprise" in wrong.exception.next_step
