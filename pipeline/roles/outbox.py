"""The outbox topic: webhook deliveries that wait for a retry, and endpoints that said 410. Compacted, keyed, tombstoned.

A delivery's record is written before its alert's offset is committed, so a worker that dies loses nothing; whoever gets
the alert's partition next reads the outbox to its end and goes on. Not promised: that nothing is sent twice; the
`webhook-id` is the same then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from pipeline.base.errors import CodecError, DependencyError, NewerFormatError, StillwatchError, UnavailableError
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

    def __init__(self, broker: Broker, topic: str, endpoint: str, group: str) -> None:
        self._broker = broker
        self._group = group  # read outside of it; named because a secured cluster asks for one that we may use
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
        live = self._live(give_up)
        mark = live.pop(self._disabled_key.encode(), None)
        waiting = [_decode(message, Pending) for message in live.values()]
        return [p for p in waiting if p.partition in wanted], _decode(mark, Disabled) if mark else None

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

    def _live(self, give_up: Callable[[], bool]) -> dict[bytes, Message]:
        """The newest record of each of this endpoint's keys, tombstoned ones left out."""
        info = self._broker.topic(self._topic)
        if info is None:
            raise DependencyError(f"topic {self._topic} does not exist", next_step="run `stillwatch init`")
        unread = {TopicPartition(self._topic, number) for number in range(info.partitions)}
        prefix = f"{self._endpoint}|".encode()
        live: dict[bytes, Message] = {}
        consumer = self._broker.consumer(self._group, report_ends=True)
        try:
            consumer.assign(dict.fromkeys(unread, BEGINNING))
            while unread:
                if give_up():
                    raise UnavailableError("stopped while reading the outbox", location=self._topic)
                for message in consumer.read(_READ_BATCH, _READ_WAIT_S):
                    key = message.key() or b""
                    if not key.startswith(prefix):
                        continue
                    if message.value() is None:
                        live.pop(key, None)
                    else:
                        live[key] = message
                unread -= consumer.take_ended().keys()
        finally:
            consumer.close()
        return live

    def _write(self, records: Iterable[tuple[str, bytes | None]]) -> None:
        if self._producer is None:
            self._producer = self._broker.producer()
        try:
            for key, value in records:
                self._producer.send(self._topic, value, key=key.encode())
            self._producer.flush(_FLUSH_S)
        except StillwatchError:
            self.close()  # a producer that failed once is finished
            raise


_Record = TypeVar("_Record", Pending, Disabled)


def _decode(message: Message, kind: type[_Record]) -> _Record:
    location = f"{message.topic()}[{message.partition()}]@{message.offset()}"
    try:
        record = msgspec.json.decode(message.value() or b"", type=kind)
    except msgspec.DecodeError as err:
        raise CodecError(f"an outbox record does not decode: {err}", location=location) from None
    if record.version > _VERSION:
        raise NewerFormatError(f"outbox record of version {record.version}, this program knows {_VERSION}", location=location)
    return record
