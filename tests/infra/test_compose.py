"""The compose file, read: pinned, unprivileged, watched, and with settings that this program knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import __version__
from pipeline.base.settings import ENV_PREFIX, load_settings

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = ("kafka", "clickhouse", "init", "ingest", "detect", "deliver", "simulator", "cli")
ROLES = ("ingest", "detect", "deliver")
ENDS_BY_ITSELF = ("init", "simulator", "cli")


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, compose: dict[str, Any]) -> dict[str, Any]:
    """Each service."""
    spec: dict[str, Any] = compose["services"][request.param]
    return spec


def test_every_service_is_tested(compose: dict[str, Any]) -> None:
    """A service added to the file is held to the same rules."""
    assert set(SERVICES) == set(compose["services"])


def test_image_names_an_exact_release(service: dict[str, Any]) -> None:
    """No image moves under a running installation: no `latest`, no branch tag."""
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+(\.\d+)?", service["image"])


def test_own_image_is_the_version_of_the_package(own_services: dict[str, dict[str, Any]]) -> None:
    """The image's tag follows the package."""
    assert {spec["image"] for spec in own_services.values()} == {f"stillwatch:{__version__}"}


def test_kafka_is_the_release_that_the_tests_run(compose: dict[str, Any], root: Path) -> None:
    """What the end-to-end tests prove is proven on the broker that compose starts."""
    version = re.search(r"<kafka.version>(.+?)<", (root / "infra/kafka/pom.xml").read_text())
    assert version is not None
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{version[1]}"


def test_service_runs_without_privileges(service: dict[str, Any]) -> None:
    """A numeric non-root user, no capability, no way to new ones, a root file system that cannot be written."""
    uid, gid = map(int, service["user"].split(":"))
    assert uid > 0
    assert gid > 0
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert "privileged" not in service
    assert "cap_add" not in service


def test_service_has_limits(service: dict[str, Any]) -> None:
    """No service takes the machine down with it."""
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["pids_limit"] > 0
    assert all("size=" in mount for mount in service["tmpfs"])


def test_ports_are_published_on_loopback(service: dict[str, Any]) -> None:
    """Nobody but this machine reaches an unauthenticated port."""
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_host_ports_do_not_collide(compose: dict[str, Any]) -> None:
    """All services can run at once."""
    ports = [port.split(":")[1] for spec in compose["services"].values() for port in spec.get("ports", ())]
    assert len(ports) == len(set(ports))


def test_nothing_of_the_host_is_mounted_writable(service: dict[str, Any], compose: dict[str, Any], root: Path) -> None:
    """Data lives in named volumes; configuration is mounted read-only and exists."""
    for mount in service.get("volumes", ()):
        source, _, options = mount.partition(":")
        if source.startswith("."):
            assert options.endswith(":ro")
            assert (root / source).is_file()
        else:
            assert source in compose["volumes"]


def test_long_running_services_restart_and_are_watched(compose: dict[str, Any]) -> None:
    """Whatever is meant to stay has a health check (our roles: the image's) and comes back; what ends is not restarted."""
    for name, spec in compose["services"].items():
        if name in ENDS_BY_ITSELF:
            assert spec["restart"] == "no"
            assert spec["healthcheck"] == {"disable": True}
        else:
            assert spec["restart"] == "unless-stopped"
            assert name in ROLES or spec["healthcheck"]["test"][0] == "CMD"


def test_roles_wait_for_init(compose: dict[str, Any]) -> None:
    """No role starts before topics and schema exist; `init` itself waits until both servers answer."""
    for name in (*ROLES, "simulator", "cli"):
        assert compose["services"][name]["depends_on"]["init"] == {"condition": "service_completed_successfully"}
    assert compose["services"]["init"]["depends_on"] == {
        "kafka": {"condition": "service_healthy"},
        "clickhouse": {"condition": "service_healthy"},
    }


def test_only_some_start_by_themselves(compose: dict[str, Any]) -> None:
    """`docker compose up` starts the flow; traffic and the analyst's seat are asked for."""
    assert {name for name, spec in compose["services"].items() if "profiles" in spec} == {"simulator", "cli"}


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ("kafka", "clickhouse")])
def test_environment_is_known_settings(name: str, own_services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable of our services is a setting that loads, and points at the services of this file."""
    environment = own_services[name]["environment"]
    assert all(key.startswith(ENV_PREFIX) for key in environment)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    settings = load_settings()
    assert settings.kafka.bootstrap_servers == "kafka:19092"
    assert ("STILLWATCH_CLICKHOUSE__HOST" in environment) == (settings.clickhouse.host == "clickhouse")


def test_each_process_gets_the_least_clickhouse_user(compose: dict[str, Any]) -> None:
    """Who creates tables does not run for ever, who writes cannot create, who reads cannot write; two roles get none."""
    users = {
        name: spec["environment"].get("STILLWATCH_CLICKHOUSE__USERNAME")
        for name, spec in compose["services"].items()
        if name not in ("kafka", "clickhouse")
    }
    assert users == {
        "init": "stillwatch_admin",
        "ingest": None,
        "detect": None,
        "deliver": "stillwatch_writer",
        "simulator": None,
        "cli": "stillwatch_reader",
    }


def test_passwords_of_client_and_server_agree(root: Path) -> None:
    """One variable sets a password on both ends."""
    text = (root / "docker-compose.yml").read_text()
    server = dict(re.findall(r"^      CLICKHOUSE_(\w+)_PASSWORD: (.+)$", text, re.MULTILINE))
    client = re.findall(r"USERNAME: stillwatch_(\w+)\n +STILLWATCH_CLICKHOUSE__PASSWORD: (.+)$", text, re.MULTILINE)
    assert {(user.upper(), password) for user, password in client} == set(server.items())
    assert len(server) == 3


def test_kafka_listeners_are_consistent(compose: dict[str, Any]) -> None:
    """Containers are told the name they resolve, the host the address it published."""
    kafka = compose["services"]["kafka"]
    environment = kafka["environment"]
    bound = dict(item.split("://") for item in environment["KAFKA_LISTENERS"].split(","))
    told = dict(item.split("://") for item in environment["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert told["INTERNAL"] == "kafka:19092"
    assert bound["INTERNAL"].endswith(":19092")
    assert kafka["ports"] == [f"{told['HOST']}:{bound['HOST'].rpartition(':')[2]}"]
    assert bound["CONTROLLER"].startswith("127.0.0.1:")
    assert environment["KAFKA_LOG_DIRS"] == kafka["volumes"][0].partition(":")[2]
