"""`--help` that teaches: every verb, every argument, every option says what it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - click, as typer carries it
    """Every command and group below one, by what a person types."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from verbs(below, (*path, name))


VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("path", VERBS, ids=lambda path: " ".join(path) or "stillwatch")
def test_every_verb_explains_itself(path: tuple[str, ...]) -> None:
    """`--help` ends with status 0, and the verb and each of its options and arguments have a sentence."""
    done = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 0
    assert VERBS[path].help or VERBS[path].short_help
    silent = [p.name for p in VERBS[path].params if p.name != "help" and not getattr(p, "help", None)]
    assert silent == []


def test_the_verbs_of_the_contract_are_there() -> None:
    """What the design page names for this version exists under that name."""
    wanted = ["demo", "run", "init", "doctor", "simulate", "backtest", "query", "config", "bench"]
    wanted += ["alerts list", "alerts show", "alerts explain", "deadletter list", "schema export"]
    assert {tuple(name.split()) for name in wanted} <= set(VERBS)
