"""What an account has been seen with on two earlier days; anything else is new, so an intruder stays new for two days.

Maps of 64 bits, by hash. They only fill: an account with more values than a map can tell apart (rotating addresses) loses
that feature, it does not get a wrong one. A value may hide behind another's bit: with 10 known values one in seven does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.jit import inline
from pipeline.features import layout as at
from pipeline.features.counting import bits, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.features.row import Row

_MOST = 40
"""Bits of a map above which a new value would look known too often."""
_ENOUGH = 2
"""Days after which something is known."""
_TOO_MANY = 255
_BYTE = np.uint64(255)


@inline
def next_day(row: Row) -> None:
    """An event of a later day came: what was seen on the day before is now seen once or twice."""
    for k in range(row.seen_today.shape[0]):
        today = row.seen_today[k]
        if today == 0:
            continue
        row.seen_twice[k] |= row.seen_once[k] & today
        row.seen_once[k] |= today
        row.seen_today[k] = 0
        if bits(row.seen_twice[k]) > _MOST:
            row.seen_days[k] = _TOO_MANY
        elif row.seen_days[k] < _ENOUGH:
            row.seen_days[k] += 1


@inline
def unseen(row: Row, which: int, name: np.uint64) -> np.uint64:
    """1 in byte `which` if the value (a hash) of that identity was not seen on two earlier days, else 0.

    Counts of a block stand in the bytes of one word: it has at most 250 requests.
    """
    bit: np.uint64 = (~row.seen_twice[which] >> (name >> np.uint64(58))) & np.uint64(1)
    return bit << np.uint64(8 * which)


@inline
def from_new_origin(row: Row, new: np.uint64) -> bool:
    """Whether a request with these new values, byte by byte, comes from where the account has not been seen."""
    strange = False
    for k in range(at.I_COUNTRY + 1):
        strange = strange or (row.seen_days[k] == _ENOUGH and (new >> np.uint64(8 * k)) & _BYTE != 0)
    return strange


@inline
def close_seen(row: Row, v: NDArray[np.float64]) -> None:
    """Write the shares of new values, then join the block's values with today's; a block never spans two of `next_day`.

    NaN without values, on the first two days with one, and where there are too many to tell.
    """
    for k in range(row.seen_days.shape[0]):
        shift = np.uint64(8 * k)
        told = float((row.block_told >> shift) & _BYTE) if row.seen_days[k] == _ENOUGH else 0.0
        v[at.NEW_KEY_SHARE + k] = ratio(float((row.block_new >> shift) & _BYTE), told)
    today = row.seen_today
    today[at.I_KEY] |= row.block_keys
    today[at.I_ADDRESS] |= row.block_addresses
    today[at.I_NETWORK] |= row.block_networks
    today[at.I_AGENT] |= row.block_agents
    today[at.I_COUNTRY] |= row.block_countries
    today[at.I_MODEL] |= row.block_models
    today[at.I_SETTINGS] |= row.block_ways
    for j in range(row.block_prefixes.shape[0]):
        if row.block_prefixes[j] > 0:
            today[at.I_PREFIX] |= np.uint64(1) << np.uint64(j)
