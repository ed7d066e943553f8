"""The topics of `stillwatch init`: what each is created with, and what `doctor` finds wrong with one that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from pipeline.base.errors import LineageError
from pipeline.base.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.base.settings import Settings
    from pipeline.ports.broker import TopicInfo

WEEK_MS = 7 * DAY_MS
MAX_MESSAGE_BYTES = 1_048_588
"""Kafka's own default, written out so that a cluster-wide lower default does not apply."""
SIDE_PARTITIONS = 4
"""Partitions of evidence, dead letters and outbox: small streams."""
CONTROL_PARTITIONS = 1
"""People's decisions are few, and one partition keeps them in the order in which they were made."""
FOR_GOOD = -1
"""Retention of the control topic: it is the record of who decided what."""
REQUESTS_PARTITIONS = 8
"""Partitions of the requests topic when `init --dev` makes it; in production it is the user's."""


class TopicSpec(NamedTuple):
    """How a topic is created. `config` holds broker settings by their Kafka names."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


class TopicFinding(NamedTuple):
    """One thing `doctor` says about a topic: `ok`, or what is wrong and what to do next."""

    topic: str
    ok: bool
    what: str
    next_step: str = ""


class TopicAdmin(Protocol):
    """What this file needs of a broker; `ports.kafka.KafkaBroker` has it."""

    def topic(self, name: str) -> TopicInfo | None:
        """Describe a topic, None when absent."""
        ...

    def topic_config(self, name: str) -> Mapping[str, str]:
        """Its configuration."""
        ...

    def create(self, spec: TopicSpec) -> bool:
        """Create it; False when it was there."""
        ...


def topic_specs(settings: Settings, *, dev: bool = False) -> list[TopicSpec]:
    """Every topic of ours, as `init` creates it.

    Args:
        settings: prefix, frames partitions, replication.
        dev: one broker: replication 1; the requests topic is made as well.
    """
    kafka = settings.kafka
    replicas = 1 if dev else kafka.replication_factor
    common = {
        "min.insync.replicas": str(1 if dev else min(kafka.min_insync_replicas, replicas)),
        "unclean.leader.election.enable": "false",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    }
    deleted = {**common, "cleanup.policy": "delete", "retention.ms": str(WEEK_MS)}
    compacted = {**common, "cleanup.policy": "compact"}
    state = {**compacted, "segment.bytes": str(128 * 2**20), "min.cleanable.dirty.ratio": "0.2"}
    kept = {**deleted, "retention.ms": str(FOR_GOOD), "message.timestamp.type": "LogAppendTime"}
    many = kafka.frames_partitions
    specs = [
        TopicSpec(settings.topic("frames"), many, replicas, deleted),
        TopicSpec(settings.topic("state"), many, replicas, state),
        TopicSpec(settings.topic("alerts"), many, replicas, deleted),
        TopicSpec(settings.topic("rollups"), many, replicas, deleted),
        TopicSpec(settings.topic("evidence"), SIDE_PARTITIONS, replicas, deleted),
        TopicSpec(settings.topic("deadletter"), SIDE_PARTITIONS, replicas, deleted),
        TopicSpec(settings.topic("risk"), many, replicas, compacted),
        TopicSpec(settings.topic("outbox"), SIDE_PARTITIONS, replicas, compacted),
        TopicSpec(settings.topic("control"), CONTROL_PARTITIONS, replicas, kept),
    ]
    if dev:
        specs.append(TopicSpec(settings.requests_topic, REQUESTS_PARTITIONS, replicas, deleted))
    return specs


def ensure_topics(admin: TopicAdmin, settings: Settings, *, dev: bool = False) -> list[str]:
    """Create what is missing; idempotent.

    Returns:
        Names of the topics created by this call.

    Raises:
        LineageError: one of ours exists with another partition count (nothing was created then).
        UnavailableError: the cluster does not answer.
        DependencyError: the cluster refuses.
    """
    specs = topic_specs(settings, dev=dev)
    found = {spec.name: admin.topic(spec.name) for spec in specs}
    for spec in specs:
        info = found[spec.name]
        if info is not None and info.partitions != spec.partitions and spec.name != settings.requests_topic:
            raise LineageError(
                f"{spec.name} has {info.partitions} partitions, the settings ask for {spec.partitions}: accounts would move "
                "between partitions and leave their state behind",
                location=spec.name,
                next_step=f"set kafka.frames_partitions back to {info.partitions}, or start afresh under a new prefix"
                if spec.partitions == settings.kafka.frames_partitions
                else "start afresh under a new prefix",
            )
    return [spec.name for spec in specs if found[spec.name] is None and admin.create(spec)]


def describe_topics(admin: TopicAdmin, settings: Settings, *, dev: bool = False) -> list[TopicFinding]:
    """What `doctor` says about each topic: one finding per problem, or one that says ok."""
    findings: list[TopicFinding] = []
    specs = topic_specs(settings, dev=dev)
    for spec in specs:
        if spec.name != settings.requests_topic:
            findings += _check(admin, spec)
    requests = admin.topic(settings.requests_topic)
    findings.append(
        TopicFinding(settings.requests_topic, ok=True, what=f"{requests.partitions} partitions, id {requests.topic_id}")
        if requests is not None
        else TopicFinding(settings.requests_topic, ok=False, what="does not exist", next_step="create it, or run `stillwatch init --dev`")
    )
    return findings


def _check(admin: TopicAdmin, spec: TopicSpec) -> list[TopicFinding]:
    info = admin.topic(spec.name)
    if info is None:
        return [TopicFinding(spec.name, ok=False, what="does not exist", next_step="run `stillwatch init`")]
    problems = []
    if info.partitions != spec.partitions:
        problems.append(
            TopicFinding(
                spec.name,
                ok=False,
                what=f"{info.partitions} partitions, the settings ask for {spec.partitions}",
                next_step=f"set kafka.frames_partitions to {info.partitions}, or use a new prefix",
            )
        )
    if info.replication_factor < spec.replication_factor:
        problems.append(
            TopicFinding(
                spec.name,
                ok=False,
                what=f"replication factor {info.replication_factor}, wanted at least {spec.replication_factor}",
                next_step="raise it with kafka-reassign-partitions, or lower kafka.replication_factor",
            )
        )
    actual = admin.topic_config(spec.name)
    for key, wanted in spec.config.items():
        value = actual.get(key)
        if value is not None and not _good(key, value, wanted):  # a broker that does not tell (Tansu) is not blamed
            problems.append(
                TopicFinding(
                    spec.name,
                    ok=False,
                    what=f"{key}={value}, wanted {wanted}",
                    next_step=f"kafka-configs --alter --topic {spec.name} --add-config {key}={wanted}",
                )
            )
    return problems or [TopicFinding(spec.name, ok=True, what=f"{info.partitions} partitions, replication {info.replication_factor}")]


def _good(key: str, value: str, wanted: str) -> bool:
    if key in ("retention.ms", "max.message.bytes", "min.insync.replicas"):
        return int(value) == FOR_GOOD or 0 <= int(wanted) <= int(value)
    if key == "segment.bytes":
        return int(value) <= int(wanted)
    if key == "min.cleanable.dirty.ratio":
        return float(value) <= float(wanted)
    return value == wanted
