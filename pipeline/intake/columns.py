"""Events to columns: one list pass per field, then numpy; strings become symbols of the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.hashing import hash_texts, mix
from pipeline.base.jit import kernel
from pipeline.events.frame import COLUMNS, Columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.events.request import RequestEvent

_SYMBOLS = (
    "operation", "model", "api_key_id", "organization_id", "plan", "payment_fingerprint", "conversation_id",
    "provider", "error_type", "finish_reason", "client_address", "country", "user_agent",
)  # fmt: skip
_INTEGERS = (
    "asn", "account_created_at_ms", "status", "input_tokens", "output_tokens", "reasoning_tokens",
    "cached_input_tokens", "max_tokens", "choice_count", "logprobs", "stream",
)  # fmt: skip
_FLOATS = ("temperature", "latency_ms")
_PRINTS = ("template", "prefix", "suffix", "length", "script", "markers", "sketch", "present")


class Row(NamedTuple):
    """One valid event with its place in the source."""

    partition: int
    offset: int
    timestamp_ms: int
    event: RequestEvent


class Tables(NamedTuple):
    """The strings a frame's columns index."""

    accounts: list[str]
    symbols: list[str]


@kernel
def _content_hashes(values: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    for row in range(values.shape[0]):
        h = np.uint64(0x5374696C6C)
        for k in range(values.shape[1]):
            h = mix(h, values[row, k])
        out[row] = h


def _as_u64(array: NDArray[np.generic]) -> NDArray[np.uint64]:
    """A column's values as 64-bit words, floats by their bits."""
    if array.dtype.kind == "f":
        array = array.view(np.uint32)
    return array.astype(np.int64).view(np.uint64) if array.dtype.kind == "i" else array.astype(np.uint64)


def build_columns(rows: Sequence[Row], prints: NDArray[np.void]) -> tuple[Columns, Tables]:
    """Rows in frame order → columns and their tables.

    Args:
        rows: n events.
        prints: [n] of `intake.fingerprint.PRINT`, in the same order.
    """
    events = [row.event for row in rows]
    index: dict[str, int] = {"": 0}
    seen: dict[str, int] = {}
    columns: dict[str, NDArray[np.generic]] = {
        "offset": np.array([row.offset for row in rows], np.int64),
        "appended_at_ms": np.array([row.timestamp_ms for row in rows], np.int64),
        "occurred_at_ms": np.array([e.occurred_at_ms for e in events], np.int64),
        "account": np.array([seen.setdefault(e.account_id, len(seen)) for e in events], np.uint32),
        "event_id": np.array([index.setdefault(e.event_id, len(index)) for e in events], np.uint32),
    }
    for name in _SYMBOLS:
        texts = [getattr(e, name) for e in events]
        columns[name] = np.array([index.setdefault(t, len(index)) if t else 0 for t in texts], np.uint32)
    for name in _INTEGERS:
        columns[name] = np.array([-1 if (v := getattr(e, name)) is None else v for e in events], COLUMNS[name][0])
    for name in _FLOATS:
        columns[name] = np.array([np.nan if (v := getattr(e, name)) is None else v for e in events], np.float32)
    for name in _PRINTS:
        columns[f"print_{name}"] = prints[name]
    tables = Tables(list(seen), list(index))
    columns["account_hash"] = hash_texts(tables.accounts)
    columns["symbol_hash"] = hash_texts(tables.symbols)
    columns["identity"] = hash_texts([f"{e.account_id}\0{e.event_id}" for e in events])
    columns["content"] = _content(columns, prints)
    return Columns(**columns), tables  # type: ignore[arg-type]  # by name, each checked against COLUMNS when it is encoded


def _content(columns: dict[str, NDArray[np.generic]], prints: NDArray[np.void]) -> NDArray[np.uint64]:
    """Hash over every decoded field (the order of the record's keys does not matter, unknown fields do not count)."""
    symbols = columns["symbol_hash"]
    parts = [_as_u64(columns["occurred_at_ms"]), prints["digest"]]
    parts += [symbols[columns[name]] for name in _SYMBOLS]
    parts += [_as_u64(columns[name]) for name in (*_INTEGERS, *_FLOATS)]
    out = np.zeros(len(prints), np.uint64)
    _content_hashes(np.stack(parts, axis=1), out)
    return out
