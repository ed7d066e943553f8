"""Compiling before the work: said once, and not taken for slow work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.base import jit
from pipeline.base.errors import SettingsError
from pipeline.base.settings import Settings
from pipeline.cli import warm
from pipeline.cli.backtest import backtest
from pipeline.cli.calibrate import calibrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.skipif(not jit._CACHE, reason="no place for compiled kernels here")
def test_kernels_are_compiled_once_an_earlier_run_left_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache is none; one with a kernel is."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not jit.compiled()
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "kernel.apply_events-1.py311.nbi").touch()
    assert jit.compiled()


@pytest.mark.parametrize("there", [False, True])
def test_the_first_run_says_that_it_compiles(*, there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, before everything that detect runs is run once; later runs neither say nor do it."""
    warmed: list[str] = []
    monkeypatch.setattr(jit, "compiled", lambda: there)
    monkeypatch.setattr(warm, "warm", lambda role, _: warmed.append(role))
    warm.compile_first(Settings())
    told = capsys.readouterr()
    assert told.out == ""
    assert (jit.COMPILING in told.err) is (warmed == ["detect"]) is not there


@pytest.mark.parametrize("verb", [backtest, calibrate])
def test_a_wrong_name_is_told_before_anything_is_compiled(
    verb: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits most of a minute to hear of a typing error."""
    monkeypatch.setattr(jit, "compiled", lambda: False)
    with pytest.raises(SettingsError, match="No such file"):
        verb(str(tmp_path / "absent.ndjson"), out=tmp_path / "out")
    assert capsys.readouterr().err == ""
