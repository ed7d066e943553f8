"""Control records, version 1 (topic `stillwatch.control`): what people decide, and how frames carry it.

One JSON object per record: a verdict on an alert, a declaration about an account, the revocation of either, or another value for a
setting of the detector. A decision has an id made from what it is about, so that saying it twice is saying it once, and saying
something else replaces it.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec
import orjson
from msgspec import Meta

from pipeline.base.catalogue import RejectReason
from pipeline.base.errors import CodecError, NewerFormatError, SettingsError
from pipeline.base.settings import DetectSettings
from pipeline.base.times import DAY_MS
from pipeline.events.alert import Kind
from pipeline.events.identifiers import complaint, too_long
from pipeline.events.request import Id, Millis

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTROL_VERSION = 1
MAX_NOTE = 1_000
MAX_VALUE = 32_768
"""Characters of a setting's value at most: a prior has some 7,000."""
MAX_DAYS = 366
"""A declaration ends at most so many days after it was made: nobody is excused for good."""

ControlId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Note = Annotated[str, Meta(max_length=MAX_NOTE)]


class VerdictId(IntEnum):
    """OCSF `verdict_id` of a detection finding."""

    FALSE_POSITIVE = 1
    TRUE_POSITIVE = 2
    DISREGARD = 3
    SUSPICIOUS = 4
    BENIGN = 5
    TEST = 6
    INSUFFICIENT = 7
    RISK = 8
    DUPLICATE = 10


class Action(StrEnum):
    """What was done about the account, for the record."""

    NONE = "none"
    CONTACTED = "contacted"
    THROTTLED = "throttled"
    SUSPENDED = "suspended"
    RESTORED = "restored"


class Baseline(StrEnum):
    """What an alert compared the account with: its own past (CHANGE), or comparable accounts (LEVEL)."""

    CHANGE = "change"
    LEVEL = "level"


class Twin(StrEnum):
    """The honest reason why an account looks the way it does."""

    EVALUATION = "evaluation"
    RESELLER = "reseller"
    RESEARCH = "research"
    SYNTHETIC_DATA = "synthetic_data"
    BACKFILL = "backfill"
    MIGRATION = "migration"
    AUDIT = "audit"
    SHARED_KEY = "shared_key"


EXPLAINS: dict[Twin, frozenset[Kind]] = {
    # runs every task on every model at once: volume, templates, rubrics, sweeps
    Twin.EVALUATION: frozenset(
        {Kind.BULK_EXTRACTION, Kind.SYSTEMATIC_DISTILLATION, Kind.REASONING_ELICITATION, Kind.PROBING, Kind.MODEL_PIVOT}
    ),
    # passes on other people's traffic
    Twin.RESELLER: frozenset({Kind.RESALE, Kind.CREDENTIAL_THEFT, Kind.LIMIT_EVASION, Kind.BULK_EXTRACTION}),
    # provokes the model on purpose: refusals, chains of thought, log-probabilities
    Twin.RESEARCH: frozenset({Kind.PROBING, Kind.REASONING_ELICITATION, Kind.SYSTEMATIC_DISTILLATION}),
    # makes a training set of its own, as agreed
    Twin.SYNTHETIC_DATA: frozenset({Kind.SYSTEMATIC_DISTILLATION, Kind.BULK_EXTRACTION, Kind.REASONING_ELICITATION}),
    # works through a backlog at full speed
    Twin.BACKFILL: frozenset({Kind.BULK_EXTRACTION, Kind.LIMIT_EVASION, Kind.SYSTEMATIC_DISTILLATION}),
    # moves to another model or network
    Twin.MIGRATION: frozenset({Kind.MODEL_PIVOT, Kind.CREDENTIAL_THEFT}),
    # must ask for explanations
    Twin.AUDIT: frozenset({Kind.REASONING_ELICITATION}),
    # one team, or a fleet of build agents, behind one key
    Twin.SHARED_KEY: frozenset({Kind.CREDENTIAL_THEFT, Kind.RESALE, Kind.LIMIT_EVASION}),
}
"""The kinds that each twin accounts for. The others alert as ever."""


class Setting(StrEnum):
    """What may change while the detector runs, by its name in `[detect]`: what says how much is told, not what is seen."""

    ALERT_BUDGET = "alert_budget"
    FALSE_ALERTS_PER_DAY = "false_alerts_per_day"
    COOLDOWN_H = "cooldown_h"
    STORM_FACTOR = "storm_factor"
    PRIOR_FILE = "prior_file"


class _Decision(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every control record says."""

    schema_version: int = CONTROL_VERSION
    control_id: ControlId
    issued_at_ms: Millis
    """Wall-clock time of the decision, for the audit: nothing is decided by it."""
    issued_by: Name
    note: Note = ""


class _AboutAccount(_Decision, frozen=True, kw_only=True):
    """What every decision about one account says."""

    account_id: Id


class Verdict(_AboutAccount, frozen=True, kw_only=True, tag="verdict"):
    """What somebody found out about an alert."""

    alert_id: Annotated[str, Meta(min_length=1, max_length=128)]
    kind: Kind
    baselines: Annotated[list[Baseline], Meta(min_length=1, max_length=2)]
    verdict_id: VerdictId
    action: Action = Action.NONE


class Declaration(_AboutAccount, frozen=True, kw_only=True, tag="declaration"):
    """What an account is known to do, until a date (event time) and within a limit."""

    twin: Twin
    until_ms: Millis
    requests_per_day: Annotated[int, Meta(ge=0, le=10**12)] = 0
    """More requests in a UTC day alert; 0: no limit."""


class Revocation(_AboutAccount, frozen=True, kw_only=True, tag="revocation"):
    """The decision `control_id` about the account does not hold any more."""


class Tuning(_Decision, frozen=True, kw_only=True, tag="tuning"):
    """From here on the detector has this value for a setting, in every partition."""

    setting: Setting
    value: Annotated[str, Meta(max_length=MAX_VALUE)]
    """As in a settings file; of `prior_file` the file's content. Empty: what each worker's own settings say."""

    def onto(self, changes: Mapping[str, str]) -> dict[str, str]:
        """Changes so far, setting → value, with this one."""
        return {name: value for name, value in {**changes, self.setting.value: self.value}.items() if value}


AboutAccount: TypeAlias = Verdict | Declaration | Revocation
Control: TypeAlias = AboutAccount | Tuning


def decode_control(data: bytes) -> Control:
    """JSON bytes → record.

    Raises:
        msgspec.DecodeError: it is none. What the types do not say is asked of `complaint_about`.
    """
    return _JSON.decode(data)


_JSON: msgspec.json.Decoder[Control] = msgspec.json.Decoder(Control)


def complaint_about(record: Control) -> tuple[RejectReason, str, str] | None:
    """What is wrong beyond types: reason, message, JSON path; None when it is a decision."""
    if record.schema_version != CONTROL_VERSION:
        return RejectReason.UNKNOWN_VERSION, f"this program reads schema_version {CONTROL_VERSION}", "$.schema_version"
    if isinstance(record, Tuning):
        return _complaint_about_value(record)
    if wrong := complaint(record.account_id):
        return RejectReason.BAD_IDENTIFIER, wrong, "$.account_id"
    if too_long(record.account_id):
        return RejectReason.ABSURD_VALUE, "an id over 256 bytes", "$.account_id"
    if isinstance(record, Declaration) and not 0 < record.until_ms - record.issued_at_ms <= MAX_DAYS * DAY_MS:
        return RejectReason.ABSURD_VALUE, f"a declaration ends within {MAX_DAYS} days after it was made", "$.until_ms"
    return None


def _complaint_about_value(record: Tuning) -> tuple[RejectReason, str, str] | None:
    """Whether a prior is one is seen where it is used: that takes the detector."""
    try:
        DetectSettings().tuned(record.onto({}))
    except SettingsError as err:
        return RejectReason.ABSURD_VALUE, err.message, "$.value"
    return None


def verdict_control_id(alert_id: str) -> str:
    """Id of the verdict on an alert: a later verdict on the same alert replaces it."""
    return _digest("verdict", alert_id)


def baselines_of(reasons: Iterable[tuple[str, float]]) -> list[Baseline]:
    """What an alert mostly rested on, from the baselines and contributions of its explanation: the account's own past, or others.

    Without an explanation: both.
    """
    parts = list(reasons)
    if not parts:
        return [Baseline.CHANGE, Baseline.LEVEL]
    own = sum(contribution for baseline, contribution in parts if baseline == "own")
    return [Baseline.CHANGE if 2 * own >= sum(contribution for _, contribution in parts) else Baseline.LEVEL]


def declaration_control_id(account_id: str, twin: Twin) -> str:
    """Id of a declaration: a later one about the same account and twin replaces it."""
    return _digest("declaration", account_id, twin.value)


def tuning_control_id(setting: Setting) -> str:
    """Id of a setting's value: a later one replaces it."""
    return _digest("tuning", setting.value)


def key_of(record: Control) -> bytes:
    """Key of a record in the topic: what it is about."""
    return record.setting.encode() if isinstance(record, Tuning) else record.account_id.encode("utf-8", "surrogatepass")


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def encode_control(record: Control) -> bytes:
    """Record → JSON bytes for the topic, deterministic."""
    return orjson.dumps(msgspec.to_builtins(record))


class ControlSegment(msgspec.Struct, frozen=True, array_like=True):
    """What a frame says about one partition of the control topic: it accounts for `(from_offset, to_offset]`.

    Like a segment of requests; in it stand the records that are for this frames partition: about an account that lives here, or
    about the detector.
    """

    source: Literal["control"]
    topic_id: str
    partition: int
    from_offset: int
    to_offset: int
    records: list[tuple[int, Control]]
    """(source offset, record without its note), in order."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(ControlSegment)


def encode_segment(segment: ControlSegment) -> bytes:
    """Segment → bytes for `FrameHeader.control`, deterministic."""
    return _ENCODER.encode(segment)


def decode_segment(data: bytes) -> ControlSegment:
    """Bytes of `FrameHeader.control` → segment.

    Raises:
        NewerFormatError: it holds a record that this version does not know.
        CodecError: it does not decode.
    """
    try:
        return _DECODER.decode(data)
    except msgspec.ValidationError as err:
        raise NewerFormatError(f"a control segment that this program does not know: {err}", next_step="upgrade this worker") from None
    except msgspec.MsgspecError as err:
        raise CodecError(f"control segment does not decode: {err}") from None
