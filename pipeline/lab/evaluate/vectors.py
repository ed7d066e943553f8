"""Block vectors of a shard straight from the feature kernel: what the oracle and the probe look at."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.features.catalogue import FEATURES
from pipeline.features.kernel import apply_events, new_blocks
from pipeline.features.row import ROW
from pipeline.lab.evaluate.frames import frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.evaluate.table import Shard

BLOCK_REQUESTS = 25
_REMEMBER = 0.15
"""Weight of the newest block in the account's running mean vector."""


class Vectors(NamedTuple):
    """Closed blocks of all accounts.

    Attributes:
        account, closed_ms: [m].
        values: [m, features] float32, NaN is missing.
        hostile: [m] share of the block's requests that were an attack's.
    """

    account: NDArray[np.int32]
    closed_ms: NDArray[np.int64]
    values: NDArray[np.float32]
    hostile: NDArray[np.float32]


def block_vectors(shard: Shard, block_requests: int = BLOCK_REQUESTS) -> Vectors:
    """Run the feature kernel alone over the shard (blocks close by count and by the account's own next event)."""
    rows = np.zeros(len(shard.accounts), ROW)
    taken = np.zeros((len(shard.accounts), 2), np.int64)  # requests and attack requests in closed blocks so far
    order, edges = shard.per_account()
    attack = [np.concatenate(([0], np.cumsum(shard.events["attack"][order[a:b]]))) for a, b in pairwise(edges)]
    parts: list[Vectors] = []
    for _, frame in frames(shard):
        blocks = new_blocks(2 * frame.header.rows)
        slots = frame.columns.account.astype(np.int32)
        count = int(apply_events(rows, frame.columns, slots, 0, frame.header.rows, block_requests, blocks, 0))
        account, requests = blocks.slot[:count].copy(), blocks.requests[:count]
        hostile = np.zeros(count, np.float32)
        for k, (slot, size) in enumerate(zip(account.tolist(), requests.tolist(), strict=True)):
            sums = attack[slot]
            a, b = taken[slot, 0], taken[slot, 0] + size
            hostile[k] = (sums[b] - sums[a]) / size
            taken[slot, 0] = b
        parts.append(Vectors(account, blocks.closed_ms[:count].copy(), blocks.vector[:count].astype(np.float32), hostile))
    if not parts:
        return Vectors(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros((0, len(FEATURES)), np.float32), np.zeros(0, np.float32))
    return Vectors(*(np.concatenate([p[i] for p in parts]) for i in range(4)))


def with_change(vectors: Vectors) -> NDArray[np.float32]:
    """Each vector beside its difference from the account's own running mean before it (NaN for the first)."""
    values = vectors.values
    change = np.full_like(values, np.nan)
    order = np.argsort(vectors.account, kind="stable")
    accounts = vectors.account[order]
    edges = [0, *(np.flatnonzero(np.diff(accounts)) + 1).tolist(), accounts.size]
    for lo, hi in pairwise(edges):
        mean: NDArray[np.float32] | None = None
        for at in order[lo:hi].tolist():
            row = values[at]
            if mean is None:
                mean = row.copy()
                continue
            change[at] = row - mean
            known = ~np.isnan(row)
            fresh = known & np.isnan(mean)
            mean[fresh] = row[fresh]
            mean[known] += _REMEMBER * (row[known] - mean[known])
    return np.concatenate([values, change], axis=1)
