"""Decisions on the wire: exact both ways, named by what they are about, refused when they come from the future."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.base.errors import CodecError, NewerFormatError
from pipeline.base.settings import DetectSettings
from pipeline.events.alert import Kind
from pipeline.events.control import (
    EXPLAINS,
    Baseline,
    ControlSegment,
    Declaration,
    Revocation,
    Setting,
    Tuning,
    Twin,
    Verdict,
    VerdictId,
    declaration_control_id,
    decode_segment,
    encode_segment,
    tuning_control_id,
    verdict_control_id,
)

VERDICT = Verdict(
    control_id=verdict_control_id("a1"), account_id="acme", issued_at_ms=5, issued_by="ann", alert_id="a1", kind=Kind.PROBING,
    baselines=[Baseline.LEVEL], verdict_id=VerdictId.BENIGN,
)  # fmt: skip
DECLARATION = Declaration(
    control_id=declaration_control_id("acme", Twin.AUDIT), account_id="acme", issued_at_ms=5, issued_by="ann", twin=Twin.AUDIT,
    until_ms=9, requests_per_day=7,
)  # fmt: skip
REVOCATION = Revocation(control_id=VERDICT.control_id, account_id="acme", issued_at_ms=6, issued_by="bob")
TUNING = Tuning(control_id=tuning_control_id(Setting.COOLDOWN_H), issued_at_ms=6, issued_by="bob", setting=Setting.COOLDOWN_H, value="8")


def test_a_segment_comes_back_as_it_went() -> None:
    """Each type of decision survives, its type included; equal segments give equal bytes."""
    segment = ControlSegment("control", "id", 0, -1, 3, [(0, VERDICT), (1, DECLARATION), (2, REVOCATION), (3, TUNING)])
    data = encode_segment(segment)
    assert decode_segment(data) == segment
    assert encode_segment(decode_segment(data)) == data


def test_a_decision_of_a_newer_program_stops_the_worker() -> None:
    """A type that this version does not know is not skipped: its replay would differ."""
    record = {"type": "amnesty", "control_id": "0" * 16, "account_id": "a", "issued_at_ms": 1, "issued_by": "ann"}
    data = msgspec.msgpack.encode(["control", "id", 0, -1, 0, [(0, record)]])
    with pytest.raises(NewerFormatError, match="upgrade"):
        decode_segment(data)
    with pytest.raises(CodecError):
        decode_segment(data[:-3])


def test_ids_say_what_a_decision_is_about() -> None:
    """The same alert, or the same account and twin, has one id wherever it is computed; others have others."""
    assert VERDICT.control_id == verdict_control_id("a1") != verdict_control_id("a2")
    ids = {declaration_control_id(account, twin) for account in ("a", "b") for twin in Twin}
    assert len(ids) == 2 * len(Twin)
    assert all(len(control_id) == 16 for control_id in ids)


def test_every_twin_explains_something_and_none_explains_everything() -> None:
    """A declaration is about some kinds; whoever declares one thing is still watched for the others."""
    assert set(EXPLAINS) == set(Twin)
    assert all(0 < len(kinds) < len(Kind) for kinds in EXPLAINS.values())
    assert all(Kind.CAMPAIGN not in kinds for kinds in EXPLAINS.values())


def test_every_setting_that_may_change_is_one_of_detect() -> None:
    """By its name there, and never one that says what features are or how a book is cut."""
    assert {setting.value for setting in Setting} < set(DetectSettings.model_fields)
    assert not {"block_requests", "epoch_s", "allowed_lateness_s", "dedupe_ring", "constant_scores"} & {s.value for s in Setting}


def test_changes_add_up_and_an_empty_one_takes_back() -> None:
    """The last word on each setting counts."""
    eight = TUNING.onto({"alert_budget": "3", "cooldown_h": "1"})
    assert eight == {"alert_budget": "3", "cooldown_h": "8"}
    assert msgspec.structs.replace(TUNING, value="").onto(eight) == {"alert_budget": "3"}
