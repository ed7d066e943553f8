"""`stillwatch demo`: the whole flow on this machine, with seeded attackers in it, and a verdict on itself."""

from __future__ import annotations

import queue
import secrets
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline.base.errors import SettingsError
from pipeline.base.settings import SETTINGS_FILE_ENV
from pipeline.base.times import DAY_MS
from pipeline.devstack.demo import demo_stack, new_secret
from pipeline.devstack.drive import Drive
from pipeline.devstack.live import View, short, span, when
from pipeline.devstack.processes import ProcessGroup, unwinding_on_termination
from pipeline.devstack.readback import MUST_CATCH, attackers, flagged
from pipeline.devstack.receiver import Receiver
from pipeline.lab.simulate import Faults, demo_scenario, labels

if TYPE_CHECKING:
    from pipeline.devstack.demo import DemoStack
    from pipeline.devstack.drive import Result
    from pipeline.devstack.readback import Caught
    from pipeline.devstack.receiver import Delivery
    from pipeline.lab.simulate import Label, Scenario

FAULTS = Faults(duplicates=0.004, late=0.002, rekeyed=0.01, conflicts=0.0005, bad=0.001)
"""What goes wrong on the way to any broker: gateways retry, records come late, somebody sends rubbish."""
SHOWN_WRONG = 10
KINDS_SQL = "SELECT kind, count() FROM alerts_latest GROUP BY kind"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("demo")(demo)


def demo(
    seed: Annotated[int | None, typer.Option(help="Traffic to play; random, and printed, unless given.")] = None,
    accounts: Annotated[int | None, typer.Option(help="Benign accounts; the attackers come on top.")] = None,
    days: Annotated[float | None, typer.Option(help="Length of the traffic in event time, days.")] = None,
    end: Annotated[str, typer.Option(help="Event time of the last request: now, or an ISO 8601 time (UTC unless it says).")] = "now",
    speedup: Annotated[float | None, typer.Option(help="Seconds of event time per second at most; else as fast as it goes.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running after the summary, until Ctrl-C.")] = False,
    data: Annotated[Path | None, typer.Option(help="Keep ClickHouse's data in this folder; each run gets a database of its own.")] = None,
) -> None:
    """Play days of traffic with attackers in it through a broker, the three roles and ClickHouse, all on this machine.

    No Docker, no Java, nothing outside a temporary folder (and --data). Settings of yours are not used. Alerts are shown
    as their webhooks arrive; the summary is read back from ClickHouse. Exit status 0 only when the seeded bulk drain,
    distillation and chain-of-thought harvest were caught, few benign accounts were flagged, every record is accounted
    for, and every webhook verified.
    """
    if speedup is not None and speedup <= 0:
        raise SettingsError(f"--speedup={speedup}: allowed is more than 0")
    scenario = _scenario(seed, accounts, days, end)
    with unwinding_on_termination(), View(Console(highlight=False)) as view:
        holds = _play(scenario, view, speedup=speedup, keep=keep, data=data)
    sys.exit(0 if holds else 1)


def _scenario(seed: int | None, accounts: int | None, days: float | None, end: str) -> Scenario:
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    try:
        last = datetime.now(UTC) if end == "now" else datetime.fromisoformat(end)
    except ValueError:
        raise SettingsError(f"--end={end}: allowed are now and an ISO 8601 time") from None
    end_ms = int((last if last.tzinfo else last.replace(tzinfo=UTC)).timestamp()) * 1_000
    usual = demo_scenario(chosen, end_ms)
    length = usual.days if days is None else days
    return replace(
        usual,
        start_ms=end_ms - int(length * DAY_MS),
        days=length,
        accounts=usual.accounts if accounts is None else accounts,
        faults=FAULTS,
    )


def _play(scenario: Scenario, view: View, *, speedup: float | None, keep: bool, data: Path | None) -> bool:
    """Everything from the first process to the last; whether what it claims is true."""
    started = time.monotonic()
    again = f"--seed {scenario.seed} --end {datetime.fromtimestamp(scenario.end_ms / 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    view.say(f"seed {scenario.seed} (the same traffic again: {again})")
    arrived: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
    secret = new_secret()
    database = "stillwatch" if data is None else f"demo_{datetime.now(UTC):%Y%m%d_%H%M%S}"
    with ProcessGroup() as group, Receiver(secret, on_delivery=arrived.put) as receiver:
        view.say(f"webhook receiver       {receiver.url}")
        with demo_stack(group, receiver.url, secret, data=data, database=database, say=view.say) as stack:
            truth = labels(scenario)
            _say_cast(view, scenario, truth)
            drive = Drive(scenario, truth, stack, view, arrived)
            result = drive.run(speedup)
            view.close()
            _say_summary(view, truth, result)
            view.say(f"\n{time.monotonic() - started:.0f} s in all. To go on:")
            for line in _next_steps(stack, again, keep=keep, data=data, database=database):
                view.say(f"  {line}")
            with suppress(KeyboardInterrupt):  # the way out of --keep
                while keep:
                    drive.watch()
    return result.holds


def _say_cast(view: View, scenario: Scenario, truth: list[Label]) -> None:
    bad = [label for label in truth if label.attack_start_ms is not None]
    view.say(
        f"\n{scenario.days:g} days up to {when(scenario.end_ms)}: {sum(label.requests for label in truth):,} requests of "
        f"{len(truth) - len(bad)} customers and {len(bad)} attackers ({', '.join(sorted(label.label for label in bad))})\n"
    )


def _say_summary(view: View, truth: list[Label], result: Result) -> None:
    """What ClickHouse holds, then whether it is what it should be."""
    outcome = result.outcome
    view.say("\nRead back from ClickHouse")
    kinds: dict[str, set[str]] = {}
    for revision in outcome.revisions:
        kinds.setdefault(revision.kind, set()).add(revision.alert_id)
    counts = ", ".join(f"{kind} {len(ids)}" for kind, ids in sorted(kinds.items()))
    view.say(f"  alerts: {sum(len(ids) for ids in kinds.values())} ({counts or 'none'}), {len(outcome.revisions)} revisions")
    view.say("  top accounts by output tokens:")
    who = {label.account_id: label for label in truth}
    for account in outcome.top:
        label = who.get(account.account_id)
        role = "unknown" if label is None else label.archetype if label.attack_start_ms is None else f"attacker, {label.label}"
        view.say(
            f"    {account.account_id}  {account.requests:,} requests, {short(account.output_tokens)} output tokens, "
            f"risk {account.risk:.2f}  ({role})"
        )
    view.say("  attackers:")
    for one in attackers(truth, outcome.revisions):
        view.say(f"    {_caught_line(one)}")
    wrong, _ = flagged(truth, outcome.revisions)
    view.say(f"  benign accounts flagged: {len(wrong)}")
    for account_id in wrong[:SHOWN_WRONG]:
        about = ", ".join(sorted({r.kind for r in outcome.revisions if account_id in r.accounts}))
        view.say(f"    {account_id}  {who[account_id].archetype}: {about}")
    if len(wrong) > SHOWN_WRONG:
        view.say(f"    … and {len(wrong) - SHOWN_WRONG} more")
    view.say("")
    for claim in result.claims:
        view.say(f"{'✓' if claim.holds else '✗'} {claim.text}")


def _caught_line(one: Caught) -> str:
    label, alert = one
    promised = "" if label.label in MUST_CATCH else " (not promised)"
    if alert is None or label.attack_start_ms is None:
        return f"{label.account_id}  {label.label}{promised}: missed"
    after = span(max(0, alert.raised_ms - label.attack_start_ms) / 1_000)
    return (
        f"{label.account_id}  {label.label}{promised}: caught as {alert.kind} {after} after its first request; "
        f"{alert.requests:,} requests, {short(alert.output_tokens)} output tokens had gone"
    )


def _next_steps(stack: DemoStack, again: str, *, keep: bool, data: Path | None, database: str) -> list[str]:
    """Commands that work from here."""
    settings = stack.settings
    asks = [
        "stillwatch alerts list",
        'stillwatch query "SELECT * FROM account_hourly ORDER BY risk DESC LIMIT 10"',
        "stillwatch deadletter list",
    ]
    if keep:
        return [
            f"export {SETTINGS_FILE_ENV}={stack.settings_file}   # in another terminal",
            *asks,
            "stillwatch feedback ALERT_ID true_positive   # and: feedback list",
            "stillwatch doctor --dev",
            f"curl '{stack.clickhouse_url}/?database={database}' --data '{KINDS_SQL}'",
            f"any Kafka client on {stack.bootstrap_servers}, topic {settings.requests_topic}",
            "everything runs until Ctrl-C here; nothing is left behind then",
        ]
    if data is not None:
        return [
            f"python -m pipeline.devstack.clickhouse --port 8123 --path {data}   # serves what was kept, until Ctrl-C",
            f"export STILLWATCH_CLICKHOUSE__DATABASE={database}   # in another terminal",
            *asks,
        ]
    return [
        f"stillwatch demo {again} --keep   # the same traffic, left running: then",
        *(f"  {ask}" for ask in asks),
        "stillwatch init, doctor, run all   # your own cluster; `stillwatch config` lists the settings",
    ]
