"""`stillwatch evaluate`: how often it is wrong, how much it finds, beside what a team would have instead."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.base.errors import SettingsError
from pipeline.base.settings import DetectSettings
from pipeline.base.times import HOUR_MS
from pipeline.lab.evaluate.split import Split
from pipeline.lab.worlds.authors import AUTHORS, FIRST_SEED, SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_err = Console(stderr=True, highlight=False)
_OUT = Path("evaluation")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    evaluate = typer.Typer(no_args_is_help=True, help="Measure detection: false alerts, recall, delay, fairness, beside baselines.")
    evaluate.command("run")(run)
    evaluate.command("report")(report)
    evaluate.command("list")(list_)
    evaluate.command("windows")(windows)
    evaluate.command("ablate")(ablate)
    evaluate.command("worlds")(worlds)
    app.add_typer(evaluate, name="evaluate")


def run(
    workload: Annotated[
        list[str] | None, typer.Option("--workload", "-w", help="Permanent id (`evaluate list`); repeat for several.")
    ] = None,
    split: Annotated[Split, typer.Option(help="Which half of tenants, texts, templates and archetypes to play.")] = Split.JUDGE,
    budget: Annotated[
        list[float] | None,
        typer.Option("--budget", "-b", help="alert_budget to run with; repeat to compare. The first also tunes baselines."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the public data sets; without it the parametric generator plays.")] = None,
    out: Annotated[Path, typer.Option(help="Results; a second run takes up what is there and still holds.")] = _OUT,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    shards: Annotated[int, typer.Option(min=0, help="At most so many populations of each workload; 0: all.")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="Begin no new population after so long; 0: no limit.")] = 0.0,
    teach: Annotated[bool, typer.Option(help="Also tuned baselines, the oracle and the generator's probe (extra `evaluate`).")] = True,
    forests: Annotated[
        bool, typer.Option(help="Also River half-space trees and random cut forests per account (slow, on a subsample).")
    ] = True,
    raw: Annotated[bool, typer.Option(help="Also with cooldown off, on every fourth population.")] = True,
) -> None:
    """Play workloads and count, by the rules of docs/evaluation.md.

    Without --workload: the judge suite (standard, every tenant unmodified, the swap tests). A judge run adds a line to the
    tracked ledger, because every look at the judge half costs some of its worth; tune on --split tune.

    Examples:
      stillwatch evaluate run --workload smoke --no-teach

      stillwatch evaluate run --split tune --data DIR --shards 2

      stillwatch evaluate run --data DIR --budget 1 --budget 10
    """
    budgets = tuple(budget or (1.0,))
    if min(budgets) <= 0:
        raise SettingsError(f"--budget {min(budgets):g}: allowed is more than 0")
    from pipeline.lab.evaluate import closing, suite, workloads  # noqa: PLC0415 - seconds that no other verb should pay
    from pipeline.lab.evaluate.run import Order  # noqa: PLC0415 - as above

    order = Order(
        out=out,
        workloads=tuple(workload or workloads.JUDGE_SUITE),
        split=split,
        budgets=budgets,
        data=data,
        jobs=jobs,
        raw=raw,
        teach=teach,
        forests=forests,
        shards=shards,
        minutes=minutes,
    )
    begun = time.monotonic()
    with _progress() as tell:
        figures, outcome = suite.play(order, tell)
    _write(out, figures)
    typer.echo(closing.closing(figures))
    _err.print(
        f"{outcome.fresh} populations played in {time.monotonic() - begun:.0f} s, {out / 'report.html'} and {out / 'report.json'} written"
    )
    if outcome.skipped:
        _err.print(f"{outcome.skipped} populations left out by --minutes: the same command goes on with them")
    place = suite.record(order, figures, outcome, datetime.now(UTC).isoformat(timespec="seconds"))
    if place is not None:
        _err.print(f"judge run recorded in {place}")


def report(out: Annotated[Path, typer.Option(help="Where `run` left its results.")] = _OUT) -> None:
    """Write report.html and report.json again from the results of the last run."""
    from pipeline.lab.evaluate import closing, suite  # noqa: PLC0415 - as in `run`

    figures = suite.read_run(out)
    _write(out, figures)
    typer.echo(closing.closing(figures))


def list_() -> None:
    """List workloads with their permanent ids."""
    from pipeline.lab.evaluate.workloads import WORKLOADS  # noqa: PLC0415 - as in `run`

    for w in WORKLOADS.values():
        shards = "per tenant" if w.id == "tenants" else f"{w.shards[0]}/{w.shards[1]}"
        typer.echo(f"{w.id:32} {shards:>10}  {w.meaning}")
    typer.echo("\nSecond column: populations in the tune and the judge half.")


def windows(
    data: Annotated[Path | None, typer.Option(help="Folder with the public data sets; without it generated texts.")] = None,
    split: Annotated[Split, typer.Option(help="Which half of the text groups.")] = Split.JUDGE,
    out: Annotated[Path, typer.Option(help="Results.")] = _OUT,
    per_group: Annotated[int, typer.Option(min=20, help="Benign windows per group and size.")] = 1_000,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Window statistics by the protocol of arXiv 2606.05725: ours beside MMD on the same embedding.

    Windows of 100, 200 and 1,500 prompts, attacker shares of 5 to 100 %; false positives for every benign group on its own.
    """
    from pipeline.lab.evaluate import closing, protocol, report  # noqa: PLC0415 - as in `run`

    with _progress() as tell:
        found = protocol.windows(protocol.WindowOrder(data=data, split=split, per_group=per_group, jobs=jobs), tell)
    out.mkdir(parents=True, exist_ok=True)
    (out / "windows.json").write_bytes(report.encode_figures(found))
    typer.echo(closing.windows_closing(found))
    _err.print(f"{out / 'windows.json'} written; `evaluate report` shows it beside the rest")


def ablate(
    workload: Annotated[
        list[str] | None, typer.Option("--workload", "-w", help="Permanent id (`evaluate list`); repeat for several. Default: standard.")
    ] = None,
    split: Annotated[Split, typer.Option(help="Which half to play; a look at the judge half is recorded.")] = Split.TUNE,
    budget: Annotated[float, typer.Option("--budget", "-b", help="alert_budget to run with.")] = 1.0,
    data: Annotated[Path | None, typer.Option(help="Folder with the public data sets; without it the parametric generator plays.")] = None,
    out: Annotated[Path, typer.Option(help="Results; a second run takes up what is there and still holds.")] = _OUT,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    shards: Annotated[int, typer.Option(min=0, help="At most so many populations of each workload; 0: all.")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="Begin no new population after so long; 0: no limit.")] = 0.0,
) -> None:
    """Turn each feature family and each layer off in turn, on the same populations, and show what is missed.

    Nothing is taught or calibrated anew, so this measures what the detector relies on, not what a family is worth: taught
    without it, the ensembles would lean on its neighbours. Each population is played once and judged some forty times.

    Examples:
      stillwatch evaluate ablate --workload smoke

      stillwatch evaluate ablate --data DIR --shards 4
    """
    if budget <= 0:
        raise SettingsError(f"--budget {budget:g}: allowed is more than 0")
    from pipeline.lab.evaluate import closing, page, report, suite  # noqa: PLC0415 - as in `run`
    from pipeline.lab.evaluate.run import Order  # noqa: PLC0415 - as above

    order = Order(
        out=out / "ablation",
        workloads=tuple(workload or ("standard",)),
        split=split,
        budgets=(budget,),
        data=data,
        jobs=jobs,
        teach=False,
        raw=False,
        forests=False,
        shards=shards,
        minutes=minutes,
        ablate=True,
    )
    with _progress() as tell:
        table, figures, outcome = suite.play_ablation(order, tell)
    (out / "ablation.json").write_bytes(report.encode_figures(table))
    (out / "ablation.html").write_text(page.page({**figures, "workloads": {}, "ablation": table}), encoding="utf-8")
    typer.echo(closing.ablation_closing(table))
    _err.print(f"{out / 'ablation.html'} and {out / 'ablation.json'} written; `evaluate report` shows the table beside the rest")
    if outcome.skipped:
        _err.print(f"{outcome.skipped} populations left out by --minutes: the same command goes on with them")
    place = suite.record(order, figures, outcome, datetime.now(UTC).isoformat(timespec="seconds"))
    if place is not None:
        _err.print(f"judge run recorded in {place}")


def worlds(
    author: Annotated[list[str] | None, typer.Option("--author", help=f"{', '.join(AUTHORS)}; repeat for several. Default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help=f"Worlds of each, from seed {FIRST_SEED} on: those do not teach.")] = 3,
    budget: Annotated[float, typer.Option("--budget", "-b", help="alert_budget to run with.")] = 1.0,
    analyst: Annotated[float, typer.Option(min=0, help="Hours after which somebody rules on an alert, rightly.")] = 12.0,
    data: Annotated[Path | None, typer.Option(help="Folder with the public data sets; without it the parametric generator plays.")] = None,
    customers: Annotated[int, typer.Option(min=10, help="Of each world.")] = SIZE[0],
    days: Annotated[int, typer.Option(min=2, help="Of each world.")] = SIZE[1],
) -> None:
    """Judge worlds that others wrote without seeing ours: half of their honest customers look alarming on purpose.

    The worlds of an author are one fleet that goes on with new customers. Each is judged twice: nobody rules on alerts, and somebody
    does, which steers the bars of the whole fleet. Seconds per world, most of them to play it.

    Examples:
      stillwatch evaluate worlds --author enterprise --seeds 2

      stillwatch evaluate worlds --data DIR --seeds 6 --analyst 48
    """
    if budget <= 0:
        raise SettingsError(f"--budget {budget:g}: allowed is more than 0")
    if unknown := sorted(set(author or ()) - AUTHORS.keys()):
        raise SettingsError(f"--author {unknown[0]}: no such author", next_step=f"there are {', '.join(AUTHORS)}")
    from pipeline.lab import rehearsal  # noqa: PLC0415 - as in `run`

    settings = DetectSettings(alert_budget=budget)
    with _progress() as tell:
        fleets = rehearsal.casts(dict.fromkeys(author or AUTHORS), seeds, data, (customers, days), tell)
    silent = {name: rehearsal.rehearse(fleet, settings) for name, fleet in fleets.items()}
    ruled = {name: rehearsal.rehearse(fleet, settings, round(analyst * HOUR_MS)) for name, fleet in fleets.items()}
    typer.echo(rehearsal.worlds_closing({"nobody rules": silent, f"verdicts after {analyst:g} h": ruled}))


def _write(out: Path, figures: dict[str, object]) -> None:
    from pipeline.lab.evaluate import page, report  # noqa: PLC0415 - as in `run`

    for part in ("windows", "ablation"):
        kept = out / f"{part}.json"
        if kept.is_file():
            figures = {**figures, part: orjson.loads(kept.read_bytes())}
    (out / "report.json").write_bytes(report.encode_figures(figures))
    (out / "report.html").write_text(page.page(figures), encoding="utf-8")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, lines elsewhere."""
    if not _err.is_terminal:
        yield lambda text, done, total: _err.print(f"[{done}/{total}] {text}", markup=False)
        return
    with Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"), console=_err) as bar:
        task = bar.add_task("")
        yield lambda text, done, total: bar.update(task, completed=done, total=total, description=text)
