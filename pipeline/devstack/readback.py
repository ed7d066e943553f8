"""What ClickHouse says came out, held against what went in: the demo's closing summary and its verdict.

`read_back` asks, `judge` compares; only what was read from ClickHouse, counted by the feed and seen by the receiver
goes in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.events.alert import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.lab.simulate import Label
    from pipeline.ports.clickhouse import Reader

MUST_CATCH = (Kind.BULK_EXTRACTION, Kind.SYSTEMATIC_DISTILLATION, Kind.REASONING_ELICITATION)
"""Kinds whose seeded attackers the demo promises to catch; others it plays are reported."""
BENIGN_LIMIT = 0.02
"""Share of benign accounts that may be flagged. The alert budget speaks of account-days; this is the demo's own, coarser bar."""
TOP = 5


class Revision(NamedTuple):
    """One row of the table `alerts`, as far as the summary needs it."""

    alert_id: str
    revision: int
    state: str
    kind: str
    accounts: tuple[str, ...]
    raised_ms: int
    requests: int
    output_tokens: int


class Account(NamedTuple):
    """One account's sums over `account_hourly`."""

    account_id: str
    requests: int
    output_tokens: int
    risk: float


@dataclass(frozen=True)
class Outcome:
    """What ClickHouse holds at the end.

    Attributes:
        revisions: of every alert, by time.
        top: accounts by output tokens.
        requests: events that count, by account.
        dead_letters: rejected records, by reason.
    """

    revisions: Sequence[Revision]
    top: Sequence[Account]
    requests: Mapping[str, int]
    dead_letters: Mapping[str, int]


class Sent(NamedTuple):
    """What went in, by the feed's own count."""

    records: int
    requests: Mapping[str, int]
    duplicates: int
    rejected: Mapping[str, int]


class Caught(NamedTuple):
    """An attacker and the first alert after its attack began; `alert` is None when there was none."""

    label: Label
    alert: Revision | None


class Claim(NamedTuple):
    """One thing the demo says about itself, and whether it is true."""

    holds: bool
    text: str


def read_back(reader: Reader) -> Outcome:
    """Ask ClickHouse.

    Raises:
        StillwatchError: it does not answer or refuses.
    """
    alerts = reader.query(
        "SELECT alert_id, revision, state, kind, if(empty(account_ids), [subject_id], account_ids) AS accounts,"
        " toUnixTimestamp64Milli(raised_at) AS raised_ms, requests, output_tokens"
        " FROM alerts FINAL ORDER BY raised_at, alert_id, revision"
    )
    top = reader.query(
        "SELECT account_id, sum(requests), sum(output_tokens) AS tokens, max(risk) FROM account_hourly"
        " GROUP BY account_id ORDER BY tokens DESC, account_id",
        rows=TOP,
    )
    return Outcome(
        revisions=[Revision._make([*row[:4], tuple(row[4]), *row[5:]]) for row in alerts.rows],
        top=[Account(*row) for row in top.rows],
        requests=requests_by_account(reader),
        dead_letters=dict(reader.query("SELECT reason, count() FROM dead_letters FINAL GROUP BY reason ORDER BY reason").rows),
    )


def requests_by_account(reader: Reader) -> dict[str, int]:
    """Events that count, by account.

    Raises:
        StillwatchError: ClickHouse does not answer or refuses, or there are more accounts than one read may return.
    """
    return dict(reader.query("SELECT account_id, sum(requests) FROM account_hourly GROUP BY account_id").rows)


def attackers(labels: Iterable[Label], revisions: Iterable[Revision]) -> list[Caught]:
    """Each attacker with the first revision about it that was raised after its attack had begun."""
    revisions = list(revisions)
    found = []
    for label in labels:
        start = label.attack_start_ms
        if start is None:
            continue
        mine = (r for r in revisions if label.account_id in r.accounts and r.raised_ms >= start and r.state != "closed")
        found.append(Caught(label, next(mine, None)))
    return found


def flagged(labels: Iterable[Label], revisions: Iterable[Revision]) -> tuple[list[str], int]:
    """Benign accounts with any alert, and how many benign accounts there are."""
    benign = {label.account_id for label in labels if label.attack_start_ms is None}
    named = {account for revision in revisions for account in revision.accounts}
    return sorted(benign & named), len(benign)


def judge(sent: Sent, outcome: Outcome, labels: Sequence[Label], duplicates: int, verified: int, refused: int) -> list[Claim]:
    """Compare.

    Args:
        sent: what went in.
        outcome: what ClickHouse holds.
        labels: the truth about the accounts.
        duplicates: repeats that detect dropped.
        verified: distinct webhooks that arrived with a good signature.
        refused: webhooks that arrived with a bad one.

    Returns:
        Every claim; the demo succeeded when all hold.
    """
    return [
        _caught_claim(labels, outcome),
        _benign_claim(labels, outcome),
        _counts_claim(sent, outcome, duplicates),
        Claim(
            verified == len(outcome.revisions) and not refused,
            f"{verified} webhooks verified, {refused} refused, {len(outcome.revisions)} alert revisions in ClickHouse",
        ),
    ]


def _caught_claim(labels: Sequence[Label], outcome: Outcome) -> Claim:
    wanted = [one for one in attackers(labels, outcome.revisions) if one.label.label in MUST_CATCH]
    kinds = {one.label.label for one in wanted}
    missed = [one.label for one in wanted if one.alert is None]
    absent = [kind for kind in MUST_CATCH if kind not in kinds]
    text = f"{len(wanted) - len(missed)} of {len(wanted)} attackers of the three kinds caught"
    for label in missed:
        text += f"; missed {label.account_id} ({label.label})"
    for kind in absent:
        text += f"; no {kind} was played"
    return Claim(not missed and not absent, text)


def _benign_claim(labels: Sequence[Label], outcome: Outcome) -> Claim:
    wrong, benign = flagged(labels, outcome.revisions)
    text = f"{len(wrong)} of {benign} benign accounts flagged (at most {BENIGN_LIMIT:.0%})"
    return Claim(len(wrong) <= BENIGN_LIMIT * benign, text)


def _counts_claim(sent: Sent, outcome: Outcome, duplicates: int) -> Claim:
    counted, rejected = sum(outcome.requests.values()), sum(outcome.dead_letters.values())
    text = (
        f"{sent.records:,} records in = {counted:,} requests in account_hourly + {rejected:,} dead letters + {duplicates:,} repeats"
        f" = {counted + rejected + duplicates:,} out"
    )
    equal = counted + rejected + duplicates == sent.records
    if not equal:
        text = text.replace(" = ", " ≠ ", 1)
    for name, there, here in (
        ("account", sent.requests, outcome.requests),
        ("reason", sent.rejected, outcome.dead_letters),
    ):
        wrong = [key for key in sorted({*there, *here}) if there.get(key, 0) != here.get(key, 0)]
        if wrong:
            equal = False
            text += f"; {len(wrong)} {name}(s) differ, e.g. {wrong[0]}: {there.get(wrong[0], 0)} in, {here.get(wrong[0], 0)} out"
    if duplicates != sent.duplicates:
        equal = False
        text += f"; {sent.duplicates} repeats were sent, {duplicates} dropped"
    return Claim(equal, text)
