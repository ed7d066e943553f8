"""Drawn sources: their own ways, the same for everybody in them, and never a text or tenant of the other half."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.base.times import DAY_MS
from pipeline.lab.evaluate import drawn
from pipeline.lab.evaluate.benign import BENIGN
from pipeline.lab.evaluate.drawn import draw_source, own_settings
from pipeline.lab.evaluate.marginals import Group, Marginals, TextKind
from pipeline.lab.evaluate.parametric import load_parametric
from pipeline.lab.evaluate.population import Builder, Plan
from pipeline.lab.evaluate.split import Split
from pipeline.lab.simulate.dice import Dice, generator
from pipeline.lab.simulate.identity import draw_identity


def named(source: str) -> Marginals:
    """Forty groups of each of two kinds whose texts say which group they are of."""

    def group(number: int, kind: TextKind) -> Group:
        name = f"{source}/{kind}/{number}"
        return Group(name, name, source, kind, "en", lambda rng, count: [f"{name}#{i}" for i in rng.integers(10_000, size=count).tolist()])

    groups = tuple(group(number, kind) for kind in (TextKind.PEOPLE, TextKind.TASK) for number in range(40))
    return Marginals(source, load_parametric().tenants[:40], groups, np.linspace(0, 1, 33))


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Marginals:
    """One source to draw from, and another where the parametric one would be."""
    other = named("other")
    monkeypatch.setattr(drawn, "load_parametric", lambda: other)
    return named("given")


def test_texts_come_from_either_or_both_and_never_from_the_other_half(sources: Marginals) -> None:
    """Whatever wanders, repeats, is joined or cut; twenty sources."""
    origins = []
    for seed in range(20):
        source = draw_source(Dice(generator(seed)), sources)
        for split in Split:
            for kind in (TextKind.PEOPLE, TextKind.TASK):
                groups = source.texts(split, kind)
                half = {g.name for s in (sources, named("other")) for g in s.groups if g.split == split and g.kind == kind}
                texts = [text for g in groups for text in g.draw(np.random.default_rng(1), 30)]
                said = {name for text in texts for name in re.findall(r"([a-z]+/[a-z]+/[0-9]+)#", text)}
                assert said <= half
                origins.append({name.split("/")[0] for name in said})
    assert {"given"} in origins
    assert {"other"} in origins
    assert {"given", "other"} in origins


def test_a_source_has_its_own_ways(sources: Marginals) -> None:
    """Some repeat themselves, in some subjects wander, some join texts; each draws as many as were asked for, the same again."""
    repeats, strays, joined = [], [], []
    for seed in range(30):
        group = draw_source(Dice(generator(seed)), sources).texts(Split.TUNE, TextKind.PEOPLE)[0]
        texts = group.draw(np.random.default_rng(2), 200)
        assert texts == group.draw(np.random.default_rng(2), 200)
        assert len(texts) == 200
        repeats.append(len(set(texts)) < 150)
        strays.append(len({text.partition("#")[0] for text in texts}) > 1)
        joined.append(any("\n" in text for text in texts))
    for share in (repeats, strays, joined):
        assert 3 <= sum(share) <= 27


def test_clients_have_settings_of_their_own_whatever_they_are_for() -> None:
    """Honest and attacking alike ask for several answers or log-probabilities; an attack keeps its line, a sweep its values."""
    builder = Builder("drawn", load_parametric(), Split.TUNE, 0, Plan(ordinary=0))
    several: dict[bool, int] = {False: 0, True: 0}
    lines = 0
    for seed in range(80):
        dice = Dice(generator(seed))
        desk = builder.desk(dice, draw_identity(dice, 0), 50.0, (0, DAY_MS), 50)
        (part,) = BENIGN["chat_product"].describe(desk)
        swept = replace(part, recipe=replace(part.recipe, temperatures=(0.0, 0.5, 1.0)), attack=True)
        honest, attack = own_settings(dice, [part, swept], "DE")
        assert attack.recipe.temperatures == (0.0, 0.5, 1.0)
        assert attack.line == part.line
        lines += honest.line != part.line
        for found in (honest, attack):
            several[found.attack] += found.recipe.choices != part.recipe.choices
    assert several[False] == several[True]
    assert 4 <= several[True] <= 24
    assert 8 <= lines <= 40


def test_tenants_stay_tenants() -> None:
    """Shares of a fortnight, days as they were, tokens in order; busier hours get busier or less busy together."""
    before = {t.name: t for t in load_parametric().tenants}
    swings = []
    for seed in range(6):
        source = draw_source(Dice(generator(seed)), load_parametric())
        assert [t.name for t in source.tenants] == list(before)
        for tenant in source.tenants:
            was = before[tenant.name]
            assert tenant.weights.sum() == pytest.approx(1.0)
            assert ((tenant.weights > 0) == (was.weights > 0)).all()
            assert tenant.split == was.split
            assert (np.diff(tenant.inputs, axis=1) >= 0).all()
            assert (np.diff(tenant.outputs, axis=1) >= 0).all()
            assert tenant.clump.max() <= 60.0
        swings.append(np.mean([t.swing / before[t.name].swing for t in source.tenants]))
    assert min(swings) < 1.0 < max(swings)
