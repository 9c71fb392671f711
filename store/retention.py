"""What is kept only so long (how long: bot/services/forget_expired.py). Raw usage is :mod:`store.usage`'s own."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa

from store.database import UnitOfWork
from store.inbox import DEAD
from store.statements import chunks
from store.tables import (
    barrier,
    decision,
    feedback,
    hold,
    inbox,
    metadata,
    outbox,
    person,
    person_stage,
    person_week,
)


def forget_words(uow: UnitOfWork, before: datetime) -> int:
    """Delete feedback from before then, and barriers that were closed before then; an open one is still in force."""
    uow.execute(sa.delete(barrier).where(barrier.c.closed_at < before))
    return uow.execute(sa.delete(feedback).where(feedback.c.created_at < before)).rowcount


def forget_weeks(uow: UnitOfWork, before: date) -> int:
    """Delete person-weeks that began before then."""
    return uow.execute(sa.delete(person_week).where(person_week.c.week < before)).rowcount


def forget_decisions(uow: UnitOfWork, before: datetime) -> int:
    """Delete decisions from before then; their effect has long been counted."""
    return uow.execute(sa.delete(decision).where(decision.c.at < before)).rowcount


def forget_features(uow: UnitOfWork, before: date) -> int:
    """Blank what stages of weeks before then were decided on, which is usage; the stage itself stays."""
    old = sa.and_(
        person_stage.c.week < before, sa.or_(person_stage.c.features != {}, person_stage.c.facts != [])
    )
    return uow.execute(sa.update(person_stage).where(old).values(features={}, facts=[])).rowcount


def forget_stages(uow: UnitOfWork, before: date) -> int:
    """Delete stages of weeks before then."""
    return uow.execute(sa.delete(person_stage).where(person_stage.c.week < before)).rowcount


def forget_sent(uow: UnitOfWork, before: datetime) -> int:
    """Delete messages queued before then, and every time one was held."""
    uow.execute(sa.delete(hold).where(hold.c.at < before))
    return uow.execute(sa.delete(outbox).where(outbox.c.created_at < before)).rowcount


def forget_envelopes(uow: UnitOfWork, before: datetime, dead_before: datetime) -> int:
    """Delete settled envelopes (their bodies were blanked at once) that Slack can no longer send again.

    Dead ones hold words that were never worked: they wait for ``fullsteam inbox revive`` as long as words are kept.
    """
    settled = sa.and_(inbox.c.settled_at < before, inbox.c.state != DEAD)
    dead = sa.and_(inbox.c.settled_at < dead_before, inbox.c.state == DEAD)
    return uow.execute(sa.delete(inbox).where(sa.or_(settled, dead))).rowcount


def forget_leavers(uow: UnitOfWork, before: datetime) -> int:
    """Delete whom the CRM last listed before then and no longer does, with everything that is tied to them."""
    query = sa.select(person.c.id).where(sa.not_(person.c.active), person.c.seen_at < before)
    gone = [row.id for row in uow.rows(query)]
    tied = [table.c.person for table in reversed(metadata.sorted_tables) if "person" in table.c]
    for chunk in chunks(gone):
        for column in (*tied, person.c.id):
            uow.execute(sa.delete(column.table).where(column.in_(chunk)))
    return len(gone)
