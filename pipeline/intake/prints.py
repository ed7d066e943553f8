"""The fingerprints of a batch of events: made here from the prompt, or taken as the gateway made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.hashing import hash_texts
from pipeline.intake.fingerprint import PRINT, fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.events.request import RequestEvent


def prints_of(events: Sequence[RequestEvent]) -> NDArray[np.void]:
    """Fingerprint of each event → PRINT[len(events)]; rows without prompt and print are all zero (`present` 0).

    A `prompt_print` is used as it is; beside a prompt, the prompt counts.
    """
    prompts = [event.prompt for event in events]
    if None not in prompts:
        return fingerprint(prompts)  # type: ignore[arg-type]  # just checked
    out = np.zeros(len(events), PRINT)
    have = [i for i, prompt in enumerate(prompts) if prompt is not None]
    out[have] = fingerprint([prompt for prompt in prompts if prompt is not None])
    for i, event in enumerate(events):
        given = event.prompt_print
        if event.prompt is None and given is not None:
            row = out[i]
            row["sketch"] = np.frombuffer(given.sketch, np.int8)
            row["template"], row["prefix"], row["suffix"] = given.template, given.prefix, given.suffix
            row["length"], row["markers"], row["script"], row["present"] = given.length, given.markers, given.script, 1
            row["digest"] = hash_texts([given.sketch.hex()])[0]
    return out
