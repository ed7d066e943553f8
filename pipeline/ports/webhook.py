"""Outgoing webhooks (Standard Webhooks 1.0): sign, connect only where allowed, one attempt, a verdict.

The name is resolved once per attempt, every address it has is checked, and the connection goes to a checked address: a
name that changes between check and use (DNS rebinding) gains nothing. TLS still verifies the name. Proxies and other
settings from the environment are ignored; redirects are not followed.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import httpcore
import httpx
import msgspec
import orjson
from standardwebhooks import Webhook

from pipeline.base.errors import SettingsError
from pipeline.ports.addresses import networks, refusal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipeline.base.settings import WebhookEndpoint
    from pipeline.events.alert import Alert
    from pipeline.ports.addresses import Network

MAX_BODY_READ = 65_536
"""Bytes of an answer that are read; the rest is cut off, since nothing in it matters."""
MAX_RETRY_AFTER_S = 3_600.0
"""An endpoint cannot ask for more silence than this at a time, seconds: alerts are urgent."""
_SECRET_BYTES = range(24, 65)
_SLOW_DOWN = frozenset({429, 502, 504})
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


class Message(NamedTuple):
    """What is sent: the same id and the same bytes however often it is tried."""

    id: str
    body: bytes


@dataclass(frozen=True)
class Attempt:
    """What came of one attempt.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        error: why it failed; empty on success.
        duration_s: how long it took.
        retry_after_s: how long the endpoint asked us to wait, bounded, or None.
    """

    status: int
    error: str
    duration_s: float
    retry_after_s: float | None = None

    @property
    def delivered(self) -> bool:
        """The endpoint took it."""
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """The endpoint wants no more webhooks, ever."""
        return self.status == 410

    @property
    def slow_down(self) -> bool:
        """The endpoint, or what stands before it, is overloaded."""
        return self.status in _SLOW_DOWN or self.retry_after_s is not None


def alert_message(alert: Alert) -> Message:
    """The webhook of one revision. Its id has no full stop, which the signature uses as a separator."""
    subject = alert.alert_id if _PLAIN_ID.fullmatch(alert.alert_id) else sha256(alert.alert_id.encode()).hexdigest()
    happened = datetime.fromtimestamp(max(alert.raised_at_ms, alert.last_seen_ms) / 1_000, UTC)
    body = {
        "type": f"alert.{alert.state}",
        "timestamp": happened.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": msgspec.to_builtins(alert),
    }
    return Message(f"{subject}-{alert.revision}", orjson.dumps(body))


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, by the system's resolver (which bounds its own time).

    Raises:
        OSError: the name does not resolve.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class WebhookSender:
    """Sends to one endpoint; every attempt is a connection of its own. One caller at a time."""

    def __init__(
        self,
        endpoint: WebhookEndpoint,
        *,
        resolver: Callable[[str, int], Sequence[str]] = resolve,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Check the endpoint's settings.

        Raises:
            SettingsError: no https and plain http is not allowed, a bad allow-list or secret.
        """
        for chatty in ("httpx", "httpcore"):  # they log addresses, which may hold a token
            logging.getLogger(chatty).setLevel(logging.WARNING)
        key = f"deliver.webhooks.{endpoint.name}"
        self.name = endpoint.name
        self._url = _checked_url(endpoint, key)
        self._allowed = networks(endpoint.allow_networks, f"{key}.allow_networks")
        self._signer = Webhook(_secret(endpoint, key))
        self._timeout_s = endpoint.timeout_s
        self._resolver = resolver
        self._ssl_context = ssl_context or _trust()

    def send(self, message: Message, now: datetime) -> Attempt:
        """Make one attempt, signed at `now` (aware). Never raises for what the network or the endpoint does."""
        headers = {
            "content-type": "application/json",
            "user-agent": "stillwatch-webhook/1",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message.id, now.astimezone(UTC), message.body.decode()),
        }
        started = time.monotonic()
        transport = _Transport(_CheckedBackend(self._resolver, self._allowed, started + self._timeout_s), self._ssl_context)
        status, error, retry_after = 0, "", None
        try:
            with (
                httpx.Client(transport=transport, trust_env=False, timeout=self._timeout_s, follow_redirects=False) as client,
                client.stream("POST", self._url, content=message.body, headers=headers) as response,
            ):
                status = response.status_code
                retry_after = _retry_after(response.headers.get("retry-after"), now)
                _drain(response)
        except httpx.HTTPError as err:
            error = "" if status else f"{err}"  # once there is a status, a cut-off body does not matter
        attempt = Attempt(status, error, time.monotonic() - started, retry_after)
        if not attempt.delivered and not error:
            redirect = " (redirects are not followed)" if 300 <= status < 400 else ""
            return Attempt(status, f"HTTP {status}{redirect}", attempt.duration_s, retry_after)
        return attempt


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, and ends everything at one deadline."""

    def __init__(self, resolver: Callable[[str, int], Sequence[str]], allowed: Sequence[Network], deadline: float) -> None:
        self._resolver = resolver
        self._allowed = allowed
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature; the deadline rules
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._resolver(host, port)
        except (OSError, UnicodeError) as err:
            raise httpcore.ConnectError(f"{host} does not resolve: {err}") from None
        for address in addresses:
            if why := refusal(address, self._allowed):
                raise httpcore.ConnectError(f"{host} is {address}, refused: {why}; allow_networks can allow it")
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                stream = self._inner.connect_tcp(address, port, _left(self._deadline), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as err:
                failure = err
            else:
                return _DeadlineStream(stream, self._deadline)
        raise failure


class _DeadlineStream(httpcore.NetworkStream):
    """A stream on which nothing lasts beyond the deadline, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline rules
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the deadline rules
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the deadline rules
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _Transport(httpx.BaseTransport):
    """httpx over a connection pool with our backend: httpx's own transport does not take one."""

    def __init__(self, backend: _CheckedBackend, ssl_context: ssl.SSLContext) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=ssl_context, network_backend=backend, max_keepalive_connections=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        with _as_httpx():
            response = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions)

    def close(self) -> None:
        self._pool.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """The connection layer's errors as httpx's, with a text that says what happened."""
    try:
        yield
    except httpcore.TimeoutException as err:
        raise httpx.TimeoutException("no answer in time") from err
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as err:
        raise httpx.TransportError(str(err) or type(err).__name__) from err


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("deadline")
    return left


def _drain(response: httpx.Response) -> None:
    """Read a little of the answer, so that a polite server sees it taken."""
    taken = 0
    for chunk in response.iter_raw():
        taken += len(chunk)
        if taken > MAX_BODY_READ:
            return


def _retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds or an HTTP date (RFC 9110 10.2.3) → bounded seconds; what is neither counts as absent."""
    if not value:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else (parsedate_to_datetime(value) - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _checked_url(endpoint: WebhookEndpoint, key: str) -> httpx.URL:
    try:
        url = httpx.URL(endpoint.url)
    except httpx.InvalidURL as err:
        raise SettingsError(f"{key}.url: {err}") from None
    if not url.host:
        raise SettingsError(f"{key}.url: no host in it")
    if url.scheme != "https" and not endpoint.allow_http:
        raise SettingsError(f"{key}.url: https is needed", next_step=f"use https, or set {key}.allow_http for a trusted network")
    return url


def _secret(endpoint: WebhookEndpoint, key: str) -> bytes:
    text = endpoint.secret.get_secret_value() if endpoint.secret else ""
    encoded = text.removeprefix("whsec_").rstrip("=") if text.startswith("whsec_") else ""
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) not in _SECRET_BYTES:
        raise SettingsError(f"{key}.secret: `whsec_` and the base64 of 24 to 64 random bytes is needed")
    return secret


def _trust() -> ssl.SSLContext:
    """The authorities httpx ships and those the system trusts: a private authority is installed in the system's store."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
