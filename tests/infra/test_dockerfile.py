"""The image's recipe, read: pinned base, unprivileged, from the lock, with a health check that needs no shell."""

from __future__ import annotations

import fnmatch
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.base.settings import ENV_PREFIX, load_settings

if TYPE_CHECKING:
    import pytest

    from tests.infra.conftest import Dockerfile


def _copied(dockerfile: Dockerfile) -> list[str]:
    """Sources that COPY takes from the repository."""
    sources = []
    for stage in dockerfile.stages:
        for instruction in stage:
            if instruction.name == "COPY" and "--from=" not in instruction.text:
                sources += instruction.text.split()[:-1]
    return sources


def test_base_image_is_an_exact_patch_of_a_supported_python(dockerfile: Dockerfile, root: Path) -> None:
    """Both stages build on one named patch release inside `requires-python`."""
    image = dockerfile.arguments["PYTHON_IMAGE"]
    match = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", image)
    assert match is not None
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert f"Programming Language :: Python :: {match[1]}" in project["classifiers"]
    assert all(stage[0].text.startswith("${PYTHON_IMAGE}") for stage in dockerfile.stages)


def test_everything_installed_comes_from_the_lock(dockerfile: Dockerfile) -> None:
    """Each `pip install` checks hashes or touches no index."""
    runs = "&&".join(i.text for i in dockerfile.stages[0] if i.name == "RUN").split("&&")
    installs = [run for run in runs if "pip install" in run]
    assert len(installs) == 3
    assert all("--require-hashes" in run or "--no-index" in run for run in installs)
    assert not [i for i in dockerfile.stages[-1] if i.name == "RUN"], "the final stage only copies"


def test_image_runs_as_nobody_in_particular(dockerfile: Dockerfile) -> None:
    """A numeric user, so that `runAsNonRoot` can be checked without a passwd file."""
    uid, gid = map(int, dockerfile.only("USER").split(":"))
    assert uid > 0
    assert gid > 0


def test_commands_need_no_shell(dockerfile: Dockerfile) -> None:
    """Entry point, default command and health check are in exec form: signals reach the program, a shell may be absent."""
    names = [i.name for i in dockerfile.stages[-1]]
    for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK"):
        assert names.count(name) == 1
    by_name = {i.name: i for i in dockerfile.stages[-1]}
    assert by_name["ENTRYPOINT"].words() == ["/opt/venv/bin/stillwatch"]
    assert by_name["CMD"].words() == ["--help"]
    _, _, command = dockerfile.only("HEALTHCHECK").partition("CMD ")
    assert command.startswith("[")
    assert by_name["STOPSIGNAL"].text == "SIGTERM"


def test_health_is_asked_on_the_port_that_is_served(dockerfile: Dockerfile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image fixes one port, serves it on every address, and exposes it."""
    for key, value in dockerfile.environment().items():
        if key.startswith(ENV_PREFIX):
            monkeypatch.setenv(key, value)
    http = load_settings().http
    assert http.host == "0.0.0.0"  # noqa: S104 - what the image is for
    assert http.port == int(dockerfile.only("EXPOSE")) > 0


def test_kernels_are_compiled_for_the_cpu_that_will_run_them(dockerfile: Dockerfile) -> None:
    """Numba's cache is keyed by CPU: build and run name the same one, else each start would compile."""
    assert dockerfile.environment(0)["NUMBA_CPU_NAME"] == dockerfile.environment(-1)["NUMBA_CPU_NAME"] == "generic"


def test_what_is_copied_exists_and_reaches_the_builder(dockerfile: Dockerfile, root: Path) -> None:
    """`.dockerignore` lets through what COPY names, and neither history nor environments nor tests."""
    ignore = (root / ".dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in ignore if line.startswith("!")]
    assert "*" in ignore
    for source in _copied(dockerfile):
        assert (root / source).exists()
        assert any(fnmatch.fnmatch(source, pattern) or source.startswith(f"{pattern}/") for pattern in allowed)
    assert not {".git", ".venv", "tests", "docs"} & set(allowed)


def test_copied_paths_hold_all_that_the_build_reads(dockerfile: Dockerfile, root: Path) -> None:
    """The wheel's metadata and included folders are in the build context: readme, licence, migrations."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [project["project"]["readme"], *project["project"]["license-files"], *wheel["packages"], *wheel["force-include"]]
    copied = _copied(dockerfile)
    for path in needed:
        assert any(Path(path).is_relative_to(source) for source in copied), path


def test_warm_up_runs_our_command(dockerfile: Dockerfile) -> None:
    """The step that compiles the kernels is a pipe-free pair of our commands, so that its failure fails the build."""
    warm = [i.text for i in dockerfile.stages[0] if i.name == "RUN" and "stillwatch simulate" in i.text]
    assert len(warm) == 1
    commands = [shlex.split(part) for part in warm[0].split("&&")]
    assert [command[:2] for command in commands] == [
        ["/opt/venv/bin/stillwatch", "simulate"],
        ["/opt/venv/bin/stillwatch", "backtest"],
    ]
