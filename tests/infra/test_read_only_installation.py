"""A container's file system is read-only: kernels that the image compiled are used, nothing is written beside /tmp."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

USE_A_KERNEL = """
import json, os, numba
from pipeline.base import hashing
value = hashing.hash_text("account")
stats = hashing._hash_many.stats
print(json.dumps({
    "value": value, "loaded": sum(stats.cache_hits.values()), "compiled": sum(stats.cache_misses.values()),
    "cache": numba.config.CACHE_DIR, "mode": oct(os.stat(numba.config.CACHE_DIR).st_mode)[-3:] if numba.config.CACHE_DIR else "",
}))
"""
REMOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@pytest.fixture
def installation(tmp_path: Path, root: Path) -> Path:
    """An environment of its own that sees our packages, with an empty kernel cache."""
    folder = tmp_path / "env"
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n{root}\n")
    (folder / "var").mkdir()
    return folder


def _run(installation: Path, temporary: Path, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    temporary.mkdir(exist_ok=True)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "PYTHON"))}
    done = subprocess.run(
        [*prefix, str(installation / "bin/python"), "-c", USE_A_KERNEL],
        env={**inherited, "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert not list(temporary.iterdir()), "left behind"
    return answer


def _read_only(folder: Path) -> tuple[str, ...]:
    """Make the folder unwritable for the process that follows; root needs a mount for that."""
    if os.geteuid() != 0:
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode & 0o555)
        return ()
    unshare = shutil.which("unshare")
    prefix = (unshare or "unshare", "--mount", "sh", "-c", REMOUNT, str(folder))
    if unshare is None or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("root without mount namespaces writes everywhere")
    return prefix


def test_compiled_kernels_load_from_a_read_only_installation(installation: Path, tmp_path: Path) -> None:
    """The second process compiles nothing: it reads the first one's kernels, through a copy that only it enters."""
    first = _run(installation, tmp_path / "tmp")
    assert first["compiled"] == 1
    assert Path(first["cache"]).parent == installation / "var/stillwatch/kernels"
    second = _run(installation, tmp_path / "tmp", _read_only(installation / "var"))
    assert (second["loaded"], second["compiled"], second["value"]) == (1, 0, first["value"])
    assert second["cache"].startswith(str(tmp_path / "tmp"))
    assert second["mode"] == "700"


def test_without_compiled_kernels_it_still_starts(installation: Path, tmp_path: Path) -> None:
    """Read-only and empty: kernels compile at start, in memory, to the same answers."""
    answer = _run(installation, tmp_path / "tmp", _read_only(installation / "var"))
    assert answer["value"] == _run(installation, tmp_path / "tmp")["value"]
    assert answer["cache"] == ""
