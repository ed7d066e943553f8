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
)  # fmt: skip
"""Block features whose usual value an account keeps, so that an alert can say what was expected of it."""

SUMS = (
    "input", "output", "reasoning", "cached", "output_log", "output_log2", "length_log", "length_log2", "gap_log", "gap_log2",
    "temperature",
)  # fmt: skip
"""What is summed over requests that have it: tokens by kind, ln(1 + output tokens), ln(1 + prompt characters),
ln(1 + pause in ms), temperature."""
COUNTS = (
    "inputs", "outputs", "reasonings", "caches", "prints", "markers", "tasks", "errors", "limited", "refused", "lists",
    "logprobs", "choices", "tiny", "gaps", "generations", "temperatures", "recurring",
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
        ("usual_known", "<u4"),  # bit i: usual[i] holds a value
        # the open block
        ("block_opened_ms", "<i8"),
        ("block_last_ms", "<i8"),
        ("block_hour", "<i8"),
        ("block_requests", "<i4"),
        ("block_sums", "<f8", (len(SUMS),)),
        ("block_counts", "<i4", (len(COUNTS),)),
        ("block_templates", "u1", (BUCKETS,)),
        ("block_prefixes", "u1", (BUCKETS,)),
        ("block_addresses", "<u8"),
        ("block_models", "<u8"),
        ("block_agents", "<u8"),
        ("block_keys", "<u8"),
        ("block_networks", "<u8"),
        ("block_sketch", "<i2", (SKETCH,)),  # sum of unit sketches, 128 = 1: no overflow up to 255 prompts
    ],
    align=True,
)
