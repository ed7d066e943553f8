"""`stillwatch backtest`: what would have been raised, from a file or from the frames topic."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import orjson
import typer

from pipeline.base.errors import SettingsError
from pipeline.base.settings import load_settings
from pipeline.cli.frames import stored_frames
from pipeline.cli.lines import counted, lines, progress_bar
from pipeline.cli.stored import own_topic
from pipeline.cli.warm import compile_first
from pipeline.events.alert import Alert, encode_alert
from pipeline.ports.kafka import KafkaBroker

if TYPE_CHECKING:
    from pipeline.base.settings import Settings
    from pipeline.intake.validate import Rejection
    from pipeline.lab.backtest import Counts


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("backtest")(backtest)


def backtest(
    events: Annotated[str, typer.Argument(help="Request events as NDJSON: a file (.gz and .zst too) or - for standard input.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for alerts, accounts and rejected lines; made if absent.")] = Path("backtest"),
    partitions: Annotated[int, typer.Option(min=1, max=1024, help="Frames partitions: 1 is what a live run on one partition does.")] = 1,
    frames: Annotated[bool, typer.Option("--frames", help="Replay the frames topic of the configured cluster instead of a file.")] = False,
) -> None:
    """Replay history through the same intake and core as the live workers, without a broker.

    Writes every alert revision to alerts.ndjson, one line per account to accounts.ndjson (highest risk, when the first
    alert came and how much had gone by then), and each refused line with its reason to rejected.ndjson.
    """
    settings = load_settings()
    if bool(events) == frames:
        raise SettingsError("give either EVENTS or --frames", next_step="`stillwatch backtest --help`")
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        alerts = stack.enter_context((out / "alerts.ndjson").open("wb"))
        if frames:
            count = _replay(settings, alerts)
            typer.echo(f"{count:,} alert revisions → {out / 'alerts.ndjson'}")
            return
        rejected = stack.enter_context((out / "rejected.ndjson").open("wb"))
        _run(settings, events, partitions, out, alerts, rejected, stack)


def _run(settings: Settings, events: str, partitions: int, out: Path, alerts: BinaryIO, rejected: BinaryIO, stack: ExitStack) -> None:
    raised = 0

    def on_alert(alert: Alert) -> None:
        nonlocal raised
        raised += alert.state == "opened"
        alerts.write(encode_alert(alert) + b"\n")

    def on_rejection(line: int, rejection: Rejection) -> None:
        reported = {"line": line + 1, "reason": rejection.reason, "json_path": rejection.json_path, "message": rejection.message}
        rejected.write(orjson.dumps({**reported, "size": rejection.size, "sha256": rejection.sha256}) + b"\n")

    from pipeline.lab.backtest import Backtest  # noqa: PLC0415 - River and the kernels: seconds that no other verb should pay

    source = lines(events, stack)
    compile_first(settings)
    started = time.monotonic()
    run = Backtest(settings, partitions, on_alert, on_rejection)
    progress = stack.enter_context(progress_bar())
    task = progress.add_task("events", total=None)
    run.feed(counted(source, progress, task), int(time.time() * 1000))
    counts = run.finish()
    with (out / "accounts.ndjson").open("wb") as accounts:
        for account in run.accounts():
            accounts.write(orjson.dumps(account._asdict()) + b"\n")
    took = time.monotonic() - started
    typer.echo(
        f"{counts.lines:,} lines in {took:.1f} s ({counts.lines / max(took, 1e-9):,.0f}/s): {counts.applied:,} events, "
        f"{counts.duplicates:,} repeats, {counts.rejected:,} rejected; {raised:,} alerts → {out}"
    )
    if untold := _untold(counts):
        typer.echo(untold)


def _untold(counts: Counts) -> str:
    """What most events do not tell, in a sentence; empty: nothing."""
    events = counts.applied + counts.duplicates
    words = {"prompt": "prompts", "origin": "keys, addresses, networks, agents or countries", "sign_up": "sign-up times"}
    seldom = [f"{words[sort]} ({told / events:.0%} of events)" for sort, told in counts.told.items() if 2 * told < events]
    if not seldom:
        return ""
    return f"Seldom told: {'; '.join(seldom)}. What needs them cannot be seen: docs/evaluation.md says how much is found without."


def _replay(settings: Settings, alerts: BinaryIO) -> int:
    """Every alert revision of one pass over the frames topic, from its oldest frame to its end now."""
    from pipeline.accounts.book import Book  # noqa: PLC0415 - as above

    broker = KafkaBroker(settings.kafka)
    topic = own_topic(settings, broker, "frames")
    compile_first(settings)
    book = Book(0, topic.partitions, settings.detect, topic.topic_id)
    count = 0
    for stored in stored_frames(settings, "backtest", topic, broker):
        if stored.frame is None:
            continue
        if stored.partition != book.partition or book.applied < 0:
            book = Book(stored.partition, topic.partitions, settings.detect, topic.topic_id)
            book.begin(stored.offset)
        for alert in book.step(stored.offset, stored.frame).alerts:
            alerts.write(encode_alert(alert) + b"\n")
            count += 1
    return count
