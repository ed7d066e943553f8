"""Calibrate: a prior from a user's own history, which the worker then uses, and which says what it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import typer
import zstandard
from typer.testing import CliRunner

from pipeline.accounts.book import Book, settings_digest
from pipeline.base.errors import SettingsError
from pipeline.base.settings import DetectSettings, Settings, load_settings
from pipeline.cli import calibrate as verb
from pipeline.events.alert import Kind
from pipeline.lab.calibrate import MIN_DAYS, Calibration, calibrate
from pipeline.lab.simulate import AttackSpec, Scenario, labels, simulate
from pipeline.scoring.bars import standing
from pipeline.scoring.calibration import LEVEL_GRID, Measure, moved
from pipeline.scoring.prior import PriorFile, detector_digest, prior_of, read_prior, shipped_prior, write_prior

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

FAR_MS = 4_000_000_000_000
SCENARIO = Scenario(
    seed=77,
    start_ms=1_785_000_000_000,
    days=3.0,
    accounts=45,
    requests_per_account_day=130,
    attacks=(AttackSpec(Kind.REASONING_ELICITATION, requests=1_200, share=0.9, account="new"),),
)


@pytest.fixture(scope="module")
def events() -> list[bytes]:
    """A history of 45 customers and one attacker."""
    return [event.raw for event in simulate(SCENARIO)]


@pytest.fixture(scope="module")
def fitted(events: list[bytes]) -> Calibration:
    """Its calibration."""
    passes = []

    def read(what: str) -> list[bytes]:
        passes.append(what)
        return events

    found = calibrate(Settings(), read, FAR_MS)
    assert len(set(passes)) == 2
    return found


@pytest.fixture(scope="module")
def file(fitted: Calibration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file it makes."""
    path = tmp_path_factory.mktemp("prior") / "prior.json"
    path.write_bytes(write_prior(fitted.file))
    return path


def test_who_alerts_does_not_teach(fitted: Calibration) -> None:
    """The attacker alerts at present, is named, and is not among the teachers; alerts before and after are counted."""
    (attacker,) = (label.account_id for label in labels(SCENARIO) if label.attack_requests)
    assert attacker in fitted.left_out
    assert fitted.file.accounts <= 46 - len(fitted.left_out)
    assert {a.subject_id for a in fitted.before.alerts} == set(fitted.left_out)
    assert attacker in {a.subject_id for a in fitted.after.alerts}
    assert fitted.before.counts == fitted.after.counts
    assert fitted.file.account_days >= MIN_DAYS
    assert 0.0 < fitted.expected_per_day < 1.0


def test_what_was_left_out_is_put_back(fitted: Calibration) -> None:
    """Counts are the present prior's, where they would stand here, and the history's: no tail is thinner for leaving out."""
    present, after = shipped_prior(), read_prior(write_prior(fitted.file))
    before = standing_here(fitted)
    assert (after.counts >= before).all()
    assert after.counts[Measure.LEVEL].sum() > present.counts[Measure.LEVEL].sum(), "every customer of 50 requests was looked at"
    assert after.account_days >= present.account_days + MIN_DAYS


def standing_here(fitted: Calibration) -> NDArray[np.int64]:
    """The shipped prior's counts, those of LEVEL moved as far as this history's width says."""
    shipped = shipped_prior()
    assert fitted.file.width is not None
    wider = fitted.file.width - shipped.width
    counts = shipped.counts.copy()
    counts[Measure.LEVEL] = moved(counts[Measure.LEVEL], round(3.75 * wider / LEVEL_GRID.width))
    return counts


def test_bars_do_not_follow_the_width_that_the_file_holds_already(fitted: Calibration) -> None:
    """A worker that counts what the history held stays where it starts; with the shipped prior it goes there."""
    after = read_prior(write_prior(fitted.file))
    counted = after.counts - standing_here(fitted)
    assert standing(shipped_prior(), counted).bins[Measure.LEVEL] < -1, "these customers are alike"
    assert standing(after, counted).bins[Measure.LEVEL] >= -2, "two hundred looks leave a little doubt, here as there"


def test_spreads_are_of_this_history(fitted: Calibration) -> None:
    """Features move to where these accounts lie; one that the history lacks stays as it was."""
    present = shipped_prior().features
    assert not fitted.spreads_kept
    assert set(fitted.file.features) >= set(present)
    assert fitted.file.features["life_networks"] == present["life_networks"], "the simulator sends no asn"
    assert sum(fitted.file.features[name] != present[name] for name in present) > len(present) // 2


def test_the_worker_uses_the_file_and_its_content_is_in_the_digest(fitted: Calibration, file: Path, tmp_path: Path) -> None:
    """Bars come from it; another place for the same file is the same detector, another content another one."""
    settings = DetectSettings(prior_file=file)
    book = Book(0, 1, settings)
    assert [book.judge.bars.bar(m) for m in Measure] == [fitted.bars_after.bar(m) for m in Measure]
    assert book.judge.bars.prior.features == fitted.file.features
    moved = tmp_path / "elsewhere.json"
    moved.write_bytes(file.read_bytes())
    assert settings_digest(DetectSettings(prior_file=moved)) == settings_digest(settings) != settings_digest(DetectSettings())
    moved.write_bytes(write_prior(msgspec.structs.replace(fitted.file, accounts=1)))
    assert settings_digest(DetectSettings(prior_file=moved)) != settings_digest(settings)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-9], "not a prior"),
        (lambda data: data.replace(b'"patient"', b'"hasty"'), "missing required field"),
        (lambda _: b"", "not a prior"),
        (lambda data: data.replace(detector_digest().encode(), b"0" * 16), "another version of the detector"),
        (
            lambda data: write_prior(msgspec.structs.replace(msgspec.json.decode(data, type=PriorFile), patient=[])),
            "not those of any history",
        ),
        (lambda data: write_prior(msgspec.structs.replace(msgspec.json.decode(data, type=PriorFile), sharp=[999, 1])), "not a prior"),
        (lambda data: write_prior(msgspec.structs.replace(msgspec.json.decode(data, type=PriorFile), level=[1, -5])), "any history"),
        (lambda data: write_prior(msgspec.structs.replace(msgspec.json.decode(data, type=PriorFile), width=-1.0)), "any history"),
    ],
)
def test_a_file_that_is_no_prior_is_refused(file: Path, tmp_path: Path, change: object, says: str) -> None:
    """With the setting's name and the command that makes a good one; never a detector with other bars than meant."""
    bad = tmp_path / "bad.json"
    bad.write_bytes(change(file.read_bytes()))  # type: ignore[operator]  # one of the lambdas above
    with pytest.raises(SettingsError, match=says) as refused:
        prior_of(DetectSettings(prior_file=bad))
    assert "detect.prior_file" in str(refused.value)
    assert "stillwatch calibrate" in refused.value.next_step


def test_a_missing_file_is_a_wrong_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said when the settings are read, not when the first frame comes."""
    monkeypatch.setenv("STILLWATCH_DETECT__PRIOR_FILE", str(tmp_path / "absent.json"))
    with pytest.raises(SettingsError, match=r"prior_file: cannot read .*absent\.json"):
        load_settings()


@pytest.mark.parametrize(
    ("lines", "says"), [([], "nothing to learn from: 0 lines"), ([b"{}"] * 7, "7 lines, 7 of them rejected"), (None, "are needed")]
)
def test_too_little_history_is_said(events: list[bytes], lines: list[bytes] | None, says: str) -> None:
    """How much there was, and what to do."""
    with pytest.raises(SettingsError, match=says) as refused:
        calibrate(Settings(), lambda _: events[:3_000] if lines is None else lines, FAR_MS)
    assert refused.value.next_step


def test_the_verb_reads_archives_and_standard_input(events: list[bytes], fitted: Calibration, tmp_path: Path) -> None:
    """A .zst file and a pipe give the same prior; what is printed says what changed and how to use it."""
    data = b"\n".join(events) + b"\n"
    archive = tmp_path / "history.ndjson.zst"
    archive.write_bytes(zstandard.compress(data))
    app = typer.Typer()
    verb.register(app)
    out = tmp_path / "prior.json"
    done = CliRunner().invoke(app, ["-", "--out", str(out)], input=data)
    assert done.exit_code == 0, done.output
    assert out.read_bytes() == write_prior(fitted.file)
    for words in ("CHANGE bar", "alerts per day", "taught nothing", "detect.prior_file"):
        assert words in done.output
    missing = CliRunner().invoke(app, [str(tmp_path / "absent.ndjson"), "--out", str(out)])
    assert isinstance(missing.exception, SettingsError)
    nowhere = CliRunner().invoke(app, [str(archive), "--out", str(tmp_path / "no" / "prior.json")])
    assert "no folder" in str(nowhere.exception)
