"""What the throughput benchmark makes of what it sees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson
import pytest

from pipeline.base.settings import DetectSettings, Settings
from pipeline.lab.bench.memory import measure_memory
from pipeline.lab.bench.throughput import BenchError, Ours, Peer, measure_ours, measure_peer, second_half, summarise

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


def report(at_s: float, events: int, accounts: int) -> dict[str, float]:
    """A line of the peer."""
    return {"at_s": at_s, "events": events, "cpu_s": at_s / 2, "max_rss_kb": 2048, "accounts": accounts}


REPORTS = [
    report(1, 0, 0), report(2, 500, 2), report(3, 1_000, 2), report(4, 2_000, 2), report(6, 3_500, 3), report(7, 4_000, 3),
    report(8, 4_000, 3),
]  # fmt: skip


def test_the_peer_is_measured_over_the_second_half(tmp_path: Path) -> None:
    """The first half, when it makes its forests, and a last second in which it may have idled are in no figure."""
    assert second_half(REPORTS, 4_000) == REPORTS[3:]
    assert second_half(REPORTS[:3], 4_000) == []
    log = tmp_path / "peer.log"
    log.write_bytes(b"noise\n" + b"".join(orjson.dumps(line) + b"\n" for line in REPORTS))
    peer = measure_peer(Alive(), log, 4_000, 60, 5)
    assert peer == Peer(1_500, 2.0, 750.0, 1e6 / 1_500, 2_000, 2.0, 3, 1)


def test_a_peer_that_was_through_too_early_is_no_figure(tmp_path: Path) -> None:
    """Fewer than two reports in the second half are an error with the way out."""
    log = tmp_path / "peer.log"
    log.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in (*REPORTS[:3], REPORTS[5])))
    with pytest.raises(BenchError, match="--events"):
        measure_peer(Alive(), log, 4_000, 60, 5)


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
    peers = [Peer(10, 1, speed, 100.0, 0, 1.0, 1, 0) for speed in (20.0, 20.0, 30.0)]
    result = summarise(ours, peers)
    assert (result["ratio"], result["cpu_ratio"], result["ours_events_per_s"]) == (1.0, 5.0, 20.0)


def test_memory_counts_every_copy_of_the_population() -> None:
    """Copies are accounts of their own; what does not fit among the live ones is packed; every event of them all is applied."""
    told: list[tuple[int, int]] = []
    detect = DetectSettings(max_hot_accounts=50, dedupe_ring=65_536)
    found = measure_memory(Settings(detect=detect), 300, 2, 10.0, lambda done, total: told.append((done, total)), population=40)
    once = measure_memory(Settings(detect=detect), 1, 1, 10.0, lambda *_: None, population=40)
    copies = found.accounts // once.accounts
    assert found.accounts == copies * once.accounts
    assert copies >= 6
    assert found.events == copies * once.events
    assert found.accounts - found.packed <= 2 * 50 * 9 // 8
    assert found.packed > 0
    assert told[-1][0] == told[-1][1] > 0
