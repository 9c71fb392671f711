"""The person opened the record from our message, or says it is done."""

from __future__ import annotations

from bot.domain.feedback import DONE
from bot.domain.messages import Buttons, Message
from bot.services.hearing import Heard, Outcome, changed, clicked, refused, show_again, show_on
from bot.services.record_feedback import record
from store import outbox
from store.database import UnitOfWork


def note_done(uow: UnitOfWork, heard: Heard) -> Outcome:
    """tip:do. A link button sends its click too; Slack opens the link whatever we answer."""
    row = clicked(uow, heard)
    if row is None:
        return refused("no-message")
    if row.reaction == heard.row.name:
        return show_again(uow, heard, row)
    outbox.record_reaction(uow, row.id, heard.row.name, heard.now)
    record(uow, heard, key=f"done:{row.id}", kind=DONE, about=row, silent=True)
    after = heard.say(
        "after_done",
        value=row.id,
        day=heard.today,
        time=heard.clock(heard.now),
        opened=_link(row.message) is not None,
        link=_link(row.message) or "",
    )
    return Outcome("done", (show_on(uow, heard, row, changed(row.message, after)),))


def _link(message: Message | None) -> str | None:
    """The deep link behind "do it now"."""
    rows = [part for part in message.parts if isinstance(part, Buttons)] if message is not None else []
    return next((button.url for row in rows for button in row.buttons if button.action == "tip:do"), None)
