# ruff: noqa: RUF001 - other languages have other letters

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.intake import Marker, Script
from pipeline.intake.fingerprint import PRINT, fingerprint
from pipeline.intake.markers import PHRASES
from pipeline.intake.text import HEAD_BYTES, TAIL_BYTES, characters

TEXTS = {
    Script.ENGLISH: "What is the name of the river that flows through the old town, and who built the bridge over it?",
    Script.SPANISH: "¿Cuál es el nombre del río que pasa por la ciudad y quién construyó el puente?",
    Script.GERMAN: "Wie heißt der Fluss, der durch die Stadt fließt, und wer hat die Brücke gebaut?",
    Script.FRENCH: "Quel est le nom de la rivière qui traverse la ville, et qui a construit le pont dans les années passées ?",
    Script.PORTUGUESE: "Qual é o nome do rio que passa pela cidade e quem construiu a ponte que não existe mais?",
    Script.ITALIAN: "Qual è il nome del fiume che attraversa la città e chi ha costruito il ponte con gli archi?",
    Script.DUTCH: "Hoe heet de rivier die door het oude dorp stroomt en wie heeft de brug met een boog gebouwd?",
    Script.TURKISH: "Şehirden geçen nehrin adı nedir ve bu köprü kim tarafından hangi yılda yapıldı?",
    Script.VIETNAMESE: "Tên của con sông chảy qua thành phố là gì và người nào đã xây cây cầu này?",
    Script.POLISH: "Jak nazywa się rzeka, która przepływa przez miasto, i kto zbudował na niej most?",
    Script.INDONESIAN: "Apa nama sungai yang mengalir di kota ini dan siapa yang membangun jembatan itu?",
    Script.ROMANIAN: "Care este numele râului care trece prin oraș și cine a construit podul de la intrare?",
    Script.CYRILLIC: "Как называется река, которая течёт через город, и кто построил мост?",
    Script.GREEK: "Ποιο είναι το όνομα του ποταμού που περνά από την πόλη;",
    Script.ARABIC: "ما اسم النهر الذي يمر عبر المدينة ومن بنى الجسر؟",
    Script.HEBREW: "מה שם הנהר שעובר דרך העיר ומי בנה את הגשר?",
    Script.DEVANAGARI: "शहर से होकर बहने वाली नदी का नाम क्या है और पुल किसने बनाया?",
    Script.THAI: "แม่น้ำที่ไหลผ่านเมืองชื่ออะไร และใครเป็นผู้สร้างสะพาน",
    Script.HAN: "流经这座城市的河叫什么名字?是谁建造了这座桥?",
    Script.KANA: "町を流れる川の名前は何ですか。橋を建てたのは誰ですか。",
    Script.HANGUL: "도시를 흐르는 강의 이름은 무엇이며 다리는 누가 지었습니까?",
    Script.INDIC: "நகரத்தின் வழியாக ஓடும் ஆற்றின் பெயர் என்ன?",
    Script.CODE: "for (int i = 0; i < n; i++) { a[i] += b[i] * c[i]; if (a[i] > max) { max = a[i]; } }",
    Script.NONE: "12 + 34 = ?",
}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two int8 vectors."""
    x, y = a.astype(float), b.astype(float)
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def profile(text: str) -> Counter[str]:
    """Counts of the character 3- to 5-grams, by the book."""
    text = " " + re.sub(r"\s+", " ", text.lower()).strip() + " "
    return Counter(text[i : i + n] for n in (3, 4, 5) for i in range(len(text) - n + 1))


def exact_cosine(a: str, b: str) -> float:
    """Cosine of two n-gram profiles."""
    x, y = profile(a), profile(b)
    return float(sum(n * y[g] for g, n in x.items()) / np.sqrt(sum(n * n for n in x.values()) * sum(n * n for n in y.values())))


def test_a_row_is_small() -> None:
    """What leaves ingest per event is at most 256 bytes: everything but the digest, which stays."""
    assert PRINT.itemsize - 8 <= 256


@pytest.mark.parametrize("script", TEXTS, ids=lambda script: script.name)
def test_script_and_language(script: Script) -> None:
    """Each script, and each Latin language with its small words, is recognised in a sentence."""
    assert fingerprint([TEXTS[script]])["script"][0] == script


def test_every_phrase_sets_its_marker() -> None:
    """Each phrase in the list is found in running text, alone, at the end and over wide spaces."""
    for marker, phrases in PHRASES.items():
        for phrase in phrases:
            said = phrase.replace("#", "25")
            found = fingerprint([f"(x) {said} y", said, f"q {said}", f"Well, {said.replace(' ', '  ')}."])["markers"]
            assert all(bits & marker for bits in found.tolist()), phrase


def test_markers_are_words_not_letters() -> None:
    """Phrases inside other words of spaced scripts do not count, nor do harmless questions in any language."""
    texts = [*TEXTS.values(), "a footstep by stepping stones", "the overubric", "unjsonl", "come up with a name for 5 cats"]
    assert [Marker(bits) for bits in fingerprint(texts)["markers"].tolist()] == [Marker(0)] * len(texts)


def test_case_space_and_look_alikes_are_folded() -> None:
    """Capitals, runs of white space, invisible characters, full-width letters and curly quotes do not make another prompt."""
    plain = "Let's think: what is 'it' - said the old man"
    variants = [
        "LET'S  THINK:\u00a0what is \u2018it\u2019 \u2013 said the old man",
        "Let\u2019s think\uff1a what\u200b is 'it' \u2014 said the o\u00adld man",
        "\uff2cet's think: what is 'it' - said the old man\n",
    ]
    rows = fingerprint([plain, *variants])
    for name in ("sketch", "template", "prefix", "suffix", "markers", "script"):
        assert (rows[name] == rows[name][0]).all(), name


def test_numbers_are_alike() -> None:
    """Prompts that differ in numbers only have the same three hashes."""
    a, b = fingerprint(["Question 12 of 99: add 5 and 7 now", "Question 8 of 1234567: add 31 and 2 now"])
    assert (a["template"], a["prefix"], a["suffix"]) == (b["template"], b["prefix"], b["suffix"])


TEMPLATES = {
    "prefix": "Summarise the following article for me {}",
    "suffix": "{} Let us give the final answer in one word",
    "template": "{} sat there.\nQuestion: {} What follows?\nOptions: {}",
}
PAYLOADS = [
    "The heron flies at dawn",
    "Markets fell by 3 percent. Nobody knows why",
    "a tale of two rivers,\nretold",
    "Ключевая ставка",
    "水の音",
]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_shows_whatever_its_payload(name: str) -> None:
    """Wherever the fixed part stands, one of the three hashes is equal for all payloads, and differs for another fixed part."""
    rows = fingerprint([TEMPLATES[name].format(payload, payload, payload) for payload in PAYLOADS])
    assert len(set(rows[name].tolist())) == 1
    others = fingerprint([text.format("x y z", "x", "x") for key, text in TEMPLATES.items() if key != name])
    assert rows[name][0] not in others[name].tolist()


def test_different_texts_have_different_hashes() -> None:
    """Ordinary distinct texts do not collide in any of the three hashes."""
    rows = fingerprint(list(TEXTS.values())[:-1])
    for name in ("template", "prefix", "suffix"):
        assert len(set(rows[name].tolist())) == len(rows), name


def test_sketches_estimate_the_cosine_of_profiles() -> None:
    """Over many pairs of texts, the error of the estimate is unbiased and as small as 128 dimensions promise."""
    rng = np.random.default_rng(5)
    words = ["river", "bridge", "stone", "heron", "water", "quiet", "dawn", "market", "answer", "model", "reason", "winter", "letter"]
    texts = []
    for _ in range(60):
        base = list(rng.choice(words, 60))
        texts += [" ".join(base), " ".join([*base[:40], *rng.choice(words, 20)]), " ".join(rng.permutation(base))]
    texts += list(TEXTS.values())
    rows = fingerprint(texts)["sketch"]
    pairs = [*pairwise(range(len(texts))), *((i, (7 * i) % len(texts)) for i in range(len(texts)) if (7 * i) % len(texts) != i)]
    error = np.array([cosine(rows[i], rows[j]) - exact_cosine(texts[i], texts[j]) for i, j in pairs])
    assert abs(error.mean()) < 0.03
    assert np.sqrt((error**2).mean()) < 0.12


def test_only_head_and_tail_count() -> None:
    """The middle of a huge prompt changes nothing but its digest and length, also when the cut falls inside a character."""
    head, tail = "start é" * 400, "é end" * 300
    assert len(head.encode()) > HEAD_BYTES
    assert len(tail.encode()) > TAIL_BYTES
    rows = fingerprint([head + "é" * n + "x" * 5_000 + tail for n in (0, 1, 2)])
    for name in ("sketch", "template", "prefix", "suffix", "markers", "script"):
        assert (rows[name] == rows[name][0]).all(), name
    assert len(set(rows["digest"].tolist())) == 3
    assert rows["length"].tolist() == [len(head) + n + 5_000 + len(tail) for n in (0, 1, 2)]


def test_the_digest_sees_every_byte() -> None:
    """Two prompts that differ only in their middle, or in case, have different digests."""
    texts = ["a" * 5_000 + x + "a" * 5_000 for x in "bB"]
    assert len(set(fingerprint(texts)["digest"].tolist())) == 2


@pytest.mark.parametrize("text", ["", " ", "\n\n", "?", "\U0001f600", "a", "ab", "水", "1", ":", "x:", "\\n", "'", "a'"])
def test_tiny_texts(text: str) -> None:
    """Texts without words have no hashes; nothing is too short."""
    (row,) = fingerprint([text])
    assert (row["present"], row["length"]) == (1, len(text))
    has_words = any(c.isalnum() for c in text.replace("\\n", ""))
    assert (row["prefix"] != 0) == (row["suffix"] != 0) == (row["template"] != 0) == has_words


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=300) | st.text(alphabet="ab \n:'\"\\n水か1\U00020000", max_size=300), min_size=1, max_size=5))
def test_any_text_has_a_print_of_its_own(texts: list[str]) -> None:
    """Any text has a fingerprint, the same alone and among others; hashes fit JSON integers."""
    together = fingerprint(texts)
    for i, text in enumerate(texts):
        assert fingerprint([text])[0] == together[i]
    for name in ("template", "prefix", "suffix"):
        assert (together[name] < 2**63).all()


def test_phrases_are_written_normalised() -> None:
    """The lists hold what the kernel sees: lower case, single spaces, folded characters."""
    for phrases in PHRASES.values():
        for phrase in phrases:
            assert phrase == phrase.lower()
            assert "  " not in phrase
            assert [c & 0xFF_FFFF for c in characters(phrase)] == [ord(c) for c in phrase]
