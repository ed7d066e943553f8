"""What is remembered of requests, and which of them an alert shows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from pipeline.events.alert import Kind
from pipeline.features import kernel
from pipeline.intake.markers import MATERIAL, Marker
from pipeline.scoring.episode import EVENTS_MAX, FIRST, LATEST, Episode, Mark
from pipeline.scoring.notes import Memory, address_block
from pipeline.scoring.tally import Tally
from pipeline.scoring.tells import OF_KIND, WHY, Tell

if TYPE_CHECKING:
    from tests.scoring.conftest import MakeRequests

START_MS = 1_790_000_000_000


def episode(kind: Kind) -> Episode:
    """An episode that was just opened."""
    return Episode(
        kind.value, "id", 1, 0, 0, 0, 0, (0, 0, 0), (0, 0, 0), (0, 0, 0), 1, (0, 0, 0), 0.5, "", [], 0.0, [Mark(0, 0, 0)],
        Tally(int(OF_KIND[kind])),
    )  # fmt: skip


def test_tells_are_read_from_the_fields(requests: MakeRequests) -> None:
    """Each tell-tale property has its field; a request without any has none; absent fields tell nothing."""
    rows = requests(
        12,
        print_markers=[int(Marker.THINK_ALOUD), int(Marker.GRADING)] + [0] * 10,
        logprobs=[-1, -1, 1] + [-1] * 9,
        choice_count=[-1] * 3 + [2] + [-1] * 8,
        status=[200] * 4 + [429, 500] + [200] * 6,
        finish_reason=["stop"] * 6 + ["refusal", "content_filter"] + ["stop"] * 4,
        max_tokens=[-1] * 8 + [1] + [-1] * 3,
        operation=["chat"] * 9 + ["list_models"] + ["chat"] * 2,
        output_tokens=[-1] * 10 + [1_000, 999],
    )
    expected = [Tell.THINKING, Tell.MATERIAL, Tell.LOGPROBS, Tell.CHOICES, Tell.LIMITED, Tell.FAILED, Tell.REFUSED, Tell.REFUSED]
    assert rows.tells(range(12)) == [*expected, Tell.TINY, Tell.LISTS, Tell.LONG, 0]


def test_catalogues_of_tells_are_complete() -> None:
    """Every tell has words, every kind says which tells speak for it, and training material means the same as in the features."""
    assert set(WHY) == set(Tell)
    assert set(OF_KIND) == set(Kind)
    assert int(MATERIAL) == kernel._TASKS


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::7", "2001:db8:1::/48"),
        ("not an address", ""),
        ("", ""),
    ],
)
def test_addresses_are_named_as_blocks(address: str, block: str) -> None:
    """IPv4 as /24, IPv6 as /48, anything else not at all."""
    assert address_block(address) == block


def test_memory_keeps_the_first_and_the_latest_telling_requests(requests: MakeRequests) -> None:
    """Of telling requests the first four and the latest eight, of others the latest four, however they were handed over."""
    rows = requests(90, output_tokens=[2_000, 10, 10] * 30)
    whole = Memory()
    whole.add(range(90), rows)
    times = [int(note.event_id[1:]) for note in whole.notes()]
    assert times == sorted([0, 3, 6, 9, *range(66, 90, 3), 83, 85, 86, 88, 89][:12] + [83, 85, 86, 88, 89][-4:])
    for seed in range(5):
        memory, at = Memory(), 0
        while at < 90:
            step = random.Random(seed * 100 + at).randint(1, 40)
            memory.add(range(at, min(at + step, 90)), rows)
            at += step
        assert memory == whole


def test_an_episode_shows_requests_from_its_beginning_middle_and_end(requests: MakeRequests) -> None:
    """At most fifty: mostly telling ones, the first and the latest among them, none twice, in the order of time, each with a reason."""
    rows = requests(3_000, logprobs=[1, 0, 1] * 1_000)
    found = episode(Kind.REASONING_ELICITATION)
    for row in range(3_000):
        found.take(rows.note(row))
        assert len(found.evidence(START_MS * 2)) <= EVENTS_MAX if row % 100 == 0 else True
    events = found.evidence(START_MS * 2)
    numbers = [int(e.event_id[1:]) for e in events]
    assert 40 <= len(events) <= EVENTS_MAX
    assert numbers == sorted(set(numbers))
    telling = [n for n in numbers if n % 3 != 1]
    assert telling[:FIRST] == [n for n in range(100) if n % 3 != 1][:FIRST]
    assert telling[-LATEST:] == [n for n in range(3_000) if n % 3 != 1][-LATEST:]
    assert sum(500 < n < 2_500 for n in telling) >= 8
    assert {e.why for e in events if int(e.event_id[1:]) % 3 != 1} == {WHY[Tell.LOGPROBS]}
    assert {e.why for e in events if int(e.event_id[1:]) % 3 == 1} == {""}
    assert events[0].position == "3:0"
    early = found.evidence(START_MS + 10_000)
    assert early == [e for e in events if e.occurred_at_ms <= START_MS + 10_000]
    assert early


def test_a_template_tells_when_it_comes_again(requests: MakeRequests) -> None:
    """For a kind that lives off templates the third request of one tells, the first two do not."""
    found = episode(Kind.SYSTEMATIC_DISTILLATION)
    rows = requests(6, print_present=1, print_template=[5 << 40, 6 << 40, 5 << 40, 5 << 40, 7 << 40, 5 << 40])
    for row in range(6):
        found.take(rows.note(row))
    assert [e.why for e in found.evidence(START_MS * 2)] == ["", "", "", WHY[Tell.REPEATED], "", WHY[Tell.REPEATED]]


def test_kinds_that_no_single_request_shows_keep_all_alike(requests: MakeRequests) -> None:
    """Where no property speaks for the kind every request of the episode is evidence."""
    found = episode(Kind.RESALE)
    rows = requests(20, status=[429, 200] * 10)
    for row in range(20):
        found.take(rows.note(row))
    assert [e.event_id for e in found.evidence(START_MS * 2)] == [f"e{i}" for i in range(20)]
