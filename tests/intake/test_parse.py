"""The parser against the decoder: it may leave a record to it, never read one differently."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events.request import RequestEvent
from pipeline.intake.batch import read_batch, take_prompts
from pipeline.intake.parse import new_room, parse
from pipeline.intake.rows import Events, rows_of
from pipeline.intake.validate import Limits, validate
from pipeline.lab.simulate import bulk_workload

LIMITS = Limits(max_record_bytes=4_000, max_depth=6)
RECEIVED_MS = 1_790_000_000_000
FULL: dict[str, Any] = {
    "event_id": "e-1", "occurred_at_ms": 1_790_000_000_000,
    "account_id": "acct_1", "operation": "chat", "model": "m", "status": 200,
    "schema_version": 1,
    "api_key_id": "k", "organization_id": "org/team", "plan": "pro", "payment_fingerprint": None, "conversation_id": "",
    "provider": "p", "account_created_at_ms": 5, "error_type": None, "finish_reason": "stop", "input_tokens": 12, "output_tokens": 0,
    "reasoning_tokens": None, "cached_input_tokens": 3, "max_tokens": 1, "temperature": 0.7, "choice_count": 1, "logprobs": True,
    "stream": False, "latency_ms": 12.5, "client_address": "10.0.0.1", "country": "DE", "user_agent": "agent/1.0 (x; y)", "asn": 64_512,
    "prompt": 'Label: say "hi"\n\\ to 3 people \u00e9\u4e2d\U0001f600',
}  # fmt: skip
SNIPPETS = [
    b'"', b"\\", b"\\n", b"\\u00e9", b"\\ud83d", b"\\ud83d\\ude00", b"\\x", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\x00",
    b"\x7f", b" ", b"\t", b",", b",,", b":", b"{", b"}", b"[", b"]", b"0", b"-", b".", b"e5", b"1e400", b"null", b"true", b"nul", b"NaN",
    b'"status":200,', b'"x":1,"x":2,',
    b'"x":{"a":[1,{"b":null}],"c":"d\\n"},', b'"x":[[[[[[1]]]]]],', b'"x":01,', b'"x":-0.5,', b'"x":"\\ud800",',
    b'"x":1.5e3,', b'"prompt":null,', b"/", b"..", b"~", b"123456789012345678901", b'"\\u0070rompt":"a",', b'"x":[1,],', b'"x":{"a"},',
]  # fmt: skip
values = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**18), st.floats(), st.text(max_size=12),
    st.sampled_from(["/a", "a/../b", "..", "a:/b", "~/x"]),
    st.text("a./:~\\", max_size=5), st.lists(st.integers(), max_size=2), st.text("x", min_size=60, max_size=70),
)  # fmt: skip
records = st.dictionaries(st.sampled_from([*FULL, "unknown", "messages"]), values, max_size=4).map(lambda change: {**FULL, **change})
layouts = st.sampled_from([(",", ":"), (", ", ": "), (",\n\t", " : ")])


def written(record: dict[str, Any], layout: tuple[str, str], *, ascii_only: bool) -> bytes:
    """The record as JSON, lone surrogates as escapes."""
    try:
        return json.dumps(record, separators=layout, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return json.dumps(record, separators=layout).encode()


def parsed(record: bytes) -> Events | None:
    """What the parser makes of one record, None when it leaves it to the decoder."""
    latest = np.array([RECEIVED_MS + LIMITS.max_ahead_ms])
    out = new_room([record])
    good, rows, used = parse([record], latest, LIMITS.max_record_bytes, LIMITS.max_depth, out, 0, 0)
    assert rows == good[0]
    return Events(out.text[:used], *(column[:rows] for column in out[1:])) if good[0] else None  # type: ignore[arg-type]


def assert_equal(mine: Events, theirs: Events, record: bytes) -> None:
    """Bit for bit, not-a-numbers too."""
    for name in Events._fields:
        assert getattr(mine, name).tobytes() == getattr(theirs, name).tobytes(), (name, record)


def assert_same(record: bytes) -> bool:
    """The parser agrees with the decoder or is silent → whether it spoke."""
    mine = parsed(record)
    (theirs,) = validate([record], [RECEIVED_MS], LIMITS)
    if mine is not None:
        assert isinstance(theirs, RequestEvent), (record, theirs)
        assert_equal(mine, rows_of([theirs], take_prompts([theirs])), record)
    return mine is not None


@settings(max_examples=400, deadline=None)
@given(records, layouts, st.booleans())
def test_any_values_in_any_layout(record: dict[str, Any], layout: tuple[str, str], ascii_only: bool) -> None:  # noqa: FBT001
    """Whatever stands in the fields, the parser reads what the decoder reads or leaves it to it."""
    assert_same(written(record, layout, ascii_only=ascii_only))


@settings(max_examples=600, deadline=None)
@given(layouts, st.integers(0, 2**32), st.integers(1, 3))
def test_broken_records(layout: tuple[str, str], seed: int, wounds: int) -> None:
    """Bytes deleted, replaced, inserted anywhere: never an event where the decoder rejects, never another event."""
    random = Random(seed)
    record = bytearray(written({**FULL, "tags": {"a": [1, "b\n", None]}}, layout, ascii_only=random.random() < 0.3))
    for _ in range(wounds):
        at = random.randrange(len(record) + 1)
        stop = at + random.choice([0, 0, 1, 3])
        record[at:stop] = random.choice(SNIPPETS) if random.random() < 0.8 else b""
    assert_same(bytes(record))
    assert_same(bytes(record[: random.randrange(len(record) + 1)]))


@pytest.mark.parametrize("layout", [(",", ":"), (", ", ": ")])
def test_what_gateways_write_is_read_fast(layout: tuple[str, str]) -> None:
    """A full record, one with unknown nested fields, one whose prompt is escaped throughout: all taken by the parser."""
    assert assert_same(written(FULL, layout, ascii_only=False))
    assert assert_same(written(FULL, layout, ascii_only=True))
    assert assert_same(
        written({**FULL, "messages": [{"role": "user", "content": "a\nb", "n": [1, -2.5, True, {}, []]}]}, layout, ascii_only=False)
    )
    assert assert_same(
        written({key: value for key, value in FULL.items() if value is not None and key != "prompt"}, layout, ascii_only=False)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"status": 600}, {"status": True}, {"status": None}, {"event_id": ""}, {"event_id": "x" * 257}, {"account_id": "/etc"},
        {"operation": "o" * 65}, {"input_tokens": -1}, {"temperature": 100.5}, {"schema_version": 2}, {"model": None}, {"logprobs": 1},
        {"occurred_at_ms": RECEIVED_MS + 25 * 3_600_000}, {"account_created_at_ms": RECEIVED_MS + 25 * 3_600_000}, {"asn": 2**32},
        {"prompt": "x" * 5_000}, {"x": [[[[[[1]]]]]]}, {"api_key_id": "a/../b"}, {"user_agent": "u" * 1_025},
    ],
)  # fmt: skip
def test_what_is_refused_is_not_read_fast(change: dict[str, Any]) -> None:
    """Each bound that the decoder or the checks behind it know, the parser knows."""
    assert not assert_same(written({**FULL, **change}, (",", ":"), ascii_only=False))


def test_a_batch_is_its_records_in_order() -> None:
    """Records read fast, read by the decoder and rejected ones lie in one batch as if each had been read alone."""
    sketch = base64.b64encode(bytes(128)).decode()
    given_print = {**FULL, "prompt": None, "prompt_print": {"sketch": sketch, "template": 1, "prefix": 2, "suffix": 3, "length": 4}}
    lines = [
        written(FULL, (",", ":"), ascii_only=True), b"{", written({**FULL, "account_id": "\u00e9"}, (",", ":"), ascii_only=False),
        written(given_print, (",", ":"), ascii_only=True), b"", *bulk_workload(600, 50, 3),
        written({**FULL, "status": 1}, (",", ":"), ascii_only=True),
    ]  # fmt: skip
    limits = LIMITS._replace(max_record_bytes=100_000)
    batch = read_batch(lines, [RECEIVED_MS] * len(lines), limits)
    assert [i for i, result in enumerate(batch.results) if result is not None] == [1, 4, len(lines) - 1]
    assert batch.record.tolist() == [i for i in range(len(lines)) if batch.results[i] is None]
    for k, i in enumerate(batch.record.tolist()):
        (alone,) = validate([lines[i]], [RECEIVED_MS], limits)
        assert isinstance(alone, RequestEvent)
        assert_equal(batch.events.part(k, k + 1), rows_of([alone], take_prompts([alone])), lines[i])


def test_most_of_the_workload_is_read_fast() -> None:
    """The benchmark's records need no decoder."""
    assert all(parsed(record) is not None for record in bulk_workload(300, 100, 5) if len(record) <= LIMITS.max_record_bytes)
