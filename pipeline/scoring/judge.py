"""The judge of a partition: blocks in, alerts out. Holds the calibration in force; decisions live in each account's mind.

CHANGE (a block against the account's own past) accumulates over blocks; LEVEL (the life so far against comparable accounts) is
looked at once per doubling of requests. They share the alert budget and are never multiplied into each other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.detectors.models import CHANNELS, Channel
from pipeline.features.blocks import before
from pipeline.scoring import verdicts
from pipeline.scoring.calibration import score_of
from pipeline.scoring.channels import FLOORS, MIN_REQUESTS, SHAPE_OF, channel_values
from pipeline.scoring.evidence import CAP, ZERO, advance, deposit_share, strength
from pipeline.scoring.explain import Reason
from pipeline.scoring.force import CHANGE_GRID, Force
from pipeline.scoring.kinds import KINDS, SIGNATURES
from pipeline.scoring.levels import looks_at
from pipeline.scoring.mind import Mind, Run
from pipeline.scoring.policy import Finding, Policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings
    from pipeline.events.alert import Alert
    from pipeline.features.kernel import Blocks
    from pipeline.scoring.prior import Prior

HOUR_MS = 3_600_000
_DAY_HOURS = 24
_CHANGE_SHARE = 0.5
"""Of each kind's budget; LEVEL has the rest."""
_ELEVATED = 0.01
"""Evidence from which an account's models stop learning, and it no longer teaches the calibration."""
_WATCHED = 0.0002
"""Evidence from which an account is watched, so that the requests are at hand when it comes to an alert."""
_FREEZE_MS = 7 * 24 * HOUR_MS
"""Longest time that suspicion keeps models from learning: growth must not be locked out for ever."""
_TEACHES = 3
"""Blocks after which an account teaches the calibration."""
_SPECIFIC = 2.5
"""A kind whose score is at least this explains the block; less specific kinds then get nothing from it."""
_FULL = 25
_ADOPT = 4
"""Blocks in a row of a new shape after which it is the account's shape."""
_WATCH_REQUESTS = 200
"""An account's first requests are watched: what proves a case that is odd from the start happened there."""


_FLOORS = np.array([FLOORS.get(channel, -np.inf) for channel in CHANNELS])


class Prepared(NamedTuple):
    """What the vectorised part knows about blocks lo … hi − 1."""

    lo: int
    channels: list[list[float]]  # [m][channels] standardised values, NaN missing
    quiet: list[list[bool]]  # [m][channels] too small an effect to accuse of anything
    shapes: list[int]  # [m]
    limited: list[bool]  # [m] rate limits are most of the errors
    looks: list[int]  # [m] the look that falls into the block, −1 none
    levels: NDArray[np.float64]  # [m, levels] values
    level_scores: NDArray[np.float64]  # [m, levels] calibrated, NaN where no look
    joint: NDArray[np.float64]  # [m, kinds] joint statistics, NaN where no look
    joint_scores: NDArray[np.float64]  # [m, kinds] calibrated


class Judge:
    """See the module."""

    def __init__(self, settings: DetectSettings, prior: Prior | None = None) -> None:
        self.settings = settings
        self.force = Force(prior)
        self._policy = Policy(settings.cooldown_h, self.force.prior.features)
        per_day = settings.alert_budget / 1000.0
        self._deposits = [per_day * s.share * _CHANGE_SHARE for s in SIGNATURES]
        bars = [self.force.bar(per_day * s.share * (1.0 - _CHANGE_SHARE)) for s in SIGNATURES]
        self._bars = np.array(bars)

    # ---- blocks

    def prepare(self, blocks: Blocks, lo: int, hi: int) -> Prepared:
        """Everything about blocks lo … hi − 1 that does not depend on their accounts' minds."""
        vector = blocks.vector[lo:hi]
        values, shapes = channel_values(vector, blocks.requests[lo:hi])
        prior = self.force.prior
        quiet = values < _FLOORS
        values = (values - prior.centers) / prior.scales
        after = blocks.totals[lo:hi, 0]
        looks = looks_at(after) - 1
        looks[looks == looks_at(after - blocks.requests[lo:hi]) - 1] = -1
        levels, level_scores, joint, joint_scores = self.force.look(vector, looks)
        return Prepared(
            lo,
            values.tolist(),
            quiet.tolist(),
            shapes.tolist(),
            self.force.limited(vector),
            looks.tolist(),
            levels,
            level_scores,
            joint,
            joint_scores,
        )

    def decide(self, prepared: Prepared, k: int, blocks: Blocks, mind: Mind, account_id: str) -> list[Alert]:
        """Judge block k: models learn, evidence moves, policy speaks. Blocks of one account must come in closing order.

        1. the clock of the account: in a new hour the volume of the last one is scored and learned;
        2. River scores the block on each other channel;
        3. kinds' joint scores move the evidence;
        4. a look, if the account has doubled;
        5. policy: what fired becomes an alert or its next revision;
        6. models and calibration learn, unless something is going on.
        """
        at = k - prepared.lo
        closed = int(blocks.closed_ms[k])
        requests = int(blocks.requests[k])
        mind.seen += 1
        before = mind.hour
        volume = self._turn(mind, closed // HOUR_MS)  # 1
        new_hour = mind.hour > before
        values = prepared.channels[at]
        scores = self._scores(mind, values, volume, prepared.shapes[at], requests)  # 2
        joint = _joint(scores, prepared.quiet[at], limited=prepared.limited[at])
        verdicts.observe(mind, closed, requests)
        findings = self._change(mind, joint, scores)  # 3
        look = prepared.looks[at]
        if look >= 0:
            findings += self._level(mind, prepared, at)  # 4
        breach = verdicts.breach(mind)
        if breach is not None:
            findings.insert(0, Finding(breach, [Reason(Channel.VOLUME, CAP)]))
        self._follow(mind, blocks, k)
        support = max((value for value in joint if not math.isnan(value)), default=-math.inf)
        alerts = self._policy.judge(mind, findings, support, blocks, k, account_id)  # 5
        if breach is not None:
            alerts = verdicts.explain_breach(mind, alerts)
        calm = not mind.episodes and mind.run is None
        if requests >= MIN_REQUESTS:
            self._learn(mind, values, scores, prepared.shapes[at], closed)  # 6
        if calm:
            if new_hour and mind.seen > _TEACHES:
                self.force.teach_change(joint)
            if look >= 0:
                self.force.teach_level(look, prepared.levels[at], prepared.joint[at])
        mind.watch = bool(mind.episodes) or support >= _SPECIFIC or mind.suspicion >= _WATCHED or int(blocks.totals[k, 0]) < _WATCH_REQUESTS
        if not mind.watch:
            mind.notes.clear()
        return alerts

    def _turn(self, mind: Mind, hour: int) -> float:
        """Let the account's clock reach `hour` → the score of the hour that is now over, once; NaN otherwise.

        Volume votes once an hour, with the hour's total as far as its blocks told it: inside an hour it would say the same
        thing at every block.
        """
        if hour <= mind.hour:
            mind.day_blocks += 1
            return math.nan
        first = mind.hour < 0
        mind.day_blocks = 0 if first or hour // _DAY_HOURS > mind.hour // _DAY_HOURS else mind.day_blocks + 1
        mind.hour = hour
        value, mind.pending = mind.pending, math.nan
        if math.isnan(value):
            return math.nan
        score = mind.models.score(Channel.VOLUME, value)
        if not mind.episodes and mind.run is None:
            mind.models.learn(Channel.VOLUME, value, score)
        return self._given(score)

    def _given(self, score: float) -> float:
        """River's score, or nothing at all in the test that shows that it matters."""
        return 0.0 if self.settings.constant_scores and not math.isnan(score) else score

    def _scores(self, mind: Mind, values: list[float], volume: float, shape: int, requests: int) -> list[float]:
        """River's score of each channel; NaN where the value is missing, of another shape, or the past too short."""
        if mind.shape == 0 and requests >= MIN_REQUESTS:
            mind.shape = shape
        odd = shape ^ mind.shape
        shrink = math.sqrt(min(requests, _FULL) / _FULL)  # small blocks are noisier than the models' deviation says
        out = [volume]
        for channel in CHANNELS[1:]:
            value = values[channel]
            missing = math.isnan(value) or odd & SHAPE_OF[channel]
            out.append(math.nan if missing else self._given(mind.models.score(channel, value)) * shrink)
        return out

    def _change(self, mind: Mind, joint: list[float], scores: list[float]) -> list[Finding]:
        findings = []
        evidence = mind.evidence or [ZERO] * len(KINDS)
        part = deposit_share(mind.day_blocks)
        explained = False
        moved = []
        for i, signature in enumerate(SIGNATURES):
            statistic = joint[i]
            if math.isnan(statistic):
                moved.append(evidence[i])
                continue
            table = self.force.change_table[i]
            z = table[0] if statistic < CHANGE_GRID.low else score_of(table, CHANGE_GRID, statistic)
            if explained:
                z = min(z, 0.0)
            explained = explained or statistic >= _SPECIFIC
            stepped = advance(evidence[i], self._deposits[i] * part, z)
            if strength(stepped) >= verdicts.change_bar(mind, i):
                stepped = ZERO
                reasons = [Reason(signature.channel, scores[signature.channel])]
                reasons += [Reason(c, scores[c]) for c in signature.with_channels if scores[c] >= 1.0]
                if not verdicts.held(mind, i):
                    findings.append(Finding(i, reasons))
            moved.append(stepped)
        mind.evidence = moved
        return findings

    def _level(self, mind: Mind, prepared: Prepared, at: int) -> list[Finding]:
        findings = []
        scores = prepared.level_scores[at].tolist()
        for i in np.flatnonzero(prepared.joint_scores[at] >= verdicts.level_bars(mind, self._bars)).tolist():
            if verdicts.held(mind, i):
                continue
            signature = SIGNATURES[i]
            reasons = [Reason(signature.level, scores[signature.level])]
            reasons += [Reason(w, scores[w]) for w in signature.with_levels if scores[w] >= 1.0]
            findings.append(Finding(i, reasons))
        return findings

    @staticmethod
    def _follow(mind: Mind, blocks: Blocks, k: int) -> None:
        """Remember where suspicion began, forget it when it is gone."""
        suspicion = mind.suspicion
        if suspicion < _ELEVATED:
            mind.run = None
        elif mind.run is None:
            mind.run = Run(int(blocks.closed_ms[k]), int(blocks.opened_ms[k]), *before(blocks, k))
        if not mind.episodes:
            mind.risk = 0.6 * (1.0 + math.log10(min(max(suspicion, 1e-6), 1.0)) / 6.0)

    def _learn(self, mind: Mind, values: list[float], scores: list[float], shape: int, closed: int) -> None:
        if _frozen(mind, closed):
            return
        if mind.shape != shape:
            mind.mismatches += 1
            if mind.mismatches >= _ADOPT:  # a gateway changed what it passes on: start anew on that
                mind.shape, mind.mismatches = shape, 0
                mind.models.reanchor()
            return
        mind.mismatches = 0
        total, count = 0.0, 0
        for channel in CHANNELS:
            value = values[channel]
            if math.isnan(value):
                continue
            score = scores[channel]
            if not math.isnan(score):
                total += min(max(score, -4.0), 4.0)
                count += 1
            if channel == Channel.VOLUME:
                mind.pending = value
            else:
                mind.models.learn(channel, value, score)
        if count and mind.models.drifted(total / math.sqrt(count)):
            mind.models.reanchor()

    # ---- time

    def expire(self, account_id: str, mind: Mind, now_ms: int) -> list[Alert]:
        """Close the episodes whose quiet time ended at or before `now_ms`."""
        return self._policy.expire(account_id, mind, now_ms)

    def end_epoch(self, epoch: int) -> None:
        """An event-time epoch ended: what was counted in it comes into force."""
        self.force.end_epoch(epoch)

    def pack(self) -> bytes:
        """Counts and tables, exact."""
        return self.force.pack()

    def unpack(self, data: bytes) -> None:
        """Continue from `pack`.

        Raises:
            CodecError: the bytes do not decode.
            NewerFormatError: written by a newer program.
        """
        self.force.unpack(data)


def _frozen(mind: Mind, closed: int) -> bool:
    """Whether suspicion keeps the models from learning: for a week at most, then what goes on is the account's new normal."""
    episode = mind.episodes[0] if mind.episodes else None
    if episode is None:
        return mind.run is not None and closed - mind.run.since_ms < _FREEZE_MS
    if not episode.anchored and closed - episode.opened_ms >= _FREEZE_MS:
        episode.anchored = True
        mind.models.reanchor()
        mind.evidence = None
    return not episode.anchored


def _joint(scores: list[float], quiet: list[bool], *, limited: bool) -> list[float]:
    """For each kind the smaller of its own channel's score and the best of those that must agree; NaN when one is missing."""
    joint = []
    for signature in SIGNATURES:
        own = scores[signature.channel]
        if quiet[signature.channel] or (signature.channel == Channel.FRICTION and limited != signature.about_limits):
            own = min(own, 0.0)
        best = -math.inf
        for channel in signature.with_channels:
            score = scores[channel]
            best = max(best, score)  # a NaN is never larger
        joint.append(math.nan if math.isnan(own) or best == -math.inf else min(own, best))
    return joint
