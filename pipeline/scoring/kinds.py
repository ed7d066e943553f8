"""What each kind of abuse looks like: which families of features speak for it, and its share of the alert budget."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.detectors.models import Channel
from pipeline.events.alert import Kind


class Signature(NamedTuple):
    """A kind's families. It is named only when at least two of them agree."""

    kind: Kind
    share: float
    """Of the alert budget; the shares of all kinds sum to 1."""
    change: tuple[tuple[str, Channel], ...]
    """Families that CHANGE against the own past."""
    level: tuple[tuple[str, tuple[str, ...]], ...]
    """Families that stand out from the population, each with its life-long features."""


SIGNATURES: tuple[Signature, ...] = (
    Signature(
        Kind.BULK_EXTRACTION, 0.25,
        (("volume", Channel.VOLUME), ("shift", Channel.SHIFT), ("form", Channel.FORM)),
        (("volume", ("life_hourly_tokens", "life_hourly_requests")), ("rhythm", ("life_active_share", "life_gap_sd")), ("form", ("life_output_length", "life_output_ratio"))),
    ),
    Signature(
        Kind.SYSTEMATIC_DISTILLATION, 0.25,
        (("structure", Channel.STRUCTURE), ("shift", Channel.SHIFT), ("volume", Channel.VOLUME)),
        (("template", ("life_template_mass",)), ("similarity", ("life_similarity",)), ("length", ("life_prompt_length_sd",)), ("volume", ("life_hourly_requests",))),
    ),
    Signature(
        Kind.REASONING_ELICITATION, 0.25,
        (("form", Channel.FORM), ("shift", Channel.SHIFT), ("volume", Channel.VOLUME)),
        (("markers", ("life_marker_share",)), ("reasoning", ("life_reasoning_share",)), ("form", ("life_output_ratio", "life_output_length")), ("sampling", ("life_logprobs_share",))),
    ),
    Signature(Kind.LIMIT_EVASION, 0.125, (), (("limits", ("life_limited_share",)), ("keys", ("life_keys",)), ("addresses", ("life_addresses",)), ("agents", ("life_agents",)))),
    Signature(Kind.PROBING, 0.125, (), (("refusals", ("life_refused_share",)), ("errors", ("life_error_share",)), ("tiny", ("life_tiny_share",)), ("lists", ("life_lists_share",)), ("models", ("life_models",)))),
)  # fmt: skip
KINDS: tuple[Kind, ...] = tuple(s.kind for s in SIGNATURES)
