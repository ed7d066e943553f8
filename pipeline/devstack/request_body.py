"""Reads the body of an HTTP request: by length or in chunks, plain or compressed, never beyond a limit."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

import lz4.frame  # type: ignore[import-untyped]  # ships no types; clickhouse-connect's default encoding
import zstandard

from pipeline.devstack.statement import QueryError, not_implemented

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message
    from io import BufferedIOBase

LIMIT_BYTES = 1 << 30  # of the body as sent
_CHUNK_HEAD_LIMIT = 1024


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """The request's body, decompressed.

    Raises:
        QueryError: it is longer than `LIMIT_BYTES`, cut off, or not in an encoding known here.
    """
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        body = _chunks(stream)
    else:
        body = _exactly(stream, _length(headers.get("Content-Length", "0"), 10))
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity" or not body:
        return body
    decoder = _DECODERS.get(encoding)
    if decoder is None:
        raise not_implemented(f"Content-Encoding {encoding}; it has {', '.join(_DECODERS)}")
    try:
        return _decode(body, decoder)
    except (zlib.error, zstandard.ZstdError, RuntimeError) as err:
        raise _broken(f"the body is not {encoding}: {err}") from None


def _length(text: str, base: int) -> int:
    try:
        length = int(text, base)
    except ValueError:
        raise _broken("a length is not a number") from None
    if length < 0:
        raise _broken("a length is negative")
    if length > LIMIT_BYTES:
        raise _too_large()
    return length


def _exactly(stream: BufferedIOBase, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise _broken("the body is cut off")
    return data


def _chunks(stream: BufferedIOBase) -> bytes:
    parts: list[bytes] = []
    total = 0
    while True:
        head = stream.readline(_CHUNK_HEAD_LIMIT)
        length = _length(head.partition(b";")[0].strip().decode("latin-1"), 16)
        if length == 0:
            while stream.readline(_CHUNK_HEAD_LIMIT).strip():  # trailers
                pass
            return b"".join(parts)
        total += length
        if total > LIMIT_BYTES:
            raise _too_large()
        parts.append(_exactly(stream, length))
        if _exactly(stream, 2) != b"\r\n":
            raise _broken("a chunk does not end where it says")


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
    "deflate": lambda: zlib.decompressobj(),  # noqa: PLW0108 - its own signature has parameters
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "lz4": lz4.frame.LZ4FrameDecompressor,
}


def _decode(data: bytes, new_decoder: Callable[[], _Decoder]) -> bytes:
    """All frames of `data`; a frame that does not end is an error, where the libraries would return what they have."""
    parts = []
    while data:
        decoder = new_decoder()
        parts.append(decoder.decompress(data))
        if not decoder.eof:
            raise _broken("the compressed body is cut off")
        data = decoder.unused_data
    return b"".join(parts)


def _broken(why: str) -> QueryError:
    return QueryError(117, "INCORRECT_DATA", f"Broken request: {why}")


def _too_large() -> QueryError:
    return QueryError(229, "QUERY_IS_TOO_LARGE", f"The request body is longer than {LIMIT_BYTES} bytes")
