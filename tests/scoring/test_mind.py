"""A mind's bytes are the mind; calm ones are few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.base.settings import DetectSettings
from pipeline.scoring.mind import FORMAT, Mind

if TYPE_CHECKING:
    from tests.scoring.conftest import MakeRequests, Play, Population


def test_a_fresh_mind_is_a_few_bytes_and_does_not_watch() -> None:
    """An unseen account costs next to nothing; it is watched from a block before its first look on."""
    mind = Mind.fresh()
    assert len(mind.pack()) < 64
    assert not mind.watch
    assert (mind.risk, mind.deadline_ms) == (0.0, 0)


def test_calm_minds_are_small(mixed: Population, play: Play) -> None:
    """Accounts without suspicion that are known well take at most 96 bytes, their River model included."""
    calm = [m for m in play(mixed).minds if not m.episodes and m.run is None and not m.watch and not any(m.counts)]
    assert len(calm) >= 15
    assert max(len(m.pack()) for m in calm) <= 96


def test_bytes_are_the_mind(mixed: Population, play: Play, requests: MakeRequests) -> None:
    """Unpacked minds pack to the same bytes, with episodes, suspicion and notes among them."""
    minds = play(mixed, DetectSettings(cooldown_h=24)).minds
    for mind in minds:
        if mind.watch:
            mind.note(range(40), requests(40, output_tokens=[2_000, 10] * 20))
    assert any(m.episodes and m.episodes[0].plain + m.episodes[0].proof for m in minds)
    assert any(m.notes.telling and m.notes.plain for m in minds)
    for mind in minds:
        data = mind.pack()
        again = Mind.unpack(data)
        assert again.pack() == data
        assert (again.risk, again.deadline_ms, again.watch, again.day) == (mind.risk, mind.deadline_ms, mind.watch, mind.day)


def test_bytes_of_a_newer_program_and_broken_bytes_are_refused(mixed: Population, play: Play) -> None:
    """A newer format says so, an older one too; truncated bytes are a codec error."""
    data = max((m.pack() for m in play(mixed).minds), key=len)
    with pytest.raises(NewerFormatError, match="upgrade"):
        Mind.unpack(b"\x63" + data[1:])
    with pytest.raises(CodecError, match="replay"):
        Mind.unpack(bytes([FORMAT - 1]) + data[1:])
    for end in range(0, len(data), 7):
        with pytest.raises(CodecError):
            Mind.unpack(data[:end])
