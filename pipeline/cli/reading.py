"""What the reading verbs share: a reader that is closed again, output for people and for programs, errors about the query.

On a terminal results are tables; into a pipe they are tab-separated lines with a header, uncut and uncoloured, so that
`cut`, `awk` and `sort` work. JSON is one object per line.
"""

from __future__ import annotations

import csv
import sys
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from pipeline.base.settings import load_settings
from pipeline.ports.clickhouse import QueryError, Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pipeline.ports.clickhouse import Table

NOT_FOUND, USAGE = 1, 2
_READONLY, _SYNTAX, _UNKNOWN_TABLE, _UNKNOWN_NAME = 164, 62, 60, 47
_TOO_COSTLY = frozenset({158, 159, 160, 241, 307, 396})


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@contextmanager
def reading() -> Iterator[Reader]:
    """A reader of the settings' ClickHouse. A query that is refused ends the command with status 2 and a hint."""
    reader = Reader(load_settings())
    try:
        yield reader
    except QueryError as err:
        complain(f"{err.message}{_hint(err)}")
        raise typer.Exit(USAGE) from None
    finally:
        reader.close()


def _hint(err: QueryError) -> str:
    if err.code == _READONLY:
        return "\nThis connection only reads, and settings cannot be changed in it."
    if err.code == _SYNTAX and "FORMAT" in err.message:
        return "\nLeave FORMAT out of the query: --format table, json or csv."
    if err.code in (_UNKNOWN_TABLE, _UNKNOWN_NAME):
        return '\n`stillwatch query "SHOW TABLES"` and "DESCRIBE alerts" name what there is; `stillwatch init` makes it.'
    if err.code in _TOO_COSTLY:
        return "\nNarrow it down: a WHERE on account_id or hour, a LIMIT, fewer columns."
    return ""


def complain(text: str) -> None:
    """Say something that is not the result."""
    typer.echo(f"stillwatch: {text}", err=True)


def write(table: Table, form: Format) -> None:
    """Write a result to standard output, and on standard error whether it was cut."""
    if form is Format.JSON:
        write_json(table.records())
    elif form is Format.CSV:
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(table.columns)
        lines.writerows([_text(value) for value in row] for row in table.rows)
    else:
        write_table(table.columns, table.rows)
    if table.truncated:
        complain(f"these are the first {len(table.rows)} rows; there are more: --limit, or a narrower question")


def write_json(records: Iterable[object]) -> None:
    """One JSON object per line."""
    for record in records:
        typer.echo(orjson.dumps(record).decode())


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on a terminal, the first column never broken; tab-separated lines elsewhere."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            typer.echo("\t".join(_text(value).replace("\t", " ").replace("\n", " ") for value in row))
        return
    shown = RichTable(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        shown.add_column(column, overflow="fold", no_wrap=place == 0)
    for row in rows:
        shown.add_row(*(Text(printable(_text(value))) for value in row))
    Console().print(shown)


def printable(text: str) -> str:
    """Without control characters: what others sent must not steer the terminal."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return orjson.dumps(value).decode()
