"""Somebody writes to us whom the CRM does not know: they are told so, and whom to ask; nothing of it is kept."""

from __future__ import annotations

from datetime import datetime

from bot.content.load import Content
from bot.content.wording import message as word
from bot.domain.messages import Message
from bot.domain.programme import Programme
from bot.services.hearing import name_of
from store import outbox
from store.database import UnitOfWork
from store.inbox import InboxRow
from store.outbox import NewMessage


def not_known(uow: UnitOfWork, content: Content, programme: Programme, now: datetime) -> Message:
    """That we cannot find them, and who can help."""
    values = {
        "crm": programme.crm_name,
        "lead": name_of(uow, programme.adoption_lead),
        "today": now.date(),
    }
    return word(content, "not_known", values, language=programme.language)


def answer_stranger(
    uow: UnitOfWork, row: InboxRow, content: Content, programme: Programme, now: datetime
) -> bool:
    """Queue that answer to a direct message, once a day. False when it is none, or was answered that day."""
    if row.user is None or row.name != "message" or not row.body.get("in_dm"):
        return False
    day = row.received_at.date()
    queued = outbox.add(
        uow,
        NewMessage(
            dedupe_key=f"not-known:{row.user}:{day.isoformat()}",
            message=not_known(uow, content, programme, now),
            address=row.user,
            created_at=now,
            due_at=now,
        ),
    )
    return queued is not None
