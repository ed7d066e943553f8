"""Every feature in an analyst's words: what it is, and its values in units that people use."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from pipeline.features.catalogue import FEATURES, INDEX

Scale = Literal["amount", "rate", "percent", "times", "number", "days"]
"""How a value is said: `amount` is ln(1 + x), `rate` ln(x), `times` a spread of logarithms as a factor, `days` ln(1 + days)."""
_LARGEST_LOG = 60.0


class Words(NamedTuple):
    """What a feature is called, and how its values are said."""

    noun: str
    scale: Scale


PHRASES: dict[str, Words] = {
    "requests_hour": Words("requests in one hour", "amount"),
    "tokens_hour": Words("tokens in one hour", "amount"),
    "requests_day": Words("requests of about a day", "amount"),
    "tokens_day": Words("tokens of about a day", "amount"),
    "requests_week": Words("requests of about a week", "amount"),
    "tokens_week": Words("tokens of about a week", "amount"),
    "block_rate": Words("requests per hour while it is at it", "rate"),
    "active_day": Words("hours with traffic in the last 24", "number"),
    "active_64h": Words("hours with traffic in the last 64", "number"),
    "gap_sd": Words("unevenness of the pauses between requests", "times"),
    "output_length": Words("tokens in a typical answer", "amount"),
    "output_length_sd": Words("unevenness of answer lengths", "times"),
    "output_ratio": Words("tokens received per token sent", "rate"),
    "reasoning_share": Words("part of the answers that is the model's thinking", "percent"),
    "cached_share": Words("part of the input that was sent before and comes from the cache", "percent"),
    "choices_share": Words("requests that want several answers at once", "percent"),
    "logprobs_share": Words("requests for log-probabilities", "percent"),
    "tiny_share": Words("requests for one token at most", "percent"),
    "temperature": Words("temperature asked for", "number"),
    "prompt_length": Words("characters in a typical prompt", "amount"),
    "prompt_length_sd": Words("unevenness of prompt lengths", "times"),
    "template_mass": Words("prompts from one and the same template", "percent"),
    "template_recurrence": Words("prompts from templates that it has long used", "percent"),
    "template_repeat": Words("pairs of prompts from the same template", "percent"),
    "prefix_repeat": Words("pairs of prompts that begin alike", "percent"),
    "similarity": Words("likeness of its prompts to each other", "percent"),
    "shift_fast": Words("distance of its prompts from those of the last days", "percent"),
    "shift_slow": Words("distance of its prompts from those of the last month", "percent"),
    "marker_share": Words("prompts that demand the model's way of thinking", "percent"),
    "task_share": Words("prompts that ask for training material", "percent"),
    "error_share": Words("requests that failed", "percent"),
    "limited_share": Words("requests above the rate limit", "percent"),
    "refused_share": Words("requests that the model refused", "percent"),
    "lists_share": Words("requests for the list of models", "percent"),
    "addresses": Words("addresses it comes from", "number"),
    "networks": Words("networks it comes from", "number"),
    "agents": Words("client programs it uses", "number"),
    "keys": Words("API keys it uses", "number"),
    "models": Words("models it uses", "number"),
    "age_days": Words("days since it signed up", "days"),
    "life_pace": Words("requests per day since it signed up", "rate"),
    "life_token_pace": Words("tokens per day since it signed up", "rate"),
    "life_template_mass": Words("prompts from its most used template, ever", "percent"),
    "life_template_top8": Words("prompts from its eight most used templates, ever", "percent"),
    "life_similarity": Words("likeness of all its prompts to each other", "percent"),
    "life_suffixes": Words("different endings per prompt, ever", "number"),
    "life_prompt_length": Words("characters in a typical prompt, ever", "amount"),
    "life_prompt_length_sd": Words("unevenness of all its prompt lengths", "times"),
    "life_marker_share": Words("prompts that demand the model's way of thinking, ever", "percent"),
    "life_task_share": Words("prompts that ask for training material, ever", "percent"),
    "life_output_length": Words("tokens in a typical answer, ever", "amount"),
    "life_output_length_sd": Words("unevenness of all its answer lengths", "times"),
    "life_output_ratio": Words("tokens received per token sent, ever", "rate"),
    "life_reasoning_share": Words("part of all answers that is the model's thinking", "percent"),
    "life_cached_share": Words("part of all input that comes from the cache", "percent"),
    "life_choices_share": Words("requests that want several answers at once, ever", "percent"),
    "life_logprobs_share": Words("requests for log-probabilities, ever", "percent"),
    "life_tiny_share": Words("requests for one token at most, ever", "percent"),
    "life_error_share": Words("requests that failed, ever", "percent"),
    "life_limited_share": Words("requests above the rate limit, ever", "percent"),
    "life_refused_share": Words("requests that the model refused, ever", "percent"),
    "life_lists_share": Words("requests for the list of models, ever", "percent"),
    "life_gap_sd": Words("unevenness of all pauses between its requests", "times"),
    "life_active_share": Words("hours with traffic since it was first seen", "percent"),
    "life_hourly_requests": Words("requests in an hour in which it is active", "rate"),
    "life_hourly_tokens": Words("tokens in an hour in which it is active", "rate"),
    "life_addresses": Words("addresses it ever came from", "number"),
    "life_networks": Words("networks it ever came from", "number"),
    "life_agents": Words("client programs it ever used", "number"),
    "life_keys": Words("API keys it ever used", "number"),
    "life_models": Words("models it ever used", "number"),
    "new_key_share": Words("requests with an API key that is new to it", "percent"),
    "new_address_share": Words("requests from addresses that are new to it", "percent"),
    "new_network_share": Words("requests from networks that are new to it", "percent"),
    "new_agent_share": Words("requests by client programs that are new to it", "percent"),
    "new_country_share": Words("requests from countries that are new to it", "percent"),
    "new_model_share": Words("requests for models that are new to it", "percent"),
    "new_prefix_share": Words("prompts with a beginning that is new to it", "percent"),
    "new_settings_share": Words("requests with settings that are new to it", "percent"),
    "model_shift": Words("change of the models it uses (0 none, 1 all)", "number"),
    "switch_rate": Words("requests within a minute of one from another network", "percent"),
    "failover_share": Words("requests that go on with another key or address once refused", "percent"),
    "languages": Words("languages and scripts of its prompts", "number"),
    "script_shift": Words("change of the languages it uses (0 none, 1 all)", "number"),
    "settings_spread": Words("different combinations of model and settings", "number"),
    "suffix_repeat": Words("pairs of prompts that end alike", "percent"),
    "mean_shift": Words("drift of its subjects, as a multiple of what chance gives", "rate"),
    "recent_shift": Words("drift of its last 200 subjects, as a multiple of what chance gives", "rate"),
    "input_length_sd": Words("unevenness of request lengths", "times"),
    "strangers_distance": Words("how much farther from its usual subjects requests from new places are", "number"),
    "strangers_output": Words("answers to requests from new places, as a multiple of the others", "rate"),
    "life_input_length_sd": Words("unevenness of all its request lengths", "times"),
}
"""By feature name; a test holds it complete."""


def say(feature: str, value: float) -> str:
    """A feature's value in the unit of its phrase, as the catalogue stores it → '1,840', '62 %', '× 1.4'."""
    scale = PHRASES[feature].scale
    if scale == "percent":
        return f"{100.0 * min(max(value, 0.0), 1.0):.0f} %"
    if scale in ("amount", "days"):
        value = math.expm1(min(value, _LARGEST_LOG))
    elif scale in ("rate", "times"):
        value = math.exp(min(value, _LARGEST_LOG))
    text = f"{max(value, 0.0):,.0f}" if value >= 10.0 else f"{max(value, 0.0):.2g}"
    return f"× {text}" if scale == "times" else text


def sentence(feature: str, observed: float, low: float, high: float, baseline: str) -> str:
    """What was seen and what was expected, as one line."""
    noun = PHRASES[feature].noun if feature in PHRASES else FEATURES[INDEX[feature]].meaning
    if feature not in PHRASES:
        return f"{noun}: {observed:.3g}, usual for {_WHOSE[baseline]}: {low:.3g} to {high:.3g}"
    least, most = say(feature, low), say(feature, high)
    usual = least if least == most else f"{least} to {most}"
    return f"{noun}: {say(feature, observed)}, usual for {_WHOSE[baseline]}: {usual}"


_WHOSE = {"own": "this account", "cohort": "accounts like it", "population": "accounts in general"}
