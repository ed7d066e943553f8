"""Who and what is new to an account, in what mix, from where: stories of accounts over days."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.features import layout as at
from pipeline.features.mixing import script_bucket
from pipeline.intake.scripts import Script
from tests.features.test_kernel import DAY, START, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tests.features.conftest import Fabric

MINUTE = 60_000
PER_DAY = 20
NEW = (at.NEW_KEY_SHARE, at.NEW_ADDRESS_SHARE, at.NEW_NETWORK_SHARE, at.NEW_AGENT_SHARE, at.NEW_COUNTRY_SHARE, at.NEW_MODEL_SHARE)


def days(fabric: Fabric, values: Sequence[dict[str, Any]], per_day: int = PER_DAY) -> NDArray[np.float64]:
    """One block of `per_day` requests for each of `values` → their vectors; a value is one for the day or one for each request."""
    times = [START + d * DAY + i * 10_000 for d in range(len(values)) for i in range(per_day)]
    joined = {name: [x for v in values for x in (v[name] if isinstance(v[name], list) else [v[name]] * per_day)] for name in values[0]}
    _, blocks = run(fabric(times, **joined), block=per_day)
    assert len(blocks.slot) == len(values)
    return blocks.vector


def test_an_intruder_stays_new_for_two_days(fabric: Fabric) -> None:
    """A quarter of the requests comes with another key, address, network, agent, country and model: new on two days, then known."""
    owner = {"api_key_id": "k", "client_address": "a", "asn": 7, "user_agent": "u", "country": "DE", "model": "m"}
    thief = {"api_key_id": "k2", "client_address": "a2", "asn": 9, "user_agent": "u2", "country": "BR", "model": "m2"}
    both = {name: [owner[name]] * 15 + [thief[name]] * 5 for name in owner}
    v = days(fabric, [owner, owner, owner, both, both, both])
    for column in NEW:
        assert np.isnan(v[:2, column]).all()  # nothing is known yet
        assert v[2:, column].tolist() == [0.0, 0.25, 0.25, 0.0]


def test_what_was_seen_on_one_day_only_is_still_new(fabric: Fabric) -> None:
    """A day is a day of events: a visitor of day 2 is new on day 9 too, although many days passed between."""
    v = days(fabric, [{"client_address": a} for a in ("a", "a", "b", "a", "b", "b")])
    assert v[2:, at.NEW_ADDRESS_SHARE].tolist() == [1.0, 0.0, 1.0, 0.0]


def test_a_gap_of_days_counts_once(fabric: Fabric) -> None:
    """Several days without a request roll the maps once: what was seen on one day is not known after a week's silence."""
    times = [START + d * DAY + i for d in (0, 1, 2, 9, 16) for i in range(5)]
    address = ["a"] * 10 + ["b"] * 15
    _, blocks = run(fabric(times, client_address=address), block=5)
    assert blocks.vector[2:, at.NEW_ADDRESS_SHARE].tolist() == [1.0, 1.0, 0.0]


def test_a_field_that_begins_late_is_not_new(fabric: Fabric) -> None:
    """A gateway that starts to send user agents on day 4 has no newcomers: its first two days teach."""
    v = days(fabric, [{"user_agent": u} for u in ("", "", "", "u", "u", "u")])
    assert np.isnan(v[:5, at.NEW_AGENT_SHARE]).all()
    assert v[5, at.NEW_AGENT_SHARE] == 0.0


def test_a_rotating_client_saturates_to_missing(fabric: Fabric) -> None:
    """With 400 addresses in use nobody can tell a new one: the share is missing, for good, and not high or low."""
    rng = np.random.default_rng(2)
    v = days(fabric, [{"client_address": [f"10.0.{i}" for i in rng.integers(0, 400, 200)]} for _ in range(8)], per_day=200)
    assert np.isnan(v[4:, at.NEW_ADDRESS_SHARE]).all()


def test_late_events_do_not_age_anything(fabric: Fabric) -> None:
    """Events of yesterday that come today count as today's: the day rolls forward once and never back."""
    times = [START + DAY + i for i in range(5)] + [START + i for i in range(5)] + [START + DAY + 100 + i for i in range(5)]
    rows, _ = run(fabric(times, client_address="a"), block=5)
    assert rows["seen_days"][0, at.I_ADDRESS] == 0
    assert rows["seen_once"][0, at.I_ADDRESS] == 0
    assert rows["seen_today"][0, at.I_ADDRESS] != 0


def test_model_shift_is_the_distance_to_the_usual_mix(fabric: Fabric) -> None:
    """Three of four requests for one model, then all for a third: unknown until 50 requests, 0 at home, 1 abroad; it moves by the day."""
    usual = {"model": (["m1"] * 3 + ["m2"]) * 5}
    v = days(fabric, [usual] * 4 + [{"model": "m1"}] + [{"model": "m5"}] * 3)
    assert np.isnan(v[:3, at.MODEL_SHIFT]).all()
    assert v[3, at.MODEL_SHIFT] == pytest.approx(0.0, abs=1e-3)
    assert v[4, at.MODEL_SHIFT] == pytest.approx(0.25, abs=1e-3)
    assert v[5, at.MODEL_SHIFT] == pytest.approx(1.0, abs=1e-3)
    assert 0.5 < v[7, at.MODEL_SHIFT] < v[6, at.MODEL_SHIFT] < 1.0


def test_languages_and_their_mix(fabric: Fabric) -> None:
    """Distinct writings of a block without the one of no letters, and the distance of their mix to the usual."""
    usual = {"print_present": 1, "print_script": [int(Script.ENGLISH)] * 10 + [int(Script.NONE)] * 10}
    other = {"print_present": 1, "print_script": [int(Script.HAN), int(Script.CYRILLIC)] * 10}
    v = days(fabric, [usual] * 3 + [other])
    assert v[:, at.LANGUAGES].tolist() == [1.0, 1.0, 1.0, 2.0]
    assert math.isnan(v[2, at.SCRIPT_SHIFT])  # 40 prompts
    assert v[3, at.SCRIPT_SHIFT] == pytest.approx(1.0, abs=1e-3)


def test_every_script_has_a_bucket_of_its_own_sort() -> None:
    """The 16 buckets are all in use, the commonest writings have one alone, and an unknown value goes to the rest."""
    buckets = {script: script_bucket(int(script)) for script in Script}
    assert set(buckets.values()) == set(range(16))
    for alone in (Script.ENGLISH, Script.FRENCH, Script.HAN, Script.CYRILLIC, Script.ARABIC, Script.CODE, Script.NONE, Script.LATIN):
        assert list(buckets.values()).count(buckets[alone]) == 1
    assert script_bucket(63) == buckets[Script.OTHER]


def test_switch_rate_sees_networks_that_take_turns(fabric: Fabric) -> None:
    """Two networks by turns within a minute switch always, one after the other once; slow turns are no turns; no origin, no rate."""
    turns = [{"asn": [1, 2] * 10}, {"asn": [1] * 10 + [2] * 10}]
    for pause, expected in ((1_000, [1.0, 1 / 19]), (2 * MINUTE, [math.nan, math.nan])):
        found = []
        for values in turns:
            _, blocks = run(fabric([START + i * pause for i in range(20)], **values), block=20)
            found.append(blocks.vector[0, at.SWITCH_RATE])
        np.testing.assert_allclose(found, expected)
    _, blocks = run(fabric([START + i for i in range(20)], client_address=["a", "b", "b", "b"] * 5), block=20)
    assert blocks.vector[0, at.SWITCH_RATE] == pytest.approx(9 / 19)  # addresses where networks are not told
    _, blocks = run(fabric([START + i for i in range(20)]), block=20)
    assert math.isnan(blocks.vector[0, at.SWITCH_RATE])


def test_identities_that_were_never_told_are_missing_from_a_life_not_none(fabric: Fabric) -> None:
    """A gateway that strips them has an unknown number of addresses, networks, agents, keys and models, not zero."""
    life = {
        "client_address": at.LIFE_ADDRESSES, "asn": at.LIFE_NETWORKS, "user_agent": at.LIFE_AGENTS, "api_key_id": at.LIFE_KEYS,
        "model": at.LIFE_MODELS,
    }  # fmt: skip
    values = {"client_address": "a", "asn": 7, "user_agent": "u", "api_key_id": "k", "model": "m"}
    for name, column in life.items():
        v = days(fabric, [{**values, name: -1 if name == "asn" else ""}] * 2)
        assert np.isnan(v[:, column]).all()
        v = days(fabric, [values] * 2)
        assert v[:, column] == pytest.approx(1.0, abs=0.02)


def test_failover_is_another_key_or_address_soon_after_a_refusal(fabric: Fabric) -> None:
    """After a 429 the same key and address is a retry, another is failover, a minute later it is nothing."""
    status = [429, 200, 200, 200, 403, 200, 200, 200, 200, 200]
    keys = ["a", "a", "b", "c", "a", "a", "a", "b", "b", "b"]
    times = [START + s * 1_000 for s in (0, 1, 2, 3, 100, 101, 102, 159, 160, 300)]
    _, blocks = run(fabric(times, status=status, api_key_id=keys), block=10)
    assert blocks.vector[0, at.FAILOVER_SHARE] == pytest.approx(0.3)
    _, blocks = run(fabric(times, status=status), block=10)
    assert math.isnan(blocks.vector[0, at.FAILOVER_SHARE])


def test_settings_spread_counts_combinations(fabric: Fabric) -> None:
    """A sweep over 4 limits and 5 temperatures is 20 settings, a product's one setting is one, and no settings are missing."""
    one = {"max_tokens": 100, "temperature": 0.7}
    sweep = {"max_tokens": [100, 200, 300, 400] * 5, "temperature": [0.0] * 4 + [0.3] * 4 + [0.5] * 4 + [0.7] * 4 + [1.0] * 4}
    v = days(fabric, [one, sweep])
    assert v[0, at.SETTINGS_SPREAD] == pytest.approx(1.0, abs=0.02)
    assert v[1, at.SETTINGS_SPREAD] == pytest.approx(20.0, rel=0.25)
    assert math.isnan(days(fabric, [{"model": "m"}])[0, at.SETTINGS_SPREAD])


def test_suffix_repeat_is_the_share_of_equal_endings(fabric: Fabric) -> None:
    """One ending for all is 1, all different is about 0 and by chance below it."""
    v = days(fabric, [{"print_present": 1, "print_suffix": 3 << 56}, {"print_present": 1, "print_suffix": [i << 56 for i in range(20)]}])
    assert v[:, at.SUFFIX_REPEAT] == pytest.approx([1.0, -1 / 63])
