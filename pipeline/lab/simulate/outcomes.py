"""How requests end: refused by the limit, failed at the server, wrong at the client, refused by the model, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SERVER_ERRORS = ((500, "server_error"), (503, "overloaded"), (504, "timeout"))
_MINUTE_MS = 60_000


class Outcomes(NamedTuple):
    """One entry per request.

    Attributes:
        failed_late: a server error, which takes its time.
        refused: answered, but with the model's refusal.
    """

    status: NDArray[np.int64]
    error_types: list[str | None]
    answered: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    failed_late: NDArray[np.bool_]


class Failures(NamedTuple):
    """Shares of requests that end badly; client errors as (status, error type, weight)."""

    server: float
    client: float
    refusal: float
    client_kinds: tuple[tuple[int, str, float], ...]


def choose(rng: np.random.Generator, weights: list[float], size: int) -> NDArray[np.int64]:
    """Draw indices by weight; a single option costs no draw."""
    if len(weights) == 1:
        return np.zeros(size, np.int64)
    edges = np.cumsum(weights)
    drawn: NDArray[np.int64] = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    return drawn


def limited(times: NDArray[np.int64], keys: NDArray[np.int64], limit: int, accepted: dict[int, list[int]]) -> NDArray[np.bool_]:
    """Which requests a sliding-minute limit per key refuses; refused ones do not count against it."""
    over = np.zeros(times.size, bool)
    for key in np.unique(keys).tolist():
        at = np.flatnonzero(keys == key)
        moments = times[at].tolist()
        window = [t for t in accepted.get(key, ()) if t > moments[0] - _MINUTE_MS]
        if len(window) + len(moments) < limit:  # nothing can be refused
            accepted[key] = [t for t in window + moments if t > moments[-1] - _MINUTE_MS]
            continue
        begin = 0
        for index, moment in zip(at.tolist(), moments, strict=True):
            while begin < len(window) and window[begin] <= moment - _MINUTE_MS:
                begin += 1
            if len(window) - begin >= limit:
                over[index] = True
            else:
                window.append(moment)
        accepted[key] = window[begin:]
    return over


def outcomes(shares: Failures, rng: np.random.Generator, over: NDArray[np.bool_]) -> Outcomes:
    """How each request ended: status, error type, and whether it was answered, refused, or failed after a wait."""
    size = over.size
    status = np.full(size, 200)
    error_types: list[str | None] = [None] * size
    u = rng.random(size)
    edge = shares.server
    late = (u < edge) & ~over
    wrong = (u >= edge) & (u < edge + shares.client) & ~over
    for i in np.flatnonzero(over).tolist():
        status[i], error_types[i] = 429, "rate_limited"
    for i, k in zip(np.flatnonzero(late).tolist(), rng.integers(len(_SERVER_ERRORS), size=int(late.sum())).tolist(), strict=True):
        status[i], error_types[i] = _SERVER_ERRORS[k]
    kinds = choose(rng, [e[2] for e in shares.client_kinds], int(wrong.sum()))
    for i, k in zip(np.flatnonzero(wrong).tolist(), kinds.tolist(), strict=True):
        status[i], error_types[i] = shares.client_kinds[k][:2]
    answered = status < 400
    return Outcomes(status, error_types, answered, answered & (rng.random(size) < shares.refusal), late)
