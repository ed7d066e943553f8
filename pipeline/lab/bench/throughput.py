"""`throughput`: events per second from `api.requests` to rows queryable in ClickHouse, beside a plain Faust agent.

How a run is timed: detect and deliver are up and idle, ingest starts last; the clock starts when ingest has read its first
record and stops when ClickHouse's sums hold every event. CPU is what each process used in between. The peer reads
the same topic; its second half is given apart, because creating forests dominates its first. Rows are interleaved
(ours, peer, ours, …) because the machine's speed drifts: believe ratios, not seconds.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

POLL_S = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


class Process(Protocol):
    """What this file needs of a child process."""

    @property
    def pid(self) -> int:
        """Process id."""
        ...

    @property
    def running(self) -> bool:
        """Whether it lives."""
        ...

    def log_tail(self, lines: int = ...) -> str:
        """Its last words."""
        ...


class BenchError(Exception):
    """A run could not be measured: a process ended or time was up."""


@dataclass(frozen=True)
class Ours:
    """One run of the product. CPU in µs per event, memory in MiB (peak resident)."""

    events: int
    seconds: float
    events_per_s: float
    cpu_us_per_event: dict[str, float]
    peak_mib: dict[str, float]


@dataclass(frozen=True)
class Peer:
    """One run of the peer; the second half of its time is free of most forest creation."""

    events: int
    seconds: float
    events_per_s: float
    second_half_events_per_s: float
    second_half_cpu_us_per_event: float
    peak_mib: float
    accounts: int


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mib(pid: int) -> float:
    """Peak resident memory of a process, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _until(what: str, holds: Callable[[], bool], processes: Sequence[Process], deadline_s: float) -> float:
    """Poll until `holds()` → when it did, monotonic seconds."""
    deadline = time.monotonic() + deadline_s
    while not holds():
        for process in processes:
            if not process.running:
                raise BenchError(f"{what}: a process ended\n{process.log_tail(20)}")
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {deadline_s:g} s\n" + "\n".join(p.log_tail(5) for p in processes))
        time.sleep(POLL_S)
    return time.monotonic()


def measure_ours(
    roles: dict[str, Process],
    start_ingest: Callable[[], Process],
    ingested: Callable[[], float],
    counted: Callable[[], int],
    events: int,
    deadline_s: float,
) -> Ours:
    """Time one run.

    Args:
        roles: detect and deliver, ready and idle.
        start_ingest: starts the third role.
        ingested: records ingest has read so far; 0 while it does not answer.
        counted: requests in ClickHouse's aggregates.
        events: how many are in the topic.
        deadline_s: when to give up, seconds.
    """
    running = {**roles, "ingest": start_ingest()}
    begin = _until("ingest reads", lambda: ingested() > 0, list(running.values()), 60)
    before = {name: cpu_s(process.pid) for name, process in running.items()}
    end = _until("rows queryable", lambda: counted() >= events, list(running.values()), deadline_s)
    used = {name: cpu_s(process.pid) - before[name] for name, process in running.items()}
    return Ours(
        events=events,
        seconds=end - begin,
        events_per_s=events / (end - begin),
        cpu_us_per_event={name: 1e6 * value / events for name, value in sorted(used.items())},
        peak_mib={name: peak_mib(process.pid) for name, process in sorted(running.items())},
    )


def measure_peer(peer: Process, log: Path, events: int, deadline_s: float) -> Peer:
    """Time one run of the peer from its own reports; it is stopped by the caller."""
    reports: list[dict[str, float]] = []

    def done() -> bool:
        reports[:] = [orjson.loads(line) for line in log.read_bytes().splitlines() if line.startswith(b'{"at_s"')]
        moving = [r for r in reports if r["events"] > 0]
        return bool(moving) and (moving[-1]["events"] >= events or moving[-1]["at_s"] - moving[0]["at_s"] >= deadline_s)

    _until("the peer's time", done, [peer], deadline_s + 90)
    moving = [r for r in reports if r["events"] > 0]
    full = next((i for i, r in enumerate(moving) if r["events"] >= events), len(moving) - 1)
    first, last = moving[0], moving[full]
    middle = moving[full // 2]
    late, late_s = last["events"] - middle["events"], last["at_s"] - middle["at_s"]
    return Peer(
        events=int(last["events"]),
        seconds=last["at_s"] - first["at_s"],
        events_per_s=(last["events"] - first["events"]) / (last["at_s"] - first["at_s"]),
        second_half_events_per_s=late / late_s,
        second_half_cpu_us_per_event=1e6 * (last["cpu_s"] - middle["cpu_s"]) / late,
        peak_mib=last["max_rss_kb"] / 1024,
        accounts=int(last["accounts"]),
    )


def summarise(ours: Sequence[Ours], peers: Sequence[Peer]) -> dict[str, object]:
    """Medians over runs and the ratio, with every run beside them."""
    result: dict[str, object] = {
        "id": "throughput",
        "ours_events_per_s": median(run.events_per_s for run in ours),
        "ours_cpu_us_per_event": {role: median(run.cpu_us_per_event[role] for run in ours) for role in ours[0].cpu_us_per_event},
        "runs": {"ours": [asdict(run) for run in ours], "peer": [asdict(run) for run in peers]},
    }
    if peers:
        result["peer_events_per_s"] = median(run.events_per_s for run in peers)
        result["peer_second_half_events_per_s"] = median(run.second_half_events_per_s for run in peers)
        result["ratio"] = median(run.events_per_s / peer.second_half_events_per_s for run, peer in zip(ours, peers, strict=False))
    return result
