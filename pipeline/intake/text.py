"""Normalised text for the fingerprint: UTF-8 bytes → lower-case characters, white space collapsed, look-alikes folded.

A character is 32 bits: its code point, and its kind (a `Script` or DIGIT, 0 for all else) in the top eight. So white space and
ASCII punctuation are their own code points, and a letter says its script without another look-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.hashing import word_at
from pipeline.base.jit import inline
from pipeline.intake.scripts import script_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD_BYTES = 2_048
TAIL_BYTES = 1_024
"""Only the first and last bytes of a prompt count, so that a huge prompt costs what a long one does."""
CAPACITY = HEAD_BYTES + TAIL_BYTES + 8
SPACE = 32
NEWLINE = 10
KIND_SHIFT = 24
_DROP = 0xFFFF_FFFF
_HAN = 8
_STABLE_CASE = (*range(0x0590), *range(0x1E00, 0x2000))
"""Blocks whose lower case is the same in every Unicode version since 5, so that a newer Python changes no fingerprint."""


def fold_table() -> NDArray[np.uint32]:
    """What each code point below U+10000 becomes: a character as above, or `_DROP`."""
    points = np.arange(0x10000, dtype=np.uint32)
    for point in _STABLE_CASE:
        lower = chr(point).lower()
        if len(lower) == 1:
            points[point] = ord(lower)
    points[:33] = SPACE
    points[[0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029]] = NEWLINE
    points[[0x7F, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]] = SPACE
    points[[0x2018, 0x2019, 0x201B, 0x02BC]] = ord("'")
    points[[0x201C, 0x201D, 0x201E, 0x201F, 0xAB, 0xBB, *range(0x300C, 0x3010)]] = ord('"')
    points[[*range(0x2010, 0x2016), 0x2212]] = ord("-")
    points[0xFF01:0xFF5F] = points[0x21:0x7F]  # full-width ASCII, in lower case already
    folded = points | script_table()[points].astype(np.uint32) << np.uint32(KIND_SHIFT)
    folded[[0xAD, *range(0x200B, 0x2010), 0x2060, *range(0x202A, 0x202F), *range(0xFE00, 0xFE10), 0xFEFF]] = _DROP  # invisible
    return folded


def characters(text: str) -> list[int]:
    """Text that is normalised already (phrases, words of the shipped lists) as characters of this module."""
    fold = fold_table()
    return [int(fold[ord(c)]) for c in text]


@inline
def _plain(w: np.uint64, before: np.uint64) -> bool:
    """Whether eight bytes (the first lowest) are printable ASCII, without a backslash and without white space to collapse.

    May say no to bytes that are, never yes to others. A byte of x - low borrows if it is 0.

    Args:
        w: the bytes.
        before: 0x80 when white space stands before them, else 0.
    """
    low, high = np.uint64(0x0101_0101_0101_0101), np.uint64(0x8080_8080_8080_8080)
    blanks, slashes = low * np.uint64(SPACE), w ^ low * np.uint64(0x5C)
    other = w | (w - blanks) & ~w | (slashes - low) & ~slashes | w + low  # beyond ASCII, control, backslash, DEL
    x = w ^ blanks
    space = (x - low) & ~x & high
    return bool((other & high | space & (space << np.uint64(8) | before)) == 0)


@inline
def _append(  # noqa: C901, PLR0912 - UTF-8 in one loop
    data: NDArray[np.uint8], begin: int, stop: int, fold: NDArray[np.uint32], out: NDArray[np.uint32], length: int
) -> int:
    # unsigned indices: numba guards signed ones against being negative, character by character
    one, ascii_end, backslash = np.uint64(1), np.uint32(0x80), np.uint32(0x5C)
    zero, eight, far, eighty, high = np.uint64(0), np.uint64(8), np.uint64(64), np.uint64(0x80), np.uint64(0x8080_8080_8080_8080)
    i, end, m = np.uint64(begin), np.uint64(stop), np.uint64(length)
    space, newline = np.uint32(SPACE), np.uint32(NEWLINE)
    last = space
    while i < end:
        part = min(i + eight, end)
        if i + eight <= end:
            w = word_at(data, i)
            if _plain(w, eighty if last <= space else zero):
                for k in range(8):
                    out[m + np.uint64(k)] = fold[w >> np.uint64(8 * k) & np.uint64(0xFF)]
                i += eight
                m += eight
                last = out[m - one]
                continue
            if w & high:  # more of that kind follows
                part = min(i + far, end)
        while i < part:
            b = np.uint32(data[i])
            i += one
            c = fold[b]
            if (b >= ascii_end) | (b == backslash):
                if b == backslash:
                    if i < end and data[i] == 0x6E:  # a backslash and an n: a line break escaped once too often
                        i += one
                        c = newline
                else:
                    size = np.uint64(1 + (b >= 0xE0) + (b >= 0xF0))
                    if i + size > end:
                        i = end
                        break
                    point = np.uint32(b & (0x3F >> size))
                    for k in range(size):
                        point = point << np.uint32(6) | np.uint32(data[i + k] & 0x3F)
                    i += size
                    if point < 0x10000:
                        c = fold[point]
                        if c == _DROP:
                            continue
                    else:  # extensions of Han; what else is up there (mostly emoji) has no kind
                        c = point | np.uint32(_HAN << KIND_SHIFT) if point >= 0x20000 else point
            if (c <= space) & (last <= space):  # one predictable branch, not two
                if c == newline and m > one:
                    out[m - one] = newline
                continue
            out[m] = c
            m += one
            last = c
    return np.int64(m)  # type: ignore[return-value]  # a signed one: numba adds an int to an unsigned one as floats


@inline
def normalise(data: NDArray[np.uint8], start: int, stop: int, fold: NDArray[np.uint32], out: NDArray[np.uint32]) -> int:
    r"""Write the normalised text, between two spaces, into `out` (at least CAPACITY long) → its length.

    Runs of white space become one space, or one newline if the run holds a line break (also a spelled-out `\n`). Four more
    spaces follow the end. The bytes are trusted to be UTF-8; a cut inside a character drops it.
    """
    out[0] = SPACE
    if stop - start > HEAD_BYTES + TAIL_BYTES:
        m = _append(data, start, start + HEAD_BYTES, fold, out, 1)
        if out[m - 1] > SPACE:
            out[m] = SPACE
            m += 1
        start = stop - TAIL_BYTES
        while start < stop and data[start] & 0xC0 == 0x80:
            start += 1
        m = _append(data, start, stop, fold, out, m)
    else:
        m = _append(data, start, stop, fold, out, 1)
    if out[m - 1] > SPACE:
        m += 1
    out[m - 1 : m + 4] = SPACE
    return m
