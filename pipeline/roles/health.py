"""Is this process alive, is it ready, and how does it do: `/healthz`, `/readyz`, `/metrics` on one port.

A role tells its `Health` what it waits for; the server only repeats it. Alive means: every watched partition moves, or has
nothing to read. Ready means: every named condition holds.
"""

from __future__ import annotations

import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from pipeline.base.errors import SettingsError
from pipeline.ports import metrics
from pipeline.ports.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.base.settings import HttpSettings

STALL_S = 60.0
"""A partition with something to read that does not move for this long makes the role unready."""
DEAD_S = 180.0
"""… and for this long, not alive: the process should be restarted."""
STARTING = "starting"


class Watchdog:
    """Per-partition progress: who has something to do and does not do it.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[str, tuple[int, float]] = {}

    def progress(self, key: str, position: int, *, pending: bool = True) -> None:
        """Report where `key` stands. The clock restarts when the position changed or nothing is pending."""
        with self._lock:
            known = self._since.get(key)
            if known is None or known[0] != position or not pending:
                self._since[key] = (position, self._clock())

    def forget(self, key: str) -> None:
        """`key` is no longer ours."""
        with self._lock:
            self._since.pop(key, None)

    def stalled(self, limit_s: float) -> list[str]:
        """Keys that have not moved for longer than `limit_s`, sorted."""
        now = self._clock()
        with self._lock:
            return sorted(key for key, (_, since) in self._since.items() if now - since > limit_s)


class Health:
    """What a role says about itself. Thread-safe. Starts unready: `starting`, until the role says otherwise."""

    def __init__(self, role: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.role = role
        self.watchdog = Watchdog(clock)
        self._lock = threading.Lock()
        self._waiting: dict[str, str] = {STARTING: "starting"}

    def holds(self, condition: str) -> None:
        """A named condition of readiness holds (again)."""
        self._set(condition, "")

    def waits(self, condition: str, reason: str) -> None:
        """A named condition does not hold, and why. The reason is shown to whoever asks: no record values, no secrets."""
        self._set(condition, reason)

    def _set(self, condition: str, reason: str) -> None:
        with self._lock:
            before = self._waiting.get(condition, "")
            if reason:
                self._waiting[condition] = reason
            else:
                self._waiting.pop(condition, None)
            ready = not self._waiting
        if reason != before:
            log = get_logger(__name__)
            if reason:
                log.warning("readiness.lost", condition=condition, reason=reason)
            else:
                log.info("readiness.regained", condition=condition)
        metrics.gauge("stillwatch_ready", 1.0 if ready else 0.0, role=self.role)

    def unready_reason(self) -> str:
        """Why the role is not ready, or empty."""
        with self._lock:
            reasons = [f"{condition}: {reason}" if condition != STARTING else reason for condition, reason in self._waiting.items()]
        stalled = self.watchdog.stalled(STALL_S)
        if stalled:
            reasons.append(f"no progress for {STALL_S:g} s: {', '.join(stalled)}")
        return "; ".join(reasons)

    def dead_reason(self) -> str:
        """Why the process should be restarted, or empty."""
        stalled = self.watchdog.stalled(DEAD_S)
        return f"no progress for {DEAD_S:g} s: {', '.join(stalled)}" if stalled else ""


class HealthServer:
    """Serves a `Health` from a thread of its own. Use as a context manager, or `close()` it.

    Attributes:
        health: what the role writes to.
        port: the port in use (settings may say 0: any free one).

    Raises:
        SettingsError: the address is taken or not ours.
    """

    def __init__(self, http: HttpSettings, role: str) -> None:
        self.health = Health(role)
        handler = type("_Handler", (_Handler,), {"health": self.health})
        try:
            self._server = ThreadingHTTPServer((http.host, http.port), handler)
        except OSError as err:
            raise SettingsError(
                f"http.host={http.host}, http.port={http.port}: {err.strerror}", next_step="choose another http.port"
            ) from None
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="health", daemon=True)
        self._thread.start()
        get_logger(__name__).info("http.listening", host=http.host, port=self.port, paths=["/healthz", "/readyz", "/metrics"])

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Handler(BaseHTTPRequestHandler):
    health: Health
    timeout = 10  # a client that says nothing does not keep a thread

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(HTTPStatus.OK, metrics.CONTENT_TYPE, metrics.render())
        elif path == "/healthz":
            self._say(self.health.dead_reason())
        elif path == "/readyz":
            self._say(self.health.unready_reason())
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"try /healthz, /readyz or /metrics\n")

    do_HEAD = do_GET  # noqa: N815 - the standard library's name

    def _say(self, reason: str) -> None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK
        self._answer(status, "text/plain; charset=utf-8", f"{reason or 'ok'}\n".encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Requests to the health port are no news."""
