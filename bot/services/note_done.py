"""The person opened the record from our message, or says it is done."""

from __future__ import annotations

from bot.domain.feedback import DONE
from bot.domain.messages import REMINDER, TIP, Buttons, Message
from bot.services.hearing import Heard, Outcome, changed, clicked, refused, show_again, show_on
from bot.services.record_feedback import record
from store import outbox
from store.database import UnitOfWork
from store.outbox import OutboxRow


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


def done_in_words(uow: UnitOfWork, heard: Heard, about: OutboxRow | None) -> Message:
    """For "done", in the thread of a tip or after it: recorded as the button would be, seen by nobody else, and thanked for."""
    if about is None or about.kind not in (TIP, REMINDER):
        return heard.say("all_right")
    record(uow, heard, key=f"done:{about.id}", kind=DONE, about=about, silent=True)
    return heard.say("thanks_for_doing")


def _link(message: Message | None) -> str | None:
    """The deep link behind "do it now"."""
    rows = [part for part in message.parts if isinstance(part, Buttons)] if message is not None else []
    return next((button.url for row in rows for button in row.buttons if button.action == "tip:do"), None)
