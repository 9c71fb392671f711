"""Decisions: one row for each decision point, also for "none", with its reason (docs/decisions/0015)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.domain.feedback import DELETED, NOT_FOR_ME
from bot.domain.messages import TIP
from bot.domain.nudging import NONE, REST_DAYS, SAME_TEXT_DAYS, History
from bot.domain.usage import CoverageStatus
from store.database import UnitOfWork
from store.statements import chunks, of_ids, select_by
from store.tables import coverage, decision, feedback, outbox
from store.upsert import inserting

OUTCOMES = {"72h": 3, "7d": 7, "28d": 28}
"""Outcome windows in days, the local day of the decision included: the day is the finest grain of usage."""


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision as it is kept. ``context``: the state it was made in, and what its outcome is measured on.

    ``declined``: losers as ``{"action", "kind", "reason"}``. ``trigger``, ``behaviour`` and ``metric`` are those of the target:
    of what was chosen or, when held out, of what would have been. Outcomes are filled in later; None: not known.
    """

    id: str
    person: str
    at: datetime
    local_day: date
    local_weekday_hour: str
    point: str
    policy: str
    team: str | None
    role: str
    available: bool
    action: str
    kind: str | None
    reason: str | None
    until: datetime | None
    trigger: str | None
    trigger_version: int | None
    behaviour: str | None
    metric: str | None
    record_hash: str | None
    content_version: int | None
    eligible: tuple[str, ...]
    declined: tuple[Mapping[str, Any], ...]
    probabilities: Mapping[str, float]
    draw: float | None
    held_out: bool
    context: Mapping[str, Any] = field(default_factory=dict)
    outbox: str | None = None
    outcome_72h: float | None = None
    outcome_7d: float | None = None
    outcome_28d: float | None = None
    coverage_72h: float | None = None
    coverage_7d: float | None = None
    coverage_28d: float | None = None
    outcome_due: datetime | None = None
    stale_at_send: bool | None = None


_ID = sa.select(decision.c.id)


def add_many(uow: UnitOfWork, rows: Sequence[DecisionRow]) -> None:
    """Keep decisions. One that exists stays as it is: the same decision point is never decided twice."""
    if rows:
        values = [
            {
                name: list(value) if isinstance(value, tuple) else value
                for name in DecisionRow.__dataclass_fields__
                for value in (getattr(row, name),)
            }
            for row in rows
        ]
        uow.execute(_insert_once(uow.dialect), values)


@cache
def _insert_once(dialect: str) -> sa.Executable:
    return inserting(dialect, decision).on_conflict_do_nothing(index_elements=["id"])


def existing(uow: UnitOfWork, ids: Collection[str]) -> frozenset[str]:
    """Which of these decisions were made already."""
    return frozenset(
        row.id for chunk in chunks(ids) for row in uow.rows(of_ids(_ID, decision.c.id), {"ids": chunk})
    )


def get(uow: UnitOfWork, id: str) -> DecisionRow | None:  # noqa: A002 - the column's name
    """One decision."""
    row = uow.one(select_by(decision.c.id), {"which": id})
    return None if row is None else _read(row)


def of_person(uow: UnitOfWork, person_id: str, limit: int = 20) -> tuple[DecisionRow, ...]:
    """The latest decisions about a person, newest first: what they may read about themselves."""
    return tuple(_read(row) for row in uow.rows(_of_person(), {"which": person_id, "most": limit}))


@cache
def _of_person() -> sa.Select[Any]:
    newest = select_by(decision.c.person).order_by(decision.c.at.desc(), decision.c.id)
    return newest.limit(sa.bindparam("most"))


@dataclass(frozen=True, slots=True)
class Reasoned:
    """What a decision came to, and why; ``declined`` as in DecisionRow."""

    id: str
    at: datetime
    action: str
    reason: str | None
    declined: tuple[Mapping[str, Any], ...]


def reasons_of(uow: UnitOfWork, person_id: str, limit: int) -> tuple[Reasoned, ...]:
    """The latest decisions about a person, newest first, with their reasons only."""
    rows = uow.rows(_reasons_of(), {"which": person_id, "most": limit})
    return tuple(Reasoned(row.id, row.at, row.action, row.reason, tuple(row.declined)) for row in rows)


@cache
def _reasons_of() -> sa.Select[Any]:
    columns = sa.select(
        decision.c.id, decision.c.at, decision.c.action, decision.c.reason, decision.c.declined
    )
    newest = columns.where(decision.c.person == sa.bindparam("which"))
    return newest.order_by(decision.c.at.desc(), decision.c.id).limit(sa.bindparam("most"))


def between(uow: UnitOfWork, since: datetime, until: datetime) -> tuple[DecisionRow, ...]:
    """All decisions in ``[since, until)``, oldest first."""
    query = (
        sa.select(decision)
        .where(decision.c.at >= since, decision.c.at < until)
        .order_by(decision.c.at, decision.c.id)
    )
    return tuple(_read(row) for row in uow.rows(query))


def counts(uow: UnitOfWork, since: datetime, until: datetime) -> dict[str, int]:
    """How many decisions in ``[since, until)`` ended in which reason; ``sent`` for those that chose something."""
    query = (
        sa.select(decision.c.reason, sa.func.count())
        .where(decision.c.at >= since, decision.c.at < until)
        .group_by(decision.c.reason)
    )
    return {row[0] or "sent": int(row[1]) for row in uow.rows(query)}


# --- what earlier decisions close --------------------------------------------------------------------------------


def histories(uow: UnitOfWork, person_ids: Sequence[str], now: datetime) -> dict[str, History]:
    """What draws, tips and "Not for me" of the last weeks close for each person. Every id asked for has an entry."""
    drawn: defaultdict[str, dict[str, date]] = defaultdict(dict)
    spoken: defaultdict[str, dict[str, date]] = defaultdict(dict)
    told: defaultdict[str, dict[str, tuple[date, ...]]] = defaultdict(dict)
    rested: defaultdict[str, dict[str, date]] = defaultdict(dict)
    had_tip: set[str] = set()
    held_out_at: dict[str, datetime] = {}
    since = now - timedelta(days=SAME_TEXT_DAYS + 2)
    for chunk in chunks(person_ids):
        for row in uow.rows(of_ids(_decided(), decision.c.person), {"ids": chunk, "since": since}):
            if row.draw is not None:
                drawn[row.person][row.behaviour] = row.local_day
            if row.held_out:
                held_out_at[row.person] = row.at
            elif row.action != NONE:
                spoken[row.person][row.behaviour] = row.local_day
                told[row.person][row.action] = (*told[row.person].get(row.action, ()), row.local_day)
        resting = {"ids": chunk, "since": now - timedelta(days=REST_DAYS)}
        for row in uow.rows(of_ids(_refused(), feedback.c.person), resting):
            rested[row.person][row.trigger] = row.created_at.date() + timedelta(days=REST_DAYS)
        had_tip |= {row.person for row in uow.rows(of_ids(_tipped(), outbox.c.person), {"ids": chunk})}
    return {
        each: History(
            drawn.get(each, {}),
            spoken.get(each, {}),
            told.get(each, {}),
            rested.get(each, {}),
            each in had_tip,
            held_out_at.get(each),
        )
        for each in person_ids
    }


@cache
def _decided() -> sa.Select[Any]:
    return (
        sa.select(
            decision.c.person,
            decision.c.at,
            decision.c.local_day,
            decision.c.action,
            decision.c.behaviour,
            decision.c.draw,
            decision.c.held_out,
        )
        .where(decision.c.at >= sa.bindparam("since", type_=decision.c.at.type), decision.c.kind == TIP)
        .order_by(decision.c.at)
    )


@cache
def _refused() -> sa.Select[Any]:
    return (
        sa.select(feedback.c.person, feedback.c.trigger, feedback.c.created_at)
        .where(
            feedback.c.kind == NOT_FOR_ME,
            feedback.c.state != DELETED,
            feedback.c.trigger.is_not(None),
            feedback.c.created_at >= sa.bindparam("since", type_=feedback.c.created_at.type),
        )
        .order_by(feedback.c.created_at)
    )


@cache
def _tipped() -> sa.Select[Any]:
    return sa.select(outbox.c.person).where(outbox.c.kind == TIP).distinct()


# --- outcomes ----------------------------------------------------------------------------------------------------


def outcome_due(uow: UnitOfWork, now: datetime, limit: int) -> tuple[DecisionRow, ...]:
    """Decisions with an outcome to measure, longest due first."""
    return tuple(_read(row) for row in uow.rows(_outcome_due(), {"now": now, "most": limit}))


@cache
def _outcome_due() -> sa.Select[Any]:
    due = sa.select(decision).where(
        decision.c.outcome_due.is_not(None), decision.c.outcome_due <= sa.bindparam("now")
    )
    return due.order_by(decision.c.outcome_due, decision.c.id).limit(sa.bindparam("most"))


def next_outcome_due(uow: UnitOfWork) -> datetime | None:
    """When the next outcome can be measured."""
    found: datetime | None = uow.execute(earliest_outcome()).scalar_one()
    return found


@cache
def earliest_outcome() -> sa.Select[Any]:
    """What :func:`next_outcome_due` asks, as a query."""
    return sa.select(sa.func.min(decision.c.outcome_due)).where(decision.c.outcome_due.is_not(None))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a decision in one window. ``value``: None where the coverage was under 0.95, never 0.

    ``window``: a key of OUTCOMES, None when it only waits longer. ``due``: when the next one can be measured.
    """

    decision: str
    window: str | None
    value: float | None
    covered: float | None
    due: datetime | None


def keep_outcomes(uow: UnitOfWork, outcomes: Sequence[Outcome]) -> None:
    """Write outcomes, each once."""
    by_window: defaultdict[str | None, list[Outcome]] = defaultdict(list)
    for each in outcomes:
        by_window[each.window].append(each)
    for window, group in by_window.items():
        values: dict[str, Any] = {"outcome_due": sa.bindparam("due")}
        if window is not None:
            values |= {
                f"outcome_{window}": sa.bindparam("value"),
                f"coverage_{window}": sa.bindparam("covered"),
            }
        parameters = [
            {"which": each.decision, "due": each.due}
            | ({"value": each.value, "covered": each.covered} if window is not None else {})
            for each in group
        ]
        uow.execute(
            sa.update(decision).where(decision.c.id == sa.bindparam("which")).values(values), parameters
        )


def covered_share(
    uow: UnitOfWork, source: str, metrics: Collection[str], since: date, through: date
) -> float:
    """The share of (metric, day) that was read well, 0..1, both days included."""
    wanted = len(metrics) * ((through - since).days + 1)
    if not wanted:
        return 0.0
    span = {"source": source, "metrics": sorted(metrics), "since": since, "through": through}
    return float(uow.execute(_covered(), span).scalar_one()) / wanted


@cache
def _covered() -> sa.Select[Any]:
    """How many (metric, day) were read well."""
    return (
        sa.select(sa.func.count())
        .select_from(coverage)
        .where(
            coverage.c.source == sa.bindparam("source"),
            coverage.c.metric.in_(sa.bindparam("metrics", expanding=True)),
            coverage.c.day.between(sa.bindparam("since"), sa.bindparam("through")),
            coverage.c.status == CoverageStatus.OK.value,
        )
    )


def _read(row: sa.Row[Any]) -> DecisionRow:
    values = {name: getattr(row, name) for name in DecisionRow.__dataclass_fields__}
    values["eligible"], values["declined"] = tuple(row.eligible), tuple(row.declined)
    return DecisionRow(**values)
