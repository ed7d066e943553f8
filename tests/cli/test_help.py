"""`--help` that teaches: every verb, every argument, every option says what it is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli.main import command_line

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


def verbs(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - click, as typer carries it
    """Every command and group below one, by what a person types."""
    yield path, group
    for name, below in getattr(group, "commands", {}).items():
        yield from verbs(below, (*path, name))


APP = command_line()
VERBS = dict(verbs(typer.main.get_command(APP)))


@pytest.mark.parametrize("path", VERBS, ids=lambda path: " ".join(path) or "stillwatch")
def test_every_verb_explains_itself(path: tuple[str, ...]) -> None:
    """`--help` ends with status 0, and the verb and each of its options and arguments have a sentence."""
    done = CliRunner().invoke(APP, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert done.exit_code == 0
    assert VERBS[path].help or VERBS[path].short_help
    silent = [p.name for p in VERBS[path].params if p.name != "help" and not getattr(p, "help", None)]
    assert silent == []


def test_the_verbs_of_the_contract_are_there() -> None:
    """What the design page names for this version exists under that name."""
    wanted = ["demo", "run", "init", "doctor", "simulate", "backtest", "query", "config", "bench"]
    wanted += ["alerts list", "alerts show", "alerts explain", "deadletter list", "schema export"]
    wanted += ["feedback give", "feedback list", "feedback revoke", "declare give", "declare list", "declare revoke"]
    assert {tuple(name.split()) for name in wanted} <= set(VERBS)


@pytest.mark.parametrize(
    ("verb", "modules"),
    [
        ("--version", "river faust numba sklearn"),
        ("evaluate", "river faust numba sklearn"),
        ("bench", "river faust numba"),
        ("run", "river faust numba"),
        ("doctor", "river faust numba"),
        ("init", "river faust numba"),
        ("feedback", "river faust numba"),
        ("declare", "river faust numba"),
    ],
)
def test_a_verb_loads_only_what_it_needs(verb: str, modules: str) -> None:
    """The command without a verb, a verb that is asked for help, a role's process: no library loads that is not needed."""
    program = "import sys; sys.argv[1:] = [sys.argv[1], '--help']\ntry:\n    from pipeline.cli.main import run; run()\nfinally:\n    "
    program += f"print('LOADED', [name for name in {modules.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program, verb], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"
