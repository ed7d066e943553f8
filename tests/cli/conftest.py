"""The program as users start it: `python -m pipeline.cli`, with settings from the environment and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]


class Program:
    """The program with an environment of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("STILLWATCH_")}
        path = os.pathsep.join(filter(None, [os.fspath(ROOT), os.environ.get("PYTHONPATH", "")]))
        self.env = {**clean, "PYTHONPATH": path, "COLUMNS": "200"}
        self.set(**settings)
        self._folder = folder  # no stillwatch.toml there

    def set(self, **settings: str) -> None:
        """Add settings: `KAFKA__FRAMES_PARTITIONS="2"`."""
        self.env |= {f"STILLWATCH_{key}": value for key, value in settings.items()}

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a verb; what it prints goes into one pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *args],
            env=self.env,
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *args: str, stdin: str = "", timeout_s: float = 120.0) -> tuple[int, str]:
        """Run a verb to its end → exit status and everything it printed; a traceback fails the test."""
        with self.start(*args) as process:
            try:
                printed, _ = process.communicate(stdin, timeout_s)
            except BaseException:
                process.kill()
                raise
        assert "Traceback" not in printed, printed
        return process.returncode, printed


@pytest.fixture
def make_program(tmp_path: Path) -> Callable[..., Program]:
    """Make a program with settings, in an empty folder."""
    return lambda **settings: Program(tmp_path, **settings)
