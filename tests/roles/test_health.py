import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from pipeline.base.errors import SettingsError
from pipeline.base.settings import HttpSettings
from pipeline.devstack.processes import free_port
from pipeline.roles.health import DEAD_S, STALL_S, STARTING, Health, HealthServer, Watchdog


class Clock:
    """A clock the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def server() -> Iterator[HealthServer]:
    """A server on a free port."""
    with HealthServer(HttpSettings(), "ingest") as running:
        yield running


def get(server: HealthServer, path: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_role_is_ready_once_every_condition_holds(server: HealthServer) -> None:
    """It starts unready, names everything it waits for, and is ready when the last condition holds."""
    assert get(server, "/readyz") == (503, "starting\n")
    server.health.holds(STARTING)
    assert get(server, "/readyz") == (200, "ok\n")
    server.health.waits("kafka", "no broker")
    server.health.waits("input", "bad")
    assert get(server, "/readyz") == (503, "kafka: no broker; input: bad\n")
    assert 'stillwatch_ready{role="ingest"} 0.0' in get(server, "/metrics")[1]
    server.health.holds("kafka")
    server.health.holds("input")
    assert get(server, "/readyz?x=1") == (200, "ok\n")
    assert 'stillwatch_ready{role="ingest"} 1.0' in get(server, "/metrics")[1]


def test_being_unready_is_not_being_dead(server: HealthServer) -> None:
    """A role that waits for its cluster is alive."""
    server.health.waits("kafka", "no broker")
    assert get(server, "/healthz") == (200, "ok\n")


def test_unknown_paths_say_what_there_is(server: HealthServer) -> None:
    """Another path is not found, and nothing but GET and HEAD is served."""
    assert get(server, "/")[0] == 404
    assert "/readyz" in get(server, "/secret")[1]
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/metrics", data=b"x", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310 - loopback
    with refused.value:
        assert refused.value.code == 501


def test_a_stalled_partition_makes_the_role_unready_then_dead() -> None:
    """Something to read and no movement: unready after a minute, dead after three; movement or an empty queue resets it."""
    clock = Clock()
    health = Health("ingest", clock)
    health.holds(STARTING)
    health.watchdog.progress("t[0]", 5)
    clock.now = STALL_S + 1
    assert "t[0]" in health.unready_reason()
    assert health.dead_reason() == ""
    clock.now = DEAD_S + 1
    assert "t[0]" in health.dead_reason()
    health.watchdog.progress("t[0]", 6)
    assert (health.unready_reason(), health.dead_reason()) == ("", "")
    for _ in range(5):
        clock.now += DEAD_S
        health.watchdog.progress("t[0]", 6, pending=False)
    assert (health.unready_reason(), health.dead_reason()) == ("", "")


def test_the_watchdog_watches_each_key_alone() -> None:
    """One partition that moves does not hide one that stands still; a partition that went away is forgotten."""
    clock = Clock()
    watchdog = Watchdog(clock)
    for step in range(10):
        clock.now = 10.0 * step
        watchdog.progress("moves", step)
        watchdog.progress("stands", 7)
    assert watchdog.stalled(60.0) == ["stands"]
    watchdog.forget("stands")
    watchdog.forget("never seen")
    assert watchdog.stalled(60.0) == []


def test_conditions_may_come_from_many_threads() -> None:
    """Concurrent changes of different conditions lose nothing."""
    health = Health("ingest")
    health.holds(STARTING)

    def flip(name: str) -> None:
        for _ in range(300):
            health.waits(name, "x")
            health.holds(name)
        health.waits(name, "end")

    threads = [threading.Thread(target=flip, args=(f"c{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(health.unready_reason().split("; ")) == [f"c{i}: end" for i in range(6)]


def test_a_taken_port_is_a_settings_error() -> None:
    """The address in use is named; closing frees it at once."""
    port = free_port()
    with HealthServer(HttpSettings(port=port), "a") as first, pytest.raises(SettingsError, match=str(first.port)):
        HealthServer(HttpSettings(port=port), "b")
    with HealthServer(HttpSettings(port=port), "c") as again:
        assert again.port == port


def test_a_silent_client_blocks_nobody(server: HealthServer) -> None:
    """A connection that sends nothing does not keep others from their answers."""
    import socket  # noqa: PLC0415 - for this test only

    with socket.create_connection(("127.0.0.1", server.port)):
        started = time.monotonic()
        assert get(server, "/healthz")[0] == 200
        assert time.monotonic() - started < 5
