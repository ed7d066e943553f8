"""What `feedback`, `declare` and `tune` share: who decides, writing to the control topic, finding what is to be revoked."""

from __future__ import annotations

import getpass
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from typer.core import TyperGroup

from pipeline.base.errors import SettingsError
from pipeline.base.times import DAY_MS
from pipeline.cli.reading import NOT_FOUND, USAGE, complain, reading
from pipeline.cli.stored import own_topic
from pipeline.events.control import MAX_NOTE, Revocation, complaint_about, decode_control, encode_control, key_of
from pipeline.ports.kafka import KafkaBroker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.base.settings import Settings
    from pipeline.events.control import Control

FLUSH_S = 30.0
_AHEAD = re.compile(r"(\d{1,4})\s*([hd])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

By = Annotated[str, typer.Option("--by", help="Who decides; default: the user who runs this.", show_default=False)]
Why = Annotated[str, typer.Option("--note", help=f"Why, for whoever reads it later; at most {MAX_NOTE} characters.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, one object per line.")]
Everything = Annotated[bool, typer.Option("--all", help="Also what is revoked or over.")]


class GivingGroup(TyperGroup):
    """A group whose verb may be left out: what does not begin with one of its verbs is given to `give`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer does not export its context's base class
        """Put the verb where it was left out."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["give", *args]
        return super().parse_args(ctx, args)


def who(by: str) -> str:
    """The name that the record carries.

    Raises:
        SettingsError: the system does not know who runs this.
    """
    try:
        return by or getpass.getuser()
    except (OSError, KeyError):
        raise SettingsError("nobody is named as deciding", next_step="give --by NAME") from None


def now_ms() -> int:
    """Wall-clock time, for the record."""
    return time.time_ns() // 1_000_000


def until_ms(text: str, now: int) -> int:
    """A point in time to come: `90d`, `12h`, a UTC date (that day included) or a UTC time → Unix time, ms.

    Raises:
        typer.BadParameter: it is neither.
    """
    text = text.strip()
    if ahead := _AHEAD.fullmatch(text):
        return now + int(ahead[1]) * (DAY_MS if ahead[2] == "d" else DAY_MS // 24)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a time to come (90d, 12h) nor a UTC date or time (2026-12-31)") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int((at + timedelta(days=1) if _DATE.fullmatch(text) else at).timestamp() * 1_000)


def send(settings: Settings, records: Sequence[Control]) -> None:
    """Write decisions to the control topic and wait until they are durable.

    Raises:
        SettingsError: one is not what ingest would accept.
        DependencyError: there is no control topic.
        UnavailableError: the cluster does not take them.
    """
    for record in records:
        try:
            wrong = complaint_about(decode_control(encode_control(record)))
        except msgspec.DecodeError as err:
            raise SettingsError(str(err)) from None
        if wrong is not None:
            raise SettingsError(f"{wrong[2].removeprefix('$.')}: {wrong[1]}")
    broker = KafkaBroker(settings.kafka)
    topic = own_topic(settings, broker, "control")
    producer = broker.producer()
    for record in records:
        producer.send(topic.name, encode_control(record), key=key_of(record))
    producer.flush(FLUSH_S)


def revoke(settings: Settings, what: str, view: str, control_id: str, by: str, note: str) -> None:
    """Take back the decision that begins with `control_id`; ends the command when there is none or several."""
    sql = f"SELECT {what}_id, account_id FROM {view} WHERE startsWith({what}_id, {{id:String}}) AND in_force ORDER BY {what}_id, account_id"  # noqa: S608 - both names are ours
    with reading() as reader:
        rows = reader.query(sql, {"id": control_id}, rows=10_000).rows
    ids = sorted({str(row[0]) for row in rows})
    if not ids or not control_id:
        complain(f"no {what} {control_id!r} is in force; `stillwatch {'feedback' if what == 'feedback' else 'declare'} list` shows what is")
        raise typer.Exit(NOT_FOUND)
    if len(ids) > 1:
        complain(f"{control_id!r} is the beginning of several: {', '.join(ids[:5])}{', …' if len(ids) > 5 else ''}")
        raise typer.Exit(USAGE)
    at, name = now_ms(), who(by)
    records = [Revocation(control_id=ids[0], account_id=str(row[1]), issued_at_ms=at, issued_by=name, note=note) for row in rows]
    send(settings, records)
    typer.echo(f"revoked {ids[0]} for {', '.join(record.account_id for record in records[:5])}{', …' if len(records) > 5 else ''}")
