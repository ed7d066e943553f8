"""One child process per role, kept alive: what `stillwatch run all` is.

A child that dies is started again, after a wait that doubles; one that says its trouble will not pass (exit status 2 or
4) ends them all. SIGTERM and Ctrl-C drain every child. A supervisor that is killed takes its children along: each reads
its standard input, which then ends. Not promised: order among the children, they do not need one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.ports.logs import get_logger

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

_LOG = get_logger("supervisor")
FATAL_CODES = frozenset({2, 4})
"""Exit statuses that another start cannot cure: wrong settings, a refusal, data that is not ours."""
POLL_S = 0.1
KILLED = 1
"""Our exit status when a child had to be killed or ended by a signal while it drained."""


@dataclass(frozen=True)
class Limits:
    """How patient a supervisor is; seconds."""

    backoff_first_s: float = 1.0
    backoff_limit_s: float = 30.0
    healthy_after_s: float = 60.0  # a child that lived this long starts again at the first wait
    grace_s: float = 50.0  # for draining; compose and Kubernetes are told 60


@dataclass
class _Child:
    role: str
    argv: Sequence[str]
    env: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    failures: int = field(default=0)


class Supervisor:
    """Keeps one process per command alive until it is told to stop.

    Args:
        commands: role → command and complete environment.
        limits: waits and graces.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        commands: Mapping[str, tuple[Sequence[str], Mapping[str, str]]],
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._children = [_Child(role, argv, env) for role, (argv, env) in commands.items()]
        self._limits = limits
        self._clock = clock

    def run(self, stop: threading.Event) -> int:
        """Start every child and look after them until `stop` is set or one fails for good.

        Returns:
            0 after a clean drain, else the exit status that ended it (1: a child had to be killed).
        """
        fatal = 0
        try:
            for child in self._children:
                self._start(child)
            while not stop.is_set() and not fatal:
                fatal = self._look_after()
                stop.wait(POLL_S)
        finally:
            drained = self._drain()
        return fatal or drained

    def _start(self, child: _Child) -> None:
        child.process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            list(child.argv),
            env=dict(child.env),
            stdin=subprocess.PIPE,
            start_new_session=True,  # the terminal's Ctrl-C reaches us only: twice would mean "at once" to the child
        )
        child.started_at = self._clock()
        _LOG.info("child.started", child=child.role, pid=child.process.pid)

    def _look_after(self) -> int:
        """Notice deaths, start again what is due; the exit status to end with, or 0."""
        for child in self._children:
            now = self._clock()
            if child.process is None:
                if now >= child.restart_at:
                    self._start(child)
                continue
            status = child.process.poll()
            if status is None:
                continue
            _forget(child)
            if status in FATAL_CODES:
                _LOG.error("child.failed", child=child.role, status=status, then="stopping the others")
                return status
            if now - child.started_at >= self._limits.healthy_after_s:
                child.failures = 0
            wait = min(self._limits.backoff_first_s * 2**child.failures, self._limits.backoff_limit_s)
            child.failures = min(child.failures + 1, 30)
            child.restart_at = now + wait
            _LOG.error("child.died", child=child.role, status=status, restart_in_s=wait)
        return 0

    def _drain(self) -> int:
        """SIGTERM to all, then wait; SIGKILL for what is left after the grace. The worst exit status."""
        living = [child for child in self._children if child.process is not None]
        for child in living:
            if child.process is not None:
                child.process.terminate()
        deadline = self._clock() + self._limits.grace_s
        worst = 0
        for child in living:
            if child.process is None:
                continue
            try:
                status = child.process.wait(max(0.0, deadline - self._clock()))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                child.process.kill()
                status = child.process.wait()
            _LOG.info("child.stopped", child=child.role, status=status)
            worst = max(worst, KILLED if status < 0 else status)
            _forget(child)
        return worst


def _forget(child: _Child) -> None:
    if child.process is not None and child.process.stdin is not None:
        child.process.stdin.close()
    child.process = None


def own_command(*arguments: str) -> list[str]:
    """The command that runs one of our verbs with this interpreter."""
    return [sys.executable, "-m", "pipeline.cli", *arguments]
