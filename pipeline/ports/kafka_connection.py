"""How a librdkafka client connects, and what its errors mean to us. For `ports.kafka` and `ports.kafka_admin` only."""

# ruff: noqa: SLF001 - librdkafka's own (client-side) error codes begin with an underscore

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

import confluent_kafka as ck

from pipeline.base.errors import DependencyError, SettingsError, StillwatchError, UnavailableError
from pipeline.ports.credentials import FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.base.settings import KafkaSettings

T = TypeVar("T")

LOG = logging.getLogger("librdkafka")
"""Where every client writes."""
_E = ck.KafkaError
# Codes that no second try mends, and codes that say "the group has moved on without you".
REFUSED = frozenset(
    (
        _E._AUTHENTICATION, _E.SASL_AUTHENTICATION_FAILED, _E.TOPIC_AUTHORIZATION_FAILED, _E.GROUP_AUTHORIZATION_FAILED,
        _E.CLUSTER_AUTHORIZATION_FAILED, _E.UNKNOWN_TOPIC_OR_PART, _E._UNKNOWN_TOPIC, _E._UNKNOWN_PARTITION, _E.MSG_SIZE_TOO_LARGE,
        _E.INVALID_RECORD, _E.POLICY_VIOLATION, _E.INVALID_CONFIG, _E.INVALID_REPLICATION_FACTOR, _E.TOPIC_EXCEPTION,
        _E.UNSUPPORTED_VERSION, _E.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    )
)  # fmt: skip
LATE = frozenset(
    (
        _E.UNKNOWN_MEMBER_ID, _E.ILLEGAL_GENERATION, _E.REBALANCE_IN_PROGRESS, _E.FENCED_INSTANCE_ID, _E._ASSIGNMENT_LOST,
        _E._STATE, _E.STALE_MEMBER_EPOCH,
    )
)  # fmt: skip


def librdkafka_config(kafka: KafkaSettings) -> dict[str, Any]:
    """Connection part of every librdkafka client: addresses, TLS, mTLS, SASL. Holds secrets: never log it."""
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 5_000,
    }
    if kafka.security_protocol.endswith("SSL"):
        config["ssl.endpoint.identification.algorithm"] = "https" if kafka.ssl_check_hostname else "none"
        for key, path in (
            ("ssl.ca.location", kafka.ssl_ca_file),
            ("ssl.certificate.location", kafka.ssl_certificate_file),
            ("ssl.key.location", kafka.ssl_key_file),
        ):
            if path is not None:
                config[key] = str(path)
        if kafka.ssl_key_password is not None:
            config["ssl.key.password"] = kafka.ssl_key_password.get_secret_value()
    if kafka.security_protocol.startswith("SASL") and kafka.sasl_password is not None:
        config["sasl.mechanism"] = kafka.sasl_mechanism
        config["sasl.username"] = kafka.sasl_username
        config["sasl.password"] = kafka.sasl_password.get_secret_value()
    return config


def new_client(kind: Callable[..., T], kafka: KafkaSettings, own: Mapping[str, Any]) -> T:
    """A librdkafka client: connection settings, its own beside them, our logger.

    Raises:
        SettingsError: librdkafka does not take the settings: a certificate or key that it cannot read, say.
    """
    try:
        return kind({**librdkafka_config(kafka), **own}, logger=LOG)
    except ck.KafkaException as err:
        raise SettingsError(f"kafka.*: {cause_of(err).str()}", next_step=FILES) from None


def error_of(err: ck.KafkaError, doing: str) -> StillwatchError:
    """The tree's error for a vendor's: refused for good, or worth another try."""
    text = f"Kafka: {doing}: {err.str()} ({err.name()})"
    if err.code() in REFUSED:
        return DependencyError(text, next_step="`stillwatch doctor` checks credentials, rights and topics")
    return UnavailableError(text)


def refusal_of(err: ck.KafkaError) -> StillwatchError | None:
    """What to tell the operator when a connection failed for good; None when a second try may go better.

    TLS is told by its words: with TLS 1.3 a broker refuses our certificate only after the handshake, and librdkafka then
    reports a receive that failed; and a broker that goes down amid a handshake is reported as an error of TLS.
    """
    text, code = err.str(), err.code()
    if code in (_E._AUTHENTICATION, _E.SASL_AUTHENTICATION_FAILED, _E.UNSUPPORTED_SASL_MECHANISM):
        step = "check kafka.sasl_mechanism, kafka.sasl_username and kafka.sasl_password"
    elif "SSL alert number" in text or " alert " in text:
        step = "the broker wants another certificate: check kafka.ssl_certificate_file and kafka.ssl_key_file"
    elif "certificate verify failed" in text:
        step = "check kafka.ssl_ca_file, and that the broker's certificate has its name (kafka.ssl_check_hostname)"
    elif code in REFUSED:
        step = "check the kafka.* settings; `stillwatch doctor`"
    else:
        return None
    return DependencyError(f"Kafka: {text} ({err.name()})", next_step=step)


def cause_of(err: ck.KafkaException) -> ck.KafkaError:
    """The error inside the exception."""
    cause = err.args[0]
    return cause if isinstance(cause, ck.KafkaError) else ck.KafkaError(_E._FAIL, str(err))


class Reach:
    """Whether the cluster can be reached, from librdkafka's error callback and our own probes.

    Attributes:
        reason: why no broker is reachable, or empty.
        refusal: the cluster answered and will not have us.
        said: the last word of a connection that failed for another reason.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.refusal: StillwatchError | None = None
        self.said = ""

    def on_error(self, err: ck.KafkaError) -> None:
        """Librdkafka's `error_cb`."""
        refusal = refusal_of(err)
        if refusal is not None:
            self.refusal = refusal
        elif err.fatal() or err.code() == _E._ALL_BROKERS_DOWN:
            self.reason = f"{err.str()} ({err.name()})"
        else:
            self.said = err.str()
