"""The catalogue of names an operator meets: reject reasons, metrics, log events. Each lives here once."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class RejectReason(StrEnum):
    """Why an input record went to the dead letters."""

    NOT_JSON = "not_json"  # does not parse: not JSON at all, truncated, NaN or Infinity literals
    NOT_UTF8 = "not_utf8"  # bytes that are not UTF-8
    NOT_OBJECT = "not_object"  # JSON, but not one object
    TOO_LARGE = "too_large"  # above ingest.max_record_bytes
    TOO_DEEP = "too_deep"  # nested deeper than ingest.max_depth
    DUPLICATE_KEY = "duplicate_key"  # one object names a field twice: which one would count is a guess
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    ABSURD_VALUE = "absurd_value"  # negative tokens, a time more than 24 h ahead, an overlong id
    BAD_IDENTIFIER = "bad_identifier"  # an id with control characters or one that is a path
    UNKNOWN_VERSION = "unknown_version"  # schema_version that this program does not know
    EMPTY = "empty"  # no value at all (a tombstone in the requests topic)


class MetricKind(StrEnum):
    """Prometheus metric types in use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One metric: name, kind, help (what an operator asks), label names."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("stillwatch_records_total", MetricKind.COUNTER, "Records read, by role and topic.", ("role", "topic")),
        Metric("stillwatch_rejects_total", MetricKind.COUNTER, "Input records rejected, by reason.", ("reason",)),
        Metric(
            "stillwatch_events_total",
            MetricKind.COUNTER,
            "Valid events: framed by ingest, applied by detect.",
            ("role",),
        ),
        Metric("stillwatch_duplicates_total", MetricKind.COUNTER, "Events dropped as repeats of the same request."),
        Metric("stillwatch_event_id_conflicts_total", MetricKind.COUNTER, "Events whose id was seen with other content."),
        Metric("stillwatch_late_events_total", MetricKind.COUNTER, "Events more than an hour behind the watermark."),
        Metric("stillwatch_frames_total", MetricKind.COUNTER, "Frames produced by ingest, applied by detect.", ("role",)),
        Metric(
            "stillwatch_source_gap",
            MetricKind.GAUGE,
            "Source offsets missing or lost before a segment.",
            ("partition", "kind"),
        ),
        Metric("stillwatch_consumer_lag", MetricKind.GAUGE, "Records not yet read.", ("role", "topic", "partition")),
        Metric(
            "stillwatch_watermark_lag_seconds",
            MetricKind.GAUGE,
            "Wall-clock minus event-time watermark.",
            ("partition",),
        ),
        Metric(
            "stillwatch_checkpoint_age_seconds",
            MetricKind.GAUGE,
            "Time since the last durable checkpoint.",
            ("partition",),
        ),
        Metric("stillwatch_outbox_age_seconds", MetricKind.GAUGE, "Age of the oldest undelivered webhook.", ("endpoint",)),
        Metric("stillwatch_accounts", MetricKind.GAUGE, "Accounts tracked.", ("partition", "state")),
        Metric(
            "stillwatch_alert_budget",
            MetricKind.GAUGE,
            "False alerts per 1,000 active account-days that a partition allows at present.",
            ("partition",),
        ),
        Metric(
            "stillwatch_bars_raised",
            MetricKind.GAUGE,
            "Halvings of sensitivity by which verdicts raise a partition's bars.",
            ("partition", "baseline"),
        ),
        Metric(
            "stillwatch_alerts_total",
            MetricKind.COUNTER,
            "Alert revisions produced, by kind and state.",
            ("kind", "state"),
        ),
        Metric(
            "stillwatch_event_to_alert_seconds",
            MetricKind.HISTOGRAM,
            "Append time of the deciding event to alert produced.",
        ),
        Metric("stillwatch_rows_total", MetricKind.COUNTER, "Rows accepted by ClickHouse, by table.", ("table",)),
        Metric("stillwatch_insert_retries_total", MetricKind.COUNTER, "ClickHouse inserts tried again.", ("table",)),
        Metric(
            "stillwatch_webhook_attempts_total",
            MetricKind.COUNTER,
            "Webhook attempts, by outcome.",
            ("endpoint", "outcome"),
        ),
        Metric("stillwatch_canary_flights_total", MetricKind.COUNTER, "Planted attackers sent, by outcome: seen, missed.", ("outcome",)),
        Metric("stillwatch_canary_delay_seconds", MetricKind.GAUGE, "Last planted attacker: first request sent to alert in ClickHouse."),
        Metric("stillwatch_canary_last_seen_timestamp_seconds", MetricKind.GAUGE, "Unix time at which a planted attacker was last seen."),
        Metric("stillwatch_ready", MetricKind.GAUGE, "1 when the role is ready.", ("role",)),
    )
}
