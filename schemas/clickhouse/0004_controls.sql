-- What people decided, for the audit and for analysts. No TTL: it is small, and it is the record of who decided what.

CREATE TABLE IF NOT EXISTS {{database}}.controls
(
    control_id String COMMENT 'Names the decision by what it is about: said again it replaces itself, a revocation names it too',
    account_id String COMMENT 'The account it is about',
    type LowCardinality(String) COMMENT 'verdict, declaration, revocation',
    issued_at DateTime64(3, 'UTC') COMMENT 'Wall-clock time of the decision',
    issued_by String COMMENT 'Who decided',
    note String COMMENT 'Why, in their words',
    alert_id String COMMENT 'Verdict: the alert',
    kind LowCardinality(String) COMMENT 'Verdict: the alert''s kind, whose bar it moves',
    baselines Array(LowCardinality(String)) COMMENT 'Verdict: change (own past), level (comparable accounts)',
    verdict_id UInt8 COMMENT 'Verdict: as OCSF; 0 for other types',
    verdict LowCardinality(String) COMMENT 'Verdict: its name',
    action LowCardinality(String) COMMENT 'Verdict: none, contacted, throttled, suspended, restored',
    twin LowCardinality(String) COMMENT 'Declaration: evaluation, reseller, research, synthetic_data, …',
    until DateTime64(3, 'UTC') COMMENT 'Declaration: event time at which it ends',
    requests_per_day UInt64 COMMENT 'Declaration: more in a UTC day alerts; 0: no limit',
    source_offset Int64 COMMENT 'Offset in the control topic (one partition): the order in which decisions take effect',
    recorded_at DateTime64(3, 'UTC') COMMENT 'Kafka timestamp of the record'
)
ENGINE = ReplacingMergeTree
ORDER BY (account_id, control_id, issued_at, source_offset)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Every verdict, declaration and revocation ever given; feedback and declarations have the latest word of each';

CREATE OR REPLACE VIEW {{database}}.feedback
AS SELECT
    control_id AS feedback_id,
    account_id,
    argMaxIf(c.alert_id, at, type = 'verdict') AS alert_id,
    argMaxIf(c.kind, at, type = 'verdict') AS kind,
    argMaxIf(c.baselines, at, type = 'verdict') AS baselines,
    argMaxIf(c.verdict_id, at, type = 'verdict') AS verdict_id,
    argMaxIf(c.verdict, at, type = 'verdict') AS verdict,
    argMaxIf(c.action, at, type = 'verdict') AS action,
    argMaxIf(c.note, at, type = 'verdict') AS note,
    argMaxIf(c.issued_by, at, type = 'verdict') AS issued_by,
    argMaxIf(c.issued_at, at, type = 'verdict') AS issued_at,
    argMax(type, at) = 'verdict' AS in_force,
    if(in_force, '', argMax(c.issued_by, at)) AS revoked_by
FROM (SELECT *, (recorded_at, source_offset) AS at FROM {{database}}.controls FINAL) AS c
GROUP BY control_id, account_id
HAVING countIf(type = 'verdict') > 0
COMMENT 'The latest verdict on each alert and account, and whether it is in force';

CREATE OR REPLACE VIEW {{database}}.declarations
AS SELECT
    control_id AS declaration_id,
    account_id,
    argMaxIf(c.twin, at, type = 'declaration') AS twin,
    argMaxIf(c.until, at, type = 'declaration') AS until,
    argMaxIf(c.requests_per_day, at, type = 'declaration') AS requests_per_day,
    argMaxIf(c.note, at, type = 'declaration') AS note,
    argMaxIf(c.issued_by, at, type = 'declaration') AS issued_by,
    argMaxIf(c.issued_at, at, type = 'declaration') AS issued_at,
    argMax(type, at) = 'declaration' AND until > now64(3, 'UTC') AS in_force,
    if(argMax(type, at) = 'revocation', argMax(c.issued_by, at), '') AS revoked_by
FROM (SELECT *, (recorded_at, source_offset) AS at FROM {{database}}.controls FINAL) AS c
GROUP BY control_id, account_id
HAVING countIf(type = 'declaration') > 0
COMMENT 'The latest declaration of each account and twin, and whether it is in force (by the wall clock; detect goes by event time)';
