"""Events → the columns of one frame: strings become indices, absent numbers −1 or NaN, and each event its content hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.hashing import hash_bytes, mix, word_at
from pipeline.base.jit import inline, kernel
from pipeline.events.frame import COLUMNS, Columns, Dictionary
from pipeline.intake.rows import FLOAT_FIELDS, INTEGER_FIELDS, STRINGS, SYMBOL_FIELDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.intake.rows import Events

_PRINT_FIELDS = ("present", "script", "markers", "length", "template", "prefix", "suffix", "sketch")
_DIGEST = np.uint64(0x9E3779B97F4A7C15)


class Table(NamedTuple):
    """The events of a frame: its two dictionaries and its columns."""

    accounts: Dictionary
    symbols: Dictionary
    columns: Columns


@inline
def _quick(text: NDArray[np.uint8], start: int, stop: int) -> np.uint64:
    """A hash for this process's tables: equal strings have equal ones, and no more is asked of it."""
    h = np.uint64(stop - start) * _DIGEST
    i = start
    while i + 8 <= stop:
        h = (h ^ word_at(text, np.uint64(i))) * np.uint64(0xFF51AFD7ED558CCD)
        h ^= h >> np.uint64(32)
        i += 8
    word = np.uint64(0)
    while i < stop:
        word = word << np.uint64(8) | np.uint64(text[i])
        i += 1
    h = (h ^ word) * np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ h >> np.uint64(29)


@inline
def _same(text: NDArray[np.uint8], a: int, b: int, size: int) -> bool:
    k = 0
    while k < size and text[a + k] == text[b + k]:
        k += 1
    return k == size


@inline
def _code(
    text: NDArray[np.uint8],
    start: int,
    stop: int,
    table: NDArray[np.int32],
    spans: NDArray[np.int64],
    keys: NDArray[np.uint64],
    count: int,
) -> int:
    """Number of the string `text[start:stop]`; `count` when it is new (then it has been entered)."""
    h = _quick(text, start, stop)
    mask = table.shape[0] - 1
    i = np.int64(h >> np.uint64(20)) & mask
    while table[i]:
        k = table[i] - 1
        if keys[k] == h and spans[k, 1] - spans[k, 0] == stop - start and _same(text, spans[k, 0], start, stop - start):
            return int(k)
        i = (i + 1) & mask
    table[i] = count + 1
    keys[count] = h
    spans[count, 0], spans[count, 1] = start, stop
    return count


@inline
def _pack(text: NDArray[np.uint8], spans: NDArray[np.int64], count: int, out: NDArray[np.uint8]) -> int:
    """The strings as a msgpack array in its shortest form → bytes written."""
    at = 0
    if count < 16:
        out[0] = 0x90 | count
        at = 1
    elif count < 0x10000:
        out[0], out[1], out[2] = 0xDC, count >> 8, count & 255
        at = 3
    else:
        out[0] = 0xDD
        for k in range(4):
            out[1 + k] = count >> (24 - 8 * k) & 255
        at = 5
    for n in range(count):
        start, size = spans[n, 0], spans[n, 1] - spans[n, 0]
        if size < 32:
            out[at] = 0xA0 | size
            at += 1
        elif size < 256:
            out[at], out[at + 1] = 0xD9, size
            at += 2
        else:
            out[at], out[at + 1], out[at + 2] = 0xDA, size >> 8, size & 255
            at += 3
        for k in range(size):
            out[at + k] = text[start + k]
        at += size
    return at


@kernel
def _dictionaries(
    text: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    account: NDArray[np.uint32],
    account_hash: NDArray[np.uint64],
    accounts: NDArray[np.uint8],
    codes: NDArray[np.uint32],
    symbol_hash: NDArray[np.uint64],
    symbols: NDArray[np.uint8],
) -> tuple[int, int, int, int]:
    """Number the strings of events → (accounts, bytes of them packed, symbols, bytes of them packed).

    Given the strings as in `Events` and each event's account hash, it fills: `account` with the number of each event's account,
    `account_hash` with their hashes, `accounts` with their text; `codes`, `symbol_hash` and `symbols` with the same for the symbol
    fields, field by field, where 0 is the empty string.
    """
    n = ends.shape[0]
    room = 16
    while room < 2 * (n * (STRINGS - 1) + 1):
        room *= 2
    table = np.zeros(room, np.int32)
    spans = np.empty((n * (STRINGS - 1) + 1, 2), np.int64)
    keys = np.empty(n * (STRINGS - 1) + 1, np.uint64)
    known = 0
    for i in range(n):
        k = _code(text, starts[i], starts[i] + ends[i, 0], table, spans, keys, known)
        account[i] = k
        if k == known:
            account_hash[k] = hashes[i]
            known += 1
    account_bytes = _pack(text, spans, known, accounts)
    account_count = known
    table[:] = 0
    spans[0, :] = 0
    symbol_hash[0] = 0
    known = 1
    for field in range(1, STRINGS):
        before, before_stop, code = 0, 0, 0
        for i in range(n):
            start, stop = starts[i] + ends[i, field - 1], starts[i] + ends[i, field]
            if field == 1:
                start += 1  # the zero byte
            if stop == start:
                codes[field - 1, i] = 0
                continue
            if stop - start != before_stop - before or not _same(text, before, start, stop - start):  # often as in the event before
                code = _code(text, start, stop, table, spans, keys, known)
                if code == known:
                    symbol_hash[code] = hash_bytes(text, start, stop)
                    known += 1
                before, before_stop = start, stop
            codes[field - 1, i] = code
    return account_count, account_bytes, known, _pack(text, spans, known, symbols)


@kernel
def _content(
    account: NDArray[np.uint64],
    symbol_hash: NDArray[np.uint64],
    symbols: NDArray[np.uint32],
    numbers: NDArray[np.int64],
    floats: NDArray[np.int64],
    digest: NDArray[np.uint64],
    out: NDArray[np.uint64],
) -> None:
    for i in range(account.shape[0]):
        h = account[i]
        for k in range(symbols.shape[0]):
            h = mix(h, symbol_hash[symbols[k, i]])
        for k in range(numbers.shape[1]):
            h = mix(h, np.uint64(numbers[i, k]))
        for k in range(floats.shape[1]):
            h = mix(h, np.uint64(floats[i, k]))
        out[i] = mix(h, digest[i])


def build(events: Events, offset: NDArray[np.int64], appended_at_ms: NDArray[np.int64]) -> Table:
    """Columns of these events, in their order; a function of its arguments only.

    Args:
        events: the events.
        offset: source offset of each.
        appended_at_ms: timestamp of each source record, −1 when unknown.
    """
    n = events.rows
    most = n * len(SYMBOL_FIELDS) + 1
    account, codes = np.empty(n, np.uint32), np.empty((len(SYMBOL_FIELDS), n), np.uint32)
    account_hash, symbol_hash = np.empty(n, np.uint64), np.empty(most, np.uint64)
    packed_accounts, packed_symbols = np.empty(len(events.text) + 3 * n + 5, np.uint8), np.empty(len(events.text) + 3 * most + 5, np.uint8)
    accounts, account_bytes, symbols, symbol_bytes = _dictionaries(
        events.text, events.starts, events.ends, events.account_hash, account, account_hash, packed_accounts,
        codes, symbol_hash, packed_symbols,
    )  # fmt: skip
    content = np.empty(n, np.uint64)
    digest = np.ascontiguousarray(events.prints["digest"])
    _content(events.account_hash, symbol_hash, codes, events.numbers, events.floats.view(np.int64), digest, content)
    columns = {
        "offset": offset,
        "appended_at_ms": appended_at_ms,
        "identity": events.identity,
        "content": content,
        "account": account,
        "account_hash": account_hash[:accounts],
        "symbol_hash": symbol_hash[:symbols],
        **dict(zip(SYMBOL_FIELDS, codes, strict=True)),
        **{name: events.numbers[:, k] for k, name in enumerate(INTEGER_FIELDS)},
        **{name: events.floats[:, k] for k, name in enumerate(FLOAT_FIELDS)},
        **{f"print_{name}": events.prints[name] for name in _PRINT_FIELDS},
    }
    return Table(
        Dictionary(accounts, packed_accounts[:account_bytes].tobytes()),
        Dictionary(symbols, packed_symbols[:symbol_bytes].tobytes()),
        Columns(**{name: np.asarray(columns[name], dtype) for name, (dtype, _) in COLUMNS.items()}),
    )
