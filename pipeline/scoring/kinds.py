"""What each kind of abuse looks like: the family that names it and those that must agree, and its share of the budget.

A score of a kind is the smaller of two families' scores (CHANGE) or their joint weight when both are high (LEVEL): no family
accuses alone. Kinds that are more specific come first: of several that fire together, the first names the episode.
"""

from __future__ import annotations

from typing import NamedTuple

from pipeline.detectors.models import Channel
from pipeline.events.alert import Kind
from pipeline.scoring.levels import Level


class Signature(NamedTuple):
    """One kind."""

    kind: Kind
    share: float
    """Of the alert budget; the shares of all kinds sum to 1."""
    channel: Channel
    """The channel that names it, upwards."""
    with_channels: tuple[Channel, ...]
    """Channels of which one must agree."""
    about_limits: bool
    """Of blocks with friction, those whose errors are mostly rate limits (else: mostly not)."""
    level: Level
    with_levels: tuple[Level, ...]


SIGNATURES: tuple[Signature, ...] = (
    Signature(
        Kind.REASONING_ELICITATION, 0.2,
        Channel.ELICITATION, (Channel.FORM, Channel.SHIFT, Channel.REGULARITY, Channel.REUSE, Channel.VOLUME), False,
        Level.ELICITATION, (Level.PACE, Level.VOLUME),
    ),
    Signature(
        Kind.LIMIT_EVASION, 0.2,
        Channel.FRICTION, (Channel.FORM, Channel.SHIFT, Channel.REGULARITY, Channel.REUSE, Channel.VOLUME), True,
        Level.LIMITS, (Level.PACE, Level.VOLUME, Level.IDENTITIES),
    ),
    Signature(
        Kind.PROBING, 0.2,
        Channel.FRICTION, (Channel.FORM, Channel.SHIFT, Channel.STRUCTURE, Channel.REGULARITY, Channel.REUSE, Channel.VOLUME), False,
        Level.FRICTION, (Level.PACE, Level.VOLUME),
    ),
    Signature(
        Kind.SYSTEMATIC_DISTILLATION, 0.2,
        Channel.STRUCTURE, (Channel.FORM, Channel.SHIFT, Channel.REGULARITY, Channel.REUSE, Channel.VOLUME), False,
        Level.STRUCTURE, (Level.PACE,),
    ),
    Signature(
        Kind.BULK_EXTRACTION, 0.2,
        Channel.FORM, (Channel.SHIFT, Channel.REGULARITY, Channel.REUSE, Channel.STRUCTURE, Channel.VOLUME), False,
        Level.FORM, (Level.PACE,),
    ),
)  # fmt: skip
KINDS: tuple[Kind, ...] = tuple(s.kind for s in SIGNATURES)
INDEX: dict[Kind, int] = {kind: i for i, kind in enumerate(KINDS)}
