"""`stillwatch init`: topics and ClickHouse migrations; and `--reset-state`, which starts detection afresh."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.base.settings import load_settings
from pipeline.ports import logs
from pipeline.ports.clickhouse import Admin
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.kafka_admin import Janitor
from pipeline.ports.migrations import migrate, schema_version
from pipeline.ports.topics import ensure_topics, topic_specs

if TYPE_CHECKING:
    from pipeline.base.settings import Settings

RESET_TOPICS = ("frames", "state")
RESET_ROLES = ("ingest", "detect")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("init")(init)


def init(
    dev: Annotated[bool, typer.Option("--dev", help="One broker: replication 1; makes the requests topic too when it is missing.")] = False,
    reset_state: Annotated[
        bool,
        typer.Option("--reset-state", help="Delete and recreate frames and model state of this prefix: after a recreated requests topic."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --reset-state deletes.")] = False,
) -> None:
    """Create the topics and bring ClickHouse to this version's schema. Idempotent: what is there stays as it is.

    With --reset-state, workers of ingest and detect must be stopped: ingest then reads the requests topic from its
    oldest record, and every account is new. Alerts, dead letters and hourly sums that were delivered stay in ClickHouse.
    """
    settings = load_settings()
    logs.configure(settings.log.model_copy(update={"level": "error"}))
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)  # the client's own complaints: what they mean is one line of ours
    broker = KafkaBroker(settings.kafka)
    broker.describe()  # who is refused hears it before anything is deleted
    if reset_state:
        _reset(settings, yes=yes)
    typer.echo(f"Kafka {settings.kafka.bootstrap_servers}")
    created = set(ensure_topics(broker, settings, dev=dev))
    for spec in topic_specs(settings, dev=dev):
        verdict = "created" if spec.name in created else "was there"
        typer.echo(f"  {verdict:9} {spec.name}" + (f" ({_partitions(spec.partitions)})" if spec.name in created else ""))
    if not dev and broker.topic(settings.requests_topic) is None:
        typer.echo(f"  missing   {settings.requests_topic}: the gateways' topic, yours to make (ingest waits for it)")
    admin = Admin(settings)
    typer.echo(f"ClickHouse {settings.clickhouse.host}:{settings.clickhouse.port}, database {settings.database}")
    done = migrate(admin, settings)
    for line in done:
        typer.echo(f"  {line}")
    if not done:
        typer.echo(f"  was there schema version {schema_version(admin, settings).applied}")
    admin.close()


def _partitions(count: int) -> str:
    return "1 partition" if count == 1 else f"{count} partitions"


def _reset(settings: Settings, *, yes: bool) -> None:
    """Forget frames, state, and the positions of those who write them.

    The groups go first: the cluster refuses while they have members, so nothing is pulled from under a running worker.
    State alone would not do: frames of the old source would be applied again, and refused again.
    """
    topics = [settings.topic(name) for name in RESET_TOPICS]  # type: ignore[arg-type]  # two of topic()'s literals
    groups = [settings.group(role) for role in RESET_ROLES]
    if not yes:
        typer.confirm(f"Delete every record of {' and '.join(topics)} on {settings.kafka.bootstrap_servers}?", abort=True)
    janitor = Janitor(settings.kafka)
    for group in groups:
        verdict = "forgotten" if janitor.delete_group(group) else "unknown"
        typer.echo(f"  {verdict} group {group}")
    for topic in topics:
        verdict = "deleted" if janitor.delete_topic(topic) else "absent"
        typer.echo(f"  {verdict} {topic}")
