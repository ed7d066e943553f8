"""The ring that recognises gateway retries: the last N events of a frames partition, by identity and content.

Two open-addressing tables (linear probing, backward-shift deletion) index the ring: `full` (identity mixed with
content) answers "is this a repeat", `identity` answers "was this id seen with other content". Memory is fixed at
construction: 64 bytes per entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.errors import CodecError
from pipeline.base.hashing import mix
from pipeline.base.jit import inline, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 4_096
"""Ring entries per checkpointed chunk (64 KiB)."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_EMPTY = np.uint64(0)


@inline
def _home(key: np.uint64, mask: int) -> int:
    return int((key * _GOLDEN) >> np.uint64(32)) & mask


@inline
def _find(keys: NDArray[np.uint64], key: np.uint64) -> int:
    """Index of `key`, or of the empty place where it belongs."""
    mask = keys.shape[0] - 1
    i = _home(key, mask)
    while keys[i] != _EMPTY and keys[i] != key:
        i = (i + 1) & mask
    return i


@inline
def _remove(keys: NDArray[np.uint64], values: NDArray[np.int64], at: int) -> None:
    """Empty place `at`, moving later members of its run back so that probing never meets a false gap."""
    mask = keys.shape[0] - 1
    hole = at
    i = at
    while True:
        i = (i + 1) & mask
        if keys[i] == _EMPTY:
            break
        home = _home(keys[i], mask)
        if ((i - home) & mask) >= ((i - hole) & mask):
            keys[hole] = keys[i]
            values[hole] = values[i]
            hole = i
    keys[hole] = _EMPTY


class _Tables(NamedTuple):
    entries: NDArray[np.uint64]  # [N, 2] identity, full
    full_keys: NDArray[np.uint64]  # [4N]
    full_seen: NDArray[np.int64]  # [4N] sequence number of the entry
    id_keys: NDArray[np.uint64]  # [4N]
    id_seen: NDArray[np.int64]  # [4N] sequence number of the latest entry with this identity


@kernel
def _insert(t: _Tables, seq: int, identity: np.uint64, full: np.uint64) -> None:
    size = t.entries.shape[0]
    at = seq % size
    if seq >= size:  # evict the oldest
        old = seq - size
        i = _find(t.full_keys, t.entries[at, 1])
        if t.full_keys[i] != _EMPTY and t.full_seen[i] == old:
            _remove(t.full_keys, t.full_seen, i)
        i = _find(t.id_keys, t.entries[at, 0])
        if t.id_keys[i] != _EMPTY and t.id_seen[i] == old:
            _remove(t.id_keys, t.id_seen, i)
    t.entries[at, 0] = identity
    t.entries[at, 1] = full
    i = _find(t.full_keys, full)
    t.full_keys[i] = full
    t.full_seen[i] = seq
    i = _find(t.id_keys, identity)
    t.id_keys[i] = identity
    t.id_seen[i] = seq


@kernel
def _dedupe(
    t: _Tables,
    seq: int,
    identity: NDArray[np.uint64],
    content: NDArray[np.uint64],
    take: NDArray[np.bool_],
    conflict: NDArray[np.bool_],
) -> int:
    for row in range(identity.shape[0]):
        if not take[row]:
            continue
        key = identity[row] | _ONE
        full = mix(key, content[row]) | _ONE
        if t.full_keys[_find(t.full_keys, full)] != _EMPTY:
            take[row] = False
            continue
        conflict[row] = t.id_keys[_find(t.id_keys, key)] != _EMPTY
        _insert(t, seq, key, full)
        seq += 1
    return seq


class Ring:
    """The last `size` distinct events; see the module. `head` counts events ever inserted."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.head = 0
        table = 1 << (2 * size - 1).bit_length()
        self._tables = _Tables(
            np.zeros((size, 2), np.uint64),
            np.zeros(table, np.uint64),
            np.zeros(table, np.int64),
            np.zeros(table, np.uint64),
            np.zeros(table, np.int64),
        )

    def dedupe(self, identity: NDArray[np.uint64], content: NDArray[np.uint64], take: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Clear `take` for repeats, in row order; remember the others → bool[n], rows whose id was seen with other content."""
        conflict = np.zeros(identity.shape[0], np.bool_)
        self.head = int(_dedupe(self._tables, self.head, identity, content, take, conflict))
        return conflict

    def chunk(self, number: int) -> bytes:
        """Entries `[number·CHUNK, (number+1)·CHUNK)` as far as they were inserted; the ring must still hold them."""
        first, last = number * CHUNK, min((number + 1) * CHUNK, self.head)
        if last <= first or first < self.head - self.size:
            first = max(first, self.head - self.size)
        at = np.arange(first, last) % self.size
        return self._tables.entries[at].tobytes()

    @property
    def oldest_chunk(self) -> int:
        """Number of the chunk that holds the oldest remembered entry."""
        return max(0, self.head - self.size) // CHUNK

    def restore(self, head: int, chunks: dict[int, bytes]) -> None:
        """Refill from chunks that cover the last `size` entries before `head`.

        Raises:
            CodecError: a chunk is missing or short.
        """
        first = max(0, head - self.size)
        for number in range(first // CHUNK, (head - 1) // CHUNK + 1 if head else 0):
            data = chunks.get(number)
            stop = min((number + 1) * CHUNK, head)
            if data is None:
                raise CodecError(f"ring chunk {number} is missing from the state log")
            entries = np.frombuffer(data, "<u8").reshape(-1, 2)
            start = stop - len(entries)  # a chunk may begin inside, where the ring had already turned over
            if start > max(number * CHUNK, first):
                raise CodecError(f"ring chunk {number} holds {len(entries)} entries, {stop - number * CHUNK} expected")
            for seq in range(max(start, first), stop):
                _insert(self._tables, seq, entries[seq - start, 0], entries[seq - start, 1])
        self.head = head
