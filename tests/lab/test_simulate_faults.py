"""Faults on the way are played as described and counted exactly; the truth does not depend on them where it must not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import msgspec
import numpy as np
import orjson
import pytest

from pipeline.base.catalogue import RejectReason
from pipeline.base.times import HOUR_MS
from pipeline.events.request import RequestEvent
from pipeline.intake.validate import Limits, Rejection, validate
from pipeline.lab.simulate import AttackSpec, Faults, Note, Scenario, SimulatedEvent, Tally, labels, simulate
from pipeline.lab.truth import truth

CLEAN = Scenario(
    seed=21,
    start_ms=1_790_000_000_000,
    days=1,
    accounts=40,
    requests_per_account_day=120,
    attacks=tuple(AttackSpec(spec.kind, requests=300) for spec in Scenario(0, 1_790_000_000_000).attacks),
)
FAULTY = replace(CLEAN, faults=Faults(duplicates=0.05, late=0.05, rekeyed=0.05, conflicts=0.02, bad=0.05))


@pytest.fixture(scope="module")
def clean() -> list[SimulatedEvent]:
    """The scenario without faults."""
    return list(simulate(CLEAN))


@pytest.fixture(scope="module")
def faulty() -> list[SimulatedEvent]:
    """The same with every fault on."""
    return list(simulate(FAULTY))


def test_faults_lose_and_invent_nothing(clean: list[SimulatedEvent], faulty: list[SimulatedEvent]) -> None:
    """Every clean event arrives once; duplicates are byte-equal repeats of some; the rest is conflicts and bad records."""
    arrived = Counter(event.raw for event in faulty if event.note in (Note.EVENT, Note.LATE))
    assert arrived == Counter(event.raw for event in clean)
    repeats = [event for event in faulty if event.note is Note.DUPLICATE]
    assert repeats
    assert all(event.raw in arrived for event in repeats)
    assert labels(FAULTY) == labels(CLEAN)


def test_tally_counts_what_is_there(clean: list[SimulatedEvent], faulty: list[SimulatedEvent]) -> None:
    """The tally's parts add up and match a count of the records by hand."""
    tally = Tally()
    for event in faulty:
        tally.add(event)
    notes = Counter(event.note for event in faulty)
    assert tally.records == len(faulty) == tally.counted + tally.duplicates + sum(tally.rejected.values())
    assert tally.counted == len(clean) + tally.conflicts
    assert (tally.duplicates, tally.late, tally.conflicts) == (notes[Note.DUPLICATE], notes[Note.LATE], notes[Note.CONFLICT])
    assert tally.rekeyed == sum(event.key != event.account_id for event in faulty)
    for count in (tally.duplicates, tally.late, sum(tally.rejected.values())):
        assert 0.035 * len(clean) < count < 0.065 * len(clean)
    assert tally.rekeyed > 0.035 * len(clean)
    assert tally.attack >= 1_400


def test_late_records_come_late(faulty: list[SimulatedEvent]) -> None:
    """A late record arrives after later events, some by more than an hour; all others arrive in order, repeats soon after."""
    reached = 0
    delays = []
    for event in faulty:
        if event.note is Note.EVENT:
            assert event.occurred_at_ms >= reached
            reached = event.occurred_at_ms
        elif event.note is Note.LATE:
            delays.append(reached - event.occurred_at_ms)
    assert np.mean(np.array(delays) > HOUR_MS) > 0.1


def test_conflicts_share_an_id_and_differ(faulty: list[SimulatedEvent]) -> None:
    """A conflict repeats the id of an event of its account with other content, and is itself valid."""
    originals = {orjson.loads(e.raw)["event_id"]: e for e in faulty if e.note is Note.EVENT}
    conflicts = [event for event in faulty if event.note is Note.CONFLICT]
    assert conflicts
    for event in conflicts:
        request = msgspec.json.decode(event.raw, type=RequestEvent)
        assert originals[request.event_id].account_id == request.account_id
        assert originals[request.event_id].raw != event.raw


def test_intake_refuses_the_bad_for_the_reason_told_and_nothing_else(faulty: list[SimulatedEvent]) -> None:
    """Intake's verdict on every record is the stream's: bad ones with their reason, all others accepted; each fits a line."""
    received = [event.occurred_at_ms for event in faulty]
    verdicts = validate([event.raw for event in faulty], received, Limits())
    for event, verdict in zip(faulty, verdicts, strict=True):
        assert (verdict.reason if isinstance(verdict, Rejection) else None) == event.reject_reason, event.raw[:200]
        assert b"\n" not in event.raw
    reasons = {event.reject_reason for event in faulty if event.note is Note.BAD}
    assert reasons == set(RejectReason) - {RejectReason.TOO_LARGE, RejectReason.EMPTY}


def test_truth_equals_sums_by_numpy(clean: list[SimulatedEvent]) -> None:
    """Totals per account and hour are those that arrays of the decoded events give."""
    decoder = msgspec.json.Decoder(RequestEvent)
    requests = [decoder.decode(event.raw) for event in clean]
    totals = truth(event.raw for event in clean)
    keys = sorted(totals)
    place = {key: i for i, key in enumerate(keys)}
    at = np.array([place[r.account_id, r.occurred_at_ms // HOUR_MS * HOUR_MS] for r in requests])

    def summed(values: list[int]) -> list[int]:
        out = np.zeros(len(keys), np.int64)
        np.add.at(out, at, np.array(values, np.int64))
        return out.tolist()

    assert summed([1] * len(requests)) == [totals[k].requests for k in keys]
    for name in ("input_tokens", "output_tokens", "reasoning_tokens", "cached_input_tokens"):
        assert summed([getattr(r, name) or 0 for r in requests]) == [getattr(totals[k], name) for k in keys]
    assert summed([int(r.status >= 400) for r in requests]) == [totals[k].errors for k in keys]
    pairs = {(place_, r.model) for place_, r in zip(at.tolist(), requests, strict=True) if r.model}
    assert Counter(p for p, _ in pairs) == Counter({i: len(totals[k].models) for i, k in enumerate(keys) if totals[k].models})


def test_truth_counts_repeats_once_and_conflicts_again(clean: list[SimulatedEvent], faulty: list[SimulatedEvent]) -> None:
    """Duplicates and delays leave the totals as they are; a conflict adds one request."""
    valid = [event for event in faulty if event.reject_reason is None]
    without = truth(event.raw for event in valid if event.note is not Note.CONFLICT)
    assert without == truth(event.raw for event in clean)
    conflicts = sum(event.note is Note.CONFLICT for event in valid)
    assert sum(hour.requests for hour in truth(event.raw for event in valid).values()) == len(clean) + conflicts
