"""Planning 10,000 people with 90 days of facts, profile and decision included: seconds and peak memory.

    python -m bench.planning [PEOPLE] [DATABASE_URL]

Everybody is due at once, as after an outage on a Tuesday morning: the worst case, more than half get a tip. The database
has to be empty; by default it is a SQLite file in a folder that is removed afterwards.
"""

from __future__ import annotations

import asyncio
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bot.domain.usage import METRICS, Coverage, CoverageStatus
from bot.services.assess_stages import assess
from store import slots, usage
from store.database import UnitOfWork, migrate, open_database
from store.slots import Slot
from store.tables import person_week, usage_day
from tests.fakes import NoHolidays
from tests.planning import PROGRAMME, TUESDAY, UNKNOWN, add_people, crm_with, pid, plan_at

DAYS = 90
THROUGH = TUESDAY.date() - timedelta(days=1)


@contextmanager
def timed(what: str, number: int) -> Iterator[None]:
    start, worked = time.perf_counter(), time.process_time()
    yield
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    each = 1_000 * worked / max(1, number)
    print(f"  {what:<44} {seconds:8.2f} s, of the processor {worked:8.2f} s, {each:7.3f} ms each")


def snapshot(number: int) -> dict[str, float]:
    return {
        "opps_open": 10.0,
        "opps_missing_account": float(number % 5),
        "opps_stuck_step": float(number % 4),
        "opps_open_long": 0.0,
    }


def write_facts(uow: UnitOfWork, people: int) -> None:
    for back in range(DAYS):
        day = THROUGH - timedelta(days=back)
        rows: list[dict[str, Any]] = [
            {
                "person": pid(number),
                "day": day,
                "source": "crm",
                "meaningful": day.weekday() < 5,
                "step_moves": 1.0,
                "records_created_opportunity": float(number % 3 == 0),
                **snapshot(number),
            }
            for number in range(1, people + 1)
        ]
        uow.execute(sa.insert(usage_day), rows)
    first = THROUGH - timedelta(days=DAYS)
    week = first - timedelta(days=first.weekday())
    while week <= THROUGH:
        uow.execute(
            sa.insert(person_week),
            [
                {"person": pid(number), "week": week, "meaningful_days": 5, "step_moves": 7.0}
                for number in range(1, people + 1)
            ],
        )
        week += timedelta(weeks=1)
    read_at = TUESDAY - timedelta(hours=4)
    usage.keep_coverage(
        uow,
        "crm",
        [
            Coverage(
                metric,
                THROUGH - timedelta(days=back),
                CoverageStatus.UNSUPPORTED if metric in UNKNOWN else CoverageStatus.OK,
            )
            for metric in METRICS
            for back in range(DAYS)
        ],
        read_at,
    )
    usage.move_watermark(uow, "crm", THROUGH, None, read_at)
    slots.keep(uow, [Slot(pid(number), TUESDAY) for number in range(1, people + 1)])


def run(people: int, url: str) -> None:
    migrate(url)
    database = open_database(url, durable=False)
    try:
        print(f"{people:,} people, {DAYS} days of facts, {database.dialect}; {platform.platform()}")
        with timed("write people and facts", people):
            database.write_now(add_people, people, access_since=date(2026, 8, 17))
            database.write_now(write_facts, people)
        crm = crm_with({number: snapshot(number) for number in range(1, people + 1)})
        with timed("assess stages, thirteen weeks each", people):
            assessed = asyncio.run(assess(database, programme=PROGRAMME, holidays=NoHolidays(), now=TUESDAY))
        with timed("plan: profile, decision, message, rows", people):
            report = asyncio.run(plan_at(database, TUESDAY, crm))
        with timed("plan again: nothing is due", 1):
            asyncio.run(plan_at(database, TUESDAY, crm))
        print(
            f"  {assessed.assessed:,} person-weeks, {report.decisions:,} decisions, {report.queued:,} queued"
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  peak memory {peak:,.0f} MB")
    finally:
        database.close()


def main(arguments: list[str]) -> None:
    people = int(arguments[0]) if arguments else 10_000
    if len(arguments) > 1:
        run(people, arguments[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        run(people, f"sqlite:///{Path(folder) / 'bench.db'}")


if __name__ == "__main__":
    main(sys.argv[1:])
