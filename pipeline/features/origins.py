"""Where requests come from, one after the other: networks that take turns, and what follows a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.jit import inline

if TYPE_CHECKING:
    from pipeline.events.frame import Columns
    from pipeline.features.row import Row

_SOON_MS = 60_000
_ZERO = np.uint64(0)


@inline
def network_name(asn: int) -> np.uint64:
    """A hash of an autonomous system."""
    return np.uint64(asn) * np.uint64(0x9E3779B97F4A7C15)


@inline
def _other(name: np.uint64, than: np.uint64) -> bool:
    """Both are told and differ."""
    return bool(_ZERO not in (name, than) and name != than)


@inline
def _add_pair(row: Row, network: np.uint64, address: np.uint64) -> None:
    """This request against the one before it."""
    if _ZERO not in (network, row.last_network):
        row.block_pairs += 1
        row.block_switches += 1 if network != row.last_network else 0
    elif _ZERO not in (address, row.last_address):
        row.block_pairs += 1
        row.block_switches += 1 if address != row.last_address else 0


@inline
def add_origin(row: Row, columns: Columns, i: int) -> None:
    """Compare the request with the one before and with the last refusal; a late one is compared with nothing.

    To be called before `last_ms` moves.
    """
    when = columns.occurred_at_ms[i]
    network = network_name(columns.asn[i]) if columns.asn[i] >= 0 else _ZERO
    address = columns.symbol_hash[columns.client_address[i]]
    key = columns.symbol_hash[columns.api_key_id[i]]
    if address != _ZERO or key != _ZERO:
        row.block_origins += 1
        soon = row.refused_ms != 0 and 0 <= when - row.refused_ms < _SOON_MS
        if soon and (_other(key, row.refused_key) or _other(address, row.refused_address)):
            row.block_failovers += 1
    if row.requests == 0 or when >= row.last_ms:
        if row.requests > 0 and when - row.last_ms < _SOON_MS:
            _add_pair(row, network, address)
        row.last_network = network
        row.last_address = address
    if columns.status[i] in (403, 429) and when >= row.refused_ms:
        row.refused_ms = when
        row.refused_key = key
        row.refused_address = address
