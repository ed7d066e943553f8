"""The feature catalogue: what each column of `Blocks.vector` says, in which unit, and what it can accuse of."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.events.alert import Kind

_BULK = (Kind.BULK_EXTRACTION,)
_TASKS = (Kind.SYSTEMATIC_DISTILLATION,)
_TRACES = (Kind.REASONING_ELICITATION,)
_LIMITS = (Kind.LIMIT_EVASION,)
_PROBES = (Kind.PROBING,)
_THEFT = (Kind.CREDENTIAL_THEFT,)
_INTRUDERS = (Kind.CREDENTIAL_THEFT, Kind.RESALE)
_PIVOT = (Kind.MODEL_PIVOT,)
_DRAINS = (Kind.BULK_EXTRACTION, Kind.SYSTEMATIC_DISTILLATION, Kind.REASONING_ELICITATION)
_HOUR, _DAY, _WEEK = 3_600, 86_400, 604_800
_BLOCK = 0
_LIFE = -1
_PROMPT, _ORIGIN, _SIGN_UP = ("prompt",), ("origin",), ("sign_up",)


class Feature(NamedTuple):
    """One column of a block's vector."""

    name: str
    unit: str
    window_s: int
    """Seconds it looks back; 0: the block; −1: the account's life."""
    direction: int
    """+1: high speaks for abuse, −1: low does, 0: neither on its own."""
    family: str
    """Features of one family are one witness."""
    kinds: tuple[Kind, ...]
    meaning: str
    needs: tuple[str, ...] = ()
    """It is missing where requests tell none of a sort: "prompt", "origin" (key, address, network, agent, country), "sign_up"."""


FEATURES: tuple[Feature, ...] = (
    Feature("requests_hour", "ln(1+requests)", _HOUR, 1, "volume", _BULK, "requests in this event-hour so far"),
    Feature("tokens_hour", "ln(1+tokens)", _HOUR, 1, "volume", _BULK, "input and output tokens in this event-hour so far"),
    Feature("requests_day", "ln(1+requests)", _DAY, 1, "volume", _BULK, "requests, decayed with a half-life of a day"),
    Feature("tokens_day", "ln(1+tokens)", _DAY, 1, "volume", _BULK, "tokens, decayed with a half-life of a day"),
    Feature("requests_week", "ln(1+requests)", _WEEK, 1, "volume", _BULK, "requests, decayed with a half-life of a week"),
    Feature("tokens_week", "ln(1+tokens)", _WEEK, 1, "volume", _BULK, "tokens, decayed with a half-life of a week"),
    Feature("block_rate", "ln(requests/h)", _BLOCK, 1, "volume", _BULK, "pace inside the block"),
    Feature("active_day", "hours", _DAY, 1, "rhythm", _BULK, "event-hours with a request among the last 24"),
    Feature("active_64h", "hours", 64 * _HOUR, 1, "rhythm", _BULK, "event-hours with a request among the last 64"),
    Feature("gap_sd", "ln(ms)", _BLOCK, -1, "rhythm", _BULK, "spread of the logarithm of pauses between requests: low is a machine's beat"),
    Feature("output_length", "ln(1+tokens)", _BLOCK, 1, "form", _DRAINS, "mean logarithm of output tokens"),
    Feature("output_length_sd", "ln(tokens)", _BLOCK, -1, "regularity", _DRAINS, "spread of the logarithm of output tokens"),
    Feature("output_ratio", "ln(out/in)", _BLOCK, 1, "form", _DRAINS, "output tokens per input token"),
    Feature("reasoning_share", "share", _BLOCK, 1, "reasoning", _TRACES, "reasoning tokens among output tokens"),
    Feature("cached_share", "share", _BLOCK, -1, "form", _BULK, "cached among input tokens"),
    Feature("choices_share", "share", _BLOCK, 1, "sampling", _TASKS, "requests that ask for several answers"),
    Feature("logprobs_share", "share", _BLOCK, 1, "sampling", _TRACES, "requests that ask for log-probabilities"),
    Feature("tiny_share", "share", _BLOCK, 1, "tiny", _PROBES, "requests for at most one token"),
    Feature("temperature", "temperature", _BLOCK, 0, "sampling", (), "mean temperature asked for"),
    Feature("prompt_length", "ln(1+characters)", _BLOCK, 0, "length", (), "mean logarithm of prompt length", _PROMPT),
    Feature("prompt_length_sd", "ln(characters)", _BLOCK, -1, "regularity", _TASKS, "spread of the logarithm of prompt length", _PROMPT),
    Feature("template_mass", "share", _BLOCK, 1, "template", _TASKS, "prompts of the block's heaviest template", _PROMPT),
    Feature("template_recurrence", "share", _BLOCK, 1, "template", _TASKS, "prompts of a template that was heavy before", _PROMPT),
    Feature("template_repeat", "share", _BLOCK, 1, "template", _TASKS, "pairs of prompts with the same template", _PROMPT),
    Feature("prefix_repeat", "share", _BLOCK, 1, "template", _TASKS, "pairs of prompts with the same beginning", _PROMPT),
    Feature("similarity", "cosine", _BLOCK, 1, "similarity", _TASKS, "mean cosine between prompts of the block", _PROMPT),
    Feature(
        "shift_fast",
        "1-cosine",
        _BLOCK,
        1,
        "shift",
        _DRAINS,
        "mean distance of the prompts from the account's direction of the last days",
        _PROMPT,
    ),
    Feature(
        "shift_slow",
        "1-cosine",
        _BLOCK,
        1,
        "shift",
        _DRAINS,
        "mean distance of the prompts from the account's direction of the last month",
        _PROMPT,
    ),
    Feature("marker_share", "share", _BLOCK, 1, "markers", _TRACES, "prompts that ask for the way of thinking", _PROMPT),
    Feature("task_share", "share", _BLOCK, 1, "tasks", _TASKS, "prompts that ask for training material", _PROMPT),
    Feature("error_share", "share", _BLOCK, 1, "errors", _PROBES, "answers with status 400 and above"),
    Feature("limited_share", "share", _BLOCK, 1, "limits", _LIMITS, "answers with status 429"),
    Feature("refused_share", "share", _BLOCK, 1, "refusals", _PROBES, "answers refused or filtered"),
    Feature("lists_share", "share", _BLOCK, 1, "lists", _PROBES, "requests for the list of models"),
    Feature("addresses", "addresses", _BLOCK, 1, "addresses", _LIMITS, "distinct client addresses", _ORIGIN),
    Feature("networks", "networks", _BLOCK, 1, "addresses", _LIMITS, "distinct autonomous systems", _ORIGIN),
    Feature("agents", "agents", _BLOCK, 1, "agents", _LIMITS, "distinct user agents", _ORIGIN),
    Feature("keys", "keys", _BLOCK, 1, "keys", _LIMITS, "distinct API keys", _ORIGIN),
    Feature("models", "models", _BLOCK, 1, "models", _PROBES, "distinct models"),
    Feature("age_days", "ln(1+days)", _LIFE, 0, "age", (), "account age"),
    Feature("life_pace", "ln(requests/day)", _LIFE, 1, "pace", _DRAINS, "requests per day since sign-up", _SIGN_UP),
    Feature("life_token_pace", "ln(tokens/day)", _LIFE, 1, "pace", _DRAINS, "tokens per day since sign-up", _SIGN_UP),
    Feature("life_template_mass", "share", _LIFE, 1, "template", _TASKS, "prompts of the account's heaviest template", _PROMPT),
    Feature(
        "life_template_top8", "share", _LIFE, 1, "template", (), "prompts held by the eight heaviest templates (an upper bound)", _PROMPT
    ),
    Feature("life_similarity", "cosine", _LIFE, 1, "similarity", _TASKS, "mean cosine between the account's prompts", _PROMPT),
    Feature("life_suffixes", "share", _LIFE, 0, "coverage", (), "distinct endings per prompt, up to 256", _PROMPT),
    Feature("life_prompt_length", "ln(1+characters)", _LIFE, 0, "length", (), "mean logarithm of prompt length", _PROMPT),
    Feature(
        "life_prompt_length_sd", "ln(characters)", _LIFE, -1, "regularity", _TASKS, "spread of the logarithm of prompt length", _PROMPT
    ),
    Feature("life_marker_share", "share", _LIFE, 1, "markers", _TRACES, "prompts that ask for the way of thinking", _PROMPT),
    Feature("life_task_share", "share", _LIFE, 1, "tasks", _TASKS, "prompts that ask for training material", _PROMPT),
    Feature("life_output_length", "ln(1+tokens)", _LIFE, 1, "form", _DRAINS, "mean logarithm of output tokens"),
    Feature("life_output_length_sd", "ln(tokens)", _LIFE, -1, "regularity", _DRAINS, "spread of the logarithm of output tokens"),
    Feature("life_output_ratio", "ln(out/in)", _LIFE, 1, "form", _DRAINS, "output tokens per input token"),
    Feature("life_reasoning_share", "share", _LIFE, 1, "reasoning", _TRACES, "reasoning tokens among output tokens"),
    Feature("life_cached_share", "share", _LIFE, -1, "form", _BULK, "cached among input tokens"),
    Feature("life_choices_share", "share", _LIFE, 1, "sampling", _TASKS, "requests that ask for several answers"),
    Feature("life_logprobs_share", "share", _LIFE, 1, "sampling", _TRACES, "requests that ask for log-probabilities"),
    Feature("life_tiny_share", "share", _LIFE, 1, "tiny", _PROBES, "requests for at most one token"),
    Feature("life_error_share", "share", _LIFE, 1, "errors", _PROBES, "answers with status 400 and above"),
    Feature("life_limited_share", "share", _LIFE, 1, "limits", _LIMITS, "answers with status 429"),
    Feature("life_refused_share", "share", _LIFE, 1, "refusals", _PROBES, "answers refused or filtered"),
    Feature("life_lists_share", "share", _LIFE, 1, "lists", _PROBES, "requests for the list of models"),
    Feature("life_gap_sd", "ln(ms)", _LIFE, -1, "rhythm", _BULK, "spread of the logarithm of pauses between requests"),
    Feature("life_active_share", "share", _LIFE, 1, "rhythm", _BULK, "event-hours with a request since the first one"),
    Feature("life_hourly_requests", "ln(requests/h)", _LIFE, 1, "volume", _BULK, "requests per active hour"),
    Feature("life_hourly_tokens", "ln(tokens/h)", _LIFE, 1, "volume", _BULK, "tokens per active hour"),
    Feature("life_addresses", "addresses", _LIFE, 1, "addresses", _LIMITS, "distinct client addresses", _ORIGIN),
    Feature("life_networks", "networks", _LIFE, 1, "addresses", _LIMITS, "distinct autonomous systems", _ORIGIN),
    Feature("life_agents", "agents", _LIFE, 1, "agents", _LIMITS, "distinct user agents", _ORIGIN),
    Feature("life_keys", "keys", _LIFE, 1, "keys", _LIMITS, "distinct API keys", _ORIGIN),
    Feature("life_models", "models", _LIFE, 1, "models", _PROBES, "distinct models"),
    Feature("new_key_share", "share", _BLOCK, 1, "keys", _THEFT, "requests with an API key not seen on two earlier days", _ORIGIN),
    Feature(
        "new_address_share", "share", _BLOCK, 1, "newcomers", _INTRUDERS, "requests from an address not seen on two earlier days", _ORIGIN
    ),
    Feature(
        "new_network_share", "share", _BLOCK, 1, "newcomers", _INTRUDERS, "requests from a network not seen on two earlier days", _ORIGIN
    ),
    Feature("new_agent_share", "share", _BLOCK, 1, "agents", _INTRUDERS, "requests by a user agent not seen on two earlier days", _ORIGIN),
    Feature(
        "new_country_share", "share", _BLOCK, 1, "newcomers", _INTRUDERS, "requests from a country not seen on two earlier days", _ORIGIN
    ),
    Feature("new_model_share", "share", _BLOCK, 1, "pivot", _PIVOT, "requests for a model not seen on two earlier days"),
    Feature(
        "new_prefix_share", "share", _BLOCK, 1, "purpose", _INTRUDERS, "prompts whose beginning was not seen on two earlier days", _PROMPT
    ),
    Feature("new_settings_share", "share", _BLOCK, 1, "agents", _INTRUDERS, "requests with settings not seen on two earlier days"),
    Feature("model_shift", "distance", _BLOCK, 1, "pivot", _PIVOT, "distance of the mix of models from the usual"),
    Feature("switch_rate", "share", _BLOCK, 1, "switching", _INTRUDERS, "requests within a minute of one from another network", _ORIGIN),
    Feature(
        "failover_share", "share", _BLOCK, 1, "limits", _LIMITS, "requests with another key or address soon after a 403 or 429", _ORIGIN
    ),
    Feature("languages", "languages", _BLOCK, 1, "languages", _INTRUDERS, "distinct scripts and languages of prompts", _PROMPT),
    Feature("script_shift", "distance", _BLOCK, 1, "languages", _INTRUDERS, "distance of the mix of languages from the usual", _PROMPT),
    Feature("settings_spread", "settings", _BLOCK, 1, "sweeps", _PROBES, "distinct combinations of model and settings"),
    Feature("suffix_repeat", "share", _BLOCK, 1, "template", _TASKS, "pairs of prompts with the same ending", _PROMPT),
    Feature("mean_shift", "ln(ratio)", _BLOCK, 1, "shift", _INTRUDERS, "distance of the prompts from the usual over the expected", _PROMPT),
    Feature(
        "recent_shift",
        "ln(ratio)",
        _BLOCK,
        1,
        "shift",
        _INTRUDERS,
        "distance of the last 200 prompts from the usual over the expected",
        _PROMPT,
    ),
    Feature("input_length_sd", "ln(tokens)", _BLOCK, -1, "regularity", _TASKS, "spread of the logarithm of input tokens"),
    Feature("life_input_length_sd", "ln(tokens)", _LIFE, -1, "regularity", _TASKS, "spread of the logarithm of input tokens"),
    Feature(
        "strangers_distance",
        "difference",
        _BLOCK,
        1,
        "newcomers",
        _INTRUDERS,
        "likeness (cosine) to the account's direction of the prompts from known origins, less that of the ones from new origins",
        (*_PROMPT, *_ORIGIN),
    ),
    Feature(
        "strangers_output",
        "ln(ratio)",
        _BLOCK,
        1,
        "newcomers",
        _INTRUDERS,
        "answer lengths of requests from new origins, over those of the others",
        _ORIGIN,
    ),
)
"""Index = column of `Blocks.vector` = the constant of that name in `layout`. Behind them stand the usual values of `row.USUAL`."""

INDEX: dict[str, int] = {feature.name: i for i, feature in enumerate(FEATURES)}
