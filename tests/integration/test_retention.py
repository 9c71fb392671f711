"""What is kept only so long, to the day, on both databases. Forgetting twice forgets nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from bot.domain.usage import Collected, UsageFact
from bot.services.assess_stages import assess
from bot.services.forget_expired import Forgotten, forget_expired
from store import usage
from store.database import Database, UnitOfWork, open_database
from store.tables import feedback, inbox, person_week, usage_day
from tests.fakes import NoHolidays
from tests.sending import PROGRAMME, TUESDAY, add_person

NOTHING = Forgotten(0, 0, 0, 0, 0, 0)
DAY = timedelta(days=1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    opened.write_now(add_person, 1)
    yield opened
    opened.close()


def _forget(database: Database) -> Forgotten:
    return database.write_now(forget_expired, PROGRAMME, TUESDAY)


def test_raw_usage_goes_after_35_days_and_weeks_stay(database: Database) -> None:
    days = [TUESDAY.date() - timedelta(days=ago) for ago in (34, 35, 36)]
    facts = tuple(UsageFact("crm-1", day, {"step_moves": 1.0}) for day in days)
    database.write_now(usage.keep, "crm", Collected(facts), TUESDAY)
    assert _forget(database).usage_days == 1
    left = database.read_now(lambda uow: [row.day for row in uow.rows(sa.select(usage_day.c.day))])
    assert sorted(left) == sorted(days[:2])
    moves = database.read_now(
        lambda uow: uow.execute(sa.select(sa.func.sum(person_week.c.step_moves))).scalar_one()
    )
    assert moves == 3
    assert _forget(database) == NOTHING


def test_raw_usage_stays_until_the_stages_are_assessed_from_it(database: Database) -> None:
    """A first import brings more than 35 days; a poll that broke off before the stages must not cost their evidence."""
    days = [TUESDAY.date() - ago * DAY for ago in range(60)]
    collected = Collected(tuple(UsageFact("crm-1", day, {"step_moves": 1.0}) for day in days))

    def imported(uow: UnitOfWork) -> None:
        usage.keep_source(uow, "crm", "crm", {})
        usage.keep(uow, "crm", collected, TUESDAY)
        usage.move_watermark(uow, "crm", days[0], None, TUESDAY)

    database.write_now(imported)
    assert _forget(database).usage_days == 0
    asyncio.run(assess(database, programme=PROGRAMME, holidays=NoHolidays(), now=TUESDAY))
    assert _forget(database).usage_days == 60 - 36


def test_person_weeks_go_after_13_months(database: Database) -> None:
    def write(uow: UnitOfWork) -> None:
        for week in (date(2025, 9, 8), date(2025, 10, 13)):
            uow.execute(sa.insert(person_week).values(person="p0001", week=week, meaningful_days=1))

    database.write_now(write)
    assert _forget(database).person_weeks == 1
    assert _forget(database) == NOTHING


def test_what_people_said_goes_after_24_months_and_that_they_said_it_stays(database: Database) -> None:
    def write(uow: UnitOfWork) -> None:
        for name, at in (("old", TUESDAY - 732 * DAY), ("new", TUESDAY - 700 * DAY)):
            uow.execute(
                sa.insert(feedback).values(
                    id=name,
                    key=name,
                    person="p0001",
                    kind="reply",
                    state="kept",
                    text=f"{name} words",
                    created_at=at,
                    visible_at=at,
                )
            )

    database.write_now(write)
    assert _forget(database).words == 1
    rows = database.read_now(lambda uow: uow.rows(sa.select(feedback.c.id, feedback.c.text)))
    assert {row.id: row.text for row in rows} == {"old": "", "new": "new words"}
    assert _forget(database) == NOTHING


def test_envelopes_that_wait_stay_however_old_they_are(database: Database) -> None:
    def write(uow: UnitOfWork) -> None:
        for key, settled in (("waits", None), ("done", TUESDAY - 40 * DAY), ("fresh", TUESDAY - DAY)):
            uow.execute(
                sa.insert(inbox).values(
                    key=key,
                    kind="event",
                    name="message",
                    received_at=TUESDAY - 41 * DAY,
                    state="new" if settled is None else "done",
                    next_at=TUESDAY,
                    settled_at=settled,
                    attempts=0,
                )
            )

    database.write_now(write)
    assert _forget(database).envelopes == 1
    left = database.read_now(lambda uow: {row.key for row in uow.rows(sa.select(inbox.c.key))})
    assert left == {"waits", "fresh"}
