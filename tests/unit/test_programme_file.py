"""programme.toml: read in ten minutes, and every fault at once, each with its key and what to write."""

from __future__ import annotations

import copy
import tomllib
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.content.load import load
from bot.content.programme import load_programme, read_programme
from bot.domain.errors import ConfigurationError
from bot.domain.people import ROLES
from bot.domain.programme import BARRIER_TYPES, Programme, Rules

BEHAVIOURS = load().behaviours
MINIMAL: dict[str, Any] = {
    "programme": {
        "name": "P",
        "crm": "CRM",
        "go_live": date(2026, 9, 1),
        "country": "DE",
        "pilot_teams": ["Boss@Example.com"],
    },
    "people": {
        "sponsor": {"name": "Dana Reyes", "email": "dana@example.com"},
        "adoption_lead": "lee@example.com",
        "privacy_officer": "kim@example.com",
    },
}


def changed(section: str, **values: Any) -> dict[str, Any]:
    document = copy.deepcopy(MINIMAL)
    document.setdefault(section, {}).update(values)
    return document


def without(section: str, key: str) -> dict[str, Any]:
    document = copy.deepcopy(MINIMAL)
    del document[section][key]
    return document


def read(document: dict[str, Any]) -> Programme:
    programme, faults = read_programme(document, BEHAVIOURS)
    assert faults == []
    assert programme is not None
    return programme


def the_fault(document: dict[str, Any]) -> str:
    programme, faults = read_programme(document, BEHAVIOURS)
    assert programme is None
    assert len(faults) == 1, faults
    return faults[0]


def test_the_example_is_a_complete_programme(repository: Path) -> None:
    programme = load_programme(repository / "examples" / "programme.toml", BEHAVIOURS)
    assert programme.sponsor_name == "Dana Reyes"
    assert programme.rules == Rules()
    assert programme.behaviours["recent_activity"].target == 0.75
    assert set(programme.owners) == set(BARRIER_TYPES)


def test_every_barrier_type_has_an_owner_and_the_lead_fills_the_gaps() -> None:
    assert read(MINIMAL).owners == dict.fromkeys(BARRIER_TYPES, "lee@example.com")
    owners = read(changed("owners", system="IT@example.com")).owners
    assert owners["system"] == "it@example.com"
    assert owners["skill"] == "lee@example.com"


def test_addresses_are_kept_in_one_spelling() -> None:
    assert read(MINIMAL).pilot_teams == ("boss@example.com",)
    assert read(changed("programme", pilot_teams=["*"])).pilot_teams == ("*",)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("programme", "name"),
        ("programme", "crm"),
        ("programme", "go_live"),
        ("programme", "country"),
        ("programme", "pilot_teams"),
        ("people", "sponsor"),
        ("people", "privacy_officer"),
    ],
)
def test_what_has_no_default_is_asked_for(section: str, key: str) -> None:
    fault = the_fault(without(section, key))
    assert fault.startswith(f"{section}.{key}: is missing")
    assert "write" in fault


def test_no_lead_means_no_owner_and_is_an_error() -> None:
    assert the_fault(without("people", "adoption_lead")).startswith("people.adoption_lead: is missing")


@pytest.mark.parametrize(
    ("section", "values", "key", "word"),
    [
        ("programme", {"k": 3}, "programme.k", "4 or more"),
        ("programme", {"k": True}, "programme.k", "4 or more"),
        ("programme", {"k": "5"}, "programme.k", "4 or more"),
        ("programme", {"country": "Germany"}, "programme.country", "DE-BY"),
        ("programme", {"country": "DE-XX"}, "programme.country", "regions of DE"),
        ("programme", {"zone": "Berlin"}, "programme.zone", "IANA"),
        ("programme", {"zone": "../etc/passwd"}, "programme.zone", "IANA"),
        ("programme", {"language": "klingon"}, "programme.language", "there is no language"),
        ("programme", {"go_live": "2026-09-01"}, "programme.go_live", "without quotes"),
        ("programme", {"pilot_teams": []}, "programme.pilot_teams", "managers"),
        (
            "programme",
            {"pilot_teams": ["*", "a@example.com"]},
            "programme.pilot_teams[0]",
            "no e-mail address",
        ),
        ("programme", {"record_link": "https://crm.example/x"}, "programme.record_link", "{id}"),
        ("programme", {"record_link": "javascript:{id}"}, "programme.record_link", "web address"),
        ("programme", {"goLive": 1}, "programme.goLive", "nothing reads this"),
        ("people", {"sponsor": "dana@example.com"}, "people.sponsor", "name = "),
        ("people", {"approver": "Sam"}, "people.approver", "no e-mail address"),
        ("people", {"delegates": "a@example.com"}, "people.delegates", "is a list"),
        ("people", {"boss": "a@example.com"}, "people.boss", "nothing reads this"),
        ("owners", {"weather": "a@example.com"}, "owners.weather", "nothing reads this"),
        ("owners", {"system": "IT desk"}, "owners.system", "no e-mail address"),
        ("channels", {"all": "sales"}, "channels.all", "#sales"),
        ("behaviours", {"seller": ["fly"]}, "behaviours.seller[0]", "no behaviour 'fly'"),
        ("behaviours", {"seller": "next_step_set"}, "behaviours.seller", "is a list"),
        ("behaviours", {"king": []}, "behaviours.king", "nothing reads this"),
        ("behaviours", {"seller": ["step_moves", "step_moves"]}, "behaviours.seller[1]", "twice"),
        (
            "behaviours",
            {"seller": [{"id": "step_moves", "target": 0}]},
            "behaviours.seller[0].target",
            "above 0",
        ),
        (
            "behaviours",
            {"seller": [{"id": "next_step_set", "target": 9}]},
            "behaviours.seller[0].target",
            "share",
        ),
        (
            "behaviours",
            {"seller": [{"id": "step_moves", "aim": 9}]},
            "behaviours.seller[0].aim",
            "nothing reads",
        ),
        ("behaviours", {"seller": sorted(BEHAVIOURS)}, "behaviours.seller", "12 are the most"),
        ("rules", {"weekly_cap": 6}, "rules.weekly_cap", "from 1 to 5"),
        ("rules", {"weekly_cap": 1.5}, "rules.weekly_cap", "whole number"),
        ("rules", {"hold_out": 0.04}, "rules.hold_out", "from 0.05 to 0.5"),
        ("rules", {"hold_out": 0.51}, "rules.hold_out", "from 0.05 to 0.5"),
        ("rules", {"spacing_hours": 2}, "rules.spacing_hours", "from 24"),
        ("rules", {"same_text_in_28_days": 3}, "rules.same_text_in_28_days", "from 1 to 2"),
        ("rules", {"window_start": "07:59"}, "rules.window_start", "08:00 to 18:30"),
        ("rules", {"window_end": "18:31"}, "rules.window_end", "08:00 to 18:30"),
        ("rules", {"window_end": "nine"}, "rules.window_end", "local time"),
        ("rules", {"window_start": "16:00", "window_end": "15:00"}, "rules.window_end", "later time"),
        ("rules", {"ignored_pauses": 3}, "rules.ignored_pauses", "not above"),
        ("rules", {"shout": True}, "rules.shout", "nothing reads this"),
        ("budget", {}, "budget", "nothing reads this"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write(
    section: str, values: dict[str, Any], key: str, word: str
) -> None:
    fault = the_fault(changed(section, **values))
    assert fault.startswith(f"{key}: ")
    assert word in fault


def test_every_rule_there_is_can_be_set_or_is_refused() -> None:
    for rule in fields(Rules):
        _, faults = read_programme(changed("rules", **{rule.name: []}), BEHAVIOURS)
        assert any(fault.startswith(f"rules.{rule.name}: ") for fault in faults), rule.name


def test_rules_may_be_changed_within_their_limits() -> None:
    rules = read(
        changed("rules", weekly_cap=1, window_start="08:00", window_end="18:30", hold_out=0.05)
    ).rules
    assert rules == Rules(weekly_cap=1, window_start="08:00", window_end="18:30", hold_out=0.05)


def test_a_role_that_is_listed_has_its_own_behaviours_and_the_others_keep_theirs() -> None:
    programme = read(changed("behaviours", seller=["next_step_set", {"id": "cases_kept", "target": 3}]))
    of = {role: {b.id for b in programme.behaviours.values() if role in b.roles} for role in ROLES}
    shipped = {role: {b.id for b in BEHAVIOURS.values() if role in b.roles} for role in ROLES}
    assert of.pop("seller") == {"next_step_set", "cases_kept"}
    assert of == {role: ids for role, ids in shipped.items() if role != "seller"}
    assert programme.behaviours["cases_kept"].target == 3
    assert BEHAVIOURS["cases_kept"].target == 12


def test_one_behaviour_has_one_target() -> None:
    document = changed(
        "behaviours", seller=[{"id": "step_moves", "target": 2}], manager=[{"id": "step_moves", "target": 3}]
    )
    assert "one target" in the_fault(document)


def test_all_faults_of_a_file_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "programme.toml"
    path.write_text('[programme]\nk = 1\nzone = "x"\n[people]\nadoption_lead = "nobody"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_programme(path, BEHAVIOURS)
    keys = {fault.removeprefix("programme.toml: ").partition(":")[0] for fault in caught.value.faults}
    assert keys == {
        "people.adoption_lead",
        "people.sponsor",
        "people.privacy_officer",
        "programme.name",
        "programme.crm",
        "programme.go_live",
        "programme.k",
        "programme.country",
        "programme.zone",
        "programme.pilot_teams",
    }


def test_a_file_that_is_absent_or_broken_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"examples/programme\.toml"):
        load_programme(tmp_path / "no.toml", BEHAVIOURS)
    (tmp_path / "x.toml").write_text("[", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no valid TOML"):
        load_programme(tmp_path / "x.toml", BEHAVIOURS)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    *(
        ("programme", k)
        for k in ("name", "crm", "go_live", "language", "zone", "country", "pilot_teams", "k", "record_link")
    ),
    *(("people", k) for k in ("sponsor", "delegates", "approver", "adoption_lead", "privacy_officer")),
    *(
        ("rules", k)
        for k in ("weekly_cap", "hold_out", "window_start", "window_end", "policy", "ignored_pauses")
    ),
    ("owners", "system"),
    ("channels", "all"),
    ("behaviours", "seller"),
]


@given(st.sampled_from(KEYS), JSONISH)
def test_any_value_is_taken_or_named_as_a_fault(key: tuple[str, str], value: Any) -> None:
    programme, faults = read_programme(changed(key[0], **{key[1]: value}), BEHAVIOURS)
    assert (programme is None) == bool(faults)
    assert all(f"{key[0]}.{key[1]}" in fault or key[0] == "rules" for fault in faults)


def test_the_example_explains_every_key_that_is_read(repository: Path) -> None:
    text = (repository / "examples" / "programme.toml").read_text(encoding="utf-8")
    for section, key in KEYS:
        if section in {"programme", "people"}:
            assert key in text, key
    assert set(tomllib.loads(text)) == {"programme", "people", "owners", "channels", "behaviours", "rules"}
