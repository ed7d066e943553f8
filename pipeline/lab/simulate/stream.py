"""Playing a scenario: every account's requests, drawn a block at a time, merged into one stream in event time."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import orjson

from pipeline.lab.simulate.cast import BENIGN, cast
from pipeline.lab.simulate.dice import generator
from pipeline.lab.simulate.faults import SimulatedEvent, inject
from pipeline.lab.simulate.rhythm import cut, join
from pipeline.lab.simulate.traffic import Memory, draw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.lab.simulate.cast import Account
    from pipeline.lab.simulate.decks import Library
    from pipeline.lab.simulate.rhythm import Arrivals
    from pipeline.lab.simulate.scenario import Scenario
    from pipeline.lab.simulate.traffic import Stream

_CONTENT_PATH, _FAULTS_PATH = 5, 6
_HELD_EVENTS = 65_536
_BLOCK_SMALLEST, _BLOCK_LARGEST = 16, 512

_Row = tuple[int, int, int, int, bytes]  # time, account, voice, serial, record: the order of the stream


def _blocks(stretches: Iterable[Arrivals], size: int) -> Iterator[Arrivals]:
    """Cut and join stretches into blocks of `size` requests (the last is shorter)."""
    parts: list[Arrivals] = []
    held = 0
    for stretch in stretches:
        parts.append(stretch)
        held += stretch.times.size
        if held < size:
            continue
        together = join(parts)
        whole = held // size * size
        for at in range(0, whole, size):
            yield cut(together, slice(at, at + size))
        parts = [cut(together, slice(whole, None))] if held > whole else []
        held -= whole
    if held:
        yield join(parts)


def _rows(account: int, voice: int, stream: Stream, blocks: Iterable[Arrivals], content: tuple[Library, int]) -> Iterator[_Row]:
    library, seed = content
    rng = generator(seed, _CONTENT_PATH, account, voice)
    memory = Memory()
    hidden = stream.identity.hidden
    serial = 0
    for block in blocks:
        columns = draw(stream, library, rng, block, memory)
        names = [name for name in columns if name not in hidden]
        times = columns["occurred_at_ms"]
        for time, row in zip(times, zip(*(columns[name] for name in names), strict=True), strict=True):
            fields = {name: value for name, value in zip(names, row, strict=True) if value is not None}
            yield time, account, voice, serial, orjson.dumps(fields)
            serial += 1


def simulate(scenario: Scenario) -> Iterator[SimulatedEvent]:
    """Play the scenario → records in order of event time (in order of arrival, when faults are on).

    The same scenario gives the same bytes. Memory is bounded by accounts × a block of 16–512 requests, not by length.
    """
    accounts, library = cast(scenario)
    size = min(max(_HELD_EVENTS // max(1, len(accounts)), _BLOCK_SMALLEST), _BLOCK_LARGEST)
    events = _merged(scenario, accounts, library, size)
    return inject(events, scenario.faults, generator(scenario.seed, _FAULTS_PATH)) if scenario.faults else events


def _merged(scenario: Scenario, accounts: tuple[Account, ...], library: Library, size: int) -> Iterator[SimulatedEvent]:
    names: dict[int, str] = {a.number: a.identity.account_id for a in accounts}
    labels: dict[tuple[int, int], str] = {}
    streams = []
    for account in accounts:
        for which, (voice, stretches) in enumerate(zip(account.voices, account.times(scenario), strict=True)):
            labels[account.number, which] = BENIGN if voice.strike is None else account.label
            streams.append(_rows(account.number, which, voice.stream, _blocks(stretches, size), (library, scenario.seed)))
    for time, number, which, _, raw in heapq.merge(*streams):
        account_id = names[number]
        yield SimulatedEvent(time, account_id, raw, account_id, labels[number, which])
