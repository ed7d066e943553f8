"""Tune and judge share nothing: tenants, text groups, templates, paraphrasers, and what is for the judge only."""

from __future__ import annotations

import pytest

from pipeline.lab.evaluate.attacks import ATTACKS
from pipeline.lab.evaluate.benign import BENIGN
from pipeline.lab.evaluate.marginals import EXTRACTION, TextKind
from pipeline.lab.evaluate.parametric import load_parametric
from pipeline.lab.evaluate.population import Builder, Plan
from pipeline.lab.evaluate.split import Split, side
from pipeline.lab.evaluate.table import Shard
from pipeline.lab.evaluate.wording import PARAPHRASERS, TEMPLATES
from pipeline.lab.evaluate.workloads import WORKLOADS


@pytest.fixture(scope="module")
def shards() -> dict[Split, Shard]:
    """A small population of each half."""
    found = {}
    for split in Split:
        attacks = tuple(a.name for a in ATTACKS.values() if split is Split.JUDGE or not a.judge_only)[:6]
        found[split] = Builder("splits", load_parametric(), split, 0, Plan(ordinary=40, attacks=attacks, days=5)).build()
    return found


def test_the_halves_share_no_tenant_text_group_template_or_paraphraser(shards: dict[Split, Shard]) -> None:
    """Everything that was used, compared."""
    tune, judge = shards[Split.TUNE], shards[Split.JUDGE]
    for of in ("tenant",):
        assert not {getattr(a, of) for a in tune.accounts} & {getattr(a, of) for a in judge.accounts} - {""}
    assert not {g for a in tune.accounts for g in a.groups} & {g for a in judge.accounts for g in a.groups}
    words = [{w for a in s.accounts for w in a.wording} for s in (tune, judge)]
    assert words[0]
    assert words[1]
    assert not words[0] & words[1]


def test_everything_used_belongs_to_the_half_it_was_used_in(shards: dict[Split, Shard]) -> None:
    """By the keyed hash itself, not by comparison."""
    groups = {g.name: g for g in load_parametric().groups}
    wording = {**{t.id: t.split for t in TEMPLATES}, **{p.id: p.split for p in PARAPHRASERS}}
    for split, shard in shards.items():
        for account in shard.accounts:
            assert not account.tenant or side("tenant", account.tenant) == split
            assert all(groups[g].split == split for g in account.groups)
            assert all(wording[w] == split for w in account.wording)


def test_the_split_is_pinned() -> None:
    """Another key would make the judge's half what was tuned on."""
    assert [side("tenant", f"p{i}").value for i in range(8)] == ["tune", "judge", "tune", "tune", "tune", "tune", "tune", "tune"]


def test_both_halves_have_templates_of_every_use() -> None:
    """A half without, say, reasoning templates could not play its archetypes."""
    for use in ("task", "reasoning", "app", "probe"):
        assert {t.split for t in TEMPLATES if t.use == use and t.language == "en"} == set(Split)
    assert {p.split for p in PARAPHRASERS} == set(Split)


def test_archetypes_cover_what_was_promised() -> None:
    """At least 15 benign, 12 attacks over every kind a single account can show, some of each for the judge only."""
    assert len(BENIGN) >= 15
    assert len(ATTACKS) >= 12
    kinds = {a.kind for a in ATTACKS.values()}
    assert kinds == {
        "bulk_extraction", "systematic_distillation", "reasoning_elicitation", "limit_evasion", "probing", "model_pivot", "credential_theft",
        "resale",
    }  # fmt: skip
    assert sum(a.judge_only for a in ATTACKS.values()) >= 3
    assert sum(b.judge_only for b in BENIGN.values()) >= 3
    assert all(a.twin in BENIGN for a in ATTACKS.values())
    assert kinds <= {k for b in BENIGN.values() for k in b.twin_of}


def test_no_workload_shows_the_tune_half_what_is_for_the_judge_only() -> None:
    """Whatever a workload names; as many attacks play as it says, and the judge half plays what it names."""
    for w in WORKLOADS.values():
        tune, judge = w.plan(Split.TUNE), w.plan(Split.JUDGE)
        if w.shards[0]:
            assert not [n for n in tune.attacks if ATTACKS[n].judge_only], w.id
            assert not [n for n in tune.benign if BENIGN[n].judge_only], w.id
        if w.attacks is not None:
            assert judge.attacks == w.attacks * w.rounds
            assert len(tune.attacks) in (len(judge.attacks), 0)
    assert len(WORKLOADS["contamination.20"].plan(Split.TUNE).attacks) == 95


def test_texts_do_not_tell_who_is_who(shards: dict[Split, Shard]) -> None:
    """Four benign archetypes and more use only extraction-like texts, two attacks and more only people's."""
    kinds = {g.name: g.kind for g in load_parametric().groups}
    plan = Plan(ordinary=len(BENIGN), attacks=tuple(ATTACKS), controls=False, days=5)
    shard = Builder("texts", load_parametric(), Split.JUDGE, 0, plan).build()
    only = {a.archetype: {kinds[g] for g in a.groups} for a in shard.accounts if a.role == "ordinary" and a.groups}
    assert sum(found <= set(EXTRACTION) for found in only.values()) >= 4
    for account in shard.accounts:
        if account.archetype in ("bulk_drain", "ride_limits", "failover_rotation", "stolen_key", "relay"):
            assert {kinds[g] for g in account.groups} <= {TextKind.PEOPLE, TextKind.PASSAGE}
    assert shards


def test_benign_accounts_draw_from_few_text_groups() -> None:
    """At most five groups; only an open reseller has many."""
    plan = Plan(ordinary=3 * len(BENIGN), days=5)
    shard = Builder("groups", load_parametric(), Split.JUDGE, 1, plan).build()
    for account in shard.accounts:
        assert len(account.groups) <= (15 if account.archetype == "platform_aggregator" else 5), account.archetype


def test_workload_ids_are_permanent() -> None:
    """Ids that results were published under stay."""
    assert {"smoke", "standard", "tenants", "swap.text", "swap.choreography", "contamination.5", "ramp.3", "shift.outage"} <= set(WORKLOADS)
    assert {f"benign.{n}" for n in BENIGN} | {f"attack.{n}" for n in ATTACKS} <= set(WORKLOADS)
