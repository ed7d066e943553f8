"""Every `stillwatch …` that a file of ours runs is one that the program understands, option by option."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import typer

from pipeline.cli.main import command_line

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = ("Makefile", ".ci/run", "infra/docker/Dockerfile")
CALL = re.compile(r"(?:\$\(BIN\)|venv/bin)/stillwatch +([^\n|&;>]+)")


def _parse(command: Any, arguments: list[str], name: str = "stillwatch") -> None:  # noqa: ANN401 - typer keeps click's types private
    """Parse down to the verb without running it; what is wrong raises, as on the command line."""
    context = command.make_context(name, list(arguments))
    if hasattr(command, "resolve_command"):
        verb, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        _parse(found, rest, verb)


def _calls(root: Path, source: str) -> list[list[str]]:
    text = re.sub(r"\\\n\s*", " ", (root / source).read_text())
    return [shlex.split(re.sub(r"\$\$?\(?\w+\)?", "", call)) for call in CALL.findall(text)]  # variables stand for nothing


@pytest.mark.parametrize("source", SOURCES)
def test_calls_parse(source: str, root: Path) -> None:
    """A renamed verb or option breaks here, not in somebody's build."""
    calls = _calls(root, source)
    assert len(calls) >= 2
    for call in calls:
        if call == ["--version"]:
            with pytest.raises(typer.Exit):
                _parse(typer.main.get_command(command_line()), call)
        else:
            _parse(typer.main.get_command(command_line()), call)


def test_services_parse(own_services: dict[str, dict[str, Any]]) -> None:
    """The commands of the compose file, and the image's default."""
    for service in own_services.values():
        _parse(typer.main.get_command(command_line()), service["command"])


def test_a_wrong_call_is_noticed() -> None:
    """The check above can fail: an unknown option and an unknown verb are refused."""
    for wrong in (["simulate", "--no-such-option"], ["no-such-verb"]):
        with pytest.raises(Exception, match=r"(?i)no such"):
            _parse(typer.main.get_command(command_line()), wrong)
