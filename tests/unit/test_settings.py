"""Settings: every fault at once, each with the variable's name and what to set."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import read_settings
from bot.domain.errors import ConfigurationError

SECRET = "s" * 32


def read(monkeypatch: pytest.MonkeyPatch, *required: str, programme: bool = False, **variables: str):
    for name, value in variables.items():
        monkeypatch.setenv(f"FULLSTEAM_{name}", value)
    return read_settings(*required, programme=programme, env_file=None)


def test_missing_and_wrong_settings_come_all_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(
            monkeypatch,
            "secret",
            "slack_bot_token",
            "slack_signing_secret",
            programme=True,
            PORT="seventy",
            DATABASE_URL="mysql://x",
            IMPORT_DIR=str(tmp_path / "nowhere"),
            PROGRAMME=str(tmp_path / "none.toml"),
            SECRET="short",
        )
    faults = caught.value.faults
    for name in (
        "PORT",
        "DATABASE_URL",
        "IMPORT_DIR",
        "PROGRAMME",
        "SECRET",
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
    ):
        own = [fault for fault in faults if fault.startswith(f"FULLSTEAM_{name} ")]
        assert len(own) == 1, (name, faults)
        assert ":" in own[0], "each fault says what to set"


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, SECRET=SECRET, SLACK_BOT_TOKEN="xoxb-very-secret")
    assert SECRET not in repr(settings)
    assert "xoxb-very-secret" not in repr(settings)


def test_a_wrong_secret_is_not_quoted_in_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(monkeypatch, SECRET="hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("x.db", "sqlite:///x.db"),
    ],
)
def test_postgresql_means_psycopg_3(monkeypatch: pytest.MonkeyPatch, given: str, means: str) -> None:
    assert read(monkeypatch, DATABASE_URL=given).database_url == means


def test_slack_over_plain_http_is_for_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, SLACK_API_URL="http://127.0.0.1:9000/api").slack_api_url.endswith("/api/")
    with pytest.raises(ConfigurationError, match="FULLSTEAM_SLACK_API_URL"):
        read(monkeypatch, SLACK_API_URL="http://slack.example/api/")
