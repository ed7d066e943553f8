"""Load for benches: many accounts, every request with a prompt, made as fast as bytes can be joined.

Not a scenario: no days, no habits, no attackers. What it keeps is what costs the pipeline time: record size and fields,
many accounts, prompts of the right length (median 600 characters, lognormal) in several scripts, a third of the
accounts on a template of their own, 1 % errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import orjson

from pipeline.base.errors import SettingsError
from pipeline.base.times import DAY_MS, HOUR_MS
from pipeline.lab.simulate.decks import Library, deal
from pipeline.lab.simulate.dice import generator, scatter
from pipeline.lab.simulate.identity import AGENTS, COUNTRIES, PLANS
from pipeline.lab.simulate.traffic import CHAT_MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BULK_START_MS = 1_790_000_000_000
"""Default event time of the first request: a constant, so that two benches read the same bytes."""

MEDIAN_CHARACTERS = 600
_SIGMA = 0.6
_CHUNK = 4096
_TOPICS_PER_LANGUAGE = 6
_SENTENCES = 2048
_TEMPLATE_CHARACTERS = 240
_LANGUAGES = ("en",) * 10 + ("ru", "zh", "es", "hi", "ja", "ar")
_ZIPF_EXPONENT = 1.1


class _Pen(NamedTuple):
    """What prompts of one language and topic are made of: sentences as JSON text, and how many make the median length."""

    sentences: list[bytes]
    per_prompt: float


class _Account(NamedTuple):
    key: bytes
    head: bytes
    """JSON text of the fields that stay the same."""
    pen: _Pen
    template: bytes
    per_prompt: float


class _Register:
    """Accounts by number, made when first used; stateless hashing makes each one the same in any order."""

    def __init__(self, accounts: int, seed: int) -> None:
        self._library = Library(seed)
        self._salt = int(generator(seed, 0).integers(2**62))
        self._accounts: list[_Account | None] = [None] * accounts
        self._pens: dict[tuple[str, int], _Pen] = {}

    def _pen(self, code: str, topic: int) -> _Pen:
        found = self._pens.get((code, topic))
        if found is None:
            deck = self._library.deck(code, topic)
            numbers = deal(generator(self._library.seed, 2, topic), np.full(_SENTENCES, 4)).reshape(_SENTENCES, 4).tolist()
            texts = ["".join(map(deck.__getitem__, four)) for four in numbers]
            typical = float(np.mean([len(t) for t in texts]))
            found = self._pens[code, topic] = _Pen([orjson.dumps(t)[1:-1] for t in texts], MEDIAN_CHARACTERS / typical)
        return found

    def get(self, number: int) -> _Account:
        found = self._accounts[number]
        if found is None:
            found = self._accounts[number] = self._make(number)
        return found

    def _make(self, number: int) -> _Account:
        a, b, c = scatter(np.array([3 * number, 3 * number + 1, 3 * number + 2]), self._salt).tolist()
        country = COUNTRIES[a % len(COUNTRIES)][0]
        key = f"acct_{a:016x}"
        fixed = {
            "account_id": key,
            "operation": "chat",
            "model": CHAT_MODELS[(b >> 3) % len(CHAT_MODELS)],
            "api_key_id": f"key_{b:016x}",
            "organization_id": f"org_{c & 0xFFFFFFFFFFFF:012x}",
            "plan": tuple(PLANS)[(c >> 50) % len(PLANS)],
            "payment_fingerprint": f"pay_{(a ^ c) & 0xFFFFFFFFFFFF:012x}",
            "account_created_at_ms": BULK_START_MS - (30 + (b >> 20) % 700) * DAY_MS,
            "client_address": f"{240 + (c >> 8) % 16}.{(c >> 12) & 255}.{(c >> 20) & 255}.{1 + (c >> 28) % 254}",
            "country": country,
            "user_agent": AGENTS[(c >> 40) % len(AGENTS)],
        }
        pen = self._pen(_LANGUAGES[(b >> 8) % len(_LANGUAGES)], (b >> 16) % _TOPICS_PER_LANGUAGE)
        template, per_prompt = b"", pen.per_prompt
        if (b >> 24) % 3 == 0:
            share = _TEMPLATE_CHARACTERS / MEDIAN_CHARACTERS
            start = (b >> 30) % 1000
            template = b"".join(pen.sentences[start : start + round(pen.per_prompt * share)])
            per_prompt *= 1 - share
        return _Account(key.encode(), orjson.dumps(fixed)[1:], pen, template, per_prompt)


def _chosen(rng: np.random.Generator, accounts: int, skew: str, size: int, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    if skew == "flat":
        return rng.integers(accounts, size=size)
    found: NDArray[np.int64] = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    return found


def bulk_records(
    events: int,
    accounts: int,
    seed: int,
    *,
    skew: Literal["zipf", "flat"] = "zipf",
    start_ms: int = BULK_START_MS,
    hours: float = 6.0,
) -> Iterator[tuple[bytes, bytes]]:
    """Make `events` valid request events in order of time → (account id as Kafka key, JSON).

    Args:
        events: how many.
        accounts: out of how many accounts; all are used only when there are enough events.
        seed: the same seed gives the same bytes.
        skew: `zipf` (exponent 1.1) or `flat` choice of accounts.
        start_ms: event time of the first.
        hours: event time that they cover, evenly.

    Raises:
        SettingsError: no accounts, or a skew that is neither.
    """
    if accounts < 1 or skew not in ("zipf", "flat"):
        raise SettingsError(f"accounts={accounts}, skew={skew}: allowed are accounts ≥ 1, skew zipf or flat")
    register = _Register(accounts, seed)
    rng = generator(seed, 1)
    edges = np.cumsum((np.arange(accounts) + 1.0) ** -_ZIPF_EXPONENT) if skew == "zipf" else np.empty(0)
    span_ms = hours * HOUR_MS / max(1, events)
    for begin in range(0, events, _CHUNK):
        size = min(_CHUNK, events - begin)
        chosen = [register.get(n) for n in _chosen(rng, accounts, skew, size, edges).tolist()]
        times = (start_ms + (begin + np.sort(rng.random(size)) * size) * span_ms).astype(np.int64)
        yield from _chunk(rng, chosen, times)


def _chunk(rng: np.random.Generator, chosen: list[_Account], times: NDArray[np.int64]) -> Iterator[tuple[bytes, bytes]]:
    size = len(chosen)
    counts = np.array([a.per_prompt for a in chosen]) * np.exp(_SIGMA * rng.standard_normal(size))
    lengths = np.clip(np.rint(counts), 1, 400).astype(np.int64)
    numbers = rng.integers(_SENTENCES, size=int(lengths.sum()), dtype=np.uint16).tolist()
    ends = np.cumsum(lengths).tolist()
    inputs = (lengths * 20 + rng.integers(0, 400, size)).tolist()
    outputs = np.exp(5.6 + 0.8 * rng.standard_normal(size)).astype(np.int64)
    cached = (np.array(inputs) * (rng.random(size) < 0.3) // 128 * 128).tolist()
    latency = np.round(300 + outputs * 12.0 * np.exp(0.2 * rng.standard_normal(size)), 1).tolist()
    failed = (rng.random(size) < 0.01).tolist()
    ids = rng.bytes(12 * size).hex().encode()
    start = 0
    rows = zip(chosen, times.tolist(), ends, inputs, outputs.tolist(), cached, latency, failed, strict=True)
    for i, (account, at, end, used, made, hit, wait, wrong) in enumerate(rows):
        text = b"".join(map(account.pen.sentences.__getitem__, numbers[start:end]))
        start = end
        if wrong:
            outcome = b'503,"error_type":"overloaded"'
        else:
            outcome = b'200,"finish_reason":"stop","input_tokens":%d,"output_tokens":%d,"cached_input_tokens":%d' % (used, made, hit)
        yield (
            account.key,
            b'{"event_id":"req_%b","occurred_at_ms":%d,"status":%b,"latency_ms":%.1f,"prompt":"%b%b",%b'
            % (ids[24 * i : 24 * i + 24], at, outcome, wait, account.template, text, account.head),
        )


def bulk_workload(
    events: int,
    accounts: int,
    seed: int,
    *,
    skew: Literal["zipf", "flat"] = "zipf",
    start_ms: int = BULK_START_MS,
    hours: float = 6.0,
) -> Iterator[bytes]:
    """Return the values of `bulk_records` alone."""
    return (value for _, value in bulk_records(events, accounts, seed, skew=skew, start_ms=start_ms, hours=hours))
