"""Slices: through what the suspicious requests go, and what is the least that stops them."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pipeline.events.alert import Kind
from pipeline.scoring.tally import SLOTS, Tally
from pipeline.scoring.tells import OF_KIND

if TYPE_CHECKING:
    from pipeline.events.alert import Slice
    from tests.scoring.conftest import MakeRequests

LIMITED = int(OF_KIND[Kind.LIMIT_EVASION])


def stopping(slices: list[Slice]) -> list[tuple[str, str]]:
    """Members of the smallest slice."""
    return [(s.dimension, s.value) for s in slices if s.stops]


def test_one_key_among_several_is_the_smallest_slice(requests: MakeRequests) -> None:
    """All the 429s come through one of three keys: that key is what to stop, and it says how much else it would hit."""
    tally = Tally(LIMITED)
    rows = requests(300, api_key_id=["bad", "good", "other"] * 100, status=[429, 200, 200] * 100, client_address="198.51.100.9")
    for row in range(300):
        tally.add(rows.note(row))
    slices = tally.slices()
    assert stopping(slices) == [("api_key", "bad")]
    by = {(s.dimension, s.value): s for s in slices}
    assert (by["api_key", "bad"].requests, by["api_key", "bad"].share, by["api_key", "bad"].ordinary_share) == (100, 1.0, 0.0)
    assert by["address_block", "198.51.100.0/24"].ordinary_share == 1.0
    assert ("api_key", "good") not in by


def test_the_smallest_slice_may_be_several_values(requests: MakeRequests) -> None:
    """Two address blocks of three carry 95 % of it and nothing else: both are named, not the key that everybody shares."""
    addresses = ["192.0.2.1"] * 10 + ["198.51.100.1"] * 9 + ["203.0.113.1"] + ["100.64.0.1"] * 20
    tally = Tally(LIMITED)
    rows = requests(400, api_key_id="k", client_address=addresses * 10, status=([429] * 20 + [200] * 20) * 10)
    for row in range(400):
        tally.add(rows.note(row))
    assert stopping(tally.slices()) == [("address_block", "192.0.2.0/24"), ("address_block", "198.51.100.0/24")]


def test_no_slice_stops_what_is_spread_thin(requests: MakeRequests) -> None:
    """A thousand keys, addresses, templates and models: nothing is named as if it would stop it, and memory stays small."""
    names = [f"n{i}" for i in range(1_000)]
    tally = Tally(LIMITED)
    rows = requests(1_000, api_key_id=names, model=names, client_address=[f"10.{i // 250}.{i % 250}.1" for i in range(1_000)], status=429)
    for row in range(1_000):
        tally.add(rows.note(row))
        assert all(len(table) <= SLOTS for table in tally.telling_by)
    assert stopping(tally.slices()) == []


def test_where_nothing_tells_all_requests_count(requests: MakeRequests) -> None:
    """With hardly any telling request the whole episode is what is sliced, and nothing is left to be hit besides."""
    tally = Tally(LIMITED)
    rows = requests(50, api_key_id=["a"] * 46 + ["b"] * 4, model="m")
    for row in range(50):
        tally.add(rows.note(row))
    slices = tally.slices()
    assert ("api_key", "a", 46, 0.92, 0.0, True) in [(s.dimension, s.value, s.requests, s.share, s.ordinary_share, s.stops) for s in slices]


@pytest.mark.parametrize("seed", range(5))
def test_counts_are_never_above_the_truth_and_heavy_values_are_there(seed: int, requests: MakeRequests) -> None:
    """What holds more than a ninth of the requests is found, with a count at most the truth and at least that less a ninth."""
    dice = random.Random(seed)
    keys = dice.choices([f"k{i}" for i in range(60)], [60, 30, 20] + [1] * 57, k=2_000)
    tally = Tally(LIMITED)
    rows = requests(2_000, api_key_id=keys, status=429)
    for row in range(2_000):
        tally.add(rows.note(row))
    truth = Counter(keys)
    for key, count in tally.telling_by[0].items():
        assert truth[key] - 2_000 / 9 <= count <= truth[key]
    assert {key for key, count in truth.items() if count > 2_000 / 9} <= set(tally.telling_by[0])
