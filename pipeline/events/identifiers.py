r"""What an id may look like. Ids are opaque, but some strings are no ids: they are attacks on whatever handles them later.

Refused: control characters (also line and paragraph separators), and paths: absolute (`/x`, `\x`, `~/x`, `C:\x`, `file:/x`) or
with a segment `.` or `..`. Allowed: everything else up to 256 bytes of UTF-8, such as `org/team`, `user@example.com`,
`https://idp.example/users/7`, `CORP\user`, `a..b`, spaces and any script.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.events.request import MAX_ID_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

ID_FIELDS = ("event_id", "account_id", "api_key_id", "organization_id", "payment_fingerprint", "conversation_id")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PATH = re.compile(r"(?:~?|[A-Za-z]:|[Ff][Ii][Ll][Ee]:)[/\\]|(?:.*[/\\])?\.\.?(?:[/\\]|$)", re.DOTALL)
# Each id that `_PATH` matches, written after a space, contains one of these.
_SIGNS = (" /", " \\", " ~", " .", "/.", "\\.", ":/", ":\\")


def complaint(value: str) -> str:
    """Why a string is no id, without quoting it; empty when it is one."""
    if _CONTROL.search(value):
        return "an id with control characters"
    if _PATH.match(value):
        return "an id that is a path"
    return ""


def too_long(value: str) -> bool:
    """Whether an id is over its limit in bytes (the decoder's limit counts characters)."""
    return not value.isascii() and len(value.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES


def all_fine(values: Iterable[str]) -> bool:
    """Whether every id is beyond doubt; False means "look at each", not "one is bad".

    One look at all ids of a batch together costs a tenth of looking at each.
    """
    joined = " " + " ".join(values)
    return joined.isascii() and joined.isprintable() and not any(sign in joined for sign in _SIGNS)
