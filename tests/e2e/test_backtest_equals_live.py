"""A backtest of a file and a live run of the same file on one partition raise the same alerts, to the last field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.base.settings import DetectSettings
from pipeline.events.alert import decode_alert
from pipeline.lab.simulate import Faults, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import Flow, Played


def test_backtest_equals_live(tansu: str, make_flow: Callable[..., Flow], play: Callable[[Scenario], Played], tmp_path: Path) -> None:
    """Live frames are cut by time, a backtest's by size; ids, revisions and contents agree, rejected lines included."""
    detect = DetectSettings(dedupe_ring=65_536, checkpoint_interval_s=0.5)
    flow = make_flow(tansu, requests_partitions=1, frames_partitions=1, detect=detect)
    scenario = Scenario(
        seed=31,
        start_ms=1_780_000_000_000,
        days=3,
        accounts=60,
        requests_per_account_day=120,
        faults=Faults(duplicates=0.02, late=0.02, conflicts=0.002, bad=0.005),
    )
    played = play(scenario)
    one_line = [(key, value) for key, value in played.records if b"\n" not in value]  # a file's record ends at its line's end
    roles = [flow.role(role) for role in ("ingest", "detect", "deliver")]
    flow.produce(one_line)
    counted = played.requests
    flow.until("every event counts", lambda: flow.query("SELECT sum(requests) FROM account_hourly")[0][0] == counted, 120, roles)
    for child in roles:
        child.stop()
    live = flow.written_alerts()

    events = tmp_path / "events.ndjson"
    events.write_bytes(b"".join(value + b"\n" for _, value in one_line))
    flow.command("backtest", str(events), "--out", str(tmp_path / "out"))
    tested = [decode_alert(line) for line in (tmp_path / "out" / "alerts.ndjson").read_bytes().splitlines()]
    assert {(alert.alert_id, alert.revision): alert for alert in tested} == live
    assert live, "no alert, nothing compared"
