"""The judge of a partition: blocks in, alerts out. Holds the bars in force; decisions live in each account's mind.

CHANGE: how much more a block looks like an attack than this account's blocks usually do, summed up (River knows the usual). Two
sums: a patient one that small excesses reach if they last, and a sharp one that only strong ones reach; what honest life
does for long is weak, so a small budget leaves the sharp one its voice.
LEVEL: how much the life so far looks like one, looked at once per doubling of requests. They share the alert budget and are
never added to each other: a benign account that is unusual for ever would be accused for ever.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.errors import CodecError
from pipeline.base.times import DAY_MS
from pipeline.events.control import Baseline
from pipeline.features.blocks import before
from pipeline.scoring import verdicts
from pipeline.scoring.bars import Bars
from pipeline.scoring.calibration import Measure
from pipeline.scoring.explain import Reason
from pipeline.scoring.inputs import CHANGE_SOURCES, LEVEL_SOURCES, MIN_REQUESTS, change_inputs, kind_inputs, level_inputs
from pipeline.scoring.kinds import FAMILY_OF, KINDS
from pipeline.scoring.levels import look_in, near_look
from pipeline.scoring.mind import PATIENT, Run
from pipeline.scoring.policy import Finding, Policy
from pipeline.scoring.taught import Taught, shipped_taught
from pipeline.scoring.trees import Trees, contributions, log_odds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings
    from pipeline.events.alert import Alert
    from pipeline.events.control import AboutAccount
    from pipeline.features.kernel import Blocks
    from pipeline.scoring.mind import Mind
    from pipeline.scoring.prior import Prior

_LENGTH = struct.Struct("<I")
_ELEVATED = 1.0
"""Evidence from which an account's models stop learning."""
_FREEZE_MS = 7 * DAY_MS
"""Longest time that suspicion keeps models from learning: growth must not be locked out for ever."""
_KNOWN_MS = 7 * DAY_MS
_NEWS = 1.0
"""Log-odds by which a look must be more telling than the one that accused in the last week, to accuse again."""
_WITNESS = 0.1
"""A family speaks when it brings at least this share of what speaks for a decision."""
_WITNESSES = 2
_MOST_CALM = 0.6
"""Highest risk of an account without an episode; an episode begins above it."""
_WATCH_REQUESTS = 25
"""An account is watched when LEVEL is this near: what proves a case that stands out as a whole must be at hand.

Notes hold 16 requests; watching earlier would only write down what is forgotten again (half of detect's time was that).
"""


class Prepared(NamedTuple):
    """What the vectorised part knows about blocks lo … hi − 1."""

    lo: int
    odds: list[float]  # [m] CHANGE, NaN for blocks too small to say
    level: list[float]  # [m] LEVEL, NaN where no look


class Judge:
    """See the module."""

    def __init__(
        self, settings: DetectSettings, prior: Prior | None = None, taught: Taught | None = None, partition: int = 0, partitions: int = 1
    ) -> None:
        self.settings = settings
        self.bars = Bars(settings, prior, partitions)
        self._taught = shipped_taught() if taught is None else taught
        self._policy = Policy(settings, self.bars.prior.features, partition)

    # ---- blocks

    def prepare(self, blocks: Blocks, lo: int, hi: int) -> Prepared:
        """Everything about blocks lo … hi − 1 that does not depend on their accounts' minds."""
        vector, totals, requests = blocks.vector[lo:hi], blocks.totals[lo:hi], blocks.requests[lo:hi]
        odds = np.where(requests >= MIN_REQUESTS, log_odds(self._taught.change, change_inputs(vector, totals)), np.nan)
        level = np.full(hi - lo, np.nan)
        at = np.flatnonzero(look_in(totals[:, 0], requests) >= 0)
        if at.size:
            level[at] = log_odds(self._taught.level, level_inputs(vector[at], totals[at]))
        return Prepared(lo, odds.tolist(), level.tolist())

    def decide(self, prepared: Prepared, k: int, blocks: Blocks, mind: Mind, account_id: str) -> list[Alert]:
        """Judge block k: models learn, evidence moves, policy speaks. Blocks of one account must come in closing order.

        1. the clock of the account;
        2. River says how far the block's log-odds are beyond the account's usual;
        3. that moves the evidence of CHANGE;
        4. a look of LEVEL, if the account has doubled;
        5. policy: what fired becomes an alert or its next revision;
        6. the models learn, unless something is going on.
        """
        at = k - prepared.lo
        closed, requests = int(blocks.closed_ms[k]), int(blocks.requests[k])
        if mind.turn(closed // DAY_MS):  # 1
            self._policy.storm.seen()
            self.bars.teach_day()
        odds = prepared.odds[at]
        excess = self._given(mind.models.excess(odds)) if mind.days > 1 else math.nan  # 2
        verdicts.observe(mind, closed, requests)
        findings = self._change(mind, excess, blocks, k)  # 3
        if not math.isnan(prepared.level[at]):
            findings += self._level(mind, prepared.level[at], blocks, k)  # 4
        breach = verdicts.breach(mind)
        if breach is not None:
            findings.insert(0, Finding(breach, []))
        support = odds if math.isnan(excess) else excess
        alerts = self._policy.judge(mind, findings, support, blocks, k, account_id)  # 5
        if breach is not None:
            alerts = verdicts.explain_breach(mind, alerts)
        self._learn(mind, odds, closed)  # 6
        mind.watch = (
            bool(mind.episodes) or mind.evidence > 0.0 or support >= PATIENT.drift or near_look(int(blocks.totals[k, 0]), _WATCH_REQUESTS)
        )
        if not mind.watch:
            mind.notes.clear()
        return alerts

    def _given(self, excess: float) -> float:
        """River's word, or nothing at all in the test that shows that it matters."""
        return 0.0 if self.settings.constant_scores and not math.isnan(excess) else excess

    def _change(self, mind: Mind, excess: float, blocks: Blocks, k: int) -> list[Finding]:
        if math.isnan(excess):
            return []
        mind.gather(excess)
        self._follow(mind, excess, blocks, k)
        if mind.run is None or not self._over(mind, verdicts.LOWEST_SHIFT if mind.rulings else 0.0):
            return []
        kind = int(np.argmax(mind.run.votes))
        if not self._over(mind, verdicts.bar_shift(mind, kind, Baseline.CHANGE)):
            return []
        reasons = _reasons(self._taught.change, change_inputs(blocks.vector[k : k + 1], blocks.totals[k : k + 1])[0], CHANGE_SOURCES)
        if not _agree(reasons):
            return []  # the evidence stays: the next block may bring the second witness
        mind.evidence = mind.sharp = 0.0
        if verdicts.held(mind, kind):
            return []
        if not mind.episodes:
            mind.told = -math.inf  # this episode is none of LEVEL's
        return [Finding(kind, reasons)]

    def _over(self, mind: Mind, halvings: float) -> bool:
        """Whether one of CHANGE's sums is over its bar."""
        bar = self.bars.bar
        return mind.evidence >= bar(Measure.PATIENT, halvings) or mind.sharp >= bar(Measure.SHARP, halvings)

    def _level(self, mind: Mind, odds: float, blocks: Blocks, k: int) -> list[Finding]:
        if not mind.episodes:
            bar = self.bars.bar(Measure.LEVEL)
            mind.risk = max(mind.risk, _MOST_CALM / (1.0 + math.exp(bar - odds)))
            if odds < bar:
                self.bars.teach(Measure.LEVEL, odds)
        if odds < self.bars.bar(Measure.LEVEL, verdicts.LOWEST_SHIFT if mind.rulings else 0.0):
            return []
        kind = int(np.argmax(self._name(blocks, k)))
        if odds < self.bars.bar(Measure.LEVEL, verdicts.bar_shift(mind, kind, Baseline.LEVEL)):
            return []
        reasons = _reasons(self._taught.level, level_inputs(blocks.vector[k : k + 1], blocks.totals[k : k + 1])[0], LEVEL_SOURCES)
        if not _agree(reasons) or known_already(mind, odds, int(blocks.closed_ms[k])) or verdicts.held(mind, kind):
            return []
        mind.told = odds
        return [Finding(kind, reasons, level=True)]

    def _name(self, blocks: Blocks, k: int) -> list[float]:
        """Log-probability of each kind, given that block k holds an attack."""
        found: list[float] = self._taught.name(kind_inputs(blocks.vector[k : k + 1], blocks.totals[k : k + 1]))[0].tolist()
        return found

    def _follow(self, mind: Mind, excess: float, blocks: Blocks, k: int) -> None:
        """Remember where suspicion began and what it looks like, forget it when it is gone."""
        if mind.evidence <= 0.0:
            self.end_run(mind)
        elif mind.run is None:
            mind.run = Run(int(blocks.closed_ms[k]), int(blocks.opened_ms[k]), *before(blocks, k), [0.0] * len(KINDS))
        elif mind.sharp <= 0.0:
            self._end_sharp(mind, mind.run)
        if mind.run is not None and excess > PATIENT.drift:
            mind.run.peak = max(mind.run.peak, mind.evidence)
            mind.run.sharpest = max(mind.run.sharpest, mind.sharp)
            mind.run.votes = [a + b for a, b in zip(mind.run.votes, self._name(blocks, k), strict=True)]
        if not mind.episodes:
            mind.risk = 0.0 if mind.run is None else _MOST_CALM * min(self._near(mind), 1.0)

    def end_run(self, mind: Mind) -> None:
        """Suspicion is gone: how far it went teaches, unless it became an episode."""
        if mind.run is not None:
            self._end_sharp(mind, mind.run)
            if not mind.episodes:
                self.bars.teach(Measure.PATIENT, mind.run.peak)
        mind.run = None

    def _end_sharp(self, mind: Mind, run: Run) -> None:
        """The same of the sharp sum alone."""
        if run.sharpest > 0.0 and not mind.episodes:
            self.bars.teach(Measure.SHARP, run.sharpest)
        run.sharpest = 0.0

    def _near(self, mind: Mind) -> float:
        """How much of the way to its bar the nearer of CHANGE's sums has gone."""
        return max(mind.evidence / self.bars.bar(Measure.PATIENT), mind.sharp / self.bars.bar(Measure.SHARP))

    @staticmethod
    def _learn(mind: Mind, odds: float, closed: int) -> None:
        if not _frozen(mind, closed):
            mind.models.learn(odds)

    # ---- people

    def tune(self, settings: DetectSettings) -> None:
        """Let other settings take effect: what may change is named by `events.control.Setting`.

        Raises:
            SettingsError: the prior is not one of this detector's; nothing has changed.
        """
        self.bars.tune(settings)
        self._policy.tune(settings, self.bars.prior.features)

    def rule(self, mind: Mind, record: AboutAccount) -> None:
        """Let a decision take effect: on the bars of its account, and where alerts were in vain on everybody's."""
        for baseline, accounts in verdicts.rule(mind, record).items():
            self.bars.found_in_vain(baseline, accounts)

    # ---- time

    def expire(self, account_id: str, mind: Mind, now_ms: int) -> list[Alert]:
        """Close the episodes whose quiet time ended at or before `now_ms`."""
        return self._policy.expire(account_id, mind, now_ms)

    def tick(self, now_ms: int) -> list[Alert]:
        """An event-hour ended, by the watermark: the storm brake's clock. Call it at every hour's end."""
        return self._policy.storm.tick(now_ms)

    def end_epoch(self, epoch: int) -> None:
        """An event-time epoch ended: what was counted in it comes into force."""
        self.bars.end_epoch(epoch)

    def pack(self) -> bytes:
        """Calibration and storm brake, exact: the one's bytes, the other's, and how many these are."""
        storm = self._policy.storm.pack()
        return b"".join((self.bars.pack(), storm, _LENGTH.pack(len(storm))))

    def unpack(self, data: bytes) -> None:
        """Continue from `pack`.

        Raises:
            CodecError: the bytes do not decode.
            NewerFormatError: written by a newer program.
        """
        if len(data) < _LENGTH.size:
            raise CodecError(f"a packed judge of {len(data)} bytes")
        (size,) = _LENGTH.unpack(data[-_LENGTH.size :])
        cut = len(data) - _LENGTH.size - size
        if cut < 0:
            raise CodecError(f"a packed judge of {len(data)} bytes that names {size} for its storm brake")
        self.bars.unpack(data[:cut])
        self._policy.storm.unpack(data[cut : -_LENGTH.size])


def _frozen(mind: Mind, closed: int) -> bool:
    """Whether suspicion keeps the models from learning: for a week at most, then what goes on is the account's new normal."""
    episode = mind.episodes[0] if mind.episodes else None
    if episode is None:
        return mind.run is not None and mind.evidence > _ELEVATED and closed - mind.run.since_ms < _FREEZE_MS
    if not episode.anchored and closed - episode.opened_ms >= _FREEZE_MS:
        episode.anchored = True
        mind.forget()
    return not episode.anchored


def known_already(mind: Mind, odds: float, now_ms: int) -> bool:
    """Whether LEVEL would only say again what an episode of the last week said: the same life, hardly more telling than it was."""
    return not mind.episodes and mind.closed is not None and now_ms - mind.closed.closed_ms < _KNOWN_MS and odds < mind.told + _NEWS


def _reasons(trees: Trees, row: NDArray[np.float64], sources: tuple[tuple[int, bool], ...]) -> list[Reason]:
    """What spoke for the decision, one reason per feature: what it is and how it changed are one witness."""
    scores: dict[int, float] = {}
    own: set[int] = set()
    for (feature, change), score in zip(sources, contributions(trees, row).tolist(), strict=True):
        if feature >= 0:
            scores[feature] = scores.get(feature, 0.0) + score
            if change:
                own.add(feature)
    return [Reason(feature, feature in own, score) for feature, score in scores.items() if score > 0.0]


def _agree(reasons: list[Reason]) -> bool:
    """Whether two families of features speak for it: no family accuses alone."""
    families: dict[str, float] = {}
    for reason in reasons:
        family = FAMILY_OF[reason.feature]
        families[family] = families.get(family, 0.0) + reason.score
    total = sum(families.values())
    return sum(score >= _WITNESS * total for score in families.values()) >= _WITNESSES
