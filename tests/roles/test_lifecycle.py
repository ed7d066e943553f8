import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from pipeline.base.errors import SettingsError
from pipeline.roles.lifecycle import CRASH_ENV, CrashPoint, install_signals


@pytest.fixture
def _signals() -> Iterator[None]:
    """Puts the handlers back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_for_a_drain(number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C set the stop event; the next one of its kind has its default effect."""
    stop = threading.Event()
    install_signals(stop)
    os.kill(os.getpid(), number)
    assert stop.wait(10)
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.parametrize("specification", ["ingest:after-produce", "ingest:x:0", "ingest:x:-1", ":3", "x", "3"])
def test_a_crash_point_is_spelled_exactly(specification: str) -> None:
    """A mistyped specification is refused instead of never crashing."""
    with pytest.raises(SettingsError, match=CRASH_ENV):
        CrashPoint(specification)


def test_crash_points_are_off_by_default() -> None:
    """Without the variable nothing happens, however often a point is passed."""
    point = CrashPoint("")
    for _ in range(3):
        point("ingest:after-produce")


def test_a_crash_point_kills_at_the_nth_pass() -> None:
    """The process dies by SIGKILL when it passes the named point for the N-th time, not earlier and not at other points."""
    program = (
        "from pipeline.roles.lifecycle import crash_point as c\n"
        "for i in range(5):\n c('ingest:other'); print(i, flush=True); c('ingest:after-produce')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, CRASH_ENV: "ingest:after-produce:3"}, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [b"0", b"1", b"2"]
