"""The ring of recent events, against a plain model."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.accounts.ring import CHUNK, Ring
from pipeline.base.errors import CodecError

SIZE = 32


class Model:
    """What the ring promises, in the most obvious form."""

    def __init__(self, size: int) -> None:
        self.last: deque[tuple[int, int]] = deque(maxlen=size)

    def see(self, identity: int, content: int) -> tuple[bool, bool]:
        """(is it new, was its id seen with other content)."""
        if (identity, content) in self.last:
            return False, False
        conflict = any(i == identity for i, _ in self.last)
        self.last.append((identity, content))
        return True, conflict


events = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), max_size=300)


def _columns(
    pairs: list[tuple[int, int]],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], np.ndarray[tuple[int], np.dtype[np.uint64]]]:
    # spread small numbers over the 64 bits, odd, as the ring itself sets the lowest bit
    spread = [((i * 0x9E3779B97F4A7C15) & (2**64 - 1)) | 1 for i, _ in pairs]
    return np.array(spread, np.uint64), np.array([c for _, c in pairs], np.uint64)


@given(events, st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_ring_agrees_with_the_model_over_many_turns_and_any_batching(pairs: list[tuple[int, int]], batch: int) -> None:
    """Repeats and id conflicts are those among the last SIZE distinct events, however the stream is cut."""
    ring, model = Ring(SIZE), Model(SIZE)
    for lo in range(0, len(pairs), batch):
        part = pairs[lo : lo + batch]
        identity, content = _columns(part)
        take = np.ones(len(part), np.bool_)
        conflict = ring.dedupe(identity, content, take)
        expected = [model.see(i, c) for i, c in part]
        assert take.tolist() == [fresh for fresh, _ in expected]
        assert conflict.tolist() == [clash for _, clash in expected]


@given(events, events)
@settings(max_examples=40, deadline=None)
def test_a_restored_ring_goes_on_as_the_original(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> None:
    """Chunks carry everything the ring remembers."""
    ring = Ring(SIZE)
    identity, content = _columns(before)
    ring.dedupe(identity, content, np.ones(len(before), np.bool_))
    copy = Ring(SIZE)
    chunks = range(ring.oldest_chunk, (ring.head - 1) // CHUNK + 1 if ring.head else 0)
    copy.restore(ring.head, {number: ring.chunk(number) for number in chunks})
    identity, content = _columns(after)
    takes = [np.ones(len(after), np.bool_) for _ in range(2)]
    conflicts = [r.dedupe(identity, content, take) for r, take in zip((ring, copy), takes, strict=True)]
    assert takes[0].tolist() == takes[1].tolist()
    assert conflicts[0].tolist() == conflicts[1].tolist()
    assert ring.head == copy.head


def test_ring_larger_than_a_chunk_restores_across_chunk_borders() -> None:
    """A ring that turned over several chunks comes back with exactly its last entries."""
    size = 2 * CHUNK + 100
    ring = Ring(size)
    identity = np.arange(1, 5 * CHUNK, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    ring.dedupe(identity, identity, np.ones(len(identity), np.bool_))
    copy = Ring(size)
    chunks = range(ring.oldest_chunk, (ring.head - 1) // CHUNK + 1)
    copy.restore(ring.head, {number: ring.chunk(number) for number in chunks})
    take = np.ones(len(identity), np.bool_)
    copy.dedupe(identity[-size:], identity[-size:], take[-size:])
    assert not take[-size:].any()
    assert copy.head == ring.head


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=12), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_growing_forgets_nothing(batches: list[int], seed: int) -> None:
    """Below its size the ring knows every event it saw, however often it had to grow, and where a restore began."""
    rng = np.random.default_rng(seed)
    ring = Ring(100_000)
    seen: set[int] = set()
    for count in batches:
        identity = rng.integers(0, 4_000, count).astype(np.uint64) * np.uint64(2) + np.uint64(1)
        take = np.ones(count, np.bool_)
        assert not ring.dedupe(identity, identity, take).any()
        fresh = [i for i, taken in zip(identity.tolist(), take.tolist(), strict=True) if taken]
        assert len(set(fresh)) == len(fresh)
        assert set(fresh) == set(identity.tolist()) - seen
        seen |= set(fresh)
        copy = Ring(100_000)
        copy.restore(ring.head, {number: ring.chunk(number) for number in range((ring.head - 1) // CHUNK + 1)})
        ring = copy


def test_a_missing_chunk_is_refused() -> None:
    """An incomplete state log is an error, not a shorter memory."""
    ring = Ring(SIZE)
    one = np.array([3], np.uint64)
    ring.dedupe(one, one, np.ones(1, np.bool_))
    with pytest.raises(CodecError, match="chunk 0 is missing"):
        Ring(SIZE).restore(ring.head, {})
