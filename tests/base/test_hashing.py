"""Stable hashes: pinned values, because partitions and state depend on them for ever."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.hashing import hash_text, hash_texts, partition_of


def test_hashes_are_pinned() -> None:
    """A change of any of these moves accounts between partitions: it needs a new HASH_NAME and a migration."""
    assert hash_text("abc") == 0x7C8913EBC6D78269
    assert hash_texts(("acct-1", "acct-2")).tolist() == [hash_text("acct-1"), hash_text("acct-2")]


def test_the_empty_text_is_zero_and_nothing_else_is() -> None:
    """Zero means absent."""
    assert hash_texts(("", "\0", "a")).tolist()[0] == 0
    assert all(hash_texts(("\0", "a", " ")).tolist())


@given(st.lists(st.text(max_size=40), max_size=30))
def test_hashing_together_equals_hashing_alone(texts: list[str]) -> None:
    """Batching is an optimisation only."""
    assert hash_texts(texts).tolist() == [hash_text(t) for t in texts]


def test_partitions_are_even() -> None:
    """Twelve partitions get their share of 60,000 accounts within 5 %."""
    counts = np.bincount(partition_of(hash_texts([f"acct-{i}" for i in range(60_000)]), 12), minlength=12)
    assert counts.min() > 4_750
    assert counts.max() < 5_250
