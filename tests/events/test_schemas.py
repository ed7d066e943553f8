"""Published schemas: the files under `schemas/` are what the types say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import orjson
import pytest

from pipeline.events.alert import TECHNIQUES, Kind
from pipeline.events.schema import TYPES, json_schemas

FOLDER = Path(__file__).parents[2] / "schemas"


@pytest.mark.parametrize("name", sorted(TYPES))
def test_the_committed_schema_is_current(name: str) -> None:
    """`stillwatch schema export --out schemas` was run after the last change of a type."""
    assert orjson.loads((FOLDER / f"{name}.json").read_bytes()) == json_schemas()[name]


def test_appended_fields_have_defaults() -> None:
    """An old record still decodes: only the fields of version 1 are required."""
    required = {f.name for f in msgspec.structs.fields(TYPES["request_event.v1"]) if f.required}
    assert required == {"event_id", "occurred_at_ms", "account_id", "operation", "model", "status"}


def test_every_kind_has_techniques() -> None:
    """No alert goes out without ATLAS or OWASP ids."""
    assert set(TECHNIQUES) == set(Kind)
    assert all(TECHNIQUES.values())
