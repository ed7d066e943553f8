"""Backtest: request events as lines through the same intake and core as the live workers, with no broker.

Lines are read as one source partition. Deciding what happened when is the core's business, so a backtest and a live run
of the same file on one partition give the same alerts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.accounts.book import Book
from pipeline.events.frame import decode_frame
from pipeline.intake.batch import read_batch
from pipeline.intake.framing import Framer, FramingConfig
from pipeline.intake.validate import Limits, Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.base.settings import Settings
    from pipeline.events.alert import Alert
    from pipeline.intake.framing import FrameOut

BATCH_LINES = 4_000
SOURCE = "backtest"
UNKNOWN_MS = -1


class AccountResult(NamedTuple):
    """One account at the end of a backtest (`accounts.ndjson`)."""

    account_id: str
    max_risk: float
    first_alert_at_ms: int | None
    requests_before_first_alert: int | None
    output_tokens_before_first_alert: int | None
    campaign_id: str | None = None


TELLS = {
    "prompt": ("print_present",),
    "origin": ("api_key_id", "client_address", "asn", "user_agent", "country"),
    "sign_up": ("account_created_at_ms",),
}
"""Columns of each sort of field that features need (`Feature.needs`); what is not told is 0 there, or −1."""


class Counts(NamedTuple):
    """What happened to the lines."""

    lines: int
    applied: int
    rejected: int
    duplicates: int
    told: dict[str, int]
    """Events that tell a sort of field, of `applied + duplicates`."""


class Backtest:
    """Feed `lines`, then `finish`. Alerts and rejections go to the callbacks as they happen."""

    def __init__(
        self,
        settings: Settings,
        partitions: int,
        on_alert: Callable[[Alert], None],
        on_rejection: Callable[[int, Rejection], None],
    ) -> None:
        self._settings = settings
        self._framer = Framer(FramingConfig(SOURCE, SOURCE, partitions, settings.ingest.frame_events))
        self._framer.assign(0, -1)
        self._limits = Limits.of(settings.ingest)
        self.books = [Book(p, partitions, settings.detect) for p in range(partitions)]
        self._on_alert, self._on_rejection = on_alert, on_rejection
        self._lines = self._applied = self._rejected = self._duplicates = 0
        self._told = dict.fromkeys(TELLS, 0)
        self._first: dict[str, Alert] = {}
        self._risk: dict[str, float] = {}

    def feed(self, lines: Iterable[bytes], received_at_ms: int) -> None:
        """Take lines (without their line ends); `received_at_ms` is the time that "too far ahead" is measured from."""
        for lines_of_batch in _batched(lines, BATCH_LINES):
            batch = read_batch(lines_of_batch, [received_at_ms] * len(lines_of_batch), self._limits)
            for number, result in enumerate(batch.results):
                if isinstance(result, Rejection):
                    self._rejected += 1
                    self._on_rejection(self._lines + number, result)
            offsets = range(self._lines, self._lines + len(lines_of_batch))
            self._framer.add(0, offsets, [UNKNOWN_MS] * len(offsets), batch, 0, 0.0)
            self._lines += len(lines_of_batch)
            self._apply(self._framer.due(0.0))

    def finish(self) -> Counts:
        """Apply what still waits."""
        self._apply(self._framer.flush())
        for book in self.books:
            self._collect(book)
        return Counts(self._lines, self._applied, self._rejected, self._duplicates, self._told)

    def accounts(self) -> Iterator[AccountResult]:
        """Every account, by id."""
        for account_id in sorted(self._risk):
            first = self._first.get(account_id)
            yield AccountResult(
                account_id,
                self._risk[account_id],
                first.raised_at_ms if first else None,
                first.requests_before if first else None,
                first.output_tokens_before if first else None,
            )

    def _apply(self, frames: Iterable[FrameOut]) -> None:
        for frame in frames:
            book = self.books[frame.partition]
            decoded = decode_frame(frame.value)
            for sort, names in TELLS.items():
                self._told[sort] += int(np.any([getattr(decoded.columns, name) > 0 for name in names], axis=0).sum())
            effects = book.step(book.applied + 1, decoded)
            self._applied += effects.applied
            self._duplicates += effects.duplicates
            for alert in effects.alerts:
                if alert.subject_type == "account":
                    if alert.state == "opened":
                        self._first.setdefault(alert.subject_id, alert)
                    self._risk[alert.subject_id] = max(self._risk.get(alert.subject_id, 0.0), alert.risk)
                self._on_alert(alert)
            self._framer.acked(frame)
            if book.applied % 50 == 0:
                self._collect(book)

    def _collect(self, book: Book) -> None:
        for rollup in book.take_rollups():
            self._risk[rollup.account_id] = max(self._risk.get(rollup.account_id, 0.0), rollup.risk)


def _batched(lines: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
