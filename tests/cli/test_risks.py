"""Settings that are allowed and that somebody will regret."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.base.settings import Settings
from pipeline.cli.check import Check, Status, line
from pipeline.cli.risks import host_port, risks

SAFE: dict[str, Any] = {
    "kafka": {"bootstrap_servers": "kafka.example.com:9093", "security_protocol": "SSL"},
    "clickhouse": {"host": "clickhouse.example.com", "secure": True},
    "deliver": {"webhooks": [{"name": "pager", "url": "https://example.com", "secret": "whsec_x"}]},
}


def found(*, dev: bool = False, **changes: dict[str, Any]) -> dict[str, Status]:
    """Settings warned about, with how badly."""
    merged: dict[str, Any] = {section: {**SAFE.get(section, {}), **changes.get(section, {})} for section in {*SAFE, *changes}}
    return {check.subject.removeprefix("setting "): check.status for check in risks(Settings(**merged), dev=dev)}


def test_a_production_shape_has_nothing_to_say() -> None:
    """Replication 3 and 2, TLS everywhere, a signed https webhook: silence."""
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"kafka": {"security_protocol": "PLAINTEXT"}}, "kafka.security_protocol"),
        ({"kafka": {"ssl_check_hostname": False}}, "kafka.ssl_check_hostname"),
        ({"kafka": {"replication_factor": 1, "min_insync_replicas": 1}}, "kafka.replication_factor"),
        ({"kafka": {"replication_factor": 3, "min_insync_replicas": 3}}, "kafka.min_insync_replicas"),
        ({"clickhouse": {"secure": False}}, "clickhouse.secure"),
        ({"deliver": {"webhooks": []}}, "deliver.webhooks"),
        ({"deliver": {"webhooks": [{"name": "p", "url": "http://example.com", "secret": "x"}]}}, "deliver.webhooks.p.url"),
        (
            {"deliver": {"webhooks": [{"name": "p", "url": "https://example.com", "secret": "x", "allow_networks": ["0.0.0.0/0"]}]}},
            "deliver.webhooks.p.allow_networks",
        ),
        ({"detect": {"constant_scores": True}}, "detect.constant_scores"),
    ],
)
def test_each_risk_is_named(changes: dict[str, Any], key: str) -> None:
    """One changed setting, one warning about that setting."""
    assert found(**changes) == {key: Status.WARNING}


def test_more_replicas_in_sync_than_there_are_is_wrong() -> None:
    """No write would ever be accepted: that is a failure, not a warning."""
    assert found(kafka={"replication_factor": 2, "min_insync_replicas": 3}) == {"kafka.min_insync_replicas": Status.FAILED}


def test_one_machine_is_not_warned_about_its_own_loopback() -> None:
    """Plain text inside one machine and replication 1 on purpose are no risks."""
    local = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9092,[::1]:9092,localhost:1", "security_protocol": "PLAINTEXT", "replication_factor": 1}
    }
    assert found(dev=True, **local, clickhouse={"host": "localhost", "secure": False}) == {}


@pytest.mark.parametrize(
    ("address", "parts"),
    [("a:1", ("a", 1)), (" a:1 ", ("a", 1)), ("[::1]:7", ("::1", 7)), ("a", ("a", 9092))],
)
def test_bootstrap_addresses_are_split_as_kafka_does(address: str, parts: tuple[str, int]) -> None:
    """Names, IPv6 in brackets, spaces, and no port."""
    assert host_port(address) == parts


def test_a_check_is_one_line_and_its_next_step() -> None:
    """Failures carry what to do on a line of its own."""
    assert line(Check("topic x", Status.OK, "4 partitions")) == "✓ topic x: 4 partitions"
    assert line(Check("topic x", Status.FAILED, "missing", "make it")) == "✗ topic x: missing\n    → make it"
