"""`stillwatch schema export`: the JSON Schemas of what travels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from pipeline.events.schema import json_schemas


def register(app: typer.Typer) -> None:
    """Add the verb."""
    schema = typer.Typer(no_args_is_help=True, help="JSON Schemas of the request event, the alert and the other records.")
    schema.command("export")(export)
    schema.callback()(_group)
    app.add_typer(schema, name="schema")


def _group() -> None:
    """Keep `export` a subcommand although it is the only one."""


def export(
    out: Annotated[Path | None, typer.Option(help="Folder to write one file per schema into; else standard output.")] = None,
) -> None:
    """Write the JSON Schemas, one per record type and version."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    for name, schema in json_schemas().items():
        data = orjson.dumps(schema, option=options)
        if out is None:
            typer.echo(data.decode(), nl=False)
        else:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{name}.json").write_bytes(data)
            typer.echo(out / f"{name}.json")
