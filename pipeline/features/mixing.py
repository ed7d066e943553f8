"""Mixes: shares of models and of languages in a block against the account's running shares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.jit import inline
from pipeline.features import layout as at
from pipeline.intake.scripts import Script

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GROUPS = (
    (Script.NONE,), (Script.LATIN,), (Script.CYRILLIC,), (Script.ARABIC,), (Script.HAN,), (Script.KANA,), (Script.HANGUL,), (Script.CODE,),
    (Script.DEVANAGARI, Script.INDIC, Script.THAI), (Script.ENGLISH,), (Script.SPANISH, Script.ROMANIAN), (Script.GERMAN, Script.DUTCH),
    (Script.FRENCH,), (Script.PORTUGUESE, Script.ITALIAN), (Script.TURKISH, Script.VIETNAMESE, Script.POLISH, Script.INDONESIAN),
    (Script.GREEK, Script.HEBREW, Script.OTHER),
)  # fmt: skip
"""Languages that share a bucket; one that is appended to `Script` and not listed here goes to the last."""
_BUCKET = np.array([next((b for b, group in enumerate(_GROUPS) if value in group), len(_GROUPS) - 1) for value in range(64)])


@inline
def script_bucket(script: int) -> int:
    """Bucket of a value of `print_script`."""
    return int(_BUCKET[script & 63])


@inline
def mix_shift(counts: NDArray[np.uint8], mix: NDArray[np.uint16]) -> float:
    """Total variation distance between the block's mix and the running one; NaN where either is unknown."""
    total = 0
    known = 0
    for j in range(counts.shape[0]):
        total += int(counts[j])
        known += int(mix[j])
    if total == 0 or known == 0:
        return math.nan
    distance = 0.0
    for j in range(counts.shape[0]):
        distance += abs(float(counts[j]) / float(total) - float(mix[j]) / float(known))
    return 0.5 * distance


@inline
def move_mix(counts: NDArray[np.uint8], mix: NDArray[np.uint16], weight: float) -> None:
    """Move the running mix towards the block's by `weight`; the first block is the mix."""
    total = 0
    known = 0
    for j in range(counts.shape[0]):
        total += int(counts[j])
        known += int(mix[j])
    if total == 0:
        return
    if known == 0:
        weight = 1.0
    for j in range(counts.shape[0]):
        y = float(mix[j])
        mix[j] = math.floor(y + weight * (at.MIX_UNIT * float(counts[j]) / float(total) - y) + 0.5)
