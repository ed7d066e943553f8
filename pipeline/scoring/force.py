"""The calibration in force in one partition: tables fixed within an epoch, counts for the next ones."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.features.catalogue import INDEX
from pipeline.scoring.calibration import BINS, Grid, blend, look_up, tail_table
from pipeline.scoring.kinds import KINDS, SIGNATURES
from pipeline.scoring.levels import FLOORS, GRIDS, LEVELS, LOOKS, level_values
from pipeline.scoring.prior import Prior, dense, shipped_prior, sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
CHANGE_GRID = Grid(1.0, 10.6)
JOINT_GRID = Grid(1.0, 10.6)
"""Below 1 nothing agrees with anything: one bin, so that many small agreements do not add up."""
_NORMAL = NormalDist()
_AGREE = 1.0
_LIMITED, _ERRORS = INDEX["limited_share"], INDEX["error_share"]


class _Packed(msgspec.Struct, array_like=True):
    """Counts as sparse histograms: what is in force and what waits for the epoch's end."""

    format: int
    epoch: int
    in_force: list[list[int]]
    waiting: list[list[int]]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Packed)
_SHAPES = ((len(LEVELS), LOOKS, BINS), (len(KINDS), LOOKS, BINS), (len(KINDS), BINS))
_ROWS = sum(int(np.prod(shape[:-1])) for shape in _SHAPES)


class Force:
    """See the module."""

    def __init__(self, prior: Prior | None = None) -> None:
        self.prior = shipped_prior() if prior is None else prior
        self.epoch = 0
        self.counts = np.zeros((_ROWS, BINS), np.int64)
        self.waiting = np.zeros((_ROWS, BINS), np.int64)
        self._tabulate()

    @staticmethod
    def bar(probability: float) -> float:
        """Score that a valid look exceeds with this probability."""
        return -_NORMAL.inv_cdf(probability)

    def _tabulate(self) -> None:
        prior = np.concatenate([self.prior.levels.reshape(-1, BINS), self.prior.joint.reshape(-1, BINS), self.prior.change])
        tables = np.array([tail_table(blend(p, c)) for p, c in zip(prior, self.counts, strict=True)])
        first, second = len(LEVELS) * LOOKS, (len(LEVELS) + len(KINDS)) * LOOKS
        self._levels = tables[:first].reshape(len(LEVELS), LOOKS, BINS)
        self._joint = tables[first:second].reshape(len(KINDS), LOOKS, BINS)
        self.change_table: list[list[float]] = tables[second:].tolist()

    @staticmethod
    def limited(vector: NDArray[np.float64]) -> list[bool]:
        """Whether rate limits are at least half of a block's errors, and there are any."""
        limited: list[bool] = ((vector[:, _LIMITED] > 0.0) & (2.0 * vector[:, _LIMITED] >= vector[:, _ERRORS])).tolist()
        return limited

    def look(
        self, vector: NDArray[np.float64], looks: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Level values and scores [m, levels], joint statistics and scores [m, kinds]; NaN in rows without a look."""
        values = np.full((len(vector), len(LEVELS)), np.nan)
        scores = np.full((len(vector), len(LEVELS)), np.nan)
        joint = np.full((len(vector), len(KINDS)), np.nan)
        joint_scores = np.full((len(vector), len(KINDS)), np.nan)
        if (looks >= 0).any():
            rows = np.flatnonzero(looks >= 0)
            values[rows] = level_values(vector[rows])
            for look in np.unique(looks[rows]).tolist():
                at = rows[looks[rows] == look]
                for level in LEVELS:
                    found = look_up(self._levels[level, look], GRIDS[level], values[at, level])
                    scores[at, level] = np.where(values[at, level] >= FLOORS[level], found, np.minimum(found, 0.0))
                for i, signature in enumerate(SIGNATURES):
                    joint[at, i] = _both(scores[at][:, signature.level], scores[at][:, list(signature.with_levels)])
                    joint_scores[at, i] = look_up(self._joint[i, look], JOINT_GRID, joint[at, i])
        return values, scores, joint, joint_scores

    # ---- counting

    def teach_change(self, joint: list[float]) -> None:
        """Count one calm block's statistics, by kind."""
        first = (len(LEVELS) + len(KINDS)) * LOOKS
        for i, value in enumerate(joint):
            if value == value:  # noqa: PLR0124 - not NaN
                self.waiting[first + i, CHANGE_GRID.bin_of(value)] += 1

    def teach_level(self, look: int, values: NDArray[np.float64], joint: NDArray[np.float64]) -> None:
        """Count one calm account at a look."""
        for level, value in zip(LEVELS, values.tolist(), strict=True):
            if value == value:  # noqa: PLR0124 - not NaN
                self.waiting[level * LOOKS + look, GRIDS[level].bin_of(value)] += 1
        first = len(LEVELS) * LOOKS
        for i, value in enumerate(joint.tolist()):
            if value == value:  # noqa: PLR0124 - not NaN
                self.waiting[first + i * LOOKS + look, JOINT_GRID.bin_of(value)] += 1

    def end_epoch(self, epoch: int) -> None:
        """Bring what was counted into force."""
        self.epoch = epoch
        if self.waiting.any():
            self.counts += self.waiting
            self.waiting[:] = 0
            self._tabulate()

    def counted(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Everything counted, in force or waiting: levels, joint, change, shaped as in the prior."""
        both = self.counts + self.waiting
        first, second = len(LEVELS) * LOOKS, (len(LEVELS) + len(KINDS)) * LOOKS
        return both[:first].reshape(_SHAPES[0]), both[first:second].reshape(_SHAPES[1]), both[second:]

    # ---- bytes

    def pack(self) -> bytes:
        """Counts in force and waiting, exact."""
        return _ENCODER.encode(_Packed(FORMAT, self.epoch, [sparse(c) for c in self.counts], [sparse(c) for c in self.waiting]))

    def unpack(self, data: bytes) -> None:
        """Continue from `pack`.

        Raises:
            CodecError: the bytes do not decode.
            NewerFormatError: written by a newer program.
        """
        try:
            packed = _DECODER.decode(data)
        except msgspec.MsgspecError as err:
            raise CodecError(f"packed calibration does not decode: {err}") from None
        if packed.format > FORMAT:
            raise NewerFormatError(f"calibration format {packed.format}; this program reads {FORMAT}", next_step="upgrade this worker")
        if len(packed.in_force) != _ROWS or len(packed.waiting) != _ROWS:
            raise CodecError(f"packed calibration has {len(packed.in_force)} histograms, {_ROWS} expected")
        self.epoch = packed.epoch
        self.counts = np.array([dense(row) for row in packed.in_force])
        self.waiting = np.array([dense(row) for row in packed.waiting])
        self._tabulate()


def _both(own: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joint weight of a level and the best of those that must agree: their sum over √2 when both are high, else the smaller.

    NaN when the own level or all others are missing.
    """
    best = np.where(np.isnan(others), -np.inf, others).max(axis=1)
    smaller = np.minimum(own, best)
    with np.errstate(invalid="ignore"):
        statistic = np.where(smaller >= _AGREE, (own + best) / np.sqrt(2.0), smaller)
    return np.where(np.isnan(own) | np.isinf(best), np.nan, statistic)
