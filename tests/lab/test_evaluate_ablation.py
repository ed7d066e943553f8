"""Ablation: the tape decides as the book does, what is off is missing, and the table says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
import typer
from typer.testing import CliRunner

from pipeline.base.settings import DetectSettings
from pipeline.cli import evaluate as verb
from pipeline.detectors.models import AccountModels
from pipeline.lab.evaluate.ablation import EVERYTHING, SameForAll, ablate, reliance, variants, without
from pipeline.lab.evaluate.closing import ablation_closing
from pipeline.lab.evaluate.ours import detect
from pipeline.lab.evaluate.page import page
from pipeline.lab.evaluate.parametric import load_parametric
from pipeline.lab.evaluate.population import Builder, Plan
from pipeline.lab.evaluate.report import encode_figures
from pipeline.lab.evaluate.run import Order
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.suite import play_ablation
from pipeline.lab.evaluate.tape import Tape, record, replay
from pipeline.scoring.inputs import CHANGE_NAMES, KIND_NAMES
from pipeline.scoring.taught import shipped_taught
from pipeline.scoring.trees import contributions, log_odds

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.lab.evaluate.table import Shard

FAMILIES = {"template", "shift", "volume", "markers", "sweeps"}


@pytest.fixture(scope="module")
def shard() -> Shard:
    """Some days with attacks strong enough to be seen."""
    plan = Plan(ordinary=14, attacks=("template_sweep", "cot_harvest", "parameter_probe", "bulk_drain"), controls=False, days=5)
    return Builder("frames", load_parametric(), Split.TUNE, 2, plan).build()


@pytest.fixture(scope="module")
def tape(shard: Shard) -> Tape:
    """Its tape."""
    return record(shard, DetectSettings())


@pytest.mark.parametrize("changed", [{}, {"alert_budget": 300.0}, {"cooldown_h": 0.0, "storm_factor": 0.0, "alert_budget": 1_000.0}])
def test_the_tape_decides_as_the_book_does(shard: Shard, tape: Tape, changed: dict[str, float]) -> None:
    """Every revision: subject, kind, state, time, severity, counts, explanation; at the shipped settings and at noisy ones."""
    settings = DetectSettings().model_copy(update=changed)

    def told(alerts: list[Any]) -> list[tuple[Any, ...]]:
        return [
            (a.alert_id, a.revision, a.state, a.subject_id, a.kind, a.severity, a.risk, a.raised_at_ms, a.requests, a.explanation)
            for a in alerts
        ]

    found = told(replay(tape, settings))
    assert found, "nothing was raised: the comparison would be empty"
    assert found == told(detect(shard, settings))


def test_what_is_off_is_missing_and_no_witness() -> None:
    """Trees without an input say what they say of a missing one, bit for bit, and book nothing on it."""
    taught = shipped_taught()
    rng = np.random.default_rng(4)

    def gone(name: str) -> bool:
        return name.startswith("change:") or name == "template_mass"

    less = without(taught, gone)
    for trees, cut, names in ((taught.change, less.change, CHANGE_NAMES), (taught.kinds[0], less.kinds[0], KIND_NAMES)):
        off = [gone(name) for name in names]
        rows = rng.normal(size=(300, len(names)))
        rows[rng.random(rows.shape) < 0.2] = np.nan
        missing = rows.copy()
        missing[:, off] = np.nan
        assert np.array_equal(log_odds(cut, rows), log_odds(trees, missing))
        assert not np.array_equal(log_odds(cut, rows), log_odds(trees, rows))
        assert not contributions(cut, rows[0])[off].any()


def test_prompts_untold_is_what_a_gateway_without_prompts_has(shard: Shard, tape: Tape) -> None:
    """The row's alerts are those of the same requests with their prompts taken away: who, when, how sure."""
    (untold,) = (v for v in variants() if v.name == "prompts")
    settings = DetectSettings(alert_budget=300.0)
    events = shard.events.copy()
    events["text"] = -1

    def told(alerts: list[Any]) -> list[tuple[Any, ...]]:
        return [(a.alert_id, a.revision, a.state, a.subject_id, a.risk, a.raised_at_ms) for a in alerts]

    found = told(replay(tape, settings, untold.cut(shipped_taught())))
    assert found
    assert found == told(detect(replace(shard, events=events), settings))
    assert found != told(replay(tape, settings))


def test_one_usual_for_everybody_speaks_when_river_would() -> None:
    """Silent for as long as River is, then the same for the odd and the calm."""
    odd, calm = SameForAll(), SameForAll()
    for k in range(12):
        assert np.isnan(odd.excess(3.0)) == (k < 8)
        odd.learn(3.0)
        calm.learn(-4.0)
    assert odd.excess(3.0) == calm.excess(3.0) == 5.0
    own = AccountModels()
    for _ in range(12):
        own.learn(3.0)
    assert own.excess(3.0) < 1.0


def test_each_family_that_is_read_is_off_once() -> None:
    """Names are one each; nothing off comes first; every family of the catalogue but the account's age is there."""
    names = [v.name for v in variants()]
    assert names[0] == EVERYTHING
    assert len(set(names)) == len(names)
    assert {v.name for v in variants() if v.what == "family"} >= FAMILIES
    assert "age" not in names


def test_layers_that_are_off_raise_nothing(shard: Shard) -> None:
    """Without CHANGE there is less; without both kinds of evidence there is nothing."""
    chosen = {v.name: v for v in variants()}
    change, level = chosen["CHANGE"], chosen["LEVEL"]
    neither = level._replace(name="neither", cut=lambda taught: change.cut(level.cut(taught)))
    result = ablate(shard, 1_000.0, "", "parametric", [chosen[EVERYTHING], change, level, neither])

    def count(column: str) -> int:
        return sum(row.false.get(column, 0) + (column in row.hits and row.hits[column].caught) for row in result.rows)

    everything = count("stillwatch@1000")
    assert count("without neither") == 0
    assert count("without CHANGE") < everything
    assert 0 < count("without LEVEL") <= everything


def test_the_table_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, writes JSON that diffs clean and a page that escapes and fetches nothing, is taken up, goes into the report."""
    few = [v for v in variants() if v.name in {EVERYTHING, "CHANGE", "LEVEL", "storm brake", "template"}]
    monkeypatch.setattr("pipeline.lab.evaluate.ablation.variants", lambda: few)
    app = typer.Typer()
    verb.register(app)
    arguments = ["evaluate", "ablate", "--workload", "smoke", "--jobs", "1", "--out", str(tmp_path)]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    for row in ("everything", "CHANGE", "LEVEL", "storm brake", "template"):
        assert f"\n{row}" in first.output
    written = (tmp_path / "ablation.json").read_bytes()
    table, figures, outcome = play_ablation(ordered(tmp_path), lambda *_: None)
    assert outcome.fresh == 0
    assert encode_figures(table) == written
    rows = {r["off"]: r for r in table["workloads"]["smoke"]["rows"]}
    assert rows[EVERYTHING]["lost"] == rows[EVERYTHING]["gained"] == 0
    assert rows["storm brake"]["false"] == rows[EVERYTHING]["false"]
    assert rows["LEVEL"]["lost"] >= 1
    assert rows["CHANGE"]["delay"]["share ≥ 50 %"] > rows[EVERYTHING]["delay"]["share ≥ 50 %"]
    assert reliance(figures, outcome.results) == table
    text = (tmp_path / "ablation.html").read_text()
    assert "<svg" in text
    assert "src=" not in text
    hostile = orjson.loads(written.replace(b'"template"', b'"<b>template"'))
    assert "<b>template" not in page({"context": {}, "budgets": [1.0], "workloads": {}, "ablation": hostile})
    assert "everything" in ablation_closing(hostile)
    wrong = CliRunner().invoke(app, ["evaluate", "ablate", "--budget", "0"])
    assert wrong.exit_code != 0


def ordered(out: Path) -> Order:
    """What the command line orders."""
    return Order(
        out=out / "ablation", workloads=("smoke",), split=Split.TUNE, jobs=1, teach=False, raw=False, forests=False, ablate=True,
    )  # fmt: skip
