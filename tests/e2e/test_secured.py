"""A secured Apache Kafka: client certificates (mTLS) and SASL over TLS, for both clients; and what a refusal says."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the vendor's stubs do not re-export three of them
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from pipeline.base.errors import DependencyError
from pipeline.base.settings import KafkaSettings, Settings
from pipeline.cli import main
from pipeline.devstack.apache_kafka import DEFINITION, apache_kafka
from pipeline.devstack.processes import free_port
from pipeline.lab.simulate import Scenario
from pipeline.ports.clickhouse_memory import MemorySink
from pipeline.ports.kafka import KafkaBroker
from pipeline.ports.topics import ensure_topics
from pipeline.roles import detect
from pipeline.roles.deliver import run_deliver
from pipeline.roles.health import Health
from pipeline.roles.ingest import run_ingest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipeline.devstack.processes import ProcessGroup
    from tests.e2e.conftest import Flow, Played

# Secrets of this test, each found nowhere but where it was put.
PASSWORDS = {"scram-user": "heron-under-bridge", "plain-user": "kestrel-over-field"}
KEY_PASSWORD = "wren-in-hedge"  # noqa: S105 - a test's
WRONG = "magpie-on-chimney"
SECRETS = (*PASSWORDS.values(), KEY_PASSWORD, WRONG)
ENOUGH_S = 60.0
"""Only a hang takes so long: a refusal is said within seconds."""

LISTENERS = """
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker-store.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/authority.pem
listener.name.mtls.ssl.client.auth=required
listener.name.login.sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN
listener.name.login.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_plain-user="{plain}";
"""


@dataclass
class Secured:
    """A broker with three listeners: open (for the test's own hands), with client certificates, and with SASL over TLS."""

    folder: Path
    open: str = ""
    mtls: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    login: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")

    def mutual_tls(self) -> dict[str, str]:
        """Settings with our certificate; its key has a password."""
        return {
            **self.no_certificate(),
            "ssl_certificate_file": f"{self.folder}/client.pem",
            "ssl_key_file": f"{self.folder}/client.key",
            "ssl_key_password": KEY_PASSWORD,
        }

    def no_certificate(self) -> dict[str, str]:
        """The same, and no certificate of ours."""
        return {"security_protocol": "SSL", "ssl_ca_file": f"{self.folder}/authority.pem"}

    def sasl(self, user: str, mechanism: str) -> dict[str, str]:
        """User and password over TLS."""
        return {
            "security_protocol": "SASL_SSL",
            "ssl_ca_file": f"{self.folder}/authority.pem",
            "sasl_mechanism": mechanism,
            "sasl_username": user,
            "sasl_password": PASSWORDS[user],
        }

    def scram(self) -> dict[str, str]:
        """SCRAM-SHA-256."""
        return self.sasl("scram-user", "SCRAM-SHA-256")

    def plain(self) -> dict[str, str]:
        """PLAIN."""
        return self.sasl("plain-user", "PLAIN")

    def wrong_password(self) -> dict[str, str]:
        """SCRAM with a password that is not the user's."""
        return {**self.scram(), "sasl_password": WRONG}

    def other_authority(self) -> dict[str, str]:
        """An authority that did not sign the broker's certificate."""
        return {**self.scram(), "ssl_ca_file": f"{self.folder}/stranger.pem"}

    def address(self, security: dict[str, str]) -> str:
        """The listener that these settings mean."""
        return self.login if security["security_protocol"] == "SASL_SSL" else self.mtls


def _make_certificates(folder: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is not installed")
        pytest.skip("openssl is not installed")

    def certificate(name: str, subject: str, *extra: str, signed: bool = True) -> None:
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2", "-subj", f"/CN={subject}"]
        if signed:
            command += ["-CA", "authority.pem", "-CAkey", "authority.key", "-addext", "basicConstraints=critical,CA:FALSE"]
        command += ["-keyout", f"{name}.key", "-out", f"{name}.pem", *(extra or ["-nodes"])]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    certificate("authority", "test authority", signed=False)
    certificate("stranger", "another authority", signed=False)
    certificate("broker", "broker", "-nodes", "-addext", "subjectAltName=IP:127.0.0.1")
    certificate("client", "stillwatch", "-passout", f"pass:{KEY_PASSWORD}")
    (folder / "broker-store.pem").write_text((folder / "broker.key").read_text() + (folder / "broker.pem").read_text())


@pytest.fixture(scope="module")
def secured(session_processes: ProcessGroup, tmp_path_factory: pytest.TempPathFactory, kafka_node: object) -> Secured:  # noqa: ARG001 - fetches or skips
    """One broker for every test here."""
    found = Secured(tmp_path_factory.mktemp("secured"))
    _make_certificates(found.folder)
    definition = found.folder / "definition"
    shutil.copytree(DEFINITION, definition)
    properties = definition / "server.properties"
    added = {
        "listeners": f",MTLS://{found.mtls},LOGIN://{found.login}",
        "advertised.listeners": f",MTLS://{found.mtls},LOGIN://{found.login}",
        "listener.security.protocol.map": ",MTLS:SSL,LOGIN:SASL_SSL",
    }
    lines = [line + added.get(line.partition("=")[0], "") for line in properties.read_text().splitlines()]
    properties.write_text("\n".join(lines) + LISTENERS.format(folder=found.folder, plain=PASSWORDS["plain-user"]))
    found.open = apache_kafka(session_processes, definition=definition).bootstrap_servers
    admin = AdminClient({"bootstrap.servers": found.open})
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4_096)
    change = UserScramCredentialUpsertion("scram-user", info, PASSWORDS["scram-user"].encode())
    for answer in admin.alter_user_scram_credentials([change]).values():
        answer.result(30)
    return found


def test_plain_passwords_get_in(secured: Secured, make_flow: Callable[..., Flow]) -> None:
    """PLAIN over TLS: `init` (the flow's own) and `doctor` reach the cluster."""
    security = secured.plain()
    flow = make_flow(secured.address(security), security=security, requests_partitions=2, frames_partitions=2)
    assert "1 broker(s)" in flow.command("doctor", "--dev")


@pytest.mark.parametrize("how", ["mutual_tls", "scram"])
def test_the_whole_flow_over_it(secured: Secured, make_flow: Callable[..., Flow], play: Callable[[Scenario], Played], how: str) -> None:
    """`init`, `doctor` and every role with these settings and no other address: every request is counted, no secret is logged."""
    security = getattr(secured, how)()
    flow = make_flow(secured.address(security), security=security, requests_partitions=2, frames_partitions=2)
    doctor = flow.command("doctor", "--dev")
    assert "1 broker(s)" in doctor
    assert "✗" not in doctor
    played = play(Scenario(seed=5, start_ms=1_780_000_000_000, days=0.5, accounts=20, requests_per_account_day=60))
    assert played.requests > 300
    roles = [flow.role(role) for role in ("ingest", "detect", "deliver")]
    flow.produce(played.records)
    flow.until("everything counted", lambda: flow.settled(played), 400, roles)  # kernels may have to be compiled
    for child in roles:
        child.stop()
    assert [child.returncode for child in roles] == [0, 0, 0]
    assert flow.stored_sums() == played.sums
    assert not [log.name for log in flow.processes.folder.glob("*.log") if any(secret in log.read_text() for secret in SECRETS)]


REFUSALS = {
    "wrong_password": ("kafka.sasl_password", "uthentication failed"),
    "no_certificate": ("kafka.ssl_certificate_file", "alert"),
    "other_authority": ("kafka.ssl_ca_file", "certificate verify failed"),
}


@pytest.fixture
def _own_logging() -> Iterator[None]:
    """Verbs configure logging for their process, which here is the test's."""
    root, client = logging.getLogger(), logging.getLogger("librdkafka")
    before = root.handlers[:], root.level, client.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    client.setLevel(before[2])


@pytest.mark.usefixtures("_own_logging")
@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_one_line_with_the_setting(
    secured: Secured, unique: str, case: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`init` and `doctor` end with a line that names the setting, the roles raise it instead of waiting; no secret in either."""
    setting, why = REFUSALS[case]
    security = getattr(secured, case)()
    address = secured.address(security)
    for key, value in {**security, "bootstrap_servers": address}.items():
        monkeypatch.setenv(f"STILLWATCH_KAFKA__{key.upper()}", value)
    monkeypatch.setenv("STILLWATCH_CLICKHOUSE__PORT", str(free_port()))
    for verb, status in (("init", 4), ("doctor", 1)):
        monkeypatch.setattr(sys, "argv", ["stillwatch", verb])
        begun = time.monotonic()
        with pytest.raises(SystemExit) as ended:
            main.run()
        assert ended.value.code == status
        assert time.monotonic() - begun < ENOUGH_S
        said = "".join(capfd.readouterr())
        assert why in said
        assert setting in said
        assert not [secret for secret in SECRETS if secret in said]
        if verb == "init":
            assert len(said.splitlines()) == 1

    # the topics are there: what roles hear is about who they are
    here = Settings(prefix=unique, requests_topic=f"{unique}.requests", kafka=KafkaSettings(bootstrap_servers=secured.open))
    ensure_topics(KafkaBroker(here.kafka), here, dev=True)
    settings = here.model_copy(update={"kafka": KafkaSettings(bootstrap_servers=address, **security)})
    for run in (run_ingest, detect.run_detect, lambda *args: run_deliver(*args, sink=MemorySink({}))):
        stop, health = threading.Event(), Health("test")
        hang = threading.Timer(ENOUGH_S, stop.set)
        hang.start()
        with pytest.raises(DependencyError, match=why) as refused:
            run(settings, stop, health)
        hang.cancel()
        assert setting in refused.value.next_step
        assert not [secret for secret in SECRETS if secret in f"{refused.value}{health.unready_reason()}"]


@pytest.mark.parametrize("case", ["wrong_password", "no_certificate"])
def test_an_agent_that_alone_is_refused_waits_and_says_so(
    secured: Secured, unique: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials withdrawn between detect's two clients: the agent's client does not connect; unready with the reason, no traceback."""
    here = Settings(prefix=unique, requests_topic=f"{unique}.requests", kafka=KafkaSettings(bootstrap_servers=secured.open))
    broker = KafkaBroker(here.kafka)
    ensure_topics(broker, here, dev=True)
    security = getattr(secured, case)()
    kafka = KafkaSettings(bootstrap_servers=secured.address(security), **security)
    monkeypatch.setattr(detect, "KafkaBroker", lambda _: broker)
    stop, health = threading.Event(), Health("test")
    monkeypatch.setattr(stop, "wait", lambda _: stop.set())  # what it does between two tries
    reasons: list[str] = []
    monkeypatch.setattr(health, "waits", lambda _, reason: reasons.append(reason))
    detect.run_detect(here.model_copy(update={"kafka": kafka}), stop, health)
    assert len(reasons) == 1
    assert "agent's client (aiokafka) does not connect" in reasons[0]
    assert WRONG not in reasons[0]
