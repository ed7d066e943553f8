"""A batch of records, read: events without their prompts, fingerprints, rejections. The text ends here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.hashing import hash_texts
from pipeline.events.request import RequestEvent
from pipeline.intake.fingerprint import PRINT, fingerprint
from pipeline.intake.validate import Limits, Rejection, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.events.request import PromptPrint

CHUNK = 256
"""Records worked on at a time: a few hundred kilobytes, so that they stay in the cache between the steps."""


class Batch(NamedTuple):
    """Records in order: `results[i]` is an event (its `prompt` and `prompt_print` dropped) with `prints[i]`, or a rejection."""

    results: list[RequestEvent | Rejection]
    prints: NDArray[np.void]


def read_batch(values: Sequence[bytes | None], received_at_ms: Sequence[int], limits: Limits) -> Batch:
    """Validate and fingerprint.

    Args:
        values: the records.
        received_at_ms: timestamp of each record, ms; −1 when unknown.
        limits: what is too much.
    """
    results: list[RequestEvent | Rejection] = []
    prints = np.zeros(len(values), PRINT)
    for lo in range(0, len(values), CHUNK):
        part = validate(values[lo : lo + CHUNK], received_at_ms[lo : lo + CHUNK], limits)
        _take_prompts(part, prints[lo : lo + CHUNK])
        results += part
    return Batch(results, prints)


def _take_prompts(results: list[RequestEvent | Rejection], prints: NDArray[np.void]) -> None:
    at: list[int] = []
    prompts: list[str] = []
    given: list[tuple[int, PromptPrint]] = []
    for i, event in enumerate(results):
        if isinstance(event, RequestEvent):
            if event.prompt is not None:
                at.append(i)
                prompts.append(event.prompt)
                event.prompt = None
            if event.prompt_print is not None:
                given.append((i, event.prompt_print))
                event.prompt_print = None
    if at:
        prints[np.array(at)] = fingerprint(prompts)
    for i, print_ in given:
        row = prints[i]
        row["sketch"] = np.frombuffer(print_.sketch, np.int8)
        for name in ("template", "prefix", "suffix", "length", "script", "markers"):
            row[name] = getattr(print_, name)
        row["present"] = 1
        row["digest"] = hash_texts([row.tobytes().decode("latin-1")])[0]
