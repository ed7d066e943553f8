"""`stillwatch declare ACCOUNT TWIN --until DATE`, `declare list`, `declare revoke`: what accounts are known to do."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.base.errors import StillwatchError
from pipeline.base.settings import load_settings
from pipeline.cli.decisions import AsJson, By, Everything, GivingGroup, Why, now_ms, revoke, send, until_ms, who
from pipeline.cli.reading import complain, reading, write_json, write_table
from pipeline.events.control import EXPLAINS, MAX_DAYS, Declaration, Twin, declaration_control_id
from pipeline.ports.clickhouse import Limits, Reader

if TYPE_CHECKING:
    from pipeline.base.settings import Settings

app = typer.Typer(cls=GivingGroup, no_args_is_help=True, add_completion=False)

TWINS = "; ".join(f"{twin.value} ({', '.join(sorted(EXPLAINS[twin]))})" for twin in Twin)
COLUMNS = ("declaration_id", "account_id", "twin", "until", "requests_per_day", "in_force", "issued_at", "issued_by", "note")
LIST_SQL = """
SELECT declaration_id, account_id, twin, until, requests_per_day, in_force, issued_at, issued_by, revoked_by, note
FROM declarations
WHERE {all:UInt8} OR in_force
ORDER BY issued_at DESC, declaration_id, account_id
"""
SEEN_SQL = "SELECT count() FROM (SELECT 1 FROM account_rollups WHERE account_id = {account:String} LIMIT 1)"


@app.command("give")
def give(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account_id.", show_default=False)],
    twin: Annotated[Twin, typer.Argument(metavar="TWIN", help=f"What it does, and the kinds that explains: {TWINS}.", show_default=False)],
    until: Annotated[
        str,
        typer.Option("--until", help=f"When it ends, at most {MAX_DAYS} days ahead: a UTC date (included), a UTC time, or 90d, 12h."),
    ],
    limit: Annotated[int, typer.Option("--limit", min=0, help="Requests per UTC day; more alert all the same. 0: no limit.")] = 0,
    note: Why = "",
    by: By = "",
) -> None:
    """Declare what an account is known to do; the word `give` may be left out.

    Until then (in event time) the kinds that the declaration explains do not alert, unless the account exceeds its limit: that alerts
    at once. Every other kind alerts as ever. A later declaration of the same twin replaces this one.
    """
    settings = load_settings()
    at = now_ms()
    record = Declaration(
        control_id=declaration_control_id(account, twin), account_id=account, issued_at_ms=at, issued_by=who(by), note=note,
        twin=twin, until_ms=until_ms(until, at), requests_per_day=limit,
    )  # fmt: skip
    send(settings, [record])
    typer.echo(f"{record.control_id}: {account} is declared {twin.value}; {', '.join(sorted(EXPLAINS[twin]))} do not alert")
    if not _seen(settings, account):
        complain(f"no request of {account!r} is in ClickHouse: is the id right?")


@app.command("list")
def list_declarations(
    everything: Everything = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=Limits().rows, help="Rows at most, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List declarations in force, newest first."""
    with reading() as reader:
        found = reader.query(LIST_SQL, {"all": int(everything)}, rows=limit)
    if as_json:
        write_json(found.records())
    elif found.rows:
        write_table(COLUMNS, [[record[column] for column in COLUMNS] for record in found.records()])
    else:
        complain("no declarations" if everything else "no declarations in force")
    if found.truncated:
        complain(f"these are the newest {limit}; --limit shows more")


@app.command("revoke")
def revoke_declaration(
    declaration_id: Annotated[str, typer.Argument(metavar="ID", help="As `declare list` shows it, or the beginning.", show_default=False)],
    note: Why = "",
    by: By = "",
) -> None:
    """Take a declaration back before it ends. Exit status 1 when none is in force."""
    revoke(load_settings(), "declaration", "declarations", declaration_id, by, note)


def _seen(settings: Settings, account: str) -> bool:
    """Whether the account has requests in ClickHouse; taken for granted when it does not answer: the declaration stands."""
    with closing(Reader(settings, Limits(seconds=5))) as reader:
        try:
            return bool(int(reader.query(SEEN_SQL, {"account": account}).rows[0][0]))
        except StillwatchError:
            return True
