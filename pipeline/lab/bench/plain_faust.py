"""The peer: a tuned plain Faust agent with one River `HalfSpaceTrees(n_trees=10, height=6)` per account.

What a capable team writes in a day: raw bytes decoded by msgspec, six numbers scaled to 0–1, `score_one`, `learn_one`, alerts
above a quantile. Tuned as far as Faust goes: no acknowledgement per event, no waiting for an empty stream, no web
server, offsets committed in the background, and the garbage collector as rare as detect has it (at Python's default pace
it would walk through millions of tree nodes over and over). It keeps no exact state, drops nothing twice, writes no aggregates: it is
given every advantage of doing less.

Run as a process by `bench throughput`: prints one JSON line per second with events and CPU seconds so far.
"""

from __future__ import annotations

import gc
import math
import resource
import sys
import tempfile
import time
from typing import Any

import faust
import msgspec
import orjson
from river.anomaly import HalfSpaceTrees

from pipeline.base.settings import load_settings
from pipeline.roles.lifecycle import GC_THRESHOLDS

FEATURES = ("input", "output", "reasoning", "length", "latency", "failed")


class _Event(msgspec.Struct):
    """The fields this detector looks at; the rest is skipped."""

    account_id: str
    status: int
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    latency_ms: float = 0.0
    prompt: str = ""


def _scaled(event: _Event) -> dict[str, float]:
    """Features in 0–1, as the forest wants them."""
    return {
        "input": min(math.log1p(event.input_tokens) / 12.0, 1.0),
        "output": min(math.log1p(event.output_tokens) / 12.0, 1.0),
        "reasoning": min(math.log1p(event.reasoning_tokens) / 12.0, 1.0),
        "length": min(math.log1p(len(event.prompt)) / 12.0, 1.0),
        "latency": min(math.log1p(event.latency_ms) / 12.0, 1.0),
        "failed": float(event.status >= 400),
    }


def make_app(bootstrap_servers: str, topic_name: str, group: str, datadir: str) -> Any:  # noqa: ANN401 - faust is loosely typed
    """The application."""
    app: Any = faust.App(
        group,
        broker=[f"kafka://{address}" for address in bootstrap_servers.split(",")],
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_wait_empty=False,
        broker_commit_interval=5.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        datadir=datadir,
    )
    topic = app.topic(topic_name, key_serializer="raw", value_serializer="raw", acks=False)
    decode = msgspec.json.Decoder(_Event).decode
    forests: dict[str, Any] = {}  # river's methods are untyped
    counts = {"seen": 0, "alerts": 0}

    @app.agent(topic, concurrency=1)  # type: ignore[untyped-decorator]
    async def detect(stream: Any) -> None:  # noqa: ANN401
        async for event in stream.noack().events():
            request = decode(event.message.value)
            forest = forests.get(request.account_id)
            if forest is None:
                forest = forests[request.account_id] = HalfSpaceTrees(n_trees=10, height=6, seed=1)
            features = _scaled(request)
            if forest.score_one(features) > 0.98:
                counts["alerts"] += 1
            forest.learn_one(features)
            counts["seen"] += 1

    @app.timer(1.0)  # type: ignore[untyped-decorator]
    async def report() -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        line = {
            "at_s": time.monotonic(),
            "events": counts["seen"],
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "max_rss_kb": usage.ru_maxrss,
            "accounts": len(forests),
        }
        sys.stdout.write(orjson.dumps(line).decode() + "\n")
        sys.stdout.flush()

    return app


def main() -> None:
    """Run until terminated."""
    settings = load_settings()
    gc.set_threshold(*GC_THRESHOLDS)
    with tempfile.TemporaryDirectory(prefix="stillwatch-peer-", ignore_cleanup_errors=True) as datadir:
        app = make_app(settings.kafka.bootstrap_servers, settings.requests_topic, settings.group("plain-faust"), datadir)
        app.finalize()
        app.loop.run_until_complete(app.start())
        app.loop.run_forever()


if __name__ == "__main__":
    main()
