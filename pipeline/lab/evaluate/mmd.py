"""Maximum mean discrepancy on windows of prompt sketches, by the protocol of arXiv 2606.05725.

Unbiased MMD² (Gretton et al., JMLR 2012) with a Gaussian kernel averaged over {½, 1, 2, 4} × the median distance, against 20 draws
from a benign reference, mean over the draws; the bar is a percentile of benign against benign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 20
_LARGE = 500
_FEW_DRAWS = 5
"""Of windows above `_LARGE`, whose kernels are millions of entries."""
_WIDEST = 4.0
_KERNELS = 4
"""Each half as wide as the one before, so its fourth power: one exponential serves all."""


def unit(sketches: NDArray[np.int8]) -> NDArray[np.float32]:
    """Sketches as unit vectors."""
    x = sketches.astype(np.float32)
    lengths: NDArray[np.float32] = np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)
    found: NDArray[np.float32] = x / lengths
    return found


class Reference:
    """Benign prompts to be compared with.

    Args:
        sketches: [n, dims] unit vectors.
        size: of the windows.
        rng: for the draws.
    """

    def __init__(self, sketches: NDArray[np.float32], size: int, rng: np.random.Generator) -> None:
        some = sketches[rng.permutation(len(sketches))[:400]]
        distances = _squared(some, some)
        self._width = float(_WIDEST**2 * np.median(distances[distances > 1e-6]))
        self._draws = [
            sketches[rng.integers(len(sketches), size=min(size, len(sketches)))] for _ in range(DRAWS if size <= _LARGE else _FEW_DRAWS)
        ]
        self._own = [self._within(d) for d in self._draws]

    def _kernel(self, squared: NDArray[np.float32]) -> NDArray[np.float32]:
        one: NDArray[np.float32] = np.exp(squared * np.float32(-0.5 / self._width))
        found = one.copy()
        for _ in range(_KERNELS - 1):
            np.square(one, out=one)
            np.square(one, out=one)
            found += one
        found /= _KERNELS
        return found

    def _within(self, x: NDArray[np.float32]) -> float:
        n = len(x)
        return float((self._kernel(_squared(x, x)).sum() - n) / (n * (n - 1)))

    def statistic(self, window: NDArray[np.float32]) -> float:
        """Mean unbiased MMD² of the window against the draws."""
        own = self._within(window)
        cross = [float(self._kernel(_squared(window, d)).mean()) for d in self._draws]
        return float(np.mean([own + w - 2 * c for w, c in zip(self._own, cross, strict=True)]))


def _squared(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances of unit vectors."""
    found: NDArray[np.float32] = np.maximum(2.0 - 2.0 * (a @ b.T), 0.0)
    return found
