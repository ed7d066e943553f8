-- What an analyst needs to act: slices, who it is, what leaves per hour, what a wrong action costs, harmless explanations.

ALTER TABLE {{database}}.alerts
    ADD COLUMN IF NOT EXISTS `explanation.phrase` Array(String) COMMENT 'The feature and its values in words' AFTER `explanation.contribution`,
    ADD COLUMN IF NOT EXISTS `evidence.why` Array(LowCardinality(String)) COMMENT 'What about the request supports the suspicion; empty: it only stands near' AFTER `evidence.position`,
    ADD COLUMN IF NOT EXISTS `slices.dimension` Array(LowCardinality(String)) COMMENT 'api_key, address_block, template, model; unfold with ARRAY JOIN slices' AFTER output_tokens_before,
    ADD COLUMN IF NOT EXISTS `slices.value` Array(String) COMMENT 'Key id, /24 or /48 block, short hash of a template, model' AFTER `slices.dimension`,
    ADD COLUMN IF NOT EXISTS `slices.requests` Array(UInt64) COMMENT 'Suspicious requests counted in it, at least' AFTER `slices.value`,
    ADD COLUMN IF NOT EXISTS `slices.share` Array(Float64) COMMENT 'Of the suspicious requests, 0–1' AFTER `slices.requests`,
    ADD COLUMN IF NOT EXISTS `slices.ordinary_share` Array(Float64) COMMENT 'Of the other requests, 0–1: what blocking it would hit besides' AFTER `slices.share`,
    ADD COLUMN IF NOT EXISTS `slices.stops` Array(Bool) COMMENT 'Belongs to the smallest slice that stops at least 90 %' AFTER `slices.ordinary_share`,
    ADD COLUMN IF NOT EXISTS account_plan LowCardinality(String) COMMENT 'Plan of the account' AFTER `slices.stops`,
    ADD COLUMN IF NOT EXISTS account_age_days Nullable(Float64) COMMENT 'Days since sign-up, NULL when not told' AFTER account_plan,
    ADD COLUMN IF NOT EXISTS account_seen_days Float64 COMMENT 'Days since its first request' AFTER account_age_days,
    ADD COLUMN IF NOT EXISTS account_requests_30d UInt64 COMMENT 'Requests of the last 30 days' AFTER account_seen_days,
    ADD COLUMN IF NOT EXISTS account_verdicts Array(LowCardinality(String)) COMMENT 'Earlier verdicts, the newest last' AFTER account_requests_30d,
    ADD COLUMN IF NOT EXISTS loss_requests_per_hour Float64 COMMENT 'Requests per hour at this revision' AFTER account_verdicts,
    ADD COLUMN IF NOT EXISTS loss_output_tokens_per_hour Float64 COMMENT 'Output tokens per hour at this revision' AFTER loss_requests_per_hour,
    ADD COLUMN IF NOT EXISTS if_wrong Float64 COMMENT 'Benign requests per hour that the recommended action would block if the suspicion is wrong' AFTER loss_output_tokens_per_hour,
    ADD COLUMN IF NOT EXISTS `alternatives.twin` Array(LowCardinality(String)) COMMENT 'Nearest benign twins; unfold with ARRAY JOIN alternatives' AFTER if_wrong,
    ADD COLUMN IF NOT EXISTS `alternatives.title` Array(String) COMMENT 'The twin in words' AFTER `alternatives.twin`,
    ADD COLUMN IF NOT EXISTS `alternatives.fits` Array(Array(String)) COMMENT 'What fits it' AFTER `alternatives.title`,
    ADD COLUMN IF NOT EXISTS `alternatives.contradicts` Array(Array(String)) COMMENT 'What contradicts it' AFTER `alternatives.fits`,
    ADD COLUMN IF NOT EXISTS `alternatives.question` Array(String) COMMENT 'One question that would settle it' AFTER `alternatives.contradicts`,
    ADD COLUMN IF NOT EXISTS canary Bool COMMENT 'Raised by a planted attacker: proof of life, nobody''s account' AFTER `alternatives.question`;

CREATE OR REPLACE VIEW {{database}}.alerts_latest
AS SELECT *
FROM {{database}}.alerts
ORDER BY alert_id, revision DESC
LIMIT 1 BY alert_id
COMMENT 'The current (highest) revision of each alert';
