"""What a world tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.lab.evaluate.marginals import Marginals
    from pipeline.lab.evaluate.split import Split


class World(NamedTuple):
    """One population's traffic and the truth about it.

    Attributes:
        events: request events of the wire contract (version 1), one JSON object each, in order of `occurred_at_ms`.
        hostile: [n] which of them are an attack's.
        attackers: account id → the kind of its attack; everybody else is honest.
        sorts: account id → what the account is, in its author's words.
    """

    events: list[bytes]
    hostile: NDArray[np.bool_]
    attackers: dict[str, str]
    sorts: dict[str, str]


class Author(Protocol):
    """Makes worlds; the same arguments give the same bytes."""

    def __call__(self, seed: int, source: Marginals, split: Split, customers: int, days: int) -> World:
        """A world of so many customers over so many days, attackers among or beside them; texts and rhythms from the source's half."""
        ...
