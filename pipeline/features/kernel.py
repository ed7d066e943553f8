"""One event at a time into an account's row; a vector when a block closes. O(1) per event, no allocation.

A block is `block_requests` requests, or what an event-hour left behind if that is at least 5 requests, or what an event-day
left. Nothing depends on where a batch starts or ends: the rows after events 1…n are the same however 1…n was cut.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.hashing import hash_text
from pipeline.base.jit import inline, kernel
from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.features import layout as at
from pipeline.features.blocks import Blocks, new_blocks
from pipeline.features.closing import close_block
from pipeline.features.counting import mark, popular
from pipeline.features.layout import DAY_HOURS
from pipeline.features.mixing import script_bucket
from pipeline.features.origins import add_origin, network_name
from pipeline.features.seen import from_new_origin, next_day, unseen
from pipeline.intake.markers import MATERIAL, REASONING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.events.frame import Columns
    from pipeline.features.row import Row

__all__ = ["DAY_HOURS", "MIN_BLOCK", "Blocks", "apply_events", "close_open", "new_blocks"]

MIN_BLOCK = 5
"""Requests below which an hour's end leaves the block open, until the day's end."""
_HALF_DAY = math.log(2.0) / DAY_MS
_HALF_WEEK = _HALF_DAY / 7.0
_LIST_MODELS = np.uint64(hash_text("list_models"))
_REFUSAL = np.uint64(hash_text("refusal"))
_FILTERED = np.uint64(hash_text("content_filter"))
_REASONING = int(REASONING)
"""Markers that ask for the model's way of thinking (frozen into compiled code like every constant here)."""
_TASKS = int(MATERIAL)
_ONE = np.uint64(1)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_HOT = 1_000.0
"""Temperatures are told apart by thousandths, within these bounds."""
_BUCKET = np.uint64(63)  # of the bits from 56 on: prints have 63 bits


@inline
def _advance_hour(row: Row, hour: int) -> None:
    delta = hour - row.hour
    if row.requests == 0:
        row.hours_seen = _ONE
        row.active_hours = 1
    elif delta > 0:
        if hour // DAY_HOURS > row.hour // DAY_HOURS:
            next_day(row)
        row.hours_seen = _ONE if delta > 63 else (row.hours_seen << np.uint64(delta)) | _ONE
        row.active_hours += 1
    else:
        return
    row.hour = hour
    row.hour_requests = 0
    row.hour_tokens = 0


@inline
def _add_print(row: Row, columns: Columns, i: int, strange: bool) -> None:  # noqa: FBT001 - a kernel
    """A prompt's print, from an origin that is new to the account or not."""
    c = row.block_counts
    s = row.block_sums
    c[at.C_PRINTS] += 1
    if (int(columns.print_markers[i]) & _REASONING) != 0:
        c[at.C_MARKERS] += 1
    if (int(columns.print_markers[i]) & _TASKS) != 0:
        c[at.C_TASKS] += 1
    length = math.log1p(float(max(columns.print_length[i], 0)))
    s[at.S_LENGTH_LOG] += length
    s[at.S_LENGTH_LOG2] += length * length
    template = columns.print_template[i]
    for j in range(row.templates.shape[0]):
        if row.templates[j] == template and row.template_counts[j] > 2 and row.template_counts[j] * 20 > row.life_counts[at.C_PRINTS]:
            c[at.C_RECURRING] += 1
            break
    popular(row.templates, row.template_counts, template)
    row.block_templates[template >> np.uint64(56) & _BUCKET] += 1
    prefix = columns.print_prefix[i]
    row.block_prefixes[prefix >> np.uint64(56) & _BUCKET] += 1
    row.block_told += _ONE << np.uint64(8 * at.I_PREFIX)
    row.block_new += unseen(row, at.I_PREFIX, prefix << np.uint64(2))  # the bits of its bucket on top: `close_seen` knows only buckets
    value = columns.print_suffix[i]
    row.life_suffixes[(value >> np.uint64(54)) & np.uint64(3)] |= _ONE << (value >> np.uint64(56) & _BUCKET)
    row.block_suffixes[value >> np.uint64(56) & _BUCKET] += 1
    script = int(columns.print_script[i])
    row.block_scripts |= _ONE << np.uint64(script & 63)
    row.block_scripts_mix[script_bucket(script)] += 1
    sketch = columns.print_sketch[i]
    norm2 = 0
    along = 0
    f = row.fast
    for j in range(sketch.shape[0]):
        norm2 += int(sketch[j]) * int(sketch[j])
        along += int(sketch[j]) * int(f[j])
    if norm2 > 0:
        length = math.sqrt(float(norm2))
        scale = at.SKETCH_UNIT / length
        b = row.block_sketch
        for j in range(sketch.shape[0]):
            b[j] += math.floor(float(sketch[j]) * scale + 0.5)
        if row.fast_length > 0.0:
            _add_nearness(row, float(along) / (length * float(row.fast_length)), strange)


@inline
def _add_nearness(row: Row, cosine: float, strange: bool) -> None:  # noqa: FBT001 - a kernel
    """How near a prompt is to where the account's prompts usually point."""
    c = row.block_counts
    s = row.block_sums
    s[at.S_NEAR] += cosine
    c[at.C_NEARS] += 1
    if strange:
        row.block_strange[0] += cosine
        row.block_strangers[0] += 1


@inline
def _hash(x: np.uint64) -> np.uint64:
    """Mixes a small number well enough for a map of 64 bits."""
    x *= _SPREAD
    return (x ^ (x >> np.uint64(32))) * _SPREAD


@inline
def _add_setting(row: Row, field: int, value: np.uint64) -> bool:
    """A setting that a request tells; returns whether the account told others of it, and not this one, on two earlier days."""
    name = _hash(np.uint64(field))
    named = _hash(name ^ value)
    row.block_ways |= mark(name) | mark(named)
    known = row.seen_twice[at.I_SETTINGS]
    return bool((known & mark(name)) != 0 and (known & mark(named)) == 0)


@inline
def _add_settings(row: Row, columns: Columns, i: int) -> None:
    """The settings of a request: each for itself, so that one a gateway drops or adds is not new, and their combination."""
    limit = columns.max_tokens[i]
    choices = columns.choice_count[i]
    stream = columns.stream[i]
    heat = float(columns.temperature[i])
    warm = np.uint64(math.floor((heat + _HOT) * 1_000.0) + 1) if abs(heat) < _HOT else np.uint64(0)
    new = False
    if limit >= 0:
        new = _add_setting(row, 1, np.uint64(limit + 1))
    if choices >= 0:
        new = _add_setting(row, 2, np.uint64(choices + 1)) or new
    if stream >= 0:
        new = _add_setting(row, 3, np.uint64(stream + 1)) or new
    if warm != 0:
        new = _add_setting(row, 4, warm) or new
    if limit >= 0 or choices >= 0 or warm != 0:
        row.block_settings |= mark(
            _hash(columns.symbol_hash[columns.model[i]] ^ _hash(_hash(np.uint64(limit + 1)) ^ np.uint64(choices + 1)) ^ warm)
        )
    elif stream < 0:
        return
    row.block_told += _ONE << np.uint64(8 * at.I_SETTINGS)
    row.block_new += (_ONE if new else np.uint64(0)) << np.uint64(8 * at.I_SETTINGS)


@inline
def _add(row: Row, columns: Columns, i: int, hour: int) -> None:
    """One event into the account and its open block."""
    when = columns.occurred_at_ms[i]
    s = row.block_sums
    c = row.block_counts
    if columns.account_created_at_ms[i] > 0:
        row.created_ms = columns.account_created_at_ms[i]
    _advance_hour(row, hour)
    add_origin(row, columns, i)
    if row.requests == 0:
        row.first_ms = when
        row.last_ms = when
    else:
        gap = float(when - row.last_ms)
        if gap >= 0.0:
            g = math.log1p(gap)
            s[at.S_GAP_LOG] += g
            s[at.S_GAP_LOG2] += g * g
            c[at.C_GAPS] += 1
        if gap > 0.0:
            day = math.exp(-gap * _HALF_DAY)
            week = math.exp(-gap * _HALF_WEEK)
            row.decayed[0, 0] *= day
            row.decayed[1, 0] *= day
            row.decayed[0, 1] *= week
            row.decayed[1, 1] *= week
            row.last_ms = when
        row.first_ms = min(row.first_ms, when)
    if row.block_requests == 0:
        row.block_opened_ms = when
        row.block_last_ms = when
        row.block_hour = hour
    else:
        row.block_last_ms = max(row.block_last_ms, when)
        row.block_hour = max(row.block_hour, hour)
    row.requests += 1
    row.block_requests += 1
    row.hour_requests += 1

    tokens = 0
    value = columns.input_tokens[i]
    if value >= 0:
        row.input_tokens += value
        s[at.S_INPUT] += value
        size = math.log1p(float(value))
        s[at.S_INPUT_LOG] += size
        s[at.S_INPUT_LOG2] += size * size
        c[at.C_INPUTS] += 1
        tokens += value
    value = columns.output_tokens[i]
    if value >= 0:
        row.output_tokens += value
        s[at.S_OUTPUT] += value
        size = math.log1p(float(value))
        s[at.S_OUTPUT_LOG] += size
        s[at.S_OUTPUT_LOG2] += size * size
        c[at.C_OUTPUTS] += 1
        tokens += value
    value = columns.reasoning_tokens[i]
    if value >= 0:
        s[at.S_REASONING] += value
        c[at.C_REASONINGS] += 1
    value = columns.cached_input_tokens[i]
    if value >= 0:
        s[at.S_CACHED] += value
        c[at.C_CACHES] += 1
    row.hour_tokens += tokens
    for j in range(2):
        row.decayed[0, j] += 1.0
        row.decayed[1, j] += float(tokens)

    status = columns.status[i]
    if status >= 400:
        c[at.C_ERRORS] += 1
        if status == 429:
            c[at.C_LIMITED] += 1
    finish = columns.symbol_hash[columns.finish_reason[i]]
    if finish in (_REFUSAL, _FILTERED):
        c[at.C_REFUSED] += 1
    if columns.symbol_hash[columns.operation[i]] == _LIST_MODELS:
        c[at.C_LISTS] += 1
    else:
        c[at.C_GENERATIONS] += 1
    if columns.logprobs[i] == 1:
        c[at.C_LOGPROBS] += 1
    if columns.choice_count[i] > 1:
        c[at.C_CHOICES] += 1
    if 0 <= columns.max_tokens[i] <= 1:
        c[at.C_TINY] += 1
    heat = float(columns.temperature[i])
    if heat == heat:  # noqa: PLR0124 - not NaN, in a kernel
        s[at.S_TEMPERATURE] += heat
        c[at.C_TEMPERATURES] += 1

    told = np.uint64(0)
    new = np.uint64(0)
    if columns.client_address[i] != 0:
        name = columns.symbol_hash[columns.client_address[i]]
        row.block_addresses |= mark(name)
        row.life_addresses[(name >> np.uint64(57)) & _ONE] |= mark(name)
        told |= _ONE << np.uint64(8 * at.I_ADDRESS)
        new |= unseen(row, at.I_ADDRESS, name)
    if columns.model[i] != 0:
        name = columns.symbol_hash[columns.model[i]]
        row.block_models |= mark(name)
        row.life_models |= mark(name)
        row.block_models_mix[name >> np.uint64(60)] += 1
        told |= _ONE << np.uint64(8 * at.I_MODEL)
        new |= unseen(row, at.I_MODEL, name)
    if columns.user_agent[i] != 0:
        name = columns.symbol_hash[columns.user_agent[i]]
        row.block_agents |= mark(name)
        row.life_agents |= mark(name)
        told |= _ONE << np.uint64(8 * at.I_AGENT)
        new |= unseen(row, at.I_AGENT, name)
    if columns.api_key_id[i] != 0:
        name = columns.symbol_hash[columns.api_key_id[i]]
        row.block_keys |= mark(name)
        row.life_keys |= mark(name)
        told |= _ONE << np.uint64(8 * at.I_KEY)
        new |= unseen(row, at.I_KEY, name)
    if columns.asn[i] >= 0:
        name = network_name(columns.asn[i])
        row.block_networks |= mark(name)
        row.life_networks |= mark(name)
        told |= _ONE << np.uint64(8 * at.I_NETWORK)
        new |= unseen(row, at.I_NETWORK, name)
    if columns.country[i] != 0:
        name = columns.symbol_hash[columns.country[i]]
        row.block_countries |= mark(name)
        told |= _ONE << np.uint64(8 * at.I_COUNTRY)
        new |= unseen(row, at.I_COUNTRY, name)
    row.block_told += told
    row.block_new += new
    strange = from_new_origin(row, new)
    if strange and columns.output_tokens[i] >= 0:
        row.block_strange[1] += math.log1p(float(columns.output_tokens[i]))
        row.block_strangers[1] += 1
    _add_settings(row, columns, i)
    if columns.print_present[i] == 1:
        _add_print(row, columns, i, strange)


@inline
def _over(row: Row, hour: int) -> bool:
    """Whether a clock in event-hour `hour` ends the open block."""
    if row.block_requests == 0 or hour <= row.block_hour:
        return False
    return bool(row.block_requests >= MIN_BLOCK or hour // DAY_HOURS > row.block_hour // DAY_HOURS)


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
            count = close_block(row, slot, i, out, count)
        _add(row, columns, i, hour)
        if row.block_requests >= block_requests:
            count = close_block(row, slot, i, out, count)
    return count


@kernel
def close_open(rows: NDArray[np.void], slots: NDArray[np.int32], before_ms: int, out: Blocks, count: int) -> int:
    """The clock passed `before_ms`, an hour's end: close the open blocks of `slots` that it ends. Returns the new count."""
    hour = before_ms // HOUR_MS
    for k in range(slots.shape[0]):
        slot = slots[k]
        row = rows[slot]
        if _over(row, hour):
            count = close_block(row, slot, -1, out, count)
    return count
