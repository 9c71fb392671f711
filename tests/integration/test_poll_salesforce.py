"""Polls of Salesforce into the database: read again they change nothing, and what was not read silences what needs it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.people import person_id
from bot.domain.usage import CoverageStatus
from bot.services.poll_crm import poll
from store import people, usage
from store.database import Database, UnitOfWork, migrate, open_database
from store.tables import coverage, person_week, usage_day
from tests.contract.test_salesforce import lived, people_of
from tests.dying_polls import PROGRAMME, SINCE
from tests.orgs import FRIDAY, Org

pytestmark = pytest.mark.anyio

TODAY = FRIDAY.date()
OK, ERROR = CoverageStatus.OK, CoverageStatus.ERROR


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = open_database(sqlite_url, durable=False)
    yield opened
    opened.close()


@pytest.fixture
def org() -> Org:
    org = Org()
    boss = org.user("Ada Brandt")
    rep = org.user("Jonas Weber", boss)
    org.deal(rep, 70, NextStep=None)
    org.deal(rep, 2)
    for days in (0, 1, 2, 9):
        org.done(rep, "Call", days)
        org.meeting(rep, org.ago(days + 0.1))
        org.login(rep, days)
    return org


def rep_of(org: Org) -> str:
    ((crm_id,),) = org.crm.rows("SELECT Id FROM User WHERE Name = 'Jonas Weber'")
    return person_id("salesforce", crm_id)


def kept(database: Database) -> list[list[tuple[Any, ...]]]:
    """Every fact, coverage and week, but for when it was read."""

    def read(uow: UnitOfWork) -> list[list[tuple[Any, ...]]]:
        queries = (
            sa.select(usage_day).order_by(usage_day.c.person, usage_day.c.day),
            sa.select(person_week).order_by(person_week.c.person, person_week.c.week),
            sa.select(coverage.c.metric, coverage.c.day, coverage.c.status).order_by(
                coverage.c.metric, coverage.c.day
            ),
        )
        return [[tuple(row) for row in uow.rows(query)] for query in queries]

    return database.read_now(read)


def read_well(database: Database) -> list[tuple[Any, ...]]:
    return [row for row in kept(database)[2] if row[2] == OK]


def status(database: Database, metric: str, day: date) -> CoverageStatus:
    return database.read_now(usage.coverage, [metric], day, day)[metric]


async def test_polling_twice_is_polling_once(database: Database, org: Org) -> None:
    report = await poll(database, org.connector(), PROGRAMME, FRIDAY)
    assert (report.failure, report.unknown, report.totals["activities_completed.call"]) == (None, 0, 4)
    first = kept(database)
    assert len(first[0]) > 100
    report = await poll(database, org.connector(), PROGRAMME, FRIDAY)
    assert (report.failure, report.since) == (None, TODAY - timedelta(days=2))
    assert kept(database) == first


async def test_what_happens_later_on_a_day_that_was_read_is_read_as_well(
    database: Database, org: Org
) -> None:
    rep = rep_of(org)
    await poll(database, org.connector(), PROGRAMME, FRIDAY)
    assert database.read_now(usage.sums, [rep], TODAY, TODAY)[rep]["activities_completed.call"] == 1
    org.clock.move_to(FRIDAY + timedelta(hours=5))
    ((crm_id,),) = org.crm.rows("SELECT Id FROM User WHERE Name = 'Jonas Weber'")
    org.done(crm_id, "Call", 0)
    org.clock.move_to(FRIDAY + timedelta(days=1))
    await poll(database, org.connector(), PROGRAMME, org.clock.now())
    assert database.read_now(usage.sums, [rep], TODAY, TODAY)[rep]["activities_completed.call"] == 2


async def test_the_snapshot_of_a_day_stays_with_that_day(database: Database, org: Org) -> None:
    rep = rep_of(org)
    await poll(database, org.connector(), PROGRAMME, FRIDAY)
    org.clock.move_to(FRIDAY + timedelta(days=1))
    ((deal,),) = org.crm.rows("SELECT Id FROM Opportunity WHERE NextStep IS NULL")
    org.crm.change("Opportunity", deal, "", org.clock.now(), NextStep="Call")
    await poll(database, org.connector(), PROGRAMME, org.clock.now())
    for day, count in ((TODAY, 1), (TODAY + timedelta(days=1), 0)):
        assert database.read_now(usage.snapshots, [rep], day, day)[rep]["opps_no_next_step"] == count
        assert status(database, "opps_no_next_step", day) is OK
    assert status(database, "opps_no_next_step", TODAY - timedelta(days=1)) is CoverageStatus.UNSUPPORTED


async def test_what_was_not_read_waits_and_is_read_when_it_can_be(database: Database, org: Org) -> None:
    rep, next_day = rep_of(org), TODAY + timedelta(days=1)
    await poll(database, org.connector(), PROGRAMME, FRIDAY)
    org.clock.move_to(FRIDAY + timedelta(days=1))
    org.trouble("crm_503_html", "Event")
    report = await poll(database, org.connector(), PROGRAMME, org.clock.now())
    assert report.failure is None
    assert report.coverage["activities_completed.meeting"].status is ERROR
    assert status(database, "activities_completed.meeting", next_day) is ERROR
    assert status(database, "activities_completed.call", next_day) is OK
    assert database.read_now(usage.sources)["salesforce"].watermark == next_day, "everything else was read"
    fresh = database.read_now(usage.read_at, "salesforce", next_day)
    assert "activities_completed.call" in fresh
    assert "activities_completed.meeting" not in fresh
    org.slack.faults.clear()
    await poll(database, org.connector(), PROGRAMME, org.clock.now())
    assert database.read_now(usage.sources)["salesforce"].watermark == next_day
    assert database.read_now(usage.sums, [rep], TODAY, next_day)[rep]["activities_completed.meeting"] == 1
    assert status(database, "activities_completed.meeting", next_day) is OK


async def test_a_query_that_fails_keeps_the_days_that_were_over_when_they_were_read(
    database: Database, org: Org
) -> None:
    await poll(database, org.connector(), PROGRAMME, FRIDAY)
    metric = "activities_completed.meeting"
    org.trouble("crm_503_html", "Event")
    await poll(database, org.connector(), PROGRAMME, FRIDAY)
    days = [TODAY - timedelta(days=n) for n in (2, 1, 0)]
    assert [status(database, metric, day) for day in days] == [OK, OK, ERROR]


async def test_a_crm_that_is_away_keeps_its_people_and_its_numbers(database: Database, org: Org) -> None:
    await poll(database, org.connector(), PROGRAMME, FRIDAY)
    before, ok = kept(database)[:2], read_well(database)
    assert ok
    org.line.cut = True
    report = await poll(database, org.connector(), PROGRAMME, FRIDAY)
    assert report.failure is not None
    assert report.retry_after is not None
    assert (kept(database)[:2], read_well(database)) == (before, ok)
    assert all(person.active for person in database.read_now(people.get).values())


async def test_whenever_a_poll_dies_the_next_one_ends_with_the_same_facts(
    tmp_path: Path, repository: Path, sqlite_url: str
) -> None:
    """Killed at requests, before writes, before and after commits, each time a little later (tests/dying_polls.py)."""
    org = Org()
    lived(org, people_of(org, 3))
    org.clock.move_to(FRIDAY + timedelta(hours=1))
    undisturbed = open_database(sqlite_url, durable=False)
    report = await poll(undisturbed, org.connector(), PROGRAMME, org.clock.now(), since=SINCE)
    assert report.failure is None
    expected = kept(undisturbed)
    undisturbed.close()
    url = f"sqlite:///{tmp_path}/killed.db"
    migrate(url)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tests.dying_polls", url],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    died = [int(part.split(" ", 1)[0]) for part in done.stdout.split(", ")]
    assert min(died) >= 2, done.stdout
    killed = open_database(url)
    assert kept(killed) == expected
    killed.close()
