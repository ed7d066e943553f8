"""One account's normal, as a River anomaly detector: signed, sure of little while it has seen little."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from river import base, stats

from pipeline.detectors.river_state import Moments, read_moments, restore_moments

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

_TABLE = 256
_COUNT_MAX = 65_535


class _Weights(NamedTuple):
    """How values are weighted: entry n is for the n-th value, or after n values."""

    factor: tuple[float, ...]
    effective: tuple[float, ...]
    """How many equally weighted values the mean of n values is worth: 1 / Σ weight²."""


@functools.lru_cache(maxsize=16)
def _weights(fading_factor: float) -> _Weights:
    """The n-th value weighs one over the next power of two until that is below `fading_factor`, which weighs the rest.

    A constant factor would leave the first value most of the weight for as long as it remembers.
    """
    factors, effective, square = [1.0, 1.0], [1.0, 1.0], 1.0
    for n in range(2, _TABLE):
        factor = max(fading_factor, 0.5 ** math.ceil(math.log2(n)))
        square = square * (1.0 - factor) ** 2 + factor**2
        factors.append(factor)
        effective.append(1.0 / square)
    return _Weights(tuple(factors), tuple(effective))


def normal_score(t: float, freedom: float) -> float:
    """A Student-t value as the normal value of nearly equal tail probability, sign kept.

    Source: D. L. Wallace, Ann. Math. Stat. 30 (1959), 1124–1130; error below 0.02 standard deviations at 3 degrees and more.
    """
    z = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return z if t >= 0.0 else -z


class _Normal:
    """Mean and variance of one feature."""

    __slots__ = ("factor", "mean", "n", "variance")

    def __init__(self, factor: float, n: int = 0, moments: Moments | None = None) -> None:
        self.factor = factor
        self.mean = stats.EWMean(factor)
        self.variance = stats.EWVar(factor)
        self.n = n
        if moments is not None:
            restore_moments(self.mean, self.variance, moments)

    def __getstate__(self) -> tuple[float, int, Moments | None]:
        return self.factor, self.n, read_moments(self.variance) if self.n else None

    def __setstate__(self, state: tuple[float, int, Moments | None]) -> None:
        self.__init__(*state)  # type: ignore[misc]


class AccountGaussian(base.AnomalyDetector):
    """How far a value lies from what this account usually shows, in normal standard deviations, with a sign.

    Exponentially weighted mean and variance (River's), joined with a prior that stands for the cohort, so the score of a
    young account is a Student-t score with few degrees of freedom and not a certainty. Several features are independent
    by assumption: their scores add up over √k. Feed values on a scale where the cohort has mean 0 and variance 1
    (`EWVar` cancels at large means). An absent feature is left out, never zero.

    Not promised: a probability. It says 0 before it knows anything; ask `ready`.

    Args:
        fading_factor: weight of the newest value, as River names it, once the account is old; about 2/f values are remembered.
        mean_weight: how many values the cohort's mean counts for: variance within accounts over variance between them.
        variance_weight: how many values the cohort's variance counts for.
        ready_after: values of a feature after which the account speaks for itself.
    """

    def __init__(
        self, fading_factor: float = 1.0 / 32.0, mean_weight: float = 0.5, variance_weight: float = 4.0, ready_after: int = 8
    ) -> None:
        self.fading_factor = fading_factor
        self.mean_weight = mean_weight
        self.variance_weight = variance_weight
        self.ready_after = ready_after
        self._normals: dict[Hashable, _Normal] = {}

    def ready(self, feature: Hashable) -> bool:
        """Whether the account has shown `feature` often enough to speak for itself."""
        normal = self._normals.get(feature)
        return normal is not None and normal.n >= self.ready_after

    def seen(self, feature: Hashable) -> int:
        """How many values of `feature` were learned, at most 65,535."""
        normal = self._normals.get(feature)
        return 0 if normal is None else normal.n

    def expect(self, feature: Hashable) -> tuple[float, float, float]:
        """What the next value should be: mean, standard deviation of the prediction, degrees of freedom."""
        normal = self._normals.get(feature)
        k0, v0 = self.mean_weight, self.variance_weight
        if normal is None or normal.n == 0:
            return 0.0, math.sqrt(1.0 + 1.0 / k0), v0
        n = normal.n
        effective = _weights(self.fading_factor).effective[n if n < _TABLE else _TABLE - 1]
        # a weighted variance is too small by 1 − 1/effective, which cancels against its effective − 1 degrees of freedom
        freedom = v0 + effective - 1.0
        variance = (v0 + effective * max(normal.variance.get(), 0.0)) / freedom
        weight = k0 + effective
        return effective * normal.mean.get() / weight, math.sqrt(variance * (1.0 + 1.0 / weight)), freedom

    def score_one(self, x: Mapping[Any, float]) -> float:
        """The signed score of `x`; changes nothing."""
        total = 0.0
        for feature in sorted(x, key=str) if len(x) > 1 else x:
            mean, deviation, freedom = self.expect(feature)
            total += normal_score((x[feature] - mean) / deviation, freedom)
        return total / math.sqrt(len(x)) if len(x) > 1 else total

    def learn_one(self, x: Mapping[Any, float]) -> None:
        """Take `x` as normal."""
        factors = _weights(self.fading_factor).factor
        for feature, value in x.items():
            normal = self._normals.get(feature)
            n = 1 if normal is None else normal.n + 1
            factor = factors[n if n < _TABLE else _TABLE - 1]
            if normal is None:
                normal = self._normals[feature] = _Normal(factor)
            elif normal.factor != factor:
                normal = self._normals[feature] = _Normal(factor, normal.n, read_moments(normal.variance))
            normal.mean.update(value)
            normal.variance.update(value)
            if n <= _COUNT_MAX:
                normal.n = n

    def read(self, feature: Hashable) -> tuple[int, Moments] | None:
        """The numbers behind `feature`, for packing; None before the first value."""
        normal = self._normals.get(feature)
        return None if normal is None or normal.n == 0 else (normal.n, read_moments(normal.variance))

    def restore(self, feature: Hashable, n: int, moments: Moments) -> None:
        """Continue from the numbers of `read`, bit for bit."""
        factor = _weights(self.fading_factor).factor[n if n < _TABLE else _TABLE - 1]
        self._normals[feature] = _Normal(factor, n, moments)
