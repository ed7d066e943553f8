"""The command `stillwatch`: one verb per file, errors as one line with the next step, exit codes that mean something.

Exit status: 0 done · 1 the answer is no (nothing found, a check failed) · 2 wrong usage or settings · 3 a dependency
does not answer · 4 it refused or the data is not ours.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.base.errors import RejectedError, SettingsError, StillwatchError, UnavailableError

VERBS = (
    "demo", "simulate", "backtest", "shadow", "calibrate", "evaluate", "init", "doctor", "run", "canary", "query", "schema", "config",
    "bench",
)  # fmt: skip
GROUPS = {
    "alerts": "Read alerts from ClickHouse.",
    "feedback": "Give a verdict on an alert, list verdicts, take them back: `stillwatch feedback ALERT VERDICT`.",
    "declare": "Say what an account is known to do, until a date: `stillwatch declare ACCOUNT TWIN --until DATE`.",
    "tune": "Change a detection setting of the running workers: `stillwatch tune alert_budget 3`.",
    "deadletter": "Records that were rejected, and what to do with them.",
}


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"stillwatch {__version__}")
        raise typer.Exit


def main(
    _version_asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hold the options that stand before the verb."""


def command_line(verb: str = "") -> typer.Typer:
    """The command line, with every verb, or with the given one only: a role must not load what only `evaluate` needs."""
    app = typer.Typer(
        name="stillwatch",
        help="Notices, while it happens, the accounts that are draining a model through its API.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        epilog="Start with `stillwatch demo`. Settings: `stillwatch config`. A real cluster: init, doctor, run.",
    )
    app.callback()(main)
    for name in VERBS:
        if verb in ("", name):
            import_module(f"pipeline.cli.{name}").register(app)
    for name, text in GROUPS.items():
        if verb in ("", name):
            app.add_typer(import_module(f"pipeline.cli.{name}").app, name=name, help=text)
    return app


def _verb(words: list[str]) -> str:
    """The verb of a command line; empty when its first word is none (an option, or a typing error that is to be explained)."""
    return words[0] if words and (words[0] in VERBS or words[0] in GROUPS) else ""


def run() -> None:
    """Entry point of the console script."""
    try:
        command_line(_verb(sys.argv[1:]))()
    except SettingsError as error:
        _fail(error, 2)
    except UnavailableError as error:
        _fail(error, 3)
    except RejectedError as error:
        _fail(error, 1)
    except StillwatchError as error:
        _fail(error, 4)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: StillwatchError, code: int) -> None:
    typer.echo(f"stillwatch: {error}", err=True)
    sys.exit(code)
