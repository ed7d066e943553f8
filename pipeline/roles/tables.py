"""Records of our output topics → columns of ClickHouse tables. Pure; the table's own schema is in `schemas/clickhouse`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import msgspec
import orjson

from pipeline.base.errors import CodecError
from pipeline.events.alert import Alert
from pipeline.events.control import Declaration, Tuning, Verdict
from pipeline.events.outputs import DeadLetter, Rollup
from pipeline.intake import Rejection, read_control

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.ports.broker import Message

Columns = dict[str, list[object]]
_Record = TypeVar("_Record", Alert, Rollup, DeadLetter)


class Feed(NamedTuple):
    """One topic's way into one table.

    Attributes:
        topic: short name of the topic.
        table: name of the table.
        urgent: inserted as soon as read; otherwise rows gather for `deliver.linger_ms`.
        convert: records → columns, in order; CodecError names the record that does not decode.
    """

    topic: Literal["alerts", "rollups", "deadletter", "control"]
    table: str
    urgent: bool
    convert: Callable[[Sequence[Message]], Columns]


def decode(kind: type[_Record], messages: Sequence[Message]) -> list[_Record]:
    """Decode a batch in one call; only when that fails look for the record that is to blame.

    Raises:
        CodecError: that record, by topic, partition and offset.
    """
    values = [message.value() or b"" for message in messages]
    try:
        records = msgspec.json.decode(b"[" + b",".join(values) + b"]", type=list[kind])  # type: ignore[valid-type]  # mypy wants a literal type
    except msgspec.DecodeError:
        records = []
    if len(records) == len(values):
        return records
    return [_decode_one(kind, message) for message in messages]


def _decode_one(kind: type[_Record], message: Message) -> _Record:
    try:
        return msgspec.json.decode(message.value() or b"", type=kind)
    except msgspec.DecodeError as err:
        raise CodecError(
            f"a record that should be {kind.__name__} does not decode: {err}",
            location=f"{message.topic()}[{message.partition()}]@{message.offset()}",
            next_step="find what wrote it; nothing from there on is delivered until the record expires or the group is reset past it",
        ) from None


def _alert_columns(messages: Sequence[Message]) -> Columns:
    alerts = decode(Alert, messages)
    columns: Columns = {name: [getattr(a, name) for a in alerts] for name in _PLAIN_ALERT_FIELDS}
    columns["kind"] = [str(a.kind) for a in alerts]
    for column, field in (("first_seen", "first_seen_ms"), ("last_seen", "last_seen_ms"), ("raised_at", "raised_at_ms")):
        columns[column] = [getattr(a, field) for a in alerts]
    for name in (
        "feature",
        "unit",
        "window_s",
        "observed",
        "expected_low",
        "expected_high",
        "baseline",
        "tail_probability",
        "contribution",
        "phrase",
    ):
        columns[f"explanation.{name}"] = [[getattr(e, name) for e in a.explanation] for a in alerts]
    for column, field in (
        ("event_id", "event_id"),
        ("occurred_at", "occurred_at_ms"),
        ("conversation_id", "conversation_id"),
        ("position", "position"),
        ("why", "why"),
    ):
        columns[f"evidence.{column}"] = [[getattr(e, field) for e in a.evidence] for a in alerts]
    for name in ("dimension", "value", "requests", "share", "ordinary_share", "stops"):
        columns[f"slices.{name}"] = [[getattr(s, name) for s in a.slices] for a in alerts]
    for name in ("twin", "title", "fits", "contradicts", "question"):
        columns[f"alternatives.{name}"] = [[getattr(t, name) for t in a.alternatives] for a in alerts]
    for name in ("plan", "age_days", "seen_days", "requests_30d", "verdicts"):
        columns[f"account_{name}"] = [getattr(a.account, name) for a in alerts]
    columns["loss_requests_per_hour"] = [a.loss_rate.requests for a in alerts]
    columns["loss_output_tokens_per_hour"] = [a.loss_rate.output_tokens for a in alerts]
    return columns


_PLAIN_ALERT_FIELDS = (
    "schema_version",
    "alert_id",
    "revision",
    "state",
    "subject_type",
    "subject_id",
    "account_ids",
    "headline",
    "severity",
    "risk",
    "confidence",
    "requests",
    "input_tokens",
    "output_tokens",
    "techniques",
    "recommended_action",
    "detector_version",
    "requests_before",
    "output_tokens_before",
    "if_wrong",
    "canary",
)


def _rollup_columns(messages: Sequence[Message]) -> Columns:
    rollups = decode(Rollup, messages)
    return {
        "account_id": [r.account_id for r in rollups],
        "hour": [r.hour_ms // 1_000 for r in rollups],
        "arrival_epoch": [r.arrival_epoch for r in rollups],
        "frames_partition": [r.frames_partition for r in rollups],
        "version": [r.version for r in rollups],
        "requests": [r.requests for r in rollups],
        "input_tokens": [r.input_tokens for r in rollups],
        "output_tokens": [r.output_tokens for r in rollups],
        "reasoning_tokens": [r.reasoning_tokens for r in rollups],
        "cached_input_tokens": [r.cached_input_tokens for r in rollups],
        "errors": [r.errors for r in rollups],
        "models": [r.models for r in rollups],
        "risk": [r.risk for r in rollups],
    }


def _dead_letter_columns(messages: Sequence[Message]) -> Columns:
    letters = decode(DeadLetter, messages)
    return {
        "source_topic": [d.source_topic for d in letters],
        "source_partition": [d.source_partition for d in letters],
        "source_offset": [d.source_offset for d in letters],
        "record_time": [d.record_timestamp_ms for d in letters],
        "rejected_at": [_written_at_ms(message, letter) for message, letter in zip(messages, letters, strict=True)],
        "reason": [d.reason for d in letters],
        "json_path": [d.json_path for d in letters],
        "message": [d.message for d in letters],
        "size": [d.size for d in letters],
        "sha256": [d.sha256 for d in letters],
        "fields": [
            {key: value if isinstance(value, str) else orjson.dumps(value).decode() for key, value in d.fields.items()} for d in letters
        ],
    }


def _written_at_ms(message: Message, letter: DeadLetter) -> int:
    kind, at_ms = message.timestamp()
    return at_ms if kind else letter.record_timestamp_ms


def _control_columns(messages: Sequence[Message]) -> Columns:
    """Decisions as ingest reads them: what it rejects has a dead letter and no row here."""
    read = [(message, read_control(message.value())) for message in messages]
    kept = [(message, record) for message, record in read if not isinstance(record, Rejection)]
    records = [record for _, record in kept]
    verdicts = [record if isinstance(record, Verdict) else None for record in records]
    declared = [record if isinstance(record, Declaration) else None for record in records]
    tuned = [record if isinstance(record, Tuning) else None for record in records]
    stamps = [message.timestamp() for message, _ in kept]
    return {
        "control_id": [r.control_id for r in records],
        "account_id": ["" if isinstance(r, Tuning) else r.account_id for r in records],
        "type": [type(r).__name__.lower() for r in records],
        "issued_at": [r.issued_at_ms for r in records],
        "issued_by": [r.issued_by for r in records],
        "note": [r.note for r in records],
        "alert_id": [v.alert_id if v else "" for v in verdicts],
        "kind": [v.kind.value if v else "" for v in verdicts],
        "baselines": [[b.value for b in v.baselines] if v else [] for v in verdicts],
        "verdict_id": [int(v.verdict_id) if v else 0 for v in verdicts],
        "verdict": [v.verdict_id.name.lower() if v else "" for v in verdicts],
        "action": [v.action.value if v else "" for v in verdicts],
        "twin": [d.twin.value if d else "" for d in declared],
        "until": [d.until_ms if d else 0 for d in declared],
        "requests_per_day": [d.requests_per_day if d else 0 for d in declared],
        "setting": [t.setting.value if t else "" for t in tuned],
        "value": [t.value if t else "" for t in tuned],
        "source_offset": [message.offset() or 0 for message, _ in kept],
        "recorded_at": [ms if kind else record.issued_at_ms for (kind, ms), record in zip(stamps, records, strict=True)],
    }


ALERTS = Feed("alerts", "alerts", True, _alert_columns)
ROLLUPS = Feed("rollups", "account_rollups", False, _rollup_columns)
DEAD_LETTERS = Feed("deadletter", "dead_letters", False, _dead_letter_columns)
CONTROLS = Feed("control", "controls", True, _control_columns)
FEEDS = (ALERTS, CONTROLS, ROLLUPS, DEAD_LETTERS)
"""Most urgent first."""
