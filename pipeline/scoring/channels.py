"""From a block's vector to one number per channel, and which fields it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.detectors.models import CHANNELS, Channel
from pipeline.features.catalogue import INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Part(NamedTuple):
    """A feature's part in a channel: it moves the channel by `weight` per unit; `root`: of its square root."""

    feature: str
    weight: float
    root: bool = False


# Weights are one over the feature's usual deviation within an account (lab.prior prints them), so parts count alike.
PARTS: dict[Channel, tuple[Part, ...]] = {
    Channel.VOLUME: (Part("tokens_hour", 1.0), Part("requests_hour", 1.5)),
    Channel.STRUCTURE: (
        Part("template_repeat", 8.0, root=True),
        Part("prefix_repeat", 8.0, root=True),
        Part("task_share", 10.0),
        Part("similarity", 10.0),
    ),
    Channel.SHIFT: (Part("shift_fast", 20.0),),
    Channel.FORM: (Part("output_length", 4.0), Part("output_ratio", 2.0)),
    Channel.REGULARITY: (Part("output_length_sd", -7.0), Part("prompt_length_sd", -5.0)),
    Channel.REUSE: (Part("cached_share", -7.0),),  # upwards: less is read from the provider's cache
    Channel.ELICITATION: (Part("marker_share", 10.0), Part("logprobs_share", 5.0)),
    Channel.FRICTION: (Part("error_share", 15.0), Part("refused_share", 30.0), Part("tiny_share", 15.0), Part("lists_share", 40.0)),
}
FLOORS: dict[Channel, float] = {
    Channel.ELICITATION: 0.75,  # 15 % of prompts with markers
    Channel.FRICTION: 0.4,  # 10 % errors, or 5 % refusals
}
"""Effect size beside significance: a channel's value below this accuses of nothing, however unusual it is."""
_COLUMNS = np.array([INDEX[part.feature] for channel in CHANNELS for part in PARTS[channel]])
_ROOTS = np.array([part.root for channel in CHANNELS for part in PARTS[channel]])
_WEIGHTS = np.array([part.weight for channel in CHANNELS for part in PARTS[channel]])
_OF = np.array([channel for channel in CHANNELS for _ in PARTS[channel]])
_BITS = (1 << np.arange(len(_COLUMNS))).astype(np.int64)
SHAPE_OF: tuple[int, ...] = tuple(int(_BITS[channel == _OF].sum()) for channel in CHANNELS)
"""For each channel the bits of its parts in a shape."""
MIN_REQUESTS = 5
"""Smaller blocks (what a day left behind) say nothing about channels."""


def channel_values(vector: NDArray[np.float64], requests: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vectors [m, width] → values [m, channels] before standardisation, NaN where no part is present, and shapes [m].

    A shape has a bit per part that is present: a value is comparable only with values of the same shape.
    """
    raw = vector[:, _COLUMNS]
    raw = np.where(_ROOTS, np.sqrt(np.maximum(raw, 0.0)), raw)
    present = ~np.isnan(raw)
    weighed = np.where(present, raw, 0.0) * _WEIGHTS
    values = np.full((len(vector), len(CHANNELS)), np.nan)
    for channel in CHANNELS:
        mine = channel == _OF
        count = present[:, mine].sum(axis=1)
        total = np.zeros(len(vector))
        for j in np.flatnonzero(mine):  # a fixed order of addition, whatever the number of rows
            total = total + weighed[:, j]
        enough = (count > 0) & (requests >= MIN_REQUESTS)
        values[enough, channel] = total[enough] / count[enough]
    return values, present @ _BITS
