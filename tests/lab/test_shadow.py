"""Shadow: two replays of the same frames; what differs is the budget's doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pipeline.base.settings import DetectSettings
from pipeline.base.times import HOUR_MS
from pipeline.events.control import EXPLAINS, Declaration, Setting, Tuning, Twin
from pipeline.events.frame import decode_frame
from pipeline.lab.shadow import Raised, Shadow, unmatched

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.events.frame import Frame

SETTINGS = DetectSettings(dedupe_ring=2_048)


def _shadow(frames: list[Frame], budget: float, first: int = 0) -> Shadow:
    run = Shadow(SETTINGS, SETTINGS.model_copy(update={"alert_budget": budget}), 1, "")
    for offset, frame in enumerate(frames):
        if offset >= first:
            run.feed(0, offset, frame)
    run.forget(0)
    return run


@pytest.fixture(scope="module")
def frames(cut: Callable[..., list[bytes]]) -> list[Frame]:
    """The world in frames."""
    return [decode_frame(data) for data in cut(300)]


@pytest.fixture(scope="module")
def same(frames: list[Frame]) -> Shadow:
    """Replays at the present budget twice."""
    return _shadow(frames, SETTINGS.alert_budget)


def test_the_present_budget_differs_in_nothing(same: Shadow) -> None:
    """Same frames, same settings, same alerts; accounts are counted by day."""
    found = same.difference()
    assert found.before == found.after
    assert found.before
    assert (found.newly, found.gone) == ([], [])
    assert same.from_the_start
    active = same.active_accounts()
    assert len(active) >= 2
    assert max(active.values()) > 20
    assert same.first_ms < same.latest_ms


def test_another_budget_raises_other_alerts(frames: list[Frame]) -> None:
    """A budget a thousand times smaller raises no more; what it no longer raises is named, and `since` leaves out what is older."""
    run = _shadow(frames, 0.001)
    found = run.difference()
    assert len(found.after) <= len(found.before)
    assert len(found.before) - len(found.gone) == len(found.after) - len(found.newly)
    late = found.before[-1].opened.raised_at_ms
    since = run.difference(late).before
    assert since
    assert all(raised.opened.raised_at_ms >= late for raised in since)


def test_what_was_changed_meanwhile_is_left_out(cut: Callable[..., list[bytes]], same: Shadow) -> None:
    """Each replay has its budget from first to last frame, whatever the workers went by then; a decision about an account still counts."""
    budget = Tuning(control_id="0" * 16, issued_at_ms=1, issued_by="ann", setting=Setting.ALERT_BUDGET, value="1000")
    excused = same.difference().before[0].opened
    declared = Declaration(
        control_id="1" * 16, account_id=excused.subject_id, issued_at_ms=1, issued_by="ann", twin=Twin.EVALUATION, until_ms=2**42
    )
    frames = [decode_frame(data) for data in cut(300, decisions=[(200, budget)])]
    assert _shadow(frames, SETTINGS.alert_budget).difference() == same.difference()
    frames = [decode_frame(data) for data in cut(300, decisions=[(200, budget), (201, declared)])]
    found = _shadow(frames, SETTINGS.alert_budget).difference()
    assert found.before == found.after
    assert excused.kind not in EXPLAINS[Twin.EVALUATION] or found.before != same.difference().before


def test_a_log_without_its_beginning_is_replayed_from_what_is_left(frames: list[Frame]) -> None:
    """Retention ate the first frames: the replay says so, and what remains is applied, not taken for a hole."""
    run = _shadow(frames, SETTINGS.alert_budget, first=10)
    assert not run.from_the_start
    assert sum(run.active_accounts().values()) > 20
    assert run.difference().before


def test_counterparts_overlap_in_time_and_serve_once(same: Shadow) -> None:
    """Ids differ between budgets, so alerts are paired by subject, kind and time."""
    alert = same.difference().before[0].opened

    def raised(number: int, first_h: int, last_h: int, subject: str = "a") -> Raised:
        opened = msgspec.structs.replace(
            alert, alert_id=str(number), subject_id=subject, first_seen_ms=first_h * HOUR_MS, raised_at_ms=(first_h + 1) * HOUR_MS
        )
        return Raised(opened, last_h * HOUR_MS)

    one, two, other = raised(1, 0, 10), raised(2, 30, 40), raised(3, 0, 10, "b")
    assert unmatched([one, two], [raised(7, 5, 12)]) == ([], [two])
    assert unmatched([one], [raised(7, 5, 12), raised(8, 6, 8)]) == ([raised(8, 6, 8)], [])
    assert unmatched([one], [raised(7, 11, 12)]) == ([raised(7, 11, 12)], [one])
    assert unmatched([other], [one]) == ([one], [other])
