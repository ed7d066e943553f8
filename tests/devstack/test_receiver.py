from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from pipeline.base.errors import UnavailableError
from pipeline.devstack.processes import ProcessGroup, free_port, module_argv
from pipeline.devstack.receiver import Behaviour, Delivery, Receiver

SECRET = "whsec_c3RpbGx3YXRjaC1yZWNlaXZlci10ZXN0LXNlY3JldA=="  # noqa: S105 - made up for this test
BODY = orjson.dumps({"type": "alert.opened", "timestamp": "2026-01-01T00:00:00Z", "data": {"alert_id": "a1"}})


def _headers(body: bytes, name: str = "msg_1", secret: str = SECRET, age: timedelta = timedelta(0)) -> dict[str, str]:
    at = datetime.now(UTC) - age
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, at, body.decode()),
        "content-type": "application/json",
    }


def test_a_signed_delivery_is_verified_and_recorded() -> None:
    """A delivery signed with the shared secret is answered 204 and kept with its body."""
    with Receiver(SECRET) as receiver:
        answer = httpx.post(receiver.url, content=BODY, headers=_headers(BODY))
        (delivery,) = receiver.wait_for(1)
    assert answer.status_code == 204
    assert delivery.verified
    assert (delivery.webhook_id, delivery.raw, delivery.body["data"]) == ("msg_1", BODY, {"alert_id": "a1"})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"webhook-signature": "v1,AAAA"}, "No matching signature"),
        ({"webhook-signature": "garbage"}, "."),
        ({"webhook-id": "msg_2"}, "No matching signature"),
        ({"webhook-timestamp": "0"}, "too old"),
        ({"webhook-signature": ""}, "Missing"),
    ],
)
def test_a_delivery_that_does_not_verify_is_refused(change: dict[str, str], problem: str) -> None:
    """A wrong, foreign, stale or missing signature is answered 401 and recorded with the reason."""
    with Receiver(SECRET) as receiver:
        answer = httpx.post(receiver.url, content=BODY, headers=_headers(BODY) | change)
        (delivery,) = receiver.deliveries
    assert answer.status_code == 401
    assert not delivery.verified
    assert problem in delivery.problem or problem == "."
    assert delivery.problem


def test_another_body_under_the_signature_is_refused() -> None:
    """The signature binds the bytes, not their meaning."""
    with Receiver(SECRET) as receiver:
        assert httpx.post(receiver.url, content=BODY + b" ", headers=_headers(BODY)).status_code == 401


def test_it_fails_as_often_as_told() -> None:
    """The first deliveries get the failing status with Retry-After, the next one succeeds."""
    with Receiver(SECRET, behaviour=Behaviour(fail_first=2, fail_status=429, retry_after="7")) as receiver:
        answers = [httpx.post(receiver.url, content=BODY, headers=_headers(BODY)) for _ in range(3)]
    assert [a.status_code for a in answers] == [429, 429, 204]
    assert [a.headers.get("retry-after") for a in answers] == ["7", "7", None]


def test_a_redirect_says_where_to() -> None:
    """A 3xx answer carries a Location, so that a sender that follows it is caught."""
    with Receiver(SECRET, behaviour=Behaviour(status=302)) as receiver:
        answer = httpx.post(receiver.url, content=BODY, headers=_headers(BODY))
        assert (answer.status_code, answer.headers["location"]) == (302, receiver.url)


def test_it_can_change_its_mind_and_be_slow() -> None:
    """`behaviour` may be set between deliveries; a slow answer makes an impatient sender time out."""
    with Receiver(SECRET) as receiver:
        receiver.behaviour = Behaviour(status=410)
        assert httpx.post(receiver.url, content=BODY, headers=_headers(BODY)).status_code == 410
        receiver.behaviour = Behaviour(delay_s=30)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(receiver.url, content=BODY, headers=_headers(BODY), timeout=0.2)
        assert len(receiver.wait_for(2)) == 2


def test_waiting_has_an_end() -> None:
    """`wait_for` gives up at its deadline and says what it saw."""
    with Receiver(SECRET) as receiver, pytest.raises(UnavailableError, match="only 0 deliveries"):
        receiver.wait_for(1, deadline_s=0.05)


def test_a_question_can_be_waited_for() -> None:
    """`wait_for` also takes a question about the deliveries."""
    with Receiver(SECRET) as receiver:
        for name in ("a", "b"):
            httpx.post(receiver.url, content=BODY, headers=_headers(BODY, name))

        def has_b(seen: list[Delivery]) -> bool:
            return any(d.webhook_id == "b" for d in seen)

        assert len(receiver.wait_for(has_b)) == 2


def test_the_command_prints_and_writes(processes: ProcessGroup) -> None:
    """`python -m pipeline.devstack.receiver` prints each delivery and appends it to the file."""
    secret, out, port = processes.folder / "secret", processes.folder / "out.ndjson", free_port()
    secret.write_text(SECRET + "\n")
    arguments = ["--port", str(port), "--secret-file", str(secret), "--out", str(out), "--fail-first", "1"]
    log = processes.folder / "receiver.log"
    child = processes.start("receiver", module_argv("pipeline.devstack.receiver", *arguments), ready=lambda: "receiving" in log.read_text())
    url = f"http://127.0.0.1:{port}/any/path"
    assert httpx.post(url, content=BODY, headers=_headers(BODY)).status_code == 500
    assert httpx.post(url, content=BODY, headers=_headers(BODY)).status_code == 204
    lines = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert [(line["verified"], line["status"], line["body"]["type"]) for line in lines] == [
        (True, 500, "alert.opened"),
        (True, 204, "alert.opened"),
    ]
    assert "msg_1 alert.opened signature verified, answered 204" in child.log_tail()
    assert child.stop() == 0


def test_the_command_refuses_an_empty_secret(processes: ProcessGroup) -> None:
    """Without a secret nothing can be verified, so nothing is received: status 1 and one line."""
    empty = processes.folder / "empty"
    empty.touch()
    child = processes.start("receiver", module_argv("pipeline.devstack.receiver", "--secret-file", str(empty)))
    assert child.wait(10) == 1
    assert "secret" in child.log_tail()
