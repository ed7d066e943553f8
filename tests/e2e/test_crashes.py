"""Every role dies at every bad moment, on Apache Kafka, with work waiting; nothing is lost and nothing counts twice."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import confluent_kafka as ck
import pytest

from pipeline.base.settings import DetectSettings
from pipeline.lab.simulate import Faults, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.devstack.processes import Child
    from tests.e2e.conftest import Flow, Played

START_MS = 1_780_000_000_000
DETECT = DetectSettings(dedupe_ring=65_536, checkpoint_interval_s=0.3, checkpoint_backlog_s=0.3, max_hot_accounts=40)
CRASH_POINTS = {
    "ingest": ("ingest:after-produce:1", "ingest:after-produce:4"),
    "detect": (
        "detect:after-outputs:2",
        "detect:amid-accounts:3",
        "detect:before-marker:2",
        "detect:after-marker:3",
        "detect:after-commit:2",
    ),
    "deliver": ("deliver:after-insert:1", "deliver:after-insert:3"),
}
INPUTS = {"ingest": (), "detect": ("frames",), "deliver": ("rollups", "alerts", "deadletter")}


def _scenario(seed: int, days: float = 2.0) -> Scenario:
    return Scenario(
        seed=seed,
        start_ms=START_MS,
        days=days,
        accounts=80,
        requests_per_account_day=250,
        faults=Faults(duplicates=0.02, late=0.02, rekeyed=0.02, conflicts=0.002, bad=0.005),
    )


def _lag(flow: Flow, role: str) -> int:
    """Records of a role's input that its group has not committed."""
    topics = [flow.settings.requests_topic] if role == "ingest" else [f"{flow.prefix}.{name}" for name in INPUTS[role]]
    consumer = ck.Consumer({"bootstrap.servers": flow.bootstrap, "group.id": flow.settings.group(role)})
    try:
        infos = [info for info in map(flow.broker.topic, topics) if info is not None]
        where = [ck.TopicPartition(info.name, p) for info in infos for p in range(info.partitions)]
        done = {(tp.topic, tp.partition): max(tp.offset, 0) for tp in consumer.committed(where, timeout=10)}
        return sum(consumer.get_watermark_offsets(tp, timeout=10)[1] - done[tp.topic, tp.partition] for tp in where)
    finally:
        consumer.close()


def _ended(child: Child) -> bool:
    return not child.running


def _lag_at_most(flow: Flow, role: str, records: float) -> bool:
    return _lag(flow, role) <= records


def _check(flow: Flow, played: Played) -> None:
    """Sums per account and hour equal the input's; alerts equal the oracle's, in the topic and in ClickHouse."""
    assert flow.stored_sums() == played.sums
    oracle = flow.oracle()
    assert flow.written_alerts() == oracle
    stored = flow.query("SELECT alert_id, revision, kind, state, requests, output_tokens FROM alerts FINAL")
    assert {(row[0], row[1]): row[2:] for row in stored} == {
        key: (a.kind.value, a.state, a.requests, a.output_tokens) for key, a in oracle.items()
    }
    assert oracle, "the run must have raised alerts, or their equality says nothing"


@pytest.mark.parametrize("victim", ["ingest", "detect", "deliver"])
def test_a_role_killed_at_each_crash_point_and_at_random(
    apache_kafka: str, make_flow: Callable[..., Flow], play: Callable[[Scenario], Played], victim: str
) -> None:
    """The victim dies at its named points and at random moments, with lag at each death; the sums and alerts stay right."""
    flow = make_flow(apache_kafka, detect=DETECT)
    played = play(_scenario(seed={"ingest": 11, "detect": 12, "deliver": 13}[victim]))
    flow.produce(played.records)
    others = {role: flow.role(role) for role in INPUTS if role != victim}
    slow = {"STILLWATCH_INGEST__BATCH_RECORDS": "400", "STILLWATCH_DELIVER__BATCH_ROWS": "400"}
    for point in CRASH_POINTS[victim]:
        child = flow.role(victim, crash=point, **slow)
        flow.until(f"{point} reached", partial(_ended, child))
        assert child.returncode == -9, child.log_tail()
        assert _lag(flow, victim) > 0
    dice = random.Random(7)
    for _ in range(3):
        child = flow.role(victim, **slow)
        before = _lag(flow, victim)
        target = before * dice.uniform(0.3, 0.9)
        flow.until("some progress", partial(_lag_at_most, flow, victim, max(target, 1)), alive=[child])
        child.kill()
    last = flow.role(victim)
    flow.until("the last one is ready", partial(flow.ready, last), 60, [last])
    flow.until("everything counted", lambda: flow.settled(played), 180, [last, *others.values()])
    flow.until("rollups and alerts delivered", lambda: _lag(flow, "deliver") == 0, 60, [last, *others.values()])
    _stop([last, *others.values()])
    _check(flow, played)


def test_two_detect_workers_a_third_joins_and_one_sleeps_longer_than_its_session(
    apache_kafka: str, make_flow: Callable[..., Flow], play: Callable[[Scenario], Played]
) -> None:
    """Handover, join and a zombie: the same sums and alerts as one uninterrupted pass."""
    flow = make_flow(apache_kafka, detect=DETECT)
    played = play(_scenario(seed=21, days=3.0))
    records = played.records
    third = len(records) // 3
    others = [flow.role("ingest"), flow.role("deliver")]
    workers = [flow.role("detect"), flow.role("detect")]
    flow.produce(records[:third])
    flow.until("the first third is on its way", lambda: bool(flow.query("SELECT count() > 0 FROM account_hourly")[0][0]), 60, workers)
    workers.append(flow.role("detect"))
    workers[0].pause()
    flow.produce(records[third : 2 * third])
    group = flow.settings.group("detect")
    flow.until("the sleeper is expelled", lambda: _members(flow, group) == 2, 90, workers)
    flow.produce(records[2 * third :])
    workers[0].resume()
    flow.until("everything counted", lambda: flow.settled(played), 180, [*workers, *others])
    flow.until("rollups and alerts delivered", lambda: _lag(flow, "deliver") == 0, 60, others)
    _stop([*others, *workers])
    _check(flow, played)


def _members(flow: Flow, group: str) -> int:
    admin = ck.admin.AdminClient({"bootstrap.servers": flow.bootstrap})
    return len(admin.describe_consumer_groups([group])[group].result(10).members)


def _stop(children: list[Child]) -> None:
    for child in children:
        child.stop()
    assert all(child.returncode == 0 for child in children), [(c.name, c.returncode, c.log_tail(5)) for c in children]
