"""Words whose author never said how to pass them on are deleted after seven days, with a word to the author.

Only the words: a behaviour that stands still because something is in the way stays so until the person lifts it.
"""

from __future__ import annotations

from datetime import datetime

from bot.content.load import Content
from bot.content.wording import message as word
from bot.domain.feedback import UNCONFIRMED_FOR
from bot.domain.programme import Programme
from store import barriers, feedback, outbox, people
from store.database import Database, UnitOfWork
from store.outbox import NewMessage


async def drop_unconfirmed(
    database: Database, *, content: Content, programme: Programme, now: datetime
) -> datetime | None:
    """Job: delete what has waited too long. Returns when the next one is due, None when nothing waits."""
    due = await database.read(next_drop)
    if due is None or due > now:
        return due
    return await database.write(_drop, content, programme, now)


def next_drop(uow: UnitOfWork) -> datetime | None:
    """When the oldest words that wait for their author have waited too long; None when nothing waits."""
    oldest = feedback.oldest_waiting(uow)
    return None if oldest is None else oldest + UNCONFIRMED_FOR


def _drop(uow: UnitOfWork, content: Content, programme: Programme, now: datetime) -> datetime | None:
    late = feedback.unconfirmed(uow, now - UNCONFIRMED_FOR)
    known = people.get(uow, sorted({said.person for said in late})) if late else {}
    for said in late:
        feedback.delete(uow, said.id)
        frozen = barriers.by_feedback(uow, said.id)
        silent = frozen is not None and frozen.closed_at is None
        person = known.get(said.person)
        if person is None or person.slack_id is None:
            continue
        behaviour = content.behaviours.get(said.behaviour or "") or programme.behaviours.get(
            said.behaviour or ""
        )
        values = {
            "today": now.date(),
            "crm": programme.crm_name,
            "behaviour": behaviour.name_in(person.language) if behaviour is not None else "",
        }
        key = "barrier_unconfirmed" if silent else "words_unconfirmed"
        outbox.add(
            uow,
            NewMessage(
                dedupe_key=f"unconfirmed:{said.id}",
                message=word(content, key, values, language=person.language, value=said.behaviour or ""),
                address=person.slack_id,
                created_at=now,
                due_at=now,
                person=person.id,
                behaviour=said.behaviour,
            ),
        )
    return next_drop(uow)
