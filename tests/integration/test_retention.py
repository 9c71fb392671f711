"""What is kept only so long, to the day, on both databases. Forgetting twice forgets nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.usage import Collected, UsageFact
from bot.services.assess_stages import assess
from bot.services.forget_expired import Forgotten, forget_expired
from store import inbox as inbox_store
from store import usage
from store.database import Database, UnitOfWork, open_database
from store.tables import Json, Utc, feedback, inbox, metadata, person_stage, person_week, usage_day
from tests.fakes import NoHolidays
from tests.sending import PROGRAMME, TUESDAY, add_person

NOTHING = Forgotten(*[0] * 10)
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


def test_what_people_said_goes_after_24_months(database: Database) -> None:
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
    assert {row.id: row.text for row in rows} == {"new": "new words"}
    assert _forget(database) == NOTHING


def test_what_a_stage_was_decided_on_goes_after_13_months_and_the_stage_stays(database: Database) -> None:
    def write(uow: UnitOfWork) -> None:
        for week in (date(2025, 9, 8), date(2025, 10, 13)):
            values = {
                "stage": "s",
                "since": week,
                "passes": 0,
                "fails": 0,
                "total": 9,
                "confidence": "normal",
            }
            more = {"facts": ["9 of 20"], "features": {"l20": 9}, "version": 1, "decided_at": TUESDAY}
            uow.execute(sa.insert(person_stage).values(person="p0001", week=week, **values, **more))

    database.write_now(write)
    assert _forget(database).stages == 1
    left = database.read_now(lambda uow: uow.rows(sa.select(person_stage).order_by(person_stage.c.week)))
    assert [(row.facts, row.features) for row in left] == [([], {}), (["9 of 20"], {"l20": 9})]
    assert _forget(database) == NOTHING


def test_dead_envelopes_keep_what_somebody_said_until_they_are_revived(database: Database) -> None:
    def write(uow: UnitOfWork) -> None:
        values = {"kind": "event", "name": "message", "body": {"text": "my words"}, "state": "dead"}
        times = {"received_at": TUESDAY - 90 * DAY, "next_at": TUESDAY, "settled_at": TUESDAY - 90 * DAY}
        uow.execute(sa.insert(inbox).values(key="lost", reason="KeyError", attempts=8, **values, **times))

    database.write_now(write)
    assert _forget(database) == NOTHING
    (lost,) = database.read_now(inbox_store.dead)
    assert (lost.key, lost.reason) == ("lost", "KeyError")
    assert database.write_now(inbox_store.revive, TUESDAY, "another") == 0
    assert database.write_now(inbox_store.revive, TUESDAY) == 1
    assert database.read_now(inbox_store.due, TUESDAY) != []


STAYS = {
    "audit": "who looked at what is kept for good; it names actors, and holds ids and counts only",
    "source": "how a CRM is opened",
    "control": "switches of the installation",
    "job": "when the clock's jobs are due",
}


IN_FORCE = {"person", "preference", "slot", "slack_user"}
"""Of somebody who is still there: who they are, and what they chose."""


@pytest.mark.parametrize(("active", "stays"), [(False, set(STAYS)), (True, set(STAYS) | IN_FORCE)])
def test_after_900_days_nothing_older_is_left(database_url: str, active: bool, stays: set[str]) -> None:
    long_ago = TUESDAY - 900 * DAY

    def value(column: sa.Column[Any]) -> Any:
        if column.name == "active":
            return active
        made = {
            Utc: long_ago,
            Json: [],
            sa.Date: long_ago.date(),
            sa.Boolean: False,
            sa.Text: "x",
            sa.Float: 1.0,
        }
        return next((each for kind, each in made.items() if isinstance(column.type, kind)), 1)

    def fill(uow: UnitOfWork) -> None:
        for table in metadata.sorted_tables:
            uow.execute(sa.insert(table).values({column.name: value(column) for column in table.columns}))

    opened = open_database(database_url, durable=False)
    opened.write_now(fill)
    opened.write_now(forget_expired, PROGRAMME, TUESDAY)
    left = {
        table.name
        for table in metadata.sorted_tables
        if opened.read_now(UnitOfWork.one, sa.select(table)) is not None
    }
    opened.close()
    assert left == stays


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
