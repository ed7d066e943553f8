"""Normalised text for the fingerprint: UTF-8 bytes → lower-case code points, white space collapsed, look-alikes folded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.jit import inline

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD_BYTES = 2_048
TAIL_BYTES = 1_024
"""Only the first and last bytes of a prompt count, so that a huge prompt costs what a long one does."""
CAPACITY = HEAD_BYTES + TAIL_BYTES + 8
SPACE = 32
NEWLINE = 10
_DROP = 0xFFFF
_TABLE = 0x2100
"""Code points below are folded by table; case beyond (Cherokee, Deseret, …) is kept."""


def fold_table() -> NDArray[np.uint16]:
    """What each code point below U+2100 becomes: itself, its lower case, white space, or nothing.

    Lower case where it is one code point and the same in every Unicode version since 5 (blocks to U+058F, U+1E00–U+1FFF),
    so that a newer Python does not change a fingerprint.
    """
    table = np.arange(_TABLE, dtype=np.uint16)
    for point in (*range(0x0590), *range(0x1E00, 0x2000)):
        lower = chr(point).lower()
        if len(lower) == 1 and ord(lower) < _TABLE:
            table[point] = ord(lower)
    table[:33] = SPACE
    table[[0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029]] = NEWLINE
    table[[0x7F, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F]] = SPACE
    table[[0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, *range(0x202A, 0x202F)]] = _DROP  # invisible
    table[[0x2018, 0x2019, 0x201B, 0x02BC]] = ord("'")
    table[[0x201C, 0x201D, 0x201E, 0x201F, 0xAB, 0xBB]] = ord('"')
    table[[0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212 if _TABLE > 0x2212 else 0x2015]] = ord("-")
    return table


@inline
def _fold_beyond(point: np.int64) -> int:
    if point == 0x3000:
        return SPACE
    if 0xFF01 <= point <= 0xFF5E:  # full-width ASCII
        folded = int(point) - 0xFEE0
        return folded + 32 if 0x41 <= folded <= 0x5A else folded
    if point == 0xFEFF or 0xFE00 <= point <= 0xFE0F:
        return _DROP
    if 0x300C <= point <= 0x300F:
        return 34
    return int(point)


@inline
def _append(  # noqa: C901 - UTF-8 in one loop
    data: NDArray[np.uint8], i: int, stop: int, fold: NDArray[np.uint16], out: NDArray[np.uint32], m: int
) -> int:
    last = np.int64(SPACE)
    while i < stop:
        b = np.int64(data[i])
        i += 1
        if b < 0x80:
            point = np.int64(fold[b])
            if b == 0x5C and i < stop and data[i] == 0x6E:  # a backslash and an n: a line break escaped once too often
                i += 1
                point = np.int64(NEWLINE)
        else:
            if b < 0xE0:
                size, point = 1, b & 0x1F
            elif b < 0xF0:
                size, point = 2, b & 0x0F
            else:
                size, point = 3, b & 0x07
            if i + size > stop:
                break
            for k in range(size):
                point = point << 6 | np.int64(data[i + k]) & 0x3F
            i += size
            point = np.int64(fold[point]) if point < _TABLE else np.int64(_fold_beyond(point))
            if point == _DROP:
                continue
        if (point <= SPACE) & (last <= SPACE):  # one predictable branch, not two
            if point == NEWLINE and m > 1:
                out[m - 1] = NEWLINE
            continue
        out[m] = point
        m += 1
        last = point
    return m


@inline
def normalise(data: NDArray[np.uint8], start: int, stop: int, fold: NDArray[np.uint16], out: NDArray[np.uint32]) -> int:
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
