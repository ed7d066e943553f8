"""Event time of one frames partition: a robust watermark per source partition, and their minimum.

A source's watermark follows the third-highest event time seen from distinct accounts, and creeps at most a minute per
event towards the highest, so one event with a wild clock cannot move it far, and a source with one account still moves.
The partition's watermark is the minimum over sources within `MAX_SKEW_MS` of the fastest: an idle source holds nobody.
Every update depends on one event at a time, so frame boundaries do not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pipeline.base.jit import kernel
from pipeline.base.times import HOUR_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SKEW_MS = 6 * HOUR_MS
CREEP_MS = 60_000
SETTLE = 8
"""Events of a new source before it has a watermark; the first is their minimum."""


@kernel
def _advance(
    source: int,
    watermark: NDArray[np.int64],
    seen: NDArray[np.int64],
    earliest: NDArray[np.int64],
    top_ms: NDArray[np.int64],
    top_account: NDArray[np.uint64],
    times: NDArray[np.int64],
    accounts: NDArray[np.uint64],
    account: NDArray[np.uint32],
    applies: NDArray[np.bool_],
    lo: int,
    hi: int,
    target: int,
) -> int:
    """Apply rows from `lo` until the partition's watermark reaches `target` → rows consumed up to (exclusive)."""
    for row in range(lo, hi):
        if not applies[row]:
            continue
        t = times[row]
        mark = watermark[source]
        settling = seen[source] < SETTLE
        if settling:
            earliest[source] = t if seen[source] == 0 else min(earliest[source], t)
            seen[source] += 1
            if seen[source] == SETTLE:
                mark = max(mark, earliest[source])
        elif t > mark:
            mark = min(t, mark + CREEP_MS)
        who = accounts[account[row]]
        place = -1
        lowest = 0
        for k in range(3):
            if top_ms[source, k] >= 0 and top_account[source, k] == who:
                place = k
            if top_ms[source, k] < top_ms[source, lowest]:
                lowest = k
        if place >= 0:
            top_ms[source, place] = max(top_ms[source, place], t)
        elif t > top_ms[source, lowest]:
            top_ms[source, lowest] = t
            top_account[source, lowest] = who
        if seen[source] == SETTLE:
            mark = max(mark, min(top_ms[source, 0], top_ms[source, 1], top_ms[source, 2]))
        watermark[source] = mark
        if mark >= target and mark >= 0 and _minimum(watermark) >= target:
            return row + 1
    return hi


@kernel
def _minimum(watermark: NDArray[np.int64]) -> int:
    fastest = watermark.max()
    slowest = fastest
    for mark in watermark:
        if mark >= 0 and fastest - mark <= MAX_SKEW_MS and mark < slowest:
            slowest = mark
    return int(slowest)


class _Source(msgspec.Struct, array_like=True):
    partition: int
    watermark: int
    seen: int
    earliest: int
    top_ms: list[int]
    top_account: list[int]


class Watermarks:
    """Event time per source partition and of the whole; −1 while nothing was seen."""

    def __init__(self) -> None:
        self._index: dict[int, int] = {}
        self._watermark = np.zeros(0, np.int64)
        self._seen = np.zeros(0, np.int64)
        self._earliest = np.zeros(0, np.int64)
        self._top_ms = np.zeros((0, 3), np.int64)
        self._top_account = np.zeros((0, 3), np.uint64)

    def source(self, partition: int) -> int:
        """Index of a source partition, made when new."""
        index = self._index.get(partition)
        if index is None:
            index = self._index[partition] = len(self._index)
            self._watermark = np.append(self._watermark, -1)
            self._seen = np.append(self._seen, 0)
            self._earliest = np.append(self._earliest, 0)
            self._top_ms = np.concatenate((self._top_ms, np.full((1, 3), -1, np.int64)))
            self._top_account = np.concatenate((self._top_account, np.zeros((1, 3), np.uint64)))
        return index

    def advance(
        self,
        source: int,
        times: NDArray[np.int64],
        accounts: NDArray[np.uint64],
        account: NDArray[np.uint32],
        applies: NDArray[np.bool_],
        lo: int,
        hi: int,
        target: int,
    ) -> int:
        """Let rows `[lo, hi)` move time, stopping after the row at which the partition's watermark reaches `target`."""
        return int(
            _advance(
                source,
                self._watermark,
                self._seen,
                self._earliest,
                self._top_ms,
                self._top_account,
                times,
                accounts,
                account,
                applies,
                lo,
                hi,
                target,
            )
        )

    def hint(self, source: int, watermark_ms: int) -> None:
        """Ingest says how far the source partition is, over all its events (also those of other frames partitions).

        Ignored while the source settles here, so that its first frames may be cut anywhere.
        """
        if self._seen[source] in (0, SETTLE):
            self._watermark[source] = max(self._watermark[source], watermark_ms)

    @property
    def now_ms(self) -> int:
        """The partition's watermark, ms; −1 before the first event."""
        return int(_minimum(self._watermark)) if self._watermark.size else -1

    def snapshot(self) -> list[_Source]:
        """Plain state, sorted by source partition."""
        return [
            _Source(
                p,
                int(self._watermark[i]),
                int(self._seen[i]),
                int(self._earliest[i]),
                self._top_ms[i].tolist(),
                self._top_account[i].tolist(),
            )
            for p, i in sorted(self._index.items())
        ]

    def restore(self, sources: list[_Source]) -> None:
        """Take a snapshot back; only on a fresh object."""
        for s in sources:
            i = self.source(s.partition)
            self._watermark[i], self._seen[i], self._earliest[i], self._top_ms[i] = s.watermark, s.seen, s.earliest, s.top_ms
            self._top_account[i] = np.array(s.top_account, np.uint64)


Source = _Source
