"""The command line: what it says, its exit codes, and that every fault is a readable line with what to do."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer

from bot.cli import app
from bot.domain.adoption import LIVING_TOGETHER
from bot.domain.feedback import Feedback
from bot.domain.people import SlackUser
from store import feedback, matching, people
from store.database import Database, UnitOfWork, open_database
from store.tables import metadata
from tests.installation import Typed, typed
from tests.story import Firm, address

SECRET = "a secret of thirty-two characters or more"
ADA, BEN = "Ada Marsh", "Ben Okafor"
LEAD, OFFICER = "lee.brandt@example.com", "kim.novak@example.com"


class Terminal:
    """A shell with settings, in a folder of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = {"COLUMNS": "200", **settings}

    def __call__(self, *words: str, **more: str) -> Typed:
        done = typed(words, {**self.settings, **more}, self.folder)
        assert "Traceback" not in done.err
        return done


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    firm = Firm(tmp_path / "crm")
    for name in (ADA, BEN):
        firm.hires(name)
        firm.neglects_dates(name)
    firm.writes()
    return firm


@pytest.fixture
def fullsteam(firm: Firm, sqlite_url: str, tmp_path: Path) -> Terminal:
    return Terminal(
        tmp_path,
        FULLSTEAM_DATABASE_URL=sqlite_url,
        FULLSTEAM_PROGRAMME=str(firm.folder / "programme.toml"),
        FULLSTEAM_SECRET=SECRET,
    )


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = open_database(sqlite_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def imported(fullsteam: Terminal, firm: Firm, database: Database) -> Terminal:
    """Everybody is imported, and known to Slack."""
    assert fullsteam("import", str(firm.folder / "mapping.toml")).code == 0

    def match(uow: UnitOfWork) -> None:
        accounts = [
            SlackUser(str(each["id"]), str(each["email"]), str(each["name"]), "Europe/Berlin")
            for each in firm.accounts.values()
        ]
        people.keep_slack_users(uow, accounts, datetime.now(UTC))
        matching.match(uow, (), datetime.now(UTC))

    database.write_now(match)
    return fullsteam


def commands() -> list[tuple[str, ...]]:
    """Every command, and every command of a group."""

    def walk(group: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, command in group.commands.items():
            yield (*path, name)
            if hasattr(command, "commands"):
                yield from walk(command, (*path, name))

    return list(walk(typer.main.get_command(app), ()))


@pytest.mark.parametrize("words", [(), *commands()], ids=" ".join)
def test_every_command_explains_itself_without_any_setting(words: tuple[str, ...], tmp_path: Path) -> None:
    said = Terminal(tmp_path)(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert "Usage:" in said.out
    # A sentence of its own, not only the list of options.
    assert len(said.out.splitlines()) > 6


def test_the_commands_that_the_programme_promises_are_there() -> None:
    promised = "run web worker clock migrate stop start import poll connect disconnect keys plan lint preview replay demo"
    promised += " doctor export"
    assert {(name,) for name in promised.split()} <= set(commands())


# --- wrong use -------------------------------------------------------------------------------------------------------


def test_without_settings_every_missing_one_is_named_with_what_to_set(tmp_path: Path) -> None:
    said = Terminal(tmp_path)("run")
    assert (said.code, said.out) == (2, "")
    for name in ("SECRET", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "PROGRAMME"):
        assert f"FULLSTEAM_{name}" in said.err
    for advice in ("openssl rand -hex 32", "xoxb-", "Signing Secret", "examples/programme.toml"):
        assert advice in said.err


def test_wrong_settings_are_said_all_at_once_and_secrets_are_not_repeated(tmp_path: Path) -> None:
    said = Terminal(tmp_path)(
        "run",
        FULLSTEAM_DATABASE_URL="mysql://somewhere/else",
        FULLSTEAM_SECRET="hunter2",
        FULLSTEAM_PORT="70000",
        FULLSTEAM_TICK_SECONDS="soon",
        FULLSTEAM_IMPORT_DIR=str(tmp_path / "nowhere"),
        FULLSTEAM_SLACK_API_URL="http://slack.example",
        FULLSTEAM_SLACK_BOT_TOKEN="xoxb-1",
    )
    assert said.code == 2
    for name in (
        *("DATABASE_URL", "SECRET", "PORT", "TICK_SECONDS", "IMPORT_DIR", "SLACK_API_URL"),
        *("SLACK_SIGNING_SECRET", "PROGRAMME"),
    ):
        assert f"FULLSTEAM_{name} " in said.err, name
    assert "FULLSTEAM_SLACK_BOT_TOKEN" not in said.err
    assert "hunter2" not in said.err


def test_an_incomplete_programme_is_refused_with_every_fault(fullsteam: Terminal, firm: Firm) -> None:
    (firm.folder / "programme.toml").write_text(
        '[programme]\nname = "x"\nk = 2\n[owners]\nweather = "a@b.c"\n'
    )
    said = fullsteam("import", str(firm.folder / "mapping.toml"))
    assert said.code == 2
    for key in (
        "people.sponsor",
        "people.adoption_lead",
        "programme.k",
        "programme.country",
        "owners.weather",
    ):
        assert key in said.err


def test_a_wrong_mapping_is_refused_with_every_fault(fullsteam: Terminal, firm: Firm) -> None:
    mapping = firm.folder / "mapping.toml"
    text = mapping.read_text()
    mapping.write_text(
        text.replace('id = "Id"\n', "").replace('Won = "won"', 'Won = "gained"').replace('"Role"', "1")
    )
    said = fullsteam("import", str(mapping))
    assert (said.code, said.out) == (2, "")
    assert "The mapping mapping.toml cannot be used" in said.err
    assert said.err.count("•") >= 3
    missing = fullsteam("import", str(firm.folder / "other.toml"))
    assert missing.code == 2
    assert "other.toml" in missing.err


@pytest.mark.parametrize(
    "words", [("demo", "--people", "1"), ("plan", "--days", "0"), ("import",)], ids=" ".join
)
def test_a_command_that_somebody_waits_for_does_not_print_the_log_of_a_crm(
    words: tuple[str, ...], fullsteam: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = [logging.getLogger(name) for name in ("bot", "bot.connectors", "store", "dotenv")]
    for each in ours:
        monkeypatch.setattr(each, "handlers", [])
        monkeypatch.setattr(each, "propagate", False)
    fullsteam(*words)
    printed = {each.name for each in ours if not each.handlers}
    # The bot's own words while a demo runs are for whoever looks on.
    assert printed == ({"bot", "store"} if words[0] == "demo" else set())


@pytest.mark.parametrize(
    "words",
    [("dance",), ("plan", "--days", "0"), ("plan", "--days", "many"), ("export", "feedback"), ("replay",)],
    ids=" ".join,
)
def test_wrong_use_ends_with_two_and_says_how(words: tuple[str, ...], fullsteam: Terminal) -> None:
    said = fullsteam(*words)
    assert (said.code, said.out) == (2, "")
    assert "Usage:" in said.err


# --- reading ---------------------------------------------------------------------------------------------------------


def test_import_says_what_it_read_and_a_second_one_changes_nothing(
    fullsteam: Terminal, firm: Firm, database: Database
) -> None:
    firm.deals.append({**firm.deals[0], "Id": "D-bad", "Created": "03/04/2026"})
    firm.exports()
    first = fullsteam("import", str(firm.folder / "mapping.toml"))
    assert first.code == 0
    assert "3 people" in first.out
    assert "deals.csv, line 10, column Created" in first.out
    assert "unsupported" in first.out
    before = counts(database, without=("coverage",))
    second = fullsteam("import", str(firm.folder / "mapping.toml"), "--json", "-")
    assert second.code == 0
    assert json.loads(second.out)["people"] == 3
    assert counts(database, without=("coverage",)) == before


def counts(database: Database, without: tuple[str, ...] = ()) -> dict[str, int]:
    """Rows by table."""

    def count(uow: UnitOfWork) -> dict[str, int]:
        return {
            name: int(uow.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
            for name, table in metadata.tables.items()
            if name not in without
        }

    return database.read_now(count)


def test_plan_sends_and_writes_nothing(imported: Terminal, database: Database) -> None:
    before = counts(database)
    said = imported("plan", "--days", "7", "--json", "-")
    assert said.code == 0
    planned = json.loads(said.out)
    assert planned["days"] == 7
    rows = planned["decisions"]
    assert {row["name"] for row in rows} == {ADA, BEN, "Maria Lang"}
    assert {"welcome"} <= {row["gets"] for row in rows if row["name"] == ADA}
    assert all(row["gets"] or row["why"] for row in rows)
    table = imported("plan", "--days", "7")
    assert (table.code, ADA in table.out, "welcome" in table.out) == (0, True, True)
    assert counts(database) == before
    assert before["outbox"] == before["decision"] == 0


def test_stop_and_start_say_whether_anything_changed(fullsteam: Terminal, database: Database) -> None:
    said = [fullsteam(word).out for word in ("stop", "stop", "start", "start")]
    beginnings = ("Stopped", "It was stopped already", "Started", "It was not stopped")
    assert [text.startswith(begin) for text, begin in zip(said, beginnings, strict=True)] == [True] * 4, said
    log = database.read_now(lambda uow: uow.rows(metadata.tables["audit"].select()))
    assert [row.action for row in log] == ["sending-stopped", "sending-started"]


# --- content ---------------------------------------------------------------------------------------------------------


def test_lint_passes_what_ships_and_refuses_a_tip_that_blames(fullsteam: Terminal, tmp_path: Path) -> None:
    assert fullsteam("lint").code == 0
    tips = tmp_path / "own" / "tips"
    tips.mkdir(parents=True)
    (tips / "bad.toml").write_text(
        """
[nagging]
version = 1
trigger = "past_close_date"
behaviour = "close_dates_in_future"
roles = ["seller"]
goal = "productivity"
effort_minutes = 1
evidence = "experience"
owner = "adoption_lead"
expires = 2099-01-01
[nagging.en]
about = "You still haven't updated {{ nonsense }}"
gain = ""
effort = ""
"""
    )
    said = fullsteam("lint", str(tmp_path / "own"))
    assert said.code == 1
    assert "nagging" in said.err
    assert "things to mend" in said.err


def test_preview_shows_the_words_and_the_blocks_that_slack_gets(fullsteam: Terminal) -> None:
    listed = fullsteam("preview", "list")
    assert (listed.code, "past_close_date_productivity" in listed.out) == (0, True)
    words = fullsteam("preview", "past_close_date_productivity")
    assert words.code == 0
    assert "close date" in words.out
    blocks = fullsteam("preview", "past_close_date_productivity", "--blocks")
    actions = json.dumps(json.loads(blocks.out))
    assert all(action in actions for action in ("tip:do", "tip:remind", "tip:blocked"))
    unknown = fullsteam("preview", "no_such_tip")
    assert (unknown.code, unknown.out) == (2, "")
    assert "no_such_tip" in unknown.err


# --- export ----------------------------------------------------------------------------------------------------------


def say(database: Database, number: int, who: str, mode: str, text: str) -> None:
    """Feedback of an hour ago."""
    at = datetime.now(UTC) - timedelta(hours=1)

    def add(uow: UnitOfWork) -> None:
        author = next(each for each in people.get(uow).values() if each.email == address(who))
        feedback.add(
            uow,
            Feedback(
                id=f"f{number}",
                key=f"k{number}",
                person=author.id,
                team=author.team,
                kind="reply",
                mode=mode,
                state="kept",
                text=text,
                outbox=None,
                decision=None,
                behaviour="close_dates_in_future",
                trigger="past_close_date",
                stage=LIVING_TOGETHER,
                barrier_type=None,
                owner=LEAD,
                created_at=at,
                visible_at=at,
            ),
        )

    database.write_now(add)


def exports(database: Database) -> list[str]:
    """Who exported, by the audit log."""
    rows = database.read_now(lambda uow: uow.rows(metadata.tables["audit"].select()))
    return [row.actor for row in rows if row.action == "feedback-exported"]


def test_export_follows_the_mode_and_the_role_and_every_one_is_logged(
    imported: Terminal, database: Database, tmp_path: Path
) -> None:
    say(database, 1, ADA, "named", "=cmd|' /C calc'!A0")
    say(database, 2, BEN, "confidential", "The approval takes four days")

    nobody = imported("export", "feedback", "--as", "somebody@example.com")
    assert (nobody.code, nobody.out) == (2, "")
    assert "may not read feedback" in nobody.err
    assert exports(database) == []

    lead = imported("export", "feedback", "--as", LEAD)
    assert lead.code == 0
    (row,) = csv.DictReader(io.StringIO(lead.out))
    assert (row["mode"], row["name"], row["stage"]) == ("named", ADA, "")
    assert row["text"].startswith("'="), "a spreadsheet must not run what somebody wrote"
    assert "approval" not in lead.out, (
        "confidential words wait for a crowd that could have said them; three are none"
    )
    refused = imported("export", "feedback", "--as", LEAD, "--stages")
    assert (refused.code, "privacy officer" in refused.err) == (2, True)

    file = tmp_path / "feedback.json"
    officer = imported(
        "export", "feedback", "--as", OFFICER, "--stages", "--format", "json", "--out", str(file)
    )
    assert (officer.code, officer.out) == (0, "")
    (found,) = json.loads(file.read_text())
    assert (found["name"], found["stage"]) == (ADA, "Living Together")
    assert exports(database) == [LEAD, OFFICER]

    wrong = imported("export", "feedback", "--as", LEAD, "--format", "xml")
    assert (wrong.code, "csv or json" in wrong.err) == (2, True)
