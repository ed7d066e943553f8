"""A local webhook receiver: verifies Standard Webhooks signatures, records what arrives, and misbehaves on request.

`python -m pipeline.devstack.receiver --port N --secret-file F --out FILE` prints one line per delivery and appends it
to FILE as JSON; tests run the same receiver in-process.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import orjson
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from pipeline.base.errors import UnavailableError
from pipeline.devstack.processes import LOOPBACK
from pipeline.devstack.request_body import read_body
from pipeline.devstack.statement import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IDLE_S = 30.0
SHUTDOWN_POLL_S = 0.05


@dataclass(frozen=True)
class Delivery:
    """One request that arrived.

    Attributes:
        webhook_id: the `webhook-id` header; the same over retries.
        verified: whether the signature and its time stamp hold.
        problem: why not, else empty.
        status: what was answered.
        body: the decoded JSON; None when it is not JSON.
        raw: the bytes that were signed.
        headers: as received, names in lower case.
        path: of the URL, with its query.
        received_at: Unix time, seconds.
    """

    webhook_id: str
    verified: bool
    problem: str
    status: int
    body: Any
    raw: bytes
    headers: dict[str, str]
    path: str
    received_at: float


@dataclass(frozen=True)
class Behaviour:
    """How verified deliveries are answered; set `Receiver.behaviour` to change it while it runs.

    Attributes:
        status: the answer in the end.
        fail_first: how many deliveries, counted from now, get `fail_status` before that.
        fail_status: e.g. 500, 429, 410, or 302 (which points back at the receiver).
        retry_after: value of `Retry-After` on failing answers (seconds or an HTTP date); None sends none.
        delay_s: wait before answering, seconds.
    """

    status: int = 204
    fail_first: int = 0
    fail_status: int = 500
    retry_after: str | None = None
    delay_s: float = 0.0


class Receiver:
    """A webhook endpoint on loopback; use it as a context manager, or `start` and `close` it.

    A delivery that does not verify is answered 401 and recorded.

    Args:
        secret: the signing secret, `whsec_…`.
        port: 0 picks a free one.
        behaviour: how verified deliveries are answered.
        on_delivery: called with each delivery, in order, from the receiver's threads.
    """

    def __init__(
        self,
        secret: str,
        *,
        port: int = 0,
        behaviour: Behaviour | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
    ) -> None:
        self._webhook = Webhook(secret)
        self._behaviour = behaviour or Behaviour()
        self._on_delivery = on_delivery
        self._deliveries: list[Delivery] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._server = _Server((LOOPBACK, port), self)

    @property
    def url(self) -> str:
        """Where to deliver."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/webhooks"

    @property
    def deliveries(self) -> list[Delivery]:
        """All deliveries so far, in order of arrival."""
        with self._changed:
            return list(self._deliveries)

    @property
    def behaviour(self) -> Behaviour:
        """How verified deliveries are answered."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        with self._changed:
            self._behaviour = behaviour

    def wait_for(self, enough: Callable[[list[Delivery]], bool] | int, deadline_s: float = 10.0) -> list[Delivery]:
        """Wait until enough has arrived and return the deliveries.

        Args:
            enough: a number of deliveries, or a question to the list of them.
            deadline_s: longest wait, seconds.

        Raises:
            UnavailableError: it did not arrive in time.
        """
        question = enough if callable(enough) else lambda seen: len(seen) >= enough
        with self._changed:
            seen = self._deliveries
            if not self._changed.wait_for(lambda: question(seen), deadline_s):
                raise UnavailableError(f"after {deadline_s:g} s only {len(seen)} deliveries, not those waited for")
            return list(seen)

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(SHUTDOWN_POLL_S,), name="receiver", daemon=True).start()

    def close(self) -> None:
        """Stop answering and free the port; delayed answers are sent at once."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def receive(self, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, dict[str, str]]:
        """Record one delivery and say how to answer it: status and headers. For the HTTP handler."""
        problem = ""
        try:
            self._webhook.verify(raw, headers, json_parse=False)
        except (WebhookVerificationError, ValueError) as err:  # the library lets malformed base64 through as ValueError
            problem = str(err) or type(err).__name__
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            body = None
        with self._changed:
            behaviour = self._behaviour
            answer = {}
            if problem:
                status = 401
            elif behaviour.fail_first > 0:
                self._behaviour = replace(behaviour, fail_first=behaviour.fail_first - 1)
                status = behaviour.fail_status
                answer = {"Retry-After": behaviour.retry_after} if behaviour.retry_after is not None else {}
            else:
                status = behaviour.status
            if 300 <= status < 400:
                answer["Location"] = self.url
            name = headers.get("webhook-id", "")
            delivery = Delivery(name, not problem, problem, status, body, raw, headers, path, time.time())
            self._deliveries.append(delivery)
            if self._on_delivery is not None:
                self._on_delivery(delivery)
            self._changed.notify_all()
        if behaviour.delay_s:
            self._closing.wait(behaviour.delay_s)
        return status, answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        super().__init__(address, _Handler)
        self.receiver = receiver

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about clients that went away (a test lets them time out); the rest is a defect."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = IDLE_S
    wbufsize = -1

    def do_POST(self) -> None:
        """Receive a delivery."""
        try:
            raw = read_body(self.headers, self.rfile)
        except QueryError:
            self.close_connection = True
            self.send_error(400)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, answer = self.server.receiver.receive(self.path, headers, raw)
        self.send_response(status)
        for name, value in answer.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing; deliveries are recorded."""


def main(argv: Sequence[str] | None = None) -> int:
    """Receive until SIGTERM or Ctrl-C. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.devstack.receiver", description=__doc__)
    parser.add_argument("--port", type=int, default=8099, help="loopback port; 0 picks a free one (default 8099)")
    parser.add_argument("--secret-file", type=Path, required=True, help="file with the signing secret, whsec_…")
    parser.add_argument("--out", type=Path, help="append each delivery to this file, one JSON object per line")
    parser.add_argument("--fail-first", type=int, default=0, help="answer the first N deliveries with --fail-status")
    parser.add_argument("--fail-status", type=int, default=500, help="e.g. 500, 429, 410 (default 500)")
    parser.add_argument("--retry-after", help="Retry-After of failing answers")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds to wait before each answer")
    options = parser.parse_args(argv)
    behaviour = Behaviour(204, options.fail_first, options.fail_status, options.retry_after, options.delay)

    def show(delivery: Delivery) -> None:
        verdict = "signature verified" if delivery.verified else f"REFUSED: {delivery.problem}"
        kind = delivery.body.get("type", "") if isinstance(delivery.body, dict) else ""
        sys.stdout.write(f"{delivery.webhook_id} {kind} {verdict}, answered {delivery.status}\n")
        sys.stdout.flush()
        if options.out is not None:
            line = {k: v for k, v in asdict(delivery).items() if k != "raw"}
            with options.out.open("ab") as out:
                out.write(orjson.dumps(line) + b"\n")

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        secret = options.secret_file.read_text().strip()
        receiver = Receiver(secret, port=options.port, behaviour=behaviour, on_delivery=show)
    except (OSError, OverflowError, ValueError, EmptyWebhookSecretError) as err:
        sys.stderr.write(f"{err}\n")
        return 1
    with receiver:
        sys.stdout.write(f"receiving webhooks on {receiver.url}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
