"""`stillwatch calibrate EVENTS`: refit the prior to your own history, and see what that changes before you use it."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from pipeline.base.errors import SettingsError
from pipeline.base.settings import load_settings
from pipeline.cli.lines import counted, lines, progress_bar
from pipeline.cli.reading import complain, write_table
from pipeline.cli.warm import compile_first
from pipeline.scoring.calibration import Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.lab.calibrate import Calibration
    from pipeline.scoring.prior import Spread

SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("calibrate")(calibrate)


def calibrate(
    events: Annotated[
        str, typer.Argument(help="Request events as NDJSON: a file (.gz and .zst too) or - for standard input.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="The prior file to write.")] = Path("prior.json"),
    as_json: Annotated[bool, typer.Option("--json", help="What changed, as one JSON object.")] = False,
) -> None:
    """Refit what counts as usual to your own history, and print what changes: bars, spreads, alerts per day before and after.

    The history is judged as at present first; accounts that alert in it do not teach. Weeks of ordinary traffic are right, with the
    accounts you know to be abusive left out. `stillwatch tune prior_file FILE` brings the file into force; a new prefix begins with
    the one that detect.prior_file names.
    """
    settings = load_settings()
    if not out.parent.is_dir():
        raise SettingsError(f"--out {out}: no folder {out.parent}")
    from pipeline.lab import calibrate as lab  # noqa: PLC0415 - River and the kernels: seconds that no other verb should pay
    from pipeline.scoring.prior import prior_of, write_prior  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        source = _twice(events, stack)
        with ExitStack() as once:
            lines(source, once)  # a wrong name is told before anything is compiled
        compile_first(settings)
        progress = stack.enter_context(progress_bar())

        def read(what: str) -> Iterator[bytes]:
            return counted(lines(source, stack), progress, progress.add_task(what, total=None))

        found = lab.calibrate(settings, read, time.time_ns() // 1_000_000)
    out.write_bytes(write_prior(found.file))
    report = _report(found, prior_of(settings.detect).features)
    if as_json:
        typer.echo(orjson.dumps({**report, "file": str(out)}).decode())
    else:
        _show(report, found, out)


def _twice(events: str, stack: ExitStack) -> str:
    """A path that can be read twice: standard input goes through a file of its own."""
    if events != "-":
        return events
    kept = tempfile.NamedTemporaryFile(prefix="stillwatch-", suffix=".ndjson")  # noqa: SIM115 - it lives as long as the stack
    stack.enter_context(kept)
    for line in lines("-", stack):
        kept.write(line + b"\n")
    kept.flush()
    return kept.name


def _report(found: Calibration, present: dict[str, Spread]) -> dict[str, Any]:
    moved = sorted(
        (name for name, spread in found.file.features.items() if name in present and spread != present[name]),
        key=lambda name: -_distance(present[name], found.file.features[name]),
    )
    return {
        "lines": found.before.counts.lines,
        "rejected": found.before.counts.rejected,
        "accounts": found.before.accounts,
        "days": found.days,
        "active_accounts_per_day": round(found.active_accounts_per_day, 1),
        "left_out": found.left_out,
        "account_days_counted": found.file.account_days,
        "patient_bar": _bars(found, Measure.PATIENT),
        "sharp_bar": _bars(found, Measure.SHARP),
        "level_bar": _bars(found, Measure.LEVEL),
        "alerts": [len(found.before.alerts), len(found.after.alerts)],
        "alerts_per_day": [round(len(side.alerts) / found.days, 3) for side in (found.before, found.after)],
        "false_alerts_per_day_at_most": round(found.expected_per_day, 3),
        "spreads": [
            {"feature": name, "before": _spread(present[name]), "after": _spread(found.file.features[name])} for name in moved
        ],
    }  # fmt: skip


def _bars(found: Calibration, measure: Measure) -> list[float]:
    return [round(bars.bar(measure), 3) for bars in (found.bars_before, found.bars_after)]


def _distance(before: Spread, after: Spread) -> float:
    """How far the middle 90 % of accounts moved, in widths of what it was."""
    width = max(before.high - before.low, before.within, 1e-9)
    return abs(after.low - before.low) / width + abs(after.high - before.high) / width


def _spread(spread: Spread) -> list[float]:
    return [spread.within, spread.low, spread.high]


def _show(report: dict[str, Any], found: Calibration, out: Path) -> None:
    typer.echo(
        f"{report['lines']:,} lines ({report['rejected']:,} rejected), {report['accounts']:,} accounts, {report['days']:,} days, "
        f"{report['active_accounts_per_day']:,g} active accounts a day."
    )
    if quiet := report["left_out"]:
        typer.echo(f"{len(quiet)} accounts alert at present and taught nothing: {', '.join(quiet[:5])}{', …' if len(quiet) > 5 else ''}")
    typer.echo("")
    rows = [
        ["CHANGE bar (patient)", *report["patient_bar"]],
        ["CHANGE bar (sharp)", *report["sharp_bar"]],
        ["LEVEL bar", *report["level_bar"]],
        ["alerts in this history", *report["alerts"]],
        ["alerts per day", *report["alerts_per_day"]],
    ]
    write_table(("", "before", "after"), rows)
    typer.echo(f"\nAt most {report['false_alerts_per_day_at_most']:g} false alerts a day are promised at the present budget.")
    if found.spreads_kept:
        complain("too few accounts with enough requests: the spreads of features are those of the package")
    elif report["spreads"]:
        typer.echo("\nMost changed (deviation within an account; 5 % to 95 % of accounts):")
        rows = [[s["feature"], _words(s["before"]), _words(s["after"])] for s in report["spreads"][:SHOWN]]
        write_table(("feature", "before", "after"), rows)
    typer.echo(f"\nWritten to {out}. `stillwatch tune prior_file {out}` brings it into force in running workers;")
    typer.echo("what a new prefix begins with, detect.prior_file names.")


def _words(spread: list[float]) -> str:
    return f"{spread[0]:.3g}; {spread[1]:.3g} to {spread[2]:.3g}"
