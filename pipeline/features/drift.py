"""Where an account's prompts usually point, and whether a block, or the last 200 prompts, point elsewhere by more than chance.

The distance between two means of unit sketches is divided by what it is expected to be: their variance, counted exactly
from the weights by which the means were made (`noise`), times the scatter per prompt that the account's own blocks have
shown (`scatter`). So a stationary account has values around 0 whether its prompts are alike or not, and clustered prompts
(conversations, batches) are its usual scatter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeline.base.jit import inline
from pipeline.features import layout as at

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.features.row import Row

SETTLED = 100.0
"""Prompts over which the running means of sketches are plain means; from there on a day moves them by at most the weights below."""
_FAST_DAY = 0.3
"""Half-life of two days, however many requests a day brings: a drain does not become its own reference overnight."""
_SLOW_DAY = 0.03
"""Half-life of about a month (Kloft & Laskov, JMLR 2012: bounded updates bound poisoning)."""
_LEAST = 0.02
"""A block's least weight in the fast mean while the day has some left."""
_HALF_RECENT = 100.0
"""Half-life in prompts of the recent mean: with 25 prompts a block it is as precise as a plain mean of about 250."""
_FIRST_MEAN = 50
_FIRST_RECENT = 200
"""Earlier prompts from which the shifts are told."""
_LEAST_MEAN = 0.004
_LEAST_RECENT = 0.001
"""Squared distances below which a difference does not matter, however alike the prompts are."""
_LEAST_SCATTER = 0.01
_MOST_GROWTH = 4.0
"""A settled account's block counts for at most that many times the usual scatter: a drain does not widen its own reference much."""


@inline
def _on_recent(prompts: float, all_prompts: float) -> float:
    """Weight of a block in the recent mean: a plain mean at first."""
    return max(1.0 - math.exp(-math.log(2.0) / _HALF_RECENT * prompts), prompts / all_prompts)


@inline
def move_means(row: Row, prompts: float, all_prompts: float, requests: float) -> float:
    """Move the running means towards the block's mean sketch, within the day's allowance once the account is settled.

    Returns the weight that the block has in the fast references.
    """
    b = row.block_sketch
    f = row.fast
    w = row.slow
    day = row.block_hour // at.DAY_HOURS
    if row.mean_day != day:
        row.mean_day = day
        row.mean_spent[0] = 0.0
        row.mean_spent[1] = 0.0
    fast = requests / float(row.requests)
    slow = fast
    if row.requests > SETTLED:
        fast = max(min(max(fast, _LEAST), _FAST_DAY - row.mean_spent[0]), 0.0)
        slow = max(min(slow, _SLOW_DAY - row.mean_spent[1]), 0.0)
        row.mean_spent[0] += fast
        row.mean_spent[1] += slow
    if prompts == 0.0:
        return fast
    on_fast = max(fast, prompts / all_prompts if all_prompts <= SETTLED else 0.0)
    on_slow = max(slow, prompts / all_prompts if all_prompts <= SETTLED else 0.0)
    noise = row.noise
    noise[0] = (1.0 - on_fast) ** 2 * noise[0] + on_fast**2 / prompts
    noise[1] = (1.0 - on_slow) ** 2 * noise[1] + on_slow**2 / prompts
    noise[3] = (1.0 - on_slow) * noise[3] + on_slow * _on_recent(prompts, all_prompts) / prompts
    scale = at.MEAN_UNIT / (at.SKETCH_UNIT * prompts)
    fast2 = 0
    for j in range(b.shape[0]):
        x = float(b[j]) * scale
        y = float(f[j])
        f[j] = math.floor(y + on_fast * (x - y) + 0.5)
        fast2 += int(f[j]) * int(f[j])
        z = float(w[j])
        w[j] = math.floor(z + on_slow * (x - z) + 0.5)
    row.fast_length = math.sqrt(float(fast2))
    return fast


@inline
def move_recent(row: Row, prompts: float, all_prompts: float) -> float:
    """Move the recent mean by the block; returns its squared distance from the slow mean, which has not moved yet."""
    if prompts == 0.0:
        return 0.0
    weight = _on_recent(prompts, all_prompts)
    noise = row.noise
    noise[2] = (1.0 - weight) ** 2 * noise[2] + weight**2 / prompts
    noise[3] = (1.0 - weight) * noise[3]
    b = row.block_sketch
    r = row.recent
    w = row.slow
    away2 = 0
    scale = at.MEAN_UNIT / (at.SKETCH_UNIT * prompts)
    for j in range(b.shape[0]):
        y = float(r[j])
        moved = math.floor(y + weight * (float(b[j]) * scale - y) + 0.5)
        r[j] = moved
        away2 += (moved - int(w[j])) ** 2
    return float(away2) / (at.MEAN_UNIT * at.MEAN_UNIT)


@inline
def write_shifts(row: Row, v: NDArray[np.float64], mean2: float, recent2: float) -> tuple[float, float]:
    """Write the two shifts of these squared distances; returns each per prompt, NaN where there is nothing to compare."""
    v[at.MEAN_SHIFT] = math.nan
    v[at.RECENT_SHIFT] = math.nan
    prompts = float(row.block_counts[at.C_PRINTS])
    before = row.life_counts[at.C_PRINTS]
    if prompts == 0.0 or before == 0:
        return math.nan, math.nan
    noise = row.noise
    chance = 1.0 / prompts + float(noise[0])
    if before >= _FIRST_MEAN:
        v[at.MEAN_SHIFT] = math.log((mean2 + _LEAST_MEAN) / (float(row.scatter[0]) * chance + _LEAST_MEAN))
    chance_recent = float(noise[1]) + float(noise[2]) - 2.0 * float(noise[3])
    if before < _FIRST_RECENT or chance_recent <= 0.0:
        return mean2 / chance, math.nan
    if row.scatter[1] == 0.0:
        row.scatter[1] = row.scatter[0]
    v[at.RECENT_SHIFT] = math.log((recent2 + _LEAST_RECENT) / (float(row.scatter[1]) * chance_recent + _LEAST_RECENT))
    return mean2 / chance, recent2 / chance_recent


@inline
def learn_scatter(row: Row, similarity: float, mean2: float, recent2: float, weight: float) -> None:
    """Move the usual scatter by what this block showed, by no more than the day allows; the first block tells its own."""
    s = row.scatter
    growth = _MOST_GROWTH if row.requests > SETTLED else math.inf
    if mean2 == mean2:  # noqa: PLR0124 - not NaN, in a kernel
        seen = min(mean2, growth * (float(s[0]) + _LEAST_SCATTER))
        s[0] = float(s[0]) + weight * (seen - float(s[0]))
    elif row.block_counts[at.C_PRINTS] > 0:
        s[0] = min(max(1.0 - similarity, 0.0), 1.0) if similarity == similarity else 1.0  # noqa: PLR0124 - as above
    if recent2 == recent2:  # noqa: PLR0124 - as above
        seen = min(recent2, growth * (float(s[1]) + _LEAST_SCATTER))
        s[1] = float(s[1]) + weight * (seen - float(s[1]))
