"""A partition's bars: they spend the budget, and change only when an epoch ends."""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
import pytest

from pipeline.base.settings import DetectSettings
from pipeline.events.control import Baseline
from pipeline.scoring.bars import Bars
from pipeline.scoring.calibration import Measure
from pipeline.scoring.prior import shipped_prior


def test_a_larger_budget_lowers_the_bars_step_by_step() -> None:
    """The knob lives from .1 to 10: every step moves some bar, none moves one up."""
    bars = [Bars(DetectSettings(alert_budget=b)) for b in (0.1, 0.3, 1.0, 3.0, 10.0)]
    for a, b in itertools.pairwise(bars):
        assert all(b.bar(m) <= a.bar(m) for m in Measure)
        assert any(b.bar(m) < a.bar(m) for m in Measure)


def test_what_is_counted_comes_into_force_at_the_epochs_end() -> None:
    """A thousand runs higher than any before raise the bar, not a moment earlier."""
    bars = Bars(DetectSettings())
    before = bars.bar(Measure.PATIENT)
    for _ in range(1_000):
        bars.teach(Measure.PATIENT, 60.0)
    assert bars.bar(Measure.PATIENT) == before
    bars.end_epoch(1)
    assert bars.bar(Measure.PATIENT) > before


def test_a_large_fleet_gets_fewer_false_alerts_per_account() -> None:
    """`false_alerts_per_day` divides by the active accounts of the last day; the alert budget stays the upper bound."""
    settings = DetectSettings(alert_budget=1.0, false_alerts_per_day=2.0)
    bars = Bars(settings, partitions=10)
    assert bars.budget == 1.0
    for epoch in (1, 2, 3, 4):
        for _ in range(1_000):
            bars.teach_day()
        bars.end_epoch(epoch)
    assert bars.budget == pytest.approx(1000.0 * 2.0 / 40_000)
    for epoch in (5, 6, 7, 8):
        bars.end_epoch(epoch)
    assert bars.budget == 1.0


def test_bars_come_back_with_their_bytes() -> None:
    """Unpacked bars are equal, in force and waiting, and pack to the same bytes."""
    bars, again = Bars(DetectSettings()), Bars(DetectSettings())
    rng = np.random.default_rng(3)
    for value in rng.exponential(5.0, 500).tolist():
        bars.teach_day()
        bars.teach(Measure.PATIENT, value)
        bars.teach(Measure.SHARP, value / 2.0)
        bars.teach(Measure.LEVEL, value - 5.0)
    bars.end_epoch(7)
    bars.teach(Measure.SHARP, 30.0)
    again.unpack(bars.pack())
    assert [again.bar(m) for m in Measure] == [bars.bar(m) for m in Measure]
    assert (again.budget, again.epoch) == (bars.budget, bars.epoch)
    assert again.pack() == bars.pack()


def test_the_shipped_prior_has_counted_enough() -> None:
    """At least fifty thousand account-days, ten thousand looks, a thousand runs and a hundred sharp ones stand behind the bars."""
    prior = shipped_prior()
    assert prior.account_days >= 50_000
    patient, sharp, level = prior.counts.sum(axis=1).tolist()
    assert level >= 10_000
    assert patient >= 1_000
    assert sharp >= 100


def fleet(spread: float, looks: int, attackers: int = 0) -> Bars:
    """Bars of a fleet whose looks lie as the prior's do, but `spread` times as far apart below their median; attackers look guilty."""
    bars = Bars(DetectSettings())
    counts = bars.prior.counts[Measure.LEVEL]
    odds = np.repeat(-8.0 + 0.25 * np.arange(len(counts)) + 0.125, counts)
    rng = np.random.default_rng(8)
    middle = float(np.median(odds))
    calm = middle + spread * (rng.choice(odds, looks) - middle)
    for value in [*calm.tolist(), *[-0.5] * attackers]:
        bars.teach(Measure.LEVEL, min(value, -1.0))
    bars.end_epoch(1)
    return bars


def test_level_asks_for_more_where_calm_accounts_differ_more() -> None:
    """A fleet twice as wide has a higher bar, a narrow one a lower bar, one like the prior's the same; ten looks say little."""
    before = Bars(DetectSettings()).bar(Measure.LEVEL)
    assert fleet(2.0, 2_000).bar(Measure.LEVEL) >= before + 1.0
    assert fleet(0.6, 2_000).bar(Measure.LEVEL) <= before - 0.5
    assert fleet(1.0, 2_000).bar(Measure.LEVEL) == pytest.approx(before, abs=0.25)
    assert fleet(2.0, 10).bar(Measure.LEVEL) == pytest.approx(before, abs=0.55)


def test_attackers_do_not_set_the_bar_they_are_judged_by() -> None:
    """A fifth of all looks from accounts just below the bar moves it by eight tenths at most, and nothing makes it deaf."""
    before = Bars(DetectSettings()).bar(Measure.LEVEL)
    assert fleet(1.0, 2_000, 500).bar(Measure.LEVEL) <= before + 0.8
    assert fleet(1.0, 2_000, 200_000).bar(Measure.LEVEL) <= before + 5.0 + 0.25


def test_verdicts_move_bars_by_halvings_down_to_their_floor() -> None:
    """A harmless verdict raises, a confirmed one lowers, and nothing takes a bar below what no budget does."""
    bars = Bars(DetectSettings())
    generous = Bars(DetectSettings(alert_budget=1000.0))
    for m in Measure:
        assert bars.bar(m, -100.0) == generous.bar(m) == generous.bar(m, -1.0)
        assert bars.bar(m, 2.0) > bars.bar(m, 1.0) > bars.bar(m)
        assert bars.bar(m, 2.0) - bars.bar(m) == pytest.approx(2.0 * (bars.bar(m, 1.0) - bars.bar(m)))


def days_pass(bars: Bars, epoch: int, days: int) -> None:
    """An epoch with so many account-days ends."""
    for _ in range(days):
        bars.teach_day()
    bars.end_epoch(epoch)


def test_what_people_find_in_vain_raises_the_bars_of_its_baseline_until_it_is_paid_back() -> None:
    """At the epoch's end, within bounds; account-days bring it back to where it was, and no further down."""
    bars = Bars(DetectSettings())
    before = [bars.bar(m) for m in Measure]
    bars.found_in_vain(Baseline.LEVEL, 3)
    assert [bars.bar(m) for m in Measure] == before
    bars.end_epoch(1)
    assert bars.bar(Measure.LEVEL) == pytest.approx(bars.bar(Measure.LEVEL, -1.5) + 1.5 * math.log(2.0) * excess(bars))
    assert [bars.bar(m) for m in (Measure.PATIENT, Measure.SHARP)] == before[:2]
    bars.found_in_vain(Baseline.LEVEL, -3)
    bars.found_in_vain(Baseline.CHANGE, 1)
    bars.end_epoch(2)
    assert bars.raised == {Baseline.LEVEL: 0.0, Baseline.CHANGE: 0.5}
    for epoch in range(3, 20):
        days_pass(bars, epoch, 1_000)
    assert bars.raised == {Baseline.LEVEL: 0.0, Baseline.CHANGE: 0.0}


def excess(bars: Bars) -> float:
    """Scale of LEVEL's tail, in log-odds."""
    return (bars.bar(Measure.LEVEL, 2.0) - bars.bar(Measure.LEVEL, 1.0)) / math.log(2.0)


def test_no_number_of_verdicts_makes_a_fleet_deaf() -> None:
    """Two halvings an epoch, six in all."""
    bars = Bars(DetectSettings())
    seen = []
    for epoch in range(1, 6):
        bars.found_in_vain(Baseline.CHANGE, 500)
        bars.end_epoch(epoch)
        seen.append(bars.raised[Baseline.CHANGE])
    assert seen == [2.0, 4.0, 6.0, 6.0, 6.0]


@pytest.mark.parametrize("usual", [2.0, 16.0])
def test_what_is_found_in_vain_comes_to_the_budget(usual: float) -> None:
    """A fleet where so many times too many honest accounts get over the bar: each halving takes half of them, people rule on all."""
    bars = Bars(DetectSettings())
    rng = np.random.default_rng(4)
    allowed = 0.6 / 1000.0 / 1.5  # LEVEL's share of the budget, an alert being open one and a half days
    found: list[int] = []
    for epoch in range(1, 1_601):
        found.append(int(rng.poisson(250 * usual * allowed * 0.5 ** bars.raised[Baseline.LEVEL])))
        bars.found_in_vain(Baseline.LEVEL, found[-1])
        days_pass(bars, epoch, 250)
    late = sum(found[400:]) / (1_200 * 250)
    assert 0.7 * allowed <= late <= 1.3 * allowed


def test_state_from_before_verdicts_raised_bars_goes_on() -> None:
    """Seven fields, as it was packed then: nothing is raised."""
    bars = Bars(DetectSettings())
    bars.found_in_vain(Baseline.LEVEL, 2)
    days_pass(bars, 1, 10)
    bars.found_in_vain(Baseline.CHANGE, 1)
    again = Bars(DetectSettings())
    again.unpack(bars.pack())
    assert (again.raised, again.pack()) == (bars.raised, bars.pack())
    older = msgspec.msgpack.decode(bars.pack())[:7]
    again.unpack(msgspec.msgpack.encode(older))
    assert again.raised == dict.fromkeys(Baseline, 0.0)
    assert again.account_days == 10
