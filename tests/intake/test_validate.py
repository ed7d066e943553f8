import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.catalogue import RejectReason
from pipeline.events.request import RequestEvent
from pipeline.intake.validate import ALLOWED_FIELDS, Limits, Rejection, diagnose, validate

NOW_MS = 1_780_000_000_000
LIMITS = Limits()
CANARY = "the heron flies at dawn over quiet water"
GOOD: dict[str, Any] = {
    "event_id": "evt-1",
    "occurred_at_ms": NOW_MS,
    "account_id": "acct-1",
    "operation": "chat",
    "model": "m-1",
    "status": 200,
    "input_tokens": 12,
    "prompt": CANARY,
    "user_agent": CANARY,
    "messages": [{"content": CANARY}],
    CANARY: {"deep": [CANARY]},
}


def record(**changes: object) -> bytes:
    """A good record with some fields changed."""
    return json.dumps({**GOOD, **changes}).encode()


def judge(value: bytes | None, received_at_ms: int = NOW_MS, limits: Limits = LIMITS) -> RequestEvent | Rejection:
    """The judgement on one record, after asking the batch path and the exact path for it."""
    fast = validate([value], [received_at_ms], limits)[0]
    exact = diagnose(value or b"", received_at_ms, limits)
    assert fast == exact
    return fast


def rejected(
    value: bytes | None, reason: RejectReason, path: str = "$", *, received_at_ms: int = NOW_MS, limits: Limits = LIMITS
) -> Rejection:
    """The rejection of a record, which has this reason and path and says nothing of the record's content."""
    result = judge(value, received_at_ms, limits)
    assert isinstance(result, Rejection)
    assert (result.reason, result.json_path) == (reason, path)
    assert CANARY not in repr(result)
    return result


def test_a_good_record_becomes_an_event() -> None:
    """All fields arrive typed, unknown ones are ignored."""
    event = judge(record())
    assert isinstance(event, RequestEvent)
    assert (event.event_id, event.account_id, event.input_tokens, event.prompt) == ("evt-1", "acct-1", 12, CANARY)


@pytest.mark.parametrize(
    "value",
    [
        b"not json",
        CANARY.encode(),
        b'{"event_id": "' + CANARY.encode(),
        record()[:-1],
        record() + b"x",
        b"\xef\xbb\xbf" + record(),
        b'{"temperature": NaN, ' + record()[1:],
        b'{"latency_ms": -Infinity, ' + record()[1:],
        b'{"unknown": NaN, ' + record()[1:],
        b'{"x": "a\nb", ' + record()[1:],
        b"   ",
        b"'",
    ],
)
def test_what_does_not_parse_is_not_json(value: bytes) -> None:
    """Truncated JSON, literals that JSON does not have, trailing bytes and plain text are refused as a whole."""
    assert rejected(value, RejectReason.NOT_JSON).fields == {}


def test_invalid_utf8_is_refused_wherever_it_stands() -> None:
    """Bytes that are no UTF-8 are refused also inside unknown fields, and do not harm their neighbours in the batch."""
    for bad in (
        b'{"x":"' + CANARY.encode() + b'\xff"}',
        record().replace(b"evt-1", b"evt\xe9"),
        record().replace(b"messages", b"mess\xc3ges"),
    ):
        rejected(bad, RejectReason.NOT_UTF8)
        before, middle, after = validate([record(), bad, record()], [NOW_MS] * 3, LIMITS)
        assert isinstance(before, RequestEvent)
        assert isinstance(middle, Rejection)
        assert isinstance(after, RequestEvent)


def test_a_character_split_over_two_records_is_refused_in_both() -> None:
    """Two halves of one character are valid joined, and invalid each."""
    half = record(event_id="é").decode("unicode_escape").encode()
    cut = half.index("é".encode()) + 1
    assert [r.reason for r in validate([half[:cut], half[cut:]], [0, 0], LIMITS) if isinstance(r, Rejection)] == [RejectReason.NOT_UTF8] * 2


@pytest.mark.parametrize("value", [b"[]", b"null", b'"text"', b"17", b"true", b"[" + record() + b"]"])
def test_one_record_is_one_object(value: bytes) -> None:
    """JSON that is no object is named as such."""
    rejected(value, RejectReason.NOT_OBJECT)


@pytest.mark.parametrize("value", [None, b""])
def test_no_value_is_empty(value: bytes | None) -> None:
    """A tombstone in the requests topic is a rejection, not a crash."""
    assert rejected(value, RejectReason.EMPTY).size == 0


def test_the_size_limit_holds_to_the_byte() -> None:
    """A record of exactly the limit passes, one byte more does not, and is not even decoded."""
    base = len(record(prompt=""))
    limits = Limits(max_record_bytes=base + 1_000)
    assert isinstance(judge(record(prompt="x" * 1_000), limits=limits), RequestEvent)
    assert rejected(record(prompt="x" * 1_001), RejectReason.TOO_LARGE, limits=limits).size == base + 1_001


def test_nesting_is_limited_to_the_level() -> None:
    """The limit counts objects and arrays together; a million brackets are no stack overflow; brackets in text do not count."""
    fits = "[" * 31 + "]" * 31
    assert isinstance(judge(record().replace(b'"messages": [', f'"x": {fits}, "messages": ['.encode())), RequestEvent)
    rejected(record().replace(b'"messages": [', f'"x": [{fits}], "messages": ['.encode()), RejectReason.TOO_DEEP)
    rejected(b"[" * 1_000_000, RejectReason.TOO_DEEP)
    assert isinstance(judge(record(prompt="[" * 500 + '\\"{')), RequestEvent)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (b'{"status": 404, ' + record()[1:], "$.status"),
        (b'{"st\\u0061tus": 404, ' + record()[1:], "$.status"),
        (b'{"account_id": "' + CANARY.encode() + b'", ' + record()[1:], "$.account_id"),
        (b'{"' + CANARY.encode() + b'": 1, ' + record()[1:], "$"),
        (record(prompt_print={"length": 1})[:-2] + b', "length": 2}}', "$.prompt_print.length"),
        (b'{"prompt_print": {}, "prompt_print": {}, ' + record()[1:], "$.prompt_print"),
    ],
)
def test_a_key_named_twice_is_refused(value: bytes, path: str) -> None:
    """Which of two equal keys counts is a guess: also when one is escaped, and in the one object that is known."""
    assert path.rpartition(".")[2] not in rejected(value, RejectReason.DUPLICATE_KEY, path).fields


def test_equal_keys_in_different_objects_are_fine() -> None:
    """Repeated keys of sibling and unknown objects, and values that look like keys, are no repetition."""
    assert isinstance(judge(record(x={"status": 1, "model": "status"}, y=[{"a": 1}, {"a": 2}], plan="status")), RequestEvent)
    assert isinstance(judge(b'{"x": {"a": 1, "a": 2}, ' + record()[1:]), RequestEvent)


def test_more_keys_than_the_fast_path_counts_are_judged_exactly() -> None:
    """An object with hundreds of keys is accepted, and refused once one of them repeats."""
    many = {f"k{i}": i for i in range(500)}
    assert isinstance(judge(record(**many)), RequestEvent)
    rejected(b'{"k17": 0, ' + record(**many)[1:], RejectReason.DUPLICATE_KEY)


@pytest.mark.parametrize("field", ["event_id", "occurred_at_ms", "account_id", "operation", "model", "status"])
def test_a_required_field_is_missed_by_name(field: str) -> None:
    """Each required field, when absent, is named; when null, it has the wrong type."""
    rest = {k: v for k, v in GOOD.items() if k != field}
    rejected(json.dumps(rest).encode(), RejectReason.MISSING_FIELD, f"$.{field}")
    rejected(record(**{field: None}), RejectReason.WRONG_TYPE, f"$.{field}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", CANARY), ("status", 200.5), ("status", True), ("account_id", 7), ("event_id", [CANARY]), ("prompt", {"text": CANARY}),
        ("logprobs", "yes"), ("temperature", CANARY), ("input_tokens", "12"), ("prompt_print", CANARY), ("occurred_at_ms", "2026-01-01"),
        ("schema_version", "1"), ("asn", 1.5),
    ],
)  # fmt: skip
def test_wrong_types_are_named_without_their_value(field: str, value: object) -> None:
    """A value of another type is refused at its path."""
    assert field not in rejected(record(**{field: value}), RejectReason.WRONG_TYPE, f"$.{field}").fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_tokens", -1), ("output_tokens", 10**30), ("status", 99), ("status", 600), ("choice_count", -5), ("temperature", -0.1),
        ("occurred_at_ms", -1), ("occurred_at_ms", 10**18), ("event_id", ""), ("event_id", "x" * 257), ("account_id", "é" * 129),
        ("operation", ""), ("operation", "x" * 65), ("latency_ms", -1.0), ("asn", 2**32), ("reasoning_tokens", -7),
    ],
)  # fmt: skip
def test_absurd_values_are_refused(field: str, value: object) -> None:
    """Values that no request can have are refused at their path; ids are measured in bytes."""
    assert field not in rejected(record(**{field: value}), RejectReason.ABSURD_VALUE, f"$.{field}").fields


def test_numbers_beyond_every_range_are_refused() -> None:
    """A literal too large for a float is a rejection at its path."""
    rejected(b'{"temperature": 1e999, ' + record()[1:], RejectReason.ABSURD_VALUE, "$.temperature")


@pytest.mark.parametrize("field", ["occurred_at_ms", "account_created_at_ms"])
def test_times_far_ahead_of_the_record_are_refused(field: str) -> None:
    """The limit is relative to the record's own timestamp, to the millisecond, and not applied when that is unknown."""
    day = 24 * 3_600_000
    assert isinstance(judge(record(**{field: NOW_MS + day})), RequestEvent)
    rejected(record(**{field: NOW_MS + day + 1}), RejectReason.ABSURD_VALUE, f"$.{field}")
    assert isinstance(judge(record(**{field: NOW_MS + 100 * day}), received_at_ms=-1), RequestEvent)


IDS = ("event_id", "account_id", "api_key_id", "organization_id", "payment_fingerprint", "conversation_id")


@pytest.mark.parametrize("field", IDS)
@pytest.mark.parametrize(
    "value",
    [
        "/etc/passwd", "../up", "..", ".", "a/../b", "a/..", "a/./b", "..\\x", "\\\\server\\share", "\\x", "C:\\x", "c:/x", "~/x", "file:///x",
        "a\nb", "a\0b", "\x1b[31m", "a\x7f", "a\x85b", "a\u2028b", "tab\there",
    ],
)  # fmt: skip
def test_ids_that_are_paths_or_hold_control_characters_are_refused(field: str, value: str) -> None:
    """Every id field refuses what would be dangerous in a file name, a terminal or a log."""
    assert field not in rejected(record(**{field: value}), RejectReason.BAD_IDENTIFIER, f"$.{field}").fields


@pytest.mark.parametrize("field", IDS)
@pytest.mark.parametrize(
    "value",
    [
        "org/team", "user@example.com", "https://idp.example/users/7", "urn:uuid:1-2", "CORP\\alice", "a..b", "a.b", "...", "x:1", "Jürgen",
        "東京", "ключ", "with space", "{json}", "a~b", "50%", "x" * 256, "é" * 128, "arn:aws:iam::1:user/a", "-", "٣",
    ],
)  # fmt: skip
def test_ids_that_look_odd_are_ids(field: str, value: str) -> None:
    """What gateways really use as ids passes."""
    assert isinstance(judge(record(**{field: value})), RequestEvent)


def test_an_unknown_version_is_named_even_when_its_fields_do_not_fit() -> None:
    """A record of a later schema is refused for its version, whatever else it changed."""
    rejected(record(schema_version=2), RejectReason.UNKNOWN_VERSION, "$.schema_version")
    rejected(record(schema_version=0), RejectReason.UNKNOWN_VERSION, "$.schema_version")
    rejected(record(schema_version=3, status="new", account_id=None), RejectReason.UNKNOWN_VERSION, "$.schema_version")
    assert isinstance(judge(record(schema_version=1)), RequestEvent)


def test_half_an_emoji_in_a_prompt_does_not_hide_the_request() -> None:
    """A lone surrogate, which some gateways pass on, becomes U+FFFD in text; in an id it is refused."""
    event = judge(record(prompt="cut \ud83d here \\ud83d \U0001f600"))
    assert isinstance(event, RequestEvent)
    assert event.prompt == "cut \ufffd here \\ud83d \U0001f600"
    found = rejected(record(account_id="a\udc00b"), RejectReason.BAD_IDENTIFIER, "$.account_id")
    assert "account_id" not in found.fields


def test_a_prompt_print_is_exact_about_itself() -> None:
    """Unknown and missing fields of a fingerprint are refused without naming the unknown one; a bad sketch is."""
    rejected(record(prompt_print={CANARY: 1}), RejectReason.WRONG_TYPE, "$.prompt_print")
    rejected(record(prompt_print={"template": 1}), RejectReason.MISSING_FIELD, "$.prompt_print.sketch")
    rejected(record(prompt_print={"sketch": CANARY}), RejectReason.ABSURD_VALUE, "$.prompt_print.sketch")
    rejected(record(prompt_print={"sketch": "*" * 171 + "="}), RejectReason.WRONG_TYPE, "$.prompt_print.sketch")


def test_a_rejection_carries_the_valid_allow_listed_fields() -> None:
    """The fields that are fine by themselves help to find the sender; text never is among them."""
    found = rejected(record(status="x", api_key_id="/bad", asn=-3, latency_ms=1.5, stream=True), RejectReason.WRONG_TYPE, "$.status")
    assert found.fields == {
        "event_id": "evt-1",
        "account_id": "acct-1",
        "occurred_at_ms": NOW_MS,
        "input_tokens": 12,
        "latency_ms": 1.5,
        "stream": True,
    }
    assert not {"prompt", "user_agent", "operation", "model", "messages"} & set(ALLOWED_FIELDS)


def test_size_and_hash_are_those_of_the_raw_record() -> None:
    """The hash lets the original be recognised when it is read again by its position."""
    raw = b'{"a": \xff}'
    found = rejected(raw, RejectReason.NOT_UTF8)
    assert (found.size, found.sha256) == (len(raw), hashlib.sha256(raw).hexdigest())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just(CANARY),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "prompt_print", "sketch"]) | st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)
mutations = st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=4)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200) | st.none(), max_size=6))
def test_any_bytes_are_judged(values: list[bytes | None]) -> None:
    """Whatever bytes arrive, each record is an event or a rejection, and the batch agrees with the exact path."""
    results = validate(values, [NOW_MS] * len(values), LIMITS)
    assert results == [diagnose(value or b"", NOW_MS, LIMITS) for value in values]


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(list(GOOD)), json_values, max_size=4), mutations)
def test_damaged_records_are_judged_without_leaking(changes: dict[str, Any], damage: list[tuple[int, bytes]]) -> None:
    """Records with odd values and damaged bytes never raise, never differ between the two paths and never leak their text."""
    value = json.dumps({**GOOD, **{k: v for k, v in changes.items() if k not in IDS}}).encode()
    for at, patch in damage:
        value = value[:at] + patch + value[at + len(patch) :]
    result = judge(value)
    if isinstance(result, Rejection):
        shown = repr((result.reason, result.json_path, result.message)) + repr({k: v for k, v in result.fields.items() if k not in IDS})
        assert CANARY not in shown
        assert CANARY not in repr(result.fields)
