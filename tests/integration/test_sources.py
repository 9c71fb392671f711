"""Sources as an admin runs them: poll, its rehearsal, doctor, connect, disconnect and keys, against a CRM on this machine."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

import bot.connectors
from bot.commands import connect_source
from bot.config import find_kinds
from bot.connectors.settings import Wanted, wanted
from bot.domain.errors import ConfigurationError, FullsteamError
from bot.domain.usage import METRICS
from bot.progress import CallCounter, call_counter
from bot.vault import Vault, new_key
from bot.wiring import connector_kinds
from sandbox.clock import SteeredClock
from store import usage
from store.database import Database, UnitOfWork, open_database
from tests.installation import Typed, free_port, typed
from tests.orgs import Org
from tests.serving import on_loopback

PROGRAMME = Path(__file__).parent.parent.parent / "examples" / "programme.toml"
LATELY = ("--since", (datetime.now(UTC).date() - timedelta(days=1)).isoformat())
"""A poll of two days, where a test is not about what a first one reads: that asks for each of ninety days."""
SECRET = "sandbox-client-secret"
"""The sandbox's: what must be found nowhere."""


@pytest.fixture
def org() -> Org:
    org = Org(SteeredClock(datetime.now(UTC)))
    boss = org.user("Ada Brandt")
    rep = org.user("Jonas Weber", boss)
    org.deal(rep, 70, NextStep=None)
    for days in (0.01, 1, 2, 9):
        org.done(rep, "Call", days)
        org.login(rep, days)
    return org


class Front:
    """One address for all tests here: behind it stands the CRM of the test that runs."""

    def __init__(self) -> None:
        self.server: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.server(scope, receive, send)


@pytest.fixture(scope="module")
def front() -> Iterator[tuple[Front, str]]:
    front = Front()
    with on_loopback(front) as url:
        yield front, url


@pytest.fixture
def url(org: Org, front: tuple[Front, str]) -> str:
    front[0].server = org.server
    return front[1]


def variables(url: str, name: str = "SALESFORCE", **more: str) -> dict[str, str]:
    given = {"URL": url, "CLIENT_ID": "3MVG9sandbox", "CLIENT_SECRET": SECRET, **more}
    return {f"FULLSTEAM_{name}_{field}": value for field, value in given.items()}


class Terminal:
    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.settings = {
            "COLUMNS": "200",
            "FULLSTEAM_DATABASE_URL": database_url,
            "FULLSTEAM_PROGRAMME": str(PROGRAMME),
        }

    def __call__(self, *words: str, **more: str) -> Typed:
        done = typed(words, {**self.settings, **more}, self.folder)
        assert "Traceback" not in done.err
        assert SECRET not in done.out + done.err
        return done


@pytest.fixture
def fullsteam(tmp_path: Path, sqlite_url: str) -> Terminal:
    return Terminal(tmp_path, sqlite_url)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = open_database(sqlite_url, durable=False)
    yield opened
    opened.close()


# --- poll ------------------------------------------------------------------------------------------------------------


def test_a_poll_says_facts_and_coverage_by_metric_calls_and_what_is_left(
    fullsteam: Terminal, url: str, database: Database
) -> None:
    said = fullsteam("poll", **variables(url))
    assert (said.code, said.err) == (0, "")
    assert re.search(r"^salesforce: 2 people, [\d,]+ person-days of facts", said.out)
    assert re.search(r"^activities_completed\.call +\d+ +4 +ok *$", said.out, re.MULTILINE)
    assert re.search(r"^opps_open +2 +1 +ok *$", said.out, re.MULTILINE), "a state: its sum as of today"
    assert re.search(r"^opps_open_long +0 +unsupported *$", said.out, re.MULTILINE)
    assert len(re.findall(r"^salesforce, unsupported ", said.out, re.MULTILINE)) == 1
    assert "People were not matched to Slack: FULLSTEAM_SLACK_BOT_TOKEN is not set" in said.out
    assert re.search(r"\d+ calls, \d+ rows; [\d,]+ of 100,000 calls left", said.out)
    assert database.read_now(usage.sources)["salesforce"].watermark is not None
    again = json.loads(fullsteam("poll", "salesforce", "--json", "-", **variables(url)).out)
    assert again["failure"] is None
    assert again["coverage"].keys() == METRICS.keys()
    assert again["now"]["opps_open"] == 1
    assert "opps_open" not in again["totals"]
    assert (again["limit"]["most"], again["calls"] > 10) == (100_000, True)


def test_a_result_that_cannot_be_put_there_is_said_before_anything_is_asked(
    fullsteam: Terminal, tmp_path: Path
) -> None:
    for nowhere in (tmp_path, tmp_path / "nowhere" / "poll.json"):
        said = fullsteam("poll", "--json", str(nowhere), **variables("http://127.0.0.1:9"))
        assert (said.code, "cannot be written" in said.err, "nobody answers" in said.err) == (2, True, False)


def test_a_poll_from_a_day_on_reads_from_that_day_and_older_weeks_whole(
    fullsteam: Terminal, url: str
) -> None:
    today = datetime.now(UTC).date()
    near, far = today - timedelta(days=10), today - timedelta(days=60)

    def first_day(since: str) -> str:
        body = fullsteam("poll", "--since", since, "--json", "-", **variables(url)).out
        return str(json.loads(body)["since"])

    assert first_day(near.isoformat()) == near.isoformat()
    assert first_day(far.isoformat()) == (far - timedelta(days=far.weekday())).isoformat()


@pytest.mark.parametrize("since", ["2999-01-01", "yesterday", "2026-13-01"])
def test_a_day_that_is_none_or_is_to_come_is_wrong_use(fullsteam: Terminal, url: str, since: str) -> None:
    for words in (("poll", "--since", since), ("poll", "--dry-run", "--since", since)):
        said = fullsteam(*words, **variables(url))
        assert (said.code, said.out) == (2, "")
        assert since in said.err
        assert "%Y" not in said.err


def test_a_name_that_is_none_lists_those_there_are(fullsteam: Terminal, url: str) -> None:
    two = {
        **variables(url),
        **variables(url, "EAST"),
        "FULLSTEAM_CRMS": "salesforce, east=salesforce",
    }
    for words in (("poll", "siebel"), ("poll", "siebel", "--dry-run")):
        said = fullsteam(*words, **two)
        assert (said.code, said.out) == (2, "")
        assert "there are east, salesforce" in said.err
    assert fullsteam("poll", "east", *LATELY, **two).code == 0
    none = fullsteam("poll")
    assert none.code == 2
    assert "nothing to read" in none.err


def test_a_kind_that_is_not_set_up_says_what_sets_it_up(fullsteam: Terminal, url: str) -> None:
    said = fullsteam("poll", "odoo", "--dry-run", **variables(url))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("odoo is not set up:")
    assert "FULLSTEAM_ODOO_URL, FULLSTEAM_ODOO_API_KEY" in said.err
    assert "there is salesforce" in said.err


def test_without_a_name_every_source_is_polled_and_one_that_fails_does_not_stop_the_others(
    fullsteam: Terminal, url: str
) -> None:
    three = {
        **variables(url),
        **variables(url, "EAST"),
        **variables(f"http://127.0.0.1:{free_port()}", "GONE"),
        "FULLSTEAM_CRMS": "gone=salesforce, salesforce, east=salesforce, bad=salesforce",
    }
    body = fullsteam("poll", "--json", "-", *LATELY, **three)
    assert body.code == 1
    sources = json.loads(body.out)["sources"]
    assert {name: each["failure"] is None for name, each in sources.items()} == {
        "east": True,
        "gone": False,
        "salesforce": True,
        "bad": False,
    }
    assert "bad cannot be opened: FULLSTEAM_BAD_URL is not set" in body.err
    assert sources["bad"]["failure"].startswith("bad cannot be opened: FULLSTEAM_BAD_URL is not set")
    shown = fullsteam("poll", "--dry-run", **three)
    assert (shown.code, shown.out.count(" would ask this")) == (2, 3)


def test_of_several_crms_each_says_its_own_calls(fullsteam: Terminal, url: str) -> None:
    two = {**variables(url), **variables(url, "EAST"), "FULLSTEAM_CRMS": "salesforce, east=salesforce"}
    said = fullsteam("poll", *LATELY, **two)
    assert re.findall(r"^(\w+): [\d,]+ calls, [\d,]+ rows?; ", said.out, re.MULTILINE) == [
        "east",
        "salesforce",
    ]


def test_a_crm_that_was_not_read_is_in_the_exit_code_and_in_the_result(
    fullsteam: Terminal, url: str, database: Database
) -> None:
    def is_incomplete(said: Typed, name: str, why: str) -> None:
        assert (said.code, why in said.err) == (2, True), said.err
        sources = json.loads(said.out)["sources"]
        assert sources.keys() == {"salesforce", name}
        assert why in sources[name]["failure"]
        assert not sources["salesforce"].get("failure")

    named = {"FULLSTEAM_ODOO_URL": "https://acme.example", "FULLSTEAM_ODOO_API_KEY": ""}
    typing_error = {"FULLSTEAM_CRMS": "salesforce, odo"}
    for words in ((), ("--dry-run",)):
        for settings, name, why in (
            (named, "odoo", "FULLSTEAM_ODOO_API_KEY is not set"),
            (typing_error, "odo", "'odo' is no kind of CRM"),
        ):
            said = fullsteam("poll", *LATELY, *words, "--json", "-", **variables(url), **settings)
            is_incomplete(said, name, why)
    alone = fullsteam("poll", "--json", "-", **named)
    assert (alone.code, json.loads(alone.out)["source"]) == (2, "odoo")
    assert "FULLSTEAM_ODOO_API_KEY is not set" in json.loads(alone.out)["failure"]

    sealed = Vault([new_key()]).seal("emea", {"url": url, "name": "emea"})
    database.write_now(usage.keep_source, "emea", "salesforce", sealed)
    said = fullsteam(
        "poll",
        *LATELY,
        "--json",
        "-",
        FULLSTEAM_KEYS=new_key(),
        FULLSTEAM_CRMS="salesforce",
        **variables(url),
    )
    is_incomplete(said, "emea", "none of the keys in FULLSTEAM_KEYS opens")


def test_a_connector_s_file_that_cannot_be_used_is_named_and_the_others_are_read(
    fullsteam: Terminal, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "connectors"
    (folder / "empty").mkdir(parents=True)
    (folder / "empty" / "__init__.py").write_text("")
    (folder / "tally.py").write_text("import nothing_of_that_name\n")
    (folder / "misspelt.py").write_text(
        "from bot.connectors.settings import CrmSettings\nclass Own(CrmSettings): ...\nCONECTOR = Own\n"
    )
    monkeypatch.setattr(bot.connectors, "__path__", [*bot.connectors.__path__, str(folder)])
    given = {**variables(url), "FULLSTEAM_TALLY_KEY": "k"}
    for words, code in (("poll",), 2), (("poll", "salesforce"), 0), (("poll", "tally"), 2):
        said = fullsteam(*words, *LATELY, **given)
        assert said.code == code
        assert "bot/connectors/tally.py cannot be loaded: line 1 of tally.py, ModuleNotFoundError" in said.err
        for file in ("misspelt", "empty/__init__"):
            assert f"bot/connectors/{file}.py is left out: no CONNECTOR = ConnectorKind(…)" in said.err
        assert "salesforce: 2 people" in said.out or words[-1] == "tally"
    assert "mend connectors: bot/connectors/tally.py cannot be loaded" in fullsteam("doctor", **given).out
    named = fullsteam("poll", FULLSTEAM_CRMS="tally")
    assert (named.code, named.err.count("tally.py cannot be loaded")) == (2, 1)


def test_every_file_here_can_be_used() -> None:
    wrong: dict[str, str] = {}
    find_kinds(wrong)
    assert wrong == {}


def test_a_database_that_does_not_answer_is_one_line_with_its_variable(
    fullsteam: Terminal, url: str, tmp_path: Path
) -> None:
    away = {"FULLSTEAM_DATABASE_URL": f"postgresql://ada:{SECRET}@127.0.0.1:{free_port()}/crm"}
    for words in ("poll",), ("migrate",), ("plan",), ("import", str(PROGRAMME.parent / "usage-rows")):
        said = fullsteam(*words, **variables(url), **away, FULLSTEAM_SECRET="s" * 32)
        assert said.code == 3
        (line,) = said.err.splitlines()
        assert line.startswith("The database at postgresql://ada:***@127.0.0.1:")
        assert "does not answer: check FULLSTEAM_DATABASE_URL, and whether it runs" in line
    looked = fullsteam("doctor", **variables(url), **away)
    assert re.search(r"^mend database: .*check FULLSTEAM_DATABASE_URL", looked.out, re.MULTILINE)
    assert re.search(r"^(ok  |look) crm salesforce: .*metrics: ", looked.out, re.MULTILINE), (
        "the CRM is looked at all the same"
    )
    nowhere = fullsteam("poll", **variables(url), FULLSTEAM_DATABASE_URL=f"sqlite:///{tmp_path}/no/such/x.db")
    assert (nowhere.code, f"{tmp_path}/no/such, which is not there" in nowhere.err) == (1, True)
    assert not (tmp_path / "no").exists()


def test_forgetting_where_there_is_no_database_makes_none(fullsteam: Terminal, tmp_path: Path) -> None:
    said = fullsteam("disconnect", "emea", FULLSTEAM_DATABASE_URL=f"sqlite:///{tmp_path}/none.db")
    assert (said.code, "There is no database" in said.err) == (2, True)
    assert not (tmp_path / "none.db").exists()


def test_a_line_of_the_env_file_that_cannot_be_read_is_named_once(
    fullsteam: Terminal, url: str, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("FULLSTEAM_POLL_MINUTES=60\nFULLSTEAM_KEYS = 'never closed\n")
    said = fullsteam("poll", *LATELY, **variables(url))
    assert (said.code, said.err.count("line 2")) == (0, 1)
    assert ".env, line 2: cannot be read; write NAME=value" in said.err
    assert ".env, line 2: cannot be read" in fullsteam("doctor", **variables(url)).out
    assert ".env, line 2: cannot be read" in fullsteam("poll", "--json", "-", "odoo").err


def test_a_misspelt_variable_is_said_by_a_poll(fullsteam: Terminal, url: str) -> None:
    said = fullsteam("poll", *LATELY, FULLSTEAM_SALESFORCE_AT_ONEC="2", **variables(url))
    assert said.code == 0
    assert "FULLSTEAM_SALESFORCE_AT_ONEC is no setting of ours; did you mean" in said.err


def test_where_nothing_is_set_up_a_name_says_how_to_add_it(fullsteam: Terminal) -> None:
    said = fullsteam("poll", "siebel")
    assert (said.code, said.out) == (2, "")
    assert "none is set up; `fullsteam connect siebel --kind KIND` adds it" in said.err
    assert "dynamics, infor, odoo, salesforce" in said.err


def test_a_source_whose_kind_is_gone_is_said_sealed_anew_and_forgotten(
    fullsteam: Terminal, database: Database, url: str
) -> None:
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal("tally", {"key": SECRET, "name": "tally"})
    database.write_now(usage.keep_source, "tally", "tally", sealed)
    keys = {"FULLSTEAM_KEYS": f"{new},{old}"}
    assert (
        "mend crm tally: it is kept as a tally, but no connector of that kind"
        in fullsteam("doctor", **keys).out
    )
    for words in ("poll",), ("poll", "tally"), ("poll", "--dry-run"):
        said = fullsteam(*words, **keys)
        assert (said.code, "no connector of that kind is here" in said.err) == (2, True)
    assert fullsteam("keys", "rotate", **keys).out.startswith("1 source sealed")
    assert Vault([new]).unseal("tally", _source(database, "tally")[1])["key"] == SECRET
    assert fullsteam("disconnect", "tally", **keys).code == 0
    assert _source(database, "tally") == ("crm", {})


def test_a_poll_says_what_is_wrong_with_the_list_of_crms(fullsteam: Terminal, url: str) -> None:
    said = fullsteam(
        "poll",
        *LATELY,
        FULLSTEAM_CRMS="emea=hubspot, salesforce, salesforce",
        FULLSTEAM_ODOO_URL=url,
        **variables(url),
    )
    assert said.code == 2
    assert "'hubspot' is no kind of CRM" in said.err
    assert "'salesforce' is named twice" in said.err
    assert 'FULLSTEAM_CRMS="salesforce, odoo" makes it' in said.err


def test_a_poll_that_fails_is_one_line_that_says_what_to_do(fullsteam: Terminal, url: str, org: Org) -> None:
    org.server.client_secret = "changed meanwhile"
    said = fullsteam("poll", **variables(url))
    assert said.code == 1
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("salesforce: Salesforce rejects the login")
    assert "0 people" not in said.out, "nothing was kept: no line of success"
    assert "check FULLSTEAM_SALESFORCE_CLIENT_ID and FULLSTEAM_SALESFORCE_CLIENT_SECRET" in said.err
    nobody = fullsteam("poll", **variables(f"http://127.0.0.1:{free_port()}"))
    assert nobody.code == 1
    assert nobody.err.startswith("salesforce: nobody answers at ")
    assert "Try again in" not in nobody.err, "a wrong address does not mend itself"


def test_what_one_crm_lacks_in_settings_does_not_stop_another(fullsteam: Terminal, url: str) -> None:
    both = {
        **variables(url),
        "FULLSTEAM_CRMS": "salesforce, east=salesforce, west=siebel",
        "FULLSTEAM_EAST_URL": "http://crm.example.com",
    }
    assert fullsteam("poll", "salesforce", *LATELY, **both).code == 0
    east = fullsteam("poll", "east", **both)
    assert east.code == 2
    assert "FULLSTEAM_EAST_URL must start with https://" in east.err
    assert "FULLSTEAM_EAST_CLIENT_ID is not set" in east.err
    west = fullsteam("poll", "west", **both)
    assert west.code == 2
    assert "'siebel' is no kind of CRM" in west.err


# --- rehearsals ------------------------------------------------------------------------------------------------------


def test_a_rehearsal_shows_every_query_and_asks_and_writes_nothing(
    fullsteam: Terminal, org: Org, url: str, database: Database, tmp_path: Path
) -> None:
    said = fullsteam("poll", "--dry-run", "--json", str(tmp_path / "asked.json"), **variables(url))
    assert (said.code, said.err) == (0, "")
    assert org.server.asked.total() == 0
    assert database.read_now(usage.sources) == {}
    lines = said.out.splitlines()
    assert "POST /services/oauth2/token   (log-in; what it sends is not shown)" in lines
    assert any(line.startswith("    q = SELECT OwnerId, DAY_ONLY(CompletedDateTime) d,") for line in lines)
    assert any("more that differ in nothing but days" in line for line in lines), "90 days of logins"
    body = json.loads((tmp_path / "asked.json").read_text())
    queries = [each["query"]["q"] for each in body["requests"] if "q" in each["query"]]
    assert len(queries) == len(set(queries)) > 100
    assert not org.server.asked


def test_a_rehearsal_is_of_the_days_that_the_next_poll_asks_for(
    fullsteam: Terminal, url: str, database: Database
) -> None:
    now = datetime.now(UTC)

    def was_read(uow: UnitOfWork) -> None:
        usage.keep_source(uow, "salesforce", "crm", {})
        usage.move_watermark(uow, "salesforce", now.date() - timedelta(days=4), None, now)

    database.write_now(was_read)
    asked = json.loads(fullsteam("poll", "--dry-run", "--json", "-", **variables(url)).out)
    assert asked["since"] == (now.date() - timedelta(days=6)).isoformat()


def test_what_is_rehearsed_is_what_a_poll_asks(fullsteam: Terminal, org: Org, url: str) -> None:
    org.crm.insert("OpportunityFieldHistory", [])
    days_and_ids = r"\d{4}-\d\d-\d\d(T[\d:]+Z)?|'005\w{15}'"  # a rehearsal does not know who it is
    sent = {re.sub(days_and_ids, "", each) for each in _asked_by_poll(org)}
    body = json.loads(fullsteam("poll", "--dry-run", "--json", "-", **variables(url)).out)
    shown = {re.sub(days_and_ids, "", each["query"].get("q", each["path"])) for each in body["requests"]}
    assert sent <= shown


def _asked_by_poll(org: Org) -> list[str]:
    import asyncio

    from bot.domain.usage import Window

    async def read() -> None:
        connector = org.connector()
        await connector.users(org.today)
        async for _ in connector.collect(Window(org.today, org.today), frozenset(METRICS)):
            pass

    asyncio.run(read())
    return org.line.asked


def test_files_are_asked_of_nobody(fullsteam: Terminal, tmp_path: Path) -> None:
    mapping = PROGRAMME.parent / "usage-rows"
    said = fullsteam("poll", "--dry-run", FULLSTEAM_IMPORT_DIR=str(mapping))
    assert said.code == 2
    assert "it is read from files, nobody is asked over a network" in said.err
    beside = fullsteam(
        "poll",
        "--dry-run",
        "--json",
        "-",
        FULLSTEAM_IMPORT_DIR=str(mapping),
        **variables("https://acme.example"),
    )
    assert (beside.code, "it is read from files" in beside.err) == (0, True)
    sources = json.loads(beside.out)["sources"]
    assert sorted(bool(each["requests"]) for each in sources.values()) == [False, True]


def test_bodies_are_shown_as_json_without_the_key_that_is_in_them(fullsteam: Terminal) -> None:
    odoo = {
        "URL": "https://acme.example",
        "API_KEY": SECRET,
        "API": "jsonrpc",
        "LOGIN": "bot",
        "DATABASE": "acme",
    }
    said = fullsteam("poll", "--dry-run", **{f"FULLSTEAM_ODOO_{name}": value for name, value in odoo.items()})
    assert (said.code, said.err) == (0, "")
    assert '"execute_kw", "args": ["acme", ' in said.out
    assert SECRET not in said.out


def test_a_rehearsal_needs_neither_a_database_nor_a_programme(tmp_path: Path) -> None:
    bare = Terminal(tmp_path, f"sqlite:///{tmp_path}/none.db")
    said = bare("poll", "--dry-run", FULLSTEAM_PROGRAMME="none.toml", **variables("https://acme.example"))
    assert said.code == 0
    assert not (tmp_path / "none.db").exists()


# --- doctor ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["200", "80"])
def test_the_doctor_shows_what_can_be_read_where_and_one_failure_does_not_hide_the_others(
    fullsteam: Terminal, url: str, columns: str
) -> None:
    three = {
        **variables(url),
        **variables(url, "EAST"),
        **variables(f"http://127.0.0.1:{free_port()}", "WEST"),
        **variables(url, "THE_SOUTH_OF_THE_WORLD_AND_MORE"),
        "FULLSTEAM_CRMS": "salesforce, east=salesforce, west=salesforce, the_south_of_the_world_and_more=salesforce, "
        "broken=salesforce",
        "COLUMNS": columns,
    }
    said = fullsteam("doctor", **three)
    assert said.code == 1
    assert "mend crm west: nobody answers at " in said.out
    assert "FULLSTEAM_BROKEN_URL is not set" in said.out
    if columns == "200":
        assert re.search(
            r"^Metric +east +salesforce +the_south_of_the_world_and_more *$", said.out, re.MULTILINE
        )
        assert re.search(r"^opps_open_long( +unsupported){3} *$", said.out, re.MULTILINE)
        assert re.search(r"^activities_completed\.call +ok +ok +ok *$", said.out, re.MULTILINE)
    else:
        listed = said.out[said.out.index("What can be read") :].splitlines()
        assert "east" in listed
        assert any(line.startswith("  ok: ") for line in listed)
        assert (
            max(len(line) for line in listed if not line.startswith(("east,", "salesforce,", "the_"))) <= 80
        )
    # What nobody can mend is one paragraph, each reason once.
    told = re.findall(
        r"^east, unsupported \(\d+ metrics that it does not offer here\): (.+)$", said.out, re.MULTILINE
    )
    assert len(told) == 1
    assert told[0].count("opps_open_long is not read from Salesforce") == 1


def test_what_can_be_mended_comes_first_with_its_own_mark(fullsteam: Terminal, url: str, org: Org) -> None:
    org.server.crm.rights.denied.add("LoginHistory")
    looked = fullsteam("doctor", **variables(url)).out
    assert re.search(r"^look crm salesforce: .*\bv\d+\.\d+; metrics: 1 denied, ", looked, re.MULTILINE)
    polled = fullsteam("poll", *LATELY, **variables(url)).out
    for said in (looked, polled):
        assert 'salesforce, denied: give the integration user the permission "Monitor Login History"' in said
        assert said.index("salesforce, denied: ") < said.index("salesforce, unsupported (")


def test_the_doctor_s_table_as_json(fullsteam: Terminal, url: str) -> None:
    body = json.loads(fullsteam("doctor", "--json", "-", **variables(url)).out)
    assert body["crm"]["salesforce"]["metrics"].keys() == METRICS.keys()
    assert body["crm"]["salesforce"]["metrics"]["active_day"] == {"status": "ok", "detail": ""}
    assert body["crm"]["salesforce"]["version"].startswith("v")


def test_the_doctor_says_nothing_of_accounts_that_were_never_looked_up(fullsteam: Terminal, url: str) -> None:
    fullsteam("poll", *LATELY, **variables(url))
    said = fullsteam("doctor", **variables(url))
    (line,) = re.findall(r"^.* people.*$", said.out, re.MULTILINE)
    assert line.startswith(
        "mend people: 2 in the CRM, not matched to Slack yet: `fullsteam poll` does it once "
        "FULLSTEAM_SLACK_BOT_TOKEN is set and works; it looks for Ada Brandt ("
    )
    assert "no Slack account" not in said.out


def test_secrets_that_others_may_read_are_worth_a_look(fullsteam: Terminal, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    for text, mode, open_to_others in (
        ("FULLSTEAM_ODOO_API_KEY=k\n", 0o644, True),
        ("FULLSTEAM_ODOO_API_KEY=k\n", 0o600, False),
        ("FULLSTEAM_POLL_MINUTES=60\n", 0o644, False),
    ):
        file.write_text(text)
        file.chmod(mode)
        said = fullsteam("doctor").out
        assert (
            "look settings: others on this machine may read the secrets in .env" in said
        ) is open_to_others


# --- kept by the database --------------------------------------------------------------------------------------------


def kept_bytes(folder: Path, database: Database) -> bytes:
    """The database as it lies on the disk, its log included."""
    files = [path for path in folder.rglob("*") if ".db" in path.name and path.is_file()]
    assert any(path.name.endswith("-wal") for path in files), [path.name for path in files]
    return b"".join(path.read_bytes() for path in files)


def test_what_is_connected_is_tried_sealed_polled_and_forgotten(
    fullsteam: Terminal, url: str, database: Database, tmp_path: Path, org: Org
) -> None:
    keys = {"FULLSTEAM_KEYS": new_key()}
    said = fullsteam("connect", "emea", "--kind", "salesforce", **variables(url, "EMEA"), **keys)
    assert (said.code, said.err) == (0, "")
    kind, kept = _source(database, "emea")
    assert kind == "salesforce"
    assert kept.keys() == {"sealed"}
    inside = kept_bytes(tmp_path, database)
    assert kept["sealed"].encode() in inside, "it does lie there"
    assert SECRET.encode() not in inside
    assert b"3MVG9sandbox" not in inside

    assert fullsteam("poll", "emea", *LATELY, **keys).code == 0
    shown = fullsteam("poll", "emea", "--dry-run", **keys)
    assert (shown.code, "SELECT" in shown.out) == (0, True)
    facts = _facts(database)
    assert facts
    told = fullsteam("disconnect", "emea", **keys)
    assert told.code == 0
    assert "facts and coverage that were read from it stay" in told.out
    assert _facts(database) == facts
    assert _source(database, "emea") == ("crm", {})
    assert fullsteam("poll", "emea", **keys).code == 2
    assert fullsteam("disconnect", "emea", **keys).code == 2


def _source(database: Database, name: str) -> tuple[str, Any]:
    found = database.read_now(usage.sources)[name]
    return found.kind, found.settings


def _facts(database: Database) -> int:
    path = re.sub(r"^sqlite:///", "", str(database.shown))
    with sqlite3.connect(path) as connection:
        return int(connection.execute("SELECT count(*) FROM usage_day").fetchone()[0])


def test_what_does_not_work_is_not_kept(fullsteam: Terminal, url: str, database: Database, org: Org) -> None:
    keys = {"FULLSTEAM_KEYS": new_key()}
    org.server.client_secret = "another"
    said = fullsteam("connect", "salesforce", **variables(url), **keys)
    assert said.code == 1
    assert said.err.startswith("salesforce was not kept: Salesforce rejects the login")
    assert database.read_now(usage.sources) == {}


@pytest.mark.parametrize(
    ("words", "settings", "says"),
    [
        (("salesforce",), {}, "FULLSTEAM_KEYS is not set"),
        (("salesforce",), {"FULLSTEAM_KEYS": "no key"}, "`fullsteam keys new` prints one"),
        (("siebel",), {"FULLSTEAM_KEYS": new_key()}, "siebel is none; say which with --kind: there are "),
        (("a", "--kind", "siebel"), {"FULLSTEAM_KEYS": new_key()}, "--kind siebel: there are "),
        (("a", "--kind", "Odoo"), {"FULLSTEAM_KEYS": new_key()}, "FULLSTEAM_A_API_KEY is not set"),
        (("slack", "--kind", "salesforce"), {"FULLSTEAM_KEYS": new_key()}, "cannot be a name"),
        (("salesforce",), {"FULLSTEAM_KEYS": new_key()}, "FULLSTEAM_SALESFORCE_CLIENT_ID is not set"),
    ],
)
def test_connecting_says_what_is_missing_before_it_asks_anybody(
    fullsteam: Terminal, words: tuple[str, ...], settings: dict[str, str], says: str, database: Database
) -> None:
    said = fullsteam("connect", *words, **settings)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert "no key\n" not in said.err
    assert database.read_now(usage.sources) == {}


def test_what_is_not_set_is_asked_for_and_secrets_are_asked_for_as_such(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, database: Database, sqlite_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"DATABASE_URL": sqlite_url, "KEYS": new_key(), "EMEA_URL": url}.items():
        monkeypatch.setenv(f"FULLSTEAM_{name}", value)
    asked: dict[str, tuple[bool, bool]] = {}

    def ask(wanted: Wanted) -> str:
        asked[wanted.field] = wanted.required, wanted.secret
        return {"client_id": "3MVG9sandbox", "client_secret": SECRET}.get(wanted.field, "")

    connected = connect_source("emea", "salesforce", ask)
    assert (connected.kind, connected.named) == ("salesforce", False)
    assert asked == {"client_id": (True, False), "client_secret": (False, True)}
    assert _source(database, "emea")[0] == "salesforce"


@pytest.mark.parametrize(
    ("kind", "answers", "asked"),
    [
        (
            "salesforce",
            {"username": "bot@acme.example", "private_key_file": "key.pem"},
            "client_id client_secret username private_key_file",
        ),
        ("dynamics", {"client_secret": SECRET, "tenant": "t"}, "tenant client_id client_secret"),
        (
            "dynamics",
            {"certificate": "key.pem", "tenant": "t"},
            "tenant client_id client_secret certificate certificate_password",
        ),
        ("infor", {"username": "bot", "password": SECRET}, "username password"),
        ("infor", {"ionapi_file": "key.pem"}, "username ionapi_file"),
    ],
)
def test_what_another_way_of_logging_in_makes_needless_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    sqlite_url: str,
    kind: str,
    answers: dict[str, str],
    asked: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.pem").write_text("no key")
    nobody = f"http://127.0.0.1:{free_port()}"
    for name, value in {"DATABASE_URL": sqlite_url, "KEYS": new_key(), "EMEA_URL": nobody}.items():
        monkeypatch.setenv(f"FULLSTEAM_{name}", value)
    heard: list[str] = []

    def ask(wanted: Wanted) -> str:
        assert wanted.description != wanted.field
        if wanted.field in heard:
            raise EOFError
        heard.append(wanted.field)
        return {"client_id": "c", **answers}.get(wanted.field, "")

    with pytest.raises((FullsteamError, EOFError)):
        connect_source("emea", kind, ask)
    assert heard == asked.split()


def test_each_answer_is_checked_when_it_is_given_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, database: Database, sqlite_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"DATABASE_URL": sqlite_url, "KEYS": new_key()}.items():
        monkeypatch.setenv(f"FULLSTEAM_{name}", value)
    answers = iter(
        [
            *("url", "foo"),
            *("url", "https://ada:pass@crm.example.com"),
            *("url", url),
            *("client_id", "3MVG9sandbox"),
            *("client_secret", ""),
            *("username", "bot@acme.example"),
            *("private_key_file", "none.pem"),
            *("private_key_file", ""),
            # neither way to log in is whole: asked for once more
            *("url", url),
            *("client_id", "3MVG9sandbox"),
            *("client_secret", SECRET),
        ]
    )

    def ask(wanted: Wanted) -> str:
        assert wanted.field == next(answers)
        return next(answers)

    said: list[str] = []
    assert connect_source("emea", "salesforce", ask, warn=said.append).kind == "salesforce"
    assert list(answers) == []
    assert said == [
        "The answer must start with https:// (http only on this machine).",
        "The answer must hold no user name or password.",
        "The answer names no file: none.pem.",
        "FULLSTEAM_EMEA_PRIVATE_KEY_FILE is not set: the file with the app's private key, PEM.",
    ]


def test_answers_that_stay_the_same_are_not_asked_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, sqlite_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"DATABASE_URL": sqlite_url, "KEYS": new_key(), "EMEA_URL": url}.items():
        monkeypatch.setenv(f"FULLSTEAM_{name}", value)
    with pytest.raises(ConfigurationError, match="FULLSTEAM_EMEA_CLIENT_SECRET is not set"):
        connect_source("emea", "salesforce", lambda wanted: "c" if wanted.required else "")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("odoo", {"url", "database", "login", "api_key"}),
        ("dynamics", {"url", "tenant", "client_id", "client_secret", "certificate", "certificate_password"}),
        ("infor", {"url", "username", "password", "ionapi_file"}),
    ],
)
def test_all_that_a_log_in_may_need_is_asked_for(kind: str, fields: set[str]) -> None:
    model = connector_kinds()[kind].settings
    assert {each.field for each in wanted(model)} == fields


def test_single_variables_count_over_what_is_kept_whatever_its_name(
    fullsteam: Terminal, url: str, database: Database
) -> None:
    keys = {"FULLSTEAM_KEYS": new_key()}
    for name, variable in (("salesforce", "SALESFORCE"), ("emea", "EMEA")):
        fullsteam("connect", name, "--kind", "salesforce", **variables(url, variable), **keys)
        assert fullsteam("poll", name, *LATELY, **keys, **{f"FULLSTEAM_{variable}_AT_ONCE": "2"}).code == 0
        other = {f"FULLSTEAM_{variable}_CLIENT_SECRET": "another"}
        assert fullsteam("poll", name, *LATELY, **keys, **other).code == 1
        doctor = fullsteam("doctor", **keys, **other)
        assert f"FULLSTEAM_{variable}_CLIENT_SECRET of the environment counts over what" in doctor.out
        assert "no setting of ours" not in doctor.out
        shown = fullsteam("poll", name, "--dry-run", **keys, **other)
        assert (shown.code, shown.err) == (0, "")


def test_a_source_is_connected_once_more_as_what_it_is(
    fullsteam: Terminal, url: str, database: Database
) -> None:
    given = variables(url, "EMEA")
    fullsteam("connect", "emea", "--kind", "Salesforce", FULLSTEAM_KEYS=new_key(), **given)
    fresh = {"FULLSTEAM_KEYS": new_key()}
    again = fullsteam("connect", "emea", **fresh, **given)
    assert (again.code, again.err) == (0, "")
    assert fullsteam("poll", "emea", *LATELY, **fresh).code == 0


def test_while_a_poll_runs_its_calls_and_rows_are_told() -> None:
    with Progress(TextColumn("{task.description}"), console=Console(file=io.StringIO())) as shown:
        CallCounter(shown).tell(1234, 56789)
        (task,) = shown.tasks
    assert task.description == "Reading … 1,234 calls, 56,789 rows"
    with call_counter(shown=False) as silent:
        silent.tell(1, 1)


def test_without_its_key_a_source_waits_and_the_others_go_on(
    fullsteam: Terminal, url: str, database: Database
) -> None:
    fullsteam("connect", "emea", "--kind", "salesforce", FULLSTEAM_KEYS=new_key(), **variables(url, "EMEA"))
    for keys, says in (
        ({}, "FULLSTEAM_KEYS is not set"),
        ({"FULLSTEAM_KEYS": new_key()}, "none of the keys in FULLSTEAM_KEYS opens what is kept of emea"),
    ):
        assert fullsteam("poll", "salesforce", *LATELY, **keys, **variables(url)).code == 0
        said = fullsteam("poll", "emea", **keys, **variables(url))
        assert (said.code, says in said.err) == (2, True)
        doctor = fullsteam("doctor", **keys, **variables(url))
        assert f"mend crm emea: {says}" in doctor.out
        assert re.search("^(ok  |look) crm salesforce: .*metrics: ", doctor.out, re.MULTILINE)


def test_the_environment_s_word_counts_over_what_is_kept(
    fullsteam: Terminal, url: str, database: Database
) -> None:
    keys = {"FULLSTEAM_KEYS": new_key()}
    said = fullsteam("connect", "salesforce", **variables(url), **keys)
    assert "its word counts: remove FULLSTEAM_SALESFORCE_…" in said.out
    elsewhere = variables(f"http://127.0.0.1:{free_port()}")
    assert fullsteam("poll", "salesforce", **elsewhere, **keys).code == 1
    doctor = fullsteam("doctor", **elsewhere, **keys)
    assert (
        "the environment's settings are used; what `fullsteam connect` keeps under this name is not"
        in doctor.out
    )
    assert fullsteam("poll", "salesforce", *LATELY, **keys).code == 0
    left = fullsteam("disconnect", "salesforce", **elsewhere, **keys)
    assert "What was kept of salesforce is forgotten. The environment still names salesforce" in left.out


def test_keys_are_replaced_without_losing_what_the_old_one_sealed(
    fullsteam: Terminal, url: str, database: Database, tmp_path: Path
) -> None:
    old = fullsteam("keys", "new").out.strip()
    new = fullsteam("keys", "new").out.strip()
    assert old != new
    fullsteam("connect", "emea", "--kind", "salesforce", FULLSTEAM_KEYS=old, **variables(url, "EMEA"))
    file = tmp_path / "keys"
    file.write_text(f"# newest first\n{new}\n{old}\n")
    file.chmod(0o600)
    rotated = fullsteam("keys", "rotate", FULLSTEAM_KEYS_FILE=str(file))
    assert (rotated.code, rotated.out) == (0, "1 source sealed with the newest key.\n")
    assert fullsteam("poll", "emea", *LATELY, FULLSTEAM_KEYS=new).code == 0
    assert fullsteam("poll", "emea", FULLSTEAM_KEYS=old).code == 2
    lost = fullsteam("keys", "rotate", FULLSTEAM_KEYS=old)
    assert (lost.code, "none of the keys" in lost.err) == (1, True)


def test_a_file_of_keys_that_others_may_read_is_said(fullsteam: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(new_key())
    file.chmod(0o640)
    assert (
        "mend keys: others on this machine may read them: chmod 600"
        in fullsteam("doctor", FULLSTEAM_KEYS_FILE=str(file)).out
    )
    file.chmod(0o600)
    assert "ok   keys: they can be used" in fullsteam("doctor", FULLSTEAM_KEYS_FILE=str(file)).out
    file.chmod(0o644)
    for words in ("connect", "salesforce"), ("keys", "rotate"):
        said = fullsteam(*words, FULLSTEAM_KEYS_FILE=str(file))
        assert f"Others on this machine may read the keys: chmod 600 {file}" in said.err
    file.write_text("# nothing yet\n")
    empty = fullsteam("connect", "salesforce", FULLSTEAM_KEYS_FILE=str(file))
    assert (empty.code, "FULLSTEAM_KEYS_FILE holds no key: " in empty.err) == (2, True)
    gone = fullsteam("poll", FULLSTEAM_KEYS_FILE=str(tmp_path / "none"))
    assert (gone.code, "FULLSTEAM_KEYS_FILE names no file" in gone.err) == (2, True)
