"""A person wrote to us: silence is obeyed at once and never filed, a question about us is answered, the rest is feedback."""

from __future__ import annotations

from datetime import timedelta

from bot.domain import intents
from bot.domain.feedback import DELETED, UNSEEN_FOR, Feedback
from bot.domain.messages import Message
from bot.services import pause, remind
from bot.services.choose_goal import ask_goal
from bot.services.choose_mode import deleted, notes_of, take_all_back, take_back
from bot.services.explain_decision import explanation
from bot.services.explain_privacy import explain_privacy
from bot.services.hearing import Heard, Outcome, answer, refused
from bot.services.note_done import done_in_words
from bot.services.record_feedback import record_words
from bot.services.show_me import show_me
from store import feedback, outbox
from store.database import UnitOfWork
from store.outbox import OutboxRow

BELONGS_FOR = timedelta(days=7)
"""A direct message without a thread belongs to our last message of this time, else to none."""


def hear_words(uow: UnitOfWork, heard: Heard) -> Outcome:
    """A direct message, in a thread or not."""
    if not heard.body.get("in_dm"):
        return refused("not-for-us")
    about = _about(uow, heard)
    if about is not None:
        outbox.record_reaction(uow, about.id, "reply", heard.now)
    intent = intents.recognise(str(heard.body.get("text") or ""), heard.today)
    if intent.kind in (intents.FEEDBACK, intents.QUESTION):
        return record_words(uow, heard, about, question=intent.kind == intents.QUESTION)
    said = obey(uow, heard, intent, about)
    answer(uow, heard, said, about=about)
    return Outcome(f"words-{intent.kind}")


def obey(uow: UnitOfWork, heard: Heard, intent: intents.Intent, about: OutboxRow | None) -> Message:
    """Do what was asked, and word the answer. For every intent but feedback and question."""
    if intent.kind == intents.STOP:
        return pause.stop(uow, heard)
    if intent.kind == intents.PAUSE:
        return pause.pause(uow, heard, intent.until)
    if intent.kind == intents.PAUSE_UNTIL_WHEN:
        return pause.pause_unread(uow, heard)
    if intent.kind == intents.RESUME:
        return pause.resume(uow, heard)
    if intent.kind == intents.DELETE:
        return _delete(uow, heard, about)
    if intent.kind == intents.DELETE_ALL:
        return take_all_back(uow, heard)
    if intent.kind == intents.REMIND and intent.until is not None:
        return remind.remind_in_words(uow, heard, about, intent.until)
    if intent.kind in (intents.REMIND, intents.LATER):
        return remind.ask_in_words(uow, heard, about)
    if intent.kind == intents.DONE:
        return done_in_words(uow, heard, about)
    if intent.kind == intents.PRIVACY:
        return explain_privacy(uow, heard)
    if intent.kind == intents.WHY:
        return explanation(uow, heard, about)
    if intent.kind == intents.GOAL:
        return ask_goal(uow, heard)
    if intent.kind == intents.ME:
        return show_me(uow, heard)
    if intent.kind == intents.THANKS and pause.still_stopped(uow, heard) is None:
        return heard.say("thanks")
    if intent.kind in (intents.THANKS, intents.ALL_RIGHT):
        return heard.say("all_right")
    return heard.say("help")


def change_words(uow: UnitOfWork, heard: Heard) -> Outcome:
    """message_changed: the author edited what they said. The new words count, unseen for ten minutes again."""
    said = _spoken(uow, heard)
    if said is None or said.state == DELETED:
        return refused("nothing-said-there")
    text = str(heard.body.get("text") or "")
    if text == said.text:
        return refused("same-words")
    feedback.change_text(uow, said.id, text, heard.now + UNSEEN_FOR)
    return Outcome("words-changed")


def delete_words(uow: UnitOfWork, heard: Heard) -> Outcome:
    """message_deleted: what its author deletes in Slack is deleted here."""
    said = _spoken(uow, heard)
    if said is None or said.state == DELETED:
        return refused("nothing-said-there")
    take_back(uow, said, heard, "deleted")
    return Outcome("words-deleted")


def _about(uow: UnitOfWork, heard: Heard) -> OutboxRow | None:
    """Our message that the words belong to: the one above the thread, else the last one of the past seven days."""
    channel, thread = heard.body.get("channel"), heard.body.get("thread_ts")
    if channel and thread:
        row = outbox.by_message(uow, str(channel), str(thread))
        if row is not None and row.person == heard.person.id:
            return row
    return outbox.last_to(uow, heard.person.id, heard.row.received_at - BELONGS_FOR)


def _delete(uow: UnitOfWork, heard: Heard, about: OutboxRow | None) -> Message:
    """The last thing they said: in this thread when they are in one, else anywhere."""
    said = notes_of(uow, heard)
    if heard.body.get("thread_ts") and about is not None:
        said = [each for each in said if each.outbox == about.id] or said
    if not said:
        return heard.say("nothing_to_delete")
    take_back(uow, said[0], heard, "deleted")
    return deleted(uow, heard)


def _spoken(uow: UnitOfWork, heard: Heard) -> Feedback | None:
    channel, ts = heard.body.get("channel"), heard.body.get("ts")
    said = feedback.by_words(uow, str(channel), str(ts)) if channel and ts else None
    return said if said is not None and said.person == heard.person.id else None
