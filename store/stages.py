"""Adoption stages of people, one row a person and week: where they stand, why, and the features behind it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.domain.adoption import Fact, StageState
from store.database import UnitOfWork
from store.statements import chunks, select_by
from store.tables import person, person_stage
from store.upsert import upsert


@dataclass(frozen=True, slots=True)
class StageRow:
    """The stage of a person after the week that starts on ``week``. ``features``: WeekFeatures as JSON."""

    person: str
    week: date
    state: StageState
    features: Mapping[str, Any] = field(default_factory=dict)


def current(uow: UnitOfWork, ids: Collection[str] | None) -> dict[str, StageState]:
    """The stage that is in force, by person; people who were never assessed are absent. None: everybody."""
    return {each: row.state for each, row in latest(uow, ids).items()}


def latest(uow: UnitOfWork, ids: Collection[str] | None) -> dict[str, StageRow]:
    """The newest row of each person."""
    found: dict[str, StageRow] = {}
    if ids is None:
        return {row.person: _read(row) for row in uow.rows(_latest(everybody=True))}
    for chunk in chunks(ids):
        rows = uow.rows(_latest(everybody=False), {"ids": chunk})
        found |= {row.person: _read(row) for row in rows}
    return found


@cache
def _latest(*, everybody: bool) -> sa.Select[Any]:
    weeks = sa.select(person_stage.c.person, sa.func.max(person_stage.c.week).label("week"))
    if not everybody:
        weeks = weeks.where(person_stage.c.person.in_(sa.bindparam("ids", expanding=True)))
    last = weeks.group_by(person_stage.c.person).subquery()
    newest = sa.and_(person_stage.c.person == last.c.person, person_stage.c.week == last.c.week)
    return sa.select(person_stage).join(last, newest)


def of_person(uow: UnitOfWork, person_id: str, limit: int = 60) -> tuple[StageRow, ...]:
    """The weeks of one person, newest first."""
    return tuple(_read(row) for row in uow.rows(_of_person(), {"which": person_id, "most": limit}))


@cache
def _of_person() -> sa.Select[Any]:
    newest = select_by(person_stage.c.person).order_by(person_stage.c.week.desc())
    return newest.limit(sa.bindparam("most"))


def features_since(uow: UnitOfWork, week: date) -> dict[str, dict[date, Mapping[str, Any]]]:
    """The features behind the stages from that week on, by person and week, oldest first."""
    found: dict[str, dict[date, Mapping[str, Any]]] = {}
    for row in uow.rows(_features(), {"since": week}):
        found.setdefault(row.person, {})[row.week] = row.features
    return found


@cache
def _features() -> sa.Select[Any]:
    columns = (person_stage.c.person, person_stage.c.week, person_stage.c.features)
    recent = sa.select(*columns).where(person_stage.c.week >= sa.bindparam("since"))
    return recent.order_by(person_stage.c.week)


def behind(uow: UnitOfWork, source: str, week: date) -> dict[str, date | None]:
    """Active people of a source who are not assessed up to ``week`` yet -> their last assessed week, if any."""
    last = (
        sa.select(person_stage.c.person, sa.func.max(person_stage.c.week).label("week"))
        .group_by(person_stage.c.person)
        .subquery()
    )
    query = (
        sa.select(person.c.id, last.c.week)
        .select_from(person.outerjoin(last, last.c.person == person.c.id))
        .where(person.c.source == source, person.c.active, sa.or_(last.c.week.is_(None), last.c.week < week))
        .order_by(person.c.id)
    )
    return {row.id: row.week for row in uow.rows(query)}


def keep(uow: UnitOfWork, rows: Sequence[StageRow], now: datetime) -> None:
    """Write stages. The same week again takes the place of the row before."""
    upsert(
        uow,
        person_stage,
        [
            {
                "person": row.person,
                "week": row.week,
                "stage": row.state.stage,
                "since": row.state.since,
                "passes": row.state.passes,
                "fails": row.state.fails,
                "total": row.state.total,
                "confidence": row.state.confidence,
                "facts": [[fact.key, dict(fact.values)] for fact in row.state.facts],
                "features": dict(row.features),
                "version": row.state.version,
                "decided_at": now,
            }
            for row in rows
        ],
    )


def _read(row: sa.Row[Any]) -> StageRow:
    state = StageState(
        row.stage,
        row.since,
        row.passes,
        row.fails,
        row.total,
        row.confidence,
        tuple(Fact(key, values) for key, values in row.facts),
        row.version,
    )
    return StageRow(row.person, row.week, state, row.features)
