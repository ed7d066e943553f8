"""What workloads are composed from: tenants (when, how much, how long) and text groups (what), real or parametric.

Real traffic never comes with account, time, text and label together; so each side is drawn on its own and results on such
a workload say so. Two makers give the same types: `real` reads public data sets, `parametric` needs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pipeline.base.errors import SettingsError
from pipeline.lab.evaluate.split import JUDGE_ONLY_SOURCES, Split, side

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

SLOT_MS = 600_000
SLOTS = 2_016
"""Ten-minute slots in the 14 days that a tenant's rhythm is known for."""
QUANTILES = 33
CLUMPS = (0.5, 60.0)
"""Smallest and largest mean size of a burst that a tenant may have."""
CHARS_PER_TOKEN = {"zh": 1.1, "ja": 1.2, "ko": 1.6, "hi": 1.8, "th": 1.9, "ar": 2.2, "ru": 2.6, "el": 2.4, "vi": 2.8, "code": 3.2}
"""Orders of magnitude of public tokenisers; 4 where nothing is said."""


class TextKind(StrEnum):
    """What a text group's texts are."""

    PEOPLE = "people"  # turns that people wrote
    RECORD = "record"  # items that an application works on: the payload of its template
    PASSAGE = "passage"  # a passage with a question: retrieval-augmented prompts
    TASK = "task"  # data-set tasks, templated or not: extraction-like
    REASONING = "reasoning"  # tasks that ask for the chain of thought: extraction-like


EXTRACTION = (TextKind.TASK, TextKind.REASONING)


@dataclass(frozen=True, slots=True, eq=False)
class Tenant:
    """One customer's measured rhythm and token counts.

    Attributes:
        weights: [SLOTS] share of the requests in each slot; sums to 1.
        clump: [SLOTS] mean requests per burst (index of dispersion of the gaps, see `arrivals`).
        inputs, outputs: [k, QUANTILES] token quantiles (even levels from 0 to 1) of k stretches of time.
        days: with any request.
        swing: standard deviation over mean of the 24 hourly rates; small: never sleeps.
        requests: in the source, over all its days (for the unmodified run).
    """

    name: str
    weights: NDArray[np.float64]
    clump: NDArray[np.float64]
    inputs: NDArray[np.float64]
    outputs: NDArray[np.float64]
    days: int
    swing: float
    requests: float

    @property
    def split(self) -> Split:
        """The half it belongs to."""
        return side("tenant", self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Texts that belong together: a conversation's neighbourhood, an article, a task template, a topic.

    Attributes:
        unit: what the split is decided by (an article is one unit in all its languages).
        source: the data set, or `generated`.
        draw: (generator, count) → that many texts, repeats allowed.
    """

    name: str
    unit: str
    source: str
    kind: TextKind
    language: str
    draw: Callable[[np.random.Generator, int], list[str]]

    @property
    def split(self) -> Split:
        """The half it belongs to."""
        return Split.JUDGE if self.source in JUDGE_ONLY_SOURCES else side("text", self.unit)


def swing_of(weights: NDArray[np.float64]) -> float:
    """Standard deviation over mean of the rates of the 24 hours of a day."""
    hourly = weights.reshape(-1, 24, 6).sum(axis=(0, 2))
    return float(hourly.std() / hourly.mean()) if hourly.any() else 0.0


class Marginals:
    """Everything one half may draw from.

    Args:
        name: `real` or `parametric`, as the results say it.
        tenants, groups: of both halves.
        reuse: quantiles of the share of a request's input that a cache held already, over requests.
        limits: requests per minute that a plan lets through, over what our simulator's plans do.
    """

    def __init__(
        self, name: str, tenants: tuple[Tenant, ...], groups: tuple[Group, ...], reuse: NDArray[np.float64], limits: float = 1.0
    ) -> None:
        self.name = name
        self.tenants = tenants
        self.groups = groups
        self.reuse = reuse
        self.limits = limits
        self._rhythms: dict[tuple[object, ...], list[Tenant]] = {}
        self._texts: dict[tuple[object, ...], list[Group]] = {}
        self._languages: dict[Split, list[str]] = {}

    def rhythms(self, split: Split, *, swing: tuple[float, float] = (0.0, 9.0), days: tuple[int, int] = (5, 14)) -> list[Tenant]:
        """Tenants of a half with a daily swing and a number of active days in these ranges.

        Raises:
            SettingsError: the data has none.
        """
        low, high = swing
        known = self._rhythms.get((split, swing, days))
        if known is not None:
            return known
        found = [t for t in self.tenants if t.split == split and low <= t.swing <= high and days[0] <= t.days <= days[1]]
        if not found:
            raise SettingsError(f"no tenant of the {split} half with daily swing {swing} and {days} active days in the {self.name} data")
        self._rhythms[split, swing, days] = found
        return found

    def texts(self, split: Split, kind: TextKind, language: str | None = None) -> list[Group]:
        """Text groups of a half and kind, of one language when given.

        Raises:
            SettingsError: the data has none.
        """
        known = self._texts.get((split, kind, language))
        if known is not None:
            return known
        found = [g for g in self.groups if g.kind == kind and g.split == split and (language is None or g.language == language)]
        if not found:
            raise SettingsError(f"no {kind} texts of the {split} half in {language or 'any language'} in the {self.name} data")
        self._texts[split, kind, language] = found
        return found

    def languages(self, split: Split) -> list[str]:
        """Languages that people of this half write."""
        found = self._languages.get(split)
        if found is None:
            people = (g for g in self.groups if g.kind == TextKind.PEOPLE and g.split == split and g.language != "code")
            found = self._languages[split] = sorted({g.language for g in people})
        return found


def chars_per_token(language: str) -> float:
    """Characters per model token."""
    return CHARS_PER_TOKEN.get(language, 4.0)
