"""``fullsteam import`` and ``doctor`` say who was matched by what, who was not, and what to do; a server of our own is Slack."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Typed, typed

PEOPLE = """Name,Email,Manager,Login
Bo Boss,boss@example.com,,OID-1
Ana Sand,ana@example.com,Bo Boss,
Leo Lang,leo@example.com,Bo Boss,
Eva Ernst,eva@example.com,Bo Boss,
Ida Imm,ida@example.com,Bo Boss,
"""
MAPPING = """[source]
name = "sheet"
coverage = "complete"
[people]
file = "people.csv"
[people.columns]
name = "Name"
email = "Email"
manager = "Manager"
sso_id = "Login"
[usage]
file = "usage.csv"
metrics = ["activities_completed.call"]
[usage.columns]
person = "who"
date = "day"
metric = "metric"
value = "value"
"""
USAGE = "who,day,metric,value\nana@example.com,2026-11-17,activities_completed.call,1\n"
MEMBERS = [
    {"id": "U00000001", "profile": {"email": "Boss@example.com", "real_name": "Bo"}},
    {"id": "U00000002", "profile": {"email": "a.sand@example.com", "real_name": "Ana"}},
    {"id": "U00000003", "profile": {"email": "leo@example.com", "real_name": "Leo"}},
    {"id": "U00000004", "profile": {"email": "leo@example.com", "real_name": "Leo too"}},
    {"id": "U00000005", "profile": {"email": "ida@example.com"}, "is_restricted": True},
]


class Answers(BaseHTTPRequestHandler):
    """Slack's users.list and its SCIM users."""

    def do_GET(self) -> None:
        if self.path.startswith("/api/users.list"):
            self._say({"ok": True, "members": MEMBERS, "response_metadata": {"next_cursor": ""}})
            return
        rows = [{"id": "U00000001", "externalId": "oid-1", "userName": "boss"}]
        self._say({"totalResults": 1, "startIndex": 1, "itemsPerPage": 1, "Resources": rows})

    def _say(self, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed into a test."""


@pytest.fixture
def slack() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "usage.csv").write_text(USAGE)
    (tmp_path / "who.csv").write_text(
        "crm,slack,note\nana@example.com,U00000002,\neva@example.com,nobody,gone in May\n"
    )
    return tmp_path


@pytest.fixture
def settings(folder: Path, slack: str, sqlite_url: str, repository: Path) -> dict[str, str]:
    return {
        "COLUMNS": "200",
        "FULLSTEAM_DATABASE_URL": sqlite_url,
        "FULLSTEAM_PROGRAMME": str(repository / "examples" / "programme.toml"),
        "FULLSTEAM_SECRET": "s" * 32,
        "FULLSTEAM_SLACK_BOT_TOKEN": "xoxb-test",
        "FULLSTEAM_SLACK_SIGNING_SECRET": "s" * 32,
        "FULLSTEAM_SLACK_API_URL": f"{slack}/api/",
        "FULLSTEAM_SLACK_SCIM_URL": f"{slack}/scim/v1/",
        "FULLSTEAM_IDENTITIES": str(folder / "who.csv"),
    }


def imports(folder: Path, settings: dict[str, str], *more: str) -> Typed:
    return typed(("import", str(folder / "mapping.toml"), *more), settings, folder)


def test_import_says_who_was_matched_by_what_and_what_to_do_about_the_rest(
    folder: Path, settings: dict[str, str]
) -> None:
    said = imports(folder, settings)
    assert (said.code, said.err) == (0, "")
    assert "2 people matched to Slack: 1 by the identity file, 1 by e-mail address." in said.out
    assert "ambiguous, never written to: Leo Lang (leo@example.com; U00000003; U00000004)" in said.out
    assert "more than one Slack account has their e-mail address: deactivate one, or name theirs" in said.out
    assert "guest, never written to: Ida Imm (ida@example.com; U00000005)" in said.out
    assert "excluded, never written to: Eva Ernst" in said.out


def test_import_matches_by_single_sign_on_where_there_is_a_token(
    folder: Path, settings: dict[str, str]
) -> None:
    said = imports(folder, {**settings, "FULLSTEAM_SLACK_SCIM_TOKEN": "xoxp-test"})
    assert "2 people matched to Slack: 1 by the identity file, 1 by single sign-on." in said.out


def test_import_gives_the_same_as_json(folder: Path, settings: dict[str, str]) -> None:
    body = json.loads(imports(folder, settings, "--json", "-").out)
    assert (body["matched"], body["matched_by"]) == (2, {"override": 1, "email": 1})
    assert body["reached"] == {"override": ["Ana Sand"], "email": ["Bo Boss"]}
    assert body["not_matched"] == {
        "ambiguous": ["Leo Lang"],
        "excluded": ["Eva Ernst"],
        "guest": ["Ida Imm"],
    }
    first = body["to_do"][0]
    assert (first["state"], first["why"]) == ("ambiguous", "accounts-share-address")
    assert first["who"] == ["Leo Lang (leo@example.com; U00000003; U00000004)"]
    assert "identity file" in first["what_to_do"]
    assert body["identity_faults"] == []


def test_a_poll_by_hand_matches_as_an_import_does(folder: Path, settings: dict[str, str]) -> None:
    unset = imports(folder, {key: each for key, each in settings.items() if "BOT_TOKEN" not in key})
    assert "People were not matched to Slack: FULLSTEAM_SLACK_BOT_TOKEN is not set" in unset.out
    for file in folder.glob("*.csv"):
        os.utime(file, (0, 0))  # nobody is writing it any more
    said = typed(("poll", "sheet"), settings, folder)
    assert (said.code, said.err) == (0, "")
    assert "2 people matched to Slack: 1 by the identity file, 1 by e-mail address." in said.out
    assert "5 in the CRM, 2 matched to Slack" in typed(("doctor",), settings, folder).out
    body = json.loads(typed(("poll", "sheet", "--json", "-"), settings, folder).out)
    assert body["matched_by"] == {"override": 1, "email": 1}


def test_the_doctor_marks_who_is_left_out_as_worth_a_look(folder: Path, settings: dict[str, str]) -> None:
    assert imports(folder, settings).code == 0
    said = typed(("doctor",), settings, folder)
    assert "look people: guest: never written to: Ida Imm" in said.out
    assert "ok   people: 5 in the CRM, 2 matched to Slack" in said.out
    findings = json.loads(typed(("doctor", "--json", "-"), settings, folder).out)["findings"]
    assert {(each["mark"], each["ok"]) for each in findings} >= {("ok", True), ("look", True)}


def test_doctor_lists_the_same_and_the_lines_of_the_file_that_hold_nothing(
    folder: Path, settings: dict[str, str]
) -> None:
    assert imports(folder, settings).code == 0
    with (folder / "who.csv").open("a") as file:
        file.write("leo@example.com,U00000004,\nsomebody@example.com,U00000001,\n")
    said = typed(("doctor",), {**settings, "FULLSTEAM_SLACK_SCIM_TOKEN": "xoxp-test"}, folder)
    assert said.code == 1
    assert "who.csv: 4 lines" in said.out
    assert "single sign-on: the token works; 1 accounts have an id" in said.out
    # The file has a new line: what it will do is said, before anything is matched by it.
    assert "5 in the CRM, 2 matched to Slack" in said.out
    assert "as things are now, 2 by the identity file, 1 by single sign-on" in said.out
    assert "people: by the identity file: Ana Sand, Leo Lang" in said.out
    assert "ambiguous" not in said.out
    assert (
        "people: guest: never written to: Ida Imm (ida@example.com; U00000005). their Slack account"
        in said.out
    )
    assert "mend identities: who.csv, line 5: nobody in the CRM is somebody@example.com" in said.out


def test_a_broken_identity_file_is_said_with_its_line_and_nothing_is_matched_by_half_of_it(
    folder: Path, settings: dict[str, str]
) -> None:
    (folder / "who.csv").write_text("crm,slack\nana@example.com,Ana\n")
    said = imports(folder, settings)
    assert said.code == 2
    assert "who.csv, line 2: 'Ana' is no Slack account; write a member id" in said.err
    looked = typed(("doctor",), settings, folder)
    assert looked.code == 1
    assert "mend identities: who.csv, line 2" in looked.out


def test_an_identity_file_that_names_nobody_is_worth_a_look(folder: Path, settings: dict[str, str]) -> None:
    for text, said in (
        ("", "look identities: who.csv: 0 lines, so it names nobody"),
        ("crm,slack\n", "look identities: who.csv: 0 lines, so it names nobody"),
        ("crm,slack\nana@example.com,u00000002\n", "ok   identities: who.csv: 1 line\n"),
    ):
        (folder / "who.csv").write_text(text)
        assert said in typed(("doctor",), settings, folder).out
        names_nobody = "who.csv names nobody: write who is who" in imports(folder, settings).err
        assert names_nobody is said.startswith("look")
