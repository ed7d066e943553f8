"""Which writing a prompt is in: the script of its letters, and for Latin letters the language its small words betray."""

# ruff: noqa: RUF001 - other languages have other letters

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from pipeline.base.jit import inline

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Script(IntEnum):
    """Values of the frame column `print_script` (u8). Appended, never renumbered."""

    NONE = 0  # no letters
    LATIN = 1  # Latin letters, language not recognised
    CYRILLIC = 2
    GREEK = 3
    ARABIC = 4
    HEBREW = 5
    DEVANAGARI = 6
    THAI = 7
    HAN = 8
    KANA = 9  # Japanese: kana with or without Han
    HANGUL = 10
    INDIC = 11  # the other scripts of South and South-East Asia
    OTHER = 12
    CODE = 13  # more brackets and operators than prose has
    ENGLISH = 32
    SPANISH = 33
    GERMAN = 34
    FRENCH = 35
    PORTUGUESE = 36
    ITALIAN = 37
    DUTCH = 38
    TURKISH = 39
    VIETNAMESE = 40
    POLISH = 41
    INDONESIAN = 42
    ROMANIAN = 43


SCRIPTS = 13
"""Classes that letters vote for (up to and including OTHER)."""
_FIRST_LANGUAGE = 32

# The commonest function words of each language that few of the others share.
_WORDS: dict[Script, str] = {
    Script.ENGLISH: "the and of to is in that with for this what how you are was which from have it my can be on by or write a an who did",
    Script.SPANISH: "de la el en los las que del por para con una un qué cómo cuál son está es más como y lo su se al fue a quién dónde",
    Script.GERMAN: "der die das und ist nicht ein eine wie den mit von zu auf wurde welche ich dem im für in wer was des sich war",
    Script.FRENCH: "le les des est une dans que pour quel quelle sur avec qui du pas ce été au et vous de la en un il à",
    Script.PORTUGUESE: "o os as que não uma do da em para com qual como são você é mais ao no na um de e a foi quem",
    Script.ITALIAN: "il gli che non una di per è con della come quale sono del nel più un le ha la e in cosa chi si",
    Script.DUTCH: "het een van de en niet dat met voor welke hoe zijn op wat werd te in is ook wie aan er die",
    Script.TURKISH: "ve bir bu için ne nedir hangi olarak ile olan kaç kim daha da de gibi çok nasıl en değil kadar nerede tarafından ya",
    Script.VIETNAMESE: "là của và có trong được những một các cho người gì không với đã này đến năm nào để ở khi tại",
    Script.POLISH: "i w nie się na jest z do co jak to że jaki które który od przez po oraz ile był kto za",
    Script.INDONESIAN: "yang dan di dari untuk dengan ini apa itu adalah pada tidak bagaimana dalam oleh ke saya akan bisa siapa",
    Script.ROMANIAN: "și în de la ce este care cu pe nu din un o a fost sunt pentru al cât mai că sau câți au ale unde",
}
LANGUAGES = len(_WORDS)
WORD_SLOTS = 2**13
SLOT_SHIFT = 64 - 13
PLACES = 64
"""Places of a word that hash differently; beyond, they repeat."""
BALLOT_BITS = 5
BALLOTS = 31
"""Ballots that can be summed before `count_votes` must empty the sum."""
DIGIT = 13
"""What `script_table` says of the digits 0–9; no script."""
_PRIME = 0x100000001B3
WORD_SEED = np.uint64(0xCBF29CE484222325)


def coefficients() -> NDArray[np.uint64]:
    """Odd multipliers by place in a word: a multilinear hash, so that characters do not wait for each other."""
    x = 0
    found = []
    for _ in range(PLACES):  # SplitMix64: Steele, Lea, Flood, OOPSLA 2014
        x = (x + 0x9E3779B97F4A7C15) % 2**64
        z = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        found.append((z ^ z >> 31) | 1)
    return np.array(found, np.uint64)


def word_votes(
    characters: Callable[[str], list[int]],
) -> tuple[NDArray[np.uint16], NDArray[np.uint64], NDArray[np.uint64], np.uint64]:
    """A table without collisions: slot → number of a word → its hash and its votes (five bits per language); the slots' multiplier.

    Number 0 is no word. The slots are 16 KB, the words 5: both stay in the cache.

    Args:
        characters: how normalised text is written (`text.characters`).
    """
    places = coefficients().tolist()
    ballots: dict[int, int] = {}
    for language, words in enumerate(_WORDS.values()):
        for word in sorted(set(words.split())):
            h = sum(c * k for c, k in zip(characters(word), places, strict=False)) % 2**64
            ballots[h] = ballots.get(h, 0) + (1 << BALLOT_BITS * language)
    hashes = np.array(list(ballots), np.uint64)
    odd = 1
    while len(np.unique(hashes * np.uint64(odd) >> np.uint64(SLOT_SHIFT))) < len(
        hashes
    ):  # one multiplier in some hundreds spreads them all
        odd += 2
    slots = np.zeros(WORD_SLOTS, np.uint16)
    slots[hashes * np.uint64(odd) >> np.uint64(SLOT_SHIFT)] = np.arange(1, len(hashes) + 1)
    votes = np.array([0, *ballots.values()], np.uint64)
    return slots, np.concatenate((np.zeros(1, np.uint64), hashes)), votes, np.uint64(odd)


@inline
def vote(slots: NDArray[np.uint16], keys: NDArray[np.uint64], votes: NDArray[np.uint64], odd: np.uint64, word: np.uint64) -> np.uint64:
    """The word's ballot: one in the field of each language that uses it; 0 for none."""
    number = slots[word * odd >> np.uint64(SLOT_SHIFT)]
    ballot: np.uint64 = votes[number] * np.uint64(keys[number] == word)
    return ballot


@inline
def count_votes(ballots: np.uint64, languages: NDArray[np.int32]) -> None:
    """Add a sum of at most 31 ballots to the counts."""
    for k in range(LANGUAGES):
        languages[k] += np.int32(ballots >> np.uint64(BALLOT_BITS * k) & np.uint64(31))


_RANGES: tuple[tuple[int, int, Script], ...] = (
    (0x0041, 0x005A, Script.LATIN), (0x0061, 0x007A, Script.LATIN), (0x00AA, 0x00AA, Script.LATIN), (0x00BA, 0x00BA, Script.LATIN),
    (0x00C0, 0x00D6, Script.LATIN), (0x00D8, 0x00F6, Script.LATIN), (0x00F8, 0x024F, Script.LATIN), (0x0250, 0x02AF, Script.LATIN),
    (0x0370, 0x0373, Script.GREEK), (0x0376, 0x0377, Script.GREEK), (0x037B, 0x037D, Script.GREEK), (0x0386, 0x0386, Script.GREEK),
    (0x0388, 0x03FF, Script.GREEK), (0x0400, 0x052F, Script.CYRILLIC), (0x0531, 0x058F, Script.OTHER), (0x0591, 0x05F4, Script.HEBREW),
    (0x0610, 0x061A, Script.ARABIC), (0x0620, 0x0669, Script.ARABIC), (0x066E, 0x06D3, Script.ARABIC), (0x06D5, 0x06FF, Script.ARABIC),
    (0x0700, 0x074F, Script.OTHER), (0x0750, 0x077F, Script.ARABIC), (0x0780, 0x07FF, Script.OTHER), (0x08A0, 0x08FF, Script.ARABIC),
    (0x0900, 0x0963, Script.DEVANAGARI), (0x0966, 0x097F, Script.DEVANAGARI), (0x0980, 0x0DFF, Script.INDIC), (0x0E01, 0x0E4E, Script.THAI),
    (0x0E80, 0x0FFF, Script.INDIC), (0x1000, 0x109F, Script.INDIC), (0x10A0, 0x10FF, Script.OTHER), (0x1100, 0x11FF, Script.HANGUL),
    (0x1200, 0x177F, Script.OTHER), (0x1780, 0x17FF, Script.INDIC), (0x1800, 0x1DBF, Script.OTHER), (0x1E00, 0x1EFF, Script.LATIN),
    (0x1F00, 0x1FFF, Script.GREEK), (0x2C00, 0x2DFF, Script.OTHER), (0x2E80, 0x2FDF, Script.HAN), (0x3005, 0x3007, Script.HAN),
    (0x3041, 0x30FF, Script.KANA), (0x3105, 0x312F, Script.HAN), (0x3131, 0x318E, Script.HANGUL), (0x31F0, 0x31FF, Script.KANA),
    (0x3400, 0x4DBF, Script.HAN), (0x4E00, 0x9FFF, Script.HAN), (0xA000, 0xABFF, Script.OTHER), (0xAC00, 0xD7FF, Script.HANGUL),
    (0xF900, 0xFAFF, Script.HAN), (0xFB1D, 0xFB4F, Script.HEBREW), (0xFB50, 0xFDFF, Script.ARABIC), (0xFE70, 0xFEFE, Script.ARABIC),
    (0xFF66, 0xFF9F, Script.KANA),
)  # fmt: skip


def script_table() -> NDArray[np.uint8]:
    """Script of every code point below U+10000; DIGIT for 0–9, 0 for what is neither."""
    table = np.zeros(0x10000, np.uint8)
    for first, last, script in _RANGES:
        table[first : last + 1] = script
    table[0x30:0x3A] = DIGIT
    return table


@inline
def classify(  # noqa: C901 - a ballot in one place
    counts: NDArray[np.int32], languages: NDArray[np.int32], words: int, visible: int, operators: int
) -> int:
    """Script class from the counts of one prompt.

    Args:
        counts: letters per script.
        languages: votes per Latin language.
        words: words in the prompt.
        visible: characters that are not white space.
        operators: brackets and operators among them.
    """
    if operators * 8 > visible and operators >= 8:
        return 13  # Script.CODE
    best, most = 0, 0
    japanese = counts[9] * 10 > counts[8]  # one kana in eleven: Han belongs to it
    for script in range(1, SCRIPTS):
        n = counts[script]
        if script >= 7 and script <= 10:
            n *= 2  # a syllable or word per sign
        if script == 8 and japanese:
            n = 0
        elif script == 9 and japanese:
            n += 2 * counts[8]
        if n > most:
            best, most = script, n
    if best == 1:
        winner, top, second = -1, 0, 0
        for k in range(LANGUAGES):
            if languages[k] > top:
                winner, second, top = k, top, languages[k]
            elif languages[k] > second:
                second = languages[k]
        if top > second and top * 20 >= words:
            return _FIRST_LANGUAGE + winner
    return best
