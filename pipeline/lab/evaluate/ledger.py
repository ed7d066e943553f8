"""The tracked ledger of judge runs: one line per run with commit and results, so that nobody judges until it fits.

Every look at the judge half costs a little of its worth; the ledger shows how many there were.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import orjson

from pipeline.lab.evaluate.summary import BANDS

LEDGER = Path("docs/evaluation-ledger.ndjson")


def commit(root: Path) -> str:
    """Short commit of a checkout, with `+` when files differ from it; empty where there is none."""

    def git(*arguments: str) -> str:
        done = subprocess.run(("git", "-C", str(root), *arguments), capture_output=True, text=True, check=False)  # noqa: S603, S607 - fixed arguments, the git that the user has
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        found = git("rev-parse", "--short=12", "HEAD")
        return found + ("+" if found and git("status", "--porcelain", "--", "pipeline") else "")
    except OSError:  # no git here
        return ""


def checkout() -> Path | None:
    """The source checkout that this package runs from, None for an installed wheel."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() and (root / "docs").is_dir() else None


def entry(figures: dict[str, Any], at: str) -> dict[str, Any]:
    """One line of the ledger from a report's figures; only our own columns.

    Args:
        figures: of `report.figures`.
        at: when, ISO 8601.
    """
    found: dict[str, Any] = {"at": at, **figures["context"], "workloads": {}}
    for name, w in figures["workloads"].items():
        ours: dict[str, Any] = {}
        for column, d in w["detectors"].items():
            if not column.startswith("stillwatch"):
                continue
            false, recall = d["false"] or {}, d["recall"] or {}
            ours[column] = {
                "per_1000": false.get("per_1000"),
                "high": false.get("high"),
                "recall": {b: recall.get("bands", {}).get(b, {}).get("macro") for b in BANDS},
                "right_kind": recall.get("right_kind"),
            }
        found["workloads"][name] = {"shards": w["shards"], "account_days": w["benign_account_days"], "detectors": ours}
    return found


def append(path: Path, line: dict[str, Any]) -> None:
    """Add a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(orjson.dumps(line, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))
