"""Request events as lines of a file or of standard input, for the verbs that read a history; and how far they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import zstandard
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline.base.errors import DependencyError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack


def progress_bar() -> Progress:
    """A bar on standard error, nothing where that is no terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def counted(found: Iterator[bytes], progress: Progress, task: object) -> Iterator[bytes]:
    """The lines, counted on the bar as they pass."""
    for number, line in enumerate(found, 1):
        yield line
        if number % 1_000 == 0:
            progress.update(task, completed=number)  # type: ignore[arg-type]  # rich's own id type


def lines(events: str, stack: ExitStack) -> Iterator[bytes]:
    """Lines of a plain, gzip or zstd file, opened now, or of standard input; blank ones are skipped.

    Raises:
        SettingsError: no such file.
        DependencyError: later, at the line: it is cut off or no such archive.
    """
    import gzip  # noqa: PLC0415 - one of three formats

    if events == "-":
        source: BinaryIO = sys.stdin.buffer
    else:
        path = Path(events)
        try:
            source = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror}") from None
        if path.suffix == ".gz":
            source = stack.enter_context(gzip.GzipFile(fileobj=source))  # type: ignore[assignment]
        elif path.suffix == ".zst":
            source = stack.enter_context(zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True))
    return _filled(source, events)


def _filled(source: BinaryIO, events: str) -> Iterator[bytes]:
    try:
        for line in _split(source):
            if stripped := line.rstrip(b"\r\n"):
                yield stripped
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise DependencyError(f"{events}: {error}", next_step="the file is cut off or not what its ending says") from None


def _split(source: BinaryIO) -> Iterator[bytes]:
    """Lines of a binary stream (zstd's reader has no line iterator of its own)."""
    rest = b""
    while chunk := source.read(1 << 20):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest
