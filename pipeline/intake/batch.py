"""A batch of records, read: events without their prompts, fingerprints, rejections. The text ends here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.hashing import hash_texts
from pipeline.events.request import RequestEvent
from pipeline.intake.fingerprint import PRINT, fingerprint
from pipeline.intake.parse import new_room, parse
from pipeline.intake.rows import Events, join, rows_of
from pipeline.intake.validate import Limits, Rejection, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.events.request import PromptPrint

CHUNK = 256
"""Records worked on at a time: a few hundred kilobytes, so that they stay in the cache between the steps."""


class Batch(NamedTuple):
    """Records, read."""

    events: Events
    """The valid ones, in order, without their texts."""
    record: NDArray[np.int64]
    """Which record of the batch each event is."""
    results: list[Rejection | None]
    """For each record of the batch its rejection, None for an event."""

    def part(self, lo: int, hi: int) -> Batch:
        """Records `[lo, hi)`; shares memory."""
        first, last = np.searchsorted(self.record, (lo, hi)).tolist()
        return Batch(self.events.part(first, last), self.record[first:last] - lo, self.results[lo:hi])


def read_batch(values: Sequence[bytes | None], received_at_ms: Sequence[int], limits: Limits) -> Batch:
    """Validate and fingerprint.

    Args:
        values: the records.
        received_at_ms: timestamp of each record, ms; −1 when unknown.
        limits: what is too much.
    """
    data = [value or b"" for value in values]
    received = np.fromiter(received_at_ms, np.int64, len(data))
    latest = np.where(received < 0, np.iinfo(np.int64).max, received + limits.max_ahead_ms)
    out = new_room(data)
    good = np.empty(len(data), np.bool_)
    rows = used = 0
    for lo in range(0, len(data), CHUNK):
        part = slice(lo, lo + CHUNK)
        good[part], rows, used = parse(data[part], latest[part], limits.max_record_bytes, limits.max_depth, out, rows, used)
    events = Events(out.text[:used].copy(), *(column[:rows] for column in out[1:]))  # type: ignore[arg-type]  # a slice of each
    doubtful = np.flatnonzero(~good)
    results: list[Rejection | None] = [None] * len(data)
    if not len(doubtful):
        return Batch(events, np.arange(len(data)), results)
    asked = doubtful.tolist()
    answers = validate([data[i] for i in asked], received[doubtful].tolist(), limits)
    accepted = [i for i, answer in zip(asked, answers, strict=True) if isinstance(answer, RequestEvent)]
    for i, answer in zip(asked, answers, strict=True):
        if isinstance(answer, Rejection):
            results[i] = answer
    index = np.concatenate((np.flatnonzero(good), np.array(accepted, np.int64)))
    if accepted:
        decoded = [answer for answer in answers if isinstance(answer, RequestEvent)]
        events = join([events, rows_of(decoded, take_prompts(decoded))])
        order = np.argsort(index, kind="stable")
        events, index = events.take(order), index[order]
    return Batch(events, index, results)


def take_prompts(events: Sequence[RequestEvent]) -> NDArray[np.void]:
    """Take the prompt out of each event → fingerprints."""
    prints = np.zeros(len(events), PRINT)
    at: list[int] = []
    prompts: list[str] = []
    given: list[tuple[int, PromptPrint]] = []
    for i, event in enumerate(events):
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
    return prints
