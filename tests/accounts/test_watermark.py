"""Event time of a partition: robust, per event, and indifferent to batching."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.accounts.watermark import CREEP_MS, MAX_SKEW_MS, Watermarks
from pipeline.base.times import DAY_MS

FAR = 2**62
T0 = 1_790_000_000_000


def _feed(marks: Watermarks, source: int, times: list[int], accounts: list[int] | None = None) -> None:
    who = np.array(accounts or range(len(times)), np.uint32)
    hashes = np.arange(1, int(who.max(initial=0)) + 2, dtype=np.uint64)
    marks.advance(source, np.array(times, np.int64), hashes, who, np.ones(len(times), np.bool_), 0, len(times), FAR)


def test_one_event_with_a_wild_time_moves_the_watermark_at_most_a_minute() -> None:
    """A day ahead from one account is one minute of watermark."""
    marks = Watermarks()
    s = marks.source(0)
    _feed(marks, s, [T0 + i * 1_000 for i in range(20)])
    before = marks.now_ms
    _feed(marks, s, [T0 + DAY_MS])
    assert before < marks.now_ms <= before + CREEP_MS


def test_three_accounts_that_agree_move_it_at_once() -> None:
    """After a quiet night the first three accounts bring the watermark to the morning."""
    marks = Watermarks()
    s = marks.source(0)
    _feed(marks, s, [T0 + i for i in range(20)])
    morning = T0 + 8 * 3_600_000
    _feed(marks, s, [morning, morning + 5, morning + 9], [0, 1, 2])
    assert marks.now_ms == morning


def test_one_account_alone_still_moves_it() -> None:
    """A source with a single account creeps along with it."""
    marks = Watermarks()
    s = marks.source(0)
    _feed(marks, s, [T0 + i * 30_000 for i in range(100)], [0] * 100)
    assert marks.now_ms == T0 + 99 * 30_000


def test_the_slowest_source_holds_it_unless_it_is_idle() -> None:
    """The minimum over sources counts, and a source six hours behind is idle, not slow."""
    marks = Watermarks()
    a, b = marks.source(0), marks.source(1)
    _feed(marks, a, [T0 + i for i in range(20)])
    _feed(marks, b, [T0 + 3_600_000 + i for i in range(20)])
    assert marks.now_ms < T0 + 20
    _feed(marks, b, [T0 + MAX_SKEW_MS + DAY_MS + i for i in range(3)])
    assert marks.now_ms >= T0 + MAX_SKEW_MS + DAY_MS


@given(st.lists(st.tuples(st.integers(0, DAY_MS), st.integers(0, 5)), min_size=1, max_size=120), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_batching_and_snapshots_do_not_matter(events: list[tuple[int, int]], batch: int) -> None:
    """Any cut of the same events, with a snapshot and restore at each cut, gives the same state."""
    whole = Watermarks()
    _feed(whole, whole.source(7), [T0 + t for t, _ in events], [a for _, a in events])
    cut = Watermarks()
    for lo in range(0, len(events), batch):
        part = events[lo : lo + batch]
        _feed(cut, cut.source(7), [T0 + t for t, _ in part], [a for _, a in part])
        restored = Watermarks()
        restored.restore(cut.snapshot())
        cut = restored
    assert cut.snapshot() == whole.snapshot()
