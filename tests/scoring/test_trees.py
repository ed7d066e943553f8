"""Ensembles as arrays: what scikit-learn computes, without it."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.base.errors import CodecError
from pipeline.lab.teach import Shape, boost
from pipeline.scoring.inputs import CHANGE_NAMES
from pipeline.scoring.taught import read_taught, shipped_taught, write_taught
from pipeline.scoring.trees import contributions, log_odds


def rows(seed: int, size: int = 4_000, width: int = 6) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Numbers with holes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, width)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def test_arrays_give_what_scikit_learn_gives() -> None:
    """Same log-odds on fresh rows, missing values included; contributions and the mean add up to them."""
    sklearn = pytest.importorskip("sklearn.ensemble")
    x = rows(1)
    y = np.nan_to_num(x[:, 0]) + np.nan_to_num(x[:, 1]) * np.isnan(x[:, 2]) > 0.3
    trees = boost(x, y, Shape(20, 0.12, 8, 4, 60, 1.0))
    model = sklearn.HistGradientBoostingClassifier(
        max_iter=20, learning_rate=0.12, max_leaf_nodes=8, max_depth=4, min_samples_leaf=60, l2_regularization=5.0,
        early_stopping=False, random_state=1,
    ).fit(x, y)  # fmt: skip
    fresh = rows(2).astype(np.float64)
    ours = log_odds(trees, fresh)
    np.testing.assert_allclose(ours, model.decision_function(fresh), atol=1e-9)
    root_mean = trees.base + sum(trees.value[root] for root in trees.roots)
    for at in range(20):
        assert root_mean + contributions(trees, fresh[at]).sum() == pytest.approx(ours[at], abs=1e-9)


def test_rows_do_not_influence_each_other() -> None:
    """One row alone gives the same bits as among others."""
    trees = shipped_taught().change
    x = np.random.default_rng(3).normal(size=(50, len(CHANGE_NAMES)))
    whole = log_odds(trees, x)
    assert [log_odds(trees, x[i : i + 1])[0] for i in range(50)] == whole.tolist()


def test_the_file_is_the_ensembles() -> None:
    """Written and read again they score the same bits; rubbish and other features are refused."""
    taught = shipped_taught()
    again = read_taught(write_taught(taught))
    x = np.random.default_rng(4).normal(size=(20, len(CHANGE_NAMES)))
    assert log_odds(again.change, x).tolist() == log_odds(taught.change, x).tolist()
    with pytest.raises(CodecError):
        read_taught(b"rubbish")
    with pytest.raises(CodecError):
        read_taught(write_taught(taught)[:-200])


def test_the_kinds_probabilities_sum_to_one() -> None:
    """Whatever the row, the kinds share one probability."""
    taught = shipped_taught()
    width = max(int(t.feature.max()) for t in taught.kinds) + 1
    x = np.random.default_rng(5).normal(size=(30, width + 200))
    np.testing.assert_allclose(np.exp(taught.name(x)).sum(axis=1), 1.0)
