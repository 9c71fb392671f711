"""Something's in the way: that behaviour falls silent for this person at once, and what it is gets an owner."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.feedback import BLOCKED, DELETED, WAITING, Feedback
from bot.domain.messages import REMINDER, TIP, Button, Buttons, Message, Paragraph
from bot.domain.programme import BARRIER_TYPES
from bot.services.hearing import Heard, Outcome, behaviour_name, changed, clicked, refused, show_on
from bot.services.record_feedback import ask_mode, noted, record
from store import barriers, feedback, outbox
from store.database import UnitOfWork
from store.outbox import OutboxRow

SUGGESTED = {
    "past_close_date": ("data", "time", "process"),
    "no_next_step": ("time", "process", "skill"),
    "no_activity": ("time", "system", "process"),
    "stuck_step": ("process", "policy", "data"),
    "missing_amount": ("data", "policy", "process"),
    "missing_account": ("data", "system", "process"),
    "open_long": ("process", "policy", "data"),
    "first_weeks": ("skill", "time", "system"),
}
"""Three likely reasons by trigger; "something else" and words are always there too."""
USUALLY = ("time", "process", "data")


def ask_what(uow: UnitOfWork, heard: Heard) -> Outcome:
    """tip:blocked: the freeze holds from this press on, whether or not the person goes on to say what it is."""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    said = _report(uow, heard, row)
    if said.state == DELETED:
        return refused("gone", show_on(uow, heard, row, changed(row.message, heard.say("words_gone"))))
    if said.barrier_type is not None:
        return refused("pressed-before", show_on(uow, heard, row, _settled(uow, heard, row, said)))
    return Outcome("blocked", (show_on(uow, heard, row, _question(heard, row, said)),))


def say_what(uow: UnitOfWork, heard: Heard) -> Outcome:
    """blocked:<barrier type>, blocked:other: whose it is to remove."""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    if heard.choice != "other" and heard.choice not in BARRIER_TYPES:
        return refused("unknown-barrier")
    said = _report(uow, heard, row)
    if said.state == DELETED:
        return refused("gone", show_on(uow, heard, row, changed(row.message, heard.say("words_gone"))))
    kind = None if heard.choice == "other" else heard.choice
    lead = heard.programme.adoption_lead
    owner = heard.programme.owners.get(kind, lead) if kind else lead
    feedback.label(uow, said.id, kind, owner)
    barriers.label(uow, said.id, kind, owner)
    said = replace(said, barrier_type=kind, owner=owner)
    return Outcome(f"blocked-{heard.choice}", (show_on(uow, heard, row, _settled(uow, heard, row, said)),))


def _report(uow: UnitOfWork, heard: Heard, row: OutboxRow) -> Feedback:
    """One report a message: the feedback, and the open barrier that freezes the behaviour."""
    outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    said = record(uow, heard, key=f"blocked:{row.id}", kind=BLOCKED, about=row)
    if row.behaviour is not None and said.state != DELETED:
        barriers.open_barrier(
            uow,
            person=heard.person.id,
            behaviour=row.behaviour,
            feedback=said.id,
            owner=said.owner or heard.programme.adoption_lead,
            at=heard.now,
            type=said.barrier_type,
        )
        outbox.withdraw(
            uow, heard.person.id, "barrier-open", heard.now, kinds=(TIP, REMINDER), behaviour=row.behaviour
        )
    return said


def _question(heard: Heard, row: OutboxRow, said: Feedback) -> Message:
    """What is it? Three suggestions, something else, or words."""
    asked = heard.say(
        "after_blocked_ask", value=row.id, behaviour=behaviour_name(heard, row.behaviour), feedback=said.id
    )
    kinds = SUGGESTED.get(said.trigger or "", USUALLY)
    suggestions = tuple(Button(f"blocked:{kind}", heard.text(f"barrier_{kind}"), row.id) for kind in kinds)
    parts = tuple(
        Buttons((*suggestions, *part.buttons), part.menu) if isinstance(part, Buttons) else part
        for part in asked.parts
    )
    return changed(row.message, replace(asked, parts=parts))


def _settled(uow: UnitOfWork, heard: Heard, row: OutboxRow, said: Feedback) -> Message:
    """The choice of how to pass it on, or, where that is known, what was noted."""
    after = (
        ask_mode(uow, heard, said, "after_blocked_mode") if said.state == WAITING else noted(uow, heard, said)
    )
    if said.barrier_type is None:
        words = heard.text("blocked_in_your_words")
        after = replace(after, text=f"{words}\n{after.text}", parts=(Paragraph(words), *after.parts))
    return changed(row.message, after)
