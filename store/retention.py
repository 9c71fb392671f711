"""What is kept only so long (product/evidence.md, last table; design.md §4). Raw usage is :mod:`store.usage`'s own."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa

from bot.domain.feedback import DELETED
from store.database import UnitOfWork
from store.tables import decision, feedback, inbox, person_week


def forget_words(uow: UnitOfWork, before: datetime) -> int:
    """Delete the words of feedback from before then; that it was given, of what kind and on what, stays in the counts."""
    return uow.execute(
        sa.update(feedback)
        .where(feedback.c.created_at < before, feedback.c.text != "")
        .values(text="", state=DELETED)
    ).rowcount


def forget_weeks(uow: UnitOfWork, before: date) -> int:
    """Delete person-weeks that began before then."""
    return uow.execute(sa.delete(person_week).where(person_week.c.week < before)).rowcount


def forget_decisions(uow: UnitOfWork, before: datetime) -> int:
    """Delete decisions from before then; their effect has long been counted."""
    return uow.execute(sa.delete(decision).where(decision.c.at < before)).rowcount


def forget_envelopes(uow: UnitOfWork, before: datetime) -> int:
    """Delete settled envelopes (their bodies were blanked at once) that Slack can no longer send again."""
    return uow.execute(sa.delete(inbox).where(inbox.c.settled_at < before)).rowcount
