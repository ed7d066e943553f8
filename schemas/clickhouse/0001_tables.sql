-- The analysts' tables. Placeholders {{…}} come from the settings; the checksum is taken before they are filled in.
-- Every table is a ReplacingMergeTree on a deterministic key (a repeat of a row changes nothing once merged; read with FINAL
-- until then) and remembers the tokens of its last inserts (a repeat of a whole insert is dropped at once).

CREATE TABLE IF NOT EXISTS {{database}}.alerts
(
    schema_version UInt16 COMMENT 'Version of the alert''s wire format',
    alert_id String COMMENT 'Deterministic id: subject, kind, episode',
    revision UInt32 COMMENT 'An alert opens, is updated, closes; the highest revision counts',
    state LowCardinality(String) COMMENT 'opened, updated, closed',
    subject_type LowCardinality(String) COMMENT 'account, api_key, organization, campaign, population',
    subject_id String COMMENT 'Whom it is about',
    account_ids Array(String) COMMENT 'Member accounts, for a group',
    kind LowCardinality(String) COMMENT 'What the subject does: bulk_extraction, systematic_distillation, …',
    headline String COMMENT 'One sentence, at most 160 characters',
    severity UInt8 COMMENT '1–5, as OCSF',
    risk Float64 COMMENT '0–1',
    confidence Float64 COMMENT '0–1',
    first_seen DateTime64(3, 'UTC') COMMENT 'Event time of the first request of the episode',
    last_seen DateTime64(3, 'UTC') COMMENT 'Event time of the last request of this revision',
    raised_at DateTime64(3, 'UTC') COMMENT 'Event time at which this revision was raised',
    requests UInt64 COMMENT 'Requests of the episode so far',
    input_tokens UInt64 COMMENT 'Input tokens of the episode so far',
    output_tokens UInt64 COMMENT 'Output tokens of the episode so far',
    explanation Nested
    (
        feature LowCardinality(String),
        unit LowCardinality(String),
        window_s Int32,
        observed Float64,
        expected_low Float64,
        expected_high Float64,
        baseline LowCardinality(String),
        tail_probability Float64,
        contribution Float64
    ) COMMENT 'Per feature: expected range, observed value, how unlikely, share of the decision (window_s: 0 one block, −1 the whole life); unfold with ARRAY JOIN explanation',
    techniques Array(LowCardinality(String)) COMMENT 'MITRE ATLAS and ATT&CK, OWASP ids',
    evidence Nested
    (
        event_id String,
        occurred_at DateTime64(3, 'UTC'),
        conversation_id String,
        position String
    ) COMMENT 'Requests that prove it (position: partition:offset in the requests topic); unfold with ARRAY JOIN evidence',
    recommended_action LowCardinality(String) COMMENT 'watch, throttle, verify, suspend',
    detector_version LowCardinality(String) COMMENT 'Detector that decided',
    requests_before UInt64 COMMENT 'Requests of the subject before the alert opened',
    output_tokens_before UInt64 COMMENT 'Output tokens of the subject before the alert opened',
    delivered_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Wall-clock time of the insert'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(raised_at)
ORDER BY (alert_id, revision)
TTL raised_at + toIntervalDay({{alerts_ttl_days}})
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Every revision of every alert, as published; alerts_latest has the current one of each';

CREATE TABLE IF NOT EXISTS {{database}}.account_rollups
(
    account_id String COMMENT 'Who is billed',
    hour DateTime64(0, 'UTC') COMMENT 'Hour of event time',
    arrival_epoch Int64 COMMENT 'When the events arrived, in the detector''s numbering; a late event has a row of its own',
    frames_partition UInt32 COMMENT 'Partition of the frames topic that the account lives in',
    version UInt64 COMMENT 'Frames offset up to which this row counts; the highest wins',
    requests UInt64 COMMENT 'Requests',
    input_tokens UInt64 COMMENT 'Input tokens',
    output_tokens UInt64 COMMENT 'Output tokens, reasoning included',
    reasoning_tokens UInt64 COMMENT 'Reasoning tokens',
    cached_input_tokens UInt64 COMMENT 'Input tokens served from the prompt cache',
    errors UInt64 COMMENT 'Requests with status 400 or above',
    models Array(UInt64) COMMENT 'Hashes of the distinct models',
    risk Float64 COMMENT 'Highest risk, 0–1'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (account_id, hour, arrival_epoch)
TTL hour + toIntervalDay({{hourly_ttl_days}})
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Absolute counts per account, hour and arrival epoch: the source of account_hourly, which is what to query';

CREATE TABLE IF NOT EXISTS {{database}}.dead_letters
(
    source_topic LowCardinality(String) COMMENT 'Topic of the rejected record',
    source_partition Int32 COMMENT 'Its partition',
    source_offset Int64 COMMENT 'Its offset: read the original back from here',
    record_time DateTime64(3, 'UTC') COMMENT 'Its Kafka timestamp',
    rejected_at DateTime64(3, 'UTC') COMMENT 'Wall-clock time of the rejection',
    reason LowCardinality(String) COMMENT 'Why: not_json, missing_field, absurd_value, …',
    json_path String COMMENT 'Where in the record; $ is the whole',
    message String COMMENT 'What is wrong, without any value of the record',
    size UInt64 COMMENT 'Bytes of the record',
    sha256 String COMMENT 'Hash of the record''s bytes, hexadecimal',
    fields Map(String, String) COMMENT 'Allow-listed fields that were valid on their own; never prompt text'
)
ENGINE = ReplacingMergeTree(rejected_at)
PARTITION BY toYYYYMM(rejected_at)
ORDER BY (source_topic, source_partition, source_offset)
TTL rejected_at + toIntervalDay({{dead_letters_ttl_days}})
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Input records that were rejected: reason and position, never their bytes';

CREATE TABLE IF NOT EXISTS {{database}}.webhook_attempts
(
    endpoint LowCardinality(String) COMMENT 'Name of the endpoint in the settings',
    alert_id String COMMENT 'Alert that was sent',
    revision UInt32 COMMENT 'Its revision',
    attempt UInt16 COMMENT 'Number of the attempt, from 1',
    attempted_at DateTime64(3, 'UTC') COMMENT 'Wall-clock time at which it began',
    outcome LowCardinality(String) COMMENT 'delivered, failed, gave_up (failed and was the last), disabled (the endpoint answered 410)',
    status UInt16 COMMENT 'HTTP status; 0: no answer',
    error String COMMENT 'Why there was no answer, or empty',
    duration_ms Float64 COMMENT 'How long it took'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(attempted_at)
ORDER BY (endpoint, alert_id, revision, attempt, attempted_at)
TTL attempted_at + toIntervalDay({{alerts_ttl_days}})
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Webhook attempts, for support questions; best effort: a worker killed mid-flight may leave its last ones out';
