"""When requests come: a tenant's measured rhythm, stretched to an account's volume with its bursts kept; and other clocks.

Thinning a tenant a hundredfold would erase its burstiness (the coefficient of variation of its gaps falls to 1), so requests
are not thinned: bursts are drawn less often and keep their size. For Poisson bursts of geometric size with mean m the
index of dispersion of counts is 2 m − 1; that of a renewal process tends to CV² (Cox & Lewis, 1966), so m = (1 + CV²)/2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.lab.evaluate.marginals import SLOT_MS, SLOTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.evaluate.marginals import Tenant


class Arrivals(NamedTuple):
    """Requests in order: time (ms), session number, turn in the session."""

    times: NDArray[np.int64]
    sessions: NDArray[np.int64]
    turns: NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many."""
        return int(self.times.size)


NONE = Arrivals(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


class Pace(NamedTuple):
    """How requests of one burst follow each other.

    Attributes:
        gap_s: median pause.
        sigma: spread of the logarithm of pauses.
        burst: bursts are at least this large on average (sessions of people, jobs); the tenant's own count when larger.
        most: and at most.
    """

    gap_s: float
    sigma: float
    burst: float
    most: float = 60.0


def ordered(arrivals: Arrivals) -> Arrivals:
    """Sort by time."""
    order = np.argsort(arrivals.times, kind="stable")
    return Arrivals(*(a[order] for a in arrivals))


def within(arrivals: Arrivals, start_ms: int, end_ms: int) -> Arrivals:
    """Only those in [start, end)."""
    keep = (arrivals.times >= start_ms) & (arrivals.times < end_ms)
    return Arrivals(*(a[keep] for a in arrivals))


def outside(arrivals: Arrivals, start_ms: int, end_ms: int) -> Arrivals:
    """Only those not in [start, end)."""
    keep = (arrivals.times < start_ms) | (arrivals.times >= end_ms)
    return Arrivals(*(a[keep] for a in arrivals))


def rhythmic(
    rng: np.random.Generator, tenant: Tenant, per_day: float, span: tuple[int, int], rotate: int, pace: Pace, trend: NDArray[np.float64]
) -> Arrivals:
    """Follow the tenant's slots: bursts at rates that give `per_day` requests on an average active day of the tenant.

    Args:
        rng: the stream's.
        tenant: whose rhythm.
        per_day: requests per active day, before the trend.
        span: [start, end) of event time, ms.
        rotate: slots by which the tenant's clock is turned (another place on earth, another week).
        pace: inside bursts.
        trend: multiplier of each slot from the start of the span.
    """
    start, end = span
    slots = -(-(end - start) // SLOT_MS)
    at = (np.arange(slots) + rotate) % SLOTS
    expected = tenant.weights[at] * per_day * tenant.days
    expected *= min(1.0, 2.0 * per_day * slots / 144 / max(float(expected.sum()), 1e-9))  # not a fortnight's requests in two days
    expected *= trend[:slots]
    mean = np.clip(tenant.clump[at], pace.burst, max(pace.most, pace.burst))
    bursts = rng.poisson(expected / mean)
    total = int(bursts.sum())
    if total == 0:
        return NONE
    slot = np.repeat(np.arange(slots), bursts)
    begin = start + (slot + rng.random(total)) * SLOT_MS
    sizes = rng.geometric(1.0 / np.maximum(mean[slot], 1.0))
    return within(_bursts(rng, begin, sizes, pace, start // SLOT_MS), start, end)


def _bursts(rng: np.random.Generator, begin: NDArray[np.float64], sizes: NDArray[np.int64], pace: Pace, salt: int) -> Arrivals:
    requests = int(sizes.sum())
    gaps = np.exp(pace.sigma * rng.standard_normal(requests)) * pace.gap_s * 1000.0
    firsts = np.cumsum(sizes) - sizes
    gaps[firsts] = 0.0
    elapsed = np.cumsum(gaps)
    times = np.repeat(begin - elapsed[firsts], sizes) + elapsed
    numbers = (salt << 24) + np.arange(sizes.size)
    return ordered(Arrivals(times.astype(np.int64), np.repeat(numbers, sizes), np.arange(requests) - np.repeat(firsts, sizes)))


def nightly(
    rng: np.random.Generator, per_day: float, span: tuple[int, int], hour: int, gap_s: float, trend: NDArray[np.float64]
) -> Arrivals:
    """One job a day near a fixed hour, worked off at a steady pace."""
    start, end = span
    parts = []
    for day in range(-(-(end - start) // DAY_MS)):
        count = rng.poisson(per_day * float(trend[min(day * 144, trend.size - 1)]) * np.exp(0.08 * rng.standard_normal()))
        if count:
            begin = start + day * DAY_MS + hour * HOUR_MS + rng.exponential(6 * 60_000)
            gaps = np.exp(0.6 * rng.standard_normal(count)) * gap_s * 1000
            parts.append(
                Arrivals((begin + np.cumsum(gaps)).astype(np.int64), np.full(count, ((start // DAY_MS) + day) << 24), np.arange(count))
            )
    if not parts:
        return NONE
    return within(ordered(Arrivals(*(np.concatenate(c) for c in zip(*parts, strict=True)))), start, end)


def steady(
    rng: np.random.Generator, count: int, span: tuple[int, int], sigma: float, intensity: NDArray[np.float64] | None = None
) -> Arrivals:
    """`count` requests around the clock; `intensity` (any resolution over the span) bends the even rate."""
    start, end = span
    gaps = np.exp(sigma * rng.standard_normal(count + 1))
    part = np.cumsum(gaps)[:-1] / gaps.sum()
    times = start + _bent(part, intensity) * (end - start)
    order = np.arange(count)
    return Arrivals(times.astype(np.int64), ((start // SLOT_MS) << 24) + order // 40, order % 40)


def exactly(
    rng: np.random.Generator, count: int, tenant: Tenant, span: tuple[int, int], rotate: int, pace: Pace, intensity: NDArray[np.float64]
) -> Arrivals:
    """`count` requests in bursts that follow the tenant's slots and the intensity."""
    start, end = span
    slots = max(1, (end - start) // SLOT_MS)
    at = (np.arange(slots) + rotate) % SLOTS
    bend = np.interp(np.linspace(0, 1, slots), np.linspace(0, 1, intensity.size), intensity)
    weights = (tenant.weights[at] + 0.02 * tenant.weights.mean()) * bend
    mean = np.clip(tenant.clump[at], pace.burst, max(pace.most, pace.burst))
    chances = weights / mean
    bursts = int(count / float((chances * mean).sum() / chances.sum()) * 1.3) + 4
    slot = rng.choice(slots, size=bursts, p=chances / chances.sum())
    sizes = rng.geometric(1.0 / np.maximum(mean[slot], 1.0))
    while sizes.sum() < count:
        sizes = np.concatenate([sizes, sizes])
        slot = np.concatenate([slot, slot])
    begin = start + (slot + rng.random(slot.size)) * (end - start) / slots
    cut = int(np.searchsorted(np.cumsum(sizes), count)) + 1
    made = _bursts(rng, begin[:cut], sizes[:cut], pace, start // SLOT_MS)
    made = Arrivals(start + (made.times - start) % (end - start), made.sessions, made.turns)  # what runs past the end begins anew
    keep = np.sort(rng.permutation(made.size)[:count])
    return ordered(Arrivals(*(a[keep] for a in made)))


def riding(rng: np.random.Generator, count: int, span: tuple[int, int], run: int, run_s: float) -> Arrivals:
    """`count` requests in runs of `run` worked off in about `run_s` seconds, a few runs in a row, then a pause (limit riding)."""
    start, end = span
    runs = -(-count // run)
    gaps = np.exp(0.4 * rng.standard_normal(count))
    work = min(count * run_s * 1000 / run, 0.98 * (end - start))
    gaps *= work / gaps.sum()
    session = np.arange(count) // run
    burst = np.cumsum(rng.random(runs) < 0.3)[session]
    pauses = rng.exponential(1.0, int(burst[-1]) + 1)
    pauses = np.cumsum(pauses / pauses.sum() * (0.98 * (end - start) - work))
    return Arrivals(
        (start + np.cumsum(gaps) + pauses[burst]).astype(np.int64), ((start // SLOT_MS) << 24) + session, np.arange(count) % run
    )


def _bent(part: NDArray[np.float64], intensity: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Quantiles of the density `intensity` on [0, 1]."""
    if intensity is None:
        return part
    mass = np.concatenate(([0.0], np.cumsum(intensity)))
    found: NDArray[np.float64] = np.interp(part * mass[-1], mass, np.linspace(0, 1, mass.size))
    return found
