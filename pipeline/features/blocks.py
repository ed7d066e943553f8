"""The blocks that kernels hand out: one row per closed block, preallocated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.features.layout import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


class Blocks(NamedTuple):
    """Closed blocks, in the order they closed; the first `count` rows hold. Preallocated by `new_blocks`."""

    slot: NDArray[np.int32]  # [m] the account's row
    event: NDArray[np.int32]  # [m] frame row after which the block closed; −1: closed by the clock
    opened_ms: NDArray[np.int64]  # [m] event time of its first event
    closed_ms: NDArray[np.int64]  # [m] latest event time in it
    requests: NDArray[np.int32]  # [m]
    totals: NDArray[np.int64]  # [m, 3] the account's requests, input tokens, output tokens up to and with this block
    tokens: NDArray[np.int64]  # [m, 2] input and output tokens of the block itself
    vector: NDArray[np.float64]  # [m, WIDTH] by catalogue index; NaN is missing


def before(blocks: Blocks, k: int) -> tuple[int, int, int]:
    """The account's requests, input and output tokens before block k."""
    requests, inputs, outputs = blocks.totals[k].tolist()
    block_inputs, block_outputs = blocks.tokens[k].tolist()
    return requests - int(blocks.requests[k]), inputs - block_inputs, outputs - block_outputs


def rows_of(blocks: Blocks, at: slice | NDArray[Any]) -> Blocks:
    """Some blocks (a stretch, a mask, indices), copied."""
    columns: list[NDArray[Any]] = [column[at].copy() for column in blocks]
    return Blocks(*columns)


def joined(parts: Iterable[Blocks]) -> Blocks:
    """One after the other; there must be one."""
    columns: list[NDArray[Any]] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Blocks(*columns)


def new_blocks(capacity: int) -> Blocks:
    """Room for `capacity` blocks; `apply_events` over n events needs at most 2 n, `close_open` over k slots at most k."""
    return Blocks(
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int32),
        np.zeros((capacity, 3), np.int64),
        np.zeros((capacity, 2), np.int64),
        np.full((capacity, WIDTH), np.nan),
    )
