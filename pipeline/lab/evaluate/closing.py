"""What a run prints at its end: one table of plain text per workload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.lab.evaluate.summary import BANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def closing(figures: dict[str, Any]) -> str:
    """Figures → text."""
    return "\n\n".join(_workload(name, found) for name, found in figures["workloads"].items())


def _workload(name: str, found: dict[str, Any]) -> str:
    rows = [_line(detector, d["false"] or {}, d["recall"] or {}) for detector, d in found["detectors"].items()]
    head = ("detector", "false/1000 days (95 %)", "days", "recall ≥150", "50–150", "<50", "delay s≥.5", "kind")
    counts = f"{found['shards']} populations, {found['events']:,} requests, {found['benign_account_days']:,} benign account-days"
    parts = [f"{name}: {counts}", aligned(head, rows)]
    if p := found["probe"]:
        top = ", ".join(f"{n} {v}" for n, v in list(p["single"].items())[:3])
        verdict = {True: "passed", False: "FAILED", None: "undecided, too few accounts"}[p["passed"]]
        parts.append(f"generator probe {verdict}: AUC {_num(p['auc'])} on {p['accounts']} accounts; highest single features {top}")
    return "\n".join(parts)


def _line(detector: str, false: dict[str, Any], recall: dict[str, Any]) -> list[str]:
    bands = recall.get("bands", {})
    return [
        detector,
        f"{_num(false.get('per_1000'))} ({_num(false.get('low'))}–{_num(false.get('high'))})",
        f"{false.get('account_days', 0):,}",
        *(f"{_num(bands.get(b, {}).get('macro'))}/{bands.get(b, {}).get('attacks', 0)}" for b in BANDS),
        _num(recall.get("median_requests_before_alert", {}).get("share ≥ 50 %")),
        _num(recall.get("right_kind")),
    ]


def ablation_closing(found: dict[str, Any]) -> str:
    """Table of an ablation → text: everything first, then what is missed most."""
    parts = [found["note"]]
    head = ("off", "", "false/1000 days (95 %)", "recall ≥150", "50–150", "delay s≥.5", "s 25–50 %", "lost", "gained")
    for name, w in found["workloads"].items():
        rows = []
        for r in by_reliance(w["rows"]):
            false = r["false"] or {}
            rows.append(
                [
                    r["off"],
                    r["what"],
                    f"{_num(false.get('per_1000'))} ({_num(false.get('low'))}–{_num(false.get('high'))})",
                    *(_num(r["recall"].get(b, {}).get("macro")) for b in list(BANDS)[:2]),
                    *(_num(r["delay"].get(s)) for s in ("share ≥ 50 %", "share 25–50 %")),
                    str(r["lost"]),
                    str(r["gained"]),
                ]
            )
        counts = f"{w['shards']} populations, {w['account_days']:,} benign account-days, {w['attacks']} attacks"
        parts.append(f"\n{name}: {counts}\n{aligned(head, rows)}")
    return "\n".join(parts)


def by_reliance(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an ablation for the reader: by sort, within it by attacks lost less gained, then by false alerts."""
    sorts = ("", "untold", "layer", "family")
    return sorted(rows, key=lambda r: (sorts.index(r["what"]), r["gained"] - r["lost"], -(r["false"] or {}).get("per_1000", 0.0)))


def windows_closing(found: dict[str, Any]) -> str:
    """Figures of the windows → text."""
    lines = [found["note"]]
    for size, table in found["sizes"].items():
        shares = list(next(iter(table["statistics"].values()))["tpr"])
        rows = [
            [n, _num(s["fpr"]), f"{_num(s['worst_fpr'])} {s['worst_group']}", *map(_num, s["tpr"].values())]
            for n, s in table["statistics"].items()
        ]
        lines.append(f"\nwindows of {size} prompts\n" + aligned(("statistic", "FPR", "worst group", *(f"TPR {s}" for s in shares)), rows))
    return "\n".join(lines)


def aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain text: the first column to the left, the others to the right."""
    lines = [list(head), *(list(r) for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]

    def place(line: list[str]) -> str:
        return "  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))).rstrip()

    return "\n".join(map(place, lines))


def _num(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
