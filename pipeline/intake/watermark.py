"""The event-time watermark of one source partition, as ingest sees it: robust against a few wild clocks.

The watermark is the third-highest event time among distinct accounts, so up to two accounts with wild times do not move it. A
partition of fewer than three busy accounts would stand still: after 64 events ahead of the watermark without a third account,
it moves to the third-highest time among those events. It never moves back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATIENCE = 64
_TOP = 3


@kernel
def _advance(
    times: NDArray[np.int64],
    accounts: NDArray[np.uint64],
    top: NDArray[np.int64],
    who: NDArray[np.uint64],
    ahead: NDArray[np.int64],
    state: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    mark, waited = state[0], state[1]
    for i in range(times.shape[0]):
        t = times[i]
        if t > mark:
            place = 0
            for k in range(_TOP):
                if who[k] == accounts[i] and top[k] > mark:
                    place = k
                    break
                if top[k] < top[place]:
                    place = k
            if t > top[place]:
                top[place] = t
                who[place] = accounts[i]
            lowest = ahead.argmin()
            ahead[lowest] = max(ahead[lowest], t)
            waited += 1
            agreed = top.min()
            if agreed <= mark and waited >= PATIENCE:
                agreed = ahead.min()
            if agreed > mark:
                mark = agreed
                waited = 0
                ahead[:] = -1
        out[i] = mark
    state[0], state[1] = mark, waited


class Watermark:
    """Event time of one source partition, ms; −1 before the first three events."""

    def __init__(self) -> None:
        self._top = np.full(_TOP, -1, np.int64)
        self._who = np.zeros(_TOP, np.uint64)
        self._ahead = np.full(_TOP, -1, np.int64)
        self._state = np.array([-1, 0], np.int64)

    @property
    def now_ms(self) -> int:
        """The watermark."""
        return int(self._state[0])

    def advance(self, times: NDArray[np.int64], accounts: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Take events in order of offset → the watermark after each."""
        out = np.empty(times.size, np.int64)
        _advance(times, accounts, self._top, self._who, self._ahead, self._state, out)
        return out
