"""`stillwatch canary` on the running flow: seen while it works, missed when a role is gone; nobody is bothered by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.devstack.processes import free_port, module_argv

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Flow


def test_the_canary_sees_whether_the_flow_sees(make_flow: Callable[..., Flow], tansu: str) -> None:
    """Status 0 and a delay while all roles run; marked, and not in the risk feed; with --every a metric; status 1 without detect."""
    flow = make_flow(tansu)
    roles = [flow.role(role) for role in ("ingest", "detect", "deliver")]
    flow.until("ready", lambda: all(flow.ready(child) for child in roles), deadline_s=400, alive=roles)  # kernels may have to be compiled
    said = flow.command("canary", "--seed", "5", "--timeout", "60")
    assert "seen after" in said
    rows = flow.query("SELECT DISTINCT canary, startsWith(subject_id, 'stillwatch-canary-') FROM alerts")
    assert rows == [(True, True)]
    assert list(flow.records(flow.settings.topic("risk"))) == []
    assert "no alerts" in flow.command("alerts", "list")
    assert "stillwatch-canary-" in flow.command("alerts", "list", "--canary")

    port = free_port()
    patrol = flow.processes.start(
        "patrol", module_argv("pipeline.cli", "canary", "--every", "1s"), env={**flow.env, "STILLWATCH_HTTP__PORT": str(port)}
    )
    seen = 'stillwatch_canary_flights_total{outcome="seen"}'
    flow.until("two flights", lambda: f"{seen} 2.0" in flow.get(port, "/metrics"), alive=[patrol, *roles])
    assert "stillwatch_canary_delay_seconds 0.0" not in flow.get(port, "/metrics")
    patrol.stop()
    assert patrol.returncode == 0

    roles[1].kill()
    missed = flow.processes.start("missed", module_argv("pipeline.cli", "canary", "--timeout", "3"), env=flow.env)
    assert missed.wait(60) == 1
    assert "missed: no alert" in missed.log.read_text()
