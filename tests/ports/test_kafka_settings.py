"""TLS, mTLS and SASL: one set of settings, two clients."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pipeline.base.errors import SettingsError
from pipeline.base.settings import KafkaSettings
from pipeline.ports.kafka import KafkaBroker, aiokafka_credentials, librdkafka_config

PASSWORD = "correct horse battery staple"  # noqa: S105 - a test's


def secured(**changes: Any) -> KafkaSettings:  # noqa: ANN401 - settings are checked by pydantic
    """SASL over TLS."""
    fields = {"security_protocol": "SASL_SSL", "sasl_username": "sw", "sasl_password": SecretStr(PASSWORD)}
    return KafkaSettings(**{**fields, **changes})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key, with a password."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost", "-passout", f"pass:{PASSWORD}"]
    subprocess.run([*made, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_plaintext_needs_nothing() -> None:
    """Without security only addresses are handed over, and aiokafka needs no credentials."""
    config = librdkafka_config(KafkaSettings(bootstrap_servers="a:1,b:2"))
    assert config["bootstrap.servers"] == "a:1,b:2"
    assert config["security.protocol"] == "PLAINTEXT"
    assert not [key for key in config if key.startswith(("sasl", "ssl"))]
    assert aiokafka_credentials(KafkaSettings()) is None


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_reaches_both_clients(mechanism: Any) -> None:  # noqa: ANN401 - one of the literals
    """User, password and mechanism arrive in librdkafka's and in aiokafka's form; librdkafka takes them."""
    kafka = secured(sasl_mechanism=mechanism, security_protocol="SASL_PLAINTEXT")
    config = librdkafka_config(kafka)
    assert (config["sasl.mechanism"], config["sasl.username"], config["sasl.password"]) == (mechanism, "sw", PASSWORD)
    found = aiokafka_credentials(kafka)
    assert found is not None
    assert found == ("SASL_PLAINTEXT", None, mechanism, "sw", PASSWORD)
    KafkaBroker(kafka).consumer("g").close()


def test_mutual_tls_reaches_both_clients(certificate: tuple[Path, Path]) -> None:
    """Authority, certificate, key and key password arrive in both; the chain is always verified, the name unless switched off."""
    cert, key = certificate
    kafka = KafkaSettings(
        security_protocol="SSL", ssl_ca_file=cert, ssl_certificate_file=cert, ssl_key_file=key, ssl_key_password=SecretStr(PASSWORD)
    )
    config = librdkafka_config(kafka)
    assert config["ssl.ca.location"] == config["ssl.certificate.location"] == str(cert)
    assert (config["ssl.key.location"], config["ssl.key.password"]) == (str(key), PASSWORD)
    assert config["ssl.endpoint.identification.algorithm"] == "https"
    KafkaBroker(kafka).consumer("g").close()
    found = aiokafka_credentials(kafka)
    assert found is not None
    assert found.ssl_context is not None
    assert (found.ssl_context.check_hostname, found.ssl_context.verify_mode) == (True, ssl.CERT_REQUIRED)
    lax = kafka.model_copy(update={"ssl_check_hostname": False})
    assert librdkafka_config(lax)["ssl.endpoint.identification.algorithm"] == "none"
    relaxed = aiokafka_credentials(lax)
    assert relaxed is not None
    assert relaxed.ssl_context is not None
    assert (relaxed.ssl_context.check_hostname, relaxed.ssl_context.verify_mode) == (False, ssl.CERT_REQUIRED)


def test_unreadable_certificates_are_a_settings_error(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """A missing file, one that is no PEM and a wrong key password end in one sentence, without the password."""
    cert, key = certificate
    for changes in (
        {"ssl_ca_file": tmp_path / "nothing.pem"},
        {"ssl_certificate_file": cert, "ssl_key_file": key, "ssl_key_password": SecretStr("wrong")},
        {"ssl_certificate_file": cert, "ssl_key_file": key},
    ):
        with pytest.raises(SettingsError, match=r"kafka\.ssl_") as error:
            aiokafka_credentials(secured(**changes))
        assert PASSWORD not in str(error.value)


def test_secrets_do_not_print() -> None:
    """Neither settings nor credentials show the password when they are printed."""
    kafka = secured()
    found = aiokafka_credentials(kafka)
    assert PASSWORD not in repr(kafka) + str(kafka) + repr(found) + str(found)
