"""Hourly sums per account, absolute within one arrival epoch, so that a repeat changes nothing and memory is bounded.

An account's cells (one per event hour) belong to an arrival epoch: the watermark's hour when they were opened, refined by
a sequence number that grows when one account touches more than `MAX_CELLS` hours in it. The account's first event in a
later arrival epoch makes them final and forgotten; an event for an old hour then opens a new cell under the new epoch,
and the reader sums epochs. An untouched account does not change, so its packed bytes are a function of its last event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.base.jit import kernel
from pipeline.base.times import HOUR_MS
from pipeline.events.outputs import Rollup

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.events.frame import Columns

MAX_CELLS = 64
MAX_MODELS = 16
SEQUENCE_BITS = 20

CELL = np.dtype(
    [
        ("hour_ms", "<i8"),
        ("version", "<i8"),
        ("requests", "<i8"),
        ("input_tokens", "<i8"),
        ("output_tokens", "<i8"),
        ("reasoning_tokens", "<i8"),
        ("cached_input_tokens", "<i8"),
        ("errors", "<i8"),
        ("risk", "<f8"),
        ("models", "<u8", (MAX_MODELS,)),
        ("model_count", "<i4"),
        ("next", "<i4"),  # index of the account's next cell, −1 at the end; not part of a packed record's meaning
    ]
)


@kernel
def _find_cell(cells: NDArray[np.void], head: int, hour_ms: int) -> tuple[int, int]:
    """Index of the account's cell for `hour_ms` (−1: none) and the number of its cells."""
    count = 0
    at = head
    while at >= 0:
        if cells[at]["hour_ms"] == hour_ms:
            return at, count
        count += 1
        at = cells[at]["next"]
    return -1, count


@kernel
def _apply(
    cells: NDArray[np.void],
    used: int,
    owner: NDArray[np.int32],
    dirty: NDArray[np.bool_],
    head: NDArray[np.int32],
    columns: Columns,
    slots: NDArray[np.int32],
    lo: int,
    hi: int,
    version: int,
) -> tuple[int, int]:
    """Add rows → (row at which it stopped, cells used); it stops early where an account has too many cells."""
    for row in range(lo, hi):
        slot = slots[row]
        if slot < 0:
            continue
        hour_ms = columns.occurred_at_ms[row] // HOUR_MS * HOUR_MS
        at, count = _find_cell(cells, head[slot], hour_ms)
        if at < 0:
            if count >= MAX_CELLS:
                return row, used
            at = used
            used += 1
            cells[at]["hour_ms"] = hour_ms
            cells[at]["next"] = head[slot]
            head[slot] = at
            owner[at] = slot
        cell = cells[at]
        cell["version"] = version
        cell["requests"] += 1
        cell["input_tokens"] += max(columns.input_tokens[row], 0)
        cell["output_tokens"] += max(columns.output_tokens[row], 0)
        cell["reasoning_tokens"] += max(columns.reasoning_tokens[row], 0)
        cell["cached_input_tokens"] += max(columns.cached_input_tokens[row], 0)
        cell["errors"] += columns.status[row] >= 400
        model = columns.symbol_hash[columns.model[row]]
        if model != 0:
            known = False
            for k in range(cell["model_count"]):
                known = known or cell["models"][k] == model
            if not known and cell["model_count"] < MAX_MODELS:
                cell["models"][cell["model_count"]] = model
                cell["model_count"] += 1
        dirty[at] = True
    return hi, used


@kernel
def _count_cells(cells: NDArray[np.void], head: NDArray[np.int32], slots: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    for k in range(slots.shape[0]):
        counts[k] = 0
        at = head[slots[k]]
        while at >= 0:
            counts[k] += 1
            at = cells[at]["next"]


@kernel
def _chain_cells(
    cells: NDArray[np.void], head: NDArray[np.int32], slots: NDArray[np.int64], ends: NDArray[np.int64], chains: NDArray[np.int64]
) -> None:
    """Write each slot's cells, which are linked from the newest, from the oldest on, up to where `ends` says."""
    for k in range(slots.shape[0]):
        place = ends[k]
        at = head[slots[k]]
        while at >= 0:
            place -= 1
            chains[place] = at
            at = cells[at]["next"]


@kernel
def _unlink(cells: NDArray[np.void], head: NDArray[np.int32], slots: NDArray[np.int32], chain: NDArray[np.int64]) -> int:
    """Write the cells of slots, each slot's newest first, and leave the slots without → how many."""
    count = 0
    for slot in slots:
        at = head[slot]
        while at >= 0:
            chain[count] = at
            count += 1
            at = cells[at]["next"]
        head[slot] = -1
    return count


def _rollup(account_id: str, epoch: int, where: int, cell: tuple[Any, ...]) -> Rollup:
    """A cell (its fields in the order of CELL) as the row it becomes."""
    hour_ms, version, requests, input_tokens, output_tokens, reasoning, cached, errors, risk, models, model_count = cell[:11]
    return Rollup(
        account_id=account_id,
        hour_ms=hour_ms,
        arrival_epoch=epoch,
        frames_partition=where,
        version=version,
        requests=requests,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        reasoning_tokens=reasoning,
        cached_input_tokens=cached,
        errors=errors,
        models=models[:model_count],
        risk=risk,
    )


class Rollups:
    """The cells of the current arrival epoch, by the book's slots; what is finished waits until it is drained."""

    def __init__(self, frames_partition: int) -> None:
        self._where = frames_partition
        self._cells = np.zeros(1_024, CELL)
        self._dirty = np.zeros(1_024, np.bool_)
        self._owner = np.full(1_024, -1, np.int32)
        self._used = 0
        self._head = np.full(1_024, -1, np.int32)
        self._epoch = np.zeros(1_024, np.int64)  # arrival epoch of each slot's cells: hour << SEQUENCE_BITS | sequence
        self._waiting: list[Rollup] = []
        self.hour = 0
        """The watermark's hour: it names the arrival epoch of cells that open from now on."""

    def apply(self, columns: Columns, slots: NDArray[np.int32], lo: int, hi: int, version: int, ids: list[str]) -> None:
        """Add rows `[lo, hi)` of the frame at offset `version`."""
        self._reserve(hi - lo, len(ids))
        present = slots[lo:hi]
        past = present[(present >= 0) & (self._epoch[present] >> SEQUENCE_BITS != self.hour)]
        if past.size:
            past = np.unique(past)
            self.drop(past, ids)
            self._epoch[past] = self.hour << SEQUENCE_BITS
        while True:
            lo, self._used = _apply(self._cells, self._used, self._owner, self._dirty, self._head, columns, slots, lo, hi, version)
            if lo >= hi:
                return
            over = slots[lo : lo + 1]  # too many hours: finish them under this arrival epoch, go on under the next
            self.drop(over, ids)
            self._epoch[over] += 1

    def raise_risk(self, slot: int, at_ms: int, risk: float, version: int) -> None:
        """Remember the highest risk of the account in the hour of `at_ms`, if that hour is open."""
        at, _ = _find_cell(self._cells, int(self._head[slot]), at_ms // HOUR_MS * HOUR_MS)
        if at >= 0 and self._cells[at]["risk"] < risk:
            self._cells[at]["risk"] = risk
            self._cells[at]["version"] = version
            self._dirty[at] = True

    def drain(self, ids: list[str]) -> list[Rollup]:
        """Every cell that changed since the last drain, and what was finished meanwhile."""
        at = np.flatnonzero(self._dirty[: self._used])
        self._collect(at, ids)
        self._dirty[at] = False
        out, self._waiting = self._waiting, []
        return out

    def drop(self, slots: NDArray[np.int32], ids: list[str]) -> None:
        """Forget the cells of slots (packed, or a new arrival epoch); unsaved changes wait to be drained."""
        chain = np.empty(MAX_CELLS * len(slots), np.int64)
        at = chain[: _unlink(self._cells, self._head, slots, chain)]
        self._collect(at[self._dirty[at]], ids)
        self._dirty[at] = False
        self._owner[at] = -1

    def pack(self, slots: list[int]) -> list[tuple[int, bytes]]:
        """(arrival epoch, cells) of each slot, oldest cell first."""
        self._reserve(0, max(slots, default=-1) + 1)
        wanted = np.array(slots, np.int64)
        counts = np.empty(len(slots), np.int64)
        _count_cells(self._cells, self._head, wanted, counts)
        ends = np.cumsum(counts)
        chains = np.empty(int(counts.sum()), np.int64)
        _chain_cells(self._cells, self._head, wanted, ends, chains)
        cells = self._cells[chains]
        cells["next"] = -1
        packed = cells.tobytes()
        starts, stops = ((ends - counts) * CELL.itemsize).tolist(), (ends * CELL.itemsize).tolist()
        return [(epoch, packed[a:b]) for epoch, a, b in zip(self._epoch[wanted].tolist(), starts, stops, strict=True)]

    def unpack(self, slot: int, epoch: int, data: bytes) -> None:
        """Take a slot's cells back."""
        self._reserve(len(data) // CELL.itemsize, slot + 1)
        self._head[slot] = -1
        self._epoch[slot] = epoch
        if not data:  # a new account
            return
        for cell in np.frombuffer(data, CELL):
            at = self._used
            self._used += 1
            self._cells[at] = cell
            self._cells[at]["next"] = self._head[slot]
            self._head[slot] = at
            self._owner[at] = slot

    def _collect(self, at: NDArray[np.int64], ids: list[str]) -> None:
        owners = self._owner[at].tolist()
        cells = self._cells[at]
        columns = [cells[name].tolist() for name in CELL.names[:-1]]  # type: ignore[index]  # it has names
        epochs = self._epoch[owners].tolist()
        for slot, epoch, cell in zip(owners, epochs, zip(*columns, strict=True), strict=True):
            self._waiting.append(_rollup(ids[slot], epoch, self._where, cell))

    def _reserve(self, cells: int, accounts: int) -> None:
        if self._used + cells > len(self._cells):
            self._compact()
        if self._used + cells > len(self._cells):
            more = max(len(self._cells), cells)
            self._cells = np.concatenate((self._cells, np.zeros(more, CELL)))
            self._dirty = np.concatenate((self._dirty, np.zeros(more, np.bool_)))
            self._owner = np.concatenate((self._owner, np.full(more, -1, np.int32)))
        if accounts > len(self._head):
            more = max(len(self._head), accounts - len(self._head))
            self._head = np.concatenate((self._head, np.full(more, -1, np.int32)))
            self._epoch = np.concatenate((self._epoch, np.zeros(more, np.int64)))

    def _compact(self) -> None:
        """Close the gaps that dropped slots left, so that packing and unpacking over and over stays bounded."""
        keep = np.flatnonzero(self._owner[: self._used] >= 0)
        place = np.full(self._used + 1, -1, np.int32)  # the last entry serves index −1
        place[keep] = np.arange(len(keep), dtype=np.int32)
        cells = self._cells[keep]
        cells["next"] = place[cells["next"]]
        live = self._head >= 0
        self._head[live] = place[self._head[live]]
        for array, values in ((self._dirty, self._dirty[keep]), (self._owner, self._owner[keep])):
            array[: len(keep)] = values
            array[len(keep) : self._used] = -1 if array.dtype == np.int32 else 0
        self._cells[: len(keep)] = cells
        self._cells[len(keep) : self._used] = np.zeros(1, CELL)
        self._used = len(keep)
