"""Readiness questions: does a TCP port, a Kafka broker, an HTTP endpoint on loopback answer now?"""

from __future__ import annotations

import http.client
import socket

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.devstack.processes import LOOPBACK

ANSWER_S = 2.0  # a local service that needs longer for one answer is not ready


def tcp_answers(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), ANSWER_S):
            return True
    except OSError:
        return False


def kafka_answers(port: int) -> bool:
    """Whether a Kafka broker on the loopback port answers a metadata request and names at least one live broker."""
    if not tcp_answers(port):  # spares librdkafka's threads and complaints while nobody listens
        return False
    client = AdminClient({"bootstrap.servers": f"{LOOPBACK}:{port}", "log_level": 0})
    try:
        return bool(client.list_topics(timeout=ANSWER_S).brokers)
    except KafkaException:
        return False


def http_answers(port: int, path: str) -> bool:
    """Whether a GET on the loopback port answers 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
