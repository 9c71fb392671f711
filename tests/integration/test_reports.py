"""Counts for reports: what is sent unasked and what answers somebody are two numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store import reports
from store.database import Database, UnitOfWork, open_database
from tests.hearing import posted_tip
from tests.sending import TUESDAY, add_person, message


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url, durable=False)
    yield opened
    opened.close()


def test_an_answer_is_no_tip_and_is_counted_apart(database: Database) -> None:
    def seed(uow: UnitOfWork) -> None:
        add_person(uow, 1)
        tip = posted_tip(uow, 1)
        for kind in ("answer", "reminder", "welcome"):
            posted_tip(uow, 1, kind, message=message(kind), decision=f"d-{tip}" if kind == "answer" else None)

    database.write_now(seed)
    (week,) = database.read_now(reports.weeks, TUESDAY.date(), TUESDAY.date())
    assert (week.sent, week.answers) == (2, 2)
    assert week.to_json()["answers"] == 2
    assert database.read_now(reports.sent_by_trigger) == {"past_close_date": 1, "welcome": 1}
