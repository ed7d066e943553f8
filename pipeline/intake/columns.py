"""Events → the columns of one frame: strings become indices, absent numbers −1 or NaN, and each event its two hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from pipeline.base.hashing import hash_texts, mix
from pipeline.base.jit import kernel
from pipeline.events.frame import COLUMNS, Columns
from pipeline.events.request import RequestEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SYMBOL_FIELDS = (
    "event_id", "operation", "model", "api_key_id", "organization_id", "plan", "payment_fingerprint", "conversation_id", "provider",
    "error_type", "finish_reason", "client_address", "country", "user_agent",
)  # fmt: skip
_INTEGER_FIELDS = (
    "asn", "account_created_at_ms", "status", "input_tokens", "output_tokens", "reasoning_tokens", "cached_input_tokens", "max_tokens",
    "choice_count", "logprobs", "stream",
)  # fmt: skip
_FLOAT_FIELDS = ("temperature", "latency_ms")
_PRINT_FIELDS = ("present", "script", "markers", "length", "template", "prefix", "suffix", "sketch")
_AT = {name: i for i, name in enumerate(RequestEvent.__struct_fields__)}


class Table(NamedTuple):
    """The events of a frame: its two dictionaries and its columns."""

    accounts: list[str]
    symbols: list[str]
    columns: Columns


@kernel
def _content(
    account: NDArray[np.uint64],
    symbol_hash: NDArray[np.uint64],
    symbols: NDArray[np.uint32],
    numbers: NDArray[np.int64],
    digest: NDArray[np.uint64],
    out: NDArray[np.uint64],
) -> None:
    for i in range(account.shape[0]):
        h = account[i]
        for k in range(symbols.shape[0]):
            h = mix(h, symbol_hash[symbols[k, i]])
        for k in range(numbers.shape[0]):
            h = mix(h, np.uint64(numbers[k, i]))
        out[i] = mix(h, digest[i])


def _numbers(values: Sequence[float | None], absent: float, dtype: type[np.int64 | np.float64]) -> NDArray[np.int64 | np.float64]:
    count = len(values)
    try:
        return np.fromiter(values, dtype, count)  # a None raises
    except TypeError:
        if values.count(None) == count:
            return np.full(count, absent, dtype)
        return np.array([absent if value is None else value for value in values], dtype)


def build(events: Sequence[RequestEvent], offset: NDArray[np.int64], appended_at_ms: NDArray[np.int64], prints: NDArray[np.void]) -> Table:
    """Columns of these events, in their order; a function of its arguments only.

    Args:
        events: validated; `prompt` and `prompt_print` are not looked at.
        offset: source offset of each.
        appended_at_ms: timestamp of each source record, −1 when unknown.
        prints: fingerprint of each.
    """
    n = len(events)
    fields = list(zip(*map(msgspec.structs.astuple, events), strict=True)) or [()] * len(_AT)
    account_ids = fields[_AT["account_id"]]
    accounts = list(dict.fromkeys(account_ids))
    account_of = {account: i for i, account in enumerate(accounts)}
    account = np.fromiter(map(account_of.__getitem__, account_ids), np.uint32, n)
    account_hash = hash_texts(accounts)

    symbols = [""]
    index: dict[str | None, int] = {"": 0, None: 0}
    codes = np.empty((len(SYMBOL_FIELDS), n), np.uint32)
    for k, name in enumerate(SYMBOL_FIELDS):
        values = fields[_AT[name]]
        distinct = dict.fromkeys(values)
        new = [value for value in distinct if value not in index]
        index.update(zip(new, range(len(symbols), len(symbols) + len(new)), strict=True))
        symbols += new
        codes[k] = index[values[0]] if len(distinct) == 1 else np.fromiter(map(index.__getitem__, values), np.uint32, n)
    symbol_hash = hash_texts(symbols)

    integers = {name: _numbers(fields[_AT[name]], -1, np.int64) for name in ("occurred_at_ms", *_INTEGER_FIELDS)}
    floats = {name: _numbers(fields[_AT[name]], np.nan, np.float64) + 0.0 for name in _FLOAT_FIELDS}  # + 0.0: there is one zero
    content = np.empty(n, np.uint64)
    numbers = np.stack([*integers.values(), *(column.view(np.int64) for column in floats.values())])
    _content(account_hash[account], symbol_hash, codes, numbers, np.ascontiguousarray(prints["digest"]), content)

    columns = {
        "offset": offset,
        "appended_at_ms": appended_at_ms,
        "identity": hash_texts([f"{a}\0{e}" for a, e in zip(account_ids, fields[_AT["event_id"]], strict=True)]),
        "content": content,
        "account": account,
        "account_hash": account_hash,
        "symbol_hash": symbol_hash,
        **dict(zip(SYMBOL_FIELDS, codes, strict=True)),
        **integers,
        **floats,
        **{f"print_{name}": prints[name] for name in _PRINT_FIELDS},
    }
    return Table(accounts, symbols, Columns(**{name: np.asarray(columns[name], dtype) for name, (dtype, _) in COLUMNS.items()}))
