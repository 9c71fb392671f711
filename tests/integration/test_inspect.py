"""What a look inside shows of one person: the newest few with everything, or all of them with their reasons, on both databases."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.messages import STATUS, Heading, Message
from bot.domain.nudging import NONE
from bot.services.inspect_person import inspect_person
from bot.services.list_reasons import list_reasons
from store import decisions, outbox
from store.database import UnitOfWork
from store.decisions import DecisionRow
from store.outbox import NewMessage
from tests.planning import TUESDAY, add_people, opened, pid

DAYS = 30


def _half_a_season(uow: UnitOfWork) -> None:
    """A decision and a message a day, the newest last."""
    add_people(uow)
    rows = []
    for day in range(DAYS):
        at = TUESDAY - timedelta(days=DAYS - day)
        rows.append(
            DecisionRow(
                id=f"d{day}",
                person=pid(),
                at=at,
                local_day=at.date(),
                local_weekday_hour="Tue 11",
                point="slot",
                policy="p",
                team=None,
                role="seller",
                available=True,
                action=NONE,
                kind=None,
                reason="weekly-cap",
                until=None,
                trigger=None,
                trigger_version=None,
                behaviour=None,
                metric=None,
                record_hash=None,
                content_version=None,
                eligible=(),
                declined=({"action": "fresh_dates", "kind": "tip", "reason": "spacing"},),
                probabilities={},
                draw=None,
                held_out=False,
            )
        )
        message = Message(STATUS, "It is settled.", (Heading("It is settled."),), "settled")
        assert outbox.add(uow, NewMessage(f"m{day}", message, "U1", at, at, person=pid()))
    decisions.add_many(uow, rows)


def test_every_decision_is_listed_with_its_reason_and_every_message_with_its_state(database_url: str) -> None:
    with opened(database_url) as database:
        database.write_now(_half_a_season)
        shown = database.read_now(list_reasons, "U1", 5_000)
        assert shown is not None
        assert [row["id"] for row in shown["decisions"]] == [f"d{day}" for day in reversed(range(DAYS))]
        assert {row["reason"] for row in shown["decisions"]} == {"weekly-cap"}
        assert {row["declined"][0]["reason"] for row in shown["decisions"]} == {"spacing"}
        assert [row["state"] for row in shown["messages"]] == ["ready"] * DAYS
        newest = database.read_now(list_reasons, "U1", 3)
        assert newest is not None
        assert newest["messages"] == shown["messages"][:3]
        assert database.read_now(list_reasons, "U404", 3) is None


def test_a_look_at_one_person_shows_twenty_until_more_are_asked_for(database_url: str) -> None:
    with opened(database_url) as database:
        database.write_now(_half_a_season)
        few = database.read_now(inspect_person, "U1", TUESDAY)
        assert few is not None
        assert (len(few["decisions"]), len(few["messages"])) == (20, 20)
        all_of_it = database.read_now(inspect_person, "U1", TUESDAY, 100)
        assert all_of_it is not None
        assert (len(all_of_it["decisions"]), len(all_of_it["messages"])) == (DAYS, DAYS)
