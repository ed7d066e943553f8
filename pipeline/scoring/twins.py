"""The benign twins of each kind: harmless work that looks alike, and what tells it from abuse.

A twin is quiet because of what it lacks; an alert therefore names the two nearest and what contradicts them. The checks are rules
of thumb over one block's vector: they help a person to decide, the detector does not use them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pipeline.events.alert import Alternative, Kind
from pipeline.features.catalogue import INDEX
from pipeline.scoring.words import say

if TYPE_CHECKING:
    from collections.abc import Sequence

NEAREST = 2


class Check(NamedTuple):
    """One thing to look at. `{}` in the texts stands for the observed value, in words."""

    feature: str
    low: float
    high: float
    fits: str
    contradicts: str


class Twin(NamedTuple):
    """One harmless explanation; `name` is also its archetype in `stillwatch evaluate` where there is one."""

    name: str
    title: str
    kinds: tuple[Kind, ...]
    checks: tuple[Check, ...]
    question: str


def _least(feature: str, low: float, fits: str, contradicts: str) -> Check:
    return Check(feature, low, math.inf, fits, contradicts)


def _most(feature: str, high: float, fits: str, contradicts: str) -> Check:
    return Check(feature, -math.inf, high, fits, contradicts)


_AGED = _least("age_days", math.log1p(30.0), "it signed up {} days ago", "it signed up only {} days ago")
_FAMILIAR = _most(
    "shift_slow", 0.45, "it asks about what it always asked about", "its questions are not those it used to ask ({} away from them)"
)
_SHORT = _most("output_length", math.log1p(300.0), "answers are short ({} tokens)", "answers are long: {} tokens each")
_FEW_KEYS = _most("keys", 1.6, "one API key does it all", "several API keys take part ({})")
_FEW_ADDRESSES = _most("addresses", 2.5, "it comes from few addresses ({})", "it comes from many addresses ({})")
_UNLIMITED = _most("limited_share", 0.05, "it stays within its rate limit", "{} of its requests were above the rate limit")
_ENDS = _most("active_day", 12.0, "it ran in {} of the last 24 hours", "it ran in {} of the last 24 hours, so it does not end")
_CACHED = _least(
    "cached_share", 0.2, "{} of the input is a shared beginning, as products have", "only {} of the input is a shared beginning"
)
_OWN_TEMPLATES = _least(
    "template_recurrence",
    0.7,
    "{} of the prompts use templates that it has long used",
    "only {} of the prompts use templates it used before",
)

TWINS: tuple[Twin, ...] = (
    Twin(
        "nightly_evaluation",
        "an evaluation suite that runs at night",
        (Kind.SYSTEMATIC_DISTILLATION, Kind.BULK_EXTRACTION),
        (_OWN_TEMPLATES, _SHORT, _AGED, _ENDS),
        "Do you run an evaluation suite at these times, and are these prompts its test set?",
    ),
    Twin(
        "in_house_synthetic",
        "a team that makes training data for its own product",
        (Kind.SYSTEMATIC_DISTILLATION,),
        (
            _least(
                "task_share", 0.3, "{} of the prompts ask for training material, openly", "only {} of the prompts ask for training material"
            ),
            _AGED,
            _FEW_KEYS,
            _FAMILIAR,
            _UNLIMITED,
        ),
        "Which product are these examples for, and does your contract allow training on the answers?",
    ),
    Twin(
        "one_topic_product",
        "a product about one subject",
        (Kind.SYSTEMATIC_DISTILLATION, Kind.BULK_EXTRACTION),
        (
            _FAMILIAR,
            _CACHED,
            _least("prompt_length_sd", 0.35, "prompts are of many lengths, as people write", "prompts are all of about the same length"),
            _OWN_TEMPLATES,
        ),
        "What do your users ask here, and can you show us the screen on which they do?",
    ),
    Twin(
        "tireless_batch",
        "a batch job that never sleeps",
        (Kind.BULK_EXTRACTION,),
        (
            _least("active_day", 18.0, "it ran in {} of the last 24 hours", "it ran in only {} of the last 24 hours"),
            _FAMILIAR,
            _CACHED,
            _OWN_TEMPLATES,
            _AGED,
        ),
        "Which job is this, where do its inputs come from, and when will it be through them?",
    ),
    Twin(
        "embedding_backfill",
        "a backfill of embeddings or classifications",
        (Kind.BULK_EXTRACTION,),
        (
            _most("output_ratio", -1.5, "little comes back: {} tokens per token sent", "much comes back: {} tokens per token sent"),
            _SHORT,
            _ENDS,
        ),
        "Which collection are you going through, and how many items are left?",
    ),
    Twin(
        "growing_customer",
        "a customer whose own use grows",
        (Kind.BULK_EXTRACTION, Kind.LIMIT_EVASION),
        (
            _FAMILIAR,
            _least("gap_sd", 1.0, "requests come as people send them", "requests come with the beat of a machine"),
            _CACHED,
            _AGED,
            _OWN_TEMPLATES,
        ),
        "What started on your side that day (a launch, a new customer), and how many users does it have?",
    ),
    Twin(
        "audit_explainer",
        "an application that must explain its answers",
        (Kind.REASONING_ELICITATION,),
        (
            _least(
                "marker_share",
                0.8,
                "nearly all prompts ({}) demand it, as if built in",
                "only {} of the prompts demand it: nothing built in",
            ),
            _FAMILIAR,
            _CACHED,
            _OWN_TEMPLATES,
            _most("logprobs_share", 0.0, "it wants no log-probabilities", "{} of its requests want log-probabilities"),
        ),
        "Who reads these explanations, and where in your product or audit are they kept?",
    ),
    Twin(
        "homework_class",
        "a class or course working through exercises",
        (Kind.REASONING_ELICITATION, Kind.SYSTEMATIC_DISTILLATION, Kind.CAMPAIGN),
        (
            _least("addresses", 4.0, "it comes from many addresses ({})", "it comes from few addresses ({})"),
            _ENDS,
            _least("gap_sd", 1.0, "requests come as people send them", "requests come with the beat of a machine"),
            _most(
                "block_rate",
                math.log(200.0),
                "the pace is that of people ({} requests per hour)",
                "{} requests per hour are more than a class types",
            ),
        ),
        "Which course is this, and how many people take it?",
    ),
    Twin(
        "limited_client",
        "a client with a bad retry loop",
        (Kind.LIMIT_EVASION,),
        (
            _FEW_KEYS,
            _FEW_ADDRESSES,
            _FAMILIAR,
            _most("agents", 1.6, "one client program does it all", "several client programs take part ({})"),
            _AGED,
        ),
        "Does your client wait after a 429, and would a higher limit end this?",
    ),
    Twin(
        "failover_client",
        "a client that falls over to us from another provider",
        (Kind.LIMIT_EVASION, Kind.MODEL_PIVOT),
        (
            _FEW_KEYS,
            _ENDS,
            _FAMILIAR,
            _least("similarity", 0.2, "its prompts are alike, as one product's are", "its prompts have little in common"),
        ),
        "Was another provider of yours down at this time?",
    ),
    Twin(
        "rotating_keys",
        "a team that rotates its keys",
        (Kind.LIMIT_EVASION, Kind.CREDENTIAL_THEFT),
        (_UNLIMITED, _FAMILIAR, _FEW_ADDRESSES, _AGED),
        "Did you rotate or hand out keys on this day?",
    ),
    Twin(
        "safety_tester",
        "a red team testing its own product",
        (Kind.PROBING,),
        (
            _least("refused_share", 0.1, "{} of the requests were refused, which is what it tests", "only {} of the requests were refused"),
            _most("lists_share", 0.0, "it does not look through the list of models", "{} of its requests look through the list of models"),
            _most("models", 2.5, "it stays with few models ({})", "it tries many models ({})"),
            _AGED,
        ),
        "Is there an agreed test, who runs it, and until when?",
    ),
    Twin(
        "release_benchmark",
        "a benchmark of newly released models",
        (Kind.PROBING, Kind.MODEL_PIVOT, Kind.SYSTEMATIC_DISTILLATION),
        (
            _least("models", 2.5, "it compares many models ({})", "it uses few models ({})"),
            _SHORT,
            _ENDS,
            _most("refused_share", 0.05, "hardly anything was refused", "{} of the requests were refused"),
        ),
        "Which models are you comparing, and is the benchmark public?",
    ),
    Twin(
        "broken_integration",
        "an integration that sends wrong requests",
        (Kind.PROBING,),
        (
            _most("refused_share", 0.02, "the model refused hardly anything", "the model refused {} of the requests"),
            _FEW_KEYS,
            _most("tiny_share", 0.02, "it asks for whole answers", "{} of its requests ask for one token at most"),
            _OWN_TEMPLATES,
            _FAMILIAR,
        ),
        "Did you release something that day, and do these errors show in your own log?",
    ),
    Twin(
        "migrating_customer",
        "a customer that moves to another model",
        (Kind.MODEL_PIVOT,),
        (_FAMILIAR, _AGED, _OWN_TEMPLATES, _FEW_KEYS),
        "Did you decide to change models, and is this the same product as before?",
    ),
    Twin(
        "travelling_owner",
        "an owner who travels or works from another place",
        (Kind.CREDENTIAL_THEFT,),
        (
            _FAMILIAR,
            _most("networks", 2.5, "it comes from few networks ({})", "it comes from many networks ({})"),
            _FEW_KEYS,
            _OWN_TEMPLATES,
        ),
        "Where were you at this time, and was it you?",
    ),
    Twin(
        "ci_agent",
        "build agents on short-lived addresses",
        (Kind.CREDENTIAL_THEFT, Kind.LIMIT_EVASION),
        (
            _least("addresses", 4.0, "it comes from many addresses ({}), as build agents do", "it comes from few addresses ({})"),
            _most("agents", 1.6, "one client program does it all", "several client programs take part ({})"),
            _FAMILIAR,
            _OWN_TEMPLATES,
        ),
        "Which build system uses this key, and on which provider does it run?",
    ),
    Twin(
        "team_key",
        "one key shared by a team",
        (Kind.RESALE, Kind.CREDENTIAL_THEFT),
        (_FEW_KEYS, _least("agents", 1.6, "several client programs ({}), as a team has", "few client programs ({})"), _ENDS, _FAMILIAR),
        "How many people use this key, and do they all work for you?",
    ),
    Twin(
        "platform_aggregator",
        "a platform with many customers of its own",
        (Kind.RESALE, Kind.CAMPAIGN),
        (
            _AGED,
            _CACHED,
            _FAMILIAR,
            _most("agents", 2.5, "few client programs ({}), its own", "many client programs ({}), as strangers have"),
        ),
        "Whose requests are these, and is reselling part of your contract?",
    ),
)

BY_KIND: dict[Kind, tuple[Twin, ...]] = {kind: tuple(twin for twin in TWINS if kind in twin.kinds) for kind in Kind}


def alternatives(kind: Kind, vector: Sequence[float]) -> list[Alternative]:
    """The two nearest twins of a kind: those for which most more fits than contradicts.

    What the events did not tell (a NaN) speaks neither way.
    """
    found: list[tuple[int, Alternative]] = []
    for twin in BY_KIND[kind]:
        fits: list[str] = []
        contradicts: list[str] = []
        for check in twin.checks:
            value = vector[INDEX[check.feature]]
            if math.isnan(value):
                continue
            holds = check.low <= value <= check.high
            text = (check.fits if holds else check.contradicts).replace("{}", say(check.feature, value))
            (fits if holds else contradicts).append(text)
        found.append((len(fits) - len(contradicts), Alternative(twin.name, twin.title, fits, contradicts, twin.question)))
    found.sort(key=lambda pair: -pair[0])  # stable: the catalogue's order decides between equals
    return [alternative for _, alternative in found[:NEAREST]]
