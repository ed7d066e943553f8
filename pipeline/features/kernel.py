"""One event at a time into an account's row; a vector when a block closes. O(1) per event, no allocation.

A block is `block_requests` requests, or what an event-hour left behind if that is at least 5 requests, or what an event-day
left. Nothing depends on where a batch starts or ends: the rows after events 1…n are the same however 1…n was cut.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.hashing import hash_text
from pipeline.base.jit import inline, kernel
from pipeline.intake.markers import REASONING, Marker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.events.frame import Columns

# Indices live in this file because numba freezes them into compiled code and its cache watches this file only.
# Tests hold them equal to `row.SUMS`, `row.COUNTS` and `catalogue.FEATURES`.
(
    S_INPUT, S_OUTPUT, S_REASONING, S_CACHED, S_OUTPUT_LOG, S_OUTPUT_LOG2, S_LENGTH_LOG, S_LENGTH_LOG2, S_GAP_LOG, S_GAP_LOG2, S_TEMPERATURE,
) = range(11)  # fmt: skip
(
    C_INPUTS, C_OUTPUTS, C_REASONINGS, C_CACHES, C_PRINTS, C_MARKERS, C_TASKS, C_ERRORS, C_LIMITED, C_REFUSED, C_LISTS,
    C_LOGPROBS, C_CHOICES, C_TINY, C_GAPS, C_GENERATIONS, C_TEMPERATURES, C_RECURRING,
) = range(18)  # fmt: skip
(
    REQUESTS_HOUR, TOKENS_HOUR, REQUESTS_DAY, TOKENS_DAY, REQUESTS_WEEK, TOKENS_WEEK, BLOCK_RATE, ACTIVE_DAY, ACTIVE_64H, GAP_SD,
    OUTPUT_LENGTH, OUTPUT_LENGTH_SD, OUTPUT_RATIO, REASONING_SHARE, CACHED_SHARE, CHOICES_SHARE, LOGPROBS_SHARE, TINY_SHARE, TEMPERATURE,
    PROMPT_LENGTH, PROMPT_LENGTH_SD, TEMPLATE_MASS, TEMPLATE_RECURRENCE, TEMPLATE_REPEAT, PREFIX_REPEAT,
    SIMILARITY, SHIFT_FAST, SHIFT_SLOW, MARKER_SHARE, TASK_SHARE, ERROR_SHARE, LIMITED_SHARE, REFUSED_SHARE, LISTS_SHARE,
    ADDRESSES, NETWORKS, AGENTS, KEYS, MODELS, AGE_DAYS,
    LIFE_PACE, LIFE_TOKEN_PACE, LIFE_TEMPLATE_MASS, LIFE_TEMPLATE_TOP8, LIFE_SIMILARITY, LIFE_SUFFIXES, LIFE_PROMPT_LENGTH, LIFE_PROMPT_LENGTH_SD,
    LIFE_MARKER_SHARE, LIFE_TASK_SHARE, LIFE_OUTPUT_LENGTH, LIFE_OUTPUT_LENGTH_SD, LIFE_OUTPUT_RATIO, LIFE_REASONING_SHARE, LIFE_CACHED_SHARE, LIFE_CHOICES_SHARE,
    LIFE_LOGPROBS_SHARE, LIFE_TINY_SHARE, LIFE_ERROR_SHARE, LIFE_LIMITED_SHARE, LIFE_REFUSED_SHARE, LIFE_LISTS_SHARE,
    LIFE_GAP_SD, LIFE_ACTIVE_SHARE, LIFE_HOURLY_REQUESTS, LIFE_HOURLY_TOKENS, LIFE_ADDRESSES, LIFE_NETWORKS, LIFE_AGENTS,
    LIFE_KEYS, LIFE_MODELS,
) = range(71)  # fmt: skip
USUAL_FROM = 71
"""From here on: the account's usual value of each of `row.USUAL`, as it was before the block."""
_USUAL = np.array([
    REQUESTS_HOUR, TOKENS_HOUR, OUTPUT_LENGTH, OUTPUT_RATIO, REASONING_SHARE, CACHED_SHARE, CHOICES_SHARE, LOGPROBS_SHARE,
    TINY_SHARE, OUTPUT_LENGTH_SD, PROMPT_LENGTH_SD, TEMPLATE_MASS, TEMPLATE_REPEAT, PREFIX_REPEAT, SIMILARITY, SHIFT_FAST, MARKER_SHARE,
    TASK_SHARE, ERROR_SHARE, LIMITED_SHARE, REFUSED_SHARE, LISTS_SHARE, ADDRESSES, KEYS, MODELS,
])  # fmt: skip
WIDTH = 96

HOUR_MS = 3_600_000
DAY_HOURS = 24
MIN_BLOCK = 5
"""Requests below which an hour's end leaves the block open, until the day's end."""
_HALF_DAY = math.log(2.0) / 86_400_000.0
_HALF_WEEK = _HALF_DAY / 7.0
_UNIT = 128.0
_MEAN_UNIT = 16384.0
_SETTLED = 100.0
"""Prompts over which the running means of sketches are plain means; from there on a day moves them by at most the weights below."""
_FAST_DAY = 0.3
"""Half-life of two days, however many requests a day brings: a drain does not become its own reference overnight."""
_SLOW_DAY = 0.03
"""Half-life of about a month (Kloft & Laskov, JMLR 2012: bounded updates bound poisoning)."""
_NEWBORN_DAYS = 1.0 / 24.0
"""Added to an account's age before its pace is taken."""
_LATER_ONLY_MS = 10 * 86_400_000  # beyond that every shift register is empty
_LIST_MODELS = np.uint64(hash_text("list_models"))
_REFUSAL = np.uint64(hash_text("refusal"))
_FILTERED = np.uint64(hash_text("content_filter"))
_REASONING = int(REASONING)
"""Markers that ask for the model's way of thinking (frozen into compiled code like every constant here)."""
_TASKS = int(
    Marker.GRADING
    | Marker.STRUCTURED_OUTPUT
    | Marker.QA_GENERATION
    | Marker.SELF_INSTRUCT
    | Marker.REPHRASE
    | Marker.MODEL_TRAINING
    | Marker.MULTIPLE_CHOICE
)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_BUCKET = np.uint64(63)  # of the bits from 56 on: prints have 63 bits


class Blocks(NamedTuple):
    """Closed blocks, in the order they closed; the first `count` rows hold. Preallocated by `new_blocks`."""

    slot: NDArray[np.int32]  # [m] the account's row
    event: NDArray[np.int32]  # [m] frame row after which the block closed; −1: closed by the clock
    opened_ms: NDArray[np.int64]  # [m] event time of its first event
    closed_ms: NDArray[np.int64]  # [m] latest event time in it
    requests: NDArray[np.int32]  # [m]
    totals: NDArray[np.int64]  # [m, 3] the account's requests, input tokens, output tokens up to and with this block
    vector: NDArray[np.float64]  # [m, WIDTH] by catalogue index; NaN is missing


def new_blocks(capacity: int) -> Blocks:
    """Room for `capacity` blocks; `apply_events` over n events needs at most 2 n, `close_open` over k slots at most k."""
    return Blocks(
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int32),
        np.zeros((capacity, 3), np.int64),
        np.full((capacity, WIDTH), np.nan),
    )


@inline
def _bits(x: np.uint64) -> int:
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@inline
def _distinct(bits: int, size: float) -> float:
    """Linear counting: distinct values behind `bits` set of `size`."""
    full = float(bits)
    if full > size - 1.0:
        full = size - 1.0
    return -size * math.log(1.0 - full / size)


@inline
def _mark(value: np.uint64) -> np.uint64:
    """The bit of a hash in a 64-bit map; the top bits, whose SipHash quality is that of any other."""
    return _ONE << (value >> np.uint64(58))


@inline
def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else math.nan


@inline
def _sd(total: float, squares: float, n: float) -> float:
    if n < 2.0:
        return math.nan
    var = (squares - total * total / n) / (n - 1.0)
    return math.sqrt(var) if var > 0.0 else 0.0


@inline
def _popular(keys: NDArray[np.uint64], counts: NDArray[np.int32], value: np.uint64) -> None:
    """Count `value` among heavy hitters; a count is never above the truth (Misra & Gries, 1982)."""
    free = -1
    for j in range(keys.shape[0]):
        if counts[j] == 0:
            free = j
        elif keys[j] == value:
            counts[j] += 1
            return
    if free >= 0:
        keys[free] = value
        counts[free] = 1
        return
    for j in range(keys.shape[0]):
        counts[j] -= 1


@inline
def _repeats(buckets: NDArray[np.uint8], n: float) -> tuple[float, float]:
    """Share of the fullest bucket, and the share of pairs of prompts that are equal (unbiased, so it does not depend on n)."""
    if n < 2.0:
        return math.nan, math.nan
    top = 0
    pairs = 0
    for j in range(buckets.shape[0]):
        x = int(buckets[j])
        pairs += x * (x - 1)
        if x > top:
            top = x
    chance = 1.0 / buckets.shape[0]
    return float(top) / n, (float(pairs) / (n * (n - 1.0)) - chance) / (1.0 - chance)


@inline
def _remember(row: np.void, v: NDArray[np.float64], weight: float) -> None:
    """Write the account's usual values beside the block's, then move them by `weight`."""
    for j in range(_USUAL.shape[0]):
        x = v[_USUAL[j]]
        bit = np.uint32(1) << np.uint32(j)
        known = (row.usual_known & bit) != 0
        v[USUAL_FROM + j] = float(row.usual[j]) if known else math.nan
        if x == x:  # noqa: PLR0124 - not NaN, in a kernel
            row.usual[j] = float(row.usual[j]) + weight * (x - float(row.usual[j])) if known else x
            row.usual_known |= bit


@inline
def _advance_hour(row: np.void, hour: int) -> None:
    delta = hour - row.hour
    if row.requests == 0:
        row.hours_seen = _ONE
        row.active_hours = 1
    elif delta > 0:
        row.hours_seen = _ONE if delta > 63 else (row.hours_seen << np.uint64(delta)) | _ONE
        row.active_hours += 1
    else:
        return
    row.hour = hour
    row.hour_requests = 0
    row.hour_tokens = 0


@inline
def _move_means(row: np.void, prompts: float, all_prompts: float, requests: float) -> float:
    """Move the running means towards the block's mean sketch, within the day's allowance once the account is settled.

    Returns the weight that the block has in the fast references.
    """
    b = row.block_sketch
    f = row.fast
    w = row.slow
    day = row.block_hour // DAY_HOURS
    if row.mean_day != day:
        row.mean_day = day
        row.mean_spent[0] = 0.0
        row.mean_spent[1] = 0.0
    fast = requests / float(row.requests)
    slow = fast
    if row.requests > _SETTLED:
        fast = max(min(max(fast, 0.02), _FAST_DAY - row.mean_spent[0]), 0.0)
        slow = max(min(slow, _SLOW_DAY - row.mean_spent[1]), 0.0)
        row.mean_spent[0] += fast
        row.mean_spent[1] += slow
    if prompts == 0.0:
        return fast
    on_fast = max(fast, prompts / all_prompts if all_prompts <= _SETTLED else 0.0)
    on_slow = max(slow, prompts / all_prompts if all_prompts <= _SETTLED else 0.0)
    scale = _MEAN_UNIT / (_UNIT * prompts)
    for j in range(b.shape[0]):
        x = float(b[j]) * scale
        y = float(f[j])
        f[j] = int(math.floor(y + on_fast * (x - y) + 0.5))
        z = float(w[j])
        w[j] = int(math.floor(z + on_slow * (x - z) + 0.5))
    return fast


@inline
def _close(row: np.void, slot: int, event: int, out: Blocks, count: int) -> int:
    """Write the open block's vector, fold the block into the account's life, empty it."""
    n = float(row.block_requests)
    s = row.block_sums
    c = row.block_counts
    ls = row.life_sums
    lc = row.life_counts
    v = out.vector[count]
    out.slot[count] = slot
    out.event[count] = event
    out.opened_ms[count] = row.block_opened_ms
    out.closed_ms[count] = row.block_last_ms
    out.requests[count] = row.block_requests
    out.totals[count, 0] = row.requests
    out.totals[count, 1] = row.input_tokens
    out.totals[count, 2] = row.output_tokens

    # volume, as of the block's last event
    v[REQUESTS_HOUR] = math.log1p(float(row.hour_requests))
    v[TOKENS_HOUR] = math.log1p(float(row.hour_tokens))
    v[REQUESTS_DAY] = math.log1p(row.decayed[0, 0])
    v[TOKENS_DAY] = math.log1p(row.decayed[1, 0])
    v[REQUESTS_WEEK] = math.log1p(row.decayed[0, 1])
    v[TOKENS_WEEK] = math.log1p(row.decayed[1, 1])
    span = float(row.block_last_ms - row.block_opened_ms) if row.block_last_ms > row.block_opened_ms else 0.0
    v[BLOCK_RATE] = math.log(n * 3_600_000.0 / (span + 1_000.0))
    v[ACTIVE_DAY] = float(_bits(row.hours_seen & np.uint64(0xFFFFFF)))
    v[ACTIVE_64H] = float(_bits(row.hours_seen))
    v[GAP_SD] = _sd(s[S_GAP_LOG], s[S_GAP_LOG2], float(c[C_GAPS]))

    # form of requests and answers
    v[OUTPUT_LENGTH] = _ratio(s[S_OUTPUT_LOG], float(c[C_OUTPUTS]))
    v[OUTPUT_LENGTH_SD] = _sd(s[S_OUTPUT_LOG], s[S_OUTPUT_LOG2], float(c[C_OUTPUTS]))
    v[OUTPUT_RATIO] = math.log((s[S_OUTPUT] + 1.0) / (s[S_INPUT] + 1.0)) if c[C_OUTPUTS] > 0 and c[C_INPUTS] > 0 else math.nan
    v[REASONING_SHARE] = s[S_REASONING] / (s[S_OUTPUT] + 1.0) if c[C_REASONINGS] > 0 else math.nan
    v[CACHED_SHARE] = s[S_CACHED] / (s[S_INPUT] + 1.0) if c[C_CACHES] > 0 else math.nan
    v[CHOICES_SHARE] = c[C_CHOICES] / n
    v[LOGPROBS_SHARE] = c[C_LOGPROBS] / n
    v[TINY_SHARE] = c[C_TINY] / n
    v[TEMPERATURE] = _ratio(s[S_TEMPERATURE], float(c[C_TEMPERATURES]))

    # structure of the prompts
    p = float(c[C_PRINTS])
    v[PROMPT_LENGTH] = _ratio(s[S_LENGTH_LOG], p)
    v[PROMPT_LENGTH_SD] = _sd(s[S_LENGTH_LOG], s[S_LENGTH_LOG2], p)
    v[MARKER_SHARE] = _ratio(float(c[C_MARKERS]), p)
    v[TASK_SHARE] = _ratio(float(c[C_TASKS]), p)
    v[TEMPLATE_RECURRENCE] = _ratio(float(c[C_RECURRING]), p)
    v[TEMPLATE_MASS], v[TEMPLATE_REPEAT] = _repeats(row.block_templates, p)
    _, v[PREFIX_REPEAT] = _repeats(row.block_prefixes, p)

    # direction of the prompts
    length2 = 0.0
    fast2 = 0.0
    slow2 = 0.0
    on_fast = 0.0
    on_slow = 0.0
    b = row.block_sketch
    f = row.fast
    w = row.slow
    for j in range(b.shape[0]):
        x = float(b[j]) / _UNIT
        length2 += x * x
        y = float(f[j])
        z = float(w[j])
        fast2 += y * y
        slow2 += z * z
        on_fast += x * y
        on_slow += x * z
    v[SIMILARITY] = (length2 - p) / (p * (p - 1.0)) if p >= 2.0 else math.nan
    known = lc[C_PRINTS] > 0 and p > 0.0
    v[SHIFT_FAST] = 1.0 - on_fast / (p * math.sqrt(fast2)) if known and fast2 > 0.0 else math.nan
    v[SHIFT_SLOW] = 1.0 - on_slow / (p * math.sqrt(slow2)) if known and slow2 > 0.0 else math.nan

    # friction and identities
    v[ERROR_SHARE] = c[C_ERRORS] / n
    v[LIMITED_SHARE] = c[C_LIMITED] / n
    v[REFUSED_SHARE] = c[C_REFUSED] / n
    v[LISTS_SHARE] = c[C_LISTS] / n
    v[ADDRESSES] = _distinct(_bits(row.block_addresses), 64.0) if row.block_addresses else math.nan
    v[NETWORKS] = _distinct(_bits(row.block_networks), 64.0) if row.block_networks else math.nan
    v[AGENTS] = _distinct(_bits(row.block_agents), 64.0) if row.block_agents else math.nan
    v[KEYS] = _distinct(_bits(row.block_keys), 64.0) if row.block_keys else math.nan
    v[MODELS] = _distinct(_bits(row.block_models), 64.0) if row.block_models else math.nan
    born = row.created_ms if row.created_ms > 0 else row.first_ms
    v[AGE_DAYS] = math.log1p(max(float(row.block_last_ms - born) / 86_400_000.0, 0.0))

    # the block joins the life
    for j in range(s.shape[0]):
        ls[j] += s[j]
    for j in range(c.shape[0]):
        lc[j] += c[j]
    all_prints = float(lc[C_PRINTS])
    allowance = _move_means(row, p, all_prints, n)
    _remember(row, v, allowance)
    total = float(row.requests)
    heavy = 0
    listed = 0
    for j in range(row.template_counts.shape[0]):
        listed += row.template_counts[j]
        if row.template_counts[j] > heavy:
            heavy = row.template_counts[j]
    v[LIFE_TEMPLATE_MASS] = _ratio(float(heavy), all_prints)
    v[LIFE_TEMPLATE_TOP8] = _ratio(float(listed), all_prints)
    slow2 = 0.0
    for j in range(w.shape[0]):
        z = float(w[j]) / _MEAN_UNIT
        slow2 += z * z
    effective = min(all_prints, 4.0 * _SETTLED)
    v[LIFE_SIMILARITY] = (effective * slow2 - 1.0) / (effective - 1.0) if effective >= 2.0 else math.nan
    age = float(row.last_ms - row.created_ms) / 86_400_000.0
    if row.created_ms > 0 and age >= 0.0:
        v[LIFE_PACE] = math.log(total / (age + _NEWBORN_DAYS))
        v[LIFE_TOKEN_PACE] = math.log1p(float(row.input_tokens + row.output_tokens) / (age + _NEWBORN_DAYS))
    else:
        v[LIFE_PACE] = math.nan
        v[LIFE_TOKEN_PACE] = math.nan
    suffix_bits = 0
    for j in range(row.life_suffixes.shape[0]):
        suffix_bits += _bits(row.life_suffixes[j])
    v[LIFE_SUFFIXES] = _distinct(suffix_bits, 256.0) / min(all_prints, 256.0) if all_prints > 0.0 else math.nan
    v[LIFE_PROMPT_LENGTH] = _ratio(ls[S_LENGTH_LOG], all_prints)
    v[LIFE_PROMPT_LENGTH_SD] = _sd(ls[S_LENGTH_LOG], ls[S_LENGTH_LOG2], all_prints)
    v[LIFE_MARKER_SHARE] = _ratio(float(lc[C_MARKERS]), all_prints)
    v[LIFE_TASK_SHARE] = _ratio(float(lc[C_TASKS]), all_prints)
    v[LIFE_OUTPUT_LENGTH] = _ratio(ls[S_OUTPUT_LOG], float(lc[C_OUTPUTS]))
    v[LIFE_OUTPUT_LENGTH_SD] = _sd(ls[S_OUTPUT_LOG], ls[S_OUTPUT_LOG2], float(lc[C_OUTPUTS]))
    v[LIFE_OUTPUT_RATIO] = math.log((ls[S_OUTPUT] + 1.0) / (ls[S_INPUT] + 1.0)) if lc[C_OUTPUTS] > 0 and lc[C_INPUTS] > 0 else math.nan
    v[LIFE_REASONING_SHARE] = ls[S_REASONING] / (ls[S_OUTPUT] + 1.0) if lc[C_REASONINGS] > 0 else math.nan
    v[LIFE_CACHED_SHARE] = ls[S_CACHED] / (ls[S_INPUT] + 1.0) if lc[C_CACHES] > 0 else math.nan
    v[LIFE_CHOICES_SHARE] = lc[C_CHOICES] / total
    v[LIFE_LOGPROBS_SHARE] = lc[C_LOGPROBS] / total
    v[LIFE_TINY_SHARE] = lc[C_TINY] / total
    v[LIFE_ERROR_SHARE] = lc[C_ERRORS] / total
    v[LIFE_LIMITED_SHARE] = lc[C_LIMITED] / total
    v[LIFE_REFUSED_SHARE] = lc[C_REFUSED] / total
    v[LIFE_LISTS_SHARE] = lc[C_LISTS] / total
    v[LIFE_GAP_SD] = _sd(ls[S_GAP_LOG], ls[S_GAP_LOG2], float(lc[C_GAPS]))
    span_hours = float(row.last_ms // HOUR_MS - row.first_ms // HOUR_MS) + 1.0
    v[LIFE_ACTIVE_SHARE] = float(row.active_hours) / max(span_hours, 1.0)
    v[LIFE_HOURLY_REQUESTS] = math.log(total / float(row.active_hours))
    v[LIFE_HOURLY_TOKENS] = math.log1p(float(row.input_tokens + row.output_tokens) / float(row.active_hours))
    v[LIFE_ADDRESSES] = _distinct(_bits(row.life_addresses[0]) + _bits(row.life_addresses[1]), 128.0)
    v[LIFE_NETWORKS] = _distinct(_bits(row.life_networks), 64.0)
    v[LIFE_AGENTS] = _distinct(_bits(row.life_agents), 64.0)
    v[LIFE_KEYS] = _distinct(_bits(row.life_keys), 64.0)
    v[LIFE_MODELS] = _distinct(_bits(row.life_models), 64.0)

    # an empty block
    row.block_requests = 0
    row.block_opened_ms = 0
    row.block_last_ms = 0
    row.block_hour = 0
    for j in range(s.shape[0]):
        s[j] = 0.0
    for j in range(c.shape[0]):
        c[j] = 0
    for j in range(row.block_templates.shape[0]):
        row.block_templates[j] = 0
        row.block_prefixes[j] = 0
    row.block_addresses = _ZERO
    row.block_models = _ZERO
    row.block_agents = _ZERO
    row.block_keys = _ZERO
    row.block_networks = _ZERO
    for j in range(b.shape[0]):
        b[j] = 0
    return count + 1


@inline
def _add_print(row: np.void, columns: Columns, i: int) -> None:
    c = row.block_counts
    s = row.block_sums
    c[C_PRINTS] += 1
    if (int(columns.print_markers[i]) & _REASONING) != 0:
        c[C_MARKERS] += 1
    if (int(columns.print_markers[i]) & _TASKS) != 0:
        c[C_TASKS] += 1
    length = math.log1p(float(max(columns.print_length[i], 0)))
    s[S_LENGTH_LOG] += length
    s[S_LENGTH_LOG2] += length * length
    template = columns.print_template[i]
    for j in range(row.templates.shape[0]):
        if row.templates[j] == template and row.template_counts[j] > 2 and row.template_counts[j] * 20 > row.life_counts[C_PRINTS]:
            c[C_RECURRING] += 1
            break
    _popular(row.templates, row.template_counts, template)
    row.block_templates[template >> np.uint64(56) & _BUCKET] += 1
    row.block_prefixes[columns.print_prefix[i] >> np.uint64(56) & _BUCKET] += 1
    value = columns.print_suffix[i]
    row.life_suffixes[(value >> np.uint64(54)) & np.uint64(3)] |= _ONE << (value >> np.uint64(56) & _BUCKET)
    sketch = columns.print_sketch[i]
    norm2 = 0
    for j in range(sketch.shape[0]):
        norm2 += int(sketch[j]) * int(sketch[j])
    if norm2 > 0:
        scale = _UNIT / math.sqrt(float(norm2))
        b = row.block_sketch
        for j in range(sketch.shape[0]):
            b[j] += int(math.floor(float(sketch[j]) * scale + 0.5))


@inline
def _add(row: np.void, columns: Columns, i: int, hour: int) -> None:
    """One event into the account and its open block."""
    at = columns.occurred_at_ms[i]
    s = row.block_sums
    c = row.block_counts
    if columns.account_created_at_ms[i] > 0:
        row.created_ms = columns.account_created_at_ms[i]
    _advance_hour(row, hour)
    if row.requests == 0:
        row.first_ms = at
        row.last_ms = at
    else:
        gap = float(at - row.last_ms)
        if gap >= 0.0:
            g = math.log1p(gap)
            s[S_GAP_LOG] += g
            s[S_GAP_LOG2] += g * g
            c[C_GAPS] += 1
        if gap > 0.0:
            day = math.exp(-gap * _HALF_DAY)
            week = math.exp(-gap * _HALF_WEEK)
            row.decayed[0, 0] *= day
            row.decayed[1, 0] *= day
            row.decayed[0, 1] *= week
            row.decayed[1, 1] *= week
            row.last_ms = at
        if at < row.first_ms:
            row.first_ms = at
    if row.block_requests == 0:
        row.block_opened_ms = at
        row.block_last_ms = at
        row.block_hour = hour
    else:
        row.block_last_ms = max(row.block_last_ms, at)
        row.block_hour = max(row.block_hour, hour)
    row.requests += 1
    row.block_requests += 1
    row.hour_requests += 1

    tokens = 0
    value = columns.input_tokens[i]
    if value >= 0:
        row.input_tokens += value
        s[S_INPUT] += value
        c[C_INPUTS] += 1
        tokens += value
    value = columns.output_tokens[i]
    if value >= 0:
        row.output_tokens += value
        s[S_OUTPUT] += value
        size = math.log1p(float(value))
        s[S_OUTPUT_LOG] += size
        s[S_OUTPUT_LOG2] += size * size
        c[C_OUTPUTS] += 1
        tokens += value
    value = columns.reasoning_tokens[i]
    if value >= 0:
        s[S_REASONING] += value
        c[C_REASONINGS] += 1
    value = columns.cached_input_tokens[i]
    if value >= 0:
        s[S_CACHED] += value
        c[C_CACHES] += 1
    row.hour_tokens += tokens
    for j in range(2):
        row.decayed[0, j] += 1.0
        row.decayed[1, j] += float(tokens)

    status = columns.status[i]
    if status >= 400:
        c[C_ERRORS] += 1
        if status == 429:
            c[C_LIMITED] += 1
    finish = columns.symbol_hash[columns.finish_reason[i]]
    if finish in (_REFUSAL, _FILTERED):
        c[C_REFUSED] += 1
    if columns.symbol_hash[columns.operation[i]] == _LIST_MODELS:
        c[C_LISTS] += 1
    else:
        c[C_GENERATIONS] += 1
    if columns.logprobs[i] == 1:
        c[C_LOGPROBS] += 1
    if columns.choice_count[i] > 1:
        c[C_CHOICES] += 1
    if 0 <= columns.max_tokens[i] <= 1:
        c[C_TINY] += 1
    heat = float(columns.temperature[i])
    if heat == heat:  # noqa: PLR0124 - not NaN, in a kernel
        s[S_TEMPERATURE] += heat
        c[C_TEMPERATURES] += 1

    if columns.client_address[i] != 0:
        name = columns.symbol_hash[columns.client_address[i]]
        row.block_addresses |= _mark(name)
        row.life_addresses[(name >> np.uint64(57)) & _ONE] |= _mark(name)
    if columns.model[i] != 0:
        name = columns.symbol_hash[columns.model[i]]
        row.block_models |= _mark(name)
        row.life_models |= _mark(name)
    if columns.user_agent[i] != 0:
        name = columns.symbol_hash[columns.user_agent[i]]
        row.block_agents |= _mark(name)
        row.life_agents |= _mark(name)
    if columns.api_key_id[i] != 0:
        name = columns.symbol_hash[columns.api_key_id[i]]
        row.block_keys |= _mark(name)
        row.life_keys |= _mark(name)
    if columns.asn[i] >= 0:
        name = np.uint64(columns.asn[i]) * np.uint64(0x9E3779B97F4A7C15)
        row.block_networks |= _mark(name)
        row.life_networks |= _mark(name)
    if columns.print_present[i] == 1:
        _add_print(row, columns, i)


@inline
def _over(row: np.void, hour: int) -> bool:
    """Whether a clock in event-hour `hour` ends the open block."""
    if row.block_requests == 0 or hour <= row.block_hour:
        return False
    return row.block_requests >= MIN_BLOCK or hour // DAY_HOURS > row.block_hour // DAY_HOURS


@kernel
def apply_events(
    rows: NDArray[np.void], columns: Columns, slots: NDArray[np.int32], lo: int, hi: int, block_requests: int, out: Blocks, count: int
) -> int:
    """Apply frame rows `lo … hi − 1` in order; `slots[i]` is the row of event i's account, −1 skips it.

    Returns the new count of closed blocks. At most two close per event: the one that a later hour ended, before the event,
    and the one that the event filled.
    """
    for i in range(lo, hi):
        slot = slots[i]
        if slot < 0:
            continue
        row = rows[slot]
        hour = columns.occurred_at_ms[i] // HOUR_MS
        if _over(row, hour):
            count = _close(row, slot, i, out, count)
        _add(row, columns, i, hour)
        if row.block_requests >= block_requests:
            count = _close(row, slot, i, out, count)
    return count


@kernel
def close_open(rows: NDArray[np.void], slots: NDArray[np.int32], before_ms: int, out: Blocks, count: int) -> int:
    """The clock passed `before_ms`, an hour's end: close the open blocks of `slots` that it ends. Returns the new count."""
    hour = before_ms // HOUR_MS
    for k in range(slots.shape[0]):
        slot = slots[k]
        row = rows[slot]
        if _over(row, hour):
            count = _close(row, slot, -1, out, count)
    return count
