"""Requests kept as possible evidence: what a frame's rows say about them, and the few that a mind remembers.

A note is bytes (about 120) until an alert needs it. Before an episode an account keeps at most 16: of the telling requests
the first 4 and the latest 8, of the others the latest 4. Which these are does not depend on where frames are cut.
"""

from __future__ import annotations

import functools
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Literal

import msgspec

from pipeline.events.alert import EvidenceEvent
from pipeline.scoring.tells import tells_of, why

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Requests:
    """Rows lo … hi − 1 of a frame, read when somebody asks."""

    def __init__(self, columns: Columns, symbols: list[str], source_partition: int, lo: int, hi: int) -> None:
        self._columns = columns
        self._symbols = symbols
        self._source = source_partition
        self._lo, self._hi = lo, hi
        self._tells: list[int] = []

    def tells(self, row: int) -> int:
        """Tell-tale properties of a row (`Tell`)."""
        if not self._tells:
            self._tells = tells_of(self._columns, self._lo, self._hi).tolist()
        return self._tells[row - self._lo]

    def note(self, row: int) -> Note:
        """All that is kept of a row."""
        c, symbols = self._columns, self._symbols
        template = int(c.print_template[row]) if c.print_present[row] == 1 else 0
        return Note(
            event_id=symbols[c.event_id[row]],
            occurred_at_ms=int(c.occurred_at_ms[row]),
            conversation_id=symbols[c.conversation_id[row]],
            position=f"{self._source}:{c.offset[row]}",
            tells=self.tells(row),
            places=(
                symbols[c.api_key_id[row]],
                address_block(symbols[c.client_address[row]]),
                f"{template >> 32:08x}" if template else "",
                symbols[c.model[row]],
            ),
            plan=symbols[c.plan[row]],
        )


def pack_note(note: Note) -> bytes:
    """Note → bytes."""
    return _ENCODER.encode(note)


def unpack_note(data: bytes) -> Note:
    """Bytes of `pack_note` → note."""
    return _DECODER.decode(data)


@functools.lru_cache(maxsize=4_096)
def address_block(address: str) -> str:
    """The /24 (IPv4) or /48 (IPv6) block of an address, an IPv4 address inside IPv6 as IPv4; empty when it is none."""
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
        telling = [row for row in rows if requests.tells(row)]
        plain = [row for row in rows if not requests.tells(row)]
        if len(telling) > FIRST + LATEST:  # those between would be forgotten at once
            del telling[FIRST:-LATEST]
        self.telling += [pack_note(requests.note(row)) for row in telling]
        if len(self.telling) > FIRST + LATEST:
            del self.telling[FIRST:-LATEST]
        self.plain += [pack_note(requests.note(row)) for row in plain[-PLAIN:]]
        del self.plain[:-PLAIN]

    def notes(self) -> list[Note]:
        """Everything, by time and position."""
        return sorted(map(unpack_note, self.telling + self.plain), key=lambda note: (note.occurred_at_ms, note.position))

    def clear(self) -> None:
        """Forget."""
        self.telling, self.plain = [], []
