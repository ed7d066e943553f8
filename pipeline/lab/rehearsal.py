"""Worlds by other hands, judged one after another as one fleet: who is accused in vain, who is found, and what verdicts change.

The fleet goes on from world to world with new customers; its bars remember. An analyst, if there is one, rules on each alert some
hours after it opened, and is right.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.events.control import Verdict, VerdictId, baselines_of, verdict_control_id
from pipeline.features.blocks import rows_of
from pipeline.lab.evaluate.closing import aligned
from pipeline.lab.evaluate.summary import BANDS, STRONG
from pipeline.lab.prior import History
from pipeline.lab.teach import world_history, world_of
from pipeline.lab.worlds.authors import FIRST_SEED
from pipeline.scoring.judge import Judge
from pipeline.scoring.mind import Mind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.base.settings import DetectSettings
    from pipeline.events.alert import Alert
    from pipeline.lab.worlds.world import World


class Cast(NamedTuple):
    """A world as the judge sees it, and the truth about it."""

    history: History
    hostile: NDArray[np.int64]  # [blocks] attack requests
    attackers: frozenset[str]


class Score(NamedTuple):
    """Of one world."""

    account_days: int
    """Of honest accounts."""
    accused: int
    """Honest accounts that alert."""
    attacks: int
    """With n·s² ≥ 150."""
    found: int
    """Of those."""


def cast(world: World) -> Cast:
    """Play a world through intake and features."""
    history, hostile = world_history(world)
    return Cast(history, hostile, frozenset(world.attackers))


def casts(
    authors: Iterable[str], seeds: int, data: Path | None, size: tuple[int, int], tell: Callable[[str, int, int], None]
) -> dict[str, list[Cast]]:
    """The first worlds that do not teach, of each author: so many (customers, days). `tell` hears (what, done, in all)."""
    wanted = [(author, FIRST_SEED + n) for author in authors for n in range(seeds)]
    found: dict[str, list[Cast]] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        played = pool.map(_made, *zip(*((author, seed, data, size) for author, seed in wanted), strict=True))
        for done, ((author, seed), made) in enumerate(zip(wanted, played, strict=True), 1):
            found.setdefault(author, []).append(made)
            tell(f"{author} {seed}", done, len(wanted))
    return found


def _made(author: str, seed: int, data: Path | None, size: tuple[int, int]) -> Cast:
    return cast(world_of(data, author, seed, size=size))


def rehearse(fleet: Iterable[Cast], settings: DetectSettings, rules_after_ms: int | None = None) -> list[Score]:
    """Judge the worlds of a fleet in turn; with `rules_after_ms` somebody rules on each alert so long after it opened."""
    scores = []
    bars: bytes | None = None
    for world in fleet:
        judge = Judge(settings)
        if bars is not None:
            judge.bars.unpack(bars)
        scores.append(_judge(world, judge, settings.epoch_s * 1_000, rules_after_ms))
        bars = judge.bars.pack()
    return scores


def _judge(world: Cast, judge: Judge, epoch_ms: int, rules_after_ms: int | None) -> Score:
    blocks, accounts = world.history
    attacker = np.array([account in world.attackers for account in accounts])
    first, last = _attacked(world)
    minds = [Mind.fresh() for _ in accounts]
    prepared = judge.prepare(blocks, 0, len(blocks.slot))
    epochs = judge.bars.epoch - int(blocks.closed_ms[0]) // epoch_ms if judge.bars.epoch else 0
    to_rule: deque[tuple[int, int, Alert]] = deque()
    alerted = np.zeros(len(accounts), np.bool_)
    for k, slot in enumerate(blocks.slot.tolist()):
        now, mind = int(blocks.closed_ms[k]), minds[slot]
        while to_rule and to_rule[0][0] <= now:
            _, of, alert = to_rule.popleft()
            judge.rule(minds[of], _verdict(alert, harmless=not attacker[of]))
        if now // epoch_ms + epochs > judge.bars.epoch:
            judge.end_epoch(now // epoch_ms + epochs)
        if mind.deadline_ms and mind.deadline_ms <= now:
            judge.expire(accounts[slot], mind, now)
        for alert in judge.decide(prepared, k, blocks, mind, accounts[slot]):
            if alert.subject_type != "account":
                continue
            alerted[slot] |= not attacker[slot] or first[slot] <= k <= last[slot]
            if rules_after_ms is not None and alert.state == "opened":
                to_rule.append((now + rules_after_ms, slot, alert))
    honest = History(rows_of(blocks, ~attacker[blocks.slot]), accounts)
    strong = attacker & (_strength(world, first, last) >= BANDS[STRONG][0])
    return Score(honest.account_days, int((alerted & ~attacker).sum()), int(strong.sum()), int((alerted & strong).sum()))


def _attacked(world: Cast) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last block of each account's attack; none: an empty range."""
    slot = world.history.blocks.slot
    first = np.full(len(world.history.accounts), len(slot), np.int64)
    last = np.full(len(world.history.accounts), -1, np.int64)
    at = np.flatnonzero(world.hostile)
    np.minimum.at(first, slot[at], at)
    np.maximum.at(last, slot[at], at)
    return first, last


def _strength(world: Cast, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float64]:
    """n·s² of each account's attack."""
    blocks, accounts = world.history
    at = np.arange(len(blocks.slot))
    during = np.flatnonzero((at >= first[blocks.slot]) & (at <= last[blocks.slot]))
    n, total = (np.bincount(blocks.slot[during], of[during], len(accounts)) for of in (world.hostile, blocks.requests))
    return n * (n / np.maximum(total, 1.0)) ** 2


def _verdict(alert: Alert, *, harmless: bool) -> Verdict:
    return Verdict(
        control_id=verdict_control_id(alert.alert_id), account_id=alert.subject_id, issued_at_ms=alert.raised_at_ms, issued_by="rehearsal",
        alert_id=alert.alert_id, kind=alert.kind, baselines=baselines_of([(e.baseline, e.contribution) for e in alert.explanation]),
        verdict_id=VerdictId.FALSE_POSITIVE if harmless else VerdictId.TRUE_POSITIVE,
    )  # fmt: skip


def worlds_closing(fleets: dict[str, dict[str, list[Score]]]) -> str:
    """Scores by who rules and by author → text."""
    head = ("author", "", "account-days", "accused/1000 days", "last world", f"found {STRONG}")
    authors = next(iter(fleets.values()))
    return aligned(head, [(author, who, *_told(of[author])) for author in authors for who, of in fleets.items()])


def total(scores: list[Score]) -> Score:
    """A fleet's scores in one."""
    return Score(*(sum(column) for column in zip(*scores, strict=True)))


def _told(scores: list[Score]) -> tuple[str, str, str, str]:
    days, accused, attacks, found = total(scores)
    last = scores[-1]
    return f"{days:,}", _rate(accused, days), _rate(last.accused, last.account_days), f"{found}/{attacks}"


def _rate(accused: int, days: int) -> str:
    return f"{1_000 * accused / max(days, 1):.1f}"
