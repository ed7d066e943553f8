"""The instrument's short cut to frames decides nothing: the detector sees what it would see through intake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.base.settings import Settings
from pipeline.lab.backtest import Backtest
from pipeline.lab.evaluate.frames import frames, request_events
from pipeline.lab.evaluate.ours import detect, episodes
from pipeline.lab.evaluate.parametric import load_parametric
from pipeline.lab.evaluate.population import Builder, Plan
from pipeline.lab.evaluate.split import Split
from pipeline.lab.evaluate.vectors import block_vectors, with_change

if TYPE_CHECKING:
    from pipeline.events.alert import Alert
    from pipeline.lab.evaluate.table import Shard


@pytest.fixture(scope="module")
def shard() -> Shard:
    """Some days with attacks strong enough to be seen, texts kept."""
    plan = Plan(ordinary=14, attacks=("template_sweep", "cot_harvest", "parameter_probe", "bulk_drain"), controls=False, days=5)
    return Builder("frames", load_parametric(), Split.TUNE, 2, plan, keep_texts=True).build()


def test_alerts_are_those_of_the_same_events_as_json_through_intake(shard: Shard) -> None:
    """Subjects, kinds, times, revisions, counts, evidence: everything but where in the source an event lies."""
    found: list[Alert] = []
    backtest = Backtest(Settings(), 1, found.append, lambda line, why: pytest.fail(f"line {line}: {why}"))
    backtest.feed(request_events(shard), shard.end_ms)
    counts = backtest.finish()
    assert counts.applied == len(shard.events)
    direct = detect(shard, Settings().detect)
    assert found, "nothing was raised: the comparison would be empty"
    assert [_told(a) for a in direct] == [_told(a) for a in found]


def _told(alert: Alert) -> tuple[object, ...]:
    return (
        alert.alert_id, alert.revision, alert.state, alert.subject_id, alert.kind, alert.severity, alert.risk, alert.raised_at_ms,
        alert.requests, alert.input_tokens, alert.output_tokens, alert.explanation, [e.event_id for e in alert.evidence],
    )  # fmt: skip


def test_frames_hold_every_event_once_in_order(shard: Shard) -> None:
    """Offsets tile the table, whatever the size of frames."""
    for rows in (700, 4_000):
        offsets = np.concatenate([frame.columns.offset for _, frame in frames(shard, rows)])
        assert offsets.tolist() == list(range(len(shard.events)))


def test_alerts_do_not_depend_on_where_frames_are_cut(shard: Shard) -> None:
    """The instrument's frame size is no parameter of the result."""
    from pipeline.accounts.book import Book  # noqa: PLC0415 - only here

    def run(rows: int) -> list[tuple[object, ...]]:
        book = Book(0, 1, Settings().detect)
        return [_told(a) for offset, frame in frames(shard, rows) for a in book.step(offset, frame).alerts]

    assert run(900) == run(4_000)


def test_episodes_are_read_from_revisions(shard: Shard) -> None:
    """One episode per opening, an alert that opens again included, to its closing or the end."""
    alerts = detect(shard, Settings().detect)
    found = episodes(shard, alerts)
    assert len(found) == sum(a.state == "opened" and a.subject_type == "account" for a in alerts) > 0
    for e in found:
        assert shard.start_ms <= e.opened_ms <= e.closed_ms <= shard.end_ms + 48 * 3_600_000


def test_block_vectors_know_which_requests_were_hostile(shard: Shard) -> None:
    """The shares of hostile requests add up to the attack requests in closed blocks."""
    vectors = block_vectors(shard)
    for number, account in enumerate(shard.accounts):
        hostile = vectors.hostile[vectors.account == number]
        if account.truth is None:
            assert not hostile.any()
        else:
            assert hostile.sum() * 25 == pytest.approx(account.truth.requests, rel=0.2)
    assert with_change(vectors).shape == (len(vectors.account), 2 * vectors.values.shape[1])
