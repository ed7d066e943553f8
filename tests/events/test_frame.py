"""The frame codec: exact both ways, and a clear refusal of anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.base.hashing import HASH_NAME
from pipeline.events.frame import COLUMNS, CONTROL_FRAME_VERSION, FRAME_VERSION, Columns, FrameHeader, Segment, decode_frame, encode_frame


def _frame(rows: int, seed: int = 1, version: int = FRAME_VERSION) -> tuple[FrameHeader, Columns]:
    rng = np.random.default_rng(seed)
    accounts, symbols = ["a", "b"], ["", "chat", "événement"]
    sizes = {0: 0, 1: rows}
    arrays = []
    for name, (dtype, width) in COLUMNS.items():
        count = {"account_hash": 2, "symbol_hash": 3}.get(name, sizes.get(width, rows * width))
        data = rng.bytes(count * dtype.itemsize)
        array = np.frombuffer(data, dtype)
        arrays.append(array.reshape(rows, width) if width > 1 else array)
    header = FrameHeader(version, 3, 12, HASH_NAME, "api.requests", [Segment("t", 0, -1, rows, rows)], rows, accounts, symbols)
    return header, Columns(*arrays)


@given(st.integers(0, 40), st.integers(0, 2**32))
def test_a_frame_comes_back_byte_for_byte(rows: int, seed: int) -> None:
    """Header and every column survive, NaNs and all; equal frames give equal bytes."""
    header, columns = _frame(rows, seed)
    data = encode_frame(header, columns)
    back = decode_frame(data)
    assert back.header == header
    assert [a.tobytes() for a in back.columns] == [a.tobytes() for a in columns]
    assert encode_frame(back.header, back.columns) == data


@given(st.integers(0, 3_000), st.integers(1, 255))
def test_a_damaged_frame_is_refused(position: int, flip: int) -> None:
    """One changed byte anywhere that matters is a codec error, never another frame."""
    data = bytearray(encode_frame(*_frame(5)))
    position %= len(data)
    if 12 <= position < 16:  # four bytes of padding in the preamble carry nothing
        return
    data[position] ^= flip
    with pytest.raises(CodecError):
        decode_frame(bytes(data))


def test_a_truncated_frame_and_foreign_bytes_are_refused() -> None:
    """What is not a frame says so."""
    data = encode_frame(*_frame(5))
    for bad in (b"", b"SWF", data[:15], data[:-8], b'{"json": true} and some more'):
        with pytest.raises(CodecError):
            decode_frame(bad)


def test_a_newer_frame_names_the_next_step() -> None:
    """An older worker stops instead of guessing."""
    with pytest.raises(NewerFormatError, match="upgrade this worker"):
        decode_frame(encode_frame(*_frame(2, version=CONTROL_FRAME_VERSION + 1)))


def test_columns_cover_the_tuple() -> None:
    """The layout names exactly the fields that kernels see, in their order."""
    assert tuple(COLUMNS) == Columns._fields
