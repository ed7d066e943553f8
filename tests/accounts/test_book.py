"""The laws of the core: any cut, any checkpoint, any memory pressure: the same state and the same effects."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.accounts.book import Book, HoleError
from pipeline.accounts.record import STATE_VERSION, decode_account, decode_marker
from pipeline.base.errors import CodecError, LineageError, NewerFormatError
from pipeline.base.settings import DetectSettings
from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.events.alert import Kind
from pipeline.events.control import (
    EXPLAINS,
    Baseline,
    Declaration,
    Revocation,
    Setting,
    Tuning,
    Twin,
    Verdict,
    VerdictId,
    declaration_control_id,
    tuning_control_id,
    verdict_control_id,
)
from pipeline.events.frame import decode_frame
from pipeline.intake.control import ControlFramer
from pipeline.intake.framing import FramingConfig
from pipeline.scoring import prior
from pipeline.scoring.calibration import Measure
from pipeline.scoring.prior import detector_digest
from tests.priors import refitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.events.alert import Alert
    from pipeline.events.control import Control
    from pipeline.events.outputs import Rollup

WORLD_MS = 1_780_000_000_000
QUIET_MS = 6 * HOUR_MS
"""How long after its alert an excused account stays excused."""
LIMIT = 200
SETTINGS = DetectSettings(epoch_s=3_600, dedupe_ring=2_048, max_hot_accounts=16, cooldown_h=8.0)
State = tuple[dict[str, bytes], bytes, int, object]


PRIOR = refitted(width=2.0).decode()


def tuning(setting: Setting, value: str) -> Tuning:
    """Another value for a setting."""
    return Tuning(control_id=tuning_control_id(setting), issued_at_ms=1, issued_by="ann", setting=setting, value=value)


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
    return {a: zlib.decompress(record) for a, (record, _, _) in book._cold.items()}, book.judge.pack(), book._ring.head, marker


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
def plain(cut: Callable[..., list[bytes]]) -> list[Alert]:
    """What is raised when nobody decides anything: account alerts, as they open."""
    _, alerts, _ = _run(cut(97), set(), SETTINGS)
    opened = [alert for alert in alerts if alert.state == "opened" and alert.subject_type == "account"]
    assert [alert for alert in opened if alert.kind in EXPLAINS[Twin.EVALUATION]]
    return opened


@pytest.fixture(scope="module")
def excused(plain: list[Alert]) -> Alert:
    """The alert that a declaration would have held back."""
    return next(alert for alert in plain if alert.kind in EXPLAINS[Twin.EVALUATION])


@pytest.fixture(scope="module")
def decisions(plain: list[Alert], excused: Alert, attackers: dict[str, str]) -> list[tuple[int, Control]]:
    """What people decide while the world runs: verdicts, declarations with and without a limit, a revocation, a stranger."""

    def verdict(account_id: str, kind: Kind, alert_id: str, verdict_id: VerdictId) -> Verdict:
        return Verdict(
            control_id=verdict_control_id(alert_id), account_id=account_id, issued_at_ms=1, issued_by="ann", alert_id=alert_id,
            kind=kind, baselines=[Baseline.CHANGE, Baseline.LEVEL], verdict_id=verdict_id,
        )  # fmt: skip

    def declaration(account_id: str, twin: Twin, until_ms: int, limit: int = 0) -> Declaration:
        return Declaration(
            control_id=declaration_control_id(account_id, twin), account_id=account_id, issued_at_ms=WORLD_MS, issued_by="ann",
            twin=twin, until_ms=until_ms, requests_per_day=limit,
        )  # fmt: skip

    busy = next(account for account in attackers.values() if account != excused.subject_id)
    accused = next((alert.subject_id for alert in plain if alert.subject_id not in (excused.subject_id, busy)), busy)
    wrong = [(200, verdict(accused, kind, f"{kind}-{i}", VerdictId.FALSE_POSITIVE)) for kind in Kind for i in range(3)]
    taken_back = Revocation(control_id=wrong[1][1].control_id, account_id=accused, issued_at_ms=2, issued_by="bob")
    return [
        *wrong,
        (200, declaration(excused.subject_id, Twin.EVALUATION, excused.raised_at_ms + QUIET_MS)),
        (200, declaration(busy, Twin.EVALUATION, WORLD_MS + 3 * DAY_MS, LIMIT)),
        (2_000, verdict("acct_nobody", Kind.PROBING, "alert-9", VerdictId.TRUE_POSITIVE)),
        (5_000, taken_back),
        (1_000, tuning(Setting.ALERT_BUDGET, "4")),
        (1_500, tuning(Setting.PRIOR_FILE, '{"not": "a prior"}')),
        (2_500, tuning(Setting.STORM_FACTOR, "7")),
        (3_000, tuning(Setting.PRIOR_FILE, PRIOR)),
        (4_000, tuning(Setting.COOLDOWN_H, "9")),
        (6_000, tuning(Setting.STORM_FACTOR, "")),
    ]


@pytest.fixture(scope="module")
def frames(cut: Callable[..., list[bytes]], decisions: list[tuple[int, Control]]) -> list[bytes]:
    """The world in frames of at most 97 events, with people's decisions among them."""
    return cut(97, decisions=decisions)


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


def test_decisions_change_what_is_raised(
    plain: list[Alert], excused: Alert, decisions: list[tuple[int, Control]], reference: tuple[State, list[Alert], object]
) -> None:
    """A declaration keeps its kinds quiet until it ends; an exceeded limit alerts at once, first of all for that; verdicts delay."""
    (limited,) = {d.account_id for _, d in decisions if isinstance(d, Declaration) and d.requests_per_day}
    (accused,) = {d.account_id for _, d in decisions if isinstance(d, Verdict) and d.verdict_id == VerdictId.FALSE_POSITIVE}
    opened = [alert for alert in reference[1] if alert.state == "opened" and alert.subject_type == "account"]
    assert excused.raised_at_ms > WORLD_MS
    for alert in opened:
        if alert.subject_id == excused.subject_id and alert.kind in EXPLAINS[Twin.EVALUATION]:
            assert alert.raised_at_ms >= excused.raised_at_ms + QUIET_MS - HOUR_MS  # a late block may follow the one that ended it
    over = next(alert for alert in opened if alert.subject_id == limited)
    assert over.explanation[0].feature == "requests_day"
    assert over.explanation[0].observed > over.explanation[0].expected_high == LIMIT
    assert "declared limit" in over.headline
    if accused != limited:
        before, after = (min((a.raised_at_ms for a in side if a.subject_id == accused), default=2**62) for side in (plain, opened))
        assert before <= after


def test_a_decision_told_twice_counts_once(decisions: list[tuple[int, Control]]) -> None:
    """A control segment that a crashed ingest repeated is skipped by its position; one beyond a hole waits for what is missing."""
    framer = ControlFramer(FramingConfig("api.requests", "control-id", 1))
    framer.assign(0, -1)
    told = []
    for offset, (_, decision) in enumerate(decisions):
        framer.take(0, [offset], [decision])
        told += [decode_frame(frame.value) for frame in framer.flush()]
    once, again = Book(0, 1, SETTINGS), Book(0, 1, SETTINGS)
    for offset, frame in enumerate(told):
        once.step(offset, frame)
    order = [0, 0, 1, 0, 3, 2, 1, *range(3, len(told)), len(told) - 1]  # 3 before 2 is a hole
    for offset, at in enumerate(order):
        again.step(offset, told[at])
        hole = again.control_positions.by_partition[0].hole
        assert hole == (1 if offset == 4 else 0)
    once._pack_cold(0)
    again._pack_cold(0)
    assert {a: decode_account(zlib.decompress(data)).mind for a, (data, _, _) in once._cold.items()} == {
        a: decode_account(zlib.decompress(data)).mind for a, (data, _, _) in again._cold.items()
    }
    assert len(once._cold) == len({decision.account_id for _, decision in decisions if not isinstance(decision, Tuning)}) >= 3
    assert once.tuned == again.tuned == {"alert_budget": "4", "prior_file": PRIOR, "cooldown_h": "9"}
    assert once.judge.pack() == again.judge.pack() != Book(0, 1, SETTINGS).judge.pack()


class Tuned:
    """A fresh book that is told settings, one after the other."""

    def __init__(self, detect: DetectSettings = SETTINGS) -> None:
        self.book = Book(0, 1, detect)
        self._framer = ControlFramer(FramingConfig("api.requests", "control-id", 1))
        self._framer.assign(0, -1)
        self._offset = -1
        self._log = Log()

    def tell(self, setting: Setting, value: str) -> None:
        """Another value."""
        self._offset += 1
        self._framer.take(0, [self._offset], [tuning(setting, value)])
        (frame,) = self._framer.flush()
        self.book.step(self._offset, decode_frame(frame.value))

    def restart(self, detect: DetectSettings = SETTINGS) -> Book:
        """The book as a worker with these settings takes it up."""
        self._log.save(self.book)
        return Book.restore(0, 1, detect, self._log.live.items())


def test_a_setting_changes_at_once_and_survives_a_restart() -> None:
    """Bars, prior and brake are those of a book that began so; reset, they are those it began with."""
    tuned = Tuned()
    tuned.tell(Setting.ALERT_BUDGET, "10")
    tuned.tell(Setting.PRIOR_FILE, PRIOR)
    wanted = Book(0, 1, SETTINGS.tuned({"alert_budget": "10", "prior_file": PRIOR})).judge
    before = Book(0, 1, SETTINGS).judge
    for book in (tuned.book, tuned.restart()):
        bars = book.judge.bars
        assert [bars.bar(m) for m in Measure] == [wanted.bars.bar(m) for m in Measure]
        assert bars.bar(Measure.LEVEL) < before.bars.bar(Measure.LEVEL)
        assert bars.prior.width == 2.0
        assert bars.budget == 10.0
    tuned.tell(Setting.ALERT_BUDGET, "")
    tuned.tell(Setting.PRIOR_FILE, "")
    assert [tuned.restart().judge.bars.bar(m) for m in Measure] == [before.bars.bar(m) for m in Measure]
    assert tuned.book.tuned == {}


def test_what_this_program_cannot_use_is_told_and_the_last_good_one_holds() -> None:
    """A prior that is none, or another detector's: nobody stops, and what else was changed stays changed."""
    tuned = Tuned()
    tuned.tell(Setting.ALERT_BUDGET, "10")
    tuned.tell(Setting.PRIOR_FILE, PRIOR)
    deep = '{"x":' + "[" * 16_000
    outside = PRIOR.replace('"level": [', '"level": [\n-1,\n7,')
    absurd = PRIOR.replace('"level": [', '"level": [\n63,\n4611686018427387904,')
    for wrong in ("{}", "[", deep, outside, absurd, PRIOR.replace(detector_digest(), "f" * 16)):
        assert wrong != PRIOR
        tuned.tell(Setting.PRIOR_FILE, wrong)
    assert len(tuned.book.complaints) == 6
    assert tuned.book.tuned == {"alert_budget": "10", "prior_file": PRIOR}
    assert tuned.book.judge.bars.prior.width == 2.0


def test_state_of_another_detector_keeps_what_this_one_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade that a prior does not fit, the worker says so, goes by its own and keeps the budget."""
    tuned = Tuned()
    tuned.tell(Setting.PRIOR_FILE, PRIOR)
    tuned.tell(Setting.ALERT_BUDGET, "10")
    monkeypatch.setattr("pipeline.scoring.prior.detector_digest", lambda: "f" * 16)
    monkeypatch.setattr("pipeline.scoring.prior._prior_in", prior._prior_in.__wrapped__)  # as in a process of its own: nothing was read
    book = tuned.restart()
    assert book.tuned == {"alert_budget": "10"}
    assert "another version of the detector" in book.complaints[0]
    assert book.judge.bars.budget == 10.0
    tuned.book = book
    tuned.tell(Setting.COOLDOWN_H, "7")
    assert tuned.restart().tuned == {"alert_budget": "10", "cooldown_h": "7"}


def test_a_worker_may_say_what_it_likes_of_a_changed_setting_and_nothing_else() -> None:
    """What the log says holds; a setting that nobody changed must be what the state was written with."""
    tuned = Tuned()
    tuned.tell(Setting.ALERT_BUDGET, "10")
    other = SETTINGS.model_copy(update={"alert_budget": 2.0})
    assert tuned.restart(other).judge.bars.budget == 10.0
    with pytest.raises(LineageError, match="settings digest") as refused:
        tuned.restart(SETTINGS.model_copy(update={"cooldown_h": 7.0}))
    assert "stillwatch tune" in refused.value.next_step
    tuned.tell(Setting.ALERT_BUDGET, "")
    with pytest.raises(LineageError):
        tuned.restart(other)


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
def test_where_frames_are_cut_does_not_matter(
    cut: Callable[..., list[bytes]], decisions: list[tuple[int, Control]], frame_events: int
) -> None:
    """One source: other frame sizes and batches give the same alerts and the same accounts, byte for byte."""
    whole, alerts, _ = _run(cut(97, one_source=True, decisions=decisions), set(), SETTINGS)
    other, other_alerts, _ = _run(cut(frame_events, 311, one_source=True, decisions=decisions), set(), SETTINGS)
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


@pytest.mark.parametrize(("version", "step"), [(1, "--reset-state"), (9, "upgrade")])
def test_a_checkpoint_of_another_version_is_refused(frames: list[bytes], version: int, step: str) -> None:
    """The worker stops before it touches anything, and says what to do."""
    log = _saved(frames)
    marker = next(key for key in log.live if key[:1] == b"m")
    value = bytearray(log.live[marker])
    assert value[1] == STATE_VERSION  # msgpack: array header, then the format as a small integer
    value[1] = version
    log.live[marker] = bytes(value)
    with pytest.raises(CodecError, match=step) as refused:
        Book.restore(0, 1, SETTINGS, log.live.items(), "frames-id")
    assert isinstance(refused.value, NewerFormatError) == (version > STATE_VERSION)


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
