"""Worlds by other hands: what they tell is valid, the same each time, and true; and what is decided on one that never teaches."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pytest

from pipeline.base.settings import DetectSettings, IngestSettings, Settings
from pipeline.events.alert import Kind
from pipeline.events.control import Baseline, Verdict, VerdictId, verdict_control_id
from pipeline.intake.batch import read_batch
from pipeline.intake.validate import Limits, Rejection
from pipeline.lab.backtest import Backtest
from pipeline.lab.evaluate.parametric import load_parametric
from pipeline.lab.evaluate.split import Split
from pipeline.lab.teach import AUTHORS, world_history
from pipeline.scoring.judge import Judge
from pipeline.scoring.mind import Mind
from tests.lab import forge, province, town, workshop

if TYPE_CHECKING:
    from pipeline.events.alert import Alert
    from pipeline.lab.prior import History
    from pipeline.lab.worlds.world import World

CUSTOMERS, DAYS = 48, 2
MORE = {"forge": 96, "province": 96}
"""Customers where some of them are the attackers: fewer would not be of all kinds."""
DAY_MS, EPOCH_MS = 86_400_000, 1_772_409_600_000
WORLDS = {**AUTHORS, "forge": forge.world, "province": province.world, "town": town.world, "workshop": workshop.world}
authors = pytest.mark.parametrize("author", WORLDS)


def made(author: str, seed: int) -> World:
    """A small world on the parametric source."""
    return WORLDS[author](seed, load_parametric(), Split.TUNE, MORE.get(author, CUSTOMERS), DAYS)


first = lru_cache(made)


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
    """A world that never taught, where the budget is overspent; the verdict on each first alert comes twelve hours after it.

    Eight days are short: most customers are there from the first day on (docs/evaluation.md has longer ones).
    """
    world = town.world(7, load_parametric(), Split.JUDGE, 120, 8)
    played, _ = world_history(world)
    silent, silent_found = _accused(world, played, rules=False)
    ruled, found = _accused(world, played, rules=True)
    assert silent >= 10, "nothing to be seen here"
    assert ruled <= 0.8 * silent
    assert found >= 0.75 * silent_found


def _accused(world: World, played: History, *, rules: bool) -> tuple[int, int]:
    """Honest accounts and attackers that alert."""
    settings = DetectSettings()
    judge = Judge(settings)
    blocks, accounts = played
    minds = [Mind.fresh() for _ in accounts]
    prepared = judge.prepare(blocks, 0, len(blocks.slot))
    waiting: deque[tuple[int, int, Verdict]] = deque()
    alerted: set[str] = set()
    for k, slot in enumerate(blocks.slot.tolist()):
        now, account = int(blocks.closed_ms[k]), accounts[slot]
        while rules and waiting and waiting[0][0] <= now:
            _, ruled, verdict = waiting.popleft()
            judge.rule(minds[ruled], verdict)
        epoch = now // (settings.epoch_s * 1_000)
        if epoch > judge.bars.epoch:
            judge.end_epoch(epoch)
        for alert in judge.decide(prepared, k, blocks, minds[slot], account):
            if alert.subject_type == "account" and account not in alerted:
                alerted.add(account)
                waiting.append((now + DAY_MS // 2, slot, _verdict(alert, harmless=account not in world.attackers)))
    return len(alerted - set(world.attackers)), len(alerted & set(world.attackers))


def _verdict(alert: Alert, *, harmless: bool) -> Verdict:
    baselines = sorted({Baseline.CHANGE if e.baseline == "own" else Baseline.LEVEL for e in alert.explanation[:1]})
    return Verdict(
        control_id=verdict_control_id(alert.alert_id), account_id=alert.subject_id, issued_at_ms=alert.raised_at_ms, issued_by="ann",
        alert_id=alert.alert_id, kind=alert.kind, baselines=baselines,
        verdict_id=VerdictId.FALSE_POSITIVE if harmless else VerdictId.TRUE_POSITIVE,
    )  # fmt: skip
