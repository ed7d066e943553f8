"""Real services for the tests, each started once per session and only when a test asks for it.

A service that is not installed skips its tests on a laptop and fails them in CI (`CI` set in the environment).
Sharing is safe because tests name their topics and databases with `unique`.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, TypeVar

import pytest

from pipeline.devstack import apache_kafka as kafka_module
from pipeline.devstack.broker import embedded_broker
from pipeline.devstack.clickhouse import EmbeddedClickHouse, embedded_clickhouse
from pipeline.devstack.processes import NotInstalledError, ProcessGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.devstack.apache_kafka import ApacheKafka

T = TypeVar("T")


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
def apache_kafka(session_processes: ProcessGroup) -> str:
    """`host:port` of an Apache Kafka node, shared by the session: do not stop it, see `own_kafka`."""
    return _installed(kafka_module.apache_kafka, session_processes).bootstrap_servers


@pytest.fixture(scope="session", params=["embedded", "apache"])
def broker(request: pytest.FixtureRequest) -> str:
    """`host:port` of each of the two brokers in turn."""
    address: str = request.getfixturevalue({"embedded": "tansu", "apache": "apache_kafka"}[request.param])
    return address


@pytest.fixture
def own_kafka(processes: ProcessGroup) -> ApacheKafka:
    """An Apache Kafka node of the test's own (3 s), to be killed and started again."""
    return _installed(kafka_module.apache_kafka, processes)


@pytest.fixture(scope="session")
def clickhouse(session_processes: ProcessGroup) -> EmbeddedClickHouse:
    """The embedded ClickHouse (`host`, `port`, `url`), shared by the session: make a database of your own."""
    return _installed(embedded_clickhouse, session_processes)


@pytest.fixture
def own_clickhouse(processes: ProcessGroup) -> EmbeddedClickHouse:
    """An embedded ClickHouse of the test's own (1 s); `child.kill()` and `child.start()` keep its data and address."""
    return _installed(embedded_clickhouse, processes)


@pytest.fixture
def unique() -> str:
    """A name that no other test uses: an identifier for topics, groups and databases."""
    return f"t{uuid.uuid4().hex[:12]}"
