"""AccountGaussian keeps River's contract, and says what a short history does not know."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import pytest
from river import checks

from pipeline.detectors.gaussian import AccountGaussian, normal_score

if TYPE_CHECKING:
    from collections.abc import Iterator

FEATURES = [f"f{i}" for i in range(6)]
NEEDS_SKLEARN = {"check_roc_auc"}  # our own version of it is below


def rows(count: int) -> list[tuple[dict[str, float], int]]:
    """Six independent features, 2 % of rows far up on all of them."""
    rng = random.Random(3)
    out = []
    for _ in range(count):
        odd = rng.random() < 0.02
        out.append(({f: rng.gauss(4.0 if odd else 0.0, 1.0) for f in FEATURES}, int(odd)))
    return out


def river_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Every check River itself runs on an anomaly detector, on our data instead of a download."""
    monkeypatch.setattr(checks, "_yield_datasets", lambda _model, scale=1: iter([rows(200 * scale)]))
    yield from checks.yield_checks(AccountGaussian())


def test_river_checks_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector passes the checks that River runs on its own estimators."""
    random.seed(1)  # River's checks shuffle with the global generator
    ran = set()
    for check in river_checks(monkeypatch):
        if check.__name__ not in NEEDS_SKLEARN:
            check(AccountGaussian())
            ran.add(check.__name__)
    assert {"check_learn_one", "check_pickling", "check_shuffle_features_no_impact", "check_bounded_memory_growth"} <= ran
    assert len(ran) >= 20


def test_ranks_anomalies_above_normal_rows() -> None:
    """Scored before learned, rows that are up on every feature rank above the others (ROC AUC ≥ .99)."""
    model = AccountGaussian()
    scored = []
    for x, odd in rows(2_000):
        scored.append((model.score_one(x), odd))
        model.learn_one(x)
    high = [s for s, odd in scored if odd]
    low = [s for s, odd in scored if not odd]
    wins = sum((h > n) + 0.5 * (h == n) for h in high for n in low)
    assert wins / (len(high) * len(low)) >= 0.99


def test_score_has_a_sign_and_no_ceiling() -> None:
    """Below the usual is negative, above is positive, and farther is more."""
    model = AccountGaussian()
    rng = random.Random(5)
    for _ in range(100):
        model.learn_one({"v": rng.gauss(2.0, 0.5)})
    scores = [model.score_one({"v": v}) for v in (-4.0, 1.0, 2.0, 3.0, 8.0, 50.0)]
    assert scores == sorted(scores)
    assert scores[0] < -3.0 < 3.0 < scores[-2] < scores[-1]


def test_a_young_account_is_not_sure() -> None:
    """The same surprise scores lower after 3 values than after 100: unknown is not normal, and not odd either."""
    surprise = {}
    for n in (3, 20, 100):
        model = AccountGaussian()
        rng = random.Random(5)
        for _ in range(n):
            model.learn_one({"v": rng.gauss(0.0, 1.0)})
        surprise[n] = model.score_one({"v": 6.0})
    assert surprise[3] < surprise[20] < surprise[100]
    assert surprise[3] < 3.5
    assert AccountGaussian().ready("v") is False


def test_scores_of_a_stationary_account_are_standard_normal() -> None:
    """On independent normal values the scores are near N(0, 1) from the first on, tails not heavier than promised."""
    rng = random.Random(11)
    scores = []
    for _ in range(400):
        model = AccountGaussian(mean_weight=0.3, variance_weight=6.0)
        level = rng.gauss(0.0, math.sqrt(1.0 / 0.3))
        for _ in range(40):
            value = level + rng.gauss(0.0, 1.0)
            scores.append(model.score_one({"v": value}))
            model.learn_one({"v": value})
    n = len(scores)
    assert abs(sum(scores) / n) < 0.05
    assert abs(math.sqrt(sum(s * s for s in scores) / n) - 1.0) < 0.08
    assert sum(s > 3.0 for s in scores) / n < 0.003


@pytest.mark.parametrize(("freedom", "t", "tail"), [(6.0, 3.707, 0.005), (10.0, 2.764, 0.01), (30.0, 3.385, 0.001), (4.0, 8.610, 0.0005)])
def test_student_values_become_normal_values(freedom: float, t: float, tail: float) -> None:
    """Tabled Student-t quantiles map to the normal quantile of the same tail, within 4 %."""
    z = normal_score(t, freedom)
    expected = {0.005: 2.5758, 0.01: 2.3263, 0.001: 3.0902, 0.0005: 3.2905}[tail]
    assert z == pytest.approx(expected, rel=0.04)
    assert normal_score(-t, freedom) == -z
