"""The whole flow as users run it: `stillwatch run ROLE` processes against a real broker and the real engine."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pipeline.accounts.book import Book
from pipeline.base.settings import DetectSettings, KafkaSettings, Settings
from pipeline.devstack.processes import free_port, module_argv
from pipeline.events.alert import Alert, decode_alert
from pipeline.events.frame import decode_frame
from pipeline.lab.simulate import Tally, simulate
from pipeline.lab.truth import truth
from pipeline.ports.broker import BEGINNING, TopicPartition
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.topics import TopicSpec, ensure_topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pipeline.devstack.clickhouse import EmbeddedClickHouse
    from pipeline.devstack.processes import Child, ProcessGroup
    from pipeline.lab.simulate import Scenario
    from pipeline.ports.broker import Message

FRAMES_PARTITIONS = 4
REQUESTS_PARTITIONS = 8


Sums = dict[tuple[str, int], tuple[int, ...]]


@dataclass
class Played:
    """A scenario as records, and what the tables must say of it."""

    records: list[tuple[bytes, bytes]]
    sums: Sums
    tally: Tally

    @property
    def requests(self) -> int:
        """What the sums add up to."""
        return sum(row[0] for row in self.sums.values())


def play(scenario: Scenario) -> Played:
    """Play a scenario to the end; the sums come from plain Python."""
    tally = Tally()
    records, valid = [], []
    for event in simulate(scenario):
        tally.add(event)
        records.append((event.key.encode(), event.raw))
        if event.reject_reason is None:
            valid.append(event.raw)
    sums: Sums = {
        key: (h.requests, h.input_tokens, h.output_tokens, h.reasoning_tokens, h.cached_input_tokens, h.errors, len(h.models))
        for key, h in truth(valid).items()
    }
    return Played(records, sums, tally)


@dataclass
class Flow:
    """One environment (prefix) on one broker and one ClickHouse, and the role processes that run in it."""

    processes: ProcessGroup
    bootstrap: str
    clickhouse: EmbeddedClickHouse
    prefix: str
    env: dict[str, str] = field(default_factory=dict)
    detect: DetectSettings = field(default_factory=DetectSettings)
    frames_partitions: int = FRAMES_PARTITIONS
    requests_partitions: int = REQUESTS_PARTITIONS
    security: Mapping[str, str] = field(default_factory=dict)
    started: int = 0
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kafka = KafkaSettings(
            bootstrap_servers=self.bootstrap,
            frames_partitions=self.frames_partitions,
            replication_factor=1,
            min_insync_replicas=1,
            session_timeout_ms=6_000,
            **self.security,
        )
        self.settings = Settings(prefix=self.prefix, requests_topic=f"{self.prefix}.requests", kafka=kafka, detect=self.detect)
        own = {
            "PREFIX": self.prefix,
            "REQUESTS_TOPIC": self.settings.requests_topic,
            "KAFKA__BOOTSTRAP_SERVERS": self.bootstrap,
            "KAFKA__FRAMES_PARTITIONS": str(self.frames_partitions),
            "KAFKA__REPLICATION_FACTOR": "1",
            "KAFKA__MIN_INSYNC_REPLICAS": "1",
            "KAFKA__SESSION_TIMEOUT_MS": "6000",
            **{f"KAFKA__{key.upper()}": value for key, value in self.security.items()},
            "CLICKHOUSE__HOST": self.clickhouse.host,
            "CLICKHOUSE__PORT": str(self.clickhouse.port),
            "INGEST__FRAME_EVENTS": "200",
            "DETECT__DEDUPE_RING": str(self.detect.dedupe_ring),
            "DETECT__MAX_HOT_ACCOUNTS": str(self.detect.max_hot_accounts),
            "DETECT__CHECKPOINT_INTERVAL_S": str(self.detect.checkpoint_interval_s),
            "DETECT__CHECKPOINT_BACKLOG_S": str(self.detect.checkpoint_backlog_s),
            "LOG__FORMAT": "console",
        }
        self.env = {**{f"STILLWATCH_{key}": value for key, value in own.items()}, **self.env}
        self.broker = KafkaBroker(kafka)

    def init(self) -> None:
        """`stillwatch init --dev`, as an operator does it, after the requests topic was made with our partition count."""
        self.broker.create(TopicSpec(self.settings.requests_topic, self.requests_partitions, 1, {}))
        ensure_topics(self.broker, self.settings, dev=True)
        self.command("init", "--dev")

    def command(self, *args: str) -> str:
        """Run a verb to its end → what it printed.

        Raises:
            AssertionError: it failed.
        """
        self.started += 1
        child = self.processes.start(f"{args[0]}-{self.started}", module_argv("pipeline.cli", *args), env=self.env)
        status = child.wait(120)
        text = child.log.read_text()
        assert status == 0, text
        return text

    def role(self, role: str, crash: str = "", **env: str) -> Child:
        """Start `stillwatch run ROLE`; `crash` names a crash point `ROLE:POINT:N`."""
        self.started += 1
        extra = {"STILLWATCHTEST_CRASH": crash} if crash else {}
        name, port = f"{role}-{self.started}", free_port()
        self.ports[name] = port
        extra["STILLWATCH_HTTP__PORT"] = str(port)
        return self.processes.start(name, module_argv("pipeline.cli", "run", role), env={**self.env, **extra, **env}, grace_s=30)

    def ready(self, child: Child) -> bool:
        """Whether a role says it is ready."""
        return self.get(self.ports[child.name], "/readyz").startswith("ok")

    def produce(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Append (key, value) records to the requests topic, partitioned by key → how many."""
        producer = self.broker.producer()
        count = 0
        for key, value in records:
            producer.send(self.settings.requests_topic, value, key=key)
            count += 1
        producer.flush(60)
        return count

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a query against this environment's database."""
        import clickhouse_connect  # noqa: PLC0415 - the test's own client, beside the product's port

        client = clickhouse_connect.get_client(
            host=self.clickhouse.host, port=self.clickhouse.port, database=self.settings.database, autogenerate_session_id=False
        )
        try:
            return [tuple(row) for row in client.query(sql).result_rows]
        finally:
            client.close()

    def until(self, what: str, holds: Callable[[], bool], deadline_s: float = 120.0, alive: Iterable[Child] = ()) -> None:
        """Poll until `holds()`; fail with the roles' last words when a process of `alive` ended or time is up."""
        deadline = time.monotonic() + deadline_s
        while not holds():
            dead = [child for child in alive if not child.running]
            if dead or time.monotonic() > deadline:
                logs = "\n".join(f"--- {child.name} ({child.returncode})\n{child.log_tail(30)}" for child in alive)
                pytest.fail(f"{what}: {'a role ended' if dead else 'not within the deadline'}\n{logs}")
            time.sleep(0.2)  # a poll of outside processes, bounded by the deadline

    @staticmethod
    def get(port: int, path: str) -> str:
        """What a role's health server says, or empty while it does not listen."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return ""

    def stored_sums(self) -> Sums:
        """`account_hourly` in the form of `Played.sums`."""
        rows = self.query(
            "SELECT account_id, toUnixTimestamp(hour) * 1000, requests, input_tokens, output_tokens, reasoning_tokens,"
            " cached_input_tokens, errors, distinct_models FROM account_hourly"
        )
        return {(str(row[0]), int(str(row[1]))): tuple(int(str(v)) for v in row[2:]) for row in rows}

    def settled(self, played: Played) -> bool:
        """Whether every record is accounted for in ClickHouse."""
        (requests,) = self.query("SELECT sum(requests) FROM account_hourly")[0]
        (dead,) = self.query("SELECT count() FROM dead_letters FINAL")[0]
        return (requests, dead) == (played.requests, played.tally.rejected.total())

    def records(self, topic: str) -> Iterator[Message]:
        """Every record of a topic, partition by partition."""
        info = self.broker.topic(topic)
        assert info is not None
        for partition in range(info.partitions):
            where = TopicPartition(topic, partition)
            consumer = self.broker.consumer(f"{self.prefix}.test", report_ends=True)
            try:
                consumer.assign({where: BEGINNING})
                while True:
                    yield from consumer.read(1_000, 0.2)
                    if where in consumer.take_ended():
                        break
            finally:
                consumer.close()

    def oracle(self) -> dict[tuple[str, int], Alert]:
        """Alerts of one uninterrupted pass over the frames topic that this run wrote, by id and revision."""
        info = self.broker.topic(self.settings.topic("frames"))
        assert info is not None
        books = {p: Book(p, info.partitions, self.detect, info.topic_id) for p in range(info.partitions)}
        found: dict[tuple[str, int], Alert] = {}
        for message in self.records(info.name):
            book = books[message.partition() or 0]
            for alert in book.step(message.offset() or 0, decode_frame(message.value() or b"")).alerts:
                found[alert.alert_id, alert.revision] = alert
        return found

    def written_alerts(self) -> dict[tuple[str, int], Alert]:
        """Alerts in the topic; a repeat must be equal to what it repeats."""
        found: dict[tuple[str, int], Alert] = {}
        for message in self.records(self.settings.topic("alerts")):
            alert = decode_alert(message.value() or b"")
            assert found.setdefault((alert.alert_id, alert.revision), alert) == alert
        return found


@pytest.fixture
def make_flow(
    kernels: None,  # noqa: ARG001 - compiled before any role starts
    processes: ProcessGroup,
    clickhouse: EmbeddedClickHouse,
    unique: str,
) -> Callable[..., Flow]:
    """Makes a `Flow` on a given broker, with topics and tables in place."""

    def make(bootstrap: str, before_init: Callable[[Flow], None] | None = None, **options: object) -> Flow:
        flow = Flow(processes, bootstrap, clickhouse, unique, **options)  # type: ignore[arg-type]
        if before_init is not None:
            before_init(flow)
        flow.init()
        return flow

    return make


@pytest.fixture(name="play")
def _play() -> Callable[[Scenario], Played]:
    return play
