"""The report: figures as JSON that diffs clean, and one self-contained page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pipeline.lab.evaluate.summary import (
    attacks,
    benign,
    columns,
    generator_probe,
    rate,
    rates_by,
    recall,
    unfair,
    units_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.lab.evaluate.results import ShardResult

_FAIRNESS = ("language", "country", "plan", "age")


def figures(
    results: Sequence[ShardResult], taught: Sequence[ShardResult], budgets: Sequence[float], context: dict[str, Any]
) -> dict[str, Any]:
    """Everything the report says, by workload.

    Args:
        results: measured shards.
        taught: tune shards that thresholds come from.
        budgets: false alerts per 1,000 account-days that were asked for; the first is what tuned thresholds spend.
        context: what else to write at the top (commit, data, split).
    """
    lessons = units_of(taught)
    found: dict[str, Any] = {"context": context, "budgets": list(budgets), "workloads": {}}
    for name in sorted({r.workload for r in results}):
        mine = [r for r in results if r.workload == name]
        found["workloads"][name] = _workload(mine, lessons, budgets[0])
    return found


def _workload(results: list[ShardResult], lessons: list[Any], budget: float) -> dict[str, Any]:
    units = units_of(results)
    good, bad = benign(units), attacks(units)
    detectors: dict[str, Any] = {}
    for column in columns(units, lessons, budget):
        whole = rate(good, column)
        entry: dict[str, Any] = {"note": column.note, "false": whole, "recall": recall(bad, column)}
        if whole is not None:
            entry["false_by_role"] = rates_by(good, column, lambda row: row.role)
            entry["false_by_archetype"] = rates_by(good, column, lambda row: row.archetype)
            if column.name.startswith("stillwatch"):
                fair = {what: rates_by(good, column, lambda row, what=what: getattr(row, what)) for what in _FAIRNESS}  # type: ignore[misc]  # a default binds the loop's value
                entry["fairness"] = fair
                entry["unfair"] = [f"{what}: {n}" for what, by in fair.items() for n in unfair(by, whole["per_1000"])]
        detectors[column.name] = entry
    return {
        "shards": len(results),
        "events": sum(r.events for r in results),
        "accounts": {role: sum(u.row.role == role for u in units) for role in ("ordinary", "matched", "attack")},
        "benign_account_days": sum(u.row.days for u in good),
        "weather": sorted({w for r in results for w in r.weather}),
        "detectors": detectors,
        "probe": generator_probe(results),
        "raised": _raised(results),
    }


def _raised(results: list[ShardResult]) -> list[dict[str, Any]]:
    """False alerts of our first column by name."""
    rows = [
        {
            "shard": r.number,
            "detector": a.detector,
            "account": a.account_id,
            "archetype": a.archetype,
            "tenant": a.tenant,
            "kind": a.kind,
            "feature": a.feature,
            "day": a.day,
        }
        for r in results
        for a in r.raised
        if not a.detector.endswith("raw")
    ]
    return sorted(rows, key=lambda row: (row["detector"], row["shard"], row["day"], row["account"]))[:500]


def encode_figures(found: dict[str, Any]) -> bytes:
    """Figures → JSON: sorted, indented, the same bytes for the same figures."""
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
