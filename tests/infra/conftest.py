"""What the infra tests read: the repository's root, the compose file with its variables filled in, the Dockerfile."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


@dataclass(frozen=True)
class Instruction:
    """One Dockerfile instruction, continuation lines joined."""

    name: str
    text: str

    def words(self) -> list[str]:
        """The exec (JSON) form as a list; a shell form fails the test that asks."""
        found: list[str] = json.loads(self.text)
        return found


@dataclass(frozen=True)
class Dockerfile:
    """Stages in order, each from its FROM on; `arguments` are those before the first."""

    arguments: dict[str, str]
    stages: list[list[Instruction]]

    def environment(self, stage: int = -1) -> dict[str, str]:
        """Variables that the stage's ENV instructions set."""
        pairs = " ".join(i.text for i in self.stages[stage] if i.name == "ENV")
        return dict(re.findall(r"(\w+)=(\S+)", pairs))

    def only(self, name: str, stage: int = -1) -> str:
        """Text of the stage's one instruction of that name."""
        found = [i.text for i in self.stages[stage] if i.name == name]
        assert len(found) == 1, f"{name}: {found}"
        return found[0]


def _instructions(text: str) -> list[Instruction]:
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line.strip()]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def dockerfile(root: Path) -> Dockerfile:
    """`infra/docker/Dockerfile`, parsed."""
    arguments: dict[str, str] = {}
    stages: list[list[Instruction]] = []
    for instruction in _instructions((root / "infra/docker/Dockerfile").read_text()):
        if instruction.name == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(instruction)
        else:
            assert instruction.name == "ARG"
            name, _, value = instruction.text.partition("=")
            arguments[name] = value
    return Dockerfile(arguments, stages)


@pytest.fixture(scope="session")
def compose(root: Path) -> dict[str, Any]:
    """`docker-compose.yml` as Compose sees it on a machine where none of its variables is set."""
    text = (root / "docker-compose.yml").read_text()
    document: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(lambda match: match[2], text))
    assert "${" not in json.dumps(document), "a variable without a default"
    return document


@pytest.fixture(scope="session")
def own_services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run our image."""
    return {name: spec for name, spec in compose["services"].items() if spec["image"].startswith("stillwatch:")}
