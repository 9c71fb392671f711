"""Slots: the next decision point of each person, one row a person. A slot that is due is a decision to make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.domain.nudging import SLOT
from bot.domain.people import MATCHED
from store.database import UnitOfWork
from store.statements import chunks, of_ids
from store.tables import person, slot
from store.upsert import upsert


@dataclass(frozen=True, slots=True)
class Slot:
    """When a person's next decision is due (UTC), and what opens it: ``slot`` or the name of an event."""

    person: str
    next_at: datetime
    point: str = SLOT


def due(uow: UnitOfWork, now: datetime, limit: int, people: Sequence[str] | None = None) -> tuple[Slot, ...]:
    """Up to ``limit`` slots that are due, longest overdue first. ``people``: only theirs."""
    query, parameters = _due(), {"now": now, "most": limit}
    if people is not None:
        query, parameters = of_ids(query, slot.c.person), {**parameters, "ids": list(people)}
    return tuple(Slot(row.person, row.next_at, row.point) for row in uow.rows(query, parameters))


@cache
def _due() -> sa.Select[Any]:
    due = sa.select(slot).where(slot.c.next_at <= sa.bindparam("now"))
    return due.order_by(slot.c.next_at, slot.c.person).limit(sa.bindparam("most"))


def of(uow: UnitOfWork, person_ids: Sequence[str] | None, *, lock: bool = False) -> dict[str, Slot]:
    """Slots by person; people without one are absent. None: everybody.

    ``lock``: until the end of this unit of work nobody else moves them (PostgreSQL; on SQLite there is one writer).
    """
    query = _of(lock=lock)
    if person_ids is None:
        return _by_person(uow.rows(query))
    found: dict[str, Slot] = {}
    for chunk in chunks(person_ids):
        found |= _by_person(uow.rows(of_ids(query, slot.c.person), {"ids": chunk}))
    return found


@cache
def _of(*, lock: bool) -> sa.Select[Any]:
    query = sa.select(slot).order_by(slot.c.person)
    return query.with_for_update() if lock else query


def _by_person(rows: Sequence[sa.Row[Any]]) -> dict[str, Slot]:
    return {row.person: Slot(row.person, row.next_at, row.point) for row in rows}


def without(uow: UnitOfWork) -> tuple[str, ...]:
    """People who may be written to (active, matched, in a pilot team) and have no slot yet."""
    return tuple(row.id for row in uow.rows(_newcomers_in_order()))


@cache
def _newcomers_in_order() -> sa.Select[Any]:
    return newcomers().order_by(person.c.id)


@cache
def newcomers() -> sa.Select[Any]:
    """The ids of :func:`without`, as a query."""
    return (
        sa.select(person.c.id)
        .select_from(person.outerjoin(slot, slot.c.person == person.c.id))
        .where(slot.c.person.is_(None), person.c.active, person.c.pilot, person.c.match == MATCHED)
    )


def keep(uow: UnitOfWork, slots: Sequence[Slot]) -> None:
    """Write slots, each in place of the one before."""
    upsert(
        uow,
        slot,
        [{"person": each.person, "next_at": each.next_at, "point": each.point} for each in slots],
    )


def bring_forward(uow: UnitOfWork, person_id: str, at: datetime, point: str) -> None:
    """An event opens a decision point: the person's slot is due at ``at``, for ``point`` (e.g. nudging.GOAL_CHOSEN)."""
    keep(uow, (Slot(person_id, at, point),))


def drop(uow: UnitOfWork, person_ids: Sequence[str]) -> None:
    """Nobody may write to these people any more: no decision points."""
    for chunk in chunks(person_ids):
        uow.execute(sa.delete(slot).where(slot.c.person.in_(chunk)))


def next_due(uow: UnitOfWork) -> datetime | None:
    """When the earliest decision is due; None without any slot."""
    found: datetime | None = uow.execute(earliest()).scalar()
    return found


@cache
def earliest() -> sa.Select[Any]:
    """What :func:`next_due` asks, as a query."""
    return sa.select(slot.c.next_at).order_by(slot.c.next_at).limit(1)
