"""`throughput`: events per second from `api.requests` to rows queryable in ClickHouse, beside a plain Faust agent.

How a run is timed: detect and deliver are up and idle, ingest starts last; the clock starts when ingest has read its first
record and stops when ClickHouse's sums hold every event. CPU is what each process used in between, the broker and ClickHouse
included. The peer reads the same topic; its figures begin when half of it is read: by then most forests exist, and creating
them, which is all it does at first, is not held against it. Rows are interleaved (ours, peer, ours, …) because the machine's
speed drifts: believe ratios, not seconds.
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
    """By role."""
    cores: dict[str, float]
    """CPU seconds per second of each process: roles, broker, ClickHouse. Idle time is what is missing to the machine's cores."""
    finished_s: dict[str, float]
    """When ingest had read everything, detect had applied it, the rows were queryable: seconds since the clock started."""
    peak_mib: dict[str, float]


@dataclass(frozen=True)
class Peer:
    """One run of the peer, measured over the second half of the topic."""

    events: int
    seconds: float
    events_per_s: float
    cpu_us_per_event: float
    warming_events: int
    """Read before, not measured."""
    peak_mib: float
    accounts: int
    created: int
    """Forests made while it was measured."""


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
    servers: dict[str, Process],
    start_ingest: Callable[[], Process],
    seen: Callable[[str], float],
    counted: Callable[[], int],
    events: int,
    deadline_s: float,
) -> Ours:
    """Time one run.

    Args:
        roles: detect and deliver, ready and idle.
        servers: the broker and ClickHouse.
        start_ingest: starts the third role.
        seen: records that `ingest` has read so far, events that `detect` has applied; 0 while the role does not answer.
        counted: requests in ClickHouse's aggregates; asked only once detect is done, since asking costs CPU.
        events: how many are in the topic.
        deadline_s: when to give up, seconds.
    """
    running = {**roles, "ingest": start_ingest()}
    everyone = {**running, **servers}
    processes = list(everyone.values())
    begin = _until("ingest reads", lambda: seen("ingest") > 0, processes, 60)
    before = {name: cpu_s(process.pid) for name, process in everyone.items()}
    finished = {
        "ingest": _until("everything read", lambda: seen("ingest") >= events, processes, deadline_s),
        "detect": _until("everything applied", lambda: seen("detect") >= events, processes, deadline_s),
        "queryable": _until("rows queryable", lambda: counted() >= events, processes, deadline_s),
    }
    seconds = finished["queryable"] - begin
    used = {name: cpu_s(process.pid) - before[name] for name, process in everyone.items()}
    return Ours(
        events=events,
        seconds=seconds,
        events_per_s=events / seconds,
        cpu_us_per_event={name: 1e6 * used[name] / events for name in sorted(running)},
        cores={name: value / seconds for name, value in sorted(used.items())},
        finished_s={name: at - begin for name, at in finished.items()},
        peak_mib={name: peak_mib(process.pid) for name, process in sorted(everyone.items())},
    )


def second_half(reports: Sequence[dict[str, float]], events: int) -> list[dict[str, float]]:
    """The peer's reports from the first at which half of the topic's events were read."""
    return [report for report in reports if report["events"] >= events // 2]


def measure_peer(peer: Process, log: Path, events: int, seconds: float, deadline_s: float) -> Peer:
    """Time one run of the peer from its own reports; it is stopped by the caller.

    Args:
        peer: the process.
        log: where it reports.
        events: how many are in the topic.
        seconds: at most this long is measured.
        deadline_s: when to give up, seconds.

    Raises:
        BenchError: it ended, or had too few reports in the second half.
    """
    reports: list[dict[str, float]] = []

    def done() -> bool:
        reports[:] = [orjson.loads(line) for line in log.read_bytes().splitlines() if line.startswith(b'{"at_s"') and line.endswith(b"}")]
        measured = second_half(reports, events)
        return bool(measured) and (measured[-1]["events"] >= events or measured[-1]["at_s"] - measured[0]["at_s"] >= seconds)

    _until("the peer's time", done, [peer], deadline_s)
    measured = second_half(reports, events)
    last = next((k for k, report in enumerate(measured) if report["events"] >= events), len(measured) - 1)
    last = max(last - 1, 0) if measured[last]["events"] >= events else last  # the last second may have been idle
    if last < 1:
        raise BenchError("the peer was through before it could be measured: give it more events (--events)")
    first, end = measured[0], measured[last]
    count, spent = end["events"] - first["events"], end["at_s"] - first["at_s"]
    return Peer(
        events=int(count),
        seconds=spent,
        events_per_s=count / spent,
        cpu_us_per_event=1e6 * (end["cpu_s"] - first["cpu_s"]) / count,
        warming_events=int(first["events"]),
        peak_mib=end["max_rss_kb"] / 1024,
        accounts=int(end["accounts"]),
        created=int(end["accounts"] - first["accounts"]),
    )


def summarise(ours: Sequence[Ours], peers: Sequence[Peer]) -> dict[str, object]:
    """Medians over runs and the ratios, with every run beside them."""
    result: dict[str, object] = {
        "id": "throughput",
        "ours_events_per_s": median(run.events_per_s for run in ours),
        "ours_cpu_us_per_event": _medians([run.cpu_us_per_event for run in ours]),
        "ours_cores": _medians([run.cores for run in ours]),
        "ours_finished_s": _medians([run.finished_s for run in ours]),
        "runs": {"ours": [asdict(run) for run in ours], "peer": [asdict(run) for run in peers]},
    }
    if peers:
        pairs = list(zip(ours, peers, strict=False))
        result["peer_events_per_s"] = median(run.events_per_s for run in peers)
        result["peer_cpu_us_per_event"] = median(run.cpu_us_per_event for run in peers)
        result["ratio"] = median(run.events_per_s / peer.events_per_s for run, peer in pairs)
        result["cpu_ratio"] = median(peer.cpu_us_per_event / sum(run.cpu_us_per_event.values()) for run, peer in pairs)
    return result


def _medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: median(run[name] for run in runs) for name in runs[0]}
