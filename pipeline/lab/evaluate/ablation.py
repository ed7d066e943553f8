"""What the detector leans on: sorts of field untold, layers and feature families off in turn, on the same populations, nothing taught anew.

A feature that is off is missing to every ensemble, as an absent field is. The ensembles were taught with it, so what this shows is
how much they rely on it, not what it is worth: taught without it they would lean on its neighbours.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import numpy as np

from pipeline.base.settings import DetectSettings
from pipeline.detectors.models import USUAL_AT_LEAST, AccountModels, cut
from pipeline.features.catalogue import FEATURES, INDEX
from pipeline.lab.evaluate.measure import measure_episodes
from pipeline.lab.evaluate.ours import episodes
from pipeline.lab.evaluate.summary import attacks, units_of
from pipeline.lab.evaluate.tape import record, replay
from pipeline.scoring import bars, judge
from pipeline.scoring.calibration import Measure
from pipeline.scoring.inputs import CHANGE_NAMES, KIND_NAMES, LEVEL_NAMES, UNTOLD, feature_of, needs
from pipeline.scoring.taught import Taught, shipped_taught

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.lab.evaluate.results import ShardResult
    from pipeline.lab.evaluate.table import Shard
    from pipeline.scoring.bars import Rule
    from pipeline.scoring.trees import Trees

EVERYTHING = "everything"
NOTE = (
    "Each row plays the same populations with one thing off and nothing taught or calibrated anew: it shows what the detector relies on, "
    "not what that is worth. A feature that is off is missing to all ensembles, as an absent field is. Lost and gained: attacks caught "
    "only with it, only without it."
)
_NEVER = -100.0
"""Log-odds of an ensemble that is off."""
_CARRIER = "requests"
"""An input that belongs to no feature: what trees say on an input that is off is booked there, so that it is no witness."""


class Variant(NamedTuple):
    """The detector with something off.

    Attributes:
        name: of the row; `EVERYTHING` has nothing off.
        what: "untold", "layer", "family", or empty.
        meaning: what is off, in words.
        cut: what becomes of the ensembles.
        models: what every account gets for its usual.
        settings: what changes there.
        witnesses: families that must agree; None: as the judge has it.
        epochs: whether the bars learn from the population.
        silent: what has no bar.
    """

    name: str
    what: str
    meaning: str
    cut: Callable[[Taught], Taught] = lambda taught: taught
    models: Callable[[], AccountModels] = AccountModels
    settings: tuple[tuple[str, Any], ...] = ()
    witnesses: int | None = None
    epochs: bool = True
    silent: Measure | None = None


class SameForAll(AccountModels):
    """Instead of River's word on the account: one usual for everybody. It speaks as soon as River would."""

    __slots__ = ()

    def excess(self, odds: float) -> float:
        """Log-odds beyond the least that the detector takes for an account's usual, and for most accounts what it takes."""
        own = super().excess(odds)
        return own if math.isnan(own) else cut(odds) - USUAL_AT_LEAST


def variants() -> list[Variant]:
    """Nothing off, then what a gateway may not tell, then each layer, then each family that an ensemble reads as the catalogue has them."""
    read = {_family(name) for name in (*CHANGE_NAMES, *LEVEL_NAMES, *KIND_NAMES)}
    families = [family for family in dict.fromkeys(f.family for f in FEATURES) if family in read]
    return [
        Variant(EVERYTHING, "", "as shipped"),
        *(
            Variant(words, "untold", "what a gateway has that does not tell them", cut=partial(without, off=partial(needs, sorts=sorts)))
            for words, sorts in UNTOLD.items()
        ),
        Variant("CHANGE", "layer", "evidence against the own past", cut=lambda taught: taught._replace(change=_silent(taught.change))),
        Variant("LEVEL", "layer", "looks at the life so far", cut=lambda taught: taught._replace(level=_silent(taught.level))),
        Variant("patient sum", "layer", "CHANGE that weak excesses reach if they last", silent=Measure.PATIENT),
        Variant("sharp sum", "layer", "CHANGE that only strong excesses reach", silent=Measure.SHARP),
        Variant("own usual", "layer", "River's model of each account, replaced by one constant", models=SameForAll),
        Variant("block inputs", "layer", "values of the block itself", cut=partial(without, off=_of_block)),
        Variant("change inputs", "layer", "changes against the account's usual and of volume", cut=partial(without, off=_of_change)),
        Variant("life inputs", "layer", "values of the life so far", cut=partial(without, off=_of_life)),
        Variant("two families", "layer", "the rule that no family accuses alone", witnesses=0),
        Variant("own calibration", "layer", "bars that learn from the population itself", epochs=False),
        Variant("storm brake", "layer", "folding of alerts alike", settings=(("storm_factor", 0.0),)),
        *(Variant(f, "family", _members(f), cut=partial(without, off=lambda name, f=f: _family(name) == f)) for f in families),  # type: ignore[misc]  # a default binds the loop's value
    ]


def _family(name: str) -> str:
    feature = feature_of(name)
    return "" if feature is None else feature.family


def _members(family: str) -> str:
    return ", ".join(f.name for f in FEATURES if f.family == family)


def _of_change(name: str) -> bool:
    return name.startswith(("change:", "jump:"))


def _of_life(name: str) -> bool:
    return name.startswith("life_")


def _of_block(name: str) -> bool:
    return name in INDEX and not _of_life(name)


def without(taught: Taught, off: Callable[[str], bool]) -> Taught:
    """Ensembles to which some inputs are always missing."""
    cut = partial(_missing, off=off)
    return Taught(cut(taught.change, CHANGE_NAMES), cut(taught.level, LEVEL_NAMES), tuple(cut(trees, KIND_NAMES) for trees in taught.kinds))


def _missing(trees: Trees, names: tuple[str, ...], off: Callable[[str], bool]) -> Trees:
    """Every split on such an input sends all rows where it sends missing values."""
    gone = np.array([off(name) for name in names])[trees.feature]
    always = np.where(trees.missing_left, np.inf, -np.inf)
    carrier = np.int32(names.index(_CARRIER))
    return trees._replace(feature=np.where(gone, carrier, trees.feature), threshold=np.where(gone, always, trees.threshold))


def _silent(trees: Trees) -> Trees:
    return trees._replace(base=_NEVER, roots=trees.roots[:0])


def ablate(shard: Shard, budget: float, key: str, data: str, chosen: Sequence[Variant] | None = None) -> ShardResult:
    """Play the shard once, judge it with each variant, count."""
    settings = DetectSettings(alert_budget=budget)
    tape = record(shard, settings)
    found = {}
    for v in variants() if chosen is None else chosen:
        witnesses = judge._WITNESSES if v.witnesses is None else v.witnesses  # noqa: SLF001 - the rule is the judge's own; nothing else turns it
        rules = bars._RULES if v.silent is None else _mute(bars._RULES, v.silent)  # noqa: SLF001 - likewise
        with patch.object(judge, "_WITNESSES", witnesses), patch.object(bars, "_RULES", rules):
            alerts = replay(tape, settings.model_copy(update=dict(v.settings)), v.cut(shipped_taught()), v.models, epochs=v.epochs)
        found[column_of(v.name, budget)] = episodes(shard, alerts)
    return measure_episodes(shard, found, key, data)


def _mute(rules: tuple[Rule, ...], silent: Measure) -> tuple[Rule, ...]:
    return tuple(rule._replace(lowest=math.inf) if at == silent else rule for at, rule in enumerate(rules))


def column_of(name: str, budget: float) -> str:
    """Name of a variant's column among results."""
    return f"stillwatch@{budget:g}" if name == EVERYTHING else f"without {name}"


def reliance(figures: dict[str, Any], results: Sequence[ShardResult]) -> dict[str, Any]:
    """Figures and results of an ablation run → its table, by workload: rows in the order of `variants`.

    Args:
        figures: of `report.figures`.
        results: what they were made of.
    """
    budget = float(figures["budgets"][0])
    found: dict[str, Any] = {"context": figures["context"], "budget": budget, "note": NOTE, "workloads": {}}
    for name, workload in figures["workloads"].items():
        whole = column_of(EVERYTHING, budget)
        mine = [u.row for u in attacks(units_of(r for r in results if r.workload == name)) if whole in u.row.hits]
        rows = []
        for v in variants():
            column = column_of(v.name, budget)
            if column not in workload["detectors"]:
                continue
            figure = workload["detectors"][column]
            caught = [(row.hits[whole].caught, row.hits[column].caught) for row in mine]
            rows.append(
                {
                    "off": v.name,
                    "what": v.what,
                    "meaning": v.meaning,
                    "false": figure["false"],
                    "recall": figure["recall"]["bands"] if figure["recall"] else {},
                    "delay": figure["recall"]["median_requests_before_alert"] if figure["recall"] else {},
                    "lost": sum(a and not b for a, b in caught),
                    "gained": sum(b and not a for a, b in caught),
                }
            )
        found["workloads"][name] = {
            "shards": workload["shards"],
            "account_days": workload["benign_account_days"],
            "attacks": len(mine),
            "rows": rows,
        }
    return found
