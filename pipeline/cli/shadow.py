"""`stillwatch shadow --budget B`: what another alert budget would have raised over the stored frames."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.base.errors import StillwatchError
from pipeline.base.settings import load_settings
from pipeline.base.times import DAY_MS
from pipeline.cli.frames import stored_frames
from pipeline.cli.reading import complain, write_table
from pipeline.cli.since import since_ms, written
from pipeline.cli.stored import own_topic
from pipeline.cli.tuned import in_force, tunings
from pipeline.cli.warm import compile_first
from pipeline.ports.clickhouse import Limits, Reader
from pipeline.ports.kafka import KafkaBroker

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.base.settings import DetectSettings, Settings
    from pipeline.lab.shadow import Raised, Shadow

SHOWN = 20
STORED_SQL = """
SELECT kind, toUnixTimestamp64Milli(raised_at) AS raised_at_ms
FROM alerts FINAL
WHERE state = 'opened' AND raised_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    AND raised_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
"""
COLUMNS = ("raised_at", "account", "kind", "severity", "headline")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("shadow")(shadow)


def shadow(
    budget: Annotated[float, typer.Option("--budget", help="Alert budget to try: false alerts per 1,000 active account-days.")],
    since: Annotated[str, typer.Option("--since", help="Compare alerts raised since (event time): 24h, 7d, or a UTC time.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: counts by kind and day, and each difference.")] = False,
) -> None:
    """Show what another alert budget would have raised over the stored frames. Reads only.

    The frames topic is replayed from its oldest frame through the same core as the workers', at the present budget and at the other
    one, decisions included; the difference is by kind, by day and by alert. Beside it stands what the alerts table holds for the same
    time: where the topic has lost its beginning to retention, a replay knows less of each account's past than the workers did.
    """
    settings = load_settings()
    asked = {"alert_budget": str(budget)}
    settings.detect.tuned(asked)  # a budget that is none is told before anything is read
    from pipeline.lab.shadow import Shadow  # noqa: PLC0415 - River and the kernels: seconds that no other verb should pay

    broker = KafkaBroker(settings.kafka)
    topic = own_topic(settings, broker, "frames")
    present = in_force(settings.detect, tunings(settings, broker))
    other = present.tuned(asked)
    compile_first(settings)
    run = Shadow(present, other, topic.partitions, topic.topic_id)
    with _progress() as progress:
        task = progress.add_task("frames", total=None)
        done = ahead = 0
        for stored in stored_frames(settings, "shadow", topic, broker):
            if stored.frame is None:
                run.forget(stored.partition)
                done, ahead = done + stored.end, 0
                continue
            run.feed(stored.partition, stored.offset, stored.frame)
            ahead = max(ahead, stored.end)
            total = done + ahead if stored.partition + 1 == topic.partitions else None  # the others' ends are not known yet
            progress.update(task, completed=done + stored.offset + 1, total=total)
    start_ms = max(since_ms(since), run.first_ms)
    report = _report(run, present, other, start_ms, _stored(settings, start_ms, run.latest_ms + 1))
    if as_json:
        typer.echo(orjson.dumps(report).decode())
    else:
        _show(report)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _stored(settings: Settings, since: int, until: int) -> list[tuple[str, int]] | None:
    """(kind, day) of each alert in the table, None when ClickHouse does not answer: the replays are compared all the same."""
    reader = Reader(settings, Limits(rows=1_000_000))
    try:
        rows = reader.query(STORED_SQL, {"since": since, "until": until}).rows
    except StillwatchError as err:
        complain(f"the alerts table is left out: {err.message}")
        return None
    finally:
        reader.close()
    return [(str(kind), int(at) // DAY_MS) for kind, at in rows]


def _report(
    run: Shadow, present: DetectSettings, other: DetectSettings, since: int, stored: list[tuple[str, int]] | None
) -> dict[str, Any]:
    found = run.difference(since)
    active = run.active_accounts(since)
    per_day = sum(active.values()) / max(len(active), 1)

    def counts(of: Callable[[Raised], str], stored_by: Counter[str] | None) -> list[dict[str, Any]]:
        sides = {name: Counter(map(of, side)) for name, side in found._asdict().items()}
        names = sorted(set().union(*sides.values(), stored_by or ()))
        return [
            {"name": name, "stored": None if stored_by is None else stored_by[name], **{side: c[name] for side, c in sides.items()}}
            for name in names
        ]

    return {
        "since": written(since),
        "from_the_start": run.from_the_start,
        "active_accounts_per_day": round(per_day, 1),
        "budget": {"present": present.alert_budget, "other": other.alert_budget},
        "false_alerts_per_day_at_most": {
            "present": round(present.promised_a_day(per_day), 3), "other": round(other.promised_a_day(per_day), 3),
        },
        "kinds": counts(lambda r: r.opened.kind.value, None if stored is None else Counter(kind for kind, _ in stored)),
        "days": counts(lambda r: _day(r.day), None if stored is None else Counter(_day(day) for _, day in stored)),
        "newly": list(map(_alert, found.newly)),
        "gone": list(map(_alert, found.gone)),
    }  # fmt: skip


def _alert(raised: Raised) -> dict[str, Any]:
    a = raised.opened
    return {
        "raised_at": written(a.raised_at_ms),
        "account": a.subject_id,
        "kind": a.kind.value,
        "severity": a.severity,
        "headline": a.headline,
    }


def _day(day: int) -> str:
    return written(day * DAY_MS)[:10]


def _show(report: dict[str, Any]) -> None:
    present, other = report["budget"]["present"], report["budget"]["other"]
    most = report["false_alerts_per_day_at_most"]
    typer.echo(
        f"Since {report['since']}, {report['active_accounts_per_day']:,g} active accounts a day: at most {most['present']:g} false alerts "
        f"a day are promised at budget {present:g}, {most['other']:g} at {other:g}.\n"
    )
    titles = ("in the table", f"replay at {present:g}", f"replay at {other:g}", "newly raised", "no longer raised")
    for what in ("kind", "day"):
        rows = [[row["name"], *(row[side] for side in ("stored", "before", "after", "newly", "gone"))] for row in report[f"{what}s"]]
        write_table((what, *titles), rows)
        typer.echo("")
    for title, alerts in (("Newly raised", report["newly"]), ("No longer raised", report["gone"])):
        if alerts:
            typer.echo(f"{title}:")
            write_table(COLUMNS, [[alert[column] for column in COLUMNS] for alert in alerts[:SHOWN]])
            typer.echo(f"… and {len(alerts) - SHOWN} more; --json lists them\n" if len(alerts) > SHOWN else "")
    typer.echo(f"`stillwatch tune alert_budget {other:g}` brings it into force.")
    if not report["from_the_start"]:
        complain("the frames topic has lost its beginning: both replays know less of each account's past than the workers did")
