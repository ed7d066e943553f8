"""The bench's load: valid, seeded, of the promised size, from as many accounts as asked."""

from __future__ import annotations

import statistics

import msgspec
import pytest

from pipeline.base.errors import SettingsError
from pipeline.events.request import RequestEvent
from pipeline.lab.simulate import bulk_records, bulk_workload


@pytest.mark.parametrize("skew", ["zipf", "flat"])
def test_bulk_is_valid_and_as_long_as_promised(skew: str) -> None:
    """Every record is a request event with a prompt of 600 characters at the median, in order of time, keyed by account."""
    decoder = msgspec.json.Decoder(RequestEvent)
    records = list(bulk_records(10_000, 2_000, 3, skew=skew))  # type: ignore[arg-type]  # parametrised literal
    requests = [decoder.decode(value) for _, value in records]
    assert len(requests) == 10_000
    assert [key.decode() for key, _ in records] == [r.account_id for r in requests]
    assert len({r.event_id for r in requests}) == 10_000
    times = [r.occurred_at_ms for r in requests]
    assert times == sorted(times)
    lengths = [len(r.prompt or "") for r in requests]
    assert min(lengths) > 0
    assert 500 < statistics.median(lengths) < 700
    assert 0.003 < sum(r.status >= 400 for r in requests) / 10_000 < 0.03


def test_bulk_is_seeded() -> None:
    """The same seed gives the same bytes; a longer run does not change which accounts there are."""
    once = list(bulk_workload(5_000, 100, 9))
    assert once == list(bulk_workload(5_000, 100, 9))
    assert once != list(bulk_workload(5_000, 100, 10))


def test_zipf_has_a_head_and_flat_has_none() -> None:
    """The busiest account of a Zipf load makes a tenth and more of it, of a flat one next to nothing."""
    for skew, low, high in (("zipf", 0.1, 0.4), ("flat", 0.0, 0.01)):
        keys = [key for key, _ in bulk_records(8_000, 1_000, 1, skew=skew)]  # type: ignore[arg-type]  # two literals
        top = max(keys.count(key) for key in set(keys)) / len(keys)
        assert low < top < high
        assert len(set(keys)) > 300


def test_bulk_of_nobody_is_refused() -> None:
    """No accounts, or a skew that does not exist, is an error at once told."""
    with pytest.raises(SettingsError):
        next(bulk_records(1, 0, 1))
    with pytest.raises(SettingsError):
        next(bulk_records(1, 1, 1, skew="odd"))  # type: ignore[arg-type]  # wrong on purpose
