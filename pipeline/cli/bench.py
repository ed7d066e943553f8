"""`stillwatch bench`: measured on the real parts, in fresh processes, beside a peer on the same topic in the same run."""

from __future__ import annotations

import os
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from pipeline.base.errors import StillwatchError
from pipeline.base.settings import KafkaSettings, Settings, load_settings
from pipeline.cli.lines import progress_bar
from pipeline.devstack.apache_kafka import apache_kafka
from pipeline.devstack.broker import embedded_broker
from pipeline.devstack.clickhouse import EmbeddedClickHouse, embedded_clickhouse
from pipeline.devstack.processes import Child, ProcessGroup, free_port, module_argv
from pipeline.lab.bench.throughput import BenchError, Ours, Peer, measure_ours, measure_peer, summarise
from pipeline.lab.simulate import bulk_records
from pipeline.ports.clickhouse import Limits, Reader
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.kafka_admin import Janitor
from pipeline.ports.topics import TopicSpec, topic_specs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lab.bench.throughput import Process

_SOURCE = "bench.requests"
_PARTITIONS = 8


def register(app: typer.Typer) -> None:
    """Add the verb."""
    bench = typer.Typer(no_args_is_help=True, help="Benchmarks on the real parts; JSON that diffs clean.")
    bench.command("throughput")(throughput)
    bench.command("memory")(memory)
    app.add_typer(bench, name="bench")


def throughput(
    events: Annotated[int, typer.Option(min=10_000, help="Events in the topic.")] = 1_000_000,
    accounts: Annotated[int, typer.Option(min=100, help="Accounts, Zipf-distributed; every event has a prompt.")] = 20_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each row, interleaved; medians count.")] = 5,
    peer_seconds: Annotated[float, typer.Option(min=5, help="How long the peer is measured per run at most, seconds.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Of the workload.")] = 1,
    peer: Annotated[bool, typer.Option(help="Measure the plain Faust agent with a forest per account too.")] = True,
    out: Annotated[Path | None, typer.Option(help="Write every figure as JSON.")] = None,
) -> None:
    """Events per second from `api.requests` to rows queryable, CPU per event by role, beside a plain Faust agent.

    The peer reads the same topic and is measured over its second half: creating most of the forests, minutes in which it does
    nothing else, is not held against it. It needs about 7 GB for the default 20,000 accounts. Needs Java 17 and Maven for
    Apache Kafka; without them the embedded broker serves, and the result says so.
    """
    console = Console(stderr=True)
    with ProcessGroup() as group:
        server, bootstrap, broker_name = _start_broker(group)
        clickhouse = embedded_clickhouse(group)
        console.print(f"filling {_SOURCE}: {events:,} events of {accounts:,} accounts, seed {seed}, on {broker_name}")
        kafka = KafkaSettings(bootstrap_servers=bootstrap, replication_factor=1, min_insync_replicas=1)
        _fill(KafkaBroker(kafka), _SOURCE, bulk_records(events, accounts, seed))
        ours: list[Ours] = []
        peers: list[Peer] = []
        try:
            for number in range(1, runs + 1):
                ours.append(_run_ours(group, kafka, {"broker": server, "clickhouse": clickhouse.child}, clickhouse, events, number))
                console.print(f"run {number}: stillwatch {ours[-1].events_per_s:,.0f} events/s")
                if peer:
                    peers.append(_run_peer(group, bootstrap, events, peer_seconds, number))
                    console.print(f"run {number}: plain Faust {peers[-1].events_per_s:,.0f} events/s in the second half")
        except BenchError as error:
            raise StillwatchError(str(error)) from None
        result: dict[str, Any] = {
            **summarise(ours, peers),
            "workload": {
                "events": events, "accounts": accounts, "seed": seed, "broker": broker_name, "cores": os.cpu_count(),
                "load_at_the_end": os.getloadavg()[0],
            },
        }  # fmt: skip
    _show(result)
    _write(out, result)


def memory(
    accounts: Annotated[int, typer.Option(min=1_000, help="Accounts to track.")] = 1_000_000,
    partitions: Annotated[int, typer.Option(min=1, help="Books that share them.")] = 4,
    requests_per_day: Annotated[float, typer.Option(min=1, help="Mean requests of an account per day, over two days.")] = 10.0,
    out: Annotated[Path | None, typer.Option(help="Write every figure as JSON.")] = None,
) -> None:
    """Resident bytes per tracked account, its River models included, and CPU per event of the core with that many.

    Customers of the simulator, each many times over. A book keeps `detect.max_hot_accounts` of them live, the others packed.
    """
    from pipeline.lab.bench.memory import measure_memory  # noqa: PLC0415 - River and the kernels: seconds that no other verb should pay

    settings = load_settings()
    with progress_bar() as progress:
        task = progress.add_task("frames", total=None)
        found = measure_memory(
            settings, accounts, partitions, requests_per_day, lambda done, total: progress.update(task, completed=done, total=total)
        )
    result = {"id": "memory", **found._asdict(), "max_hot_accounts": settings.detect.max_hot_accounts, "partitions": partitions}
    Console(width=120).print(
        f"{found.bytes_per_account:,.0f} bytes per account: {found.accounts:,} accounts, {found.packed:,} of them packed, in "
        f"{found.resident_bytes / 2**30:.2f} GiB; {found.us_per_event:.1f} µs per event over {found.events:,} events"
    )
    _write(out, result)


def _write(out: Path | None, result: dict[str, Any]) -> None:
    if out is not None:
        out.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))


def _start_broker(group: ProcessGroup) -> tuple[Child, str, str]:
    if shutil.which("java") and shutil.which("mvn"):
        kafka = apache_kafka(group)
        return kafka.child, kafka.bootstrap_servers, "Apache Kafka"
    embedded = embedded_broker(group)
    return embedded.child, embedded.bootstrap_servers, "the embedded broker"


def _fill(broker: KafkaBroker, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
    broker.create(TopicSpec(topic, _PARTITIONS, 1, {}))
    producer = broker.producer()
    for index, (key, value) in enumerate(records):
        producer.send(topic, value, key=key)
        if index % 10_000 == 0:
            producer.poll()
    producer.flush(120)


def _env(kafka: KafkaSettings, clickhouse: EmbeddedClickHouse, prefix: str) -> dict[str, str]:
    return {
        "STILLWATCH_PREFIX": prefix,
        "STILLWATCH_REQUESTS_TOPIC": _SOURCE,
        "STILLWATCH_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "STILLWATCH_KAFKA__REPLICATION_FACTOR": "1",
        "STILLWATCH_KAFKA__MIN_INSYNC_REPLICAS": "1",
        "STILLWATCH_CLICKHOUSE__HOST": clickhouse.host,
        "STILLWATCH_CLICKHOUSE__PORT": str(clickhouse.port),
        "STILLWATCH_LOG__FORMAT": "console",
    }


def _metric(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def _run_ours(
    group: ProcessGroup, kafka: KafkaSettings, servers: dict[str, Process], clickhouse: EmbeddedClickHouse, events: int, number: int
) -> Ours:
    prefix = f"bench{number}"
    env = _env(kafka, clickhouse, prefix)
    init = group.start(f"init-{number}", module_argv("pipeline.cli", "init", "--dev"), env=env)
    if init.wait(60):
        raise BenchError(init.log_tail())
    ports = {role: free_port() for role in ("ingest", "detect", "deliver")}

    def start(role: str) -> Child:
        port = ports[role]
        ready = (lambda: _metric(port, "/readyz").startswith("ok")) if role != "ingest" else None
        argv = module_argv("pipeline.cli", "run", role)
        return group.start(
            f"{role}-{number}", argv, env={**env, "STILLWATCH_HTTP__PORT": str(port)}, ready=ready, deadline_s=300, grace_s=30
        )

    def seen(role: str) -> float:
        name = {"ingest": "stillwatch_records_total", "detect": "stillwatch_events_total"}[role]
        values = re.findall(rf'^{name}\{{[^}}]*role="{role}"[^}}]*\}} (\S+)', _metric(ports[role], "/metrics"), re.MULTILINE)
        return sum(map(float, values))

    settings = Settings(prefix=prefix, clickhouse={"host": clickhouse.host, "port": clickhouse.port})
    reader = Reader(settings, Limits())
    roles: dict[str, Child] = {role: start(role) for role in ("detect", "deliver")}
    started = dict(roles)

    def start_ingest() -> Child:
        started["ingest"] = start("ingest")
        return started["ingest"]

    def counted() -> int:
        return int(reader.query("SELECT sum(requests) FROM account_hourly").rows[0][0] or 0)

    try:
        return measure_ours(dict(roles), servers, start_ingest, seen, counted, events, 600)
    finally:
        for child in started.values():
            child.stop()
        reader.close()
        janitor = Janitor(kafka)
        for spec in topic_specs(settings):  # the broker would compact what this run wrote while the next one is measured
            janitor.delete_topic(spec.name)


def _run_peer(group: ProcessGroup, bootstrap: str, events: int, seconds: float, number: int) -> Peer:
    env = {
        "STILLWATCH_PREFIX": f"peer{number}",
        "STILLWATCH_REQUESTS_TOPIC": _SOURCE,
        "STILLWATCH_KAFKA__BOOTSTRAP_SERVERS": bootstrap,
    }
    child = group.start(f"peer-{number}", module_argv("pipeline.lab.bench.plain_faust"), env=env, grace_s=2)
    try:
        return measure_peer(child, child.log, events, seconds, 1_800)
    finally:
        child.stop()


def _show(result: dict[str, Any]) -> None:
    def each(values: dict[str, float], digits: int) -> str:
        return ", ".join(f"{name} {value:.{digits}f}" for name, value in values.items())

    table = Table("row (medians)", "events/s", "CPU µs/event", box=None, pad_edge=False)
    cpu = result["ours_cpu_us_per_event"]
    table.add_row("stillwatch, to rows queryable", f"{result['ours_events_per_s']:,.0f}", f"{sum(cpu.values()):.1f}: {each(cpu, 1)}")
    if "ratio" in result:
        peer = "plain Faust + forest per account, second half of the topic"
        table.add_row(peer, f"{result['peer_events_per_s']:,.0f}", f"{result['peer_cpu_us_per_event']:.1f}")
        table.add_row("ratio", f"{result['ratio']:.1f} ×", f"{result['cpu_ratio']:.1f} ×")
    console = Console(width=120)
    console.print(table)
    console.print(f"done after, s: {each(result['ours_finished_s'], 1)}")
    console.print(
        f"cores busy of {result['workload']['cores']}: {each(result['ours_cores'], 2)}; load {result['workload']['load_at_the_end']:.1f}"
    )
