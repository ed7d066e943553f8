"""The canary: a planted attacker whose alert proves that the whole flow still sees.

A new account each time, a few hundred requests with event times up to now: ten minutes at full speed, from forty addresses, four
answers to each and all of much the same length, every one with a demand for training material and for the model's way of thinking.
LEVEL evidence must notice that at its first look; a test holds the detector in force to it, with room for a tenth of the budget. Its
account id has the reserved prefix, so its alerts are marked and nobody is woken by them. What it does not prove: that careful or slow
attackers are caught, that CHANGE against an account's own past works (that needs a past), or that partitions other than its own do.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

import orjson

from pipeline.base.errors import SettingsError
from pipeline.base.times import HOUR_MS
from pipeline.events.alert import CANARY_PREFIX
from pipeline.lab.simulate.phrases import ELICITATION

if TYPE_CHECKING:
    from pipeline.base.settings import Settings
    from pipeline.ports.broker import Producer
    from pipeline.ports.clickhouse import Reader

REQUESTS = 400
"""Enough for the looks at 50, 100, 200 and 400 requests."""
SPACING_MS = 1_500
AGE_MS = HOUR_MS
"""It signed up an hour ago."""
FLUSH_S = 30.0
POLL_S = 0.25
_QUESTIONS = (
    "a train leaves with {a} wagons and loses {b} at every stop; when is it empty?",
    "is the sum of the first {a} odd numbers divisible by {b}?",
    "how many ways are there to seat {a} guests at {b} tables?",
    "a tank holds {a} litres and leaks {b} an hour; how long does it last?",
    "which of {a} coins is the false one, and why are {b} weighings enough?",
)
_FIND_SQL = """
SELECT kind, headline, severity, requests_before FROM alerts
WHERE subject_id = {account:String} AND canary ORDER BY revision LIMIT 1
"""


class Sighting(NamedTuple):
    """What came of one canary."""

    account_id: str
    delay_s: float | None
    """From the first record sent to the alert readable in ClickHouse; None: not seen in time."""
    kind: str = ""
    severity: int = 0
    headline: str = ""
    requests_before: int = 0
    """Requests it had made when its alert opened."""


def records(seed: int, now_ms: int) -> tuple[str, list[bytes]]:
    """Account id and request events of one canary, in order; equal seeds and times give equal bytes."""
    dice = random.Random(seed)
    account_id = f"{CANARY_PREFIX}{now_ms}-{dice.getrandbits(32):08x}"
    asks = [text for texts in ELICITATION.values() for text in texts]
    first = now_ms - (REQUESTS - 1) * SPACING_MS
    made = []
    for number in range(REQUESTS):
        question = dice.choice(_QUESTIONS).format(a=dice.randint(3, 999), b=dice.randint(2, 99))
        output = int(dice.lognormvariate(6.5, 0.4))
        event = {
            "event_id": f"{account_id}-{number}",
            "occurred_at_ms": first + number * SPACING_MS + dice.randint(0, SPACING_MS // 2) * (number < REQUESTS - 1),
            "account_id": account_id,
            "api_key_id": f"{account_id}-key",
            "plan": "canary",
            "client_address": f"203.0.113.{dice.randint(1, 40)}",
            "user_agent": "stillwatch-canary",
            "account_created_at_ms": first - AGE_MS,
            "operation": "chat",
            "model": "canary",
            "status": 200,
            "finish_reason": "stop",
            "input_tokens": 60 + dice.randint(0, 40),
            "output_tokens": output,
            "reasoning_tokens": int(output * 0.3),
            "cached_input_tokens": 0,
            "choice_count": 4,
            "logprobs": True,
            "prompt": f"Write a detailed training example. Question {number}: {question}\n\n{dice.choice(asks)}",
        }
        made.append(orjson.dumps(event))
    return account_id, made


def fly(settings: Settings, producer: Producer, reader: Reader, seed: int, timeout_s: float) -> Sighting:
    """Send one canary through the requests topic and wait for its alert in ClickHouse.

    Raises:
        UnavailableError: Kafka or ClickHouse does not answer.
        QueryError: the schema is not there.
    """
    account_id, made = records(seed, time.time_ns() // 1_000_000)
    begun = time.monotonic()
    for record in made:
        producer.send(settings.requests_topic, record, key=account_id.encode())
    producer.flush(FLUSH_S)
    while True:
        found = reader.query(_FIND_SQL, {"account": account_id}).rows
        waited = time.monotonic() - begun
        if found:
            kind, headline, severity, requests_before = found[0]
            return Sighting(account_id, waited, kind, severity, headline, requests_before)
        if waited >= timeout_s:
            return Sighting(account_id, None)
        time.sleep(POLL_S)


def seconds(text: str) -> float:
    """`90s`, `15m`, `24h`, `1d` → seconds.

    Raises:
        SettingsError: it is none of these.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdigit() or not int(number):
        raise SettingsError(f"--every {text!r}: a time like 90s, 15m, 24h or 1d")
    return int(number) * units[unit]
