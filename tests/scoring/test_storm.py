"""The storm brake: one incident when everybody moves at once; severe alerts and single ones are not held up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.base.errors import CodecError
from pipeline.base.settings import DetectSettings
from pipeline.base.times import HOUR_MS
from pipeline.events.alert import Alert, EvidenceEvent, Explanation, Kind, encode_alert
from pipeline.features.blocks import Blocks
from pipeline.features.catalogue import FEATURES, Feature
from pipeline.lab.prior import History
from pipeline.lab.simulate import AttackSpec
from pipeline.scoring.inputs import BLOCK
from pipeline.scoring.judge import Judge
from pipeline.scoring.mind import Mind
from pipeline.scoring.storm import EVIDENCE_MAX, FLOOR, MEMBERS_MAX, PASSES, Storm, headline

if TYPE_CHECKING:
    from tests.scoring.conftest import Play, Populate, Population

NOON = 1_790_000_000_000 // (24 * HOUR_MS) * 24 * HOUR_MS + 12 * HOUR_MS


def alert(number: int, at_ms: int = NOON, feature: str = "output_length", severity: int = 2, kind: Kind = Kind.BULK_EXTRACTION) -> Alert:
    """An alert that is about to open."""
    return Alert(
        alert_id=f"id{number}", revision=1, state="opened", subject_type="account", subject_id=f"a{number}", account_ids=[f"a{number}"],
        kind=kind, headline="", severity=severity, risk=0.7, confidence=0.7, first_seen_ms=at_ms - 1_000, last_seen_ms=at_ms,
        raised_at_ms=at_ms, requests=10, input_tokens=20, output_tokens=30,
        explanation=[Explanation(feature, "", 0, 1.0, 0.0, 0.5, "own", 0.01, 1.0)], techniques=[],
        evidence=[EvidenceEvent(f"e{number}", at_ms, "", f"0:{number}")], recommended_action="watch", detector_version="1",
    )  # fmt: skip


def brake(**settings: float) -> Storm:
    """A brake of partition 3."""
    return Storm(DetectSettings(**settings), 3, "1")


def test_alerts_alike_above_the_allowance_become_one_incident() -> None:
    """The first eight of an hour go out; from the ninth on one incident holds all accounts and grows by doublings; then it closes."""
    storm = brake()
    passed, revisions = 0, []
    for number in range(500):
        out = storm.fold(alert(number, NOON + number))
        passed += out is None
        revisions += out or []
    assert passed == FLOOR
    assert [(a.revision, a.state) for a in revisions] == [(1, "opened"), *((n, "updated") for n in range(2, len(revisions) + 1))]
    assert len(revisions) <= 8
    assert len({a.alert_id for a in revisions}) == 1
    last = revisions[-1]
    assert (last.subject_type, last.subject_id, last.kind, last.severity) == ("population", "form@3", Kind.BULK_EXTRACTION, 3)
    assert storm.tick(NOON + 5 * HOUR_MS) == []
    (closed,) = storm.tick(NOON + 7 * HOUR_MS)
    assert (closed.state, closed.headline.split()[0]) == ("closed", "500")
    assert (closed.requests, closed.input_tokens, closed.output_tokens) == (10 * 492, 20 * 492, 30 * 492)
    assert closed.account_ids == [f"a{n}" for n in range(MEMBERS_MAX)]
    assert len(closed.evidence) == EVIDENCE_MAX
    assert storm.fold(alert(1_000, NOON + 8 * HOUR_MS)) is None


def test_severe_alerts_other_features_and_other_hours_pass() -> None:
    """Severity 4 is never folded, another family has its own count, and a new hour counts from nothing."""
    storm = brake()
    for number in range(FLOOR):
        assert storm.fold(alert(number)) is None
    assert storm.fold(alert(100, severity=4)) is None
    assert storm.fold(alert(101, feature="error_share")) is None
    storm.tick(NOON + HOUR_MS)
    assert storm.fold(alert(102)) is None
    for number in range(FLOOR):
        storm.fold(alert(number, NOON + HOUR_MS))
    assert storm.fold(alert(103)) is not None
    storm.tick(NOON + 2 * HOUR_MS)
    assert storm.fold(alert(104, NOON + 2 * HOUR_MS)) is not None, "an open incident takes what is alike at once"
    assert storm.fold(alert(105, severity=5)) is None


def test_the_allowance_follows_the_budget_and_the_fleet() -> None:
    """Five times the budget of an hour: 48,000 active accounts at 1 per 1,000 account-days are 10; off is off."""
    storm = brake()
    storm.tick(NOON)
    for _ in range(48_000):
        storm.seen()
    assert storm.allowance == pytest.approx(10.0)
    storm.tick(NOON + 24 * HOUR_MS)
    assert storm.allowance == pytest.approx(10.0), "yesterday counts until today is known"
    storm.tick(NOON + 72 * HOUR_MS)
    assert storm.allowance == FLOOR
    off = brake(storm_factor=0.0)
    assert all(off.fold(alert(number)) is None for number in range(100))


def test_bytes_are_the_brake() -> None:
    """Packed at any moment it goes on as if nothing had happened; broken bytes are refused."""
    one, other = brake(), brake()
    for number in range(60):
        now = NOON + number * 5 * 60_000
        again = brake()
        again.unpack(other.pack())
        other = again
        mine = alert(number % 40, now, ("output_length", "error_share")[number % 7 == 0])
        assert one.fold(mine) == other.fold(mine)
        if number % 12 == 11:
            assert one.tick(now) == other.tick(now)
        assert one.pack() == other.pack()
    with pytest.raises(CodecError):
        other.unpack(one.pack()[:-1])


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_an_incidents_headline_fits(feature: Feature) -> None:
    """At most 160 characters for any feature and millions of accounts."""
    assert len(headline(9_999_999, feature.name)) <= 160


COPIES = 30


@pytest.fixture(scope="module")
def deploy(populate: Populate) -> Population:
    """The worst a deploy could do: from one moment on every block reads like a harvest of chains of thought.

    A fleet of 120: the four busiest benign accounts of a small population, thirty times each. What they turn into is the block
    of a simulated attacker that looks most like one.
    """
    people = populate(25, 100, ())
    blocks, accounts = people.history
    hostile = populate(24, 0, (AttackSpec(Kind.REASONING_ELICITATION, requests=2_000, account="aged"),)).history.blocks
    worst = int(np.nanargmax(Judge(DetectSettings()).prepare(hostile, 0, len(hostile.slot)).odds))
    busiest = np.argsort(np.bincount(blocks.slot, minlength=len(accounts)))[-4:]
    rows = np.repeat(np.flatnonzero(np.isin(blocks.slot, busiest)), COPIES)
    copied = Blocks(*(column[rows] for column in blocks))  # type: ignore[arg-type]
    slots = np.searchsorted(np.sort(busiest), copied.slot) * COPIES + np.tile(np.arange(COPIES), len(rows) // COPIES)
    after = np.flatnonzero(copied.closed_ms >= int(np.quantile(copied.closed_ms, 0.6)))
    copied.vector[np.ix_(after, BLOCK)] = hostile.vector[worst, BLOCK]
    names = [f"{accounts[slot]}-{copy}" for slot in np.sort(busiest).tolist() for copy in range(COPIES)]
    return people._replace(history=History(copied._replace(slot=slots.astype(np.int32)), names))


def test_a_deploy_that_moves_everybody_is_one_incident_not_hundreds(deploy: Population, play: Play) -> None:
    """Without the brake all whom it moves are accused at once; with it eight are per incident, which holds all of them."""
    loose = [a for a in play(deploy, DetectSettings(storm_factor=0.0)).alerts if a.state == "opened"]
    at_once = max(Counter(a.raised_at_ms // HOUR_MS for a in loose).values())
    assert at_once >= COPIES
    alerts = play(deploy).alerts
    opened = [a for a in alerts if a.state == "opened"]
    first = next(a for a in opened if a.subject_type == "population")
    same_hour = Counter(a.subject_type for a in opened if a.raised_at_ms // HOUR_MS == first.raised_at_ms // HOUR_MS)
    assert same_hour["account"] == FLOOR * same_hour["population"] <= 2 * FLOOR  # one incident per family of the strongest feature
    incidents = {a.alert_id: a for a in alerts if a.subject_type == "population"}
    moved = {a.subject_id for a in loose if a.raised_at_ms // HOUR_MS == first.raised_at_ms // HOUR_MS}
    assert moved <= {account for a in incidents.values() for account in a.account_ids}
    assert len([a for a in opened if a.severity < PASSES and a.subject_type == "account"]) <= len(loose) / 3


def test_batches_and_packing_do_not_matter_in_a_storm(deploy: Population, play: Play) -> None:
    """The brake is part of the judge's bytes: cut and repacked anywhere, a storm gives the same alerts."""

    def repack(judge: Judge, minds: list[Mind]) -> tuple[Judge, list[Mind]]:
        again = Judge(DetectSettings())
        again.unpack(judge.pack())
        return again, [Mind.unpack(mind.pack()) for mind in minds]

    whole = play(deploy)
    n = len(deploy.history.blocks.slot)
    other = play(deploy, batches=range(n // 20, n, n // 20), between=repack)
    assert [encode_alert(a) for a in other.alerts] == [encode_alert(a) for a in whole.alerts]
    assert other.judge.pack() == whole.judge.pack()


def test_alerts_beside_a_storm_are_whole(deploy: Population, play: Play) -> None:
    """Whatever was folded in between: each alert that went out opens first, and its revisions have no hole."""
    outcome = play(deploy)
    revisions: dict[str, list[Alert]] = {}
    for found in outcome.alerts:
        if found.subject_type == "account":
            revisions.setdefault(found.alert_id, []).append(found)
    for life in revisions.values():
        assert life[0].state == "opened"
        assert [a.revision for a in life] == list(range(1, len(life) + 1))
    assert len(revisions) >= FLOOR
