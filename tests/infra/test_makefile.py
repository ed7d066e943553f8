"""The command surface: `make` lists what there is, and says what is missing when it cannot go on."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROMISED = {"help", "setup", "demo", "test", "lint", "types", "bench"}


def _make(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    make = shutil.which("make")
    assert make is not None
    environment = {"PATH": path if path is not None else "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    return subprocess.run([make, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_help_lists_every_target_with_one_line(root: Path) -> None:
    """`make` alone prints each public target and what it is for."""
    text = (root / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony is not None
    answer = _make(root)
    assert answer.returncode == 0, answer.stderr
    listed = dict(re.findall(r"^  make (\w+) +(\S.*)$", answer.stdout, re.MULTILINE))
    assert set(listed) == set(phony[1].split()) >= PROMISED
    assert len(answer.stdout.splitlines()) == len(listed)


def test_setup_without_a_fitting_python_says_what_to_do(root: Path, tmp_path: Path) -> None:
    """No Python in range: one clear message, a non-zero status, and no half-made environment."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/dev.txt").touch()
    (tmp_path / "pyproject.toml").touch()
    shutil.copy(root / "Makefile", tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # one that is too old, or lacks venv
    (tools / "python3").chmod(0o755)
    cat = shutil.which("cat")
    assert cat is not None
    (tools / "cat").symlink_to(cat)
    answer = _make(tmp_path, "setup", path=str(tools))
    assert answer.returncode != 0
    assert "no Python 3.11, 3.12 or 3.13" in answer.stderr
    assert "PYTHON=/path/to/python3" in answer.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_calls_what_people_call(root: Path) -> None:
    """CI runs the same targets as a person, the tests first."""
    script = re.sub(r"^#.*$", "", (root / ".ci/run").read_text(), flags=re.MULTILINE)
    called = re.findall(r"\bmake (\w+)", script)
    assert [target for target in called if target != "setup"] == ["test", "lint", "types"]
