"""The paper's protocol (arXiv 2606.05725): windows of prompts, some of them an attacker's, beside many benign groups.

Each benign group is a sort of customer: one language, one topic, one template. A window is compared with the same customer's
own past (ours, and MMD against the own past) or with one global benign reference (MMD as published). What a global reference
does to one-language and one-topic customers is the point of the table.

Ours is `stillwatch, running means`: the squared distance between the window's mean sketch and the own mean, over what the own
blocks' scatter lets one expect, as a normal quantile. How far that ratio strays by chance depends on in how many directions the
customer's prompts vary: hundreds for a chat product, a handful where a few passages come again and again. The blocks' distances tell
(Satterthwaite, 1946), so a running mean and two numbers per account are enough. The product keeps the ratio per block of 25
prompts (feature `mean_shift`) and over the last few hundred (`recent_shift`), with one number: not the directions.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.lab.evaluate.marginals import TextKind
from pipeline.lab.evaluate.mmd import Reference, unit
from pipeline.lab.evaluate.run import marginals_of
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.summary import tidy
from pipeline.lab.evaluate.vectors import BLOCK_REQUESTS
from pipeline.lab.evaluate.voices import Scribe, Writer
from pipeline.lab.evaluate.wording import paraphrasers, templates
from pipeline.lab.simulate.dice import Dice, generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.lab.evaluate.marginals import Group, Marginals

SIZES = (100, 200, 1_500)
SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
_PAST = 1_000
_PER_CUSTOMER = 5
_MMD_EVERY = {100: 5, 200: 5, 1_500: 20}
"""MMD is slow: it sees one customer in so many."""
_LEVEL = 0.998
"""Quantile of the other half's benign windows at which our bar stands (.2 % by design)."""
_MMD_LEVEL = 0.95
_LEAST_EFFECT = 0.002
"""Squared distance beyond the expected one, below which a window is not different enough to matter (unit sketches)."""
_DIRECTIONS = (2.0, 200.0)
"""Fewest and most directions that a customer's prompts are taken to vary in."""
_NOTHING = -9.0
_STATISTICS = ("stillwatch, running means", "mmd, own past", "mmd, global reference")


@dataclass(frozen=True, slots=True)
class WindowOrder:
    """What to measure; `per_group` benign windows of 100 and 200 (a fifth of that of 1,500); `groups`: only these, empty: all."""

    data: Path | None = None
    split: Split = Split.JUDGE
    per_group: int = 1_000
    jobs: int = 2
    sizes: tuple[int, ...] = SIZES
    groups: tuple[str, ...] = ()


class _Task(NamedTuple):
    """One sort of customer, one window size; `share` 0 is benign."""

    split: Split
    name: str
    size: int
    share: float
    customers: int


class _Scored(NamedTuple):
    """Statistics of windows: the running means, MMD where it looked."""

    task: _Task
    means: list[float]
    own: list[float]
    globe: list[float]


def _sorts(marginals: Marginals, split: Split) -> dict[str, Callable[[Dice, Writer], NDArray[np.int32]]]:
    """Benign groups: name → maker of one customer's pool of prompts."""

    def of(kind: TextKind, count: int, language: str | None) -> Callable[[Dice, Writer], NDArray[np.int32]]:
        def make(dice: Dice, writer: Writer) -> NDArray[np.int32]:
            groups = dice.some(marginals.texts(split, kind, language), count)
            return _mixed(dice, [writer.scribe.add(g.draw(dice.rng, writer.requests // len(groups) + 1), g) for g in groups])

        return make

    def app(dice: Dice, writer: Writer) -> NDArray[np.int32]:
        groups: Sequence[Group] = dice.some(marginals.texts(split, TextKind.RECORD), 2)
        use = dice.pick(templates(split, "app"))
        pools = [writer.scribe.add([use.fill(t) for t in g.draw(dice.rng, writer.requests // 2 + 1)], g) for g in groups]
        return _mixed(dice, pools)

    found: dict[str, Callable[[Dice, Writer], NDArray[np.int32]]] = {}
    for language in marginals.languages(split):
        found[f"one language: {language}"] = of(TextKind.PEOPLE, 4, language)
    found["one topic: en"] = of(TextKind.PEOPLE, 1, "en")
    found["one topic: any language"] = of(TextKind.PEOPLE, 1, None)
    found["retrieval: en"] = of(TextKind.PASSAGE, 1, "en")
    found["records"] = of(TextKind.RECORD, 1, None)
    found["templated app"] = app
    found["in-house tasks"] = of(TextKind.TASK, 1, None)
    return found


def _mixed(dice: Dice, pools: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    together = np.concatenate(pools)
    shuffled: NDArray[np.int32] = together[dice.rng.permutation(together.size)]
    return shuffled


def _hostile(marginals: Marginals, split: Split, dice: Dice, writer: Writer) -> NDArray[np.int32]:
    """One attacker's prompts: data sets, templates, paraphrases, chains of thought, in one of the usual ways."""
    how = dice.pick(("template", "paraphrase", "dataset", "reasoning"))
    kind = TextKind.REASONING if how == "reasoning" else TextKind.TASK
    groups = dice.some(marginals.texts(split, kind), dice.integer(2, 8))
    words = dice.some(templates(split, "task"), dice.integer(1, 3))
    pools = []
    for g in groups:
        texts = g.draw(dice.rng, writer.requests // len(groups) + 1)
        if how == "template":
            texts = [dice.pick(words).fill(t) for t in texts]
        elif how == "paraphrase":
            texts = [dice.pick(paraphrasers(split)).apply(dice.rng, t) for t in texts]
        pools.append(writer.scribe.add(texts, g))
    return _mixed(dice, pools)


# ---- one task


class _Windows(NamedTuple):
    """Customers of one task: their past and their windows as text ids."""

    past: NDArray[np.int32]  # [customers, _PAST]
    windows: NDArray[np.int32]  # [customers, windows, size]
    prints: NDArray[np.void]


def _draw(task: _Task, marginals: Marginals) -> _Windows:
    scribe = Scribe()
    sort = _sorts(marginals, task.split)[task.name]
    per = _PER_CUSTOMER
    hostile = round(task.share * task.size)
    past, windows = [], []
    for number in range(task.customers):
        dice = Dice(
            generator(
                515,
                SIZES.index(task.size) if task.size in SIZES else 9,
                round(task.share * 100),
                number,
                len(task.name),
                *task.name.encode()[:24],
            )
        )
        own = sort(dice, Writer(scribe, dice, _PAST + per * task.size + 8))
        past.append(own[:_PAST])
        rest = own[_PAST : _PAST + per * task.size].reshape(per, task.size).copy()
        if hostile:
            bad = _hostile(marginals, task.split, dice, Writer(scribe, dice, per * hostile + 8))
            for w in range(per):
                at = dice.rng.permutation(task.size)[:hostile]
                rest[w, at] = bad[w * hostile : (w + 1) * hostile]
        windows.append(rest)
    return _Windows(np.stack(past), np.stack(windows), scribe.finish().prints)


def _score(data: Path | None, task: _Task) -> _Scored:
    marginals = marginals_of(data)
    drawn = _draw(task, marginals)
    rng = generator(515, 1, task.size)
    globe = Reference(_global(marginals, task.split), task.size, rng)
    own_values, globe_values = [], []
    for c in range(0, task.customers, _MMD_EVERY.get(task.size, 5)):
        own = Reference(unit(drawn.prints["sketch"][drawn.past[c]]), task.size, rng)
        for w in range(_PER_CUSTOMER):
            window = unit(drawn.prints["sketch"][drawn.windows[c, w]])
            own_values.append(own.statistic(window))
            globe_values.append(globe.statistic(window))
    return _Scored(task, _running_means(drawn), own_values, globe_values)


def _running_means(drawn: _Windows) -> list[float]:
    """How far each window's mean is from the own mean, as a normal quantile; `_NOTHING` below the least effect."""
    found = []
    for past, windows in zip(drawn.past, drawn.windows, strict=True):
        blocks = unit(drawn.prints["sketch"][past]).reshape(_PAST // BLOCK_REQUESTS, BLOCK_REQUESTS, -1).mean(axis=1)
        mean = blocks.mean(axis=0)
        distances = ((blocks - mean) ** 2).sum(axis=1, dtype=np.float64)
        scatter = float(distances.sum()) / (len(blocks) - 1)
        directions = float(np.clip(2.0 * distances.mean() ** 2 / max(distances.var(ddof=1), 1e-12), *_DIRECTIONS))
        for window in windows:
            away = float(((unit(drawn.prints["sketch"][window]).mean(axis=0) - mean) ** 2).sum())
            expected = scatter * (BLOCK_REQUESTS / len(window) + 1.0 / len(blocks))
            far = away - expected >= _LEAST_EFFECT
            found.append(surprise(away / expected, directions, directions * (len(blocks) - 1)) if far else _NOTHING)
    return found


def surprise(ratio: float, above: float, below: float) -> float:
    """Normal quantile of a ratio of variances with so many degrees of freedom (Paulson, 1942, on Wilson and Hilferty)."""
    a, b, root = 2.0 / (9.0 * above), 2.0 / (9.0 * below), float(np.cbrt(ratio))
    return ((1.0 - b) * root - (1.0 - a)) / float(np.sqrt(b * root * root + a))


def _global(marginals: Marginals, split: Split) -> NDArray[np.float32]:
    """The published reference: benign prompts of everybody (English conversations mostly, as in public sets)."""
    dice = Dice(generator(515, 2))
    scribe = Scribe()
    for group in dice.some(marginals.texts(split, TextKind.PEOPLE, "en"), 40):
        scribe.add(group.draw(dice.rng, 100), group)
    return unit(scribe.finish().prints["sketch"])


# ---- all of it


def windows(order: WindowOrder, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Measure → figures: per size and statistic TPR by attacker share and FPR by benign group."""
    marginals = marginals_of(order.data)
    other = Split.TUNE if order.split is Split.JUDGE else Split.JUDGE
    tasks: list[_Task] = []
    for size in order.sizes:
        customers = max(2, -(-order.per_group // _PER_CUSTOMER) // (5 if size > 1_000 else 1))
        few = max(2, customers // 8)
        for split, count in ((other, max(2, customers // 4)), (order.split, customers)):
            tasks += [_Task(split, name, size, 0.0, count) for name in _chosen(order, marginals, split)]
        tasks += [_Task(order.split, name, size, share, few) for name in _chosen(order, marginals, order.split) for share in SHARES]
    tasks.sort(key=lambda t: -t.size * t.customers)
    done: dict[_Task, _Scored] = {}
    if order.jobs > 1:
        with ProcessPoolExecutor(order.jobs, mp_context=get_context("spawn")) as pool:
            for scored in pool.map(_score, [order.data] * len(tasks), tasks):
                done[scored.task] = scored
                progress(f"{scored.task.name}, {scored.task.size} prompts", len(done), len(tasks))
    else:
        for task in tasks:
            done[task] = _score(order.data, task)
            progress(f"{task.name}, {task.size} prompts", len(done), len(tasks))
    note = (
        f"{order.split} half, {marginals.name} texts. Bars are set on the other half's benign windows: ours at the {_LEVEL:.1%} quantile "
        f"of all groups together, MMD at {_MMD_LEVEL:.0%} as published. MMD sees every fifth customer (at 1,500 every 20th, fewer draws)."
    )
    return {"note": note, "sizes": {str(size): _figures(order, other, size, done) for size in order.sizes}}


def _chosen(order: WindowOrder, marginals: Marginals, split: Split) -> list[str]:
    return [name for name in _sorts(marginals, split) if not order.groups or name in order.groups]


def _values(scored: _Scored, name: str) -> NDArray[np.float64]:
    if name.startswith("stillwatch"):
        return np.array(scored.means)
    return np.array(scored.own if name.endswith("past") else scored.globe)


def _figures(order: WindowOrder, other: Split, size: int, done: dict[_Task, _Scored]) -> dict[str, Any]:
    mine = [s for t, s in done.items() if t.size == size]
    found: dict[str, Any] = {"statistics": {}, "windows_per_group": {}}
    for s in mine:
        if s.task.split == order.split and s.task.share == 0:
            found["windows_per_group"][s.task.name] = len(s.means)
    found["windows_per_group"] = dict(sorted(found["windows_per_group"].items()))
    for name in _STATISTICS:
        lessons = [s for s in mine if s.task.split == other]
        if name == "mmd, global reference":  # published: benign against the same benign
            lessons = [s for s in lessons if s.task.name == "one language: en"]
        bar = float(
            np.quantile(np.concatenate([_values(s, name) for s in lessons]), _LEVEL if name.startswith("stillwatch") else _MMD_LEVEL)
        )
        if name.startswith("stillwatch"):  # few windows cannot take it below what chance alone would reach
            bar = max(bar, NormalDist().inv_cdf(_LEVEL))
        by_group = {
            s.task.name: tidy(float((_values(s, name) > bar).mean())) for s in mine if s.task.split == order.split and s.task.share == 0
        }
        benign = np.concatenate([_values(s, name) for s in mine if s.task.split == order.split and s.task.share == 0])
        tpr = {}
        for share in SHARES:
            values = np.concatenate([_values(s, name) for s in mine if s.task.share == share])
            tpr[f"{share:.0%}"] = tidy(float((values > bar).mean()))
        worst = max(by_group, key=lambda g: (by_group[g] or 0.0, g))
        found["statistics"][name] = {
            "fpr": tidy(float((benign > bar).mean())),
            "fpr_by_group": dict(sorted(by_group.items())),
            "worst_group": worst,
            "worst_fpr": by_group[worst],
            "tpr": tpr,
        }
    return found
