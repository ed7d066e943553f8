"""What a team would have instead: published rules and textbook detectors, on the same streams, counted by the same rules.

Each gives a score at moments of an account, and the threshold its source names. A second row per baseline uses the threshold
that spends exactly the alert budget on the benign accounts of the tune half: rules are not only beaten at their defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.intake.markers import REASONING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pipeline.lab.evaluate.table import Shard


class Scores(NamedTuple):
    """Scores at moments, sorted by account, then time.

    Attributes:
        flag: what the detector itself would raise; None where `value ≥ default` decides.
    """

    account: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    flag: NDArray[np.bool_] | None = None


class Baseline(NamedTuple):
    """One detector of the table.

    Attributes:
        default: the threshold its source names.
        source: where it is from, and what was left open and chosen here.
        sample: of (ordinary, matched, attack) accounts per shard, 0 for all; slow ones run on a subsample.
    """

    name: str
    default: float
    source: str
    score: Callable[[Shard, Sequence[int]], Scores]
    sample: tuple[int, int, int] = (0, 0, 0)


class _Rows(NamedTuple):
    """One account's events."""

    number: int
    events: NDArray[np.void]


def rows_of(shard: Shard, accounts: Sequence[int]) -> list[_Rows]:
    """Events of each account, in time order; accounts without any are left out."""
    order, edges = shard.per_account()
    return [_Rows(n, shard.events[order[edges[n] : edges[n + 1]]]) for n in accounts if edges[n + 1] > edges[n]]


class Part(NamedTuple):
    """What one account gave: moments, scores, and the detector's own flags where it has any."""

    account: int
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    flags: NDArray[np.bool_] | None = None


def together(parts: list[Part]) -> Scores:
    """Join what single accounts gave."""
    if not parts:
        return Scores(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0))
    account = np.repeat(np.array([p.account for p in parts], np.int32), [p.times.size for p in parts])
    flags = [p.flags for p in parts if p.flags is not None]
    return Scores(
        account,
        np.concatenate([p.times for p in parts]),
        np.concatenate([p.values for p in parts]),
        np.concatenate(flags) if flags else None,
    )


def calls_per_model(shard: Shard, accounts: Sequence[int]) -> Scores:
    """Successful calls to one model in the last 60 minutes."""
    parts = []
    for number, events in rows_of(shard, accounts):
        good = events[(events["status"] < 400) & (events["model"] > 0)]
        count = np.zeros(good.size)
        for model in np.unique(good["model"]).tolist():
            at = np.flatnonzero(good["model"] == model)
            times = good["time"][at]
            count[at] = np.arange(1, at.size + 1) - np.searchsorted(times, times - HOUR_MS, side="right")
        parts.append(Part(number, good["time"], count))
    return together(parts)


def _tokens(events: NDArray[np.void]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.maximum(events["input"], 0).astype(np.int64) + np.maximum(events["output"], 0)
    return found


def tokens_per_hour(shard: Shard, accounts: Sequence[int]) -> Scores:
    """Input and output tokens in the last 60 minutes."""
    parts = []
    for number, events in rows_of(shard, accounts):
        times = events["time"]
        total = np.concatenate(([0], np.cumsum(_tokens(events))))
        since = np.searchsorted(times, times - HOUR_MS, side="right")
        parts.append(Part(number, times, (total[1:] - total[since]).astype(np.float64)))
    return together(parts)


_FEW = 10
"""Prompts in an hour below which shares say nothing (the published scorer names no minimum; one prompt would alert)."""


def gateway_score(shard: Shard, accounts: Sequence[int]) -> Scores:
    """The additive scorer of FIELD 2, per account and clock hour."""
    parts = []
    for number, events in rows_of(shard, accounts):
        hour = events["time"] // HOUR_MS
        edges = np.flatnonzero(np.diff(hour)) + 1
        times, scores = [], []
        for lo, hi in zip([0, *edges.tolist()], [*edges.tolist(), events.size], strict=True):
            times.append(int(events["time"][hi - 1]))
            scores.append(_gateway_hour(shard, events[lo:hi]))
        parts.append(Part(number, np.array(times), np.array(scores)))
    return together(parts)


def _gateway_hour(shard: Shard, events: NDArray[np.void]) -> float:
    said = events["text"][events["text"] >= 0]
    score = 0.3 * (said.size > 100) + 0.15 * (np.unique(events["address"][events["address"] > 0]).size > 5)
    if said.size >= _FEW:
        prints = shard.prints[said]
        _, counts = np.unique(prints["template"], return_counts=True)
        score += 0.25 * (counts.max() / said.size > 0.3)
        score += 0.35 * (((prints["markers"] & int(REASONING)) != 0).mean() > 0.6)
    return float(score)


_WARM_HOURS = 24


def own_history(shard: Shard, accounts: Sequence[int]) -> Scores:
    """Standard score of each active hour's tokens (logarithm) in the account's own history, after 24 active hours."""
    parts = []
    for number, events in rows_of(shard, accounts):
        hour = events["time"] // HOUR_MS
        edges = np.flatnonzero(np.diff(hour)) + 1
        lows, highs = [0, *edges.tolist()], [*edges.tolist(), events.size]
        total = np.concatenate(([0], np.cumsum(_tokens(events))))
        values = np.log1p((total[highs] - total[lows]).astype(np.float64))
        count = np.arange(values.size, dtype=np.float64)
        before = np.concatenate(([0.0], np.cumsum(values)[:-1]))
        squares = np.concatenate(([0.0], np.cumsum(values**2)[:-1]))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = before / count
            spread = np.sqrt(np.maximum(squares / count - mean**2, 0) * count / (count - 1))
            z = np.where(count >= _WARM_HOURS, (values - mean) / np.maximum(spread, 0.05), 0.0)
        parts.append(Part(number, events["time"][np.array(highs) - 1], z))
    return together(parts)


RULES: tuple[Baseline, ...] = (
    Baseline("elastic-6256", 500.0, "elastic/detection-rules #6256: ≥ 500 successful calls to one model in 60 minutes", calls_per_model),
    Baseline(
        "tokens-1m-hour", 1_000_000.0, "1,000,000 tokens in 60 minutes (elastic/detection-rules #3644 counts token volume)", tokens_per_hour
    ),
    Baseline(
        "gateway-scorer",
        0.6,
        "additive gateway scorer of FIELD 2, per clock hour, alert at .6; shares from 10 prompts on",
        gateway_score,
    ),
    Baseline("own-z-tokens", 3.0, "own-history z of hourly tokens (log), after 24 active hours, alert at 3", own_history),
)


def day_maxima(shard: Shard, scores: Scores) -> NDArray[np.float64]:
    """Highest score of each account-day that has one."""
    if scores.account.size == 0:
        return np.zeros(0)
    key = scores.account.astype(np.int64) * 1_000 + (scores.time - shard.start_ms) // DAY_MS
    order = np.lexsort((scores.value, key))
    last = np.append(np.flatnonzero(np.diff(key[order])), key.size - 1)
    found: NDArray[np.float64] = scores.value[order][last]
    return found


def threshold_for(maxima: NDArray[np.float64], days: int, budget: float) -> float:
    """Lowest threshold that raises on at most `budget` of 1,000 account-days.

    Args:
        maxima: highest score of each account-day that has a score.
        days: active account-days in all.
        budget: per 1,000.
    """
    allowed = int(budget * days / 1_000)
    ranked = np.sort(maxima)[::-1]
    if allowed >= ranked.size:
        return 0.0
    return float(np.nextafter(ranked[allowed], np.inf))
