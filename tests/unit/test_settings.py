"""Settings: every fault at once, each with the variable's name and what to set."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.commands import NOT_AVAILABLE, switch_sending, told
from bot.config import Settings, read_settings
from bot.connectors.settings import read_settings as read_crm_settings
from bot.domain.errors import ConfigurationError, Permanent
from bot.services.plan_messages import Planned
from bot.wiring import connector_kinds, connectors_of, settled

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
        "FULLSTEAM_SALESFORCE_CLIENT_SECRET",  # what only the whole can tell, beside what single settings can
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


def faults_of(monkeypatch: pytest.MonkeyPatch, *required: str, **variables: str) -> tuple[str, ...]:
    for name, value in variables.items():
        monkeypatch.setenv(f"FULLSTEAM_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        read(monkeypatch, *required)
    return caught.value.faults


def test_all_that_dynamics_lacks_is_said_at_once_and_what_each_of_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, rest = faults_of(monkeypatch, DYNAMICS_AT_ONCE="2")
    assert url.startswith("FULLSTEAM_DYNAMICS_URL is not set: your environment")
    for name in ("TENANT (the directory", "CLIENT_ID (the application", "CLIENT_SECRET (a client secret"):
        assert f"FULLSTEAM_DYNAMICS_{name}" in rest


def test_a_setting_that_is_wrong_is_not_said_to_be_missing_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [fault] = faults_of(
        monkeypatch, INFOR_URL="https://crm.example.com", INFOR_IONAPI_FILE=str(tmp_path / "none")
    )
    assert fault.startswith("FULLSTEAM_INFOR_IONAPI_FILE names no file")


DYNAMICS = {
    "DYNAMICS_URL": "https://acme.crm4.dynamics.com",
    "DYNAMICS_TENANT": "t",
    "DYNAMICS_CLIENT_ID": "c",
    "DYNAMICS_CLIENT_SECRET": "very-secret",
}


@pytest.mark.parametrize("in_a_file", [False, True])
def test_what_may_be_empty_can_be_emptied_and_the_rest_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_a_file: bool
) -> None:
    empty = {"DYNAMICS_API_VERSION": "", "DYNAMICS_TOKEN_URL": "", "DYNAMICS_AT_ONCE": ""}
    file = tmp_path / ".env"
    file.write_text(
        "".join(f"FULLSTEAM_{name}={value}\n" for name, value in empty.items()) if in_a_file else ""
    )
    for name, value in (DYNAMICS if in_a_file else DYNAMICS | empty).items():
        monkeypatch.setenv(f"FULLSTEAM_{name}", value)
    given = read_settings(env_file=file).named_crms["dynamics"].settings
    assert given["api_version"] == ""
    assert given.keys() == {"name", "url", "tenant", "client_id", "client_secret", "api_version"}


def test_empty_variables_alone_make_no_crm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, "secret", SECRET=SECRET, DYNAMICS_API_VERSION="").named_crms == {}


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        (
            {"ODOO_URL": "https://o.example", "ODOO_API_KEY": "k", "ODOO_API": "soap"},
            "FULLSTEAM_ODOO_API is none of auto, json2, jsonrpc: ",
        ),
        (
            {"ODOO_URL": "https://o.example", "ODOO_API_KEY": "k", "ODOO_KEY_EXPIRES_ON": "soon"},
            "FULLSTEAM_ODOO_KEY_EXPIRES_ON is no day: ",
        ),
        (
            {
                "INFOR_URL": "https://i.example",
                "INFOR_USERNAME": "u",
                "INFOR_PASSWORD": "p",
                "INFOR_GRANT": "x",
            },
            "FULLSTEAM_INFOR_GRANT is none of password, client_credentials: ",
        ),
        ({"LOG_LEVEL": "loud"}, "FULLSTEAM_LOG_LEVEL is none of debug, info, warning, error: "),
    ],
)
def test_a_value_that_is_none_of_those_there_are_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], fault: str
) -> None:
    [said] = faults_of(monkeypatch, **variables)
    assert said.startswith(fault)


ODOO = {"ODOO_URL": "https://o.example", "ODOO_API_KEY": "k"}
EMEA = {"EMEA_URL": "https://e.example", "EMEA_API_KEY": "k"}


@pytest.mark.parametrize(
    ("variables", "value"),
    [
        (ODOO | EMEA, '"odoo, emea=odoo"'),
        (ODOO | EMEA | {"CRMS": "emea=Odoo"}, '"emea=odoo, odoo"'),
        (EMEA | {"EMEA_AT_ONCE": "2"}, '"emea=odoo"'),
        ({"EMEA_CLIENT_ID": "c", "EMEA_CLIENT_SECRET": "s"}, '"emea=KIND"'),
    ],
)
def test_variables_of_a_crm_that_nobody_named_say_how_to_name_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], value: str
) -> None:
    [fault] = faults_of(monkeypatch, "secret", **{"SECRET": SECRET, **variables})
    assert f"FULLSTEAM_CRMS={value} makes it" in fault
    assert "did you mean" not in fault


def test_a_misspelt_name_of_a_crm_is_no_other_crm(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = faults_of(monkeypatch, "secret", SECRET=SECRET, **ODOO, ODO_DATABASE="acme")
    assert faults == ("FULLSTEAM_ODO_DATABASE is no setting of ours; did you mean FULLSTEAM_ODOO_DATABASE?",)


def test_what_the_database_remembers_takes_single_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SECRET": SECRET, "ODOO_API_KEY": "new", "EMEA_API_KEY": "newer"}.items():
        monkeypatch.setenv(f"FULLSTEAM_{name}", value)
    kept = {"odoo": "odoo", "emea": "odoo"}
    settings = read_settings("secret", remembered=lambda _: kept, env_file=None)
    assert (settings.named_crms, settings.crm_faults, settings.strays) == ({}, [], [])
    assert settings.crm_variables("emea", "odoo") == {"api_key": "newer"}
    assert settled("emea", "odoo", {"url": "https://e.example", "api_key": "old"}, {"api_key": "newer"}) == {
        "name": "emea",
        "url": "https://e.example",
        "api_key": "newer",
    }


def test_settings_of_the_environment_that_are_enough_take_nothing_from_what_is_kept() -> None:
    said = {"url": "https://o.example", "api_key": "k"}
    kept = {"url": "https://old.example", "api_key": "old", "login": "bot", "name": "odoo"}
    assert settled("odoo", "odoo", kept, said) == {**said, "name": "odoo"}


@pytest.mark.parametrize(
    ("kind", "url", "end"),
    [
        ("infor", "https://crm.example.com/sdata/slx", "/sdata"),
        ("dynamics", "https://org.crm4.dynamics.com/api/data/v9.2/", "/api/data"),
        ("salesforce", "https://x.lightning.force.com/lightning/page/home", "/lightning"),
        ("salesforce", "https://gate.example.com/crm/services/data/v68.0", "/services"),
        ("odoo", "https://mycompany.odoo.com/odoo", "/odoo"),
        ("odoo", "https://mycompany.odoo.com/web?debug=1", "/web"),
        ("odoo", "https://mycompany.odoo.com/web#action=1", "/web"),
    ],
)
def test_an_address_with_the_path_that_is_added_anyway_is_refused(kind: str, url: str, end: str) -> None:
    model = connector_kinds()[kind].settings
    assert model is not None
    with pytest.raises(ConfigurationError) as refused:
        read_crm_settings(model, {"name": kind, "url": url})
    assert f"FULLSTEAM_{kind.upper()}_URL has too much path: end it before {end}" in str(refused.value)
    with pytest.raises(ConfigurationError) as other:
        read_crm_settings(model, {"name": kind, "url": "https://gate.example.com/crm/services2"})
    assert "too much path" not in str(other.value), "a path of a gateway's is kept"


@pytest.mark.parametrize("kind", ["salesforce", "dynamics", "infor", "odoo"])
@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://ada:hunter2@crm.example.com", "must hold no user name or password"),
        ("https://ada@crm.example.com", "must hold no user name or password"),
        ("http://:hunter2@127.0.0.1:8069", "must hold no user name or password"),
        ("https://crm.example.com/?x=1", "has too much: end it before ?"),
        ("https://crm.example.com/#/home?x", "has too much: end it before #"),
        ("https://crm.example.com/#home", "has too much: end it before #"),
    ],
)
def test_an_address_is_a_host_and_a_path(kind: str, url: str, fault: str) -> None:
    model = connector_kinds()[kind].settings
    assert model is not None
    for field in {"url", "token_url", "authority", "web_url"} & model.model_fields.keys():
        with pytest.raises(ConfigurationError) as refused:
            read_crm_settings(model, {"name": kind, field: url})
        (said,) = (
            each
            for each in refused.value.faults
            if each.startswith(f"FULLSTEAM_{kind.upper()}_{field.upper()} ")
        )
        assert fault in said
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "given", "fault"),
    [
        (
            "salesforce",
            {"client_id": "c", "username": "bot", "private_key_file": "README.md"},
            "FULLSTEAM_EMEA_PRIVATE_KEY_FILE holds no private key: set it to the private RSA key",
        ),
        (
            "dynamics",
            {"tenant": "t", "client_id": "c", "certificate": "README.md"},
            "FULLSTEAM_EMEA_CERTIFICATE cannot be read: set it to a PEM file with the private key and the certificate (",
        ),
        (
            "odoo",
            {"api_key": "k", "api": "jsonrpc"},
            "FULLSTEAM_EMEA_DATABASE and FULLSTEAM_EMEA_LOGIN are not set: JSON-RPC (FULLSTEAM_EMEA_API) needs both",
        ),
        (
            "odoo",
            {"api_key": "k", "api": "jsonrpc", "login": "bot"},
            "FULLSTEAM_EMEA_DATABASE is not set: JSON-RPC",
        ),
        (
            "dynamics",
            {"client_id": "c", "client_secret": "s"},
            "not set: FULLSTEAM_EMEA_TENANT (the directory (tenant) id or a domain of it, e.g. contoso.onmicrosoft.com); see ",
        ),
    ],
)
def test_what_is_wrong_without_asking_anybody_is_a_fault_of_settings(
    monkeypatch: pytest.MonkeyPatch, repository: Path, kind: str, given: dict[str, str], fault: str
) -> None:
    monkeypatch.chdir(repository)
    model = connector_kinds()[kind].settings
    assert model is not None
    with pytest.raises(ConfigurationError) as refused:
        read_crm_settings(model, {"name": "emea", "url": "https://crm.example.com", **given})
    (said,) = refused.value.faults
    assert said.startswith(fault)
