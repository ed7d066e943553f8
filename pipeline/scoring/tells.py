"""Tell-tale properties of single requests: what an analyst can point at, by kind of abuse.

They choose and count evidence; they decide nothing. A request without any may well be part of an attack.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.hashing import hash_text
from pipeline.base.jit import kernel
from pipeline.events.alert import Kind
from pipeline.intake.markers import MATERIAL, REASONING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.events.frame import Columns

LONG_TOKENS = 1_000
"""An answer from here on is long for any product."""
_LIST_MODELS = np.uint64(hash_text("list_models"))
_WAS_REFUSED, _WAS_FILTERED = np.uint64(hash_text("refusal")), np.uint64(hash_text("content_filter"))


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


_THINKING, _MATERIAL = int(REASONING), int(MATERIAL)
# a kernel knows no enumerations
_ASKS_THINKING, _ASKS_LOGPROBS, _ASKS_MATERIAL, _CHOICES = (
    int(tell) for tell in (Tell.THINKING, Tell.LOGPROBS, Tell.MATERIAL, Tell.CHOICES)
)
_LIMITED, _FAILED, _REFUSED = (int(tell) for tell in (Tell.LIMITED, Tell.FAILED, Tell.REFUSED))
_TINY, _LISTS, _LONG = (int(tell) for tell in (Tell.TINY, Tell.LISTS, Tell.LONG))


@kernel
def _tells_of(c: Columns, lo: int, found: NDArray[np.int64]) -> None:  # noqa: C901 - a table in words
    for i in range(found.shape[0]):
        row = lo + i
        status, markers = c.status[row], c.print_markers[row]
        finish = c.symbol_hash[c.finish_reason[row]]
        tells = 0
        if markers & _THINKING:
            tells |= _ASKS_THINKING
        if c.logprobs[row] == 1:
            tells |= _ASKS_LOGPROBS
        if markers & _MATERIAL:
            tells |= _ASKS_MATERIAL
        if c.choice_count[row] > 1:
            tells |= _CHOICES
        if status == 429:
            tells |= _LIMITED
        elif status >= 400:
            tells |= _FAILED
        if finish in (_WAS_REFUSED, _WAS_FILTERED):
            tells |= _REFUSED
        if 0 <= c.max_tokens[row] <= 1:
            tells |= _TINY
        if c.symbol_hash[c.operation[row]] == _LIST_MODELS:
            tells |= _LISTS
        if c.output_tokens[row] >= LONG_TOKENS:
            tells |= _LONG
        found[i] = tells


def tells_of(columns: Columns, lo: int, hi: int) -> NDArray[np.int64]:
    """Tells of frame rows lo … hi − 1. Absent fields tell nothing."""
    found = np.empty(hi - lo, np.int64)
    _tells_of(columns, lo, found)
    return found


def why(tells: int, kind: Kind) -> str:
    """The tells of a request that speak for a kind, in words."""
    return ", ".join(WHY[tell] for tell in Tell if tell & tells & OF_KIND[kind])
