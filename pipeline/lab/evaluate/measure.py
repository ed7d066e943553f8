"""One shard measured: every detector on the same table, counted by the same rules, into rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from pipeline.base.times import DAY_MS
from pipeline.lab.evaluate.baselines import RULES, Baseline, Scores
from pipeline.lab.evaluate.counting import (
    GRACE_MS,
    STALE_MS,
    Attacked,
    Episode,
    Hit,
    active_days,
    attacked,
    false_days,
    instant_days,
    judge_episodes,
    judge_instants,
)
from pipeline.lab.evaluate.forests import FORESTS
from pipeline.lab.evaluate.oracle import oracle_scores
from pipeline.lab.evaluate.ours import detect, episodes, speaks_for
from pipeline.lab.evaluate.probe import single_features, unalterable
from pipeline.lab.evaluate.results import Raised, Row, ShardResult, Trace
from pipeline.lab.simulate.dice import Dice, generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings
    from pipeline.lab.evaluate.table import Account, Shard

ORACLE = "oracle"
_MOST_RAISED = 400


@dataclass(frozen=True, slots=True)
class Bench:
    """What to measure with.

    Attributes:
        settings: name of the column → detect settings (`stillwatch@1`, `stillwatch@1 raw`, …).
        rules, forests, probe: measure these too.
        oracle: the taught classifier, or None.
    """

    settings: dict[str, DetectSettings]
    rules: bool = True
    forests: bool = False
    probe: bool = False
    oracle: Any = None


@dataclass(slots=True)
class _Draft:
    """A row in the making."""

    false: dict[str, int]
    hits: dict[str, Hit]
    maxima: dict[str, list[float]]
    traces: dict[str, Trace]


def measure(shard: Shard, bench: Bench, key: str, data: str) -> ShardResult:
    """Run every detector on the shard and count."""
    begun = time.perf_counter()
    drafts = [_Draft({}, {}, {}, {}) for _ in shard.accounts]
    hostile = attacked(shard)
    raised: list[Raised] = []
    detect_seconds = 0.0
    for name, settings in bench.settings.items():
        since = time.perf_counter()
        found = episodes(shard, detect(shard, settings))
        detect_seconds += time.perf_counter() - since
        _count_episodes(shard, name, found, hostile, drafts)
        raised += _named(shard, name, found)
    for baseline in (*(RULES if bench.rules else ()), *(FORESTS if bench.forests else ())):
        accounts = _sampled(shard, baseline)
        scores = baseline.score(shard, accounts)
        _count_scores(shard, baseline.name, scores, accounts, hostile, drafts)
        flags = scores.flag if scores.flag is not None else scores.value >= baseline.default
        _count_instants(baseline.name, shard, scores, flags, accounts, hostile, drafts)
    if bench.oracle is not None:
        everyone = range(len(shard.accounts))
        _count_scores(shard, ORACLE, oracle_scores(shard, bench.oracle), everyone, hostile, drafts)
    x, y, tenants = unalterable(shard) if bench.probe else (np.zeros((0, 0)), np.zeros(0, np.bool_), np.zeros(0, np.int64))
    single_x, single_y = single_features(shard) if bench.probe else (np.zeros((0, 0)), np.zeros(0, np.bool_))
    return msgspec.structs.replace(
        _result(shard, key, data, drafts, raised, begun),
        probe_x=x.tolist(),
        probe_y=y.tolist(),
        probe_groups=tenants.tolist(),
        single_x=single_x.tolist(),
        single_y=single_y.tolist(),
        detect_seconds=detect_seconds,
    )


def measure_episodes(shard: Shard, found: dict[str, list[Episode]], key: str, data: str) -> ShardResult:
    """Count what variants of our detector found, by name of the column; the false alerts of the first are told by name."""
    begun = time.perf_counter()
    drafts = [_Draft({}, {}, {}, {}) for _ in shard.accounts]
    hostile = attacked(shard)
    for name, mine in found.items():
        _count_episodes(shard, name, mine, hostile, drafts)
    first = next(iter(found))
    return _result(shard, key, data, drafts, _named(shard, first, found[first]), begun)


def _result(shard: Shard, key: str, data: str, drafts: list[_Draft], raised: list[Raised], begun: float) -> ShardResult:
    days = active_days(shard)
    return ShardResult(
        key=key,
        workload=shard.workload,
        split=shard.split,
        number=shard.number,
        data=data,
        weather=list(shard.weather),
        events=len(shard.events),
        rows=[_row(shard, account, int(days[i]), drafts[i]) for i, account in enumerate(shard.accounts)],
        raised=raised[:_MOST_RAISED],
        seconds=time.perf_counter() - begun,
    )


def _row(shard: Shard, account: Account, days: int, draft: _Draft) -> Row:
    truth = account.truth
    return Row(
        account_id=account.account_id,
        role=account.role,
        archetype=account.archetype,
        tenant=account.tenant,
        group=account.groups[0] if account.groups else "",
        language=account.language,
        country=account.country,
        plan=account.plan,
        age=_age(shard.start_ms, account),
        days=days,
        false=draft.false,
        hits=draft.hits,
        maxima=draft.maxima,
        traces=draft.traces,
        requests=truth.requests if truth else 0,
        share=truth.share if truth else 0.0,
    )


def _age(start_ms: int, account: Account) -> str:
    days = (start_ms - account.created_ms) / DAY_MS
    return "signs up in the shard" if days < 0 else "under 90 days" if days < 90 else "older"


# ---- our detector


def _count_episodes(shard: Shard, name: str, found: list[Episode], hostile: dict[int, Attacked], drafts: list[_Draft]) -> None:
    speaks = speaks_for()
    mine: dict[int, list[Episode]] = {}
    for episode in found:
        mine.setdefault(episode.account, []).append(episode)
    for number, account in enumerate(shard.accounts):
        own = mine.get(number, [])
        if account.benign:
            drafts[number].false[name] = len(false_days(shard, own))
        elif number in hostile:
            drafts[number].hits[name] = judge_episodes(account, hostile[number], own, speaks)


def _named(shard: Shard, name: str, found: list[Episode]) -> list[Raised]:
    named = []
    for e in found:
        account = shard.accounts[e.account]
        if account.benign:
            day = round((e.opened_ms - shard.start_ms) / DAY_MS, 2)
            named.append(Raised(name, account.account_id, account.archetype, account.tenant, e.kind, e.feature, day))
    return named


# ---- scores


def _sampled(shard: Shard, baseline: Baseline) -> Sequence[int]:
    """Accounts that a slow baseline sees: a seeded pick per role."""
    if not any(baseline.sample):
        return range(len(shard.accounts))
    chosen: list[int] = []
    for at, (role, size) in enumerate(zip(("ordinary", "matched", "attack"), baseline.sample, strict=True)):
        numbers = [i for i, a in enumerate(shard.accounts) if a.role == role]
        chosen += Dice(generator(shard.number, 77, at)).some(numbers, size)
    return sorted(chosen)


def _spans(scores: Scores, accounts: Sequence[int]) -> dict[int, slice]:
    order = list(accounts)
    lows = np.searchsorted(scores.account, order)
    highs = np.searchsorted(scores.account, order, side="right")
    return {n: slice(int(a), int(b)) for n, a, b in zip(order, lows, highs, strict=True)}


def _count_scores(
    shard: Shard, name: str, scores: Scores, accounts: Sequence[int], hostile: dict[int, Attacked], drafts: list[_Draft]
) -> None:
    for number, span in _spans(scores, accounts).items():
        times, values = scores.time[span], scores.value[span]
        if shard.accounts[number].benign:
            drafts[number].maxima[name] = _daily(shard, times, values)
        elif number in hostile:
            drafts[number].traces[name] = _trace(hostile[number], times, values)


def _daily(shard: Shard, times: NDArray[np.int64], values: NDArray[np.float64]) -> list[float]:
    if not times.size:
        return []
    day = (times - shard.start_ms) // DAY_MS
    edges = np.append(0, np.flatnonzero(np.diff(day)) + 1)
    return [round(float(v), 4) for v in np.maximum.reduceat(values, edges)]


def _trace(hostile: Attacked, times: NDArray[np.int64], values: NDArray[np.float64]) -> Trace:
    if not hostile.times.size:
        return Trace(0.0, [])
    begin, end = int(hostile.times[0]), int(hostile.times[-1]) + GRACE_MS
    before = values[(times >= begin - STALE_MS) & (times < begin)]
    during = (times >= begin) & (times <= end)
    times, values = times[during], values[during]
    height = np.maximum.accumulate(values) if values.size else values
    total = max(int(hostile.outputs.sum()), 1)
    spent = np.concatenate(([0], np.cumsum(hostile.outputs)))
    records: list[tuple[float, int, float]] = []
    top = float(height[-1]) if height.size else 0.0
    for i in np.flatnonzero(np.diff(height, prepend=-np.inf) > 0).tolist():
        value = float(height[i])
        if not records or value > 1.03 * records[-1][0] + 1e-9 or value >= top:
            count = int(np.searchsorted(hostile.times, times[i], side="right"))
            records.append((round(value, 4), count, round(float(spent[count]) / total, 4)))
    return Trace(round(float(before.max()), 4) if before.size else 0.0, records)


def _count_instants(
    name: str,
    shard: Shard,
    scores: Scores,
    flags: NDArray[np.bool_],
    accounts: Sequence[int],
    hostile: dict[int, Attacked],
    drafts: list[_Draft],
) -> None:
    for number, span in _spans(scores, accounts).items():
        instants = scores.time[span][flags[span]]
        if shard.accounts[number].benign:
            drafts[number].false[name] = instant_days(shard, instants)
        elif number in hostile:
            drafts[number].hits[name] = judge_instants(hostile[number], instants)
