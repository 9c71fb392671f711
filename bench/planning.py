"""Planning for 10,000 people with 90 days of facts: slots, profiles, decisions, words, rows.

Reference: the SQL features alone, for the same people in the same batches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from bench.databases import fresh
from bench.report import Figure, apart, peak_memory
from bot.content.load import Content, load
from bot.content.programme import load_programme
from bot.domain.people import CrmUser, SlackUser
from bot.domain.programme import Programme
from bot.domain.usage import METRICS, Collected, Coverage, CoverageStatus, RecordRef, UsageFact
from bot.replay import EXAMPLES
from bot.services.assess_stages import assess
from bot.services.plan_messages import BATCH, plan
from bot.wiring import all_triggers
from bot.workdays import PublicHolidays
from store import matching, people, slots, usage
from store.database import UnitOfWork, open_database
from store.slots import Slot

PEOPLE, DAYS, TEAM = 10_000, 90, 10
SOURCE = "bench"
TODAY = date(2026, 11, 17)  # a Tuesday
NOW = datetime(2026, 11, 17, 16, 30, tzinfo=UTC)
"""Inside everybody's window: they live in New York."""
ZONE = "America/New_York"
DAILY = ("records_created.opportunity", "records_updated.opportunity", "activities_completed.call")
STATES = ("opps_open", "opps_past_close", "opps_stuck_step", "opps_missing_account", "opps_no_next_step")


def measure(kind: str) -> Iterator[Figure]:
    """Build the rows once, then plan and read features, each in a process of its own."""
    with fresh(kind) as url:
        built = apart(build, url)
        alone = apart(read_features, url)
        planned = apart(plan_all, url)
    yield Figure(
        f"planning {PEOPLE:,} people, {kind}",
        f"{planned['seconds']:.1f} s, {planned['decisions'] / planned['seconds']:,.0f} people/s, "
        f"peak memory {planned['memory']:.0f} MiB",
        (
            f"{planned['decisions']:,} decisions, {planned['queued']:,} messages queued, {planned['held_out']:,} held out",
            f"the SQL features alone: {alone:.1f} s",
            (
                f"their {built['facts']:,} facts kept in {built['kept']:.0f} s; "
                f"{built['weeks']:,} person-weeks assessed in {built['assessed']:.1f} s"
            ),
        ),
    )


@cache
def _programme() -> tuple[Programme, Content]:
    content = load()
    programme = load_programme(EXAMPLES / "programme.toml", content.behaviours)
    return replace(programme, pilot_teams=("*",), go_live=TODAY - timedelta(days=DAYS)), content


def build(url: str) -> dict[str, Any]:
    """People and facts, by the store's own doors: a week at a time, as an import brings them."""
    programme, _ = _programme()
    database = open_database(url, durable=False)
    try:
        database.write_now(_people, programme)
        began = time.perf_counter()
        facts = 0
        first = TODAY - timedelta(days=DAYS - 1)
        for start in range(0, DAYS, 7):
            days = [first + timedelta(days=n) for n in range(start, min(start + 7, DAYS))]
            facts += database.write_now(usage.keep, SOURCE, _week(days), NOW).facts
        database.write_now(usage.move_watermark, SOURCE, TODAY, None, NOW)
        kept = time.perf_counter() - began
        began = time.perf_counter()
        stages = asyncio.run(assess(database, programme=programme, holidays=PublicHolidays(), now=NOW))
        return {
            "facts": facts,
            "kept": kept,
            "weeks": stages.assessed,
            "assessed": time.perf_counter() - began,
        }
    finally:
        database.close()


def _people(uow: UnitOfWork, programme: Programme) -> None:
    usage.keep_source(uow, SOURCE, "spreadsheet", {})
    since = TODAY - timedelta(days=DAYS - 1)
    users = [
        CrmUser(
            f"c{number}",
            f"Person {number}",
            f"p{number}@example.com",
            role="manager" if number % TEAM == 0 else "seller",
            manager=f"c{number - number % TEAM}" if number % TEAM else None,
            zone=ZONE,
            country="US",
            access_since=since,
        )
        for number in range(PEOPLE)
    ]
    people.keep_users(uow, SOURCE, users, programme, NOW)
    accounts = [SlackUser(f"U{number:08d}", f"p{number}@example.com", "", ZONE) for number in range(PEOPLE)]
    people.keep_slack_users(uow, accounts, NOW)
    matching.match(uow, (), NOW)
    known = people.get(uow)
    for identity in known:
        people.mark_welcomed(uow, identity, NOW - timedelta(days=60))
    slots.keep(uow, [Slot(identity, NOW - timedelta(minutes=10)) for identity in known])


def _week(days: Sequence[date]) -> Collected:
    """Two of three people are at work in the CRM on a day; the states are those of the last day."""
    facts: list[UsageFact] = []
    for day in days:
        draw = Random(day.toordinal())
        last = day == TODAY
        if day.weekday() > 4 and not last:
            continue
        for number in range(PEOPLE):
            values: dict[str, float] = {}
            if draw.random() < 0.66:
                values = {metric: float(draw.randrange(1, 6)) for metric in DAILY}
            if last:
                values |= {metric: float(draw.randrange(4)) for metric in STATES}
            if values:
                facts.append(UsageFact(f"c{number}", day, values))
    read = {*DAILY, *STATES}
    coverage = tuple(
        Coverage(metric, day, CoverageStatus.OK if metric in read else CoverageStatus.UNSUPPORTED)
        for day in days
        for metric in METRICS
    )
    return Collected(facts=tuple(facts), coverage=coverage)


class _Records:
    """A CRM that has as many records as it is asked for."""

    name, lag_days, overlap_days = SOURCE, 0, 3

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        records = tuple(
            RecordRef(
                f"r{number}", f"Deal {number}", f"https://crm.example.com/r{number}", {"days_open": "80"}
            )
            for number in range(limit)
        )
        return dict.fromkeys(owners, (limit, records))


def plan_all(url: str) -> dict[str, Any]:
    """Everybody is due at once."""
    programme, content = _programme()
    database = open_database(url)
    try:
        began = time.perf_counter()
        report = asyncio.run(
            plan(
                database,
                connectors={SOURCE: _Records()},  # type: ignore[dict-item]  # a planner only asks for evidence
                content=content,
                programme=programme,
                triggers=all_triggers(),
                holidays=PublicHolidays(),
                secret=b"bench",
                workspace="bench",
                now=NOW,
            )
        )
        return {
            "seconds": time.perf_counter() - began,
            "decisions": report.decisions,
            "queued": report.queued,
            "held_out": report.held_out,
            "memory": peak_memory(),
        }
    finally:
        database.close()


def read_features(url: str) -> float:
    """Seconds of the queries behind a profile, without making profiles of them."""
    database = open_database(url)
    try:
        ids = sorted(database.read_now(people.get))
        began = time.perf_counter()
        for start in range(0, len(ids), BATCH):
            database.read_now(_features, ids[start : start + BATCH])
        return time.perf_counter() - began
    finally:
        database.close()


def _features(uow: UnitOfWork, ids: Sequence[str]) -> None:
    since = TODAY - timedelta(days=27)
    usage.sums(uow, ids, since, TODAY)
    usage.snapshots(uow, ids, TODAY, TODAY)
    usage.meaningful_days(uow, ids, since, TODAY)
    usage.coverage(uow, None, since, TODAY, source=SOURCE)
    usage.read_at(uow, SOURCE, TODAY)
