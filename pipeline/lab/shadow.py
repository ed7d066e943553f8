"""Shadow: what another alert budget would have raised, from two replays of the same frames. Pure.

Both replays begin where the frames begin, so what they lack of older history they lack alike: the difference is the budget's. Each has
its settings from the first frame to the last: what was changed through the log meanwhile is left out, decisions about accounts are not.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from pipeline.accounts.book import Book
from pipeline.base.times import DAY_MS
from pipeline.events.control import Tuning, decode_segment, encode_segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.base.settings import DetectSettings
    from pipeline.events.alert import Alert
    from pipeline.events.frame import Frame

_SETTLE_EVERY = 50
"""Frames between two looks at the rollups: bounds what waits in memory."""


class Raised(NamedTuple):
    """One alert of a replay: as it was opened, and until when it went on."""

    opened: Alert
    last_seen_ms: int

    @property
    def day(self) -> int:
        """UTC day on which it was raised."""
        return self.opened.raised_at_ms // DAY_MS


class Difference(NamedTuple):
    """Two replays side by side. Each list is in the order of raising."""

    before: list[Raised]
    after: list[Raised]
    newly: list[Raised]
    gone: list[Raised]


class Shadow:
    """Feed every frame of the log, partition by partition in order; then ask for the `difference`."""

    def __init__(self, detect: DetectSettings, other: DetectSettings, partitions: int, frames_topic_id: str) -> None:
        self._settings = (detect, other)
        self._partitions = partitions
        self._topic_id = frames_topic_id
        self._books: dict[int, tuple[Book, Book]] = {}
        self._found: tuple[dict[str, Raised], dict[str, Raised]] = ({}, {})
        self._active: set[tuple[str, int]] = set()
        self.first_ms = self.latest_ms = 0
        """Event times of the earliest and the latest request."""
        self.from_the_start = True
        """Whether every partition's log still begins at its first frame."""

    def feed(self, partition: int, offset: int, frame: Frame) -> None:
        """Apply one frame to both books of its partition."""
        books = self._books.get(partition)
        if books is None:
            first, second = (Book(partition, self._partitions, detect, self._topic_id) for detect in self._settings)
            books = self._books[partition] = (first, second)
            self.from_the_start = self.from_the_start and offset == 0
            for book in books:
                book.begin(offset)
        untuned = _without_tunings(frame)
        for book, found in zip(books, self._found, strict=True):
            for alert in book.step(offset, untuned).alerts:
                opened = found[alert.alert_id].opened if alert.alert_id in found else alert
                found[alert.alert_id] = Raised(opened, alert.last_seen_ms)
        times = frame.columns.occurred_at_ms
        if len(times):
            earliest = int(times.min())
            self.first_ms = min(self.first_ms, earliest) if self.first_ms else earliest
            self.latest_ms = max(self.latest_ms, int(times.max()))
        if offset % _SETTLE_EVERY == 0:
            self._settle(books)

    def _settle(self, books: tuple[Book, Book]) -> None:
        self._active.update((rollup.account_id, rollup.hour_ms // DAY_MS) for rollup in books[0].take_rollups())
        books[1].take_rollups()

    def forget(self, partition: int) -> None:
        """The partition's log is read to its end: its books are not needed any more."""
        books = self._books.pop(partition, None)
        if books is not None:
            self._settle(books)

    def active_accounts(self, since_ms: int = 0) -> Counter[int]:
        """Accounts with a request, by UTC day."""
        return Counter(day for _, day in self._active if (day + 1) * DAY_MS > since_ms)

    def difference(self, since_ms: int = 0) -> Difference:
        """What the other settings raise that these do not, and the reverse; alerts raised before `since_ms` are left out."""
        before, after = (sorted((r for r in found.values() if r.opened.raised_at_ms >= since_ms), key=_order) for found in self._found)
        newly, gone = unmatched(before, after)
        return Difference(before, after, newly, gone)


def _without_tunings(frame: Frame) -> Frame:
    if not frame.header.control:
        return frame
    segments = [decode_segment(data) for data in frame.header.control]
    kept = [replace(s, records=[(at, record) for at, record in s.records if not isinstance(record, Tuning)]) for s in segments]
    return frame._replace(header=replace(frame.header, control=[encode_segment(segment) for segment in kept]))


def unmatched(before: Iterable[Raised], after: Iterable[Raised]) -> tuple[list[Raised], list[Raised]]:
    """Alerts of `after` without a counterpart in `before`, and the reverse.

    A counterpart is about the same subject and kind, and their times overlap; each alert has one at most. Ids do not serve: an
    account's second episode under one budget may be its first under another.
    """
    waiting: dict[tuple[str, str], list[Raised]] = {}
    for raised in before:
        waiting.setdefault((raised.opened.subject_id, raised.opened.kind.value), []).append(raised)
    newly = []
    for raised in after:
        others = waiting.get((raised.opened.subject_id, raised.opened.kind.value), [])
        twin = next((other for other in others if _overlap(raised, other)), None)
        if twin is None:
            newly.append(raised)
        else:
            others.remove(twin)
    return newly, sorted((raised for others in waiting.values() for raised in others), key=_order)


def _overlap(one: Raised, other: Raised) -> bool:
    return max(one.opened.first_seen_ms, other.opened.first_seen_ms) <= min(
        max(one.last_seen_ms, one.opened.raised_at_ms), max(other.last_seen_ms, other.opened.raised_at_ms)
    )


def _order(raised: Raised) -> tuple[int, str]:
    return raised.opened.raised_at_ms, raised.opened.alert_id
