"""Teach the shipped ensembles and fit the shipped prior: `python -m pipeline.lab.teach` (extra `evaluate`).

Sources are the package's own parametric generator and, with `--data`, workloads composed from public marginals; of each only
the tune half, so none of the archetypes, tenants, texts, templates and rhythms that the judge half keeps to itself. Nearly all
populations have traits of archetypes crossed (`evaluate.crossing`) and habits of their own (`evaluate.foreign`), one in three a source
of their own in which honest lives change as well (`evaluate.drawn`), so that trees learn traits, neither the named choreographies
nor the habits and the calm of two sources. One in five is a world by other hands (`lab.worlds`): full of honest accounts that look
alarming in ways that we had not thought of. All teach kinds a second time, as gateways show them that tell less (`UNTOLD`). The bars of
the prior are counted on populations of ours that the trees did not see, half of them with habits as new to the trees as a user's.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from pipeline.base.settings import DetectSettings
from pipeline.events.alert import Kind
from pipeline.features.blocks import rows_of
from pipeline.lab.evaluate.crossing import SIGN
from pipeline.lab.evaluate.drawn import draw_source
from pipeline.lab.evaluate.frames import frames
from pipeline.lab.evaluate.run import marginals_of
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.workloads import workload
from pipeline.lab.prior import History, Player, fit, play
from pipeline.lab.simulate.dice import Dice, generator
from pipeline.lab.worlds.authors import AUTHORS, SIZE
from pipeline.scoring.inputs import KIND_NAMES, MIN_REQUESTS, UNTOLD, change_inputs, kind_inputs, level_inputs, needs
from pipeline.scoring.kinds import INDEX, KINDS
from pipeline.scoring.levels import look_in
from pipeline.scoring.prior import FILE as PRIOR_FILE
from pipeline.scoring.prior import write_prior
from pipeline.scoring.taught import FILE as TAUGHT_FILE
from pipeline.scoring.taught import Taught, write_taught
from pipeline.scoring.trees import Trees

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from pipeline.features.blocks import Blocks
    from pipeline.lab.evaluate.table import Shard
    from pipeline.lab.worlds.world import World

T = TypeVar("T")
WORKLOADS = {"teaching": 8, "teaching.foreign": 24, "teaching.habits": 24, "teaching.drawn": 24}
"""Populations of each, per source."""
WORLDS = (6, 4)
"""Worlds of each author that teach, per source: on the source as it is, and on sources drawn from it."""
COUNTED = ("standard", "teaching.foreign")
"""What the bars are counted on, equally many of each: populations that do not teach."""
TAUGHT_LOOKS = 8
"""Looks that teach LEVEL. Few accounts come to later ones, and those would teach that much is bad."""
_SAID = 0.1
"""A block or life with a smaller share of attack requests is neither a good example nor a good counterexample."""
_PER_SHARD = 6_000
"""Blocks of benign accounts taken from a population; half as many of attackers."""


class Shape(NamedTuple):
    """How an ensemble grows."""

    trees: int
    rate: float
    leaves: int
    depth: int
    least: int
    """Examples in a leaf."""
    seen: float
    """Share of the inputs that a split may choose from: what one says of the known archetypes must not hide what others say."""


CHANGE = Shape(240, 0.05, 16, 6, 60, 0.2)
LEVEL = Shape(400, 0.04, 16, 6, 30, 0.12)
"""Many small steps, each seeing a few inputs: what finds archetypes that were kept out (docs/decisions/0015)."""
KIND = Shape(40, 0.12, 8, 4, 60, 0.3)
"""Few and shallow: more of them learn the authors of the examples (docs/decisions/0071)."""
_NAMED_BY = 20
"""First blocks of an attack that teach what kind it is: an alert is named when it opens."""


class Lesson(NamedTuple):
    """One population's examples."""

    change: NDArray[np.float32]  # [n, inputs]
    change_is: NDArray[np.bool_]  # [n]
    level: NDArray[np.float32]  # [m, inputs]
    level_is: NDArray[np.bool_]  # [m]
    kind: NDArray[np.float32]  # [k, inputs]
    kind_is: NDArray[np.int8]  # [k]


def shard_history(shard: Shard) -> tuple[History, NDArray[np.int64]]:
    """All blocks of a population in closing order, and how many of each block's requests were an attack's."""
    player = Player(len(shard.accounts), DetectSettings().block_requests)
    for _, (_, columns) in frames(shard):
        player.feed(columns, columns.account.astype(np.int32))
    blocks = player.blocks()
    return History(blocks, [a.account_id for a in shard.accounts]), _hostile(shard.events["account"], shard.events["attack"] == 1, blocks)


def world_history(world: World) -> tuple[History, NDArray[np.int64]]:
    """The same of a world."""
    played, slots = play(world.events, len(world.sorts), DetectSettings().block_requests)
    return played, _hostile(slots, world.hostile, played.blocks)


def _hostile(account: NDArray[np.integer], attack: NDArray[np.bool_], blocks: Blocks) -> NDArray[np.int64]:
    """Attack requests per block: an account's blocks cut its events in order."""
    order = np.argsort(account, kind="stable")
    edges = np.searchsorted(account[order], np.arange(account.max() + 2))
    sums = np.concatenate(([0], np.cumsum(attack[order])))
    by_account = np.argsort(blocks.slot, kind="stable")
    ends = blocks.totals[by_account, 0] + np.asarray(edges)[blocks.slot[by_account]]
    found = np.zeros(len(blocks.slot), np.int64)
    found[by_account] = sums[ends] - sums[ends - blocks.requests[by_account]]
    return found


def lesson(data: Path | None, name: str, number: int) -> Lesson:
    """Examples of one population."""
    shard = workload(name).build(marginals_of(data), Split.TUNE, number)
    (blocks, _), hostile = shard_history(shard)
    kinds = [INDEX[Kind(a.truth.kinds[0])] if a.truth and SIGN not in a.archetype else -1 for a in shard.accounts]
    return examples(blocks, hostile, np.array(kinds), number)


def world_of(data: Path | None, author: str, seed: int, *, drawn: bool = False, size: tuple[int, int] = SIZE) -> World:
    """An author's world of that size on the source as it is, or on one drawn from it."""
    source = marginals_of(data)
    if drawn:
        source = draw_source(Dice(generator(77, seed)), source)
    return AUTHORS[author](seed, source, Split.TUNE, *size)


def world_lesson(data: Path | None, author: str, number: int) -> Lesson:
    """Examples of the `number`-th world that teaches."""
    drawn = number >= WORLDS[0]
    seed = 1 + number - (WORLDS[0] if drawn else 0)
    world = world_of(data, author, seed, drawn=drawn)
    (blocks, accounts), hostile = world_history(world)
    kinds = [INDEX[Kind(world.attackers[a])] if a in world.attackers else -1 for a in accounts]
    return examples(blocks, hostile, np.array(kinds), seed)


def examples(blocks: Blocks, hostile: NDArray[np.int64], kinds: NDArray[np.int64], number: int) -> Lesson:
    """Examples among these blocks, of which so many requests were an attack's; kind of each account, −1: honest, or no single one."""
    rng = np.random.default_rng(number)
    share = hostile / blocks.requests
    clear = (blocks.requests >= MIN_REQUESTS) & ((share == 0.0) | (share >= _SAID))
    weight = 1.0 / np.sqrt(np.bincount(blocks.slot, minlength=len(kinds))[blocks.slot])
    chosen = np.concatenate(
        [
            _pick(rng, np.flatnonzero(clear & (share == 0.0)), weight, _PER_SHARD),
            _pick(rng, np.flatnonzero(clear & (share > 0.0)), weight, _PER_SHARD // 2),
        ]
    )
    by_account = np.argsort(blocks.slot, kind="stable")
    so_far = np.zeros(len(blocks.slot))
    running = np.cumsum(hostile[by_account])
    first = np.searchsorted(blocks.slot[by_account], blocks.slot[by_account])
    so_far[by_account] = running - np.concatenate(([0], running))[first]
    life = so_far / np.maximum(blocks.totals[:, 0], 1)
    look = look_in(blocks.totals[:, 0], blocks.requests)
    looks = np.flatnonzero((look >= 0) & (look < TAUGHT_LOOKS) & ((life == 0.0) | (life >= _SAID)))
    attack = np.flatnonzero((blocks.requests >= MIN_REQUESTS) & (share > 0.0) & (kinds[blocks.slot] >= 0))
    attack = attack[(_nth(blocks.slot[attack]) < _NAMED_BY) & (share[attack] >= _SAID)]
    v, t = blocks.vector, blocks.totals
    return Lesson(
        change_inputs(v[chosen], t[chosen]).astype(np.float32), share[chosen] > 0.0,
        level_inputs(v[looks], t[looks]).astype(np.float32), life[looks] > 0.0,
        kind_inputs(v[attack], t[attack]).astype(np.float32), kinds[blocks.slot[attack]].astype(np.int8),
    )  # fmt: skip


def without(taught: Lesson, untold: frozenset[str]) -> Lesson:
    """The same examples of kinds as a gateway shows them that does not tell these."""
    return taught._replace(kind=np.where([needs(name, untold) for name in KIND_NAMES], np.float32(np.nan), taught.kind))


def _nth(slots: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many of the same slot stand before each."""
    by_slot = np.argsort(slots, kind="stable")
    nth = np.zeros(len(slots), np.int64)
    nth[by_slot] = np.arange(len(slots)) - np.searchsorted(slots[by_slot], slots[by_slot])
    return nth


def _pick(rng: np.random.Generator, at: NDArray[np.int64], weight: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    if at.size == 0:
        return at
    p = weight[at] / weight[at].sum()
    return np.sort(rng.choice(at, min(most, at.size), replace=False, p=p))


def boost(x: NDArray[np.float32], y: NDArray[np.bool_], shape: Shape) -> Trees:
    """Gradient-boosted trees (Friedman, 2001) by scikit-learn → arrays."""
    (trees,) = _grow(x, y, shape)
    return trees


def boost_kinds(x: NDArray[np.float32], kind: NDArray[np.int8], shape: Shape) -> tuple[Trees, ...]:
    """The same with a softmax over the kinds: one ensemble each, whose scores are log-probabilities up to a constant.

    Raises:
        ValueError: of one kind there is no example.
    """
    absent = [KINDS[i].value for i in sorted(set(range(len(KINDS))) - set(kind.tolist()))]
    if absent:
        raise ValueError(f"no example of {', '.join(absent)}")
    return _grow(x, kind, shape)


def _grow(x: NDArray[np.float32], y: NDArray[np.bool_] | NDArray[np.int8], shape: Shape) -> tuple[Trees, ...]:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - an extra

    model = HistGradientBoostingClassifier(
        max_iter=shape.trees, learning_rate=shape.rate, max_leaf_nodes=shape.leaves, max_depth=shape.depth,
        min_samples_leaf=shape.least, max_features=shape.seen, l2_regularization=5.0, early_stopping=False, random_state=1,
    ).fit(x, y)  # fmt: skip
    base = np.asarray(model._baseline_prediction).ravel().tolist()  # noqa: SLF001 - scikit-learn gives its trees no other way
    grown = zip(*model._predictors, strict=True)  # noqa: SLF001 - as above; one ensemble each, or one for both of two classes
    return tuple(_arrays([tree.nodes for tree in trees], at) for trees, at in zip(grown, base, strict=True))


def _arrays(nodes: list[Any], base: float) -> Trees:
    starts = np.cumsum([0, *map(len, nodes)])[:-1]
    parts: list[tuple[Any, ...]] = []
    for start, tree in zip(starts.tolist(), nodes, strict=True):
        leaf = tree["is_leaf"].astype(bool)
        value = tree["value"].copy()
        for at in range(len(tree) - 1, -1, -1):  # children stand behind their parents
            if not leaf[at]:
                a, b = int(tree["left"][at]), int(tree["right"][at])
                n, m = int(tree["count"][a]), int(tree["count"][b])
                value[at] = (n * value[a] + m * value[b]) / (n + m)
        child = [np.where(leaf, -1, tree[side].astype(np.int64) + start) for side in ("left", "right")]
        parts.append((tree["feature_idx"], tree["num_threshold"], tree["missing_go_to_left"].astype(bool), *child, value))
    feature, threshold, missing, left, right, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    i32 = np.int32
    return Trees(base, starts.astype(i32), feature.astype(i32), threshold, missing, left.astype(i32), right.astype(i32), value)


def teach(lessons: list[Lesson]) -> Taught:
    """The ensembles of these examples; kinds are taught again without what gateways do not tell, in turn (docs/decisions/0072)."""
    change = boost(np.concatenate([x.change for x in lessons]), np.concatenate([x.change_is for x in lessons]), CHANGE)
    level = boost(np.concatenate([x.level for x in lessons]), np.concatenate([x.level_is for x in lessons]), LEVEL)
    twice = [*lessons, *map(without, lessons, cycle(UNTOLD.values()))]
    rows, kind = np.concatenate([x.kind for x in twice]), np.concatenate([x.kind_is for x in twice])
    return Taught(change, level, boost_kinds(rows, kind, KIND))


def benign(data: Path | None, name: str, number: int) -> History:
    """Blocks of the benign accounts of the `number`-th population that does not teach, slots as they were."""
    shard = workload(name).build(marginals_of(data), Split.TUNE, WORKLOADS.get(name, 0) + number)
    (blocks, accounts), _ = shard_history(shard)
    mine = np.array([a.benign for a in shard.accounts])[blocks.slot]
    return History(rows_of(blocks, mine), accounts)


def main(data: Path | None, counted_on: int) -> None:
    """Write the package's two files; progress on standard error."""
    sources = [None] if data is None else [None, data]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        asked = [pool.submit(lesson, source, name, n) for source in sources for name, count in WORKLOADS.items() for n in range(count)]
        others = [pool.submit(world_lesson, source, author, n) for source in sources for author in AUTHORS for n in range(sum(WORLDS))]
        wanted = [pool.submit(benign, source, name, n) for source in sources for name in COUNTED for n in range(counted_on)]
        lessons = [_told(f, f"examples {i} of {len(asked)}") for i, f in enumerate(asked, 1)]
        worlds = [_told(f, f"examples of world {i} of {len(others)}") for i, f in enumerate(others, 1)]
        histories = [_told(f, f"benign population {i} of {len(wanted)}") for i, f in enumerate(wanted, 1)]
    write(lessons + worlds, histories)


def write(lessons: list[Lesson], histories: list[History]) -> None:
    """Write the package's two files."""
    folder = Path(__file__).parent.parent / "scoring"
    taught = teach(lessons)
    (folder / TAUGHT_FILE).write_bytes(write_taught(taught))
    (folder / PRIOR_FILE).write_bytes(write_prior(fit(histories, taught)))


def _told(done: Future[T], what: str) -> T:
    found = done.result()
    sys.stderr.write(what + "\n")
    return found


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m pipeline.lab.teach", description=__doc__)
    options.add_argument("--data", type=Path, help="folder of the public data sets: teach and count on their marginals too")
    options.add_argument("--counted-on", type=int, default=5, help="populations per source and workload for the bars (default 5)")
    found = options.parse_args()
    main(found.data, found.counted_on)
