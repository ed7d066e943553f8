"""Fabricated events: every column absent unless a test says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from pipeline.base.hashing import hash_texts
from pipeline.events.frame import COLUMNS, Columns

if TYPE_CHECKING:
    from collections.abc import Sequence

START_MS = 1_767_225_600_000
_SYMBOLS = ("operation", "model", "api_key_id", "finish_reason", "client_address", "user_agent", "country", "plan")


class Fabric(Protocol):
    """Makes columns of `len(times)` events; values are one for all events or one for each, strings for symbol columns."""

    def __call__(self, times: Sequence[int], **values: Any) -> Columns:  # noqa: ANN401 - as columns are
        """Make them."""
        ...


@pytest.fixture(scope="session")
def fabric() -> Fabric:
    """See `Fabric`."""
    return make


def make(times: Sequence[int], **values: Any) -> Columns:  # noqa: ANN401 - as columns are
    """See `Fabric`."""
    n = len(times)
    arrays: dict[str, Any] = {name: np.zeros((n, width) if width > 1 else n, dtype) for name, (dtype, width) in COLUMNS.items()}
    for name in ("asn", "account_created_at_ms", "input_tokens", "output_tokens", "reasoning_tokens", "cached_input_tokens", "max_tokens"):
        arrays[name][:] = -1
    for name in ("choice_count", "logprobs", "stream"):
        arrays[name][:] = -1
    arrays["temperature"][:] = np.nan
    arrays["latency_ms"][:] = np.nan
    arrays["status"][:] = 200
    arrays["occurred_at_ms"][:] = times
    symbols = [""]
    for name, value in {"operation": "chat", "model": "m", **values}.items():
        if name not in _SYMBOLS:
            arrays[name][:] = value
            continue
        texts = [value] * n if isinstance(value, str) else list(value)
        symbols += [t for t in dict.fromkeys(texts) if t not in symbols]
        arrays[name][:] = [symbols.index(t) for t in texts]
    arrays["account_hash"] = hash_texts(["a"])
    arrays["symbol_hash"] = hash_texts(symbols)
    for array in arrays.values():
        array.setflags(write=False)
    return Columns(**arrays)
