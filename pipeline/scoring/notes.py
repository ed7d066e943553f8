"""Requests kept as possible evidence: what a frame's rows say about them, and the few that a mind remembers.

A note is bytes (about 120) until an alert needs it. Before an episode an account keeps at most 16: of the telling requests
the first 4 and the latest 8, of the others the latest 4. Which these are does not depend on where frames are cut.
"""

from __future__ import annotations

import functools
import re
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np

from pipeline.events.alert import EvidenceEvent
from pipeline.scoring.tells import tells_of, why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.events.alert import Kind
    from pipeline.events.frame import Columns

FIRST, LATEST, PLAIN = 4, 8, 4
Dimension = Literal["api_key", "address_block", "template", "model"]
DIMENSIONS: tuple[Dimension, ...] = ("api_key", "address_block", "template", "model")


class Note(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One request."""

    event_id: str
    occurred_at_ms: int
    conversation_id: str
    position: str
    tells: int
    places: tuple[str, str, str, str]
    """Its value in each of `DIMENSIONS`, empty where absent."""
    plan: str

    def evidence(self, kind: Kind) -> EvidenceEvent:
        """As an alert of this kind shows it."""
        return EvidenceEvent(self.event_id, self.occurred_at_ms, self.conversation_id, self.position, why(self.tells, kind))


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Note)


class _Columns(NamedTuple):
    """What notes say of rows lo … hi − 1, as Python values: reading numpy arrays one number at a time costs more than the note."""

    event_id: list[int]
    occurred_at_ms: list[int]
    conversation_id: list[int]
    source: list[int]
    offset: list[int]
    tells: list[int]
    api_key_id: list[int]
    client_address: list[int]
    template: list[int]
    model: list[int]
    plan: list[int]


class Requests:
    """Rows lo … hi − 1 of a frame, read when somebody asks; `sources` are the source partitions of all its rows."""

    def __init__(self, columns: Columns, symbols: list[str], sources: NDArray[np.int64], lo: int, hi: int) -> None:
        self._columns = columns
        self._symbols = symbols
        self._sources = sources
        self._lo, self._hi = lo, hi

    @functools.cached_property
    def _read(self) -> _Columns:
        c, lo, hi = self._columns, self._lo, self._hi
        template = np.where(c.print_present[lo:hi] == 1, c.print_template[lo:hi], 0) >> np.uint64(32)
        return _Columns(
            event_id=c.event_id[lo:hi].tolist(),
            occurred_at_ms=c.occurred_at_ms[lo:hi].tolist(),
            conversation_id=c.conversation_id[lo:hi].tolist(),
            source=self._sources[lo:hi].tolist(),
            offset=c.offset[lo:hi].tolist(),
            tells=tells_of(c, lo, hi).tolist(),
            api_key_id=c.api_key_id[lo:hi].tolist(),
            client_address=c.client_address[lo:hi].tolist(),
            template=template.tolist(),
            model=c.model[lo:hi].tolist(),
            plan=c.plan[lo:hi].tolist(),
        )

    def tells(self, rows: Sequence[int]) -> list[int]:
        """Tell-tale properties of rows (`Tell`)."""
        lo, tells = self._lo, self._read.tells
        return [tells[row - lo] for row in rows]

    def note(self, row: int) -> Note:
        """All that is kept of a row."""
        symbols, c, i = self._symbols, self._read, row - self._lo
        template = c.template[i]
        return Note(
            symbols[c.event_id[i]],
            c.occurred_at_ms[i],
            symbols[c.conversation_id[i]],
            f"{c.source[i]}:{c.offset[i]}",
            c.tells[i],
            (
                symbols[c.api_key_id[i]],
                address_block(symbols[c.client_address[i]]),
                f"{template:08x}" if template else "",
                symbols[c.model[i]],
            ),
            symbols[c.plan[i]],
        )


def pack_note(note: Note) -> bytes:
    """Note → bytes."""
    return _ENCODER.encode(note)


def unpack_note(data: bytes) -> Note:
    """Bytes of `pack_note` → note."""
    return _DECODER.decode(data)


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"((?:{_OCTET}\.){{3}}){_OCTET}").fullmatch


@functools.lru_cache(maxsize=4_096)
def address_block(address: str) -> str:
    """The /24 (IPv4) or /48 (IPv6) block of an address, an IPv4 address inside IPv6 as IPv4; empty when it is none."""
    plain = _IPV4(address)
    if plain:  # what most are, ten times faster
        return f"{plain[1]}0/24"
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    keep = 48 if isinstance(found, IPv6Address) else 24
    drop = found.max_prefixlen - keep
    return f"{type(found)(int(found) >> drop << drop)}/{keep}"


class Memory(msgspec.Struct, array_like=True):
    """What a calm account remembers of its latest requests; see the module."""

    telling: list[bytes] = []
    plain: list[bytes] = []

    def add(self, rows: Sequence[int], requests: Requests) -> None:
        """Remember rows, oldest first."""
        telling: list[int] = []
        plain: list[int] = []
        for row, tells in zip(rows, requests.tells(rows), strict=True):
            (telling if tells else plain).append(row)
        if telling:
            if len(telling) > FIRST + LATEST:  # those between would be forgotten at once
                del telling[FIRST:-LATEST]
            self.telling += [pack_note(requests.note(row)) for row in telling]
            if len(self.telling) > FIRST + LATEST:
                del self.telling[FIRST:-LATEST]
        if plain:
            self.plain += [pack_note(requests.note(row)) for row in plain[-PLAIN:]]
            del self.plain[:-PLAIN]

    def notes(self) -> list[Note]:
        """Everything, by time and position."""
        return sorted(map(unpack_note, self.telling + self.plain), key=lambda note: (note.occurred_at_ms, note.position))

    def clear(self) -> None:
        """Forget."""
        self.telling, self.plain = [], []
