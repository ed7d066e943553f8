"""The fast way in: raw records → rows, without a Python object per event.

The parser takes a record only when it is certain what the decoder would say: one flat JSON object of known fields in their plain
spelling (printable ASCII without escapes where a string is no prompt, integers up to 15 digits, decimals without exponents), each
within its bounds, unknown fields skipped. About any other record it says nothing, and `validate` judges that one, exactly. So the
two never differ, and only the speed depends on how a gateway writes: `tests/intake/test_parse.py` holds it to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from pipeline.base.jit import inline, kernel
from pipeline.events.identifiers import ID_FIELDS
from pipeline.events.request import REQUEST_VERSION, RequestEvent
from pipeline.intake.fingerprint import SHELF, Desk, Shelf, fingerprint_text, new_desk
from pipeline.intake.lexer import (
    CLOSE,
    COLON,
    COMMA,
    CONTROL,
    DOT,
    ESCAPED,
    FALSE,
    FOREIGN,
    NULL,
    OPEN,
    PAD,
    PLAIN,
    QUOTE,
    SLASH,
    SPACE,
    TEN,
    TILDE,
    TRUE,
    Source,
    blank,
    characters_of,
    decimal,
    integer,
    is_utf8,
    plain_end,
    skip,
    string_end,
    unescape,
    word,
)
from pipeline.intake.rows import FLOAT_FIELDS, INTEGER_FIELDS, STRING_FIELDS, STRINGS, Events, empty, hashes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_STRING, _ID, _INTEGER, _BOOL, _FLOAT, _PROMPT, _PRINT, _VERSION, _UNKNOWN = range(9)
_SLOTS = 256
_STRANGERS = 32
"""Unknown fields of one record whose names are compared; with more the record is left to the decoder."""
_NAME_BYTES = 32


class _Fields(NamedTuple):
    """The fields of an event, by number in the order of the type."""

    slot: NDArray[np.int16]
    """[_SLOTS] hash of a name → number, −1 none."""
    name: NDArray[np.uint8]
    """[fields, _NAME_BYTES]"""
    size: NDArray[np.int64]
    """Bytes of the name."""
    kind: NDArray[np.int64]
    place: NDArray[np.int64]
    """Index among the strings, integers or floats of `rows.Events`."""
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    """Bounds: of the value, or of a string's length."""
    required: NDArray[np.bool_]
    """Required ones may not be null either."""


def _bounds(kind: msgspec.inspect.Type) -> tuple[float, float]:
    if isinstance(kind, msgspec.inspect.UnionType):
        kind = next(part for part in kind.types if not isinstance(part, msgspec.inspect.NoneType))
    if isinstance(kind, msgspec.inspect.StrType):
        return kind.min_length or 0, np.inf if kind.max_length is None else kind.max_length
    if isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return -np.inf if kind.ge is None else kind.ge, np.inf if kind.le is None else kind.le
    return 0, np.inf


_NUMBER_OF = {"prompt": _PROMPT, "prompt_print": _PRINT, "schema_version": _VERSION, "logprobs": _BOOL, "stream": _BOOL}


def _place(name: str) -> tuple[int, int]:
    """(kind, place) of a field."""
    if name in STRING_FIELDS:
        return _ID if name in ID_FIELDS else _STRING, STRING_FIELDS.index(name)
    if name in FLOAT_FIELDS:
        return _FLOAT, FLOAT_FIELDS.index(name)
    return _NUMBER_OF.get(name, _INTEGER), INTEGER_FIELDS.index(name) if name in INTEGER_FIELDS else 0


def _fields() -> _Fields:
    kind = msgspec.inspect.type_info(RequestEvent)
    found = kind.fields  # type: ignore[attr-defined]  # it is a struct
    slot = np.full(_SLOTS, -1, np.int16)
    names = np.zeros((len(found), _NAME_BYTES), np.uint8)
    for number, field in enumerate(found):
        name = field.name.encode()
        names[number, : len(name)] = np.frombuffer(name, np.uint8)
        at = _name_slot(len(name), name[0], name[len(name) // 2], name[-1])
        if slot[at] >= 0:
            raise ValueError(f"{field.name} and {found[slot[at]].name} fall into one slot: choose other multipliers")
        slot[at] = number
    places = [_place(field.name) for field in found]
    bounds = [_bounds(field.type) for field in found]
    return _Fields(
        slot,
        names,
        np.array([len(field.name) for field in found], np.int64),
        np.array([kind for kind, _ in places], np.int64),
        np.array([place for _, place in places], np.int64),
        np.array([least for least, _ in bounds], np.float64),
        np.array([most for _, most in bounds], np.float64),
        np.array([field.required for field in found], np.bool_),
    )


def _name_slot(size: int, first: int, middle: int, last: int) -> int:
    return (size * 101 + first * 116 + middle * 254 + last * 151) & (_SLOTS - 1)


_slot_of = inline(_name_slot)
_FIELDS = _fields()
_OCCURRED, _CREATED = INTEGER_FIELDS.index("occurred_at_ms"), INTEGER_FIELDS.index("account_created_at_ms")


class _Found(NamedTuple):
    """What a record says of its strings, until it is known to be good."""

    first: NDArray[np.int64]
    size: NDArray[np.int64]
    strangers: NDArray[np.uint64]


@inline
def is_path(data: NDArray[np.uint8], first: int, stop: int) -> bool:
    """Whether a plain id may be a path; see `events.identifiers`."""
    c = data[first]
    if c in (SLASH, TILDE, DOT):
        return True
    before = c
    for i in range(first + 1, stop):
        c = data[i]
        if (c == DOT and before == SLASH) or (c == SLASH and before == COLON):
            return True
        before = c
    return False


@inline
def _field(f: _Fields, data: NDArray[np.uint8], first: int, stop: int) -> int:
    """Number of the field of this name, −1 for none."""
    size = stop - first
    if size == 0 or size > _NAME_BYTES:
        return -1
    first_byte: Any = data[first]
    middle_byte: Any = data[first + size // 2]
    last_byte: Any = data[stop - 1]
    number = f.slot[_slot_of(size, first_byte, middle_byte, last_byte)]
    if number < 0 or f.size[number] != size:
        return -1
    for k in range(size):
        if data[first + k] != f.name[number, k]:
            return -1
    return int(number)


@inline
def _new_stranger(data: NDArray[np.uint8], first: int, stop: int, strangers: NDArray[np.uint64], count: int) -> bool:
    """Whether this unknown name is certainly the first of its kind in the record."""
    if count >= _STRANGERS:
        return False
    h = np.uint64(0xCBF29CE484222325)
    for k in range(first, stop):
        h = (h ^ np.uint64(data[k])) * np.uint64(0x100000001B3)
    for k in range(count):
        if strangers[k] == h:
            return False
    strangers[count] = h
    return True


@kernel
def _record(  # noqa: C901, PLR0911, PLR0912, PLR0915 - one record in one loop; every doubt is a way out
    s: Source,
    f: _Fields,
    begin: int,
    end: int,
    latest_ms: int,
    max_depth: int,
    found: _Found,
    numbers: NDArray[np.int64],
    floats: NDArray[np.float64],
) -> tuple[bool, int, int, int]:
    """Read one record → (certainly good, where its prompt begins, ends, its marks); no prompt: begins at −1."""
    doubt = False, -1, -1, 0
    data = s.data
    numbers[:] = -1
    floats[:] = np.nan
    found.size[:] = 0
    prompt, prompt_end, prompt_marks = -1, -1, 0
    seen = np.uint64(0)
    strangers = 0
    i = blank(s, begin)
    if i >= end or data[i] != OPEN:
        return doubt
    i += 1
    while True:
        i = blank(s, i)
        if i >= end or data[i] != QUOTE:
            return doubt
        first = i + 1
        i = plain_end(s, first)
        if i < 0 or i >= end:
            return doubt
        number = _field(f, data, first, i)
        kind = _UNKNOWN
        place = 0
        if number >= 0:
            kind, place = f.kind[number], f.place[number]
            bit = np.uint64(1) << np.uint64(number)
            if seen & bit:
                return doubt
            seen |= bit
        else:
            if not _new_stranger(data, first, i, found.strangers, strangers):
                return doubt
            strangers += 1
        i = blank(s, i + 1)
        if data[i] != COLON:
            return doubt
        i = blank(s, i + 1)
        if kind == _UNKNOWN:
            i = skip(s, i, end, max_depth)
            if i < 0:
                return doubt
        elif data[i] == 0x6E:  # null
            if word(data, i) != NULL or f.required[number] or kind == _VERSION:
                return doubt
            i += 4
        elif kind in (_STRING, _ID):
            if data[i] != QUOTE:
                return doubt
            first = i + 1
            i = plain_end(s, first)
            if i < 0 or i - first < f.least[number] or i - first > f.most[number]:
                return doubt
            if kind == _ID and i > first and is_path(data, first, i):
                return doubt
            found.first[place], found.size[place] = first, i - first
            i += 1
        elif kind in (_INTEGER, _VERSION):
            value, i = integer(s, i)
            if i < 0 or value < f.least[number] or value > f.most[number] or (kind == _VERSION and value != REQUEST_VERSION):
                return doubt
            if kind == _INTEGER:
                numbers[place] = value
        elif kind == _FLOAT:
            fraction, i = decimal(s, i)
            if i < 0 or fraction < f.least[number] or fraction > f.most[number]:
                return doubt
            floats[place] = fraction
        elif kind == _BOOL:
            literal = word(data, i)
            if literal not in (TRUE, FALSE):
                return doubt
            numbers[place] = literal == TRUE
            i += 4 if literal == TRUE else 5
        elif kind == _PROMPT:
            if data[i] != QUOTE:
                return doubt
            prompt = i + 1
            prompt_end, prompt_marks = string_end(s, prompt, end)
            if prompt_end >= end or prompt_marks & CONTROL or (prompt_marks & FOREIGN and not is_utf8(data, prompt, prompt_end)):
                return doubt
            i = prompt_end + 1
        else:  # a fingerprint made elsewhere
            return doubt
        i = blank(s, i)
        if data[i] == COMMA:
            i += 1
            continue
        if data[i] != CLOSE or blank(s, i + 1) < end or i >= end:
            return doubt
        break
    for number in range(f.required.shape[0]):
        if f.required[number] and not seen >> np.uint64(number) & np.uint64(1):
            return doubt
    if numbers[_OCCURRED] > latest_ms or numbers[_CREATED] > latest_ms:
        return doubt
    return True, prompt, prompt_end, prompt_marks


@kernel
def _parse(
    s: Source,
    f: _Fields,
    ends: NDArray[np.int64],
    latest_ms: NDArray[np.int64],
    max_bytes: int,
    max_depth: int,
    shelf: Shelf,
    room: NDArray[np.uint8],
    shown: NDArray[np.uint8],
    out: Events,
    at: int,
    used: int,
    good: NDArray[np.bool_],
) -> tuple[int, int]:
    """Read records into rows `at` and on → (rows, bytes of text) used then."""
    desk = new_desk()
    found = _Found(np.empty(STRINGS, np.int64), np.empty(STRINGS, np.int64), np.empty(_STRANGERS, np.uint64))
    begin = 0
    for n in range(ends.shape[0]):
        end = ends[n]
        good[n] = False
        if begin < end <= begin + max_bytes:
            good[n], first, stop, marks = _record(s, f, begin, end, latest_ms[n], max_depth, found, out.numbers[at], out.floats[at])
            if good[n]:
                good[n] = _print(s.data, first, stop, marks, shelf, desk, room, shown, out.prints[at])
        begin = end
        if good[n]:
            used = _keep(s.data, found, out, at, used)
            at += 1
    return at, used


@inline
def _print(
    data: NDArray[np.uint8],
    first: int,
    stop: int,
    marks: int,
    shelf: Shelf,
    desk: Desk,
    room: NDArray[np.uint8],
    shown: NDArray[np.uint8],
    row: Any,  # noqa: ANN401
) -> bool:
    """Fingerprint the prompt, if there is one → False when it is in doubt after all."""
    if first < 0:
        row.sketch[:] = 0
        row.template = row.prefix = row.suffix = row.digest = np.uint64(0)
        row.length = row.markers = row.script = row.present = 0
        return True
    if marks & ESCAPED:
        size = unescape(data, first, stop, room)
        if size < 0:
            return False
        fingerprint_text(shown, 0, size, shelf, desk, row)
        row.length = characters_of(room, 0, size)
    else:
        fingerprint_text(data, first, stop, shelf, desk, row)
        row.length = characters_of(data, first, stop) if marks & FOREIGN else stop - first
    row.present = 1
    return True


@inline
def _keep(data: NDArray[np.uint8], found: _Found, out: Events, at: int, used: int) -> int:
    """Copy a good record's strings, hash account and identity → bytes of text used then."""
    start = used
    for k in range(STRINGS):
        if k == 1:
            out.text[used] = 0
            used += 1
        first = found.first[k]
        for i in range(found.size[k]):
            out.text[used + i] = data[first + i]
        used += found.size[k]
        out.ends[at, k] = used - start
    out.account_hash[at], out.identity[at] = hashes_of(out.text, start, out.ends[at])
    return used


def parse(
    values: Sequence[bytes], latest_ms: NDArray[np.int64], max_bytes: int, max_depth: int, out: Events, at: int, used: int
) -> tuple[NDArray[np.bool_], int, int]:
    """Read what is certain of a batch into `out` → (which records, rows and bytes of text used then).

    Args:
        values: the records.
        latest_ms: latest event time that each may have.
        max_bytes: longer records are left to `validate`, as are
        max_depth: deeper nested ones.
        out: room (`rows.empty`) for them all.
        at: rows that are used already.
        used: bytes of text that are used already.
    """
    data = b"".join([*values, PAD])
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    source = Source(np.frombuffer(data, np.uint8), np.frombuffer(data, np.uint64, len(data) // 8), PLAIN, SPACE, TEN)
    good = np.empty(len(values), np.bool_)
    room = np.empty(int(sizes.max(initial=0)), np.uint8)
    shown = room.view()
    shown.flags.writeable = False  # like the records: the fingerprint is compiled once
    at, used = _parse(source, _FIELDS, np.cumsum(sizes), latest_ms, max_bytes, max_depth, SHELF, room, shown, out, at, used, good)
    return good, int(at), int(used)


def new_room(values: Sequence[bytes]) -> Events:
    """Room for what these records can hold."""
    return empty(len(values), sum(map(len, values)) + len(values))
