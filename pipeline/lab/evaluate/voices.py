"""What a stream of requests says: pools of prompts, and the hand that picks one per request. Each text's print is made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.times import DAY_MS
from pipeline.intake.fingerprint import fingerprint
from pipeline.lab.evaluate.foreign import AS_IT_IS, Wording
from pipeline.lab.evaluate.marginals import chars_per_token
from pipeline.lab.simulate.dice import scatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.lab.evaluate.marginals import Group
    from pipeline.lab.evaluate.wording import Paraphraser, Template
    from pipeline.lab.simulate.dice import Dice

_POOL = 1_500
"""Distinct prompts of one stream and group at most, benign or not."""
_PERIOD_DAYS = 20.0
_BATCH = 20_000


class Said(NamedTuple):
    """Every text of a shard.

    Attributes:
        prints: fingerprints.
        tokens: of the text alone.
        pools: number of the text group each came from; names in `pool_names`.
    """

    prints: NDArray[np.void]
    tokens: NDArray[np.int32]
    pools: NDArray[np.int32]
    pool_names: list[str]


class Scribe:
    """Collects a shard's texts; `finish` fingerprints them."""

    def __init__(self) -> None:
        self._prints: list[NDArray[np.void]] = []
        self._tokens: list[NDArray[np.int32]] = []
        self._pools: list[NDArray[np.int32]] = []
        self._pool_index: dict[str, int] = {}
        self._waiting: list[str] = []
        self.count = 0
        self.kept: list[str] | None = None
        """Set to a list to keep the texts too (for writing request events with prompts)."""

    def add(self, texts: Sequence[str], group: Group) -> NDArray[np.int32]:
        """Take texts made of a group's → their ids."""
        language = group.language
        pool = self._pool_index.setdefault(group.name, len(self._pool_index))
        self._pools.append(np.full(len(texts), pool, np.int32))
        first, self.count = self.count, self.count + len(texts)
        self._waiting.extend(texts)
        self._tokens.append(np.fromiter((len(t) / chars_per_token(language) + 1 for t in texts), np.float64, len(texts)).astype(np.int32))
        if self.kept is not None:
            self.kept.extend(texts)
        if len(self._waiting) >= _BATCH:
            self._flush()
        return np.arange(first, self.count, dtype=np.int32)

    def tokens(self) -> NDArray[np.int32]:
        """Tokens of every text so far."""
        if len(self._tokens) > 1:
            self._tokens = [np.concatenate(self._tokens)]
        return self._tokens[0] if self._tokens else np.zeros(0, np.int32)

    def _flush(self) -> None:
        if self._waiting:
            self._prints.append(fingerprint(self._waiting))
            self._waiting = []

    def finish(self) -> Said:
        """Fingerprint what is left."""
        self._flush()
        pools = np.concatenate(self._pools) if self._pools else np.zeros(0, np.int32)
        return Said(np.concatenate(self._prints) if self._prints else fingerprint([]), self.tokens(), pools, list(self._pool_index))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voice:
    """How one stream chooses its prompts.

    Attributes:
        groups: names of the text groups, for the split's audit and the bootstrap.
        pools: text ids by group.
        logits, phases: weight of each group and the phase of its slow drift.
        amplitude: of the drift.
        by_session: a session keeps its group.
        sweep: the pools are worked off in order instead.
    """

    groups: tuple[str, ...]
    pools: tuple[NDArray[np.int32], ...]
    logits: NDArray[np.float64]
    phases: NDArray[np.float64]
    amplitude: float = 0.7
    by_session: bool = True
    sweep: bool = False

    def choose(self, rng: np.random.Generator, times: NDArray[np.int64], sessions: NDArray[np.int64], salt: int) -> NDArray[np.int32]:
        """Text id of each request."""
        size = times.size
        if self.sweep:
            everything = np.concatenate(self.pools)
            return everything[np.arange(size) % everything.size]
        u = scatter(sessions, salt).astype(np.float64) / 2.0**64 if self.by_session else rng.random(size)
        turn = 2 * np.pi * times[:, None] / DAY_MS / _PERIOD_DAYS
        edges = np.cumsum(np.exp(self.logits + self.amplitude * np.sin(turn + self.phases)), axis=1)
        which = (u[:, None] * edges[:, -1:] > edges).sum(axis=1)
        lengths = np.array([p.size for p in self.pools])
        flat = np.concatenate(self.pools)
        starts = np.cumsum(lengths) - lengths
        which = np.minimum(which, lengths.size - 1)
        found: NDArray[np.int32] = flat[starts[which] + (rng.random(size) * lengths[which]).astype(np.int64)]
        return found


@dataclass(slots=True)
class Writer:
    """Makes voices for one account.

    Args:
        scribe: where texts go.
        dice: the account's.
        requests: about how many prompts the account will need.
        wording: what is done to every text.
    """

    scribe: Scribe
    dice: Dice
    requests: int
    templates: list[str] = field(default_factory=list)
    """Ids of templates and paraphrasers used, for the split's audit."""
    wording: Wording = AS_IT_IS

    def _texts(self, group: Group, groups: int) -> list[str]:
        return self.wording.apply(group.draw(self.dice.rng, self._size(groups)))

    def _size(self, groups: int, *, share: float = 1.0) -> int:
        return int(np.clip(1.2 * self.requests * share / groups, 12, _POOL))

    def _voice(self, groups: Sequence[Group], pools: list[NDArray[np.int32]], *, by_session: bool, sweep: bool = False) -> Voice:
        rng = self.dice.rng
        return Voice(
            groups=tuple(g.name for g in groups),
            pools=tuple(pools),
            logits=rng.normal(0, 0.8, len(groups)),
            phases=rng.uniform(0, 2 * np.pi, len(groups)),
            by_session=by_session,
            sweep=sweep,
        )

    def plain(self, groups: Sequence[Group], *, by_session: bool = True) -> Voice:
        """Texts as they are."""
        pools = [self.scribe.add(self._texts(g, len(groups)), g) for g in groups]
        return self._voice(groups, pools, by_session=by_session)

    def templated(self, templates: Sequence[Template], groups: Sequence[Group], *, by_session: bool = False, sweep: bool = False) -> Voice:
        """Every text inside one of the templates."""
        self.templates += [t.id for t in templates]
        rng = self.dice.rng
        pools = []
        for g in groups:
            texts = self._texts(g, len(groups))
            chosen = rng.integers(len(templates), size=len(texts)).tolist()
            pools.append(self.scribe.add([templates[c].fill(t) for c, t in zip(chosen, texts, strict=True)], g))
        return self._voice(groups, pools, by_session=by_session, sweep=sweep)

    def paraphrased(self, how: Sequence[Paraphraser], groups: Sequence[Group], templates: Sequence[Template] = ()) -> Voice:
        """Every text said otherwise, inside a template when given."""
        self.templates += [p.id for p in how] + [t.id for t in templates]
        rng = self.dice.rng
        pools = []
        for g in groups:
            texts = self._texts(g, len(groups))
            if templates:
                chosen = rng.integers(len(templates), size=len(texts)).tolist()
                texts = [templates[c].fill(t) for c, t in zip(chosen, texts, strict=True)]
            hands = rng.integers(len(how), size=len(texts)).tolist()
            pools.append(self.scribe.add([how[h].apply(rng, t) for h, t in zip(hands, texts, strict=True)], g))
        return self._voice(groups, pools, by_session=False)


def joined(dice: Dice, *voices: Voice) -> Voice:
    """One voice that speaks with all of them, request by request, at uneven weights."""
    return Voice(
        groups=tuple(g for v in voices for g in v.groups),
        pools=tuple(p for v in voices for p in v.pools),
        logits=np.concatenate([v.logits + dice.rng.normal(0, 0.4) for v in voices]),
        phases=np.concatenate([v.phases for v in voices]),
        by_session=False,
    )
