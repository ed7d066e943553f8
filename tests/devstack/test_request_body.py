from __future__ import annotations

import gzip
import io
import zlib
from email.message import Message
from typing import TYPE_CHECKING

import lz4.frame  # type: ignore[import-untyped]  # ships no types
import pytest
import zstandard

from pipeline.devstack.request_body import read_body
from pipeline.devstack.statement import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = bytes(range(256)) * 400


def _read(body: bytes, **headers: str) -> bytes:
    message = Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return read_body(message, io.BytesIO(body))


def _chunked(body: bytes, size: int) -> bytes:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x;ext=1\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\nTrailer: x\r\n\r\n"


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
}


@pytest.mark.parametrize("size", [1_000, 65_536, 1_000_000])
def test_chunks_are_put_together(size: int) -> None:
    """A chunked body, with extensions and trailers, is the bytes that were sent."""
    assert _read(_chunked(BODY, size), Transfer_Encoding="chunked") == BODY


@pytest.mark.parametrize("encoding", ENCODERS)
def test_encodings_are_undone(encoding: str) -> None:
    """Every encoding clickhouse-connect uses is decoded, in one frame or in several."""
    once = ENCODERS[encoding](BODY)
    assert _read(once, Content_Encoding=encoding, Content_Length=str(len(once))) == BODY
    twice = once + ENCODERS[encoding](b"more")
    assert _read(_chunked(twice, 999), Content_Encoding=encoding, Transfer_Encoding="chunked") == BODY + b"more"


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_cut_off_encoding_is_refused(encoding: str, keep: float) -> None:
    """Half a compressed body is an error, never half the rows."""
    whole = ENCODERS[encoding](BODY)
    part = whole[: int(len(whole) * keep)]
    with pytest.raises(QueryError) as caught:
        _read(part, Content_Encoding=encoding, Content_Length=str(len(part)))
    assert caught.value.name == "INCORRECT_DATA"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"abc", {"Content_Length": "5"}),
        (b"abc", {"Content_Length": "-1"}),
        (b"abc", {"Content_Length": "x"}),
        (b"5\r\nabc", {"Transfer_Encoding": "chunked"}),
        (b"3\r\nabcdef", {"Transfer_Encoding": "chunked"}),
        (b"3\r\nabc\r\n", {"Transfer_Encoding": "chunked"}),
        (b"abc", {"Content_Encoding": "gzip", "Content_Length": "3"}),
    ],
)
def test_a_broken_body_is_refused(body: bytes, headers: dict[str, str]) -> None:
    """Lengths that lie and bytes that are not what they claim are errors of the request."""
    with pytest.raises(QueryError) as caught:
        _read(body, **headers)
    assert caught.value.name == "INCORRECT_DATA"


def test_too_long_a_body_is_refused_before_it_is_read() -> None:
    """A length over the limit is answered with the error a server has for it."""
    with pytest.raises(QueryError) as caught:
        _read(b"", Content_Length=str(1 << 40))
    assert caught.value.name == "QUERY_IS_TOO_LARGE"


def test_an_unknown_encoding_is_refused() -> None:
    """An encoding nobody here decodes is said to be missing, with those that are there."""
    with pytest.raises(QueryError, match="br; it has gzip, deflate, zstd, lz4"):
        _read(b"abc", Content_Encoding="br", Content_Length="3")
