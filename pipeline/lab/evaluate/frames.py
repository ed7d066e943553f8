"""A shard's table as frames of one partition, cut like ingest cuts them, without writing a million JSON lines in between.

`tests/lab/test_evaluate_frames.py` holds that the detector decides the same on these frames as on the request events of
`request_events` that went through intake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import orjson

from pipeline.base.hashing import HASH_NAME, hash_texts
from pipeline.events.frame import COLUMNS, FRAME_VERSION, Columns, Frame, FrameHeader, Segment
from pipeline.lab.evaluate.table import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pipeline.lab.evaluate.table import Shard

ROWS = 4_000
_TOPIC, _TOPIC_ID = "evaluate.requests", "evaluate"
_SYMBOL_COLUMNS = {
    "operation": "operation",
    "model": "model",
    "api_key_id": "key",
    "provider": "provider",
    "error_type": "error",
    "finish_reason": "finish",
    "client_address": "address",
    "country": "country",
    "user_agent": "agent",
}
_NUMBERS = {
    "asn": "asn",
    "status": "status",
    "input_tokens": "input",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "cached_input_tokens": "cached",
    "max_tokens": "max_tokens",
    "choice_count": "choices",
    "temperature": "temperature",
    "latency_ms": "latency",
    "logprobs": "logprobs",
    "stream": "stream",
}
_ACCOUNT_SYMBOLS = (("organization_id", "organization_id"), ("plan", "plan"), ("payment_fingerprint", "payment"))


def event_id(row: int) -> str:
    """Id of the event in a row of the table: opaque, the same shape for everybody."""
    return f"req_{(row * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF:016x}"


def frames(shard: Shard, rows: int = ROWS) -> Iterator[tuple[int, Frame]]:
    """Frames in order of event time, with their offsets; frame k holds table rows [k·rows, (k+1)·rows)."""
    constants, names = _account_constants(shard)
    account_hash = hash_texts([a.account_id for a in shard.accounts])
    name_hash = hash_texts(names)
    accounts = [a.account_id for a in shard.accounts]
    for number, lo in enumerate(range(0, len(shard.events), rows)):
        events = shard.events[lo : lo + rows]
        size = len(events)
        ids = [event_id(r) for r in range(lo, lo + size)]
        talks, talk = np.unique(events["conversation"], return_inverse=True)
        talk_names = ["" if c == 0 else f"conv_{c:016x}" for c in talks.tolist()]
        extra = ids + talk_names
        columns = _columns(shard, events, lo)
        columns["event_id"] = np.arange(len(names), len(names) + size, dtype=np.uint32)
        columns["conversation_id"] = np.where(events["conversation"] == 0, 0, talk + len(names) + size).astype(np.uint32)
        for name, values in constants.items():
            columns[name] = values[events["account"]]
        columns["account_hash"] = account_hash
        columns["symbol_hash"] = np.concatenate([name_hash, hash_texts(extra)])
        columns["identity"] = columns["content"] = hash_texts(ids)
        header = FrameHeader(
            version=FRAME_VERSION,
            frames_partition=0,
            frames_partitions=1,
            hash_name=HASH_NAME,
            source_topic=_TOPIC,
            segments=[Segment(_TOPIC_ID, 0, lo - 1, lo + size - 1, size, int(events["time"].max()))],
            rows=size,
            accounts=accounts,
            symbols=names + extra,
        )
        yield number, Frame(header, Columns(**{n: columns[n] for n in COLUMNS}))  # type: ignore[arg-type]  # one array per column


def _account_constants(shard: Shard) -> tuple[dict[str, NDArray[np.generic]], list[str]]:
    """Columns that are one value per account, and the shard's symbols with theirs appended."""
    names = list(shard.symbols)
    index = {n: i for i, n in enumerate(names)}
    found: dict[str, NDArray[np.generic]] = {}
    for column, attribute in _ACCOUNT_SYMBOLS:
        values = []
        for account in shard.accounts:
            text = "" if column in account.hidden else getattr(account, attribute)
            if text not in index:
                index[text] = len(names)
                names.append(text)
            values.append(index[text])
        found[column] = np.array(values, np.uint32)
    created = [-1 if "account_created_at_ms" in a.hidden else a.created_ms for a in shard.accounts]
    found["account_created_at_ms"] = np.array(created, np.int64)
    return found, names


def _columns(shard: Shard, events: NDArray[np.void], lo: int) -> dict[str, NDArray[np.generic]]:
    size = len(events)
    found: dict[str, NDArray[np.generic]] = {
        "offset": np.arange(lo, lo + size),
        "occurred_at_ms": events["time"].copy(),
        "appended_at_ms": events["time"].copy(),
        "account": events["account"].astype(np.uint32),
    }
    for column, name in _SYMBOL_COLUMNS.items():
        found[column] = events[name].astype(np.uint32)
    for column, name in _NUMBERS.items():
        found[column] = events[name].astype(COLUMNS[column][0])
    present = events["text"] >= 0
    prints = shard.prints[np.where(present, events["text"], 0)] if len(shard.prints) else np.zeros(size, shard.prints.dtype)
    for name in ("script", "markers", "length", "template", "prefix", "suffix"):
        found[f"print_{name}"] = np.where(present, prints[name], np.zeros(1, prints[name].dtype))
    found["print_present"] = present.astype(np.int8)
    found["print_sketch"] = np.where(present[:, None], prints["sketch"], np.int8(0))
    return found


def request_events(shard: Shard) -> Iterator[bytes]:
    """The same events as JSON of the wire contract, prompts as text.

    Needs a shard that was built with `keep_texts`.
    """
    names = shard.symbols
    texts = shard.texts or []
    for row, e in enumerate(shard.events):
        account = shard.accounts[e["account"]]
        event: dict[str, object] = {
            "event_id": event_id(row),
            "occurred_at_ms": int(e["time"]),
            "account_id": account.account_id,
            "account_created_at_ms": account.created_ms,
            **{column: getattr(account, attribute) for column, attribute in _ACCOUNT_SYMBOLS},
        }
        event = {k: v for k, v in event.items() if k not in account.hidden}
        event |= {column: names[e[name]] for column, name in _SYMBOL_COLUMNS.items() if e[name]}
        event.setdefault("model", "")
        for column, name in _NUMBERS.items():
            value = e[name].item()
            if value == value and value >= 0:  # noqa: PLR0124 - not NaN
                event[column] = bool(value) if name in ("logprobs", "stream") else value
        if e["conversation"]:
            event["conversation_id"] = f"conv_{e['conversation']:016x}"
        if e["text"] >= 0:
            event["prompt"] = texts[e["text"]]
        yield orjson.dumps(event)


assert set(_SYMBOL_COLUMNS.values()) == set(SYMBOLS)  # noqa: S101 - two tables of one file's making must agree
