"""Reminders that a person asks for: the same message again, at their own time of day, on the day they named."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.attention import next_slot
from bot.domain.messages import REMINDER, Button, Buttons, Heading, Message, Note, delivery_id
from bot.services.hearing import (
    Heard,
    Outcome,
    changed,
    clicked,
    refused,
    show_again,
    show_on,
    standing,
)
from store import outbox, people
from store.database import UnitOfWork
from store.outbox import NewMessage

KEEPS_FOR = timedelta(days=3)
"""A reminder that could not go out by then is not worth sending."""


def ask_when(uow: UnitOfWork, heard: Heard) -> Outcome:
    """tip:remind: tomorrow, or next week?"""
    row = clicked(uow, heard)
    if row is None or row.message is None:
        return refused("no-message")
    outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    if outbox.by_id(uow, delivery_id(_key(row.id))) is not None:
        return show_again(uow, heard, row)
    after = heard.say("after_remind_ask", value=row.id)
    return Outcome("asked-when", (show_on(uow, heard, row, changed(row.message, after)),))


def remind(uow: UnitOfWork, heard: Heard) -> Outcome:
    """remind:tomorrow, remind:next_week. One reminder a message: a second press changes nothing."""
    row = clicked(uow, heard)
    if row is None or row.message is None or heard.person.slack_id is None:
        return refused("no-message")
    outbox.record_reaction(uow, row.id, "tip:remind", heard.now)
    if row.template in people.preferences(uow, [heard.person.id])[heard.person.id].tips_never:
        return show_again(uow, heard, row)
    at = reminder_time(uow, heard)
    if at is None:
        return refused(
            "no-time", show_on(uow, heard, row, changed(row.message, heard.say("after_remind_never")))
        )
    key = _key(row.id)
    queued = outbox.add(
        uow,
        NewMessage(
            dedupe_key=key,
            message=_again(heard, row.message, delivery_id(key)),
            address=heard.person.slack_id,
            created_at=heard.now,
            due_at=at,
            person=heard.person.id,
            behaviour=row.behaviour,
            decision=row.decision,
            recheck=row.recheck,
            expires_at=at + KEEPS_FOR,
        ),
    )
    if queued is None:
        return show_again(uow, heard, row)
    after = heard.say(
        "after_remind", value=row.id, day=at.astimezone(heard.zone).date(), time=heard.clock(at)
    )
    return Outcome("reminder", (show_on(uow, heard, row, changed(row.message, after)),))


def reminder_time(uow: UnitOfWork, heard: Heard) -> datetime | None:
    """Their own time of day on the next working day, or on the first working day of next week.

    Counted from when they pressed, so that a click that is worked late asks for the same day. None when their zone is
    unknown or they have no working day.
    """
    pressed = heard.row.received_at.astimezone(heard.zone).date()
    ahead = 1 if heard.choice == "tomorrow" else 7 - pressed.weekday()
    day = max(pressed + timedelta(days=ahead), heard.today + timedelta(days=1))
    return next_slot(standing(uow, heard), heard.programme.rules, day)


def _key(row_id: str) -> str:
    return f"remind:{row_id}"


def _again(heard: Heard, message: Message, delivery: str) -> Message:
    """The message as it was, saying that it was asked for; its buttons are its own."""
    intro = heard.say("reminder_intro", day=heard.today)
    heading = [part for part in message.parts if isinstance(part, Heading)][:1]
    rest = [part for part in message.parts if part not in heading]
    parts = [*heading, *(part for part in intro.parts if isinstance(part, Note)), *rest]
    return replace(
        message,
        kind=REMINDER,
        text=f"{intro.text}\n{message.text}",
        parts=tuple(_own_buttons(part, delivery) if isinstance(part, Buttons) else part for part in parts),
    )


def _own_buttons(row: Buttons, delivery: str) -> Buttons:
    def own(button: Button) -> Button:
        return replace(button, value=delivery)

    return Buttons(tuple(map(own, row.buttons)), tuple(map(own, row.menu)))
