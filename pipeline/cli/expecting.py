"""False alerts to expect: the budget in alerts a day, at the number of accounts that are active here."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from pipeline.base.errors import StillwatchError
from pipeline.cli.check import Check, Status
from pipeline.ports.clickhouse import Limits, Reader

if TYPE_CHECKING:
    from pipeline.base.settings import DetectSettings, Settings

_SUBJECT = "alert budget"
_SQL = """
SELECT dateDiff('day', toDate(hour, 'UTC'), toDate(now('UTC'), 'UTC')) AS ago, uniq(account_id) AS accounts
FROM account_hourly WHERE hour >= toStartOfDay(now('UTC')) - INTERVAL 7 DAY AND hour <= now('UTC') AND requests > 0
GROUP BY ago ORDER BY ago
"""


def expectation(settings: Settings, detect: DetectSettings) -> Check:
    """The budget in force in alerts a day, by the accounts of the last week; per 1,000 accounts where those are not known."""
    try:
        with closing(Reader(settings, Limits(seconds=5))) as reader:
            rows = reader.query(_SQL).rows
    except StillwatchError as error:
        return Check(_SUBJECT, Status.OK, f"{_in_general(detect)}; how many are active is not known: {error.message}")
    whole = [int(accounts) for ago, accounts in rows if int(ago) > 0]
    if whole:
        days = f"{len(whole)} whole days" if len(whole) > 1 else "a whole day"
        return Check(_SUBJECT, Status.OK, _here(detect, sum(whole) / len(whole), f"by {days} of the last week"))
    if rows:
        return Check(_SUBJECT, Status.OK, _here(detect, float(rows[0][1]), "by today so far"))
    return Check(_SUBJECT, Status.OK, f"{_in_general(detect)}; no account was active in the last week")


def _here(detect: DetectSettings, active: float, by: str) -> str:
    promised = detect.alert_budget * active / 1_000
    found = f"{detect.alert_budget:g} per 1,000 active account-days: at most {_number(detect.promised_a_day(active))} false alerts a day"
    if promised > detect.false_alerts_per_day:
        found += f" instead of {_number(promised)}, by detect.false_alerts_per_day,"
    return f"{found} at {active:,.0f} active accounts a day ({by})"


def _in_general(detect: DetectSettings) -> str:
    full = 1_000 * detect.false_alerts_per_day / detect.alert_budget
    return (
        f"at most {detect.alert_budget:g} false alerts a day for each 1,000 active accounts, "
        f"and from {full:,.0f} accounts on never more than {detect.false_alerts_per_day:g} in all"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
