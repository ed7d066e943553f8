"""The report's page: one file, no script, no address it would fetch from. Plots are inline SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from pipeline.lab.evaluate.svg import Series, bars, curves

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2330;background:#fff;margin:2rem auto;max-width:74rem;padding:0 1.2rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.4rem;border-bottom:1px solid #d8dde6;padding-bottom:.2rem}h3{font-size:1rem;margin-top:1.6rem}
table{border-collapse:collapse;font-size:.85rem;margin:.6rem 0}th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #e6e9ef}
th:first-child,td:first-child{text-align:left}th{font-weight:600;color:#49536a}tr.ours td{background:#eef4ff}
.bad{color:#b3261e;font-weight:600}.good{color:#1b6e3c;font-weight:600}.note{color:#5b6577;font-size:.85rem}.wide{overflow-x:auto}
svg{max-width:100%;height:auto}figure{margin:.8rem 0}figcaption{color:#5b6577;font-size:.85rem}
"""
_STRONG = "n·s² ≥ 150"


def page(figures: dict[str, Any]) -> str:
    """Figures → HTML."""
    body = [f"<h1>Stillwatch: evaluation</h1><p class=note>{_context(figures['context'])}</p>"]
    for name, found in figures["workloads"].items():
        body.append(_workload(name, found, figures["budgets"]))
    if windows := figures.get("windows"):
        body.append(windows_section(windows))
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>Stillwatch evaluation</title><style>{_STYLE}</style><body>{''.join(body)}</body></html>\n"


def _context(context: dict[str, Any]) -> str:
    return " · ".join(f"{escape(str(k))}: {escape(str(v))}" for k, v in sorted(context.items()))


def _workload(name: str, found: dict[str, Any], budgets: Sequence[float]) -> str:
    accounts = found["accounts"]
    head = (
        f"<h2>{escape(name)}</h2><p>{found['shards']} populations, {found['events']:,} requests, {accounts['ordinary']:,} ordinary accounts, "
        f"{accounts['matched']:,} benign controls at attack scale, {accounts['attack']:,} attackers; "
        f"{found['benign_account_days']:,} benign active account-days. Weather: {escape(', '.join(found['weather']) or 'none')}.</p>"
    )
    parts = [head, _table(found["detectors"], budgets), _curve(found["detectors"])]
    parts += [_details(n, d) for n, d in found["detectors"].items() if n.startswith("stillwatch") and not n.endswith("raw")]
    parts.append(_probe(found["probe"]))
    parts.append(_raised(found["raised"]))
    return "".join(parts)


def _table(detectors: dict[str, Any], budgets: Sequence[float]) -> str:
    rows = []
    for name, d in detectors.items():
        false, recall = d["false"] or {}, d["recall"] or {}
        bands = recall.get("bands", {})
        asked = next((b for b in budgets if name.startswith(f"stillwatch@{b:g}")), None)
        verdict = "" if asked is None or not false else "good" if false["high"] <= 1.5 * asked else "bad"
        delays = recall.get("median_requests_before_alert", {})
        cells = [
            escape(name),
            f"<span class='{verdict}'>{_num(false.get('per_1000'))}</span> <span class=note>{_num(false.get('low'))}–{_num(false.get('high'))}</span>",
            f"{false.get('account_days', 0):,}",
            *(_num(bands.get(b, {}).get("macro")) for b in (_STRONG, "50–150", "below 50")),
            f"{_num(bands.get(_STRONG, {}).get('worst_recall'))} {escape(bands.get(_STRONG, {}).get('worst', ''))}",
            _num(delays.get("share ≥ 50 %")),
            _num(delays.get("share 25–50 %")),
            _num(recall.get("right_kind")),
        ]
        rows.append(f"<tr class={'ours' if name.startswith('stillwatch') else 'other'}>{''.join(f'<td>{c}</td>' for c in cells)}</tr>")
    head = ("detector", "false alerts per 1,000 days (95 %)", "account-days seen", "macro recall n·s² ≥ 150", "50–150", "below 50",
            "worst archetype ≥ 150", "median attack requests before alert, share ≥ 50 %", "25–50 %", "right kind")  # fmt: skip
    notes = "".join(f"<br>{escape(n)}: {escape(d['note'])}" for n, d in detectors.items() if d["note"])
    return (
        f"<div class=wide><table><tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>{''.join(rows)}</table></div>"
        f"<p class=note>Slow detectors saw a subsample (their account-days say so); rules count only days with an alert.{notes}</p>"
    )


def _curve(detectors: dict[str, Any]) -> str:
    series = []
    for name, d in detectors.items():
        if d["recall"] and not name.endswith("raw"):
            points = [(b["n_s2"], b["recall"], b["low"], b["high"]) for b in d["recall"]["curve"]]
            series.append(Series(name, points, strong=name.startswith("stillwatch"), dashed=name == "oracle"))
    if not any(s.points for s in series):
        return ""
    return f"<figure>{curves(series)}<figcaption>Recall over n·s² (attack requests × share²), Wilson intervals for our own line.</figcaption></figure>"


def _details(name: str, d: dict[str, Any]) -> str:
    parts = [f"<h3>{escape(name)}</h3>"]
    if d["false"]:
        limit = 5.0
        rows = sorted(d["false_by_archetype"].items(), key=lambda item: (-(item[1]["per_1000"] or 0.0), item[0]))
        values = [(n, r["per_1000"] or 0.0, r["high"] or 0.0) for n, r in rows]
        parts.append(
            f"<figure>{bars(values, limit)}<figcaption>False alerts per 1,000 account-days by benign archetype, with the exact upper bound; line: 5.</figcaption></figure>"
        )
        parts.append(_fairness(d))
    if d["recall"]:
        parts.append(_archetypes(d["recall"]))
        r = d["recall"]
        parts.append(
            f"<p>Already alerting (counted as missed): {r['already_alerting']}. Attacks of ≥ 5,000 requests: median share of output tokens gone "
            f"{_num(r['output_gone_median'])}, at most 10 % gone in {_num(r['output_gone_at_most_10_percent'])}. Right kind {_num(r['right_kind'])}, "
            f"top feature speaks for the kind {_num(r['right_top_feature'])}.</p>"
        )
    return "".join(parts)


def _fairness(d: dict[str, Any]) -> str:
    cells = []
    for what, by in d["fairness"].items():
        rows = "".join(f"<tr><td>{escape(n)}</td><td>{r['account_days']:,}</td><td>{_num(r['per_1000'])}</td></tr>" for n, r in by.items())
        cells.append(
            f"<td style='vertical-align:top;border:0'><table><tr><th>{escape(what)}</th><th>days</th><th>per 1,000</th></tr>{rows}</table></td>"
        )
    unfair = d["unfair"]
    verdict = (
        f"<span class=bad>Above twice the whole: {escape(', '.join(unfair))}.</span>"
        if unfair
        else "<span class=good>None above twice the whole.</span>"
    )
    return f"<p>Fairness. {verdict}</p><div class=wide><table><tr>{''.join(cells)}</tr></table></div>"


def _archetypes(recall: dict[str, Any]) -> str:
    rows = []
    for name, r in recall["by_archetype"].items():
        named = ", ".join(f"{k} {n}" for k, n in r["named"].items())
        strong = _num(r["strong_recall"])
        low = r["strong_recall"] is not None and r["strong_recall"] < 0.85
        rows.append(
            f"<tr><td>{escape(name)}</td><td>{r['attacks']}</td><td>{r['caught']}</td><td>{r['strong']}</td>"
            f"<td class={'bad' if low else 'fine'}>{strong}</td><td>{_num(r['median_delay'])}</td><td>{r['already']}</td><td>{escape(named)}</td></tr>"
        )
    head = ("attack", "played", "caught", "with n·s² ≥ 150", "recall there", "median requests before alert", "already alerting", "named")
    return f"<div class=wide><table><tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>{''.join(rows)}</table></div>"


def _probe(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    worst = ", ".join(f"{escape(n)} {v}" for n, v in list(found["single"].items())[:6])
    verdict = "<span class=good>passed</span>" if found["passed"] else "<span class=bad>failed: doubt results on this workload</span>"
    return (
        f"<h3>Does the generator give itself away?</h3><p>{verdict}. Classifier on what no attacker must alter: AUC {_num(found['auc'])} "
        f"(allowed {found['auc_allowed']}) on {found['accounts']:,} accounts. Highest single raw features (allowed {found['single_allowed']}): {worst}.</p>"
    )


def _raised(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    head = ("detector", "shard", "account", "archetype", "tenant", "kind", "feature", "day")
    lines = "".join(f"<tr>{''.join(f'<td>{escape(str(r[h]))}</td>' for h in head)}</tr>" for r in rows[:200])
    return (
        f"<details><summary>False alerts by name ({len(rows)}{'+' if len(rows) >= 500 else ''})</summary><div class=wide><table>"
        f"<tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>{lines}</table></div></details>"
    )


def windows_section(found: dict[str, Any]) -> str:
    """The paper's protocol as a section."""
    parts = [f"<h2>Windows (arXiv 2606.05725)</h2><p class=note>{escape(found['note'])}</p>"]
    for size, table in found["sizes"].items():
        shares = list(next(iter(table["statistics"].values()))["tpr"])
        head = "".join(f"<th>{h}</th>" for h in ("statistic", "FPR, all groups", "worst benign group", *(f"TPR at {s}" for s in shares)))
        rows = []
        for name, s in table["statistics"].items():
            cells = [
                escape(name),
                _num(s["fpr"]),
                f"{_num(s['worst_fpr'])} {escape(s['worst_group'])}",
                *(_num(v) for v in s["tpr"].values()),
            ]
            rows.append(f"<tr class={'ours' if name.startswith('stillwatch') else 'other'}>{''.join(f'<td>{c}</td>' for c in cells)}</tr>")
        parts.append(
            f"<h3>Windows of {escape(size)} prompts</h3><div class=wide><table><tr>{head}</tr>{''.join(rows)}</table></div>{_groups(table)}"
        )
    return "".join(parts)


def _groups(table: dict[str, Any]) -> str:
    names = list(table["statistics"])
    groups = list(table["windows_per_group"])
    lines = []
    for g in groups:
        cells = "".join(f"<td>{_num(table['statistics'][n]['fpr_by_group'][g])}</td>" for n in names)
        lines.append(f"<tr><td>{escape(g)}</td><td>{table['windows_per_group'][g]:,}</td>{cells}</tr>")
    head = "".join(f"<th>{escape(h)}</th>" for h in ("benign group", "windows", *names))
    return f"<details><summary>False positives by benign group</summary><div class=wide><table><tr>{head}</tr>{''.join(lines)}</table></div></details>"


def _num(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def text_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Plain text, columns aligned: the closing lines of a run."""
    lines = [list(head), *(list(r) for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))) for line in lines
    )


def closing(figures: dict[str, Any]) -> str:
    """What a run prints at its end: one table per workload."""
    parts = []
    for name, found in figures["workloads"].items():
        rows = []
        for detector, d in found["detectors"].items():
            false, recall = d["false"] or {}, d["recall"] or {}
            bands = recall.get("bands", {})
            rows.append(
                [
                    detector,
                    f"{_num(false.get('per_1000'))} ({_num(false.get('low'))}–{_num(false.get('high'))})",
                    f"{false.get('account_days', 0):,}",
                    *(
                        f"{_num(bands.get(b, {}).get('macro'))}/{bands.get(b, {}).get('attacks', 0)}"
                        for b in (_STRONG, "50–150", "below 50")
                    ),
                    _num(recall.get("median_requests_before_alert", {}).get("share ≥ 50 %")),
                    _num(recall.get("right_kind")),
                ]
            )
        head = ("detector", "false/1000 days (95 %)", "days", "recall ≥150", "50–150", "<50", "delay s≥.5", "kind")
        parts.append(
            f"{name}: {found['shards']} shards, {found['events']:,} events, {found['benign_account_days']:,} benign account-days\n{text_table(head, rows)}"
        )
        if found["probe"]:
            p = found["probe"]
            top = ", ".join(f"{n} {v}" for n, v in list(p["single"].items())[:3])
            parts.append(
                f"generator probe: AUC {_num(p['auc'])} on {p['accounts']} accounts, highest single features {top}: {'passed' if p['passed'] else 'FAILED'}"
            )
    return "\n\n".join(parts)
