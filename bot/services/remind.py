"""Reminders that a person asks for: the same message again, at their own time of day, on the day they named."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, datetime, timedelta

from bot.domain.attention import next_slot
from bot.domain.messages import REMINDER, TIP, Button, Buttons, Heading, Message, Note, delivery_id
from bot.services.hearing import (
    Heard,
    Outcome,
    changed,
    clicked,
    refused,
    show_again,
    show_on,
    standing,
    standing_in,
)
from store import outbox, people
from store.database import UnitOfWork
from store.outbox import NewMessage, OutboxRow

KEEPS_FOR = timedelta(days=3)
"""A reminder that could not go out by then is not worth sending."""


def ask_when(uow: UnitOfWork, heard: Heard) -> Outcome:
    """tip:remind: tomorrow, or next week?"""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    if row.message is None:
        return _gone(uow, heard, row)
    if _latest(uow, row.id)[1] is not None:
        return show_again(uow, heard, row)
    return Outcome("asked-when", (show_on(uow, heard, row, _beneath(row.message, _question(heard, row))),))


def remind(uow: UnitOfWork, heard: Heard) -> Outcome:
    """remind:tomorrow, remind:next_week. One reminder a message: a second press changes nothing."""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    outbox.record_reaction(uow, row.id, "tip:remind", heard.now)
    if row.message is None:
        return _gone(uow, heard, row)
    # Counted from when they pressed, so that a click that is worked late asks for the same day.
    pressed = heard.row.received_at.astimezone(heard.zone).date()
    ahead = 1 if heard.choice == "tomorrow" else 7 - pressed.weekday()
    at, new = _queue(uow, heard, row, pressed + timedelta(days=ahead))
    if at is None:
        unknown = changed(row.message, heard.say("after_remind_never"))
        return refused("no-time", show_on(uow, heard, row, unknown))
    if not new:
        return show_again(uow, heard, row)
    return Outcome("reminder", (show_on(uow, heard, row, _beneath(row.message, _promise(heard, row, at))),))


def _gone(uow: UnitOfWork, heard: Heard, row: OutboxRow) -> Outcome:
    """The text is blanked by now: it cannot be repeated, and they are told so."""
    return refused("text-gone", show_on(uow, heard, row, heard.say("after_remind_gone", value=row.id)))


def cancel(uow: UnitOfWork, heard: Heard) -> Outcome:
    """remind:none: no reminder after all; what waits is withdrawn, and another one can be asked for."""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    waiting = _latest(uow, row.id)[1]
    if waiting is not None:
        outbox.withdraw(uow, heard.person.id, "no-reminder", heard.now, kinds=(REMINDER,), id=waiting.id)
    after = _beneath(row.message, heard.say("after_no_reminder", value=row.id))
    place = standing_in(uow, heard)
    if place is not None and place.id != row.id:  # pressed in our answer to words, in the thread
        outbox.replace_shown(uow, row.id, after)
        return Outcome(
            "no-reminder", (show_on(uow, heard, place, heard.say("after_no_reminder", value=row.id)),)
        )
    return Outcome("no-reminder", (show_on(uow, heard, row, after),))


def ask_in_words(uow: UnitOfWork, heard: Heard, about: OutboxRow | None) -> Message:
    """To "not now", or "remind me" without a day: when, then?"""
    row = _returning(uow, heard, about)
    return heard.say("remind_of_what") if row is None else _with_link(row.message, _question(heard, row))


def remind_in_words(uow: UnitOfWork, heard: Heard, about: OutboxRow | None, day: date) -> Message:
    """For "remind me tomorrow", in the thread of a tip or after it: that day, or the first working day after it."""
    row = _returning(uow, heard, about)
    if row is None:
        return heard.say("remind_of_what")
    at, _ = _queue(uow, heard, row, day)
    if at is None:
        return heard.say("after_remind_never")
    promise = _promise(heard, row, at)
    outbox.replace_shown(uow, row.id, _beneath(row.message, promise))
    return _with_link(row.message, promise)


def _returning(uow: UnitOfWork, heard: Heard, about: OutboxRow | None) -> OutboxRow | None:
    """The tip that words are about; None when there is none to be reminded of, or they never want to see it again."""
    if about is None or about.message is None or about.kind not in (TIP, REMINDER):
        return None
    return None if about.template in _never(uow, heard) else about


def _never(uow: UnitOfWork, heard: Heard) -> frozenset[str]:
    return people.preferences(uow, [heard.person.id])[heard.person.id].tips_never


def _queue(uow: UnitOfWork, heard: Heard, row: OutboxRow, day: date) -> tuple[datetime | None, bool]:
    """(when the reminder of this message comes, whether it is a new one).

    At their own time of day on that day, or the first working day after it. None when their zone is unknown, they have no
    working day, or they said that this message is not for them.
    """
    key, found = _latest(uow, row.id)
    if found is not None:
        return found.due_at, False
    at = next_slot(standing(uow, heard), heard.programme.rules, max(day, heard.today + timedelta(days=1)))
    if row.message is None or heard.person.slack_id is None or at is None:
        return None, False
    if row.template in _never(uow, heard):
        return at, False
    new = NewMessage(
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
    )
    return at, outbox.add(uow, new) is not None


def _latest(uow: UnitOfWork, row_id: str) -> tuple[str, OutboxRow | None]:
    """(key, reminder) of a message: the one that waits or came; with None the key of the next one.

    What was withdrawn does not count: who asks again is reminded.
    """
    keys = itertools.chain([f"remind:{row_id}"], (f"remind:{row_id}:{again}" for again in itertools.count(2)))
    found = ((key, outbox.by_id(uow, delivery_id(key))) for key in keys)
    return next((key, row) for key, row in found if row is None or row.state != outbox.DROPPED)


def _question(heard: Heard, row: OutboxRow) -> Message:
    return heard.say("after_remind_ask", value=row.id)


def _promise(heard: Heard, row: OutboxRow, at: datetime) -> Message:
    day = at.astimezone(heard.zone).date()
    return heard.say("after_remind", value=row.id, day=day, time=heard.clock(at))


def _beneath(original: Message | None, after: Message) -> Message:
    """The message as it was, ``after`` beneath it; the way to its record stays."""
    return changed(original, _with_link(original, after))


def _with_link(original: Message | None, after: Message) -> Message:
    """``after``, the button that opens the record of ``original`` first among its buttons."""
    rows = [part for part in original.parts if isinstance(part, Buttons)] if original is not None else []
    link = next(
        (button for row in rows for button in row.buttons if button.action == "tip:do" and button.url), None
    )
    if link is None:
        return after
    return replace(
        after,
        parts=tuple(
            replace(part, buttons=(link, *part.buttons)) if isinstance(part, Buttons) else part
            for part in after.parts
        ),
    )


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
