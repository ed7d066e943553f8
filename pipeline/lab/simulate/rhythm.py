"""When requests come: sessions of people, jobs of machines, and clients that never pause. Bursts are kept, never thinned.

A rhythm makes one day at a time; `in_order` joins the days, carrying over what runs past midnight. All times are Unix
milliseconds, and every millisecond digit is as likely as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from pipeline.base.times import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray


_CONSUMER = np.array([2, 1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 10, 11, 10, 10, 10, 10, 11, 12, 14, 15, 13, 9, 5], np.float64)
_OFFICE = np.array([0.3, 0.2, 0.2, 0.2, 0.3, 0.5, 1, 4, 10, 14, 15, 14, 10, 12, 15, 15, 13, 10, 5, 3, 2, 1.5, 1, 0.5], np.float64)
_EVENING = np.array([6, 3, 1, 0.5, 0.3, 0.3, 0.5, 1, 2, 3, 4, 5, 5, 5, 6, 6, 6, 7, 8, 11, 14, 15, 14, 10], np.float64)
_EVEN = np.ones(24)
_HOURS = {"consumer": _CONSUMER, "office": _OFFICE, "evening": _EVENING, "even": _EVEN}


class Arrivals(NamedTuple):
    """Requests of a stretch of time, in order: time (ms), session number, turn within the session (from 0)."""

    times: NDArray[np.int64]
    sessions: NDArray[np.int64]
    turns: NDArray[np.int64]


NOTHING = Arrivals(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))


class Rhythm(Protocol):
    """A maker of days."""

    def day(self, rng: np.random.Generator, start_ms: int, expected: float) -> Arrivals:
        """Requests whose sessions begin within 24 h of `start_ms`, `expected` of them on average, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class Week:
    """The day and week of people: hours of a kind, weekends at a fraction, at a place."""

    hours: str
    utc_offset_h: int
    weekend: float = 1.0

    def weights(self, start_ms: int) -> NDArray[np.float64]:
        """Relative rate in each of the 24 hours from `start_ms`, 1 on the average working hour of the week."""
        local = start_ms // HOUR_MS + self.utc_offset_h + np.arange(24)
        profile = _HOURS[self.hours]
        weekday = (local // 24 + 3) % 7  # 1970-01-01 was a Thursday
        week = (5 + 2 * self.weekend) / 7
        rates: NDArray[np.float64] = profile[local % 24] / profile.mean() * np.where(weekday >= 5, self.weekend, 1.0) / week
        return rates


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions that begin by the week's rhythm; within one, requests follow each other at lognormal gaps."""

    week: Week
    turns: float = 4.0
    gap_s: float = 45.0
    gap_sigma: float = 1.1

    def day(self, rng: np.random.Generator, start_ms: int, expected: float) -> Arrivals:
        """See `Rhythm`."""
        weights = self.week.weights(start_ms)
        count = int(rng.poisson(expected * weights.mean() / self.turns))
        return self.sessions(rng, start_ms, weights, count) if count else NOTHING

    def sessions(self, rng: np.random.Generator, start_ms: int, weights: NDArray[np.float64], count: int) -> Arrivals:
        """Exactly `count` sessions in the hours from `start_ms` that `weights` covers."""
        edges = np.concatenate(([0.0], np.cumsum(weights)))
        at = np.interp(rng.random(count) * edges[-1], edges, np.arange(edges.size)) * HOUR_MS
        turns = rng.geometric(1.0 / self.turns, count)
        total = int(turns.sum())
        gaps = np.exp(self.gap_sigma * rng.standard_normal(total)) * (self.gap_s * 1000)
        firsts = np.cumsum(turns) - turns
        gaps[firsts] = 0.0
        elapsed = np.cumsum(gaps)
        times = start_ms + np.repeat(at - elapsed[firsts], turns) + elapsed
        first = (start_ms // DAY_MS) << 20
        return Arrivals(
            times.astype(np.int64),
            np.repeat(first + np.arange(count), turns),
            np.arange(total) - np.repeat(firsts, turns),
        )


@dataclass(frozen=True, slots=True)
class Nightly:
    """One job a day at a fixed local hour (minutes of jitter), worked off at a steady rate."""

    utc_offset_h: int
    hour: int
    per_second: float
    jitter_min: float = 6.0

    def day(self, rng: np.random.Generator, start_ms: int, expected: float) -> Arrivals:
        """See `Rhythm`."""
        count = int(expected * np.exp(0.06 * rng.standard_normal()) + rng.random())
        if count == 0:
            return NOTHING
        hour = start_ms // HOUR_MS
        wait_h = (self.hour - hour - self.utc_offset_h) % 24
        begin = (hour + wait_h) * HOUR_MS + rng.exponential(self.jitter_min * 60_000)
        gaps = np.exp(0.7 * rng.standard_normal(count)) * (1000 / self.per_second)
        session = np.full(count, (start_ms // DAY_MS) << 20)
        return Arrivals((begin + np.cumsum(gaps)).astype(np.int64), session, np.arange(count))


@dataclass(frozen=True, slots=True)
class Tireless:
    """A client that never sleeps: lognormal gaps around the clock, the rate wandering a little from hour to hour."""

    sigma: float = 0.9

    def day(self, rng: np.random.Generator, start_ms: int, expected: float) -> Arrivals:
        """See `Rhythm`."""
        count = int(rng.poisson(expected * np.exp(0.12 * rng.standard_normal())))
        if count == 0:
            return NOTHING
        times = steady(rng, count, start_ms, start_ms + DAY_MS, self.sigma)
        return Arrivals(times, np.full(count, (start_ms // DAY_MS) << 20), np.arange(count))


def steady(rng: np.random.Generator, count: int, start_ms: int, end_ms: int, sigma: float) -> NDArray[np.int64]:
    """Return `count` times that fill [start, end) at an even rate, gaps lognormal with this spread."""
    gaps = np.exp(sigma * rng.standard_normal(count + 1))
    times: NDArray[np.int64] = (start_ms + np.cumsum(gaps)[:-1] / gaps.sum() * (end_ms - start_ms)).astype(np.int64)
    return times


def by_people(rng: np.random.Generator, count: int, start_ms: int, end_ms: int, week: Week) -> Arrivals:
    """`count` requests in [start, end) in sessions that follow the week's hours."""
    hours = max(1, (end_ms - start_ms) // HOUR_MS)
    weights = np.concatenate([week.weights(start_ms + 24 * k * HOUR_MS) for k in range(-(-hours // 24))])[:hours]
    rhythm = Sessions(week, turns=6.0, gap_s=25.0)
    found = rhythm.sessions(rng, start_ms, weights, -(-count // 6) + 2)
    while found.times.size < count:
        found = rhythm.sessions(rng, start_ms, weights, 2 * found.times.size // 6 + 2)
    times = start_ms + (found.times[:count] - start_ms) % (end_ms - start_ms)  # a session past the end goes on at the start
    return _sorted(Arrivals(times, found.sessions[:count], found.turns[:count]))


def in_bursts(rng: np.random.Generator, count: int, start_ms: int, end_ms: int, run: int, run_s: float) -> Arrivals:
    """`count` requests in runs of `run`, each worked off in about `run_s` seconds; a few runs in a row, then a pause.

    A run is a session. Runs of one burst follow each other at once; the pauses share what time is left.
    """
    runs = -(-count // run)
    gaps = np.exp(0.4 * rng.standard_normal(count))
    work_ms = min(count * run_s * 1000 / run, 0.98 * (end_ms - start_ms))  # a window too short is worked through faster
    gaps *= work_ms / gaps.sum()
    session = np.arange(count) // run
    burst = np.cumsum(rng.random(runs) < 0.3)[session]
    spare = 0.98 * (end_ms - start_ms) - work_ms
    pauses = rng.exponential(1.0, int(burst[-1]) + 1)
    pauses = np.cumsum(pauses / pauses.sum() * spare)
    return Arrivals((start_ms + np.cumsum(gaps) + pauses[burst]).astype(np.int64), session, np.arange(count) % run)


def join(parts: list[Arrivals]) -> Arrivals:
    """All parts in one, sorted by time."""
    return _sorted(
        Arrivals(
            np.concatenate([p.times for p in parts]),
            np.concatenate([p.sessions for p in parts]),
            np.concatenate([p.turns for p in parts]),
        )
    )


def _sorted(arrivals: Arrivals) -> Arrivals:
    order = np.argsort(arrivals.times, kind="stable")
    return cut(arrivals, order)


def cut(arrivals: Arrivals, where: slice | NDArray[np.bool_] | NDArray[np.int64]) -> Arrivals:
    """The chosen part."""
    return Arrivals(arrivals.times[where], arrivals.sessions[where], arrivals.turns[where])


def in_order(days: Iterable[tuple[int, Arrivals]], end_ms: int) -> Iterator[Arrivals]:
    """Join days given as (time up to which nothing new will come, arrivals) → stretches in order, all before `end_ms`."""
    pending = NOTHING
    for sealed_ms, arrivals in days:
        both = join([pending, arrivals]) if pending.times.size else _sorted(arrivals)
        at = int(np.searchsorted(both.times, min(sealed_ms, end_ms)))
        pending = cut(both, slice(at, None))
        if at:
            yield cut(both, slice(0, at))
    at = int(np.searchsorted(pending.times, end_ms))
    if at:
        yield cut(pending, slice(0, at))
