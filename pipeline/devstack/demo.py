"""The whole flow on this machine: broker, ClickHouse, the three roles as child processes, a webhook receiver.

What `stillwatch demo` starts. Everything lies in the process group's temporary folder (ClickHouse's data too, unless a
folder is given) and ends with the group. The children read one settings file, and nothing of the caller's own settings.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import signal
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.base.errors import DependencyError, UnavailableError
from pipeline.base.settings import ENV_PREFIX, SETTINGS_FILE_ENV, load_settings
from pipeline.devstack.broker import embedded_broker
from pipeline.devstack.clickhouse import embedded_clickhouse
from pipeline.devstack.probes import http_answers
from pipeline.devstack.processes import LOOPBACK, free_port, module_argv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipeline.base.settings import Settings
    from pipeline.devstack.processes import Child, ProcessGroup

ROLES = ("ingest", "detect", "deliver")
INIT_S = 60.0
READY_S = 180.0  # a first start without cached kernels compiles them, in two processes at once
GRACE_S = 30.0
POLL_S = 0.1
SCRAPE_S = 2.0
_SERIES = re.compile(r"(\w+)(?:\{.*\})? (\S+)")


@contextmanager
def only_settings(file: Path) -> Iterator[None]:
    """Within the block this process and its children read `file` and no other settings; then all is as before."""
    before = {key: value for key, value in os.environ.items() if key.startswith(ENV_PREFIX)}
    for key in before:
        del os.environ[key]
    os.environ[SETTINGS_FILE_ENV] = str(file)
    try:
        yield
    finally:
        del os.environ[SETTINGS_FILE_ENV]
        os.environ.update(before)


def new_secret() -> str:
    """A webhook signing secret that nobody knows yet."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def settings_toml(bootstrap: str, clickhouse_port: int, database: str, webhook_url: str, secret_file: Path) -> str:
    """The settings file of one broker on one machine: what differs from the defaults, and why."""
    return f"""\
[kafka]
bootstrap_servers = "{bootstrap}"
session_timeout_ms = 6000  # the embedded broker lets a group wait for half of it
replication_factor = 1
min_insync_replicas = 1
frames_partitions = 4

[detect]
dedupe_ring = 65536

[clickhouse]
host = "{LOOPBACK}"
port = {clickhouse_port}
database = "{database}"

[[deliver.webhooks]]
name = "demo"
url = "{webhook_url}"
secret_file = "{secret_file}"
allow_networks = ["{LOOPBACK}/32"]
allow_http = true

[log]
format = "console"
"""


class DemoStack:
    """The running parts and what they say about themselves.

    Attributes:
        settings_file: what every command reads (`STILLWATCH_CONFIG`) to talk to this stack.
        settings: the same, loaded.
        bootstrap_servers: of the embedded broker.
        clickhouse_url: of the embedded ClickHouse.
        ports: of /metrics, by role.
    """

    def __init__(self, group: ProcessGroup, settings_file: Path, settings: Settings) -> None:
        self.settings_file = settings_file
        self.settings = settings
        self.bootstrap_servers = settings.kafka.bootstrap_servers
        self.clickhouse_url = f"http://{settings.clickhouse.host}:{settings.clickhouse.port}"
        self.ports: dict[str, int] = {}
        self._group = group
        self._roles: dict[str, Child] = {}

    def init(self) -> None:
        """Topics and migrations, with the product's own command.

        Raises:
            DependencyError: it failed.
            UnavailableError: it did not end.
        """
        child = self._group.start("init", module_argv("pipeline.cli", "init", "--dev"))
        if child.wait(INIT_S) != 0:
            raise DependencyError(f"`stillwatch init --dev` failed:\n{child.log_tail()}", location=str(child.log))

    def start_roles(self) -> None:
        """Start the roles side by side; returns once all are ready.

        Raises:
            DependencyError: one ended; its last log lines are in the message.
            UnavailableError: one was not ready in time.
        """
        for role in ROLES:
            self.ports[role] = free_port()
            env = {f"{ENV_PREFIX}HTTP__PORT": str(self.ports[role])}
            self._roles[role] = self._group.start(role, module_argv("pipeline.cli", "run", role), env=env, grace_s=GRACE_S)
        deadline = time.monotonic() + READY_S
        waiting = list(ROLES)
        while waiting:
            self.check()
            waiting = [role for role in waiting if not http_answers(self.ports[role], "/readyz")]
            if waiting and time.monotonic() > deadline:
                tail = self._roles[waiting[0]].log_tail()
                raise UnavailableError(f"{waiting[0]} was not ready within {READY_S:g} s; the last lines of its log:\n{tail}")
            time.sleep(POLL_S)

    def check(self) -> None:
        """See whether every role still runs.

        Raises:
            DependencyError: one does not; its last log lines are in the message.
        """
        for role, child in self._roles.items():
            if not child.running:
                tail = child.log_tail()
                raise DependencyError(f"{role} ended with status {child.returncode}; the last lines of its log:\n{tail}")

    def metrics(self, role: str) -> dict[str, float]:
        """A role's metrics, each summed over its labels; empty when it does not answer just now."""
        try:
            with _DIRECT.open(f"http://{LOOPBACK}:{self.ports[role]}/metrics", timeout=SCRAPE_S) as answer:
                return totals(answer.read().decode())
        except OSError:
            return {}

    def drain(self) -> None:
        """Tell every role to finish, all at once; the group's end waits for them."""
        for child in self._roles.values():
            child.signal(signal.SIGTERM)


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy


def totals(text: str) -> dict[str, float]:
    """Prometheus' text format → value by metric name, summed over labels."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        match = _SERIES.fullmatch(line)
        if match is not None:
            found[match[1]] = found.get(match[1], 0.0) + float(match[2])
    return found


@contextmanager
def demo_stack(
    group: ProcessGroup, webhook_url: str, secret: str, *, data: Path | None, database: str, say: Callable[[str], None]
) -> Iterator[DemoStack]:
    """Start broker and ClickHouse, run `init`, start the roles; within the block this process has the stack's settings.

    Args:
        group: owns the processes; leaving its own block ends them.
        webhook_url: where alerts are posted.
        secret: signing secret of that endpoint.
        data: ClickHouse's folder; None for one that goes with the group.
        database: ClickHouse database.
        say: told each step, for people.

    Raises:
        DependencyError: something is not installed, or ended early.
        UnavailableError: something was not ready in time.
    """
    from pipeline.base import jit  # noqa: PLC0415 - numba: half a second that `--help` should not pay

    broker = embedded_broker(group)
    say(f"Kafka (embedded)       {broker.bootstrap_servers}")
    clickhouse = embedded_clickhouse(group, path=data)
    say(f"ClickHouse (embedded)  {clickhouse.url}, database {database}")
    secret_file = group.folder / "webhook-secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(secret)
    file = group.folder / "stillwatch.toml"
    file.write_text(settings_toml(broker.bootstrap_servers, clickhouse.port, database, webhook_url, secret_file))
    with only_settings(file):
        stack = DemoStack(group, file, load_settings())
        stack.init()
        say("starting ingest, detect and deliver …" + ("" if jit.compiled() else f" ({jit.COMPILING})"))
        stack.start_roles()
        ports = ", ".join(f"{role} http://{LOOPBACK}:{port}" for role, port in stack.ports.items())
        say(f"health and metrics     {ports}")
        try:
            yield stack
        finally:
            stack.drain()
