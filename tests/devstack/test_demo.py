"""`stillwatch demo` as a process: it says what is true and exits 0; interrupted or broken, it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("kernels")
ROOT = Path(__file__).resolve().parents[2]
END_S = 60.0
SMALL = ("--seed", "7", "--accounts", "60", "--days", "3")


class Demo:
    """One demo process with a home, a temporary folder and a working folder of its own; its output line by line."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.folders = {name: folder / name for name in ("home", "tmp", "work")}
        for path in self.folders.values():
            path.mkdir()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("STILLWATCH_")}
        self.env = {
            **clean,
            "HOME": str(self.folders["home"]),
            "TMPDIR": str(self.folders["tmp"]),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",  # a crash says where
        }
        own = {"STILLWATCH_KAFKA__BOOTSTRAP_SERVERS": "kafka.invalid:9092"}  # a user's settings, which it must not use
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", "demo", *args],
            env={**self.env, **own},
            cwd=self.folders["work"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, wanted: str) -> None:
        """Read on until a line has `wanted` in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if wanted in line:
                return
        pytest.fail(f"it never said {wanted!r}:\n{self.text}")

    def end(self, timeout_s: float = END_S) -> int:
        """Read the rest → exit status."""
        with self.process:
            rest, _ = self.process.communicate(timeout=timeout_s)
        self.lines += rest.splitlines()
        return self.process.returncode

    @property
    def text(self) -> str:
        """Everything it printed."""
        return "\n".join(self.lines)

    def ask(self, *args: str) -> str:
        """Run a verb against what was kept, as the demo says it can be done → what it printed."""
        config = next(line.split("=")[1].split()[0] for line in self.lines if "export STILLWATCH_CONFIG=" in line)
        env = {**self.env, "STILLWATCH_CONFIG": config}
        done = subprocess.run([sys.executable, "-m", "pipeline.cli", *args], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def left_behind(self) -> list[str]:
        """Files in any of the folders."""
        return sorted(str(path) for folder in self.folders.values() for path in folder.rglob("*") if path.is_file())

    def children(self) -> dict[str, int]:
        """Processes below it: command line → process id."""
        found: dict[str, int] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended meanwhile
                if (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(self.process.pid):
                    found[(entry / "cmdline").read_text().replace("\0", " ")] = int(entry.name)
        return found


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Starts demos; what still runs at the end of the test is ended."""
    started: list[Demo] = []

    def start(*args: str) -> Demo:
        started.append(Demo(tmp_path, *args))
        return started[-1]

    yield start
    for one in started:
        if one.process.stdout is not None and not one.process.stdout.closed:
            one.process.terminate()
            one.end()


def gone(processes: dict[str, int]) -> bool:
    """Whether none of these processes lives, given a moment."""
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in processes.values()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)  # a poll of outside processes, bounded by the deadline
    return True


def test_the_demo_catches_its_attackers_counts_and_says_so(demo: Callable[..., Demo]) -> None:
    """Each claim of a seeded run is true, it stays for whoever asks until Ctrl-C, then ends with status 0 and leaves nothing behind."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    run = demo(*SMALL, "--end", midnight.isoformat(), "--keep")
    run.until("until Ctrl-C here")
    verdict = [line for line in run.lines if line.startswith(("✓", "✗"))]
    assert [line[0] for line in verdict] == ["✓"] * 4, run.text
    assert "3 of 3 attackers of the three kinds caught" in verdict[0]
    assert "60 benign accounts" in verdict[1]
    assert "webhook verified ✓" in run.text
    assert "REFUSED" not in run.text
    assert "events/s" in run.text
    assert "--seed 7" in run.text
    assert run.ask("query", "SELECT uniqExact(alert_id) AS n FROM alerts_latest", "--format", "csv").split()[-1] in run.text
    assert len(run.ask("alerts", "list").splitlines()) >= 1 + 3
    assert "0 records behind in api.requests" in run.ask("doctor", "--dev")
    children = run.children()
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 0, run.text
    assert gone(children)
    assert run.left_behind() == []


def test_ctrl_c_ends_every_process_it_started(demo: Callable[..., Demo]) -> None:
    """Interrupted in the middle of the traffic, nothing of it runs on and nothing is left behind."""
    run = demo(*SMALL)
    run.until("customers and 5 attackers")
    children = run.children()
    assert sum("pipeline.cli run" in command for command in children) == 3
    assert len(children) == 5
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130, run.text
    assert gone(children)
    assert "Traceback" not in run.text
    assert run.left_behind() == []


def test_a_role_that_dies_is_shown_with_its_last_words(demo: Callable[..., Demo]) -> None:
    """A killed role ends the demo with a non-zero status, its name and the last lines of its log."""
    run = demo(*SMALL)
    run.until("customers and 5 attackers")
    children = run.children()
    os.kill(next(pid for command, pid in children.items() if "run deliver" in command), signal.SIGKILL)
    assert run.end() == 4, run.text
    assert "deliver ended with status -9" in run.text
    assert "role.started" in run.text
    assert gone(children)
    assert run.left_behind() == []


@pytest.mark.parametrize("args", [("--speedup", "0"), ("--end", "soon"), ("--accounts", "-1"), ("--days", "0")])
def test_values_that_make_no_sense_are_refused_before_anything_starts(demo: Callable[..., Demo], args: tuple[str, str]) -> None:
    """One line that names the value, status 2."""
    run = demo(*args)
    assert run.end() == 2, run.text
    assert len(run.lines) == 1
    assert args[1] in run.lines[0]
