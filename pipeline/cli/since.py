"""A point in time as people write it: `30m`, `24h`, `7d` ago, or a UTC date and time."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import typer

from pipeline.base.times import DAY_MS, HOUR_MS

_AGO = re.compile(r"(\d{1,6})\s*([mhd])")
_UNIT_MS = {"m": 60_000, "h": HOUR_MS, "d": DAY_MS}


def since_ms(text: str, now_ms: int | None = None) -> int:
    """Unix time, ms; 0 for an empty text.

    Raises:
        typer.BadParameter: it is neither an age nor a time.
    """
    if not text:
        return 0
    ago = _AGO.fullmatch(text.strip())
    if ago:
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        return now - int(ago[1]) * _UNIT_MS[ago[2]]
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither an age (30m, 24h, 7d) nor a UTC time (2026-11-23 or 2026-11-23T10:00)") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def written(at_ms: int) -> str:
    """A UTC time to the second, as ISO 8601 writes it."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="seconds")
