"""`stillwatch doctor`: every dependency and setting that can be wrong, one line each, with what to do next."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import orjson
import typer

from pipeline import __version__
from pipeline.base.errors import StillwatchError
from pipeline.base.settings import load_settings
from pipeline.cli.check import Check, Status, line
from pipeline.cli.expecting import expectation
from pipeline.cli.risks import host_port, risks
from pipeline.cli.tuned import in_force, tunings
from pipeline.ports.addresses import networks, refusal
from pipeline.ports.clickhouse import Admin, Limits, Reader
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.kafka_admin import Janitor
from pipeline.ports.migrations import schema_version
from pipeline.ports.topics import describe_topics
from pipeline.ports.webhook import WebhookSender, resolve

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pipeline.base.settings import DetectSettings, Settings, WebhookEndpoint

CONNECT_S = 3.0
CLIENTS = ("confluent-kafka", "aiokafka", "faust-streaming", "river", "clickhouse-connect")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("doctor")(doctor)


def doctor(
    dev: Annotated[bool, typer.Option("--dev", help="One broker is meant: replication 1 is fine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check and line.")] = False,
) -> None:
    """Check Kafka, its topics and groups, ClickHouse and its schema, webhooks, and risky settings.

    Says what the alert budget amounts to at the accounts that are active here.
    ✓ is fine, ! works but deserves a look, ✗ is wrong and comes with the next step. Nothing is changed and nothing is
    sent. Exit status 1 when anything is wrong.
    """
    settings = load_settings()
    logging.getLogger().addHandler(logging.NullHandler())  # the clients' own complaints: each is a line of ours
    failed = False
    for check in checks(settings, dev=dev):
        failed |= check.status is Status.FAILED
        typer.echo(orjson.dumps(asdict(check)).decode() if as_json else line(check))
    sys.exit(1 if failed else 0)


def checks(settings: Settings, *, dev: bool) -> Iterator[Check]:
    """Every check, in the order of the flow; never raises for what a dependency does."""
    yield Check("program", Status.OK, ", ".join((f"stillwatch {__version__}", *(f"{name} {version(name)}" for name in CLIENTS))))
    yield from risks(settings, dev=dev)
    detect = yield from _kafka(settings, dev=dev)
    yield from _clickhouse(settings)
    yield expectation(settings, detect)
    for endpoint in settings.deliver.webhooks:
        yield _webhook(endpoint)


def _failed(subject: str, error: Exception, next_step: str = "") -> Check:
    if isinstance(error, StillwatchError):
        where = f" [{error.location}]" if error.location else ""
        return Check(subject, Status.FAILED, f"{error.message}{where}", error.next_step or next_step)
    return Check(subject, Status.FAILED, str(error) or type(error).__name__, next_step)


# ---- Kafka


def _kafka(settings: Settings, *, dev: bool) -> Generator[Check, None, DetectSettings]:
    """Everything about Kafka → the detection settings in force, as far as the control topic could be read."""
    reached = False
    for address in settings.kafka.bootstrap_servers.split(","):
        host, port = host_port(address)
        try:
            socket.create_connection((host, port), CONNECT_S).close()
        except OSError as err:
            why = err.strerror or str(err)
            yield Check(f"Kafka {host}:{port}", Status.FAILED, f"does not answer: {why}", "start it, or correct kafka.bootstrap_servers")
        else:
            reached = True
    if not reached:
        yield Check("topics", Status.FAILED, "not checked: no broker answers", "repeat when Kafka answers")
        return settings.detect
    broker = KafkaBroker(settings.kafka)
    try:
        yield Check(f"Kafka {settings.kafka.bootstrap_servers}", Status.OK, broker.describe())
        for finding in describe_topics(broker, settings, dev=dev):
            status = Status.OK if finding.ok else Status.FAILED
            yield Check(f"topic {finding.topic}", status, finding.what, finding.next_step)
    except (StillwatchError, OSError) as error:
        yield _failed("Kafka", error, "check kafka.security_protocol, the certificates and the SASL settings")
        return settings.detect
    yield from _groups(settings)
    return (yield from _tuned(settings, broker))


def _tuned(settings: Settings, broker: KafkaBroker) -> Generator[Check, None, DetectSettings]:
    """What is in force of the settings that change through the log → those of detection, with it."""
    try:
        changes = tunings(settings, broker)
    except StillwatchError as error:
        yield Check("settings in force", Status.WARNING, f"not told: {error.message}")
        return settings.detect
    present = in_force(settings.detect, changes)
    if changes:
        names = sorted({change.setting.value for change in changes})
        yield Check("settings in force", Status.OK, f"changed by `stillwatch tune`: {', '.join(names)}; `stillwatch tune list` shows them")
    return present


def _groups(settings: Settings) -> Iterator[Check]:
    janitor = Janitor(settings.kafka)
    for role, topic in (
        ("ingest", settings.requests_topic),
        ("detect", settings.topic("frames")),
        ("deliver", settings.topic("alerts")),
        ("deliver", settings.topic("rollups")),
    ):
        group = settings.group(role)
        try:
            lag = janitor.lag(group, topic)
        except StillwatchError as error:
            yield Check(f"group {group}", Status.WARNING, f"lag in {topic} not told: {error.message}")
            continue
        if lag.partitions:
            yield Check(f"group {group}", Status.OK, f"{lag.records} records behind in {topic}")
        else:
            yield Check(f"group {group}", Status.WARNING, f"has read nothing of {topic} yet", f"`stillwatch run {role}`")


# ---- ClickHouse


def _clickhouse(settings: Settings) -> Iterator[Check]:
    where = f"ClickHouse {settings.clickhouse.host}:{settings.clickhouse.port}"
    with closing(Admin(settings)) as admin:
        try:
            yield Check(where, Status.OK, f"version {admin.server_version()}")
        except StillwatchError as error:
            yield _failed(where, error, "start it, or correct clickhouse.host, port, username and password")
            return
        try:
            applied, expected = schema_version(admin, settings)
        except StillwatchError as error:
            yield _failed(f"schema {settings.database}", error)
            return
        if applied < expected:
            finding = f"version {applied}, this program needs {expected}" if applied else "does not exist"
            yield Check(f"schema {settings.database}", Status.FAILED, finding, "run `stillwatch init`")
            return
        if applied > expected:
            finding = f"version {applied}, this program knows {expected}"
            yield Check(f"schema {settings.database}", Status.FAILED, finding, "upgrade this program")
            return
        yield Check(f"schema {settings.database}", Status.OK, f"version {applied}")
        yield _writer(admin, settings)
    yield _reader(settings)


def _writer(admin: Admin, settings: Settings) -> Check:
    """Whether the writing user may insert: an insert of no rows is checked like any other and changes nothing."""
    user = f"user {settings.clickhouse.username}"
    try:
        admin.execute(f"INSERT INTO `{settings.database}`.alerts (alert_id) SELECT '' WHERE 0")
    except StillwatchError as error:
        finding = f"may not write (fine for reading, not for deliver): {error.message}"
        return Check(user, Status.WARNING, finding, f"GRANT INSERT ON {settings.database}.* TO {settings.clickhouse.username}")
    return Check(user, Status.OK, "may write")


def _reader(settings: Settings) -> Check:
    user = settings.clickhouse.readonly_username or settings.clickhouse.username
    with closing(Reader(settings, Limits(seconds=5))) as reader:
        try:
            reader.query("SELECT alert_id FROM alerts_latest LIMIT 1")
        except StillwatchError as error:
            return _failed(f"user {user}", error, f"GRANT SELECT ON {settings.database}.* TO {user}")
    how = "its own read-only user" if settings.clickhouse.readonly_username else "the writing user, held to reading by a setting"
    return Check(f"user {user}", Status.OK, f"reads for `query` and `alerts` ({how})")


# ---- webhooks


def _webhook(endpoint: WebhookEndpoint) -> Check:
    """Settings, secret, name and address of an endpoint; nothing is sent."""
    subject = f"webhook {endpoint.name}"
    key = f"deliver.webhooks.{endpoint.name}"
    try:
        WebhookSender(endpoint)
        url = urlsplit(endpoint.url)
        addresses = resolve(url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        allowed = networks(endpoint.allow_networks, f"{key}.allow_networks")
    except (StillwatchError, OSError, ValueError) as error:
        return _failed(subject, error, f"correct {key}.url")
    for address in addresses:
        if why := refusal(address, allowed):
            return Check(subject, Status.FAILED, f"{url.hostname} is {address}, refused: {why}", f"{key}.allow_networks can allow it")
    return Check(subject, Status.OK, f"{url.hostname} is {addresses[0]}; signed")
