import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pipeline.base.settings import LogSettings
from pipeline.ports import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Puts the logging of the test run back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The JSON lines on standard error; standard output stays clean."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Event, level, logger, time, role and values are fields; the standard library's loggers end up in the same form."""
    logs.configure(LogSettings(), "ingest")
    logs.get_logger("a.b").info("frame.sent", rows=3, note="two\nlines")
    logging.getLogger("librdkafka").warning("broker %s is away", "x:1")
    ours, vendor = lines(capsys)
    assert {k: ours[k] for k in ("event", "level", "logger", "role", "rows", "note")} == {
        "event": "frame.sent", "level": "info", "logger": "a.b", "role": "ingest", "rows": 3, "note": "two\nlines",
    }  # fmt: skip
    assert ours["timestamp"].endswith("Z")
    assert (vendor["event"], vendor["level"], vendor["logger"]) == ("broker x:1 is away", "warning", "librdkafka")


def test_the_level_holds_for_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    """Below the configured level nothing is written."""
    logs.configure(LogSettings(level="warning"))
    logs.get_logger("a").info("quiet")
    logging.getLogger("b").info("quiet")
    logs.get_logger("a").warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_the_last_configuration_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Configuring again neither doubles lines nor keeps the old role."""
    logs.configure(LogSettings(), "ingest")
    logs.configure(LogSettings(), "detect")
    logs.get_logger("a").info("once")
    (line,) = lines(capsys)
    assert line["role"] == "detect"


def test_tracebacks_hold_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception is logged with its place but without the values of the frames it passed, in both formats."""
    secret = "the heron flies " + "at dawn"

    def fail(text: str) -> None:  # noqa: ARG001 - a local value that a traceback could show
        raise ValueError("broken")

    for fmt in ("json", "console"):
        logs.configure(LogSettings(format=fmt))
        try:
            fail(secret)
        except ValueError:
            logs.get_logger("a").exception("it.failed")
            logging.getLogger("b").exception("it failed")
        written = capsys.readouterr().err
        assert "ValueError: broken" in written
        assert secret not in written


def test_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The console format is one readable line without colours when it is not a terminal."""
    logs.configure(LogSettings(format="console"))
    logs.get_logger("a").info("frame.sent", rows=3)
    written = capsys.readouterr().err
    assert "frame.sent" in written
    assert "rows=3" in written
    assert "\x1b" not in written
