# ruff: noqa: RUF001 - other scripts have letters and punctuation that look like ours
"""Languages of the text generator: real function words, content words built from each script's syllables.

The texts mean nothing. What they keep is what a fingerprint sees: script, word lengths, a Zipf vocabulary, the function
words that make a language look like itself, and topics that share words inside and differ between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Language:
    """How one language looks.

    Attributes:
        function_words: frequent words, most frequent first, spaces between.
        onsets, nuclei, codas: the parts of a syllable.
        syllables: lowest and highest number of syllables in a content word.
        spaced: words stand apart.
        cased: a sentence starts with a capital.
        stops: sentence ends with what follows them, most frequent first.
        chars_per_token: characters per model token, for usage figures (orders of magnitude of public tokenisers).
    """

    code: str
    function_words: str
    onsets: tuple[str, ...]
    nuclei: tuple[str, ...]
    codas: tuple[str, ...]
    syllables: tuple[int, int] = (1, 4)
    spaced: bool = True
    cased: bool = True
    stops: tuple[str, ...] = (". ", ". ", ". ", "? ", ", ", ".\n")
    chars_per_token: float = 4.0


def _ideographs() -> tuple[str, ...]:
    return tuple(chr(0x4E00 + 29 * i) for i in range(620))


def _hangul() -> tuple[str, ...]:
    return tuple(chr(0xAC00 + 28 * i + (i % 3)) for i in range(0, 399, 2))


_LATIN_ONSETS = ("b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "br", "cr", "dr", "pl", "pr", "st", "tr", "")
_CJK_STOPS = ("。", "。", "。", "？", "，", "。\n")

LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language(
            "en",
            "the of and to a in is that it for you with on as are this be or have not can from what how i my we do if at by an will "
            "your which when please about there more their has was one all would but so out up them some any into than its",
            (*_LATIN_ONSETS, "sh", "ch", "th", "w", "k", "gr", "fl", "cl", "sp"),
            ("a", "e", "i", "o", "u", "ea", "ou", "ai", "ee", "io"),
            ("", "", "n", "r", "t", "s", "l", "nd", "st", "ng", "ck", "m", "ment", "tion"),
            (1, 3),
        ),
        Language(
            "es",
            "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ya este sí qué cómo",
            (*_LATIN_ONSETS, "ll", "ñ", "qu", "j"),
            ("a", "e", "i", "o", "u", "ie", "ue", "ó", "á"),
            ("", "", "", "s", "n", "r", "l", "ción", "dad"),
            (2, 4),
        ),
        Language(
            "de",
            "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat wie was",
            (*_LATIN_ONSETS, "sch", "w", "z", "k", "kr", "pf", "zw"),
            ("a", "e", "i", "o", "u", "ei", "ie", "au", "ä", "ö", "ü"),
            ("", "n", "r", "t", "ch", "s", "ng", "lich", "ung", "cht", "nd"),
            (1, 4),
        ),
        Language(
            "fr",
            "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec son comment",
            (*_LATIN_ONSETS, "j", "qu", "ch", "gn"),
            ("a", "e", "i", "o", "u", "ou", "eau", "oi", "é", "è", "ai"),
            ("", "", "", "r", "t", "s", "n", "nt", "tion", "ment", "que"),
            (1, 4),
        ),
        Language(
            "pt",
            "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou",
            (*_LATIN_ONSETS, "lh", "nh", "qu", "j"),
            ("a", "e", "i", "o", "u", "ã", "ei", "ou", "é"),
            ("", "", "", "s", "r", "m", "l", "ção", "dade"),
            (2, 4),
        ),
        Language(
            "tr",
            "ve bir bu da de için ile çok gibi daha en ne olarak kadar olan sonra var mi nasıl ama ya her o ben biz şu değil",
            ("b", "c", "ç", "d", "g", "h", "k", "l", "m", "n", "p", "r", "s", "ş", "t", "v", "y", "z", ""),
            ("a", "e", "ı", "i", "o", "ö", "u", "ü"),
            ("", "", "n", "r", "k", "l", "lar", "ler", "dı", "mek", "sın"),
            (2, 4),
        ),
        Language(
            "ru",
            "и в не на я что он с как это по но они мы к у из за от то все так его для о же вы бы если или когда где можно",
            ("б", "в", "г", "д", "ж", "з", "к", "л", "м", "н", "п", "р", "с", "т", "ф", "х", "ч", "ш", "пр", "ст", "тр", ""),
            ("а", "е", "и", "о", "у", "я", "ы", "ю", "ё"),
            ("", "", "й", "н", "т", "ть", "л", "м", "ние", "ость", "ский"),
            (1, 4),
            chars_per_token=2.6,
        ),
        Language(
            "zh",
            "的 是 了 在 我 有 不 和 这 就 都 一个 也 很 到 要 你 请 如何 什么 可以 怎么 对 为 以 与 中 上",
            _ideographs(),
            ("",),
            ("",),
            (1, 3),
            spaced=False,
            cased=False,
            stops=_CJK_STOPS,
            chars_per_token=1.1,
        ),
        Language(
            "ja",
            "の に は を た が で て と し れ さ ある いる も する から な こと として です ます ください どう",
            (
                "か",
                "き",
                "く",
                "さ",
                "し",
                "た",
                "と",
                "な",
                "ま",
                "ら",
                "り",
                "や",
                "山",
                "本",
                "学",
                "分",
                "手",
                "方",
                "国",
                "時",
                "会",
                "社",
            ),
            ("", "い", "う", "ん"),
            ("",),
            (1, 3),
            spaced=False,
            cased=False,
            stops=_CJK_STOPS,
            chars_per_token=1.2,
        ),
        Language(
            "ko",
            "이 그 저 것 수 등 및 를 을 은 는 에서 으로 하는 있는 어떻게 무엇 대한 위해 그리고 하지만 주세요",
            _hangul(),
            ("",),
            ("", "", "에", "의", "이"),
            (2, 3),
            cased=False,
            chars_per_token=1.6,
        ),
        Language(
            "ar",
            "في من على إلى عن أن هذا التي مع كان لا ما هو هي كل بعد أو قد ذلك كيف هل بين عند لم يمكن",
            ("ب", "ت", "ث", "ج", "ح", "خ", "د", "ر", "س", "ش", "ص", "ط", "ع", "ف", "ق", "ك", "ل", "م", "ن", "ه"),
            ("", "ا", "و", "ي"),
            ("", "", "ة", "ات", "ين"),
            (2, 4),
            cased=False,
            stops=(". ", ". ", "؟ ", "، ", ".\n"),
            chars_per_token=2.2,
        ),
        Language(
            "hi",
            "के में की है और से का को पर यह कि एक ने हो नहीं भी था लिए कर या कैसे क्या तो जो मैं हम आप",
            ("क", "ख", "ग", "च", "ज", "ट", "ड", "त", "द", "न", "प", "ब", "म", "य", "र", "ल", "व", "श", "स", "ह"),
            ("", "ा", "ि", "ी", "ु", "े", "ो"),
            ("", "", "न", "र", "ता", "ना"),
            (1, 3),
            cased=False,
            stops=("। ", "। ", "? ", ", ", "।\n"),
            chars_per_token=1.8,
        ),
        Language(
            "code",
            "self return if for in = ( ) : [ ] import def not None else . , + == class with as from True",
            (*_LATIN_ONSETS, "k", "x", "_", "get", "set", "is"),
            ("a", "e", "i", "o", "u", "_"),
            ("", "n", "r", "t", "x", "_id", "s", "er", "()"),
            (1, 3),
            cased=False,
            stops=("\n", "\n    ", ":\n        ", "\n\n", ")\n", " # "),
            chars_per_token=3.2,
        ),
    )
}

SPOKEN = tuple(code for code in LANGUAGES if code != "code")
"""Languages people write to each other in."""


def make_words(language: Language, count: int, rng: np.random.Generator) -> list[str]:
    """Return `count` different content words."""
    low, high = language.syllables
    found: dict[str, None] = {}
    while len(found) < count:
        size = 2 * (count - len(found)) + 16
        lengths = rng.integers(low, high, size, endpoint=True).tolist()
        total = sum(lengths)
        onsets = rng.integers(len(language.onsets), size=total).tolist()
        nuclei = rng.integers(len(language.nuclei), size=total).tolist()
        codas = rng.integers(len(language.codas), size=total).tolist()
        at = 0
        for length in lengths:
            syllables = [
                language.onsets[onsets[k]] + language.nuclei[nuclei[k]] + (language.codas[codas[k]] if k == at + length - 1 else "")
                for k in range(at, at + length)
            ]
            at += length
            found["".join(syllables)] = None
    return list(found)[:count]
