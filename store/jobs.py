"""When each job of the clock is due: the clock only ticks, the row knows. A claim is a conditional UPDATE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import sqlalchemy as sa

from store.database import UnitOfWork
from store.statements import select_by, update_by
from store.tables import job
from store.upsert import insert


@dataclass(frozen=True, slots=True)
class JobRow:
    """``failures``: runs in a row that failed; ``last_error``: a short code, None after a run that went well."""

    name: str
    next_at: datetime
    last_at: datetime | None
    last_error: str | None
    failures: int


def get(uow: UnitOfWork, name: str) -> JobRow | None:
    """The row of a job, None before its first run."""
    row = uow.one(select_by(job.c.name), {"which": name})
    return None if row is None else JobRow(row.name, row.next_at, row.last_at, row.last_error, row.failures)


def claim(uow: UnitOfWork, name: str, now: datetime, lease: timedelta) -> bool:
    """Take a due job for ``lease``. False when it is not due or another process got there first.

    A process that dies holds nothing: after the lease the job is due again.
    """
    taken = uow.execute(_taking(), {"which": name, "now": now, "next_at": now + lease, "claimed_at": now})
    if taken.rowcount == 1:
        return True
    if get(uow, name) is not None:
        return False
    return _insert_if_new(uow, name, now + lease, now)


@cache
def _taking() -> sa.Update:
    return update_by(job.c.name).where(job.c.next_at <= sa.bindparam("now"))


def take_back(uow: UnitOfWork) -> int:
    """Make the jobs due again that a process was running when it died; returns how many.

    Only for a process that knows that no other one runs jobs on this database: it need not wait for the lease.
    """
    abandoned = sa.update(job).where(job.c.claimed_at.is_not(None))
    return uow.execute(abandoned.values(next_at=job.c.claimed_at, claimed_at=None)).rowcount


def settle(uow: UnitOfWork, name: str, *, next_at: datetime, now: datetime, error: str | None) -> None:
    """Write when the job is due again and how the run went."""
    uow.execute(
        sa.update(job)
        .where(job.c.name == name)
        .values(
            next_at=next_at,
            claimed_at=None,
            last_at=now,
            last_error=error,
            failures=0 if error is None else job.c.failures + 1,
        )
    )


def _insert_if_new(uow: UnitOfWork, name: str, next_at: datetime, claimed_at: datetime | None = None) -> bool:
    values = {"name": name, "next_at": next_at, "failures": 0, "claimed_at": claimed_at}
    statement = insert(uow, job).values(values).on_conflict_do_nothing()
    return uow.one(statement.returning(job.c.name)) is not None
