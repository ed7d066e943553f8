"""JSON's strings, numbers and nested values in raw bytes: where they end and what they say, for `parse`.

Every function takes what it is certain of (RFC 8259 in its plain spelling) and answers `DOUBT` to all else. None looks behind the
quotes that follow the last record (`PAD`); that a position lies inside the record is for the caller to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.base.hashing import word_at
from pipeline.base.jit import inline, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

ESCAPED, FOREIGN, CONTROL = 1, 2, 4
"""Marks of a string: it holds escapes, bytes beyond ASCII, control characters."""
DIGITS = 15
DOUBT = -1
"""Instead of a position or a size: certain only to the decoder."""
TRUE, FALSE, NULL = 4, 5, 6
QUOTE, COMMA, COLON, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST = 0x22, 0x2C, 0x3A, 0x5C, 0x7B, 0x7D, 0x5B, 0x5D
ZERO, NINE, DOT, MINUS, SLASH, TILDE = 0x30, 0x39, 0x2E, 0x2D, 0x2F, 0x7E
PAD = b'"' * 32
"""Belongs behind the last record: every loop here ends at a quote, and what it then finds is no record."""
TEN = np.array([float(10**k) for k in range(DIGITS + 1)])
PLAIN = np.zeros(256, np.uint8)
PLAIN[0x20:0x7F] = 1
PLAIN[[QUOTE, BACKSLASH]] = 0
SPACE = np.zeros(256, np.uint8)
SPACE[[0x20, 0x09, 0x0A, 0x0D]] = 1


class Source(NamedTuple):
    """The records, end to end, and what their characters are."""

    data: NDArray[np.uint8]
    words: NDArray[np.uint64]
    """The same bytes, eight at a time."""
    plain: NDArray[np.uint8]
    """By byte: printable ASCII but quote and backslash."""
    space: NDArray[np.uint8]
    """By byte: JSON white space."""
    ten: NDArray[np.float64]
    """Powers of ten."""


@inline
def blank(s: Source, i: int) -> int:
    """The first place from `i` on that is no white space."""
    while s.space[s.data[i]]:
        i += 1
    return i


@inline
def plain_end(s: Source, i: int) -> int:
    """Where the plain string that begins at `i` ends (at its quote), or doubt."""
    while s.plain[s.data[i]]:
        i += 1
    return i if s.data[i] == QUOTE else DOUBT


@inline
def string_end(s: Source, start: int, end: int) -> tuple[int, int]:
    """Where the string that begins at `start` ends (its quote, or `end`), and whether it holds escapes, non-ASCII, controls."""
    low, high = np.uint64(0x0101_0101_0101_0101), np.uint64(0x8080_8080_8080_8080)
    quotes, slashes, blanks = low * np.uint64(QUOTE), low * np.uint64(BACKSLASH), low * np.uint64(0x20)
    foreign = np.uint64(0)
    marks = 0
    j = start
    while j < end:
        c = s.data[j]
        if c == QUOTE:
            break
        if c == BACKSLASH:
            marks |= ESCAPED
            j += 1
        elif c < 0x20:
            marks |= CONTROL
        elif c >= 0x80:
            marks |= FOREIGN
        j += 1
        if j & 7 == 0:  # eight bytes at a time while none ends anything (a byte of x - low borrows if it is 0)
            while j + 8 <= end:
                w = s.words[j >> 3]
                q, b = w ^ quotes, w ^ slashes
                if ((q - low) & ~q | (b - low) & ~b | (w - blanks) & ~w) & high:
                    break
                foreign |= w
                j += 8
    if foreign & high:
        marks |= FOREIGN
    return min(j, end), marks


@inline
def is_utf8(data: NDArray[np.uint8], i: int, end: int) -> bool:
    """Whether these bytes, which a quote follows, are UTF-8 (RFC 3629: no surrogates, nothing longer than it need be)."""
    while i < end:
        c = data[i]
        if c < 0x80:
            i += 1
            continue
        d = data[i + 1]
        if d & 0xC0 != 0x80 or c < 0xC2:
            return False
        if c < 0xE0:
            i += 2
            continue
        if data[i + 2] & 0xC0 != 0x80:
            return False
        if c < 0xF0:
            if (c == 0xE0 and d < 0xA0) or (c == 0xED and d >= 0xA0):
                return False
            i += 3
            continue
        if data[i + 3] & 0xC0 != 0x80 or (c == 0xF0 and d < 0x90) or (c == 0xF4 and d >= 0x90) or c > 0xF4:
            return False
        i += 4
    return i == end


@inline
def _hex(data: NDArray[np.uint8], i: int) -> int:
    """The four hexadecimal digits at `i`, or doubt."""
    value: Any = 0
    for k in range(4):
        c = np.int64(data[i + k])
        if ZERO <= c <= NINE:
            d = c - ZERO
        elif 0x41 <= c <= 0x46 or 0x61 <= c <= 0x66:
            d = (c & 0x0F) + 9
        else:
            return DOUBT
        value = value << 4 | d
    return value  # type: ignore[no-any-return]  # an integer


@inline
def _plain_escape(c: Any) -> int:  # noqa: ANN401, PLR0911 - a byte; a table in words
    """What a backslash and this character mean, or doubt."""
    if c in (QUOTE, BACKSLASH, SLASH):
        return c  # type: ignore[no-any-return]  # a byte
    if c == 0x6E:
        return 0x0A
    if c == 0x74:
        return 0x09
    if c == 0x72:
        return 0x0D
    if c == 0x62:
        return 0x08
    if c == 0x66:
        return 0x0C
    return DOUBT


@inline
def unescape(  # noqa: C901, PLR0912 - one loop over characters
    data: NDArray[np.uint8], i: int, end: int, out: NDArray[np.uint8]
) -> int:
    """Write the string's characters as UTF-8 → bytes written, or doubt (half a surrogate pair, an escape that is none)."""
    low, high = np.uint64(0x0101_0101_0101_0101), np.uint64(0x8080_8080_8080_8080)
    slashes = low * np.uint64(BACKSLASH)
    m = 0
    while True:
        while i + 8 <= end:  # eight bytes at a time while none is a backslash
            w = word_at(data, np.uint64(i))
            x = w ^ slashes
            if (x - low) & ~x & high:
                break
            for k in range(8):
                out[np.uint64(m + k)] = w >> np.uint64(8 * k)
            i += 8
            m += 8
        while i < end and data[i] != BACKSLASH:
            out[m] = data[i]
            i += 1
            m += 1
        if i >= end:
            break
        i += 1
        c: Any = np.int64(data[i])
        i += 1
        if c != 0x75:
            c = _plain_escape(c)
            if c < 0:
                return DOUBT
            out[m] = c
            m += 1
            continue
        point = _hex(data, i)
        if point < 0:
            return DOUBT
        i += 4
        if 0xD800 <= point < 0xE000:
            other = _hex(data, i + 2)
            if point >= 0xDC00 or data[i] != BACKSLASH or data[i + 1] != 0x75 or other < 0xDC00 or other >= 0xE000:
                return DOUBT
            i += 6
            point = 0x10000 + ((point - 0xD800) << 10) + (other - 0xDC00)
        if point < 0x80:
            out[m] = point
            m += 1
        elif point < 0x800:
            out[m], out[m + 1] = 0xC0 | point >> 6, 0x80 | point & 63
            m += 2
        elif point < 0x10000:
            out[m], out[m + 1], out[m + 2] = 0xE0 | point >> 12, 0x80 | point >> 6 & 63, 0x80 | point & 63
            m += 3
        else:
            out[m], out[m + 1] = 0xF0 | point >> 18, 0x80 | point >> 12 & 63
            out[m + 2], out[m + 3] = 0x80 | point >> 6 & 63, 0x80 | point & 63
            m += 4
    return m if i == end else DOUBT


@inline
def characters_of(data: NDArray[np.uint8], first: int, stop: int) -> int:
    """Characters of this stretch of UTF-8."""
    n = 0
    for i in range(first, stop):
        n += data[i] & 0xC0 != 0x80
    return n


@inline
def word(data: NDArray[np.uint8], i: int) -> int:
    """`TRUE`, `FALSE` or `NULL`: which literal stands at `i`; 0 for none."""
    if data[i] == 0x74 and data[i + 1] == 0x72 and data[i + 2] == 0x75 and data[i + 3] == 0x65:
        return TRUE
    if data[i] == 0x6E and data[i + 1] == 0x75 and data[i + 2] == 0x6C and data[i + 3] == 0x6C:
        return NULL
    if data[i] == 0x66 and data[i + 1] == 0x61 and data[i + 2] == 0x6C and data[i + 3] == 0x73 and data[i + 4] == 0x65:
        return FALSE
    return 0


@inline
def _delimits(s: Source, i: int) -> bool:
    c = s.data[i]
    return s.space[c] != 0 or c in (COMMA, CLOSE, CLOSE_LIST)


@inline
def integer(s: Source, i: int) -> tuple[int, int]:
    """(value, where it ends); an end of doubt when it is no plain integer."""
    first = i
    value: Any = 0
    while ZERO <= s.data[i] <= NINE:
        value = value * 10 + np.int64(s.data[i] - ZERO)
        i += 1
        if i - first > DIGITS:
            return 0, DOUBT
    if i == first or (s.data[first] == ZERO and i > first + 1) or not _delimits(s, i):
        return 0, DOUBT
    return value, i


@inline
def decimal(s: Source, i: int) -> tuple[float, int]:
    """(value, where it ends) of a number without sign and exponent; up to 15 digits, so that one division rounds correctly."""
    first = i
    mantissa: Any = 0
    point = -1
    digits = 0
    while True:
        c = s.data[i]
        if ZERO <= c <= NINE:
            mantissa = mantissa * 10 + np.int64(c - ZERO)
            digits += 1
            if digits > DIGITS:
                return 0.0, DOUBT
        elif c == DOT and point < 0 and digits > 0:
            point = i
        else:
            break
        i += 1
    whole = (point if point >= 0 else i) - first
    if digits == 0 or (s.data[first] == ZERO and whole > 1) or point == i - 1 or not _delimits(s, i):
        return 0.0, DOUBT
    return mantissa / s.ten[i - point - 1 if point >= 0 else 0], i


@inline
def _skip_string(s: Source, i: int, end: int) -> int:
    """Behind the string whose characters begin at `i`, or doubt."""
    stop, marks = string_end(s, i, end)
    if stop >= end or marks & CONTROL or (marks & FOREIGN and not is_utf8(s.data, i, stop)):
        return DOUBT
    if marks & ESCAPED:
        k = i
        while k < stop:
            if s.data[k] == BACKSLASH:
                k += 1
                if _plain_escape(np.int64(s.data[k])) < 0:  # code points are left to the decoder: half a pair must be mended
                    return DOUBT
            k += 1
    return stop + 1


@inline
def _skip_number(s: Source, i: int) -> int:
    if s.data[i] == MINUS:
        i += 1
    first = i
    while ZERO <= s.data[i] <= NINE:
        i += 1
    if i == first or (s.data[first] == ZERO and i > first + 1):
        return DOUBT
    if s.data[i] == DOT:
        i += 1
        first = i
        while ZERO <= s.data[i] <= NINE:
            i += 1
        if i == first:
            return DOUBT
    return i if _delimits(s, i) else DOUBT  # an exponent may be out of range


@inline
def _skip_key(s: Source, i: int, end: int) -> int:
    """Behind a key, its colon and the white space around, or doubt."""
    i = blank(s, i)
    if s.data[i] != QUOTE:
        return DOUBT
    i = _skip_string(s, i + 1, end)
    if i < 0:
        return DOUBT
    i = blank(s, i)
    return blank(s, i + 1) if s.data[i] == COLON else DOUBT


@kernel
def skip(s: Source, i: int, end: int, max_depth: int) -> int:  # noqa: C901, PLR0911, PLR0912 - JSON's grammar in one loop
    """Behind the value that begins at `i`, or doubt."""
    depth = 0
    objects = np.uint64(0)  # bit d: what is open at depth d + 1 is an object
    one = np.uint64(1)
    while i < end:
        c = s.data[i]
        if c in (OPEN, OPEN_LIST):
            if depth + 2 > min(max_depth, 60):
                return DOUBT
            bit = one << np.uint64(depth)
            objects = objects | bit if c == OPEN else objects & ~bit
            depth += 1
            i = blank(s, i + 1)
            if c == OPEN and s.data[i] != CLOSE:
                i = _skip_key(s, i, end)
                if i < 0:
                    return DOUBT
                continue
            if c == OPEN_LIST and s.data[i] != CLOSE_LIST:
                continue
        elif c == QUOTE:
            i = _skip_string(s, i + 1, end)
        elif c == MINUS or ZERO <= c <= NINE:
            i = _skip_number(s, i)
        else:
            literal = word(s.data, i)
            i = DOUBT if literal == 0 else i + 5 if literal == FALSE else i + 4
        if i < 0:
            return DOUBT
        while True:  # behind a value
            if depth == 0:
                return i
            i = blank(s, i)
            inside = objects >> np.uint64(depth - 1) & one
            c = s.data[i]
            if c == COMMA:
                i = blank(s, i + 1)
                if inside:
                    i = _skip_key(s, i, end)
                    if i < 0:
                        return DOUBT
                break
            if c != (CLOSE if inside else CLOSE_LIST):
                return DOUBT
            depth -= 1
            i += 1
    return DOUBT
