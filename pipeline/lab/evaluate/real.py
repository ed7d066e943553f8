"""Marginals read from public data sets repacked as Parquet (see the folder's README for sources and licences).

Arrivals and tokens: 205 tenants of ServeGen. Texts: ShareGPT turns, AG News items, XQuAD in twelve languages, and for
extraction-like prompts T0 templates, GSM8K, CodeAlpaca and chain-of-thought sets. Prefix reuse: Mooncake. pyarrow is needed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.base.errors import SettingsError
from pipeline.base.hashing import hash_text
from pipeline.intake.fingerprint import fingerprint
from pipeline.lab.evaluate.marginals import CLUMPS, QUANTILES, SLOT_MS, SLOTS, Group, Marginals, Tenant, TextKind, swing_of
from pipeline.lab.evaluate.split import side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK = 240
"""Texts of a data set that make one group."""
_NEIGHBOURHOOD = 16
"""ShareGPT conversations whose openings resemble each other make one group: one conversation has 3.6 turns."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_MAX_CHARS = 6_000


def _columns(folder: Path, name: str) -> dict[str, list[Any]]:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - an extra: only --data needs it
    except ImportError:
        raise SettingsError(
            "--data needs pyarrow",
            next_step="pip install 'stillwatch[evaluate]', or leave --data out: the parametric generator needs nothing",
        ) from None
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise SettingsError(f"--data {folder}: {path.name} is not there", next_step="point it at the folder with the Parquet files")
    columns: dict[str, list[Any]] = pyarrow.parquet.read_table(path).to_pydict()
    return columns


@lru_cache(maxsize=1)
def load_real(folder: Path) -> Marginals:
    """Read the folder once per process.

    Raises:
        SettingsError: pyarrow or a file is missing.
    """
    return Marginals("real", tuple(_tenants(folder)), tuple(_groups(folder)), _reuse(folder))


# ---- tenants


def _tenants(folder: Path) -> Iterable[Tenant]:
    tokens: dict[str, list[tuple[list[float], list[float]]]] = defaultdict(list)
    found = _columns(folder, "client_tokens")
    for client, inputs, outputs in zip(found["client"], found["input_tokens_q"], found["output_tokens_q"], strict=True):
        tokens[client].append((inputs, outputs))
    found = _columns(folder, "client_rates")
    clients = np.array(found["client"])
    told = [pair for pairs in tokens.values() for pair in pairs]
    usual = (np.median([i for i, _ in told], axis=0).tolist(), np.median([o for _, o in told], axis=0).tolist())
    slot = np.array(found["t_s"], np.int64) * 1000 // SLOT_MS
    rate = np.array(found["rate_rps"], np.float64)
    cv = np.array(found["interarrival_cv"], np.float64)
    for client in sorted(set(found["client"])):
        at = np.flatnonzero(clients == client)
        counts = tokens.get(client) or [usual]  # the source tells no tokens of one tenant in ten: everybody's medians then
        weights, clump = np.zeros(SLOTS), np.ones(SLOTS)
        np.add.at(weights, slot[at], rate[at])
        spread = np.nan_to_num(cv[at], nan=1.0)
        clump[slot[at]] = np.clip((1.0 + spread**2) / 2.0, *CLUMPS)
        yield Tenant(
            name=client,
            weights=weights / weights.sum(),
            clump=clump,
            inputs=np.array([i for i, _ in counts]).reshape(-1, QUANTILES),
            outputs=np.array([o for _, o in counts]).reshape(-1, QUANTILES),
            days=len(set((slot[at] // 144).tolist())),
            swing=swing_of(weights),
            requests=float(weights.sum()) * SLOT_MS / 1000,
        )


def _reuse(folder: Path) -> NDArray[np.float64]:
    """Share of each request's prefix blocks that an earlier request had, in order of arrival → quantiles."""
    seen: set[int] = set()
    shares = []
    for blocks in _columns(folder, "mooncake_conversation")["prefix_blocks"]:
        held = next((i for i, block in enumerate(blocks) if block not in seen), len(blocks))
        seen.update(blocks)
        shares.append(held / max(len(blocks), 1))
    levels: NDArray[np.float64] = np.quantile(np.array(shares), np.linspace(0, 1, QUANTILES))
    return levels


# ---- texts


def _groups(folder: Path) -> Iterable[Group]:
    benign = _columns(folder, "prompts_benign")
    yield from _sharegpt(benign)
    for group, texts in _by(zip(benign["source"], benign["group"], benign["text"], strict=True), "ag_news").items():
        for number, chunk in enumerate(_chunks(texts)):
            yield _group(f"ag_news/{group}/{number}", "ag_news", TextKind.RECORD, "en", chunk)
    extraction = _columns(folder, "prompts_extraction")
    rows = list(zip(extraction["source"], extraction["group"], extraction["text"], strict=True))
    for source in ("gsm8k", "codealpaca"):
        for number, chunk in enumerate(_chunks(_by(rows, source)[""])):
            yield _group(f"{source}/{number}", source, TextKind.TASK, "en", chunk)
    for source in ("cot_ecqa", "cot_qasc", "cot_strategyqa"):
        for number, chunk in enumerate(_chunks(_by(rows, source)[""])):
            yield _group(f"{source}/{number}", source, TextKind.REASONING, "en", chunk)
    for group, texts in _by(rows, "t0_template").items():
        name = group.rsplit("/", 1)[-1].removesuffix(".jsonl")
        yield _group(f"t0/{name}", "t0_template", TextKind.TASK, "en", texts)
    yield from _xquad(_columns(folder, "prompts_multilingual"))


def _by(rows: Iterable[tuple[str, str, str]], source: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for origin, group, text in rows:
        if origin == source and text.strip():
            found[group].append(text[:_MAX_CHARS])
    return found


def _chunks(texts: list[str]) -> list[list[str]]:
    """Groups of `_CHUNK` texts, in an order that has nothing to do with the file's."""
    ranked = sorted(texts, key=hash_text)
    return [ranked[i : i + _CHUNK] for i in range(0, len(ranked), _CHUNK)]


def _group(name: str, source: str, kind: TextKind, language: str, texts: list[str]) -> Group:
    def draw(rng: np.random.Generator, count: int) -> list[str]:
        order = np.concatenate([rng.permutation(len(texts)) for _ in range(-(-count // len(texts)))])[:count]
        return [texts[i] for i in order.tolist()]

    return Group(name, name, source, kind, language, draw)


def _sharegpt(benign: dict[str, list[Any]]) -> Iterable[Group]:
    """Neighbourhoods of conversations, inside each half: conversations never cross it.

    A chain through sketch space: start anywhere, take the nearest conversation that is left, cut every `_NEIGHBOURHOOD`.
    """
    conversations = _by(zip(benign["source"], benign["group"], benign["text"], strict=True), "sharegpt")
    for half in ("tune", "judge"):
        names = sorted(n for n in conversations if side("conversation", n) == half)
        sketches = fingerprint([" ".join(conversations[n])[:4000] for n in names])["sketch"].astype(np.float64)
        sketches /= np.maximum(np.linalg.norm(sketches, axis=1, keepdims=True), 1e-9)
        left = list(range(1, len(names)))
        chain = [0]
        while left:
            nearest = int(np.argmax(sketches[left] @ sketches[chain[-1]]))
            chain.append(left.pop(nearest))
        for number in range(0, len(chain), _NEIGHBOURHOOD):
            members = [names[i] for i in chain[number : number + _NEIGHBOURHOOD]]
            texts = [t for n in members for t in conversations[n]]
            if len(texts) >= _NEIGHBOURHOOD:
                yield _neighbourhood(f"sharegpt/{half}/{number // _NEIGHBOURHOOD}", half, texts)


def _neighbourhood(name: str, half: str, texts: list[str]) -> Group:
    """Turns as they are, or (so that people do not repeat themselves word for word) made anew of the group's own sentences."""
    sentences = sorted({s.strip() for t in texts for s in _SENTENCE.split(t) if 8 <= len(s.strip()) <= 400})
    turns = np.array([min(6, max(1, len([s for s in _SENTENCE.split(t) if s.strip()]))) for t in texts])

    def draw(rng: np.random.Generator, count: int) -> list[str]:
        made = []
        for pick, fresh in zip(rng.integers(len(texts), size=count).tolist(), (rng.random(count) < 0.6).tolist(), strict=True):
            if fresh and len(sentences) >= 12:
                made.append(" ".join(sentences[i] for i in rng.integers(len(sentences), size=int(turns[pick])).tolist()))
            else:
                made.append(texts[pick])
        return made

    return Group(name, _unit_in(half, name), "sharegpt", TextKind.PEOPLE, "en", draw)


def _unit_in(half: str, name: str) -> str:
    """A unit name whose hash falls into `half`: the conversations were divided before they were grouped."""
    return next(unit for k in range(64) if side("text", unit := f"{name}#{k}") == half)


def _xquad(found: dict[str, list[Any]]) -> Iterable[Group]:
    articles: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for language, article, kind, text in zip(found["language"], found["group"], found["kind"], found["text"], strict=True):
        articles[language, article][kind].append(text.strip()[:_MAX_CHARS])
    for (language, article), texts in sorted(articles.items()):
        unit = f"xquad/{article}"
        yield Group(f"{unit}/{language}/questions", unit, "xquad", TextKind.PEOPLE, language, _asking(texts["question"], texts["passage"]))
        yield Group(
            f"{unit}/{language}/passages", unit, "xquad", TextKind.PASSAGE, language, _retrieval(texts["question"], texts["passage"])
        )


def _asking(questions: list[str], passages: list[str]) -> Callable[[np.random.Generator, int], list[str]]:
    """Questions; a third of them with a sentence or two of the article pasted in front."""
    sentences = [s.strip() for p in passages for s in re.split(r"(?<=[.!?。！？।])\s*", p) if len(s.strip()) > 20]  # noqa: RUF001 - full stops of other scripts

    def draw(rng: np.random.Generator, count: int) -> list[str]:
        made = []
        for pick, lead in zip(rng.integers(len(questions), size=count).tolist(), rng.random(count).tolist(), strict=True):
            text = questions[pick]
            if lead < 0.35 and sentences:
                quoted = " ".join(sentences[i] for i in rng.integers(len(sentences), size=1 + (lead < 0.1)).tolist())
                text = f"{quoted}\n{text}"
            elif lead < 0.5:
                text = f"{text} {questions[int(rng.integers(len(questions)))]}"
            made.append(text)
        return made

    return draw


def _retrieval(questions: list[str], passages: list[str]) -> Callable[[np.random.Generator, int], list[str]]:
    def draw(rng: np.random.Generator, count: int) -> list[str]:
        made = []
        for q, p, r in zip(*(rng.integers(n, size=count).tolist() for n in (len(questions), len(passages), len(passages))), strict=True):
            made.append(f"[1] {passages[p][:1200]}\n[2] {passages[r][:1200]}\n\n{questions[q]}")
        return made

    return draw
