"""Does the generator give itself away? A classifier on what no attacker must alter, and every raw feature on its own.

Fields: shapes of ids, millisecond digits, agents, latency beyond what model and output explain, pool of texts. Attackers are
set beside benign controls that play at their scale with the same sort of text; grouped cross-validation. An area under the
curve above .55, or a single raw feature above .9, is a defect of the workload, and results on it are to be doubted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.hashing import hash_text
from pipeline.features.catalogue import FEATURES
from pipeline.lab.evaluate.oracle import _boosting
from pipeline.lab.evaluate.vectors import block_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.evaluate.table import Shard

MOST_AUC = 0.55
MOST_SINGLE_AUC = 0.9
_MIN_EVENTS = 50
"""Requests of each account that the classifier sees; accounts with fewer are left out."""
_FOLDS = 5

FIELDS = (
    "account_id_sum", "key_length", "organization_sum", "ms_mean_10", "ms_mean_100", "ms_mean_1000", "ms_even", "second_mean",
    "latency_residual", "latency_spread", "agent", "agents", "address_last", "text_pool", "text_pool_parity", "account_age_ms_digits",
)  # fmt: skip


def auc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Area under the ROC curve (Mann–Whitney), ties split; .5 when a class is missing."""
    good = ~np.isnan(scores)
    scores, labels = scores[good], labels[good]
    n1, n0 = int(labels.sum()), int((~labels).sum())
    if not n1 or not n0:
        return 0.5
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = ((ends - counts + 1 + ends) / 2)[inverse] if values.size else np.zeros(0)
    return float((ranks[labels].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def unalterable(shard: Shard) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Per attacker and control with enough requests: the fields, whether it attacks, and its tenant as a number."""
    order, edges = shard.per_account()
    latency = _latency_residual(shard)
    x, y, tenant = [], [], []
    for number, account in enumerate(shard.accounts):
        rows = order[edges[number] : edges[number + 1]]
        if account.role not in ("attack", "matched") or rows.size < _MIN_EVENTS:
            continue
        events = shard.events[rows]
        if account.role == "attack":  # only the attack's own requests: the cover is benign
            keep = events["attack"] == 1
            if int(keep.sum()) < _MIN_EVENTS:
                continue
            rows = rows[keep]
        # as many of everybody: how far a mean strays from the middle would tell how many requests there are
        rows = np.sort(np.random.default_rng(number).permutation(rows)[:_MIN_EVENTS])
        events = shard.events[rows]
        x.append(_fields(shard, account.account_id, account.organization_id, account.created_ms, events, latency[rows]))
        y.append(account.role == "attack")
        tenant.append(hash_text(account.tenant) % 1_000_003)
    return np.array(x).reshape(-1, len(FIELDS)), np.array(y, np.bool_), np.array(tenant, np.int64)


def _fields(
    shard: Shard,
    account_id: str,
    organization_id: str,
    created_ms: int,
    events: NDArray[np.void],
    latency: NDArray[np.float64],
) -> list[float]:
    times, latency = events["time"], latency[~np.isnan(latency)]
    keys = np.unique(events["key"][events["key"] > 0])
    agents = np.unique(events["agent"][events["agent"] > 0])
    addresses = np.unique(events["address"][events["address"] > 0])
    first = shard.symbols[agents[0]] if agents.size else ""
    said = shard.pools[events["text"][events["text"] >= 0]]
    pool = shard.pool_names[int(np.bincount(said).argmax())] if said.size else ""
    return [
        float(sum(account_id.encode())),
        float(len(shard.symbols[keys[0]])) if keys.size else np.nan,
        float(sum(organization_id.encode())),
        float((times % 10).mean()),
        float((times % 100).mean()),
        float((times % 1000).mean()),
        float((times % 2 == 0).mean()),
        float((times // 1000 % 60).mean()),
        float(np.median(latency)) if latency.size else np.nan,
        float(np.median(np.abs(latency))) if latency.size else np.nan,
        float(hash_text(first) % 1_009) if first else np.nan,
        float(agents.size > 0),
        float(np.mean([int(shard.symbols[a].rsplit(".", 1)[1]) for a in addresses[:50].tolist()])) if addresses.size else np.nan,
        float(hash_text(pool) % 1_009) if pool else np.nan,
        float(hash_text(pool) % 2) if pool else np.nan,
        float(created_ms % 1000),
    ]


def _latency_residual(shard: Shard) -> NDArray[np.float64]:
    """Log latency of answered requests beyond what model and output length explain, in median deviations of like requests."""
    e = shard.events
    found = np.full(len(e), np.nan)
    good = (e["status"] < 400) & (e["output"] > 0)
    logs = np.log(np.maximum(e["latency"], 1.0).astype(np.float64))
    bins = np.floor(np.log2(np.maximum(e["output"], 1)) * 8).astype(np.int64)
    key = e["model"].astype(np.int64) * 1_000 + bins
    for value in np.unique(key[good]).tolist():
        at = np.flatnonzero(good & (key == value))
        away = logs[at] - np.median(logs[at])
        found[at] = away / max(float(np.median(np.abs(away))), 0.01)
    return found


def probe_auc(x: NDArray[np.float64], y: NDArray[np.bool_], groups: NDArray[np.int64]) -> float | None:
    """Cross-validated area under the curve of a gradient-boosted classifier, folds by tenant; None with under 30 of a class."""
    if min(int(y.sum()), int((~y).sum())) < 30:
        return None
    fold = np.array([hash_text(f"fold {g}") % _FOLDS for g in groups.tolist()])
    scores = np.full(y.size, np.nan)
    for k in range(_FOLDS):
        train, test = fold != k, fold == k
        if test.any() and y[train].any() and not y[train].all():
            scores[test] = _boosting(k).fit(x[train], y[train]).decision_function(x[test])
    return auc(scores, y)


def single_features(shard: Shard) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Per account of the shard the mean of each raw feature (an attacker's: over its attack's blocks), and whether it attacks."""
    vectors = block_vectors(shard)
    x, y = [], []
    for number, account in enumerate(shard.accounts):
        mine = vectors.account == number
        if account.truth is not None:
            mine &= vectors.hostile >= 0.5
        if mine.any():
            known = ~np.isnan(vectors.values[mine])
            total = np.where(known, vectors.values[mine], 0).sum(axis=0)
            with np.errstate(invalid="ignore"):
                x.append(np.where(known.any(axis=0), total / known.sum(axis=0), np.nan))
            y.append(account.truth is not None)
    return np.array(x).reshape(-1, vectors.values.shape[1]), np.array(y, np.bool_)


def single_aucs(x: NDArray[np.float64], y: NDArray[np.bool_]) -> dict[str, float]:
    """Area under the curve of each feature alone, the better of both directions."""
    found = {}
    for i, feature in enumerate(FEATURES):
        value = auc(x[:, i], y)
        found[feature.name] = max(value, 1 - value)
    return found
