import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.intake.scan import repeated_key, scan


class _Pairs(list[tuple[str, object]]):
    """An object with its keys as written, repeated or not."""


keys = st.sampled_from(["a", "b", "status", "prompt_print", "é", 'q"uote', "back\\slash", ""])
values = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab"\\{}[],:é\n', max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(keys, inner), max_size=4).map(_Pairs),
    max_leaves=10,
)


def _write(value: object, *, ascii_only: bool) -> str:
    if isinstance(value, _Pairs):
        inside = ", ".join(f"{json.dumps(k, ensure_ascii=ascii_only)}: {_write(v, ascii_only=ascii_only)}" for k, v in value)
        return "{" + inside + "}"
    if isinstance(value, list):
        return "[" + ",".join(_write(v, ascii_only=ascii_only) for v in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


def _depth(value: object) -> int:
    if isinstance(value, _Pairs):
        return 1 + max((_depth(v) for _, v in value), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(v) for v in value), default=0)
    return 0


def _repeats(value: object) -> bool:
    if not isinstance(value, _Pairs):
        return False
    names = [k for k, _ in value]
    if len(set(names)) < len(names):
        return True
    inner = dict(value).get("prompt_print")
    return isinstance(inner, _Pairs) and len({k for k, _ in inner}) < len(inner)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(values, st.booleans()), min_size=1, max_size=5))
def test_the_scan_agrees_with_a_parser(records: list[tuple[object, bool]]) -> None:
    """For any JSON, laid end to end in a batch: exact depths, and no repeated key goes unsuspected or undiagnosed."""
    texts = [_write(value, ascii_only=ascii_only) for value, ascii_only in records]
    data = [text.encode() for text in texts]
    found = scan(b"".join(data), np.cumsum([len(part) for part in data]))
    assert found.depth.tolist() == [_depth(value) for value, _ in records]
    for i, (value, _) in enumerate(records):
        assert bool(found.suspect[i]) or not _repeats(value)
        assert (repeated_key(texts[i]) is not None) == _repeats(value)


def test_most_records_are_no_suspects() -> None:
    """Nested objects, arrays and values equal to keys alone do not send a record the slow way."""
    text = b'{"a":{"a":1,"b":{"a":2}},"b":["a","b",{"a":1},{"a":2}],"c":"a","prompt_print":{"a":1,"b":2},"d":{"e":1,"e":2}}'
    assert not scan(text, np.array([len(text)])).suspect[0]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_any_bytes_can_be_scanned(parts: list[bytes]) -> None:
    """What is not JSON is scanned within its own bounds: neighbours do not change the findings."""
    together = scan(b"".join(parts), np.cumsum([len(part) for part in parts]))
    for i, part in enumerate(parts):
        alone = scan(part, np.array([len(part)]))
        assert (together.depth[i], together.suspect[i]) == (alone.depth[0], alone.suspect[0])
