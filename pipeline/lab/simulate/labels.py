"""The truth about every account of a scenario: who attacked, how, when, how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import orjson

from pipeline.lab.simulate.cast import cast

if TYPE_CHECKING:
    from pipeline.lab.simulate.scenario import Scenario


class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an account really did (one line of the labels file).

    Attributes:
        label: `benign` or the attack's kind.
        archetype: how the account uses the API otherwise.
        requests: all its requests, without what faults add.
        account, timing: of an attacker: `new` or `aged`; `human`, `flat` or `bursts`.
        attack_start_ms, attack_end_ms: event time of the attack's first and last request.
        attack_requests: how many the attack made.
        share: part of the account's requests between start and end that were the attack's.
    """

    account_id: str
    label: str
    archetype: str
    requests: int
    account: str = ""
    timing: str = ""
    attack_start_ms: int | None = None
    attack_end_ms: int | None = None
    attack_requests: int = 0
    share: float = 0.0


def labels(scenario: Scenario) -> list[Label]:
    """Return the truth about every account, without drawing any content; the faults do not change it."""
    found = []
    for account in cast(scenario)[0]:
        played = [list(stretches) for stretches in account.times(scenario)]
        requests = sum(s.times.size for stretches in played for s in stretches)
        identity = account.identity
        strikes = [voice.strike.times for voice in account.voices if voice.strike is not None and voice.strike.times.size]
        if not strikes:
            found.append(Label(identity.account_id, account.label, account.archetype, requests))
            continue
        times = strikes[0]
        first, last = int(times[0]), int(times[-1])
        during = sum(int(((s.times >= first) & (s.times <= last)).sum()) for stretches in played for s in stretches)
        found.append(
            Label(
                account_id=identity.account_id,
                label=account.label,
                archetype=account.archetype,
                requests=requests,
                account=account.age,
                timing=account.timing,
                attack_start_ms=first,
                attack_end_ms=last,
                attack_requests=int(times.size),
                share=round(times.size / during, 4),
            )
        )
    return found


def encode_label(label: Label) -> bytes:
    """Label → one line of JSON; what does not apply to a benign account is left out."""
    return orjson.dumps(msgspec.to_builtins(label), option=orjson.OPT_APPEND_NEWLINE)
