"""The error tree: every failure the product names, with whether trying again can help and where it happened.

StillwatchError
├── SettingsError          wrong or unknown settings: key, value, what is allowed
├── RejectedError          one bad input record: a value with reason and place, never a crash
├── CodecError             bytes of ours that do not decode (a frame, a state record, a marker)
│   └── NewerFormatError   written by a newer version of this program
├── LineageError           the log is not the one the state belongs to (recreated topic, changed count or settings)
├── DivergenceError        two writers produced different bytes under one key
├── UnavailableError       a dependency does not answer; retriable
└── DependencyError        a dependency answered with a refusal; not retriable
"""

from __future__ import annotations


class StillwatchError(Exception):
    """Base of every error this program raises on purpose.

    Attributes:
        retriable: whether the same call may succeed later without a change by the operator.
        location: where it happened (`topic[partition]@offset`, a file, a settings key), or empty.
        next_step: what the operator can do, one sentence, or empty.
    """

    retriable = False

    def __init__(self, message: str, *, location: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.next_step = next_step

    def __str__(self) -> str:
        where = f" [{self.location}]" if self.location else ""
        then = f" Next: {self.next_step}" if self.next_step else ""
        return f"{self.message}{where}{then}"


class SettingsError(StillwatchError):
    """A setting is unknown or its value is not allowed."""


class RejectedError(StillwatchError):
    """One input record is bad.

    Attributes:
        reason: a member of `base.catalogue.RejectReason`, as text.
        json_path: where in the record, `$` for the whole.
    """

    def __init__(self, reason: str, message: str, *, json_path: str = "$", location: str = "") -> None:
        super().__init__(message, location=location)
        self.reason = reason
        self.json_path = json_path


class CodecError(StillwatchError):
    """Bytes that this program wrote, or should have written, do not decode."""


class NewerFormatError(CodecError):
    """A record was written by a newer version of this program than the one reading it."""


def check_format(what: str, found: int, reads: int) -> None:
    """Refuse state of another format than this program reads.

    Raises:
        NewerFormatError: a newer program wrote it.
        CodecError: an older one did, whose numbers mean something else.
    """
    message = f"{what} has format {found}; this program reads {reads}"
    if found > reads:
        raise NewerFormatError(message, next_step="upgrade this worker")
    if found < reads:
        raise CodecError(message, next_step="begin anew: a new prefix beside the old one, or `stillwatch init --reset-state`")


class LineageError(StillwatchError):
    """State and log do not belong together: a recreated topic, a changed partition count, other settings."""


class DivergenceError(StillwatchError):
    """Two writers produced different bytes under one key: determinism is broken, the worker must stop."""


class UnavailableError(StillwatchError):
    """A dependency does not answer.

    Attributes:
        retry_after_s: seconds the other side asked us to wait, or None.
    """

    retriable = True

    def __init__(self, message: str, *, location: str = "", next_step: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, location=location, next_step=next_step)
        self.retry_after_s = retry_after_s


class DependencyError(StillwatchError):
    """A dependency answered and refused: wrong credentials, missing topic, missing table."""
