"""People's decisions, through the real topics: live and in replay they change the same alerts in the same way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline.accounts.book import Book
from pipeline.base.settings import DetectSettings
from pipeline.events.alert import decode_alert
from pipeline.events.control import EXPLAINS, Twin
from pipeline.events.frame import decode_frame
from pipeline.lab.truth import truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.events.alert import Alert
    from tests.e2e.conftest import Flow


def _without_decisions(flow: Flow) -> list[Alert]:
    """Alerts of the requests alone: the frames topic without its control frames."""
    book, found = Book(0, 1, flow.detect), []
    frames = [decode_frame(message.value() or b"") for message in flow.records(flow.settings.topic("frames"))]
    for offset, frame in enumerate(frame for frame in frames if not frame.header.control):
        found += book.step(offset, frame).alerts
    return found


def test_decisions_hold_live_and_in_replay(
    tansu: str, make_flow: Callable[..., Flow], world: list[tuple[int, bytes]], cut: Callable[..., list[bytes]], tmp_path: Path
) -> None:
    """Declared before its attack an account is quiet, a verdict is listed, a budget is in force; `backtest --frames` repeats the alerts."""
    detect = DetectSettings(dedupe_ring=65_536, checkpoint_interval_s=0.5)
    flow = make_flow(tansu, requests_partitions=1, frames_partitions=1, detect=detect)
    explained = EXPLAINS[Twin.EVALUATION]
    book = Book(0, 1, detect)
    plain = [alert for i, data in enumerate(cut(200, one_source=True)) for alert in book.step(i, decode_frame(data)).alerts]
    declared = next(alert.subject_id for alert in plain if alert.subject_type == "account" and alert.kind in explained)
    flow.command("declare", declared, "evaluation", "--until", "30d", "--by", "ann")
    flow.command("tune", "alert_budget", "3", "--by", "ann")
    roles = [flow.role("ingest")]

    def told() -> bool:
        return any(decode_frame(m.value() or b"").header.control for m in flow.records(flow.settings.topic("frames")))

    flow.until("the decisions are in the frames log", told, 60, roles)
    roles += [flow.role(role) for role in ("detect", "deliver")]
    half = len(world) * 2 // 3
    flow.produce((b"k", raw) for _, raw in world[:half])
    opened = "SELECT alert_id, account_ids[1], kind FROM alerts_latest ORDER BY raised_at LIMIT 1"
    flow.until("an alert", lambda: bool(flow.query(opened)), 240, roles)  # detect compiles first
    ((alert_id, account, kind),) = flow.query(opened)
    flow.command("feedback", str(alert_id), "false_positive", "--note", "known customer", "--by", "bob")
    verdicts = "SELECT account_id, kind, verdict, note FROM feedback WHERE in_force"
    flow.until("the verdict is listed", lambda: bool(flow.query(verdicts)), 60, roles)
    assert flow.query(verdicts) == [(account, kind, "false_positive", "known customer")]
    flow.produce((b"k", raw) for _, raw in world[half:])

    def replayed() -> dict[tuple[str, int], Alert]:
        flow.command("backtest", "--frames", "--out", str(tmp_path / "out"))
        lines = (tmp_path / "out" / "alerts.ndjson").read_bytes().splitlines()
        return {(a.alert_id, a.revision): a for a in map(decode_alert, lines)}

    requests = sum(hour.requests for hour in truth(raw for _, raw in world).values())
    flow.until("every event counts", lambda: flow.query("SELECT sum(requests) FROM account_hourly") == [(requests,)], 120, roles)
    for child in roles:
        child.stop()
    live = flow.written_alerts()
    assert live == replayed() == flow.oracle()

    assert flow.query("SELECT setting, value, issued_by, in_force FROM tunings") == [("alert_budget", "3", "ann", 1)]
    listed = [json.loads(line) for line in flow.command("tune", "list", "--json").splitlines()]
    assert [(row["in_force"], row["settings_say"]) for row in listed if row["setting"] == "alert_budget"] == [("3", "1")]
    report = json.loads(flow.command("shadow", "--budget", "3", "--json"))
    assert report["budget"] == {"present": 3.0, "other": 3.0}
    assert report["newly"] == report["gone"] == []
    assert sum(row["stored"] for row in report["kinds"]) > 0
    assert all(row["stored"] == row["before"] == row["after"] for row in (*report["kinds"], *report["days"]))
    assert report["from_the_start"]

    assert not [a for a in live.values() if a.subject_id == declared and a.kind in explained]
    assert [a for a in _without_decisions(flow) if a.subject_id == declared and a.kind in explained]
