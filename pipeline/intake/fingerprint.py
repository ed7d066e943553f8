"""Prompt → fingerprint: what detection needs to know of a text, in 171 bytes from which the text cannot be read back.

| field | meaning |
|---|---|
| sketch | 128 × int8: character 3- to 5-grams, each hashed to one dimension and a sign, sums scaled to ±127. The cosine of two sketches estimates the cosine of the n-gram count profiles, with a standard error of about 1/√128 = .09 |
| template | hash of the first and last label (`question:`) with the number of … masked; without labels, of the first and last three words |
| prefix, suffix | hash of the first and last four words, digits masked |
| length | characters of the whole prompt |
| script | `intake.scripts.Script` |
| markers | `intake.markers.Marker` |

Only the first 2,048 and last 1,024 bytes count. Hashes have 63 bits (JSON numbers of gateways that fingerprint themselves),
0 for none. Sources: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009; Charikar, Chen,
Farach-Colton, "Finding Frequent Items in Data Streams", ICALP 2002 (the signs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.hashing import hash_bytes, mix
from pipeline.base.jit import inline, kernel
from pipeline.events.frame import SKETCH_DIMS
from pipeline.intake.markers import bucket_of, compile_phrases
from pipeline.intake.scripts import LANGUAGES, SCRIPTS, WORD_SEED, classify, script_beyond, script_table, vote, word_step, word_votes
from pipeline.intake.text import CAPACITY, NEWLINE, SPACE, fold_table, normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PRINT = np.dtype(
    [
        ("sketch", "i1", (SKETCH_DIMS,)),
        ("template", "<u8"),
        ("prefix", "<u8"),
        ("suffix", "<u8"),
        ("digest", "<u8"),  # of the whole text; feeds the content hash, never leaves ingest
        ("length", "<i4"),
        ("markers", "<u2"),
        ("script", "u1"),
        ("present", "i1"),
    ]
)
"""One fingerprint as a row of a structured array."""

_MASK63 = np.uint64(0x7FFF_FFFF_FFFF_FFFF)
_ENDS = 4
"""Words of prefix and suffix."""
_LABEL_WORDS = 6
"""A label has at most so many words before its colon."""
_PLAIN = 3
"""Words from each end that stand for a text without labels."""
_MAX_WORDS = CAPACITY

_FOLD = fold_table()
_SCRIPT = script_table()
_WORD_KEYS, _WORD_VOTES = word_votes()
_PHRASES = compile_phrases()
_OPERATORS = np.zeros(128, np.uint8)
_OPERATORS[[ord(c) for c in "{}()[];=<>_/\\|&*+#@$`^~"]] = 1


@inline
def _finish(h: np.uint64) -> np.uint64:
    h &= _MASK63
    return h if h else np.uint64(1)


@inline
def _sketch(text: NDArray[np.uint32], m: int, sums: NDArray[np.int32], row: NDArray[np.int8]) -> None:
    """Signed sums of the 3-, 4- and 5-grams of `text[:m]`, scaled to int8 in integers (bit-equal everywhere)."""
    k = np.uint64(0x9E3779B97F4A7C15)
    f3, f4, f5 = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)
    top, bit = np.uint64(57), np.uint64(56)
    one = np.uint64(1)
    sums[:] = 0
    for i in range(m - 2):
        h = np.uint64(text[i]) * k + np.uint64(text[i + 1])
        h = h * k + np.uint64(text[i + 2])
        g = h * f3
        g ^= g >> np.uint64(29)
        g *= f4
        sums[g >> top] += 1 - 2 * np.int32(g >> bit & one)
        if i + 3 < m:
            h = h * k + np.uint64(text[i + 3])
            g = h * f4
            g ^= g >> np.uint64(29)
            g *= f5
            sums[g >> top] += 1 - 2 * np.int32(g >> bit & one)
            if i + 4 < m:
                h = h * k + np.uint64(text[i + 4])
                g = h * f5
                g ^= g >> np.uint64(29)
                g *= f3
                sums[g >> top] += 1 - 2 * np.int32(g >> bit & one)
    highest = 1
    for d in range(SKETCH_DIMS):
        highest = max(highest, abs(sums[d]))
    for d in range(SKETCH_DIMS):
        v = sums[d]
        row[d] = (abs(v) * 254 + highest) // (2 * highest) * (1 if v >= 0 else -1)


@inline
def _matches(text: NDArray[np.uint32], at: int, m: int, points: NDArray[np.uint32], start: int, stop: int) -> bool:
    i = at
    for k in range(start, stop):
        p = points[k]
        if p == 35:  # '#': a run of digits
            if i >= m or not 48 <= text[i] <= 57:
                return False
            while i < m and 48 <= text[i] <= 57:
                i += 1
            continue
        if i >= m or (text[i] != p and not (p == SPACE and text[i] == NEWLINE)):
            return False
        i += 1
    return True


@kernel
def _fingerprint(
    data: NDArray[np.uint8],
    ends: NDArray[np.int64],
    out: NDArray[np.void],
    fold: NDArray[np.uint16],
    scripts: NDArray[np.uint8],
    operators: NDArray[np.uint8],
    word_keys: NDArray[np.uint64],
    word_votes: NDArray[np.uint16],
    bucket: NDArray[np.int32],
    start: NDArray[np.int32],
    points: NDArray[np.uint32],
    bits: NDArray[np.uint16],
) -> None:
    text = np.empty(CAPACITY, np.uint32)
    sums = np.empty(SKETCH_DIMS, np.int32)
    words = np.empty(_MAX_WORDS, np.uint64)
    counts = np.empty(SCRIPTS, np.int32)
    languages = np.empty(LANGUAGES, np.int32)
    begin = 0
    for n in range(ends.shape[0]):
        end = ends[n]
        row = out[n]
        row.digest = hash_bytes(data, begin, end)
        m = normalise(data, begin, end, fold, text)
        begin = end
        _sketch(text, m, sums, row.sketch)

        counts[:] = 0
        languages[:] = 0
        markers = 0
        visible = 0
        signs = 0
        total = 0  # words
        line_words = 0  # of this line so far
        open_line = True  # no label found and none ruled out yet
        quoted = False
        first_label = last_label = np.uint64(0)
        label = WORD_SEED
        i = 1
        while i < m:
            c = text[i]
            if c <= SPACE:
                if c == NEWLINE:
                    line_words = 0
                    open_line = True
                    quoted = False
                    label = WORD_SEED
                i += 1
                continue
            script = int(scripts[c]) if c < 0x10000 else script_beyond(c)
            if script == 0 and not 48 <= c <= 57:
                visible += 1
                if c < 128:
                    signs += operators[c]
                    if c == 34:
                        quoted = not quoted
                    elif c == 60:  # '<' may begin a phrase, as in "<think"
                        markers |= _markers_at(text, i, m, bucket, start, points, bits)
                    elif c == 58 and open_line and 0 < line_words <= _LABEL_WORDS and text[i + 1] != 47 and not 48 <= text[i - 1] <= 57:
                        last_label = label
                        if first_label == 0:
                            first_label = label
                        open_line = False
                i += 1
                continue
            # a word: a run of letters and digits; dense scripts are cut every two signs, Thai every three
            at = i
            h = WORD_SEED
            digits = False
            limit = m
            if c >= 0x2E80 and script != 10:
                limit = i + 2
            elif script == 7:
                limit = i + 3
            markers |= _markers_at(text, i, m, bucket, start, points, bits)
            while i < limit and i < m:
                c = text[i]
                if 48 <= c <= 57:
                    if not digits:
                        h = word_step(h, np.uint32(48))
                    digits = True
                    i += 1
                    continue
                s = int(scripts[c]) if c < 0x10000 else script_beyond(c)
                if s == 0 and not (c == 39 and i + 1 < m and text[i + 1] > 64 and i > at):
                    break
                if (s == 8 or s == 9) and limit == m:
                    break
                digits = False
                counts[s] += 1
                h = word_step(h, c)
                if i > at and (s == 8 or s == 9):
                    markers |= _markers_at(text, i, m, bucket, start, points, bits)
                i += 1
            counts[0] = 0
            visible += i - at
            mask = vote(word_keys, word_votes, h)
            k = 0
            while mask:
                languages[k] += mask & 1
                mask >>= 1
                k += 1
            words[total] = h
            total += 1
            if open_line and not quoted:
                line_words += 1
                label = mix(label, h)
        row.script = classify(counts, languages, total, visible, signs)
        row.markers = markers
        if total:
            prefix = suffix = template = np.uint64(total if total < _ENDS else _ENDS)
            for k in range(min(_ENDS, total)):
                prefix = mix(prefix, words[k])
                suffix = mix(suffix, words[total - 1 - k])
            if first_label:
                template = mix(mix(np.uint64(1 << 32), first_label), last_label)
            else:
                for k in range(min(_PLAIN, total)):
                    template = mix(mix(template, words[k]), words[total - 1 - k])
            row.prefix = _finish(prefix)
            row.suffix = _finish(suffix)
            row.template = _finish(template)


@inline
def _markers_at(
    text: NDArray[np.uint32],
    at: int,
    m: int,
    bucket: NDArray[np.int32],
    start: NDArray[np.int32],
    points: NDArray[np.uint32],
    bits: NDArray[np.uint16],
) -> int:
    """Markers of the phrases that begin at `text[at]`; the text ends with a space."""
    if at + 3 >= m:
        return 0
    b = bucket_of(text[at], text[at + 1], text[at + 2], text[at + 3])
    found = 0
    for p in range(bucket[b], bucket[b + 1]):
        if _matches(text, at, m, points, start[p], start[p + 1]):
            found |= int(bits[p])
    return found


def fingerprint(prompts: Sequence[str]) -> NDArray[np.void]:
    """Fingerprint each prompt → PRINT[len(prompts)], every row present.

    Not promised: that equal prints mean equal prompts.
    """
    out = np.zeros(len(prompts), PRINT)
    if not prompts:
        return out
    parts = [prompt.encode("utf-8", "replace") for prompt in prompts]
    ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
    data = np.frombuffer(b"".join(parts) or b"\0", np.uint8)
    _fingerprint(data, ends, out, _FOLD, _SCRIPT, _OPERATORS, _WORD_KEYS, _WORD_VOTES, *_PHRASES)
    out["length"] = np.fromiter(map(len, prompts), np.int64, len(prompts))
    out["present"] = 1
    return out
