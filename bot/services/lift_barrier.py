"""Ask me again: what stood in the way is gone, or never was. The freeze belongs to the person, and only they lift it here."""

from __future__ import annotations

from bot.domain.messages import Button
from bot.services.hearing import Heard, Outcome, behaviour_name, beneath, refused, show_on, standing_in
from store import barriers, outbox
from store.database import UnitOfWork

ACTION = "me:lift"
"""Value: the behaviour."""


def lift_barrier(uow: UnitOfWork, heard: Heard) -> Outcome:
    """me:lift. Every barrier of theirs on that behaviour is closed; their words, if any were kept, stay."""
    row = standing_in(uow, heard)
    if row is not None:
        outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    after = heard.say("after_lift", behaviour=behaviour_name(heard, heard.value))
    show = show_on(uow, heard, row, beneath(row, after))
    if not barriers.close_on(uow, heard.person.id, heard.value, "lifted-by-person", heard.now):
        return refused("not-frozen", show)
    return Outcome("lifted", (show,))


def lift_button(heard: Heard, behaviour: str) -> Button:
    """The button for one behaviour."""
    return Button(ACTION, heard.text("lift", behaviour=behaviour_name(heard, behaviour)), behaviour)
