"""Teaching: trees as arrays score what scikit-learn's do, and the examples of a kind are the first blocks of an attack."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.lab.teach import Lesson, Shape, _nth, boost_kinds, without
from pipeline.scoring.inputs import KIND_NAMES, UNTOLD
from pipeline.scoring.kinds import KINDS
from pipeline.scoring.trees import log_odds

SHAPE = Shape(5, 0.2, 8, 4, 5, 1.0)


def test_kinds_score_as_they_were_taught() -> None:
    """The softmax over the arrays' scores is scikit-learn's probability, missing values included."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(800, 6)).astype(np.float32)
    kind = (np.digitize(rows[:, 0] + 0.2 * rng.normal(size=800), [-1.2, -0.8, -0.4, 0.0, 0.4, 0.8, 1.2])).astype(np.int8)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    scores = np.stack([log_odds(trees, rows.astype(np.float64)) for trees in boost_kinds(rows, kind, SHAPE)], axis=1)
    model = ensemble.HistGradientBoostingClassifier(
        max_iter=5, learning_rate=0.2, max_leaf_nodes=8, max_depth=4, min_samples_leaf=5, max_features=1.0, l2_regularization=5.0,
        early_stopping=False, random_state=1,
    ).fit(rows, kind)  # fmt: skip
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert np.allclose(likely / likely.sum(axis=1, keepdims=True), model.predict_proba(rows))
    assert (scores.argmax(axis=1) == kind).mean() > 0.5


def test_a_kind_without_examples_is_named() -> None:
    """It could never be found."""
    with pytest.raises(ValueError, match="resale"):
        boost_kinds(np.zeros((7, 2), np.float32), np.arange(len(KINDS) - 1, dtype=np.int8), SHAPE)


def test_blocks_are_numbered_within_their_account() -> None:
    """In the order in which they closed."""
    assert _nth(np.array([3, 1, 3, 3, 1, 2], np.int32)).tolist() == [0, 0, 1, 2, 1, 0]
    assert _nth(np.zeros(0, np.int32)).tolist() == []


def test_kinds_told_again_lack_what_a_gateway_does_not_tell() -> None:
    """Its change against the usual too; volumes, answers and labels stay, and the first lesson is as it was."""
    rng = np.random.default_rng(8)
    none, rows = np.zeros((0, 1), np.float32), rng.normal(size=(9, len(KIND_NAMES))).astype(np.float32)
    first = Lesson(none, np.zeros(0, np.bool_), none, np.zeros(0, np.bool_), rows, rng.integers(0, 8, 9).astype(np.int8))
    prompts, origins, both = UNTOLD.values()
    for sorts, gone, kept in (
        (prompts, {"similarity", "change:similarity", "life_similarity"}, {"keys", "life_pace", "requests"}),
        (origins, {"keys", "change:keys", "life_keys", "life_pace"}, {"similarity", "output_length", "change:output_length"}),
        (both, {"keys", "similarity"}, {"output_length", "life_output_length"}),
    ):
        again = without(first, sorts)
        missing = {name for name, column in zip(KIND_NAMES, again.kind.T, strict=True) if np.isnan(column).all()}
        assert gone <= missing
        assert not kept & missing
        stays = [name not in missing for name in KIND_NAMES]
        assert np.array_equal(again.kind[:, stays], rows[:, stays])
        assert again.kind_is is first.kind_is
    assert not np.isnan(first.kind).any()
