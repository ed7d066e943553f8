"""The row of one account: all feature state and its open block, fixed size. An all-zero row is an unseen account.

Packing is `row.tobytes()`; the bytes restored are the row. Counts are integers, sums are added in event order, so equal
sequences of events give equal bytes whatever the frame boundaries.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Row: TypeAlias = Any
"""One record of `ROW` inside a kernel: numba knows its fields, mypy cannot."""

SKETCH = 128
LIFE_TEMPLATES = 8
"""Slots of the heavy-hitter sketch over an account's life: any template above 1/9 of its prompts holds one (Misra & Gries, 1982)."""
BUCKETS = 64
"""Hashed counters per block: the share of equal pairs is read from them, less the 1/64 that collide by chance."""
USUAL = (
    "requests_hour", "tokens_hour", "output_length", "output_ratio", "reasoning_share", "cached_share", "choices_share",
    "logprobs_share",
    "tiny_share", "output_length_sd", "prompt_length_sd", "template_mass", "template_repeat", "prefix_repeat", "similarity",
    "shift_fast", "marker_share",
    "task_share", "error_share", "limited_share", "refused_share", "lists_share", "addresses", "keys", "models",
    "new_key_share", "new_address_share", "new_network_share", "new_agent_share", "new_country_share", "new_model_share",
    "model_shift", "switch_rate", "failover_share", "languages", "script_shift", "settings_spread", "suffix_repeat",
    "mean_shift", "recent_shift", "input_length_sd", "new_prefix_share", "new_settings_share",
)  # fmt: skip
"""Block features whose usual value an account keeps, so that an alert can say what was expected of it."""

IDENTITIES = ("key", "address", "network", "agent", "country", "model", "prefix", "settings")
"""What can be new to an account, in the order of its maps of what was seen."""
MIX = 16
"""Buckets of the running mixes: models by hash, scripts by `mixing.script_bucket`."""

SUMS = (
    "input", "output", "reasoning", "cached", "output_log", "output_log2", "length_log", "length_log2", "gap_log", "gap_log2",
    "temperature", "input_log", "input_log2", "near",
)  # fmt: skip
"""What is summed over requests that have it: tokens by kind, ln(1 + output tokens), ln(1 + prompt characters),
ln(1 + pause in ms), temperature, ln(1 + input tokens), cosine to the fast mean."""
COUNTS = (
    "inputs", "outputs", "reasonings", "caches", "prints", "markers", "tasks", "errors", "limited", "refused", "lists",
    "logprobs", "choices", "tiny", "gaps", "generations", "temperatures", "recurring", "nears",
)  # fmt: skip
"""Requests that have a field or a property; the denominators and numerators of every share."""

ROW: np.dtype[np.void] = np.dtype(
    [
        # what is known of the account
        ("requests", "<i8"),
        ("input_tokens", "<i8"),
        ("output_tokens", "<i8"),
        ("first_ms", "<i8"),
        ("last_ms", "<i8"),  # latest event time seen; late events do not move it back
        ("created_ms", "<i8"),  # sign-up time, 0: not told
        ("hour", "<i8"),  # event-hour of last_ms
        ("hours_seen", "<u8"),  # bit i: active in the hour i before `hour`
        ("active_hours", "<i4"),  # distinct event-hours with a request
        ("hour_requests", "<i4"),  # requests in `hour` so far
        ("hour_tokens", "<i8"),
        ("decayed", "<f8", (2, 2)),  # [requests, tokens] × half-lives of a day, a week; as of last_ms
        ("life_sums", "<f8", (len(SUMS),)),
        ("life_counts", "<i8", (len(COUNTS),)),
        ("life_addresses", "<u8", (2,)),  # bitmaps for linear counting (Whang et al., 1990)
        ("life_suffixes", "<u8", (4,)),
        ("life_models", "<u8"),
        ("life_agents", "<u8"),
        ("life_keys", "<u8"),
        ("life_networks", "<u8"),
        ("templates", "<u8", (LIFE_TEMPLATES,)),
        ("template_counts", "<i4", (LIFE_TEMPLATES,)),
        ("fast", "<i2", (SKETCH,)),  # running means of unit sketches, 16384 = 1
        ("slow", "<i2", (SKETCH,)),
        ("mean_day", "<i8"),  # event-day in which the means took `mean_spent`
        ("mean_spent", "<f8", (2,)),  # weight that this day's blocks have already had in fast and slow
        ("usual", "<f4", (len(USUAL),)),
        ("usual_known", "<u8"),  # bit i: usual[i] holds a value
        ("seen_today", "<u8", (len(IDENTITIES),)),  # bitmaps of hashes, by event-day of `hour`
        ("seen_once", "<u8", (len(IDENTITIES),)),  # on an earlier day
        ("seen_twice", "<u8", (len(IDENTITIES),)),  # on two earlier days
        ("seen_days", "u1", (len(IDENTITIES),)),  # earlier days with a value: 0, 1, 2 for two and more; 255: too many values to tell
        ("model_mix", "<u2", (MIX,)),  # running shares, 65535 = 1; all zero: unknown
        ("script_mix", "<u2", (MIX,)),
        ("last_network", "<u8"),  # of the request at last_ms, 0: not told
        ("last_address", "<u8"),
        ("refused_ms", "<i8"),  # the latest answer 403 or 429
        ("refused_key", "<u8"),
        ("refused_address", "<u8"),
        ("fast_length", "<f4"),  # of the fast mean
        ("recent", "<i2", (SKETCH,)),  # running mean of unit sketches over the last 200 prompts or so, 16384 = 1
        ("scatter", "<f4", (2,)),  # squared distance per prompt that block and recent mean have shown from fast and slow
        ("noise", "<f4", (4,)),  # variance of the means fast, slow, recent, and covariance of the last two, in prompts' scatters
        # the open block
        ("block_opened_ms", "<i8"),
        ("block_last_ms", "<i8"),
        ("block_hour", "<i8"),
        ("block_requests", "<i4"),
        ("block_sums", "<f8", (len(SUMS),)),
        ("block_counts", "<i4", (len(COUNTS),)),
        ("block_templates", "u1", (BUCKETS,)),
        ("block_prefixes", "u1", (BUCKETS,)),
        ("block_suffixes", "u1", (BUCKETS,)),
        ("block_models_mix", "u1", (MIX,)),
        ("block_scripts_mix", "u1", (MIX,)),
        ("block_pairs", "u1"),  # requests within a minute of the one before, both with a network or both with an address
        ("block_switches", "u1"),
        ("block_origins", "u1"),  # requests with a key or an address
        ("block_failovers", "u1"),
        ("block_told", "<u8"),  # byte k: requests that have identity k
        ("block_new", "<u8"),  # byte k: those of them whose value was not seen on two earlier days
        ("block_strange", "<f4", (2,)),  # requests from a new origin: sums of cosine to the fast mean, ln(1 + output tokens)
        ("block_strangers", "u1", (2,)),  # how many of each
        ("block_countries", "<u8"),
        ("block_ways", "<u8"),  # marks of the settings told: each by its name, and with its value
        ("block_scripts", "<u8"),  # bit: value of print_script
        ("block_settings", "<u8"),
        ("block_addresses", "<u8"),
        ("block_models", "<u8"),
        ("block_agents", "<u8"),
        ("block_keys", "<u8"),
        ("block_networks", "<u8"),
        ("block_sketch", "<i2", (SKETCH,)),  # sum of unit sketches, 128 = 1: no overflow up to 255 prompts
    ],
    align=True,
)
