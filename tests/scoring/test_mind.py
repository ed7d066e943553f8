"""A mind's bytes are the mind; calm ones are few."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.events.alert import EvidenceEvent
from pipeline.scoring.episode import EVENTS_MAX, Episode
from pipeline.scoring.mind import NOTES_MAX, Mind

if TYPE_CHECKING:
    from tests.scoring.conftest import Play, Population


def event(number: int) -> EvidenceEvent:
    """A request."""
    return EvidenceEvent(f"e{number}", number, "", f"0:{number}")


def test_a_fresh_mind_is_a_few_bytes_and_watches() -> None:
    """An unseen account costs next to nothing and has its first requests watched."""
    mind = Mind.fresh()
    assert len(mind.pack()) < 64
    assert mind.watch
    assert (mind.risk, mind.deadline_ms) == (0.0, 0)


def test_calm_minds_are_small(mixed: Population, play: Play) -> None:
    """Accounts without suspicion that are known well take at most 320 bytes, their River models included."""
    calm = [m for m in play(mixed).minds if not m.episodes and m.run is None and not m.watch and not any(m.counts)]
    assert len(calm) >= 15
    assert max(len(m.pack()) for m in calm) <= 320


def test_bytes_are_the_mind(mixed: Population, play: Play) -> None:
    """Unpacked minds pack to the same bytes, with episodes, suspicion and notes among them."""
    minds = play(mixed).minds
    for mind in minds:
        if mind.watch:
            mind.note(event(7))
    assert any(m.episodes for m in minds)
    assert any(m.notes for m in minds)
    for mind in minds:
        data = mind.pack()
        again = Mind.unpack(data)
        assert again.pack() == data
        assert (again.risk, again.deadline_ms, again.watch, again.hour) == (mind.risk, mind.deadline_ms, mind.watch, mind.hour)


def test_notes_are_the_latest_few() -> None:
    """Before an episode only the last eight requests are remembered."""
    mind = Mind.fresh()
    for number in range(20):
        mind.note(event(number))
    assert [note.event_id for note in mind.notes] == [f"e{n}" for n in range(20 - NOTES_MAX, 20)]


def test_an_episode_keeps_its_first_events_and_a_fair_sample_of_the_rest() -> None:
    """At most fifty events, the first 25 all, the later ones from the whole length of the episode; the same every time."""
    episode, twin = (
        Episode("probing", "id", 1, 0, 0, 0, 0, (0, 0, 0), (0, 0, 0), (0, 0, 0), 1, (0, 0, 0), 0.5, "", [], []) for _ in range(2)
    )
    for number in range(3_000):
        episode.offer(event(number))
        twin.offer(event(number))
        assert len(episode.events) <= EVENTS_MAX
    numbers = [e.occurred_at_ms for e in episode.events]
    assert episode == twin
    assert numbers[:25] == list(range(25))
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 30
    assert numbers[-1] > 2_000
    later = numbers[25:]
    assert max(b - a for a, b in pairwise(later)) < 600


def test_bytes_of_a_newer_program_and_broken_bytes_are_refused(mixed: Population, play: Play) -> None:
    """A newer format says so; truncated bytes are a codec error."""
    data = max((m.pack() for m in play(mixed).minds), key=len)
    with pytest.raises(NewerFormatError, match="upgrade"):
        Mind.unpack(b"\x63" + data[1:])
    for end in range(0, len(data), 7):
        with pytest.raises(CodecError):
            Mind.unpack(data[:end])
