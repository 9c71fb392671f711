"""The clock: it only ticks. APScheduler drives the jobs in production, :func:`advance` under steered time.

APScheduler 3 with its memory job store, one interval job a use case: what is due is a row in the database, so a missed
tick loses nothing and a second clock doubles nothing (docs/decisions/0001).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.domain.errors import FullsteamError
from bot.domain.ports import Clock

log = logging.getLogger(__name__)

MAX_ROUNDS = 200
"""Passes over the jobs in one step of steered time; more means that two jobs keep making work for each other."""


@dataclass(frozen=True, slots=True)
class Job:
    """A use case that looks for due rows. ``run(now)`` works until nothing is due; returns when something is again.

    ``feeds``: jobs that may have work after it. They come after it in order, and are run without another look.
    """

    name: str
    run: Callable[[datetime], Awaitable[datetime | None]]
    feeds: tuple[str, ...] = ()


class Ticker:
    """Runs every job each ``seconds``, never twice at once, until stopped."""

    def __init__(self, jobs: Sequence[Job], clock: Clock, seconds: float) -> None:
        self._jobs = jobs
        self._clock = clock
        self._failing: set[str] = set()
        self._scheduler = AsyncIOScheduler(
            jobstores={"default": MemoryJobStore()}, executors={"default": AsyncIOExecutor()}, timezone=UTC
        )
        for job in jobs:
            self._scheduler.add_job(
                self._tick,
                "interval",
                args=[job],
                id=job.name,
                seconds=seconds,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
                next_run_time=datetime.now(UTC),
            )

    def start(self) -> None:
        """Start ticking on the running event loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """Tick no more. A job that runs is left to end by itself."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _tick(self, job: Job) -> None:
        """One look of one job. Whatever goes wrong is said once, and the clock goes on (one of the two catch-alls)."""
        try:
            await job.run(self._clock.now())
        except FullsteamError as error:
            if job.name not in self._failing:
                log.warning("job.waits", extra={"job": job.name, "error": type(error).__name__})
            self._failing.add(job.name)
        except Exception:
            if job.name not in self._failing:
                log.exception("job.broke", extra={"job": job.name})
            self._failing.add(job.name)
        else:
            if job.name in self._failing:
                log.info("job.goes_on", extra={"job": job.name})
            self._failing.discard(job.name)


Look = Callable[[datetime], Awaitable[Mapping[str, datetime | None]]]
"""By job: when its rows say that it is due, None when nothing waits. A job that is not named may be due."""


async def advance(jobs: Sequence[Job], now: datetime, look: Look | None = None) -> datetime | None:
    """Steered time: run every job until none has anything due at ``now``; returns the earliest next due time.

    ``look``: jobs that have nothing to do by it are not run. Raises RuntimeError when the jobs do not come to rest.
    """
    told: dict[str, datetime | None] = {}
    for _ in range(MAX_ROUNDS):
        seen: Mapping[str, datetime | None] = await look(now) if look is not None else {}
        # What a job itself said counts until something feeds it: by its rows a message is due that has to wait its turn.
        waiting = {job.name: told[job.name] if job.name in told else seen.get(job.name, now) for job in jobs}
        open_now = {name for name, due in waiting.items() if due is not None and due <= now}
        if not open_now:
            return min((due for due in waiting.values() if due is not None), default=None)
        for job in jobs:
            if job.name in open_now:
                told[job.name] = await job.run(now)
                open_now.update(job.feeds)
    raise RuntimeError(f"the jobs did not come to rest at {now.isoformat()} in {MAX_ROUNDS} rounds")
