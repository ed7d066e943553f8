"""Bytes of the requests topic → events or rejections. Any bytes give one of the two, never an exception.

A rejection says what is wrong and where without repeating anything the record holds, save fields on an allow list that are
valid by themselves: ids and numbers. The decoder's own messages quote unknown keys, so they are not passed on.
"""

from __future__ import annotations

import hashlib
import re
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, get_type_hints

import msgspec
import numpy as np

from pipeline.base.catalogue import RejectReason
from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.events.identifiers import ID_FIELDS, all_fine, complaint, too_long
from pipeline.events.request import REQUEST_VERSION, PromptPrint, RequestEvent
from pipeline.intake.scan import repeated_key, scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeline.base.settings import IngestSettings

TIME_FIELDS = ("occurred_at_ms", "account_created_at_ms")
ALLOWED_FIELDS = (
    *ID_FIELDS, *TIME_FIELDS, "schema_version", "status", "account_created_at_ms", "input_tokens", "output_tokens", "reasoning_tokens",
    "cached_input_tokens", "max_tokens", "temperature", "choice_count", "logprobs", "stream", "latency_ms", "asn",
)  # fmt: skip
"""Fields a dead letter may carry."""


class Rejection(NamedTuple):
    """One bad record, as a value. `message` and `json_path` hold nothing from the record but names of known fields."""

    reason: RejectReason
    json_path: str
    message: str
    size: int
    sha256: str
    fields: dict[str, str | int | float | bool]


class Limits(NamedTuple):
    """What is too much; see `IngestSettings`."""

    max_record_bytes: int = 1_048_576
    max_depth: int = 32
    max_ahead_ms: int = DAY_MS

    @classmethod
    def of(cls, settings: IngestSettings) -> Limits:
        """The limits that the settings ask for."""
        return cls(settings.max_record_bytes, settings.max_depth, int(settings.max_ahead_h * HOUR_MS))


_DECODER = msgspec.json.Decoder(RequestEvent)
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KNOWN = frozenset((*RequestEvent.__struct_fields__, *PromptPrint.__struct_fields__))
_TYPES = get_type_hints(RequestEvent, include_extras=True)
_FIELD_DECODERS = {name: msgspec.json.Decoder(_TYPES[name]) for name in ALLOWED_FIELDS}
_ids = attrgetter(*ID_FIELDS)

# What msgspec says, as far as we repeat it. Anything else becomes a sentence of our own.
_WHERE = re.compile(r" - at `(\$[^`]*)`$")
_TYPE = re.compile(r"Expected `([a-z0-9 |]+)`, got `([a-z]+)`")
_BOUND = re.compile(r"Expected `(?:[a-z]+)`(?: of length)? (?:>=|<=|>|<) [0-9.e+]+")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_BYTE = re.compile(r"\(byte [0-9]+\)$")
_LONE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


def validate(values: Sequence[bytes | None], received_at_ms: Sequence[int], limits: Limits) -> list[RequestEvent | Rejection]:
    """Decode and check a batch → one event or rejection per record, in order.

    Args:
        values: the records.
        received_at_ms: each record's timestamp, the reference for "too far ahead"; −1 when unknown (then not checked).
        limits: sizes, depth, time.
    """
    data = [value or b"" for value in values]
    slow = _doubtful(data, limits)
    results: list[RequestEvent | Rejection] = []
    at: list[int] = []
    events: list[RequestEvent] = []
    decode = _DECODER.decode
    for i, value in enumerate(data):
        if not slow[i]:
            try:
                event = decode(value)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                pass
            else:
                results.append(event)
                events.append(event)
                at.append(i)
                continue
        results.append(diagnose(value, received_at_ms[i], limits))
    for k in _suspicious(events, np.fromiter((received_at_ms[i] for i in at), np.int64, len(at)), limits):
        i = at[k]
        results[i] = _checked(events[k], data[i], received_at_ms[i], limits)
    return results


def _doubtful(data: list[bytes], limits: Limits) -> list[bool]:
    """Which records need `diagnose` before they may be decoded."""
    sizes = np.fromiter(map(len, data), np.int64, len(data))
    slow = (sizes == 0) | (sizes > limits.max_record_bytes)
    if slow.any():
        data = [b"" if bad else value for value, bad in zip(data, slow.tolist(), strict=True)]
        sizes[slow] = 0
    joined = b"\n".join([*data, b""])  # a line feed continues no UTF-8 sequence: the whole is valid if and only if each part is
    if not _is_utf8(joined):
        slow |= np.fromiter((not _is_utf8(value) for value in data), np.bool_, len(data))
    found = scan(joined, np.cumsum(sizes + 1))
    doubtful: list[bool] = (slow | found.suspect | (found.depth > limits.max_depth)).tolist()
    return doubtful


def _suspicious(events: list[RequestEvent], received_at_ms: NDArray[np.int64], limits: Limits) -> list[int]:
    """Events that need `_checked`: what the types do not say may not hold."""
    if not all_fine(filter(None, chain.from_iterable(map(_ids, events)))):
        return list(range(len(events)))
    n = len(events)
    latest = np.where(received_at_ms < 0, np.iinfo(np.int64).max, received_at_ms + limits.max_ahead_ms)
    occurred = np.fromiter((event.occurred_at_ms for event in events), np.int64, n)
    created = np.fromiter((event.account_created_at_ms or 0 for event in events), np.int64, n)
    other = np.fromiter((event.schema_version != REQUEST_VERSION for event in events), np.bool_, n)
    found: list[int] = np.flatnonzero((occurred > latest) | (created > latest) | other).tolist()
    return found


def diagnose(  # noqa: PLR0911 - one return per reason, in the order they are checked
    value: bytes, received_at_ms: int, limits: Limits
) -> RequestEvent | Rejection:
    """The exact judgement on one record. `validate` gives the same for each of a batch, faster."""
    size = len(value)
    reject = _Rejecter(value)
    if not size:
        return reject(RejectReason.EMPTY, "the record has no value")
    if size > limits.max_record_bytes:
        return reject(RejectReason.TOO_LARGE, f"{size} bytes; ingest.max_record_bytes is {limits.max_record_bytes}")
    if not _is_utf8(value):
        return reject(RejectReason.NOT_UTF8, "not UTF-8")
    depth = int(scan(value, np.array([size])).depth[0])
    if depth > limits.max_depth:
        return reject(RejectReason.TOO_DEEP, f"nested {depth} deep; ingest.max_depth is {limits.max_depth}")
    try:
        raw = _RAW.decode(value)
    except msgspec.ValidationError:
        return reject(RejectReason.NOT_OBJECT, "the record is not one JSON object")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as err:
        mended = _mend(value)
        if mended is not None:
            return _mended(mended, reject, received_at_ms, limits)
        where = _BYTE.search(str(err))
        return reject(RejectReason.NOT_JSON, f"not JSON {where[0]}" if where else "not JSON: it ends too early")
    reject.raw = raw
    twice = repeated_key(value.decode())
    if twice is not None:
        return reject(RejectReason.DUPLICATE_KEY, "one object names a field twice", _path(twice), without=twice[0])
    return _typed(value, reject, received_at_ms, limits)


def _typed(value: bytes, reject: _Rejecter, received_at_ms: int, limits: Limits) -> RequestEvent | Rejection:
    version = reject.field("schema_version")
    if version is not None and version != REQUEST_VERSION:
        return reject(RejectReason.UNKNOWN_VERSION, f"this program reads schema_version {REQUEST_VERSION}", "$.schema_version")
    try:
        event = _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as err:
        return reject(*explain_error(str(err)))
    return _checked(event, value, received_at_ms, limits, reject)


def _checked(
    event: RequestEvent, value: bytes, received_at_ms: int, limits: Limits, reject: _Rejecter | None = None
) -> RequestEvent | Rejection:
    """What the types do not say, for one event."""
    reject = reject or _Rejecter(value)
    if event.schema_version != REQUEST_VERSION:
        return reject(RejectReason.UNKNOWN_VERSION, f"this program reads schema_version {REQUEST_VERSION}", "$.schema_version")
    for name, text in zip(ID_FIELDS, _ids(event), strict=True):
        if text and (wrong := complaint(text)):
            return reject(RejectReason.BAD_IDENTIFIER, wrong, f"$.{name}")
        if text and too_long(text):
            return reject(RejectReason.ABSURD_VALUE, "an id over 256 bytes", f"$.{name}")
    if received_at_ms >= 0:
        for name in TIME_FIELDS:
            time_ms = getattr(event, name)
            if time_ms is not None and time_ms > received_at_ms + limits.max_ahead_ms:
                hours = limits.max_ahead_ms / HOUR_MS
                return reject(RejectReason.ABSURD_VALUE, f"more than {hours:g} h ahead of the record's own time", f"$.{name}")
    return event


def _mend(value: bytes) -> bytes | None:
    r"""The record with lone surrogate escapes (`\ud83d` without its other half) replaced by U+FFFD; None when it has none.

    Clients cut emoji in half and some gateways pass that on. Refusing such a record would let a client keep its requests
    from being counted by putting half an emoji into its prompt.
    """
    mended = _LONE.sub(lambda match: b"\\ufffd" if match[1] else match[0], value)
    return None if mended == value else mended


def _mended(value: bytes, reject: _Rejecter, received_at_ms: int, limits: Limits) -> RequestEvent | Rejection:
    result = diagnose(value, received_at_ms, limits)
    if isinstance(result, Rejection):
        return result._replace(size=reject.size, sha256=reject.sha256)
    for name, text in zip(ID_FIELDS, _ids(result), strict=True):
        if text and "\ufffd" in text:
            reject.raw = _RAW.decode(value)
            return reject(RejectReason.BAD_IDENTIFIER, "an id that is not Unicode text", f"$.{name}", without=name)
    return result


def explain_error(said: str, known: frozenset[str] = _KNOWN) -> tuple[RejectReason, str, str]:
    """Reason, message and path for what msgspec said, in words that hold nothing from the record but `known` names."""
    where = _WHERE.search(said)
    path = _path(where[1].split(".")[1:], known) if where else "$"
    if missing := _MISSING.match(said):
        name = missing[1] if missing[1] in known else ""
        return RejectReason.MISSING_FIELD, "a required field is missing", f"{path}.{name}" if name else path
    if wrong := _TYPE.match(said):
        return RejectReason.WRONG_TYPE, wrong[0].replace("`", ""), path
    if bound := _BOUND.match(said):
        return RejectReason.ABSURD_VALUE, bound[0].replace("`", ""), path
    if said.startswith(("Number out of range", "Integer value out of range")):
        return RejectReason.ABSURD_VALUE, "a number out of range", path
    if said.startswith("Object contains unknown field"):
        return RejectReason.WRONG_TYPE, "an unknown field in an object that allows none", path
    return RejectReason.WRONG_TYPE, "the value does not fit its field", path


def _path(names: Sequence[str], known: frozenset[str] = _KNOWN) -> str:
    """A JSON path of known names; it ends where an unknown one would be quoted."""
    said = []
    for name in names:
        if name not in known:
            break
        said.append(name)
    return ".".join(["$", *said])


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Rejecter:
    """Makes rejections of one record."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self.size = len(value)
        self.raw: dict[str, msgspec.Raw] | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self._value).hexdigest()

    def __call__(self, reason: RejectReason, message: str, json_path: str = "$", *, without: str = "") -> Rejection:
        if self.raw is None and reason in (RejectReason.BAD_IDENTIFIER, RejectReason.ABSURD_VALUE, RejectReason.UNKNOWN_VERSION):
            self.raw = _RAW.decode(self._value)  # it decoded as an event, so it is one object
        names = ALLOWED_FIELDS if self.raw else ()
        fields = {name: found for name in names if name != without and (found := self.field(name)) is not None}
        return Rejection(reason, json_path, message, self.size, self.sha256, fields)

    def field(self, name: str) -> str | int | float | bool | None:
        """One allow-listed field, if it is there and valid by itself."""
        found = (self.raw or {}).get(name)
        if found is None:
            return None
        try:
            value: str | int | float | bool | None = _FIELD_DECODERS[name].decode(found)
        except (msgspec.MsgspecError, UnicodeError):
            return None
        if isinstance(value, str) and (complaint(value) or too_long(value)):
            return None
        return value
