"""An alert in an analyst's words. Pure: text in, text out."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from pipeline.features.catalogue import FEATURES, INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping

BASELINES = {"own": "its own past", "cohort": "accounts like it", "population": "all accounts"}
ACTIONS = {
    "watch": "keep an eye on it; nothing needs to be done yet",
    "throttle": "lower its rate limit until somebody has looked at the evidence",
    "verify": "ask the owner who uses it and for what, before anything else",
    "suspend": "suspend it, after a second person has looked at the evidence",
}
DIMENSIONS = {"api_key": "key", "address_block": "addresses", "template": "template", "model": "model"}
EVIDENCE_SHOWN = 10
_WINDOWS = {-1: "over the account's life", 0: "in one block of requests", 3_600: "in an hour", 86_400: "in a day", 604_800: "in a week"}
_LOGARITHM = re.compile(r"ln\((1\+)?(.+)\)")


def explanation(alert: Mapping[str, Any]) -> str:
    """Who it is, what was expected and observed, through what it goes, what else it could be, what proves it, what to do next.

    Args:
        alert: a row of `alerts_latest`, its nested columns as lists of objects.
    """
    members = len(alert["account_ids"])
    whom = f"{alert['subject_type']} {alert['subject_id']}" + (f" ({members} accounts)" if members > 1 else "")
    kind = str(alert["kind"]).replace("_", " ")
    state = "Closed" if alert["state"] == "closed" else "Open"
    now = f"{_count(alert['requests'])} requests, {_count(alert['input_tokens'])} input and {_count(alert['output_tokens'])} output tokens"
    before = f"{_count(alert['requests_before'])} requests, {_count(alert['output_tokens_before'])} output tokens"
    lines = [
        alert["headline"],
        "",
        f"{whom}: suspected {kind}, severity {alert['severity']} of 5, risk {alert['risk']:.2f}, confidence {alert['confidence']:.2f}.",
        f"{state} at revision {alert['revision']}. First seen {alert['first_seen']}, last seen {alert['last_seen']} (UTC, event time).",
        f"Taken in this episode: {now}; before it opened: {before}.",
        *_standing(alert),
        "",
        "What was expected and what was observed, what counted most first:",
    ]
    ranked = sorted(alert["explanation"], key=lambda entry: -entry["contribution"])
    lines += [line for entry in ranked for line in _feature(entry)] or ["  (this alert carries no features)"]
    lines += [*_slices(alert["slices"]), *_alternatives(alert["alternatives"])]
    lines += ["", *_evidence(alert["evidence"])]
    if alert["techniques"]:
        lines.append(f"Techniques: {', '.join(alert['techniques'])} (MITRE ATLAS and ATT&CK, OWASP)")
    action = alert["recommended_action"]
    lines += ["", f"Next: {action}: {ACTIONS.get(action, 'see the guide')}."]
    if alert["if_wrong"]:
        lines.append(f"If the suspicion is wrong, that blocks {_count(alert['if_wrong'])} benign requests an hour.")
    lines.append(f"What you find out: stillwatch feedback {alert['alert_id']} true_positive (or false_positive, benign, …)")
    return "\n".join(lines)


def _standing(alert: Mapping[str, Any]) -> list[str]:
    """What leaves at the moment, and who it is."""
    lines = []
    if alert["loss_requests_per_hour"]:
        tokens = _count(alert["loss_output_tokens_per_hour"])
        lines.append(f"Leaving at the moment: {_count(alert['loss_requests_per_hour'])} requests and {tokens} output tokens an hour.")
    if alert["account_seen_days"]:
        age = "sign-up not told" if alert["account_age_days"] is None else f"signed up {alert['account_age_days']:,.1f} days ago"
        plan = f"plan {alert['account_plan']}" if alert["account_plan"] else "plan not told"
        verdicts = ", ".join(alert["account_verdicts"]) or "none"
        lately = f"{_count(alert['account_requests_30d'])} requests in 30 days"
        lines.append(f"Account: {plan}, {age}, seen for {alert['account_seen_days']:,.1f} days, {lately}, earlier verdicts: {verdicts}.")
    return lines


def _slices(slices: list[Mapping[str, Any]]) -> list[str]:
    if not slices:
        return []
    stops = [part for part in slices if part["stops"]]
    lines = ["", "Through what it goes (share of what is suspicious; of the account's other requests):"]
    lines += [
        f"  {DIMENSIONS[part['dimension']]} {part['value']}: {part['share']:.0%}; {part['ordinary_share']:.0%}"
        f"{'  ← ' + ('these stop' if len(stops) > 1 else 'this stops') + ' it' if part['stops'] else ''}"
        for part in slices
    ]
    return lines if stops else [*lines, "  No few values hold 90 % of it: only the account as a whole stops it."]


def _alternatives(alternatives: list[Mapping[str, Any]]) -> list[str]:
    lines = ["", "What else it could be:"] if alternatives else []
    for twin in alternatives:
        lines.append(f"  {twin['title']}")
        for word, texts in (("fits", twin["fits"]), ("contradicts", twin["contradicts"])):
            lines += [f"    {word}: {text}" for text in texts]
        lines.append(f"    ask: {twin['question']}")
    return lines


def _feature(entry: Mapping[str, Any]) -> list[str]:
    name = str(entry["feature"])
    meaning = FEATURES[INDEX[name]].meaning if name in INDEX else name.replace("_", " ")
    low, high, seen = (_value(float(entry[key]), entry["unit"]) for key in ("expected_low", "expected_high", "observed"))
    window = _WINDOWS.get(entry["window_s"], f"in {entry['window_s'] / 3_600:g} hours")
    whose = BASELINES.get(entry["baseline"], entry["baseline"])
    judged = f"{_chance(float(entry['tail_probability']))}; {float(entry['contribution']):.0%} of the decision"
    if entry["phrase"]:
        return [f"  {entry['phrase']}", f"    {name}, {window}: {judged}"]
    return [
        f"  {meaning} ({name}), {window}",
        f"    expected {low} to {high} {_unit(entry['unit'])} from {whose}, observed {seen}: {judged}",
    ]


def _value(value: float, unit: str) -> str:
    """A number in the unit people use: logarithms of amounts and of ratios are taken back."""
    logarithm = _LOGARITHM.fullmatch(unit)
    if logarithm and logarithm[1] and value < 700:
        value = math.expm1(value)
    elif logarithm and "/" in logarithm[2] and value < 700:
        value = math.exp(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _unit(unit: str) -> str:
    logarithm = _LOGARITHM.fullmatch(unit)
    return logarithm[2] if logarithm and (logarithm[1] or "/" in logarithm[2]) else unit


def _chance(probability: float) -> str:
    if probability <= 0:
        return "never seen in normal use"
    odds = 1 / probability
    if odds < 1.5:
        return "nothing unusual by itself"
    return f"about 1 in {odds:,.0f} by chance" if odds < 1e6 else f"about 1 in 10^{math.log10(odds):.0f} by chance"


def _evidence(evidence: list[Mapping[str, Any]]) -> list[str]:
    if not evidence:
        return ["Evidence: none kept."]
    shown = [
        f"  {entry['event_id']}  {entry['occurred_at']}  at {entry['position']}"
        + (f"  conversation {entry['conversation_id']}" if entry["conversation_id"] else "")
        + (f"  ({entry['why']})" if entry["why"] else "")
        for entry in sorted(evidence, key=lambda entry: not entry["why"])[:EVIDENCE_SHOWN]
    ]
    more = len(evidence) - len(shown)
    rest = [f"  and {more} more: `stillwatch alerts show`"] if more else []
    return [f"Evidence: {len(evidence)} requests (event id, time, partition:offset in the requests topic)", *shown, *rest]


def _count(value: float) -> str:
    return f"{value:,}"
