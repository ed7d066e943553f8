"""The outbox topic: webhook deliveries that wait for a retry, and endpoints that said 410. Compacted, keyed, tombstoned.

A delivery's record is written before its alert's offset is committed, so a worker that dies loses nothing; whoever gets
the alert's partition next reads the outbox to its end and goes on. Not promised: that nothing is sent twice; the
`webhook-id` is the same then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pipeline.base.errors import CodecError, DependencyError, NewerFormatError
from pipeline.ports.broker import BEGINNING, TopicPartition
from pipeline.roles.webhook_queue import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.ports.broker import Broker, Message, Producer

_READ_BATCH = 1_000
_READ_WAIT_S = 0.5
_FLUSH_S = 90.0
_VERSION = 1


class Disabled(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint answered 410. `settings_digest` tells whether it has been reconfigured since."""

    version: int = _VERSION
    endpoint: str
    at_ms: int
    settings_digest: str


class Outbox:
    """One endpoint's part of the outbox topic."""

    def __init__(self, broker: Broker, topic: str, endpoint: str) -> None:
        self._broker = broker
        self._topic = topic
        self._endpoint = endpoint
        self._producer: Producer | None = None

    @property
    def _disabled_key(self) -> str:
        return f"{self._endpoint}|disabled"

    def load(self, partitions: Iterable[int], give_up: Callable[[], bool]) -> tuple[list[Pending], Disabled | None]:
        """Deliveries of these partitions of the alerts topic, and whether the endpoint is disabled.

        Raises:
            UnavailableError: the cluster does not answer, or `give_up()` said so before the end was reached.
            CodecError: a record does not decode.
            DependencyError: the topic does not exist.
        """
        wanted = set(partitions)
        found = [_decode(message, Pending) for message in self._live(give_up) if message.key() != self._disabled_key.encode()]
        marks = [_decode(message, Disabled) for message in self._marks]
        return [p for p in found if p.partition in wanted], marks[-1] if marks else None

    def put(self, delivery: Pending) -> None:
        """Write a delivery and wait until it is acknowledged.

        Raises:
            UnavailableError: it was not; repeat.
            DependencyError: it was refused.
        """
        self._write([(delivery.key, msgspec.json.encode(delivery))])

    def forget(self, keys: Iterable[str]) -> None:
        """Write tombstones for deliveries that are done; raises as `put`."""
        self._write([(key, None) for key in keys])

    def disable(self, mark: Disabled) -> None:
        """Remember that the endpoint is disabled; raises as `put`."""
        self._write([(self._disabled_key, msgspec.json.encode(mark))])

    def enable(self) -> None:
        """Forget that it was; raises as `put`."""
        self._write([(self._disabled_key, None)])

    def close(self) -> None:
        """Let the producer go; everything written is acknowledged already."""
        if self._producer is not None:
            self._producer.abandon()
            self._producer = None
