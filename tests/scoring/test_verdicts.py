"""What people decide moves one account's bars, within bounds, until it is taken back or over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.base.errors import NewerFormatError
from pipeline.base.times import DAY_MS
from pipeline.events.alert import Kind
from pipeline.events.control import (
    Baseline,
    Declaration,
    Revocation,
    Twin,
    Verdict,
    VerdictId,
    declaration_control_id,
    verdict_control_id,
)
from pipeline.scoring.kinds import INDEX, KINDS
from pipeline.scoring.mind import FORMAT, Mind
from pipeline.scoring.verdicts import (
    HIGHEST_SHIFT,
    LOWEST_SHIFT,
    MAX_RULINGS,
    bar_shift,
    breach,
    held,
    observe,
    rule,
)

if TYPE_CHECKING:
    from tests.scoring.conftest import Play, Population

PROBING, BULK, ELICITATION = (INDEX[kind] for kind in (Kind.PROBING, Kind.BULK_EXTRACTION, Kind.REASONING_ELICITATION))
BOTH = [Baseline.CHANGE, Baseline.LEVEL]


def verdict(number: int, verdict_id: VerdictId, baselines: list[Baseline] = BOTH, kind: Kind = Kind.PROBING) -> Verdict:
    """A verdict on the number-th alert of an account."""
    return Verdict(
        control_id=verdict_control_id(str(number)), account_id="a", issued_at_ms=1, issued_by="ann", alert_id=str(number), kind=kind,
        baselines=baselines, verdict_id=verdict_id,
    )  # fmt: skip


def declaration(twin: Twin, until_ms: int = 10 * DAY_MS, limit: int = 0) -> Declaration:
    """A declaration about an account."""
    return Declaration(
        control_id=declaration_control_id("a", twin), account_id="a", issued_at_ms=1, issued_by="ann", twin=twin, until_ms=until_ms,
        requests_per_day=limit,
    )  # fmt: skip


def revocation(of: Verdict | Declaration) -> Revocation:
    """The end of a decision."""
    return Revocation(control_id=of.control_id, account_id="a", issued_at_ms=2, issued_by="bob")


def test_a_false_positive_raises_the_bar_of_its_kind_and_baseline_only() -> None:
    """Other kinds, and the other way of comparing, keep theirs."""
    mind = Mind.fresh()
    rule(mind, verdict(1, VerdictId.FALSE_POSITIVE, [Baseline.CHANGE]))
    assert (bar_shift(mind, PROBING, Baseline.CHANGE), bar_shift(mind, BULK, Baseline.CHANGE)) == (1.0, 0.0)
    assert bar_shift(mind, PROBING, Baseline.LEVEL) == 0.0
    rule(mind, verdict(2, VerdictId.BENIGN, [Baseline.LEVEL]))
    assert (bar_shift(mind, PROBING, Baseline.LEVEL), bar_shift(mind, BULK, Baseline.LEVEL)) == (1.0, 0.0)


@pytest.mark.parametrize("verdict_id", [v for v in VerdictId if v not in (1, 2, 5)])
def test_other_verdicts_are_recorded_and_move_nothing(verdict_id: VerdictId) -> None:
    """A test alert or a duplicate says nothing about the detector; it also takes back an earlier verdict on the same alert."""
    mind = Mind.fresh()
    rule(mind, verdict(1, verdict_id))
    assert mind.rulings is None
    rule(mind, verdict(1, VerdictId.FALSE_POSITIVE))
    rule(mind, verdict(1, verdict_id))
    assert mind.rulings is None


def test_a_later_verdict_on_the_same_alert_replaces_the_earlier() -> None:
    """Said twice is said once; a changed mind counts as it is now."""
    mind = Mind.fresh()
    for _ in range(3):
        rule(mind, verdict(1, VerdictId.FALSE_POSITIVE))
    assert bar_shift(mind, PROBING, Baseline.CHANGE) == 1.0
    rule(mind, verdict(1, VerdictId.TRUE_POSITIVE))
    assert bar_shift(mind, PROBING, Baseline.CHANGE) == -0.5


def test_no_number_of_verdicts_makes_the_detector_deaf_or_jumpy() -> None:
    """Bars stay within their bounds, and the state does not grow."""
    mind = Mind.fresh()
    for number in range(100):
        rule(mind, verdict(number, VerdictId.FALSE_POSITIVE))
    assert bar_shift(mind, PROBING, Baseline.CHANGE) == HIGHEST_SHIFT
    assert mind.rulings is not None
    assert len(mind.rulings.verdicts) == MAX_RULINGS
    for number in range(100, 200):
        rule(mind, verdict(number, VerdictId.TRUE_POSITIVE))
    assert bar_shift(mind, PROBING, Baseline.LEVEL) == LOWEST_SHIFT


def test_revoked_is_as_if_never_said() -> None:
    """The mind's bytes are those of an account about which nobody decided anything."""
    mind = Mind.fresh()
    calm = mind.pack()
    wrong, known = verdict(1, VerdictId.FALSE_POSITIVE), declaration(Twin.AUDIT, limit=5)
    rule(mind, wrong)
    rule(mind, known)
    observe(mind, DAY_MS, 25)
    assert mind.pack() != calm
    rule(mind, revocation(known))
    rule(mind, revocation(wrong))
    assert mind.pack() == calm
    rule(mind, revocation(wrong))
    assert mind.pack() == calm


def test_an_account_is_found_accused_in_vain_once_and_taken_back_once() -> None:
    """However often it alerts, and of whatever kind; a confirmed verdict says nothing of others."""
    mind = Mind.fresh()
    level, change = verdict(1, VerdictId.FALSE_POSITIVE, [Baseline.LEVEL]), verdict(2, VerdictId.BENIGN, BOTH, Kind.BULK_EXTRACTION)
    assert rule(mind, level) == {Baseline.LEVEL: 1}
    assert rule(mind, level) == {}
    assert rule(mind, change) == {Baseline.CHANGE: 1}
    assert rule(mind, revocation(level)) == {}
    assert rule(mind, verdict(2, VerdictId.TRUE_POSITIVE, BOTH)) == {Baseline.CHANGE: -1, Baseline.LEVEL: -1}
    assert rule(mind, declaration(Twin.EVALUATION)) == {}


def test_rulings_come_back_with_the_mind() -> None:
    """Packed and unpacked they are the same; bytes of a newer program are refused."""
    mind = Mind.fresh()
    rule(mind, verdict(1, VerdictId.FALSE_POSITIVE))
    rule(mind, declaration(Twin.EVALUATION, limit=10))
    observe(mind, 3 * DAY_MS, 25)
    held(mind, PROBING)
    breach(mind)
    data = mind.pack()
    again = Mind.unpack(data)
    assert again.rulings == mind.rulings
    assert again.pack() == data
    with pytest.raises(NewerFormatError):
        Mind.unpack(bytes([FORMAT + 1]) + data[1:])


def test_a_declaration_holds_back_the_kinds_it_explains_until_it_ends() -> None:
    """Event time ends it; kinds that it does not explain were never held back."""
    mind = Mind.fresh()
    rule(mind, declaration(Twin.AUDIT, until_ms=2 * DAY_MS))
    observe(mind, 2 * DAY_MS - 1, 25)
    assert held(mind, ELICITATION)
    assert not held(mind, BULK)
    observe(mind, 2 * DAY_MS, 25)
    assert not held(mind, ELICITATION)
    assert mind.rulings is None


def test_an_exceeded_limit_is_told_once_a_day_and_ends_the_excuse_for_that_day() -> None:
    """The kind that was held back is accused; the next day begins anew."""
    mind = Mind.fresh()
    rule(mind, declaration(Twin.EVALUATION, limit=60))
    for day in (1, 2):
        found = []
        for _ in range(4):
            observe(mind, day * DAY_MS + 5, 25)
            found.append((held(mind, PROBING), breach(mind)))
        assert found == [(True, None), (True, None), (False, PROBING), (False, None)]


def test_an_excess_without_suspicion_is_bulk() -> None:
    """Nothing was held back: what nobody agreed to is the volume itself."""
    mind = Mind.fresh()
    rule(mind, declaration(Twin.AUDIT, limit=20))
    observe(mind, DAY_MS, 25)
    assert breach(mind) == BULK


def test_late_blocks_do_not_turn_the_day_back() -> None:
    """A block of yesterday counts for no day, and today's count goes on."""
    mind = Mind.fresh()
    rule(mind, declaration(Twin.AUDIT, limit=60))
    for at in (5 * DAY_MS, 4 * DAY_MS, 5 * DAY_MS + 1):
        observe(mind, at, 25)
    assert mind.rulings is not None
    assert (mind.rulings.day, mind.rulings.requests) == (5, 50)


def test_verdicts_move_real_alerts(mixed: Population, play: Play) -> None:
    """With every bar raised fewer or later alerts open, none is new; without rulings nothing changes."""
    plain = {a.subject_id: a for a in reversed(play(mixed).alerts) if a.state == "opened"}

    def ruled(verdict_id: VerdictId) -> dict[str, int]:
        def decide(mind: Mind) -> None:
            for number, kind in enumerate([*KINDS] * 6):
                rule(mind, verdict(number, verdict_id, BOTH, kind))

        alerts = play(mixed, prepare_mind=decide).alerts
        return {a.subject_id: a.raised_at_ms for a in reversed(alerts) if a.state == "opened"}

    raised, lowered = ruled(VerdictId.FALSE_POSITIVE), ruled(VerdictId.TRUE_POSITIVE)
    assert plain
    assert set(raised) <= set(plain) <= set(lowered)
    assert all(raised[a] >= plain[a].raised_at_ms >= lowered[a] for a in raised)
    assert raised != {a: alert.raised_at_ms for a, alert in plain.items()}
    assert ruled(VerdictId.DISREGARD) == {a: alert.raised_at_ms for a, alert in plain.items()}
