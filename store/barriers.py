"""Barriers: what stands in a person's way. While one is open, messages on that behaviour are silent for them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from store.database import UnitOfWork
from store.statements import chunks, of_ids, select_by
from store.tables import barrier
from store.upsert import insert


@dataclass(frozen=True, slots=True)
class Barrier:
    """``type``: one of BARRIER_TYPES, None while nobody has said. ``feedback``: the feedback that reported it."""

    id: str
    person: str
    behaviour: str
    type: str | None
    owner: str | None
    feedback: str
    opened_at: datetime
    closed_at: datetime | None
    closed_why: str | None


def barrier_id(feedback_id: str) -> str:
    """One report opens one barrier, however often it is worked."""
    return "b" + hashlib.sha256(feedback_id.encode()).hexdigest()[:15]


def open_barrier(
    uow: UnitOfWork,
    *,
    person: str,
    behaviour: str,
    feedback: str,
    owner: str,
    at: datetime,
    type: str | None = None,  # noqa: A002 - the column's name
) -> str:
    """Open the barrier that a report speaks of; the same report opens it once. Returns its id."""
    values = {
        "id": barrier_id(feedback),
        "person": person,
        "behaviour": behaviour,
        "type": type,
        "owner": owner,
        "feedback": feedback,
        "opened_at": at,
    }
    uow.execute(insert(uow, barrier).values(values).on_conflict_do_nothing(index_elements=["id"]))
    return barrier_id(feedback)


def label(uow: UnitOfWork, feedback: str, barrier_type: str | None, owner: str) -> None:
    """What it is, as its author said, and who owns that."""
    uow.execute(
        sa.update(barrier).where(barrier.c.feedback == feedback).values(type=barrier_type, owner=owner)
    )


def close_of(uow: UnitOfWork, feedback: str, why: str, at: datetime) -> bool:
    """Close what this feedback opened, if it is open."""
    done = uow.execute(
        sa.update(barrier)
        .where(barrier.c.feedback == feedback, barrier.c.closed_at.is_(None))
        .values(closed_at=at, closed_why=why)
    )
    return done.rowcount > 0


def close_on(uow: UnitOfWork, person: str, behaviour: str, why: str, at: datetime) -> bool:
    """Close whatever is open of this person on that behaviour."""
    done = uow.execute(
        sa.update(barrier)
        .where(barrier.c.person == person, barrier.c.behaviour == behaviour, barrier.c.closed_at.is_(None))
        .values(closed_at=at, closed_why=why)
    )
    return done.rowcount > 0


def open_for(uow: UnitOfWork, person_ids: Sequence[str] | None) -> dict[str, frozenset[str]]:
    """Behaviours that are frozen, by person; people without any are absent. None: everybody."""
    rows = (
        uow.rows(_open())
        if person_ids is None
        else [
            row
            for chunk in chunks(person_ids)
            for row in uow.rows(of_ids(_open(), barrier.c.person), {"ids": chunk})
        ]
    )
    frozen: dict[str, set[str]] = {}
    for row in rows:
        frozen.setdefault(row.person, set()).add(row.behaviour)
    return {person: frozenset(behaviours) for person, behaviours in frozen.items()}


@cache
def _open() -> sa.Select[Any]:
    return sa.select(barrier.c.person, barrier.c.behaviour).where(barrier.c.closed_at.is_(None))


def of_person(uow: UnitOfWork, person: str) -> list[Barrier]:
    """Every barrier of a person, newest first."""
    query = sa.select(barrier).where(barrier.c.person == person).order_by(barrier.c.opened_at.desc())
    return [_read(row) for row in uow.rows(query)]


def by_feedback(uow: UnitOfWork, feedback: str) -> Barrier | None:
    """The barrier that this feedback reported."""
    row = uow.one(select_by(barrier.c.feedback), {"which": feedback})
    return None if row is None else _read(row)


def _read(row: sa.Row[tuple[object, ...]]) -> Barrier:
    return Barrier(**{column.name: getattr(row, column.name) for column in barrier.columns})
