"""`stillwatch query`: one read-only SQL statement, with limits."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.cli.reading import Format, reading, write
from pipeline.ports.clickhouse import Limits


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("query")(query)


def query(
    sql: Annotated[str, typer.Argument(help="One SQL statement without FORMAT; `-` reads it from standard input.", show_default=False)],
    form: Annotated[
        Format, typer.Option("--format", help="A table, one JSON object per row and line, or CSV with a header.")
    ] = Format.TABLE,
    limit: Annotated[int, typer.Option("--limit", min=1, max=Limits().rows, help="Rows at most.")] = 1_000,
) -> None:
    """Ask ClickHouse: reads only, at most 30 s and 2 GiB per query.

    Tables: alerts_latest (the current revision of each alert), account_hourly (requests, tokens, errors, models, risk per
    account and hour), alerts (every revision), dead_letters FINAL, webhook_attempts FINAL. Times are UTC.

    Example: stillwatch query "SELECT account_id, sum(output_tokens) AS t FROM account_hourly GROUP BY 1 ORDER BY t DESC LIMIT 10"
    """
    with reading() as reader:
        write(reader.query(sys.stdin.read() if sql == "-" else sql, rows=limit), form)
