"""The budgeted accumulator keeps its promise on valid scores, and is quick when there is something."""

from __future__ import annotations

import random
import struct

from pipeline.scoring.evidence import CAP, TILTS, ZERO, advance, deposit_share, strength


def false_alerts(budget_per_day: float, days: int, blocks_a_day: int, seed: int) -> int:
    """Alerts on independent standard normal scores."""
    rng = random.Random(seed)
    evidence, alerts = ZERO, 0
    for _ in range(days):
        for block in range(blocks_a_day):
            evidence = advance(evidence, budget_per_day * deposit_share(block), rng.gauss(0.0, 1.0))
            if strength(evidence) >= 1.0:
                alerts += 1
                evidence = ZERO
    return alerts


def test_expected_false_alerts_stay_below_the_deposits() -> None:
    """On valid nulls the number of alerts stays below the sum of the deposits, for quiet and for busy accounts."""
    for blocks_a_day in (3, 40):
        days = 24_000 // blocks_a_day
        assert 0 < false_alerts(0.05, days, blocks_a_day, seed=blocks_a_day) <= 0.05 * days


def test_a_days_deposits_sum_to_its_budget() -> None:
    """However many blocks a day has, its parts sum to at most the whole, and most of it to most of the whole."""
    total = sum(deposit_share(n) for n in range(4_000))
    assert 0.75 < total <= 1.0
    parts = [deposit_share(n) for n in range(100)]
    assert parts == sorted(parts, reverse=True)


def test_a_tighter_budget_costs_few_blocks() -> None:
    """A shift of two deviations alerts within 20 blocks, and a budget ten times tighter costs less than five more."""

    def delay(budget: float) -> float:
        total = 0
        for seed in range(60):
            rng = random.Random(seed)
            evidence, blocks = ZERO, 0
            while strength(evidence) < 1.0:
                evidence = advance(evidence, budget * deposit_share(blocks), rng.gauss(2.0, 1.0))
                blocks += 1
            total += blocks
        return total / 60

    assert delay(1e-4) < 20
    assert delay(1e-5) - delay(1e-4) < 5


def test_one_block_convicts_nobody() -> None:
    """The most surprising block there is does not open an episode at the default budget."""
    assert strength(advance(ZERO, 1e-4, 1_000.0)) < 0.1
    assert advance(ZERO, 1e-4, 1_000.0) == advance(ZERO, 1e-4, CAP)


def test_evidence_survives_four_bytes_a_number() -> None:
    """Accumulators are float32 values: packing them loses nothing, whatever came before."""
    rng = random.Random(3)
    evidence, pack = ZERO, struct.Struct(f"<{len(TILTS)}f")
    for _ in range(500):
        evidence = advance(evidence, 1e-4, rng.gauss(0.3, 1.2))
        assert pack.unpack(pack.pack(*evidence)) == evidence
