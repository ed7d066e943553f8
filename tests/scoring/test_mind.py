"""A mind's bytes are the mind; calm ones are few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.base.settings import DetectSettings
from pipeline.scoring.bars import Bars
from pipeline.scoring.calibration import Measure
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


@given(st.lists(st.floats(-10.0, 7.0), max_size=60))
def test_the_sharp_sum_is_never_above_the_patient_one(excesses: list[float]) -> None:
    """So a run of the one holds every run of the other, and ends only when both are nothing."""
    mind = Mind.fresh()
    for excess in excesses:
        mind.gather(excess)
        assert 0.0 <= mind.sharp <= mind.evidence + 1e-9


def test_what_lasts_and_is_weak_fills_only_the_patient_sum() -> None:
    """A busy afternoon of an honest customer is long and weak; no single block fills either sum to a bar."""
    weak, strong = Mind.fresh(), Mind.fresh()
    for _ in range(40):
        weak.gather(2.8)
    assert weak.evidence > 30.0
    assert weak.sharp == 0.0
    strong.gather(100.0)
    assert max(strong.evidence, strong.sharp) < min(
        Bars(DetectSettings(alert_budget=1_000.0)).bar(m) for m in (Measure.PATIENT, Measure.SHARP)
    )


def test_bytes_of_a_newer_program_and_broken_bytes_are_refused(mixed: Population, play: Play) -> None:
    """A newer format says so, an older one too; truncated bytes are a codec error."""
    data = max((m.pack() for m in play(mixed).minds), key=len)
    with pytest.raises(NewerFormatError, match="upgrade"):
        Mind.unpack(b"\x63" + data[1:])
    with pytest.raises(CodecError, match="mind has format"):
        Mind.unpack(bytes([FORMAT - 1]) + data[1:])
    for end in range(0, len(data), 7):
        with pytest.raises(CodecError):
            Mind.unpack(data[:end])
