"""Polled hour by hour over midnights, here and in UTC, every CRM's numbers are in the database once each.

Days of events are mostly UTC days, the days that polls ask for are the programme's. East of UTC a UTC day runs on for hours after
the programme has begun its next one; west of it, it begins before. Some of these days are 23 or 25 hours long.

A new kind of CRM adds a class to ``CRMS``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import pytest

import bot.connectors
from bot.connectors.renaming import Renamed
from bot.domain.people import person_id
from bot.domain.ports import Connector, ConnectorKind
from bot.domain.usage import Collected, CoverageStatus, Window
from bot.plugins import discover
from bot.services.poll_crm import poll
from sandbox.clock import SteeredClock
from store import usage
from store.database import Database, open_database
from tests.contract import test_dynamics, test_infor, test_odoo, test_salesforce
from tests.dataverse import Dataverse
from tests.dying_polls import PROGRAMME
from tests.infor_crm import Site, filled
from tests.odoo_server import Odoo
from tests.orgs import Org

pytestmark = pytest.mark.anyio

CREATED, CHANGED, CLOSED, PRESENT = METRICS = (
    "records_created.contact",
    "records_updated.account",
    "won_count",
    "active_day",
)
HOUR = timedelta(hours=1)
LAST_HOUR, EVENING = 23, 21
BUSY_HOURS, QUIET_HOURS = 50, 76
"""A record is made and another changed in each of the first; the rest is until everything has settled."""
BEGINNINGS = {
    "Asia/Tokyo": datetime(2026, 11, 23, tzinfo=UTC),
    "Australia/Sydney": datetime(2026, 10, 3, tzinfo=UTC),  # an hour is left out on the 4th
    "Europe/Berlin": datetime(2026, 10, 24, tzinfo=UTC),  # one comes twice on the 25th
    "America/Los_Angeles": datetime(2026, 10, 31, tzinfo=UTC),  # and here on 1 November
}


class Crm(Protocol):
    """A CRM with one person who works, through ``connector``. ``day_of``: on which day something that happens now counts."""

    clock: SteeredClock
    rep: str
    connector: Connector

    def create(self) -> None: ...

    def change(self, number: int) -> None: ...

    def win(self, number: int) -> None: ...

    def log_in(self) -> None: ...

    def day_of(self, metric: str) -> date: ...


class _Crm:
    def __init__(self, clock: SteeredClock, zone: str) -> None:
        self.clock = clock
        self.zone = ZoneInfo(zone)

    def here(self) -> date:
        return self.clock.now().astimezone(self.zone).date()

    def day_of(self, metric: str) -> date:
        return self.clock.now().date()


class Salesforce(_Crm):
    def __init__(self, clock: SteeredClock, zone: str) -> None:
        super().__init__(clock, zone)
        self._org = org = Org(clock)
        org.crm.insert("PermissionSetAssignment", [{"AssigneeId": org.me, "ViewAllData": True}])
        boss, self.rep = test_salesforce.people_of(org, 1)
        org.login(boss, 3)
        self._accounts = [org.account(boss, 100) for _ in range(BUSY_HOURS)]
        self._deals = [org.deal(self.rep, 20) for _ in range(BUSY_HOURS)]
        self.connector: Connector = org.connector(zone=zone)

    def create(self) -> None:
        self._org.record("Contact", self.rep, 0)

    def change(self, number: int) -> None:
        self._org.crm.change("Account", self._accounts[number], self.rep, self.clock.now(), Name="Contoso")

    def win(self, number: int) -> None:
        now = self.clock.now()
        self._org.crm.change(
            "Opportunity", self._deals[number], self.rep, now, StageName="Closed Won", CloseDate=self.here()
        )

    def log_in(self) -> None:
        self._org.login(self.rep, 0)


class Dynamics(_Crm):
    def __init__(self, clock: SteeredClock, zone: str) -> None:
        super().__init__(clock, zone)
        self._crm = crm = Dataverse(clock)
        boss, self.rep = test_dynamics.people_of(crm, 1)
        crm.access(boss, 30)
        crm.edit(boss, 30, crm.add("account", createdby=boss, createdon=crm.ago(40)), "account")
        self._accounts = [
            crm.add("account", createdby=boss, createdon=crm.ago(40), modifiedon=crm.ago(40), modifiedby=boss)
            for _ in range(BUSY_HOURS)
        ]
        self._deals = [crm.deal(self.rep, 20) for _ in range(BUSY_HOURS)]
        self.connector: Connector = crm.connector(zone=zone)

    def create(self) -> None:
        given = {"createdon": self.clock.now(), "modifiedon": self.clock.now()}
        self._crm.add("contact", createdby=self.rep, modifiedby=self.rep, statecode=0, **given)

    def change(self, number: int) -> None:
        self._crm.edit(self.rep, 0, self._accounts[number], "account")

    def win(self, number: int) -> None:
        self._crm.won(self._deals[number], self.here())
        self._crm.edit(self.rep, 0, self._deals[number], "opportunity")

    def log_in(self) -> None:
        self._crm.access(self.rep, 0)

    def day_of(self, metric: str) -> date:
        return self.here() if metric == CLOSED else super().day_of(metric)


class Infor(_Crm):
    def __init__(self, clock: SteeredClock, zone: str) -> None:
        super().__init__(clock, zone)
        self._site = site = Site(clock)
        boss, self.rep = test_infor.people_of(site, 1)
        site.login(boss, 3)
        self._accounts = [
            site.record("accounts", boss, 100, ModifyDate=site.ago(100), ModifyUser=filled(boss))
            for _ in range(BUSY_HOURS)
        ]
        self._deals = [site.deal(self.rep, 20, ModifyDate=site.ago(20)) for _ in range(BUSY_HOURS)]
        self.connector: Connector = site.connector(zone=zone, login_resource="auditLogs")

    def create(self) -> None:
        self._site.record("contacts", self.rep, 0)

    def change(self, number: int) -> None:
        row = self._site.row("accounts", self._accounts[number])
        row |= {"ModifyDate": self.clock.now(), "ModifyUser": filled(self.rep)}

    def win(self, number: int) -> None:
        midnight = datetime.combine(self.here(), time(), self.zone)
        row = self._site.row("opportunities", self._deals[number])
        row |= {"Status": "Closed - Won", "ActualClose": midnight, "ModifyDate": self.clock.now()}

    def log_in(self) -> None:
        self._site.login(self.rep, 0)

    def day_of(self, metric: str) -> date:
        return self.here() if metric == CLOSED else super().day_of(metric)


class OdooCrm(_Crm):
    def __init__(self, clock: SteeredClock, zone: str) -> None:
        super().__init__(clock, zone)
        self._odoo = odoo = Odoo(clock)
        boss, self._rep = test_odoo.people_of(odoo, 1)
        self.rep = str(self._rep)
        odoo.rows["res.users"][boss]["login_date"] = odoo.ago(3)
        self._accounts = [
            odoo.put("res.partner", is_company=True, partner_share=True) for _ in range(BUSY_HOURS)
        ]
        self._deals = [odoo.deal(self._rep, 20) for _ in range(BUSY_HOURS)]
        self.connector: Connector = odoo.connector(zone=zone)

    def create(self) -> None:
        by = {"create_uid": self._rep, "create_date": self._odoo.ago(0)}
        self._odoo.put("res.partner", is_company=False, partner_share=True, **by)

    def change(self, number: int) -> None:
        row = self._odoo.rows["res.partner"][self._accounts[number]]
        row |= {"write_uid": self._rep, "write_date": self._odoo.ago(0)}

    def win(self, number: int) -> None:
        self._odoo.close(self._deals[number], self._rep, 0, won=True)

    def log_in(self) -> None:
        self._odoo.rows["res.users"][self._rep]["login_date"] = self._odoo.ago(0)

    def day_of(self, metric: str) -> date:
        return self.here() if metric == PRESENT else super().day_of(metric)


CRMS: dict[str, type[Salesforce | Dynamics | Infor | OdooCrm]] = {
    "dynamics": Dynamics,
    "infor": Infor,
    "odoo": OdooCrm,
    "salesforce": Salesforce,
}


class OnlyThese(Renamed):
    """A connector that is asked for a few metrics only, so that many polls take no time."""

    def __init__(self, connector: Connector) -> None:
        super().__init__(connector, "\0", "\0")

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        async for part in super().collect(window, metrics & frozenset(METRICS)):
            yield part


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = open_database(sqlite_url, durable=False)
    yield opened
    opened.close()


class Programme:
    """A CRM that is polled into a database, and what has happened in it: (metric, day) -> how often."""

    def __init__(self, kind: str, zone: str, database: Database) -> None:
        self.start = BEGINNINGS[zone]
        self.zone = ZoneInfo(zone)
        self.clock = SteeredClock(self.start + timedelta(minutes=10))
        self._crm: Crm = CRMS[kind](self.clock, zone)
        self._programme = replace(PROGRAMME, zone=zone)
        self._connector = OnlyThese(self._crm.connector)
        self._database = database
        self._person = person_id(kind, self._crm.rep)
        self.happened: Counter[tuple[str, date]] = Counter()

    async def poll(self) -> None:
        report = await poll(self._database, self._connector, self._programme, self.clock.now())
        assert report.failure is None

    def go_on(self, hour: int) -> datetime:
        """Ten minutes past an hour, counted from the start; gives what time it is here."""
        self.clock.move_to(self.start + hour * HOUR + timedelta(minutes=10))
        return self.clock.now().astimezone(self.zone)

    def work(self, hour: int) -> None:
        """What happens ten minutes before the next hour; in the last one of a UTC day, which is no midnight in these zones, more."""
        crm = self._crm
        self.clock.move_to(self.start + hour * HOUR + timedelta(minutes=50))
        crm.create()
        crm.change(hour)
        done = [CREATED, CHANGED]
        if self.clock.now().hour == LAST_HOUR:
            crm.win(hour)
            crm.log_in()
            done += [CLOSED, PRESENT]
        for metric in done:
            self.happened[metric, crm.day_of(metric)] += 1

    def known(self, metric: str, day: date) -> tuple[float, CoverageStatus]:
        """What the database has of a day."""
        sums = self._database.read_now(usage.sums, [self._person], day, day).get(self._person, {})
        return sums.get(metric, 0.0), self._database.read_now(usage.coverage, [metric], day, day)[metric]

    def days(self) -> list[date]:
        """Every day on which something happened, and one more on both sides."""
        first, last = min(day for _, day in self.happened), max(day for _, day in self.happened)
        return [first + timedelta(days=n) for n in range(-1, (last - first).days + 2)]


@pytest.fixture(params=sorted(CRMS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=sorted(BEGINNINGS))
def programme(request: pytest.FixtureRequest, kind: str, database: Database) -> Programme:
    return Programme(kind, request.param, database)


def test_every_crm_that_is_asked_over_a_line_is_polled_here() -> None:
    kinds = {kind.name for kind in discover(bot.connectors, ConnectorKind)}
    assert sorted(CRMS) == sorted(kinds - {"spreadsheet"})


async def test_polled_by_the_hour_everything_is_counted_once_on_its_day(programme: Programme) -> None:
    await programme.poll()
    for hour in range(BUSY_HOURS + QUIET_HOURS):
        if hour < BUSY_HOURS:
            programme.work(hour)
        here = programme.go_on(hour + 1)
        near_midnight = {here.hour, programme.clock.now().hour} & {LAST_HOUR, 0}
        if hour % 12 == 0 or (near_midnight and hour < BUSY_HOURS + 30):
            await programme.poll()
    for day in programme.days():
        for metric in METRICS:
            count, said = programme.known(metric, day)
            assert count == programme.happened[metric, day], (metric, day, said)
            assert said is CoverageStatus.OK or not programme.happened[metric, day], (metric, day)


async def test_polled_once_a_day_what_is_said_to_be_known_is(programme: Programme) -> None:
    for hour in range(BUSY_HOURS + QUIET_HOURS):
        if hour < BUSY_HOURS:
            programme.work(hour)
        if programme.go_on(hour + 1).hour == EVENING:
            await programme.poll()
    for day in programme.days():
        for metric in METRICS:
            count, said = programme.known(metric, day)
            happened = programme.happened[metric, day]
            assert count <= happened
            assert count == happened or said is not CoverageStatus.OK, (metric, day)
            assert said is CoverageStatus.OK or metric not in {CREATED, CLOSED}
