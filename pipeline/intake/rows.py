"""Valid events as columns of numbers and one buffer of their strings: what ingest keeps of a request between reading and framing.

No event is a Python object here: a few hundred bytes each, moved in bulk. The strings of an event lie together in `text`, in the
order of `STRING_FIELDS`, events end to end. Between account and event id stands a zero byte, so that the hash of both is the
hash of a stretch of `text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.hashing import hash_bytes
from pipeline.base.jit import inline, kernel
from pipeline.intake.fingerprint import PRINT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.events.request import RequestEvent

SYMBOL_FIELDS = (
    "event_id", "operation", "model", "api_key_id", "organization_id", "plan", "payment_fingerprint", "conversation_id", "provider",
    "error_type", "finish_reason", "client_address", "country", "user_agent",
)  # fmt: skip
STRING_FIELDS = ("account_id", *SYMBOL_FIELDS)
INTEGER_FIELDS = (
    "occurred_at_ms", "asn", "account_created_at_ms", "status", "input_tokens", "output_tokens", "reasoning_tokens",
    "cached_input_tokens", "max_tokens", "choice_count", "logprobs", "stream",
)  # fmt: skip
FLOAT_FIELDS = ("temperature", "latency_ms")
STRINGS = len(STRING_FIELDS)


class Events(NamedTuple):
    """Valid events in order. Absent integers are −1, floats NaN, strings empty."""

    text: NDArray[np.uint8]
    ends: NDArray[np.int32]
    """[n, STRINGS] where each string ends, counted from where the event's strings begin."""
    numbers: NDArray[np.int64]
    """[n, INTEGER_FIELDS]"""
    floats: NDArray[np.float64]
    """[n, FLOAT_FIELDS]"""
    account_hash: NDArray[np.uint64]
    identity: NDArray[np.uint64]
    """Hash of account, zero byte and event id."""
    prints: NDArray[np.void]
    """Fingerprints, `fingerprint.PRINT`."""

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.ends)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where in `text` each event's strings begin, and where the last one's end: [n + 1]."""
        starts = np.zeros(len(self.ends) + 1, np.int64)
        np.cumsum(self.ends[:, -1], out=starts[1:])
        return starts

    def part(self, lo: int, hi: int) -> Events:
        """Events `[lo, hi)`; shares memory."""
        first = int(self.ends[:lo, -1].sum())
        last = first + int(self.ends[lo:hi, -1].sum())
        return Events(self.text[first:last], *(column[lo:hi] for column in self[1:]))  # type: ignore[arg-type]  # a slice of each

    def take(self, order: NDArray[np.int64]) -> Events:
        """These events in this order, copied."""
        out = empty(len(order), int(self.ends[order, -1].sum()))
        _take(self, _words(self.prints), self.starts, order, out, _words(out.prints))
        return out


def _words(prints: NDArray[np.void]) -> NDArray[np.uint64]:
    """Fingerprints as numbers: [n, 22]."""
    return prints.view(np.uint64).reshape(len(prints), PRINT.itemsize // 8)


@kernel
def _take(
    events: Events,
    prints: NDArray[np.uint64],
    starts: NDArray[np.int64],
    order: NDArray[np.int64],
    out: Events,
    out_prints: NDArray[np.uint64],
) -> None:
    """All of an event at a time: its parts lie far from each other, and each is fetched once."""
    at = 0
    for k in range(order.shape[0]):
        row = order[k]
        first = starts[row]
        size = starts[row + 1] - first
        for i in range(size):
            out.text[at + i] = events.text[first + i]
        at += size
        for i in range(STRINGS):
            out.ends[k, i] = events.ends[row, i]
        for i in range(events.numbers.shape[1]):
            out.numbers[k, i] = events.numbers[row, i]
        for i in range(events.floats.shape[1]):
            out.floats[k, i] = events.floats[row, i]
        for i in range(prints.shape[1]):
            out_prints[k, i] = prints[row, i]
        out.account_hash[k] = events.account_hash[row]
        out.identity[k] = events.identity[row]


def empty(count: int, text_bytes: int) -> Events:
    """Room for events, uninitialised."""
    return Events(
        np.empty(text_bytes, np.uint8),
        np.empty((count, STRINGS), np.int32),
        np.empty((count, len(INTEGER_FIELDS)), np.int64),
        np.empty((count, len(FLOAT_FIELDS)), np.float64),
        np.empty(count, np.uint64),
        np.empty(count, np.uint64),
        np.empty(count, PRINT),
    )


NO_EVENTS = empty(0, 0)


def join(parts: Sequence[Events]) -> Events:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return NO_EVENTS
    *columns, prints = zip(*parts, strict=True)
    plain = np.concatenate([_words(rows) for rows in prints])  # numpy looks at every field otherwise
    return Events(*map(np.concatenate, columns), plain.view(PRINT)[:, 0])  # type: ignore[call-arg]  # one fewer than its fields


@inline
def hashes_of(text: NDArray[np.uint8], start: int, ends: NDArray[np.int32]) -> tuple[np.uint64, np.uint64]:
    """(account hash, identity) of the event whose strings begin at `start`."""
    return hash_bytes(text, start, start + ends[0]), hash_bytes(text, start, start + ends[1])


@kernel
def _hash_all(text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int32], out: NDArray[np.uint64]) -> None:
    for n in range(ends.shape[0]):
        out[0, n], out[1, n] = hashes_of(text, starts[n], ends[n])


def rows_of(events: Sequence[RequestEvent], prints: NDArray[np.void]) -> Events:
    """Decoded events → rows, one by one: for the few that the parser leaves to the decoder.

    Args:
        events: validated; `prompt` and `prompt_print` are not looked at.
        prints: fingerprint of each.
    """
    strings = [[(getattr(event, name) or "").encode("utf-8", "surrogatepass") for name in STRING_FIELDS] for event in events]
    for parts in strings:
        parts[1] = b"\0" + parts[1]
    ends = np.cumsum([list(map(len, parts)) for parts in strings], axis=1, dtype=np.int32).reshape(len(events), STRINGS)
    text = np.frombuffer(b"".join(part for parts in strings for part in parts), np.uint8)
    numbers = [[_number(getattr(event, name), -1) for name in INTEGER_FIELDS] for event in events]
    floats = [[_number(getattr(event, name), np.nan) + 0.0 for name in FLOAT_FIELDS] for event in events]  # + 0.0: there is one zero
    rows = Events(
        text,
        ends,
        np.array(numbers, np.int64).reshape(len(events), len(INTEGER_FIELDS)),
        np.array(floats, np.float64).reshape(len(events), len(FLOAT_FIELDS)),
        np.empty(0, np.uint64),
        np.empty(0, np.uint64),
        prints,
    )
    hashes = np.empty((2, len(events)), np.uint64)
    _hash_all(text, rows.starts, ends, hashes)
    return rows._replace(account_hash=hashes[0], identity=hashes[1])


def _number(value: float | None, absent: float) -> float:
    return absent if value is None else value
