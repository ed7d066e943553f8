"""Real services for the tests, each started once per session and only when a test asks for it.

A service that is not installed skips its tests on a laptop and fails them in CI (`CI` set in the environment).
Sharing is safe because tests name their topics and databases with `unique`.
"""

from __future__ import annotations

import os
import signal
import uuid
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import pytest

from pipeline.base.settings import Settings
from pipeline.cli.warm import warm
from pipeline.devstack import apache_kafka as kafka_module
from pipeline.devstack.broker import embedded_broker
from pipeline.devstack.clickhouse import EmbeddedClickHouse, embedded_clickhouse
from pipeline.devstack.processes import NotInstalledError, ProcessGroup
from pipeline.events.alert import Kind
from pipeline.intake.batch import read_batch
from pipeline.intake.control import ControlFramer
from pipeline.intake.framing import Framer, FramingConfig
from pipeline.intake.validate import Limits
from pipeline.lab.simulate import AttackSpec, Faults, Scenario, labels, simulate
from pipeline.ports.clickhouse import Admin
from pipeline.ports.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.devstack.apache_kafka import ApacheKafka
    from pipeline.events.control import Control

T = TypeVar("T")
FAR_MS = 4_000_000_000_000  # nothing is ahead of it

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started behind a shell's `&`: no process of ours would hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _installed(start: Callable[[ProcessGroup], T], group: ProcessGroup) -> T:
    try:
        return start(group)
    except NotInstalledError as err:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(err))


@pytest.fixture(scope="session")
def session_processes() -> Iterator[ProcessGroup]:
    """The processes that live as long as the test session; for fixtures, not for tests."""
    with ProcessGroup() as group:
        yield group


@pytest.fixture
def processes() -> Iterator[ProcessGroup]:
    """A process group for one test: what it starts ends with the test."""
    with ProcessGroup() as group:
        yield group


@pytest.fixture(scope="session")
def tansu(session_processes: ProcessGroup) -> str:
    """`host:port` of the embedded broker, shared by the session."""
    return _installed(embedded_broker, session_processes).bootstrap_servers


@pytest.fixture(scope="session")
def kafka_node(session_processes: ProcessGroup) -> ApacheKafka:
    """An Apache Kafka node, shared by the session: a test that kills it starts it again (address and data stay)."""
    return _installed(kafka_module.apache_kafka, session_processes)


@pytest.fixture(scope="session")
def apache_kafka(kafka_node: ApacheKafka) -> str:
    """`host:port` of the session's Apache Kafka node."""
    return kafka_node.bootstrap_servers


@pytest.fixture(scope="session")
def kernels() -> None:
    """Kernels are compiled and cached: no deadline of a test that waits for a role has minutes of compiling in it."""
    warm("detect", Settings())


@pytest.fixture(scope="session", params=["embedded", "apache"])
def broker(request: pytest.FixtureRequest) -> str:
    """`host:port` of each of the two brokers in turn."""
    address: str = request.getfixturevalue({"embedded": "tansu", "apache": "apache_kafka"}[request.param])
    return address


@pytest.fixture(scope="session")
def clickhouse(session_processes: ProcessGroup) -> EmbeddedClickHouse:
    """The embedded ClickHouse (`host`, `port`, `url`), shared by the session: make a database of your own."""
    return _installed(embedded_clickhouse, session_processes)


@pytest.fixture
def migrated(clickhouse: EmbeddedClickHouse, unique: str) -> Settings:
    """Settings of a database of the test's own, with the tables in place."""
    settings = Settings(prefix=unique, clickhouse={"host": clickhouse.host, "port": clickhouse.port})
    admin = Admin(settings)
    migrate(admin, settings)
    admin.close()
    return settings


@pytest.fixture
def own_clickhouse(processes: ProcessGroup) -> EmbeddedClickHouse:
    """An embedded ClickHouse of the test's own (1 s); `child.kill()` and `child.start()` keep its data and address."""
    return _installed(embedded_clickhouse, processes)


@pytest.fixture
def unique() -> str:
    """A name that no other test uses: an identifier for topics, groups and databases."""
    return f"t{uuid.uuid4().hex[:12]}"


# ---- a small world, for everything that eats frames


WORLD = Scenario(
    seed=4,
    start_ms=1_780_000_000_000,
    days=2.0,
    accounts=40,
    requests_per_account_day=100,
    attacks=tuple(
        AttackSpec(kind, requests=1_500, share=0.9, account="new")
        for kind in (Kind.SYSTEMATIC_DISTILLATION, Kind.REASONING_ELICITATION, Kind.BULK_EXTRACTION)
    ),
    faults=Faults(duplicates=0.03, late=0.02, rekeyed=0.02, conflicts=0.01),
)


@pytest.fixture(scope="session")
def world() -> list[tuple[int, bytes]]:
    """(source partition, record) of two days: 40 benign accounts, three attackers, repeats and late events."""
    return [(sum(event.key.encode()) % 3, event.raw) for event in simulate(WORLD)]


@pytest.fixture(scope="session")
def attackers() -> dict[str, str]:
    """Account of each attacker of the world, by kind."""
    return {label.label: label.account_id for label in labels(WORLD) if label.attack_requests}


@pytest.fixture(scope="session")
def cut(world: list[tuple[int, bytes]]) -> Callable[..., list[bytes]]:
    """Cuts the world (from three sources or one) into frames of one partition.

    `decisions`: (records before it, decision), in order; each stands in the log where so many records are behind it.
    """

    def frames(
        frame_events: int, batch: int = 700, *, one_source: bool = False, decisions: Sequence[tuple[int, Control]] = ()
    ) -> list[bytes]:
        control = ControlFramer(FramingConfig("api.requests", "control-id", 1))
        control.assign(0, -1)
        framer = Framer(FramingConfig("api.requests", "topic-id", 1, frame_events))
        sources = 1 if one_source else 3
        offsets = [0] * sources
        for source in range(sources):
            framer.assign(source, -1)
        out: list[bytes] = []
        for lo, hi in pairwise(sorted({*range(0, len(world), batch), *(at for at, _ in decisions), len(world)})):
            part = world[lo:hi]
            for source in range(sources):
                values = [raw for key, raw in part if key % sources == source]
                numbers = range(offsets[source], offsets[source] + len(values))
                offsets[source] += len(values)
                framer.add(source, numbers, [-1] * len(values), read_batch(values, [FAR_MS] * len(values), Limits()), 0, 0.0)
            out += [frame.value for frame in framer.due(0.0)]
            made = [(offset, decision) for offset, (at, decision) in enumerate(decisions) if at == hi]
            if made:
                control.take(0, [offset for offset, _ in made], [decision for _, decision in made])
                out += [frame.value for frame in (*framer.flush(), *control.flush())]
        return out + [frame.value for frame in framer.flush()]

    return frames
