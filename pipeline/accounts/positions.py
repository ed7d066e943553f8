"""Source positions: which rows of a frame are new, and where the source log has holes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pipeline.base.errors import LineageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from pipeline.events.control import ControlSegment
    from pipeline.events.frame import FrameHeader, Segment


class Position(msgspec.Struct, array_like=True):
    """Where one source partition stands: `offset` is the last one accounted for, −1 before the first."""

    partition: int
    topic_id: str
    offset: int = -1
    lost: int = 0
    """Offsets that retention ate before ingest saw them."""
    hole: int = 0
    """Offsets missing before the last segment that could not be applied; 0 once it is filled."""


class Positions:
    """Positions by source partition. A segment beyond its position is never applied: a hole is reported, not jumped."""

    def __init__(self) -> None:
        self.by_partition: dict[int, Position] = {}
        self.adopts = False
        """Whether a partition begins where its first segment begins, not at its first record: for a log whose beginning is gone."""

    def accept(self, header: FrameHeader, offset: NDArray[np.int64], take: NDArray[np.bool_]) -> Iterator[tuple[Segment, int, int]]:
        """Move positions over a frame's segments; clear `take` for rows already applied.

        Yields:
            Each segment that applies, with its rows `[lo, hi)`.

        Raises:
            LineageError: the source topic was recreated.
        """
        hi = 0
        for segment in header.segments:
            lo, hi = hi, hi + segment.events
            before = self.move(segment, header.source_topic, lost=segment.lost)
            if before is None:
                take[lo:hi] = False
                continue
            take[lo:hi] &= offset[lo:hi] > before
            if segment.to_offset > before:
                yield segment, lo, hi

    def move(self, segment: Segment | ControlSegment, topic: str, *, lost: bool = False) -> int | None:
        """Move over one segment of `topic` → where its partition stood before; None: it lies beyond a hole and does not apply.

        Raises:
            LineageError: the topic was recreated.
        """
        position = self.by_partition.get(segment.partition)
        if position is None:
            position = self.by_partition[segment.partition] = Position(segment.partition, segment.topic_id)
            position.offset = segment.from_offset if self.adopts else position.offset
        if position.topic_id != segment.topic_id:
            raise LineageError(
                f"{topic} was recreated: topic id {segment.topic_id}, state knows {position.topic_id}",
                location=f"{topic}[{segment.partition}]",
                next_step="start with a new prefix, or reset this one with `stillwatch init --reset-state`",
            )
        before = position.offset
        if segment.from_offset > before:
            position.hole = segment.from_offset - before
            return None
        if segment.to_offset > before:
            position.lost += lost * (segment.to_offset - before)
            position.offset = segment.to_offset
            position.hole = 0
        return before
