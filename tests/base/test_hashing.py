"""Stable hashes: pinned values, because partitions and state depend on them for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.hashing import digest_bytes, hash_text, hash_texts, partition_of
from pipeline.base.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


@kernel
def _digest(data: NDArray[np.uint8], start: int, stop: int) -> np.uint64:
    return digest_bytes(data, start, stop)


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"as", 0x1C330FB2D66BE179),
        (b"asd", 0x631C37CE72A97393),
        (b"asdf", 0x415872F599CEA71E),
        (b"Call me Ishmael. Some years ago--never mind how long precisely-", 0x02A2E85470D6FD96),
    ],
)
def test_the_digest_is_xxh64(text: bytes, digest: int) -> None:
    """The vectors that the implementations of xxHash test themselves with, wherever in a buffer the text stands."""
    for before in range(9):
        data = np.frombuffer(b"x" * before + text + b"behind", np.uint8)
        assert int(_digest(data, before, before + len(text))) == digest


@settings(deadline=None)  # the first call compiles
@given(st.binary(min_size=1, max_size=100), st.data())
def test_every_byte_counts_for_the_digest(text: bytes, data: st.DataObject) -> None:
    """One bit changed is another digest."""
    at = data.draw(st.integers(0, len(text) - 1))
    other = bytearray(text)
    other[at] ^= 1 << data.draw(st.integers(0, 7))
    both = np.frombuffer(text + bytes(other), np.uint8)
    assert _digest(both, 0, len(text)) != _digest(both, len(text), 2 * len(text))
