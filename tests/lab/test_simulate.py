"""The simulated stream: deterministic, ordered, valid, and true to its labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from pipeline.base.errors import SettingsError
from pipeline.events.alert import Kind
from pipeline.events.request import RequestEvent
from pipeline.lab.simulate import ATTACK_KINDS, AttackSpec, Label, Scenario, SimulatedEvent, encode_label, labels, parse_attackers, simulate
from pipeline.lab.simulate.archetypes import ARCHETYPES
from pipeline.lab.simulate.cast import cast

START_MS = 1_790_000_000_123
SMALL = Scenario(
    seed=11,
    start_ms=START_MS,
    days=1.5,
    accounts=60,
    requests_per_account_day=80,
    attacks=tuple(AttackSpec(kind, requests=500) for kind in ATTACK_KINDS),
)


@pytest.fixture(scope="module")
def events() -> list[SimulatedEvent]:
    """One small scenario, played once."""
    return list(simulate(SMALL))


@pytest.fixture(scope="module")
def decoded(events: list[SimulatedEvent]) -> list[RequestEvent]:
    """The same as typed events; decoding them is the schema check."""
    decoder = msgspec.json.Decoder(RequestEvent)
    return [decoder.decode(event.raw) for event in events]


@pytest.fixture(scope="module")
def truth() -> list[Label]:
    """Its labels."""
    return labels(SMALL)


def test_same_scenario_same_bytes(events: list[SimulatedEvent]) -> None:
    """Playing the same scenario again gives every record again, byte for byte; another seed does not."""
    cast.cache_clear()
    assert list(simulate(SMALL)) == events
    first = next(iter(simulate(replace(SMALL, seed=12))))
    assert first.raw != events[0].raw


def test_events_come_in_order_of_time(events: list[SimulatedEvent]) -> None:
    """Event times never step back and stay inside the scenario."""
    times = [event.occurred_at_ms for event in events]
    assert times == sorted(times)
    assert times[0] >= SMALL.start_ms
    assert times[-1] < SMALL.end_ms


def test_every_event_is_valid(events: list[SimulatedEvent], decoded: list[RequestEvent]) -> None:
    """Each record decodes as request event version 1, and says the account and time that the stream says."""
    assert len(decoded) > 5_000
    for event, request in zip(events, decoded, strict=True):
        assert (request.account_id, request.occurred_at_ms) == (event.account_id, event.occurred_at_ms)
        assert event.key == event.account_id


def test_event_ids_are_unique(decoded: list[RequestEvent]) -> None:
    """No two requests share an id."""
    assert len({request.event_id for request in decoded}) == len(decoded)


def test_volume_is_what_was_asked_for_and_heavy_tailed(truth: list[Label]) -> None:
    """Benign requests come near accounts × days × mean, and a few accounts make most of them."""
    benign = sorted((label.requests for label in truth if label.label == "benign"), reverse=True)
    assert len(benign) == SMALL.accounts
    assert 0.4 < sum(benign) / (60 * 1.5 * 80) < 2.0
    assert sum(benign[:12]) > 0.5 * sum(benign)


def test_every_archetype_takes_part(truth: list[Label]) -> None:
    """With at least as many accounts as archetypes, each one is there; each attack kind once."""
    assert {label.archetype for label in truth if label.label == "benign"} == {a.name for a in ARCHETYPES}
    assert len(ARCHETYPES) >= 12
    assert Counter(label.label for label in truth if label.label != "benign") == Counter(kind.value for kind in ATTACK_KINDS)


def test_labels_agree_with_the_events(events: list[SimulatedEvent], truth: list[Label]) -> None:
    """Totals, first and last attack request, their number and share in the labels are those of the stream."""
    requests = Counter(event.account_id for event in events)
    strikes: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if event.label != "benign":
            strikes[event.account_id].append(event.occurred_at_ms)
    by_id = {label.account_id: label for label in truth}
    assert {a: label.requests for a, label in by_id.items() if label.requests} == dict(requests)
    assert set(strikes) == {a for a, label in by_id.items() if label.label != "benign"}
    for account, times in strikes.items():
        label = by_id[account]
        during = sum(1 for e in events if e.account_id == account and times[0] <= e.occurred_at_ms <= times[-1])
        assert (label.attack_start_ms, label.attack_end_ms, label.attack_requests) == (times[0], times[-1], len(times))
        assert label.share == pytest.approx(len(times) / during, abs=1e-4)
        assert len(times) == 500
        assert {e.label for e in events if e.account_id == account} <= {"benign", label.label}


def test_labels_file_leaves_out_what_does_not_apply(truth: list[Label]) -> None:
    """A benign line has four fields, an attacker's line all of them."""
    for label in truth:
        fields = msgspec.json.decode(encode_label(label))
        assert {"account_id", "label", "archetype", "requests"} <= set(fields)
        assert ("attack_start_ms" in fields) == (label.label != "benign")
        assert len(fields) == (4 if label.label == "benign" else 10)


@pytest.mark.parametrize("account", ["new", "aged"])
@pytest.mark.parametrize("timing", ["human", "flat"])
def test_strength_knobs_hold(account: str, timing: str) -> None:
    """An attacker makes the requests it was told to, near the share it was told to, from a new or an aged account."""
    spec = parse_attackers(f"bulk_extraction:requests=1200:share=.6:account={account}:timing={timing}")[0]
    shares = []
    for seed in range(6):
        scenario = Scenario(seed=seed, start_ms=START_MS, days=3, accounts=0, attacks=(spec,))
        (label,) = labels(scenario)
        assert (label.account, label.timing) == (account, timing)
        assert 0.97 * 1200 <= label.attack_requests <= 1200
        shares.append(label.share)
        created = {msgspec.json.decode(e.raw).get("account_created_at_ms") for _, e in zip(range(5), simulate(scenario), strict=False)} - {
            None
        }
        assert all((c > START_MS) == (account == "new") for c in created)
    assert 0.4 < float(np.median(shares)) < 0.8


def test_limits_refuse_the_evader_and_hardly_anybody_else(events: list[SimulatedEvent], decoded: list[RequestEvent]) -> None:
    """Limit evasion rides 429s; ordinary traffic sees few."""
    refused: dict[str, list[bool]] = defaultdict(list)
    for event, request in zip(events, decoded, strict=True):
        refused[event.label].append(request.status == 429)
    assert np.mean(refused[Kind.LIMIT_EVASION]) > 0.05
    assert np.mean(refused["benign"]) < 0.01


def test_elicitation_reasons_more_than_benign_traffic(events: list[SimulatedEvent], decoded: list[RequestEvent]) -> None:
    """A harvest of reasoning has a higher share of reasoning in its output than benign reasoning traffic."""
    shares: dict[str, list[float]] = defaultdict(list)
    for event, request in zip(events, decoded, strict=True):
        if request.reasoning_tokens and request.output_tokens:
            shares[event.label].append(request.reasoning_tokens / request.output_tokens)
    assert np.median(shares[Kind.REASONING_ELICITATION]) > np.median(shares["benign"]) + 0.1


@pytest.mark.parametrize(
    "text",
    [
        "bulk",
        "model_pivot",
        "probing:share=2",
        "probing:requests=12",
        "probing:requests=many",
        "probing:account=old",
        "probing:timing=odd",
        "probing:x=1",
    ],
)
def test_wrong_attackers_are_refused(text: str) -> None:
    """A kind, knob or value that does not exist is refused with what is allowed."""
    with pytest.raises(SettingsError):
        parse_attackers(text)


def test_attackers_none_and_all() -> None:
    """`none` is nobody, `all` is one of each kind."""
    assert parse_attackers("none") == ()
    assert [spec.kind for spec in parse_attackers("all")] == list(ATTACK_KINDS)


@pytest.mark.parametrize("change", [{"days": 0.0}, {"accounts": -1}, {"seed": -1}, {"accounts": 0, "attacks": ()}])
def test_absurd_scenarios_are_refused(change: dict[str, object]) -> None:
    """A scenario that cannot be played says so."""
    with pytest.raises(SettingsError):
        replace(SMALL, **change)  # type: ignore[arg-type]  # wrong on purpose
