"""Child processes of one run: started, waited for, and ended with it.

A `ProcessGroup` owns a temporary folder (logs, data) and the processes started through it. Whatever ends the owner,
ends them: leaving the `with` block stops them in reverse order; a SIGKILLed owner takes them along (the kernel's
parent-death signal). Not promised: a SIGKILLed owner's folder stays in the system's temporary folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from pipeline.base.errors import DependencyError, StillwatchError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

LOOPBACK = "127.0.0.1"
POLL_S = 0.05  # between two looks at a child that is not ready yet
LOG_TAIL_LINES = 20
PORT_ATTEMPTS = 3

# Runs between fork and exec, in a fresh interpreter instead of `preexec_fn`, which is unsafe beside threads.
# 1 is PR_SET_PDEATHSIG. The second look at the parent closes the gap in which it died before the call.
_EXEC_SHIM = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
if hasattr(libc, "prctl"):
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""

T = TypeVar("T")


class NotInstalledError(DependencyError):
    """A part that runs only where somebody installed it (an extra, Java, Maven) is not there."""


def free_port() -> int:
    """A loopback TCP port that nobody holds now. Not promised: that it is still free later."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def on_free_port(start: Callable[[int], T], port: int | None = None) -> T:
    """Call `start(port)`; without a given port pick a free one, and another one when somebody else took it meanwhile.

    Raises:
        DependencyError: whatever `start` raises for another reason than the port, or for the given one.
    """
    if port is not None:
        return start(port)
    for _ in range(PORT_ATTEMPTS - 1):
        picked = free_port()
        try:
            return start(picked)
        except DependencyError:
            if not _taken(picked):
                raise
    return start(free_port())


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
        return False


def module_argv(module: str, *args: str) -> list[str]:
    """The command that runs one of our modules with this interpreter."""
    return [sys.executable, "-m", module, *args]


class Child:
    """One process of a group; it can be ended, started again with the same command, and paused.

    Attributes:
        name: unique in its group; names the log file.
        log: its standard output and error, appended over restarts.
    """

    def __init__(
        self,
        group: ProcessGroup,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None,
        ready: Callable[[], bool] | None,
        deadline_s: float,
        grace_s: float,
    ) -> None:
        program = shutil.which(argv[0])
        if program is None:
            raise NotInstalledError(f"{name}: {argv[0]} is not installed or not executable")
        self.name = name
        self.log = group.folder / f"{name}.log"
        self._group = group
        self._argv = [program, *argv[1:]]
        self._env = dict(env or {})
        self._ready = ready
        self._deadline_s = deadline_s
        self._grace_s = grace_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running (or last) process."""
        if self._process is None:
            raise StillwatchError(f"{self.name} was never started")
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status (negative: the signal that ended it), None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        """Whether the process lives (a paused one does)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and return once it is ready.

        Raises:
            DependencyError: it ended before it was ready; the message carries the last lines of its log.
            UnavailableError: it was not ready in time; it has been killed.
        """
        if self.running:
            raise StillwatchError(f"{self.name} runs already")
        self._process = self._group.spawn(self._argv, self._env, self.log)
        if self._ready is None:
            return
        try:
            self._await_ready(self._process, self._ready)
        except BaseException:
            self.kill()
            raise

    def wait(self, timeout_s: float) -> int:
        """Wait for it to end by itself and return its exit status.

        Raises:
            UnavailableError: it still runs after `timeout_s`.
        """
        if self._process is None:
            raise StillwatchError(f"{self.name} was never started")
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"{self.name} still runs after {timeout_s:g} s{self._last_words()}", location=str(self.log)) from None

    def stop(self) -> int | None:
        """SIGTERM, wait for its grace time, then SIGKILL. Returns the exit status; None if it was never started."""
        if self._process is None:
            return None
        if self._process.poll() is None and self._grace_s > 0:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a paused process cannot end
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(self._grace_s)
        return self.kill()

    def kill(self) -> int | None:
        """SIGKILL it and what it started in its own session, and reap it: no handler runs, nothing is flushed."""
        if self._process is None:
            return None
        if self._process.poll() is None:  # not reaped, so its id is still its own
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
        return self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process (not to its children); nothing happens when it has ended."""
        if self._process is not None:
            self._process.send_signal(number)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): to its peers it looks like a very long pause."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self.signal(signal.SIGCONT)

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """The last lines it wrote."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def _await_ready(self, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._deadline_s
        while not ready():
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{self.name} was not ready within {self._deadline_s:g} s{self._last_words()}",
                    location=str(self.log),
                )
            with suppress(subprocess.TimeoutExpired):  # a wait that ends early when the child does
                process.wait(POLL_S)
            if process.returncode is not None:
                raise DependencyError(
                    f"{self.name} ended with status {process.returncode} before it was ready{self._last_words()}",
                    location=str(self.log),
                )

    def _last_words(self) -> str:
        tail = self.log_tail()
        return f"; the last lines of its log:\n{tail}" if tail else "; its log is empty"


class ProcessGroup:
    """The processes of one run and the temporary folder they live in; use it as a context manager.

    Args:
        keep_folder: leave the folder (logs, data) behind at the end.
    """

    def __init__(self, *, keep_folder: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stillwatch-"))
        self._keep_folder = keep_folder
        self._children: list[Child] = []
        self._lock = threading.Lock()
        # The parent-death signal fires when the *thread* that forked ends, so all forks come from one that stays.
        self._spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawn")

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        ready: Callable[[], bool] | None = None,
        deadline_s: float = 30.0,
        grace_s: float = 10.0,
    ) -> Child:
        """Start a process and return it once it is ready.

        Args:
            name: names the log file; a second child of the same name appends to it.
            argv: the command; the first word is looked up in PATH.
            env: added to this process's environment.
            ready: polled until true; without it the child counts as ready at once.
            deadline_s: time to get ready, seconds.
            grace_s: time between SIGTERM and SIGKILL when it is stopped, seconds; 0 kills at once.

        Raises:
            NotInstalledError: no such program.
            DependencyError: it ended before it was ready.
            UnavailableError: it was not ready in time.
        """
        child = Child(self, name, argv, env=env, ready=ready, deadline_s=deadline_s, grace_s=grace_s)
        with self._lock:
            self._children.append(child)
        child.start()
        return child

    def spawn(self, argv: Sequence[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Fork and exec, from the thread whose end would end the child. For `Child`; it does not register anything."""
        full_env = {**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(self.folder), **env}
        root = Path(__file__).resolve().parents[2]
        if (root / "pyproject.toml").exists():  # a checkout: importable for the child even when it is not installed
            full_env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), full_env.get("PYTHONPATH", "")]))
        shim = [sys.executable, "-I", "-S", "-c", _EXEC_SHIM, str(os.getpid()), *argv]

        def popen() -> subprocess.Popen[bytes]:
            with log.open("ab") as sink:
                return subprocess.Popen(  # noqa: S603 - the caller's own command, no shell
                    shim,
                    env=full_env,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # the terminal's Ctrl-C reaches us only; we stop them in order
                )

        return self._spawner.submit(popen).result()

    def close(self) -> None:
        """Stop every process, the last started first, and remove the folder. A second Ctrl-C kills what is left."""
        with self._lock:
            children, self._children = self._children[::-1], []
        try:
            for child in children:
                child.stop()
        finally:
            for child in children:
                child.kill()
            self._spawner.shutdown()
            if not self._keep_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@contextmanager
def unwinding_on_termination() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP unwind the main thread like Ctrl-C does, so that `with` blocks clean up.

    Raises:
        SystemExit: with status 128 + signal number, out of whatever the main thread was doing.
    """

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is Python's
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
