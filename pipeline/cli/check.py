"""One line of `stillwatch doctor`: what was looked at, how it came out, what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"  # works, and an operator should know
    FAILED = "failed"


MARKS = {Status.OK: "✓", Status.WARNING: "!", Status.FAILED: "✗"}


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    subject: str
    status: Status
    finding: str
    next_step: str = ""


def line(check: Check) -> str:
    """A check as people read it."""
    then = f"\n    → {check.next_step}" if check.next_step else ""
    return f"{MARKS[check.status]} {check.subject}: {check.finding}{then}"
