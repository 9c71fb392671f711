"""How a person's words are passed on: with their name, confidentially, or not at all. Asked before the first are kept."""

from __future__ import annotations

from bot.domain.feedback import DELETED, KEPT, MODES, UNSEEN_FOR, WAITING, Feedback
from bot.domain.messages import Message
from bot.services.hearing import Heard, Outcome, Show, behaviour_name, changed, refused, show_on, standing_in
from bot.services.record_feedback import ask_mode, noted
from store import barriers, feedback, people
from store.database import UnitOfWork

OUR_QUESTIONS = frozenset({"ask_mode", "noted", "words_deleted"})
"""Messages that say nothing else: the answer takes their place."""
MOST_NOTES = 10_000


def choose_mode(uow: UnitOfWork, heard: Heard) -> Outcome:
    """mode:named, mode:confidential, mode:drop. The choice holds from now on, and for everything that waits.

    Dropping is about the words: what stands in the person's way is theirs, and stays silent until they lift it.
    """
    said = _mine(uow, heard)
    if said is None:
        return refused("not-mine")
    if heard.choice == "drop":
        feedback.delete(uow, said.id)
        return Outcome("dropped", (_show(uow, heard, _dropped(uow, heard, said)),))
    if said.state == DELETED:
        return refused("gone", _show(uow, heard, heard.say("words_gone")))
    if heard.choice not in MODES:
        return refused("unknown-mode")
    if not (said.state == KEPT and said.mode == heard.choice):
        waiting = [each.id for each in feedback.waiting_of(uow, said.person)]
        feedback.choose_mode(
            uow, sorted({said.id, *waiting}), heard.choice, visible_at=heard.now + UNSEEN_FOR
        )
        people.change_preferences(uow, said.person, feedback_mode=heard.choice)
        people.mark_notice_read(uow, said.person, heard.now)
        said = feedback.get(uow, said.id) or said
    return Outcome(f"mode-{heard.choice}", (_show(uow, heard, noted(uow, heard, said)),))


def ask_again(uow: UnitOfWork, heard: Heard) -> Outcome:
    """feedback:change: who may see it, once more. Until the new choice the old one holds."""
    said = _mine(uow, heard)
    if said is None:
        return refused("not-mine")
    if said.state == DELETED:
        return refused("gone", _show(uow, heard, heard.say("words_gone")))
    return Outcome("asked-again", (_show(uow, heard, ask_mode(uow, heard, said)),))


def delete_feedback(uow: UnitOfWork, heard: Heard) -> Outcome:
    """feedback:delete: the words are gone, and what they opened is closed."""
    said = _mine(uow, heard)
    if said is None:
        return refused("not-mine")
    take_back(uow, said, heard, "deleted")
    return Outcome("deleted", (_show(uow, heard, deleted(uow, heard)),))


def delete_all(uow: UnitOfWork, heard: Heard) -> Outcome:
    """feedback:delete_all: everything they said and what it opened, pressed under what is left."""
    return Outcome("deleted-all", (_show(uow, heard, take_all_back(uow, heard)),))


def take_all_back(uow: UnitOfWork, heard: Heard) -> Message:
    """Delete every note of this person. How many there were, in words."""
    notes = notes_of(uow, heard)
    for each in notes:
        take_back(uow, each, heard, "deleted")
    return heard.say("words_all_deleted", count=len(notes)) if notes else heard.say("nothing_to_delete")


def notes_of(uow: UnitOfWork, heard: Heard) -> list[Feedback]:
    """What this person told us that others see, will see, or that waits; newest first.

    A button pressed without words ("Not for me", "Done") has no mode: it is a preference of theirs and no note.
    """
    said = feedback.of_person(uow, heard.person.id, MOST_NOTES)
    return [each for each in said if each.state == WAITING or each.mode is not None]


def deleted(uow: UnitOfWork, heard: Heard) -> Message:
    """That it is gone, and how much of theirs is still here."""
    return heard.say("words_deleted", value="all", others=len(notes_of(uow, heard)))


def take_back(uow: UnitOfWork, said: Feedback, heard: Heard, why: str) -> None:
    """Delete feedback and close the barrier that it opened."""
    feedback.delete(uow, said.id)
    barriers.close_of(uow, said.id, f"author-{why}", heard.now)


def _dropped(uow: UnitOfWork, heard: Heard, said: Feedback) -> Message:
    frozen = barriers.by_feedback(uow, said.id)
    if frozen is None or frozen.closed_at is not None:
        return heard.say("words_dropped")
    name = behaviour_name(heard, frozen.behaviour)
    return heard.say("words_dropped_still_silent", value=frozen.behaviour, behaviour=name)


def _mine(uow: UnitOfWork, heard: Heard) -> Feedback | None:
    said = feedback.get(uow, heard.value) if heard.value else None
    return said if said is not None and said.person == heard.person.id else None


def _show(uow: UnitOfWork, heard: Heard, after: Message) -> Show:
    """Where the choice was asked: under the message that it is about, or in the place of our own question."""
    row = standing_in(uow, heard)
    if row is not None and row.template not in OUR_QUESTIONS:
        return show_on(uow, heard, row, changed(row.message, after))
    return show_on(uow, heard, row, after)
