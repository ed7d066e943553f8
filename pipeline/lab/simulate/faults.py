"""What happens to records on the way: gateways retry, networks delay, somebody sends rubbish. Every fault is counted.

- duplicate: the same bytes once more, seconds to minutes later, half of them under another key;
- late: the record comes minutes to two days after its time (an hour and more: late for the hour's aggregate);
- re-keyed: the record's Kafka key is not the account;
- conflict: the same `event_id` with other content, a record that counts;
- bad: one more record that is refused, with the reason it must be refused for.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson

from pipeline.base.catalogue import RejectReason
from pipeline.base.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.lab.simulate.scenario import Faults

_LONGEST_DELAY_MS = 2 * DAY_MS


class Note(StrEnum):
    """Why a record is here."""

    EVENT = "event"
    DUPLICATE = "duplicate"
    LATE = "late"
    CONFLICT = "conflict"
    BAD = "bad"


class SimulatedEvent(NamedTuple):
    """One record, in the order in which it reaches the topic.

    Attributes:
        occurred_at_ms: event time of the request it came from.
        account_id: whose it is (for a bad record: from whose it was made).
        raw: the record's value, JSON of `DESIGN.md` 4.1 unless `note` is bad.
        key: Kafka key; the account's id unless re-keyed.
        label: `benign`, or the attack's kind for the attack's own requests.
        note: what happened to it.
        reject_reason: for a bad record, the reason it must be refused for.
    """

    occurred_at_ms: int
    account_id: str
    raw: bytes
    key: str
    label: str
    note: Note = Note.EVENT
    reject_reason: RejectReason | None = None


@dataclass(slots=True)
class Tally:
    """Exact accounting of records: `counted` is what every aggregate must sum to, `rejected` what the dead letters must show."""

    records: int = 0
    counted: int = 0
    duplicates: int = 0
    late: int = 0
    rekeyed: int = 0
    conflicts: int = 0
    attack: int = 0
    rejected: Counter[RejectReason] = field(default_factory=Counter)

    def add(self, event: SimulatedEvent) -> None:
        """Count one record."""
        self.records += 1
        self.rekeyed += event.key != event.account_id
        if event.reject_reason is not None:
            self.rejected[event.reject_reason] += 1
        elif event.note is Note.DUPLICATE:
            self.duplicates += 1
        else:
            self.counted += 1
            self.late += event.note is Note.LATE
            self.conflicts += event.note is Note.CONFLICT
            self.attack += event.label != "benign"


# ---- rubbish, each with the reason it must be refused for


def _edit(raw: bytes, **changes: object) -> bytes:
    return orjson.dumps({**orjson.loads(raw), **changes})


def _without(raw: bytes, name: str) -> bytes:
    fields = orjson.loads(raw)
    del fields[name]
    return orjson.dumps(fields)


_SPOILERS: tuple[tuple[RejectReason, Callable[[bytes], bytes]], ...] = (
    (RejectReason.NOT_JSON, lambda raw: raw[: len(raw) // 2].decode(errors="ignore").encode()),  # cut between characters
    (RejectReason.NOT_JSON, lambda raw: raw[:-1] + b',"extra":NaN}'),
    (RejectReason.NOT_JSON, lambda raw: b"POST /v1/chat " + raw),
    (RejectReason.NOT_UTF8, lambda raw: raw[:-1] + b',"extra":"\xff\xfe\xfa"}'),
    (RejectReason.NOT_OBJECT, lambda raw: b"[" + raw + b"]"),
    (RejectReason.TOO_DEEP, lambda raw: raw[:-1] + b',"extra":' + b"[" * 600 + b"]" * 600 + b"}"),
    (RejectReason.DUPLICATE_KEY, lambda raw: raw[:-1] + b',"status":200}'),
    (RejectReason.MISSING_FIELD, lambda raw: _without(raw, "account_id")),
    (RejectReason.MISSING_FIELD, lambda raw: _without(raw, "status")),
    (RejectReason.WRONG_TYPE, lambda raw: _edit(raw, status="ok")),
    (RejectReason.WRONG_TYPE, lambda raw: _edit(raw, input_tokens="many")),
    (RejectReason.ABSURD_VALUE, lambda raw: _edit(raw, output_tokens=-5)),
    (RejectReason.ABSURD_VALUE, lambda raw: _edit(raw, event_id="e" * 300)),
    (RejectReason.BAD_IDENTIFIER, lambda raw: _edit(raw, account_id="../../etc/passwd")),
    (RejectReason.BAD_IDENTIFIER, lambda raw: _edit(raw, account_id="acct\x00\x1b[2J")),
    (RejectReason.UNKNOWN_VERSION, lambda raw: _edit(raw, schema_version=99)),
)


def _conflict(raw: bytes, rng: np.random.Generator) -> bytes:
    fields = orjson.loads(raw)
    fields["status"] = 200
    fields["output_tokens"] = (fields.get("output_tokens") or 0) + int(rng.integers(1, 500))
    return orjson.dumps(fields)


class _Waiting(NamedTuple):
    release_ms: int
    order: int
    event: SimulatedEvent


def inject(events: Iterable[SimulatedEvent], faults: Faults, rng: np.random.Generator) -> Iterator[SimulatedEvent]:
    """Play the faults on events in time order → records in the order of arrival.

    A record waits in memory until the stream's event time reaches its release; at the end all that wait come out.
    Nothing is lost: every event comes out once, besides what is added.
    """
    waiting: list[_Waiting] = []
    order = 0
    edges = np.cumsum([faults.duplicates, faults.late, faults.conflicts]).tolist()

    def hold(event: SimulatedEvent, median_s: float, sigma: float) -> None:
        nonlocal order
        delay = min(int(1000 * median_s * np.exp(sigma * rng.standard_normal())), _LONGEST_DELAY_MS)
        heapq.heappush(waiting, _Waiting(event_time + delay, order, event))
        order += 1

    for given in events:
        event, event_time = given, given.occurred_at_ms
        while waiting and waiting[0].release_ms <= event_time:
            yield heapq.heappop(waiting).event
        u, v, w = rng.random(3).tolist()
        if v < faults.rekeyed:
            event = event._replace(key=f"gw-{int(rng.integers(64))}")
        if u < edges[0]:
            yield event
            key = event.account_id if rng.random() < 0.5 else f"gw-{int(rng.integers(64))}"
            hold(event._replace(note=Note.DUPLICATE, key=key), 3.0, 1.5)
        elif u < edges[1]:
            hold(event._replace(note=Note.LATE), 1_800.0, 1.5)
        else:
            yield event
            if u < edges[2]:
                hold(event._replace(note=Note.CONFLICT, raw=_conflict(event.raw, rng)), 3.0, 1.5)
        if w < faults.bad:
            reason, spoil = _SPOILERS[int(rng.integers(len(_SPOILERS)))]
            yield event._replace(raw=spoil(event.raw), note=Note.BAD, reject_reason=reason)
    while waiting:
        yield heapq.heappop(waiting).event
