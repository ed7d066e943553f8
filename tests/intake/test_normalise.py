"""Normalising eight bytes at a time says what normalising a character at a time says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.jit import kernel
from pipeline.intake.text import CAPACITY, NEWLINE, SPACE, fold_table, normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLD = fold_table()
DROPPED = 0xFFFF_FFFF
PIECES = [*"aBz 9:<~\\n\n\t\x1f\x7f", "  ", "\\n", "plain words go on and on ", "é", "ж", "中", "\u00a0", "\u200b", "\U0001f600"]


@kernel
def _normalise(data: NDArray[np.uint8], start: int, stop: int, fold: NDArray[np.uint32], out: NDArray[np.uint32]) -> int:
    return normalise(data, start, stop, fold, out)


def a_character_at_a_time(text: str) -> list[int]:
    """What the module promises, in as few words as possible; for texts that are not cut."""
    out = [SPACE]
    for character in text.replace("\\n", "\n"):
        c = ord(character) if ord(character) > 0xFFFF else int(FOLD[ord(character)])
        if c == DROPPED:
            continue
        if c > SPACE or out[-1] > SPACE:
            out.append(c)
        elif c == NEWLINE and len(out) > 1:
            out[-1] = NEWLINE
    return [*out, SPACE] if out[-1] > SPACE else [*out[:-1], SPACE]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.sampled_from(PIECES), max_size=40), st.integers(0, 8))
def test_bytes_together_are_bytes_alone(pieces: list[str], before: int) -> None:
    """White space, escapes, controls and foreign letters anywhere in a stretch of eight."""
    text = "".join(pieces)
    data = text.encode()
    out = np.full(CAPACITY, 7, np.uint32)
    size = _normalise(np.frombuffer(b"x" * before + data + b'"' * 8, np.uint8), before, before + len(data), FOLD, out)
    assert out[:size].tolist() == a_character_at_a_time(text)
    assert out[size : size + 4].tolist() == [SPACE] * 4
