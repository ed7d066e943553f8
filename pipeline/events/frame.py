"""The frame: a columnar batch of events of one frames partition, with the source ranges it accounts for.

Layout: `SWF1` · u32 header length · u32 CRC-32 of everything after · header (msgpack) · columns, each 8-byte aligned, in
the order of `COLUMNS`. Offsets of source records are inclusive: a segment accounts for `(from_offset, to_offset]`,
so a position is "the last offset accounted for", −1 before the first.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from pipeline.base.errors import CodecError, NewerFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"SWF1"
FRAME_VERSION = 1
"""Of frames of requests."""
CONTROL_FRAME_VERSION = 2
"""Of frames with control segments, so that a worker that would overlook them stops instead."""
SKETCH_DIMS = 128
ABSENT = 0
"""Symbol index of an absent string; `symbols[0]` is always the empty text."""


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """What a frame says about one source partition.

    `events` of the frame's rows belong to it, in row order after the rows of earlier segments. `watermark_ms` is the
    source partition's event-time watermark at `to_offset` as ingest saw it (−1: unknown). `lost`: retention ate the
    range; it carries no events and is counted.
    """

    topic_id: str
    partition: int
    from_offset: int
    to_offset: int
    events: int
    watermark_ms: int = -1
    lost: bool = False


class FrameHeader(msgspec.Struct, frozen=True):
    """Everything of a frame that is not a column. Appended over time, each field with a default."""

    version: int
    frames_partition: int
    frames_partitions: int
    hash_name: str
    source_topic: str
    segments: list[Segment]
    rows: int
    accounts: list[str]
    symbols: list[str]
    control: list[bytes] = []
    """Control segments (verdicts, declarations), see `events.control`: none in version 1. They apply before the frame's rows."""


class Columns(NamedTuple):
    """The events of a frame, one array per field; a NamedTuple so that kernels take it whole.

    Integer fields use −1 for absent, floats NaN, symbol fields index `symbols` with 0 for absent.
    """

    offset: NDArray[np.int64]  # [n] source offset
    occurred_at_ms: NDArray[np.int64]  # [n]
    appended_at_ms: NDArray[np.int64]  # [n] the source record's timestamp (broker or producer clock); −1 unknown
    identity: NDArray[np.uint64]  # [n] hash of account ‖ event_id
    content: NDArray[np.uint64]  # [n] hash over every decoded field
    account: NDArray[np.uint32]  # [n] index into header.accounts
    account_hash: NDArray[np.uint64]  # [accounts] hash of each account id
    symbol_hash: NDArray[np.uint64]  # [symbols] hash of each symbol, 0 for the empty one
    event_id: NDArray[np.uint32]  # [n] symbol
    operation: NDArray[np.uint32]
    model: NDArray[np.uint32]
    api_key_id: NDArray[np.uint32]
    organization_id: NDArray[np.uint32]
    plan: NDArray[np.uint32]
    payment_fingerprint: NDArray[np.uint32]
    conversation_id: NDArray[np.uint32]
    provider: NDArray[np.uint32]
    error_type: NDArray[np.uint32]
    finish_reason: NDArray[np.uint32]
    client_address: NDArray[np.uint32]
    country: NDArray[np.uint32]
    user_agent: NDArray[np.uint32]
    asn: NDArray[np.int64]
    account_created_at_ms: NDArray[np.int64]
    status: NDArray[np.int32]
    input_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    reasoning_tokens: NDArray[np.int32]
    cached_input_tokens: NDArray[np.int32]
    max_tokens: NDArray[np.int32]
    choice_count: NDArray[np.int32]
    temperature: NDArray[np.float32]
    latency_ms: NDArray[np.float32]
    logprobs: NDArray[np.int8]  # −1 absent, 0, 1
    stream: NDArray[np.int8]
    print_present: NDArray[np.int8]  # 1: the event had a prompt or a prompt_print
    print_script: NDArray[np.uint8]  # see intake.fingerprint
    print_markers: NDArray[np.uint16]  # elicitation markers, a bit each
    print_length: NDArray[np.int32]  # characters
    print_template: NDArray[np.uint64]
    print_prefix: NDArray[np.uint64]
    print_suffix: NDArray[np.uint64]
    print_sketch: NDArray[np.int8]  # [n, SKETCH_DIMS], direction of the n-gram projection, scaled to ±127


_I8, _I4, _U8, _U4 = np.dtype("<i8"), np.dtype("<i4"), np.dtype("<u8"), np.dtype("<u4")
_F4, _I1, _U1, _U2 = np.dtype("<f4"), np.dtype("i1"), np.dtype("u1"), np.dtype("<u2")

_SYMBOLS = (
    "event_id", "operation", "model", "api_key_id", "organization_id", "plan", "payment_fingerprint",
    "conversation_id", "provider", "error_type", "finish_reason", "client_address", "country", "user_agent",
)  # fmt: skip
_COUNTS = ("status", "input_tokens", "output_tokens", "reasoning_tokens", "cached_input_tokens", "max_tokens", "choice_count")

COLUMNS: dict[str, tuple[np.dtype[np.generic], int]] = {
    **dict.fromkeys(("offset", "occurred_at_ms", "appended_at_ms"), (_I8, 1)),
    **dict.fromkeys(("identity", "content"), (_U8, 1)),
    "account": (_U4, 1),
    **dict.fromkeys(("account_hash", "symbol_hash"), (_U8, 0)),
    **dict.fromkeys(_SYMBOLS, (_U4, 1)),
    **dict.fromkeys(("asn", "account_created_at_ms"), (_I8, 1)),
    **dict.fromkeys(_COUNTS, (_I4, 1)),
    **dict.fromkeys(("temperature", "latency_ms"), (_F4, 1)),
    **dict.fromkeys(("logprobs", "stream", "print_present"), (_I1, 1)),
    "print_script": (_U1, 1),
    "print_markers": (_U2, 1),
    "print_length": (_I4, 1),
    **dict.fromkeys(("print_template", "print_prefix", "print_suffix"), (_U8, 1)),
    "print_sketch": (_I1, SKETCH_DIMS),
}
"""Column name → (dtype, width); width 0: sized by the header (accounts or symbols), not by rows."""


class Frame(NamedTuple):
    """A decoded frame. The arrays are read-only views of the bytes it came from."""

    header: FrameHeader
    columns: Columns


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(FrameHeader)


def _padding(size: int) -> int:
    return -size % 8


class Dictionary(NamedTuple):
    """Distinct texts, packed as a msgpack array in its shortest form."""

    size: int
    packed: bytes

    def texts(self) -> list[str]:
        """The texts."""
        return msgspec.msgpack.decode(self.packed, type=list[str])


def encode_frame(header: FrameHeader, columns: Columns) -> bytes:
    """Frame → bytes. Deterministic: equal frames give equal bytes.

    Raises:
        CodecError: a column's length does not match the header.
    """
    return _encode(_ENCODER.encode(header), header.rows, len(header.accounts), len(header.symbols), columns)


def pack_frame(header: FrameHeader, accounts: Dictionary, symbols: Dictionary, columns: Columns) -> bytes:
    """The same bytes as `encode_frame` of a header with these accounts and symbols, without a Python string for each.

    Raises:
        CodecError: a column's length does not match the header.
    """
    fields = msgspec.structs.asdict(header)
    fields["accounts"], fields["symbols"] = msgspec.Raw(accounts.packed), msgspec.Raw(symbols.packed)
    return _encode(_ENCODER.encode(fields), header.rows, accounts.size, symbols.size, columns)


def _encode(head: bytes, rows: int, accounts: int, symbols: int, columns: Columns) -> bytes:
    parts = [head, b"\0" * _padding(len(head))]
    arrays: tuple[NDArray[np.generic], ...] = columns
    for (name, (dtype, width)), array in zip(COLUMNS.items(), arrays, strict=True):
        size = _size(name, width, rows, accounts, symbols)
        if array.size != size:
            raise CodecError(f"column {name} has {array.size} values, the header asks for {size}")
        data = np.ascontiguousarray(array, dtype).tobytes()
        parts.append(data)
        parts.append(b"\0" * _padding(len(data)))
    body = b"".join(parts)
    return b"".join((MAGIC, len(head).to_bytes(4, "little"), zlib.crc32(body).to_bytes(4, "little"), b"\0" * 4, body))


def _size(name: str, width: int, rows: int, accounts: int, symbols: int) -> int:
    if width:
        return rows * width
    return accounts if name == "account_hash" else symbols


def decode_frame(data: bytes) -> Frame:
    """Bytes → frame, zero-copy.

    Raises:
        NewerFormatError: written by a newer version.
        CodecError: not a frame, truncated, or its checksum does not match.
    """
    if len(data) < 16 or data[:3] != MAGIC[:3]:
        raise CodecError(f"not a frame: {len(data)} bytes, starts with {data[:4]!r}")
    if data[:4] != MAGIC:
        raise NewerFormatError(f"frame layout {data[:4]!r}; this program reads {MAGIC!r}", next_step="upgrade this worker")
    head_size = int.from_bytes(data[4:8], "little")
    if zlib.crc32(memoryview(data)[16:]) != int.from_bytes(data[8:12], "little"):
        raise CodecError("frame checksum does not match")
    try:
        header = _DECODER.decode(memoryview(data)[16 : 16 + head_size])
    except msgspec.MsgspecError as err:
        raise CodecError(f"frame header does not decode: {err}") from None
    if header.version > CONTROL_FRAME_VERSION:
        raise NewerFormatError(
            f"frame version {header.version}; this program reads up to {CONTROL_FRAME_VERSION}", next_step="upgrade this worker"
        )
    at = 16 + head_size + _padding(head_size)
    arrays = []
    for name, (dtype, width) in COLUMNS.items():
        count = _size(name, width, header.rows, len(header.accounts), len(header.symbols))
        size = count * dtype.itemsize
        if at + size > len(data):
            raise CodecError(f"frame ends inside column {name}")
        array = np.frombuffer(data, dtype, count, at)
        arrays.append(array.reshape(header.rows, width) if width > 1 else array)
        at += size + _padding(size)
    return Frame(header, Columns(*arrays))
