"""Whatever enters through the requests topic: a dead letter with its reason, the partition goes on, no text leaks."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import confluent_kafka as ck
import pytest

from pipeline.ports.broker import BEGINNING, TopicPartition
from pipeline.ports.topics import TopicSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.conftest import Flow

CANARY = "the heron sleeps under bridge forty-seven"
GOOD = {
    "event_id": "good-1",
    "occurred_at_ms": 1_780_000_000_000,
    "account_id": "acct-good",
    "operation": "chat",
    "model": "large-2",
    "status": 200,
    "output_tokens": 10,
}


def _with(**changes: object) -> bytes:
    return json.dumps({**GOOD, "event_id": "bad", "prompt": CANARY, **changes}).encode()


def _without(name: str) -> bytes:
    return json.dumps({k: v for k, v in {**GOOD, "prompt": CANARY}.items() if k != name}).encode()


CASES: dict[str, tuple[bytes, str, str]] = {
    "not JSON": (b"GET / " + CANARY.encode(), "not_json", "$"),
    "truncated JSON": (_with()[:-9], "not_json", "$"),
    "NaN": (_with()[:-1] + b', "temperature": NaN}', "not_json", "$"),
    "an array": (b"[" + _with() + b"]", "not_object", "$"),
    "wrong type": (_with(status="two hundred " + CANARY), "wrong_type", "$.status"),
    "missing field": (_without("account_id"), "missing_field", "$.account_id"),
    "negative tokens": (_with(output_tokens=-1), "absurd_value", "$.output_tokens"),
    "a day and more ahead": (_with(occurred_at_ms=4_000_000_000_000), "absurd_value", "$.occurred_at_ms"),
    "an id over 256 bytes": (_with(account_id="a" * 257), "absurd_value", "$.account_id"),
    "invalid UTF-8": (_with()[:-1] + b', "user_agent": "\xff\xfe ' + CANARY.encode() + b'"}', "not_utf8", "$"),
    "deep nesting": (_with()[:-1] + b', "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "too_deep", "$"),
    "duplicate keys": (_with()[:-1] + b', "status": 500}', "duplicate_key", "$.status"),
    "an id that is a path": (_with(account_id="../../etc/passwd"), "bad_identifier", "$.account_id"),
    "an id with control characters": (_with(event_id="a\x1bb"), "bad_identifier", "$.event_id"),
    "an unknown schema version": (_with(schema_version=99), "unknown_version", "$.schema_version"),
    "over a mebibyte": (_with(prompt=CANARY * 30_000), "too_large", "$"),
    "nothing": (b"", "empty", "$"),
}


@pytest.fixture
def run(apache_kafka: str, make_flow: Callable[..., Flow]) -> Flow:
    """A flow whose requests topic takes records of 4 MiB, as a user's may."""
    flow = make_flow(apache_kafka, requests_partitions=1, before_init=_roomy)
    producer = ck.Producer({"bootstrap.servers": apache_kafka, "message.max.bytes": 4 << 20})
    for name, (value, _, _) in CASES.items():
        producer.produce(flow.settings.requests_topic, value, key=name.encode())
        follow = {**GOOD, "event_id": f"after {name}", "prompt": CANARY, "messages": [{"content": CANARY}], "extra": CANARY}
        producer.produce(flow.settings.requests_topic, json.dumps(follow).encode(), key=b"good")
    assert producer.flush(30) == 0
    return flow


def _roomy(flow: Flow) -> None:
    flow.broker.create(TopicSpec(flow.settings.requests_topic, 1, 1, {"max.message.bytes": str(4 << 20)}))


def test_each_bad_record_is_a_dead_letter_and_the_text_goes_nowhere(run: Flow) -> None:
    """Reason, path, position, size and hash are kept; every good record counts; the canary is in the requests topic alone."""
    roles = [run.role(role) for role in ("ingest", "detect", "deliver")]
    run.until(
        "everything is accounted for",
        lambda: (
            run.query("SELECT sum(requests) FROM account_hourly")[0][0] == len(CASES)
            and run.query("SELECT count() FROM dead_letters FINAL")[0][0] == len(CASES)
        ),
        90,
        roles,
    )
    rows = run.query("SELECT source_offset, reason, json_path, size, sha256, source_topic, source_partition FROM dead_letters FINAL")
    found = {row[0]: row[1:] for row in rows}
    for number, (name, (value, reason, path)) in enumerate(CASES.items()):
        digest = hashlib.sha256(value).hexdigest()
        assert found[2 * number] == (reason, path, len(value), digest, run.settings.requests_topic, 0), name
    for child in roles:
        child.stop()
    _assert_absent(run)


def _assert_absent(run: Flow) -> None:
    needle = CANARY.encode()
    topics = [
        f"{run.prefix}.{name}" for name in ("frames", "state", "alerts", "rollups", "deadletter", "risk", "outbox", "evidence", "control")
    ]
    seen = 0
    for topic in topics:
        for message in run.records(topic):
            seen += 1
            assert needle not in (message.value() or b""), topic
            assert needle not in (message.key() or b""), topic
    assert seen > len(CASES)
    for (table,) in run.query(f"SELECT name FROM system.tables WHERE database = '{run.settings.database}'"):  # noqa: S608 - our own name
        for row in run.query(f"SELECT * FROM {table}"):  # noqa: S608 - our own tables
            assert CANARY not in repr(row), table
    for log in run.processes.folder.glob("*.log"):
        assert CANARY not in log.read_text(errors="replace"), log.name
    consumer = run.broker.consumer("canary")
    try:
        consumer.assign({TopicPartition(run.settings.requests_topic, 0): BEGINNING})
        assert any(needle in (m.value() or b"") for m in consumer.read(50, 10.0)), "the canary was never there"
    finally:
        consumer.close()


def test_too_many_bad_records_make_ingest_unready_and_requeue_reads_an_original_back(
    apache_kafka: str, make_flow: Callable[..., Flow]
) -> None:
    """Above the configured share `/readyz` says so; `deadletter requeue` appends the original, which is rejected again."""
    flow = make_flow(apache_kafka, requests_partitions=1)
    flow.produce((b"k", b"rubbish %d" % i) for i in range(300))
    ingest = flow.role("ingest", STILLWATCH_INGEST__BAD_SHARE_WINDOW="100")
    flow.until("ingest says why it is not ready", lambda: "rejected" in flow.get(flow.ports[ingest.name], "/readyz"), 60, [ingest])
    text = flow.command("deadletter", "requeue", f"{flow.settings.requests_topic}:0:7")
    assert "1 appended" in text
    appended = [m.value() for m in flow.records(flow.settings.requests_topic)]
    assert appended[300] == b"rubbish 7"
