"""What alerts say: an episode's life in revisions, and an explanation that a person can check."""

from __future__ import annotations

import itertools
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pipeline.base.settings import DetectSettings
from pipeline.base.times import HOUR_MS
from pipeline.events.alert import TECHNIQUES, Alert
from pipeline.features.catalogue import FEATURES

if TYPE_CHECKING:
    from tests.scoring.conftest import Play, Population

UNITS = {feature.name: feature.unit for feature in FEATURES}


@pytest.fixture(scope="module")
def alerts(mixed: Population, play: Play) -> list[Alert]:
    """Alerts of the mixed population, with a cooldown short enough for episodes to end, and every account expired at the end."""
    settings = DetectSettings(cooldown_h=6)
    outcome = play(mixed, settings)
    end_ms = int(mixed.history.blocks.closed_ms.max()) + 7 * HOUR_MS
    for account_id, mind in zip(mixed.history.accounts, outcome.minds, strict=True):
        outcome.alerts.extend(outcome.judge.expire(account_id, mind, end_ms))
    return outcome.alerts


def lives(alerts: list[Alert]) -> list[list[Alert]]:
    """Revisions by alert."""
    ordered = sorted(alerts, key=lambda a: (a.alert_id, a.revision))
    return [list(group) for _, group in itertools.groupby(ordered, key=lambda a: a.alert_id)]


def test_an_episode_opens_is_updated_and_closes(alerts: list[Alert]) -> None:
    """Revisions count from 1 without a hole: opened first, closed last, updated in between, opened again only when closed."""
    all_lives = lives(alerts)
    assert len(all_lives) >= 5
    for life in all_lives:
        assert [a.revision for a in life] == list(range(1, len(life) + 1))
        for opened, after in pairwise(life):  # open, then updates, then closed; from there on only open again
            assert (after.state == "opened") == (opened.state == "closed")
        assert (life[0].state, life[-1].state) == ("opened", "closed")
        assert [a.raised_at_ms for a in life] == sorted(a.raised_at_ms for a in life)
        assert len({(a.kind, a.subject_id) for a in life}) == 1
        assert [a.requests for a in life] == sorted(a.requests for a in life)
    assert any(len(life) > 2 for life in all_lives)


def test_a_quiet_episode_closes_after_the_cooldown_and_not_before(alerts: list[Alert]) -> None:
    """An episode closes exactly the cooldown after the last block that supported it."""
    for alert in (a for life in lives(alerts) for a in life if a.state == "closed"):
        assert alert.raised_at_ms == alert.last_seen_ms + 6 * HOUR_MS


def test_one_open_episode_per_account(alerts: list[Alert]) -> None:
    """An account never has two alerts open at once."""
    open_now: dict[str, str] = {}
    for alert in alerts:
        if alert.state == "opened":
            assert alert.subject_id not in open_now
            open_now[alert.subject_id] = alert.alert_id
        elif alert.state == "closed":
            assert open_now.pop(alert.subject_id) == alert.alert_id


def test_every_alert_is_complete(alerts: list[Alert]) -> None:
    """Headline, numbers, techniques and action are there and within their bounds."""
    for alert in alerts:
        assert 20 <= len(alert.headline) <= 160
        assert 1 <= alert.severity <= 5
        assert 0.0 < alert.confidence < 1.0
        assert 0.7 <= alert.risk <= 1.0
        assert alert.first_seen_ms <= alert.last_seen_ms <= alert.raised_at_ms
        assert alert.requests > 0
        assert alert.techniques == list(TECHNIQUES[alert.kind])
        assert (alert.recommended_action == "suspend") == (alert.severity == 5)
        assert alert.requests_before > 0
        assert alert.account_ids == [alert.subject_id]


def test_figures_begin_with_the_first_suspicious_block(alerts: list[Alert], mixed: Population) -> None:
    """Requests and tokens of an opening alert are the sums over its blocks, the first and the last included."""
    blocks, accounts = mixed.history
    changes = 0
    for alert in (a for a in alerts if a.state == "opened"):
        mine = blocks.slot == accounts.index(alert.subject_id)
        mine &= (blocks.opened_ms >= alert.first_seen_ms) & (blocks.closed_ms <= alert.last_seen_ms)
        if alert.requests == alert.requests_before or alert.revision > 1:
            continue  # the whole life stands out, or an earlier part counts too: nothing to add up
        changes += 1
        assert alert.requests == blocks.requests[mine].sum()
        assert [alert.input_tokens, alert.output_tokens] == blocks.tokens[mine].sum(axis=0).tolist()
        assert alert.output_tokens > 0
    assert changes >= 2


def test_explanations_are_ranked_and_out_of_the_expected(alerts: list[Alert]) -> None:
    """Features come strongest first with shares of the decision, and the strongest is outside of what was expected."""
    for alert in alerts:
        shares = [e.contribution for e in alert.explanation]
        assert shares == sorted(shares, reverse=True)
        assert 0.5 < sum(shares) <= 1.001  # eight of many
        assert 1 <= len(shares) <= 8
        for e in alert.explanation:
            assert e.unit == UNITS[e.feature]
            assert e.expected_low <= e.expected_high
            assert 0.0 < e.tail_probability <= 0.5
        strongest = alert.explanation[0]
        assert not strongest.expected_low <= strongest.observed <= strongest.expected_high


def test_alert_ids_name_subject_kind_and_episode(alerts: list[Alert], mixed: Population, play: Play) -> None:
    """Another run gives the same ids; different accounts or kinds give different ones."""
    again = {a.alert_id for a in play(mixed, DetectSettings(cooldown_h=6)).alerts}
    assert again == {a.alert_id for a in alerts}
    assert len(again) == len({(life[0].subject_id, life[0].kind, life[0].raised_at_ms) for life in lives(alerts)})


def test_a_tighter_budget_alerts_later_or_not_at_all(mixed: Population, play: Play) -> None:
    """The budget is the bar: with a hundredth of it fewer episodes open, or they open after more requests."""
    usual, tight = (
        {a.subject_id: a.requests_before for a in reversed(play(mixed, DetectSettings(alert_budget=b)).alerts) if a.state == "opened"}
        for b in (1.0, 0.01)
    )
    assert tight.keys() <= usual.keys()
    assert all(tight[subject] >= usual[subject] for subject in tight)
    assert tight != usual
