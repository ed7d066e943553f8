"""The ring that recognises gateway retries: the last N events of a frames partition, by identity and content.

Two open-addressing tables (linear probing, backward-shift deletion) index the ring: `full` (identity mixed with
content) answers "is this a repeat", `identity` answers "was this id seen with other content". They begin small and double
while the ring fills, so that a partition pays for the events it has seen: memory that is never touched stays in the cache,
and 48 bytes per entry is the most.
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
FIRST_CAPACITY = 4_096

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_EMPTY = np.uint64(0)
_LOW = np.uint64(0xFFFF_FFFF)
_HALF = np.uint64(32)
_IDENTITY, _FULL = 0, 1


@inline
def _tag(key: np.uint64) -> np.uint64:
    """The upper half of a table slot: it says where the key belongs, and nearly always whether a slot is another's."""
    return (key * _GOLDEN) >> _HALF


@inline
def _find(table: NDArray[np.uint64], entries: NDArray[np.uint64], column: int, key: np.uint64) -> int:
    """Index of the slot of `key`, or of the empty one where it belongs. A slot is tag << 32 | place in `entries` + 1."""
    mask = table.shape[0] - 1
    tag = _tag(key)
    i = np.int64(tag) & mask
    while table[i] != _EMPTY and (table[i] >> _HALF != tag or entries[np.int64(table[i] & _LOW) - 1, column] != key):
        i = (i + 1) & mask
    return int(i)


@inline
def _remove(table: NDArray[np.uint64], at: int) -> None:
    """Empty slot `at`, moving later members of its run back so that probing never meets a false gap."""
    mask = table.shape[0] - 1
    hole = at
    i = at
    while True:
        i = (i + 1) & mask
        if table[i] == _EMPTY:
            break
        home = np.int64(table[i] >> _HALF) & mask
        if ((i - home) & mask) >= ((i - hole) & mask):
            table[hole] = table[i]
            hole = i
    table[hole] = _EMPTY


class _Tables(NamedTuple):
    entries: NDArray[np.uint64]  # [capacity, 2] identity, full
    full: NDArray[np.uint64]  # [>= 2 capacity] slots
    identity: NDArray[np.uint64]  # [>= 2 capacity] slots; each names the latest entry with this identity


@inline
def _put(table: NDArray[np.uint64], entries: NDArray[np.uint64], column: int, at: int) -> None:
    key = entries[at, column]
    table[_find(table, entries, column, key)] = _tag(key) << _HALF | np.uint64(at + 1)


@inline
def _drop(table: NDArray[np.uint64], entries: NDArray[np.uint64], column: int, at: int) -> None:
    """Take entry `at` out of a table, unless a later one with the same key stands there."""
    i = _find(table, entries, column, entries[at, column])
    if table[i] & _LOW == np.uint64(at + 1):
        _remove(table, i)


@inline
def _insert(t: _Tables, size: int, seq: int, identity: np.uint64, full: np.uint64) -> None:
    at = seq % size
    if seq >= size:  # evict the oldest
        _drop(t.full, t.entries, _FULL, at)
        _drop(t.identity, t.entries, _IDENTITY, at)
    t.entries[at, _IDENTITY] = identity
    t.entries[at, _FULL] = full
    _put(t.full, t.entries, _FULL, at)
    _put(t.identity, t.entries, _IDENTITY, at)


@kernel
def _insert_all(t: _Tables, size: int, seq: int, entries: NDArray[np.uint64]) -> None:
    for k in range(entries.shape[0]):
        _insert(t, size, seq + k, entries[k, _IDENTITY], entries[k, _FULL])


@kernel
def _index(t: _Tables, count: int) -> None:
    """Fill empty tables from the first `count` entries, oldest first."""
    for at in range(count):
        _put(t.full, t.entries, _FULL, at)
        _put(t.identity, t.entries, _IDENTITY, at)


@kernel
def _dedupe(
    t: _Tables,
    size: int,
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
        if t.full[_find(t.full, t.entries, _FULL, full)] != _EMPTY:
            take[row] = False
            continue
        conflict[row] = t.identity[_find(t.identity, t.entries, _IDENTITY, key)] != _EMPTY
        _insert(t, size, seq, key, full)
        seq += 1
    return seq


def _tables(capacity: int) -> _Tables:
    slots = 1 << (2 * capacity - 1).bit_length()
    return _Tables(np.zeros((capacity, 2), np.uint64), np.zeros(slots, np.uint64), np.zeros(slots, np.uint64))


class Ring:
    """The last `size` distinct events; see the module. `head` counts events ever inserted."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.head = 0
        self._tables = _tables(min(size, FIRST_CAPACITY))

    def dedupe(self, identity: NDArray[np.uint64], content: NDArray[np.uint64], take: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Clear `take` for repeats, in row order; remember the others → bool[n], rows whose id was seen with other content."""
        conflict = np.zeros(identity.shape[0], np.bool_)
        self._reserve(self.head + identity.shape[0])
        self.head = int(_dedupe(self._tables, self.size, self.head, identity, content, take, conflict))
        return conflict

    def _reserve(self, head: int) -> None:
        """Room for entries up to `head`: double until they fit or the ring is complete."""
        capacity = before = len(self._tables.entries)
        while capacity < min(head, self.size):
            capacity = min(2 * capacity, self.size)
        if capacity > before:  # so far nothing was evicted: entries lie in the order they came
            grown = _tables(capacity)
            grown.entries[:before] = self._tables.entries
            _index(grown, min(self.head, before))
            self._tables = grown

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
        self._reserve(head)
        for number in range(first // CHUNK, (head - 1) // CHUNK + 1 if head else 0):
            data = chunks.get(number)
            stop = min((number + 1) * CHUNK, head)
            if data is None:
                raise CodecError(f"ring chunk {number} is missing from the state log")
            entries = np.frombuffer(data, "<u8").reshape(-1, 2)
            start = stop - len(entries)  # a chunk may begin inside, where the ring had already turned over
            if start > max(number * CHUNK, first):
                raise CodecError(f"ring chunk {number} holds {len(entries)} entries, {stop - number * CHUNK} expected")
            begin = max(start, first)
            _insert_all(self._tables, self.size, begin, np.ascontiguousarray(entries[begin - start :]))
        self.head = head
