"""`memory`: resident bytes per tracked account, its River models included, and what a step costs with that many.

One simulated population is played by as many copies of itself as make the accounts asked for, hour by hour, into one book per
partition: every copy has its own accounts, ids, and source partition. Accounts beyond `max_hot_accounts` are packed, as in
production. Copies share the strings of symbols; no book keeps those.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from pipeline.accounts.book import Book
from pipeline.base.hashing import hash_texts
from pipeline.events.frame import Frame, decode_frame
from pipeline.features.row import ROW
from pipeline.intake.batch import read_batch
from pipeline.intake.framing import Framer, FramingConfig
from pipeline.intake.validate import Limits
from pipeline.lab.simulate import Scenario, simulate
from pipeline.lab.simulate.bulk import BULK_START_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.base.settings import Settings

_DAYS = 2.0
_SOURCE = "bench"
_FRAME_EVENTS = 4_000
_ROLLUPS_EVERY = 10
"""Frames between two looks at what the rollups have for ClickHouse: a checkpoint does that in production."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Memory(NamedTuple):
    """What was measured."""

    accounts: int
    packed: int
    """Of them, packed ones."""
    events: int
    resident_bytes: int
    """Growth of this process."""
    bytes_per_account: float
    row_bytes: int
    """Of which features, of a live account."""
    us_per_event: float
    """CPU of the books' steps, packing and unpacking included."""


def _resident() -> int:
    """Resident memory of this process, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def measure_memory(
    settings: Settings,
    accounts: int,
    partitions: int,
    requests_per_day: float,
    progress: Callable[[int, int], None],
    population: int = 500,
) -> Memory:
    """Fill the books and weigh them.

    Args:
        settings: those of detect shape the accounts.
        accounts: tracked in all, at least one population per partition.
        partitions: one book each.
        requests_per_day: mean per account, over two days.
        progress: called with (frames applied, frames in all).
        population: accounts that are simulated; the rest are their copies.
    """
    frames = _population(settings, population, requests_per_day)
    seen = len({name for frame in frames for name in frame.header.accounts})  # some customers are quiet for these two days
    copies = max(round(accounts / seen / partitions), 1)
    total = len(frames) * copies * partitions
    before = _resident()
    books = [Book(p, partitions, settings.detect) for p in range(partitions)]
    applied = events = 0
    spent = 0.0
    for frame in frames:
        for book in books:
            for copy in range(copies):
                mine = _copied(frame, book, copy)
                begun = time.process_time()
                events += book.step(book.applied + 1, mine).applied
                spent += time.process_time() - begun
                applied += 1
                if applied % _ROLLUPS_EVERY == 0 or applied == total:
                    book.take_rollups()
                    progress(applied, total)
    resident = _resident() - before
    live, packed = (sum(counts) for counts in zip(*(book.accounts for book in books), strict=True))
    return Memory(live + packed, packed, events, resident, resident / (live + packed), ROW.itemsize, 1e6 * spent / max(events, 1))


def _population(settings: Settings, accounts: int, requests_per_day: float) -> list[Frame]:
    """Frames of one simulated population, in order of time."""
    scenario = Scenario(1, BULK_START_MS, days=_DAYS, accounts=accounts, requests_per_account_day=requests_per_day, attacks=())
    framer = Framer(FramingConfig(_SOURCE, _SOURCE, 1, _FRAME_EVENTS))
    framer.assign(0, -1)
    lines = [event.raw for event in simulate(scenario)]
    batch = read_batch(lines, [-1] * len(lines), Limits.of(settings.ingest))
    framer.add(0, range(len(lines)), [-1] * len(lines), batch, 0, 0.0)
    return [decode_frame(out.value) for out in (*framer.due(0.0), *framer.flush())]


def _copied(frame: Frame, book: Book, copy: int) -> Frame:
    """The same traffic of other accounts, from a source partition of its own."""
    header, columns = frame
    names = [f"{name}~{copy}" for name in header.accounts]
    salt = np.uint64((copy + 1) * 0x9E3779B97F4A7C15 % 2**63)
    segments = [msgspec.structs.replace(segment, partition=copy) for segment in header.segments]
    return Frame(
        msgspec.structs.replace(
            header, frames_partition=book.partition, frames_partitions=book.partitions, segments=segments, accounts=names
        ),
        columns._replace(account_hash=hash_texts(names), identity=columns.identity ^ salt, content=columns.content ^ salt),
    )
