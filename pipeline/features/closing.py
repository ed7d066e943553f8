"""What is written when a block closes: its vector, the account's life so far, and an empty block in its place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.jit import inline
from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.features import layout as at
from pipeline.features.counting import bits, distinct, ratio, repeats, sd
from pipeline.features.drift import SETTLED, learn_scatter, move_means, move_recent, write_shifts
from pipeline.features.mixing import mix_shift, move_mix
from pipeline.features.seen import close_seen
from pipeline.intake.scripts import Script

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.features.blocks import Blocks
    from pipeline.features.row import Row

_NEWBORN_DAYS = 1.0 / 24.0
"""Added to an account's age before its pace is taken."""
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_WRITTEN = ~np.uint64(1 << int(Script.NONE))
"""Bits of `block_scripts` that are a writing."""
_KNOWN = 50
"""Requests or prompts after which an account's running mix is one."""


@inline
def _remember(row: Row, v: NDArray[np.float64], weight: float) -> None:
    """Write the account's usual values beside the block's, then move them by `weight`."""
    for j in range(at.USUAL_COLUMNS.shape[0]):
        x = v[at.USUAL_COLUMNS[j]]
        bit = _ONE << np.uint64(j)
        known = (row.usual_known & bit) != 0
        v[at.USUAL_FROM + j] = float(row.usual[j]) if known else math.nan
        if x == x:  # noqa: PLR0124 - not NaN, in a kernel
            row.usual[j] = float(row.usual[j]) + weight * (x - float(row.usual[j])) if known else x
            row.usual_known |= bit


@inline
def _contrast(part: float, of_part: float, whole: float, of_whole: float) -> float:
    """Mean of a part of the requests less that of the others, from sums and how many each is of; NaN where one is nobody."""
    if of_part in (0.0, of_whole):
        return math.nan
    return part / of_part - (whole - part) / (of_whole - of_part)


@inline
def _write_volume(row: Row, v: NDArray[np.float64]) -> None:
    """Volume and rhythm as of the block's last event."""
    n = float(row.block_requests)
    s = row.block_sums
    c = row.block_counts
    v[at.REQUESTS_HOUR] = math.log1p(float(row.hour_requests))
    v[at.TOKENS_HOUR] = math.log1p(float(row.hour_tokens))
    v[at.REQUESTS_DAY] = math.log1p(row.decayed[0, 0])
    v[at.TOKENS_DAY] = math.log1p(row.decayed[1, 0])
    v[at.REQUESTS_WEEK] = math.log1p(row.decayed[0, 1])
    v[at.TOKENS_WEEK] = math.log1p(row.decayed[1, 1])
    span = float(row.block_last_ms - row.block_opened_ms) if row.block_last_ms > row.block_opened_ms else 0.0
    v[at.BLOCK_RATE] = math.log(n * HOUR_MS / (span + 1_000.0))
    v[at.ACTIVE_DAY] = float(bits(row.hours_seen & np.uint64(0xFFFFFF)))
    v[at.ACTIVE_64H] = float(bits(row.hours_seen))
    v[at.GAP_SD] = sd(s[at.S_GAP_LOG], s[at.S_GAP_LOG2], float(c[at.C_GAPS]))


@inline
def _write_form(row: Row, v: NDArray[np.float64]) -> None:
    """Form of requests and answers."""
    n = float(row.block_requests)
    s = row.block_sums
    c = row.block_counts
    v[at.OUTPUT_LENGTH] = ratio(s[at.S_OUTPUT_LOG], float(c[at.C_OUTPUTS]))
    v[at.OUTPUT_LENGTH_SD] = sd(s[at.S_OUTPUT_LOG], s[at.S_OUTPUT_LOG2], float(c[at.C_OUTPUTS]))
    v[at.OUTPUT_RATIO] = (
        math.log((s[at.S_OUTPUT] + 1.0) / (s[at.S_INPUT] + 1.0)) if c[at.C_OUTPUTS] > 0 and c[at.C_INPUTS] > 0 else math.nan
    )
    v[at.REASONING_SHARE] = s[at.S_REASONING] / (s[at.S_OUTPUT] + 1.0) if c[at.C_REASONINGS] > 0 else math.nan
    v[at.CACHED_SHARE] = s[at.S_CACHED] / (s[at.S_INPUT] + 1.0) if c[at.C_CACHES] > 0 else math.nan
    v[at.CHOICES_SHARE] = c[at.C_CHOICES] / n
    v[at.LOGPROBS_SHARE] = c[at.C_LOGPROBS] / n
    v[at.TINY_SHARE] = c[at.C_TINY] / n
    v[at.TEMPERATURE] = ratio(s[at.S_TEMPERATURE], float(c[at.C_TEMPERATURES]))
    v[at.INPUT_LENGTH_SD] = sd(s[at.S_INPUT_LOG], s[at.S_INPUT_LOG2], float(c[at.C_INPUTS]))


@inline
def _write_prompts(row: Row, v: NDArray[np.float64]) -> float:
    """Structure of the prompts and their direction; returns the squared distance of their mean from the fast mean."""
    s = row.block_sums
    c = row.block_counts
    lc = row.life_counts
    p = float(c[at.C_PRINTS])
    v[at.PROMPT_LENGTH] = ratio(s[at.S_LENGTH_LOG], p)
    v[at.PROMPT_LENGTH_SD] = sd(s[at.S_LENGTH_LOG], s[at.S_LENGTH_LOG2], p)
    v[at.MARKER_SHARE] = ratio(float(c[at.C_MARKERS]), p)
    v[at.TASK_SHARE] = ratio(float(c[at.C_TASKS]), p)
    v[at.TEMPLATE_RECURRENCE] = ratio(float(c[at.C_RECURRING]), p)
    v[at.TEMPLATE_MASS], v[at.TEMPLATE_REPEAT] = repeats(row.block_templates, p)
    _, v[at.PREFIX_REPEAT] = repeats(row.block_prefixes, p)
    _, v[at.SUFFIX_REPEAT] = repeats(row.block_suffixes, p)
    v[at.LANGUAGES] = float(bits(row.block_scripts & _WRITTEN)) if p > 0.0 else math.nan
    v[at.SCRIPT_SHIFT] = mix_shift(row.block_scripts_mix, row.script_mix) if lc[at.C_PRINTS] >= _KNOWN else math.nan

    nears = float(c[at.C_NEARS])
    known_near = lc[at.C_NEARS] >= _KNOWN
    strangers = float(row.block_strangers[0])
    v[at.STRANGERS_DISTANCE] = -_contrast(float(row.block_strange[0]), strangers, s[at.S_NEAR], nears) if known_near else math.nan

    length2 = 0.0
    fast2 = 0.0
    slow2 = 0.0
    on_fast = 0.0
    on_slow = 0.0
    b = row.block_sketch
    f = row.fast
    w = row.slow
    for j in range(b.shape[0]):
        x = float(b[j]) / at.SKETCH_UNIT
        length2 += x * x
        y = float(f[j])
        z = float(w[j])
        fast2 += y * y
        slow2 += z * z
        on_fast += x * y
        on_slow += x * z
    v[at.SIMILARITY] = (length2 - p) / (p * (p - 1.0)) if p >= 2.0 else math.nan
    known = lc[at.C_PRINTS] > 0 and p > 0.0
    v[at.SHIFT_FAST] = 1.0 - on_fast / (p * math.sqrt(fast2)) if known and fast2 > 0.0 else math.nan
    v[at.SHIFT_SLOW] = 1.0 - on_slow / (p * math.sqrt(slow2)) if known and slow2 > 0.0 else math.nan
    if p == 0.0:
        return 0.0
    return max((length2 / p - 2.0 * on_fast / at.MEAN_UNIT) / p + fast2 / (at.MEAN_UNIT * at.MEAN_UNIT), 0.0)


@inline
def _write_friction(row: Row, v: NDArray[np.float64]) -> None:
    """Errors, refusals and identities."""
    n = float(row.block_requests)
    c = row.block_counts
    v[at.ERROR_SHARE] = c[at.C_ERRORS] / n
    v[at.LIMITED_SHARE] = c[at.C_LIMITED] / n
    v[at.REFUSED_SHARE] = c[at.C_REFUSED] / n
    v[at.LISTS_SHARE] = c[at.C_LISTS] / n
    v[at.ADDRESSES] = distinct(bits(row.block_addresses), 64.0) if row.block_addresses else math.nan
    v[at.NETWORKS] = distinct(bits(row.block_networks), 64.0) if row.block_networks else math.nan
    v[at.AGENTS] = distinct(bits(row.block_agents), 64.0) if row.block_agents else math.nan
    v[at.KEYS] = distinct(bits(row.block_keys), 64.0) if row.block_keys else math.nan
    v[at.MODELS] = distinct(bits(row.block_models), 64.0) if row.block_models else math.nan
    v[at.MODEL_SHIFT] = mix_shift(row.block_models_mix, row.model_mix) if row.requests - row.block_requests >= _KNOWN else math.nan
    v[at.SETTINGS_SPREAD] = distinct(bits(row.block_settings), 64.0) if row.block_settings else math.nan
    v[at.SWITCH_RATE] = ratio(float(row.block_switches), float(row.block_pairs))
    v[at.FAILOVER_SHARE] = ratio(float(row.block_failovers), float(row.block_origins))
    close_seen(row, v)
    strangers = float(row.block_strangers[1])
    v[at.STRANGERS_OUTPUT] = _contrast(float(row.block_strange[1]), strangers, row.block_sums[at.S_OUTPUT_LOG], float(c[at.C_OUTPUTS]))
    born = row.created_ms if row.created_ms > 0 else row.first_ms
    v[at.AGE_DAYS] = math.log1p(max(float(row.block_last_ms - born) / DAY_MS, 0.0))


@inline
def _join_life(row: Row, v: NDArray[np.float64], away2: float) -> None:
    """The block, whose mean lies √`away2` from the fast mean, joins the account's life."""
    n = float(row.block_requests)
    p = float(row.block_counts[at.C_PRINTS])
    s = row.block_sums
    c = row.block_counts
    recent2 = move_recent(row, p, float(row.life_counts[at.C_PRINTS]) + p)
    mean2, recent2 = write_shifts(row, v, away2, recent2)
    ls = row.life_sums
    lc = row.life_counts
    for j in range(s.shape[0]):
        ls[j] += s[j]
    for j in range(c.shape[0]):
        lc[j] += c[j]
    all_prints = float(lc[at.C_PRINTS])
    allowance = move_means(row, p, all_prints, n)
    learn_scatter(row, v[at.SIMILARITY], mean2, recent2, allowance)
    move_mix(row.block_models_mix, row.model_mix, allowance)
    move_mix(row.block_scripts_mix, row.script_mix, allowance)
    _remember(row, v, allowance)


@inline
def _write_life_prompts(row: Row, v: NDArray[np.float64]) -> None:
    """Prompts of the account's whole life, this block included."""
    ls = row.life_sums
    lc = row.life_counts
    w = row.slow
    all_prints = float(lc[at.C_PRINTS])
    heavy = 0
    listed = 0
    for j in range(row.template_counts.shape[0]):
        listed += row.template_counts[j]
        heavy = max(heavy, row.template_counts[j])
    v[at.LIFE_TEMPLATE_MASS] = ratio(float(heavy), all_prints)
    v[at.LIFE_TEMPLATE_TOP8] = ratio(float(listed), all_prints)
    slow2 = 0.0
    for j in range(w.shape[0]):
        z = float(w[j]) / at.MEAN_UNIT
        slow2 += z * z
    effective = min(all_prints, 4.0 * SETTLED)
    v[at.LIFE_SIMILARITY] = (effective * slow2 - 1.0) / (effective - 1.0) if effective >= 2.0 else math.nan
    suffix_bits = 0
    for j in range(row.life_suffixes.shape[0]):
        suffix_bits += bits(row.life_suffixes[j])
    v[at.LIFE_SUFFIXES] = distinct(suffix_bits, 256.0) / min(all_prints, 256.0) if all_prints > 0.0 else math.nan
    v[at.LIFE_PROMPT_LENGTH] = ratio(ls[at.S_LENGTH_LOG], all_prints)
    v[at.LIFE_PROMPT_LENGTH_SD] = sd(ls[at.S_LENGTH_LOG], ls[at.S_LENGTH_LOG2], all_prints)
    v[at.LIFE_MARKER_SHARE] = ratio(float(lc[at.C_MARKERS]), all_prints)
    v[at.LIFE_TASK_SHARE] = ratio(float(lc[at.C_TASKS]), all_prints)


@inline
def _write_life(row: Row, v: NDArray[np.float64]) -> None:
    """The account's whole life, this block included."""
    ls = row.life_sums
    lc = row.life_counts
    total = float(row.requests)
    age = float(row.last_ms - row.created_ms) / DAY_MS
    if row.created_ms > 0 and age >= 0.0:
        v[at.LIFE_PACE] = math.log(total / (age + _NEWBORN_DAYS))
        v[at.LIFE_TOKEN_PACE] = math.log1p(float(row.input_tokens + row.output_tokens) / (age + _NEWBORN_DAYS))
    else:
        v[at.LIFE_PACE] = math.nan
        v[at.LIFE_TOKEN_PACE] = math.nan
    v[at.LIFE_OUTPUT_LENGTH] = ratio(ls[at.S_OUTPUT_LOG], float(lc[at.C_OUTPUTS]))
    v[at.LIFE_OUTPUT_LENGTH_SD] = sd(ls[at.S_OUTPUT_LOG], ls[at.S_OUTPUT_LOG2], float(lc[at.C_OUTPUTS]))
    told = lc[at.C_OUTPUTS] > 0 and lc[at.C_INPUTS] > 0
    v[at.LIFE_OUTPUT_RATIO] = math.log((ls[at.S_OUTPUT] + 1.0) / (ls[at.S_INPUT] + 1.0)) if told else math.nan
    v[at.LIFE_REASONING_SHARE] = ls[at.S_REASONING] / (ls[at.S_OUTPUT] + 1.0) if lc[at.C_REASONINGS] > 0 else math.nan
    v[at.LIFE_CACHED_SHARE] = ls[at.S_CACHED] / (ls[at.S_INPUT] + 1.0) if lc[at.C_CACHES] > 0 else math.nan
    v[at.LIFE_CHOICES_SHARE] = lc[at.C_CHOICES] / total
    v[at.LIFE_LOGPROBS_SHARE] = lc[at.C_LOGPROBS] / total
    v[at.LIFE_TINY_SHARE] = lc[at.C_TINY] / total
    v[at.LIFE_ERROR_SHARE] = lc[at.C_ERRORS] / total
    v[at.LIFE_LIMITED_SHARE] = lc[at.C_LIMITED] / total
    v[at.LIFE_REFUSED_SHARE] = lc[at.C_REFUSED] / total
    v[at.LIFE_LISTS_SHARE] = lc[at.C_LISTS] / total
    v[at.LIFE_GAP_SD] = sd(ls[at.S_GAP_LOG], ls[at.S_GAP_LOG2], float(lc[at.C_GAPS]))
    v[at.LIFE_INPUT_LENGTH_SD] = sd(ls[at.S_INPUT_LOG], ls[at.S_INPUT_LOG2], float(lc[at.C_INPUTS]))
    span_hours = float(row.last_ms // HOUR_MS - row.first_ms // HOUR_MS) + 1.0
    v[at.LIFE_ACTIVE_SHARE] = float(row.active_hours) / max(span_hours, 1.0)
    v[at.LIFE_HOURLY_REQUESTS] = math.log(total / float(row.active_hours))
    v[at.LIFE_HOURLY_TOKENS] = math.log1p(float(row.input_tokens + row.output_tokens) / float(row.active_hours))
    addresses = bits(row.life_addresses[0]) + bits(row.life_addresses[1])
    v[at.LIFE_ADDRESSES] = distinct(addresses, 128.0) if addresses else math.nan
    v[at.LIFE_NETWORKS] = distinct(bits(row.life_networks), 64.0) if row.life_networks else math.nan
    v[at.LIFE_AGENTS] = distinct(bits(row.life_agents), 64.0) if row.life_agents else math.nan
    v[at.LIFE_KEYS] = distinct(bits(row.life_keys), 64.0) if row.life_keys else math.nan
    v[at.LIFE_MODELS] = distinct(bits(row.life_models), 64.0) if row.life_models else math.nan


@inline
def _clear(row: Row) -> None:
    """An empty block."""
    row.block_requests = 0
    row.block_opened_ms = 0
    row.block_last_ms = 0
    row.block_hour = 0
    row.block_addresses = _ZERO
    row.block_models = _ZERO
    row.block_agents = _ZERO
    row.block_keys = _ZERO
    row.block_networks = _ZERO
    row.block_scripts = _ZERO
    row.block_settings = _ZERO
    row.block_pairs = 0
    row.block_switches = 0
    row.block_origins = 0
    row.block_failovers = 0
    row.block_told = _ZERO
    row.block_new = _ZERO
    row.block_countries = _ZERO
    row.block_ways = _ZERO
    for j in range(2):
        row.block_strange[j] = 0.0
        row.block_strangers[j] = 0
    for j in range(row.block_models_mix.shape[0]):
        row.block_models_mix[j] = 0
        row.block_scripts_mix[j] = 0
    for j in range(row.block_sums.shape[0]):
        row.block_sums[j] = 0.0
    for j in range(row.block_counts.shape[0]):
        row.block_counts[j] = 0
    for j in range(row.block_templates.shape[0]):
        row.block_templates[j] = 0
        row.block_prefixes[j] = 0
        row.block_suffixes[j] = 0
    for j in range(row.block_sketch.shape[0]):
        row.block_sketch[j] = 0


@inline
def close_block(row: Row, slot: int, event: int, out: Blocks, count: int) -> int:
    """Write the open block behind `count` others, fold it into the account's life, leave an empty one; returns the new count."""
    out.slot[count] = slot
    out.event[count] = event
    out.opened_ms[count] = row.block_opened_ms
    out.closed_ms[count] = row.block_last_ms
    out.requests[count] = row.block_requests
    out.totals[count, 0] = row.requests
    out.totals[count, 1] = row.input_tokens
    out.totals[count, 2] = row.output_tokens
    out.tokens[count, 0] = int(row.block_sums[at.S_INPUT])
    out.tokens[count, 1] = int(row.block_sums[at.S_OUTPUT])
    v = out.vector[count]
    _write_volume(row, v)
    _write_form(row, v)
    away2 = _write_prompts(row, v)
    _write_friction(row, v)
    _join_life(row, v, away2)
    _write_life_prompts(row, v)
    _write_life(row, v)
    _clear(row)
    return count + 1
