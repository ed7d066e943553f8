"""Which half of the world a thing belongs to: tuned on, or judged by. Decided by a keyed hash, so nobody can choose.

Tune and judge share no tenant, text group, template or paraphraser; some archetypes and sources exist for the judge only.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import cache

_KEY = b"stillwatch.evaluate.split.1"
"""Changing it would make every tuned figure worthless: what was judged by would have been tuned on."""

JUDGE_ONLY_SOURCES = frozenset({"gsm8k", "cot_qasc"})
"""Whole data sets that nothing may be tuned on."""


class Split(StrEnum):
    """The two halves."""

    TUNE = "tune"
    JUDGE = "judge"


@cache
def side(kind: str, name: str) -> Split:
    """Return the half that `name` belongs to; `kind` (tenant, text, template, paraphraser) keeps name spaces apart.

    Units that are one thing under several names (an article in twelve languages) must be asked for by one name.
    """
    digest = hashlib.blake2b(f"{kind}\0{name}".encode(), key=_KEY, digest_size=1).digest()[0]
    return Split.TUNE if digest < 128 else Split.JUDGE
