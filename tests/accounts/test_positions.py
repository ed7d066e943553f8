"""Source positions: overlap is skipped, a hole is reported and never jumped."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.accounts.positions import Positions
from pipeline.base.errors import LineageError
from pipeline.base.hashing import HASH_NAME
from pipeline.events.frame import FrameHeader, Segment


def _accept(positions: Positions, segment: Segment, offsets: list[int]) -> list[bool]:
    header = FrameHeader(1, 0, 1, HASH_NAME, "api.requests", [segment], len(offsets), [], [""])
    take = np.ones(len(offsets), np.bool_)
    list(positions.accept(header, np.array(offsets, np.int64), take))
    return take.tolist()


def test_rows_below_the_position_are_skipped() -> None:
    """A successor that begins before where its predecessor ended repeats nothing."""
    positions = Positions()
    assert _accept(positions, Segment("t", 0, -1, 9, 3), [0, 4, 9]) == [True, True, True]
    assert _accept(positions, Segment("t", 0, 3, 12, 3), [4, 9, 11]) == [False, False, True]
    assert positions.by_partition[0].offset == 12


def test_a_hole_is_counted_and_not_jumped() -> None:
    """A segment that begins beyond the position does not apply, until the missing range has come."""
    positions = Positions()
    _accept(positions, Segment("t", 0, -1, 9, 1), [3])
    assert _accept(positions, Segment("t", 0, 14, 20, 1), [16]) == [False]
    assert (positions.by_partition[0].offset, positions.by_partition[0].hole) == (9, 5)
    assert _accept(positions, Segment("t", 0, 9, 20, 2), [12, 16]) == [True, True]
    assert (positions.by_partition[0].offset, positions.by_partition[0].hole) == (20, 0)


def test_what_retention_ate_is_counted_as_lost() -> None:
    """A lost segment moves the position and says how much is gone."""
    positions = Positions()
    _accept(positions, Segment("t", 2, -1, 499, 0, lost=True), [])
    assert (positions.by_partition[2].offset, positions.by_partition[2].lost) == (499, 500)


def test_a_recreated_source_topic_is_refused() -> None:
    """Offsets of another topic of the same name mean nothing here."""
    positions = Positions()
    _accept(positions, Segment("first", 0, -1, 9, 0), [])
    with pytest.raises(LineageError, match="recreated"):
        _accept(positions, Segment("second", 0, -1, 3, 0), [])
