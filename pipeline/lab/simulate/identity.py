"""Who an account is: opaque ids, plan, keys, addresses, agents, and which fields its gateway passes on.

Every account, benign or not, is drawn here from the same distributions: nothing in an identity tells what it will do.
Addresses lie in 240.0.0.0/4 (reserved, RFC 1112), so that no real host is ever named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.base.times import DAY_MS

if TYPE_CHECKING:
    from pipeline.lab.simulate.dice import Dice


PLANS: dict[str, int] = {"free": 20, "pro": 60, "team": 300, "scale": 1_000, "enterprise": 5_000}
"""Plan → requests per minute and key before 429."""

COUNTRIES: tuple[tuple[str, int, str, float], ...] = (
    ("US", -6, "en", 0.34),
    ("GB", 0, "en", 0.08),
    ("IN", 5, "en", 0.08),
    ("CA", -5, "en", 0.04),
    ("AU", 10, "en", 0.03),
    ("DE", 1, "de", 0.08),
    ("FR", 1, "fr", 0.06),
    ("BR", -3, "pt", 0.06),
    ("ES", 1, "es", 0.04),
    ("MX", -6, "es", 0.03),
    ("JP", 9, "ja", 0.04),
    ("KR", 9, "ko", 0.03),
    ("SG", 8, "en", 0.03),
    ("HK", 8, "zh", 0.02),
    ("TR", 3, "tr", 0.02),
    ("AE", 4, "ar", 0.02),
)
"""Country, hours from UTC, language, weight."""

AGENTS = (
    "python-httpx/0.27.2",
    "python-httpx/0.28.1",
    "python-requests/2.32.3",
    "aiohttp/3.11.10",
    "node-fetch/3.3.2",
    "axios/1.7.9",
    "Go-http-client/2.0",
    "okhttp/4.12.0",
    "curl/8.9.1",
    "Apache-HttpClient/5.4 (Java/21)",
    "reqwest/0.12.9",
    "undici/6.21.0",
)

PROVIDERS = ("direct", "north-cloud", "south-cloud")

OPTIONAL_IDENTITY = ("api_key_id", "organization_id", "plan", "payment_fingerprint", "conversation_id", "provider", "account_created_at_ms")
_NETWORK = ("client_address", "country", "user_agent")
_PARAMETERS = ("temperature", "choice_count", "logprobs", "stream", "max_tokens")

FULL: frozenset[str] = frozenset()
"""Nothing hidden."""
DIRECT = frozenset({"provider", "conversation_id"})
LEAN = frozenset({"payment_fingerprint", "conversation_id", "choice_count", "provider", "reasoning_tokens"})
STRIPPED = frozenset({*OPTIONAL_IDENTITY, *_NETWORK, *_PARAMETERS, "reasoning_tokens", "cached_input_tokens"}) - {"organization_id"}
GATEWAYS = ((FULL, 0.6), (DIRECT, 0.2), (LEAN, 0.2))
"""Fields that gateways do not pass on, with the share of accounts behind each; the stripping one is an archetype."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays the same over an account's life."""

    account_id: str
    organization_id: str
    plan: str
    payment_fingerprint: str
    created_at_ms: int
    country: str
    utc_offset_h: int
    language: str
    hidden: frozenset[str]


@dataclass(frozen=True, slots=True)
class Network:
    """Where requests come from.

    Attributes:
        pool: (address, country) pairs in use.
        blocks: first three parts of addresses for clients that get a new one each session; empty: the pool.
        agents: user agents in use.
    """

    pool: tuple[tuple[str, str], ...]
    agents: tuple[str, ...]
    blocks: tuple[tuple[str, str], ...] = ()


def draw_identity(dice: Dice, created_at_ms: int) -> Identity:
    """A new account."""
    country, offset, language, _ = dice.pick(COUNTRIES, [c[3] for c in COUNTRIES])
    return Identity(
        account_id=dice.token("acct_", 16),
        organization_id=dice.token("org_", 12),
        plan=dice.pick(tuple(PLANS), (0.15, 0.35, 0.3, 0.15, 0.05)),
        payment_fingerprint=dice.token("pay_", 12),
        created_at_ms=created_at_ms,
        country=country,
        utc_offset_h=offset,
        language=language,
        hidden=dice.pick([g for g, _ in GATEWAYS], [w for _, w in GATEWAYS]),
    )


def draw_keys(dice: Dice, count: int) -> tuple[str, ...]:
    """`count` key ids."""
    return tuple(dice.token("key_", 16) for _ in range(count))


def draw_block(dice: Dice) -> str:
    """The first three parts of an address."""
    return f"{dice.integer(240, 255)}.{dice.integer(0, 255)}.{dice.integer(0, 255)}"


def draw_network(dice: Dice, country: str, *, addresses: int = 1, agents: int = 1) -> Network:
    """A few addresses out of one or two blocks, a few agents."""
    blocks = [draw_block(dice) for _ in range(1 + (addresses > 3))]
    pool = tuple((f"{dice.pick(blocks)}.{dice.integer(1, 254)}", country) for _ in range(addresses))
    return Network(pool, dice.some(AGENTS, agents))


def draw_runners(dice: Dice, country: str) -> Network:
    """Ephemeral machines: a new address each session, out of dozens of blocks in up to three countries."""
    countries = (country, *(dice.pick(COUNTRIES, [c[3] for c in COUNTRIES])[0] for _ in range(dice.integer(0, 2))))
    blocks = tuple((draw_block(dice), dice.pick(countries)) for _ in range(dice.integer(20, 60)))
    return Network((), dice.some(AGENTS, 1), blocks)


def age_before(dice: Dice, start_ms: int) -> int:
    """Sign-up time of an account that is already there at `start_ms`: 20 to 900 days earlier, log-uniform."""
    return start_ms - int(dice.log_uniform(20, 900) * DAY_MS)
