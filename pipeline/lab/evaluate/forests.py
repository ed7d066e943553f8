"""Forest baselines, one model per account: River's half-space trees on requests, AWS's random cut forest on 10-minute buckets.

Both are slow, so they run on a subsample of accounts, which the table says.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from river import anomaly

from pipeline.base.errors import SettingsError
from pipeline.lab.evaluate.baselines import Baseline, Part, Scores, rows_of, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.lab.evaluate.table import Shard

_EVENTS = 4_000
"""Requests of one account that the half-space trees see at most."""
_BUCKET_MS = 600_000
_SHINGLE = 8
_TREES, _SAMPLE = 30, 256
_WARM = 64


def half_space_trees(shard: Shard, accounts: Sequence[int]) -> Scores:
    """`HalfSpaceTrees(10, 6)` behind a `QuantileFilter(.999)`; the score is the mean over the last 25 requests."""
    parts = []
    for number, events in rows_of(shard, accounts):
        events = events[:_EVENTS]  # noqa: PLW2901 - what follows sees the cut
        model = anomaly.QuantileFilter(anomaly.HalfSpaceTrees(n_trees=10, height=6, window_size=50, seed=1), q=0.999)
        told = events["text"] >= 0
        lengths = np.zeros(len(events), np.int64)
        lengths[told] = shard.prints["length"][events["text"][told]]
        names = ("input", "output", "reasoning", "length", "latency", "failed")
        columns = np.stack(
            [
                *(
                    np.log1p(np.maximum(v, 0).astype(np.float64)) / 12.0
                    for v in (events["input"], events["output"], events["reasoning"], lengths)
                ),
                np.log1p(np.maximum(events["latency"], 0)) / 12.0,
                (events["status"] >= 400).astype(np.float64),
            ],
            axis=1,
        ).clip(0, 1)
        values, flags, recent = np.zeros(events.size), np.zeros(events.size, np.bool_), 0.0
        for i, row in enumerate(columns.tolist()):
            x = dict(zip(names, row, strict=True))
            score = model.score_one(x)
            flags[i] = i >= 2 * _WARM and bool(model.classify(score))  # type: ignore[no-untyped-call]  # river types none of its filters
            model.learn_one(x)  # type: ignore[no-untyped-call]  # as above
            recent += (score - recent) / 25.0
            values[i] = recent if i >= 2 * _WARM else 0.0
        parts.append(Part(number, events["time"], values, flags))
    return together(parts)


def random_cut_forest(shard: Shard, accounts: Sequence[int]) -> Scores:
    """Requests and tokens of 10-minute buckets, silence included, shingled by 8, in the manner of OpenSearch.

    Its own flag: above the running mean of scores by three running deviations, which is what its thresholder amounts to.
    """
    try:
        import krcf  # noqa: PLC0415 - an extra: only this baseline needs it
    except ImportError:
        raise SettingsError("the random cut forest needs krcf", next_step="pip install 'stillwatch[evaluate]'") from None
    parts = []
    for number, events in rows_of(shard, accounts):
        forest = krcf.RandomCutForest(
            {
                "dimensions": 2,
                "shingle_size": _SHINGLE,
                "num_trees": _TREES,
                "sample_size": _SAMPLE,
                "output_after": _WARM,
                "random_seed": 7,
            }
        )
        bucket = (events["time"] - int(events["time"][0])) // _BUCKET_MS
        size = int(bucket[-1]) + 1
        requests = np.bincount(bucket, minlength=size)
        tokens = np.bincount(bucket, weights=np.maximum(events["input"], 0) + np.maximum(events["output"], 0), minlength=size)
        points = np.stack([np.log1p(requests), np.log1p(tokens)], axis=1).tolist()
        values, flags = np.zeros(size), np.zeros(size, np.bool_)
        mean, square, seen = 0.0, 0.0, 0
        for i, point in enumerate(points):
            score = float(forest.score(point)) if i >= _WARM else 0.0
            forest.update(point)
            if i < 2 * _WARM:
                continue
            spread = math.sqrt(max(square - mean * mean, 1e-9))
            flags[i] = seen > _WARM and score > mean + 3 * spread
            seen += 1
            rate = max(1.0 / seen, 0.005)
            mean, square = mean + rate * (score - mean), square + rate * (score * score - square)
            values[i] = score
        ends = int(events["time"][0]) + (np.arange(size) + 1) * _BUCKET_MS
        parts.append(Part(number, ends, values, flags))
    return together(parts)


FORESTS: tuple[Baseline, ...] = (
    Baseline(
        "river-hst",
        1.0,
        "River HalfSpaceTrees(10, 6) per account on requests, QuantileFilter(.999); tuned row: mean of the last 25 scores",
        half_space_trees,
        (20, 6, 10),
    ),
    Baseline(
        "random-cut-forest",
        1.0,
        "krcf (bindings of AWS's random-cut-forest), 30 trees of 256, shingle 8, 10-minute buckets of requests and tokens",
        random_cut_forest,
        (20, 6, 10),
    ),
)
