"""`stillwatch deadletter`: the group of verbs on rejected records; `requeue` sends originals through intake once more."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.base.errors import DependencyError, SettingsError
from pipeline.base.settings import load_settings
from pipeline.cli import deadletter_list
from pipeline.ports.broker import Message, TopicPartition
from pipeline.ports.kafka import KafkaBroker

READ_S = 15.0

app = typer.Typer(no_args_is_help=True, add_completion=False)
deadletter_list.register(app)


@app.command("requeue")
def requeue(
    positions: Annotated[list[str], typer.Argument(help="Originals as TOPIC:PARTITION:OFFSET, as `deadletter list` shows them.")],
) -> None:
    """Read originals back by position and append them to the requests topic again, byte for byte, under their keys.

    For records that were right and met a limit or version that was wrong: fix that first, or they are rejected again.
    A record that counts already is recognised as a repeat.
    """
    settings = load_settings()
    broker = KafkaBroker(settings.kafka)
    wanted = [_position(text) for text in positions]
    for where, _ in wanted:
        if where.topic != settings.requests_topic:
            raise SettingsError(f"{where.topic}: only records of {settings.requests_topic} can be requeued")
    originals = [_original(broker, where, offset) for where, offset in wanted]  # all or none: read before anything is written
    producer = broker.producer()
    for message in originals:
        producer.send(settings.requests_topic, message.value(), key=message.key())
    producer.flush(60)
    typer.echo(f"{len(originals)} appended to {settings.requests_topic}")


def _position(text: str) -> tuple[TopicPartition, int]:
    topic, _, rest = text.partition(":")
    partition, _, offset = rest.partition(":")
    if not (topic and partition.isdigit() and offset.isdigit()):
        raise SettingsError(f"{text!r} is no position", next_step="write TOPIC:PARTITION:OFFSET, as `deadletter list` does")
    return TopicPartition(topic, int(partition)), int(offset)


def _original(broker: KafkaBroker, where: TopicPartition, offset: int) -> Message:
    consumer = broker.consumer("stillwatch.requeue", report_ends=True)
    try:
        consumer.assign({where: offset})
        for message in consumer.read(1, READ_S):
            if message.offset() == offset:
                return message
    finally:
        consumer.close()
    raise DependencyError(
        f"{where.topic}[{where.partition}]@{offset} is not there any more", next_step="retention removed it; ask its sender for it"
    )
