"""Through which keys, address blocks, templates and models an episode's requests go: small heavy-hitter tables.

A count is never above the truth, and any value that holds more than a ninth of what was counted is in its table (Misra & Gries,
1982). Integers in the order of events, so equal sequences give equal tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pipeline.events.alert import Slice
from pipeline.scoring.notes import DIMENSIONS
from pipeline.scoring.tells import Tell

if TYPE_CHECKING:
    from pipeline.scoring.notes import Note

SLOTS = 8
SHOWN, LEAST = 5, 0.05
"""Values of a dimension that an alert names, and the share that each must have, besides those of the smallest slice."""
ENOUGH = 3
"""Telling requests from which they stand for what is suspicious; with fewer every request of the episode does."""
STOPS = 0.9
_TEMPLATE = DIMENSIONS.index("template")
_AGAIN = 2
"""Times a template must have been seen before a request repeats it."""


class Tally(msgspec.Struct, array_like=True):
    """Counts of one episode, telling requests and the others apart."""

    speaks: int
    """Tells that speak for the episode's kind."""
    telling: int = 0
    ordinary: int = 0
    telling_by: list[dict[str, int]] = msgspec.field(default_factory=lambda: [{} for _ in DIMENSIONS])
    ordinary_by: list[dict[str, int]] = msgspec.field(default_factory=lambda: [{} for _ in DIMENSIONS])

    def add(self, note: Note) -> int:
        """Count a request → its tells, `REPEATED` among them where it holds."""
        tells = note.tells
        template = note.places[_TEMPLATE]
        seen = self.telling_by[_TEMPLATE].get(template, 0) + self.ordinary_by[_TEMPLATE].get(template, 0)
        if template and seen >= _AGAIN:
            tells |= Tell.REPEATED
        if tells & self.speaks:
            self.telling += 1
            tables = self.telling_by
        else:
            self.ordinary += 1
            tables = self.ordinary_by
        for table, value in zip(tables, note.places, strict=True):
            if value:
                _count(table, value)
        return tells

    def slices(self) -> list[Slice]:
        """The heaviest values of each dimension, and all of the smallest slice that stops at least 90 %.

        Smallest: that which holds least of the other requests, then that of fewest values. There may be none: then no few
        values hold so much.
        """
        if self.telling >= ENOUGH:
            suspicious, total, others, rest = self.telling_by, self.telling, self.ordinary_by, self.ordinary
        else:
            suspicious, total, others, rest = (
                _joined(self.telling_by, self.ordinary_by),
                self.telling + self.ordinary,
                [{}] * len(DIMENSIONS),
                0,
            )
        ranked = [sorted(table.items(), key=lambda item: (-item[1], item[0])) for table in suspicious]
        best: tuple[int, int, int] | None = None
        for d, values in enumerate(ranked):
            held = width = hit = 0
            for value, count in values:
                held, width, hit = held + count, width + 1, hit + others[d].get(value, 0)
                if held >= STOPS * total:
                    best = min(best or (hit, width, d), (hit, width, d))
                    break
        found = []
        for d, values in enumerate(ranked):
            width = best[1] if best is not None and best[2] == d else 0
            found += [
                Slice(DIMENSIONS[d], value, count, round(count / total, 3), round(others[d].get(value, 0) / max(rest, 1), 3), i < width)
                for i, (value, count) in enumerate(values[: max(SHOWN, width)])
                if i < width or count >= LEAST * total
            ]
        return found


def _count(table: dict[str, int], value: str) -> None:
    if value in table:
        table[value] += 1
    elif len(table) < SLOTS:
        table[value] = 1
    else:
        for other in list(table):
            if table[other] == 1:
                del table[other]
            else:
                table[other] -= 1


def _joined(some: list[dict[str, int]], others: list[dict[str, int]]) -> list[dict[str, int]]:
    """Both tables of each dimension as one, in the order of the first."""
    return [{value: a.get(value, 0) + b.get(value, 0) for value in [*a, *b]} for a, b in zip(some, others, strict=True)]
