"""From arrivals and a recipe to events: tokens from the tenant's quantiles, outcomes, latency, network, settings.

Benign and attack requests go through the same hand; nothing here knows which is which but the flag it is told to set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.base.hashing import hash_text
from pipeline.lab.evaluate.marginals import QUANTILES
from pipeline.lab.evaluate.table import EVENT
from pipeline.lab.simulate.dice import scatter
from pipeline.lab.simulate.outcomes import Failures, choose, limited, outcomes
from pipeline.lab.simulate.traffic import MODELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeline.lab.evaluate.arrivals import Arrivals
    from pipeline.lab.evaluate.marginals import Tenant
    from pipeline.lab.evaluate.table import Symbols
    from pipeline.lab.evaluate.voices import Voice
    from pipeline.lab.simulate.identity import Network

_LEVELS = np.linspace(0.0, 1.0, QUANTILES)
_CEILING = 32_768
_OTHER_MODEL = MODELS["corvus-2-large"]
_SIX_HOURS_MS = 21_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the requests of one stream look like.

    Attributes:
        voice: how prompts are chosen.
        tenant: whose token quantiles.
        models, operations: with weights; a session keeps its model.
        output: (median, sigma) of output tokens when the tenant's own do not hold.
        output_levels: part of the tenant's output quantiles in use.
        scale, spread: factor of output tokens, and of the spread of their logarithm, however they are drawn.
        context: share of the tenant's input quantile that comes on top of the prompt (system text, passages, history).
        reasoning: mean share of output spent reasoning, where the model reasons.
        cached: share of requests whose prefix may hit the cache.
        conversations: sessions have conversation ids.
        max_tokens, temperatures, choices: drawn evenly; None is "not set".
        stream, logprobs: share of requests with it; 0 is "not set".
        lists_share: of requests, `list_models` calls.
    """

    voice: Voice
    tenant: Tenant
    models: tuple[tuple[str, float], ...]
    failures: Failures
    operations: tuple[tuple[str, float], ...] = (("chat", 1.0),)
    output: tuple[float, float] | None = None
    output_levels: tuple[float, float] = (0.0, 1.0)
    scale: float = 1.0
    spread: float = 1.0
    context: float = 0.0
    reasoning: float = 0.35
    cached: float = 0.5
    conversations: bool = False
    max_tokens: tuple[int | None, ...] = (None,)
    temperatures: tuple[float | None, ...] = (None,)
    choices: tuple[int | None, ...] = (None,)
    stream: float = 0.0
    logprobs: float = 0.0
    providers: tuple[tuple[str, float], ...] = (("direct", 1.0),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Who sends one stream, from where: the network side.

    Attributes:
        key_by: a session keeps its key, or `turn`: sessions take one key after the other.
        limit_per_minute: requests per minute and key before 429.
    """

    network: Network
    keys: tuple[str, ...]
    limit_per_minute: int
    salt: int
    key_by: str = "session"


class Context:
    """What all streams of a shard share."""

    def __init__(self, symbols: Symbols, reuse: NDArray[np.float64], *, networks_known: bool) -> None:
        self.symbols = symbols
        self.reuse = reuse
        self.networks_known = networks_known
        """Whether ingest has an ASN database."""

    def asn(self, address: str) -> int:
        """Autonomous system of an address block (its first two parts), −1 without a database."""
        return 1000 + hash_text(address.rsplit(".", 2)[0]) % 60_000 if self.networks_known else -1


def play(
    context: Context,
    rng: np.random.Generator,
    recipe: Recipe,
    line: Line,
    arrivals: Arrivals,
    account: int,
    *,
    attack: bool,
    tokens: NDArray[np.int32],
) -> NDArray[np.void]:
    """Events of one stream, in order of time.

    Args:
        context: the shard's.
        rng: the stream's.
        recipe: what.
        line: from where.
        arrivals: when.
        account: its number in the shard.
        attack: the truth about every event of it.
        tokens: of each text id known so far.
    """
    size = arrivals.size
    events = np.zeros(size, EVENT)
    events["time"], events["account"], events["attack"] = arrivals.times, account, attack
    if size == 0:
        return events
    symbols = context.symbols
    hashes = scatter(arrivals.sessions, line.salt)
    operation = choose(rng, [w for _, w in recipe.operations], size)
    names = [name for name, _ in recipe.operations]
    lists, embeds = _is(operation, names, "list_models"), _is(operation, names, "embeddings")
    text = recipe.voice.choose(rng, arrivals.times, arrivals.sessions, line.salt)
    events["text"] = np.where(lists, -1, text)
    events["operation"] = symbols.many(names)[operation]
    model = _by_weight(hashes * np.uint64(0x9E3779B97F4A7C15), [w for _, w in recipe.models])
    events["model"] = np.where(lists, 0, symbols.many(n for n, _ in recipe.models)[model])
    events["provider"] = symbols.many(n for n, _ in recipe.providers)[choose(rng, [w for _, w in recipe.providers], size)]

    turning = arrivals.sessions if line.key_by == "turn" else (hashes >> np.uint64(1)).astype(np.int64)
    key = turning % len(line.keys)
    events["key"] = symbols.many(line.keys)[key]
    over = limited(arrivals.times, key, line.limit_per_minute, {})
    outcome = outcomes(recipe.failures, rng, over)
    answered = outcome.answered & ~lists
    generated = answered & ~embeds
    events["status"] = outcome.status
    events["error"] = symbols.many(e or "" for e in outcome.error_types)

    _tokens(events, context, rng, recipe, arrivals, tokens[text], generated, answered, outcome.refused, model)
    ceiling = np.where(events["max_tokens"] >= 0, events["max_tokens"], _CEILING)
    finish = np.where(outcome.refused, symbols("refusal"), np.where(events["output"] >= ceiling, symbols("length"), symbols("stop")))
    events["finish"] = np.where(generated, finish, 0)
    events["latency"] = _latency(rng, recipe, model, events["output"], generated, outcome.failed_late)
    _settings(events, rng, recipe, lists | embeds)
    _endpoints(events, context, line.network, hashes)
    if recipe.conversations:
        events["conversation"] = scatter(arrivals.sessions, line.salt + 1) | np.uint64(1)
    return events


def _is(operation: NDArray[np.int64], names: list[str], name: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = operation == names.index(name) if name in names else np.zeros(operation.size, np.bool_)
    return found


def _by_weight(u: NDArray[np.uint64], weights: list[float]) -> NDArray[np.int64]:
    edges = np.cumsum(weights)
    at: NDArray[np.int64] = np.searchsorted(edges, u.astype(np.float64) / 2.0**64 * edges[-1], side="right")
    return np.minimum(at, len(weights) - 1)


def _tokens(
    events: NDArray[np.void],
    context: Context,
    rng: np.random.Generator,
    recipe: Recipe,
    arrivals: Arrivals,
    prompt: NDArray[np.int32],
    generated: NDArray[np.bool_],
    answered: NDArray[np.bool_],
    refused: NDArray[np.bool_],
    model: NDArray[np.int64],
) -> None:
    size = arrivals.size
    tenant = recipe.tenant
    stretch = (arrivals.times // _SIX_HOURS_MS) % tenant.inputs.shape[0]
    inputs = prompt.astype(np.float64) + 7.0
    if recipe.context > 0:
        inputs = np.maximum(inputs, recipe.context * _quantile(tenant.inputs, stretch, rng.random(size)))
        if recipe.conversations:
            inputs += np.minimum(arrivals.turns, 30) * (prompt.mean() + 60.0)
    asked = _given(recipe.max_tokens, rng, size)
    wanted = np.array([-1 if a is None else a for a in asked], np.int64)
    events["max_tokens"] = wanted
    if recipe.output is None:
        low, high = recipe.output_levels
        outputs = _quantile(tenant.outputs, stretch, low + (high - low) * rng.random(size))
    else:
        outputs = recipe.output[0] * np.exp(recipe.output[1] * rng.standard_normal(size))
    if recipe.spread != 1.0 and size:
        middle = np.median(outputs)
        outputs = middle * (outputs / middle) ** recipe.spread
    outputs = np.where(refused, np.minimum(outputs * recipe.scale, 40 + 60 * rng.random(size)), outputs * recipe.scale)
    outputs = np.clip(outputs, 1, np.where(wanted >= 0, np.maximum(wanted, 1), _CEILING))
    reasons = np.array([MODELS.get(name, _OTHER_MODEL).reasons for name, _ in recipe.models])[model]
    part = np.clip(recipe.reasoning + 0.12 * rng.standard_normal(size), 0.02, 0.95)
    hit = rng.random(size) < recipe.cached
    cached = _quantile(context.reuse[None, :], np.zeros(size, np.int64), rng.random(size)) * inputs // 128 * 128 * hit
    events["input"] = np.where(answered, inputs.astype(np.int64), -1)
    events["output"] = np.where(generated, outputs.astype(np.int64), -1)
    events["reasoning"] = np.where(generated, (outputs * part * reasons).astype(np.int64), -1)
    events["cached"] = np.where(generated, cached.astype(np.int64), -1)


def _quantile(table: NDArray[np.float64], row: NDArray[np.int64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate each row's quantile function at u."""
    at = u * (QUANTILES - 1)
    below = np.minimum(at.astype(np.int64), QUANTILES - 2)
    part = at - below
    found: NDArray[np.float64] = table[row, below] * (1 - part) + table[row, below + 1] * part
    return found


def _latency(
    rng: np.random.Generator,
    recipe: Recipe,
    model: NDArray[np.int64],
    outputs: NDArray[np.int32],
    generated: NDArray[np.bool_],
    late: NDArray[np.bool_],
) -> NDArray[np.float64]:
    size = model.size
    known = [MODELS.get(name, _OTHER_MODEL) for name, _ in recipe.models]
    speed = np.array([m.ms_per_token for m in known])[model]
    first = np.array([m.first_token_ms for m in known])[model] * np.exp(0.45 * rng.standard_normal(size))
    found = np.where(generated, first + np.maximum(outputs, 0) * speed * np.exp(0.2 * rng.standard_normal(size)), first * 0.25)
    return np.where(late, found + 8_000 * rng.exponential(1.0, size), found)


def _given(options: tuple[Any, ...], rng: np.random.Generator, size: int) -> list[Any]:
    if len(options) == 1:
        return [options[0]] * size
    return [options[i] for i in rng.integers(len(options), size=size).tolist()]


def _settings(events: NDArray[np.void], rng: np.random.Generator, recipe: Recipe, without: NDArray[np.bool_]) -> None:
    size = events.size
    heat = _given(recipe.temperatures, rng, size)
    events["temperature"] = np.where(without, np.nan, np.array([np.nan if h is None else h for h in heat]))
    choices = _given(recipe.choices, rng, size)
    events["choices"] = np.where(without, -1, np.array([-1 if c is None else c for c in choices]))
    for name, share in (("stream", recipe.stream), ("logprobs", recipe.logprobs)):
        events[name] = np.where(without, -1, rng.random(size) < share) if share else -1
    events["max_tokens"] = np.where(without, -1, events["max_tokens"])


def _endpoints(events: NDArray[np.void], context: Context, network: Network, hashes: NDArray[np.uint64]) -> None:
    symbols = context.symbols
    number = hashes >> np.uint64(20)
    if network.blocks:
        block = (number % np.uint64(len(network.blocks))).astype(np.int64)
        host = ((hashes >> np.uint64(8)) % np.uint64(254)).astype(np.int64) + 1
        pairs, inverse = np.unique(block * 256 + host, return_inverse=True)
        addresses = [f"{network.blocks[p // 256][0]}.{p % 256}" for p in pairs.tolist()]
        countries = [network.blocks[p // 256][1] for p in pairs.tolist()]
    else:
        inverse = (number % np.uint64(len(network.pool))).astype(np.int64)
        addresses, countries = [p[0] for p in network.pool], [p[1] for p in network.pool]
    events["address"] = symbols.many(addresses)[inverse]
    events["country"] = symbols.many(countries)[inverse]
    events["asn"] = np.array([context.asn(a) for a in addresses], np.int32)[inverse]
    events["agent"] = symbols.many(network.agents)[((hashes >> np.uint64(7)) % np.uint64(len(network.agents))).astype(np.int64)]
