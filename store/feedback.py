"""What people said, with the message, the behaviour and the stage it belongs to. Words that are deleted are gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.domain.feedback import CONFIDENTIAL, DELETED, KEPT, NAMED, WAITING, Feedback
from store.database import UnitOfWork
from store.statements import chunks, of_ids, select_by, update_by
from store.tables import feedback
from store.upsert import inserting

_COLUMNS = [column.name for column in feedback.columns]


def add(uow: UnitOfWork, said: Feedback) -> bool:
    """Write it. False when something with its key is there already."""
    values = {name: getattr(said, name) for name in _COLUMNS}
    return uow.one(_insert_once(uow.dialect), values) is not None


@cache
def _insert_once(dialect: str) -> sa.Executable:
    return (
        inserting(dialect, feedback).on_conflict_do_nothing(index_elements=["key"]).returning(feedback.c.id)
    )


def get(uow: UnitOfWork, feedback_id: str) -> Feedback | None:
    """One thing that was said, deleted or not."""
    row = uow.one(select_by(feedback.c.id), {"which": feedback_id})
    return None if row is None else _read(row)


def by_words(uow: UnitOfWork, channel: str, ts: str) -> Feedback | None:
    """The feedback that a Slack message became."""
    row = uow.one(_by_words(), {"which": ts, "channel": channel})
    return None if row is None else _read(row)


@cache
def _by_words() -> sa.Select[Any]:
    return select_by(feedback.c.ts).where(feedback.c.channel == sa.bindparam("channel"))


def by_message(uow: UnitOfWork, outbox: str, kind: str) -> Feedback | None:
    """The newest feedback of this kind on one of our messages that is not deleted."""
    row = uow.one(_by_message(), {"which": outbox, "kind": kind})
    return None if row is None else _read(row)


@cache
def _by_message() -> sa.Select[Any]:
    said = select_by(feedback.c.outbox).where(
        feedback.c.kind == sa.bindparam("kind"), feedback.c.state != DELETED
    )
    return said.order_by(feedback.c.created_at.desc(), feedback.c.id).limit(1)


def of_person(uow: UnitOfWork, person: str, limit: int = 50) -> list[Feedback]:
    """What a person said, newest first, without what they deleted. For that person only."""
    return [_read(row) for row in uow.rows(_of_person(), {"which": person, "most": limit})]


@cache
def _of_person() -> sa.Select[Any]:
    said = select_by(feedback.c.person).where(feedback.c.state != DELETED)
    return said.order_by(feedback.c.created_at.desc()).limit(sa.bindparam("most"))


def latest(uow: UnitOfWork, ids: Collection[str]) -> dict[str, tuple[str, datetime]]:
    """Kind and time of what each of these people said or pressed last, without what they deleted."""
    found: dict[str, tuple[str, datetime]] = {}
    for chunk in chunks(ids):
        rows = uow.rows(of_ids(_latest(), feedback.c.person), {"ids": chunk})
        found |= {row.person: (row.kind, row.created_at) for row in rows}
    return found


@cache
def _latest() -> sa.Select[Any]:
    """Oldest first, so that the last of a person wins."""
    columns = (feedback.c.person, feedback.c.kind, feedback.c.created_at)
    return sa.select(*columns).where(feedback.c.state != DELETED).order_by(feedback.c.created_at)


def waiting_of(uow: UnitOfWork, person: str) -> list[Feedback]:
    """What waits for this person's word on how to pass it on, oldest first."""
    return [_read(row) for row in uow.rows(_waiting_of(), {"which": person})]


@cache
def _waiting_of() -> sa.Select[Any]:
    waiting = select_by(feedback.c.person).where(feedback.c.state == WAITING)
    return waiting.order_by(feedback.c.created_at)


def unconfirmed(uow: UnitOfWork, before: datetime, limit: int = 500) -> list[Feedback]:
    """What has waited for its author since ``before`` or longer."""
    query = sa.select(feedback).where(feedback.c.state == WAITING, feedback.c.created_at <= before)
    return [_read(row) for row in uow.rows(query.order_by(feedback.c.created_at).limit(limit))]


def oldest_waiting(uow: UnitOfWork) -> datetime | None:
    """When the oldest waiting words were said."""
    instant: datetime | None = uow.execute(earliest_waiting()).scalar_one()
    return instant


@cache
def earliest_waiting() -> sa.Select[Any]:
    """What :func:`oldest_waiting` asks, as a query."""
    return sa.select(sa.func.min(feedback.c.created_at)).where(feedback.c.state == WAITING)


def choose_mode(uow: UnitOfWork, ids: Sequence[str], mode: str, visible_at: datetime) -> None:
    """The author has read who will see it and chose: kept from now on, seen by others from ``visible_at``."""
    uow.execute(
        sa.update(feedback)
        .where(feedback.c.id.in_(ids), feedback.c.state != DELETED)
        .values(mode=mode, state=KEPT, visible_at=visible_at, released_at=None)
    )


def label(uow: UnitOfWork, feedback_id: str, barrier_type: str | None, owner: str) -> None:
    """What stands in the way, as the author said, and who owns that."""
    uow.execute(
        update_by(feedback.c.id), {"which": feedback_id, "barrier_type": barrier_type, "owner": owner}
    )


def change_text(uow: UnitOfWork, feedback_id: str, text: str, visible_at: datetime) -> None:
    """The author edited their words: the new ones count, and are unseen until ``visible_at``, or their release, again."""
    uow.execute(
        sa.update(feedback)
        .where(feedback.c.id == feedback_id, feedback.c.state != DELETED)
        .values(text=text, visible_at=visible_at, released_at=None)
    )


def delete(uow: UnitOfWork, feedback_id: str) -> bool:
    """Blank the words and whatever was said with them. False when there was nothing left to delete.

    The row stays, so that the same envelope does not bring it back.
    """
    done = uow.execute(
        sa.update(feedback)
        .where(feedback.c.id == feedback_id, feedback.c.state != DELETED)
        .values(state=DELETED, text="", barrier_type=None, owner=None, mode=None)
    )
    return done.rowcount == 1


def visible(
    uow: UnitOfWork, now: datetime, *, since: datetime | None = None, owner: str | None = None
) -> list[Feedback]:
    """What others than the author may see at ``now``, oldest first: kept, and named and ten minutes old, or released.

    ``owner``: only what this e-mail address owns. Who may see name or stage is the caller's to decide.
    """
    query = sa.select(feedback).where(
        feedback.c.state == KEPT,
        feedback.c.visible_at <= now,
        sa.or_(
            feedback.c.mode == NAMED,
            sa.and_(feedback.c.mode == CONFIDENTIAL, feedback.c.released_at.is_not(None)),
        ),
    )
    if since is not None:
        query = query.where(feedback.c.created_at >= since)
    if owner is not None:
        query = query.where(feedback.c.owner == owner)
    return [_read(row) for row in uow.rows(query.order_by(feedback.c.created_at, feedback.c.id))]


def unreleased(uow: UnitOfWork, before: datetime, now: datetime) -> list[Feedback]:
    """Confidential words said before then that nobody else has seen, oldest first; those of the last minutes are not among them."""
    query = sa.select(feedback).where(
        feedback.c.state == KEPT,
        feedback.c.mode == CONFIDENTIAL,
        feedback.c.released_at.is_(None),
        feedback.c.created_at < before,
        feedback.c.visible_at <= now,
    )
    return [_read(row) for row in uow.rows(query.order_by(feedback.c.created_at, feedback.c.id))]


def release(
    uow: UnitOfWork, feedback_id: str, at: datetime, *, with_team: bool, with_behaviour: bool
) -> None:
    """Others may read it from now on, with or without the team and the behaviour beside it."""
    uow.execute(
        sa.update(feedback)
        .where(feedback.c.id == feedback_id)
        .values(released_at=at, with_team=with_team, with_behaviour=with_behaviour)
    )


def count(uow: UnitOfWork) -> int:
    """How many things were said and not deleted."""
    number: int = uow.execute(
        sa.select(sa.func.count()).select_from(feedback).where(feedback.c.state != DELETED)
    ).scalar_one()
    return number


def _read(row: sa.Row[tuple[object, ...]]) -> Feedback:
    return Feedback(**{name: getattr(row, name) for name in _COLUMNS})
