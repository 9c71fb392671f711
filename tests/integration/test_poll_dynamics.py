"""Polls of Dynamics 365 into the database: what is booked late, and what is told of the newest days only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.people import person_id
from bot.domain.usage import CoverageStatus
from bot.services.poll_crm import poll
from store import usage
from store.database import Database, open_database
from tests.dataverse import FRIDAY, Dataverse
from tests.dying_polls import PROGRAMME

pytestmark = pytest.mark.anyio

TODAY = FRIDAY.date()
OK, PARTIAL, UNSUPPORTED = CoverageStatus.OK, CoverageStatus.PARTIAL, CoverageStatus.UNSUPPORTED
UTC_PROGRAMME = replace(PROGRAMME, zone="UTC")


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = open_database(sqlite_url, durable=False)
    yield opened
    opened.close()


async def test_a_deal_that_is_booked_late_counts_once_and_on_the_day_of_its_closing(
    database: Database,
) -> None:
    crm = Dataverse()
    rep = crm.user("Jonas Weber")
    who = person_id("dynamics", rep)
    early, late, ancient = (crm.deal(rep, 40) for _ in range(3))
    closed = TODAY - timedelta(days=9)
    crm.won(early, closed)
    crm.change("opportunity", early, modifiedon=crm.ago(9))
    connector = crm.connector()
    for hours in (0, 1, 30, 60, 150, 200):
        crm.clock.move_to(FRIDAY + timedelta(hours=hours))
        if hours == 1:
            crm.won(late, closed)
            crm.won(ancient, TODAY - timedelta(days=45))
        if hours in {1, 60}:  # it is booked; then somebody corrects a word of it
            for deal in (late, ancient):
                crm.change("opportunity", deal, modifiedon=crm.clock.now())
        report = await poll(database, connector, UTC_PROGRAMME, crm.clock.now())
        assert report.failure is None
        since = closed - timedelta(days=40)
        sums = database.read_now(usage.sums, [who], since, crm.today)[who]
        count = 2 if hours else 1
        assert (sums["won_count"], sums["won_amount"], sums["cycle_days"]) == (
            count,
            1800 * count,
            31 * count,
        )
        on_the_day = database.read_now(usage.sums, [who], closed, closed)[who]
        assert on_the_day["won_count"] == count
        assert database.read_now(usage.coverage, ["won_count"], closed, crm.today)["won_count"] is OK
        weeks = database.read_now(usage.weeks, [who], closed)[who]
        assert sum(week.values.get("won_count", 0) for week in weeks) == count


async def test_a_table_without_audit_can_be_read_after_four_weeks_of_polls(database: Database) -> None:
    crm = Dataverse()
    crm.audited -= {"lead"}
    ada, rep = crm.user("Ada Brandt"), crm.user("Jonas Weber")
    lead = crm.add("lead", createdby=ada, createdon=crm.ago(9), modifiedon=crm.ago(9), statecode=0)
    connector = crm.connector()
    start = FRIDAY.replace(hour=22)
    metric = "records_updated.lead"
    for day in range(28):
        crm.clock.move_to(start + timedelta(days=day))
        crm.change("lead", lead, modifiedby=rep if day == 3 else ada, modifiedon=crm.ago(0.1))
        assert (await poll(database, connector, UTC_PROGRAMME, crm.clock.now())).failure is None
    first, last = TODAY, crm.today
    said = database.read_now(usage.coverage, [metric, "active_day"], first, last)
    assert said == {metric: OK, "active_day": PARTIAL}
    assert database.read_now(usage.coverage, ["active_day"], first, last - timedelta(days=3)) == {
        "active_day": OK
    }
    assert database.read_now(usage.coverage, [metric], first - timedelta(days=1), last) == {
        metric: UNSUPPORTED
    }
    sums = database.read_now(usage.sums, None, first, last)
    assert sums[person_id("dynamics", rep)][metric] == 1, "who changed it later does not take it away"


async def test_what_a_poll_adds_up_is_what_it_kept(database: Database) -> None:
    crm = Dataverse()
    rep, gone = crm.user("Jonas Weber"), crm.user("Eva Roth", isdisabled=True)
    for who in (rep, gone, gone):
        deal = crm.deal(who, 40)
        crm.won(deal, TODAY - timedelta(days=1))
        crm.deal(who, 3)
    report = await poll(database, crm.connector(), UTC_PROGRAMME, crm.clock.now())
    assert report.failure is None
    assert report.unknown
    sums = database.read_now(usage.sums, None, report.since, report.through)
    assert set(sums) == {person_id("dynamics", rep)}
    kept = sums[person_id("dynamics", rep)]
    assert (report.totals["won_count"], report.now["opps_open"]) == (kept["won_count"], 1) == (1, 1)
    assert report.by_metric["opps_open"] == 1
    assert report.by_metric["won_count"] <= report.facts
