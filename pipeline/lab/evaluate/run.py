"""Playing workloads: teach on tune shards, measure shards on several processes, keep each result, take up where a run stopped."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import orjson

import pipeline
from pipeline.base.errors import SettingsError
from pipeline.base.settings import DetectSettings
from pipeline.lab.evaluate.ablation import ablate
from pipeline.lab.evaluate.measure import Bench, measure
from pipeline.lab.evaluate.oracle import Sample, sample_blocks
from pipeline.lab.evaluate.parametric import load_parametric
from pipeline.lab.evaluate.real import load_real
from pipeline.lab.evaluate.results import ShardResult, decode_result, encode_result
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.workloads import JUDGE_SUITE, workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.lab.evaluate.marginals import Marginals

TEACHER = "standard"
_TAUGHT_SHARDS = 3
_TAUGHT_SEED = 1
_RAW_EVERY = 4
"""Populations of which one also plays with cooldown off."""
_ROOMS = ("base", "events", "intake", "features", "detectors", "scoring", "accounts", "campaigns", "lab/evaluate", "lab/simulate")
_SOURCES = frozenset({".py", ".npz", ".json"})


@dataclass(frozen=True, slots=True)
class Order:
    """What to run.

    Attributes:
        budgets: our detector runs once with each.
        raw: also with cooldown off (first budget, every fourth population).
        teach: measure baselines at tuned thresholds and the oracle; needs the extra `evaluate`.
        forests: the slow baselines too.
        shards: so many of each workload at most; 0: as the workload says.
        minutes: no new shard starts after so long; 0: no limit.
        ablate: instead of all that, our detector with each part off in turn (first budget).
    """

    out: Path
    workloads: tuple[str, ...] = JUDGE_SUITE
    split: Split = Split.JUDGE
    budgets: tuple[float, ...] = (1.0,)
    data: Path | None = None
    jobs: int = 2
    raw: bool = True
    teach: bool = True
    forests: bool = True
    shards: int = 0
    minutes: float = 0.0
    ablate: bool = False


class Task(NamedTuple):
    """One shard to play; `taught`: only for thresholds and the oracle's lesson."""

    workload: str
    split: Split
    number: int
    taught: bool

    @property
    def name(self) -> str:
        """File name of its result."""
        return f"{'taught' if self.taught else 'shard'}-{self.workload}-{self.split}-{self.number}"


@dataclass(slots=True)
class Outcome:
    """What a run did.

    Attributes:
        results, taught: of all shards there are, fresh or taken up.
        skipped: shards that the time limit left out.
    """

    results: list[ShardResult] = field(default_factory=list)
    taught: list[ShardResult] = field(default_factory=list)
    fresh: int = 0
    skipped: int = 0


def source_digest() -> str:
    """Digest of the sources that results depend on, what was taught among them."""
    root = Path(pipeline.__file__).parent
    digest = hashlib.sha256()
    for room in _ROOMS:
        for file in sorted(f for f in (root / room).rglob("*") if f.suffix in _SOURCES):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def settings_for(order: Order) -> dict[str, DetectSettings]:
    """Column name → settings of our detector."""
    found = {f"stillwatch@{b:g}": DetectSettings(alert_budget=b) for b in order.budgets}
    if order.raw:
        found[f"stillwatch@{order.budgets[0]:g} raw"] = DetectSettings(alert_budget=order.budgets[0], cooldown_h=0.0, storm_factor=0.0)
    return found


@cache
def marginals_of(data: Path | None) -> Marginals:
    """Real ones from the folder, else parametric ones. Read once per process: a worker plays many populations of one source."""
    return load_real(data) if data is not None else load_parametric()


def _data_digest(data: Path | None) -> str:
    if data is None:
        return "parametric"
    parts = [f"{p.name}:{p.stat().st_size}" for p in sorted(data.glob("*.parquet"))]
    return "real:" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]


def _key(order: Order, task: Task, sources: str) -> str:
    what = {
        "sources": sources,
        "task": list(task),
        "settings": {n: s.model_dump(mode="json") for n, s in settings_for(order).items()} if not task.taught else {},
        "data": _data_digest(order.data),
        "teach": order.teach,
        "forests": order.forests,
        "ablate": order.ablate,
    }
    return hashlib.sha256(orjson.dumps(what, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


# ---- in a worker process


class _Worker:
    """What one process keeps between tasks."""

    order: Order
    model: Any = None


def _start(order: Order, model: Any) -> None:  # noqa: ANN401 - scikit-learn ships no types
    _Worker.order, _Worker.model = order, model


def _play(task: Task, key: str) -> bytes:
    """Build and measure one shard; taught ones leave their training blocks beside the result."""
    order = _Worker.order
    chosen = workload(task.workload)
    begun = time.perf_counter()
    shard = chosen.build(marginals_of(order.data), task.split, task.number)
    data = "real" if order.data else "parametric"
    if order.ablate:
        result = ablate(shard, order.budgets[0], key, data)
        return encode_result(msgspec.structs.replace(result, seconds=time.perf_counter() - begun))
    settings = {} if task.taught else settings_for(order)
    if task.number % _RAW_EVERY:
        settings = {name: s for name, s in settings.items() if not name.endswith("raw")}
    bench = Bench(
        settings=settings,
        rules=True,
        forests=order.forests and (chosen.forests or task.taught),
        probe=chosen.probe and not task.taught and order.teach,
        oracle=_Worker.model if not task.taught else None,
    )
    result = measure(shard, bench, key, data)
    if task.taught:
        x, y = sample_blocks(shard, task.number)
        np.savez(order.out / "work" / f"{task.name}.npz", x=x, y=y)
    return encode_result(result)


# ---- in the parent


def run(order: Order, progress: Callable[[str, int, int], None]) -> Outcome:
    """Play everything that is not there yet, keep each shard's result, return all.

    Args:
        order: what.
        progress: called with (what just happened, shards done, shards in all).

    Raises:
        SettingsError: an unknown workload, data or an extra that is missing.
    """
    work = order.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    marginals = marginals_of(order.data)
    sources = source_digest()
    tasks = _tasks(order, marginals)
    lessons = [Task(TEACHER, Split.TUNE, n, taught=True) for n in range(_TAUGHT_SHARDS)] if order.teach and not order.ablate else []
    outcome = Outcome()
    deadline = time.monotonic() + 60 * order.minutes if order.minutes else None
    total = len(lessons) + len(tasks)
    outcome.taught = _all(order, lessons, sources, None, outcome, progress, (0, total), None)
    model = _learn(order, lessons) if lessons else None
    outcome.results = _all(order, tasks, sources, model, outcome, progress, (len(lessons), total), deadline)
    return outcome


def _tasks(order: Order, marginals: Marginals) -> list[Task]:
    found = []
    for name in order.workloads:
        count = workload(name).populations(marginals, order.split)
        count = min(count, order.shards) if order.shards else count
        found += [Task(name, order.split, n, taught=False) for n in range(count)]
    if not found:
        raise SettingsError(f"no shard of {', '.join(order.workloads)} in the {order.split} half")
    return found


def _learn(order: Order, lessons: list[Task]) -> Any:  # noqa: ANN401 - scikit-learn ships no types
    sample = Sample()
    for task in lessons:
        with np.load(order.out / "work" / f"{task.name}.npz") as held:
            sample.add(held["x"], held["y"])
    return sample.fit(_TAUGHT_SEED)


def _kept(order: Order, task: Task, key: str) -> ShardResult | None:
    path = order.out / "work" / f"{task.name}.msgpack"
    if not path.is_file() or (task.taught and not path.with_suffix(".npz").is_file()):
        return None
    try:
        result = decode_result(path.read_bytes())
    except msgspec.MsgspecError:
        return None
    return result if result.key == key else None


def _all(
    order: Order,
    tasks: list[Task],
    sources: str,
    model: Any,  # noqa: ANN401 - scikit-learn ships no types
    outcome: Outcome,
    progress: Callable[[str, int, int], None],
    place: tuple[int, int],
    deadline: float | None,
) -> list[ShardResult]:
    done, total = place
    found: dict[Task, ShardResult] = {}
    waiting: list[tuple[Task, str]] = []
    for task in tasks:
        key = _key(order, task, sources)
        kept = _kept(order, task, key)
        if kept is None:
            waiting.append((task, key))
        else:
            found[task] = kept
    if found:
        progress(f"{len(found)} shards taken up from {order.out}", done + len(found), total)

    def take(task: Task, data: bytes) -> None:
        path = order.out / "work" / f"{task.name}.msgpack"
        part = path.with_suffix(".part")
        part.write_bytes(data)
        part.replace(path)
        found[task] = decode_result(data)
        outcome.fresh += 1
        progress(f"{task.name}: {found[task].events:,} events in {found[task].seconds:.0f} s", done + len(found), total)

    if order.jobs <= 1 or len(waiting) <= 1:
        _start(order, model)
        for task, key in waiting:
            if _late(deadline):
                outcome.skipped += 1
                continue
            take(task, _play(task, key))
    elif waiting:
        _in_processes(order, waiting, model, take, outcome, deadline)
    return [found[t] for t in tasks if t in found]


def _in_processes(
    order: Order,
    waiting: list[tuple[Task, str]],
    model: Any,  # noqa: ANN401 - scikit-learn ships no types
    take: Callable[[Task, bytes], None],
    outcome: Outcome,
    deadline: float | None,
) -> None:
    """Keep every process busy with one shard; a shard begins only when a process is free, so that the deadline can stop it."""
    with ProcessPoolExecutor(order.jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(order, model)) as pool:
        busy: dict[Any, Task] = {}
        left = list(waiting)
        while left or busy:
            while left and len(busy) < order.jobs:
                task, key = left.pop(0)
                if _late(deadline):
                    outcome.skipped += 1
                else:
                    busy[pool.submit(_play, task, key)] = task
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                take(busy.pop(future), future.result())


def _late(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline
