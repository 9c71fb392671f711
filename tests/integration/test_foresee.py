"""One look says when each job of the clock has something to do: what the rows of each say by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.domain.feedback import UNCONFIRMED_FOR, WAITING, Feedback
from bot.domain.ports import Envelope
from bot.services.foresee import RHYTHMIC, foresee
from store import control, feedback, inbox, jobs, outbox, slots
from store.database import Database, UnitOfWork, open_database
from store.slots import Slot
from tests.sending import TUESDAY, add_person, new

HOUR = timedelta(hours=1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


def quiet(uow: UnitOfWork) -> str:
    """A person with a slot tomorrow; every job has had its round."""
    who = add_person(uow)
    slots.keep(uow, [Slot(who, TUESDAY + 24 * HOUR)])
    for name in RHYTHMIC:
        jobs.claim(uow, name, TUESDAY, HOUR)
        jobs.settle(uow, name, next_at=TUESDAY + 5 * HOUR, now=TUESDAY, error=None)
    return who


def said(who: str) -> Feedback:
    return Feedback(
        id="f1",
        key="k1",
        person=who,
        team=None,
        kind="words",
        mode=None,
        state=WAITING,
        text="it is slow",
        outbox=None,
        decision=None,
        behaviour=None,
        trigger=None,
        stage=None,
        barrier_type=None,
        owner=None,
        created_at=TUESDAY - HOUR,
        visible_at=TUESDAY,
    )


def test_at_first_only_the_rounds_are_due(database: Database) -> None:
    seen = database.read_now(foresee, TUESDAY)
    assert {name for name, due in seen.items() if due is not None and due <= TUESDAY} == set(RHYTHMIC)


def test_a_quiet_house_has_nothing_to_do_before_its_next_round(database: Database) -> None:
    database.write_now(quiet)
    seen = database.read_now(foresee, TUESDAY)
    assert seen["plan"] == TUESDAY + 24 * HOUR
    assert [seen[name] for name in RHYTHMIC] == [TUESDAY + 5 * HOUR] * len(RHYTHMIC)
    assert [seen[name] for name in ("work", "deliver", "measure", "drop")] == [None] * 4


def test_each_row_that_waits_is_seen_at_its_own_time(database: Database) -> None:
    def prepare(uow: UnitOfWork) -> None:
        who = quiet(uow)
        inbox.keep(uow, Envelope("Ev1", "event", "message", "U1", {}), TUESDAY + HOUR)
        outbox.add(uow, new(due_at=TUESDAY + 2 * HOUR))
        feedback.add(uow, said(who))

    database.write_now(prepare)
    seen = database.read_now(foresee, TUESDAY)
    assert seen["work"] == TUESDAY + HOUR
    assert seen["deliver"] == TUESDAY + 2 * HOUR
    assert seen["drop"] == TUESDAY - HOUR + UNCONFIRMED_FOR


def test_what_is_overdue_is_due_now_unless_sending_is_stopped(database: Database) -> None:
    def prepare(uow: UnitOfWork) -> None:
        quiet(uow)
        outbox.add(uow, new(due_at=TUESDAY - HOUR))

    database.write_now(prepare)
    assert database.read_now(foresee, TUESDAY)["deliver"] == TUESDAY
    database.write_now(control.stop, "lead", TUESDAY)
    assert database.read_now(foresee, TUESDAY)["deliver"] is None


def test_somebody_without_a_decision_point_is_planned_for_now(database: Database) -> None:
    def prepare(uow: UnitOfWork) -> None:
        quiet(uow)
        add_person(uow, 2)

    database.write_now(prepare)
    assert database.read_now(foresee, TUESDAY)["plan"] == TUESDAY
