"""`stillwatch feedback ALERT VERDICT`, `feedback list`, `feedback revoke`: what people found out about alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.base.settings import load_settings
from pipeline.cli.decisions import AsJson, By, Everything, GivingGroup, Why, now_ms, revoke, send, who
from pipeline.cli.reading import NOT_FOUND, USAGE, complain, reading, write_json, write_table
from pipeline.cli.since import since_ms
from pipeline.events.alert import Kind
from pipeline.events.control import Action, Verdict, VerdictId, baselines_of, verdict_control_id
from pipeline.ports.clickhouse import Limits

if TYPE_CHECKING:
    from pipeline.ports.clickhouse import Reader

app = typer.Typer(cls=GivingGroup, no_args_is_help=True, add_completion=False)

VERDICTS = ", ".join(f"{verdict.value} {verdict.name.lower()}" for verdict in VerdictId)
EFFECTS = {
    VerdictId.FALSE_POSITIVE: "raises the bar of {kind} ({baselines}) for",
    VerdictId.BENIGN: "raises the bar of {kind} ({baselines}) for",
    VerdictId.TRUE_POSITIVE: "lowers the bar of {kind} ({baselines}) for",
}
FIND_SQL = """
SELECT alert_id, kind, subject_type, account_ids, explanation.baseline AS baselines, explanation.contribution AS contributions
FROM alerts_latest WHERE startsWith(alert_id, {id:String}) ORDER BY alert_id != {id:String}, alert_id
"""
COLUMNS = ("feedback_id", "issued_at", "issued_by", "verdict", "action", "kind", "account_id", "alert_id", "in_force", "note")
LIST_SQL = """
SELECT feedback_id, issued_at, issued_by, verdict_id, verdict, action, kind, baselines, account_id, alert_id, in_force, revoked_by, note
FROM feedback
WHERE ({all:UInt8} OR in_force) AND issued_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY issued_at DESC, feedback_id, account_id
"""


@app.command("give")
def give(
    alert_id: Annotated[str, typer.Argument(metavar="ALERT", help="Id of the alert, or the beginning of it.", show_default=False)],
    verdict: Annotated[str, typer.Argument(metavar="VERDICT", help=f"Name or number: {VERDICTS}.", show_default=False)],
    action: Annotated[Action, typer.Option("--action", help="What was done about the account.")] = Action.NONE,
    note: Why = "",
    by: By = "",
) -> None:
    """Record a verdict on an alert; the word `give` may be left out.

    A false positive (and benign) raises that account's bar for that kind and baseline, at most eightfold, never out of reach; a true
    positive lowers it, at most to half. The others are recorded and move nothing. A later verdict on the same alert replaces this one.

    The first such verdict about an account also raises the bars of its baseline a little for the other accounts of its partition;
    account-days pay that back. So what is found in vain comes down to the alert budget, whatever your customers are like.

    It goes through the control topic into the frames log, so that a replay knows it, and takes effect on its account within seconds,
    on the others when the epoch ends (`detect.epoch_s`).
    """
    settings = load_settings()
    chosen = _verdict(verdict)
    with reading() as reader:
        alert = _alert(reader, alert_id)
    found = str(alert["alert_id"])
    at, name = now_ms(), who(by)
    baselines = baselines_of(zip(alert["baselines"], alert["contributions"], strict=True))
    records = [
        Verdict(
            control_id=verdict_control_id(found), account_id=account, issued_at_ms=at, issued_by=name, note=note, alert_id=found,
            kind=Kind(alert["kind"]), baselines=baselines, verdict_id=chosen, action=action,
        )
        for account in alert["account_ids"]
    ]  # fmt: skip
    send(settings, records)
    effect = EFFECTS.get(chosen, "is recorded for").format(kind=alert["kind"], baselines=" and ".join(baselines))
    typer.echo(f"{records[0].control_id}: {chosen.name.lower()} {effect} {', '.join(record.account_id for record in records)}")


@app.command("list")
def list_feedback(
    everything: Everything = False,
    since: Annotated[str, typer.Option("--since", help="Given since: 30m, 24h, 7d, or a UTC time.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=Limits().rows, help="Rows at most, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List verdicts in force, newest first."""
    with reading() as reader:
        found = reader.query(LIST_SQL, {"all": int(everything), "since": since_ms(since)}, rows=limit)
    if as_json:
        write_json(found.records())
    elif found.rows:
        write_table(COLUMNS, [[record[column] for column in COLUMNS] for record in found.records()])
    else:
        complain("no verdicts" if everything else "no verdicts in force")
    if found.truncated:
        complain(f"these are the newest {limit}; --limit shows more")


@app.command("revoke")
def revoke_feedback(
    feedback_id: Annotated[str, typer.Argument(metavar="ID", help="As `feedback list` shows it, or the beginning.", show_default=False)],
    note: Why = "",
    by: By = "",
) -> None:
    """Take a verdict back: the bar is what it would be without it. Exit status 1 when none is in force."""
    revoke(load_settings(), "feedback", "feedback", feedback_id, by, note)


def _verdict(text: str) -> VerdictId:
    for verdict in VerdictId:
        if text.lower().replace("-", "_") in (verdict.name.lower(), str(verdict.value)):
            return verdict
    raise typer.BadParameter(f"{text!r} is no verdict: {VERDICTS}")


def _alert(reader: Reader, alert_id: str) -> dict[str, Any]:
    """The alert; ends the command when there is none, several, or no account behind it."""
    alerts = reader.query(FIND_SQL, {"id": alert_id}, rows=6).records()
    if not alerts or not alert_id:
        complain(f"no alert {alert_id!r}; `stillwatch alerts list` shows what there is")
        raise typer.Exit(NOT_FOUND)
    if len(alerts) > 1 and alerts[0]["alert_id"] != alert_id:
        ids = [str(alert["alert_id"]) for alert in alerts]
        complain(f"{alert_id!r} is the beginning of several: {', '.join(ids[:5])}{', …' if len(ids) > 5 else ''}")
        raise typer.Exit(USAGE)
    if not alerts[0]["account_ids"]:
        complain(f"{alerts[0]['alert_id']} is about a {alerts[0]['subject_type']} and names no account whose bar could move")
        raise typer.Exit(NOT_FOUND)
    return alerts[0]
