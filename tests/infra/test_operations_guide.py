"""The operator's guide says what the program does: its examples load, its tables are complete."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from pipeline.base.catalogue import METRICS
from pipeline.base.settings import Settings, load_settings
from pipeline.ports.topics import topic_specs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    """`docs/operations.md`."""
    return (root / "docs/operations.md").read_text()


def _section(guide: str, title: str) -> str:
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", guide, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def test_settings_examples_load(guide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every TOML block is a settings file that this program accepts; secret files exist only where they are mounted."""
    blocks = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) == 2
    secret = tmp_path / "secret"
    secret.write_text("whsec_c2VjcmV0\n")
    for block in blocks:
        tomllib.loads(block)
        file = tmp_path / "stillwatch.toml"
        file.write_text(re.sub(r'(_file = )"/run/secrets/[\w-]+"', rf'\1"{secret}"', block))
        monkeypatch.setenv("STILLWATCH_CONFIG", str(file))
        settings = load_settings()
        assert settings.kafka.security_protocol in {"SASL_SSL", "SSL"}
    assert settings.kafka.ssl_key_file is not None


def test_every_metric_has_a_reason_to_be_watched(guide: str) -> None:
    """The table of questions names each metric of the catalogue, and none that does not exist."""
    named = set(re.findall(r"`(stillwatch_\w+)`", _section(guide, "What to watch")))
    assert named == set(METRICS)


def test_topics_are_those_of_init(guide: str) -> None:
    """Names, partition counts and cleanup in the table are what `init` creates."""
    rows = re.findall(r"^\| `(stillwatch\.\w+)` \|[^|]+\| ([^|]+) \| (\w+)", _section(guide, "Topics"), re.MULTILINE)
    told = {name: (partitions.split(",")[0], cleanup) for name, partitions, cleanup in rows}
    settings = Settings()
    made = {
        spec.name: (
            {"stillwatch.frames": "`kafka.frames_partitions`"}.get(
                spec.name, "as frames" if spec.partitions == settings.kafka.frames_partitions else str(spec.partitions)
            ),
            spec.config["cleanup.policy"],
        )
        for spec in topic_specs(settings)
    }
    assert told == made


def test_grants_are_those_of_the_users_file(guide: str, root: Path) -> None:
    """The SQL for a server of one's own grants what the tested file grants."""
    text = re.sub(r"\s+", " ", guide)
    told = {user: rights for rights, user in re.findall(r"GRANT ([^;]+?) ON stillwatch\.\* TO (stillwatch_\w+);", text)}
    file = (root / "infra/clickhouse/users.xml").read_text()
    made = dict(re.findall(r"<(stillwatch_\w+)>\s+<password.*?<query>GRANT (.+?) ON stillwatch\.\*</query>", file, re.DOTALL))
    assert told == made
    assert len(made) == 3
