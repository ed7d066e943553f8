"""`stillwatch simulate`: seeded traffic, into a file or into Kafka, with the truth beside it."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.base.errors import SettingsError
from pipeline.base.settings import load_settings
from pipeline.base.times import DAY_MS
from pipeline.lab.simulate import (
    ATTACK_KINDS,
    Faults,
    Label,
    Scenario,
    Tally,
    encode_label,
    labels,
    labels_file,
    open_output,
    parse_attackers,
    publish,
)
from pipeline.lab.simulate import simulate as play
from pipeline.ports.kafka import KafkaProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PROGRESS_EVERY = 2_000

_err = Console(stderr=True, highlight=False)


def _say(line: str) -> None:
    _err.print(line, soft_wrap=True, markup=False)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("simulate")(simulate)


def simulate(
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", help="Write NDJSON here; .gz and .zst compress, - is standard output. Labels go to FILE.labels.ndjson."
        ),
    ] = "",
    produce: Annotated[bool, typer.Option("--produce", help="Send to the requests topic of the settings, keyed by account.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same options and same --end: same bytes. Random, and printed, unless given.")
    ] = None,
    days: Annotated[float, typer.Option(help="Length in event time, days.")] = 5.0,
    accounts: Annotated[int, typer.Option(help="Benign accounts; attackers come on top.")] = 300,
    events_per_day: Annotated[
        float, typer.Option(help="Requests per benign account and day, on average; heavy-tailed over accounts.")
    ] = 200.0,
    attackers: Annotated[
        str,
        typer.Option(
            help="`all`, `none`, or KIND[:requests=N][:share=S][:account=new|aged][:timing=human|flat], by commas. "
            f"Kinds: {', '.join(ATTACK_KINDS)}."
        ),
    ] = "all",
    end: Annotated[str, typer.Option(help="Event time of the end: now, an ISO 8601 time (UTC unless it says), or Unix ms.")] = "now",
    duplicates: Annotated[float, typer.Option(help="Share of events sent a second time, byte for byte.")] = 0.0,
    late: Annotated[float, typer.Option(help="Share of events that arrive minutes to two days after their time.")] = 0.0,
    rekeyed: Annotated[float, typer.Option(help="Share of events whose Kafka key is not the account.")] = 0.0,
    conflicts: Annotated[float, typer.Option(help="Share of events followed by other content under the same event_id.")] = 0.0,
    bad: Annotated[float, typer.Option(help="Share of events followed by a record that must be refused.")] = 0.0,
    rate: Annotated[float | None, typer.Option(help="With --produce: at most so many records per second.")] = None,
    speedup: Annotated[
        float | None, typer.Option(help="With --produce: at most so many seconds of event time per second; 1 is live.")
    ] = None,
    labels_out: Annotated[str, typer.Option("--labels", help="Write the labels here instead.")] = "",
) -> None:
    """Play days of traffic of a model API: customers of every habit, and attackers among them.

    Sixteen kinds of benign accounts (chat products, evaluation suites, CI agents, support bots, backfills, audit apps …)
    draw from the same ids, addresses, agents and latencies as the attackers. The labels file tells which account did what:
    kind, archetype, first and last attack request, how many, which share.

    Examples:
      stillwatch simulate --out day.ndjson.zst --days 1 --seed 7

      stillwatch simulate --out - --attackers none | head

      stillwatch simulate --produce --speedup 3600

      stillwatch simulate --out t.ndjson --attackers probing:account=new,bulk_extraction:requests=900:share=.3
    """
    if bool(out) == produce:
        raise SettingsError("simulate: nowhere to write to, or two places", next_step="give either --out FILE or --produce")
    if not produce and (rate is not None or speedup is not None):
        raise SettingsError("--rate and --speedup pace --produce; a file is written at once")
    for name, value in (("--rate", rate), ("--speedup", speedup)):
        if value is not None and value <= 0:
            raise SettingsError(f"{name}={value}: allowed is more than 0")
    end_ms = _parse_time(end)
    scenario = Scenario(
        seed=secrets.randbits(32) if seed is None else seed,
        start_ms=end_ms - int(days * DAY_MS),
        days=days,
        accounts=accounts,
        requests_per_account_day=events_per_day,
        attacks=parse_attackers(attackers),
        faults=Faults(duplicates=duplicates, late=late, rekeyed=rekeyed, conflicts=conflicts, bad=bad),
    )
    _say(f"seed {scenario.seed}, {days:g} days up to {_when(end_ms)} (the same again: --seed {scenario.seed} --end {end_ms})")
    truth = labels(scenario)
    begun = time.monotonic()
    with _progress(sum(label.requests for label in truth)) as report:
        tally = _to_kafka(scenario, rate, speedup, report) if produce else _to_file(scenario, out, report)
    _summary(tally, truth, time.monotonic() - begun)
    place = labels_out or (labels_file(out) if out and out != "-" else "")
    if place:
        with open_output(place) as file:
            for label in truth:
                file.write(encode_label(label))
        _say(f"labels: {place}")


def _parse_time(text: str) -> int:
    if text == "now":
        return time.time_ns() // 1_000_000
    if text.isdigit():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"--end {text}: allowed are now, an ISO 8601 time, Unix ms") from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Tally, int], None]]:
    """A bar on standard error (nothing where that is no terminal)."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=_err, disable=not _err.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda tally, at_ms: bar.update(task, completed=tally.counted, description=f"event time {_when(at_ms)}")


def _to_file(scenario: Scenario, out: str, report: Callable[[Tally, int], None]) -> Tally:
    tally = Tally()
    with open_output(out) as file:
        for event in play(scenario):
            file.write(event.raw)
            file.write(b"\n")
            tally.add(event)
            if tally.records % _PROGRESS_EVERY == 0:
                report(tally, event.occurred_at_ms)
    return tally


def _to_kafka(scenario: Scenario, rate: float | None, speedup: float | None, report: Callable[[Tally, int], None]) -> Tally:
    settings = load_settings()
    producer = KafkaProducer(settings.kafka)
    _say(f"to {settings.requests_topic} on {settings.kafka.bootstrap_servers}")
    return publish(play(scenario), producer, settings.requests_topic, rate=rate, speedup=speedup, on_progress=report)


def _summary(tally: Tally, truth: list[Label], seconds: float) -> None:
    _say(f"{tally.records:,} records in {seconds:.1f} s: {tally.counted:,} events that count, {tally.attack:,} of them attack requests")
    faults = {
        "sent twice": tally.duplicates,
        "late": tally.late,
        "re-keyed": tally.rekeyed,
        "same id, other content": tally.conflicts,
    }
    for name, count in {**faults, **{f"to be refused, {reason}": n for reason, n in sorted(tally.rejected.items())}}.items():
        if count:
            _say(f"  {count:,} {name}")
    for label in truth:
        if label.attack_start_ms is not None and label.attack_end_ms is not None:
            how = (
                f"{label.attack_requests:,} requests, {label.share:.0%} of what the account does meanwhile, {label.account}, {label.timing}"
            )
            _say(f"  {label.account_id} {label.label}: {how}, {_when(label.attack_start_ms)} to {_when(label.attack_end_ms)}")
