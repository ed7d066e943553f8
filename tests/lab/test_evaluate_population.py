"""Populations: the same call gives the same events, knobs come out as drawn, weather does what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.base.times import DAY_MS
from pipeline.lab.evaluate.arrivals import Arrivals, Pace, exactly, nightly, rhythmic, riding, steady
from pipeline.lab.evaluate.attacks import ATTACKS, draw_strength
from pipeline.lab.evaluate.benign import BENIGN
from pipeline.lab.evaluate.crossing import SIGN, turn_benign
from pipeline.lab.evaluate.foreign import Habits, Wording
from pipeline.lab.evaluate.marginals import SLOTS, TextKind
from pipeline.lab.evaluate.parametric import load_parametric
from pipeline.lab.evaluate.population import Builder, Plan
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.weather import NEW_MODEL, Weather, apply
from pipeline.lab.evaluate.world import Part
from pipeline.lab.simulate.dice import Dice, generator
from pipeline.lab.simulate.identity import STRIPPED, draw_identity

if TYPE_CHECKING:
    from pipeline.lab.evaluate.table import Shard


@pytest.fixture(scope="module")
def shard() -> Shard:
    """A week with attacks and their controls."""
    plan = Plan(ordinary=30, attacks=("template_sweep", "relay", "stolen_key", "ride_limits", "failover_rotation"), days=7)
    return Builder("population", load_parametric(), Split.JUDGE, 3, plan).build()


def test_the_same_call_gives_the_same_events(shard: Shard) -> None:
    """Bit for bit, accounts in the same places."""
    plan = Plan(ordinary=30, attacks=("template_sweep", "relay", "stolen_key", "ride_limits", "failover_rotation"), days=7)
    again = Builder("population", load_parametric(), Split.JUDGE, 3, plan).build()
    assert shard.events.tobytes() == again.events.tobytes()
    assert shard.accounts == again.accounts
    other = Builder("population", load_parametric(), Split.JUDGE, 4, plan).build()
    assert shard.events.tobytes() != other.events.tobytes()


def test_events_come_in_order_and_inside_the_shard(shard: Shard) -> None:
    """Time never goes back; nothing lies outside."""
    times = shard.events["time"]
    assert (np.diff(times) >= 0).all()
    assert times[0] >= shard.start_ms
    assert times[-1] < shard.end_ms


def test_the_truth_of_an_attack_is_what_the_table_holds(shard: Shard) -> None:
    """Requests, share and span of each attack, counted again from the flags."""
    for number, account in enumerate(shard.accounts):
        mine = shard.events[shard.events["account"] == number]
        hostile = mine[mine["attack"] == 1]
        if account.truth is None:
            assert hostile.size == 0
            continue
        during = mine[(mine["time"] >= account.truth.first_ms) & (mine["time"] <= account.truth.last_ms)]
        assert account.truth.requests == hostile.size
        assert account.truth.share == pytest.approx(hostile.size / during.size)


def test_each_attack_has_a_control_at_its_scale(shard: Shard) -> None:
    """As many matched benign accounts as attackers, and no attack among them."""
    roles = [a.role for a in shard.accounts]
    assert roles.count("matched") == roles.count("attack") == 5
    assert all(a.truth is None for a in shard.accounts if a.role != "attack")


def test_strengths_are_wide_and_independent() -> None:
    """Requests, share and days are log-uniform over their ranges up to what fits into a shard."""
    drawn = [draw_strength(Dice(generator(9, i))) for i in range(600)]
    requests, share, days = (np.array([getattr(s, n) for s in drawn], np.float64) for n in ("requests", "share", "days"))
    assert requests.min() < 400
    assert requests.max() > 25_000
    assert share.min() < 0.07
    assert share.max() > 0.95
    assert days.min() < 0.6
    assert days.max() > 9
    assert abs(np.corrcoef(np.log(share), np.log(days))[0, 1]) < 0.25
    assert {s.timing for s in drawn} == {"human", "flat"}
    assert {s.ramp for s in drawn} == {"none", "linear", "doubling"}


def test_stretching_a_tenant_keeps_its_bursts() -> None:
    """A hundredth of the volume keeps gaps more uneven than a Poisson process has (CV 1)."""
    tenant = next(t for t in load_parametric().tenants if t.days == 14)
    made = rhythmic(np.random.default_rng(1), tenant, 300.0, (0, 14 * DAY_MS), 0, Pace(20.0, 1.0, 4.0), np.ones(SLOTS))
    gaps = np.diff(made.times)
    assert made.size == pytest.approx(300 * 14, rel=0.2)
    assert gaps.std() / gaps.mean() > 2.0


@pytest.mark.parametrize("count", [300, 5_000])
def test_clocks_give_as_many_requests_as_asked(count: int) -> None:
    """Flat, human and limit-riding timing keep the number and the span."""
    rng = np.random.default_rng(2)
    tenant = load_parametric().tenants[0]
    span = (10 * DAY_MS, 13 * DAY_MS)
    for made in (
        steady(rng, count, span, 0.5, np.linspace(0.1, 2, 64)),
        exactly(rng, count, tenant, span, 5, Pace(20.0, 1.0, 4.0), np.ones(64)),
        riding(rng, count, span, 30, 45.0),
    ):
        assert made.size == count
        assert made.times.min() >= span[0]
        assert made.times.max() < span[1]
        assert (np.diff(made.times) >= 0).all()


def test_a_ramp_puts_most_requests_late() -> None:
    """Doubling four times over the attack leaves little for its first half."""
    made = steady(np.random.default_rng(3), 4_000, (0, DAY_MS), 0.3, 2.0 ** np.linspace(0, 4, 64))
    assert (made.times < DAY_MS / 2).mean() < 0.25


def test_a_nightly_job_keeps_its_hour() -> None:
    """Every day near the same hour."""
    made = nightly(np.random.default_rng(4), 50.0, (0, 10 * DAY_MS), 3, 1.0, np.ones(SLOTS))
    assert ((made.times % DAY_MS) // 3_600_000 < 6).mean() > 0.95


def _one(kind: str, what: str = "", strength: float = 1.0) -> tuple[Shard, Shard]:
    """The same account without weather, and with one kind all the time."""
    plan = Plan(ordinary=6, benign=("chat_product",), weather=(), days=4, controls=False)
    calm = Builder("weather", load_parametric(), Split.JUDGE, 0, plan).build()
    builder = Builder("weather", load_parametric(), Split.JUDGE, 0, plan)
    builder.weather = (Weather(kind, builder.start_ms, builder.end_ms, strength, what),)
    return calm, builder.build()


def test_an_outage_fails_requests_and_brings_retries() -> None:
    """Most requests fail, and there are more of them."""
    calm, stormy = _one("outage", strength=0.9)
    assert (stormy.events["status"] == 503).mean() > 0.7
    assert len(stormy.events) > 1.3 * len(calm.events)


def test_a_price_cut_moves_everybody() -> None:
    """About twice the requests."""
    calm, busy = _one("price_cut", strength=2.2)
    assert 1.3 < len(busy.events) / len(calm.events) < 3.5


def test_a_release_moves_the_mix_and_nobody_attacks_for_it() -> None:
    """Part of the requests go to the new model."""
    _, moved = _one("release", strength=0.8)
    share = (moved.events["model"] == moved.symbols.index(NEW_MODEL)).mean()
    assert 0.05 < share < 0.95


@pytest.mark.parametrize("what", ["agent", "cached", "address", "rename:model", "one_address"])
def test_a_deploy_drops_or_reshapes_a_field_for_everybody(what: str) -> None:
    """The column is empty, or holds other names, from then on."""
    calm, after = _one("deploy", what)
    name = what.removeprefix("rename:").replace("one_address", "address")
    if what.startswith("rename:"):
        assert all(n.startswith("hosted/") for n in {after.symbols[i] for i in np.unique(after.events[name])} - {""})
    elif what == "one_address":
        assert len(np.unique(after.events["address"])) == 1
    else:
        assert len(np.unique(after.events[name])) == 1
        assert len(np.unique(calm.events[name])) > 1


def test_weather_touches_nothing_outside_its_time() -> None:
    """Before it begins, an account's events are as they were."""
    plan = Plan(ordinary=2, weather=(), days=4, controls=False)
    builder = Builder("weather", load_parametric(), Split.JUDGE, 0, plan)
    shard = builder.build()
    middle = (builder.start_ms + builder.end_ms) // 2
    changed = apply((Weather("outage", middle, builder.end_ms, 1.0),), Dice(generator(1)), shard.events.copy(), builder.symbols)
    early = changed[changed["time"] < middle]
    assert early.tobytes() == shard.events[shard.events["time"] < middle].tobytes()


def test_sybils_share_organisation_and_card() -> None:
    """The first attackers are one family."""
    plan = Plan(ordinary=2, attacks=("bulk_drain", "relay", "cot_harvest"), sybils=2, controls=False, days=5)
    shard = Builder("sybils", load_parametric(), Split.JUDGE, 0, plan).build()
    cards = [a.payment for a in shard.accounts if a.role == "attack"]
    assert len(cards) == 3
    assert len(set(cards)) == 2


def test_crossed_accounts_borrow_from_their_own_sort_and_half() -> None:
    """An honest account borrows from an honest one, an attack from an attack, never from what only the judge plays."""
    attacks = ("bulk_drain", "relay", "jailbreak_probe", "stolen_key", "ride_limits")
    plan = Plan(ordinary=30, attacks=attacks, crossed=1.0, days=5)
    shard = Builder("crossed", load_parametric(), Split.TUNE, 0, plan).build()
    for account in shard.accounts:
        if account.role == "matched":
            assert account.archetype in BENIGN  # a control is the twin itself
            continue
        name, *donors = account.archetype.split(SIGN)
        known = ATTACKS if account.role == "attack" else BENIGN
        assert 1 <= len(donors) <= 3
        assert not any(d == name or known[d].judge_only for d in donors)
        if account.truth is not None:
            assert account.truth.kinds == ATTACKS[name].kinds
            assert account.truth.requests > 0


def test_crossing_leaves_populations_without_it_as_they_were(shard: Shard) -> None:
    """An id names a population for ever: no account of an uncrossed plan borrows."""
    assert not any(SIGN in a.archetype for a in shard.accounts)


def test_an_honest_life_that_turns_goes_on_at_its_pace() -> None:
    """The same requests at the same times, some of them by other ways; who lent them is honest and of the tune half."""
    builder = Builder("turning", load_parametric(), Split.TUNE, 0, Plan(ordinary=0))
    lasting = 0
    for seed in range(12):
        dice = Dice(generator(seed))
        desk = builder.desk(dice, draw_identity(dice, 0), 200.0, (0, 10 * DAY_MS), 2_000)
        parts = BENIGN["chat_product"].describe(desk)
        turned, name = turn_benign(desk, parts, "chat_product")
        times = np.sort(np.concatenate([p.arrivals.times for p in parts]))
        assert (np.sort(np.concatenate([p.arrivals.times for p in turned])) == times).all()
        before, after = turned[: len(parts)], turned[len(parts) :]
        assert [p.recipe for p in before] == [p.recipe for p in parts]
        assert all(x.recipe != p.recipe or x.line != p.line for x, p in zip(after, parts, strict=True))
        assert not any(p.attack for p in turned)
        assert 1 <= len(donors := name.split(SIGN)[1:]) <= 2
        assert not any(BENIGN[d].judge_only for d in donors)
        lasting += max(p.arrivals.times.max(initial=0) for p in before) < max(p.arrivals.times.max(initial=0) for p in after)
    assert 3 <= lasting <= 11


def test_foreign_habits_are_everybodys() -> None:
    """Fields that a source does not tell are told of nobody, honest or not; some attackers do nothing else."""
    attacks = ("template_sweep", "relay", "stolen_key", "ride_limits", "bulk_drain", "cot_harvest") * 2
    plan = Plan(ordinary=20, attacks=attacks, foreign=True, days=5)
    builders = [Builder("foreign", load_parametric(), Split.TUNE, number, plan) for number in range(3)]
    shares: list[float] = []
    silent: set[str] = set()
    for builder in builders:
        assert isinstance(builder.habits, Habits)
        assert builder.weather
        accounts = builder.build().accounts
        assert all(account.hidden >= builder.habits.hidden for account in accounts)
        silent |= {a.role for a in accounts if a.hidden >= STRIPPED}
        shares += [a.truth.share for a in accounts if a.truth is not None]
    assert len({builder.habits for builder in builders}) == 3
    assert silent == {"attack", "ordinary", "matched"}
    assert 4 <= sum(share > 0.97 for share in shares) <= 24


def test_words_are_cut_paired_or_begun_alike() -> None:
    """What an account does to its texts, it does to all of them."""
    texts = ["one and two", "three", "four"]
    assert Wording().apply(texts) == texts
    assert Wording("cut", 4).apply(texts) == ["one ", "thre", "four"]
    assert Wording("pair", 0).apply(texts) == ["one and two\nthree", "three\nfour", "four\none and two"]
    begun = Wording("preamble", 30).apply(texts)
    assert len({text[:31] for text in begun}) == 1
    assert [text[31:] for text in begun] == texts


def test_jitter_dissolves_bursts_and_nothing_else() -> None:
    """As many requests, in order, inside the same span, with longer pauses; most of those who ride limits keep their runs."""
    times = np.sort(np.repeat(np.arange(40) * 3_600_000, 25) + np.tile(np.arange(25) * 100, 40))
    bursts = Arrivals(times, np.repeat(np.arange(40), 25), np.tile(np.arange(25), 40))
    habits = Habits(hidden=frozenset(), volume=1.0, output=1.0, spread=1.0, smooth=True)
    builder = Builder("jitter", load_parametric(), Split.TUNE, 0, Plan(ordinary=0))
    kept = 0
    for seed in range(10):
        dice = Dice(generator(seed))
        desk = builder.desk(dice, draw_identity(dice, 0), 10.0, (0, DAY_MS), 10)
        recipe, line = desk.chat(desk.writer.plain(desk.groups(TextKind.PEOPLE, 1)), desk.pick_tenant()), desk.line()
        (part,) = habits.parts(dice, [Part(bursts, recipe, line)])
        moved = part.arrivals.times
        assert (np.diff(moved) >= 0).all()
        assert moved.size == times.size
        assert times[0] <= moved[0] <= moved[-1] <= times[-1]
        assert np.median(np.diff(moved)) > 10 * np.median(np.diff(times))
        (rides,) = habits.parts(dice, [Part(bursts, recipe, replace(line, key_by="turn"))])
        kept += bool((rides.arrivals.times == times).all())
    assert 6 <= kept <= 10
