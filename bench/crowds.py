"""CRMs with a million records: Salesforce orgs that SQLite fills by itself, an Odoo whose records stand for many.

A record of an org is a row like any other. In Odoo, whose stand-in goes through a list of its records at each question, 5,000
records stand for so many of their kind each wherever they are grouped and counted; changes of a closing date, which are
read row by row, are made when their page is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sandbox.clock import RealClock, SteeredClock
from sandbox.crm.objects import LOST, OBJECTS, WON
from sandbox.crm.records import Crm, full_id
from sandbox.crm.server import CrmServer
from sandbox.slack import Slack
from tests.odoo_server import Odoo

CLIENT_ID, CLIENT_SECRET = "3MVG9sandbox", "sandbox-client-secret"
DAYS = 28
PEOPLE, BUSY_PEOPLE, BUSY_DAYS = 500, 2_000, 90
ODOO_PEOPLE, ODOO_RECORDS = 100, 5_000
_DAY = 86_400
_STEP = 7_919
"""A prime: so many seconds lie between one record and the next, round and round in the days."""


# --- Salesforce --------------------------------------------------------------------------------------------------------


class _Filled:
    """An org of so many people. ``moment``: SQL for the instant of record ``i``, in seconds."""

    def __init__(self, people: int, moment: str) -> None:
        self.crm, self.now = Crm(clock=RealClock()), datetime.now(UTC)
        self._people, self._moment = people, moment.format(now=int(self.now.timestamp()))
        ids = [self.crm.new_id("User") for _ in range(people)]
        self.crm.insert("User", [_user(each, number, ids) for number, each in enumerate(ids)])
        self.crm.select(
            "CREATE TEMP TABLE person AS SELECT Id, row_number() OVER (ORDER BY Id) - 1 AS i FROM User"
        )
        self.crm.select("CREATE UNIQUE INDEX temp.person_number ON person (i, Id)")
        robot = self.crm.new_id("User")
        self.crm.insert("User", [{**_user(robot, people, ids), "ProfileName": "Integration"}])
        self.crm.api_user = robot
        sees = {"AssigneeId": robot, "PermissionSetId": "0PS000000000001AAA", "ViewAllData": True}
        self.crm.insert("PermissionSetAssignment", [sees])

    def fill(self, kind: str, count: int, columns: Mapping[str, str]) -> None:
        """``columns``: SQL of ``i``, ``who``, the instant ``at`` and its ``day``; CreatedDate is ``at`` where it is not given."""
        thing = OBJECTS[kind]
        ((begin,),) = self.crm.select(f'SELECT COUNT(*) FROM "{kind}"')
        assert isinstance(begin, int)
        if "CreatedDate" in thing.fields:
            columns = {"CreatedById": "who", "CreatedDate": "at", **columns}
        if "SystemModstamp" in thing.fields:
            columns = {
                **columns,
                **dict.fromkeys(("LastModifiedDate", "SystemModstamp"), columns["CreatedDate"]),
            }
        values = f"{_id(kind, f'{begin} + i')}, {', '.join(columns.values())}"
        self.crm.select(
            f'INSERT INTO "{kind}" (Id, {", ".join(columns)}) WITH RECURSIVE'
            f" number(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM number WHERE i < {count} - 1),"
            f" made AS (SELECT number.i, person.Id AS who, {_instant(self._moment)} AS at, date({self._moment}, 'unixepoch')"
            f" AS day FROM number JOIN person ON person.i = number.i % {self._people})"
            f" SELECT {values} FROM made"
        )

    def server(self) -> CrmServer:
        return CrmServer(
            self.crm, Slack(SteeredClock(self.now)), client_id=CLIENT_ID, client_secret=CLIENT_SECRET
        )


def salesforce(records: int) -> CrmServer:
    """An org with that many records in DAYS days, of PEOPLE people."""
    org = _Filled(PEOPLE, f"({{now}} - number.i * {_STEP} % {DAYS * _DAY})")
    share = records // 20
    org.fill("Account", share, {"Name": "'Firm'", "OwnerId": "who"})
    org.fill("Contact", 2 * share, {"Name": "'Some One'", "OwnerId": "who"})
    org.fill("Opportunity", 4 * share, _deal("Proposal", "date(day, '+60 days')"))
    org.fill("OpportunityFieldHistory", share, _change("StageName", "Proposal", "Contract"))
    org.fill("OpportunityFieldHistory", share, _change("CloseDate", "2026-11-20", "2026-12-20"))
    org.fill("Task", 9 * share, _task("Call"))
    org.fill("LoginHistory", 2 * share, _login("Application"))
    return org.server()


def busy() -> CrmServer:
    """An org in which each of BUSY_PEOPLE does everything on each of BUSY_DAYS days: 4.9 million records."""
    org = _Filled(BUSY_PEOPLE, f"({{now}} - 3600 - number.i / {BUSY_PEOPLE} % {BUSY_DAYS} * {_DAY})")
    each = BUSY_PEOPLE * BUSY_DAYS
    for kind in ("Account", "Contact", "Lead", "Case"):
        org.fill(kind, each, {"OwnerId": "who"})
        org.fill(f"{kind}History", each, {f"{kind}Id": _id(kind), "Field": "'OwnerId'"})
    org.fill("Opportunity", each, _deal("Proposal", "date(day, '+30 days')"))
    for step in (WON, LOST):
        org.fill(
            "Opportunity",
            each,
            _deal(step, "day") | {"CreatedDate": "strftime('%Y-%m-%dT09:00:00.000+0000', day, '-2 days')"},
        )
    org.fill("OpportunityFieldHistory", each, _change("StageName", "A", "B"))
    org.fill("OpportunityFieldHistory", each, _change("CloseDate", "2026-11-20", "2026-12-20"))
    for subtype in ("Call", "Email", "Task"):
        org.fill("Task", 2 * each, _task(subtype))
    org.fill("Event", each, {"OwnerId": "who", "StartDateTime": "at", "IsChild": "0"})
    for kind in ("Application", "Remote Access 2.0"):
        org.fill("LoginHistory", each, _login(kind))
    for page in ("Report", "dashboards:dashboard", "Account List"):
        opened = {"UserId": "who", "MetricsDate": "day", "PageName": f"'{page}'", "TotalCount": "2"}
        org.fill("LightningUsageByPageMetrics", each, opened)
    for experience in ("Lightning Experience", "Salesforce Mobile"):
        used = {"UserId": "who", "MetricsDate": "day", "AppExperience": f"'{experience}'"}
        org.fill("LightningUsageByAppTypeMetrics", each, used)
    begun = {"StartDate": "date(day, 'start of month')", "QuotaAmount": "100"}
    quota = {"QuotaOwnerId": "who", "ForecastingTypeId": "'0Db000000000001EAA'", **begun}
    org.fill("ForecastingQuota", BUSY_PEOPLE, quota)
    todo = {
        "OwnerId": "who",
        "TaskSubtype": "'Task'",
        "IsClosed": "0",
        "ActivityDate": "date(day, '-2 days')",
    }
    org.fill("Task", BUSY_PEOPLE, todo)
    return org.server()


def _id(kind: str, number: str = "i") -> str:
    """The id of a record by its number among those of its object."""
    prefix = OBJECTS[kind].prefix
    return f"'{prefix}' || printf('%012d', {number}) || '{full_id(f'{prefix}{0:012}')[15:]}'"


def _instant(seconds: str) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%S.000+0000', {seconds}, 'unixepoch')"


def _deal(step: str, close: str) -> dict[str, str]:
    closed = int(step in (WON, LOST))
    state = {
        "StageName": f"'{step}'",
        "IsClosed": str(closed),
        "IsWon": str(int(step == WON)),
        "PushCount": "0",
    }
    return {
        "Name": "'Deal'",
        "OwnerId": "who",
        "Amount": "1000",
        "CloseDate": close,
        "LastStageChangeDate": "at",
        **state,
    }


def _change(field: str, old: str, new: str) -> dict[str, str]:
    values = {"OldValue": f"'{old}'", "NewValue": f"'{new}'"}
    return {"OpportunityId": _id("Opportunity"), "Field": f"'{field}'", **values}


def _task(subtype: str) -> dict[str, str]:
    done = {"IsClosed": "1", "CompletedDateTime": "at", "ActivityDate": "day"}
    return {"Subject": "'It'", "OwnerId": "who", "TaskSubtype": f"'{subtype}'", **done}


def _login(kind: str) -> dict[str, str]:
    of = {"LoginType": f"'{kind}'", "Status": "'Success'", "Application": "'Browser'"}
    return {"UserId": "who", "LoginTime": "at", **of}


def _user(identity: str, number: int, people: list[str]) -> dict[str, object]:
    return {
        "Id": identity,
        "Name": f"Person {number}",
        "Email": f"p{number}@example.com",
        "Username": f"p{number}@example.com",
        "IsActive": True,
        "UserType": "Standard",
        "ManagerId": people[number // 10] if number else None,
        "ProfileName": "Sales User",
        "LicenseName": "Salesforce",
        "TimeZoneSidKey": "Europe/Berlin",
        "LocaleSidKey": "en_US",
        "CreatedDate": datetime(2026, 1, 2, tzinfo=UTC),
    }


# --- Odoo --------------------------------------------------------------------------------------------------------------


def odoo() -> Odoo:
    """A database with ODOO_RECORDS deals, calls and messages in DAYS days."""
    return _lived(Odoo(clock=SteeredClock(datetime.now(UTC)), major=17))


def crowded_odoo(rows: int) -> Odoo:
    """A database that counts so many records, and has so many changes of a closing date besides."""
    server = Crowded(clock=SteeredClock(datetime.now(UTC)), major=17, denied=set(), changes=rows)
    server.copies = rows // ODOO_RECORDS
    server.rows["ir.model.fields"][1]["tracking"] = 100
    return _lived(server)


def _lived(server: Odoo) -> Odoo:
    draw = Random(1)
    people = [server.user(f"Person {number}") for number in range(ODOO_PEOPLE)]
    for _ in range(ODOO_RECORDS // 2):
        server.deal(draw.choice(people), draw.uniform(0, DAYS))
    for _ in range(ODOO_RECORDS // 2):
        server.done(draw.choice(people), draw.choice((1, 2)), draw.uniform(0, DAYS))
    return server


@dataclass
class Crowded(Odoo):
    """Each record stands for ``copies`` where it is counted; ``changes`` of a closing date, one row each."""

    changes: int = 0
    copies: int = 1

    def _groups(self, *args: Any) -> list[tuple[tuple[Any, ...], list[dict[str, Any]]]]:
        return [(key, rows * self.copies) for key, rows in super()._groups(*args)]

    def do_search_read(
        self, model: str, context: dict[str, Any], *args: Any, **named: Any
    ) -> list[dict[str, Any]]:
        """Records as they are, or changes behind the id that the last condition names."""
        if model != "mail.tracking.value":
            return super().do_search_read(model, context, *args, **named)
        domain = named["domain"]
        after = domain[-1][2] if domain[-1][:2] == ["id", ">"] else 0
        upto = min(after + (named.get("limit") or self.changes), self.changes)
        people, now = sorted(self.rows["res.users"])[2:], self.clock.now()
        days = [f"{now - timedelta(days=ago):%Y-%m-%d} 00:00:00" for ago in range(DAYS)]
        dates = {"old_value_datetime": "2026-10-01 00:00:00", "new_value_datetime": "2026-12-01 00:00:00"}
        return [
            {
                "id": number,
                "create_uid": [who := people[number % len(people)], f"Person {who}"],
                "create_date": days[number // len(people) % DAYS],
                **dates,
            }
            for number in range(after + 1, upto + 1)
        ]
