"""All events of a shard as columns of integers, with the strings and constants of accounts beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

EVENT: np.dtype[np.void] = np.dtype(
    [
        ("time", "<i8"),
        ("conversation", "<u8"),  # 0: none
        ("account", "<i4"),
        ("text", "<i4"),  # −1: no prompt
        ("operation", "<i4"),  # symbols from here …
        ("model", "<i4"),
        ("key", "<i4"),
        ("provider", "<i4"),
        ("error", "<i4"),
        ("finish", "<i4"),
        ("address", "<i4"),
        ("country", "<i4"),
        ("agent", "<i4"),  # … to here
        ("asn", "<i4"),
        ("input", "<i4"),
        ("output", "<i4"),
        ("reasoning", "<i4"),
        ("cached", "<i4"),
        ("max_tokens", "<i4"),
        ("choices", "<i4"),
        ("temperature", "<f4"),
        ("latency", "<f4"),
        ("status", "<i2"),
        ("logprobs", "i1"),
        ("stream", "i1"),
        ("attack", "i1"),  # the truth; no detector sees it
    ]
)
"""One event. −1 (integers), 0 (symbols) and NaN mean absent."""

SYMBOLS = ("operation", "model", "key", "provider", "error", "finish", "address", "country", "agent")


class Symbols:
    """Strings of a shard by number; 0 is the empty one."""

    def __init__(self) -> None:
        self.names: list[str] = [""]
        self._index: dict[str, int] = {"": 0}

    def __call__(self, name: str) -> int:
        """Number of `name`."""
        found = self._index.get(name)
        if found is None:
            found = self._index[name] = len(self.names)
            self.names.append(name)
        return found

    def many(self, names: Iterable[str]) -> NDArray[np.int32]:
        """Numbers of several."""
        return np.array([self(n) for n in names], np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What an attacker really did, as it came out.

    Attributes:
        kinds: the kind, and others that describe it as well.
        requests, share: n and s of n·s².
        output_tokens: taken by the attack.
    """

    archetype: str
    kinds: tuple[str, ...]
    first_ms: int
    last_ms: int
    requests: int
    share: float
    output_tokens: int

    @property
    def effort(self) -> float:
        """n·s²: what any method has to go by (DETECTION 5)."""
        return self.requests * self.share**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account of a shard and everything that results are grouped by."""

    account_id: str
    organization_id: str
    plan: str
    payment: str
    created_ms: int
    country: str
    language: str
    archetype: str
    role: str
    """`ordinary`, `matched` (a benign life at an attack's scale) or `attack`."""
    tenant: str
    groups: tuple[str, ...]
    wording: tuple[str, ...]
    hidden: frozenset[str]
    truth: Truth | None = None

    @property
    def benign(self) -> bool:
        """Nothing it did is an attack."""
        return self.truth is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One population, ready to be played."""

    workload: str
    split: str
    number: int
    start_ms: int
    end_ms: int
    accounts: list[Account]
    events: NDArray[np.void]
    """[n] of EVENT, by time."""
    symbols: list[str]
    prints: NDArray[np.void]
    tokens: NDArray[np.int32]
    pools: NDArray[np.int32]
    """Text group of each text, by number."""
    pool_names: list[str]
    weather: tuple[str, ...] = ()
    texts: list[str] | None = None

    def per_account(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row numbers grouped by account (in time order), and where each account's begin (one more at the end)."""
        order = np.argsort(self.events["account"], kind="stable")
        edges = np.searchsorted(self.events["account"][order], np.arange(len(self.accounts) + 1))
        return order, edges
