"""What people decided about an account, and what follows for its bars: verdicts move them, declarations excuse kinds.

What follows for the bars of everybody else is counted in `scoring.bars`.

Pure functions on the `rulings` of a mind (None for nearly every account). Decisions arrive in the order of the frames log, so a
replay decides the same. Both are bounded: no number of verdicts makes the detector deaf to an account, no declaration is for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pipeline.base.times import DAY_MS
from pipeline.events.alert import Alert, Explanation, Kind
from pipeline.events.control import EXPLAINS, Baseline, Declaration, Twin, Verdict, VerdictId
from pipeline.scoring.kinds import INDEX, KINDS

if TYPE_CHECKING:
    from pipeline.events.control import AboutAccount
    from pipeline.scoring.mind import Mind

LOWEST_SHIFT, HIGHEST_SHIFT = -1.0, 3.0
"""Of a bar: doubled sensitivity at most, an eighth of it at least."""
WEIGHTS: dict[int, float] = {VerdictId.FALSE_POSITIVE: 1.0, VerdictId.BENIGN: 1.0, VerdictId.TRUE_POSITIVE: -0.5}
"""What one verdict moves; the other verdicts are recorded and move nothing."""
MAX_RULINGS = 32
"""Verdicts that count for an account, the latest; three say as much as thirty."""
DECLARED = "requests_day"
"""Name of the explanation that says a declared limit was exceeded."""


class Ruling(msgspec.Struct, array_like=True, frozen=True):
    """A verdict that moves bars."""

    control_id: str
    kind: str
    baselines: list[Baseline]
    weight: float


class Excuse(msgspec.Struct, array_like=True):
    """A declaration in force."""

    control_id: str
    twin: Twin
    until_ms: int
    requests_per_day: int
    told_day: int = -1
    """Day on which its limit was last exceeded."""


class Rulings(msgspec.Struct, array_like=True):
    """Everything in force about an account, and what the limits need to know."""

    verdicts: list[Ruling]
    excuses: list[Excuse]
    day: int = -1
    """Event-day of `requests`."""
    requests: int = 0
    """Requests of that day, as far as its closed blocks told."""
    held: list[str] = []
    """Kinds that would have alerted under the present excuses."""


def rule(mind: Mind, record: AboutAccount) -> dict[Baseline, int]:
    """Let a decision take effect; the decision it replaces or revokes is gone → baselines that are now known to accuse it in vain (1).

    −1: it was known, and is taken back. However often an account alerts, it is one account.
    """
    before = _in_vain(mind)
    _take(mind, record)
    after = _in_vain(mind)
    return dict.fromkeys(after - before, 1) | dict.fromkeys(before - after, -1)


def _in_vain(mind: Mind) -> set[Baseline]:
    """Baselines whose alerts about the account were found harmless."""
    return set() if mind.rulings is None else {b for ruling in mind.rulings.verdicts if ruling.weight > 0.0 for b in ruling.baselines}


def _take(mind: Mind, record: AboutAccount) -> None:
    known = mind.rulings or Rulings([], [])
    verdicts = [ruling for ruling in known.verdicts if ruling.control_id != record.control_id]
    excuses = [excuse for excuse in known.excuses if excuse.control_id != record.control_id]
    if isinstance(record, Verdict) and (weight := WEIGHTS.get(record.verdict_id, 0.0)):
        verdicts.append(Ruling(record.control_id, record.kind.value, sorted(set(record.baselines)), weight))
    elif isinstance(record, Declaration):
        excuses.append(Excuse(record.control_id, record.twin, record.until_ms, record.requests_per_day))
    _settle(mind, known, verdicts[-MAX_RULINGS:], excuses[-len(Twin) :])


def _settle(mind: Mind, known: Rulings, verdicts: list[Ruling], excuses: list[Excuse]) -> None:
    if not excuses:  # nothing of what only limits need
        mind.rulings = Rulings(verdicts, excuses) if verdicts else None
    else:
        mind.rulings = Rulings(verdicts, excuses, known.day, known.requests, known.held)


def earlier(mind: Mind) -> list[str]:
    """Verdicts that count for an account in words, the newest last."""
    rulings = () if mind.rulings is None else mind.rulings.verdicts
    return [f"{ruling.kind} {'harmless' if ruling.weight > 0.0 else 'confirmed'}" for ruling in rulings]


# ---- bars


def bar_shift(mind: Mind, kind: int, baseline: Baseline) -> float:
    """How far verdicts move the bar of `KINDS[kind]`, in halvings of how often comparable accounts get there."""
    if mind.rulings is None:
        return 0.0
    name = KINDS[kind].value
    moved = sum(r.weight for r in mind.rulings.verdicts if r.kind == name and baseline in r.baselines)
    return min(max(moved, LOWEST_SHIFT), HIGHEST_SHIFT)


# ---- declarations


def observe(mind: Mind, closed_ms: int, requests: int) -> None:
    """A block of so many requests closed: excuses that have ended go, the day's requests are counted."""
    rulings = mind.rulings
    if rulings is None or not rulings.excuses:
        return
    if any(excuse.until_ms <= closed_ms for excuse in rulings.excuses):
        _settle(mind, rulings, rulings.verdicts, [excuse for excuse in rulings.excuses if excuse.until_ms > closed_ms])
        rulings = mind.rulings
        if rulings is None or not rulings.excuses:
            return
    day = closed_ms // DAY_MS
    if day > rulings.day:
        rulings.day, rulings.requests = day, 0
    if day == rulings.day:
        rulings.requests += requests


def held(mind: Mind, kind: int) -> bool:
    """Whether a declaration accounts for a finding of `KINDS[kind]`; it is remembered, in case the limit is exceeded."""
    rulings = mind.rulings
    if rulings is None or not any(KINDS[kind] in EXPLAINS[excuse.twin] and not _over(rulings, excuse) for excuse in rulings.excuses):
        return False
    name = KINDS[kind].value
    rulings.held = [*(other for other in rulings.held if other != name), name]
    return True


def breach(mind: Mind) -> int | None:
    """Index of the kind to accuse now, because a declared limit is exceeded for the first time today; None if not.

    It is the kind that was held back last. If none was, the excess itself is volume that nobody agreed to.
    """
    rulings = mind.rulings
    if rulings is None:
        return None
    new = [excuse for excuse in rulings.excuses if _over(rulings, excuse) and excuse.told_day < rulings.day]
    for excuse in new:
        excuse.told_day = rulings.day
    if not new:
        return None
    explained = EXPLAINS[new[0].twin]
    kinds = [INDEX[Kind(name)] for name in rulings.held if Kind(name) in explained and Kind(name) in INDEX]
    return kinds[-1] if kinds else INDEX[Kind.BULK_EXTRACTION]


def _over(rulings: Rulings, excuse: Excuse) -> bool:
    return 0 < excuse.requests_per_day < rulings.requests


def explain_breach(mind: Mind, alerts: list[Alert]) -> list[Alert]:
    """Say first that the limit was exceeded: in the alerts of this block and in the episode that they belong to."""
    rulings = mind.rulings
    if rulings is None or not mind.episodes:
        return alerts
    excuse = next(excuse for excuse in rulings.excuses if _over(rulings, excuse))
    limit = excuse.requests_per_day
    phrase = f"{rulings.requests:,} requests in one UTC day, above the {limit:,} that its declaration ({excuse.twin}) allows"
    entry = Explanation(DECLARED, "requests", 86_400, rulings.requests, 0.0, limit, "own", 0.0, 1.0, phrase)
    episode = mind.episodes[0]
    rest = [msgspec.structs.replace(e, contribution=0.0) for e in episode.explanation if e.feature != DECLARED]
    episode.explanation = [entry, *rest]
    episode.headline = limit_headline(entry)
    told = {"explanation": episode.explanation, "headline": episode.headline}
    return [msgspec.structs.replace(alert, **told) if alert.subject_type == "account" else alert for alert in alerts]


def limit_headline(entry: Explanation) -> str:
    """One sentence for people."""
    return f"Exceeds its declared limit: {entry.observed:,.0f} requests in a day, {entry.expected_high:,.0f} were declared"
