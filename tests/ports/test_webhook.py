"""One webhook attempt, against a real HTTP server on loopback."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from pipeline.base.errors import SettingsError
from pipeline.base.settings import WebhookEndpoint
from pipeline.events.alert import Alert, Kind, decode_alert
from pipeline.ports.webhook import MAX_RETRY_AFTER_S, Message, WebhookSender, alert_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
MESSAGE = Message("a1-3", b'{"type":"alert.opened","data":{}}')
LOOPBACK = ("127.0.0.0/8", "::1/128")


class Receiver:
    """An endpoint: answers what it is told to and remembers what it got."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.body = b""
        self.release = threading.Event()
        self.hang = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                receiver.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if receiver.hang:
                    receiver.release.wait(10)
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(receiver.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint on loopback."""
    receiver = Receiver()
    yield receiver
    receiver.close()


def endpoint(url: str, **values: object) -> WebhookEndpoint:
    """An endpoint that may live on loopback and speak plain http."""
    given: dict[str, object] = {
        "name": "siem",
        "url": url,
        "secret": SECRET,
        "allow_networks": LOOPBACK,
        "allow_http": True,
        "timeout_s": 5,
    }
    return WebhookEndpoint.model_validate({**given, **values})


def now() -> datetime:
    """Wall clock, as the role gives it."""
    return datetime.now(UTC)


def an_alert(**values: object) -> Alert:
    """A small alert."""
    given: dict[str, object] = {
        "alert_id": "a1",
        "revision": 3,
        "state": "opened",
        "subject_type": "account",
        "subject_id": "acme",
        "account_ids": ["acme"],
        "kind": Kind.BULK_EXTRACTION,
        "headline": "acme drains volume",
        "severity": 3,
        "risk": 0.9,
        "confidence": 0.8,
        "first_seen_ms": 1_795_000_000_000,
        "last_seen_ms": 1_795_000_500_000,
        "raised_at_ms": 1_795_000_400_000,
        "requests": 10,
        "input_tokens": 20,
        "output_tokens": 30,
        "explanation": [],
        "techniques": [],
        "evidence": [],
        "recommended_action": "throttle",
        "detector_version": "1",
    }
    return Alert(**{**given, **values})  # type: ignore[arg-type]  # a test's shorthand


def test_a_receiver_can_verify_it_with_the_library(receiver: Receiver) -> None:
    """What arrives verifies with the Standard Webhooks library and fails when one byte of it changes."""
    attempt = WebhookSender(endpoint(f"http://127.0.0.1:{receiver.port}/hook?x=1")).send(MESSAGE, now())
    assert attempt.delivered
    assert (attempt.status, attempt.error) == (204, "")
    path, headers, body = receiver.requests[0]
    assert (path, body, headers["webhook-id"]) == ("/hook?x=1", MESSAGE.body, "a1-3")
    assert headers["content-type"] == "application/json"
    assert Webhook(SECRET).verify(body, headers) == json.loads(MESSAGE.body)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)


def test_the_message_of_an_alert() -> None:
    """Type from the state, event time, the alert as data; id and bytes are the same each time, the id without a full stop."""
    alert = an_alert()
    message = alert_message(alert)
    body = json.loads(message.body)
    assert (body["type"], body["timestamp"]) == ("alert.opened", "2026-11-18T11:15:00.000Z")
    assert decode_alert(json.dumps(body["data"]).encode()) == alert
    assert message.id == "a1-3"
    assert alert_message(an_alert()) == message
    assert "." not in alert_message(an_alert(alert_id="acct.eu/bulk")).id
    assert alert_message(an_alert(alert_id="acct.eu/bulk")).id != alert_message(an_alert(alert_id="acct-eu/bulk")).id


@pytest.mark.parametrize(
    ("status", "delivered", "gone", "slow_down"),
    [
        (200, True, False, False),
        (299, True, False, False),
        (301, False, False, False),
        (400, False, False, False),
        (410, False, True, False),
        (429, False, False, True),
        (500, False, False, False),
        (502, False, False, True),
        (504, False, False, True),
    ],
)
def test_what_a_status_means(receiver: Receiver, status: int, delivered: bool, gone: bool, slow_down: bool) -> None:  # noqa: FBT001 - a table
    """2xx is success, 410 the end, 429/502/504 slow down, all else a failure."""
    receiver.status = status
    attempt = WebhookSender(endpoint(f"http://127.0.0.1:{receiver.port}/")).send(MESSAGE, now())
    assert (attempt.delivered, attempt.gone, attempt.slow_down) == (delivered, gone, slow_down)
    assert attempt.status == status
    assert bool(attempt.error) is not delivered


def test_a_redirect_is_a_failure_and_not_followed(receiver: Receiver) -> None:
    """A redirect could lead anywhere, so it is not followed, even to an allowed place."""
    other = Receiver()
    receiver.status, receiver.headers = 307, {"Location": f"http://127.0.0.1:{other.port}/"}
    attempt = WebhookSender(endpoint(f"http://127.0.0.1:{receiver.port}/")).send(MESSAGE, now())
    other.close()
    assert not attempt.delivered
    assert "not followed" in attempt.error
    assert (len(receiver.requests), len(other.requests)) == (1, 0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999", MAX_RETRY_AFTER_S),
        ("Mon, 23 Nov 2026 10:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2020 10:00:30 GMT", 0.0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_is_read_and_bounded(receiver: Receiver, value: str, seconds: float | None) -> None:
    """Seconds or an HTTP date; the past is now, the far future is bounded, nonsense is ignored."""
    receiver.status, receiver.headers = 503, {"Retry-After": value}
    attempt = WebhookSender(endpoint(f"http://127.0.0.1:{receiver.port}/")).send(MESSAGE, datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC))
    assert attempt.retry_after_s == seconds
    assert attempt.slow_down is (seconds is not None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_private_address_is_refused_however_it_is_written(receiver: Receiver, host: str) -> None:
    """Without an allow-list nothing on loopback is reached, in any spelling of its address."""
    sender = WebhookSender(endpoint(f"http://{host}:{receiver.port}/", allow_networks=()))
    attempt = sender.send(MESSAGE, now())
    assert attempt.status == 0
    assert "refused: loopback" in attempt.error
    assert receiver.requests == []


def test_one_bad_address_among_good_ones_refuses_the_name(receiver: Receiver) -> None:
    """Every address of a name is checked, not only the one that would be used."""
    sender = WebhookSender(endpoint(f"http://hooks.test:{receiver.port}/"), resolver=lambda _host, _port: ["127.0.0.1", "10.0.0.7"])
    attempt = sender.send(MESSAGE, now())
    assert "10.0.0.7, refused: private" in attempt.error
    assert receiver.requests == []


def test_a_rebinding_name_gains_nothing(receiver: Receiver) -> None:
    """The connection goes to the address that was checked: the name is resolved once per attempt and checked each time."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"]])
    asked: list[tuple[str, int]] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return next(answers)

    sender = WebhookSender(endpoint(f"http://hooks.test:{receiver.port}/"), resolver=resolver)
    assert sender.send(MESSAGE, now()).delivered
    assert asked == [("hooks.test", receiver.port)]
    assert receiver.requests[0][1]["host"] == f"hooks.test:{receiver.port}"
    assert "refused: private" in sender.send(MESSAGE, now()).error
    assert sender.send(MESSAGE, now()).delivered
    assert len(receiver.requests) == 2


def test_the_next_address_is_tried_when_one_does_not_answer(receiver: Receiver) -> None:
    """A name with several addresses is reached as long as one of them answers."""
    sender = WebhookSender(endpoint(f"http://hooks.test:{receiver.port}/"), resolver=lambda _host, _port: ["127.0.0.2", "127.0.0.1"])
    assert sender.send(MESSAGE, now()).delivered


def test_a_name_that_does_not_resolve_is_a_failed_attempt() -> None:
    """A resolver's error is an attempt without an answer."""

    def resolver(host: str, port: int) -> list[str]:
        raise socket.gaierror(f"no such name {host}:{port}")

    attempt = WebhookSender(endpoint("http://hooks.test/"), resolver=resolver).send(MESSAGE, now())
    assert (attempt.status, attempt.delivered) == (0, False)
    assert "does not resolve" in attempt.error


def test_nobody_listening_is_a_failed_attempt(receiver: Receiver) -> None:
    """A refused connection is an attempt without an answer, and says so."""
    receiver.close()
    attempt = WebhookSender(endpoint(f"http://127.0.0.1:{receiver.port}/")).send(MESSAGE, now())
    assert attempt.status == 0
    assert "refused" in attempt.error


def test_an_endpoint_that_hangs_is_left_at_the_deadline(receiver: Receiver) -> None:
    """An endpoint that takes the request and never answers costs one timeout."""
    receiver.hang = True
    attempt = WebhookSender(endpoint(f"http://127.0.0.1:{receiver.port}/", timeout_s=0.3)).send(MESSAGE, now())
    assert (attempt.status, attempt.error) == (0, "no answer in time")
    assert 0.2 < attempt.duration_s < 3


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that does as it likes with its one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join(5)


def test_a_dripping_endpoint_is_left_at_the_deadline() -> None:
    """Bytes that keep coming do not extend an attempt: the timeout is for the whole of it."""
    left = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not left.wait(0.02):
            connection.sendall(b"X-Drip: 1\r\n")

    with raw_server(drip) as port:
        attempt = WebhookSender(endpoint(f"http://127.0.0.1:{port}/", timeout_s=0.4)).send(MESSAGE, now())
        left.set()
    assert (attempt.status, attempt.error) == (0, "no answer in time")
    assert attempt.duration_s < 3


def test_an_endless_answer_is_cut_off() -> None:
    """The status counts; a body that never ends is neither read to its end nor kept in memory."""
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            sent += 65_536

    with raw_server(pour) as port:
        started = time.monotonic()
        attempt = WebhookSender(endpoint(f"http://127.0.0.1:{port}/")).send(MESSAGE, now())
    assert attempt.delivered
    assert time.monotonic() - started < 4
    assert sent < 64 << 20


def test_something_that_is_not_http_is_a_failed_attempt() -> None:
    """A server that speaks another protocol is an attempt without an answer."""
    with raw_server(lambda connection: connection.sendall(b"220 smtp ready\r\n")) as port:
        attempt = WebhookSender(endpoint(f"http://127.0.0.1:{port}/", timeout_s=1)).send(MESSAGE, now())
    assert attempt.status == 0
    assert attempt.error


def test_tls_asks_for_the_name_at_the_checked_address() -> None:
    """The TLS handshake goes to the checked address and still names the host of the URL."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    def shake(connection: socket.socket) -> None:
        with suppress(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)

    with raw_server(shake) as port:
        sender = WebhookSender(endpoint(f"https://hooks.test:{port}/", allow_http=False), resolver=lambda _host, _port: ["127.0.0.1"])
        attempt = sender.send(MESSAGE, now())
    assert asked == ["hooks.test"]
    assert attempt.status == 0
    assert attempt.error


def test_a_proxy_in_the_environment_is_ignored(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve the name itself and undo the address check."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert WebhookSender(endpoint(f"http://127.0.0.1:{receiver.port}/")).send(MESSAGE, now()).delivered


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"url": "http://hooks.test/", "allow_http": False}, "https is needed"),
        ({"url": "https://"}, "host"),
        ({"allow_networks": ("10.0.0.0/33",)}, "allow_networks"),
        ({"secret": "whsec_" + base64.b64encode(b"short").decode()}, "secret"),
        ({"secret": "whsec_!!!"}, "secret"),
        ({"secret": base64.b64encode(bytes(32)).decode()}, "secret"),
    ],
)
def test_wrong_settings_are_refused_at_the_start(values: dict[str, object], named: str) -> None:
    """Each says which key is wrong, and none repeats the secret."""
    with pytest.raises(SettingsError, match=named) as caught:
        WebhookSender(endpoint(**{"url": "https://hooks.test/", **values}))  # type: ignore[arg-type]  # a table of settings
    assert "deliver.webhooks.siem" in str(caught.value)
    assert str(values.get("secret", SECRET)).removeprefix("whsec_") not in str(caught.value)
