"""``/fullsteam``: what it answers, privately and at once, and what it changes, from the inbox row."""

from __future__ import annotations

from datetime import datetime

from bot.content.load import Content
from bot.domain import intents
from bot.domain.messages import Message
from bot.domain.ports import Envelope, Holidays
from bot.domain.programme import Programme
from bot.services import pause, set_times
from bot.services.answer_stranger import not_known
from bot.services.choose_goal import ask_goal
from bot.services.choose_mode import notes_of, take_all_back
from bot.services.explain_privacy import explain_privacy
from bot.services.hearing import Heard, Outcome, refused
from bot.services.record_feedback import record_words
from bot.services.show_desk import asks_for_desk, reader_of, show_desk
from bot.services.show_me import show_me
from store import outbox, people
from store.database import UnitOfWork
from store.inbox import InboxRow

WORDS = {"feedback", "say", "idee", "avis"}
OBEYED = frozenset(
    {
        intents.STOP,
        intents.PAUSE,
        intents.PAUSE_UNTIL_WHEN,
        intents.RESUME,
        intents.ME,
        intents.GOAL,
        intents.PRIVACY,
        intents.DELETE_ALL,
    }
)
BELONGS_FOR = intents.USUAL_PAUSE


def obey_command(uow: UnitOfWork, heard: Heard) -> Outcome:
    """Do what the command asks for; its answer was given in the acknowledgement."""
    setting = set_times.setting_of(str(heard.body.get("text") or ""))
    if setting is not None:
        done = set_times.set_times(uow, heard, *setting)
        return Outcome(f"command-{setting[0]}") if done else refused(f"command-{setting[0]}-unclear")
    kind, rest, until = _meaning(heard)
    if kind == intents.STOP:
        pause.stop(uow, heard)
    elif kind == intents.PAUSE:
        pause.pause(uow, heard, until.until)
    elif kind == intents.PAUSE_UNTIL_WHEN:
        pause.pause_unread(uow, heard)
    elif kind == intents.DELETE_ALL:
        take_all_back(uow, heard)
    elif kind == intents.RESUME:
        pause.resume(uow, heard)
    elif kind == intents.FEEDBACK and rest:
        about = outbox.last_to(uow, heard.person.id, heard.row.received_at - BELONGS_FOR)
        return record_words(uow, _with_text(heard, rest), about)
    else:
        return refused(f"command-{kind}")
    return Outcome(f"command-{kind}")


def answer_command(
    uow: UnitOfWork,
    envelope: Envelope,
    *,
    content: Content,
    programme: Programme,
    holidays: Holidays,
    now: datetime,
) -> Message:
    """The words of the acknowledgement; reads only, the same for a repeated envelope.

    Somebody whom the CRM does not know, or who may not be written to, is told so and whom to ask.
    """
    person = people.by_slack(uow, envelope.user) if envelope.user else None
    if asks_for_desk(str(envelope.body.get("text") or "")):
        reader = reader_of(uow, envelope.user, programme)
        if reader is not None:
            return show_desk(uow, reader, content, programme, now, person)
    if person is None or not person.active:
        return not_known(uow, content, programme, now)
    row = InboxRow(0, envelope.key, envelope.kind, envelope.name, envelope.user, envelope.body, now, 0)
    heard = Heard(row, person, content, programme, holidays, now)
    setting = set_times.setting_of(str(envelope.body.get("text") or ""))
    if setting is not None:
        return set_times.times_words(uow, heard, *setting)
    kind, rest, intent = _meaning(heard)
    if kind == intents.STOP:
        return heard.say("stopped")
    if kind == intents.PAUSE:
        return pause.paused_words(uow, heard, intent.until or heard.today + intents.USUAL_PAUSE)
    if kind == intents.PAUSE_UNTIL_WHEN:
        return pause.unread_words(uow, heard)
    if kind == intents.DELETE_ALL:
        count = len(notes_of(uow, heard))
        return heard.say("words_all_deleted", count=count) if count else heard.say("nothing_to_delete")
    if kind == intents.PRIVACY:
        return explain_privacy(uow, heard)
    if kind == intents.RESUME:
        return heard.say("resumed")
    if kind == intents.ME:
        return show_me(uow, heard)
    if kind == intents.GOAL:
        return ask_goal(uow, heard)
    if kind == intents.FEEDBACK:
        return heard.say("command_feedback", words=rest, any=bool(rest))
    return heard.say("help")


def _meaning(heard: Heard) -> tuple[str, str, intents.Intent]:
    """(intent, the words after it, the intent as recognised). What is none of ours is help."""
    text = str(heard.body.get("text") or "").strip()
    first, _, rest = text.partition(" ")
    if intents.fold(first) in WORDS:
        return intents.FEEDBACK, rest.strip(), intents.Intent(intents.FEEDBACK)
    intent = intents.recognise(text, heard.today)
    if intent.kind in OBEYED:
        return intent.kind, "", intent
    return intents.HELP, "", intent


def _with_text(heard: Heard, text: str) -> Heard:
    row = heard.row
    body = {**row.body, "text": text}
    return Heard(
        InboxRow(row.id, row.key, row.kind, row.name, row.user, body, row.received_at, row.attempts),
        heard.person,
        heard.content,
        heard.programme,
        heard.holidays,
        heard.now,
    )
