"""Fit the shipped prior: `python -m pipeline.lab.prior`, from benign simulated accounts only, seeds that nothing else uses.

Three passes over the same blocks, each needing what the last one found: centres and scales of channels and the spread of every
feature; level histograms; joint and change histograms, counted by the judge itself as it would in production.
"""

from __future__ import annotations

import sys
import warnings
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from pipeline.base.settings import DetectSettings, IngestSettings
from pipeline.features.catalogue import FEATURES
from pipeline.features.kernel import HOUR_MS, Blocks, apply_events, close_open, new_blocks
from pipeline.features.row import ROW
from pipeline.intake.batch import read_batch
from pipeline.intake.columns import build
from pipeline.intake.validate import Limits
from pipeline.lab.simulate import Scenario, simulate
from pipeline.scoring.channels import channel_values
from pipeline.scoring.judge import Judge
from pipeline.scoring.mind import Mind
from pipeline.scoring.prior import FILE, Prior, PriorFile, Spread, empty_prior, sparse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

FIRST_SEED = 7_000_000_000_000_000_000
"""Prior seeds are this and the next ones; tests and demos use small or 63-bit random ones."""
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
_BATCH = 4_000
_MIN_BLOCKS = 10
_DAY_MS = 86_400_000


class History(NamedTuple):
    """All blocks of one population, in the order in which they closed, and the accounts behind `blocks.slot`."""

    blocks: Blocks
    accounts: list[str]


def history(scenario: Scenario, block_requests: int = 25) -> History:
    """Play a scenario through intake and features → its blocks (open ones at the end are left out)."""
    limits = Limits.of(IngestSettings())
    slots: dict[str, int] = {}
    rows = np.zeros(scenario.accounts + len(scenario.attacks), ROW)
    found: list[Blocks] = []
    events = simulate(scenario)
    hour = 0
    while raws := [event.raw for event in islice(events, _BATCH)]:
        batch = read_batch(raws, [-1] * len(raws), limits)
        absent = np.full(len(raws), -1)
        table = build(batch.results, absent, absent, batch.prints)  # type: ignore[arg-type]  # the simulator writes valid events
        of = np.array([slots.setdefault(account, len(slots)) for account in table.accounts], np.int32)
        times = table.columns.occurred_at_ms
        cuts = np.append(np.flatnonzero(np.diff(times // HOUR_MS)) + 1, len(times)).tolist()
        out = new_blocks(2 * len(times) + len(rows) * len(cuts))
        count = lo = 0
        for hi in cuts:
            if times[lo] // HOUR_MS > hour:
                hour = int(times[lo] // HOUR_MS)
                count = close_open(rows, np.arange(len(slots), dtype=np.int32), hour * HOUR_MS, out, count)
            count = apply_events(rows, table.columns, of[table.columns.account], lo, hi, block_requests, out, count)
            lo = hi
        closed: list[NDArray[Any]] = [column[:count].copy() for column in out]
        found.append(Blocks(*closed))
    columns: list[NDArray[Any]] = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return History(Blocks(*columns), list(slots))


def spreads(histories: list[History]) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, Spread]]:
    """Centre and scale of each channel, and every feature's spread."""
    centers, variances, medians, within = [], [], [], []
    for blocks, accounts in histories:
        values, _ = channel_values(blocks.vector, blocks.requests)
        for slot in range(len(accounts)):
            mine = (blocks.slot == slot) & (blocks.requests >= 5)
            if not mine.any():
                continue
            medians.append(np.nanmedian(blocks.vector[mine, : len(FEATURES)], axis=0))
            centers.append(np.nanmean(values[mine], axis=0))
            if mine.sum() >= _MIN_BLOCKS:
                variances.append(np.nanvar(values[mine], axis=0))
                within.append(np.nanvar(blocks.vector[mine, : len(FEATURES)], axis=0))
    middle = np.array(medians)
    deviation = np.sqrt(np.nanmean(np.array(within), axis=0))
    features = {
        feature.name: Spread(*(float(f"{x:.5g}") for x in (deviation[i], *np.nanquantile(middle[:, i], (0.05, 0.95)))))
        for i, feature in enumerate(FEATURES)
        if not np.isnan(middle[:, i]).all()
    }
    scales = np.sqrt(np.nanmean(np.array(variances), axis=0))
    return np.nanmean(np.array(centers), axis=0).round(4), np.maximum(scales, 0.5).round(4), features


def count(histories: list[History], prior: Prior) -> Judge:
    """Judge every block with this prior, alerts ignored → the judge with what it counted."""
    judge = Judge(DetectSettings(), prior)
    for blocks, accounts in histories:
        minds = [Mind.fresh() for _ in accounts]
        prepared = judge.prepare(blocks, 0, len(blocks.slot))
        for k, slot in enumerate(blocks.slot.tolist()):
            judge.decide(prepared, k, blocks, minds[slot], accounts[slot])
    return judge


def fit(histories: list[History]) -> PriorFile:
    """The prior of these benign histories."""
    centers, scales, features = spreads(histories)
    prior = empty_prior()._replace(centers=centers, scales=scales, features=features)
    levels, _, _ = count(histories, prior).force.counted()
    prior = prior._replace(levels=levels)
    _, joint, change = count(histories, prior).force.counted()
    days = sum(len(np.unique(blocks.slot * np.int64(1_000_000) + blocks.closed_ms // _DAY_MS)) for blocks, _ in histories)
    return PriorFile(
        accounts=sum(len(accounts) for _, accounts in histories),
        account_days=days,
        centers=centers.tolist(),
        scales=scales.tolist(),
        features=features,
        levels=[[sparse(h) for h in looks] for looks in levels],
        joint=[[sparse(h) for h in looks] for looks in joint],
        change=[sparse(h) for h in change],
    )


def scenarios(populations: int) -> Iterable[Scenario]:
    """Benign populations: days and sizes vary, volumes too."""
    for number in range(populations):
        yield Scenario(
            seed=FIRST_SEED + number,
            start_ms=START_MS + number * 3 * _DAY_MS,
            days=8.0 if number % 4 == 3 else 5.0,
            accounts=240,
            requests_per_account_day=(120.0, 200.0, 320.0)[number % 3],
            attacks=(),
        )


def _quietly(histories: list[History]) -> PriorFile:
    with warnings.catch_warnings():  # numpy warns where a field is absent from an account or from all of them
        warnings.filterwarnings("ignore", r"All-NaN slice|Mean of empty slice|Degrees of freedom", RuntimeWarning)
        return fit(histories)


def main(populations: int = 18) -> None:
    """Fit and write the package's prior file."""
    found = []
    for number, scenario in enumerate(scenarios(populations)):
        found.append(history(scenario))
        sys.stderr.write(f"population {number + 1} of {populations}: {len(found[-1].blocks.slot)} blocks\n")
    data = msgspec.json.format(msgspec.json.encode(_quietly(found)), indent=0)
    target = Path(__file__).parent.parent / "scoring" / FILE
    target.write_bytes(data + b"\n")
    sys.stderr.write(f"{target}: {len(data)} bytes\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
