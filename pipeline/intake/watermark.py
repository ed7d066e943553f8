"""How far a source partition is in event time, robustly: the third-highest event time of distinct accounts.

One event with a wild clock cannot move it. A hint for frames partitions that see few of the source's events: the book keeps
a watermark of its own (`accounts.watermark`) and never trusts a hint that is behind it.
"""

from __future__ import annotations


class SourceWatermark:
    """The three highest event times of distinct accounts; −1 until there are three."""

    __slots__ = ("_accounts", "_times", "value_ms")

    def __init__(self) -> None:
        self._times = [-1, -1, -1]
        self._accounts = [0, 0, 0]
        self.value_ms = -1

    def see(self, occurred_at_ms: int, account: int) -> None:
        """One more event, in source order."""
        if occurred_at_ms <= self.value_ms:
            return
        times, accounts = self._times, self._accounts
        place = accounts.index(account) if account in accounts else times.index(min(times))
        if occurred_at_ms > times[place]:
            times[place] = occurred_at_ms
            accounts[place] = account
            self.value_ms = max(self.value_ms, min(times))
