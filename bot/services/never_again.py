"""Not for me: that tip never again, and for this person only."""

from __future__ import annotations

from bot.domain.feedback import NOT_FOR_ME
from bot.domain.messages import REMINDER, TIP
from bot.services.hearing import Heard, Outcome, changed, clicked, refused, show_again, show_on
from bot.services.record_feedback import record
from store import outbox, people
from store.database import UnitOfWork


def never_again(uow: UnitOfWork, heard: Heard) -> Outcome:
    """tip:not_for_me."""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    chosen = people.preferences(uow, [heard.person.id])[heard.person.id]
    if row.template in chosen.tips_never and row.shown is not None:
        return show_again(uow, heard, row)
    outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    people.change_preferences(uow, heard.person.id, tips_never=chosen.tips_never | {row.template})
    outbox.withdraw(
        uow, heard.person.id, "not-for-me", heard.now, kinds=(TIP, REMINDER), template=row.template
    )
    record(uow, heard, key=f"never:{row.id}", kind=NOT_FOR_ME, about=row, silent=True)
    after = heard.say("after_never", value=row.id)
    return Outcome("never-again", (show_on(uow, heard, row, changed(row.message, after)),))
