"""What to simulate: one frozen description; with the same description comes the same traffic, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.base.errors import SettingsError
from pipeline.base.times import DAY_MS
from pipeline.events.alert import Kind

ATTACK_KINDS = (
    Kind.BULK_EXTRACTION,
    Kind.SYSTEMATIC_DISTILLATION,
    Kind.REASONING_ELICITATION,
    Kind.LIMIT_EVASION,
    Kind.PROBING,
)
"""Kinds that the simulator can play."""


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(f"{name}={value}: allowed is {low} to {high}")


@dataclass(frozen=True, slots=True)
class AttackSpec:
    """One attacker. What is None is drawn from the seed: 1,500–6,000 requests, share 50–100 %, either account, either timing.

    Attributes:
        requests: attack requests, 300–20,000.
        share: part of the account's requests during the attack that are the attack's, .05–1 (on average; the labels say what came out).
        account: `new` signs up for it, `aged` was an ordinary customer before.
        timing: `human` follows hours and sessions, `flat` is a machine's. Limit evasion rides in bursts whatever this says.
    """

    kind: Kind
    requests: int | None = None
    share: float | None = None
    account: Literal["new", "aged"] | None = None
    timing: Literal["human", "flat"] | None = None

    def __post_init__(self) -> None:
        if self.kind not in ATTACK_KINDS:
            raise SettingsError(f"attacker {self.kind}: allowed are {', '.join(ATTACK_KINDS)}")
        if self.requests is not None:
            _within("requests", self.requests, 300, 20_000)
        if self.share is not None:
            _within("share", self.share, 0.05, 1.0)
        if self.account not in (None, "new", "aged"):
            raise SettingsError(f"account={self.account}: allowed are new, aged")
        if self.timing not in (None, "human", "flat"):
            raise SettingsError(f"timing={self.timing}: allowed are human, flat")


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of events, each 0–.5, to which something happens on the way (see `faults`)."""

    duplicates: float = 0.0
    late: float = 0.0
    rekeyed: float = 0.0
    conflicts: float = 0.0
    bad: float = 0.0

    def __post_init__(self) -> None:
        for name in ("duplicates", "late", "rekeyed", "conflicts", "bad"):
            _within(name, getattr(self, name), 0.0, 0.5)
        _within("duplicates + late + conflicts", self.duplicates + self.late + self.conflicts, 0.0, 1.0)

    def __bool__(self) -> bool:
        return any((self.duplicates, self.late, self.rekeyed, self.conflicts, self.bad))


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that decides the traffic.

    Attributes:
        seed: any non-negative integer.
        start_ms: event time of the first possible request, Unix ms; the last one lies `days` later.
        days: length in event time; attacks shrink to fit a short one.
        accounts: benign accounts; attackers come on top.
        requests_per_account_day: mean over benign accounts; heavy-tailed over them.
        attacks: the attackers, in any number.
    """

    seed: int
    start_ms: int
    days: float = 5.0
    accounts: int = 300
    requests_per_account_day: float = 200.0
    attacks: tuple[AttackSpec, ...] = tuple(AttackSpec(kind) for kind in ATTACK_KINDS)
    faults: Faults = Faults()

    def __post_init__(self) -> None:
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("start_ms", self.start_ms, 1_000 * DAY_MS, 100_000 * DAY_MS)
        _within("days", self.days, 0.05, 400)
        _within("accounts", self.accounts, 0, 1_000_000)
        _within("requests_per_account_day", self.requests_per_account_day, 0.1, 1_000_000)
        if not self.accounts and not self.attacks:
            raise SettingsError("accounts=0 and no attackers: nothing to simulate")

    @property
    def end_ms(self) -> int:
        """No event is at or after this time."""
        return self.start_ms + int(self.days * DAY_MS)


def demo_scenario(seed: int, start_ms: int) -> Scenario:
    """What `stillwatch demo` plays: four days, 240 customers, one attacker of each kind, loud enough to be caught in time.

    About 170,000 requests. The three kinds that the demo promises come from customers that turn, and the bulk drain keeps no human
    hours: a new account that drains at a human pace is missed one time in four (`evaluate` says more), and a demo is no place for a
    wager. All else about the attackers is the seed's choice.
    """
    attacks = (
        AttackSpec(Kind.BULK_EXTRACTION, requests=4_000, share=0.85, account="aged", timing="flat"),
        AttackSpec(Kind.SYSTEMATIC_DISTILLATION, requests=3_000, share=0.8, account="aged"),
        AttackSpec(Kind.REASONING_ELICITATION, requests=2_500, share=0.8, account="aged"),
        AttackSpec(Kind.LIMIT_EVASION, requests=3_000, share=0.8),
        AttackSpec(Kind.PROBING, requests=1_500, share=0.7),
    )
    return Scenario(seed=seed, start_ms=start_ms, days=4, accounts=240, requests_per_account_day=150, attacks=attacks)


def parse_attackers(text: str) -> tuple[AttackSpec, ...]:
    """Read `kind[:key=value…][,…]`; `none` is nobody, `all` is one of each kind.

    Example: `bulk_extraction:requests=5000:share=.6,probing:account=new`.

    Raises:
        SettingsError: what is wrong and what is allowed.
    """
    if text.strip() in ("", "none"):
        return ()
    if text.strip() == "all":
        return tuple(AttackSpec(kind) for kind in ATTACK_KINDS)
    return tuple(_parse_one(part.strip()) for part in text.split(","))


def _parse_one(text: str) -> AttackSpec:
    name, *pairs = text.split(":")
    if name not in ATTACK_KINDS:
        raise SettingsError(f"attacker {name!r}: allowed are {', '.join(ATTACK_KINDS)}, all, none")
    values: dict[str, str] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in ("requests", "share", "account", "timing"):
            raise SettingsError(f"attacker {name}, {pair!r}: allowed are requests=, share=, account=, timing=")
        values[key] = value
    try:
        return AttackSpec(
            Kind(name),
            requests=int(values["requests"]) if "requests" in values else None,
            share=float(values["share"]) if "share" in values else None,
            account=values.get("account"),  # type: ignore[arg-type]  # checked by AttackSpec
            timing=values.get("timing"),  # type: ignore[arg-type]  # checked by AttackSpec
        )
    except ValueError as err:
        raise SettingsError(f"attacker {text!r}: {err}") from None
