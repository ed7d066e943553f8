"""What happens to everybody at once: holidays, outages with retry storms, a price cut, a release, a gateway deploy.

A detector that accuses the world for it fails. Each is drawn from the shard's own dice; the shard's result names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.lab.evaluate.marginals import SLOT_MS
from pipeline.lab.simulate.traffic import EMBEDDING_MODEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.evaluate.table import Symbols
    from pipeline.lab.simulate.dice import Dice

NEW_MODEL = "corvus-3-large"
KINDS = ("holiday", "outage", "price_cut", "release", "deploy")
_DROPPED = ("agent", "cached", "address", "reasoning", "conversation")


@dataclass(frozen=True, slots=True)
class Weather:
    """One thing that happens.

    Attributes:
        start_ms, end_ms: when; a price cut, a release and a deploy stay.
        strength: what of rates remains on a holiday; by how much a price cut multiplies; share that moves at a release;
            share of requests an outage fails.
        what: the field that a deploy drops, or `rename:FIELD`.
    """

    kind: str
    start_ms: int
    end_ms: int
    strength: float
    what: str = ""

    @property
    def label(self) -> str:
        """As results name it."""
        return f"{self.kind}:{self.what}" if self.what else self.kind


def draw_weather(dice: Dice, kind: str, span: tuple[int, int]) -> Weather:
    """Draw one of a kind inside the span, not in its first four days."""
    start, end = span
    at = start + int(dice.uniform(0.3, 0.75) * (end - start))
    if kind == "holiday":
        at = at // DAY_MS * DAY_MS
        return Weather(kind, at, at + dice.integer(1, 4) * DAY_MS, dice.uniform(0.15, 0.5))
    if kind == "outage":
        return Weather(kind, at, at + int(dice.uniform(0.3, 3.0) * HOUR_MS), dice.uniform(0.4, 0.95))
    if kind == "price_cut":
        return Weather(kind, at, end, dice.uniform(1.8, 2.6))
    if kind == "release":
        return Weather(kind, at, end, dice.uniform(0.3, 0.8))
    what = dice.pick((*_DROPPED, "rename:finish", "rename:model", "rename:agent", "one_address"))
    return Weather(kind, at, end, 1.0, what)


def rate(weather: tuple[Weather, ...], dice: Dice, start_ms: int, slots: int, *, people: bool) -> NDArray[np.float64]:
    """Multiplier of one account's rate in each slot from `start_ms`: everybody is moved, nobody quite alike."""
    times = start_ms + np.arange(slots) * SLOT_MS
    found = np.ones(slots)
    for w in weather:
        during = (times >= w.start_ms) & (times < w.end_ms)
        if w.kind == "holiday":
            left = w.strength if people else dice.uniform(0.8, 1.0)
            found[during] *= left * np.exp(0.2 * dice.rng.standard_normal())
        elif w.kind == "price_cut":
            slow = np.clip((times - w.start_ms) / (dice.uniform(0.2, 2.0) * DAY_MS), 0, 1)
            factor = max(1.0, w.strength * np.exp(0.2 * dice.rng.standard_normal()))
            found *= np.where(during, 1 + (factor - 1) * slow, 1.0)
    return found


def apply(weather: tuple[Weather, ...], dice: Dice, events: NDArray[np.void], symbols: Symbols) -> NDArray[np.void]:
    """Do to one account's events what the weather does to everybody's; may add retries. Order of time is not kept."""
    for w in weather:
        if w.kind == "outage":
            events = _outage(w, dice, events, symbols)
        elif w.kind == "release":
            _release(w, dice, events, symbols)
        elif w.kind == "deploy":
            _deploy(w, events, symbols)
    return events


def _outage(w: Weather, dice: Dice, events: NDArray[np.void], symbols: Symbols) -> NDArray[np.void]:
    rng = dice.rng
    hit = (events["time"] >= w.start_ms) & (events["time"] < w.end_ms) & (rng.random(events.size) < w.strength)
    if not hit.any():
        return events
    for name in ("input", "output", "reasoning", "cached"):
        events[name][hit] = -1
    events["finish"][hit] = 0
    events["status"][hit] = 503
    events["error"][hit] = symbols("overloaded")
    events["latency"][hit] = 8_000 * rng.exponential(1.0, int(hit.sum()))
    if not dice.flip(0.7):
        return events
    tries = rng.geometric(0.45, int(hit.sum())).clip(1, 6)  # the client tries again, each time later
    retries = np.repeat(events[hit], tries)
    attempt = np.arange(retries.size) - np.repeat(np.cumsum(tries) - tries, tries)
    retries["time"] += (1_000 * 2.0**attempt * np.exp(0.3 * rng.standard_normal(retries.size))).astype(np.int64) + attempt * 500
    return np.concatenate([events, retries])


def _release(w: Weather, dice: Dice, events: NDArray[np.void], symbols: Symbols) -> None:
    move = float(np.clip(w.strength + 0.25 * dice.rng.standard_normal(), 0.0, 1.0)) if dice.flip(0.8) else 0.0
    days = dice.log_uniform(0.1, 4.0)
    share = move * np.clip((events["time"] - w.start_ms) / (days * DAY_MS), 0, 1)
    eligible = (events["model"] != 0) & (events["model"] != symbols(EMBEDDING_MODEL)) & (events["attack"] == 0)
    moved = eligible & (dice.rng.random(events.size) < share)
    events["model"][moved] = symbols(NEW_MODEL)


def _deploy(w: Weather, events: NDArray[np.void], symbols: Symbols) -> None:
    after = events["time"] >= w.start_ms
    if w.what.startswith("rename:"):
        name = w.what.split(":")[1]
        for value in np.unique(events[name][after]).tolist():
            if value:
                old = symbols.names[value]
                events[name][after & (events[name] == value)] = symbols(
                    {"finish": old.upper(), "model": f"hosted/{old}"}.get(name, f"{old} gw/2")
                )
    elif w.what == "one_address":
        events["address"][after] = symbols("240.10.0.1")
        events["asn"][after] = np.where(events["asn"][after] >= 0, 64_512, -1)
    else:
        absent = 0 if w.what in ("agent", "address", "conversation") else -1
        events[w.what][after] = absent
        if w.what == "address":
            events["asn"][after] = -1
            events["country"][after] = 0
