"""Silence: pause until a day, stop for good, go on. Obeyed at once, never filed."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from bot.domain.attention import local_instant
from bot.domain.intents import USUAL_PAUSE
from bot.domain.messages import KINDS, Message
from bot.services.hearing import Heard, Outcome, beneath, changed, clicked, refused, show_on, standing_in
from store import outbox, people
from store.database import UnitOfWork


def ask_how_long(uow: UnitOfWork, heard: Heard) -> Outcome:
    """tip:pause: until tomorrow, next week, a month?"""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    after = heard.say("after_pause_ask", value=row.id)
    return Outcome("asked-how-long", (show_on(uow, heard, row, changed(row.message, after)),))


def pause_by_button(uow: UnitOfWork, heard: Heard) -> Outcome:
    """pause:tomorrow, pause:next_week, pause:month."""
    days = {"tomorrow": 1, "next_week": 7 - heard.today.weekday(), "month": 30}
    if heard.choice not in days:
        return refused("unknown-pause")
    row = clicked(uow, heard) or standing_in(uow, heard)
    # From when it was pressed: a click that is worked late pauses no longer than was asked.
    pressed = heard.row.received_at.astimezone(heard.zone).date()
    until = pressed + timedelta(days=days[heard.choice])
    pause(uow, heard, until)
    if row is not None:
        outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    value = row.id if row is not None else ""
    after = still_stopped(uow, heard, value) or heard.say("after_pause", value=value, until=until)
    return Outcome("paused", (show_on(uow, heard, row, beneath(row, after)),))


def resume_by_button(uow: UnitOfWork, heard: Heard) -> Outcome:
    """The button that ends a pause or a stop."""
    row = clicked(uow, heard) or standing_in(uow, heard)
    resume(uow, heard)
    if row is not None:
        outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    shown = changed(row.message if row is not None else None, heard.say("after_resume"))
    return Outcome("resumed", (show_on(uow, heard, row, shown),))


def pause(uow: UnitOfWork, heard: Heard, until: date | None) -> Message:
    """Nothing unasked before the morning of ``until`` (their local midnight); None: a week. The words that confirm it."""
    day = until or heard.today + USUAL_PAUSE
    people.change_preferences(uow, heard.person.id, paused_until=pause_end(heard, day))
    return paused_words(uow, heard, day)


def pause_unread(uow: UnitOfWork, heard: Heard) -> Message:
    """The day cannot be read: quiet for a week, as whoever asks for silence gets it, and the question until when."""
    pause(uow, heard, None)
    return unread_words(uow, heard)


def pause_end(heard: Heard, day: date) -> datetime:
    """The instant at which a pause until that day ends."""
    return local_instant(day, time(0), heard.zone)


def paused_words(uow: UnitOfWork, heard: Heard, until: date) -> Message:
    """What confirms a pause. Reads only."""
    return still_stopped(uow, heard) or heard.say("paused", until=until)


def unread_words(uow: UnitOfWork, heard: Heard) -> Message:
    """Until when? Reads only."""
    stopped = still_stopped(uow, heard)
    return stopped or heard.say("pause_until_when", value="dm", until=heard.today + USUAL_PAUSE)


def still_stopped(uow: UnitOfWork, heard: Heard, value: str = "") -> Message | None:
    """A pause does not begin again what was stopped for good: that it stays so, and how to start again."""
    if people.preferences(uow, [heard.person.id])[heard.person.id].stopped_at is None:
        return None
    return heard.say("still_stopped", value=value)


def stop(uow: UnitOfWork, heard: Heard) -> Message:
    """Nothing any more, reminders they asked for included, until they say so. The words that confirm it."""
    people.change_preferences(uow, heard.person.id, stopped_at=heard.now)
    unasked = tuple(kind for kind in KINDS if kind != "answer")
    outbox.withdraw(uow, heard.person.id, "stopped", heard.now, kinds=unasked)
    return heard.say("stopped")


def resume(uow: UnitOfWork, heard: Heard) -> Message:
    """Go on after a pause or a stop."""
    people.change_preferences(uow, heard.person.id, paused_until=None, stopped_at=None)
    return heard.say("resumed")
