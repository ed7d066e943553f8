"""The canary: what it sends is valid and always noticed early, by whatever budget."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import orjson
import pytest

from pipeline.base.errors import SettingsError
from pipeline.base.settings import Settings
from pipeline.events.alert import CANARY_PREFIX, encode_alert
from pipeline.lab.backtest import Backtest
from pipeline.lab.canary import REQUESTS, fly, records, seconds
from pipeline.ports.broker import TopicPartition
from pipeline.ports.clickhouse import ClickHouseSink, Reader
from pipeline.ports.memory import MemoryBroker, MemoryMessage
from pipeline.roles.tables import ALERTS

if TYPE_CHECKING:
    from pipeline.events.alert import Alert

NOW_MS = 1_795_000_000_000


def test_records_are_a_function_of_seed_and_time() -> None:
    """Equal seeds give equal bytes, another seed another account; event times rise up to now, ids have the reserved prefix."""
    account_id, made = records(7, NOW_MS)
    assert (account_id, made) == records(7, NOW_MS)
    assert records(8, NOW_MS)[0] != account_id
    events = [orjson.loads(record) for record in made]
    assert account_id.startswith(CANARY_PREFIX)
    assert {event["account_id"] for event in events} == {account_id}
    times = [event["occurred_at_ms"] for event in events]
    assert times == sorted(times)
    assert times[-1] == NOW_MS
    assert NOW_MS - times[0] < 15 * 60_000
    assert len({event["event_id"] for event in events}) == REQUESTS


@pytest.mark.parametrize("budget", [1.0, 0.1])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_canary_is_noticed_in_its_first_hundred_requests(seed: int, budget: float) -> None:
    """All records are valid; one marked alert opens within the first two looks, also at a tenth of the budget."""
    alerts: list[Alert] = []
    rejected: list[object] = []
    run = Backtest(Settings.model_validate({"detect": {"alert_budget": budget}}), 1, alerts.append, lambda *given: rejected.append(given))
    _, made = records(seed, NOW_MS)
    run.feed(made, NOW_MS)
    assert run.finish().applied == REQUESTS
    assert not rejected
    assert [a.state for a in alerts].count("opened") == 1
    assert all(a.canary for a in alerts)
    assert alerts[0].requests_before <= 100


def test_a_flight_ends_with_the_alert_or_with_the_timeout(migrated: Settings) -> None:
    """With a flow behind the topic the alert is seen and the delay said; without one it is a miss."""
    broker = MemoryBroker({migrated.requests_topic: 1})
    reader, sink = Reader(migrated), ClickHouseSink(migrated)
    missed = fly(migrated, broker.producer(), reader, 1, timeout_s=0.6)
    assert (missed.delay_s, missed.kind) == (None, "")
    before = len(broker.records(migrated.requests_topic))
    assert before == REQUESTS

    def flow() -> None:
        """Be ingest, detect and deliver."""
        while len(broker.records(migrated.requests_topic)) < 2 * REQUESTS:
            time.sleep(0.01)  # the other thread sends, bounded by the flight's timeout
        alerts: list[Alert] = []
        run = Backtest(migrated, 1, alerts.append, lambda *_: None)
        run.feed([record.value() or b"" for record in broker.records(migrated.requests_topic)[before:]], time.time_ns() // 1_000_000)
        run.finish()
        values = [MemoryMessage(TopicPartition("t", 0), i, None, encode_alert(alert), None) for i, alert in enumerate(alerts)]
        sink.insert("alerts", ALERTS.convert(values), "t")

    behind = threading.Thread(target=flow)
    behind.start()
    seen = fly(migrated, broker.producer(), reader, 2, timeout_s=60.0)
    behind.join()
    assert seen.delay_s is not None
    assert 0.0 < seen.delay_s < 60.0
    assert seen.kind
    assert 0 < seen.requests_before <= 100
    assert seen.account_id != missed.account_id
    reader.close()
    sink.close()


@pytest.mark.parametrize(("text", "value"), [("90s", 90.0), ("15m", 900.0), ("24h", 86_400.0), ("1d", 86_400.0)])
def test_intervals(text: str, value: float) -> None:
    """Seconds, minutes, hours, days."""
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0h", "1w", "h", "-1h", "1.5h"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    """With what would be one."""
    with pytest.raises(SettingsError, match="24h"):
        seconds(text)
