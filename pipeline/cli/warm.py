"""Compile a role's kernels before it joins its group: a member that compiles for a minute is taken for dead.

A few made-up requests go through the same pure functions that the role calls. With a kernel cache (`base.jit`) this takes
about a second, without one as long as compiling does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import typer

if TYPE_CHECKING:
    from pipeline.base.settings import Settings

REQUESTS = 120
ACCOUNTS = 2
EARLY = 10
"""Requests of an account that is heard of no more: the clock ends its block."""
STEP_MS = 120_000
START_MS = 1_780_000_000_000


def warm(role: str, settings: Settings) -> None:
    """Run what `role` will run, once. Nothing is read or written but the kernel cache."""
    if role == "deliver":
        return
    frames = _frames(settings)
    if role == "detect":
        _apply(frames, settings)


def compile_first(settings: Settings) -> None:
    """The same for a verb that somebody waits for: the first time after an installation, and said so."""
    from pipeline.base import jit  # noqa: PLC0415 - numba: half a second that no other verb should pay

    if not jit.compiled():
        typer.echo(jit.COMPILING, err=True)
        warm("detect", settings)


def _frames(settings: Settings) -> list[bytes]:
    from pipeline.intake import Framer, FramingConfig, Limits, read_batch  # noqa: PLC0415 - deliver needs none of it

    values: list[bytes | None] = [
        orjson.dumps(
            {
                "event_id": f"warm-{number}",
                "occurred_at_ms": START_MS + number * STEP_MS,
                "account_id": f"warm-{number % ACCOUNTS if number >= EARLY else 'early'}",
                "operation": "chat",
                "model": "warm",
                "status": 200 if number % 10 else 429,
                "plan": "warm" if number else "w\u00e4rm",  # one that the parser leaves to the decoder
                "input_tokens": number,
                "output_tokens": 10 * number,
                "prompt": f"Explain step by step why {number} is not what it seems.\n例, مثال, ejemplo ñ",
            }
        )
        for number in range(REQUESTS)
    ]
    times = [START_MS] * REQUESTS
    framer = Framer(FramingConfig("warm", "warm", 1, settings.ingest.frame_events))
    framer.assign(0, -1)
    framer.add(0, range(REQUESTS), times, read_batch(values, [2 * START_MS] * REQUESTS, Limits.of(settings.ingest)), 0, 0.0)
    return [frame.value for frame in framer.flush()]


def _apply(frames: list[bytes], settings: Settings) -> None:
    from pipeline.accounts.book import Book  # noqa: PLC0415 - River and the features: detect only
    from pipeline.events.frame import decode_frame  # noqa: PLC0415 - with the book

    small = settings.detect.model_copy(update={"dedupe_ring": 1_024, "max_hot_accounts": 16})
    book = Book(0, 1, small)
    for frame in frames:
        book.step(book.applied + 1, decode_frame(frame))
    cut = book.checkpoint()
    Book.restore(0, 1, small, [*cut.records, cut.marker])
