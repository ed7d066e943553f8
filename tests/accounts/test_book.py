"""The laws of the core: any cut, any checkpoint, any memory pressure: the same state and the same effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.accounts.book import Book, HoleError
from pipeline.accounts.record import decode_account, decode_marker
from pipeline.base.errors import CodecError, LineageError, NewerFormatError
from pipeline.base.settings import DetectSettings
from pipeline.events.frame import decode_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.events.alert import Alert
    from pipeline.events.outputs import Rollup

SETTINGS = DetectSettings(epoch_s=3_600, dedupe_ring=2_048, max_hot_accounts=16, cooldown_h=8.0)
State = tuple[dict[str, bytes], bytes, int, object]


class Log:
    """A state topic: keys with their latest value, tombstones applied."""

    def __init__(self) -> None:
        self.live: dict[bytes, bytes] = {}

    def save(self, book: Book) -> list[Rollup]:
        """Write a checkpoint. One key never gets two different values."""
        cut = book.checkpoint()
        for key, value in [*cut.records, cut.marker]:
            assert self.live.setdefault(key, value) == value, key
        for key in cut.superseded:
            self.live.pop(key, None)
        return cut.rollups


def _state(book: Book) -> State:
    """Everything the book knows, in one comparable value."""
    book._pack_cold(0)
    marker = decode_marker(book.checkpoint().marker[1])
    return {a: record for a, (record, _, _) in book._cold.items()}, book.judge.pack(), book._ring.head, marker


def _run(frames: list[bytes], checkpoints: set[int], detect: DetectSettings) -> tuple[State, list[Alert], dict[tuple[object, ...], Rollup]]:
    """Apply every frame, with a checkpoint and a restart after each frame in `checkpoints`."""
    book, log = Book(0, 1, detect), Log()
    alerts: list[Alert] = []
    rollups: dict[tuple[object, ...], Rollup] = {}

    def keep(rows: list[Rollup]) -> None:
        for row in rows:
            key = (row.account_id, row.hour_ms, row.arrival_epoch)
            if key not in rollups or rollups[key].version <= row.version:
                rollups[key] = row

    for offset, data in enumerate(frames):
        alerts += book.step(offset, decode_frame(data)).alerts
        if offset in checkpoints:
            keep(log.save(book))
            book = Book.restore(0, 1, detect, log.live.items())
    keep(book.take_rollups())
    return _state(book), alerts, rollups


@pytest.fixture(scope="module")
def frames(cut: Callable[..., list[bytes]]) -> list[bytes]:
    """The world in frames of at most 97 events."""
    return cut(97)


@pytest.fixture(scope="module")
def reference(frames: list[bytes]) -> tuple[State, list[Alert], dict[tuple[object, ...], Rollup]]:
    """One uninterrupted pass."""
    return _run(frames, set(), SETTINGS)


def test_the_world_is_eventful(frames: list[bytes], reference: tuple[State, list[Alert], object]) -> None:
    """It opens, updates and closes an episode, crosses three epochs, overflows the ring and packs a cold account."""
    (_, _, head, _), alerts, _ = reference
    assert {alert.state for alert in alerts} == {"opened", "updated", "closed"}
    assert head > 2 * SETTINGS.dedupe_ring
    book, epochs, packed = Book(0, 1, SETTINGS), set(), 0
    for offset, data in enumerate(frames):
        book.step(offset, decode_frame(data))
        epochs.add(book.watermark_ms // (SETTINGS.epoch_s * 1_000))
        packed = max(packed, book.accounts[1])
    assert len(epochs) > 4
    assert packed > 0


@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_checkpoints_restarts_and_memory_do_not_matter(
    data: st.DataObject, frames: list[bytes], reference: tuple[State, list[Alert], dict[tuple[object, ...], Rollup]]
) -> None:
    """Wherever it restarts and however many accounts may live: bit-equal state, equal alerts, equal rollups."""
    checkpoints = data.draw(st.sets(st.integers(0, len(frames) - 1), max_size=25), label="restart after frames")
    room = data.draw(st.sampled_from([16, 23, 10_000]), label="live accounts")
    state, alerts, rollups = _run(frames, checkpoints, SETTINGS.model_copy(update={"max_hot_accounts": room}))
    assert state == reference[0]
    assert alerts == reference[1]
    assert rollups == reference[2]


def _decisive(state: State) -> dict[str, tuple[bytes, bytes, int]]:
    """Accounts without their rollup cells, whose versions are frames offsets."""
    records = {account_id: decode_account(data) for account_id, data in state[0].items()}
    return {account_id: (r.row, r.mind, r.due_ms) for account_id, r in records.items()}


@pytest.mark.parametrize("frame_events", [1_000, 31])
def test_where_frames_are_cut_does_not_matter(cut: Callable[..., list[bytes]], frame_events: int) -> None:
    """One source: other frame sizes and batches give the same alerts and the same accounts, byte for byte."""
    whole, alerts, _ = _run(cut(97, one_source=True), set(), SETTINGS)
    other, other_alerts, _ = _run(cut(frame_events, 311, one_source=True), set(), SETTINGS)
    assert other_alerts == alerts
    assert _decisive(other) == _decisive(whole)
    assert other[1] == whole[1]


def test_a_frame_already_applied_changes_nothing_and_one_beyond_is_a_hole(frames: list[bytes]) -> None:
    """Exactly the next offset applies."""
    book = Book(0, 1, SETTINGS)
    for offset in range(5):
        book.step(offset, decode_frame(frames[offset]))
    effects = book.step(3, decode_frame(frames[3]))
    assert (effects.applied, effects.alerts, book.applied) == (0, [], 4)
    with pytest.raises(HoleError):
        book.step(6, decode_frame(frames[6]))


def test_a_frame_of_another_lineage_is_refused(frames: list[bytes]) -> None:
    """A changed partition count names the way out."""
    with pytest.raises(LineageError, match="fixed at `init`"):
        Book(0, 2, SETTINGS).step(0, decode_frame(frames[0]))


def _saved(frames: list[bytes]) -> Log:
    book, log = Book(0, 1, SETTINGS, "frames-id"), Log()
    for offset in range(10):
        book.step(offset, decode_frame(frames[offset]))
    log.save(book)
    return log


def test_state_of_another_lineage_is_refused(frames: list[bytes]) -> None:
    """A recreated frames topic, changed detect settings: an error with the next step, never a guess."""
    log = _saved(frames)
    with pytest.raises(LineageError, match="recreated"):
        Book.restore(0, 1, SETTINGS, log.live.items(), "another-id")
    with pytest.raises(LineageError, match="settings"):
        Book.restore(0, 1, SETTINGS.model_copy(update={"alert_budget": 2.0}), log.live.items(), "frames-id")


def test_a_checkpoint_from_a_newer_version_is_refused(frames: list[bytes]) -> None:
    """The worker stops before it touches anything."""
    log = _saved(frames)
    marker = next(key for key in log.live if key[:1] == b"m")
    value = bytearray(log.live[marker])
    assert value[1] == 1  # msgpack: array header, then the format as a small integer
    value[1] = 9
    log.live[marker] = bytes(value)
    with pytest.raises(NewerFormatError, match="upgrade"):
        Book.restore(0, 1, SETTINGS, log.live.items(), "frames-id")


def test_an_incomplete_state_log_is_refused(frames: list[bytes]) -> None:
    """A marker whose accounts are not all there is no checkpoint."""
    log = _saved(frames)
    account = next(key for key in log.live if key[:1] == b"a")
    del log.live[account]
    with pytest.raises(CodecError, match="accounts"):
        Book.restore(0, 1, SETTINGS, log.live.items(), "frames-id")


def test_records_above_the_marker_are_ignored(frames: list[bytes]) -> None:
    """A checkpoint that died before its marker leaves records that recovery must not see."""
    book, log = Book(0, 1, SETTINGS), Log()
    for offset in range(10):
        book.step(offset, decode_frame(frames[offset]))
    log.save(book)
    whole = _state(Book.restore(0, 1, SETTINGS, log.live.items()))
    for offset in range(10, 20):
        book.step(offset, decode_frame(frames[offset]))
    torn = book.checkpoint()
    log.live.update(torn.records)
    assert _state(Book.restore(0, 1, SETTINGS, log.live.items())) == whole
