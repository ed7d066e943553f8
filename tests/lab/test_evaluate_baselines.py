"""Baselines do what their sources say, on streams made to show it."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.intake.fingerprint import fingerprint
from pipeline.lab.evaluate.baselines import RULES, Scores, calls_per_model, day_maxima, gateway_score, own_history, tokens_per_hour
from pipeline.lab.evaluate.forests import half_space_trees, random_cut_forest
from pipeline.lab.evaluate.table import EVENT, Account, Shard

START = 20_000 * DAY_MS


def shard(times: list[int], *, texts: list[str] | None = None, **columns: object) -> Shard:
    """One account."""
    events = np.zeros(len(times), EVENT)
    events["time"], events["status"], events["model"] = times, 200, 1
    events["input"], events["output"], events["text"] = 10, 10, -1
    for name, value in columns.items():
        events[name] = value
    said = texts or []
    if said:
        events["text"] = np.arange(len(times)) % len(said)
    nobody = Account(
        account_id="a", organization_id="", plan="", payment="", created_ms=0, country="", language="", archetype="x", role="ordinary",
        tenant="t", groups=(), wording=(), hidden=frozenset(),
    )  # fmt: skip
    empty = np.zeros(0, np.int32)
    return Shard(
        workload="w", split="judge", number=0, start_ms=START, end_ms=START + 20 * DAY_MS, accounts=[nobody], events=events,
        symbols=["", "m"], prints=fingerprint(said), tokens=empty, pools=empty, pool_names=[],
    )  # fmt: skip


def test_calls_count_successes_to_one_model_in_sixty_minutes() -> None:
    """Failures and older calls do not count."""
    times = [START + i * 1_000 for i in range(600)]
    assert calls_per_model(shard(times), [0]).value.max() == 600
    status = np.where(np.arange(600) % 2, 200, 429)
    assert calls_per_model(shard(times, status=status), [0]).value.max() == 300
    slow = [START + i * 60_000 for i in range(600)]
    assert calls_per_model(shard(slow), [0]).value.max() == 60
    models = np.arange(600) % 3 + 1
    assert calls_per_model(shard(times, model=models), [0]).value.max() == 200


def test_tokens_count_both_ways_in_sixty_minutes() -> None:
    """Absent counts add nothing."""
    times = [START + i * 1_000 for i in range(100)]
    found = tokens_per_hour(shard(times, input=7_000, output=np.where(np.arange(100) % 2, 4_000, -1)), [0])
    assert found.value[-1] == 100 * 7_000 + 50 * 4_000
    late = tokens_per_hour(shard([START, START + 2 * HOUR_MS], input=5, output=5), [0])
    assert late.value.tolist() == [10, 10]


def test_the_gateway_scorer_adds_its_four_signs() -> None:
    """Volume, one structure, chains of thought, addresses: .3 + .25 + .35 + .15."""
    times = [START + i * 1_000 for i in range(150)]
    said = [f"Question: what about number {i}?\nLet's think step by step.\nAnswer:" for i in range(150)]
    assert gateway_score(shard(times, texts=said, address=np.arange(150) % 9 + 1), [0]).value.max() == pytest.approx(1.05)
    few = gateway_score(shard(times[:5], texts=said[:5], address=1), [0])
    assert few.value.max() == 0.0


def test_own_history_needs_a_day_of_hours_and_then_sees_a_jump() -> None:
    """24 active hours of warm-up, then a tenfold hour stands out."""
    times = [START + h * HOUR_MS + k * 1_000 for h in range(40) for k in range(20 + h % 5)]
    calm = own_history(shard(times), [0])
    assert calm.value[:24].tolist() == [0.0] * 24
    jump = [*times, *(START + 40 * HOUR_MS + k * 1_000 for k in range(400))]
    assert own_history(shard(jump), [0]).value[-1] > 6.0


def test_day_maxima_are_per_account_and_day() -> None:
    """Two days, two numbers."""
    scores = Scores(np.zeros(4, np.int32), START + np.array([0, 1, DAY_MS, DAY_MS + 1]), np.array([1.0, 3.0, 2.0, 0.5]))
    assert day_maxima(shard([START]), scores).tolist() == [3.0, 2.0]


def test_forests_score_every_request_or_bucket_and_notice_a_change() -> None:
    """Both give numbers for one account; the cut forest's highest score is where the volume jumps."""
    pytest.importorskip("krcf", reason="the extra `evaluate` is not installed")
    rng = np.random.default_rng(1)
    calm = np.cumsum(rng.exponential(120_000, 4_000)).astype(int) + START
    burst = calm[-1] + np.cumsum(rng.exponential(2_000, 1_500)).astype(int)
    one = shard([*calm.tolist(), *burst.tolist()])
    cut = random_cut_forest(one, [0])
    assert cut.time[np.argmax(cut.value)] >= burst[0]
    trees = half_space_trees(one, [0])
    assert trees.value.size == 4_000
    assert trees.flag is not None


def test_every_baseline_names_its_source() -> None:
    """The table must say where a rule is from."""
    assert {b.name for b in RULES} == {"elastic-6256", "tokens-1m-hour", "gateway-scorer", "own-z-tokens"}
    assert all(b.source and b.default > 0 for b in RULES)
