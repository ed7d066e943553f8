"""A driver without a book: blocks of simulated accounts, in order, into a judge."""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
import pytest

from pipeline.base.hashing import hash_texts
from pipeline.base.settings import DetectSettings
from pipeline.base.times import HOUR_MS
from pipeline.events.frame import COLUMNS, Columns
from pipeline.lab.prior import History, history
from pipeline.lab.simulate import ATTACK_KINDS, AttackSpec, Scenario, labels
from pipeline.scoring.judge import Judge
from pipeline.scoring.mind import Mind
from pipeline.scoring.notes import Requests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.events.alert import Alert
    from pipeline.lab.simulate import Label

START_MS = 1_790_000_000_000


class Population(NamedTuple):
    """Blocks of a scenario and the truth about its accounts."""

    history: History
    labels: dict[str, Label]


class Outcome(NamedTuple):
    """What judging a population gave."""

    alerts: list[Alert]
    minds: list[Mind]
    judge: Judge


def _play(
    population: Population,
    settings: DetectSettings | None = None,
    *,
    batches: Sequence[int] = (),
    between: Callable[[Judge, list[Mind]], tuple[Judge, list[Mind]]] | None = None,
    prepare_mind: Callable[[Mind], None] | None = None,
) -> Outcome:
    """Judge every block in order, expiring and turning epochs as a book does.

    Args:
        population: what to judge.
        settings: of the detector.
        batches: where `prepare` begins anew.
        between: what happens to judge and minds at these places (packing, say).
        prepare_mind: what was decided about each account beforehand.
    """
    settings = settings or DetectSettings()
    blocks, accounts = population.history
    judge, minds, alerts = Judge(settings), [Mind.fresh() for _ in accounts], []
    for mind in minds:
        if prepare_mind is not None:
            prepare_mind(mind)
    epoch_ms = settings.epoch_s * 1_000
    epoch = int(blocks.closed_ms[0]) // epoch_ms
    hour = int(blocks.closed_ms[0]) // HOUR_MS
    edges = [0, *batches, len(blocks.slot)]
    for lo, hi in pairwise(edges):
        prepared = judge.prepare(blocks, lo, hi)
        for k in range(lo, hi):
            slot, now = int(blocks.slot[k]), int(blocks.closed_ms[k])
            if now // HOUR_MS > hour:
                hour = now // HOUR_MS
                alerts += judge.tick(hour * HOUR_MS)
            if now // epoch_ms > epoch:
                epoch = now // epoch_ms
                judge.end_epoch(epoch)
                prepared = judge.prepare(blocks, lo, hi)
            if 0 < minds[slot].deadline_ms <= now:
                alerts += judge.expire(accounts[slot], minds[slot], now)
            alerts += judge.decide(prepared, k, blocks, minds[slot], accounts[slot])
        if between:
            judge, minds = between(judge, minds)
    return Outcome(alerts, minds, judge)


@functools.cache
def _populate(seed: int, accounts: int, attacks: tuple[AttackSpec, ...], days: float = 5.0) -> Population:
    """Blocks of a small scenario, made once."""
    scenario = Scenario(seed=seed, start_ms=START_MS, days=days, accounts=accounts, requests_per_account_day=80.0, attacks=attacks)
    return Population(history(scenario), {label.account_id: label for label in labels(scenario)})


class Play(Protocol):
    """See `_play`."""

    def __call__(
        self,
        population: Population,
        settings: DetectSettings | None = None,
        *,
        batches: Sequence[int] = (),
        between: Callable[[Judge, list[Mind]], tuple[Judge, list[Mind]]] | None = None,
        prepare_mind: Callable[[Mind], None] | None = None,
    ) -> Outcome:
        """Judge every block."""
        ...


class Populate(Protocol):
    """See `_populate`."""

    def __call__(self, seed: int, accounts: int, attacks: tuple[AttackSpec, ...], days: float = 5.0) -> Population:
        """Make a population."""
        ...


class MakeRequests(Protocol):
    """See `_requests`."""

    def __call__(self, count: int, lo: int = 0, **values: Any) -> Requests:  # noqa: ANN401 - as columns are
        """Make rows."""
        ...


def _requests(count: int, lo: int = 0, **values: Any) -> Requests:  # noqa: ANN401 - as columns are
    """Rows 0 … count − 1 of a frame, every column absent unless given (one value for all rows, or one each), read from `lo` on."""
    arrays: dict[str, Any] = {name: np.zeros((count, width) if width > 1 else count, dtype) for name, (dtype, width) in COLUMNS.items()}
    for name in ("input_tokens", "output_tokens", "max_tokens", "choice_count", "logprobs"):
        arrays[name][:] = -1
    arrays["offset"][:] = np.arange(count)
    arrays["occurred_at_ms"][:] = START_MS + 1_000 * np.arange(count)
    arrays["status"][:] = 200
    symbols = [""]
    for name, value in {"event_id": [f"e{i}" for i in range(count)], "operation": "chat", "model": "m", **values}.items():
        if COLUMNS[name][0] != np.dtype("<u4"):
            arrays[name][:] = value
            continue
        texts = [value] * count if isinstance(value, str) else list(value)
        symbols += [t for t in dict.fromkeys(texts) if t not in symbols]
        arrays[name][:] = [symbols.index(t) for t in texts]
    arrays["symbol_hash"] = hash_texts(symbols)
    return Requests(Columns(**arrays), symbols, np.full(count, 3), lo, count)


@pytest.fixture(scope="session")
def requests() -> MakeRequests:
    """Make requests to be noted."""
    return _requests


@pytest.fixture(scope="session")
def play() -> Play:
    """Judge a population without a book."""
    return _play


@pytest.fixture(scope="session")
def populate() -> Populate:
    """Make small populations, each once."""
    return _populate


@pytest.fixture(scope="session")
def mixed() -> Population:
    """Thirty benign accounts and one attacker of each kind, new and aged in turn."""
    return _populate(11, 30, MIXED)


_AGES: tuple[Literal["new", "aged"], ...] = ("new", "aged", "aged", "new", "aged")
MIXED = tuple(AttackSpec(kind, requests=1_500, share=0.9, account=age) for age, kind in zip(_AGES, ATTACK_KINDS, strict=True))
