"""The whole instrument on its smoke workload: run, take up, report, list, windows; within a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import typer
from typer.testing import CliRunner

from pipeline.base.errors import SettingsError
from pipeline.cli import evaluate as verb
from pipeline.lab.evaluate.closing import closing
from pipeline.lab.evaluate.ledger import append, entry
from pipeline.lab.evaluate.mmd import Reference, unit
from pipeline.lab.evaluate.page import page
from pipeline.lab.evaluate.probe import auc, probe_auc
from pipeline.lab.evaluate.protocol import WindowOrder, surprise, windows
from pipeline.lab.evaluate.report import encode_figures
from pipeline.lab.evaluate.run import Order, source_digest
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.suite import play, read_run
from pipeline.lab.evaluate.workloads import workload


def order(out: Path, **more: Any) -> Order:
    """The smoke order."""
    return Order(**{"out": out, "workloads": ("smoke",), "jobs": 1, "teach": False, "forests": False, **more})


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One run of the smoke workload in the judge half."""
    out = tmp_path_factory.mktemp("smoke")
    figures, outcome = play(order(out), lambda *_: None)
    assert outcome.fresh == 1
    return out, figures


def test_the_smoke_run_measures_us_and_the_rules_on_the_same_streams(smoke: tuple[Path, dict[str, Any]]) -> None:
    """Every column saw the same account-days and attacks."""
    found = smoke[1]["workloads"]["smoke"]
    detectors = found["detectors"]
    assert {"stillwatch@1", "stillwatch@1 raw", "elastic-6256", "tokens-1m-hour", "gateway-scorer", "own-z-tokens"} == set(detectors)
    assert {d["false"]["account_days"] for d in detectors.values()} == {found["benign_account_days"]}
    assert {d["recall"]["attacks"] for d in detectors.values()} == {4}
    assert found["benign_account_days"] > 100


def test_a_second_run_takes_up_what_holds_and_gives_the_same_bytes(smoke: tuple[Path, dict[str, Any]]) -> None:
    """Nothing is played twice; the JSON diffs clean; `read_run` sees the same."""
    out, figures = smoke
    again, outcome = play(order(out), lambda *_: None)
    assert outcome.fresh == 0
    assert encode_figures(again) == encode_figures(figures) == encode_figures(read_run(out))


def test_another_budget_is_another_result(smoke: tuple[Path, dict[str, Any]]) -> None:
    """What was kept under other settings is not taken up; every budget gets its column."""
    figures, outcome = play(order(smoke[0], budgets=(10.0, 1.0), raw=False), lambda *_: None)
    assert outcome.fresh == 1
    assert {"stillwatch@10", "stillwatch@1"} <= set(figures["workloads"]["smoke"]["detectors"])
    play(order(smoke[0]), lambda *_: None)


def test_what_was_taught_is_a_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """New trees or a new prior play everything again."""
    import pipeline  # noqa: PLC0415 - to point it elsewhere

    (tmp_path / "scoring").mkdir()
    monkeypatch.setattr(pipeline, "__file__", str(tmp_path / "__init__.py"))
    digests = set()
    for name, content in (("judge.py", b"1"), ("taught.npz", b"1"), ("taught.npz", b"2"), ("prior.json", b"1"), ("note.txt", b"1")):
        (tmp_path / "scoring" / name).write_bytes(content)
        digests.add(source_digest())
    assert len(digests) == 4


def test_a_time_limit_leaves_shards_for_the_next_run(tmp_path: Path) -> None:
    """What did not begin in time is counted, and the next run does it."""
    figures, outcome = play(order(tmp_path, minutes=1e-9), lambda *_: None)
    assert outcome.skipped == 1
    assert figures["context"]["missing_shards"] == 1
    assert figures["workloads"] == {}


def test_the_page_is_one_file_that_fetches_nothing(smoke: tuple[Path, dict[str, Any]]) -> None:
    """Self-contained HTML with plots; names are escaped."""
    text = page(smoke[1])
    assert text.startswith("<!doctype html>")
    assert text.count("<svg") >= 2
    for outside in ("src=", "href=", "url(", "<script", "@import"):
        assert outside not in text
    hostile = orjson.loads(encode_figures(smoke[1]).replace(b'"smoke"', b'"<b>smoke"'))
    assert "<b>smoke" not in page(hostile)


def test_the_ledger_gets_one_line_per_run(smoke: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Commit, data and our own results, nothing else."""
    ledger = tmp_path / "docs" / "ledger.ndjson"
    append(ledger, entry(smoke[1], "2026-11-23T00:00:00+00:00"))
    append(ledger, entry(smoke[1], "2026-11-24T00:00:00+00:00"))
    lines = [orjson.loads(line) for line in ledger.read_bytes().splitlines()]
    assert [line["at"][:10] for line in lines] == ["2026-11-23", "2026-11-24"]
    assert set(lines[0]["workloads"]["smoke"]["detectors"]) == {"stillwatch@1", "stillwatch@1 raw"}
    assert lines[0]["split"] == "judge"


def test_the_tables_command_line(smoke: tuple[Path, dict[str, Any]]) -> None:
    """`list` names every workload, `report` writes both files, wrong values are refused with a sentence."""
    app = typer.Typer()
    verb.register(app)
    runner = CliRunner()
    listed = runner.invoke(app, ["evaluate", "list"])
    assert listed.exit_code == 0
    assert "attack.template_sweep" in listed.output
    reported = runner.invoke(app, ["evaluate", "report", "--out", str(smoke[0])])
    assert reported.exit_code == 0, reported.output
    assert "stillwatch@1" in reported.output
    assert (smoke[0] / "report.html").is_file()
    assert orjson.loads((smoke[0] / "report.json").read_bytes())["workloads"]["smoke"]
    wrong = runner.invoke(app, ["evaluate", "run", "--budget", "-1"])
    assert isinstance(wrong.exception, SettingsError)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """Unknown ids, missing data, missing results: one sentence each."""
    with pytest.raises(SettingsError, match="no such id"):
        workload("nonsense")
    with pytest.raises(SettingsError, match=r"client_tokens\.parquet is not there|needs pyarrow"):
        play(order(tmp_path, data=tmp_path), lambda *_: None)
    with pytest.raises(SettingsError, match="no results of a run"):
        read_run(tmp_path / "nothing")


def test_windows_show_what_a_global_reference_does() -> None:
    """Own past: quiet on one-language customers and awake at half attack; a global reference accuses the foreign language."""
    groups = ("one language: en", "one language: ru", "one topic: en", "templated app")
    found = windows(WindowOrder(split=Split.JUDGE, per_group=20, jobs=1, sizes=(100,), groups=groups), lambda *_: None)
    table = found["sizes"]["100"]["statistics"]
    ours, globe = table["stillwatch, running means"], table["mmd, global reference"]
    assert ours["fpr"] < 0.05
    assert ours["tpr"]["50%"] > 0.9
    assert globe["fpr_by_group"]["one language: ru"] > 0.8
    assert set(found["sizes"]["100"]["windows_per_group"]) == set(groups)


def test_a_window_is_as_surprising_with_few_directions_as_with_many() -> None:
    """Ratios of variances by chance exceed a normal quantile as often as they should, whatever the degrees of freedom."""
    rng = np.random.default_rng(0)
    for above in (4.0, 30.0, 150.0):
        below = 39.0 * above
        ratios = rng.f(above, below, 40_000)
        found = np.array([surprise(r, above, below) for r in ratios.tolist()])
        assert abs(found.mean()) < 0.05
        for quantile, share in ((1.645, 0.05), (2.878, 0.002)):
            assert 0.6 * share < (found > quantile).mean() < 1.5 * share


def test_mmd_is_near_zero_between_likes_and_large_between_strangers() -> None:
    """The unbiased statistic has mean zero under the null."""
    rng = np.random.default_rng(0)
    here = unit(rng.integers(-100, 100, (600, 128)).astype(np.int8))
    there = unit((rng.integers(-60, 60, (200, 128)) + 40).astype(np.int8))
    reference = Reference(here[:400], 200, rng)
    assert abs(reference.statistic(here[400:])) < 0.01
    assert reference.statistic(there) > 0.05


def test_a_probe_of_too_few_accounts_is_undecided_not_failed(smoke: tuple[Path, dict[str, Any]]) -> None:
    """Fewer than thirty of a class prove nothing; text and page say so."""
    found = orjson.loads(encode_figures(smoke[1]))
    probe = {"accounts": 12, "auc": None, "auc_allowed": 0.55, "single": {"pace": 0.93}, "single_allowed": 0.9}
    for passed, word in ((None, "ndecided"), (False, "failed"), (True, "passed")):
        found["workloads"]["smoke"]["probe"] = {**probe, "passed": passed}
        assert word in closing(found).lower()
        assert word in page(found).lower()


def test_areas_under_the_curve() -> None:
    """Ties split, a missing class is .5, and the probe finds what is there to find."""
    assert auc(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True])) == 1.0
    assert auc(np.array([1.0, 1.0]), np.array([False, True])) == 0.5
    assert auc(np.array([1.0]), np.array([True])) == 0.5
    pytest.importorskip("sklearn", reason="the extra `evaluate` is not installed")
    rng = np.random.default_rng(0)
    y = rng.random(400) < 0.5
    noise = rng.normal(size=(400, 3))
    groups = rng.integers(0, 40, 400)
    told = probe_auc(noise + y[:, None], y, groups)
    silent = probe_auc(noise, y, groups)
    assert told is not None
    assert silent is not None
    assert told > 0.8
    assert 0.4 < silent < 0.6
    assert probe_auc(noise[:20], y[:20], groups[:20]) is None
