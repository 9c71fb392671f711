"""``/fullsteam desk``: what people said, for those who may read it, privately in Slack. Each look is in the audit log.

It shows what has been released already and releases nothing: the answer to a command only reads.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.content.load import Content
from bot.content.wording import message as word
from bot.domain.intents import fold
from bot.domain.messages import Message, RecordLine
from bot.domain.people import Person
from bot.domain.programme import Programme
from bot.services.export_feedback import readable
from bot.services.hearing import Outcome
from store import audit, people
from store.database import UnitOfWork
from store.inbox import InboxRow

WORDS = frozenset({"desk", "inbox", "pult", "bureau", "mesa"})
SHOWN = 10
"""What fits a private answer; the rest is counted."""


def asks_for_desk(text: str) -> bool:
    """Whether these are the words behind the command."""
    return fold(text.strip()) in WORDS


def reader_of(uow: UnitOfWork, slack_id: str | None, programme: Programme) -> str | None:
    """The e-mail address of a Slack user who has a desk, with or without a seat in the CRM; None for all others.

    The adoption lead and the owners of barriers: those whom people are told about before they speak. The privacy officer
    looks at who looked (`fullsteam audit`), and exports with a row in that log.
    """
    account = people.slack_users(uow, [slack_id]).get(slack_id) if slack_id else None
    if account is None or not account.email or account.deleted:
        return None
    desks = {programme.adoption_lead.casefold(), *(owner.casefold() for owner in programme.owners.values())}
    return account.email if account.email.casefold() in desks else None


def show_desk(
    uow: UnitOfWork, reader: str, content: Content, programme: Programme, now: datetime, person: Person | None
) -> Message:
    """The newest first, in the mode that each author chose: confidential ones without name, day or order."""
    rows = readable(uow, reader, programme, now)
    newest = list(reversed(rows))[:SHOWN]
    language = person.language if person is not None else programme.language

    def text(key: str, **values: object) -> str:
        return word(content, key, {"today": now.date(), **values}, language=language).text

    lines = []
    for row in newest:
        behaviour = content.behaviours.get(row.behaviour)
        lines.append(
            RecordLine(
                f"“{row.text}”" if row.text else text("desk_no_words"),
                text(
                    "desk_line",
                    name=row.name,
                    team=row.team,
                    behaviour=behaviour.name_in(language) if behaviour is not None else "",
                    type=text(f"barrier_{row.barrier}") if row.barrier else "",
                    day=row.day,
                    named=bool(row.name),
                ),
            )
        )
    values: dict[str, Any] = {"lines": lines, "more": max(0, len(rows) - SHOWN), "count": len(rows)}
    return word(content, "desk", {**values, "today": now.date()}, language=language)


def note_desk(uow: UnitOfWork, row: InboxRow, reader: str, programme: Programme, now: datetime) -> Outcome:
    """Remember who looked, from the inbox row."""
    count = len(readable(uow, reader, programme, row.received_at))
    audit.append(uow, now, reader.casefold(), "feedback-read", "feedback", {"rows": min(count, SHOWN)})
    return Outcome("command-desk")


def note_refused(uow: UnitOfWork, row: InboxRow, now: datetime) -> None:
    """Remember that somebody without the right asked, as refused exports are remembered."""
    audit.append(uow, now, str(row.user), "feedback-read-refused", "feedback", {})
