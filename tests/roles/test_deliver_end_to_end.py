"""deliver on real brokers and the real engine: killed, cut off, joined by another; the sums are those of plain Python."""

from __future__ import annotations

import base64
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
import pytest

from pipeline.base.errors import DependencyError
from pipeline.base.settings import Settings
from pipeline.base.times import HOUR_MS
from pipeline.devstack.receiver import Behaviour, Receiver
from pipeline.events.alert import Alert, Kind, encode_alert
from pipeline.events.outputs import DeadLetter, Rollup, encode
from pipeline.ports.broker import TopicPartition
from pipeline.ports.clickhouse import Admin, Limits, Reader
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.migrations import migrate
from pipeline.ports.topics import ensure_topics
from pipeline.roles.deliver import run_deliver
from pipeline.roles.health import Health
from pipeline.roles.lifecycle import CRASH_ENV

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.devstack.clickhouse import EmbeddedClickHouse
    from pipeline.devstack.processes import ProcessGroup

PARTITIONS = 3
HOUR = 1_794_999_600_000
DEADLINE_S = 60.0
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
RUN = """
import threading
from pipeline.base.settings import load_settings
from pipeline.ports import logs
from pipeline.roles.deliver import run_deliver
from pipeline.roles.health import Health
from pipeline.roles.lifecycle import install_signals
settings = load_settings()
logs.configure(settings.log, "deliver")
stop = threading.Event()
install_signals(stop)
run_deliver(settings, stop, Health("deliver"))
"""


@dataclass
class Place:
    """Topics and tables of one test, what was put in, and what must come out."""

    settings: Settings
    broker: KafkaBroker
    written: dict[TopicPartition, int] = field(default_factory=lambda: defaultdict(int))
    cells: dict[tuple[str, int, int], Rollup] = field(default_factory=dict)
    alerts: set[str] = field(default_factory=set)
    letters: int = 0

    def write(self, accounts: range, version: int, *, alerts: int = 0, letters: int = 0) -> None:
        """Append rollups of these accounts (two hours, two arrival epochs), alerts and dead letters."""
        producer = self.broker.producer()

        def put(topic: str, partition: int, value: bytes) -> None:
            producer.send(topic, value, key=b"k", partition=partition)
            self.written[TopicPartition(topic, partition)] += 1

        for account in accounts:
            for hour, epoch in ((0, 0), (0, 1), (1, 1)):
                rollup = Rollup(
                    account_id=f"account-{account}", hour_ms=HOUR + hour * HOUR_MS, arrival_epoch=epoch,
                    frames_partition=account % PARTITIONS, version=version, requests=account + version, input_tokens=account * 3,
                    output_tokens=7, reasoning_tokens=version, cached_input_tokens=1, errors=epoch, risk=0.5,
                    models=[account % 5 + 1, epoch + 10],
                )  # fmt: skip
                key = (rollup.account_id, rollup.hour_ms, epoch)
                if key not in self.cells or self.cells[key].version <= version:
                    self.cells[key] = rollup
                put(self.settings.topic("rollups"), account % PARTITIONS, encode(rollup))
        for _ in range(alerts):
            name = f"alert-{len(self.alerts)}"
            self.alerts.add(name)
            put(self.settings.topic("alerts"), len(self.alerts) % PARTITIONS, encode_alert(alert(name)))
        for _ in range(letters):
            letter = DeadLetter(
                source_topic="api", source_partition=0, source_offset=self.letters, record_timestamp_ms=HOUR, reason="empty", json_path="$",
                message="m", size=0, sha256="", fields={},
            )  # fmt: skip
            self.letters += 1
            put(self.settings.topic("deadletter"), 0, encode(letter))
        producer.flush(30)

    def caught_up(self) -> bool:
        """Whether the group has committed everything that was written."""
        reader = self.broker.consumer(self.settings.group("deliver"))
        try:
            committed = reader.committed(list(self.written))
        finally:
            reader.close()
        return all(tp in committed and committed[tp].offset >= count for tp, count in self.written.items())

    def check(self) -> None:
        """Compare the tables with plain Python."""
        reader = Reader(self.settings, Limits(rows=100_000))
        sums: dict[tuple[str, int], list[int]] = {}
        models: dict[tuple[str, int], set[int]] = defaultdict(set)
        for cell in self.cells.values():
            of = (cell.account_id, cell.hour_ms)
            row = sums.setdefault(of, [0] * 6)
            counts = (cell.requests, cell.input_tokens, cell.output_tokens, cell.reasoning_tokens, cell.cached_input_tokens, cell.errors)
            for i, value in enumerate(counts):
                row[i] += value
            models[of] |= set(cell.models)
        expected = {(account, hour): [*row, len(models[account, hour])] for (account, hour), row in sums.items()}
        table = reader.query(
            "SELECT account_id, toUnixTimestamp(hour) * 1000, requests, input_tokens, output_tokens, reasoning_tokens, "
            "cached_input_tokens, errors, distinct_models FROM account_hourly"
        )
        assert {(row[0], row[1]): row[2:] for row in table.rows} == expected
        assert reader.query("SELECT count() FROM account_rollups FINAL").rows == [[len(self.cells)]]
        assert {row[0] for row in reader.query("SELECT alert_id FROM alerts FINAL").rows} == self.alerts
        assert reader.query("SELECT count() FROM alerts FINAL").rows == [[len(self.alerts)]]
        assert reader.query("SELECT count() FROM dead_letters FINAL").rows == [[self.letters]]
        reader.close()


def alert(name: str) -> Alert:
    """A small alert."""
    return Alert(
        alert_id=name, revision=1, state="opened", subject_type="account", subject_id="acme", account_ids=["acme"], kind=Kind.PROBING,
        headline="h", severity=3, risk=0.5, confidence=0.5, first_seen_ms=HOUR, last_seen_ms=HOUR, raised_at_ms=HOUR, requests=1,
        input_tokens=1, output_tokens=1, explanation=[], techniques=[], evidence=[], recommended_action="watch", detector_version="1",
    )  # fmt: skip


def make(bootstrap: str, server: EmbeddedClickHouse, unique: str, *, session_timeout_ms: int = 6_000) -> Place:
    """Topics, tables, settings."""
    settings = Settings.model_validate(
        {
            "prefix": unique,
            "kafka": {"bootstrap_servers": bootstrap, "session_timeout_ms": session_timeout_ms, "frames_partitions": PARTITIONS},
            "clickhouse": {"host": server.host, "port": server.port},
            "deliver": {"batch_rows": 400},
        }
    )
    broker = KafkaBroker(settings.kafka)
    ensure_topics(broker, settings, dev=True)
    admin = Admin(settings)
    migrate(admin, settings)
    admin.close()
    return Place(settings, broker)


def environment(settings: Settings, webhooks: list[dict[str, object]]) -> dict[str, str]:
    """The same settings for a process."""
    return {
        "STILLWATCH_PREFIX": settings.prefix,
        "STILLWATCH_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "STILLWATCH_KAFKA__SESSION_TIMEOUT_MS": str(settings.kafka.session_timeout_ms),
        "STILLWATCH_CLICKHOUSE__HOST": settings.clickhouse.host,
        "STILLWATCH_CLICKHOUSE__PORT": str(settings.clickhouse.port),
        "STILLWATCH_DELIVER__BATCH_ROWS": str(settings.deliver.batch_rows),
        "STILLWATCH_DELIVER__WEBHOOKS": orjson.dumps(webhooks).decode(),
        "STILLWATCH_DELIVER__WEBHOOK_SCHEDULE_S": "[0, 1, 1, 1, 1, 1, 1, 1]",
    }


@pytest.fixture
def start() -> Iterator[Callable[[Settings], Worker]]:
    """Start workers; whatever becomes of the test, they end with it."""
    workers: list[Worker] = []

    def start(settings: Settings) -> Worker:
        workers.append(Worker(settings))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop.set()
    for worker in workers:
        worker.join()


def until(reached: Callable[[], bool], what: str) -> None:
    """Wait for something that another process or thread does."""
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not reached():
        assert time.monotonic() < deadline, f"never: {what}"
        pause.wait(0.1)


class Worker:
    """The role in a thread."""

    def __init__(self, settings: Settings) -> None:
        self.stop = threading.Event()
        self.health = Health("deliver")
        self.error: BaseException | None = None

        def run() -> None:
            try:
                run_deliver(settings, self.stop, self.health)
            except BaseException as err:  # noqa: BLE001 - handed to the test
                self.error = err

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop it and see that it ended well."""
        self.stop.set()
        self.join()
        assert self.error is None

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_killed_between_insert_and_commit_nothing_counts_twice(
    tansu: str, clickhouse: EmbeddedClickHouse, processes: ProcessGroup, unique: str
) -> None:
    """A kill -9 after an insert that was not committed: the rows come again and count once; webhooks in the outbox go on."""
    place = make(tansu, clickhouse, unique, session_timeout_ms=2_000)
    place.write(range(200), 1, alerts=6, letters=20)
    with Receiver(SECRET, behaviour=Behaviour(fail_first=4)) as receiver:
        webhooks: list[dict[str, object]] = [
            {"name": "siem", "url": receiver.url, "secret": SECRET, "allow_networks": ["127.0.0.0/8"], "allow_http": True}
        ]
        env = environment(place.settings, webhooks)
        argv = [sys.executable, "-c", RUN]
        victim = processes.start("victim", argv, env={**env, CRASH_ENV: "deliver:after-insert:2"})
        assert victim.wait(DEADLINE_S) == -9, victim.log_tail()
        place.write(range(100, 300), 2, alerts=3)
        successor = processes.start("successor", argv, env=env)
        until(place.caught_up, f"everything committed\n{successor.log_tail()}")
        place.check()
        deliveries = receiver.wait_for(lambda seen: {d.webhook_id for d in seen if d.status == 204} == {f"{a}-1" for a in place.alerts}, 30)
        assert all(d.verified for d in deliveries)
        assert successor.stop() == 0, successor.log_tail()


def test_clickhouse_gone_and_back_loses_nothing(
    tansu: str, own_clickhouse: EmbeddedClickHouse, unique: str, start: Callable[[Settings], Worker]
) -> None:
    """While ClickHouse is dead the role waits, unready, and reads on when it is back; every row counts once."""
    place = make(tansu, own_clickhouse, unique)
    worker = start(place.settings)
    place.write(range(50), 1, alerts=2)
    until(place.caught_up, "the first part")
    own_clickhouse.child.kill()
    place.write(range(80), 2, alerts=2, letters=5)
    until(lambda: "clickhouse: ClickHouse does not answer" in worker.health.unready_reason(), "unready")
    assert not place.caught_up()
    own_clickhouse.child.start()
    until(place.caught_up, "the rest")
    until(lambda: worker.health.unready_reason() == "", "ready")
    place.check()
    worker.end()


def test_a_second_worker_shares_and_takes_over(
    apache_kafka: str, clickhouse: EmbeddedClickHouse, unique: str, start: Callable[[Settings], Worker]
) -> None:
    """A worker that joins and one that leaves in the middle of the stream change nothing in the sums."""
    place = make(apache_kafka, clickhouse, unique)
    first = start(place.settings)
    place.write(range(100), 1, alerts=2)
    until(place.caught_up, "the first part")
    second = start(place.settings)
    place.write(range(100), 2, alerts=2, letters=2)
    until(lambda: second.health.unready_reason() == "", "the second has started")
    until(place.caught_up, "the second part")
    first.end()
    place.write(range(150), 3, alerts=2)
    until(place.caught_up, "the third part")
    place.check()
    second.end()


def test_missing_topics_are_an_error_with_the_next_step(
    tansu: str, clickhouse: EmbeddedClickHouse, unique: str, start: Callable[[Settings], Worker]
) -> None:
    """Before `init` the role ends with the command to run, instead of waiting for ever."""
    place = make(tansu, clickhouse, unique)
    broken = place.settings.model_copy(
        update={"prefix": f"{unique}x", "clickhouse": place.settings.clickhouse.model_copy(update={"database": unique})}
    )
    worker = start(broken)
    worker.join()
    assert isinstance(worker.error, DependencyError)
    assert f"{unique}x" in str(worker.error)
    assert "stillwatch doctor" in str(worker.error)


def test_without_the_schema_the_role_refuses(
    tansu: str, clickhouse: EmbeddedClickHouse, unique: str, start: Callable[[Settings], Worker]
) -> None:
    """A database that was never migrated is an error with the command to run."""
    settings = Settings(prefix=unique, kafka={"bootstrap_servers": tansu}, clickhouse={"host": clickhouse.host, "port": clickhouse.port})
    worker = start(settings)
    worker.join()
    assert isinstance(worker.error, DependencyError)
    assert "stillwatch init" in str(worker.error)
