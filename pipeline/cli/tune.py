"""`stillwatch tune SETTING VALUE`, `tune list`: detection settings that change while the detector runs, through the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.base.errors import SettingsError
from pipeline.base.settings import load_settings
from pipeline.cli.decisions import AsJson, By, GivingGroup, Why, now_ms, send, who
from pipeline.cli.reading import write_json, write_table
from pipeline.cli.since import written
from pipeline.cli.tuned import in_force, tunings, usable
from pipeline.events.control import Setting, Tuning, tuning_control_id
from pipeline.ports.kafka import KafkaBroker
from pipeline.scoring.prior import prior_of

if TYPE_CHECKING:
    from pipeline.base.settings import DetectSettings

app = typer.Typer(cls=GivingGroup, no_args_is_help=True, add_completion=False)

COLUMNS = ("setting", "in_force", "settings_say", "issued_at", "issued_by", "note")
HISTORY = ("issued_at", "setting", "value", "issued_by", "note")


@app.command("give")
def give(
    setting: Annotated[Setting, typer.Argument(metavar="SETTING", help=f"One of {', '.join(Setting)}.", show_default=False)],
    value: Annotated[
        str,
        typer.Argument(metavar="VALUE", help="Its value, as in a settings file; of prior_file the file's name.", show_default=False),
    ] = "",
    reset: Annotated[bool, typer.Option("--reset", help="No value: back to what each worker's own settings say.")] = False,
    note: Why = "",
    by: By = "",
) -> None:
    """Change a detection setting of the running workers; the word `give` may be left out.

    It takes effect in every partition at its place in the log, so a replay decides the same. What is learnt about accounts stays. From
    then on a worker's own settings do not count for it: they say what a new prefix begins with. A later word on the setting replaces
    this one. `stillwatch shadow --budget B` shows first what another budget does, `stillwatch calibrate` makes a prior file.
    """
    if reset == bool(value):
        raise typer.BadParameter("either a VALUE or --reset")
    settings = load_settings()
    said = _content(value) if setting is Setting.PRIOR_FILE and value else value
    at, name = now_ms(), who(by)
    record = Tuning(control_id=tuning_control_id(setting), issued_at_ms=at, issued_by=name, note=note, setting=setting, value=said)
    after = usable(settings.detect, record.onto({}))
    before = in_force(settings.detect, tunings(settings, KafkaBroker(settings.kafka)))
    send(settings, [record])
    typer.echo(
        f"{record.control_id}: {setting} is {_shown(after, setting)} from here on, in every partition (was {_shown(before, setting)})"
    )


def _content(name: str) -> str:
    try:
        text = Path(name).read_text()
    except (OSError, UnicodeError) as err:
        raise SettingsError(f"prior_file: cannot read {name}: {err}") from None
    if not text:
        raise SettingsError(f"prior_file: {name} is empty", next_step="--reset goes back to what the workers' own settings say")
    return text


@app.command("list")
def list_settings(
    everything: Annotated[bool, typer.Option("--all", help="Every change so far instead, the newest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is in force of every setting that may change, who changed it, and what this machine's own settings say."""
    settings = load_settings()
    changes = tunings(settings, KafkaBroker(settings.kafka))
    rows = _history(changes) if everything else _present(settings.detect, changes)
    if as_json:
        write_json(rows)
    else:
        columns = HISTORY if everything else COLUMNS
        write_table(columns, [[row[column] for column in columns] for row in rows])


def _present(detect: DetectSettings, changes: list[Tuning]) -> list[dict[str, Any]]:
    now, last = in_force(detect, changes), {change.setting: change for change in changes}
    return [
        {
            "setting": setting.value,
            "in_force": _shown(now, setting),
            "settings_say": _shown(detect, setting),
            "issued_at": written(last[setting].issued_at_ms) if setting in last else "",
            "issued_by": last[setting].issued_by if setting in last else "",
            "note": last[setting].note if setting in last else "",
        }
        for setting in Setting
    ]


def _history(changes: list[Tuning]) -> list[dict[str, Any]]:
    return [
        {
            "issued_at": written(change.issued_at_ms),
            "setting": change.setting.value,
            "value": _said(change),
            "issued_by": change.issued_by,
            "note": change.note,
        }
        for change in reversed(changes)
    ]


def _said(change: Tuning) -> str:
    if not change.value:
        return "(reset)"
    return f"a file of {len(change.value):,} characters" if change.setting is Setting.PRIOR_FILE else change.value


def _shown(detect: DetectSettings, setting: Setting) -> str:
    """A setting's value in words."""
    if setting is not Setting.PRIOR_FILE:
        return f"{getattr(detect, setting.value):g}"
    days = f"{prior_of(detect).account_days:,} account-days"
    return f"the package's ({days})" if detect.prior is None else f"a file ({days})"
