"""The generator must not give attackers away by what they need not change."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np
import orjson
import pytest

from pipeline.lab.simulate import ATTACK_KINDS, AttackSpec, Scenario, SimulatedEvent, simulate

SCENARIO = Scenario(
    seed=5,
    start_ms=1_790_000_000_000,
    days=1,
    accounts=60,
    requests_per_account_day=100,
    attacks=tuple(AttackSpec(kind, requests=300) for kind in ATTACK_KINDS * 4),
)

SHAPES = {
    "event_id": r"req_[0-9a-f]{24}",
    "account_id": r"acct_[0-9a-f]{16}",
    "organization_id": r"org_[0-9a-f]{12}",
    "api_key_id": r"key_[0-9a-f]{16}",
    "payment_fingerprint": r"pay_[0-9a-f]{12}",
    "conversation_id": r"conv_[0-9a-f]{16}",
    "client_address": r"2[45]\d\.\d{1,3}\.\d{1,3}\.\d{1,3}",
}


@pytest.fixture(scope="module")
def played() -> list[tuple[SimulatedEvent, dict[str, object]]]:
    """Events with their fields."""
    return [(event, orjson.loads(event.raw)) for event in simulate(SCENARIO)]


def _digit_surprise(times: list[int]) -> float:
    """Chi-square of the last two digits against uniform, per degree of freedom (about 1 under the null)."""
    counts = np.bincount(np.array(times) % 100, minlength=100)
    expected = counts.sum() / 100
    return float(((counts - expected) ** 2 / expected).sum() / 99)


def test_ids_have_one_shape(played: list[tuple[SimulatedEvent, dict[str, object]]]) -> None:
    """Every id, benign or not, matches the one shape of its kind."""
    for _, fields in played:
        for name, shape in SHAPES.items():
            if name in fields:
                assert re.fullmatch(shape, str(fields[name])), (name, fields[name])


def test_millisecond_digits_are_uniform(played: list[tuple[SimulatedEvent, dict[str, object]]]) -> None:
    """Neither side's times favour any millisecond digit."""
    benign = [event.occurred_at_ms for event, _ in played if event.label == "benign"]
    attack = [event.occurred_at_ms for event, _ in played if event.label != "benign"]
    assert min(len(benign), len(attack)) > 4_000
    assert _digit_surprise(benign) < 1.6
    assert _digit_surprise(attack) < 1.6


def test_attackers_use_agents_countries_and_gateways_of_everybody(played: list[tuple[SimulatedEvent, dict[str, object]]]) -> None:
    """Agents and countries of attack requests are common among benign ones, and so are the sets of identity fields sent."""
    seen: dict[str, dict[str, set[object]]] = defaultdict(lambda: defaultdict(set))
    for event, fields in played:
        side = "benign" if event.label == "benign" else "attack"
        for name in ("user_agent", "country", "plan"):
            if name in fields:
                seen[side][name].add(fields[name])
        seen[side]["fields"].add(
            frozenset(set(fields) & {"api_key_id", "organization_id", "payment_fingerprint", "client_address", "country"})
        )
    for name in ("user_agent", "country", "plan", "fields"):
        assert seen["attack"][name] <= seen["benign"][name], name


def test_latency_per_token_is_the_models(played: list[tuple[SimulatedEvent, dict[str, object]]]) -> None:
    """For one model and output length, attack requests take as long as benign ones (medians within 15 %)."""
    speeds: dict[tuple[object, bool], list[float]] = defaultdict(list)
    for event, fields in played:
        output, latency = fields.get("output_tokens"), fields["latency_ms"]
        if isinstance(output, int) and isinstance(latency, float) and 400 <= output <= 1200:
            speeds[fields["model"], event.label != "benign"].append(latency / output)
    compared = 0
    for model in {m for m, _ in speeds}:
        mine, theirs = speeds[model, False], speeds[model, True]
        if min(len(mine), len(theirs)) >= 100:
            compared += 1
            assert np.median(theirs) == pytest.approx(np.median(mine), rel=0.15)
    assert compared >= 2


def test_no_label_leaks_into_a_record(played: list[tuple[SimulatedEvent, dict[str, object]]]) -> None:
    """No record names a kind of attack, an archetype or the word attack, and the fields are those of the contract alone."""
    words = re.compile("|".join(kind.value for kind in ATTACK_KINDS) + "|attack|benign|archetype")
    for event, fields in played:
        assert not words.search(event.raw.decode())
        assert len(fields) <= 28


def test_traffic_is_bursty(played: list[tuple[SimulatedEvent, dict[str, object]]]) -> None:
    """Gaps of most benign accounts vary more than a Poisson process's (coefficient of variation above 1)."""
    times: dict[str, list[int]] = defaultdict(list)
    for event, _ in played:
        if event.label == "benign":
            times[event.account_id].append(event.occurred_at_ms)
    variation = [float(np.std(np.diff(t)) / np.mean(np.diff(t))) for t in times.values() if len(t) >= 50]
    assert len(variation) >= 15
    assert np.median(variation) > 1.5


def test_people_do_not_repeat_themselves_and_scripts_do(played: list[tuple[SimulatedEvent, dict[str, object]]]) -> None:
    """Prompts of ordinary benign traffic are nearly all different; some benign account uses one opening all the time."""
    prompts: dict[str, list[str]] = defaultdict(list)
    for event, fields in played:
        if event.label == "benign" and isinstance(fields.get("prompt"), str):
            prompts[event.account_id].append(str(fields["prompt"]))
    shares = [len({p[:40] for p in texts}) / len(texts) for texts in prompts.values() if len(texts) >= 50]
    assert np.median(shares) > 0.9
    assert min(shares) < 0.1
    every = [p for texts in prompts.values() for p in texts if len(p) > 200]
    assert Counter(every).most_common(1)[0][1] == 1
