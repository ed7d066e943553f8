"""`stillwatch init` and `stillwatch doctor` as processes, on both brokers and the real engine, and with everything down."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from pipeline.base.settings import KafkaSettings
from pipeline.devstack.processes import free_port
from pipeline.ports.broker import BEGINNING, TopicPartition
from pipeline.ports.kafka import KafkaBroker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.devstack.clickhouse import EmbeddedClickHouse
    from tests.cli.conftest import Program

OUR_TOPICS = ("frames", "state", "alerts", "rollups", "evidence", "deadletter", "risk", "outbox", "control")


def shape(broker: str, clickhouse: EmbeddedClickHouse, prefix: str) -> dict[str, str]:
    """Settings of a prefix of the test's own on one broker and the engine."""
    return {
        "PREFIX": prefix,
        "REQUESTS_TOPIC": f"{prefix}.requests",
        "KAFKA__BOOTSTRAP_SERVERS": broker,
        "KAFKA__FRAMES_PARTITIONS": "2",
        "CLICKHOUSE__HOST": clickhouse.host,
        "CLICKHOUSE__PORT": str(clickhouse.port),
    }


@pytest.fixture
def command(make_program: Callable[..., Program], broker: str, clickhouse: EmbeddedClickHouse, unique: str) -> Program:
    """The program on each of the two brokers in turn."""
    return make_program(**shape(broker, clickhouse, unique))


@pytest.fixture
def embedded(make_program: Callable[..., Program], tansu: str, clickhouse: EmbeddedClickHouse, unique: str) -> Program:
    """The program on the embedded broker."""
    return make_program(**shape(tansu, clickhouse, unique))


def checks(text: str) -> list[dict[str, str]]:
    """Lines of `doctor --json`."""
    return [orjson.loads(line) for line in text.splitlines()]


def wrong(text: str) -> list[dict[str, str]]:
    """Checks that failed."""
    return [check for check in checks(text) if check["status"] == "failed"]


def test_init_makes_what_doctor_misses_and_again_makes_nothing(command: Program, unique: str) -> None:
    """Doctor names every missing part with the command that makes it; init makes them; a second init leaves them; doctor is content."""
    status, text = command.run("doctor", "--dev", "--json")
    assert status == 1
    missing = {check["subject"] for check in wrong(text)}
    assert missing == {*(f"topic {unique}.{name}" for name in OUR_TOPICS), f"topic {unique}.requests", f"schema {unique}"}
    assert all("stillwatch init" in check["next_step"] for check in wrong(text))

    status, text = command.run("init", "--dev")
    assert status == 0
    assert text.count("created ") == len(OUR_TOPICS) + 1

    status, text = command.run("init", "--dev")
    assert status == 0
    assert "created" not in text
    assert "applied" not in text
    assert text.count("was there") == len(OUR_TOPICS) + 2

    status, text = command.run("doctor", "--dev", "--json")
    assert (status, wrong(text)) == (0, [])


def test_doctor_without_dev_asks_for_replicas(embedded: Program) -> None:
    """One broker is not a production cluster: each topic's replication and min.insync.replicas are named with a next step."""
    assert embedded.run("init", "--dev")[0] == 0
    status, text = embedded.run("doctor", "--json")
    assert status == 1
    assert {check["subject"].split(".")[-1] for check in wrong(text)} == set(OUR_TOPICS)
    assert all(check["next_step"] for check in wrong(text))


def test_init_refuses_another_partition_count(embedded: Program) -> None:
    """A changed kafka.frames_partitions is refused with exit status 4 and the value to set back."""
    assert embedded.run("init", "--dev")[0] == 0
    embedded.set(KAFKA__FRAMES_PARTITIONS="3")
    status, text = embedded.run("init", "--dev")
    assert status == 4
    assert "set kafka.frames_partitions back to 2" in text
    status, text = embedded.run("doctor", "--dev")
    assert status == 1
    assert "✗" in text


def test_reset_state_asks_first(embedded: Program, tansu: str, unique: str) -> None:
    """Without --yes and without a yes nothing is deleted."""
    assert embedded.run("init", "--dev")[0] == 0
    before = KafkaBroker(KafkaSettings(bootstrap_servers=tansu)).topic(f"{unique}.state")
    assert embedded.run("init", "--dev", "--reset-state", stdin="n\n")[0] == 1
    assert KafkaBroker(KafkaSettings(bootstrap_servers=tansu)).topic(f"{unique}.state") == before


def test_reset_state_empties_frames_and_state_only(command: Program, broker: str, unique: str) -> None:
    """Frames, state and the positions of those who write them are gone; what was delivered, and the requests, stay."""
    assert command.run("init", "--dev")[0] == 0
    cluster = KafkaBroker(KafkaSettings(bootstrap_servers=broker))
    names = [f"{unique}.{name}" for name in ("frames", "state", "alerts", "requests")]
    producer = cluster.producer()
    for name in names:
        producer.send(name, b"x", key=b"k", partition=0)
    producer.flush(30)
    commit(cluster, f"{unique}.ingest", f"{unique}.requests")

    status, text = command.run("init", "--dev", "--reset-state", "--yes")
    assert status == 0
    assert f"deleted {unique}.frames" in text
    assert [count(cluster, name) for name in names] == [0, 0, 1, 1]
    reader = cluster.consumer(f"{unique}.ingest")
    assert reader.committed([TopicPartition(f"{unique}.requests", 0)]) == {}
    reader.close()


def test_reset_state_refuses_while_a_worker_runs(
    make_program: Callable[..., Program], apache_kafka: str, clickhouse: EmbeddedClickHouse, unique: str
) -> None:
    """With a member in the group nothing is deleted: exit status 4 and what to do; the embedded broker does not tell."""
    command = make_program(**shape(apache_kafka, clickhouse, unique))
    assert command.run("init", "--dev")[0] == 0
    cluster = KafkaBroker(KafkaSettings(bootstrap_servers=apache_kafka))
    before = cluster.topic(f"{unique}.frames")
    with joined(cluster, f"{unique}.ingest", f"{unique}.requests"):
        status, text = command.run("init", "--dev", "--reset-state", "--yes")
    assert status == 4
    assert "stop its workers first" in text
    assert cluster.topic(f"{unique}.frames") == before


def test_doctor_works_when_everything_is_down(make_program: Callable[..., Program]) -> None:
    """With nothing listening, doctor ends within seconds, without a traceback, and each line says what to start or correct."""
    down = make_program(KAFKA__BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}", CLICKHOUSE__PORT=str(free_port()))
    begun = time.monotonic()
    status, text = down.run("doctor", "--json")
    assert status == 1
    assert time.monotonic() - begun < 30
    assert [check["subject"].split()[0] for check in wrong(text)] == ["Kafka", "topics", "ClickHouse"]
    assert all(check["next_step"] for check in wrong(text))


def test_doctor_survives_listeners_that_are_something_else(make_program: Callable[..., Program]) -> None:
    """A port that accepts and says nothing is no broker and no ClickHouse; doctor says so."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        status, text = make_program(KAFKA__BOOTSTRAP_SERVERS=f"127.0.0.1:{port}", CLICKHOUSE__PORT=str(free_port())).run("doctor", "--json")
    assert status == 1
    assert {check["subject"].split()[0] for check in wrong(text)} == {"Kafka", "ClickHouse"}


def test_doctor_checks_webhooks_without_sending(embedded: Program) -> None:
    """A loopback endpoint that is not allow-listed, a bad secret and a plain-http address are each refused with the setting to change."""
    secret = "whsec_" + "A" * 43 + "="
    hooks: list[dict[str, Any]] = [
        {"name": "inside", "url": f"https://127.0.0.1:{free_port()}/x", "secret": secret},
        {"name": "weak", "url": "https://127.0.0.1/x", "secret": "whsec_AAAA"},
        {"name": "plain", "url": "http://127.0.0.1/x", "secret": secret},
        {"name": "fine", "url": f"https://127.0.0.1:{free_port()}/x", "secret": secret, "allow_networks": ["127.0.0.0/8"]},
    ]
    embedded.set(DELIVER__WEBHOOKS=orjson.dumps(hooks).decode())
    assert embedded.run("init", "--dev")[0] == 0
    status, text = embedded.run("doctor", "--dev", "--json")
    assert status == 1
    assert [check["subject"] for check in wrong(text)] == ["webhook inside", "webhook weak", "webhook plain"]
    assert secret not in text


def test_wrong_settings_are_one_line(make_program: Callable[..., Program]) -> None:
    """A setting out of range ends both verbs with status 2 and one line that names key and value."""
    for verb in ("init", "doctor"):
        status, text = make_program(KAFKA__FRAMES_PARTITIONS="0").run(verb)
        assert status == 2
        assert len(text.splitlines()) == 1
        assert "kafka.frames_partitions" in text


# ---- a group, from the outside


def count(cluster: KafkaBroker, topic: str) -> int:
    """Records in partition 0."""
    where = TopicPartition(topic, 0)
    reader = cluster.consumer(f"{topic}.count", report_ends=True)
    reader.assign({where: BEGINNING})
    found = 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found += len(reader.read(100, 0.2))
        if where in reader.take_ended():
            break
    else:
        pytest.fail(f"{topic} has no end")
    reader.close()
    return found


class joined:  # noqa: N801 - a context manager, used like a function
    """A member of a group, for as long as the block lasts."""

    def __init__(self, cluster: KafkaBroker, group: str, topic: str) -> None:
        self.reader = cluster.consumer(group)
        self.mine: list[TopicPartition] = []
        self.reader.subscribe([topic], self._assigned, lambda *_: None)

    def _assigned(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.mine += partitions
        return dict.fromkeys(partitions, BEGINNING)

    def __enter__(self) -> Iterator[TopicPartition]:
        deadline = time.monotonic() + 30
        while not self.mine:
            assert time.monotonic() < deadline, "never joined"
            self.reader.read(1, 0.2)
        return iter(self.mine)

    def __exit__(self, *_: object) -> None:
        self.reader.close()


def commit(cluster: KafkaBroker, group: str, topic: str) -> None:
    """Commit offset 1 of partition 0 as a member of the group, then leave."""
    member = joined(cluster, group, topic)
    with member:
        assert member.reader.commit({TopicPartition(topic, 0): 1})
