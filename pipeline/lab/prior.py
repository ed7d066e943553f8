"""Fit a prior to benign histories: the spread of every feature, and what the evidence of benign accounts reaches.

Two passes over the same blocks; the second is the judge's own, as in production. `lab.teach` fits the shipped prior with it.
"""

from __future__ import annotations

import warnings
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.settings import DetectSettings, IngestSettings
from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.features.blocks import Blocks, joined, rows_of
from pipeline.features.catalogue import FEATURES
from pipeline.features.kernel import apply_events, close_open, new_blocks
from pipeline.features.row import ROW
from pipeline.intake.batch import read_batch
from pipeline.intake.columns import build
from pipeline.intake.validate import Limits
from pipeline.lab.simulate import Scenario, simulate
from pipeline.scoring.calibration import Measure
from pipeline.scoring.inputs import MIN_REQUESTS
from pipeline.scoring.judge import Judge
from pipeline.scoring.mind import Mind
from pipeline.scoring.prior import Prior, PriorFile, Spread, empty_prior, sparse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pipeline.events.frame import Columns
    from pipeline.scoring.taught import Taught

_BATCH = 4_000
_MIN_BLOCKS = 10


class History(NamedTuple):
    """All blocks of one population, in the order in which they closed, and the accounts behind `blocks.slot`."""

    blocks: Blocks
    accounts: list[str]

    @property
    def account_days(self) -> int:
        """UTC days on which an account closed a block, of all accounts."""
        return len(np.unique(self.blocks.slot * np.int64(1_000_000) + self.blocks.closed_ms // DAY_MS))


class Player:
    """Feeds events to the feature kernel as a book does: the clock closes open blocks at each event-hour's end."""

    def __init__(self, accounts: int, block_requests: int) -> None:
        self._rows = np.zeros(accounts, ROW)
        self._everyone = np.arange(accounts, dtype=np.int32)
        self._block_requests = block_requests
        self._hour = 0
        self._closed: list[Blocks] = []

    def feed(self, columns: Columns, slots: NDArray[np.int32]) -> None:
        """Events in order of time, each with its account's slot."""
        times = columns.occurred_at_ms
        cuts = np.append(np.flatnonzero(np.diff(times // HOUR_MS)) + 1, len(times)).tolist()
        out = new_blocks(2 * len(times) + len(self._rows) * len(cuts))
        count = lo = 0
        for hi in cuts:
            if times[lo] // HOUR_MS > self._hour:
                self._hour = int(times[lo] // HOUR_MS)
                count = close_open(self._rows, self._everyone, self._hour * HOUR_MS, out, count)
            count = apply_events(self._rows, columns, slots, lo, hi, self._block_requests, out, count)
            lo = hi
        self._closed.append(rows_of(out, slice(count)))

    def blocks(self) -> Blocks:
        """Everything that closed, in that order (open blocks are left out)."""
        return joined(self._closed)


def history(scenario: Scenario, block_requests: int = 25) -> History:
    """Play a scenario through intake and features → its blocks (open ones at the end are left out)."""
    played, _ = play((event.raw for event in simulate(scenario)), scenario.accounts + len(scenario.attacks), block_requests)
    return played


def play(raws: Iterable[bytes], accounts: int, block_requests: int) -> tuple[History, NDArray[np.int32]]:
    """Valid request events, in order of time, of so many accounts at most, through intake and features → blocks, each event's slot."""
    limits = Limits.of(IngestSettings())
    slots: dict[str, int] = {}
    slot_of: list[NDArray[np.int32]] = []
    player = Player(accounts, block_requests)
    waiting = iter(raws)
    while lines := list(islice(waiting, _BATCH)):
        batch = read_batch(lines, [-1] * len(lines), limits)
        absent = np.full(len(lines), -1)
        table = build(batch.events, absent, absent)
        of = np.array([slots.setdefault(account, len(slots)) for account in table.accounts.texts()], np.int32)
        slot_of.append(of[table.columns.account])
        player.feed(table.columns, slot_of[-1])
    return History(player.blocks(), list(slots)), np.concatenate(slot_of)


def spreads(histories: list[History]) -> dict[str, Spread]:
    """Every feature's usual deviation within an account, and where accounts lie."""
    with warnings.catch_warnings():  # numpy warns where a field is absent from an account or from all of them
        warnings.filterwarnings("ignore", r"All-NaN slice|Mean of empty slice|Degrees of freedom", RuntimeWarning)
        medians, within = [], []
        width = len(FEATURES)
        for blocks, accounts in histories:
            order = np.argsort(blocks.slot, kind="stable")
            order = order[blocks.requests[order] >= MIN_REQUESTS]
            edges = np.searchsorted(blocks.slot[order], np.arange(len(accounts) + 1))
            for lo, hi in pairwise(edges.tolist()):
                if hi == lo:
                    continue
                mine = blocks.vector[order[lo:hi], :width]
                medians.append(np.nanmedian(mine, axis=0))
                if hi - lo >= _MIN_BLOCKS:
                    within.append(np.nanvar(mine, axis=0))
        middle = np.array(medians)
        deviation = np.sqrt(np.nanmean(np.array(within), axis=0))
        return {
            feature.name: Spread(*(float(f"{x:.5g}") for x in (deviation[i], *np.nanquantile(middle[:, i], (0.05, 0.95)))))
            for i, feature in enumerate(FEATURES)
            if not np.isnan(middle[:, i]).all()
        }


def count(histories: Iterable[History], prior: Prior, taught: Taught | None = None) -> NDArray[np.int64]:
    """Judge every block of benign accounts with bars out of reach → what they reached [measures, BINS]."""
    judge = Judge(DetectSettings(), empty_prior()._replace(features=prior.features), taught)
    for blocks, accounts in histories:
        minds = [Mind.fresh() for _ in accounts]
        prepared = judge.prepare(blocks, 0, len(blocks.slot))
        for k, slot in enumerate(blocks.slot.tolist()):
            judge.decide(prepared, k, blocks, minds[slot], accounts[slot])
        for mind in minds:
            judge.end_run(mind)
    return judge.bars.counted()


def fit(histories: list[History], taught: Taught) -> PriorFile:
    """The prior of benign histories, counted with these ensembles."""
    features = spreads(histories)
    reached = count(histories, empty_prior()._replace(features=features), taught)
    return PriorFile(
        accounts=sum(len(np.unique(blocks.slot)) for blocks, _ in histories),
        account_days=sum(history.account_days for history in histories),
        features=features,
        patient=sparse(reached[Measure.PATIENT]),
        sharp=sparse(reached[Measure.SHARP]),
        level=sparse(reached[Measure.LEVEL]),
    )
