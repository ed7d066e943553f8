import base64
import json
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.hashing import hash_text, hash_texts, partition_of
from pipeline.events.frame import Frame, Segment, decode_frame
from pipeline.intake import FrameOut, Framer, FramingConfig, Limits, read_batch

LIMITS = Limits()
PARTITIONS = 3
CONFIG = FramingConfig("api.requests", "topic-1", PARTITIONS, frame_events=5, linger_s=1.0, idle_s=5.0)


def event(i: int, account: int = 0, **more: object) -> bytes:
    """A valid record."""
    fields = {
        "event_id": f"e{i}",
        "occurred_at_ms": 1_000 + i,
        "account_id": f"a{account}",
        "operation": "chat",
        "model": "m",
        "status": 200,
    }
    return json.dumps({**fields, **more}).encode()


def add(framer: Framer, source: int, first: int, values: list[bytes], now_s: float = 0.0, step: int = 1) -> None:
    """Give the framer records at offsets `first`, `first + step`, …."""
    offsets = [first + step * i for i in range(len(values))]
    framer.add(source, offsets, [-1] * len(values), read_batch(values, [-1] * len(values), LIMITS), 0, now_s)


def target(account: int) -> int:
    """Frames partition of an account."""
    return int(partition_of(hash_texts([f"a{account}"]), PARTITIONS)[0])


def decoded(frames: list[FrameOut]) -> list[Frame]:
    """The frames, decoded."""
    return [decode_frame(frame.value) for frame in frames]


def told(frames: list[FrameOut], f: int) -> list[Segment]:
    """Segments of one frames partition, in the order it sees them."""
    return [segment for frame in decoded(frames) if frame.header.frames_partition == f for segment in frame.header.segments]


def assert_tiled(segments: list[Segment], start: int, end: int) -> None:
    """Segments of one source cover (start, end] without gap or overlap."""
    for segment in segments:
        assert segment.from_offset == start
        assert segment.to_offset > start
        start = segment.to_offset
    assert start == end


actions = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 1), st.lists(st.integers(-1, 7), min_size=1, max_size=12)),
        st.tuples(st.just("due"), st.floats(0, 3), st.none()),
        st.tuples(st.just("flush"), st.none(), st.none()),
        st.tuples(st.just("lose"), st.integers(0, 1), st.integers(1, 20)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(actions, st.integers(1, 3))
def test_segments_tile_and_every_event_arrives_once(  # noqa: C901, PLR0912 - a small model of the framer beside it
    script: list[tuple[Any, Any, Any]], step: int
) -> None:
    """Whatever is added, cut and lost: each frames partition is told each offset once, and each event lies in its segment."""
    framer = Framer(CONFIG)
    next_offset = {0: 10, 1: 0}
    for source, offset in next_offset.items():
        framer.assign(source, offset - 1)
    sent: dict[tuple[int, int], int] = {}
    lost: dict[int, set[int]] = {0: set(), 1: set()}
    frames: list[FrameOut] = []
    now, count = 0.0, 0
    for verb, a, b in script:
        if verb == "add":
            values = [b"not json" if account < 0 else event(count + i, account) for i, account in enumerate(b)]
            for i, account in enumerate(b):
                if account >= 0:
                    sent[a, next_offset[a] + step * i] = target(account)
            add(framer, a, next_offset[a], values, now, step)
            next_offset[a] += step * (len(b) - 1) + 1
            count += len(b)
        elif verb == "due":
            now += a
            frames += framer.due(now)
        elif verb == "lose":
            framer.lose(a, next_offset[a] - 1 + b)
            lost[a] |= set(range(next_offset[a], next_offset[a] + b))
            next_offset[a] += b
        else:
            frames += framer.flush()
    frames += framer.flush()
    got: dict[tuple[int, int], int] = {}
    for frame in decoded(frames):
        assert frame.header.rows <= CONFIG.frame_events
        row = 0
        for segment in frame.header.segments:
            offsets = frame.columns.offset[row : row + segment.events].tolist()
            row += segment.events
            assert offsets == sorted(offsets)
            assert all(segment.from_offset < offset <= segment.to_offset for offset in offsets)
            assert segment.lost == (set(range(segment.from_offset + 1, segment.to_offset + 1)) <= lost[segment.partition])
            for offset in offsets:
                assert (segment.partition, offset) not in got
                got[segment.partition, offset] = frame.header.frames_partition
        assert row == frame.header.rows
    assert got == sent
    for f in range(PARTITIONS):
        for source, start in ((0, 9), (1, -1)):
            assert_tiled([s for s in told(frames, f) if s.partition == source], start, next_offset[source] - 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 7), min_size=1, max_size=40), st.lists(st.integers(1, 39), max_size=5))
def test_frames_depend_on_records_and_flush_points_only(accounts: list[int], cuts: list[int]) -> None:
    """However the records were fetched, the same flush gives byte-equal frames."""
    values = [b"[]" if account < 0 else event(i, account, prompt=f"prompt {i}") for i, account in enumerate(accounts)]
    bounds = [0, *sorted({c for c in cuts if c < len(values)}), len(values)]
    results = []
    for split in ([0, len(values)], bounds):
        framer = Framer(CONFIG)
        framer.assign(0, -1)
        for lo, hi in pairwise(split):
            add(framer, 0, lo, values[lo:hi])
        results.append([(frame.partition, frame.value) for frame in framer.flush()])
    assert results[0] == results[1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=40), st.randoms(use_true_random=False))
def test_a_commit_never_passes_what_is_not_acknowledged(  # noqa: C901 - a small model of the broker beside it
    plan: list[tuple[int, bool]], random: Random
) -> None:
    """With acks in any order: what may be committed is never beyond an unacknowledged frame or dead letter, and reaches the end."""
    framer = Framer(CONFIG._replace(frame_events=2))
    framer.assign(0, -1)
    waiting: list[FrameOut] = []
    letters: list[int] = []
    unacked: dict[int, list[FrameOut]] = {f: [] for f in range(PARTITIONS)}

    def acknowledge(n: int) -> None:
        for _ in range(min(n, len(waiting))):
            frame = waiting.pop(random.randrange(len(waiting)))
            framer.acked(frame)
            unacked[frame.partition].remove(frame)
        for _ in range(min(n, len(letters))):
            framer.release(0, letters.pop(random.randrange(len(letters))))

    def check() -> None:
        allowed = framer.committable()[0]
        assert all(offset >= allowed for offset in letters)
        for frames in unacked.values():
            for frame in frames:
                assert all(allowed <= s.from_offset + 1 for s in decode_frame(frame.value).header.segments)

    for i, (account, bad) in enumerate(plan):
        add(framer, 0, i, [b"{" if bad else event(i, account)])
        if bad:
            framer.hold(0, i)
            letters.append(i)
        frames = framer.due(0.0) if i % 3 else framer.flush()
        waiting += frames
        for frame in frames:
            unacked[frame.partition].append(frame)
        acknowledge(random.randrange(3))
        check()
    frames = framer.flush()
    waiting += frames
    for frame in frames:
        unacked[frame.partition].append(frame)
    acknowledge(len(waiting) + len(letters))
    assert framer.committable() == {0: len(plan)}
    assert framer.outstanding() == 0


def test_an_account_lives_in_one_frames_partition() -> None:
    """Events go where the hash of their account says, whatever source they come from."""
    framer = Framer(CONFIG._replace(frame_events=100))
    for source in (0, 1):
        framer.assign(source, -1)
        add(framer, source, 0, [event(i, i % 10) for i in range(30)])
    for frame in decoded(framer.flush()):
        assert frame.header.accounts
        assert {target(int(account[1:])) for account in frame.header.accounts} == {frame.header.frames_partition}


def test_time_cuts_frames() -> None:
    """A full frame goes at once, a lingering one after `linger_s`, an empty one after `idle_s`, and none when nothing moved."""
    framer = Framer(CONFIG)
    framer.assign(0, -1)
    assert framer.due(100.0) == []
    others = {0, 1, 2} - {target(0)}
    add(framer, 0, 0, [event(0)], now_s=100.0)
    assert framer.due(100.9) == []
    (lingering,) = framer.due(101.0)
    assert (lingering.partition, lingering.rows) == (target(0), 1)
    add(framer, 0, 1, [event(i) for i in range(1, 6)], now_s=101.2)
    (full,) = framer.due(101.2)
    assert (full.partition, full.rows) == (target(0), 5)
    assert framer.due(104.9) == []
    idle = framer.due(105.0)
    assert {(frame.partition, frame.rows) for frame in idle} == {(f, 0) for f in others}
    assert framer.due(1_000.0) == []
    add(framer, 0, 6, [b"bad"], now_s=1_000.0)
    assert framer.due(1_004.9) == []
    assert {frame.partition for frame in framer.due(1_005.0)} == {0, 1, 2}


def test_a_backlog_fills_frames() -> None:
    """While more waits to be read a frame lingers ten times as long, and a full one goes at once all the same."""
    framer = Framer(CONFIG._replace(linger_s=0.3))
    framer.assign(0, -1)
    add(framer, 0, 0, [event(0)], now_s=100.0)
    assert framer.due(102.9, behind=True) == []
    assert [frame.rows for frame in framer.due(103.1, behind=True)] == [1]
    add(framer, 0, 1, [event(i) for i in range(1, 6)], now_s=103.1)
    assert [frame.rows for frame in framer.due(103.1, behind=True)] == [5]


def test_a_frame_stays_below_its_byte_limit() -> None:
    """Wide events are cut into more frames, each below the limit, without losing the order or a row."""
    framer = Framer(CONFIG._replace(frame_events=100, max_bytes=20_000))
    framer.assign(0, -1)
    add(framer, 0, 0, [event(i, 0, user_agent=str(i) + "u" * 1_000) for i in range(64)])
    frames = [frame for frame in framer.flush() if frame.rows]
    assert len(frames) > 4
    assert all(len(frame.value) <= 20_000 for frame in frames)
    assert [o for frame in decoded(frames) for o in frame.columns.offset.tolist()] == list(range(64))
    assert_tiled(told(frames, target(0)), -1, 63)


def test_the_largest_events_fit_one_frame() -> None:
    """A single event with every string at its limit is far below the limit of a frame."""
    wide = {name: chr(0x10000) * 64 for name in ("api_key_id", "organization_id", "conversation_id", "payment_fingerprint")}
    long = {name: chr(0x10000) * 256 for name in ("plan", "provider", "error_type", "finish_reason", "client_address", "country")}
    framer = Framer(CONFIG)
    framer.assign(0, -1)
    add(framer, 0, 0, [event(0, 0, user_agent=chr(0x10000) * 1_024, **wide, **long)])
    frames = [frame for frame in framer.flush() if frame.rows]
    assert len(frames) == 1
    assert len(frames[0].value) < 20_000


def test_a_revoked_partition_leaves_nothing_behind() -> None:
    """Pending events of a revoked partition are gone, those of others stay; late acks of it change nothing."""
    framer = Framer(CONFIG)
    for source in (0, 1):
        framer.assign(source, -1)
        add(framer, source, 0, [event(i, i) for i in range(4)])
    early = framer.flush()
    add(framer, 0, 4, [event(9, 1)])
    add(framer, 1, 4, [event(9, 2)])
    framer.revoke(0)
    framer.assign(0, 2)
    for frame in early:
        framer.acked(frame)
    assert framer.committable() == {0: 3, 1: 4}
    assert {s.partition for f in range(PARTITIONS) for s in told(framer.flush(), f)} == {1}


def test_the_watermark_of_a_cut_frame_is_that_of_its_last_row() -> None:
    """When a flush becomes several frames, the early ones do not know the time of the later events."""
    framer = Framer(FramingConfig("api.requests", "topic-1", 1, frame_events=5))
    framer.assign(0, -1)
    add(framer, 0, 0, [event(i, i % 4) for i in range(12)])
    assert [(s.to_offset, s.watermark_ms) for s in told(framer.flush(), 0)] == [(4, 1_002), (9, 1_007), (11, 1_009)]


@pytest.mark.parametrize("kind", ["prompt", "print"])
def test_content_and_identity_are_canonical(kind: str) -> None:
    """Key order, white space and spelling of numbers change neither hash; any value changes the content, not the identity."""
    sketch = base64.b64encode(bytes(range(128))).decode()
    extra: dict[str, Any] = {"prompt": "one two three"} if kind == "prompt" else {"prompt_print": {
        "sketch": sketch, "template": 5, "prefix": 6, "suffix": 7, "length": 13,
    }}  # fmt: skip
    full = {**json.loads(event(1)), "temperature": 1.0, "logprobs": False, "asn": 5, **extra}
    reordered = json.dumps(dict(reversed(full.items())), indent=3).replace('"temperature": 1.0', '"temperature": 1')
    changes: list[dict[str, Any]] = [
        {"status": 201}, {"temperature": 0.5}, {"logprobs": True}, {"logprobs": None}, {"asn": None}, {"model": "n"}, {"plan": "m"},
        {"provider": "m"}, {"occurred_at_ms": 7}, {"reasoning_tokens": 0}, {"stream": False}, {"account_created_at_ms": 5},
        {"prompt": "one two four"} if kind == "prompt" else {"prompt_print": {**extra["prompt_print"], "suffix": 8}},
        {"prompt": None, "prompt_print": None},
    ]  # fmt: skip
    values = [json.dumps(full).encode(), reordered.encode(), json.dumps({**full, "unknown": 1}).encode()]
    values += [json.dumps({**full, **change}).encode() for change in changes]
    framer = Framer(FramingConfig("api.requests", "topic-1", 1))
    framer.assign(0, -1)
    add(framer, 0, 0, values)
    (frame,) = decoded(framer.flush())
    assert set(frame.columns.identity.tolist()) == {hash_text("a0\0e1")}
    content = frame.columns.content.tolist()
    assert len(content) == len(values)
    assert len(set(content[:3])) == 1
    assert len(set(content)) == 1 + len(changes)


def test_columns_hold_the_values_and_say_what_is_absent() -> None:
    """Numbers, strings and flags arrive as sent; absent ones are −1, NaN and the empty symbol; the prompt is nowhere."""
    sentence = "a sentence that must not travel"
    values = [
        event(1, 3, prompt=sentence, temperature=0.5, logprobs=True, stream=False, country="DE", asn=7, output_tokens=9, unknown=sentence),
        event(2, 3),
    ]
    framer = Framer(FramingConfig("api.requests", "topic-1", 1))
    framer.assign(0, 41)
    batch = read_batch(values, [500, -1], LIMITS)
    assert batch.results == [None, None]
    assert sentence.encode() not in batch.events.text.tobytes()
    framer.add(0, [42, 43], [500, -1], batch, 0, 0.0)
    (out,) = framer.flush()
    assert sentence.encode() not in out.value
    header, columns = decode_frame(out.value)
    assert columns.offset.tolist() == [42, 43]
    assert columns.appended_at_ms.tolist() == [500, -1]
    assert columns.temperature[0] == 0.5
    assert np.isnan(columns.temperature[1])
    for name, sent in {"logprobs": 1, "stream": 0, "asn": 7, "output_tokens": 9, "print_present": 1}.items():
        assert getattr(columns, name).tolist() == [sent, 0 if name == "print_present" else -1]
    assert [header.symbols[i] for i in columns.country] == ["DE", ""]
    assert [header.symbols[i] for i in columns.event_id] == ["e1", "e2"]
    assert [header.accounts[i] for i in columns.account] == ["a3", "a3"]
    assert columns.symbol_hash.tolist() == hash_texts(header.symbols).tolist()
    assert columns.print_length.tolist() == [len(sentence), 0]
    assert not columns.print_sketch[1].any()
