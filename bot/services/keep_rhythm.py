"""Runs a piece of work in its rhythm: the row in ``job`` says when, whoever ticks and however often."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from bot.domain.errors import Permanent, Retryable
from store import jobs
from store.database import Database

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=15)
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
DOUBLINGS = 10
"""More would overflow a timedelta after a day and a half of failures."""


async def keep_rhythm(
    database: Database,
    name: str,
    every: timedelta,
    work: Callable[[datetime], Awaitable[datetime | None]],
    now: datetime,
) -> datetime:
    """Run ``work(now)`` if the job is due; returns when it is due again.

    ``work`` may answer with a better time than ``now + every``. A failure is said once, when it begins, and tried again
    after 30 s, 1 min, 2 min … an hour; the rest of the house goes on.
    """
    row = await database.read(jobs.get, name)
    if row is not None and row.next_at > now:
        return row.next_at
    if not await database.write(jobs.claim, name, now, LEASE):
        return now + FIRST_RETRY  # another process got there first
    failures = row.failures if row is not None else 0
    error: str | None = None
    try:
        next_at = await work(now) or now + every
    except (Retryable, Permanent) as fault:
        error = fault.code
        wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(failures, DOUBLINGS))
        if isinstance(fault, Retryable) and fault.after is not None:
            wait = max(wait, fault.after)
        next_at = now + wait
        if failures == 0:
            log.warning(
                "job.failed", extra={"job": name, "code": fault.code, "again_at": next_at.isoformat()}
            )
    else:
        if failures:
            log.info("job.recovered", extra={"job": name, "after_failures": failures})
    await database.write(jobs.settle, name, next_at=next_at, now=now, error=error)
    return next_at
