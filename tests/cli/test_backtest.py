"""`stillwatch backtest` on the command line: what it says of the lines at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import typer
from typer.testing import CliRunner

from pipeline.cli.backtest import register
from tests.lab.stranger import Stranger

if TYPE_CHECKING:
    from pathlib import Path


def said(tmp_path: Path, lines: list[bytes]) -> list[str]:
    """The closing lines."""
    events = tmp_path / "events.ndjson"
    events.write_bytes(b"\n".join(lines))
    app = typer.Typer()
    register(app)
    found = CliRunner().invoke(app, [str(events), "--out", str(tmp_path / "out")])
    assert found.exit_code == 0, found.output
    return found.stdout.splitlines()


def test_what_a_gateway_seldom_tells_is_said(tmp_path: Path) -> None:
    """With the share of the events that do; nothing is said where everything is told, or nothing came."""
    lines = list(Stranger(3, 1).lines())[:400]
    assert len(said(tmp_path, lines)) == 1
    bare = [orjson.dumps({k: v for k, v in orjson.loads(line).items() if k not in {"prompt", "account_created_at_ms"}}) for line in lines]
    closing, seldom = said(tmp_path, lines[:40] + bare[40:])
    assert closing.startswith("400 lines")
    assert seldom.startswith("Seldom told: prompts (10% of events); sign-up times (10% of events).")
    assert len(said(tmp_path, [])) == 1
