"""The report's page: one file, no script, no address it would fetch from. Plots are inline SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from pipeline.lab.evaluate.closing import by_reliance
from pipeline.lab.evaluate.summary import BANDS, STRONG
from pipeline.lab.evaluate.svg import Series, bars, curves

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2330;background:#fff;margin:2rem auto;max-width:74rem;padding:0 1.2rem}
h1{font-size:1.5rem} h2{font-size:1.2rem;margin-top:2.4rem;border-bottom:1px solid #d8dde6;padding-bottom:.2rem}
h3{font-size:1rem;margin-top:1.6rem} table{border-collapse:collapse;font-size:.85rem;margin:.6rem 0}
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #e6e9ef;vertical-align:top}
th:first-child,td:first-child{text-align:left} th{font-weight:600;color:#49536a} tr.ours td{background:#eef4ff}
.bad{color:#b3261e;font-weight:600} .good{color:#1b6e3c;font-weight:600} .note{color:#5b6577;font-size:.85rem} .wide{overflow-x:auto}
.side{display:flex;flex-wrap:wrap;gap:1rem 2.5rem} svg{max-width:100%;height:auto} figure{margin:.8rem 0}
figcaption{color:#5b6577;font-size:.85rem}
"""
_OURS = "stillwatch"
_TWIN_LIMIT = 5.0
"""False alerts per 1,000 account-days that no benign archetype may exceed."""
_WORST_RECALL = 0.85
_FALSE_CAPTION = "False alerts per 1,000 account-days by benign archetype, grey: exact upper bound of independent days, line: 5."
_LOST_MUCH = 0.05
_LOST_CAPTION = "Share of all attacks that are caught with everything and missed without; line: one in twenty."
_CURVE_CAPTION = "Recall over n·s² (attack requests × share²); Wilson intervals on our own line, the oracle dashed."


def page(figures: dict[str, Any]) -> str:
    """Figures → HTML."""
    context = " · ".join(f"{escape(str(k))}: {escape(str(v))}" for k, v in sorted(figures["context"].items()))
    body = [f"<h1>Stillwatch: evaluation</h1><p class=note>{context}</p>"]
    body += [_workload(name, found, figures["budgets"]) for name, found in figures["workloads"].items()]
    if windows := figures.get("windows"):
        body.append(_windows(windows))
    if ablation := figures.get("ablation"):
        body.append(_ablation(ablation))
    head = f"<meta charset=utf-8><title>Stillwatch evaluation</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(body)}</body></html>\n"


# ---- parts of HTML


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    """A table that scrolls where it is wider than the page."""
    titles = "".join(f"<th>{escape(h)}</th>" for h in head)
    return f"<div class=wide><table><tr>{titles}</tr>{''.join(rows)}</table></div>"


def _row(cells: Iterable[str], *, ours: bool = False) -> str:
    """A row of cells that are HTML already."""
    return f"<tr{' class=ours' if ours else ''}>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"


def _span(kind: str, text: str) -> str:
    return f"<span class={kind}>{text}</span>" if kind else text


def _figure(drawing: str, caption: str) -> str:
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def _num(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# ---- a workload


def _workload(name: str, found: dict[str, Any], budgets: Sequence[float]) -> str:
    accounts, detectors = found["accounts"], found["detectors"]
    weather = escape(", ".join(found["weather"]) or "none")
    parts = [
        f"<h2>{escape(name)}</h2><p>{found['shards']} populations, {found['events']:,} requests; ",
        f"{accounts['ordinary']:,} ordinary accounts, {accounts['matched']:,} benign controls at attack scale, ",
        f"{accounts['attack']:,} attackers; ",
        f"{found['benign_account_days']:,} benign active account-days. Weather: {weather}.</p>",
        _detectors(detectors, budgets),
        _curve(detectors),
    ]
    parts += [_details(n, d) for n, d in detectors.items() if n.startswith(_OURS) and not n.endswith("raw")]
    return "".join([*parts, _probe(found["probe"]), _raised(found["raised"])])


def _detectors(detectors: dict[str, Any], budgets: Sequence[float]) -> str:
    rows = []
    for name, d in detectors.items():
        false, recall = d["false"] or {}, d["recall"] or {}
        bands = recall.get("bands", {})
        delays = recall.get("median_requests_before_alert", {})
        asked = next((b for b in budgets if name in (f"{_OURS}@{b:g}", f"{_OURS}@{b:g} raw")), None)
        verdict = "" if asked is None or not false else "good" if false["high"] <= 1.5 * asked else "bad"
        between = _span("note", f"{_num(false.get('low'))}–{_num(false.get('high'))}")
        worst = bands.get(STRONG, {})
        cells = [
            escape(name),
            f"{_span(verdict, _num(false.get('per_1000')))} {between}",
            f"{false.get('account_days', 0):,}",
            *(_num(bands.get(b, {}).get("macro")) for b in BANDS),
            f"{_num(worst.get('worst_recall'))} {escape(worst.get('worst', ''))}",
            _num(delays.get("share ≥ 50 %")),
            _num(delays.get("share 25–50 %")),
            _num(recall.get("right_kind")),
        ]
        rows.append(_row(cells, ours=name.startswith(_OURS)))
    head = (
        "detector", "false alerts per 1,000 days (95 %)", "account-days seen", "macro recall n·s² ≥ 150", "50–150", "below 50",
        "worst archetype ≥ 150", "median attack requests before alert, share ≥ 50 %", "25–50 %", "right kind",
    )  # fmt: skip
    notes = "".join(f"<br>{escape(n)}: {escape(d['note'])}" for n, d in detectors.items() if d["note"])
    said = "Slow detectors saw a subsample (their account-days say so). Baselines count days with an alert, ours also days it stays open."
    return f"{_table(head, rows)}<p class=note>{said}{notes}</p>"


def _curve(detectors: dict[str, Any]) -> str:
    series = []
    for name, d in detectors.items():
        if d["recall"] and not name.endswith("raw"):
            points = [(b["n_s2"], b["recall"], b["low"], b["high"]) for b in d["recall"]["curve"]]
            series.append(Series(name, points, strong=name.startswith(_OURS), dashed=name == "oracle"))
    return _figure(curves(series), _CURVE_CAPTION) if series else ""


def _details(name: str, d: dict[str, Any]) -> str:
    parts = [f"<h3>{escape(name)}</h3>"]
    if d["false"]:
        rows = sorted(d["false_by_archetype"].items(), key=lambda item: (-(item[1]["per_1000"] or 0.0), item[0]))
        parts.append(_figure(bars([(n, r["per_1000"] or 0.0, r["high"] or 0.0) for n, r in rows], _TWIN_LIMIT), _FALSE_CAPTION))
        parts.append(_fairness(d))
    if r := d["recall"]:
        parts.append(_archetypes(r))
        parts.append(f"<p>Already alerting when the attack began (counted as missed): {r['already_alerting']}. ")
        parts.append(f"Attacks of ≥ 5,000 requests: median share of output tokens gone {_num(r['output_gone_median'])}, ")
        parts.append(f"at most 10 % gone in {_num(r['output_gone_at_most_10_percent'])} of them. ")
        parts.append(f"Right kind {_num(r['right_kind'])}; the top feature speaks for the kind in {_num(r['right_top_feature'])}.</p>")
    return "".join(parts)


def _fairness(d: dict[str, Any]) -> str:
    tables = []
    for what, by in d["fairness"].items():
        rows = [_row((escape(n), f"{r['account_days']:,}", _num(r["per_1000"]))) for n, r in by.items()]
        tables.append(_table((what, "days", "per 1,000"), rows))
    unfair = d["unfair"]
    verdict = (
        _span("bad", f"Above twice the whole: {escape(', '.join(unfair))}.") if unfair else _span("good", "None above twice the whole.")
    )
    return f"<p>Fairness. {verdict}</p><div class=side>{''.join(tables)}</div>"


def _archetypes(recall: dict[str, Any]) -> str:
    rows = []
    for name, r in recall["by_archetype"].items():
        named = escape(", ".join(f"{k} {n}" for k, n in r["named"].items()))
        low = r["strong_recall"] is not None and r["strong_recall"] < _WORST_RECALL
        strong = _span("bad" if low else "", _num(r["strong_recall"]))
        rows.append(
            _row(
                (
                    escape(name),
                    str(r["attacks"]),
                    str(r["caught"]),
                    str(r["strong"]),
                    strong,
                    _num(r["median_delay"]),
                    str(r["already"]),
                    named,
                )
            )
        )
    head = ("attack", "played", "caught", "with n·s² ≥ 150", "recall there", "median requests before alert", "already alerting", "named")
    return _table(head, rows)


def _probe(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    worst = ", ".join(f"{escape(n)} {v}" for n, v in list(found["single"].items())[:6])
    verdict = {
        True: _span("good", "Passed"),
        False: _span("bad", "Failed: doubt results on this workload"),
        None: "Undecided: too few attackers or controls for the classifier",
    }[found["passed"]]
    return (
        f"<h3>Does the generator give itself away?</h3><p>{verdict}. Classifier on what no attacker must alter: AUC {_num(found['auc'])} "
        f"(allowed {found['auc_allowed']}) on {found['accounts']:,} accounts. "
        f"Highest single raw features (allowed {found['single_allowed']}): {worst}.</p>"
    )


def _raised(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    head = ("detector", "shard", "account", "archetype", "tenant", "kind", "feature", "day")
    lines = [_row(escape(str(r[h])) for h in head) for r in rows[:200]]
    return _folded(f"False alerts by name ({len(rows)}{'+' if len(rows) >= 500 else ''})", _table(head, lines))


# ---- windows


def _windows(found: dict[str, Any]) -> str:
    parts = [f"<h2>Windows of prompts (protocol of arXiv 2606.05725)</h2><p class=note>{escape(found['note'])}</p>"]
    for size, table in found["sizes"].items():
        statistics = table["statistics"]
        shares = list(next(iter(statistics.values()))["tpr"])
        rows = [
            _row(
                (escape(n), _num(s["fpr"]), f"{_num(s['worst_fpr'])} {escape(s['worst_group'])}", *map(_num, s["tpr"].values())),
                ours=n.startswith(_OURS),
            )
            for n, s in statistics.items()
        ]
        head = ("statistic", "FPR, all groups", "worst benign group", *(f"TPR at {s}" for s in shares))
        groups = [
            _row((escape(g), f"{count:,}", *(_num(s["fpr_by_group"][g]) for s in statistics.values())))
            for g, count in table["windows_per_group"].items()
        ]
        folded = _folded("False positives by benign group", _table(("benign group", "windows", *statistics), groups))
        parts.append(f"<h3>{escape(size)} prompts</h3>{_table(head, rows)}{folded}")
    return "".join(parts)


# ---- ablation


def _ablation(found: dict[str, Any]) -> str:
    context = " · ".join(f"{escape(str(k))}: {escape(str(v))}" for k, v in sorted(found["context"].items()))
    parts = [f"<h2>What it leans on: one thing off at a time</h2><p class=note>{escape(found['note'])}<br>{context}</p>"]
    head = (
        "off", "", "false alerts per 1,000 days (95 %)", "macro recall n·s² ≥ 150", "50–150",
        "median attack requests before alert, share ≥ 50 %", "25–50 %", "attacks lost", "gained", "what it is",
    )  # fmt: skip
    for name, w in found["workloads"].items():
        ranked = by_reliance(w["rows"])
        rows, points = [], []
        for r in ranked:
            false = r["false"] or {}
            verdict = "bad" if false.get("high", 0.0) > 1.5 * found["budget"] else "good"
            between = _span("note", f"{_num(false.get('low'))}–{_num(false.get('high'))}")
            strong = r["recall"].get(STRONG, {})
            cells = [
                escape(r["off"]),
                escape(r["what"]),
                f"{_span(verdict, _num(false.get('per_1000')))} {between}",
                _num(strong.get("macro")),
                _num(r["recall"].get("50–150", {}).get("macro")),
                _num(r["delay"].get("share ≥ 50 %")),
                _num(r["delay"].get("share 25–50 %")),
                str(r["lost"]),
                str(r["gained"]),
                _span("note", escape(r["meaning"])),
            ]
            rows.append(_row(cells, ours=not r["what"]))
            if r["what"]:
                lost = r["lost"] / max(w["attacks"], 1)
                points.append((r["off"], lost, lost))
        parts.append(
            f"<h3>{escape(name)}</h3><p>{w['shards']} populations, {w['account_days']:,} benign active account-days, "
            f"{w['attacks']} attacks.</p>{_table(head, rows)}"
        )
        parts.append(_figure(bars(points, _LOST_MUCH, "Attacks lost"), _LOST_CAPTION))
    return "".join(parts)
