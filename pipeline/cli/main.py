"""The command `stillwatch`: one verb per file, errors as one line with the next step, exit codes that mean something.

Exit status: 0 done · 1 the answer is no (nothing found, a check failed) · 2 wrong usage or settings · 3 a dependency
does not answer · 4 it refused or the data is not ours.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.base.errors import RejectedError, SettingsError, StillwatchError, UnavailableError
from pipeline.cli import alerts, backtest, bench, config, deadletter, demo, doctor, evaluate, init, query, schema, simulate
from pipeline.cli import run as run_verb

app = typer.Typer(
    name="stillwatch",
    help="Notices, while it happens, the accounts that are draining a model through its API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Start with `stillwatch demo`. Settings: `stillwatch config`. A real cluster: init, doctor, run.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"stillwatch {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _version_asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hold the options that stand before the verb."""


for module in (demo, simulate, backtest, evaluate, init, doctor, run_verb, query, schema, config, bench):
    module.register(app)
app.add_typer(alerts.app, name="alerts", help="Read alerts from ClickHouse.")
app.add_typer(deadletter.app, name="deadletter", help="Records that were rejected, and what to do with them.")


def run() -> None:
    """Entry point of the console script."""
    try:
        app()
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
