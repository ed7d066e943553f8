"""The oracle: gradient boosting on all features, taught with the labels of the tune half. What the features could give.

Its block scores (log-odds of "this block holds attack requests") add up in a one-sided cumulative sum per account (Page, 1954),
and its bar is set on the judge's own benign accounts so that it spends exactly the budget. It cheats in both, so it is no
competitor: the gap between its curve and ours is the figure to shrink.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.base.errors import SettingsError
from pipeline.lab.evaluate.baselines import Scores
from pipeline.lab.evaluate.vectors import Vectors, block_vectors, with_change

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.evaluate.table import Shard

_CLIP = 4.0
_DRIFT = 0.5
"""Log-odds that a block must bring to count for an attack."""
_PER_CLASS = 40_000


class Sample:
    """Training blocks collected from tune shards."""

    def __init__(self) -> None:
        self._x: list[NDArray[np.float32]] = []
        self._y: list[NDArray[np.float32]] = []

    def add(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
        """Take blocks and their shares of attack requests."""
        self._x.append(x)
        self._y.append(y)

    def fit(self, seed: int = 1) -> Any:  # noqa: ANN401 - scikit-learn ships no types
        """Teach the classifier.

        Raises:
            SettingsError: scikit-learn is missing, or a class is.
        """
        x, share = np.concatenate(self._x), np.concatenate(self._y)
        keep = (share == 0) | (share >= 0.1)
        x, y = x[keep], share[keep] > 0
        if not y.any() or y.all():
            raise SettingsError("the tune shards hold no attack blocks, or nothing else")
        return _boosting(seed).fit(x, y)


def _boosting(seed: int) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - an extra
    except ImportError:
        raise SettingsError(
            "the oracle and the probe need scikit-learn", next_step="pip install 'stillwatch[evaluate]', or --no-oracle"
        ) from None
    return HistGradientBoostingClassifier(max_iter=150, learning_rate=0.1, max_leaf_nodes=31, early_stopping=False, random_state=seed)


def sample_blocks(shard: Shard, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Blocks of a tune shard for training: up to `_PER_CLASS` of each class, accounts evenly."""
    vectors = block_vectors(shard)
    rng = np.random.default_rng(seed)
    x = with_change(vectors)
    found = []
    for wanted in (vectors.hostile == 0, vectors.hostile > 0):
        at = np.flatnonzero(wanted)
        counts = np.bincount(vectors.account[at], minlength=len(shard.accounts))
        weight = 1.0 / np.sqrt(np.maximum(counts[vectors.account[at]], 1))
        size = min(_PER_CLASS, at.size)
        if size:
            found.append(rng.choice(at, size=size, replace=False, p=weight / weight.sum()))
    chosen = np.sort(np.concatenate(found))
    return x[chosen], vectors.hostile[chosen]


def oracle_scores(shard: Shard, model: Any) -> Scores:  # noqa: ANN401 - scikit-learn ships no types
    """Cumulative sums of every account, block by block."""
    vectors = block_vectors(shard)
    odds = _log_odds(model, vectors)
    total = np.zeros(len(shard.accounts))
    values = np.zeros(odds.size)
    for i, (account, step) in enumerate(zip(vectors.account.tolist(), (odds - _DRIFT).tolist(), strict=True)):
        total[account] = max(0.0, total[account] + step)
        values[i] = total[account]
    order = np.lexsort((vectors.closed_ms, vectors.account))
    return Scores(vectors.account[order], vectors.closed_ms[order], values[order])


def _log_odds(model: Any, vectors: Vectors) -> NDArray[np.float64]:  # noqa: ANN401 - scikit-learn ships no types
    if not vectors.account.size:
        return np.zeros(0)
    found: NDArray[np.float64] = model.decision_function(with_change(vectors))
    return np.clip(found, -_CLIP, _CLIP)
