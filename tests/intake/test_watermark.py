from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.intake.watermark import PATIENCE, Watermark

events = st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 6)), max_size=300)


def _advance(mark: Watermark, rows: list[tuple[int, int]]) -> list[int]:
    after: list[int] = mark.advance(np.array([t for t, _ in rows], np.int64), np.array([a for _, a in rows], np.uint64)).tolist()
    return after


def test_it_follows_the_third_account() -> None:
    """The watermark is the third-highest time among distinct accounts; before there are three, there is none."""
    mark = Watermark()
    assert _advance(mark, [(100, 1), (200, 2), (150, 3), (160, 3), (400, 4)]) == [-1, -1, 100, 100, 160]


def test_two_wild_clocks_do_not_move_it() -> None:
    """Two accounts a day ahead leave the watermark with everybody else, however many events they send."""
    mark = Watermark()
    rows = []
    for i in range(1_000):
        rows += [(1_000 + i, 1 + i % 50), (90_000_000 + i, 98), (80_000_000 + i, 99)]
    assert _advance(mark, rows)[-1] <= 2_000


def test_a_partition_with_one_account_moves_with_patience() -> None:
    """One account alone moves time after a while, and one wild event of its own does not carry it away."""
    mark = Watermark()
    rows = [(i, 1) for i in range(1, PATIENCE)]
    assert _advance(mark, rows) == [-1] * (PATIENCE - 1)
    assert _advance(mark, [(90_000_000, 1)]) == [PATIENCE - 2]
    assert mark.now_ms == PATIENCE - 2


@given(events, st.lists(st.integers(0, 300), max_size=6))
def test_cuts_do_not_matter_and_time_never_goes_back(rows: list[tuple[int, int]], cuts: list[int]) -> None:
    """Any split into batches gives the same watermarks; they are monotone and never above the third-highest event."""
    whole = _advance(Watermark(), rows)
    mark = Watermark()
    parts: list[int] = []
    bounds = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    for lo, hi in pairwise(bounds):
        parts += _advance(mark, rows[lo:hi])
    assert parts == whole
    assert whole == sorted(whole)
    for i, value in enumerate(whole):
        assert value < 0 or sum(t >= value for t, _ in rows[: i + 1]) >= 3
