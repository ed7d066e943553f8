"""Seeded randomness with names: every stream of the simulator has its own generator, found from the seed by its path."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

T = TypeVar("T")

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)


def generator(seed: int, *path: int) -> np.random.Generator:
    """The generator of one purpose: the same (seed, path) gives the same draws, other paths are independent of it."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=path)))


def scatter(values: NDArray[np.int64], salt: int) -> NDArray[np.uint64]:
    """Spread integers over 64 bits, stateless (the splitmix64 finaliser): a session's id without remembering sessions."""
    x = values.astype(np.uint64) * _GOLDEN + np.uint64(salt)
    x = (x ^ (x >> np.uint64(30))) * _M1
    x = (x ^ (x >> np.uint64(27))) * _M2
    return x ^ (x >> np.uint64(31))


def wander(steps: NDArray[np.float64], hold: float, gain: float, level: float = 0.0) -> NDArray[np.float64]:
    """Levels that hang together (AR(1)): after each step `hold` of the level before, from `level` on, and `gain` of the step."""
    found = np.empty(steps.size)
    for at, step in enumerate(steps.tolist()):
        found[at] = level = hold * level + gain * step
    return found


class Dice:
    """Single draws with the shapes the cast needs; large draws go to `rng` directly."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def flip(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < probability)

    def uniform(self, low: float, high: float) -> float:
        """Return a float in [low, high)."""
        return float(self.rng.uniform(low, high))

    def log_uniform(self, low: float, high: float) -> float:
        """Return a float in [low, high), uniform on the log scale."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def lognormal(self, median: float, sigma: float) -> float:
        """Return a lognormal draw with this median."""
        return float(median * np.exp(sigma * self.rng.standard_normal()))

    def integer(self, low: int, high: int) -> int:
        """Return an int in [low, high]."""
        return int(self.rng.integers(low, high, endpoint=True))

    def pick(self, items: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """Return one item, by weight when weights are given."""
        if weights is None:
            return items[int(self.rng.integers(len(items)))]
        p = np.asarray(weights, np.float64)
        return items[int(self.rng.choice(len(items), p=p / p.sum()))]

    def some(self, items: Sequence[T], count: int) -> tuple[T, ...]:
        """Return `count` different items (all of them, shuffled, when there are fewer)."""
        order = self.rng.permutation(len(items))[:count]
        return tuple(items[int(i)] for i in order)

    def token(self, prefix: str, length: int) -> str:
        """Return an opaque id: prefix and `length` hexadecimal digits."""
        return prefix + self.rng.bytes((length + 1) // 2).hex()[:length]
