"""`stillwatch canary`: plant an attacker, wait for its alert, say how long it took."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.base.errors import UnavailableError
from pipeline.base.settings import load_settings

if TYPE_CHECKING:
    from pipeline.base.settings import Settings
    from pipeline.lab.canary import Sighting

MISSED = 1
_ROLE = "canary"
_FLIGHT = "flight"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("canary")(canary)


def canary(
    every: Annotated[str, typer.Option("--every", help="Go on for ever, one canary per 90s, 15m, 24h or 1d; serve /metrics.")] = "",
    timeout: Annotated[float, typer.Option("--timeout", min=1.0, help="Seconds after which a canary counts as missed.")] = 60.0,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of its requests; random unless given.")] = None,
) -> None:
    """Send a planted attacker through the real topics and wait for its alert in ClickHouse: proof of life.

    Exit status 0: its alert came; the delay is printed. 1: it did not come in time. A canary is a new account of 400 requests
    under a reserved id prefix; its alerts are marked and neither sent nor counted (deliver.canary_alerts sends them). It proves
    that the flow moves and still sees the obvious, not that a careful attacker is caught.
    """
    from pipeline.lab.canary import seconds  # noqa: PLC0415 - as below

    settings = load_settings()
    if not every:
        sighting = _fly(settings, seed, timeout)
        _say(sighting, timeout)
        raise typer.Exit(MISSED if sighting.delay_s is None else 0)
    _patrol(settings, seconds(every), timeout, seed)


def _fly(settings: Settings, seed: int | None, timeout: float) -> Sighting:
    from pipeline.lab.canary import fly  # noqa: PLC0415 - the simulator's words: nothing that other verbs should load
    from pipeline.ports.clickhouse import Reader  # noqa: PLC0415
    from pipeline.ports.kafka import KafkaBroker  # noqa: PLC0415

    producer = KafkaBroker(settings.kafka).producer()
    with closing(Reader(settings)) as reader:
        try:
            return fly(settings, producer, reader, secrets.randbits(63) if seed is None else seed, timeout)
        finally:
            producer.abandon()


def _say(sighting: Sighting, timeout: float) -> None:
    if sighting.delay_s is None:
        typer.echo(f"missed: no alert about {sighting.account_id} within {timeout:g} s; `stillwatch doctor` looks for the reason", err=True)
        return
    typer.echo(
        f"seen after {sighting.delay_s:.2f} s: {sighting.account_id}, {sighting.kind}, severity {sighting.severity},"
        f" after {sighting.requests_before} of its requests"
    )


def _patrol(settings: Settings, every_s: float, timeout: float, seed: int | None) -> None:
    """One canary per interval until SIGTERM or Ctrl-C; a dependency that does not answer is a miss."""
    from pipeline.ports import logs, metrics  # noqa: PLC0415
    from pipeline.roles.health import STARTING, HealthServer  # noqa: PLC0415
    from pipeline.roles.lifecycle import install_signals  # noqa: PLC0415

    logs.configure(settings.log, _ROLE)
    log = logs.get_logger(_ROLE)
    stop = threading.Event()
    install_signals(stop)
    with HealthServer(settings.http, _ROLE) as server:
        server.health.holds(STARTING)
        flight = 0
        while not stop.is_set():
            begun = time.monotonic()
            try:
                sighting = _fly(settings, None if seed is None else seed + flight, timeout)
            except UnavailableError as error:
                log.warning("canary.unavailable", error=str(error))
                delay_s = None
            else:
                delay_s = sighting.delay_s
                _say(sighting, timeout)
            flight += 1
            metrics.count("stillwatch_canary_flights_total", outcome="missed" if delay_s is None else "seen")
            if delay_s is None:
                server.health.waits(_FLIGHT, "the last canary was not seen")
            else:
                metrics.gauge("stillwatch_canary_delay_seconds", delay_s)
                metrics.gauge("stillwatch_canary_last_seen_timestamp_seconds", time.time())
                server.health.holds(_FLIGHT)
            stop.wait(max(0.0, every_s - (time.monotonic() - begun)))
