"""The judge's decisions are a function of events: not of batches, not of packing, not of who shares the partition."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.base.settings import DetectSettings
from pipeline.base.times import DAY_MS
from pipeline.events.alert import encode_alert
from pipeline.features.blocks import Blocks
from pipeline.lab.prior import History
from pipeline.scoring.episode import Closed
from pipeline.scoring.judge import Judge, known_already
from pipeline.scoring.mind import Mind

if TYPE_CHECKING:
    from tests.scoring.conftest import Outcome, Play, Population


def digest(outcome: Outcome) -> tuple[list[bytes], list[bytes], bytes]:
    """Everything that must be equal."""
    return [encode_alert(a) for a in outcome.alerts], [m.pack() for m in outcome.minds], outcome.judge.pack()


def test_batches_and_packing_do_not_matter(mixed: Population, play: Play) -> None:
    """Any batches, with every mind and the judge packed and unpacked between them, give equal alerts, minds and judge."""
    whole = digest(play(mixed))
    assert whole[0]
    n = len(mixed.history.blocks.slot)

    def repack(judge: Judge, minds: list[Mind]) -> tuple[Judge, list[Mind]]:
        again = Judge(DetectSettings())
        again.unpack(judge.pack())
        return again, [Mind.unpack(mind.pack()) for mind in minds]

    for seed in (1, 2):
        cuts = sorted(random.Random(seed).sample(range(1, n), 40))
        assert digest(play(mixed, batches=cuts)) == whole
        assert digest(play(mixed, batches=cuts, between=repack)) == whole


def test_the_stream_crosses_epochs_and_they_bring_counts_into_force(mixed: Population, play: Play) -> None:
    """The test's stream turns epochs, and afterwards what was counted is in force."""
    judge = play(mixed).judge
    assert judge.bars.epoch > 10
    assert judge.bars.counts.sum() > 50
    assert judge.bars.account_days > 100


def test_within_an_epoch_others_do_not_matter(mixed: Population, play: Play) -> None:
    """Accounts judged in one endless epoch get the same alerts with and without the others in the partition."""
    settings = DetectSettings(epoch_s=3_600 * 250_000)
    everyone = play(mixed, settings).alerts
    blocks, accounts = mixed.history
    half = np.flatnonzero(blocks.slot % 2 == 0)
    some = mixed._replace(history=History(Blocks(*(column[half] for column in blocks)), accounts))  # type: ignore[arg-type]
    chosen = {accounts[slot] for slot in range(0, len(accounts), 2)}
    mine = [encode_alert(a) for a in everyone if a.subject_id in chosen]
    assert mine
    assert [encode_alert(a) for a in play(some, settings).alerts] == mine


def test_order_of_accounts_within_an_epoch_does_not_change_the_counts(mixed: Population, play: Play) -> None:
    """Two judges that saw the same accounts' blocks in another interleaving hold equal calibrations: counts commute."""
    settings = DetectSettings(epoch_s=3_600 * 250_000)
    blocks, accounts = mixed.history
    by_account = np.argsort(blocks.slot, kind="stable")
    other = mixed._replace(history=History(Blocks(*(column[by_account] for column in blocks)), accounts))  # type: ignore[arg-type]
    assert play(mixed, settings).judge.bars.pack() == play(other, settings).judge.bars.pack()


def test_a_judges_bytes_are_bounded(mixed: Population, play: Play) -> None:
    """Calibration packs to less than four kilobytes however much was counted."""
    judge = play(mixed).judge
    rng = np.random.default_rng(1)
    judge.bars.waiting += rng.integers(0, 2**40, judge.bars.waiting.shape)
    assert len(judge.pack()) < 4_000


def test_level_does_not_say_the_same_again_within_a_week() -> None:
    """After its episode only a look that is clearly more telling accuses again; a week later any look does, and so does a first one."""
    mind = Mind.fresh()
    assert not known_already(mind, 2.0, DAY_MS)
    mind.told = 2.0
    mind.closed = Closed("resale", "a", 3, 10 * DAY_MS, 9 * DAY_MS, (1, 1, 1), (0, 0, 0))
    assert known_already(mind, 2.9, 12 * DAY_MS)
    assert not known_already(mind, 3.1, 12 * DAY_MS)
    assert not known_already(mind, 2.0, 18 * DAY_MS)
    mind.counts[0] = 1
    again = Mind.unpack(mind.pack())
    assert known_already(again, 2.9, 12 * DAY_MS)
    assert again.pack() == mind.pack()


def test_an_episode_of_change_forgets_what_level_said_before(mixed: Population, play: Play) -> None:
    """What LEVEL told long ago does not silence it after an episode that was not LEVEL's."""

    def told(mind: Mind) -> None:
        mind.told = 99.0

    outcome = play(mixed, prepare_mind=told)
    by_account = dict(zip(mixed.history.accounts, outcome.minds, strict=True))
    opened = [a for a in outcome.alerts if a.state == "opened"]
    of_change = {a.subject_id for a in opened if a.explanation[0].baseline == "own"}
    assert of_change
    assert all(by_account[account].told < 99.0 for account in of_change)
    assert any(mind.told == 99.0 for mind in outcome.minds)


def test_bytes_of_another_program_are_refused() -> None:
    """A newer calibration says so; rubbish is a codec error."""
    judge = Judge(DetectSettings())
    data = judge.pack()
    with pytest.raises(NewerFormatError):
        judge.unpack(bytes([data[0], 0x63]) + data[2:])
    with pytest.raises(CodecError):
        judge.unpack(data[:-1])
    with pytest.raises(CodecError):
        judge.unpack(b"")


def test_suspicion_ends_learning_and_calm_resumes_it(mixed: Population) -> None:
    """While an episode is open the account's models stay what they were before it."""
    blocks, accounts = mixed.history
    judge, minds = Judge(DetectSettings()), [Mind.fresh() for _ in accounts]
    prepared = judge.prepare(blocks, 0, len(blocks.slot))
    frozen = 0
    for k, slot in enumerate(blocks.slot.tolist()):
        mind = minds[slot]
        before = mind.models.pack() if mind.episodes else None
        judge.decide(prepared, k, blocks, mind, accounts[slot])
        if before is not None:
            assert mind.models.pack() == before
            frozen += 1
    assert frozen > 50
