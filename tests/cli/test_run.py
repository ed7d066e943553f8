"""`stillwatch run`: which children with which ports, what ends them, how they drain; on the embedded broker and the real engine."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.base.errors import SettingsError
from pipeline.base.settings import Settings
from pipeline.cli.run import Choice, Role, child_commands, chosen_roles
from pipeline.devstack.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.devstack.clickhouse import EmbeddedClickHouse
    from tests.cli.conftest import Program

pytestmark = pytest.mark.usefixtures("kernels")
ROOT = Path(__file__).resolve().parents[2]
READY_S = 300.0  # only a hang takes so long


def settings(port: int) -> Settings:
    """Settings with this HTTP port."""
    return Settings(http={"port": port})


def test_roles_are_taken_once_and_in_the_order_of_the_flow() -> None:
    """`all`, repeats and any order give each role once."""
    assert chosen_roles([Choice.ALL]) == list(Role)
    assert chosen_roles([Choice.DELIVER, Choice.INGEST, Choice.DELIVER]) == [Role.INGEST, Role.DELIVER]
    assert chosen_roles([Choice.DETECT, Choice.ALL]) == list(Role)


def test_children_of_a_fixed_port_get_the_next_ones() -> None:
    """Three roles on port 9464 listen on 9464, 9465, 9466; everything else they inherit."""
    commands = child_commands(list(Role), settings(9464), {"PATH": "/bin", "STILLWATCH_HTTP__PORT": "9464", "stillwatch_http__port": "1"})
    assert {role: env for role, (_, env) in commands.items()} == {
        role: {"PATH": "/bin", "STILLWATCH_HTTP__PORT": str(9464 + place)} for place, role in enumerate(("ingest", "detect", "deliver"))
    }
    assert commands["detect"][0][1:] == ["-m", "pipeline.cli", "run", "detect", "--until-eof"]


def test_children_without_a_fixed_port_choose_for_themselves() -> None:
    """Port 0 stays 0 for each child."""
    assert {env["STILLWATCH_HTTP__PORT"] for _, env in child_commands(list(Role), settings(0), {}).values()} == {"0"}


def test_ports_beyond_the_last_one_are_refused() -> None:
    """A first port that leaves no room for the others is a wrong setting."""
    with pytest.raises(SettingsError, match=r"http\.port=65534"):
        child_commands(list(Role), settings(65_534), {})


def answer(port: int, path: str) -> tuple[int, str]:
    """Status and body of a GET on loopback; 0 when nothing listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def await_ready(process: subprocess.Popen[str], ports: list[int]) -> None:
    """Wait until every port says it is ready."""
    deadline = time.monotonic() + READY_S
    while any(answer(port, "/readyz")[0] != 200 for port in ports):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"not ready, status {process.poll()}: {process.communicate()[0]}")
        time.sleep(0.1)  # a poll of an outside process, bounded by the deadline


@pytest.fixture
def program(make_program: Callable[..., Program], tansu: str, clickhouse: EmbeddedClickHouse, unique: str) -> Program:
    """The program on the embedded broker, with a prefix of the test's own."""
    return make_program(
        PREFIX=unique,
        REQUESTS_TOPIC=f"{unique}.requests",
        KAFKA__BOOTSTRAP_SERVERS=tansu,
        KAFKA__FRAMES_PARTITIONS="2",
        KAFKA__SESSION_TIMEOUT_MS="6000",
        CLICKHOUSE__HOST=clickhouse.host,
        CLICKHOUSE__PORT=str(clickhouse.port),
    )


def test_all_roles_run_and_drain(program: Program) -> None:
    """`run all` starts three ready processes on three ports; SIGTERM drains each, and the whole ends with status 0."""
    assert program.run("init", "--dev")[0] == 0
    first = free_port()
    program.set(HTTP__PORT=str(first))
    ports = [first, first + 1, first + 2]
    with program.start("run", "all") as process:
        await_ready(process, ports)
        assert all(answer(port, "/healthz")[0] == 200 for port in ports)
        assert [f'role="{role}"' in answer(port, "/metrics")[1] for port, role in zip(ports, Role, strict=True)] == [True] * 3
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert printed.count('"role.drained"') == 3
    assert "Traceback" not in printed


def test_a_role_without_its_topics_says_what_to_do_and_ends(program: Program) -> None:
    """Before `init`, detect ends with status 4 and one sentence; `run all` then ends with that status instead of trying for ever."""
    status, printed = program.run("run", "detect")
    assert status == 4
    assert "run `stillwatch init`" in printed.splitlines()[-1]
    status, printed = program.run("run", "ingest", "deliver")
    assert status == 4


def test_a_taken_port_is_a_wrong_setting(program: Program) -> None:
    """Two processes on one port: the second ends with status 2 and names the setting; Ctrl-C drains the first."""
    assert program.run("init", "--dev")[0] == 0
    port = free_port()
    program.set(HTTP__PORT=str(port))
    with program.start("run", "deliver") as first:
        await_ready(first, [port])
        status, printed = program.run("run", "deliver")
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert status == 2
    assert "http.port" in printed


def test_no_role_and_no_such_role_are_wrong_usage(make_program: Callable[..., Program]) -> None:
    """Without a role, or with one that does not exist, the status is 2 and the roles are named."""
    for args in (["run"], ["run", "console"]):
        status, _ = make_program().run(*args)
        assert status == 2


def test_warming_up_compiles_what_detect_runs() -> None:
    """After warm-up no kernel of detect's hot path is left to compile when the first frame comes."""
    program = (
        "from pipeline.base.settings import Settings\n"
        "from pipeline.cli.warm import warm\n"
        "from pipeline.features import kernel\n"
        "kernels = [k for k in vars(kernel).values() if hasattr(k, 'signatures') and k.__name__ in ('apply_events', 'close_open')]\n"
        "before = [len(k.signatures) for k in kernels]\n"
        "warm('detect', Settings())\n"
        "print(before, [len(k.signatures) for k in kernels])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 0] [1, 1]"
