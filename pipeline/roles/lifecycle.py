"""How a role starts, is told to stop, and dies on purpose in tests."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from pipeline.base.errors import SettingsError

if TYPE_CHECKING:
    import threading
    from types import FrameType

GC_THRESHOLDS = (100_000, 50, 1_000)
"""Models are millions of small objects without cycles: full collections at Python's default pace cost a fifth of the CPU."""
CRASH_ENV = "STILLWATCHTEST_CRASH"
"""`ROLE:POINT:N`: this process kills itself the N-th time it passes the point. For tests; read once, at import."""


def install_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT ask for a drain by setting `stop`; a second one ends the process at once, as by default."""

    def handle(signum: int, _frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


class CrashPoint:
    """Counts the passes of one named point and kills the process at the N-th, as `kill -9` would.

    Raises:
        SettingsError: the specification is not `name:N`.
    """

    def __init__(self, specification: str) -> None:
        self._name, _, count = specification.rpartition(":")
        if specification and not (self._name and count.isdigit() and int(count) > 0):
            raise SettingsError(f"{CRASH_ENV}={specification}: not ROLE:POINT:N with N ≥ 1")
        self._left = int(count) if specification else 0

    def __call__(self, name: str) -> None:
        """Pass the point `name`. Does nothing unless it is the one this process was told to die at."""
        if name == self._name and self._left:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


crash_point = CrashPoint(os.environ.get(CRASH_ENV, ""))
"""Named instants at which tests kill a role: `crash_point("ingest:after-produce")`."""
