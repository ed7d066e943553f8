"""What `doctor` says of the budget: alerts a day at the accounts that are active here, or per 1,000 where that is not known."""

from __future__ import annotations

import time

import pytest

from pipeline.base.settings import DetectSettings, Settings
from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.cli.check import Status
from pipeline.cli.expecting import expectation
from pipeline.devstack.processes import free_port
from pipeline.events.outputs import Rollup, encode
from pipeline.ports.broker import TopicPartition
from pipeline.ports.clickhouse import ClickHouseSink
from pipeline.ports.memory import MemoryMessage
from pipeline.roles.tables import ROLLUPS


def active(settings: Settings, *days: tuple[int, int]) -> None:
    """Rollups of (days ago, accounts)."""
    midnight = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    rollups = [
        Rollup(
            account_id=f"acct-{number}", hour_ms=midnight - ago * DAY_MS, arrival_epoch=0, frames_partition=0, version=1, requests=1,
            input_tokens=1, output_tokens=1, reasoning_tokens=0, cached_input_tokens=0, errors=0, models=[1], risk=0.0,
        )
        for ago, accounts in days
        for number in range(accounts)
    ]  # fmt: skip
    messages = [MemoryMessage(TopicPartition("t", 0), i, None, encode(record), HOUR_MS) for i, record in enumerate(rollups)]
    sink = ClickHouseSink(settings)
    sink.insert(ROLLUPS.table, ROLLUPS.convert(messages), str(days))
    sink.close()


def told(settings: Settings, **detect: float) -> str:
    """The line."""
    check = expectation(settings, DetectSettings.model_validate(detect))
    assert check.status is Status.OK
    return check.finding


def test_the_fleet_that_clickhouse_knows_gives_alerts_a_day(migrated: Settings) -> None:
    """Nobody, today only, whole days: the best that is known is used, older days are not."""
    assert "no account was active in the last week" in told(migrated)
    active(migrated, (0, 500))
    assert (
        told(migrated) == "1 per 1,000 active account-days: at most 0.5 false alerts a day at 500 active accounts a day (by today so far)"
    )
    active(migrated, (1, 2_000), (2, 4_000), (20, 9_000))
    assert told(migrated).startswith("1 per 1,000 active account-days: at most 3 false alerts a day at 3,000 active accounts a day")
    capped = told(migrated, alert_budget=10.0)
    assert "at most 20 false alerts a day instead of 30, by detect.false_alerts_per_day, at 3,000" in capped


def test_without_clickhouse_it_says_what_it_would_be() -> None:
    """Per 1,000 accounts, where the cap begins, and why the rest is not known."""
    finding = told(Settings(clickhouse={"host": "127.0.0.1", "port": free_port()}), alert_budget=2.0)
    assert finding.startswith("at most 2 false alerts a day for each 1,000 active accounts, and from 10,000 accounts on never more than 20")
    assert "not known" in finding


@pytest.mark.parametrize(("budget", "accounts", "most"), [(1.0, 500, 0.5), (1.0, 50_000, 20.0), (0.1, 10_000, 1.0)])
def test_the_promise_is_the_budget_below_the_cap(budget: float, accounts: int, most: float) -> None:
    """Proportional, then flat."""
    assert DetectSettings(alert_budget=budget).promised_a_day(accounts) == pytest.approx(most)
