"""Infor CRM over polls that follow each other: a closing that is booked late counts once, and what was read stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from bot.domain.people import person_id
from bot.domain.usage import Window
from bot.services.poll_crm import poll
from sandbox.clock import SteeredClock
from store import usage
from store.database import Database, open_database
from tests.contract.test_infor import HTML, OK, TODAY, numbers, people_of
from tests.dying_polls import PROGRAMME
from tests.infor_crm import FRIDAY, Site, collected, coverage_of

pytestmark = pytest.mark.anyio

WON = frozenset({"won_count", "won_amount", "cycle_days"})


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = open_database(sqlite_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def site() -> Site:
    return Site()


def book(site: Site, deal: str, who: str, closed: int, *, audited: bool = True) -> None:
    """Win a deal now, as of so many days ago."""
    row = site.row("opportunities", deal)
    day = datetime.combine(site.today - timedelta(days=closed), time(), UTC)
    row.update(Status="Closed - Won", ActualClose=day, ModifyDate=site.clock.now(), ModifyUser=who)
    if audited:
        site.changed(who, deal, 0, ("Status", "Closed - Won", "Open"), ("ActualClose", "1/1/2026", ""))


async def test_every_closing_counts_once_over_polls_that_follow_each_other(
    database: Database, site: Site
) -> None:
    _, rep = people_of(site, 1)
    deals = [site.deal(rep, 60, SalesPotential=10.0**n) for n in range(6)]
    connector = site.connector(login_resource="")

    async def next_day(days: int = 1) -> None:
        await poll(database, connector, PROGRAMME, site.clock.now())
        site.clock.move_to(site.clock.now() + timedelta(days=days))

    await next_day()
    book(site, deals[0], rep, 0)
    book(site, deals[1], rep, 2)
    book(site, deals[2], rep, 9)
    await next_day()
    book(site, deals[3], rep, 30)
    await next_day(5)  # nobody polled for some days
    for deal in deals[:3]:
        site.row("opportunities", deal).update(ModifyDate=site.clock.now())  # a note, and no closing
    book(site, deals[4], rep, 3)
    site.clock.move_to(site.clock.now() + timedelta(hours=12))
    await next_day()
    site.won(rep, 20, 30, SalesPotential=1e6, CreateDate=site.clock.now(), ModifyDate=site.clock.now())
    for _ in range(4):
        await next_day()
    today = site.today
    sums = database.read_now(usage.sums, [person_id("infor", rep)], today - timedelta(days=30), today)
    (values,) = sums.values()
    assert (values["won_amount"], values["won_count"]) == (1_011_111, 6)
    fresh = site.connector()
    whole = await collected(fresh, Window(today - timedelta(days=89), today), WON)
    again = {key: number for key, number in numbers(whole).items() if key[2] == "won_count"}
    assert sum(again.values()) == 6, "and read at once as well"


async def test_a_late_closing_is_of_the_day_on_which_it_was_booked_in_any_window() -> None:
    site = Site(SteeredClock(FRIDAY - timedelta(days=3)))
    _, rep = people_of(site, 1)
    deal = site.deal(rep, 60, SalesPotential=50.0)
    book(site, deal, rep, 7)
    site.clock.move_to(FRIDAY)
    site.row("opportunities", deal)["ModifyDate"] = site.clock.now()
    booked = TODAY - timedelta(days=3)
    found = set()
    for since in (0, 2, 3, 5, 10, 11, 30):
        for through in (0, 3, 9, 10):
            if through <= since:
                window = Window(TODAY - timedelta(days=since), TODAY - timedelta(days=through))
                told = numbers(await collected(site.connector(), window, frozenset({"won_count"})))
                assert set(told) <= {(rep, booked, "won_count")}
                assert bool(told) == (window.since <= booked <= window.through)
                found |= set(told)
    assert found
    whole = numbers(await collected(site.connector(), Window(booked, booked), WON))
    assert whole[rep, booked, "won_amount"] == 50
    assert whole[rep, booked, "cycle_days"] == 53, "it was won when it was won"


@pytest.mark.parametrize("why", ["not audited", "the history is closed", "ModifyDate is no column"])
async def test_where_nobody_knows_when_it_was_booked_a_closing_is_of_its_date(site: Site, why: str) -> None:
    _, rep = people_of(site, 1)
    book(site, site.deal(rep, 60), rep, 7, audited=why != "not audited")
    if why == "the history is closed":
        site.trouble("/history", 403, HTML)
    if why == "ModifyDate is no column":
        site.trouble("ModifyDate", 400, HTML)
    closed = TODAY - timedelta(days=7)
    assert await won_on(site, closed, TODAY) == {closed: 1}
    assert await won_on(site, closed + timedelta(days=1), TODAY) == {}


async def won_on(site: Site, since: date, through: date) -> dict[date, float]:
    parts = await collected(site.connector(), Window(since, through), frozenset({"won_count"}))
    assert {status for status, _ in coverage_of(parts).values()} == {OK}
    return {day: number for (_, day, _), number in numbers(parts).items()}


async def test_a_deal_that_was_closed_before_counts_when_it_was_closed_again(site: Site) -> None:
    _, rep = people_of(site, 1)
    deal: Any = site.deal(rep, 60)
    site.changed(rep, deal, 20, ("Status", "Closed - Lost", "Open"))
    book(site, deal, rep, 7)
    closed = TODAY - timedelta(days=7)
    assert await won_on(site, closed, TODAY) == {TODAY: 1}, (
        "it was opened again, and this closing booked today"
    )
    site.server.tables["history"].pop()
    assert await won_on(site, closed, TODAY) == {closed: 1}
    site.changed(rep, deal, 0, ("Stage", "Closed - Won", "Proposal"))
    assert await won_on(site, closed, TODAY) == {closed: 1}, "another change is no booking"


@pytest.mark.parametrize(("closed", "counts"), [(2, 2), (3, 0), (90, 0), (91, 91)])
async def test_how_late_a_closing_is_booked_decides_on_its_day(site: Site, closed: int, counts: int) -> None:
    _, rep = people_of(site, 1)
    book(site, site.deal(rep, 200), rep, closed)
    site.clock.move_to(FRIDAY + timedelta(days=5))
    for row in site.server.tables["opportunities"]:
        row["ModifyDate"] = site.clock.now()
    day = TODAY - timedelta(days=counts)
    assert await won_on(site, TODAY - timedelta(days=100), TODAY + timedelta(days=5)) == {day: 1}
    assert await won_on(site, TODAY, TODAY) == ({TODAY: 1} if counts == 0 else {})


async def test_who_changed_what_is_not_audited_stays_as_it_was_read_on_the_day(database: Database) -> None:
    site = Site(SteeredClock(datetime(2026, 11, 19, 22, 30, tzinfo=UTC)))
    ada, rep = people_of(site, 1)
    lead = site.record("leads", ada, 50, ModifyUser=rep, ModifyDate=site.clock.now())
    connector, day = site.connector(), site.today
    await poll(database, connector, PROGRAMME, site.clock.now())
    site.clock.move_to(site.clock.now() + timedelta(days=1))
    site.row("leads", lead).update(ModifyUser=ada, ModifyDate=site.clock.now())
    await poll(database, connector, PROGRAMME, site.clock.now())
    for who, number, when in ((rep, 1, day), (ada, 1, site.today), (rep, 0, site.today)):
        (values,) = database.read_now(usage.sums, [person_id("infor", who)], when, when).values()
        assert values["records_updated.lead"] == number
        status = database.read_now(usage.coverage, ["records_updated.lead"], when, when)
        assert status == {"records_updated.lead": OK}
