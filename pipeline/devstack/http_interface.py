"""ClickHouse's HTTP protocol over the embedded engine, for clickhouse-connect, curl and whatever else speaks it.

What a request may carry: the query in `query`, in the body, or both; settings, `param_NAME`, `database`,
`default_format` in the URL or as multipart fields; gzip, deflate, zstd or lz4 bodies, plain or chunked. Results go out
uncompressed (on loopback compression costs and saves nothing) and whole: an error is a status, never half a result.

Refused with ClickHouse's own error numbers: users other than `default` without password, sessions, roles, external
data, ClickHouse's block compression (`compress=1`), statements that reach the file system. Refused for safety, since
nobody is asked for a password: requests that come from a web page, or that name a host other than this machine.
"""

from __future__ import annotations

import base64
import binascii
import re
import socketserver
import sys
import threading
import uuid
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl

import orjson

from pipeline.base.errors import UnavailableError
from pipeline.devstack.engine import Context
from pipeline.devstack.processes import LOOPBACK
from pipeline.devstack.request_body import read_body
from pipeline.devstack.statement import QueryError, not_implemented, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from pipeline.devstack.engine import Engine

SERVER_NAME = "stillwatch-embedded"
IDLE_S = 60.0  # a kept-alive connection without a request is closed after this
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:]*\]|[^:]*)(?::[0-9]+)?")

# URL parameters that are no settings (ClickHouse's list); every other one is a setting or `param_NAME`.
_NOT_SETTINGS = frozenset(
    {"query", "query_id", "database", "default_format", "user", "password", "quota_key", "stacktrace"}
    | {"wait_end_of_query", "buffer_size", "client_protocol_version"}
    | {"session_timeout", "session_check", "close_session"}
)
# Present and set to something: what the embedded engine cannot do.
_UNAVAILABLE = {
    "session_id": "sessions (clickhouse-connect: get_client(autogenerate_session_id=False))",
    "role": "roles",
    "compress": "ClickHouse block compression (compress=1); use HTTP compression",
    "decompress": "ClickHouse block compression (decompress=1); use Content-Encoding",
}
# ClickHouse's HTTP status by the name of the error; 500 for the others.
_STATUS = {
    400: "BAD_ARGUMENTS CANNOT_COMPILE_REGEXP CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE CANNOT_PARSE_QUOTED_STRING "
    "CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING "
    "CANNOT_PARSE_IPV4 CANNOT_PARSE_IPV6 CANNOT_PARSE_INPUT_ASSERTION_FAILED CANNOT_PARSE_UUID DUPLICATE_COLUMN "
    "ILLEGAL_COLUMN UNKNOWN_ELEMENT_IN_AST UNKNOWN_TYPE_OF_AST_NODE THERE_IS_NO_COLUMN TOO_DEEP_AST TOO_BIG_AST "
    "UNEXPECTED_AST_STRUCTURE SYNTAX_ERROR INCORRECT_DATA TYPE_MISMATCH VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    403: "UNKNOWN_USER WRONG_PASSWORD AUTHENTICATION_FAILED SET_NON_GRANTED_ROLE ACCESS_DENIED",
    404: "UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE "
    "UNKNOWN_SETTING UNKNOWN_DIRECTION_OF_SORTING UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT UNKNOWN_DATABASE_ENGINE "
    "UNKNOWN_TYPE_OF_QUERY UNKNOWN_ROLE",
    408: "TIMEOUT_EXCEEDED",
    413: "QUERY_IS_TOO_LARGE",
    501: "NOT_IMPLEMENTED",
    503: "SOCKET_TIMEOUT CANNOT_OPEN_FILE CANNOT_SCHEDULE_TASK",
}
_STATUS_OF = {name: status for status, names in _STATUS.items() for name in names.split()}
_CONTENT_TYPE = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
}


class Server(ThreadingHTTPServer):
    """The HTTP interface on loopback, one thread per connection.

    Args:
        engine: the caller's; `drain` first, then close it.
        port: 0 picks a free one; `server_port` tells which.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, engine: Engine, port: int) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.engine = engine
        self._running = 0
        self._draining = False
        self._changed = threading.Condition()

    def server_bind(self) -> None:
        """Bind without the base class's reverse name lookup, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about clients that went away; anything else is a defect and belongs in the log."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @contextmanager
    def working(self) -> Iterator[None]:
        """The time a query and its answer take; `drain` waits for its end.

        Raises:
            QueryError: the server is shutting down.
        """
        with self._changed:
            if self._draining:
                raise QueryError(439, "CANNOT_SCHEDULE_TASK", "The embedded ClickHouse is shutting down")
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def drain(self, timeout_s: float) -> None:
        """Refuse new queries and wait until the running ones are answered.

        Raises:
            UnavailableError: some still run after `timeout_s`; the engine cannot be closed under them.
        """
        with self._changed:
            self._draining = True
            if not self._changed.wait_for(lambda: self._running == 0, timeout_s):
                raise UnavailableError(f"{self._running} queries still run after {timeout_s:g} s")


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = IDLE_S
    wbufsize = -1  # headers and a small body leave in one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a ping, or run a query that may not write."""
        self._serve()

    def do_HEAD(self) -> None:
        """Like GET, without the body."""
        self._serve()

    def do_POST(self) -> None:
        """Run a query."""
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: request lines hold SQL."""

    def version_string(self) -> str:
        """The `Server` header: what this is, not which Python runs it."""
        return SERVER_NAME

    def _serve(self) -> None:
        try:
            self._refuse_foreign()
            body = read_body(self.headers, self.rfile)
        except QueryError as err:
            self.close_connection = True  # what is left of the body would be taken for the next request
            self._refuse(err)
            return
        path, _, parameters = self.path.partition("?")
        if path == "/ping" or (path == "/" and self.command != "POST" and not parameters):
            self._answer(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
        elif path == "/":
            self._serve_query(dict(parse_qsl(parameters, keep_blank_values=True, errors="surrogateescape")), body)
        else:
            self._answer(404, f"There is no handle {path}\n".encode(errors="replace"), {})

    def _refuse_foreign(self) -> None:
        """Keep web pages out: the browser of whoever runs this would carry their requests to loopback."""
        host = _HOST.fullmatch(self.headers.get("Host", "localhost"))
        if host is None or host["name"].lower() not in _LOOPBACK_NAMES or "Origin" in self.headers:
            raise QueryError(497, "ACCESS_DENIED", "The embedded ClickHouse answers local programs only")

    def _serve_query(self, url: dict[str, str], body: bytes) -> None:
        try:
            with self.server.working():
                try:
                    self._run_query(url, body)
                except QueryError as err:
                    self._refuse(err)
                self.wfile.flush()
        except QueryError as err:  # shutting down
            self._refuse(err)

    def _run_query(self, url: dict[str, str], body: bytes) -> None:
        fields = {**url}
        if self.headers.get_content_type() == "multipart/form-data":
            fields |= _form(self.headers, body)
            body = b""
        for name, what in _UNAVAILABLE.items():
            if fields.pop(name, "0") not in {"", "0"}:
                raise not_implemented(what)
        _authenticate(fields, self.headers)
        query = fields.get("query", "").encode(errors="surrogateescape")
        text = query + b"\n" + body if query and body else query or body
        settings = {k: v for k, v in fields.items() if k not in _NOT_SETTINGS and not k.startswith("param_")}
        if self.command != "POST" and settings.get("readonly", "0") == "0":
            settings["readonly"] = "2"  # ClickHouse: a GET does not write, but may set settings
        context = Context(
            database=fields.get("database") or self.headers.get("X-ClickHouse-Database") or "",
            settings=settings,
            parameters={k.removeprefix("param_"): v for k, v in fields.items() if k.startswith("param_")},
            format=fields.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated",
        )
        result = self.server.engine.run(read(text), context)
        headers = {
            "Content-Type": _CONTENT_TYPE.get(result.format, "text/plain; charset=UTF-8"),
            "X-ClickHouse-Query-Id": fields.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self.server.engine.timezone,
            "X-ClickHouse-Summary": orjson.dumps(result.summary).decode(),
        }
        if result.format:
            headers["X-ClickHouse-Format"] = result.format
        self._answer(200, result.body, headers)

    def _refuse(self, err: QueryError) -> None:
        text = err.message
        if not text.startswith("Code: "):
            text = f"Code: {err.code}. DB::Exception: {text}. ({err.name}) (version {self.server.engine.version})"
        headers = {"Content-Type": "text/plain; charset=UTF-8", "X-ClickHouse-Exception-Code": str(err.code)}
        self._answer(_STATUS_OF.get(err.name, 500), text.encode() + b"\n", headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("X-ClickHouse-Server-Display-Name", SERVER_NAME)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _authenticate(fields: dict[str, str], headers: Message) -> None:
    """Accept the user `default` without a password, however a client says it.

    Raises:
        QueryError: any other user, any password, any token.
    """
    user = fields.get("user") or headers.get("X-ClickHouse-User") or "default"
    password = fields.get("password") or headers.get("X-ClickHouse-Key") or ""
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = ""
    elif scheme:
        user = ""
    if user != "default" or password:
        raise QueryError(516, "AUTHENTICATION_FAILED", "The embedded ClickHouse has one user, `default`, without a password")


def _form(headers: Message, body: bytes) -> dict[str, str]:
    """The fields of a multipart form (clickhouse-connect sends long parameters so)."""
    kind = headers.get("Content-Type", "").encode()
    form = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind + b"\r\n\r\n" + body)
    fields = {}
    for part in form.iter_parts() if form.is_multipart() else ():
        name = part.get_param("name", header="Content-Disposition")
        if part.get_filename() is not None or not isinstance(name, str):
            raise not_implemented("external data")
        content = part.get_payload(decode=True)
        fields[name] = content.decode(errors="surrogateescape") if isinstance(content, bytes) else ""
    return fields
