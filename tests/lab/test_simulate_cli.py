"""`stillwatch simulate`: files, labels, refusals; and records into a broker."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING

import orjson
import pytest
import typer
import zstandard
from typer.testing import CliRunner

from pipeline.base.errors import SettingsError
from pipeline.cli import simulate as verb
from pipeline.lab.simulate import AttackSpec, Faults, Scenario, parse_attackers, publish, simulate
from pipeline.lab.truth import truth
from pipeline.ports.memory import MemoryBroker

if TYPE_CHECKING:
    from pathlib import Path

QUICK = [
    "--days",
    "0.3",
    "--accounts",
    "20",
    "--events-per-day",
    "60",
    "--attackers",
    "bulk_extraction:requests=300",
    "--end",
    "1790000000000",
]


@pytest.fixture
def app() -> typer.Typer:
    """The verb, beside another one so that typer keeps its name."""
    app = typer.Typer()
    verb.register(app)
    app.command("other")(lambda: None)
    return app


def _run(app: typer.Typer, *args: str) -> str:
    result = CliRunner().invoke(app, ["simulate", *QUICK, *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stderr


def test_file_with_labels(app: typer.Typer, tmp_path: Path) -> None:
    """`--out FILE` writes one event per line and the truth beside it; the summary names the attacker."""
    out = tmp_path / "t.ndjson"
    said = _run(app, "--out", str(out), "--seed", "4")
    events = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    labels = [orjson.loads(line) for line in (tmp_path / "t.ndjson.labels.ndjson").read_bytes().splitlines()]
    assert sum(label["requests"] for label in labels) == len(events) > 300
    (attacker,) = [label for label in labels if label["label"] != "benign"]
    assert attacker["attack_requests"] == 300
    assert attacker["account_id"] in said
    assert "seed 4" in said


def test_compressed_files_hold_the_same_and_repeat(app: typer.Typer, tmp_path: Path) -> None:
    """Plain, .gz and .zst hold the same events, and a second run gives byte-equal files."""
    digests = []
    for run in ("a", "b"):
        for suffix in ("", ".gz", ".zst"):
            _run(app, "--out", str(tmp_path / f"{run}.ndjson{suffix}"), "--seed", "4", "--duplicates", "0.05")
        digests.append([hashlib.sha256((tmp_path / f"{run}.ndjson{s}").read_bytes()).hexdigest() for s in ("", ".gz", ".zst")])
    assert digests[0] == digests[1]
    plain = (tmp_path / "a.ndjson").read_bytes()
    assert gzip.decompress((tmp_path / "a.ndjson.gz").read_bytes()) == plain
    assert zstandard.ZstdDecompressor().decompressobj().decompress((tmp_path / "a.ndjson.zst").read_bytes()) == plain


def test_random_seed_is_printed_and_repeats(app: typer.Typer, tmp_path: Path) -> None:
    """Without --seed one is drawn and printed; given back, it makes the same file."""
    said = _run(app, "--out", str(tmp_path / "a"))
    seed = said.split()[1].rstrip(",")
    _run(app, "--out", str(tmp_path / "b"), "--seed", seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--out", "x", "--produce"],
        ["--out", "x", "--rate", "5"],
        ["--produce", "--rate", "-1"],
        ["--out", "x", "--end", "soon"],
        ["--out", "x", "--late", "7"],
        ["--out", "no/such/folder/x"],
    ],
)
def test_wrong_options_are_refused(app: typer.Typer, args: list[str]) -> None:
    """Contradictions and impossible values end with a sentence, before anything is written."""
    with pytest.raises(SettingsError):
        CliRunner().invoke(app, ["simulate", *QUICK, *args], catch_exceptions=False)


def test_publish_sends_every_record_under_its_key() -> None:
    """What lies in the topic afterwards is what was simulated: values, keys, and so the truth."""
    scenario = Scenario(
        seed=8,
        start_ms=1_790_000_000_000,
        days=0.2,
        accounts=10,
        attacks=tuple(AttackSpec(spec.kind, requests=300) for spec in parse_attackers("probing")),
        faults=Faults(duplicates=0.05, rekeyed=0.1, late=0.05),
    )
    broker = MemoryBroker({"api.requests": 3})
    seen: list[int] = []
    tally = publish(
        simulate(scenario), broker.producer(), "api.requests", rate=1e9, speedup=1e9, on_progress=lambda t, _: seen.append(t.records)
    )
    records = broker.records("api.requests")
    expected = [(event.key.encode(), event.raw) for event in simulate(scenario)]
    assert sorted((r.key() or b"", r.value() or b"") for r in records) == sorted(expected)
    assert tally.records == len(records) == seen[-1]
    assert sum(h.requests for h in truth(r.value() or b"" for r in records).values()) == tally.counted


def test_publish_keeps_to_the_rate() -> None:
    """At 2,000 records a second, 300 records take at least 140 ms; the clock of late records does not slow it further."""
    import time  # noqa: PLC0415 - measured here only

    scenario = Scenario(seed=8, start_ms=1_790_000_000_000, days=0.2, accounts=0, attacks=parse_attackers("probing:requests=300:share=1"))
    broker = MemoryBroker({"t": 1})
    begun = time.monotonic()
    tally = publish(simulate(scenario), broker.producer(), "t", rate=2_000)
    assert time.monotonic() - begun >= (tally.records - 1) / 2_000 - 0.01
