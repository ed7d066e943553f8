"""Settings that are allowed and that somebody will regret: what `stillwatch doctor` says about each."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.cli.check import Check, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.base.settings import ClickHouseSettings, DeliverSettings, KafkaSettings, Settings


def risks(settings: Settings, *, dev: bool) -> Iterator[Check]:
    """Risky settings; nothing when there are none. With `dev` one broker is meant."""
    if not dev:
        yield from _durability(settings.kafka)
    yield from _in_the_clear(settings.kafka, settings.clickhouse)
    yield from _webhooks(settings.deliver)
    if settings.detect.constant_scores:
        yield _warn("detect.constant_scores", "on: River's scores are replaced by zero, attackers will be missed", "switch it off")


def host_port(address: str) -> tuple[str, int]:
    """`host:port` of a bootstrap list, `[::1]:9092` included; 9092 when there is no port."""
    host, _, port = address.strip().rpartition(":")
    return (host or port).strip("[]"), int(port) if host and port.isdigit() else 9092


def _durability(kafka: KafkaSettings) -> Iterator[Check]:
    replicas, insync = kafka.replication_factor, kafka.min_insync_replicas
    if insync > replicas:
        finding = f"{insync} with replication {replicas}: no write would ever be accepted"
        yield Check("setting kafka.min_insync_replicas", Status.FAILED, finding, f"at most {replicas}")
    elif replicas < 3 or insync < 2:
        finding = f"replication {replicas}, min.insync {insync}: one lost broker can lose acknowledged records"
        yield _warn("kafka.replication_factor", finding, "3 and 2, or --dev if this is one broker on purpose")
    elif insync == replicas:
        yield _warn("kafka.min_insync_replicas", f"{insync} of {replicas}: one broker down stops every write", f"{replicas - 1}")


def _in_the_clear(kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> Iterator[Check]:
    remote = [address.strip() for address in kafka.bootstrap_servers.split(",") if not _loopback(host_port(address)[0])]
    if remote and not kafka.security_protocol.endswith("SSL"):
        finding = f"{kafka.security_protocol} to {remote[0]}: prompts cross the network in the clear"
        yield _warn("kafka.security_protocol", finding, "SSL or SASL_SSL")
    if kafka.security_protocol.endswith("SSL") and not kafka.ssl_check_hostname:
        finding = "off: any certificate of that authority is taken for the broker's"
        yield _warn("kafka.ssl_check_hostname", finding, "switch it on")
    if not clickhouse.secure and not _loopback(clickhouse.host):
        finding = f"plain http to {clickhouse.host}: the password crosses the network in the clear"
        yield _warn("clickhouse.secure", finding, "true, with clickhouse.ca_file for a private authority")


def _webhooks(deliver: DeliverSettings) -> Iterator[Check]:
    if not deliver.webhooks:
        yield _warn("deliver.webhooks", "none: alerts reach ClickHouse only", "name an endpoint if somebody should be woken")
    for endpoint in deliver.webhooks:
        key = f"deliver.webhooks.{endpoint.name}"
        if endpoint.url.startswith("http:") and not _loopback(urlsplit(endpoint.url).hostname or ""):
            yield _warn(f"{key}.url", "http: alerts cross the network in the clear", "https")
        wide = [cidr for cidr in endpoint.allow_networks if cidr.endswith("/0")]
        if wide:
            yield _warn(f"{key}.allow_networks", f"{wide[0]} allows every address inside", "name the one network it lives in")


def _warn(key: str, finding: str, next_step: str) -> Check:
    return Check(f"setting {key}", Status.WARNING, finding, next_step)


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
