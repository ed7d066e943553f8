"""When LEVEL looks at an account: once per doubling of its requests, from 50 on.

Each account is one exchangeable unit of a look; looking more often would spend the budget on the same evidence twice.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_LOOK = 50
LOOKS = 12
"""Looks at 50, 100, … 102,400 requests: whoever takes that much should have been looked at lately."""
_LOOKS_AT = [FIRST_LOOK << look for look in range(LOOKS)]
_CUTS = np.array(_LOOKS_AT)


def looks_at(requests: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many looks an account of so many requests has behind it."""
    return np.searchsorted(_CUTS, requests, side="right")


def near_look(requests: int, within: int) -> bool:
    """Whether the next look is at most `within` requests away."""
    at = bisect_right(_LOOKS_AT, requests)
    return at < LOOKS and _LOOKS_AT[at] - requests <= within


def look_in(after: NDArray[np.int64], requests: NDArray[np.int32]) -> NDArray[np.int64]:
    """The look that falls into blocks of so many `requests`, after which accounts have `after`; −1: none."""
    looks = looks_at(after) - 1
    looks[looks == looks_at(after - requests) - 1] = -1
    return looks
