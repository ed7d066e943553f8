"""TLS and SASL for aiokafka (Faust's transport), as plain values: what `ports.kafka.librdkafka_config` is to librdkafka."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NamedTuple

from pipeline.base.errors import SettingsError

if TYPE_CHECKING:
    from pipeline.base.settings import KafkaSettings

FILES = "the files must be readable PEM: authority, certificate, key (and its password)"


class AiokafkaCredentials(NamedTuple):
    """Security arguments of an aiokafka client. `ssl_context` is None without TLS, the SASL fields are empty without SASL."""

    security_protocol: str
    ssl_context: ssl.SSLContext | None
    sasl_mechanism: str
    sasl_username: str
    sasl_password: str

    def __repr__(self) -> str:
        return f"AiokafkaCredentials({self.security_protocol})"  # a password must not reach a log by way of a repr


def aiokafka_credentials(kafka: KafkaSettings) -> AiokafkaCredentials | None:
    """Credentials for aiokafka, or None on a plaintext cluster.

    Raises:
        SettingsError: a certificate or key file cannot be read.
    """
    if kafka.security_protocol == "PLAINTEXT":
        return None
    sasl = kafka.security_protocol.startswith("SASL") and kafka.sasl_password is not None
    return AiokafkaCredentials(
        security_protocol=kafka.security_protocol,
        ssl_context=_ssl_context(kafka) if kafka.security_protocol.endswith("SSL") else None,
        sasl_mechanism=kafka.sasl_mechanism if sasl else "",
        sasl_username=kafka.sasl_username if sasl else "",
        sasl_password=kafka.sasl_password.get_secret_value() if sasl and kafka.sasl_password is not None else "",
    )


def _ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_ca_file)
        context.check_hostname = kafka.ssl_check_hostname  # the chain is verified either way
        if kafka.ssl_certificate_file is not None:
            password = kafka.ssl_key_password
            # without a password OpenSSL would ask the terminal: an empty one makes it an error instead
            secret = password.get_secret_value() if password is not None else ""
            context.load_cert_chain(kafka.ssl_certificate_file, kafka.ssl_key_file, password=secret)
    except OSError as err:  # ssl.SSLError is one
        raise SettingsError(
            f"kafka.ssl_*: {err.strerror or err}",
            next_step=FILES,
        ) from None
    return context
