"""What the tests of planning stand on: people with numbers in a real database, and one way to plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bot import nudges
from bot.content.load import load
from bot.domain.nudging import Trigger
from bot.domain.people import CrmUser, SlackUser, person_id
from bot.domain.ports import Holidays
from bot.domain.programme import Programme
from bot.domain.usage import METRICS, Collected, Coverage, CoverageStatus, UsageFact
from bot.plugins import discover
from bot.services.plan_messages import PlanReport, plan
from store import matching, people, usage
from store.database import Database, UnitOfWork, open_database
from tests.builders import programme
from tests.fakes import FakeCrm, NoHolidays

CONTENT = load()
TRIGGERS = discover(nudges, Trigger)
PROGRAMME = programme(behaviours=CONTENT.behaviours)
MONDAY = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 17, 11, 0, tzinfo=UTC)
"""After everybody's slot (10:00 to 10:40), inside the window."""
WEDNESDAY = TUESDAY + timedelta(days=1)
UNKNOWN = ("opps_past_close", "opps_no_next_step", "opps_no_activity_30d", "opps_missing_amount")


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """A database that is closed again."""
    database = open_database(url, durable=False)
    try:
        yield database
    finally:
        database.close()


def pid(number: int = 1) -> str:
    return person_id("crm", f"crm-{number}")


def add_people(
    uow: UnitOfWork,
    /,
    number: int = 1,
    *,
    welcomed: datetime | None = MONDAY - timedelta(days=60),
    **changes: Any,
) -> list[str]:
    """Matched sellers in a pilot team, in UTC. Returns their ids."""
    usage.keep_source(uow, "crm", "spreadsheet", {})
    values = {"access_since": date(2026, 1, 5), "zone": "UTC", "role": "seller", **changes}
    users = [CrmUser(f"crm-{n}", f"Person {n}", f"p{n}@example.com", **values) for n in range(1, number + 1)]
    people.keep_users(uow, "crm", users, PROGRAMME, MONDAY)
    accounts = [SlackUser(f"U{n}", f"p{n}@example.com", f"Person {n}", None) for n in range(1, number + 1)]
    people.keep_slack_users(uow, accounts, MONDAY)
    matching.match(uow, (), MONDAY)
    ids = [pid(n) for n in range(1, number + 1)]
    if welcomed is not None:
        for each in ids:
            people.mark_welcomed(uow, each, welcomed)
    return ids


def add_numbers(
    uow: UnitOfWork,
    through: date,
    numbers: Mapping[int, Mapping[str, float]],
    *,
    at: datetime | None = None,
    days: int = 30,
    statuses: Mapping[str, CoverageStatus] | None = None,
) -> None:
    """A good poll through a day: these snapshots, one deal created a week, everything else covered and 0."""
    unsupported = dict.fromkeys(UNKNOWN, CoverageStatus.UNSUPPORTED)
    status = {**dict.fromkeys(METRICS, CoverageStatus.OK), **unsupported, **(statuses or {})}
    span = [through - timedelta(days=n) for n in range(days)]
    facts = [
        UsageFact(f"crm-{n}", day, {"step_moves": 1.0})
        for n in numbers
        for day in span
        if day.weekday() == 1 and day != through
    ]
    facts += [UsageFact(f"crm-{n}", through, values) for n, values in numbers.items()]
    coverage = tuple(Coverage(metric, day, status[metric]) for metric in METRICS for day in span)
    polled = at or datetime.combine(through + timedelta(days=1), datetime.min.time(), tzinfo=UTC)
    usage.keep(uow, "crm", Collected(tuple(facts), coverage), polled)
    usage.move_watermark(uow, "crm", through, None, polled)


def messy(number: int = 4) -> dict[str, float]:
    """Snapshot of somebody with records out of order."""
    return {
        "opps_open": 10.0,
        "opps_missing_account": float(number),
        "opps_stuck_step": 0.0,
        "opps_open_long": 0.0,
    }


def crm_with(numbers: Mapping[int, Mapping[str, float]]) -> FakeCrm:
    """A CRM that says what the numbers say."""
    crm = FakeCrm()
    for person, values in numbers.items():
        for metric, count in values.items():
            crm.has(metric, f"crm-{person}", [f"{metric}-{n}" for n in range(int(count))])
    return crm


async def plan_at(
    database: Database,
    now: datetime,
    crm: FakeCrm,
    *,
    programme: Programme = PROGRAMME,
    triggers: Sequence[Trigger] = TRIGGERS,
    holidays: Holidays | None = None,
    **more: Any,
) -> PlanReport:
    return await plan(
        database,
        connectors={"crm": crm},
        content=CONTENT,
        programme=programme,
        triggers=triggers,
        holidays=holidays or NoHolidays(),
        secret=b"secret",
        workspace="T1",
        now=now,
        **more,
    )
