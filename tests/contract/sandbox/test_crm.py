"""The company's CRM over HTTP: what it answers is what its tables hold, and what Salesforce refuses it refuses."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import faults
from sandbox.clock import SteeredClock
from sandbox.crm.errors import Refused
from sandbox.crm.objects import OBJECTS
from sandbox.crm.records import Crm, Outage, Rights, full_id
from sandbox.crm.server import BATCH, CURSOR, CURSORS, DAILY_REQUESTS, SESSION, CrmServer
from sandbox.crm.soql import Queries, Query, read
from sandbox.faults import CRM, read_fault
from sandbox.slack import Slack
from tests.contract.sandbox.workspace import Running, running

pytestmark = pytest.mark.anyio
Json = dict[str, Any]

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FROM, TO = "2026-11-18T00:00:00Z", "2026-11-21T00:00:00Z"
DAY = "2026-11-20"
BEFORE = "2026-10-21T00:00:00Z"
CLIENT, SECRET = "3MVG9sandbox", "sandbox-client-secret"
STEPS = ("Prospecting", "Proposal", "Negotiation", "Closed Won", "Closed Lost")


def company(people: int = 12) -> Crm:
    """A CRM in which a few people have worked for three months."""
    draw = random.Random(11)
    crm = Crm(clock=SteeredClock(NOW))
    crm.api_user = crm.new_id("User")
    users = [crm.new_id("User") for _ in range(people)]
    crm.insert(
        "User",
        [
            {
                "Id": who,
                "Name": f"Person {number}",
                "Email": f"p{number}@firm.example",
                "IsActive": True,
                "UserType": "Standard" if number % 5 else "Guest",
                "ProfileName": "Sales",
                "LicenseName": None if number == 2 else "Salesforce",
                "CreatedDate": NOW - timedelta(days=100),
            }
            for number, who in enumerate([crm.api_user, *users])
        ],
    )
    crm.insert("UserLogin", [{"UserId": who, "IsFrozen": number == 3} for number, who in enumerate(users)])
    accounts = [crm.new_id("Account") for _ in range(9)]
    crm.insert(
        "Account",
        [
            {
                "Id": key,
                "Name": f"Firm {key[-5:]}",
                "OwnerId": draw.choice(users),
                "CreatedDate": moment(draw, 5),
            }
            for key in accounts
        ],
    )
    for kind in ("Contact", "Lead"):
        rows = [
            {"Name": f"{kind} {n}", "OwnerId": draw.choice(users), "CreatedDate": moment(draw, 5)}
            for n in range(40)
        ]
        crm.insert(kind, rows)
    deals = [crm.new_id("Opportunity") for _ in range(300)]
    crm.insert(
        "Opportunity",
        [
            {
                "Id": key,
                "Name": f"Deal {number}",
                "OwnerId": draw.choice(users),
                "AccountId": draw.choice([None, *accounts]),
                "StageName": draw.choice(STEPS),
                "Amount": draw.choice([None, 1000, 2500.5]),
                "CloseDate": NOW.date() + timedelta(days=draw.randrange(-20, 20)),
                "NextStep": draw.choice([None, "Call", "Write"]),
                "CreatedDate": moment(draw, 60),
            }
            for number, key in enumerate(deals)
        ],
    )
    for number, key in enumerate(deals[:200]):
        at = moment(draw, 6 if number % 2 else 50)
        step, day = draw.choice(STEPS), NOW.date() + timedelta(days=draw.randrange(-30, 60))
        crm.change("Opportunity", key, draw.choice(users), at, StageName=step, CloseDate=day)
    crm.insert(
        "Task",
        [
            {
                "OwnerId": draw.choice(users),
                "WhatId": draw.choice([None, *deals]),
                "Subject": f"Task {number}",
                "TaskSubtype": draw.choice(["Task", "Call", "Email"]),
                "ActivityDate": NOW.date() - timedelta(days=draw.randrange(-10, 60)),
                "IsClosed": bool(number % 3),
                "CompletedDateTime": moment(draw, 5) if number % 3 else None,
                "CreatedDate": moment(draw, 60),
            }
            for number in range(300)
        ],
    )
    crm.insert(
        "Event",
        [
            {
                "OwnerId": draw.choice(users),
                "StartDateTime": moment(draw, 5),
                "IsChild": not number % 4,
                "CreatedDate": NOW,
            }
            for number in range(80)
        ],
    )
    crm.insert(
        "LoginHistory",
        [
            {
                "UserId": draw.choice([crm.api_user, *users]),
                "LoginTime": moment(draw, 5),
                "LoginType": draw.choice(["Application", "Remote Access 2.0"]),
                "Status": draw.choice(["Success", "Invalid Password"]),
            }
            for _ in range(200)
        ],
    )
    return crm


def moment(draw: random.Random, days: int) -> datetime:
    """Some time in the last days."""
    return NOW - timedelta(minutes=draw.randrange(days * 1440))


LIFE = company()


def another_copy() -> Crm:
    """The same company again, on its own: quicker than to live its life again."""
    crm = Crm(clock=SteeredClock(NOW))
    LIFE._sqlite.backup(crm._sqlite)
    crm._counts = dict(LIFE._counts)
    crm.api_user = LIFE.api_user
    return crm


@dataclass
class Client:
    """What a connector does, by hand."""

    http: httpx.AsyncClient
    slack: Slack
    crm: Crm
    server: CrmServer
    token: str = ""

    @property
    def clock(self) -> SteeredClock:
        assert isinstance(self.crm.clock, SteeredClock)
        return self.crm.clock

    async def request(self, path: str, verb: str = "GET", **more: Any) -> tuple[int, Any, httpx.Headers]:
        session = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers = {**session, **more.pop("headers", {})}
        response = await self.http.request(verb, path, headers=headers, **more)
        body = response.json() if response.text[:1] in ("[", "{") else response.text
        return response.status_code, body, response.headers

    async def login(self, **form: str) -> tuple[int, Json]:
        given = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET, **form}
        status, body, _ = await self.request("/services/oauth2/token", "POST", data=given)
        self.token = body.get("access_token", "") or self.token
        return status, body

    async def ask(self, soql: str, batch: int | None = None) -> Json:
        headers = {"Sforce-Query-Options": f"batchSize={batch}"} if batch else {}
        status, body, _ = await self.request(
            "/services/data/v68.0/query", params={"q": soql}, headers=headers
        )
        assert status == 200, body
        assert isinstance(body, dict)
        return body

    async def refusal(self, soql: str) -> tuple[int, str, str]:
        status, body, _ = await self.request("/services/data/v68.0/query", params={"q": soql})
        assert isinstance(body, list), body
        return status, body[0]["errorCode"], body[0]["message"]

    async def fault(self, text: str) -> None:
        self.slack.faults.clear()
        self.slack.faults.plan(read_fault(text))


@asynccontextmanager
async def asking(app: Any, slack: Slack, server: CrmServer, url: str) -> AsyncIterator[Client]:
    """A client that has logged in: over a socket, or (with `app`) without one."""
    transport = httpx.ASGITransport(app) if app else None
    async with httpx.AsyncClient(transport=transport, base_url=url, verify=False) as http:  # noqa: S501 # no TLS here
        client = Client(http, slack, server.crm, server)
        await client.login()
        yield client


@asynccontextmanager
async def crm_at_hand(**options: Any) -> AsyncIterator[Client]:
    crm = another_copy()
    slack = Slack(crm.clock)
    server = CrmServer(crm, slack, **options)
    async with asking(server, slack, server, "http://127.0.0.1:8686") as client:
        yield client


@asynccontextmanager
async def crm_on_a_socket() -> AsyncIterator[tuple[Client, Running]]:
    crm = another_copy()
    async with running(clock=crm.clock) as here:
        server = here.sandbox.crm = CrmServer(crm, here.slack)
        async with asking(None, here.slack, server, here.slack.url) as client:
            yield client, here


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with crm_at_hand() as found:
        yield found


# What it answers


def records(crm: Crm, kind: str) -> Iterator[Json]:
    """Every record of an object, as the table has it."""
    return (dict(row) for row in crm.rows(f'SELECT * FROM "{kind}"'))


def text(instant: str) -> str:
    return instant.replace("Z", ".000+0000")


def tally(
    rows: Iterator[Json], keys: Callable[[Json], tuple[Any, ...]], where: Callable[[Json], bool]
) -> Counter[Any]:
    return Counter(keys(row) for row in rows if where(row))


def within(column: str) -> Callable[[Json], bool]:
    return lambda row: row[column] is not None and text(FROM) <= row[column] < text(TO)


async def told(client: Client, soql: str, *keys: str) -> dict[Any, Any]:
    answer = await client.ask(soql)
    assert answer["done"]
    assert answer["totalSize"] == len(answer["records"])
    assert all(row["attributes"] == {"type": "AggregateResult"} for row in answer["records"])
    return {tuple(row[key] for key in keys): row["n"] for row in answer["records"]}


async def test_logins_are_those_of_the_table(client: Client) -> None:
    soql = (
        f"SELECT UserId, Status, LoginType, COUNT(Id) n FROM LoginHistory WHERE LoginTime >= {FROM} AND LoginTime < {TO}"
        " GROUP BY UserId, Status, LoginType ORDER BY UserId LIMIT 2000"
    )
    expected = tally(
        records(client.crm, "LoginHistory"),
        lambda row: (row["UserId"], row["Status"], row["LoginType"]),
        within("LoginTime"),
    )
    assert len(expected) > 10
    assert await told(client, soql, "UserId", "Status", "LoginType") == expected


@pytest.mark.parametrize("kind", ["Opportunity", "Account", "Contact", "Lead"])
async def test_what_was_created_is_counted_by_person_and_day(client: Client, kind: str) -> None:
    soql = (
        f"SELECT CreatedById, DAY_ONLY(CreatedDate) d, COUNT(Id) n FROM {kind} WHERE CreatedDate >= {FROM}"
        f" AND CreatedDate < {TO} GROUP BY CreatedById, DAY_ONLY(CreatedDate) ORDER BY CreatedById LIMIT 2000"
    )
    expected = tally(
        records(client.crm, kind),
        lambda row: (row["CreatedById"], row["CreatedDate"][:10]),
        within("CreatedDate"),
    )
    assert expected
    assert await told(client, soql, "CreatedById", "d") == expected


@pytest.mark.parametrize("step", [True, False])
async def test_changed_opportunities_are_counted_once_a_day(client: Client, step: bool) -> None:
    moved = " AND Field = 'StageName'" if step else ""
    soql = (
        "SELECT CreatedById, DAY_ONLY(CreatedDate) d, COUNT_DISTINCT(OpportunityId) n FROM OpportunityFieldHistory"
        f" WHERE CreatedDate >= {FROM} AND CreatedDate < {TO}{moved}"
        " GROUP BY CreatedById, DAY_ONLY(CreatedDate) ORDER BY CreatedById LIMIT 2000"
    )
    seen: dict[Any, set[str]] = defaultdict(set)
    for row in records(client.crm, "OpportunityFieldHistory"):
        if within("CreatedDate")(row) and (not step or row["Field"] == "StageName"):
            seen[row["CreatedById"], row["CreatedDate"][:10]].add(row["OpportunityId"])
    assert any(len(ids) > 1 for ids in seen.values())
    assert await told(client, soql, "CreatedById", "d") == {key: len(ids) for key, ids in seen.items()}


async def test_finished_tasks_and_meetings_are_those_of_the_table(client: Client) -> None:
    tasks = (
        "SELECT OwnerId, DAY_ONLY(CompletedDateTime) d, TaskSubtype, COUNT(Id) n FROM Task WHERE IsClosed = true"
        f" AND CompletedDateTime >= {FROM} AND CompletedDateTime < {TO}"
        " GROUP BY OwnerId, DAY_ONLY(CompletedDateTime), TaskSubtype ORDER BY OwnerId LIMIT 2000"
    )
    done = tally(
        records(client.crm, "Task"),
        lambda row: (row["OwnerId"], row["CompletedDateTime"][:10], row["TaskSubtype"]),
        within("CompletedDateTime"),
    )
    assert len(done) > 20
    assert await told(client, tasks, "OwnerId", "d", "TaskSubtype") == done
    meetings = (
        f"SELECT OwnerId, DAY_ONLY(StartDateTime) d, COUNT(Id) n FROM Event WHERE StartDateTime >= {FROM}"
        f" AND StartDateTime < {TO} AND IsChild = false GROUP BY OwnerId, DAY_ONLY(StartDateTime) ORDER BY OwnerId LIMIT 2000"
    )
    met = tally(
        records(client.crm, "Event"),
        lambda row: (row["OwnerId"], row["StartDateTime"][:10]),
        lambda row: within("StartDateTime")(row) and not row["IsChild"],
    )
    assert await told(client, meetings, "OwnerId", "d") == met


async def test_what_was_won_and_lost_is_summed_by_close_date(client: Client) -> None:
    answer = await client.ask(
        "SELECT OwnerId, CloseDate, IsWon, COUNT(Id) n, SUM(Amount) amt FROM Opportunity WHERE IsClosed = true"
        " AND CloseDate >= 2026-11-10 AND CloseDate <= 2026-11-20 GROUP BY OwnerId, CloseDate, IsWon ORDER BY OwnerId LIMIT 2000"
    )
    sums: dict[Any, list[float | None]] = defaultdict(list)
    for row in records(client.crm, "Opportunity"):
        if row["IsClosed"] and "2026-11-10" <= row["CloseDate"] <= DAY:
            sums[row["OwnerId"], row["CloseDate"], bool(row["IsWon"])].append(row["Amount"])
    found = {
        (row["OwnerId"], row["CloseDate"], row["IsWon"]): (row["n"], row["amt"]) for row in answer["records"]
    }
    known = {key: [amount for amount in amounts if amount is not None] for key, amounts in sums.items()}
    assert found == {key: (len(sums[key]), sum(known[key]) if known[key] else None) for key in sums}
    assert {key[2] for key in found} == {True, False}
    assert None in {amount for _, amount in found.values()}
    assert [row["OwnerId"] for row in answer["records"]] == sorted(
        row["OwnerId"] for row in answer["records"]
    )


async def test_open_pipeline_counts_what_is_filled_in(client: Client) -> None:
    soql = (
        "SELECT OwnerId, COUNT(Id) n, SUM(Amount) amt, COUNT(NextStep) next_steps, COUNT(Amount) amounts, COUNT(AccountId)"
        " accounts FROM Opportunity WHERE IsClosed = false GROUP BY OwnerId ORDER BY OwnerId LIMIT 2000"
    )
    for row in (await client.ask(soql))["records"]:
        own = [
            deal
            for deal in records(client.crm, "Opportunity")
            if deal["OwnerId"] == row["OwnerId"] and not deal["IsClosed"]
        ]
        assert row["n"] == len(own)
        assert row["amt"] == sum(deal["Amount"] or 0 for deal in own)
        for alias, field in (("next_steps", "NextStep"), ("amounts", "Amount"), ("accounts", "AccountId")):
            assert row[alias] == sum(deal[field] is not None for deal in own)


def aged(row: Json) -> bool:
    return bool(row["CreatedDate"] < text(BEFORE))


FLAWS: list[tuple[str, str, Callable[[Json], bool]]] = [
    ("Opportunity", "IsClosed = false", lambda _row: True),
    ("Opportunity", f"IsClosed = false AND CloseDate < {DAY}", lambda row: row["CloseDate"] < DAY),
    (
        "Opportunity",
        f"IsClosed = false AND NextStep = null AND CreatedDate < {BEFORE}",
        lambda row: row["NextStep"] is None and aged(row),
    ),
    (
        "Opportunity",
        f"IsClosed = false AND (LastActivityDate < {DAY} OR (LastActivityDate = null AND CreatedDate < {BEFORE}))",
        lambda row: row["LastActivityDate"] < DAY if row["LastActivityDate"] else aged(row),
    ),
    (
        "Opportunity",
        f"IsClosed = false AND (LastStageChangeDate < {FROM} OR (LastStageChangeDate = null AND CreatedDate < {BEFORE}))",
        lambda row: row["LastStageChangeDate"] < text(FROM) if row["LastStageChangeDate"] else aged(row),
    ),
    (
        "Opportunity",
        f"IsClosed = false AND Amount = null AND CreatedDate < {BEFORE}",
        lambda row: row["Amount"] is None and aged(row),
    ),
    (
        "Opportunity",
        f"IsClosed = false AND AccountId = null AND CreatedDate < {BEFORE}",
        lambda row: row["AccountId"] is None and aged(row),
    ),
    ("Task", f"IsClosed = false AND ActivityDate < {DAY}", lambda row: row["ActivityDate"] < DAY),
]


@pytest.mark.parametrize(("kind", "flaw", "has_it"), FLAWS, ids=[flaw for _, flaw, _ in FLAWS])
async def test_records_with_a_flaw_are_counted_and_named(
    client: Client, kind: str, flaw: str, has_it: Callable[[Json], bool]
) -> None:
    expected = [row for row in records(client.crm, kind) if not row["IsClosed"] and has_it(row)]
    assert expected
    counts = (
        f"SELECT OwnerId, COUNT(Id) n FROM {kind} WHERE {flaw} GROUP BY OwnerId ORDER BY OwnerId LIMIT 2000"
    )
    by_owner = Counter((row["OwnerId"],) for row in expected)
    assert await told(client, counts, "OwnerId") == by_owner
    last = sorted(by_owner)[3][0]
    after = f"SELECT OwnerId, COUNT(Id) n FROM {kind} WHERE {flaw} AND OwnerId > '{last}' GROUP BY OwnerId ORDER BY OwnerId LIMIT 2"
    assert await told(client, after, "OwnerId") == {key: by_owner[key] for key in sorted(by_owner)[4:6]}

    fields, day = (
        ("Id, Name, Account.Name", "CloseDate") if kind == "Opportunity" else ("Id, Subject", "ActivityDate")
    )
    owners = [owner for (owner,) in sorted(by_owner)[:3]]
    named = ", ".join(f"'{owner}'" for owner in owners)
    answer = await client.ask(
        f"SELECT {fields}, OwnerId, {day} FROM {kind} WHERE {flaw} AND OwnerId IN ({named}) ORDER BY OwnerId, {day}, Id"
    )
    rows = sorted(
        (row for row in expected if row["OwnerId"] in owners),
        key=lambda row: (row["OwnerId"], row[day], row["Id"]),
    )
    assert [row["Id"] for row in answer["records"]] == [row["Id"] for row in rows]
    first = answer["records"][0]
    assert first["attributes"] == {"type": kind, "url": f"/services/data/v68.0/sobjects/{kind}/{first['Id']}"}


async def test_a_related_record_is_nested_and_null_where_there_is_none(client: Client) -> None:
    names = {row["Id"]: row["Name"] for row in records(client.crm, "Account")}
    accounts = {row["Id"]: row["AccountId"] for row in records(client.crm, "Opportunity")}
    answer = await client.ask("SELECT Id, Account.Name FROM Opportunity")
    for row in answer["records"]:
        there = accounts[row["Id"]]
        expected = {"attributes": {"type": "Account"}, "Name": names[there]} if there else None
        assert row["Account"] == expected
    users = await client.ask(
        "SELECT Id, Profile.Name, Profile.UserLicense.Name, UserRole.Name FROM User ORDER BY Id"
    )
    assert users["records"][1]["Profile"] == {
        "attributes": {"type": "Profile"},
        "Name": "Sales",
        "UserLicense": {"attributes": {"type": "UserLicense"}, "Name": "Salesforce"},
    }
    assert users["records"][2]["Profile"]["Name"] == "Sales"
    assert users["records"][2]["Profile"].get("UserLicense") is None
    assert users["records"][1]["UserRole"] is None


async def test_what_a_function_gives_is_named_when_the_query_names_it_not(client: Client) -> None:
    answer = await client.ask("SELECT COUNT(Id), MAX(CreatedDate), MIN(Amount) FROM Opportunity")
    (row,) = answer["records"]
    assert sorted(row) == ["attributes", "expr0", "expr1", "expr2"]
    assert row["expr0"] == 300
    assert row["expr1"].endswith(".000+0000")
    assert await client.ask("SELECT COUNT() FROM Lead") == {"totalSize": 40, "done": True, "records": []}


async def test_text_is_compared_without_case_and_ids_with(client: Client) -> None:
    assert (await client.ask("SELECT Id FROM Lead WHERE Name = 'LEAD 7'"))["totalSize"] == 1
    crm = client.crm
    keys = [crm.new_id("Account") for _ in range(100)]
    assert len({key[:15].lower() for key in keys}) < len(keys)
    crm.insert("Account", [{"Id": key, "Name": "Twin", "CreatedDate": NOW} for key in keys])
    assert (await client.ask(f"SELECT Id FROM Account WHERE Id = '{keys[-1][:15]}'"))["totalSize"] == 1


async def test_a_quote_in_a_value_stays_in_the_value(client: Client) -> None:
    client.crm.insert("Lead", [{"Name": "O'Hara \\ Sons", "CreatedDate": NOW}])
    assert (await client.ask(r"SELECT Id FROM Lead WHERE Name = 'O\'Hara \\ Sons'"))["totalSize"] == 1
    assert (await client.ask(r"SELECT Id FROM Lead WHERE Name = '\' OR 1=1 --'"))["totalSize"] == 0


async def test_nothing_is_unequal_to_something(client: Client) -> None:
    """In SOQL `!=` finds nulls, in SQL it does not."""
    total = (await client.ask("SELECT COUNT() FROM Opportunity"))["totalSize"]
    calls = (await client.ask("SELECT COUNT() FROM Opportunity WHERE NextStep = 'call'"))["totalSize"]
    others = (await client.ask("SELECT COUNT() FROM Opportunity WHERE NextStep != 'call'"))["totalSize"]
    assert calls
    assert others == total - calls


async def test_nulls_come_first_in_both_directions(client: Client) -> None:
    for way in ("ASC", "DESC"):
        rows = (await client.ask(f"SELECT Amount FROM Opportunity ORDER BY Amount {way}"))["records"]
        amounts = [row["Amount"] for row in rows]
        assert amounts[0] is None
        assert amounts[-1] is not None
    rows = (await client.ask("SELECT Amount FROM Opportunity ORDER BY Amount DESC NULLS LAST"))["records"]
    assert rows[0]["Amount"] == 2500.5
    assert rows[-1]["Amount"] is None


# What it refuses


REFUSED = [
    ("SELECT Id FROM Quote", "INVALID_TYPE", "sObject type 'Quote' is not supported."),
    ("SELECT Id, Stage FROM Opportunity", "INVALID_FIELD", "No such column 'Stage' on entity 'Opportunity'."),
    ("SELECT Id FROM Task WHERE Foo = 1", "INVALID_FIELD", "No such column 'Foo' on entity 'Task'."),
    ("SELECT Profile.Foo FROM User", "INVALID_FIELD", "No such column 'Foo' on entity 'Profile'."),
    ("SELECT Owner.Name FROM Task", "INVALID_FIELD", "Didn't understand relationship 'Owner' in field path."),
    (
        "SELECT Id FROM LoginHistory WHERE Status = 'Success'",
        "INVALID_FIELD",
        "field 'Status' can not be filtered",
    ),
    ("SELECT Id FROM LoginHistory WHERE Application IN ('x')", "INVALID_FIELD", "can not be filtered"),
    (
        "SELECT COUNT(Id) n FROM LoginHistory GROUP BY LoginTime",
        "INVALID_FIELD",
        "'LoginTime' can not be grouped",
    ),
    ("SELECT COUNT(Id) n FROM Opportunity GROUP BY Amount", "INVALID_FIELD", "'Amount' can not be grouped"),
    (
        "SELECT Name, COUNT(Id) n FROM Lead GROUP BY Status",
        "MALFORMED_QUERY",
        "Field must be grouped or aggregated: Name",
    ),
    ("SELECT Name, COUNT(Id) n FROM Lead", "MALFORMED_QUERY", "Field must be grouped or aggregated: Name"),
    (
        "SELECT COUNT(Id) n FROM Lead GROUP BY Status ORDER BY Name",
        "MALFORMED_QUERY",
        "Ordered field must be grouped",
    ),
    ("SELECT COUNT(Id) n, COUNT(Name) n FROM Lead", "MALFORMED_QUERY", "duplicate alias: n"),
    ("SELECT Id, id FROM Lead", "INVALID_FIELD", "duplicate field selected: Id"),
    ("SELECT SUM(Name) n FROM Lead", "MALFORMED_QUERY", "field Name does not support aggregate operator SUM"),
    (
        "SELECT COUNT(IsWon) n FROM Opportunity",
        "MALFORMED_QUERY",
        "does not support aggregate operator COUNT",
    ),
    (
        "SELECT DAY_ONLY(CloseDate) d FROM Opportunity GROUP BY DAY_ONLY(CloseDate)",
        "INVALID_FIELD",
        "DAY_ONLY",
    ),
    ("SELECT DAY_ONLY(CreatedDate) FROM Lead", "MALFORMED_QUERY", "Date function must be grouped"),
    (
        "SELECT Id FROM Lead WHERE Name = 5",
        "INVALID_FIELD",
        "must be of type string and should be enclosed in quotes",
    ),
    (
        "SELECT Id FROM Lead WHERE IsConverted = 'true'",
        "INVALID_FIELD",
        "boolean and should not be enclosed in quotes",
    ),
    ("SELECT Id FROM Lead WHERE IsConverted > true", "INVALID_FIELD", "invalid operator on boolean field"),
    (
        "SELECT Id FROM Opportunity WHERE CloseDate < 2026-11-20T00:00:00Z",
        "INVALID_FIELD",
        "must be of type date",
    ),
    (
        "SELECT Id FROM Opportunity WHERE CreatedDate < 2026-11-20",
        "INVALID_FIELD",
        "must be of type dateTime",
    ),
    ("SELECT Id FROM Opportunity WHERE CloseDate < 2026-02-30", "MALFORMED_QUERY", "Invalid date"),
    ("SELECT Id FROM Opportunity WHERE Amount < null", "INVALID_FIELD", "null can not be compared with <"),
    ("SELECT Id FROM Lead WHERE OwnerId = 'me'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: me"),
    (
        "SELECT Id FROM Lead WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
        "MALFORMED_QUERY",
        "unexpected token: 'OR'",
    ),
    ("SELECT Id FROM Opportunity WHERE CloseDate = TODAY", "MALFORMED_QUERY", "unexpected token: 'TODAY'"),
    ("SELECT Id FROM Opportunity WHERE CloseDate = LAST_N_DAYS:30", "MALFORMED_QUERY", "unexpected token"),
    ("SELECT MAX(LoginTime) last FROM LoginHistory", "MALFORMED_QUERY", "unexpected token: 'last'"),
    ("SELECT Id FROM Lead HAVING COUNT(Id) > 1", "MALFORMED_QUERY", "unexpected token: 'HAVING'"),
    ("SELECT Id FROM Lead LIMIT many", "MALFORMED_QUERY", "unexpected token: 'many'"),
    ("SELECT Id FROM Lead WHERE Name = 'open", "MALFORMED_QUERY", "unexpected token: '''"),
    (r"SELECT Id FROM Lead WHERE Name = '\q'", "MALFORMED_QUERY", "Illegal character sequence"),
    ("SELECT Id FROM Lead WHERE Name =", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
    ("SELECT * FROM Lead", "MALFORMED_QUERY", "unexpected token: '*'"),
    ("DELETE FROM Lead", "MALFORMED_QUERY", "unexpected token: 'DELETE'"),
    ("", "MALFORMED_QUERY", "A query string has to be specified"),
    (
        "SELECT Id FROM Lead LIMIT 99999999999999999999",
        "MALFORMED_QUERY",
        "unexpected token: '99999999999999999999'",
    ),
    ("SELECT Id FROM Lead WHERE " + "(" * 5000, "QUERY_TOO_COMPLICATED", "too complicated"),
    ("SELECT Id FROM Lead WHERE Id=null" + " OR Id=null" * 1200, "QUERY_TOO_COMPLICATED", "too complicated"),
    ("SELECT Id FROM Lead LIMIT \u0663", "MALFORMED_QUERY", "unexpected token: '\u0663'"),
]


async def test_what_salesforce_refuses_is_refused_in_its_words(client: Client) -> None:
    for soql, code, words in REFUSED:
        status, found, message = await client.refusal(soql)
        assert (status, found) == (400, code), (soql, message)
        assert words in message, soql


@pytest.mark.parametrize("kind", OBJECTS)
async def test_describe_says_what_a_query_may_do_with_a_field(client: Client, kind: str) -> None:
    _, body, _ = await client.request(f"/services/data/v68.0/sobjects/{kind}/describe")
    assert body["name"] == kind
    for field in body["fields"]:
        name = field["name"]
        tried = {
            "filterable": f"SELECT Id FROM {kind} WHERE {name} = null",
            "groupable": f"SELECT {name}, COUNT(Id) n FROM {kind} GROUP BY {name}",
            "aggregatable": f"SELECT COUNT({name}) n FROM {kind}",
            "sortable": f"SELECT Id FROM {kind} ORDER BY {name}",
        }
        for flag, soql in tried.items():
            try:
                read(soql, client.crm.rights, "")
                allowed = True
            except Refused:
                allowed = False
            assert allowed == field[flag], (kind, name, flag)
    assert [field["name"] for field in body["fields"]] == list(OBJECTS[kind].fields)


WORDS = st.sampled_from(
    (
        *tuple("(),:'é"),
        "SELECT",
        "FROM",
        "WHERE",
        "AND",
        "OR",
        "GROUP",
        "BY",
        "ORDER",
        "LIMIT",
        "NOT",
        "IN",
        "NULL",
        "ASC",
        "COUNT",
        "DAY_ONLY",
        "=",
        "<",
        "!=",
        "Id",
        "Name",
        "Lead",
        "OwnerId",
        "n",
        "5",
        "'x'",
        "CreatedDate",
        "Account.Name",
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "true",
        "Opportunity",
        "'0055e0000000001AAA'",
    )
)
STARTS = st.sampled_from(
    ["", "SELECT Id FROM Lead WHERE", "SELECT COUNT(Id) n FROM Opportunity", "SELECT Id, "]
)


@given(STARTS, st.lists(WORDS, max_size=12))
def test_any_query_is_answered_or_refused(start: str, words: list[str]) -> None:
    try:
        query = read(" ".join([start, *words]), Rights(), LIFE.api_user)
    except Refused as no:
        code = no.code
    else:
        place = () if query.grouped or query.counts else ("here",)
        LIFE.select(query.sql, (*place, *query.args))
        return
    assert code in {"MALFORMED_QUERY", "INVALID_FIELD", "INVALID_TYPE", "INVALID_QUERY_FILTER_OPERATOR"}


def outcome(ask: Callable[[str, Rights, str], Query], soql: str, rights: Rights) -> Query | str:
    try:
        return ask(soql, rights, LIFE.api_user)
    except Refused as no:
        return str(no)


DAYS = st.sampled_from(["2026-11-20", "2025-01-01", "2026-02-30", "2026-01-01x", "\x03", "null"])
INSTANTS = st.sampled_from(
    ["2026-01-01T00:00:00Z", "2026-01-01T09:00:00.5+01:00", "2026-01-01T25:00:00Z", "\x02"]
)
TEXTS = st.sampled_from(["'a'", r"'it\'s'", "'2026-01-01'", r"'\q'", "\x01", "5"])
OWNERS = st.sampled_from(["'0055e0000000001AAA'", "'0055e000000000z'", "'0055e0000000002AAA'", "'me'"])


@given(DAYS, INSTANTS, TEXTS, OWNERS, st.booleans())
def test_a_remembered_form_reads_as_if_it_were_new(
    day: str, instant: str, words: str, owner: str, login_history: bool
) -> None:
    rights = Rights(login_history=login_history)
    for soql in (
        f"SELECT Id FROM Task WHERE ActivityDate < {day} AND (Subject = {words} OR OwnerId IN ({owner}, {owner}))",
        f"SELECT Id FROM LoginHistory WHERE LoginTime >= {instant} AND LoginType != {words} AND UserId > {owner}",
        f"SELECT Id FROM Opportunity WHERE CloseDate = {day} AND Amount > 5 AND CreatedDate < {instant} LIMIT 5",
    ):
        assert outcome(REMEMBERED.read, soql, rights) == outcome(read, soql, rights)


REMEMBERED = Queries()


async def test_bad_requests_get_salesforces_error(client: Client) -> None:
    long_list = ", ".join(["'0055e0000000001AAA'"] * 900)
    status, body, _ = await client.request(
        "/services/data/v68.0/query", params={"q": f"SELECT Id FROM User WHERE Id IN ({long_list})"}
    )
    assert status == 414
    assert "URI Too Long" in body
    for path, expected in (
        ("/services/data/v99.0/limits", 404),
        ("/services/data/v68.0/tooling/query", 404),
        ("/services/data/v68.0/sobjects/Quote/describe", 404),
        ("/services/Soap/u/68.0", 404),
    ):
        status, body, _ = await client.request(path)
        assert status == expected
        assert body[0]["errorCode"] == "NOT_FOUND"
    status, body, headers = await client.request(
        "/services/data/v68.0/sobjects/Lead/describe", "POST", content=b"{}"
    )
    assert (status, body[0]["errorCode"], headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "GET, HEAD")
    for path in ("/services/data/v68.0/query/01g000000000001-%C2%B2", "/services/data/v68.0/query?q=%FF%00"):
        assert (await client.request(path))[0] == 400
    for options in ("batchSize=\u00b2".encode("latin-1"), b"batchSize=" + b"9" * 5000, b"batchSize", b"="):
        asked: dict[str, Any] = {
            "headers": {"Sforce-Query-Options": options},
            "params": {"q": "SELECT Id FROM Opportunity"},
        }
        assert len((await client.request("/services/data/v68.0/query", **asked))[1]["records"]) == 300
    status, body, _ = await client.request("/services/oauth2/token", "POST", content=b"x" * 2_000_000)
    assert (status, body[0]["errorCode"]) == (413, "REQUEST_ENTITY_TOO_LARGE")


# Pages


async def test_pages_hold_every_row_once(client: Client) -> None:
    first = await client.ask("SELECT Id FROM Opportunity ORDER BY Id", batch=50)
    assert (first["totalSize"], first["done"], len(first["records"])) == (300, False, 200)
    assert first["nextRecordsUrl"].startswith("/services/data/v68.0/query/01g")
    status, second, _ = await client.request(first["nextRecordsUrl"])
    assert (status, second["done"], "nextRecordsUrl" in second) == (200, True, False)
    rows = [row["Id"] for row in first["records"] + second["records"]]
    assert rows == sorted(row["Id"] for row in records(client.crm, "Opportunity"))


async def test_a_page_holds_at_most_two_thousand(client: Client) -> None:
    client.crm.insert("Contact", [{"Name": f"C{n}", "CreatedDate": NOW} for n in range(BATCH)])
    first = await client.ask("SELECT Id FROM Contact", batch=9999)
    assert (first["totalSize"], len(first["records"])) == (BATCH + 40, BATCH)
    assert len((await client.ask(f"SELECT Id FROM Contact LIMIT {BATCH}"))["records"]) == BATCH


async def test_what_changes_while_pages_are_read_is_not_seen(client: Client) -> None:
    first = await client.ask("SELECT Id, NextStep FROM Opportunity ORDER BY Id", batch=200)
    last = max(row["Id"] for row in records(client.crm, "Opportunity"))
    client.crm.change("Opportunity", last, client.crm.api_user, NOW, NextStep="Changed in between")
    _, second, _ = await client.request(first["nextRecordsUrl"])
    assert second["records"][-1]["Id"] == last
    assert second["records"][-1]["NextStep"] != "Changed in between"


async def test_a_locator_goes_stale(client: Client) -> None:
    first = await client.ask("SELECT Id FROM Opportunity", batch=200)
    client.clock.move_to(NOW + CURSOR)
    status, body, _ = await client.request(first["nextRecordsUrl"])
    assert (status, body) == (
        400,
        [{"message": "invalid query locator", "errorCode": "INVALID_QUERY_LOCATOR"}],
    )
    oldest = await client.ask("SELECT Id FROM Opportunity", batch=200)
    others = [await client.ask("SELECT Id FROM Opportunity", batch=200) for _ in range(CURSORS)]
    assert (await client.request(oldest["nextRecordsUrl"]))[0] == 400
    assert (await client.request(others[0]["nextRecordsUrl"]))[0] == 200
    assert (await client.request("/services/data/v68.0/query/01g000000000009-0"))[0] == 400


async def test_groups_have_no_pages(client: Client) -> None:
    crm = client.crm
    owners = [crm.new_id("User") for _ in range(BATCH + 1)]
    crm.insert("Lead", [{"Name": "L", "OwnerId": owner, "CreatedDate": NOW} for owner in owners])
    soql = "SELECT OwnerId, COUNT(Id) n FROM Lead GROUP BY OwnerId ORDER BY OwnerId"
    status, code, message = await client.refusal(soql)
    assert (status, code) == (400, "EXCEEDED_ID_LIMIT")
    assert "does not support queryMore()" in message
    found = await client.ask(f"{soql} LIMIT {BATCH}")
    last = found["records"][-1]["OwnerId"]
    rest = await client.ask(
        f"SELECT OwnerId, COUNT(Id) n FROM Lead WHERE OwnerId > '{last}' GROUP BY OwnerId ORDER BY OwnerId LIMIT {BATCH}"
    )
    everyone = Counter(row["OwnerId"] for row in records(crm, "Lead"))
    assert len(found["records"]) == BATCH
    assert {row["OwnerId"]: row["n"] for row in found["records"] + rest["records"]} == everyone


# Login, sessions, limits


async def test_a_client_logs_in_by_its_secret(client: Client) -> None:
    status, body = await client.login()
    assert status == 200
    assert set(body) == {
        "access_token",
        "signature",
        "scope",
        "instance_url",
        "id",
        "token_type",
        "issued_at",
    }
    assert body["instance_url"] == "http://127.0.0.1:8686"
    assert body["id"].endswith(f"{client.crm.org}/{client.crm.api_user}")
    basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
    status, body, _ = await client.request(
        "/services/oauth2/token",
        "POST",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {basic}"},
    )
    assert status == 200
    client.token = body["access_token"]
    assert (await client.ask("SELECT COUNT() FROM User"))["totalSize"] == 13


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_id": "another"}, "invalid_client_id"),
        ({"client_secret": "guess"}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
    ],
)
async def test_a_login_is_refused_by_its_reason(client: Client, form: dict[str, str], error: str) -> None:
    status, body = await client.login(**form)
    assert (status, body["error"]) == (400, error)
    assert body["error_description"]


async def test_nobody_logs_in_where_no_user_runs_the_flow(client: Client) -> None:
    client.crm.api_user = ""
    status, body = await client.login()
    assert (status, body["error"]) == (400, "invalid_grant")


async def test_a_session_ends_by_the_workspace_clock(client: Client) -> None:
    client.clock.move_to(NOW + SESSION - timedelta(seconds=1))
    assert (await client.ask("SELECT COUNT() FROM User"))["totalSize"] == 13
    client.clock.move_to(NOW + SESSION)
    status, code, _ = await client.refusal("SELECT Id FROM User")
    assert (status, code) == (401, "INVALID_SESSION_ID")
    await client.login()
    assert (await client.ask("SELECT COUNT() FROM User"))["totalSize"] == 13
    client.server.end_sessions()
    assert (await client.refusal("SELECT Id FROM User"))[:2] == (401, "INVALID_SESSION_ID")


async def test_a_stranger_sees_the_versions_only(client: Client) -> None:
    client.token = "guess"
    status, versions, _ = await client.request("/services/data/")
    assert status == 200
    assert versions[-1] == {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}
    for path in ("", "limits", "query?q=SELECT+Id+FROM+User", "sobjects", "sobjects/User/describe"):
        status, body, headers = await client.request(f"/services/data/v68.0/{path}")
        assert (status, body[0]["errorCode"]) == (401, "INVALID_SESSION_ID"), path
        assert "sforce-limit-info" not in headers
    status, body, _ = await client.request(
        "/services/data/v68.0/limits", headers={"Authorization": "Digest x"}
    )
    assert (status, body[0]["errorCode"]) == (401, "INVALID_AUTH_HEADER")


async def test_every_answer_tells_usage_and_the_workspace_clock(client: Client) -> None:
    for number, soql in enumerate(("SELECT Id FROM Lead LIMIT 1", "SELECT Id FROM Nowhere"), 1):
        _, _, headers = await client.request("/services/data/v68.0/query", params={"q": soql})
        assert headers["sforce-limit-info"] == f"api-usage={number}/{DAILY_REQUESTS}; api-bursts=1/750"
        assert parsedate_to_datetime(headers["Date"]) == NOW
    _, body, _ = await client.request("/services/data/v68.0/limits")
    assert body["DailyApiRequests"] == {"Max": DAILY_REQUESTS, "Remaining": DAILY_REQUESTS - 3}


async def test_requests_are_used_up_and_come_back_after_a_day() -> None:
    async with crm_at_hand(daily_requests=3) as client:
        for _ in range(3):
            await client.ask("SELECT COUNT() FROM Lead")
        assert (await client.refusal("SELECT Id FROM Lead"))[:2] == (403, "REQUEST_LIMIT_EXCEEDED")
        client.clock.move_to(NOW + timedelta(hours=24))
        await client.login()
        await client.ask("SELECT COUNT() FROM Lead")


# Rights


async def test_what_the_user_may_not_see_does_not_exist(client: Client) -> None:
    client.crm.rights.denied.add("Account")
    client.crm.rights.hidden |= {("Opportunity", "Amount"), ("Task", "Subject")}
    assert (await client.refusal("SELECT Id FROM Account"))[1] == "INVALID_TYPE"
    assert (await client.refusal("SELECT Account.Name FROM Opportunity"))[1] == "INVALID_FIELD"
    for soql in (
        "SELECT Amount FROM Opportunity",
        "SELECT Id FROM Opportunity WHERE Amount = null",
        "SELECT SUM(Amount) n FROM Opportunity",
        "SELECT Id FROM Task ORDER BY Subject",
    ):
        assert (await client.refusal(soql))[1] == "INVALID_FIELD", soql
    _, body, _ = await client.request("/services/data/v68.0/sobjects/Opportunity/describe")
    assert "Amount" not in {field["name"] for field in body["fields"]}
    assert (await client.request("/services/data/v68.0/sobjects/Account/describe"))[0] == 404
    _, body, _ = await client.request("/services/data/v68.0/sobjects")
    assert "Account" not in {thing["name"] for thing in body["sobjects"]}


async def test_without_the_right_logins_are_ones_own_and_nothing_says_so(client: Client) -> None:
    everyone = (await client.ask("SELECT COUNT() FROM LoginHistory"))["totalSize"]
    client.crm.rights.login_history = False
    for soql in (
        "SELECT UserId, COUNT(Id) n FROM LoginHistory GROUP BY UserId",
        "SELECT UserId, COUNT(Id) n FROM LoginHistory WHERE LoginType = 'Application' OR LoginType != 'x' GROUP BY UserId",
    ):
        found = (await client.ask(soql))["records"]
        assert [row["UserId"] for row in found] == [client.crm.api_user]
        assert 0 < found[0]["n"] < everyone


# Trouble


SOME = "SELECT Id FROM Opportunity"


async def test_a_session_is_refused_once_or_for_ever(client: Client) -> None:
    await client.fault("crm_401:crm:count=1")
    assert (await client.refusal(SOME))[:2] == (401, "INVALID_SESSION_ID")
    await client.ask(SOME)
    await client.fault("crm_401:crm")
    for _ in range(3):
        assert (await client.login())[0] == 200
        assert (await client.refusal(SOME))[:2] == (401, "INVALID_SESSION_ID")


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("crm_request_limit", 403, "REQUEST_LIMIT_EXCEEDED"),
        ("crm_timeout", 400, "QUERY_TIMEOUT"),
        ("crm_timeout_500", 500, "QUERY_TIMEOUT"),
        ("crm_denied", 400, "INVALID_TYPE"),
    ],
)
async def test_trouble_with_one_object_leaves_the_others(
    client: Client, kind: str, status: int, code: str
) -> None:
    await client.fault(f"{kind}:crm:Opportunity")
    assert (await client.refusal(SOME))[:2] == (status, code)
    await client.ask("SELECT Id FROM Task")
    await client.fault(f"{kind}:crm")
    assert (await client.refusal("SELECT Id FROM Task"))[:2] == (status, code)


async def test_too_many_requests_in_its_three_forms(client: Client) -> None:
    waits = {}
    for kind in ("crm_429", "crm_429_date", "crm_429_bare"):
        await client.fault(f"{kind}:crm:seconds=90")
        status, body, headers = await client.request("/services/data/v68.0/query", params={"q": SOME})
        assert (status, body[0]["errorCode"]) == (429, "REQUEST_LIMIT_EXCEEDED")
        waits[kind] = headers.get("retry-after")
    assert waits["crm_429"] == "90"
    assert parsedate_to_datetime(waits["crm_429_date"] or "") == NOW + timedelta(seconds=90)
    assert waits["crm_429_bare"] is None


async def test_a_busy_server_answers_in_html(client: Client) -> None:
    await client.fault("crm_503_html:crm")
    for path, verb in (("/services/data/v68.0/query?q=" + SOME, "GET"), ("/services/oauth2/token", "POST")):
        status, body, headers = await client.request(path, verb)
        assert (status, headers["Content-Type"]) == (503, "text/html;charset=UTF-8")
        assert body.startswith("<html>")


async def test_half_an_answer_is_no_json(client: Client) -> None:
    await client.fault("crm_truncated:crm:count=1")
    with pytest.raises(json.JSONDecodeError):
        await client.ask(SOME)
    await client.ask(SOME)


async def test_the_connection_drops_without_an_answer() -> None:
    async with crm_on_a_socket() as (client, here):
        await client.fault("crm_dropped:crm")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.ask(SOME)
        assert here.slack.inside == 0
        here.slack.faults.clear()
        await client.ask(SOME)


async def test_a_later_page_fails_and_the_first_does_not(client: Client) -> None:
    await client.fault("crm_page_fails:crm:Opportunity:count=1")
    first = await client.ask(SOME, batch=200)
    assert (await client.request(first["nextRecordsUrl"]))[0] == 503
    assert (await client.request(first["nextRecordsUrl"]))[0] == 200


async def test_a_row_comes_twice_across_pages(client: Client) -> None:
    await client.fault("crm_page_overlaps:crm")
    first = await client.ask("SELECT Id FROM Opportunity ORDER BY Id", batch=200)
    _, second, _ = await client.request(first["nextRecordsUrl"])
    assert second["records"][0] == first["records"][-1]
    assert len(first["records"]) + len(second["records"]) == 301
    assert second["done"]


async def test_the_servers_clock_is_ahead(client: Client) -> None:
    await client.fault("crm_clock_skewed:crm:seconds=600")
    _, _, headers = await client.request("/services/data/v68.0/query", params={"q": SOME})
    assert parsedate_to_datetime(headers["Date"]) == NOW + timedelta(minutes=10)


async def test_a_login_is_refused_on_demand(client: Client) -> None:
    await client.fault("crm_login_refused:crm:token")
    status, body = await client.login()
    assert (status, body["error"]) == (400, "invalid_grant")


async def test_logins_are_suddenly_only_ones_own(client: Client) -> None:
    await client.fault("crm_own_logins:crm:LoginHistory")
    rows = (await client.ask("SELECT UserId, COUNT(Id) n FROM LoginHistory GROUP BY UserId"))["records"]
    assert [row["UserId"] for row in rows] == [client.crm.api_user]


async def test_a_slow_answer_holds_the_clock(client: Client) -> None:
    await client.fault("crm_slow:crm:seconds=0.2")
    asking = asyncio.create_task(client.ask(SOME))
    await asyncio.sleep(0.1)
    assert client.slack.inside == 1
    await client.slack.quiet()
    assert client.slack.inside == 0
    await asking


async def test_faults_are_planned_over_http_and_each_is_explained() -> None:
    async with crm_on_a_socket() as (client, here):
        for kind in CRM:
            assert kind in (faults.__doc__ or "")
            status, body = await here.admin("POST", "faults", {"kind": kind, "where": "crm:Task", "count": 1})
            assert status == 200, body
        assert {fault.kind for fault in here.slack.faults.planned} == CRM
        assert (await here.admin("POST", "faults", {"kind": "crm_sings"}))[0] == 400
        await client.fault("http_500:*")
        await client.ask(SOME)
        await client.fault("crm_503_html:*")
        assert (await here.call("auth.test"))["ok"], "a fault of the CRM leaves Slack alone"


async def test_outages_come_and_go_by_the_clock(client: Client) -> None:
    hour = timedelta(hours=1)
    client.crm.outages += [
        Outage(NOW + hour, NOW + 2 * hour, "LoginHistory", "crm_denied"),
        Outage(NOW + 3 * hour, NOW + 4 * hour, None, "crm_503_html"),
    ]
    logins = "SELECT Id FROM LoginHistory"
    seen = []
    for hours in range(5):
        client.clock.move_to(NOW + hours * hour)
        if hours % 2 == 0:
            await client.login()
        answers = []
        for soql in (logins, SOME):
            status, _, _ = await client.request("/services/data/v68.0/query", params={"q": soql})
            answers.append(status)
        seen.append(tuple(answers))
    assert seen == [(200, 200), (400, 200), (200, 200), (503, 503), (200, 200)]


async def test_the_company_catches_up_before_each_answer(client: Client) -> None:
    caught: list[datetime] = []

    def catch_up(now: datetime) -> None:
        caught.append(now)
        assert client.slack.inside == 1
        client.crm.insert("Lead", [{"Name": "New", "CreatedDate": now}])

    client.crm.catch_up = catch_up
    client.clock.move_to(NOW + timedelta(minutes=5))
    assert (await client.ask("SELECT COUNT() FROM Lead"))["totalSize"] == 41
    assert (await client.ask("SELECT COUNT() FROM Lead"))["totalSize"] == 42
    assert caught == [NOW + timedelta(minutes=5)] * 2


async def test_without_a_company_there_is_no_crm() -> None:
    async with running() as here, here.session.get(f"{here.slack.url}/services/data/") as response:
        assert response.status == 404


# Records


def test_ids_are_counted_and_their_suffix_tells_the_capitals() -> None:
    """The example is the one of Salesforce's help page on 15- and 18-character ids."""
    assert full_id("001A000000dEfGh").startswith("001A000000dEfGh")
    crm = Crm(clock=SteeredClock(NOW))
    ids = [crm.new_id("Lead") for _ in range(5000)]
    assert ids == sorted(ids)
    assert len({key[:15] for key in ids}) == 5000
    assert len({key.lower() for key in ids}) == 5000, "the suffix keeps ids apart where case is lost"
    assert all(len(key) == 18 and key.startswith("00Q") and full_id(key[:15]) == key for key in ids)


def one_deal(**fields: object) -> tuple[Crm, str]:
    crm = Crm(clock=SteeredClock(NOW))
    key = crm.new_id("Opportunity")
    row = {
        "Id": key,
        "OwnerId": crm.new_id("User"),
        "StageName": "Proposal",
        "CloseDate": date(2026, 11, 30),
        "NextStep": "Call",
        "CreatedDate": NOW - timedelta(days=10),
        **fields,
    }
    crm.insert("Opportunity", [row])
    return crm, key


def deal(crm: Crm, key: str) -> Json:
    (row,) = crm.rows("SELECT * FROM Opportunity WHERE Id = ?", key)
    return dict(row)


def test_a_new_opportunity_is_complete() -> None:
    crm, key = one_deal()
    row = deal(crm, key)
    assert (row["IsClosed"], row["IsWon"], row["LastStageChangeDate"], row["PushCount"]) == (0, 0, None, 0)
    assert row["CreatedById"] == row["LastModifiedById"] == row["OwnerId"]
    assert (
        row["CreatedDate"]
        == row["LastModifiedDate"]
        == row["SystemModstamp"]
        == "2026-11-10T12:00:00.000+0000"
    )
    assert not crm.rows("SELECT * FROM OpportunityFieldHistory")


def test_only_what_really_changes_has_a_history() -> None:
    crm, key = one_deal()
    by = crm.new_id("User")
    crm.change("Opportunity", key, by, NOW, StageName="Proposal", NextStep="Call", CloseDate="2026-11-30")
    assert deal(crm, key)["LastModifiedDate"] == "2026-11-10T12:00:00.000+0000"
    crm.change(
        "Opportunity",
        key,
        by,
        NOW,
        StageName="Closed Won",
        NextStep="Call",
        CloseDate=date(2026, 12, 1),
        Name="X",
    )
    row = deal(crm, key)
    assert (row["IsClosed"], row["IsWon"], row["LastStageChangeDate"]) == (
        1,
        1,
        "2026-11-20T12:00:00.000+0000",
    )
    assert (row["LastModifiedById"], row["LastModifiedDate"]) == (by, "2026-11-20T12:00:00.000+0000")
    kept = crm.rows("SELECT Field, CreatedById, CreatedDate FROM OpportunityFieldHistory ORDER BY Field")
    assert [tuple(one) for one in kept] == [
        ("CloseDate", by, "2026-11-20T12:00:00.000+0000"),
        ("StageName", by, "2026-11-20T12:00:00.000+0000"),
    ]
    crm.change("Opportunity", key, by, NOW, StageName="Negotiation")
    assert (deal(crm, key)["IsClosed"], deal(crm, key)["IsWon"]) == (0, 0)


def test_a_close_date_is_pushed_when_it_moves_to_a_later_month() -> None:
    crm, key = one_deal()
    by = crm.new_id("User")
    pushes = []
    for day in ("2026-11-29", "2026-12-01", "2026-12-30", "2026-10-01", "2027-01-01"):
        crm.change("Opportunity", key, by, NOW, CloseDate=day)
        pushes.append(deal(crm, key)["PushCount"])
    assert pushes == [0, 1, 1, 1, 2]


def test_finished_work_is_the_last_activity_and_changes_nothing_else() -> None:
    crm, key = one_deal()
    task = crm.new_id("Task")
    crm.insert("Task", [{"Id": task, "WhatId": key, "ActivityDate": date(2026, 11, 18), "CreatedDate": NOW}])
    assert deal(crm, key)["LastActivityDate"] is None
    crm.change("Task", task, crm.new_id("User"), NOW, IsClosed=True)
    assert deal(crm, key)["LastActivityDate"] == "2026-11-18"
    assert crm.rows("SELECT CompletedDateTime FROM Task")[0][0] == "2026-11-20T12:00:00.000+0000"
    crm.insert("Event", [{"WhatId": key, "StartDateTime": NOW, "CreatedDate": NOW}])
    crm.insert("Event", [{"WhatId": key, "StartDateTime": NOW - timedelta(days=5), "CreatedDate": NOW}])
    row = deal(crm, key)
    assert row["LastActivityDate"] == "2026-11-20"
    assert row["LastModifiedDate"] == "2026-11-10T12:00:00.000+0000"


def test_what_cannot_be_kept_is_refused() -> None:
    crm, key = one_deal()
    with pytest.raises(KeyError):
        crm.insert("Lead", [{"Nonsense": 1}])
    with pytest.raises(KeyError):
        crm.change("Opportunity", key, "x", NOW, Nonsense=1)
    with pytest.raises(KeyError):
        crm.change("Opportunity", crm.new_id("Opportunity"), "x", NOW, Name="X")
    with pytest.raises(ValueError, match="no offset"):
        crm.insert("Lead", [{"CreatedDate": datetime(2026, 11, 20)}])
    with pytest.raises(ValueError):  # noqa: PT011 # Python's own words
        crm.insert("Opportunity", [{"CloseDate": "tomorrow"}])


# Several in one


async def together(client: Client, *parts: Json) -> tuple[int, Any, httpx.Headers]:
    return await client.request(
        "/services/data/v68.0/composite", "POST", json={"allOrNone": False, "compositeRequest": list(parts)}
    )


def part(name: str, path: str, **query: str) -> Json:
    place = httpx.URL(f"/services/data/v68.0/{path}", params=query or None)
    return {"method": "GET", "referenceId": name, "url": str(place)}


async def test_requests_that_come_together_are_answered_each_for_itself_and_count_as_one(
    client: Client,
) -> None:
    _, _, before = await client.request("/services/data/v68.0/limits")
    status, body, after = await together(
        client,
        part("users", "query", q="SELECT COUNT() FROM User"),
        part("wrong", "query", q="SELECT Nothing FROM User"),
        part("fields", "sobjects/Lead/describe"),
        part("nowhere", "nothing"),
    )
    assert status == 200
    answers = {
        each["referenceId"]: (each["httpStatusCode"], each["body"]) for each in body["compositeResponse"]
    }
    assert {name: code for name, (code, _) in answers.items()} == {
        "users": 200,
        "wrong": 400,
        "fields": 200,
        "nowhere": 404,
    }
    assert answers["users"][1]["totalSize"] == len(client.crm.rows("SELECT Id FROM User"))
    assert (answers["wrong"][1][0]["errorCode"], answers["fields"][1]["name"]) == ("INVALID_FIELD", "Lead")
    used = [int(told["sforce-limit-info"].split("=")[1].split("/")[0]) for told in (before, after)]
    assert used[1] == used[0] + 1


async def test_more_than_may_come_together_is_refused(client: Client) -> None:
    query = {"q": "SELECT COUNT() FROM User"}
    for parts, well in (
        ([part(f"q{n}", "query", **query) for n in range(5)], True),
        ([part(f"q{n}", "query", **query) for n in range(6)], False),
        ([part(f"q{n}", "limits") for n in range(25)], True),
        ([part(f"q{n}", "limits") for n in range(26)], False),
        ([part("twice", "limits"), part("twice", "limits")], False),
        ([], False),
    ):
        status, body, _ = await together(client, *parts)
        assert (status == 200) is well, body
    status, _, _ = await client.request("/services/data/v68.0/composite")
    assert status == 405
    client.server.composite = False
    status, _, _ = await together(client, part("one", "limits"))
    assert status in (404, 405)


async def test_what_strikes_one_request_on_the_wire_strikes_all_that_come_with_it(client: Client) -> None:
    parts = [part(kind, "query", q=f"SELECT COUNT() FROM {kind}") for kind in ("Lead", "Task")]
    await client.fault("crm_503_html:crm:Task:count=1")
    assert (await together(client, *parts))[0] == 503
    await client.fault("crm_timeout:crm:Task:count=1")
    _, body, _ = await together(client, *parts)
    assert [each["httpStatusCode"] for each in body["compositeResponse"]] == [200, 400]
    await client.fault("crm_forbidden:crm:Task:count=1")
    _, body, _ = await together(client, *parts)
    assert [each["httpStatusCode"] for each in body["compositeResponse"]] == [200, 403]


# What is new in a history, and in a text


async def test_old_and_new_values_are_shown_and_never_filtered_or_grouped(client: Client) -> None:
    rows = (
        await client.ask("SELECT OldValue, NewValue FROM OpportunityFieldHistory WHERE Field = 'CloseDate'")
    )["records"]
    kept = client.crm.rows("SELECT OldValue, NewValue FROM OpportunityFieldHistory WHERE Field = 'CloseDate'")
    assert sorted((row["OldValue"], row["NewValue"]) for row in rows) == sorted(map(tuple, kept))
    assert len(kept) > 20
    for soql in (
        "SELECT Id FROM OpportunityFieldHistory WHERE NewValue > '2026-11-20'",
        "SELECT COUNT(Id) n FROM OpportunityFieldHistory GROUP BY NewValue",
        "SELECT Id FROM OpportunityFieldHistory ORDER BY OldValue",
    ):
        assert (await client.refusal(soql))[0] == 400


async def test_a_text_is_compared_with_a_pattern_whatever_its_case(client: Client) -> None:
    found = (await client.ask("SELECT Name FROM Account WHERE Name LIKE 'FIRM %'"))["records"]
    assert len(found) == 9
    assert (await client.ask("SELECT Name FROM Account WHERE Name LIKE '%firm'"))["records"] == []
    status, code, _ = await client.refusal("SELECT Id FROM Opportunity WHERE Amount LIKE '1%'")
    assert (status, code) == (400, "INVALID_FIELD")
