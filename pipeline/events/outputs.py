"""What detect and ingest write besides alerts: rollups, risk, dead letters. Absolute values with versions, never deltas."""

from __future__ import annotations

import msgspec
import orjson


class Rollup(msgspec.Struct, frozen=True, kw_only=True):
    """One account's hour, as far as one arrival epoch saw it (topic `stillwatch.rollups`, table `account_rollups`).

    Key: account, hour, arrival epoch. `version` is the frames offset it covers: the highest wins, so a repeat changes
    nothing. The view `account_hourly` sums arrival epochs.
    """

    account_id: str
    hour_ms: int
    arrival_epoch: int
    frames_partition: int
    version: int
    requests: int
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cached_input_tokens: int
    errors: int
    """Requests with status ≥ 400."""
    models: list[int]
    """Hashes of the distinct models seen, at most 16."""
    risk: float
    """Highest risk of the account in this hour, 0–1."""


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's feed (topic `stillwatch.risk`, compacted by account)."""

    account_id: str
    risk: float
    kind: str
    recommended_action: str
    alert_id: str
    as_of_ms: int
    valid_until_ms: int


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One rejected input record (topic `stillwatch.deadletter`, table `dead_letters`). Never its raw bytes."""

    source_topic: str
    source_partition: int
    source_offset: int
    record_timestamp_ms: int
    reason: str
    json_path: str
    message: str
    """What is wrong, without any value from the record."""
    size: int
    sha256: str
    fields: dict[str, str | int | float | bool]
    """Allow-listed decoded fields that were valid on their own (never prompt text)."""


_ENCODER = msgspec.json.Encoder()
_ROLLUP = msgspec.json.Decoder(Rollup)
_DEAD_LETTER = msgspec.json.Decoder(DeadLetter)
_RISK = msgspec.json.Decoder(Risk)


def encode(record: Rollup | Risk | DeadLetter) -> bytes:
    """Record → JSON bytes, deterministic."""
    return orjson.dumps(msgspec.to_builtins(record))


def encode_rollup(record: Rollup) -> bytes:
    """A rollup → JSON bytes, deterministic; without a detour over a dictionary, since there are many."""
    return _ENCODER.encode(record)


def decode_rollup(data: bytes) -> Rollup:
    """JSON bytes → rollup; raises msgspec.ValidationError with the path."""
    return _ROLLUP.decode(data)


def decode_dead_letter(data: bytes) -> DeadLetter:
    """JSON bytes → dead letter; raises msgspec.ValidationError with the path."""
    return _DEAD_LETTER.decode(data)


def decode_risk(data: bytes) -> Risk:
    """JSON bytes → risk entry; raises msgspec.ValidationError with the path."""
    return _RISK.decode(data)
