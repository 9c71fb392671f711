"""The clock only ticks: steered time runs what is due and says what is next; a broken job stops nobody else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bot.clock import SteeredClock, SystemClock
from bot.domain.errors import Retryable
from bot.schedule import Job, Ticker, advance

T0 = datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_a_steered_clock_never_goes_back() -> None:
    clock = SteeredClock(T0)
    clock.set(T0 + timedelta(hours=1))
    clock.set(T0)
    assert clock.now() == T0 + timedelta(hours=1)
    with pytest.raises(ValueError, match="aware"):
        clock.set(datetime(2026, 11, 23))


@pytest.mark.anyio
async def test_advance_works_until_nothing_is_due_and_returns_the_earliest_next() -> None:
    todo = [T0 - timedelta(minutes=1), T0, T0 + timedelta(hours=3)]
    done: list[datetime] = []

    async def worker(now: datetime) -> datetime | None:
        while todo and todo[0] <= now:
            done.append(todo.pop(0))
            return now  # there may be more
        return todo[0] if todo else None

    async def rest(now: datetime) -> datetime | None:
        return now + timedelta(days=1)

    assert await advance([Job("worker", worker), Job("rest", rest)], T0) == T0 + timedelta(hours=3)
    assert len(done) == 2


@pytest.mark.anyio
async def test_only_jobs_that_have_something_to_do_are_run_and_those_that_they_feed() -> None:
    due: dict[str, datetime | None] = {
        "quiet": None,
        "later": T0 + timedelta(hours=2),
        "maker": T0,
        "taker": None,
    }
    ran: list[str] = []

    async def look(now: datetime) -> dict[str, datetime | None]:
        return dict(due)

    def job(name: str, makes: str | None = None) -> Job:
        async def run(now: datetime) -> datetime | None:
            ran.append(name)
            due[name] = T0 + timedelta(hours=1)
            if makes is not None:
                due[makes] = T0
            return due[name]

        return Job(name, run, feeds=(makes,) if makes else ())

    jobs = [job("quiet"), job("later"), job("maker", makes="taker"), job("taker"), job("unknown")]
    assert await advance(jobs, T0, look) == T0 + timedelta(hours=1)
    assert ran == ["maker", "taker", "unknown"]


@pytest.mark.anyio
async def test_jobs_that_keep_each_other_busy_are_named_and_do_not_hang() -> None:
    async def busy(now: datetime) -> datetime | None:
        return now

    with pytest.raises(RuntimeError, match="come to rest"):
        await advance([Job("busy", busy)], T0)


@pytest.mark.anyio
async def test_a_job_that_breaks_does_not_stop_the_others_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ran = asyncio.Event()
    count = 0

    async def broken(now: datetime) -> datetime | None:
        raise Retryable("away")

    async def fine(now: datetime) -> datetime | None:
        nonlocal count
        count += 1
        if count >= 3:
            ran.set()
        return None

    ticker = Ticker([Job("broken", broken), Job("fine", fine)], SystemClock(), seconds=0.02)
    ticker.start()
    try:
        await asyncio.wait_for(ran.wait(), 10)
    finally:
        ticker.stop()
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["job.waits"]


@pytest.mark.anyio
async def test_a_job_that_has_to_wait_its_turn_is_believed_whatever_its_rows_say() -> None:
    ran: list[str] = []

    async def look(now: datetime) -> dict[str, datetime | None]:
        return {"send": T0}

    async def send(now: datetime) -> datetime | None:
        ran.append("send")
        return T0 + timedelta(seconds=15)

    assert await advance([Job("send", send)], T0, look) == T0 + timedelta(seconds=15)
    assert ran == ["send"]
