"""One pass over the raw bytes of a batch: how deep each record nests, and whether an object we decode may repeat a key.

A typed decoder skips what it does not know and lets the last of two equal keys win; both must be refused before it runs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.jit import inline, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNOWN_OBJECT = "prompt_print"
"""The one field of an event that is an object; its keys are checked as the record's own are."""
_KEY = np.frombuffer(KNOWN_OBJECT.encode(), np.uint8)
_SLOTS = 256
_FULL = 128


class Scan(NamedTuple):
    """Findings per record."""

    depth: NDArray[np.int32]
    """Deepest nesting of objects and arrays; also counted in text that is not JSON."""
    suspect: NDArray[np.bool_]
    """A key of the record or of `prompt_print` may occur twice: `repeated_key` knows."""


@inline
def _string_end(data: NDArray[np.uint8], words: NDArray[np.uint64], start: int, end: int) -> tuple[int, bool]:
    """Where the string that began before `start` ends (its quote, or `end`), and whether it holds an escape."""
    low, high = np.uint64(0x0101_0101_0101_0101), np.uint64(0x8080_8080_8080_8080)
    quotes, slashes = low * np.uint64(0x22), low * np.uint64(0x5C)
    escaped = False
    j = start
    while j < end:
        c = data[j]
        if c == 0x22:
            return j, escaped
        if c == 0x5C:
            escaped = True
            j += 1
        j += 1
        if j & 7 == 0:  # eight bytes at a time while none is a quote or a backslash (a byte of x - low borrows if it is 0)
            while j + 8 <= end:
                q, b = words[j >> 3] ^ quotes, words[j >> 3] ^ slashes
                if ((q - low) & ~q | (b - low) & ~b) & high:
                    break
                j += 8
    return end, escaped


@kernel
def _scan(  # noqa: C901, PLR0912, PLR0915 - one loop over bytes; calls would hide its state
    data: NDArray[np.uint8],
    words: NDArray[np.uint64],
    ends: NDArray[np.int64],
    known: NDArray[np.uint8],
    depth: NDArray[np.int32],
    suspect: NDArray[np.bool_],
) -> None:
    seen = np.zeros((2, _SLOTS), np.uint64)  # key hashes of the record and of prompt_print
    stamp = np.zeros((2, _SLOTS), np.int64)  # which object put them there
    current = 0
    begin = 0
    for n in range(ends.shape[0]):
        end = ends[n]
        level = 0
        deepest = 0
        key_next = False
        named = False  # the last key of the record was `prompt_print`
        inside = False  # in the object it names
        current += 1
        outer = current
        inner = 0
        count = 0
        i = begin
        while i < end:
            c = data[i]
            if c == 0x22:  # a string
                j, escaped = _string_end(data, words, i + 1, end)
                if key_next and (level == 1 or inside):
                    key_next = False
                    h = np.uint64(0xCBF29CE484222325)
                    for k in range(i + 1, min(j, end)):
                        h = (h ^ np.uint64(data[k])) * np.uint64(0x100000001B3)
                    table = 1 if inside else 0
                    owner = inner if inside else outer
                    count += 1
                    if escaped or count > _FULL:
                        suspect[n] = True
                    else:
                        slot = np.int64(h >> np.uint64(56))
                        while stamp[table, slot] == owner and seen[table, slot] != h:
                            slot = (slot + 1) % _SLOTS
                        if stamp[table, slot] == owner:
                            suspect[n] = True
                        stamp[table, slot] = owner
                        seen[table, slot] = h
                    if level == 1:
                        named = j - i - 1 == known.shape[0] and np.array_equal(data[i + 1 : j], known)
                i = j + 1
                continue
            if c in (0x7B, 0x5B):  # { [
                level += 1
                deepest = max(deepest, level)
                if level == 1:
                    key_next = c == 0x7B
                elif level == 2 and named and c == 0x7B:
                    inside = True
                    key_next = True
                    current += 1
                    inner = current
            elif c in (0x7D, 0x5D):  # } ]
                level -= 1
                if level == 1:
                    inside = False
            elif c == 0x2C and (level == 1 or (inside and level == 2)):  # ,
                key_next = True
            i += 1
        depth[n] = deepest
        begin = end


def scan(data: bytes, ends: NDArray[np.int64]) -> Scan:
    """Scan records that lie end to end in `data`; `ends` holds the end of each."""
    found = Scan(np.zeros(ends.size, np.int32), np.zeros(ends.size, np.bool_))
    _scan(np.frombuffer(data or b"\0", np.uint8), np.frombuffer(data, np.uint64, len(data) // 8), ends, _KEY, *found)
    return found


class _Pairs(list[tuple[str, object]]):
    pass


def repeated_key(text: str) -> tuple[str, ...] | None:
    """Exactly which key occurs twice in the record or in its `prompt_print`: its path, or None. None also for what is not JSON."""
    try:
        record = json.loads(text, object_pairs_hook=_Pairs, parse_int=len, parse_float=len, parse_constant=len)
    except (ValueError, RecursionError):
        return None
    path: tuple[str, ...] = ()
    for _ in range(2):
        if not isinstance(record, _Pairs):
            return None
        keys = [key for key, _ in record]
        if len(set(keys)) < len(keys):
            return (*path, next(key for i, key in enumerate(keys) if key in keys[:i]))
        path = (KNOWN_OBJECT,)
        record = dict(record).get(KNOWN_OBJECT)
    return None
