"""Alerts of a whole book: an analyst can act on each without looking anything up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pipeline.accounts.book import Book
from pipeline.base.settings import DetectSettings
from pipeline.base.times import HOUR_MS
from pipeline.events.alert import decode_alert, encode_alert
from pipeline.events.frame import decode_frame
from pipeline.features.catalogue import INDEX
from pipeline.scoring.words import sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.events.alert import Alert
    from pipeline.events.frame import Frame


@pytest.fixture(scope="module")
def frames(cut: Callable[..., list[bytes]]) -> list[Frame]:
    """The world, from one source."""
    return [decode_frame(data) for data in cut(500, one_source=True)]


@pytest.fixture(scope="module")
def alerts(frames: list[Frame]) -> list[Alert]:
    """What a book makes of it."""
    book = Book(0, 1, DetectSettings(epoch_s=3_600, cooldown_h=8.0))
    return [alert for offset, frame in enumerate(frames) for alert in book.step(offset, frame).alerts]


def test_alerts_survive_the_wire(alerts: list[Alert]) -> None:
    """What a consumer decodes is what was raised; a record of the first schema still decodes."""
    assert len(alerts) >= 6
    for alert in alerts:
        assert decode_alert(encode_alert(alert)) == alert
    old = {"slices", "account", "loss_rate", "if_wrong", "alternatives", "canary"}
    fields = {name: getattr(alerts[0], name) for name in alerts[0].__struct_fields__ if name not in old}
    assert type(alerts[0])(**fields).slices == []


def test_evidence_opens_in_the_customers_log(alerts: list[Alert], frames: list[Frame]) -> None:
    """Every event shown is a request of that account, with its own time, conversation and position, up to the revision's time."""
    known = {}
    for header, c in frames:
        for row in range(header.rows):
            event = (header.accounts[c.account[row]], header.symbols[c.event_id[row]], int(c.occurred_at_ms[row]))
            known[f"0:{c.offset[row]}"] = (*event, header.symbols[c.conversation_id[row]])
    for alert in alerts:
        assert 1 <= len(alert.evidence) <= 50
        assert len({e.position for e in alert.evidence}) == len(alert.evidence)
        for e in alert.evidence:
            assert known[e.position] == (alert.subject_id, e.event_id, e.occurred_at_ms, e.conversation_id)
            assert e.occurred_at_ms <= alert.raised_at_ms
    assert sum(any(e.why for e in a.evidence) for a in alerts) > len(alerts) / 2  # long answers in bulk have no single tell
    assert sum(bool(e.why) for a in alerts for e in a.evidence) > sum(not e.why for a in alerts for e in a.evidence)


def test_slices_are_shares_of_the_accounts_own_traffic(alerts: list[Alert], frames: list[Frame]) -> None:
    """Keys and models named are the account's, shares are shares, and the smallest slice holds at least 90 %."""
    own: dict[str, set[str]] = {}
    for header, c in frames:
        for account, *symbols in zip(c.account, c.api_key_id, c.model, strict=True):
            own.setdefault(header.accounts[account], set()).update(header.symbols[s] for s in symbols)
    some: Counter[str] = Counter()
    for alert in alerts:
        stopped = 0.0
        for part in alert.slices:
            if part.dimension in ("api_key", "model"):
                assert part.value in own[alert.subject_id]
            assert 0.0 < part.share <= 1.0
            assert 0.0 <= part.ordinary_share <= 1.0
            stopped += part.share * part.stops
            some[part.dimension] += 1
        assert stopped == 0.0 or 0.9 <= stopped <= 1.0 + 0.0005 * len(alert.slices)  # each share is rounded to three digits
        assert len({part.dimension for part in alert.slices if part.stops}) <= 1
    assert set(some) >= {"api_key", "address_block", "model"}


def test_rates_and_the_price_of_an_error(alerts: list[Alert]) -> None:
    """Something leaves per hour while it is open and nothing once closed; watching and asking block nobody; the rest says whom."""
    actions = set()
    for alert in alerts:
        actions.add(alert.recommended_action)
        assert (alert.loss_rate.requests > 0.0) == (alert.state != "closed")
        if alert.recommended_action in ("watch", "verify"):
            assert alert.if_wrong == 0.0
        else:
            assert alert.if_wrong > 0.0
        if alert.state == "opened" and alert.last_seen_ms - alert.first_seen_ms <= HOUR_MS and alert.requests < alert.requests_before:
            assert alert.loss_rate.requests == alert.requests
    assert len(actions) >= 2


def test_who_it_is_and_what_else_it_could_be(alerts: list[Alert]) -> None:
    """Plan, age and volume are told; two benign twins are named with reasons; each feature is said in a sentence of its own values."""
    for alert in alerts:
        assert alert.account.plan
        assert alert.account.age_days is not None
        assert alert.requests <= alert.account.requests_30d
        assert len({a.twin for a in alert.alternatives}) == 2
        assert all(a.fits or a.contradicts for a in alert.alternatives)
        for e in alert.explanation:
            assert e.feature in INDEX
            assert e.phrase.startswith(sentence(e.feature, e.observed, 0.0, 0.0, e.baseline).split(":")[0])
