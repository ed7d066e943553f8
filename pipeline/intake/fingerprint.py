"""Prompt → fingerprint: what detection needs to know of a text, in 160 bytes from which the text cannot be read back.

- `sketch`: 128 × int8. Each character 3-, 4- and 5-gram hashes to one dimension and a sign; the sums are scaled to ±127. The
  cosine of two sketches estimates that of the n-gram count profiles, with a standard error of about 1/√128 = .09.
- `template`: hash of the first and the last label (words before a colon); without labels, of the first and last three words.
- `prefix`, `suffix`: hash of the first and last four words.
- `length`: characters of the whole prompt. `script`: `scripts.Script`. `markers`: `markers.Marker`.

Words are lower-case, numbers are all alike. Only the first 2,048 and last 1,024 bytes count. Hashes have 63 bits (JSON integers
of gateways that fingerprint themselves), 0 for none. Together the three hashes find a template wherever its payload stands.
Sources: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009; Charikar, Chen, Farach-Colton,
"Finding Frequent Items in Data Streams", ICALP 2002 (the signs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.base.hashing import digest_bytes, mix
from pipeline.base.jit import inline, kernel
from pipeline.events.frame import SKETCH_DIMS
from pipeline.intake.markers import bucket_of, compile_phrases
from pipeline.intake.scripts import BALLOTS, DIGIT, LANGUAGES, PLACES, SCRIPTS, classify, coefficients, count_votes, vote, word_votes
from pipeline.intake.text import CAPACITY, KIND_SHIFT, NEWLINE, SPACE, characters, fold_table, normalise

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
_VOTES = word_votes(characters)
_PLACES = coefficients()
_PHRASES = compile_phrases()
_OPERATORS = np.zeros(128, np.uint8)
_OPERATORS[[ord(c) for c in "{}()[];=<>_/\\|&*+#@$`^~"]] = 1


@inline
def _finish(h: np.uint64) -> np.uint64:
    h &= _MASK63
    return h or np.uint64(1)


@inline
def _sketch(text: NDArray[np.uint32], m: np.uint64, counts: NDArray[np.int32], sums: NDArray[np.int32], row: NDArray[np.int8]) -> None:
    """Signed sums of the 3-, 4- and 5-grams of `text[:m]`, scaled to int8 (bit-equal everywhere).

    The top byte of a hash is dimension and sign; each of the three counts into a table of its own, so that one addition
    seldom waits for the one before.
    """
    # A polynomial in k over spread code points: multilinear, so its top bits hash well without a finisher.
    k, spread = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
    top, four, five = np.uint64(56), np.uint64(256), np.uint64(512)
    counts[:] = 0
    u0, u1, u2, u3 = np.uint64(text[0]) * spread, np.uint64(text[1]) * spread, np.uint64(text[2]) * spread, np.uint64(text[3]) * spread
    last = m - np.uint64(2) if m > np.uint64(2) else np.uint64(0)
    i = np.uint64(0)
    while i + np.uint64(2) < last:
        u4 = np.uint64(text[i + np.uint64(4)]) * spread
        h = (u0 * k + u1) * k + u2
        counts[h >> top] += 1
        h = h * k + u3
        counts[four + (h >> top)] += 1
        h = h * k + u4
        counts[five + (h >> top)] += 1
        u0, u1, u2, u3 = u1, u2, u3, u4
        i += np.uint64(1)
    while i < last:  # the last two places have no room for the longest
        h = (u0 * k + u1) * k + u2
        counts[h >> top] += 1
        if i + np.uint64(3) < m:
            h = h * k + u3
            counts[four + (h >> top)] += 1
        u0, u1, u2 = u1, u2, u3
        i += np.uint64(1)
    highest = 1
    for d in range(SKETCH_DIMS):
        v = counts[2 * d] - counts[2 * d + 1] + counts[256 + 2 * d] - counts[257 + 2 * d] + counts[512 + 2 * d] - counts[513 + 2 * d]
        sums[d] = v
        highest = max(highest, abs(v))
    # (254 |v| + highest) // (2 highest): quotients below 2**15 that are no integers stay 2**-16 away from them, 1e-6 is far less
    scale = 0.5 / highest
    for d in range(SKETCH_DIMS):
        v = sums[d]
        q = np.int32((abs(v) * 254 + highest) * scale + 1e-6)
        row[d] = q if v >= 0 else -q


@inline
def _matches(text: NDArray[np.uint32], at: np.uint64, m: np.uint64, points: NDArray[np.uint32], start: int, stop: int) -> bool:
    i = at
    for k in range(start, stop):
        p = points[k]
        if p == 35:  # '#': a run of digits
            if text[i] >> KIND_SHIFT != DIGIT:
                return False
            while text[i] >> KIND_SHIFT == DIGIT:
                i += np.uint64(1)
        elif i < m and (text[i] == p or (p == SPACE and text[i] == NEWLINE)):
            i += np.uint64(1)
        else:
            return False
    return True


class Shelf(NamedTuple):
    """What the kernels look things up in; constant."""

    fold: NDArray[np.uint32]
    operators: NDArray[np.uint8]
    word_slots: NDArray[np.uint16]
    word_keys: NDArray[np.uint64]
    word_votes: NDArray[np.uint64]
    odd: np.uint64
    places: NDArray[np.uint64]
    occupied: NDArray[np.uint8]
    """Which buckets have phrases."""
    bucket: NDArray[np.int32]
    start: NDArray[np.int32]
    points: NDArray[np.uint32]
    bits: NDArray[np.uint16]


SHELF = Shelf(
    _FOLD, _OPERATORS, *_VOTES, _PLACES, (np.diff(_PHRASES.bucket) > 0).astype(np.uint8),
    _PHRASES.bucket, _PHRASES.start, _PHRASES.points, _PHRASES.bits,
)  # fmt: skip


class Desk(NamedTuple):
    """Room to work in, for one prompt at a time."""

    text: NDArray[np.uint32]
    grams: NDArray[np.int32]
    sums: NDArray[np.int32]
    words: NDArray[np.uint64]
    counts: NDArray[np.int32]
    languages: NDArray[np.int32]


@kernel
def _phrases(text: NDArray[np.uint32], at: np.uint64, m: np.uint64, shelf: Shelf, bucket: np.uint64) -> int:
    """Markers among the phrases of a bucket that begin at `text[at]`."""
    found = 0
    for p in range(shelf.bucket[bucket], shelf.bucket[bucket + np.uint64(1)]):
        if _matches(text, at, m, shelf.points, shelf.start[p], shelf.start[p + 1]):
            found |= int(shelf.bits[p])
    return found


@inline
def new_desk() -> Desk:
    """A desk, for use inside kernels."""
    return Desk(
        np.empty(CAPACITY, np.uint32),
        np.empty(3 * 256, np.int32),
        np.empty(SKETCH_DIMS, np.int32),
        np.empty(_MAX_WORDS, np.uint64),
        np.empty(SCRIPTS + 1, np.int32),
        np.empty(LANGUAGES, np.int32),
    )


@inline
def _ends(text: NDArray[np.uint32], i: np.uint64) -> bool:
    """Whether a word ends before `text[i]`: at what is no letter; letters around an apostrophe are one word."""
    c = text[i]
    return c >> KIND_SHIFT == 0 and not (c == 39 and text[i + np.uint64(1)] >> KIND_SHIFT != 0)


@kernel
def fingerprint_text(  # noqa: C901, PLR0912, PLR0915 - one loop over characters; calls would hide its state
    data: NDArray[np.uint8],
    begin: int,
    end: int,
    shelf: Shelf,
    desk: Desk,
    row: Any,  # noqa: ANN401 - a record of PRINT, which numpy cannot name
) -> None:
    """Fingerprint the prompt `data[begin:end]` (UTF-8) into a row of PRINT: everything but `length` and `present`."""
    text, words, counts, languages = desk.text, desk.words, desk.counts, desk.languages
    one, wrap = np.uint64(1), np.uint64(PLACES - 1)
    zero = np.uint32(DIGIT << KIND_SHIFT | 48)
    row.template = row.prefix = row.suffix = np.uint64(0)
    row.digest = digest_bytes(data, begin, end)
    m = np.uint64(normalise(data, begin, end, shelf.fold, text))  # unsigned, as in `text`
    _sketch(text, m, desk.grams, desk.sums, row.sketch)

    counts[:] = 0
    languages[:] = 0
    ballots = np.uint64(0)
    uncounted = 0
    markers = 0
    visible = 0
    signs = 0
    total = 0  # words
    line_words = 0  # of this line so far
    open_line = True  # no label found on this line
    quoted = False
    first_label = last_label = np.uint64(0)
    label = np.uint64(0)
    i = one
    while i < m:
        c = text[i]
        if c <= SPACE:
            if c == NEWLINE:
                line_words = 0
                open_line = True
                quoted = False
                label = np.uint64(0)
            i += one
            continue
        script = c >> KIND_SHIFT
        if script == 0:
            visible += 1
            if c < 128:
                signs += shelf.operators[c]
                if c == 34:
                    quoted = not quoted
                elif c == 58:  # a colon that is no part of an address or a time
                    if open_line and 0 < line_words <= _LABEL_WORDS and text[i + one] != 47 and text[i - one] >> KIND_SHIFT != DIGIT:
                        last_label = label
                        if first_label == 0:
                            first_label = label
                        open_line = False
                elif c == 60:  # '<' may begin a phrase, as in "<think"
                    b = bucket_of(text, i)
                    markers |= _phrases(text, i, m, shelf, b)
            i += one
            continue
        # a word: a run of letters and digits; dense scripts are cut every two signs, Thai every three
        at = i
        dense = script in (8, 9)
        limit = m
        if dense:
            limit = i + np.uint64(2)
        elif script == 7:
            limit = i + np.uint64(3)
        b = bucket_of(text, i)
        if shelf.occupied[b]:
            markers |= _phrases(text, i, m, shelf, b)
        h = np.uint64(0)
        place = np.uint64(0)
        letters = 0
        s = script
        if not dense and script not in (7, DIGIT):  # most words are letters of one script and nothing else
            while s == script:
                h += np.uint64(c) * shelf.places[place & wrap]
                place += one
                i += one
                c = text[i]
                s = c >> KIND_SHIFT
            letters = int(place)
            if s in (8, 9) or _ends(text, i):
                limit = i
        while i < limit:
            h += np.uint64(c) * shelf.places[place & wrap]
            place += one
            if s == script:
                letters += 1
            else:
                counts[s] += 1
            if s == DIGIT:  # a number counts as its first digit, which is 0
                h += (np.uint64(zero) - np.uint64(c)) * shelf.places[place - one & wrap]
                while text[i + one] >> KIND_SHIFT == DIGIT:
                    i += one
            i += one
            c = text[i]
            s = c >> KIND_SHIFT
            if _ends(text, i):
                break
            if s in (8, 9):
                if not dense:
                    break
                if i < limit:
                    b = bucket_of(text, i)
                    if shelf.occupied[b]:
                        markers |= _phrases(text, i, m, shelf, b)
        counts[script] += letters
        visible += int(i - at)
        ballots += vote(shelf.word_slots, shelf.word_keys, shelf.word_votes, shelf.odd, h)
        uncounted += 1
        if uncounted == BALLOTS:
            count_votes(ballots, languages)
            ballots = np.uint64(0)
            uncounted = 0
        words[total] = h
        total += 1
        if open_line and line_words <= _LABEL_WORDS and not quoted:
            line_words += 1
            label = mix(label, h)
    count_votes(ballots, languages)
    row.script = classify(counts, languages, total, visible, signs)
    row.markers = markers
    if total:
        prefix = suffix = template = np.uint64(min(total, _ENDS))
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


@kernel
def _fingerprint(data: NDArray[np.uint8], ends: NDArray[np.int64], out: NDArray[np.void], shelf: Shelf) -> None:
    desk = new_desk()
    begin = 0
    for n in range(ends.shape[0]):
        fingerprint_text(data, begin, ends[n], shelf, desk, out[n])
        begin = ends[n]


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
    _fingerprint(data, ends, out, SHELF)
    out["length"] = np.fromiter(map(len, prompts), np.int64, len(prompts))
    out["present"] = 1
    return out
