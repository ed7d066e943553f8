"""The judge of a partition: blocks in, alerts out. Holds the calibration in force; decisions live in each account's mind."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.errors import CodecError
from pipeline.detectors.models import Channel
from pipeline.events.alert import TECHNIQUES, Alert, Explanation, Kind
from pipeline.features.catalogue import FEATURES, INDEX
from pipeline.scoring.episode import Episode
from pipeline.scoring.evidence import advance, strength
from pipeline.scoring.kinds import KINDS, SIGNATURES
from pipeline.scoring.mind import WATCH_REQUESTS, Mind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings
    from pipeline.features.kernel import Blocks

DETECTOR_VERSION = "0.1"
HOUR_MS = 3_600_000
_FIRST_LOOK = 50
_UPDATE_MS = 6 * HOUR_MS


class Prepared(NamedTuple):
    """What the vectorised part knows about blocks lo … hi − 1."""

    lo: int
    channels: NDArray[np.float64]  # [m, channels] standardised channel values
    level: NDArray[np.float64]  # [m, kinds] calibrated level scores


class Judge:
    """See the module."""

    def __init__(self, settings: DetectSettings) -> None:
        self.settings = settings
        self._budget = settings.alert_budget / 1000.0
        self._epoch = 0

    def prepare(self, blocks: Blocks, lo: int, hi: int) -> Prepared:
        """Level scores and channel values of blocks lo … hi − 1."""
        v = blocks.vector[lo:hi]
        channels = np.full((hi - lo, len(Channel)), np.nan)
        channels[:, Channel.VOLUME] = (v[:, INDEX["tokens_hour"]] - 8.0) / 1.5
        channels[:, Channel.STRUCTURE] = 2.0 * np.nan_to_num(v[:, INDEX["template_mass"]]) + 4.0 * np.nan_to_num(v[:, INDEX["similarity"]]) - 1.0
        channels[:, Channel.SHIFT] = (v[:, INDEX["shift_slow"]] - 0.3) / 0.2
        channels[:, Channel.FORM] = (v[:, INDEX["output_length"]] - 5.0) / 1.0
        level = np.zeros((hi - lo, len(KINDS)))
        tm, si = v[:, INDEX["life_template_mass"]], v[:, INDEX["life_similarity"]]
        level[:, 1] = np.where((tm > 0.7) & (si > 0.4), 4.0, 0.0)
        level[:, 2] = np.where(v[:, INDEX["life_marker_share"]] > 0.7, 4.0, 0.0)
        level[:, 0] = np.where((v[:, INDEX["life_hourly_tokens"]] > 13.0) & (v[:, INDEX["life_active_share"]] > 0.8), 4.0, 0.0)
        return Prepared(lo, channels, level)

    def decide(self, prepared: Prepared, k: int, blocks: Blocks, mind: Mind, account_id: str) -> list[Alert]:
        """Judge block k: models learn, evidence moves, policy speaks. Blocks of one account must come in closing order."""
        row = k - prepared.lo
        x = prepared.channels[row].tolist()
        scores = self._scores(mind, x)
        mind.seen += 1
        closed = int(blocks.closed_ms[k])
        requests = int(blocks.totals[k, 0])
        fired: list[tuple[int, float]] = []
        evidence = [mind.evidence_of(i) for i in range(len(KINDS))]
        deposit = self._budget / 20.0
        for i, signature in enumerate(SIGNATURES):
            zs = sorted((scores[c] for _, c in signature.change if not math.isnan(scores[c])), reverse=True)
            if len(zs) >= 2:
                evidence[i] = advance(evidence[i], deposit * signature.share, (zs[0] + 2.0 * zs[1]) / 3.0)
                if strength(evidence[i]) >= 1.0:
                    fired.append((i, min(strength(evidence[i]), 10.0)))
                    evidence[i] = (0.0,) * 4
        while requests >= _FIRST_LOOK << mind.looks:
            mind.looks += 1
            for i in range(len(KINDS)):
                if prepared.level[row, i] >= 3.5:
                    fired.append((i, 5.0))
        mind.evidence = evidence
        return self._policy(fired, k, blocks, mind, account_id, closed)

    def _scores(self, mind: Mind, x: list[float]) -> list[float]:
        out = []
        for channel in Channel:
            if self.settings.constant_scores:
                z = math.nan if math.isnan(x[channel]) else 0.0
            else:
                z = mind.models.score(channel, x[channel])
            if not mind.episodes:
                mind.models.learn(channel, x[channel])
            out.append(z)
        return out

    def _policy(self, fired: list[tuple[int, float]], k: int, blocks: Blocks, mind: Mind, account_id: str, closed: int) -> list[Alert]:
        alerts: list[Alert] = []
        totals = blocks.totals[k].tolist()
        size = int(blocks.requests[k])
        if mind.episodes:
            episode = mind.episodes[0]
            episode.requests = totals[0] - episode.start_requests
            episode.input_tokens = totals[1] - episode.start_input
            episode.output_tokens = totals[2] - episode.start_output
            if fired:
                episode.last_seen_ms = max(episode.last_seen_ms, closed)
            mind.deadline_ms = episode.last_seen_ms + int(self.settings.cooldown_h * HOUR_MS)
            if closed >= episode.raised_ms + _UPDATE_MS and fired:
                episode.raised_ms = closed
                episode.revision += 1
                alerts.append(self._alert(account_id, episode, "updated", closed))
        elif fired:
            kind = KINDS[max(fired, key=lambda f: f[1])[0]]
            i = KINDS.index(kind)
            mind.counts[i] += 1
            number = mind.counts[i]
            digest = hashlib.blake2b(f"account|{account_id}|{kind}|{number}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
            opened = int(blocks.opened_ms[k])
            episode = Episode(
                kind=kind.value, number=number, alert_id=digest, revision=1, opened_ms=closed, first_seen_ms=opened, last_seen_ms=closed, raised_ms=closed,
                start_requests=totals[0] - size, start_input=totals[1], start_output=totals[2], requests=size, input_tokens=0, output_tokens=0,
                risk=0.75, severity=3, confidence=0.8, reported_risk=0.75, requests_before=totals[0], output_before=totals[2],
                headline=f"Suspected {kind.replace('_', ' ')}", explanation=self._explain(blocks, k), events=list(mind.notes),
            )  # fmt: skip
            mind.notes = []
            mind.episodes = [episode]
            mind.deadline_ms = closed + int(self.settings.cooldown_h * HOUR_MS)
            alerts.append(self._alert(account_id, episode, "opened", closed))
        mind.risk = mind.episodes[0].risk if mind.episodes else 0.0
        mind.watch = bool(mind.episodes) or totals[0] < WATCH_REQUESTS
        if not mind.watch:
            mind.notes = []
        return alerts

    def _explain(self, blocks: Blocks, k: int) -> list[Explanation]:
        f = FEATURES[0]
        return [Explanation(f.name, f.unit, f.window_s, float(blocks.vector[k, 0]), 0.0, 1.0, "population", 0.001, 1.0)]

    def _alert(self, account_id: str, e: Episode, state: str, raised: int) -> Alert:
        return Alert(
            alert_id=e.alert_id, revision=e.revision, state=state, subject_type="account", subject_id=account_id, account_ids=[account_id],  # type: ignore[arg-type]
            kind=Kind(e.kind), headline=e.headline, severity=e.severity, risk=e.risk, confidence=e.confidence, first_seen_ms=e.first_seen_ms,
            last_seen_ms=e.last_seen_ms, raised_at_ms=raised, requests=e.requests, input_tokens=e.input_tokens, output_tokens=e.output_tokens,
            explanation=e.explanation, techniques=list(TECHNIQUES[Kind(e.kind)]), evidence=list(e.events), recommended_action="verify",
            detector_version=DETECTOR_VERSION, requests_before=e.requests_before, output_tokens_before=e.output_before,
        )  # fmt: skip

    def expire(self, account_id: str, mind: Mind, now_ms: int) -> list[Alert]:
        """Close the episodes whose quiet time ended at or before `now_ms`."""
        if not mind.episodes or mind.deadline_ms > now_ms:
            return []
        episode = mind.episodes.pop(0)
        episode.revision += 1
        mind.deadline_ms = 0
        mind.risk = 0.0
        mind.watch = False
        return [self._alert(account_id, episode, "closed", now_ms)]

    def end_epoch(self, epoch: int) -> None:
        """An event-time epoch ended: what was counted comes into force."""
        self._epoch = epoch

    def pack(self) -> bytes:
        """Sums and tables."""
        return self._epoch.to_bytes(8, "little")

    def unpack(self, data: bytes) -> None:
        """Continue from `pack`."""
        if len(data) != 8:
            raise CodecError("packed judge does not decode")
        self._epoch = int.from_bytes(data, "little")
