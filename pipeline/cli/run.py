"""`stillwatch run`: one role in this process, or several as child processes."""

from __future__ import annotations

import os
import sys
import threading
import time
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Protocol, cast

import typer

from pipeline.base.errors import SettingsError
from pipeline.base.settings import ENV_PREFIX, Settings, load_settings
from pipeline.cli.supervisor import Supervisor, own_command
from pipeline.cli.warm import warm
from pipeline.ports import logs
from pipeline.roles.health import HealthServer
from pipeline.roles.lifecycle import install_signals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.roles.health import Health


class Role(StrEnum):
    """What a process can be. The order is that of the flow."""

    INGEST = "ingest"
    DETECT = "detect"
    DELIVER = "deliver"


class Choice(StrEnum):
    """What the command line takes: a role, or all of them."""

    INGEST = "ingest"
    DETECT = "detect"
    DELIVER = "deliver"
    ALL = "all"


class RunRole(Protocol):
    """Runs a role until `stop` is set, then drains; raises a StillwatchError when it cannot go on."""

    def __call__(self, settings: Settings, stop: threading.Event, health: Health) -> None:
        """Run."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("run")(run)


def run(
    roles: Annotated[list[Choice], typer.Argument(help="One role runs in this process; several, or `all`, one child process each.")],
    until_eof: Annotated[
        bool, typer.Option("--until-eof", help="Drain when standard input ends as well: how `run all` holds its children.")
    ] = False,
) -> None:
    """Run roles until SIGTERM or Ctrl-C, which drain: what was read is finished, saved and committed.

    ingest: request events → frames. detect: frames → alerts, hourly sums. deliver: both → ClickHouse and webhooks.
    Start as many processes of a role as you like: they share the partitions. Each serves /healthz, /readyz and /metrics
    on http.port (0: a free port, named in the log); children of one command get that port, the next, and so on.
    """
    chosen = chosen_roles(roles)
    settings = load_settings()
    stop = threading.Event()
    if until_eof:
        threading.Thread(target=_await_eof, args=(stop,), name="until-eof", daemon=True).start()
    install_signals(stop)
    if len(chosen) == 1:
        _run_one(chosen[0], settings, stop)
        return
    logs.configure(settings.log, "supervisor")
    sys.exit(Supervisor(child_commands(chosen, settings, os.environ)).run(stop))


def chosen_roles(choices: Sequence[Choice]) -> list[Role]:
    """The roles asked for, once each, in the order of the flow."""
    return [role for role in Role if Choice.ALL in choices or Choice(role.value) in choices]


def child_commands(roles: Sequence[Role], settings: Settings, env: Mapping[str, str]) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Command and environment of each role's child; a fixed HTTP port is given to the first, the next one to the second, ….

    Raises:
        SettingsError: the ports would go beyond 65535.
    """
    first = settings.http.port
    if first and first + len(roles) - 1 > 65_535:
        raise SettingsError(f"http.port={first}: {len(roles)} roles need as many ports from there on, up to 65535")
    name = f"{ENV_PREFIX}HTTP__PORT"
    inherited = {key: value for key, value in env.items() if key.upper() != name}
    return {
        role.value: (own_command("run", role.value, "--until-eof"), {**inherited, name: str(first + place if first else 0)})
        for place, role in enumerate(roles)
    }


def _run_one(role: Role, settings: Settings, stop: threading.Event) -> None:
    logs.configure(settings.log, role.value)
    log = logs.get_logger("run")
    with HealthServer(settings.http, role.value) as server:
        started = time.monotonic()
        run_role = load_role(role)
        warm(role.value, settings)
        log.info("role.started", warm_up_s=round(time.monotonic() - started, 1))
        run_role(settings, stop, server.health)
        log.info("role.drained")


def load_role(role: Role) -> RunRole:
    """Import a role, and only it: ingest needs no River, deliver no numba."""
    return cast("RunRole", getattr(import_module(f"pipeline.roles.{role.value}"), f"run_{role.value}"))


def _await_eof(stop: threading.Event) -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held when the interpreter ends
        pass
    stop.set()
