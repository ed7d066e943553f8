"""Frames of a small, eventful world, cut in several ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pipeline.base.settings import IngestSettings
from pipeline.events.alert import Kind
from pipeline.events.request import RequestEvent
from pipeline.intake.framing import Framer, Record
from pipeline.intake.prints import prints_of
from pipeline.lab.simulate import AttackSpec, Faults, Scenario, simulate

if TYPE_CHECKING:
    from collections.abc import Callable



@pytest.fixture(scope="session")
def world() -> list[tuple[int, RequestEvent]]:
    """(source partition, event) of two days: 40 benign accounts, three attackers, repeats and late events."""
    scenario = Scenario(
        seed=4,
        start_ms=1_780_000_000_000,
        days=2.0,
        accounts=40,
        requests_per_account_day=100,
        attacks=tuple(
            AttackSpec(kind, requests=1_500, share=0.9, account="new")
            for kind in (Kind.SYSTEMATIC_DISTILLATION, Kind.REASONING_ELICITATION, Kind.BULK_EXTRACTION)
        ),
        faults=Faults(duplicates=0.03, late=0.02, rekeyed=0.02, conflicts=0.01),
    )
    decode = msgspec.json.Decoder(RequestEvent).decode
    return [(sum(event.key.encode()) % 3, decode(event.raw)) for event in simulate(scenario)]


@pytest.fixture(scope="session")
def cut(world: list[tuple[int, RequestEvent]]) -> Callable[..., list[bytes]]:
    """Cuts the world (or its first source alone) into frames of one partition."""

    def frames(frame_events: int, batch: int = 700, *, one_source: bool = False) -> list[bytes]:
        framer = Framer("api.requests", "topic-id", 1, IngestSettings(frame_events=frame_events))
        sources = 1 if one_source else 3
        for source in range(sources):
            framer.assign(source, -1)
        offsets = [0] * sources
        out: list[bytes] = []
        for lo in range(0, len(world), batch):
            part = world[lo : lo + batch]
            records = []
            for source, event in part:
                where = source % sources
                records.append(Record(where, offsets[where], event.occurred_at_ms, 200, event))
                offsets[where] += 1
            prints = prints_of([event for _, event in part])
            out += [frame.value for frame in framer.add(records, prints, 0.0)]
        return out + [frame.value for frame in framer.flush(0.0)]

    return frames
