-- What analysts query.

CREATE OR REPLACE VIEW {{database}}.alerts_latest
AS SELECT *
FROM {{database}}.alerts
ORDER BY alert_id, revision DESC
LIMIT 1 BY alert_id
COMMENT 'The current (highest) revision of each alert';

CREATE OR REPLACE VIEW {{database}}.account_hourly
AS SELECT
    account_id,
    hour,
    sum(requests) AS requests,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(reasoning_tokens) AS reasoning_tokens,
    sum(cached_input_tokens) AS cached_input_tokens,
    sum(errors) AS errors,
    length(groupUniqArrayArray(models)) AS distinct_models,
    max(risk) AS risk
FROM {{database}}.account_rollups FINAL
GROUP BY account_id, hour
COMMENT 'One row per account and hour of event time, late events included: requests, tokens by kind, errors, distinct models, highest risk';
