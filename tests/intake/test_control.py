"""The control door: any bytes give a decision or a rejection; every frames partition is told everything once."""

from __future__ import annotations

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.catalogue import RejectReason
from pipeline.base.hashing import hash_texts, partition_of
from pipeline.base.times import DAY_MS
from pipeline.events.control import (
    Declaration,
    Setting,
    Tuning,
    Twin,
    declaration_control_id,
    decode_segment,
    encode_control,
    key_of,
    tuning_control_id,
)
from pipeline.events.frame import CONTROL_FRAME_VERSION, decode_frame
from pipeline.intake import ControlFramer, FrameOut, FramingConfig, Rejection, read_control

PARTITIONS = 3
CONFIG = FramingConfig("requests", "control-id", PARTITIONS)
TEXT = "the heron flies at dawn"


def declaration(account: str, note: str = "") -> Declaration:
    """A decision about an account."""
    return Declaration(
        control_id=declaration_control_id(account, Twin.RESEARCH), account_id=account, issued_at_ms=1, issued_by="ann", note=note,
        twin=Twin.RESEARCH, until_ms=DAY_MS,
    )  # fmt: skip


GOOD = orjson.loads(encode_control(declaration("acme", "because")))


def changed(**fields: object) -> bytes:
    """The good record with other fields; None leaves one out."""
    return orjson.dumps({name: value for name, value in {**GOOD, **fields}.items() if value is not None})


TUNING = Tuning(
    control_id=tuning_control_id(Setting.ALERT_BUDGET), issued_at_ms=1, issued_by="ann", setting=Setting.ALERT_BUDGET, value="3"
)


def retuned(**fields: object) -> bytes:
    """A good change of a setting with other fields."""
    return orjson.dumps({**orjson.loads(encode_control(TUNING)), **fields})


def test_a_good_record_is_a_decision_and_unknown_fields_do_no_harm() -> None:
    """What `declare` writes is read; a field of a later version is ignored."""
    assert read_control(changed(colour="blue")) == declaration("acme", "because")


@pytest.mark.parametrize(
    ("value", "reason", "path"),
    [
        (None, RejectReason.EMPTY, "$"),
        (b"", RejectReason.EMPTY, "$"),
        (b"{" + TEXT.encode(), RejectReason.NOT_JSON, "$"),
        (b'{"type": "declaration", "note": "\xff"}', RejectReason.NOT_UTF8, "$"),
        (b"[1]", RejectReason.WRONG_TYPE, "$"),
        (changed(note=TEXT * 3_000), RejectReason.TOO_LARGE, "$"),
        (changed(note=TEXT * 100), RejectReason.ABSURD_VALUE, "$.note"),
        (changed(type=None), RejectReason.MISSING_FIELD, "$.type"),
        (changed(type=TEXT), RejectReason.WRONG_TYPE, "$.type"),
        (changed(twin=TEXT), RejectReason.WRONG_TYPE, "$.twin"),
        (changed(until_ms=None), RejectReason.MISSING_FIELD, "$.until_ms"),
        (changed(until_ms="tomorrow"), RejectReason.WRONG_TYPE, "$.until_ms"),
        (changed(until_ms=1), RejectReason.ABSURD_VALUE, "$.until_ms"),
        (changed(until_ms=400 * DAY_MS), RejectReason.ABSURD_VALUE, "$.until_ms"),
        (changed(requests_per_day=-1), RejectReason.ABSURD_VALUE, "$.requests_per_day"),
        (changed(account_id="../etc"), RejectReason.BAD_IDENTIFIER, "$.account_id"),
        (changed(account_id="é" * 200), RejectReason.ABSURD_VALUE, "$.account_id"),
        (changed(account_id=""), RejectReason.ABSURD_VALUE, "$.account_id"),
        (changed(schema_version=2), RejectReason.UNKNOWN_VERSION, "$.schema_version"),
        (changed(schema_version=2, type="amnesty"), RejectReason.UNKNOWN_VERSION, "$.schema_version"),
        (b"[" * 100_000, RejectReason.TOO_LARGE, "$"),
        (b"[" * 10_000, RejectReason.WRONG_TYPE, "$"),
        (encode_control(declaration("acme"))[:-1] + b',"twin":"audit"}', RejectReason.DUPLICATE_KEY, "$.twin"),
        (retuned(setting=TEXT), RejectReason.WRONG_TYPE, "$.setting"),
        (retuned(setting="block_requests"), RejectReason.WRONG_TYPE, "$.setting"),
        (retuned(value=3), RejectReason.WRONG_TYPE, "$.value"),
        (retuned(value=TEXT), RejectReason.ABSURD_VALUE, "$.value"),
        (retuned(value="0"), RejectReason.ABSURD_VALUE, "$.value"),
        (retuned(value="1e-300"), RejectReason.ABSURD_VALUE, "$.value"),
        (retuned(value="nan"), RejectReason.ABSURD_VALUE, "$.value"),
        (retuned(setting="false_alerts_per_day", value="inf"), RejectReason.ABSURD_VALUE, "$.value"),
        (retuned(setting="cooldown_h", value="1e18"), RejectReason.ABSURD_VALUE, "$.value"),
        (retuned(setting="prior_file", value="x" * 40_000), RejectReason.ABSURD_VALUE, "$.value"),
    ],
)
def test_a_bad_record_is_a_rejection_with_a_place(value: bytes | None, reason: RejectReason, path: str) -> None:
    """Never an exception, and nothing of the record is quoted."""
    found = read_control(value)
    assert isinstance(found, Rejection)
    assert (found.reason, found.json_path) == (reason, path)
    assert TEXT not in repr(found)
    assert found.size == len(value or b"")


@given(st.binary(max_size=200))
def test_any_bytes_give_one_or_the_other(value: bytes) -> None:
    """Whatever somebody writes into the topic."""
    assert isinstance(read_control(value), Rejection)


def test_a_setting_is_for_every_partition() -> None:
    """With every partition told once, and a prior as large as may be in a frame that the broker takes."""
    prior = msgspec.structs.replace(TUNING, setting=Setting.PRIOR_FILE, value='"' * 32_000, note="why")
    assert read_control(encode_control(prior)) == prior
    framer = ControlFramer(CONFIG)
    framer.assign(0, -1)
    framer.take(0, range(100), [TUNING, *[prior] * 99])
    frames = framer.flush()
    for f in range(PARTITIONS):
        told = [decode_segment(data) for frame in frames if frame.partition == f for data in decode_frame(frame.value).header.control]
        assert [at for segment in told for at, _ in segment.records] == list(range(100))
        assert told[0].records[0][1] == TUNING
    assert max(len(frame.value) for frame in frames) <= CONFIG.max_bytes
    assert all(b"why" not in frame.value for frame in frames)


def told(frames: list[FrameOut]) -> dict[int, list[tuple[int, int, list[tuple[int, str]]]]]:
    """(from, to, records) of the segments, by frames partition."""
    found: dict[int, list[tuple[int, int, list[tuple[int, str]]]]] = {f: [] for f in range(PARTITIONS)}
    for frame in frames:
        header, columns = decode_frame(frame.value)
        assert (header.rows, header.segments, header.version) == (0, [], CONTROL_FRAME_VERSION)
        assert len(columns.offset) == 0
        for data in header.control:
            segment = decode_segment(data)
            assert (segment.topic_id, header.frames_partition) == ("control-id", frame.partition)
            records = [(offset, key_of(record).decode()) for offset, record in segment.records]
            found[frame.partition].append((segment.from_offset, segment.to_offset, records))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 9), max_size=1_200), max_size=6), st.integers(0, 50))
def test_segments_tile_and_every_decision_arrives_once(batches: list[list[int]], begin: int) -> None:
    """Each frames partition is told each offset once, in order; a decision lies where its account lives; −1 is a rejected record."""
    framer = ControlFramer(CONFIG)
    framer.assign(0, begin - 1)
    frames: list[FrameOut] = []
    sent: dict[int, list[tuple[int, str]]] = {f: [] for f in range(PARTITIONS)}
    offset = begin
    for batch in batches:
        offsets = list(range(offset, offset + len(batch)))
        offset += len(batch)
        records = [read_control(b"bad") if account < 0 else declaration(f"a{account}", "why") for account in batch]
        framer.take(0, offsets, records)
        for at, record in zip(offsets, records, strict=True):
            if isinstance(record, Declaration):
                f = int(partition_of(hash_texts([record.account_id]), PARTITIONS)[0])
                sent[f].append((at, record.account_id))
        frames += framer.flush()
    assert framer.flush() == []
    for f, segments in told(frames).items():
        at = begin - 1
        for start, end, inside in segments:
            assert start == at < end
            assert all(start < at <= end for at, _ in inside)
            at = end
        assert at == offset - 1
        assert [record for _, _, inside in segments for record in inside] == sent[f]
    assert all(b"why" not in frame.value for frame in frames)
    assert framer.committable() == {0: begin}
    for frame in frames:
        framer.acked(frame)
    assert framer.committable() == {0: offset}


def test_a_rejection_holds_the_commit_until_its_dead_letter_is_durable() -> None:
    """What was rejected is not forgotten by a crash in between."""
    framer = ControlFramer(CONFIG)
    framer.assign(0, -1)
    framer.take(0, [0, 1, 2], [declaration("a"), read_control(b"bad"), declaration("b")])
    framer.hold(0, 1)
    for frame in framer.flush():
        framer.acked(frame)
    assert framer.committable() == {0: 1}
    framer.release(0, 1)
    assert framer.committable() == {0: 3}


def test_a_revoked_partition_takes_its_pending_decisions_along() -> None:
    """They were not committed: whoever has it now reads them again."""
    framer = ControlFramer(CONFIG)
    framer.assign(0, -1)
    framer.take(0, [0], [declaration("a")])
    framer.revoke(0)
    framer.assign(0, -1)
    framer.take(0, [0], [declaration("a")])
    assert sum(len(records) for segments in told(framer.flush()).values() for _, _, records in segments) == 1
