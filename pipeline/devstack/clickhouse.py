"""The embedded ClickHouse: one process that owns the engine and serves ClickHouse's HTTP protocol on loopback.

`python -m pipeline.devstack.clickhouse --port N --path DIR|:memory:` runs it; `embedded_clickhouse` starts that as a
child. With a folder the data survives a restart. SIGTERM and Ctrl-C let running queries end, then close the engine.
Not promised: a boundary against other users of this machine, who can connect to loopback too.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.errors import StillwatchError
from pipeline.devstack.engine import IN_MEMORY, Engine, require_chdb
from pipeline.devstack.http_interface import Server
from pipeline.devstack.probes import http_answers
from pipeline.devstack.processes import LOOPBACK, Child, ProcessGroup, module_argv, on_free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

DRAIN_S = 5.0  # given to running queries at the end
READY_DEADLINE_S = 30.0  # loading the engine takes 0.7 s when the file is cached, many times that from a slow disk
GRACE_S = DRAIN_S + 5.0
SHUTDOWN_POLL_S = 0.05


@dataclass(frozen=True)
class EmbeddedClickHouse:
    """A running embedded ClickHouse.

    Attributes:
        host: loopback.
        port: of the HTTP interface.
        path: its data folder.
        child: its process.
    """

    host: str
    port: int
    path: Path
    child: Child

    @property
    def url(self) -> str:
        """Base address for any HTTP client."""
        return f"http://{self.host}:{self.port}"


def embedded_clickhouse(group: ProcessGroup, *, path: Path | None = None, port: int | None = None) -> EmbeddedClickHouse:
    """Start the embedded ClickHouse on loopback and return once it answers.

    Args:
        group: owns the process.
        path: data folder, created when missing; None for one in the group's folder, gone with it.
        port: loopback port; a free one when None.

    Raises:
        NotInstalledError: the extra `embedded` is missing.
        DependencyError: the folder is in use, or it did not start.
        UnavailableError: it did not answer in time.
    """
    require_chdb()
    folder = path or group.folder / "clickhouse"

    def start(port: int) -> EmbeddedClickHouse:
        child = group.start(
            "clickhouse",
            module_argv("pipeline.devstack.clickhouse", "--port", str(port), "--path", str(folder.resolve())),
            ready=lambda: http_answers(port, "/ping"),
            deadline_s=READY_DEADLINE_S,
            grace_s=GRACE_S,
        )
        return EmbeddedClickHouse(LOOPBACK, port, folder, child)

    return on_free_port(start, port)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status: 0 after a clean end, 1 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.devstack.clickhouse", description=__doc__)
    parser.add_argument("--port", type=int, default=8123, help="loopback port; 0 picks a free one (default 8123)")
    parser.add_argument("--path", default=IN_MEMORY, help=f"data folder, or {IN_MEMORY} (default)")
    options = parser.parse_args(argv)
    try:
        path = None if options.path == IN_MEMORY else Path(options.path).resolve()
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
        engine = Engine(path)
        server = Server(engine, options.port)
    except (StillwatchError, OSError, OverflowError) as err:
        sys.stderr.write(f"{err}\n")
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, args=(SHUTDOWN_POLL_S,), name="http", daemon=True).start()
    sys.stdout.write(f"ClickHouse {engine.version} (embedded) listens on http://{LOOPBACK}:{server.server_port}\n")
    sys.stdout.flush()
    stop.wait()
    server.shutdown()
    server.server_close()
    try:
        server.drain(DRAIN_S)
    except StillwatchError as err:
        sys.stderr.write(f"{err}\n")
        sys.stderr.flush()
        os._exit(1)  # no orderly end under running queries; what was acknowledged is in the folder
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
