"""The kinds that a single account can show, and which families of features speak for each."""

from __future__ import annotations

from pipeline.events.alert import Kind
from pipeline.features.catalogue import FEATURES

KINDS: tuple[Kind, ...] = (
    Kind.REASONING_ELICITATION,
    Kind.LIMIT_EVASION,
    Kind.PROBING,
    Kind.SYSTEMATIC_DISTILLATION,
    Kind.BULK_EXTRACTION,
    Kind.MODEL_PIVOT,
    Kind.CREDENTIAL_THEFT,
    Kind.RESALE,
)
"""Packed by index: append only."""
INDEX: dict[Kind, int] = {kind: i for i, kind in enumerate(KINDS)}
FAMILY_OF: tuple[str, ...] = tuple(feature.family for feature in FEATURES)
"""Family of each feature: features of one family are one witness."""
