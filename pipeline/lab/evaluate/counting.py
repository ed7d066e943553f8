"""What counts as a false alert, a hit, a miss: the rules of DETECTION 7, for every detector alike.

- A false alert is each benign account-day on which an episode opens, is open, or rises in severity.
- A hit is an episode opened after the attack's first request and within an hour of its last. An attack on an account that
  was alerting already is a miss, whatever comes later.
- Detectors without episodes (the baselines) raise instants: a day with one is a false alert; an account with one in the 24
  hours before the attack was alerting already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from pipeline.base.times import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from pipeline.lab.evaluate.table import Account, Shard

GRACE_MS = HOUR_MS
STALE_MS = DAY_MS


class Episode(NamedTuple):
    """One alert from its opening to its closing (the end of the shard when it never closed).

    Attributes:
        rises: moments at which its severity rose.
        feature: the explanation's strongest.
    """

    account: int
    opened_ms: int
    closed_ms: int
    rises: tuple[int, ...] = ()
    kind: str = ""
    feature: str = ""


class Hit(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a detector made of one attack.

    Attributes:
        already: it was alerting before (counted as missed).
        delay: attack requests up to the alert; −1 when missed.
        gone: share of the attack's output tokens gone by then; 1 when missed.
        kind: what the alert called it.
    """

    caught: bool
    already: bool = False
    delay: int = -1
    gone: float = 1.0
    kind: str = ""
    kind_right: bool = False
    feature: str = ""
    feature_right: bool = False


class Attacked(NamedTuple):
    """The attack's own requests, in order of time."""

    times: NDArray[np.int64]
    outputs: NDArray[np.int64]


def active_days(shard: Shard) -> NDArray[np.int64]:
    """Days with a request, per account."""
    day = (shard.events["time"] - shard.start_ms) // DAY_MS
    pairs = np.unique(shard.events["account"].astype(np.int64) * 1_000 + day)
    return np.bincount(pairs // 1_000, minlength=len(shard.accounts))


def attacked(shard: Shard) -> dict[int, Attacked]:
    """Each attacking account's hostile requests."""
    hostile = shard.events[shard.events["attack"] == 1]
    found = {}
    for number in np.unique(hostile["account"]).tolist():
        mine = hostile[hostile["account"] == number]
        found[number] = Attacked(mine["time"], np.maximum(mine["output"], 0).astype(np.int64))
    return found


def false_days(shard: Shard, episodes: Iterable[Episode]) -> set[int]:
    """Day numbers of one benign account on which an episode opened, was open, or rose."""
    found: set[int] = set()
    last = (shard.end_ms - 1 - shard.start_ms) // DAY_MS
    for e in episodes:
        first = (e.opened_ms - shard.start_ms) // DAY_MS
        until = max(first, (max(e.closed_ms, e.opened_ms) - shard.start_ms - 1) // DAY_MS)
        found.update(range(int(max(first, 0)), int(min(until, last)) + 1))
        found.update(int((r - shard.start_ms) // DAY_MS) for r in e.rises)
    return found


def judge_episodes(account: Account, hostile: Attacked, episodes: Iterable[Episode], speaks_for: Mapping[str, tuple[str, ...]]) -> Hit:
    """Whether one attack was caught.

    Args:
        account: the attacker's.
        hostile: its requests.
        episodes: of the account.
        speaks_for: feature → kinds it speaks for (the catalogue's word).
    """
    truth = account.truth
    if truth is None or hostile.times.size == 0:
        return Hit(caught=False)
    begin, end = int(hostile.times[0]), int(hostile.times[-1]) + GRACE_MS
    ranked = sorted(episodes, key=lambda e: e.opened_ms)
    if any(e.opened_ms < begin <= e.closed_ms for e in ranked):
        return Hit(caught=False, already=True)
    first = next((e for e in ranked if begin <= e.opened_ms <= end), None)
    if first is None:
        return Hit(caught=False)
    delay, gone = _spent(hostile, first.opened_ms)
    right = bool(set(speaks_for.get(first.feature, ())) & set(truth.kinds))
    return Hit(
        caught=True,
        delay=delay,
        gone=gone,
        kind=first.kind,
        kind_right=first.kind in truth.kinds,
        feature=first.feature,
        feature_right=right,
    )


def judge_instants(hostile: Attacked, instants: NDArray[np.int64]) -> Hit:
    """Whether a detector that only raises instants caught an attack; `instants` are the account's, sorted."""
    if hostile.times.size == 0:
        return Hit(caught=False)
    begin, end = int(hostile.times[0]), int(hostile.times[-1]) + GRACE_MS
    if ((instants >= begin - STALE_MS) & (instants < begin)).any():
        return Hit(caught=False, already=True)
    later = instants[(instants >= begin) & (instants <= end)]
    if later.size == 0:
        return Hit(caught=False)
    delay, gone = _spent(hostile, int(later[0]))
    return Hit(caught=True, delay=delay, gone=gone)


def instant_days(shard: Shard, instants: NDArray[np.int64]) -> int:
    """Days with an instant."""
    return int(np.unique((instants - shard.start_ms) // DAY_MS).size)


def _spent(hostile: Attacked, at_ms: int) -> tuple[int, float]:
    count = int(np.searchsorted(hostile.times, at_ms, side="right"))
    total = int(hostile.outputs.sum())
    return count, float(hostile.outputs[:count].sum() / total) if total else 0.0
