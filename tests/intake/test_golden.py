"""The bytes that travel are pinned: fingerprints and one frame, as `schemas/golden/` has them.

A difference means that stored state, or a gateway that fingerprints by itself, no longer agrees with this program: raise the
version (`FRAME_VERSION`, `HASH_NAME`) before writing new vectors with `python tests/intake/test_golden.py`.
"""

import json
from pathlib import Path

from pipeline.events.frame import decode_frame
from pipeline.intake import Framer, FramingConfig, Limits, read_batch
from pipeline.intake.fingerprint import fingerprint

GOLDEN = Path(__file__).parents[2] / "schemas" / "golden"
PROMPTS = GOLDEN / "prompts.v1.json"
RECORDS = GOLDEN / "frame.v1.ndjson"
FRAME = GOLDEN / "frame.v1.bin"
FIRST_OFFSET = 100


def prints(texts: list[str]) -> list[dict[str, object]]:
    """Fingerprints as JSON: the sketch in hexadecimal, the rest as numbers."""
    names = ("template", "prefix", "suffix", "length", "script", "markers")
    return [
        {"text": text, "sketch": row["sketch"].tobytes().hex(), **{name: int(row[name]) for name in names}}
        for text, row in zip(texts, fingerprint(texts), strict=True)
    ]


def frame(records: list[bytes]) -> bytes:
    """One frame of these records, the rejected ones among them accounted for."""
    framer = Framer(FramingConfig("api.requests", "golden-topic-id", 1))
    framer.assign(3, FIRST_OFFSET - 11)
    framer.lose(3, FIRST_OFFSET - 1)
    stamps = [1_780_000_000_000 + i for i in range(len(records))]
    framer.add(3, range(FIRST_OFFSET, FIRST_OFFSET + len(records)), stamps, read_batch(records, stamps, Limits()), 0, 0.0)
    (out,) = framer.flush()
    return out.value


def test_fingerprints_are_the_golden_ones() -> None:
    """Every language, marker family and edge of the fingerprint gives the stored bytes, on any machine and Python."""
    stored = json.loads(PROMPTS.read_text(encoding="utf-8"))
    assert prints([entry["text"] for entry in stored]) == stored


def test_the_frame_is_the_golden_one() -> None:
    """The stored records give the stored frame, byte for byte."""
    assert frame(RECORDS.read_bytes().splitlines()) == FRAME.read_bytes()


def test_the_golden_frame_reads_as_written() -> None:
    """A reader of today understands the stored frame: ranges, events, absent values."""
    header, columns = decode_frame(FRAME.read_bytes())
    assert [(s.from_offset, s.to_offset, s.events, s.lost) for s in header.segments] == [(89, 99, 0, True), (99, 105, 4, False)]
    assert columns.offset.tolist() == [100, 101, 103, 105]
    assert columns.input_tokens.tolist() == [1000, -1, 12, -1]
    assert [header.symbols[i] for i in columns.country] == ["DE", "", "", "JP"]
    assert columns.print_present.tolist() == [1, 0, 1, 1]


def _write() -> None:
    texts = [entry["text"] for entry in json.loads(PROMPTS.read_text(encoding="utf-8"))]
    PROMPTS.write_text(json.dumps(prints(texts), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    FRAME.write_bytes(frame(RECORDS.read_bytes().splitlines()))


if __name__ == "__main__":
    _write()
