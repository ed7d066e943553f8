"""Counts in equal counts out, on both brokers, with everything that goes wrong on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.base.settings import DetectSettings
from pipeline.lab.simulate import Faults, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Flow, Played

EVENTS = 200_000


def test_sums_per_account_and_hour_equal_the_input(broker: str, make_flow: Callable[..., Flow], play: Callable[[Scenario], Played]) -> None:
    """200,000 events over 8 source and 4 frames partitions: duplicates, late, re-keyed and bad records among them."""
    flow = make_flow(broker, detect=DetectSettings(dedupe_ring=262_144))
    roles = [flow.role(role) for role in ("ingest", "detect", "deliver")]
    scenario = Scenario(
        seed=5,
        start_ms=1_780_000_000_000,
        days=4,
        accounts=250,
        requests_per_account_day=230,
        faults=Faults(duplicates=0.02, late=0.02, rekeyed=0.02, conflicts=0.002, bad=0.004),
    )
    played = play(scenario)
    tally = played.tally
    assert tally.records >= EVENTS
    assert min(tally.duplicates, tally.late, tally.rekeyed, tally.conflicts, tally.rejected.total()) > 0
    flow.produce(played.records)
    flow.until("every record is accounted for", lambda: flow.settled(played), 180, roles)
    assert flow.stored_sums() == played.sums
