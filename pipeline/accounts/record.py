"""Packed forms: one account, and the marker that makes a checkpoint. Versioned; a newer version is refused."""

from __future__ import annotations

import msgspec

from pipeline.accounts.positions import Position
from pipeline.accounts.watermark import Source
from pipeline.base.errors import CodecError, check_format

STATE_VERSION = 2
"""Goes up when a record no longer means what it did: 2, features of requests from new origins (docs/decisions/0067)."""


class AccountRecord(msgspec.Struct, frozen=True, array_like=True):
    """Everything a partition knows of one account: exact bytes, equal when they come back."""

    format: int
    row: bytes
    """The account's feature record, `features.ROW`."""
    mind: bytes
    """Models, evidence and episodes, `scoring.Mind`."""
    arrival_epoch: int
    cells: bytes
    """Rollup cells of that arrival epoch."""
    due_ms: int
    """Event time at which the clock must look at the account (an open block or episode ends), 0: never."""


class Marker(msgspec.Struct, frozen=True, array_like=True):
    """The end of a checkpoint: with it, everything at or below `applied` is the state."""

    format: int
    applied: int
    """Frames offset of the last applied frame."""
    frames_topic_id: str
    frames_partitions: int
    hash_name: str
    source_topic: str
    settings_digest: str
    """Of the settings that nobody changed through the log."""
    positions: list[Position]
    watermarks: list[Source]
    tick_ms: int
    ring_size: int
    ring_head: int
    accounts: int
    """Accounts known: recovery that finds fewer is incomplete."""
    control_positions: list[Position] = []
    """Positions in the control topic."""
    tuned: dict[str, str] = {}
    """Settings changed through the log, as text, see `events.control.Tuning`."""


_ENCODER = msgspec.msgpack.Encoder()


def encode_state(record: AccountRecord | Marker) -> bytes:
    """Record → bytes, deterministic."""
    return _ENCODER.encode(record)


_ACCOUNT = msgspec.msgpack.Decoder(AccountRecord)
_MARKER = msgspec.msgpack.Decoder(Marker)


def decode_account(data: bytes) -> AccountRecord:
    """Bytes → account record.

    Raises:
        NewerFormatError: a newer program wrote it.
        CodecError: it does not decode.
    """
    _check(data, "account record")
    try:
        return _ACCOUNT.decode(data)
    except msgspec.MsgspecError as err:
        raise CodecError(f"account record does not decode: {err}") from None


def decode_marker(data: bytes) -> Marker:
    """Bytes → marker; raises as `decode_account`."""
    _check(data, "marker")
    try:
        return _MARKER.decode(data)
    except msgspec.MsgspecError as err:
        raise CodecError(f"marker does not decode: {err}") from None


def _check(data: bytes, what: str) -> None:
    try:
        version = msgspec.msgpack.decode(data)[0]
    except (msgspec.MsgspecError, TypeError, IndexError, KeyError) as err:
        raise CodecError(f"{what} does not decode: {err}") from None
    check_format(what, version, STATE_VERSION)
