"""The counting rules, on cases small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.intake.fingerprint import PRINT
from pipeline.lab.evaluate.baselines import threshold_for
from pipeline.lab.evaluate.counting import (
    Attacked,
    Episode,
    active_days,
    attacked,
    false_days,
    instant_days,
    judge_episodes,
    judge_instants,
)
from pipeline.lab.evaluate.results import Trace
from pipeline.lab.evaluate.stats import levels, poisson_upper, ratio, wilson
from pipeline.lab.evaluate.table import EVENT, Account, Shard, Truth

START = 20_000 * DAY_MS
SPEAKS: dict[str, tuple[str, ...]] = {"template_mass": ("systematic_distillation",)}


def account(truth: Truth | None = None) -> Account:
    """Somebody."""
    return Account(
        account_id="a", organization_id="", plan="", payment="", created_ms=0, country="", language="", archetype="x", role="ordinary",
        tenant="t", groups=(), wording=(), hidden=frozenset(), truth=truth,
    )  # fmt: skip


def shard(times: list[int], attack: list[int], days: int = 10) -> Shard:
    """One account with requests at these times."""
    events = np.zeros(len(times), EVENT)
    events["time"], events["attack"], events["output"] = times, attack, 10
    empty = np.zeros(0, np.int32)
    return Shard(
        workload="w", split="judge", number=0, start_ms=START, end_ms=START + days * DAY_MS, accounts=[account()], events=events,
        symbols=[""], prints=np.zeros(0, PRINT), tokens=empty, pools=empty, pool_names=[],
    )  # fmt: skip


def truth(first_ms: int, last_ms: int) -> Truth:
    """A distillation between two moments."""
    return Truth(
        archetype="x", kinds=("systematic_distillation",), first_ms=first_ms, last_ms=last_ms, requests=2, share=0.5, output_tokens=20
    )


def hour(h: float) -> int:
    """Event time h hours into the shard."""
    return START + int(h * HOUR_MS)


def test_an_endless_episode_costs_every_day_it_is_open() -> None:
    """One episode that never closes is as many false alerts as there are days left."""
    assert false_days(shard([hour(1)], [0]), [Episode(0, hour(30), START + 10 * DAY_MS)]) == set(range(1, 10))


def test_a_short_episode_costs_its_day_and_a_rise_the_day_it_happens() -> None:
    """Opening, being open and rising all count, once per day."""
    assert false_days(shard([hour(1)], [0]), [Episode(0, hour(2), hour(5), rises=(hour(3),))]) == {0}
    assert false_days(shard([hour(1)], [0]), [Episode(0, hour(2), hour(24))]) == {0}
    assert false_days(shard([hour(1)], [0]), [Episode(0, hour(2), hour(25), rises=(hour(24.5),))]) == {0, 1}


def test_an_alert_within_an_hour_of_the_last_request_is_a_hit_and_later_it_is_not() -> None:
    """The window closes an hour after the attack."""
    hostile = Attacked(np.array([hour(10), hour(20)]), np.array([30, 70]))
    who = account(truth(hour(10), hour(20)))
    hit = judge_episodes(who, hostile, [Episode(0, hour(20.9), hour(40), kind="systematic_distillation", feature="template_mass")], SPEAKS)
    assert (hit.caught, hit.delay, hit.gone, hit.kind_right, hit.feature_right) == (True, 2, 1.0, True, True)
    assert not judge_episodes(who, hostile, [Episode(0, hour(21.1), hour(40))], SPEAKS).caught


def test_the_alert_that_came_first_decides_delay_and_loss() -> None:
    """Half-way through, what went before the alert is gone."""
    hostile = Attacked(np.array([hour(10), hour(20)]), np.array([30, 70]))
    hit = judge_episodes(account(truth(hour(10), hour(20))), hostile, [Episode(0, hour(15), hour(40), kind="probing")], SPEAKS)
    assert (hit.delay, hit.gone, hit.kind_right) == (1, 0.3, False)


def test_an_attack_on_an_account_that_is_alerting_already_is_a_miss() -> None:
    """An older alert is not credited, nor is a newer one on top of it."""
    hostile = Attacked(np.array([hour(10), hour(20)]), np.array([1, 1]))
    old, new = Episode(0, hour(5), hour(11)), Episode(0, hour(12), hour(30))
    hit = judge_episodes(account(truth(hour(10), hour(20))), hostile, [old, new], SPEAKS)
    assert not hit.caught
    assert hit.already


def test_an_alert_that_was_over_before_the_attack_does_not_stand_in_its_way() -> None:
    """A closed episode neither helps nor hurts."""
    hostile = Attacked(np.array([hour(10), hour(20)]), np.array([1, 1]))
    hit = judge_episodes(
        account(truth(hour(10), hour(20))), hostile, [Episode(0, hour(1), hour(9)), Episode(0, hour(11), hour(30))], SPEAKS
    )
    assert hit.caught
    assert not hit.already


def test_instants_follow_the_same_rules() -> None:
    """Detectors without episodes are judged by their moments: stale for a day, hits within the window, days once."""
    hostile = Attacked(np.array([hour(48), hour(60)]), np.array([1, 1]))
    assert judge_instants(hostile, np.array([hour(20), hour(50)])).caught
    assert judge_instants(hostile, np.array([hour(30), hour(50)])).already
    assert not judge_instants(hostile, np.array([hour(62)])).caught
    assert instant_days(shard([hour(1)], [0]), np.array([hour(1), hour(2), hour(25)])) == 2


def test_days_and_attack_requests_are_read_from_the_table() -> None:
    """An active day has a request; the attack's requests are those flagged."""
    one = shard([hour(1), hour(2), hour(50)], [0, 1, 1])
    assert active_days(one).tolist() == [2]
    assert attacked(one)[0].times.tolist() == [hour(2), hour(50)]


def test_a_trace_answers_for_any_threshold() -> None:
    """First record at or above it; an account above it before the attack was alerting already."""
    trace = Trace(2.0, [(3.0, 10, 0.1), (5.0, 40, 0.6)])
    assert (trace.at(4.0).caught, trace.at(4.0).delay, trace.at(4.0).gone) == (True, 40, 0.6)
    assert trace.at(2.0).already
    assert not trace.at(6.0).caught


def test_a_tuned_threshold_spends_the_budget_and_no_more() -> None:
    """Ten per thousand of 300 days is three days above the bar."""
    maxima = np.arange(200.0)
    theta = threshold_for(maxima, days=300, budget=10.0)
    assert (maxima >= theta).sum() == 3
    assert threshold_for(maxima, days=300, budget=0.1) > maxima.max()


@pytest.mark.parametrize(("count", "upper"), [(0, 3.689), (1, 5.572), (10, 18.39)])
def test_poisson_bounds_are_the_textbooks(count: int, upper: float) -> None:
    """Garwood's exact 97.5 % limits."""
    assert poisson_upper(count) == pytest.approx(upper, abs=2e-3)


def test_intervals_widen_when_units_hang_together() -> None:
    """The same rate from one bad tenant is less certain than from many."""
    days = np.full(400, 10.0)
    false = np.zeros(400)
    false[:40] = 1.0
    apart = [levels(list(range(400))), levels([0] * 400), levels([0] * 400)]
    clumped = [levels([i // 40 for i in range(400)]), levels([0] * 400), levels([0] * 400)]
    narrow, wide = ratio(false, days, apart), ratio(false, days, clumped)
    assert narrow.value == wide.value == pytest.approx(0.01)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_shares_have_wilsons_interval() -> None:
    """Nine of ten is between .6 and .98."""
    found = wilson(9, 10)
    assert found.low == pytest.approx(0.596, abs=2e-3)
    assert found.high == pytest.approx(0.982, abs=2e-3)
