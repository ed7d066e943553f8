"""What the throughput benchmark makes of what it sees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson
import pytest

from pipeline.lab.bench.throughput import BenchError, Ours, Peer, measure_ours, measure_peer, steady, summarise

if TYPE_CHECKING:
    from pathlib import Path


class Alive:
    """A process that lives: this one."""

    pid = os.getpid()
    running = True

    def log_tail(self, lines: int = 0) -> str:
        """Say nothing."""
        return "" * lines


class Dead(Alive):
    """A process that ended."""

    running = False

    def log_tail(self, lines: int = 0) -> str:
        """Its last words."""
        return f"last {lines} words"


def report(at_s: float, events: int, accounts: int, past: int) -> dict[str, float]:
    """A line of the peer."""
    return {"at_s": at_s, "events": events, "cpu_s": at_s / 2, "max_rss_kb": 2048, "accounts": accounts, "past_first_window": past}


REPORTS = [
    report(1, 0, 0, 0), report(2, 500, 2, 0), report(3, 1_000, 2, 1), report(4, 1_500, 2, 2), report(6, 3_500, 2, 2),
    report(7, 4_000, 2, 2), report(8, 4_000, 2, 2),
]  # fmt: skip


def test_the_peer_is_in_its_steady_state_once_every_forest_scores() -> None:
    """Reports count from the first with all accounts there and each forest past its first window, not before."""
    assert steady(REPORTS, 2) == REPORTS[3:]
    assert steady(REPORTS, 3) == []
    assert steady(REPORTS[:3], 2) == []


def test_the_peer_is_measured_in_its_steady_state_only(tmp_path: Path) -> None:
    """Warming events, and a last second in which it may have idled, are in no figure."""
    log = tmp_path / "peer.log"
    log.write_bytes(b"noise\n" + b"".join(orjson.dumps(line) + b"\n" for line in REPORTS))
    peer = measure_peer(Alive(), log, 4_000, 2, 60, 5)
    assert peer == Peer(2_000, 2.0, 1_000.0, 500.0, 1_500, 2.0, 2)


def test_a_peer_that_was_through_too_early_is_no_figure(tmp_path: Path) -> None:
    """Fewer than two reports in the steady state are an error with the way out."""
    log = tmp_path / "peer.log"
    log.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in (*REPORTS[:3], REPORTS[5])))
    with pytest.raises(BenchError, match="--peer-events"):
        measure_peer(Alive(), log, 4_000, 2, 60, 5)


def test_our_run_ends_when_the_rows_are_there() -> None:
    """The stages are timed in order, the sums are asked for only when detect is done, servers are no role."""
    asked: list[str] = []
    progress = {"ingest": iter([0.0, 10.0, 50.0, 100.0]), "detect": iter([20.0, 100.0])}
    counts = iter([0, 100])

    def seen(role: str) -> float:
        asked.append(role)
        return next(progress[role])

    def counted() -> int:
        asked.append("rows")
        return next(counts)

    run = measure_ours({"detect": Alive()}, {"broker": Alive()}, Alive, seen, counted, 100, 5)
    assert asked == ["ingest"] * 4 + ["detect"] * 2 + ["rows"] * 2
    assert set(run.cpu_us_per_event) == {"detect", "ingest"}
    assert set(run.cores) == {"broker", "detect", "ingest"}
    assert run.finished_s["ingest"] <= run.finished_s["detect"] <= run.finished_s["queryable"] == run.seconds


def test_a_process_that_ends_ends_the_run() -> None:
    """With its last words."""
    with pytest.raises(BenchError, match="last 20 words"):
        measure_ours({"detect": Dead()}, {}, Alive, lambda _: 0.0, lambda: 0, 1, 5)


def test_ratios_are_medians_over_pairs() -> None:
    """Each run of ours is compared with the peer's run beside it; a loss is a ratio below one."""
    ours = [Ours(10, 1, speed, {"ingest": 10.0, "detect": 10.0}, {}, {}, {}) for speed in (10.0, 20.0, 90.0)]
    peers = [Peer(10, 1, speed, 100.0, 0, 1.0, 1) for speed in (20.0, 20.0, 30.0)]
    result = summarise(ours, peers)
    assert (result["ratio"], result["cpu_ratio"], result["ours_events_per_s"]) == (1.0, 5.0, 20.0)
