"""A population's blocks as the book judges them, kept once, judged as often as one likes: features do not depend on decisions.

The book plays the shard with a judge that only writes down: blocks in the order of their decisions, event-hours, epochs. A
replay gives the same episodes as the book (a test holds it to that) at a fiftieth of the cost. Single requests are not kept, so
alerts come without evidence and slices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.accounts.book import Book
from pipeline.detectors.models import AccountModels
from pipeline.features.blocks import joined, rows_of
from pipeline.lab.evaluate.frames import frames
from pipeline.lab.evaluate.ours import RING
from pipeline.scoring.judge import Judge, Prepared
from pipeline.scoring.mind import Mind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.base.settings import DetectSettings
    from pipeline.events.alert import Alert
    from pipeline.features.blocks import Blocks
    from pipeline.lab.evaluate.table import Shard
    from pipeline.scoring.taught import Taught


class Hour(NamedTuple):
    """The end of an event-hour: after so many blocks, at this time; `epoch`: the one that begins then, −1 none."""

    blocks: int
    at_ms: int
    epoch: int = -1


class Tape(NamedTuple):
    """Blocks in the order of their decisions (`slot` is the account's number), their accounts, and time between them."""

    blocks: Blocks
    accounts: list[str]
    hours: list[Hour]


class _Recorder(Judge):
    """Writes down what it is asked, decides nothing."""

    def __init__(self, settings: DetectSettings, accounts: list[str]) -> None:
        super().__init__(settings)
        self.hours: list[Hour] = []
        self._number = {account: i for i, account in enumerate(accounts)}
        self._chunks: list[Blocks] = []
        self._kept = self._base = 0
        self._order: list[int] = []
        self._slot: list[int] = []

    def prepare(self, blocks: Blocks, lo: int, hi: int) -> Prepared:
        """Keep the blocks: the book's own are overwritten by the next ones."""
        self._chunks.append(rows_of(blocks, slice(lo, hi)))
        self._base = self._kept - lo
        self._kept += hi - lo
        return super().prepare(blocks, lo, lo)

    def decide(self, prepared: Prepared, k: int, blocks: Blocks, mind: Mind, account_id: str) -> list[Alert]:  # noqa: ARG002 - the judge's signature
        """Note whose turn it is."""
        self._order.append(self._base + k)
        self._slot.append(self._number[account_id])
        return []

    def tick(self, now_ms: int) -> list[Alert]:
        """Note the hour."""
        self.hours.append(Hour(len(self._order), now_ms))
        return []

    def end_epoch(self, epoch: int) -> None:
        """Note the epoch; the book ends it right after an hour."""
        self.hours[-1] = self.hours[-1]._replace(epoch=epoch)

    def blocks(self) -> Blocks:
        """Everything in the order of decisions."""
        return rows_of(joined(self._chunks), np.array(self._order))._replace(slot=np.array(self._slot, np.int32))


def record(shard: Shard, settings: DetectSettings) -> Tape:
    """Play the shard once."""
    accounts = [a.account_id for a in shard.accounts]
    book = Book(0, 1, settings.model_copy(update={"dedupe_ring": RING}))
    book.judge = recorder = _Recorder(settings, accounts)
    for offset, frame in frames(shard):
        book.step(offset, frame)
    return Tape(recorder.blocks(), accounts, recorder.hours)


def replay(
    tape: Tape,
    settings: DetectSettings,
    taught: Taught | None = None,
    models: Callable[[], AccountModels] = AccountModels,
    *,
    epochs: bool = True,
) -> list[Alert]:
    """Judge the tape anew → every revision of every alert, in order.

    Args:
        tape: of `record`.
        settings: to judge with.
        taught: ensembles; None: the shipped ones.
        models: maker of an account's model of its usual.
        epochs: let the bars learn from the population.
    """
    blocks, accounts, hours = tape
    judge = Judge(settings, taught=taught)
    minds = []
    for _ in accounts:
        mind = Mind.fresh()
        mind.models = models()
        minds.append(mind)
    by_name = sorted(range(len(accounts)), key=accounts.__getitem__)
    slots = blocks.slot.tolist()
    alerts: list[Alert] = []
    lo = 0
    for hi, at_ms, epoch in [*hours, Hour(len(slots), -1)]:
        prepared = judge.prepare(blocks, lo, hi)
        for k in range(lo, hi):
            alerts += judge.decide(prepared, k, blocks, minds[slots[k]], accounts[slots[k]])
        lo = hi
        if at_ms < 0:  # what came after the last full hour
            break
        for number in by_name:
            if 0 < minds[number].deadline_ms <= at_ms:
                alerts += judge.expire(accounts[number], minds[number], at_ms)
        alerts += judge.tick(at_ms)
        if epochs and epoch >= 0:
            judge.end_epoch(epoch)
    return alerts
