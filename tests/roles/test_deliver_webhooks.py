"""One endpoint's worker, over the broker in memory, with a clock and an endpoint of the test's own."""

from __future__ import annotations

import base64
import random
import threading
from typing import TYPE_CHECKING

import orjson
import pytest

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.base.settings import Settings, WebhookEndpoint
from pipeline.events.alert import Alert, Kind, encode_alert
from pipeline.ports import metrics
from pipeline.ports.broker import TopicPartition
from pipeline.ports.memory import MemoryBroker
from pipeline.ports.webhook import Attempt
from pipeline.roles.attempts import AttemptLog
from pipeline.roles.health import Health
from pipeline.roles.webhooks import EndpointWorker

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.ports.webhook import Message
    from pipeline.roles.group_reader import GroupReader

OK = Attempt(204, "", 0.1)
DOWN = Attempt(0, "refused", 0.1)
GONE = Attempt(410, "HTTP 410", 0.1)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
START_MS = 1_795_000_000_000


class Place:
    """A broker, a clock, an endpoint that answers as told, and workers on them."""

    def __init__(self) -> None:
        self.broker = MemoryBroker({"t.alerts": 2, "t.outbox": 2})
        self.stop = threading.Event()
        self.health = Health("deliver")
        self.now_ms = START_MS
        self.answer = OK
        self.seen: list[tuple[str, int]] = []
        self.attempts = AttemptLog()
        self.deliver: dict[str, object] = {}

    def send(self, message: Message, now: datetime) -> Attempt:
        """Be the endpoint."""
        assert int(now.timestamp() * 1_000) == self.now_ms
        self.seen.append((message.id, self.now_ms))
        return self.answer

    def ids(self) -> list[str]:
        """Ids of the requests so far."""
        return [message_id for message_id, _ in self.seen]

    def worker(self, **endpoint: object) -> tuple[EndpointWorker, GroupReader]:
        """A worker that has joined its group."""
        values = {"name": "siem", "url": "https://hooks.test/", "secret": SECRET, **endpoint}
        configured = WebhookEndpoint.model_validate(values)
        settings = Settings.model_validate({"prefix": "t", "deliver": {"webhooks": [values], **self.deliver}})
        worker = EndpointWorker(
            settings,
            configured,
            self.broker,
            self.attempts,
            self.health,
            self.stop,
            sender=self,
            now_ms=lambda: self.now_ms,
            rng=random.Random(1),
        )
        return worker, worker.reader()

    def publish(self, name: str, revision: int = 1, *, partition: int = 0, severity: int = 3, canary: bool = False) -> None:
        """Put one alert into the topic."""
        value = encode_alert(alert(name, revision, severity, canary=canary))
        self.broker.append(TopicPartition("t.alerts", partition), name.encode(), value, None)

    def committed(self, partition: int = 0) -> int:
        """The endpoint's commit."""
        commits = self.broker.commits.get("t.webhook.siem", {})
        where = TopicPartition("t.alerts", partition)
        return commits[where].offset if where in commits else -1

    def outbox(self) -> dict[str, dict[str, object] | None]:
        """What compaction would leave of the outbox; None: a tombstone."""
        live: dict[str, dict[str, object] | None] = {}
        for record in self.broker.records("t.outbox"):
            live[(record.key() or b"").decode()] = None if record.value() is None else orjson.loads(record.value() or b"")
        return live


def alert(name: str, revision: int = 1, severity: int = 3, *, canary: bool = False) -> Alert:
    """A small alert."""
    return Alert(
        alert_id=name, revision=revision, state="opened", subject_type="account", subject_id="acme", account_ids=["acme"],
        kind=Kind.PROBING, headline="h", severity=severity, risk=0.5, confidence=0.5, first_seen_ms=1, last_seen_ms=2, raised_at_ms=3,
        requests=1, input_tokens=1, output_tokens=1, explanation=[], techniques=[], evidence=[], recommended_action="watch",
        detector_version="1", canary=canary,
    )  # fmt: skip


@pytest.fixture
def place() -> Place:
    """A quiet place."""
    return Place()


def steps(worker: EndpointWorker, reader: GroupReader, count: int = 4) -> None:
    """Let the worker turn a few times."""
    for _ in range(count):
        worker.step(reader)


def test_what_is_delivered_at_once_leaves_no_trace_in_the_outbox(place: Place) -> None:
    """A healthy endpoint costs one request and one commit per alert."""
    place.publish("a")
    place.publish("b")
    steps(*place.worker())
    assert place.ids() == ["a-1", "b-1"]
    assert (place.committed(), place.outbox()) == (2, {})


def test_a_failure_waits_in_the_outbox_before_the_offset_is_committed(place: Place) -> None:
    """The retry is in Kafka by the time the alert counts as read; success turns it into a tombstone."""
    worker, reader = place.worker()
    place.answer = DOWN
    place.publish("a")
    steps(worker, reader)
    kept = place.outbox()["siem|a|1"]
    assert kept is not None
    assert (kept["attempts"], kept["partition"], place.committed()) == (1, 0, 1)
    place.answer = OK
    steps(worker, reader)
    assert place.ids() == ["a-1"]
    place.now_ms += 6_000
    steps(worker, reader)
    assert place.ids() == ["a-1", "a-1"]
    assert place.outbox() == {"siem|a|1": None}


def test_the_offset_is_not_committed_when_the_outbox_did_not_take_the_retry(place: Place) -> None:
    """A worker that stops while Kafka refuses the retry leaves the alert to be read again."""
    worker, reader = place.worker()
    place.answer = DOWN
    place.publish("a")
    place.broker.refuse_deliveries = 1

    def send_and_stop(message: Message, now: datetime) -> Attempt:
        place.stop.set()
        return Place.send(place, message, now)

    place.send = send_and_stop  # type: ignore[method-assign]  # the endpoint's answer coincides with the stop signal
    steps(worker, reader, 1)
    assert (place.committed(), place.outbox()) == (-1, {})


def test_a_refused_outbox_write_is_repeated(place: Place) -> None:
    """One failed write is not the end: a new producer writes it again, then the offset is committed."""
    worker, reader = place.worker()
    place.answer = DOWN
    place.publish("a")
    place.broker.refuse_deliveries = 1
    steps(worker, reader, 2)
    assert place.outbox()["siem|a|1"] is not None
    assert place.committed() == 1


def test_a_restart_goes_on_where_the_outbox_stands(place: Place) -> None:
    """A successor knows how often a delivery was tried and when it is due."""
    worker, reader = place.worker()
    place.answer = DOWN
    place.publish("a")
    steps(worker, reader)
    place.now_ms += 6_000
    steps(worker, reader)
    reader.close()
    worker, reader = place.worker()
    steps(worker, reader)
    assert len(place.seen) == 2
    place.now_ms += 330_000
    place.answer = OK
    steps(worker, reader)
    assert len(place.seen) == 3
    assert place.outbox() == {"siem|a|1": None}


def test_an_alert_read_again_after_its_retry_was_written_keeps_its_place(place: Place) -> None:
    """A crash between outbox and commit brings the alert back; it is not tried at once nor counted from the start."""
    worker, reader = place.worker()
    place.answer = DOWN
    place.publish("a")
    steps(worker, reader)
    reader.close()
    del place.broker.commits["t.webhook.siem"]
    steps(*place.worker())
    assert len(place.seen) == 1
    assert place.committed() == 1


def test_given_up_is_gone_from_the_outbox(place: Place) -> None:
    """After the schedule's last attempt the delivery leaves a tombstone and a row that says so."""
    worker, reader = place.worker()
    place.answer = DOWN
    place.publish("a")
    for _ in range(12):
        steps(worker, reader, 2)
        place.now_ms += 2 * 86_400_000
    assert len(place.seen) == 10
    assert place.outbox() == {"siem|a|1": None}
    outcomes = [row.outcome for row in place.attempts._rows]
    assert outcomes == ["failed"] * 9 + ["gave_up"]
    assert [row.attempt for row in place.attempts._rows] == list(range(1, 11))


def test_gone_disables_and_is_remembered(place: Place) -> None:
    """After 410 nothing is sent, waiting deliveries are dropped, new alerts are passed by, and a restart does not forget it."""
    worker, reader = place.worker()
    place.answer = DOWN
    place.publish("a")
    steps(worker, reader)
    place.answer = GONE
    place.publish("b")
    place.publish("c")
    steps(worker, reader)
    assert place.ids() == ["a-1", "b-1"]
    assert place.outbox()["siem|a|1"] is None
    assert place.outbox()["siem|disabled"] is not None
    assert place.committed() == 3
    reader.close()
    place.publish("d")
    place.answer = OK
    place.now_ms += 86_400_000
    steps(*place.worker())
    assert place.ids() == ["a-1", "b-1"]
    assert place.committed() == 4


@pytest.mark.parametrize("change", [{"url": "https://hooks.test/new"}, {"secret": "whsec_" + base64.b64encode(bytes(32)).decode()}])
def test_a_reconfigured_endpoint_is_sent_to_again(place: Place, change: dict[str, object]) -> None:
    """A new address or secret lifts a 410 at the next start; what came meanwhile and is unread is sent."""
    worker, reader = place.worker()
    place.answer = GONE
    place.publish("a")
    steps(worker, reader)
    reader.close()
    place.publish("b")
    place.answer = OK
    steps(*place.worker(**change))
    assert place.ids() == ["a-1", "b-1"]
    assert place.outbox()["siem|disabled"] is None


def test_a_paused_endpoint_leaves_alerts_in_kafka(place: Place) -> None:
    """While the endpoint asks for patience nothing is sent nor read; afterwards every alert arrives once, in order."""
    worker, reader = place.worker()
    place.answer = Attempt(429, "HTTP 429", 0.1, 60.0)
    place.publish("a")
    steps(worker, reader, 1)
    place.publish("b")
    place.publish("c")
    place.answer = OK
    place.now_ms += 59_999
    steps(worker, reader, 3)
    assert (place.ids(), place.committed()) == (["a-1"], 1)
    place.now_ms += 1
    steps(worker, reader)
    assert place.ids() == ["a-1", "a-1", "b-1", "c-1"]


def test_new_alerts_and_retries_take_turns(place: Place) -> None:
    """A backlog of new alerts does not starve retries, nor the other way round."""
    worker, reader = place.worker()
    place.answer = DOWN
    for i in range(3):
        place.publish(f"old{i}")
    steps(worker, reader, 3)
    place.answer = OK
    place.now_ms += 10_000
    for i in range(3):
        place.publish(f"new{i}")
    steps(worker, reader, 3)
    later = [message_id.rstrip("-1")[:3] for message_id, at in place.seen if at > START_MS]
    assert later == ["old", "new"] * 3


def test_small_alerts_are_not_sent_to_who_does_not_want_them(place: Place) -> None:
    """Below the endpoint's severity an alert is passed by."""
    place.publish("small", severity=2)
    place.publish("large", severity=4)
    steps(*place.worker(min_severity=4))
    assert place.ids() == ["large-1"]
    assert place.committed() == 2


def test_two_workers_share_partitions_and_what_waits_for_them(place: Place) -> None:
    """When a second worker takes a partition over, it also takes its retries, and the first one lets go of them."""
    first, first_reader = place.worker()
    place.answer = DOWN
    for partition in (0, 1):
        place.publish(f"p{partition}", partition=partition)
    steps(first, first_reader)
    assert len(place.seen) == 2
    second, second_reader = place.worker()
    steps(first, first_reader, 1)
    steps(second, second_reader, 1)
    place.now_ms += 6_000
    place.answer = OK
    steps(first, first_reader, 2)
    steps(second, second_reader, 2)
    assert sorted(place.ids()) == ["p0-1", "p0-1", "p1-1", "p1-1"]
    assert place.outbox() == {"siem|p0|1": None, "siem|p1|1": None}


def test_the_age_of_what_waits_is_a_metric(place: Place) -> None:
    """An operator sees how long the oldest undelivered alert has waited, and zero when none does."""
    worker, reader = place.worker(name="aged")
    place.answer = DOWN
    place.publish("a")
    steps(worker, reader)
    place.now_ms += 4_000
    steps(worker, reader, 1)
    assert metrics.value("stillwatch_outbox_age_seconds", {"endpoint": "aged"}) == 4.0
    place.answer = OK
    place.now_ms += 4_000
    steps(worker, reader, 2)
    assert metrics.value("stillwatch_outbox_age_seconds", {"endpoint": "aged"}) == 0.0


def test_a_record_that_is_no_alert_stops_the_worker(place: Place) -> None:
    """Our own topic holds only alerts: anything else is an error with its place, and nothing is committed."""
    worker, reader = place.worker()
    place.broker.append(TopicPartition("t.alerts", 0), b"k", b'{"alert_id": 7}', None)
    with pytest.raises(CodecError, match=r"t\.alerts\[0\]@0"):
        steps(worker, reader)
    assert place.committed() == -1


def test_an_outbox_record_of_a_newer_version_is_refused(place: Place) -> None:
    """An older program does not guess at what a newer one wrote."""
    worker, reader = place.worker()
    place.answer = DOWN
    place.publish("a")
    steps(worker, reader)
    reader.close()
    kept = place.outbox()["siem|a|1"]
    assert kept is not None
    record = next(r for r in place.broker.records("t.outbox") if r.key() == b"siem|a|1")
    place.broker.append(record.where, record.key(), orjson.dumps({**kept, "version": 2}), None)
    with pytest.raises(NewerFormatError):
        steps(*place.worker())


def test_other_endpoints_retries_are_left_alone(place: Place) -> None:
    """One outbox serves all endpoints; each sees its own, also when one's name begins like another's."""
    place.answer = DOWN
    place.publish("a")
    worker, reader = place.worker()
    steps(worker, reader)
    reader.close()
    place.answer = OK
    place.now_ms += 60_000
    place.seen.clear()
    steps(*place.worker(name="sie"))
    assert place.ids() == ["a-1"]
    assert place.outbox()["siem|a|1"] is not None


@pytest.mark.parametrize(("send_them", "expected"), [(False, ["real-1"]), (True, ["planted-1", "real-1"])])
def test_alerts_about_planted_attackers_wake_nobody(place: Place, *, send_them: bool, expected: list[str]) -> None:
    """They pass by, counted as read; `deliver.canary_alerts` sends them like any other."""
    place.deliver = {"canary_alerts": send_them}
    place.publish("planted", severity=5, canary=True)
    place.publish("real")
    worker, reader = place.worker()
    steps(worker, reader)
    assert place.ids() == expected
    assert place.committed() == 2
