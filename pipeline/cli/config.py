"""`stillwatch config`: every setting, its value, where the value comes from, one line of meaning."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.table import Table

from pipeline.base.settings import ENV_PREFIX, load_settings, settings_file

if TYPE_CHECKING:
    from collections.abc import Iterator


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("config")(config)


def config(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per setting and line.")] = False,
) -> None:
    """Show every setting: its value, where it comes from, what it means.

    Settings come from the file `stillwatch.toml` (or $STILLWATCH_CONFIG), over it the environment
    (`STILLWATCH_KAFKA__BOOTSTRAP_SERVERS=…`, two underscores between section and key), over it flags.
    Secrets never print.
    """
    settings = load_settings()
    rows = list(_rows(settings, (), _file_keys()))
    if as_json:
        for key, value, origin, meaning in rows:
            typer.echo(orjson.dumps({"key": key, "value": value, "origin": origin, "meaning": meaning}).decode())
        return
    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _file_keys() -> dict[str, Any]:
    path = settings_file()
    return tomllib.loads(path.read_text()) if path.is_file() else {}


def _rows(model: BaseModel, path: tuple[str, ...], file: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        here = (*path, name)
        if isinstance(value, BaseModel):
            section = file.get(name, {})
            yield from _rows(value, here, section if isinstance(section, dict) else {})
            continue
        variable = ENV_PREFIX + "__".join(here).upper()
        known = {key.upper() for key in os.environ}
        origin = variable if variable in known else str(settings_file()) if name in file else "default"
        yield ".".join(here), _show(value), origin, field.description or ""


def _show(value: Any) -> str:  # noqa: ANN401 - any setting
    if isinstance(value, SecretStr):
        return "(secret)"
    if isinstance(value, tuple):
        return ", ".join(_show(v.name) if isinstance(v, BaseModel) and hasattr(v, "name") else _show(v) for v in value)
    return "" if value is None else str(value)
