"""deliver's ClickHouse half, over broker and sink in memory: nothing lost, nothing twice, nothing committed early."""

from __future__ import annotations

import base64
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pipeline.base.errors import CodecError, DependencyError, SettingsError
from pipeline.base.settings import Settings
from pipeline.devstack.processes import free_port
from pipeline.devstack.receiver import Behaviour, Receiver
from pipeline.events.alert import Alert, Kind, encode_alert
from pipeline.events.control import Revocation, encode_control
from pipeline.events.outputs import DeadLetter, Rollup, encode
from pipeline.ports import metrics
from pipeline.ports.broker import TopicPartition
from pipeline.ports.clickhouse_memory import MemorySink
from pipeline.ports.memory import MemoryBroker
from pipeline.roles.deliver import run_deliver
from pipeline.roles.health import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

COLUMNS = {
    "alerts": "schema_version alert_id revision state subject_type subject_id account_ids kind headline severity risk confidence "
    "first_seen last_seen raised_at requests input_tokens output_tokens techniques recommended_action detector_version requests_before "
    "output_tokens_before explanation.feature explanation.unit explanation.window_s explanation.observed explanation.expected_low "
    "explanation.expected_high explanation.baseline explanation.tail_probability explanation.contribution evidence.event_id "
    "evidence.occurred_at evidence.conversation_id evidence.position explanation.phrase evidence.why if_wrong canary slices.dimension "
    "slices.value slices.requests slices.share slices.ordinary_share slices.stops alternatives.twin alternatives.title alternatives.fits "
    "alternatives.contradicts alternatives.question account_plan account_age_days account_seen_days account_requests_30d "
    "account_verdicts loss_requests_per_hour loss_output_tokens_per_hour",
    "controls": "control_id account_id type issued_at issued_by note alert_id kind baselines verdict_id verdict action twin until "
    "requests_per_day setting value source_offset recorded_at",
    "account_rollups": "account_id hour arrival_epoch frames_partition version requests input_tokens output_tokens reasoning_tokens "
    "cached_input_tokens errors models risk",
    "dead_letters": "source_topic source_partition source_offset record_time rejected_at reason json_path message size sha256 fields",
    "webhook_attempts": "endpoint alert_id revision attempt attempted_at outcome status error duration_ms",
}
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


class RecordingSink(MemorySink):
    """The twin, that also remembers each insert and does something of the test's own after one."""

    def __init__(self) -> None:
        super().__init__({table: columns.split() for table, columns in COLUMNS.items()})
        self.inserts: list[tuple[str, int, str]] = []
        self.tried = 0
        self.after: Callable[[], None] = lambda: None

    def insert(self, table: str, columns: Mapping[str, Sequence[object]], token: str) -> None:
        """Insert, remember, act."""
        self.tried += 1
        super().insert(table, columns, token)
        self.inserts.append((table, len(next(iter(columns.values()))), token))
        self.after()


class Place:
    """A broker, a sink and a role on them in a thread."""

    def __init__(self, **deliver: object) -> None:
        self.settings = Settings.model_validate({"prefix": "t", "deliver": {"linger_ms": 20, **deliver}})
        self.broker = MemoryBroker({"t.alerts": 2, "t.rollups": 2, "t.deadletter": 2, "t.outbox": 2, "t.control": 1})
        self.sink = RecordingSink()
        self.health = Health("deliver")
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Run the role."""

        def run() -> None:
            try:
                run_deliver(self.settings, self.stop, self.health, broker=self.broker, sink=self.sink)
            except BaseException as err:  # noqa: BLE001 - handed to the test
                self.error = err

        self.stop.clear()
        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ask it to stop and wait until it has."""
        self.stop.set()
        self.join()

    def join(self) -> None:
        """Wait until it has ended."""
        assert self._thread is not None
        self._thread.join(20)
        assert not self._thread.is_alive()

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Wait for something the role does."""
        deadline = time.monotonic() + 10
        while not reached():
            assert time.monotonic() < deadline, f"never: {what}"
            assert self.error is None, self.error
            self.stop.wait(0.005)

    def rollup(self, account: str, partition: int = 0, version: int = 1) -> None:
        """Put one rollup into its topic."""
        record = Rollup(
            account_id=account, hour_ms=0, arrival_epoch=0, frames_partition=partition, version=version, requests=1, input_tokens=0,
            output_tokens=0, reasoning_tokens=0, cached_input_tokens=0, errors=0, models=[], risk=0.0,
        )  # fmt: skip
        self.broker.append(TopicPartition("t.rollups", partition), account.encode(), encode(record), 1)

    def alert(self, name: str, partition: int = 0) -> None:
        """Put one alert into its topic."""
        self.broker.append(TopicPartition("t.alerts", partition), name.encode(), encode_alert(alert(name)), 1)

    def committed(self, topic: str = "rollups", partition: int = 0) -> int:
        """The role's commit."""
        where = TopicPartition(f"t.{topic}", partition)
        commits = self.broker.commits.get("t.deliver", {})
        return commits[where].offset if where in commits else 0

    def accounts(self) -> list[str]:
        """Accounts in the rollups table."""
        return sorted(str(row["account_id"]) for row in self.sink.rows["account_rollups"])


def alert(name: str) -> Alert:
    """A small alert."""
    return Alert(
        alert_id=name, revision=1, state="opened", subject_type="account", subject_id="acme", account_ids=["acme"], kind=Kind.PROBING,
        headline="h", severity=3, risk=0.5, confidence=0.5, first_seen_ms=1, last_seen_ms=2, raised_at_ms=3, requests=1, input_tokens=1,
        output_tokens=1, explanation=[], techniques=[], evidence=[], recommended_action="watch", detector_version="1",
    )  # fmt: skip


@pytest.fixture
def place() -> Place:
    """A quiet place."""
    return Place()


def test_each_topic_reaches_its_table_and_is_committed(place: Place) -> None:
    """Alerts, decisions, rollups and dead letters become rows; the next offset to read is what is committed.

    A decision that ingest rejects has no row and stops nothing.
    """
    for partition in (0, 1):
        place.alert(f"a{partition}", partition)
        place.rollup(f"r{partition}", partition)
        letter = DeadLetter(
            source_topic="api", source_partition=partition, source_offset=7, record_timestamp_ms=1, reason="empty", json_path="$",
            message="m", size=0, sha256="", fields={},
        )  # fmt: skip
        place.broker.append(TopicPartition("t.deadletter", partition), b"k", encode(letter), 5)
    decision = Revocation(control_id="0" * 16, account_id="a", issued_at_ms=1, issued_by="ann")
    for value in (b"bad", encode_control(decision), b"bad"):
        place.broker.append(TopicPartition("t.control", 0), b"k", value, 5)
    place.start()
    place.until(lambda: place.committed("deadletter", 1) == 1 and place.committed("rollups", 1) == 1, "everything committed")
    place.end()
    assert place.error is None
    assert {table: len(rows) for table, rows in place.sink.rows.items()} == {
        "alerts": 2, "controls": 1, "account_rollups": 2, "dead_letters": 2, "webhook_attempts": 0,
    }  # fmt: skip
    assert place.committed("control", 0) == 3
    assert [place.committed(topic, p) for topic in ("alerts", "rollups", "deadletter") for p in (0, 1)] == [1] * 6


def test_partitions_share_an_insert_that_its_token_names(place: Place) -> None:
    """Rows that waited together are one block; its token names each partition's range and the content."""
    for i in range(5):
        place.rollup(f"r{i}", i % 2)
    place.start()
    place.until(lambda: place.committed("rollups", 0) == 3, "committed")
    place.end()
    (table, rows, token), *more = place.sink.inserts
    assert (table, rows, more) == ("account_rollups", 5, [])
    assert token.startswith("t.rollups:0:0-2,1:0-1:")
    assert len(token.rpartition(":")[2]) == 32


def test_the_token_of_other_content_differs(place: Place) -> None:
    """A topic that was deleted and made again has the same offsets; its rows are not taken for a repeat."""
    place.rollup("before")
    place.start()
    place.until(lambda: place.committed() == 1, "committed")
    place.end()
    place.broker.recreate("t.rollups")
    place.broker.commits.clear()
    place.rollup("after")
    place.start()
    place.until(lambda: place.accounts() == ["after", "before"], "the new row")
    place.end()


def test_large_backlogs_are_cut_into_batches() -> None:
    """No insert has more rows than the setting says, and every row arrives once."""
    place = Place(batch_rows=10)
    for i in range(35):
        place.rollup(f"r{i:02d}", i % 2)
    place.start()
    place.until(lambda: place.committed("rollups", 0) + place.committed("rollups", 1) == 35, "all committed")
    place.end()
    assert place.accounts() == [f"r{i:02d}" for i in range(35)]
    assert max(rows for _, rows, _ in place.sink.inserts) <= 10


def test_alerts_do_not_linger() -> None:
    """An alert is inserted when it is read, whatever rollups wait for."""
    place = Place(linger_ms=10_000)
    place.rollup("r")
    place.alert("a")
    place.start()
    place.until(lambda: len(place.sink.rows["alerts"]) == 1, "the alert")
    assert place.sink.rows["account_rollups"] == []
    place.end()
    assert place.accounts() == ["r"], "stopping writes what lingered"
    assert place.committed() == 1


def test_while_clickhouse_is_away_the_role_waits_and_says_so(place: Place) -> None:
    """Unready with the reason, nothing committed, the group still served; when it is back everything lands once."""
    place.sink.down = True
    place.rollup("r0")
    before = metrics.value("stillwatch_insert_retries_total", {"table": "account_rollups"})
    place.start()
    place.until(lambda: "clickhouse: ClickHouse does not answer" in place.health.unready_reason(), "unready")
    place.rollup("r1")
    place.until(lambda: place.sink.tried >= 3, "retries")
    assert place.committed() == 0
    place.sink.down = False
    place.until(lambda: place.committed() == 2, "caught up")
    place.until(lambda: place.health.unready_reason() == "", "ready again")
    place.end()
    assert place.accounts() == ["r0", "r1"]
    assert metrics.value("stillwatch_insert_retries_total", {"table": "account_rollups"}) >= before + 2


def test_stopping_while_clickhouse_is_away_leaves_rows_in_kafka(place: Place) -> None:
    """A stop does not wait for ClickHouse for ever; the successor reads what was not committed."""
    place.sink.down = True
    place.rollup("r0")
    place.start()
    place.until(lambda: place.sink.tried >= 1, "a try")
    place.end()
    assert place.error is None
    assert (place.committed(), place.accounts()) == (0, [])
    place.sink.down = False
    place.start()
    place.until(lambda: place.committed() == 1, "the successor's commit")
    place.end()
    assert place.accounts() == ["r0"]


def test_a_commit_that_failed_is_made_up_for(place: Place) -> None:
    """When Kafka goes away between insert and commit, the commit is made up for later and the rows count once."""
    place.rollup("r0")
    place.sink.after = lambda: setattr(place.broker, "down", True)
    place.start()
    place.until(lambda: len(place.sink.inserts) == 1, "the insert")
    place.until(lambda: "down" in place.health.unready_reason(), "unready")
    place.broker.down = False
    place.until(lambda: place.committed() == 1, "the late commit")
    place.end()
    assert place.accounts() == ["r0"]


def test_a_record_that_does_not_decode_ends_the_role(place: Place) -> None:
    """The error names the record; from it on nothing is inserted or committed."""
    place.rollup("good")
    place.broker.append(TopicPartition("t.rollups", 0), b"k", b"not a rollup", 1)
    place.rollup("after")
    place.start()
    place.join()
    assert isinstance(place.error, CodecError)
    assert place.error.location == "t.rollups[0]@1"
    assert (place.accounts(), place.committed()) == ([], 0)


def test_a_refusal_ends_the_role(place: Place) -> None:
    """A table that is missing is an operator's job: the role ends with the next step, nothing committed."""
    del place.sink._columns["account_rollups"]
    place.rollup("r0")
    place.start()
    place.join()
    assert isinstance(place.error, DependencyError)
    assert "stillwatch init" in str(place.error)
    assert place.committed() == 0


def test_a_partition_taken_away_while_waiting_is_written_by_its_new_owner(place: Place) -> None:
    """Rows of a partition that moved are dropped, not written by the old owner afterwards; the rest goes on."""
    place.sink.down = True
    for partition in (0, 1):
        place.rollup(f"r{partition}", partition)
    place.start()
    place.until(lambda: place.sink.tried >= 1, "a try")
    other = place.broker.consumer("t.deliver")
    other.subscribe(["t.alerts", "t.rollups", "t.deadletter", "t.control"], lambda tps: dict.fromkeys(tps, 0), lambda _tps, _lost: None)
    place.until(lambda: bool(other.read(0, 0.0)) or len(other.holds()) == 3, "the other took over")
    place.sink.down = False
    mine = {tp.partition for tp in other.holds() if tp.topic == "t.rollups"}
    kept = 1 - mine.pop()
    place.until(lambda: place.committed("rollups", kept) == 1, "the rest")
    place.end()
    assert place.accounts() == [f"r{kept}"]


def test_retention_that_was_faster_than_us_is_said_and_survived(place: Place) -> None:
    """A commit below the oldest record goes on at the oldest one."""
    for i in range(5):
        place.rollup(f"r{i}")
    place.broker.consumer("t.deliver").commit({TopicPartition("t.rollups", 0): 1})
    place.broker.retain(TopicPartition("t.rollups", 0), 3)
    place.start()
    place.until(lambda: place.committed() == 5, "committed")
    place.end()
    assert place.accounts() == ["r3", "r4"]


def test_lag_is_a_metric(place: Place) -> None:
    """An operator sees how many records wait."""
    place.sink.down = True
    for i in range(4):
        place.rollup(f"r{i}")
    labels = {"role": "deliver", "topic": "t.rollups", "partition": "0"}
    place.start()
    place.until(lambda: place.sink.tried >= 1, "a try")
    for i in range(3):
        place.rollup(f"s{i}")
    place.until(lambda: metrics.value("stillwatch_consumer_lag", labels) == 3, "the lag")
    place.sink.down = False
    place.until(lambda: metrics.value("stillwatch_consumer_lag", labels) == 0 and place.committed() == 7, "no lag")
    place.end()


def webhook(url: str, name: str = "siem", **values: object) -> dict[str, object]:
    """Settings of an endpoint on loopback."""
    return {"name": name, "url": url, "secret": SECRET, "allow_networks": ["127.0.0.0/8"], "allow_http": True, "timeout_s": 2, **values}


def test_alerts_reach_clickhouse_and_every_endpoint() -> None:
    """An alert is a row, a verified webhook at each endpoint, and each attempt is a row."""
    with Receiver(SECRET) as first, Receiver(SECRET) as second:
        place = Place(webhooks=[webhook(first.url), webhook(second.url, "chat")])
        for i in range(3):
            place.alert(f"a{i}", i % 2)
        place.start()
        for receiver in (first, second):
            deliveries = receiver.wait_for(3)
            assert all(d.verified for d in deliveries)
            assert sorted(d.webhook_id for d in deliveries) == ["a0-1", "a1-1", "a2-1"]
            assert {d.body["type"] for d in deliveries} == {"alert.opened"}
        place.until(lambda: len(place.sink.rows["webhook_attempts"]) == 6, "attempts recorded")
        place.end()
    assert len(place.sink.rows["alerts"]) == 3
    assert {(row["endpoint"], row["outcome"], row["status"]) for row in place.sink.rows["webhook_attempts"]} == {
        ("siem", "delivered", 204),
        ("chat", "delivered", 204),
    }


def test_a_slow_endpoint_delays_only_itself() -> None:
    """While one endpoint hangs, the other gets every alert and ClickHouse every row."""
    with Receiver(SECRET, behaviour=Behaviour(delay_s=1.5)) as slow, Receiver(SECRET) as quick:
        place = Place(webhooks=[webhook(slow.url, "slow"), webhook(quick.url, "quick")])
        for i in range(5):
            place.alert(f"a{i}")
        place.start()
        quick.wait_for(5, 5)
        place.until(lambda: len(place.sink.rows["alerts"]) == 5, "the rows")
        assert len(slow.deliveries) < 5
        slow.close()
        place.end()


def test_a_failing_endpoint_gets_it_later_under_the_same_id() -> None:
    """A failed delivery is repeated by the schedule, with the same id and bytes."""
    with Receiver(SECRET, behaviour=Behaviour(fail_first=2)) as receiver:
        place = Place(webhooks=[webhook(receiver.url)], webhook_schedule_s=[0, 0.05, 0.05])
        place.alert("a")
        place.start()
        deliveries = receiver.wait_for(3)
        place.until(lambda: len(place.sink.rows["webhook_attempts"]) == 3, "attempts recorded")
        place.end()
    assert {d.webhook_id for d in deliveries} == {"a-1"}
    assert len({d.raw for d in deliveries}) == 1
    assert [row["outcome"] for row in place.sink.rows["webhook_attempts"]] == ["failed", "failed", "delivered"]


def test_attempts_wait_for_clickhouse(place: Place) -> None:
    """Attempts made while ClickHouse is away are recorded when it is back."""
    with Receiver(SECRET) as receiver:
        place = Place(webhooks=[webhook(receiver.url)])
        place.sink.down = True
        place.alert("a")
        place.start()
        receiver.wait_for(1)
        place.sink.down = False
        place.until(lambda: len(place.sink.rows["webhook_attempts"]) == 1, "the attempt")
        place.end()


def test_a_record_that_is_no_alert_ends_the_whole_role() -> None:
    """A webhook thread's failure is the process's failure, not a thread that is quietly gone."""
    with Receiver(SECRET) as receiver:
        place = Place(webhooks=[webhook(receiver.url)])
        place.sink.down = True  # so that the ClickHouse half would go on waiting
        place.broker.append(TopicPartition("t.alerts", 0), b"k", b"{}", 1)
        place.start()
        place.join()
    assert isinstance(place.error, CodecError)


def test_settings_of_an_endpoint_are_checked_before_anything_is_read() -> None:
    """Plain http without leave is a settings error at the start."""
    place = Place(webhooks=[webhook("http://hooks.test/", allow_http=False)])
    place.rollup("r")
    place.start()
    place.join()
    assert isinstance(place.error, SettingsError)
    assert place.accounts() == []


def test_without_a_schema_the_role_does_not_start() -> None:
    """With the real sink, an unreachable ClickHouse at the start is waited for, unready, until told to stop."""
    settings = Settings.model_validate({"prefix": "t", "clickhouse": {"port": free_port()}})
    health, stop = Health("deliver"), threading.Event()
    broker = MemoryBroker({"t.alerts": 1, "t.rollups": 1, "t.deadletter": 1, "t.outbox": 1, "t.control": 1})
    thread = threading.Thread(target=run_deliver, args=(settings, stop, health), kwargs={"broker": broker})
    thread.start()
    deadline = time.monotonic() + 10
    while "clickhouse: " not in health.unready_reason():
        assert time.monotonic() < deadline
        stop.wait(0.01)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
