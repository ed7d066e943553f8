"""LEVEL: an account's cumulated statistics beside those of comparable accounts at the same number of requests.

One look per doubling: 50, 100, 200, … requests. Each account is one exchangeable unit of a look's histogram.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from pipeline.features.catalogue import INDEX
from pipeline.scoring.calibration import Grid
from pipeline.scoring.channels import Part

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_LOOK = 50
LOOKS = 8
"""Looks at 50, 100, … 6,400 requests; later ones would compare with too few accounts."""


class Level(IntEnum):
    """What is compared."""

    PACE = 0
    VOLUME = 1
    FORM = 2
    STRUCTURE = 3
    ELICITATION = 4
    LIMITS = 5
    FRICTION = 6
    IDENTITIES = 7


LEVELS = tuple(Level)
# Weights bring parts to one scale: about one over the spread between accounts.
PARTS: dict[Level, tuple[Part, ...]] = {
    Level.PACE: (Part("life_pace", 1.0),),
    Level.VOLUME: (Part("life_hourly_tokens", 1.0),),
    Level.FORM: (Part("life_output_length", 1.5), Part("life_output_ratio", 1.0), Part("life_cached_share", -4.0)),
    Level.STRUCTURE: (
        Part("life_template_top8", 2.5),
        Part("life_task_share", 2.5),
        Part("life_prompt_length_sd", -2.5),
        Part("life_choices_share", 2.5),
    ),
    Level.ELICITATION: (Part("life_marker_share", 1.0),),
    Level.LIMITS: (Part("life_limited_share", 1.0),),
    Level.FRICTION: (
        Part("life_error_share", 1.0), Part("life_limited_share", -1.0), Part("life_refused_share", 2.0), Part("life_tiny_share", 1.0),
        Part("life_lists_share", 4.0),
    ),
    Level.IDENTITIES: (Part("life_addresses", 0.1), Part("life_keys", 0.3), Part("life_agents", 0.3)),
}  # fmt: skip
GRIDS: dict[Level, Grid] = {
    Level.PACE: Grid(-2.0, 14.0),
    Level.VOLUME: Grid(4.0, 20.0),
    Level.FORM: Grid(-6.0, 18.0),
    Level.STRUCTURE: Grid(-6.0, 8.0),
    Level.ELICITATION: Grid(0.0, 1.024),
    Level.LIMITS: Grid(0.0, 0.64),
    Level.FRICTION: Grid(0.0, 1.92),
    Level.IDENTITIES: Grid(0.0, 12.8),
}
FLOORS: dict[Level, float] = {
    Level.PACE: 6.0,  # about 400 requests a day since sign-up
    Level.VOLUME: -np.inf,
    Level.FORM: -np.inf,
    Level.STRUCTURE: -np.inf,
    Level.ELICITATION: 0.15,
    Level.LIMITS: 0.03,
    Level.FRICTION: 0.45,
    Level.IDENTITIES: -np.inf,
}
"""Effect size beside significance: below this a level does not speak, however rare it is."""
_CUTS = np.array([FIRST_LOOK << look for look in range(LOOKS)])


def looks_at(requests: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many looks an account of so many requests has behind it."""
    return np.searchsorted(_CUTS, requests, side="right")


def level_values(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors [m, width] → statistics [m, levels]; NaN where the first part is absent, other absent parts count as 0."""
    values = np.full((len(vector), len(LEVELS)), np.nan)
    for level in LEVELS:
        first, *others = PARTS[level]
        total = vector[:, INDEX[first.feature]] * first.weight
        for part in others:
            column = vector[:, INDEX[part.feature]]
            total = total + np.where(np.isnan(column), 0.0, column) * part.weight
        values[:, level] = total
    return values
