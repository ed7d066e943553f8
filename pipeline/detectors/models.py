"""The River models of one account: four channels and a drift watch, made when first needed, packed to their numbers."""

from __future__ import annotations

import math
import struct
from enum import IntEnum

from river import drift

from pipeline.base.errors import CodecError
from pipeline.detectors.gaussian import AccountGaussian
from pipeline.detectors.river_state import DriftState, Moments, read_drift, restore_drift


class Channel(IntEnum):
    """What an account's models watch, each one number per block, on a scale where comparable accounts have mean 0, variance 1."""

    VOLUME = 0
    STRUCTURE = 1
    SHIFT = 2
    FORM = 3


_FADING = 0.05
_MEAN_WEIGHT = 0.3
_VARIANCE_WEIGHT = 6.0
_HEAD = struct.Struct("<B")
_MOMENTS = struct.Struct("<Hdd")
_DRIFT = struct.Struct("<Iddddd")
_DRIFT_BIT = 1 << len(Channel)


def _new_drift() -> drift.PageHinkley:
    return drift.PageHinkley(min_instances=20, delta=0.25, threshold=25.0, alpha=0.999)


class AccountModels:
    """What is normal for one account. Scores and learns through River; knows nothing of decisions."""

    __slots__ = ("_channels", "_drift")

    def __init__(self) -> None:
        self._channels: list[AccountGaussian | None] = [None] * len(Channel)
        self._drift: drift.PageHinkley | None = None

    def score(self, channel: Channel, value: float) -> float:
        """Signed normal score of `value` against the account's own past and its cohort's prior; NaN stays NaN."""
        if math.isnan(value):
            return value
        model = self._channels[channel]
        if model is None:
            model = self._channels[channel] = AccountGaussian(_FADING, _MEAN_WEIGHT, _VARIANCE_WEIGHT)
        return model.score_one({channel: value})

    def learn(self, channel: Channel, value: float) -> None:
        """Take `value` as normal; NaN teaches nothing."""
        if math.isnan(value):
            return
        model = self._channels[channel]
        if model is None:
            model = self._channels[channel] = AccountGaussian(_FADING, _MEAN_WEIGHT, _VARIANCE_WEIGHT)
        model.learn_one({channel: value})

    def ready(self, channel: Channel) -> bool:
        """Whether the account speaks for itself on `channel`; before that the cohort speaks for it."""
        model = self._channels[channel]
        return model is not None and model.ready(channel)

    def expect(self, channel: Channel) -> tuple[float, float, float]:
        """Mean, deviation and degrees of freedom of the next value, for explanations."""
        model = self._channels[channel]
        return (model or AccountGaussian(_FADING, _MEAN_WEIGHT, _VARIANCE_WEIGHT)).expect(channel)

    def drifted(self, composite: float) -> bool:
        """Feed the whitened composite of the channels; True when its mean has moved for good (Page, 1954)."""
        if self._drift is None:
            self._drift = _new_drift()
        self._drift.update(composite)
        if self._drift.drift_detected:
            self._drift = None
            return True
        return False

    def reanchor(self) -> None:
        """Forget what was normal: the account starts again as a young one, with its cohort's prior."""
        self._channels = [None] * len(Channel)
        self._drift = None

    def pack(self) -> bytes:
        """The numbers of every model, at most 117 bytes."""
        mask = 0
        parts = [b""]
        for channel in Channel:
            model = self._channels[channel]
            known = model.read(channel) if model is not None else None
            if known is not None:
                mask |= 1 << channel
                parts.append(_MOMENTS.pack(known[0], *known[1]))
        if self._drift is not None:
            mask |= _DRIFT_BIT
            parts.append(_DRIFT.pack(*read_drift(self._drift)))
        parts[0] = _HEAD.pack(mask)
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes | memoryview, at: int = 0) -> tuple[AccountModels, int]:
        """Models from `pack`, and where their bytes end. They score and learn on bit for bit as the packed ones would.

        Raises:
            CodecError: the bytes end early.
        """
        models = cls()
        try:
            (mask,) = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            for channel in Channel:
                if mask & (1 << channel):
                    n, mean, square = _MOMENTS.unpack_from(data, at)
                    at += _MOMENTS.size
                    model = models._channels[channel] = AccountGaussian(_FADING, _MEAN_WEIGHT, _VARIANCE_WEIGHT)
                    model.restore(channel, n, Moments(mean, square))
            if mask & _DRIFT_BIT:
                models._drift = _new_drift()
                restore_drift(models._drift, DriftState(*_DRIFT.unpack_from(data, at)))
                at += _DRIFT.size
        except struct.error as err:
            raise CodecError(f"packed models end early: {err}") from None
        return models, at
