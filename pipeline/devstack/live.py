"""What `stillwatch demo` shows while it runs: a line that moves on a terminal, a line every few seconds elsewhere.

Alerts are printed as they arrive at the webhook receiver, above the moving line.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from pipeline.features.catalogue import FEATURES, INDEX

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from pipeline.devstack.receiver import Delivery

_LOGARITHM = re.compile(r"ln\((?:(1\+)(\w+)|(\w+/\w+))\)")  # not ln(x) alone: that is a spread of logarithms
_LARGEST_LOGARITHM = 700.0
PLAIN_EVERY_S = 5.0
SHOWN_REASONS = 3
_SEVERITY_STYLE = {1: "cyan", 2: "cyan", 3: "yellow", 4: "red", 5: "bold red"}
_BASELINES = {"own": "its own past", "cohort": "accounts like it", "population": "all accounts"}


@dataclass(frozen=True)
class Progress:
    """Where the run stands.

    Attributes:
        sent: records in the requests topic so far.
        expected: records there will be, roughly (the faults add some).
        through: records that detect has applied or dropped as repeats, and that ingest has rejected.
        rate: records through per second, lately.
        accounts: accounts that detect tracks.
        alerts: alerts opened so far.
        webhooks: webhooks that arrived and verified.
        event_time_ms: event time reached by the traffic; −1 before the first record.
    """

    sent: int = 0
    expected: int = 0
    through: int = 0
    rate: float = 0.0
    accounts: int = 0
    alerts: int = 0
    webhooks: int = 0
    event_time_ms: int = -1

    @property
    def lag(self) -> int:
        """Records on their way."""
        return max(0, self.sent - self.through)


class View:
    """Shows progress and alerts; use it as a context manager.

    Args:
        console: where to.
        clock: monotonic seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._last = -PLAIN_EVERY_S

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the moving line away; lines are printed as before."""
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print a line as it is."""
        self._console.print(line, markup=False, soft_wrap=True)

    def progress(self, progress: Progress) -> None:
        """Show where the run stands; elsewhere than on a terminal, every few seconds."""
        if self._live is not None:
            self._live.update(table(progress), refresh=True)
            return
        now = self._clock()
        if now - self._last >= PLAIN_EVERY_S:
            self._last = now
            self.say("  " + ", ".join(f"{name} {value}" for name, value in cells(progress)))

    def delivery(self, delivery: Delivery) -> None:
        """Print an alert that arrived at the receiver."""
        for line in alert_lines(delivery):
            self._console.print(line, soft_wrap=True)


def cells(progress: Progress) -> list[tuple[str, str]]:
    """What the view shows, by name; on one line of 80 characters."""
    share = f" ({progress.sent / progress.expected:.0%})" if progress.sent < progress.expected else ""
    return [
        ("event time", when(progress.event_time_ms)[5:] if progress.event_time_ms >= 0 else "-"),
        ("events in", f"{progress.sent:,}{share}"),
        ("events/s", f"{progress.rate:,.0f}"),
        ("lag", f"{progress.lag:,}"),
        ("accounts", f"{progress.accounts:,}"),
        ("alerts", f"{progress.alerts:,}"),
        ("webhooks ✓", f"{progress.webhooks:,}"),
    ]


def table(progress: Progress) -> Table:
    """The moving line."""
    found = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    shown = cells(progress)
    for name, _ in shown:
        found.add_column(name, justify="right", no_wrap=True)
    found.add_row(*(value for _, value in shown))
    return found


def alert_lines(delivery: Delivery) -> list[str]:
    """An alert as people read it, in rich's markup: what was expected, what was seen, how much had gone.

    Not promised: a shape for a body that is no alert; it is shown as unknown.
    """
    verdict = "[green]webhook verified ✓[/]" if delivery.verified else f"[bold red]webhook REFUSED: {escape(delivery.problem)}[/]"
    alert = delivery.body.get("data") if isinstance(delivery.body, dict) else None
    if not isinstance(alert, dict) or "alert_id" not in alert:
        return [f"[red]something that is no alert[/] · {verdict}"]
    gone = f"{alert['requests']:,} requests, {short(alert['output_tokens'])} output tokens"
    subject = f"{when(alert['raised_at_ms'])} {escape(alert['kind'])} {escape(alert['subject_id'])}"
    if alert["state"] != "opened":
        return [f"  [dim]{subject} {alert['state']}: {gone} so far ·[/] {verdict}"]
    style = _SEVERITY_STYLE.get(alert["severity"], "red")
    lines = [
        f"[{style}]⚑ {subject}[/] severity {alert['severity']}, {escape(alert['recommended_action'])}",
        f"    {escape(alert['headline'])}",
    ]
    lines += [f"    {escape(reason(part))}" for part in alert["explanation"][:SHOWN_REASONS]]
    lines.append(f"    gone so far: {gone} · {verdict}")
    return lines


def reason(part: dict[str, Any]) -> str:
    """One line of an alert's explanation."""
    name, unit = part["feature"], part["unit"]
    meaning = FEATURES[INDEX[name]].meaning if name in INDEX else name
    low, high, observed = (short(plain(part[key], unit)) for key in ("expected_low", "expected_high", "observed"))
    logarithm = _LOGARITHM.fullmatch(unit)
    known = unit if logarithm is None else logarithm[2] or logarithm[3]
    return f"{meaning}: expected {low}–{high} {known} from {_BASELINES.get(part['baseline'], part['baseline'])}, observed {observed}"


def plain(value: float, unit: str) -> float:
    """A value whose unit is the logarithm of an amount or of a ratio, as the amount or the ratio; others as they are."""
    logarithm = _LOGARITHM.fullmatch(unit)
    if logarithm is None or abs(value) > _LARGEST_LOGARITHM:
        return value
    return math.expm1(value) if logarithm[1] else math.exp(value)


def short(number: float) -> str:
    """A number of any size in a few characters."""
    for limit, scale, suffix in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if abs(number) >= limit:
            return f"{number / scale:.3g}{suffix}"
    return f"{number:,.0f}" if float(number).is_integer() or abs(number) >= 1_000 else f"{number:.3g}"


def span(seconds: float) -> str:
    """A duration in the unit people would use."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def when(at_ms: int) -> str:
    """Event time, UTC, to the minute."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M")
