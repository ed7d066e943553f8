"""Our own detector on a shard: the pure book on the shard's frames, alerts read as episodes."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from pipeline.accounts.book import Book
from pipeline.features.catalogue import FEATURES
from pipeline.lab.evaluate.counting import Episode
from pipeline.lab.evaluate.frames import frames

if TYPE_CHECKING:
    from pipeline.base.settings import DetectSettings
    from pipeline.events.alert import Alert
    from pipeline.lab.evaluate.table import Shard

RING = 8_192
"""Shards hold no repeats: a small ring decides the same and is made faster."""


def detect(shard: Shard, settings: DetectSettings) -> list[Alert]:
    """Every revision of every alert, in order."""
    book = Book(0, 1, settings.model_copy(update={"dedupe_ring": RING}))
    alerts: list[Alert] = []
    for offset, frame in frames(shard):
        alerts += book.step(offset, frame).alerts
    return alerts


def episodes(shard: Shard, alerts: list[Alert]) -> list[Episode]:
    """Alerts about accounts as episodes; group and population alerts are left out (they are judged elsewhere).

    An alert that opened again is an episode of its own each time.
    """
    number = {a.account_id: i for i, a in enumerate(shard.accounts)}
    revisions: dict[str, list[list[Alert]]] = defaultdict(list)
    for alert in alerts:
        if alert.subject_type == "account":
            if alert.state == "opened":
                revisions[alert.alert_id].append([])
            revisions[alert.alert_id][-1].append(alert)
    found = []
    for history in chain.from_iterable(revisions.values()):
        opened = history[0]
        closed = history[-1].raised_at_ms if history[-1].state == "closed" else shard.end_ms
        rises = tuple(b.raised_at_ms for a, b in pairwise(history) if b.severity > a.severity)
        top = max(opened.explanation, key=lambda e: e.contribution, default=None)
        found.append(Episode(number[opened.subject_id], opened.raised_at_ms, closed, rises, opened.kind.value, top.feature if top else ""))
    return found


def speaks_for() -> dict[str, tuple[str, ...]]:
    """Feature → kinds it speaks for, as the catalogue says."""
    return {f.name: tuple(k.value for k in f.kinds) for f in FEATURES}
