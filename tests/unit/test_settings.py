"""Settings: every fault at once, each with the variable's name and what to set."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.commands import NOT_AVAILABLE, switch_sending, told
from bot.config import Settings, read_settings
from bot.domain.errors import ConfigurationError, Permanent
from bot.services.plan_messages import Planned
from bot.wiring import connectors_of

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
    with pytest.raises(ConfigurationError, match="FULLSTEAM_SLACK_SCIM_URL"):
        read(monkeypatch, SLACK_SCIM_URL="http://slack.example/scim/v1/")


def test_a_misspelt_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigurationError, match="FULLSTEAM_SLACK_BOT_TOKE is no setting of ours; did you mean"
    ):
        read(monkeypatch, "secret", SECRET=SECRET, SLACK_BOT_TOKE="xoxb-1")


@pytest.mark.parametrize("way_in", ["SLACK_SIGNING_SECRET", "SLACK_APP_TOKEN"])
def test_slack_reaches_us_by_http_or_by_socket(monkeypatch: pytest.MonkeyPatch, way_in: str) -> None:
    with pytest.raises(ConfigurationError, match="FULLSTEAM_SLACK_APP_TOKEN"):
        read_settings("secret", slack_in=True, env_file=None)
    monkeypatch.setenv("FULLSTEAM_SECRET", SECRET)
    monkeypatch.setenv(f"FULLSTEAM_{way_in}", "a value of that kind")
    read_settings("secret", slack_in=True, env_file=None)


def test_the_brake_refuses_where_there_is_no_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there_is_none = tmp_path / "none.db"
    monkeypatch.setenv("FULLSTEAM_DATABASE_URL", f"sqlite:///{there_is_none}")
    with pytest.raises(Permanent, match="There is no database"):
        switch_sending(stopped=True)
    assert not there_is_none.exists()


@pytest.mark.parametrize("reason", ["stopped", "paused", "barrier-open", "not-for-me"])
def test_a_plan_keeps_to_itself_what_is_the_persons_own(reason: str) -> None:
    now = datetime(2026, 11, 24, 10, tzinfo=UTC)
    planned = Planned("p1", "Ada", now.date(), now, "slot", "none", None, reason, None, None, None, ())
    assert told(planned)["why"] == NOT_AVAILABLE
    assert told(replace(planned, reason="weekly-cap"))["why"] == "weekly-cap"


ORG = {
    "SALESFORCE_URL": "https://acme.my.salesforce.com",
    "SALESFORCE_CLIENT_ID": "3MVG9",
    "SALESFORCE_CLIENT_SECRET": "very-secret",
}


def test_every_fault_of_the_salesforce_settings_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(
            monkeypatch,
            SALESFORCE_URL="http://acme.my.salesforce.com",
            SALESFORCE_CLIENT_ID="3MVG9",
            SALESFORCE_TOKEN_URL="http://127.0.0.1.example.com/token",
            SALESFORCE_API_VERSION="68",
            SALESFORCE_TIME_OUT="soon",
        )
    assert sorted(fault.split()[0] for fault in caught.value.faults) == [
        "FULLSTEAM_SALESFORCE_API_VERSION",
        "FULLSTEAM_SALESFORCE_TIME_OUT",
        "FULLSTEAM_SALESFORCE_TOKEN_URL",
        "FULLSTEAM_SALESFORCE_URL",
    ]


def of_org(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"FULLSTEAM_{name}", value)
    return read(monkeypatch)


@pytest.mark.parametrize("missing", sorted(ORG))
def test_what_reaches_an_org_is_all_set_or_none(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        of_org(monkeypatch, {name: value for name, value in ORG.items() if name != missing})
    [fault] = caught.value.faults
    assert fault.startswith(f"FULLSTEAM_{missing} is not set")
    assert "very-secret" not in fault


def test_an_org_is_opened_from_the_settings_and_its_secret_is_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = of_org(
        monkeypatch,
        {**ORG, "SALESFORCE_LICENCES": "Salesforce, Sales Cloud ,", "SALESFORCE_API_VERSION": "v66.0"},
    )
    found = connectors_of(settings, zone="Europe/Berlin")
    assert list(found) == ["salesforce"]
    assert (found["salesforce"].name, found["salesforce"].lag_days) == ("salesforce", 0)
    assert "very-secret" not in repr(settings)
    for name in list(os.environ):
        if name.startswith("FULLSTEAM_SALESFORCE"):
            monkeypatch.delenv(name)
    assert connectors_of(read_settings(env_file=None)) == {}


def test_two_orgs_of_one_kind_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    east = {name.replace("SALESFORCE", "SALES_EAST"): value for name, value in ORG.items()}
    settings = of_org(monkeypatch, {**ORG, **east, "CRMS": "salesforce, sales-east=salesforce"})
    assert sorted(connectors_of(settings)) == ["sales-east", "salesforce"]


@pytest.mark.parametrize(
    ("crms", "fault"),
    [
        ("siebel", "is no kind of CRM"),
        ("Sales East=salesforce", "is no name"),
        ("slack-west=salesforce", "begins like a setting of ours"),
        ("salesforce, salesforce", "is named twice"),
    ],
)
def test_a_list_of_crms_that_is_wrong_is_answered(
    monkeypatch: pytest.MonkeyPatch, crms: str, fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        of_org(monkeypatch, {**ORG, "CRMS": crms})
