"""Evidence over time: budgeted Shiryaev–Roberts accumulators, which may be looked at after every block.

Per kind and tilt λ: M ← (M + g)·exp(λz − λ²/2), z a calibrated block score (standard normal given the past, capped at 4),
g being a part of the kind's share of the alert budget per active account-day, fixed before the block so that it cannot depend on it.
An episode opens when the M of a kind sum to 1; then they start again from 0. With resets E[false alerts by T] ≤ Σg at every T.
Sources: Shin, Ramdas & Rinaldo, "E-detectors", NEJSDS 2024; Vovk & Wang, Ann. Stat. 2021. What the bound needs, z valid given
the past, is measured, not assumed.
"""

from __future__ import annotations

import math
import struct

TILTS = (0.25, 0.5, 1.0, 2.0)
CAP = 4.0
"""Highest score a block can bring: no single block convicts."""
_GRID = 32
"""Scores are rounded to 1/32, so that their factors come from a table and not from `exp` of the machine at hand."""
_FACTORS = tuple(
    tuple(math.exp(tilt * i / _GRID - tilt * tilt / 2.0) for tilt in TILTS) for i in range(int(-CAP * _GRID), int(CAP * _GRID) + 1)
)
_FLOATS = struct.Struct(f"<{len(TILTS)}f")
ZERO = (0.0,) * len(TILTS)

_DECAY = 1.2
_ZETA = 5.591582441177751  # Σ n^−1.2 over n ≥ 1
_PARTS: tuple[float, ...] = tuple(float(n) ** -_DECAY / _ZETA for n in range(1, 4097))


def deposit_share(blocks_today: int) -> float:
    """Part of a day's deposit that goes before the day's next block, when `blocks_today` came before it.

    Parts fall as n^−1.2 and sum to 1 over a day of any length, so a day costs its budget once however busy it is.
    """
    return _PARTS[min(blocks_today, len(_PARTS) - 1)]


def advance(evidence: tuple[float, ...], deposit: float, z: float) -> tuple[float, ...]:
    """One block's step of one kind: `deposit` is g, shared over the tilts. Values are float32, so that packing loses nothing."""
    share = deposit / len(TILTS)
    f = _FACTORS[int((min(max(z, -CAP), CAP) + CAP) * _GRID + 0.5)]
    m = evidence
    moved = ((m[0] + share) * f[0], (m[1] + share) * f[1], (m[2] + share) * f[2], (m[3] + share) * f[3])
    return _FLOATS.unpack(_FLOATS.pack(*moved))


def strength(evidence: tuple[float, ...]) -> float:
    """How much of an alert there is: ≥ 1 opens an episode."""
    return sum(evidence)
