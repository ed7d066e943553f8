"""`stillwatch alerts list|show|explain`: what was raised, as ClickHouse has it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.explaining import explanation
from pipeline.cli.reading import NOT_FOUND, USAGE, complain, printable, reading, write_json, write_table
from pipeline.cli.since import since_ms
from pipeline.events.alert import Kind
from pipeline.ports.clickhouse import Limits

if TYPE_CHECKING:
    from pipeline.ports.clickhouse import Reader

app = typer.Typer(no_args_is_help=True, add_completion=False)

LIST_COLUMNS = ("alert_id", "revision", "state", "kind", "severity", "risk", "subject_id", "raised_at", "headline")
LIST_SQL = """
SELECT alert_id, revision, state, kind, severity, round(risk, 3) AS risk, confidence, subject_type, subject_id,
    first_seen, last_seen, raised_at, requests, input_tokens, output_tokens, recommended_action, headline
FROM alerts_latest
WHERE ({canary:Bool} OR NOT canary) AND ({kind:String} = '' OR kind = {kind:String}) AND ({state:String} = '' OR state = {state:String})
    AND raised_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
ORDER BY raised_at DESC, alert_id
"""
FIND_SQL = "SELECT DISTINCT alert_id FROM alerts WHERE startsWith(alert_id, {id:String}) ORDER BY alert_id != {id:String}, alert_id"
SHOW_SQL = "SELECT * FROM alerts_latest WHERE alert_id = {id:String}"
HISTORY_SQL = """
SELECT revision, state, raised_at, severity, round(risk, 3) AS risk, requests, output_tokens
FROM alerts FINAL WHERE alert_id = {id:String} ORDER BY revision
"""
NESTED = ("explanation", "slices", "alternatives", "evidence")


class State(StrEnum):
    """States of an alert."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"


AlertId = Annotated[str, typer.Argument(help="Id of the alert, or the beginning of it.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, one object per line.")]


@app.command("list")
def list_alerts(
    since: Annotated[str, typer.Option("--since", help="Raised since (event time): 30m, 24h, 7d, or a UTC time.")] = "",
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only this kind.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only this state.")] = None,
    canary: Annotated[bool, typer.Option("--canary", help="Also those about planted attackers.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=Limits().rows, help="Alerts at most, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List alerts, newest first: the current revision of each."""
    chosen = {"kind": kind.value if kind else "", "state": state.value if state else "", "since": since_ms(since)}
    with reading() as reader:
        found = reader.query(LIST_SQL, {**chosen, "canary": canary}, rows=limit)
    if as_json:
        write_json(found.records())
    elif found.rows:
        write_table(LIST_COLUMNS, [[record[column] for column in LIST_COLUMNS] for record in found.records()])
    else:
        complain("no alerts" if not any(chosen.values()) else "no such alerts")
    if found.truncated:
        complain(f"these are the newest {limit}; --limit shows more")


@app.command("show")
def show(alert_id: AlertId, as_json: AsJson = False) -> None:
    """Show one alert with every field, and its revisions. Exit status 1 when there is none."""
    with reading() as reader:
        alert = _find(reader, alert_id)
        history = reader.query(HISTORY_SQL, {"id": alert["alert_id"]})
    if as_json:
        write_json([{**alert, "revisions": history.records()}])
        return
    for name, value in alert.items():
        if name not in NESTED:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            typer.echo(f"{name:22}{printable(shown)}")
    for name in NESTED:
        if alert[name]:
            typer.echo(f"\n{name}")
            write_table(tuple(alert[name][0]), [list(entry.values()) for entry in alert[name]])
    typer.echo("\nrevisions")
    write_table(history.columns, history.rows)


@app.command("explain")
def explain(alert_id: AlertId) -> None:
    """Say in words what was expected, what was observed, what counted, which requests prove it, and what to do next.

    Exit status 1 when there is no such alert.
    """
    with reading() as reader:
        alert = _find(reader, alert_id)
    typer.echo(printable(explanation(alert)))


def _find(reader: Reader, alert_id: str) -> dict[str, Any]:
    """The current revision, nested columns as lists of objects; ends the command when there is none or several."""
    ids = [str(row[0]) for row in reader.query(FIND_SQL, {"id": alert_id}, rows=6).rows]
    if not ids or not alert_id:
        complain(f"no alert {alert_id!r}; `stillwatch alerts list` shows what there is")
        raise typer.Exit(NOT_FOUND)
    if len(ids) > 1 and ids[0] != alert_id:
        complain(f"{alert_id!r} is the beginning of several: {', '.join(ids[:5])}{', …' if len(ids) > 5 else ''}")
        raise typer.Exit(USAGE)
    flat = reader.query(SHOW_SQL, {"id": ids[0]}).records()[0]
    alert: dict[str, Any] = {}
    for name, value in flat.items():
        group, _, field = name.partition(".")
        if not field:
            alert[name] = value
            continue
        entries = alert.setdefault(group, [{} for _ in value])
        for entry, part in zip(entries, value, strict=True):
            entry[field] = part
    return alert
