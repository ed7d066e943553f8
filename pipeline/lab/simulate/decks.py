"""Decks of phrases: what a prompt of one language and topic is dealt from.

A sentence is a head, one to three middles and a tail, each a phrase of two to five words, dealt independently: about
10^8 different sentences per topic, so people do not repeat themselves, and one topic still shares its vocabulary.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from pipeline.lab.simulate.dice import generator
from pipeline.lab.simulate.languages import LANGUAGES, make_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.simulate.languages import Language

HEADS, MIDDLES, TAILS = 512, 1024, 512
"""Phrases per deck, in this order."""

TOPICS = 48
"""Topics per language."""

_GENERAL_WORDS = 2500
_TOPIC_WORDS = 320
_SHARES = (0.42, 0.30, 0.28)  # function, topic and general words in running text
_DECK_PATH, _GENERAL_PATH = 101, 102

# Order of phrases in running text: 0 head, 1 middle, 2 tail; one to three middles per sentence.
_PATTERN = np.array([0, 1, 1, 2, 0, 1, 2, 0, 1, 1, 1, 2, 0, 1, 1, 2], np.int64)
_BASE = np.array([0, HEADS, HEADS + MIDDLES], np.int64)
_SPAN = np.array([HEADS, MIDDLES, TAILS], np.int64)
_SENTENCES = np.flatnonzero(_PATTERN == 0)


def _zipf_sample(rng: np.random.Generator, words: int, size: int) -> NDArray[np.int64]:
    """Indices of words by a Zipf–Mandelbrot law (exponent 1.05, shift 2.7)."""
    weights = 1.0 / (np.arange(words) + 2.7) ** 1.05
    edges = np.cumsum(weights)
    drawn: NDArray[np.int64] = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    return drawn


class Library:
    """All decks of one seed, made when first used. The order of use does not change them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._general: dict[str, list[str]] = {}
        self._decks: dict[tuple[str, int], list[str]] = {}

    def deck(self, code: str, topic: int) -> list[str]:
        """Phrases of a language and topic: heads, then middles, then tails."""
        key = (code, topic % TOPICS)
        found = self._decks.get(key)
        if found is None:
            found = self._decks[key] = self._make(*key)
        return found

    def _number(self, code: str) -> int:
        return list(LANGUAGES).index(code)

    def _general_words(self, code: str) -> list[str]:
        found = self._general.get(code)
        if found is None:
            rng = generator(self.seed, _GENERAL_PATH, self._number(code))
            found = self._general[code] = make_words(LANGUAGES[code], _GENERAL_WORDS, rng)
        return found

    def _make(self, code: str, topic: int) -> list[str]:
        language = LANGUAGES[code]
        rng = generator(self.seed, _DECK_PATH, self._number(code), topic)
        own = make_words(language, _TOPIC_WORDS, rng)
        total = HEADS + MIDDLES + TAILS
        lengths = rng.integers(2, 5, total, endpoint=True)
        words = _running_words(rng, (language.function_words.split(), own, self._general_words(code)), int(lengths.sum()))
        stops = [language.stops[i] for i in rng.integers(len(language.stops), size=TAILS).tolist()]
        ends = list(accumulate(lengths.tolist()))
        starts = [0, *ends[:-1]]
        return [_phrase(language, words[a:b], i, stops) for i, (a, b) in enumerate(zip(starts, ends, strict=True))]


def _running_words(rng: np.random.Generator, sources: tuple[list[str], ...], size: int) -> list[str]:
    words = np.empty(size, object)
    source = rng.choice(len(sources), size=size, p=_SHARES)
    for number, vocabulary in enumerate(sources):
        at = np.flatnonzero(source == number)
        words[at] = np.array(vocabulary, object)[_zipf_sample(rng, len(vocabulary), at.size)]
    found: list[str] = words.tolist()
    return found


def _phrase(language: Language, words: list[str], position: int, stops: list[str]) -> str:
    space = " " if language.spaced else ""
    text = space.join(words)
    if position >= HEADS + MIDDLES:
        return text + stops[position - HEADS - MIDDLES]
    if position < HEADS and language.cased:
        text = text[:1].upper() + text[1:]
    return text + space


def deal(rng: np.random.Generator, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal running text: `counts[i]` phrase numbers for text i, all in one array (each text starts a sentence)."""
    total = int(counts.sum())
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    opening = np.repeat(_SENTENCES[rng.integers(_SENTENCES.size, size=counts.size)], counts)
    part = _PATTERN[(opening + np.arange(total) - starts) % _PATTERN.size]
    dealt: NDArray[np.int64] = _BASE[part] + (rng.random(total) * _SPAN[part]).astype(np.int64)
    return dealt
