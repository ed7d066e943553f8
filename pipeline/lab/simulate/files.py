"""Writing newline-delimited records: plain, `.gz`, `.zst`, or `-` for standard output; the same records, the same bytes."""

from __future__ import annotations

import gzip
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import zstandard

from pipeline.base.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Write all of `data`."""
        ...


@contextmanager
def open_output(name: str) -> Iterator[Sink]:
    """Open `name` for writing; the suffix says how it is compressed.

    Raises:
        SettingsError: it cannot be written.
    """
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("wb"))
        except OSError as err:
            raise SettingsError(f"{name}: cannot be written: {err.strerror}") from None
        if name.endswith(".gz"):
            yield stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0))
        elif name.endswith(".zst"):
            yield stack.enter_context(zstandard.ZstdCompressor(level=3).stream_writer(file))
        else:
            yield file


def labels_file(name: str) -> str:
    """Where the labels of a file of events lie."""
    return f"{name}.labels.ndjson"
