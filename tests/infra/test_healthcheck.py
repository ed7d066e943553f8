"""The image's health check, run as the process that Docker runs, against a real HTTP server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.conftest import Dockerfile


class _Health(BaseHTTPRequestHandler):
    """Answers /healthz with the server's status; anything else is not there."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        self.send_response(server.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing."""


class _Server(HTTPServer):
    status = 200


@pytest.fixture
def server() -> Iterator[_Server]:
    """A role's health endpoint on a free loopback port."""
    with _Server(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _check(dockerfile: Dockerfile, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the image's command with this interpreter in the place of the image's."""
    _, _, command = dockerfile.only("HEALTHCHECK").partition("CMD ")
    python, *arguments = json.loads(command)
    assert python == "/opt/venv/bin/python"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("STILLWATCH_")}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_healthy(dockerfile: Dockerfile, server: _Server) -> None:
    """200 is healthy, even where a proxy is configured that must not be asked for loopback."""
    port = str(server.server_port)
    answer = _check(dockerfile, {"STILLWATCH_HTTP__PORT": port, "http_proxy": "http://127.0.0.1:9"})
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_unhealthy(dockerfile: Dockerfile, server: _Server) -> None:
    """Any other status is not, and the line in `docker inspect` says which."""
    server.status = 503
    answer = _check(dockerfile, {"STILLWATCH_HTTP__PORT": str(server.server_port)})
    assert answer.returncode == 1
    assert "503" in answer.stderr


def test_nobody_listens(dockerfile: Dockerfile, server: _Server) -> None:
    """A role that does not listen (any more) is unhealthy at once."""
    port = server.server_port
    server.server_close()
    answer = _check(dockerfile, {"STILLWATCH_HTTP__PORT": str(port)})
    assert answer.returncode == 1
    assert str(port) in answer.stderr


def test_no_port(dockerfile: Dockerfile) -> None:
    """Without a fixed port there is nothing to ask, and it says so."""
    answer = _check(dockerfile, {})
    assert answer.returncode == 1
    assert "STILLWATCH_HTTP__PORT" in answer.stderr
