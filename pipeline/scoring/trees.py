"""Boosted trees as arrays: what scikit-learn taught (`lab.teach`), read and added up without it.

A missing value goes where training sent it. Sums run in the order of the trees, so equal rows give equal bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Trees(NamedTuple):
    """One ensemble. A node without a left child is a leaf; `value` of an inner node is the mean of the leaves below it."""

    base: float
    roots: NDArray[np.int32]  # [trees]
    feature: NDArray[np.int32]  # [nodes] column of the input
    threshold: NDArray[np.float64]  # [nodes] values up to it go left
    missing_left: NDArray[np.bool_]  # [nodes]
    left: NDArray[np.int32]  # [nodes] −1: a leaf
    right: NDArray[np.int32]  # [nodes]
    value: NDArray[np.float64]  # [nodes] log-odds


FIELDS = Trees._fields


@kernel
def _total(
    roots: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    missing_left: NDArray[np.bool_],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    value: NDArray[np.float64],
    rows: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    for i in range(rows.shape[0]):
        for t in range(roots.shape[0]):
            at = roots[t]
            while left[at] >= 0:
                x = rows[i, feature[at]]
                goes_left = missing_left[at] if x != x else x <= threshold[at]  # noqa: PLR0124 - NaN, in a kernel
                at = left[at] if goes_left else right[at]
            out[i] += value[at]


@kernel
def _shares(
    roots: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    missing_left: NDArray[np.bool_],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    value: NDArray[np.float64],
    row: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    for t in range(roots.shape[0]):
        at = roots[t]
        while left[at] >= 0:
            j = feature[at]
            x = row[j]
            goes_left = missing_left[at] if x != x else x <= threshold[at]  # noqa: PLR0124 - NaN, in a kernel
            below = left[at] if goes_left else right[at]
            out[j] += value[below] - value[at]
            at = below


def log_odds(trees: Trees, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows [m, inputs] → log-odds [m]."""
    out = np.full(len(rows), trees.base)
    _total(*trees[1:], np.ascontiguousarray(rows), out)
    return out


def contributions(trees: Trees, row: NDArray[np.float64]) -> NDArray[np.float64]:
    """One row → what each input moved the log-odds by on its paths (Saabas, 2014); with the mean they sum to `log_odds`."""
    out = np.zeros(len(row))
    _shares(*trees[1:], np.ascontiguousarray(row), out)
    return out
