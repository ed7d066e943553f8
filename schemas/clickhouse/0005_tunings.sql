-- Settings of the detector that were changed while it ran: in the audit, and the last word on each.

ALTER TABLE {{database}}.controls
    ADD COLUMN IF NOT EXISTS setting LowCardinality(String) COMMENT 'Tuning: the setting of [detect]' AFTER requests_per_day,
    ADD COLUMN IF NOT EXISTS value String COMMENT 'Tuning: its value as text (of prior_file the content); empty: what the workers'' settings say' AFTER setting,
    MODIFY COLUMN type LowCardinality(String) COMMENT 'verdict, declaration, revocation, tuning';

CREATE OR REPLACE VIEW {{database}}.tunings
AS SELECT
    c.setting AS setting,
    argMax(c.value, at) AS value,
    argMax(c.note, at) AS note,
    argMax(c.issued_by, at) AS issued_by,
    argMax(c.issued_at, at) AS issued_at,
    value != '' AS in_force
FROM (SELECT *, (recorded_at, source_offset) AS at FROM {{database}}.controls FINAL) AS c
WHERE type = 'tuning'
GROUP BY setting
COMMENT 'The last change of each setting that may change while the detector runs';
