"""One call from order to figures, and back from what a run left on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from pipeline.base.errors import SettingsError
from pipeline.lab.evaluate.ablation import reliance
from pipeline.lab.evaluate.ledger import LEDGER, append, checkout, commit, entry
from pipeline.lab.evaluate.report import figures
from pipeline.lab.evaluate.results import ShardResult, decode_result
from pipeline.lab.evaluate.run import Order, Outcome, run, source_digest
from pipeline.lab.evaluate.split import Split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SMOKE = frozenset({"smoke"})


def play(order: Order, progress: Callable[[str, int, int], None]) -> tuple[dict[str, Any], Outcome]:
    """Run the order → figures, and what the run did. Leaves `run.json` for `read_run`."""
    outcome = run(order, progress)
    root = checkout()
    context = {
        "commit": commit(root) if root else "",
        "sources": source_digest(),
        "data": "real" if order.data else "parametric",
        "split": order.split.value,
        "missing_shards": outcome.skipped,
    }
    kept = {
        "context": context,
        "budgets": order.budgets,
        "results": [_file(r, "shard") for r in outcome.results],
        "taught": [_file(r, "taught") for r in outcome.taught],
    }
    (order.out / "run.json").write_bytes(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2))
    return figures(outcome.results, outcome.taught, order.budgets, context), outcome


def play_ablation(order: Order, progress: Callable[[str, int, int], None]) -> tuple[dict[str, Any], dict[str, Any], Outcome]:
    """Run an order that ablates → its table, its figures, and what the run did."""
    found, outcome = play(order, progress)
    return reliance(found, outcome.results), found, outcome


def _file(result: ShardResult, kind: str) -> str:
    return f"{kind}-{result.workload}-{result.split}-{result.number}.msgpack"


def read_run(out: Path) -> dict[str, Any]:
    """Figures of the last run into this folder.

    Raises:
        SettingsError: there is none, or its results are gone.
    """
    try:
        kept = orjson.loads((out / "run.json").read_bytes())
        results = [decode_result((out / "work" / name).read_bytes()) for name in kept["results"]]
        taught = [decode_result((out / "work" / name).read_bytes()) for name in kept["taught"]]
    except (OSError, msgspec.MsgspecError, orjson.JSONDecodeError) as error:
        raise SettingsError(f"--out {out}: no results of a run: {error}", next_step="`stillwatch evaluate run --out` writes them") from None
    return figures(results, taught, kept["budgets"], kept["context"])


def record(order: Order, found: dict[str, Any], outcome: Outcome, at: str) -> Path | None:
    """Add a judge run to the ledger of the checkout → its place; None when it is no judge run or nothing new was played."""
    root = checkout()
    if order.split is not Split.JUDGE or root is None or not outcome.fresh or set(order.workloads) <= _SMOKE:
        return None
    append(root / LEDGER, entry(found, at))
    return LEDGER
