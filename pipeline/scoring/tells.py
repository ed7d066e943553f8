"""Tell-tale properties of single requests: what an analyst can point at, by kind of abuse.

They choose and count evidence; they decide nothing. A request without any may well be part of an attack.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.hashing import hash_text
from pipeline.events.alert import Kind
from pipeline.intake.markers import MATERIAL, REASONING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.events.frame import Columns

LONG_TOKENS = 1_000
"""An answer from here on is long for any product."""
_LIST_MODELS = np.uint64(hash_text("list_models"))
_REFUSAL, _FILTERED = np.uint64(hash_text("refusal")), np.uint64(hash_text("content_filter"))


class Tell(IntFlag):
    """One bit per property. Packed in notes: appended, never renumbered."""

    THINKING = 1 << 0
    LOGPROBS = 1 << 1
    MATERIAL = 1 << 2
    CHOICES = 1 << 3
    LIMITED = 1 << 4
    FAILED = 1 << 5
    REFUSED = 1 << 6
    TINY = 1 << 7
    LISTS = 1 << 8
    LONG = 1 << 9
    REPEATED = 1 << 10
    """Its template was seen before in the episode; known only inside one, so not of `tells_of`."""


WHY: dict[Tell, str] = {
    Tell.THINKING: "asks for the way of thinking",
    Tell.LOGPROBS: "asks for log-probabilities",
    Tell.MATERIAL: "asks for training material",
    Tell.CHOICES: "asks for several answers at once",
    Tell.LIMITED: "sent over the rate limit",
    Tell.FAILED: "failed",
    Tell.REFUSED: "was refused",
    Tell.TINY: "asks for one token at most",
    Tell.LISTS: "lists the models",
    Tell.LONG: "drew a long answer",
    Tell.REPEATED: "repeats a template",
}
OF_KIND: dict[Kind, Tell] = {
    Kind.BULK_EXTRACTION: Tell.LONG,
    Kind.SYSTEMATIC_DISTILLATION: Tell.MATERIAL | Tell.CHOICES | Tell.REPEATED,
    Kind.REASONING_ELICITATION: Tell.THINKING | Tell.LOGPROBS,
    Kind.LIMIT_EVASION: Tell.LIMITED,
    Kind.PROBING: Tell.FAILED | Tell.REFUSED | Tell.TINY | Tell.LISTS,
    Kind.MODEL_PIVOT: Tell(0),
    Kind.CREDENTIAL_THEFT: Tell(0),
    Kind.RESALE: Tell(0),
    Kind.CAMPAIGN: Tell(0),
}
"""What of a request speaks for a kind; nothing: no single request does."""


def tells_of(columns: Columns, lo: int, hi: int) -> NDArray[np.int64]:
    """Tells of frame rows lo … hi − 1. Absent fields tell nothing."""
    rows = slice(lo, hi)
    status, markers = columns.status[rows], columns.print_markers[rows]
    finish = columns.symbol_hash[columns.finish_reason[rows]]
    found = np.zeros(hi - lo, np.int64)
    for tell, holds in (
        (Tell.THINKING, (markers & int(REASONING)) != 0),
        (Tell.LOGPROBS, columns.logprobs[rows] == 1),
        (Tell.MATERIAL, (markers & int(MATERIAL)) != 0),
        (Tell.CHOICES, columns.choice_count[rows] > 1),
        (Tell.LIMITED, status == 429),
        (Tell.FAILED, (status >= 400) & (status != 429)),
        (Tell.REFUSED, (finish == _REFUSAL) | (finish == _FILTERED)),
        (Tell.TINY, (columns.max_tokens[rows] >= 0) & (columns.max_tokens[rows] <= 1)),
        (Tell.LISTS, columns.symbol_hash[columns.operation[rows]] == _LIST_MODELS),
        (Tell.LONG, columns.output_tokens[rows] >= LONG_TOKENS),
    ):
        found |= np.where(holds, int(tell), 0)
    return found


def why(tells: int, kind: Kind) -> str:
    """The tells of a request that speak for a kind, in words."""
    return ", ".join(WHY[tell] for tell in Tell if tell & tells & OF_KIND[kind])
