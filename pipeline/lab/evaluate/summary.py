"""From shard results to the figures of the report: rates with intervals, recall over n·s², fairness, probes. No opinion here.

Everything is rounded and sorted, so two reports of the same results are the same bytes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.lab.evaluate.baselines import RULES, threshold_for
from pipeline.lab.evaluate.forests import FORESTS
from pipeline.lab.evaluate.measure import ORACLE
from pipeline.lab.evaluate.probe import MOST_AUC, MOST_SINGLE_AUC, probe_auc, single_aucs
from pipeline.lab.evaluate.stats import levels, poisson_upper, ratio, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pipeline.lab.evaluate.counting import Hit
    from pipeline.lab.evaluate.results import Row, ShardResult

EDGES = (0.0, 5.0, 15.0, 50.0, 150.0, 500.0, 2_000.0, math.inf)
"""Buckets of n·s²."""
STRONG = "n·s² ≥ 150"
"""The band that promises are made about."""
BANDS = {STRONG: (150.0, math.inf), "50–150": (50.0, 150.0), "below 50": (0.0, 50.0)}
_FAIR_FACTOR = 2.0
_FAIR_DAYS = 1_000
"""Account-days below which a group's rate says nothing."""


class Unit(NamedTuple):
    """A row with the seed (shard) it came from."""

    seed: str
    row: Row


class Column(NamedTuple):
    """One detector as the table shows it.

    Attributes:
        false: days on which it raised on a benign row; None where it did not look.
        hit: what it made of an attack; None where it did not look.
    """

    name: str
    note: str
    false: Callable[[Row], int | None]
    hit: Callable[[Row], Hit | None]


def units_of(results: Iterable[ShardResult]) -> list[Unit]:
    """All rows."""
    return [Unit(f"{r.workload}/{r.split}/{r.number}", row) for r in results for row in r.rows]


def benign(units: Iterable[Unit]) -> list[Unit]:
    """Rows of accounts that did nothing wrong, with at least one active day."""
    return [u for u in units if u.row.role != "attack" and u.row.days]


def attacks(units: Iterable[Unit]) -> list[Unit]:
    """Rows of attackers that got a request out."""
    return [u for u in units if u.row.role == "attack" and u.row.requests]


# ---- detectors as columns


def columns(units: Sequence[Unit], taught: Sequence[Unit], budget: float) -> list[Column]:
    """Our settings, each baseline at its default and at the tuned threshold, the oracle.

    Args:
        units: of the half that is reported.
        taught: rows of tune shards for thresholds; empty: no tuned rows.
        budget: that tuned thresholds and the oracle spend.
    """
    fixed: dict[str, None] = {}
    for u in units:
        fixed.update(dict.fromkeys((*u.row.false, *u.row.hits)))
    notes = {b.name: b.source for b in (*RULES, *FORESTS)}
    found = [_at_default(name, notes.get(name, "")) for name in fixed]
    for baseline in (*RULES, *FORESTS):
        if baseline.name in fixed and taught:
            theta = _threshold(taught, baseline.name, budget)
            found.append(_at_threshold(baseline.name, f"{baseline.name}, tuned", f"threshold {theta:.4g}, set on the tune half", theta))
    if any(ORACLE in u.row.maxima or ORACLE in u.row.traces for u in units):
        theta = _threshold(units, ORACLE, budget)
        found.append(
            _at_threshold(ORACLE, ORACLE, "gradient boosting taught with labels, its bar set on the judge: a ceiling, no competitor", theta)
        )
    return found


def _at_default(name: str, note: str) -> Column:
    return Column(name, note, lambda row: row.false.get(name), lambda row: row.hits.get(name))


def _at_threshold(score: str, name: str, note: str, theta: float) -> Column:
    def false(row: Row) -> int | None:
        days = row.maxima.get(score)
        return None if days is None else sum(v >= theta for v in days)

    def hit(row: Row) -> Hit | None:
        trace = row.traces.get(score)
        return None if trace is None else trace.at(theta)

    return Column(name, note, false, hit)


def _threshold(units: Sequence[Unit], score: str, budget: float) -> float:
    rows = [u.row for u in benign(units) if score in u.row.maxima]
    maxima = np.array([v for row in rows for v in row.maxima[score]])
    return threshold_for(maxima, sum(row.days for row in rows), budget)


# ---- figures


def rate(units: Sequence[Unit], column: Column) -> dict[str, Any] | None:
    """False alerts per 1,000 active account-days of these benign rows; None where the detector did not look."""
    seen = [(u, f) for u in units if (f := column.false(u.row)) is not None]
    if not seen:
        return None
    top = np.array([float(f) for _, f in seen])
    bottom = np.array([float(u.row.days) for u, _ in seen])
    factors = [levels([u.row.tenant for u, _ in seen]), levels([u.row.group for u, _ in seen]), levels([u.seed for u, _ in seen])]
    interval = ratio(top, bottom, factors)
    count, days = int(top.sum()), int(bottom.sum())
    return {
        "account_days": days,
        "false_days": count,
        "accounts_accused": int((top > 0).sum()),
        "per_1000": tidy(1_000 * interval.value),
        "low": tidy(1_000 * interval.low),
        "high": tidy(1_000 * max(interval.high, poisson_upper(min(count, 10_000)) / days if count < 10_000 else interval.high)),
    }


def rates_by(units: Sequence[Unit], column: Column, key: Callable[[Row], str]) -> dict[str, Any]:
    """The same by a property of the account, without intervals."""
    days: dict[str, int] = defaultdict(int)
    false: dict[str, int] = defaultdict(int)
    for u in units:
        f = column.false(u.row)
        if f is not None:
            days[key(u.row)] += u.row.days
            false[key(u.row)] += f
    return {
        name: {
            "account_days": days[name],
            "false_days": false[name],
            "per_1000": tidy(1_000 * false[name] / days[name]),
            "high": tidy(1_000 * poisson_upper(min(false[name], 2_000)) / days[name]),
        }
        for name in sorted(days)
    }


def unfair(by: dict[str, Any], whole: float) -> list[str]:
    """Groups with enough days whose rate is above twice the whole's."""
    return [
        name for name, r in by.items() if r["account_days"] >= _FAIR_DAYS and r["per_1000"] > _FAIR_FACTOR * whole and r["false_days"] > 1
    ]


def recall(units: Sequence[Unit], column: Column) -> dict[str, Any] | None:
    """Everything about catching; None where the detector did not look at attacks."""
    seen = [(u.row, h) for u in units if (h := column.hit(u.row)) is not None]
    if not seen:
        return None
    caught = [(row, h) for row, h in seen if h.caught]
    return {
        "attacks": len(seen),
        "caught": len(caught),
        "already_alerting": sum(h.already for _, h in seen),
        "bands": {name: _band(seen, *edges) for name, edges in BANDS.items()},
        "curve": [_bucket(seen, a, b) for a, b in pairwise(EDGES)],
        "median_requests_before_alert": {
            "share ≥ 50 %": _median([h.delay for row, h in caught if row.share >= 0.5]),
            "share 25–50 %": _median([h.delay for row, h in caught if 0.25 <= row.share < 0.5]),
        },
        "output_gone_median": _median([h.gone for row, h in seen if row.requests >= 5_000]),
        "output_gone_at_most_10_percent": _share([h.gone <= 0.1 for row, h in seen if row.requests >= 5_000]),
        "right_kind": _share([h.kind_right for _, h in caught if h.kind]),
        "right_top_feature": _share([h.feature_right for _, h in caught if h.feature]),
        "by_archetype": _by_archetype(seen),
    }


def _band(seen: list[tuple[Row, Hit]], low: float, high: float) -> dict[str, Any]:
    """Macro recall over archetypes, and the worst one."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for row, h in seen:
        if low <= row.effort < high:
            hits[row.archetype].append(h.caught)
    shares = {name: sum(v) / len(v) for name, v in hits.items()}
    worst = min(shares, key=lambda n: (shares[n], n), default="")
    every = [c for v in hits.values() for c in v]
    interval = wilson(sum(every), len(every))
    return {
        "attacks": len(every),
        "macro": tidy(float(np.mean(list(shares.values())))) if shares else None,
        "micro": tidy(interval.value),
        "micro_low": tidy(interval.low),
        "micro_high": tidy(interval.high),
        "worst": worst,
        "worst_recall": tidy(shares[worst]) if worst else None,
    }


def _bucket(seen: list[tuple[Row, Hit]], low: float, high: float) -> dict[str, Any]:
    inside = [h.caught for row, h in seen if low <= row.effort < high]
    interval = wilson(sum(inside), len(inside))
    upper = "∞" if math.isinf(high) else f"{high:g}"
    return {
        "n_s2": f"{low:g}–{upper}",
        "attacks": len(inside),
        "recall": tidy(interval.value),
        "low": tidy(interval.low),
        "high": tidy(interval.high),
    }


def _by_archetype(seen: list[tuple[Row, Hit]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted({row.archetype for row, _ in seen}):
        mine = [(row, h) for row, h in seen if row.archetype == name]
        strong = [h.caught for row, h in mine if row.effort >= 150]
        kinds: dict[str, int] = defaultdict(int)
        for _, h in mine:
            if h.kind:
                kinds[h.kind] += 1
        found[name] = {
            "attacks": len(mine),
            "caught": sum(h.caught for _, h in mine),
            "strong": len(strong),
            "strong_recall": _share(strong),
            "already": sum(h.already for _, h in mine),
            "median_delay": _median([h.delay for _, h in mine if h.caught]),
            "named": dict(sorted(kinds.items())),
        }
    return found


def generator_probe(results: Sequence[ShardResult]) -> dict[str, Any] | None:
    """Whether the generator gives itself away (see `probe`); None when it was not measured, undecided with too few accounts."""
    probed = [r for r in results if r.probe_y]
    if not probed:
        return None
    x = np.array([row for r in probed for row in r.probe_x])
    y = np.array([v for r in probed for v in r.probe_y])
    groups = np.array([v for r in probed for v in r.probe_groups])
    value = probe_auc(x, y, groups)
    single = single_aucs(np.array([row for r in probed for row in r.single_x]), np.array([v for r in probed for v in r.single_y], np.bool_))
    ranked = sorted(single.items(), key=lambda item: (-item[1], item[0]))
    return {
        "accounts": int(y.size),
        "auc": tidy(value) if value is not None else None,
        "auc_allowed": MOST_AUC,
        "single": {name: tidy(v) for name, v in ranked[:12]},
        "single_allowed": MOST_SINGLE_AUC,
        "passed": None if value is None else value <= MOST_AUC and ranked[0][1] <= MOST_SINGLE_AUC,
    }


def tidy(value: float, digits: int = 4) -> float | None:
    """Rounded to significant digits; None for NaN."""
    if math.isnan(value):
        return None
    return float(f"{value:.{digits}g}")


def _median(values: Sequence[float]) -> float | None:
    return tidy(float(np.median(values))) if values else None


def _share(values: Sequence[bool]) -> float | None:
    return tidy(sum(values) / len(values)) if values else None
