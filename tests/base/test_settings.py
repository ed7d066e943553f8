"""Settings: one line that names key, value and what is allowed; secrets never print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.base.errors import SettingsError
from pipeline.base.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2-sentinel"  # noqa: S105 - a value to look for


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_win_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of origins, on one section."""
    (tmp_path / "stillwatch.toml").write_text('prefix = "file"\n[ingest]\nlinger_ms = 7\nframe_events = 70\n')
    monkeypatch.setenv("STILLWATCH_INGEST__FRAME_EVENTS", "80")
    settings = load_settings(prefix="flag")
    assert (settings.prefix, settings.ingest.linger_ms, settings.ingest.frame_events) == ("flag", 7, 80)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("STILLWATCH_KAFKA__SESSION_TIMEOUT_MS", "soon", ("kafka.session_timeout_ms", "soon", "integer")),
        ("STILLWATCH_DETECT__ALERT_BUDGET", "0", ("detect.alert_budget", "0.001")),
        ("STILLWATCH_KAFKA__COMPRESSION", "rar", ("kafka.compression", "rar", "lz4")),
        ("STILLWATCH_KAFKA__BOOTSTRAP", "x", ("kafka.bootstrap", "unknown setting")),
        ("STILLWATCH_KAFKAS", "x", ("STILLWATCH_KAFKAS", "unknown setting")),
    ],
)
def test_a_wrong_setting_is_one_line(monkeypatch: pytest.MonkeyPatch, key: str, value: str, words: tuple[str, ...]) -> None:
    """Key, value and what is allowed, on one line."""
    monkeypatch.setenv(key, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_secrets_come_from_files_and_never_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither repr, nor an error about something else, shows a secret."""
    file = tmp_path / "password"
    file.write_text(SECRET + "\n")
    monkeypatch.setenv("STILLWATCH_KAFKA__SASL_PASSWORD_FILE", str(file))
    settings = load_settings()
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == SECRET
    assert SECRET not in repr(settings)
    monkeypatch.setenv("STILLWATCH_CLICKHOUSE__PASSWORD", SECRET)
    monkeypatch.setenv("STILLWATCH_CLICKHOUSE__PORT", "99999999")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert SECRET not in str(caught.value)


def test_every_setting_has_a_line_of_meaning() -> None:
    """`stillwatch config` has something to say about each key."""

    def missing(model: type, path: str) -> list[str]:
        found: list[str] = []
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            if hasattr(field.annotation, "model_fields"):
                found += missing(field.annotation, f"{path}{name}.")
            elif not field.description:
                found.append(path + name)
        return found

    assert missing(Settings, "") == []
