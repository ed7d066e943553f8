"""What requests look like: a recipe for one stream of an account, and the columns drawn from it, a block at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from pipeline.lab.simulate.dice import scatter
from pipeline.lab.simulate.outcomes import Failures, choose, limited, outcomes
from pipeline.lab.simulate.texts import write

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.simulate.decks import Library
    from pipeline.lab.simulate.identity import Identity, Network
    from pipeline.lab.simulate.rhythm import Arrivals
    from pipeline.lab.simulate.texts import Recipe


class Model(NamedTuple):
    """One model of the simulated provider."""

    ms_per_token: float
    first_token_ms: float
    reasons: bool


MODELS: dict[str, Model] = {
    "corvus-2-large": Model(18.0, 620.0, reasons=False),
    "corvus-2-small": Model(7.0, 310.0, reasons=False),
    "corvus-2-reason": Model(14.0, 900.0, reasons=True),
    "corvus-1-large": Model(24.0, 800.0, reasons=False),
    "lyra-4": Model(16.0, 540.0, reasons=True),
    "lyra-4-mini": Model(6.0, 260.0, reasons=False),
    "lyra-embed-3": Model(0.0, 60.0, reasons=False),
}
CHAT_MODELS = tuple(name for name in MODELS if "embed" not in name)
EMBEDDING_MODEL = "lyra-embed-3"

USUAL_CLIENT_ERRORS = ((400, "invalid_request", 0.7), (413, "request_too_large", 0.2), (404, "model_not_found", 0.1))

_OUTPUT_CEILING = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The recipe of one stream.

    Attributes:
        text: how prompts are written.
        models: with weights; a session keeps its model.
        operations: with weights. `embeddings` has no output, `list_models` neither model nor prompt.
        output_median, output_sigma: output tokens, lognormal.
        reasoning: mean share of the output spent reasoning, on models that reason.
        prefix_tokens: input that is not in `prompt` (a system message).
        conversations: sessions are conversations: ids, and history that grows the input.
        cached: share of requests whose repeated prefix hits the provider's cache.
        max_tokens, temperatures, choice_counts: drawn evenly; None is "not set".
        stream, logprobs: share of requests with it; None or 0: not set.
    """

    text: Recipe
    models: tuple[tuple[str, float], ...]
    failures: Failures
    operations: tuple[tuple[str, float], ...] = (("chat", 1.0),)
    output_median: float = 260.0
    output_sigma: float = 0.9
    reasoning: float = 0.35
    prefix_tokens: int = 0
    conversations: bool = False
    cached: float = 0.6
    max_tokens: tuple[int | None, ...] = (None,)
    temperatures: tuple[float | None, ...] = (None,)
    choice_counts: tuple[int | None, ...] = (None,)
    stream: float | None = None
    logprobs: float = 0.0
    providers: tuple[tuple[str, float], ...] = (("direct", 1.0),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream of an account: who sends, from where, with which keys, what.

    Attributes:
        key_by: how a request picks its key: by session, or one key after another in the order of sessions.
        limit_per_minute: requests per minute and key before 429.
        salt: the stream's own number; sessions get ids, addresses, topics by it.
    """

    identity: Identity
    network: Network
    keys: tuple[str, ...]
    key_by: Literal["session", "turn"] = "session"
    limit_per_minute: int
    traffic: Traffic
    salt: int


@dataclass(slots=True)
class Memory:
    """What a stream remembers between blocks: requests made, and accepted ones of the last minute by key."""

    serial: int = 0
    accepted: dict[int, list[int]] = field(default_factory=dict)


def _choose_by_session(u: NDArray[np.uint64], weights: list[float]) -> NDArray[np.int64]:
    if len(weights) == 1:
        return np.zeros(u.size, np.int64)
    edges = np.cumsum(weights)
    at: NDArray[np.int64] = np.searchsorted(edges, u.astype(np.float64) / 2.0**64 * edges[-1], side="right")
    return np.minimum(at, len(weights) - 1)


def _endpoints(stream: Stream, hashes: NDArray[np.uint64]) -> tuple[list[str], list[str]]:
    network = stream.network
    number = hashes >> np.uint64(20)
    if network.blocks:
        block = (number % np.uint64(len(network.blocks))).tolist()
        host = ((hashes >> np.uint64(8)) % np.uint64(254)).tolist()
        chosen = [network.blocks[b] for b in block]
        return [f"{c[0]}.{h + 1}" for c, h in zip(chosen, host, strict=True)], [c[1] for c in chosen]
    pair = [network.pool[i] for i in (number % np.uint64(len(network.pool))).tolist()]
    return [p[0] for p in pair], [p[1] for p in pair]


def _given(options: tuple[Any, ...], rng: np.random.Generator, size: int) -> list[Any]:
    if len(options) == 1:
        return [options[0]] * size
    return [options[i] for i in rng.integers(len(options), size=size).tolist()]


def _share(share: float | None, rng: np.random.Generator, size: int) -> list[bool | None]:
    if not share:
        return [None] * size
    flags: list[bool | None] = (rng.random(size) < share).tolist()
    return flags


def _hex_ids(rng: np.random.Generator, size: int) -> list[str]:
    digits = rng.bytes(12 * size).hex()
    return ["req_" + digits[i : i + 24] for i in range(0, 24 * size, 24)]


def _only(where: NDArray[np.bool_], values: NDArray[np.int64] | NDArray[np.float64]) -> list[Any]:
    """Values where the mask is set, None elsewhere."""
    column: list[Any] = values.tolist()
    for i in np.flatnonzero(~where).tolist():
        column[i] = None
    return column


def draw(stream: Stream, library: Library, rng: np.random.Generator, arrivals: Arrivals, memory: Memory) -> dict[str, list[Any]]:
    """Draw one block of requests → columns by field name; None is "absent"."""
    recipe, size = stream.traffic, arrivals.times.size
    hashes = scatter(arrivals.sessions, stream.salt)
    turning = arrivals.sessions if stream.key_by == "turn" else (hashes >> np.uint64(1)).astype(np.int64)
    key = turning % len(stream.keys)
    operation = choose(rng, [w for _, w in recipe.operations], size)
    embeds, lists = (operation == _index(recipe.operations, name) for name in ("embeddings", "list_models"))
    model_pick = _choose_by_session(hashes * np.uint64(0x9E3779B97F4A7C15), [w for _, w in recipe.models])
    models = [MODELS.get(name) or MODELS["lyra-4"] for name, _ in recipe.models]
    texts, density, lead = write(recipe.text, library, rng, int(arrivals.times[0]), arrivals.sessions, memory.serial, stream.salt)
    memory.serial += size

    over = limited(arrivals.times, key, stream.limit_per_minute, memory.accepted)
    outcome = outcomes(recipe.failures, rng, over)
    answered = outcome.answered & ~lists
    generated = answered & ~embeds

    prompt_tokens = np.ceil(np.fromiter(map(len, texts), np.float64, size) * density)
    history = np.zeros(size)
    if recipe.conversations:
        history = np.minimum(arrivals.turns * (prompt_tokens.mean() + recipe.output_median), 60_000.0)
    prefix = recipe.prefix_tokens + history
    inputs = (prompt_tokens + prefix + 7).astype(np.int64)
    hit = (rng.random(size) < recipe.cached) & ((arrivals.turns > 0) | (not recipe.conversations))
    cached = np.minimum((prefix + lead * density) // 128 * 128, inputs) * hit

    wanted = _given(recipe.max_tokens, rng, size)
    ceiling = np.array([m if m is not None else _OUTPUT_CEILING for m in wanted], np.float64)
    outputs = np.exp(recipe.output_sigma * rng.standard_normal(size)) * recipe.output_median
    outputs = np.where(outcome.refused, np.minimum(outputs, 40 + 60 * rng.random(size)), outputs)
    outputs = np.maximum(1, np.minimum(outputs, ceiling)).astype(np.int64)
    reasons = np.array([m.reasons for m in models])[model_pick]
    part = np.clip(recipe.reasoning + 0.12 * rng.standard_normal(size), 0.02, 0.95)
    reasoning = (outputs * part * reasons).astype(np.int64)

    speed = np.array([m.ms_per_token for m in models])[model_pick]
    first = np.array([m.first_token_ms for m in models])[model_pick] * np.exp(0.45 * rng.standard_normal(size))
    latency = np.where(generated, first + outputs * speed * np.exp(0.2 * rng.standard_normal(size)), first * 0.25)
    latency = np.where(outcome.failed_late, latency + 8_000 * rng.exponential(1.0, size), latency)

    finish = [
        (("refusal" if r else "length" if o >= c else "stop") if g else None)
        for g, r, o, c in zip(generated.tolist(), outcome.refused.tolist(), outputs.tolist(), ceiling.tolist(), strict=True)
    ]
    addresses, countries = _endpoints(stream, hashes)
    agents = stream.network.agents
    no_model, no_text, no_setting = lists, lists, lists | embeds
    return {
        "event_id": _hex_ids(rng, size),
        "occurred_at_ms": arrivals.times.tolist(),
        "account_id": [stream.identity.account_id] * size,
        "operation": [recipe.operations[i][0] for i in operation.tolist()],
        "model": ["" if n else recipe.models[i][0] for i, n in zip(model_pick.tolist(), no_model.tolist(), strict=True)],
        "status": outcome.status.tolist(),
        "api_key_id": [stream.keys[i] for i in key.tolist()],
        "organization_id": [stream.identity.organization_id] * size,
        "plan": [stream.identity.plan] * size,
        "payment_fingerprint": [stream.identity.payment_fingerprint] * size,
        "conversation_id": [f"conv_{h:016x}" for h in scatter(arrivals.sessions, stream.salt + 1).tolist()]
        if recipe.conversations
        else [None] * size,
        "provider": [recipe.providers[i][0] for i in choose(rng, [w for _, w in recipe.providers], size).tolist()],
        "account_created_at_ms": [stream.identity.created_at_ms] * size,
        "error_type": outcome.error_types,
        "finish_reason": finish,
        "input_tokens": _only(answered, inputs),
        "output_tokens": _only(generated, outputs),
        "reasoning_tokens": _only(generated, reasoning),
        "cached_input_tokens": _only(generated, cached.astype(np.int64)),
        "max_tokens": _without(no_setting, wanted),
        "temperature": _without(no_setting, _given(recipe.temperatures, rng, size)),
        "choice_count": _without(no_setting, _given(recipe.choice_counts, rng, size)),
        "logprobs": _without(no_setting, _share(recipe.logprobs, rng, size)),
        "stream": _without(no_setting, _share(recipe.stream, rng, size)),
        "latency_ms": np.round(latency, 1).tolist(),
        "client_address": addresses,
        "country": countries,
        "user_agent": [agents[i] for i in ((hashes >> np.uint64(7)) % np.uint64(len(agents))).tolist()],
        "prompt": _without(no_text, texts),
    }


def _index(options: tuple[tuple[str, float], ...], name: str) -> int:
    return next((i for i, (option, _) in enumerate(options) if option == name), -1)


def _without(where: NDArray[np.bool_], column: list[Any]) -> list[Any]:
    for i in np.flatnonzero(where).tolist():
        column[i] = None
    return column
