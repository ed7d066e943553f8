"""What a shard leaves behind: one row per account, small enough to keep, rich enough to count again under other thresholds."""

from __future__ import annotations

import msgspec

from pipeline.lab.evaluate.counting import Hit


class Trace(msgspec.Struct, frozen=True, array_like=True):
    """A score's way through one attack, for thresholds chosen later.

    Attributes:
        before: highest score in the 24 hours before the attack (it was alerting already where that reaches the threshold).
        records: (score, attack requests so far, share of output tokens gone) whenever the score rose to a new height.
    """

    before: float
    records: list[tuple[float, int, float]]

    def at(self, threshold: float) -> Hit:
        """Return the outcome under a threshold."""
        if self.before >= threshold:
            return Hit(caught=False, already=True)
        for value, delay, gone in self.records:
            if value >= threshold:
                return Hit(caught=True, delay=delay, gone=gone)
        return Hit(caught=False)


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One account.

    Attributes:
        days: active ones.
        false: detector → days on which it raised a false alert (benign accounts).
        hits: detector → outcome (attackers).
        maxima: score → highest value of each day that has one (benign accounts).
        traces: score → its way through the attack (attackers).
        requests, share: n and s of the attack.
    """

    account_id: str
    role: str
    archetype: str
    tenant: str
    group: str
    language: str
    country: str
    plan: str
    age: str
    days: int
    false: dict[str, int] = {}
    hits: dict[str, Hit] = {}
    maxima: dict[str, list[float]] = {}
    traces: dict[str, Trace] = {}
    requests: int = 0
    share: float = 0.0

    @property
    def effort(self) -> float:
        """n·s²."""
        return self.requests * self.share**2


class Raised(msgspec.Struct, frozen=True):
    """A false alert by name, for the reader of the report."""

    detector: str
    account_id: str
    archetype: str
    tenant: str
    kind: str
    feature: str
    day: float


class ShardResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything counted on one shard.

    Attributes:
        key: digest of what it depends on (sources, settings, plan, data): a resumed run takes it when this still holds.
        probe_x, probe_y, probe_groups: fields that no attacker must alter (see `probe`).
        single_x, single_y: raw features per account.
        blocks, seconds: the cost of our detector, for the machine's own record (not part of the report).
    """

    key: str
    workload: str
    split: str
    number: int
    data: str
    weather: list[str]
    events: int
    rows: list[Row]
    raised: list[Raised] = []
    probe_x: list[list[float]] = []
    probe_y: list[bool] = []
    probe_groups: list[int] = []
    single_x: list[list[float]] = []
    single_y: list[bool] = []
    detect_seconds: float = 0.0
    seconds: float = 0.0


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(ShardResult)


def encode_result(result: ShardResult) -> bytes:
    """Shard result → bytes."""
    return _ENCODER.encode(result)


def decode_result(data: bytes) -> ShardResult:
    """Bytes → shard result; raises msgspec.MsgspecError where they are none."""
    return _DECODER.decode(data)
