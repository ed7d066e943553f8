"""The River models of one account: what is usual on each channel, and a drift watch; made when first needed, packed to numbers."""

from __future__ import annotations

import math
import struct
from enum import IntEnum

from river import drift

from pipeline.base.errors import CodecError
from pipeline.detectors.gaussian import AccountGaussian
from pipeline.detectors.river_state import DriftState, Moments, read_drift, restore_drift


class Channel(IntEnum):
    """What an account's models watch, each one number per block, on a scale where accounts vary around their own mean by 1."""

    VOLUME = 0
    STRUCTURE = 1
    SHIFT = 2
    FORM = 3
    REGULARITY = 4
    REUSE = 5
    ELICITATION = 6
    FRICTION = 7


CHANNELS = tuple(Channel)
_NAMES = tuple(channel.name.lower() for channel in Channel)
_FADING = 1.0 / 64.0
_VARIANCE_WEIGHT = 6.0
_OWN_LEVEL = 0.1
"""Accounts lie ten times wider apart than an account's own blocks do: the first values decide what is usual."""
_COMMON_LEVEL = 4.0
"""Errors and refusals: all accounts are alike, and the cohort's mean is worth four blocks."""
_CLIP = 2.5
"""A more surprising value is learned as if it were this far out: a burst does not become usual by being a burst."""
_READY = 3
"""Blocks after which a channel's own past counts."""
_HEAD = struct.Struct("<H")
_MOMENTS = struct.Struct("<Hdd")
_DRIFT = struct.Struct("<Iddddd")
_DRIFT_BIT = 1 << len(CHANNELS)


def _new_drift() -> drift.PageHinkley:
    return drift.PageHinkley(min_instances=20, delta=0.25, threshold=100.0, alpha=0.999)


class AccountModels:
    """What is usual for one account. Scores and learns through River; knows nothing of decisions."""

    __slots__ = ("_common", "_drift", "_own")

    def __init__(self) -> None:
        self._own: AccountGaussian | None = None
        self._common: AccountGaussian | None = None
        self._drift: drift.PageHinkley | None = None

    def _model(self, channel: Channel) -> AccountGaussian:
        if channel == Channel.FRICTION:
            if self._common is None:
                self._common = AccountGaussian(_FADING, _COMMON_LEVEL, _VARIANCE_WEIGHT, _READY)
            return self._common
        if self._own is None:
            self._own = AccountGaussian(_FADING, _OWN_LEVEL, _VARIANCE_WEIGHT, _READY)
        return self._own

    def score(self, channel: Channel, value: float) -> float:
        """Signed normal score of `value` against the account's own past and its cohort's prior; NaN until `ready`."""
        model, name = self._model(channel), _NAMES[channel]
        return model.score_one({name: value}) if model.seen(name) >= _READY else math.nan

    def learn(self, channel: Channel, value: float, score: float = 0.0) -> None:
        """Take `value`, which scored `score`, as usual; a very surprising one only as far as 2.5 deviations; NaN not at all."""
        if math.isnan(value):
            return
        model = self._model(channel)
        if score > _CLIP or score < -_CLIP:
            mean, deviation, _ = model.expect(_NAMES[channel])
            reach = _CLIP * deviation
            value = mean + (reach if score > 0.0 else -reach)
        model.learn_one({_NAMES[channel]: value})

    def ready(self, channel: Channel) -> bool:
        """Whether the account speaks for itself on `channel`; before that only its cohort can."""
        return self._model(channel).ready(_NAMES[channel])

    def drifted(self, composite: float) -> bool:
        """Feed the composite of the channels' scores; True when its mean has moved for good (Page, 1954)."""
        if self._drift is None:
            self._drift = _new_drift()
        self._drift.update(composite)  # type: ignore[no-untyped-call]  # River types only some of its calls
        if self._drift.drift_detected:
            self._drift = None
            return True
        return False

    def reanchor(self) -> None:
        """Forget what was usual: the account starts again as a young one, with its cohort's prior."""
        self._own = self._common = self._drift = None

    def pack(self) -> bytes:
        """The numbers of every model, at most 191 bytes."""
        mask = 0
        parts = [b""]
        for channel in CHANNELS:
            model = self._common if channel == Channel.FRICTION else self._own
            known = model.read(_NAMES[channel]) if model is not None else None
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
            CodecError: the bytes end early or name a channel that does not exist.
        """
        models = cls()
        try:
            (mask,) = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            if mask >= _DRIFT_BIT << 1:
                raise CodecError(f"packed models have unknown parts: mask {mask:#x}")
            for channel in CHANNELS:
                if mask & (1 << channel):
                    n, mean, square = _MOMENTS.unpack_from(data, at)
                    at += _MOMENTS.size
                    models._model(channel).restore(_NAMES[channel], n, Moments(mean, square))
            if mask & _DRIFT_BIT:
                models._drift = _new_drift()
                restore_drift(models._drift, DriftState(*_DRIFT.unpack_from(data, at)))
                at += _DRIFT.size
        except struct.error as err:
            raise CodecError(f"packed models end early: {err}") from None
        return models, at
