"""What compose starts, started: each command with its environment and its health check, as processes on loopback.

No container daemon is needed. Host names become loopback addresses and ports free ones; nothing else of an environment
changes. Apache Kafka runs from its jars, configured by the image's own translation of `KAFKA_*` variables; ClickHouse is
the embedded engine behind a door that knows the users and passwords of the compose file.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from pipeline.devstack.apache_kafka import fetch
from pipeline.devstack.processes import LOOPBACK, NotInstalledError, ProcessGroup, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pipeline.devstack.clickhouse import EmbeddedClickHouse
    from pipeline.devstack.processes import Child
    from tests.infra.conftest import Dockerfile

pytestmark = pytest.mark.usefixtures("kernels")
ROLES = ("ingest", "detect", "deliver")
ENTRY_POINT = [sys.executable, "-m", "pipeline.cli"]  # for the image's /opt/venv/bin/stillwatch
IN = 'cd "$0" && exec "$@"'  # sh -c: run in a folder


class _Door(BaseHTTPRequestHandler):
    """ClickHouse's HTTP interface with the compose file's users: checks the password, then asks the embedded engine."""

    protocol_version = "HTTP/1.1"
    users: Mapping[str, str]
    seen: set[str]
    behind: EmbeddedClickHouse

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_HEAD(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self._body()
        public = self.path == "/ping"
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(credentials).decode().partition(":") if scheme == "Basic" else ("", "", "")
        if not public and (not password or self.users.get(user) != password):
            self._answer(403, {"X-ClickHouse-Exception-Code": "516"}, b"Code: 516. AUTHENTICATION_FAILED")
            return
        self.seen.add(user)
        dropped = {"authorization", "host", "connection", "content-length", "transfer-encoding"}
        headers = {key: value for key, value in self.headers.items() if key.lower() not in dropped}
        connection = http.client.HTTPConnection(self.behind.host, self.behind.port, timeout=60)
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower().startswith(("x-clickhouse", "content-type", "content-encoding"))}
            self._answer(answer.status, kept, answer.read())
        finally:
            connection.close()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing."""


@dataclass
class Stack:
    """The services of the compose file that run here, and how to run one more."""

    compose: dict[str, Any]
    image: dict[str, str]
    health_check: list[str]
    processes: ProcessGroup
    ports: dict[str, int]
    clickhouse_users: set[str] = field(default_factory=set)
    roles: dict[str, Child] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    runs: Iterator[int] = field(default_factory=itertools.count)

    def on_loopback(self, text: str) -> str:
        """The text with the file's host names and ports replaced by ours."""
        text = re.sub(r"\b(kafka|clickhouse|0\.0\.0\.0|127\.0\.0\.1)(?=:|/|$)", LOOPBACK, text)
        return re.sub(r"(?<=[:/])\d{4,5}\b", lambda port: str(self.ports.get(port[0], port[0])), text)

    def environment(self, service: str) -> dict[str, str]:
        """The image's and the service's variables, on loopback."""
        theirs = {**self.image, **self.compose["services"][service]["environment"]}
        own = {key: self.on_loopback(value) for key, value in theirs.items()}
        own.pop("PATH", None)
        if "STILLWATCH_CLICKHOUSE__HOST" in own:
            own["STILLWATCH_CLICKHOUSE__PORT"] = str(self.ports["8123"])
        if service in ROLES:
            own["STILLWATCH_HTTP__PORT"] = str(self.ports[service])
        own["HOME"] = str(self.folder(service))
        return own

    def folder(self, service: str) -> Path:
        """Working directory and home of a service; read-only in its container, so it has to stay empty here."""
        if service not in self.folders:
            self.folders[service] = self.processes.folder / f"cwd-{service}"
            self.folders[service].mkdir()
        return self.folders[service]

    def command(self, service: str, *instead: str) -> list[str]:
        """The service's command line (or, as with `docker compose run`, another), to be run in its folder."""
        arguments = instead or self.compose["services"][service]["command"]
        return ["sh", "-c", IN, str(self.folder(service)), *ENTRY_POINT, *arguments]

    def healthy(self, service: str) -> bool:
        """The image's health check, as the process that Docker would run in the service's environment."""
        done = subprocess.run(
            self.health_check, env={**os.environ, **self.environment(service)}, capture_output=True, check=False, timeout=20
        )
        return done.returncode == 0

    def once(self, service: str, *instead: str, deadline_s: float = 120) -> str:
        """Run a service that ends by itself; its output. Fails when it fails."""
        child = self.processes.start(f"{service}-{next(self.runs)}", self.command(service, *instead), env=self.environment(service))
        assert child.wait(deadline_s) == 0, child.log.read_text()
        return child.log.read_text()


def _start_kafka(stack: Stack) -> None:
    """The kafka service from its own environment: the image's configuration step, then the broker."""
    try:
        libs = fetch()
    except NotInstalledError as err:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(err))
    service = stack.compose["services"]["kafka"]
    home = stack.processes.folder / "kafka"
    defaults, mounted, final = (home / name for name in ("defaults", "mounted", "final"))
    for folder in (defaults, mounted, final):
        folder.mkdir(parents=True)
    (defaults / "server.properties").touch()
    logging = {"Appenders": {}, "Loggers": {"Root": {"level": "ERROR"}, "Logger": []}}
    for name in ("log4j2.yaml", "tools-log4j2.yaml"):
        (defaults / name).write_text(json.dumps({"Configuration": logging}))
    environment = {key: stack.on_loopback(value) for key, value in service["environment"].items()}
    environment["KAFKA_LOG_DIRS"] = str(home / "data")
    java = shutil.which("java")
    assert java is not None, "fetch() needs Maven, which needs Java"
    command = [java, *environment["KAFKA_HEAP_OPTS"].split(), "-cp", f"{libs}/*"]
    setup = ["setup", "--default-configs-dir", str(defaults), "--mounted-configs-dir", str(mounted), "--final-configs-dir", str(final)]
    configured = stack.processes.start(
        "kafka-setup", [*command, "kafka.docker.KafkaDockerWrapper", *setup], env={**environment, "LC_ALL": "C"}
    )
    assert configured.wait(60) == 0, configured.log.read_text()
    check = [stack.on_loopback(word) for word in service["healthcheck"]["test"][1:]]
    stack.processes.start(
        "kafka",
        [*command, "kafka.Kafka", str(final / "server.properties")],
        ready=lambda: subprocess.run(check, capture_output=True, check=False, timeout=10).returncode == 0,
        deadline_s=60,
    )


def _passwords(compose: dict[str, Any], users_file: Path) -> dict[str, str]:
    """User → password as the clickhouse service would know them: variable names from users.xml, values from compose."""
    environment = compose["services"]["clickhouse"]["environment"]
    users = ET.parse(users_file).find("users")  # noqa: S314 - our own file
    assert users is not None
    found = {user.tag: user.find("password") for user in users}
    return {name: environment[password.attrib["from_env"]] for name, password in found.items() if password is not None}


@pytest.fixture(scope="module")
def stack(compose: dict[str, Any], dockerfile: Dockerfile, clickhouse: EmbeddedClickHouse, root: Path) -> Iterator[Stack]:
    """Kafka and ClickHouse up, `init` done, every role healthy."""
    _, _, check = dockerfile.only("HEALTHCHECK").partition("CMD ")
    seen: set[str] = set()
    users = _passwords(compose, root / "infra/clickhouse/users.xml")
    door = ThreadingHTTPServer((LOOPBACK, 0), type("_Users", (_Door,), {"users": users, "seen": seen, "behind": clickhouse}))
    door.daemon_threads = True
    thread = threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    ports = {port: free_port() for port in ("9092", "9093", "19092", *ROLES)} | {"8123": door.server_address[1]}
    try:
        with ProcessGroup() as processes:
            image = {key: value for key, value in dockerfile.environment().items() if key.startswith(("STILLWATCH_", "PYTHON"))}
            stack = Stack(compose, image, [sys.executable, *json.loads(check)[1:]], processes, ports, seen)
            _start_kafka(stack)
            stack.once("init")
            for role in ROLES:
                stack.roles[role] = processes.start(role, stack.command(role), env=stack.environment(role), grace_s=60)
            for role, child in stack.roles.items():
                deadline = time.monotonic() + 120
                while not stack.healthy(role):
                    assert child.running, child.log_tail()
                    assert time.monotonic() < deadline, child.log_tail()
            yield stack
    finally:
        door.shutdown()
        door.server_close()
        thread.join()


def test_clickhouse_health_check(stack: Stack) -> None:
    """The clickhouse service's check says healthy for a server that answers and unhealthy where none does."""
    test = stack.compose["services"]["clickhouse"]["healthcheck"]["test"][1:]
    if shutil.which(test[0]) is None and not os.environ.get("CI"):
        pytest.skip(f"{test[0]} is not installed here")
    command = [stack.on_loopback(word) for word in test]
    assert subprocess.run(command, check=False, timeout=20).returncode == 0
    nobody = [word.replace(str(stack.ports["8123"]), str(free_port())) for word in command]
    assert subprocess.run(nobody, check=False, timeout=20).returncode != 0


def test_no_service_is_left_out(own_services: dict[str, Any]) -> None:
    """Each of our services is started here: three roles, `init`, and the two that are asked for by hand."""
    assert set(own_services) == {*ROLES, "init", "simulator", "cli"}


def test_traffic_reaches_clickhouse(stack: Stack) -> None:
    """The simulator's requests go through the three roles and are read back with the analyst's user."""
    simulate = stack.compose["services"]["simulator"]["command"]
    stack.once("simulator", *simulate, "--days", "0.5", "--accounts", "40", "--events-per-day", "100", "--seed", "1", deadline_s=300)
    deadline = time.monotonic() + 120
    count = 0
    while count == 0 and time.monotonic() < deadline:
        answer = stack.once("cli", "query", "SELECT sum(requests) AS requests FROM account_hourly", "--format", "json")
        count = int(json.loads(answer.splitlines()[-1])["requests"])
        assert all(child.running for child in stack.roles.values()), [child.log_tail(3) for child in stack.roles.values()]
    assert count > 0


def test_init_again_changes_nothing(stack: Stack) -> None:
    """Compose runs `init` at every `up`: roles go on as before."""
    stack.once("init")
    assert all(stack.healthy(role) for role in ROLES)


def test_each_process_used_its_own_clickhouse_user(stack: Stack) -> None:
    """The door let in exactly the users of the compose file, each with the server's password."""
    stack.once("cli")
    assert stack.clickhouse_users - {""} == {"stillwatch_admin", "stillwatch_writer", "stillwatch_reader"}


def test_roles_drain_on_sigterm_and_leave_nothing_behind(stack: Stack) -> None:
    """`docker compose stop`: status 0 within the grace period, then unhealthy; nothing was written to folder or home."""
    for role, child in stack.roles.items():
        child.signal(signal.SIGTERM)
        grace_s = float(stack.compose["services"][role]["stop_grace_period"].removesuffix("s"))
        assert child.wait(grace_s) == 0, child.log_tail()
        assert not stack.healthy(role)
    left = {service: list(folder.iterdir()) for service, folder in stack.folders.items()}
    assert not {service: files for service, files in left.items() if files}
