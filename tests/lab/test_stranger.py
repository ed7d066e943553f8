"""Traffic of a source that no ensemble was taught on: what it must find there, and that it leaves its customers alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pipeline.base.settings import Settings
from pipeline.lab.backtest import Backtest
from tests.lab.stranger import DAY, HOUR, START, Stranger

if TYPE_CHECKING:
    from pipeline.events.alert import Alert

LATER = START + 60 * DAY


def caught(world: Stranger) -> tuple[Counter[str], list[str]]:
    """Attackers by kind whose episode opened in time, and customers that were accused."""
    opened: dict[str, list[int]] = {}

    def note(alert: Alert) -> None:
        if alert.state == "opened" and alert.subject_type == "account":
            opened.setdefault(alert.subject_id, []).append(alert.raised_at_ms)

    refused: list[object] = []
    backtest = Backtest(Settings(), 1, note, lambda _, reason: refused.append(reason))
    backtest.feed(world.lines(), LATER)
    backtest.finish()
    assert not refused
    hits: Counter[str] = Counter()
    for account, truth in world.attackers.items():
        hits[truth.kind] += any(truth.first_ms <= at <= truth.last_ms + HOUR for at in opened.get(account, []))
    return hits, [account for account in opened if account not in world.attackers]


@pytest.mark.parametrize(("prompts", "identities", "least"), [(True, True, 15), (True, False, 11), (False, True, 11), (False, False, 6)])
def test_a_strangers_attackers_are_found_and_its_customers_left_alone(*, prompts: bool, identities: bool, least: int) -> None:
    """Sixteen attackers of all kinds, half of them new, among fifty customers, with what the gateway tells and without."""
    hits, accused = caught(Stranger(7, 5, prompts=prompts, identities=identities))
    assert sum(hits.values()) >= least, hits
    assert not accused
