"""`pipeline.cli.supervisor`: children that die, fail for good, drain, hang; and a supervisor that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pipeline.cli.supervisor import KILLED, Limits, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE_S = 20.0
QUICK = Limits(backoff_first_s=0.05, backoff_limit_s=0.1, grace_s=5.0)

COUNTING = """
import os, sys
with open(sys.argv[1], "a") as out: out.write(f"{os.getpid()}\\n")
"""
UNTIL_TERM = """
import signal, sys
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
with open(sys.argv[1], "a") as out: out.write("up\\n")
while not stopped: signal.pause()
with open(sys.argv[1], "a") as out: out.write("drained\\n")
"""
SETTLES_THIRD = """
import os, signal, sys
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
with open(sys.argv[1], "a") as out: out.write(f"{os.getpid()}\\n")
with open(sys.argv[1]) as written: last = len(written.readlines()) >= 3
while last and not stopped: signal.pause()
"""
UNTIL_EOF = """
import os, sys
with open(sys.argv[1], "a") as out: out.write("up\\n")
while os.read(0, 100): pass
with open(sys.argv[1], "a") as out: out.write("drained\\n")
"""
DEAF = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1], "a") as out: out.write("up\\n")
while True: signal.pause()
"""


def lines(path: Path) -> list[str]:
    """What a child has written."""
    return path.read_text().splitlines() if path.exists() else []


def await_that(question: Callable[[], bool]) -> None:
    """Poll until it is so, or fail."""
    deadline = time.monotonic() + DEADLINE_S
    while not question():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def supervisor(limits: Limits = QUICK, **children: tuple[str, Path]) -> Supervisor:
    """Children by name: program text and the file it writes."""
    env = dict(os.environ)
    return Supervisor({name: ([sys.executable, "-c", text, str(path)], env) for name, (text, path) in children.items()}, limits)


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Ends the supervisor of a test, whatever happens."""
    event = threading.Event()
    yield event
    event.set()


class Running:
    """A supervisor in a thread."""

    def __init__(self, subject: Supervisor, stop: threading.Event) -> None:
        self.status: int | None = None
        self._thread = threading.Thread(target=self._run, args=(subject, stop))
        self._thread.start()

    def _run(self, subject: Supervisor, stop: threading.Event) -> None:
        self.status = subject.run(stop)

    def join(self) -> int | None:
        """Its exit status, once it has one."""
        self._thread.join(DEADLINE_S)
        return self.status


def test_a_child_that_dies_is_started_again(tmp_path: Path, stop: threading.Event) -> None:
    """A child that ends, even with status 0, comes back as a new process while the other goes on."""
    settling, steady = tmp_path / "settling", tmp_path / "steady"
    running = Running(supervisor(a=(SETTLES_THIRD, settling), b=(UNTIL_TERM, steady)), stop)
    await_that(lambda: len(lines(settling)) >= 3 and lines(steady) == ["up"])
    stop.set()
    assert running.join() == 0
    assert len(set(lines(settling))) == 3
    assert lines(steady) == ["up", "drained"]


def test_restarts_wait_longer_each_time(tmp_path: Path, stop: threading.Event) -> None:
    """With waits of 0.2, 0.4, 0.8 s a child that always dies is started at most four times in its first 1.4 s."""
    counting = tmp_path / "counting"
    begun = time.monotonic()
    running = Running(supervisor(Limits(backoff_first_s=0.2, backoff_limit_s=30.0), a=(COUNTING, counting)), stop)
    await_that(lambda: len(lines(counting)) >= 4)
    waited = time.monotonic() - begun
    stop.set()
    running.join()
    assert waited >= 1.4


@pytest.mark.parametrize("status", [2, 4])
def test_a_failure_for_good_ends_all_with_its_status(tmp_path: Path, stop: threading.Event, status: int) -> None:
    """Exit status 2 or 4 of one child drains the others, and is the supervisor's own."""
    steady = tmp_path / "steady"
    fatal = f"""
import os, sys, time
while not os.path.exists({str(steady)!r}): time.sleep(0.01)
sys.exit({status})
"""
    assert supervisor(b=(UNTIL_TERM, steady), a=(fatal, tmp_path / "a")).run(stop) == status
    assert lines(steady) == ["up", "drained"]


def test_a_child_that_does_not_drain_is_killed(tmp_path: Path, stop: threading.Event) -> None:
    """After the grace a deaf child is killed, and the exit status says that not all was clean."""
    deaf = tmp_path / "deaf"
    running = Running(supervisor(Limits(grace_s=0.3), a=(DEAF, deaf)), stop)
    await_that(lambda: lines(deaf) == ["up"])
    stop.set()
    assert running.join() == KILLED


def test_children_drain_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """A supervisor that gets SIGKILL cannot tell anybody; its children see their standard input end and drain."""
    out = tmp_path / "child"
    program = (
        "import os, sys, threading\n"
        "from pipeline.cli.supervisor import Supervisor\n"
        "Supervisor({'a': ([sys.executable, '-c', sys.argv[1], sys.argv[2]], dict(os.environ))}).run(threading.Event())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, UNTIL_EOF, str(out)], stderr=subprocess.DEVNULL) as process:
        await_that(lambda: lines(out) == ["up"])
        process.send_signal(signal.SIGKILL)
    await_that(lambda: lines(out) == ["up", "drained"])
