"""Apache Kafka without Docker: jars from Maven Central, one KRaft node under Java 17, for tests and `stillwatch bench`.

What it needs is in the repository's `infra/kafka/` (an installed wheel does not carry it), Java and Maven on the PATH.
The jars (44 MB) are fetched once into a cache; the data folder outlives a kill, so that a test can take the broker
down and bring it back.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from pipeline.base.errors import DependencyError, UnavailableError
from pipeline.devstack.probes import kafka_answers
from pipeline.devstack.processes import LOOPBACK, Child, NotInstalledError, ProcessGroup, on_free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFINITION = Path(__file__).resolve().parents[2] / "infra" / "kafka"
CACHE = Path(sys.prefix) / "var" / "stillwatch" / "kafka"
FETCH_DEADLINE_S = 600.0  # 11 s on a fast line
FORMAT_DEADLINE_S = 60.0
READY_DEADLINE_S = 60.0
GRACE_S = 15.0
JAVA_OPTIONS = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.awt.headless=true")


@dataclass(frozen=True)
class ApacheKafka:
    """A running Apache Kafka node; it keeps its address and data over `kill`, `stop` and `start`.

    Attributes:
        bootstrap_servers: `host:port` for any Kafka client.
        data: its log folder.
        child: its process.
    """

    bootstrap_servers: str
    data: Path
    child: Child

    def start(self) -> None:
        """Start it again after `stop` or `kill`; returns once it answers."""
        self.child.start()

    def stop(self) -> None:
        """An orderly shutdown (SIGTERM)."""
        self.child.stop()

    def kill(self) -> None:
        """`kill -9`: what it acknowledged is in its log, recovery runs at the next start."""
        self.child.kill()


def apache_kafka(group: ProcessGroup, *, cache: Path = CACHE, definition: Path = DEFINITION, port: int | None = None) -> ApacheKafka:
    """Fetch (once), format and start one Kafka node on loopback; returns once it answers a metadata request.

    Args:
        group: owns the process; data and configuration live in its folder.
        cache: where fetched jars are kept, one folder per version of the pom.
        definition: the folder with `pom.xml`, `server.properties` and `log4j2.properties`.
        port: of the client listener; a free one when None.

    Raises:
        NotInstalledError: Java, Maven or the definition is missing, or the jars cannot be fetched.
        DependencyError: it did not start.
        UnavailableError: the jars could not be fetched in time, or it did not answer in time.
    """
    libs = fetch(cache=cache, definition=definition)
    archive = libs.with_suffix(".jsa")
    if not archive.exists():
        _archive_classes(libs, definition, archive)
    return _start(group, libs, definition, port, shared=f"-XX:SharedArchiveFile={archive}")


def _start(group: ProcessGroup, libs: Path, definition: Path, port: int | None, *, shared: str = "", broker_only: str = "") -> ApacheKafka:
    java = _program("java", "install a Java 17 runtime, e.g. Debian's openjdk-17-jre-headless")
    log = f"-Dlog4j2.configurationFile={definition / 'log4j2.properties'}"
    temporary = f"-Djava.io.tmpdir={group.folder}"  # native codecs are unpacked there, and stay after a kill
    command = [*filter(None, [java, *JAVA_OPTIONS, temporary, log, shared]), "-cp", f"{libs}/*"]

    def start(port: int, controller_port: int) -> ApacheKafka:
        home = Path(tempfile.mkdtemp(prefix="kafka-", dir=group.folder))
        properties = home / "server.properties"
        template = Template((definition / "server.properties").read_text())
        values = {"port": str(port), "controller_port": str(controller_port), "data": str(home / "data")}
        properties.write_text(template.substitute(values))
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        format_data = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties)]  # an id may begin with a dash
        _run([*command, *format_data], FORMAT_DEADLINE_S)
        child = group.start(
            "kafka",
            [*command, *filter(None, [broker_only]), "kafka.Kafka", str(properties)],
            ready=lambda: kafka_answers(port),
            deadline_s=READY_DEADLINE_S,
            grace_s=GRACE_S,
        )
        return ApacheKafka(f"{LOOPBACK}:{port}", home / "data", child)

    return on_free_port(lambda port: on_free_port(lambda controller: start(port, controller)), port)


def _archive_classes(libs: Path, definition: Path, archive: Path) -> None:
    """Run the broker once to write its loaded classes into an archive: later starts take a third of the time.

    The JVM ignores an archive that is missing or that another Java wrote, so this is never more than a slower start.
    """
    with ProcessGroup() as group:
        written = group.folder / "classes.jsa"
        _start(group, libs, definition, None, broker_only=f"-XX:ArchiveClassesAtExit={written}").stop()
        if written.exists():
            partial = archive.with_name(f"{archive.name}.{uuid.uuid4().hex}")
            shutil.copyfile(written, partial)
            partial.rename(archive)


def fetch(*, cache: Path = CACHE, definition: Path = DEFINITION) -> Path:
    """The folder with Kafka's jars, fetched by Maven unless it is there already.

    Nothing is written outside `cache` and the system's temporary folder: Maven gets a repository of its own.

    Raises:
        NotInstalledError: Maven or the definition is missing, or Maven failed.
        UnavailableError: it took longer than `FETCH_DEADLINE_S`.
    """
    pom = definition / "pom.xml"
    if not pom.is_file():
        raise NotInstalledError(
            "Apache Kafka's definition is missing", location=str(pom), next_step="run from a checkout of the repository"
        )
    libs = cache / hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
    if libs.is_dir():
        return libs
    maven = _program("mvn", "install Maven, e.g. Debian's maven")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as work:
        target = Path(work, "libs")
        command = [maven, "-q", "-B", "--strict-checksums", "-f", str(pom), f"-Dmaven.repo.local={work}/repository"]
        try:
            _run([*command, "dependency:copy-dependencies", f"-DoutputDirectory={target}"], FETCH_DEADLINE_S)
        except DependencyError as err:
            raise NotInstalledError(f"Apache Kafka's jars cannot be fetched: {err.message}") from None
        try:
            target.rename(libs)
        except OSError:  # somebody else fetched the same at the same time
            if not libs.is_dir():
                raise
    return libs


def _program(name: str, advice: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotInstalledError(f"{name} is not on the PATH", next_step=advice)
    return found


def _run(command: Sequence[str], deadline_s: float) -> None:
    try:
        subprocess.run(  # noqa: S603 - our own command, no shell
            command,
            check=True,
            timeout=deadline_s,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{Path(command[0]).name} did not end within {deadline_s:g} s") from None
    except subprocess.CalledProcessError as err:
        output = err.stdout.decode(errors="replace").strip()
        raise DependencyError(f"{Path(command[0]).name} failed with status {err.returncode}:\n{output}") from None
