from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import pipeline
from pipeline.base.errors import DependencyError, UnavailableError
from pipeline.devstack.processes import NotInstalledError, ProcessGroup, free_port, on_free_port

ROOT = Path(pipeline.__file__).resolve().parents[1]
SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
# An owner in a process of its own: starts two children, the second from a thread that ends, and says their ids.
OWNER = f"""
import sys, threading, time
from pipeline.devstack.processes import ProcessGroup, unwinding_on_termination
SLEEPER = {SLEEPER!r}
with unwinding_on_termination(), ProcessGroup() as group:
    children = [group.start("one", SLEEPER)]
    thread = threading.Thread(target=lambda: children.append(group.start("two", SLEEPER)))
    thread.start()
    thread.join()
    print(group.folder, *(child.pid for child in children), flush=True)
    time.sleep(600)
"""


def _gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # dead, waiting for init to collect it


def _eventually_gone(pids: list[int], deadline_s: float = 5.0) -> bool:
    deadline = time.monotonic() + deadline_s
    while not all(_gone(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _owner() -> tuple[subprocess.Popen[str], Path, list[int]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env=environment)
    assert owner.stdout is not None
    with owner.stdout:
        folder, *pids = owner.stdout.readline().split()
    return owner, Path(folder), [int(pid) for pid in pids]


def test_start_returns_when_the_child_is_ready(processes: ProcessGroup) -> None:
    """`start` comes back only after the readiness question was answered with yes."""
    marker = processes.folder / "ready"
    script = f"import pathlib, time; time.sleep(0.2); pathlib.Path({str(marker)!r}).touch(); time.sleep(600)"
    child = processes.start("late", [sys.executable, "-c", script], ready=marker.exists)
    assert marker.exists()
    assert child.running


def test_a_child_that_dies_early_is_reported_with_its_last_words(processes: ProcessGroup) -> None:
    """A child that ends before it is ready raises at once, with its status and the end of its log."""
    script = "print('the disk is full', flush=True); raise SystemExit(3)"
    with pytest.raises(DependencyError, match=r"status 3 before it was ready.*\n.*the disk is full"):
        processes.start("broken", [sys.executable, "-c", script], ready=lambda: False)


def test_a_child_that_is_never_ready_is_killed_at_the_deadline(processes: ProcessGroup) -> None:
    """After the deadline the child is gone and the error shows what it had said."""
    asked: list[int] = []

    def never() -> bool:
        asked.append(1)
        return False

    with pytest.raises(UnavailableError, match=r"not ready within 0.5 s"):
        processes.start("slow", SLEEPER, ready=never, deadline_s=0.5)
    assert len(asked) > 2
    assert processes._children[-1].returncode == -signal.SIGKILL


def test_an_unknown_program_is_named(processes: ProcessGroup) -> None:
    """A command that is not installed is said to be so, before anything starts."""
    with pytest.raises(NotInstalledError, match="no-such-program-anywhere"):
        processes.start("x", ["no-such-program-anywhere"])


def test_close_stops_in_reverse_order_and_removes_the_folder(tmp_path: Path) -> None:
    """The last started is stopped first, every process is reaped, and nothing stays on disk."""
    order = tmp_path / "order"
    script = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(order)!r}, 'a').write(sys.argv[1]); raise SystemExit\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)"
    )
    with ProcessGroup() as group:
        children = []
        for name in "abc":
            log = group.folder / f"{name}.log"
            command = [sys.executable, "-c", script, name]
            children.append(group.start(name, command, ready=lambda log=log: "up" in log.read_text()))  # type: ignore[misc]
    assert order.read_text() == "cba"
    assert [child.returncode for child in children] == [0, 0, 0]
    assert not group.folder.exists()


def test_a_child_that_ignores_sigterm_is_killed(processes: ProcessGroup) -> None:
    """SIGTERM, the grace time, then SIGKILL: `stop` always ends the process."""
    log = processes.folder / "stubborn.log"
    child = processes.start("stubborn", STUBBORN, ready=lambda: "up" in log.read_text(), grace_s=0.2)
    assert child.stop() == -signal.SIGKILL


def test_kill_takes_the_children_of_the_child_along(processes: ProcessGroup) -> None:
    """A killed child's own children, which got no chance to notice, end with it."""
    script = (
        "import subprocess, sys, time\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True)\n"
        "time.sleep(600)"
    )
    log = processes.folder / "parent.log"
    child = processes.start("parent", [sys.executable, "-c", script], ready=lambda: "\n" in log.read_text())
    child.kill()
    assert _eventually_gone([int(log.read_text())])


def test_a_child_can_be_started_again(processes: ProcessGroup) -> None:
    """`kill` and `start` give a new process with the same command, waiting for readiness again."""
    log = processes.folder / "again.log"
    rounds = 1
    child = processes.start("again", SLEEPER, ready=lambda: log.read_text().count("up") == rounds)
    first = child.pid
    child.kill()
    rounds = 2
    child.start()
    assert child.running
    assert child.pid != first


def test_a_paused_child_does_nothing_and_goes_on(processes: ProcessGroup) -> None:
    """`pause` freezes the process without ending it; `resume` lets it go on; a paused one can be stopped."""
    child = processes.start("frozen", SLEEPER)

    def state() -> str:
        return Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]

    child.pause()
    deadline = time.monotonic() + 5
    while state() != "T" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state() == "T"
    child.resume()
    while state() == "T" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state() != "T"
    child.pause()
    assert child.stop() == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signalled_owner_ends_everything_and_cleans_up(number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and SIGHUP at the owner end its children and remove its folder."""
    owner, folder, pids = _owner()
    assert not any(_gone(pid) for pid in pids)
    owner.send_signal(number)
    assert owner.wait(10) != 0
    assert _eventually_gone(pids)
    assert not folder.exists()


def test_children_die_with_a_killed_owner() -> None:
    """After `kill -9` of the owner no child is left, whichever thread started it."""
    owner, folder, pids = _owner()
    assert not any(_gone(pid) for pid in pids)
    owner.kill()
    owner.wait(10)
    assert _eventually_gone(pids)
    for leftover in folder.iterdir():  # nobody was left to remove it
        leftover.unlink()
    folder.rmdir()


def test_a_child_outlives_the_thread_that_asked_for_it(processes: ProcessGroup) -> None:
    """The parent-death signal is bound to the owner, not to the thread that called `start`."""
    thread = threading.Thread(target=processes.start, args=("kept", SLEEPER))
    thread.start()
    thread.join()
    (child,) = processes._children
    with pytest.raises(UnavailableError, match="still runs"):
        child.wait(0.3)


def test_a_taken_port_is_replaced_by_another() -> None:
    """When somebody took the port before the child could, the next free one is tried."""
    tried: list[int] = []
    with socket.socket() as rival:

        def start(port: int) -> int:
            tried.append(port)
            if len(tried) == 1:
                rival.bind(("127.0.0.1", port))
                raise DependencyError("address in use")
            return port

        assert on_free_port(start) == tried[1]


def test_a_failure_that_is_not_the_ports_is_not_repeated() -> None:
    """A child that fails for its own reasons is started once, and a given port is never replaced."""
    tried: list[int] = []

    def start(port: int) -> int:
        tried.append(port)
        raise DependencyError("no")

    with pytest.raises(DependencyError):
        on_free_port(start)
    given = free_port()
    with pytest.raises(DependencyError):
        on_free_port(start, given)
    assert tried[1:] == [given]
