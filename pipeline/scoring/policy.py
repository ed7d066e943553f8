"""Policy: findings become episodes, episodes become alerts and their revisions. Times are event time, from the blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.events.alert import CANARY_PREFIX, TECHNIQUES, Alert, Kind, LossRate
from pipeline.features.blocks import before
from pipeline.scoring.episode import Closed, Episode, Mark, alert_id
from pipeline.scoring.explain import Reason, explain, headline
from pipeline.scoring.facts import facts, seen_hours
from pipeline.scoring.kinds import KINDS
from pipeline.scoring.storm import PASSES, Storm
from pipeline.scoring.tally import Tally
from pipeline.scoring.tells import OF_KIND
from pipeline.scoring.twins import alternatives
from pipeline.scoring.verdicts import earlier

if TYPE_CHECKING:
    from pipeline.base.settings import DetectSettings
    from pipeline.features.kernel import Blocks
    from pipeline.scoring.mind import Mind
    from pipeline.scoring.prior import Spread

DETECTOR_VERSION = "1"
_UPDATE_MS = 6 * HOUR_MS
REOPENS_MS = DAY_MS
"""An episode of the same kind this soon after the last one ended is the same incident: its alert opens again."""
_GROWTH = 1.25
_AGREES = 0.5
"""A reason that moved the log-odds by at least this makes the finding more certain."""
_SUPPORTS = 2.0
"""A block whose log-odds beyond the usual are at least this keeps an episode from being quiet."""


class Finding(NamedTuple):
    """A kind whose evidence crossed the bar in this block."""

    kind: int
    reasons: list[Reason]
    level: bool = False
    """The whole life stands out, not a change."""


class Policy:
    """See the module. Keeps no state of its own but the storm brake's."""

    def __init__(self, settings: DetectSettings, spreads: dict[str, Spread], partition: int = 0) -> None:
        self.storm = Storm(settings, partition, DETECTOR_VERSION)
        self.tune(settings, spreads)

    def tune(self, settings: DetectSettings, spreads: dict[str, Spread]) -> None:
        """Let other settings take effect."""
        self._quiet_ms = int(settings.cooldown_h * HOUR_MS)
        self._spreads = spreads
        self.storm.tune(settings)

    def judge(self, mind: Mind, findings: list[Finding], support: float, blocks: Blocks, k: int, account_id: str) -> list[Alert]:
        """Open an episode, or bring the open one up to date."""
        if mind.episodes:
            return self._go_on(mind, findings, support, blocks, k, account_id)
        return self._open(mind, findings[0], len(findings), blocks, k, account_id) if findings else []

    def _open(self, mind: Mind, finding: Finding, fires: int, blocks: Blocks, k: int, account_id: str) -> list[Alert]:
        kind = KINDS[finding.kind]
        closed_before = _same_again(mind.closed, kind, int(blocks.closed_ms[k]))
        mind.counts[finding.kind] += closed_before is None
        closed = int(blocks.closed_ms[k])
        now = tuple(blocks.totals[k].tolist())
        if mind.run is not None:
            first, start = mind.run.first_ms, (mind.run.requests, mind.run.input_tokens, mind.run.output_tokens)
        elif finding.level:
            first, start = int(blocks.opened_ms[k]), (0, 0, 0)  # the whole life is what stands out
        else:
            first, start = int(blocks.opened_ms[k]), before(blocks, k)
        agreeing = sum(reason.score >= _AGREES for reason in finding.reasons)
        vector = blocks.vector[k].tolist()
        opening = (int(blocks.opened_ms[k]), before(blocks, k)) if first < closed - HOUR_MS else (first, start)
        episode = Episode(
            kind=kind.value, alert_id=alert_id(account_id, kind, mind.counts[finding.kind]), revision=1,
            opened_ms=closed, first_seen_ms=first, last_seen_ms=closed, raised_ms=closed,
            start=start, now=now, before=now, fires=fires, reported=(0, 0, 0), confidence=min(0.6 + 0.1 * agreeing, 0.95),
            headline="", explanation=explain(vector, finding.reasons, self._spreads),
            usual=_usual(vector, now[0], start[0], closed - first),
            marks=[Mark(opening[0], opening[1][0], opening[1][2]), Mark(closed, now[0], now[2])], tally=Tally(int(OF_KIND[kind])),
        )  # fmt: skip
        notes = mind.notes.notes()
        for note in notes:
            episode.take(note)
        mind.notes.clear()
        episode.account = facts(vector, now[0], next((note.plan for note in reversed(notes) if note.plan), ""), earlier(mind))
        episode.alternatives = alternatives(kind, vector)
        if closed_before is not None:
            episode.go_on_from(closed_before)
        mind.episodes = [episode]
        return self._send(mind, self._revision(account_id, mind, "opened", closed))

    def _go_on(self, mind: Mind, findings: list[Finding], support: float, blocks: Blocks, k: int, account_id: str) -> list[Alert]:
        episode = mind.episodes[0]
        closed = int(blocks.closed_ms[k])
        episode.mark(Mark(closed, int(blocks.totals[k, 0]), int(blocks.totals[k, 2])))
        if not findings and not support >= _SUPPORTS:
            return []
        vector = blocks.vector[k].tolist()
        episode.now = tuple(blocks.totals[k].tolist())
        episode.account = facts(vector, episode.now[0], episode.account.plan, earlier(mind))
        episode.last_seen_ms = max(episode.last_seen_ms, closed)
        episode.fires += len(findings)
        mind.deadline_ms = episode.last_seen_ms + self._quiet_ms
        mind.risk = episode.risk
        risk_class, severity, requests = episode.reported
        worse = episode.risk_class > risk_class or episode.severity > severity
        grown = closed - episode.raised_ms >= _UPDATE_MS and episode.requests >= _GROWTH * requests
        if not worse and not grown:
            return []
        if findings:
            episode.explanation = explain(vector, findings[0].reasons, self._spreads) or episode.explanation
        episode.alternatives = alternatives(Kind(episode.kind), vector)
        episode.revision += 1
        return self._send(mind, self._revision(account_id, mind, "updated", closed))

    def expire(self, account_id: str, mind: Mind, now_ms: int) -> list[Alert]:
        """Close the open episode if its quiet time ended at or before `now_ms`."""
        if not mind.episodes or mind.deadline_ms > now_ms:
            return []
        mind.episodes[0].revision += 1
        alerts = self._send(mind, self._revision(account_id, mind, "closed", mind.deadline_ms))
        mind.closed = mind.episodes[0].close(mind.deadline_ms)
        mind.episodes = []
        mind.forget()
        mind.deadline_ms = 0
        mind.risk = 0.0
        mind.watch = False
        return alerts

    def _send(self, mind: Mind, alert: Alert) -> list[Alert]:
        """Let a revision out, or what goes out in its place in a storm. A folded episode that gets severe opens its own alert then."""
        episode = mind.episodes[0]
        instead: list[Alert] | None = None
        if episode.folded:
            if alert.severity >= PASSES and alert.state == "updated":
                episode.folded = False
                return [msgspec.structs.replace(alert, state="opened")]
            instead = []
        elif alert.state == "opened":
            instead = self.storm.fold(alert)
        if instead is None:
            return [alert]
        episode.folded = True
        episode.revision -= 1  # it was not said
        return instead

    def _revision(self, account_id: str, mind: Mind, state: Literal["opened", "updated", "closed"], raised_ms: int) -> Alert:
        e = mind.episodes[0]
        kind = Kind(e.kind)
        e.raised_ms = raised_ms
        e.reported = (e.risk_class, e.severity, e.requests)
        hours = (e.last_seen_ms - e.first_seen_ms) / HOUR_MS
        e.headline = headline(kind, e.requests, e.output_tokens, hours, e.explanation)
        mind.risk = e.risk
        mind.deadline_ms = e.last_seen_ms + self._quiet_ms
        return Alert(
            alert_id=e.alert_id, revision=e.revision, state=state, subject_type="account", subject_id=account_id, account_ids=[account_id],
            kind=kind, headline=e.headline, severity=e.severity, risk=e.risk, confidence=e.confidence, first_seen_ms=e.first_seen_ms,
            last_seen_ms=e.last_seen_ms, raised_at_ms=raised_ms, requests=e.requests, input_tokens=e.input_tokens,
            output_tokens=e.output_tokens, explanation=e.explanation, techniques=list(TECHNIQUES[kind]), evidence=e.evidence(raised_ms),
            recommended_action=e.action, detector_version=DETECTOR_VERSION, requests_before=e.before[0], output_tokens_before=e.before[2],
            slices=e.tally.slices(), account=e.account, loss_rate=LossRate() if state == "closed" else e.loss_rate, if_wrong=e.if_wrong,
            alternatives=e.alternatives, canary=account_id.startswith(CANARY_PREFIX),
        )  # fmt: skip


def _same_again(closed: Closed | None, kind: Kind, now_ms: int) -> Closed | None:
    """The account's last episode, if this is the same kind so soon after that it is the same incident."""
    return closed if closed is not None and closed.kind == kind.value and now_ms - closed.closed_ms <= REOPENS_MS else None


def _usual(vector: list[float], requests: int, before: int, since_ms: int) -> float:
    """Requests per hour of the time before the suspicion: `before` of the `requests` so far, over the hours before `since_ms` ago."""
    hours = seen_hours(vector, requests) - since_ms / HOUR_MS
    return round(before / max(hours, 1.0), 1)
