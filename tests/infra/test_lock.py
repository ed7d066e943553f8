"""The lock: complete, hashed, the same pins everywhere, and free of where it was made."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = ("build", "dev", "product")
PYTHONS = ("3.11", "3.12", "3.13")


def _entries(text: str) -> list[tuple[Requirement, int]]:
    """Each requirement with the number of its hashes."""
    logical = re.sub(r"\\\n\s*", "", text).splitlines()
    lines = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    return [(Requirement(line.split(" --hash=")[0]), line.count(" --hash=sha256:")) for line in lines]


def _pins(root: Path, lock: str, python: str) -> dict[str, Version]:
    """Package → version on Linux with that Python."""
    where = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "os_name": "posix"}
    pins: dict[str, Version] = {}
    for requirement, _ in _entries((root / "requirements" / f"{lock}.txt").read_text()):
        if requirement.marker is None or requirement.marker.evaluate({**where, "platform_machine": "x86_64"}):
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            name = canonicalize_name(requirement.name)
            assert name not in pins, f"{name} is pinned twice for {python}"
            pins[name] = Version(pin.version)
    return pins


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_has_hashes(lock: str, root: Path) -> None:
    """A tampered download is refused."""
    entries = _entries((root / "requirements" / f"{lock}.txt").read_text())
    assert entries
    assert not [requirement.name for requirement, hashes in entries if hashes == 0]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_says_nothing_of_the_machine_that_made_it(lock: str, root: Path) -> None:
    """No index, no URL, no absolute path: everybody's registry serves it."""
    text = (root / "requirements" / f"{lock}.txt").read_text()
    assert not re.search(r"--(extra-)?index-url|--find-links|://|file:|(^|\s)/\w", text)


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_satisfies_the_project(python: str, root: Path) -> None:
    """Every dependency that pyproject.toml names is pinned inside its range, for each Python we support."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    product = project["project"]["dependencies"]
    extras = project["project"]["optional-dependencies"]
    wanted = {
        "product": product,
        "dev": [*product, *(r for extra in extras.values() for r in extra), *project["dependency-groups"]["dev"]],
        "build": project["build-system"]["requires"],
    }
    for lock, requirements in wanted.items():
        pins = _pins(root, lock, python)
        for requirement in map(Requirement, requirements):
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), f"{lock}: {requirement}"


@pytest.mark.parametrize("python", PYTHONS)
def test_locks_agree(python: str, root: Path) -> None:
    """What is tested is what is shipped: the product's and the build's pins are those of the development lock."""
    dev = _pins(root, "dev", python)
    for lock in ("product", "build"):
        assert _pins(root, lock, python).items() <= dev.items()
