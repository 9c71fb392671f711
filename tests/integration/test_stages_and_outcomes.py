"""Stages week by week and outcomes of decisions, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from bot.domain.adoption import BUILDING_MOMENTUM, HONEYMOON, LIVING_TOGETHER, Fact
from bot.domain.messages import TIP
from bot.domain.nudging import NONE
from bot.domain.usage import METRICS, Collected, Coverage, CoverageStatus, UsageFact
from bot.services.assess_stages import StageReport, assess
from bot.services.measure_outcomes import measure, next_outcome, together
from store import decisions, stages, usage
from store.database import Database, UnitOfWork
from store.decisions import DecisionRow
from tests.fakes import HolidaysOn, NoHolidays
from tests.planning import PROGRAMME, TUESDAY, add_people, opened, pid

pytestmark = pytest.mark.anyio
FIRST = date(2026, 8, 3)
"""A Monday."""
OUT_OF_ORDER = ("opps_missing_account", "opps_stuck_step", "opps_open_long")
COVERED = {
    "records_created.opportunity",
    "step_moves",
    "opps_open",
    *OUT_OF_ORDER,
}


def poll_week(
    uow: UnitOfWork,
    week: date,
    active: Mapping[int, int],
    *,
    out_of_order: float = 0.0,
    status: CoverageStatus = CoverageStatus.OK,
) -> None:
    """A week as it is polled on the Monday after: person -> days with two moved and one created deal."""
    sunday = week + timedelta(days=6)
    days = [week + timedelta(days=n) for n in range(7)]
    facts = []
    for person, number in active.items():
        for offset, day in enumerate(days):
            values = {"step_moves": 2.0, "records_created.opportunity": 1.0} if offset < number else {}
            if day == sunday:
                values |= {"opps_open": 10.0, **dict.fromkeys(OUT_OF_ORDER, out_of_order)}
            if values:
                facts.append(UsageFact(f"crm-{person}", day, values))
    coverage = tuple(
        Coverage(metric, day, status if metric in COVERED else CoverageStatus.UNSUPPORTED)
        for metric in METRICS
        for day in days
    )
    at = datetime.combine(sunday + timedelta(days=1), time(4), tzinfo=UTC)
    usage.keep(uow, "crm", Collected(tuple(facts), coverage), at)
    usage.move_watermark(uow, "crm", sunday, None, at)


async def assessed(database: Database, week: date, holidays: Any = None) -> StageReport:
    now = datetime.combine(week + timedelta(days=7), time(5), tzinfo=UTC)
    return await assess(database, programme=PROGRAMME, holidays=holidays or NoHolidays(), now=now)


async def live(database: Database, weeks: int, active: Mapping[int, int], **more: Any) -> list[StageReport]:
    reports = []
    for n in range(weeks):
        week = FIRST + timedelta(weeks=n)
        await database.write(poll_week, week, active, **more)
        reports.append(await assessed(database, week))
    return reports


def stage(database: Database, person: int = 1) -> str:
    return database.read_now(stages.current, [pid(person)])[pid(person)].stage


async def test_a_person_climbs_from_honeymoon_with_two_facts_for_each_stage(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 2, access_since=FIRST)
        reports = await live(database, 6, {1: 4, 2: 1})
        history = database.read_now(stages.of_person, pid(1))
        assert [row.state.stage for row in reversed(history)] == [
            HONEYMOON,
            LIVING_TOGETHER,  # 8 days of work: no newcomer any more
            LIVING_TOGETHER,
            BUILDING_MOMENTUM,
            BUILDING_MOMENTUM,
            BUILDING_MOMENTUM,
        ]
        assert history[0].state.facts == (
            Fact("meaningful_days", {"days": 16, "of": 20}),
            Fact("habits", {"done": 5, "of": 5}),
        )
        assert stage(database, 2) == LIVING_TOGETHER
        assert sum(report.assessed for report in reports) == 12
        assert (pid(1), LIVING_TOGETHER, BUILDING_MOMENTUM, FIRST + timedelta(weeks=3)) in reports[3].moves


async def test_who_has_no_access_date_and_no_numbers_is_not_in_week_one_for_ever(database_url: str) -> None:
    """The weeks since go-live stand for it, and nobody is told a week that is not known."""
    programme = replace(PROGRAMME, go_live=FIRST)
    with opened(database_url) as database:
        await database.write(add_people, 1, access_since=None)
        found = []
        for week in (FIRST + timedelta(weeks=n) for n in range(6)):
            await database.write(poll_week, week, {})
            now = datetime.combine(week + timedelta(days=7), time(5), tzinfo=UTC)
            await assess(database, programme=programme, holidays=NoHolidays(), now=now)
            found.append(stage(database))
        assert found == [HONEYMOON] * 5 + [LIVING_TOGETHER]
        state = database.read_now(stages.current, [pid(1)])[pid(1)]
        assert state.facts == (Fact("total_days", {"days": 0}), Fact("access_unknown"))


async def test_a_week_is_assessed_once_and_only_when_it_is_complete(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1, access_since=FIRST)
        await database.write(poll_week, FIRST, {1: 4})
        assert (await assessed(database, FIRST)).assessed == 1
        assert (await assessed(database, FIRST)).assessed == 0
        midweek = FIRST + timedelta(days=9)
        await database.write(usage.move_watermark, "crm", midweek, None, TUESDAY)
        assert (await assessed(database, FIRST + timedelta(weeks=1))).assessed == 0


async def test_missing_data_holds_a_stage(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1, access_since=FIRST)
        await live(database, 5, {1: 4})
        assert stage(database) == BUILDING_MOMENTUM
        for n in range(5, 10):
            week = FIRST + timedelta(weeks=n)
            await database.write(poll_week, week, {}, status=CoverageStatus.ERROR)
            await assessed(database, week)
        state = database.read_now(stages.current, [pid()])[pid()]
        assert (state.stage, state.confidence) == (BUILDING_MOMENTUM, "low")


async def test_weeks_of_no_use_lower_a_stage_after_three_fails(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1, access_since=FIRST)
        await live(database, 5, {1: 4})
        for n in range(5, 12):
            week = FIRST + timedelta(weeks=n)
            await database.write(poll_week, week, {1: 0}, out_of_order=9.0)
            await assessed(database, week)
        assert stage(database) == LIVING_TOGETHER


async def test_a_week_of_holidays_is_skipped(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1, access_since=FIRST, country="DE")
        off = HolidaysOn({"DE": frozenset(FIRST + timedelta(days=n) for n in range(3))})
        await database.write(poll_week, FIRST, {1: 0})
        await assessed(database, FIRST, off)
        [row] = database.read_now(stages.of_person, pid())
        assert row.features["skipped"] is True


async def test_replay_over_history_gives_the_same_stages(database_url: str) -> None:
    """Assessed week by week or, after an outage of the planner, all at once: the events give the same totals."""
    with opened(database_url) as database:
        await database.write(add_people, 1, access_since=FIRST)
        await live(database, 6, {1: 4})
        before = database.read_now(stages.of_person, pid())
        for n in range(6):
            await database.write(poll_week, FIRST + timedelta(weeks=n), {1: 4})
        assert (await assessed(database, FIRST + timedelta(weeks=5))).assessed == 0
        assert database.read_now(stages.of_person, pid()) == before


async def test_a_new_colleague_is_assessed_from_their_first_week_on(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1, access_since=FIRST)
        for n in range(4):
            await database.write(poll_week, FIRST + timedelta(weeks=n), {1: 4})
        report = await assessed(database, FIRST + timedelta(weeks=3))
        assert report.assessed == 4


# --- outcomes --------------------------------------------------------------------------------------------------------


def made(id: str, *, held_out: bool = False, kind: str = "state", **changes: Any) -> DecisionRow:  # noqa: A002
    state = kind == "state"
    row = DecisionRow(
        id=id,
        person=pid(),
        at=TUESDAY,
        local_day=TUESDAY.date(),
        local_weekday_hour="Tue 11",
        point="slot",
        policy="p",
        team=None,
        role="seller",
        available=True,
        action=NONE if held_out else "tip",
        kind=TIP,
        reason="hold-out" if held_out else None,
        until=None,
        trigger="missing_account",
        trigger_version=1,
        behaviour="account_filled" if state else "step_moves",
        metric="opps_missing_account" if state else None,
        record_hash=None,
        content_version=1,
        eligible=("tip",),
        declined=(),
        probabilities={NONE: 0.2, "tip": 0.8},
        draw=0.1 if held_out else 0.5,
        held_out=held_out,
        context={
            "source": "crm",
            "target_kind": kind,
            "target_metrics": ["opps_missing_account"] if state else ["step_moves"],
            "baseline": 4.0,
        },
        outcome_due=TUESDAY + timedelta(hours=72),
    )
    return replace(row, **changes)


def poll_days(uow: UnitOfWork, through: date, days: int, *, bad: frozenset[date] = frozenset()) -> None:
    """Two moved deals and one record less out of order each day, from the day of the decision on."""
    span = [through - timedelta(days=n) for n in range(days)]
    facts = tuple(
        UsageFact(
            "crm-1",
            day,
            {"step_moves": 2.0, "opps_open": 10.0, "opps_missing_account": 4.0 - (day - TUESDAY.date()).days},
        )
        for day in span
    )
    coverage = tuple(
        Coverage(metric, day, CoverageStatus.ERROR if day in bad else CoverageStatus.OK)
        for metric in METRICS
        for day in span
    )
    usage.keep(uow, "crm", Collected(facts, coverage), TUESDAY)
    usage.move_watermark(uow, "crm", through, None, TUESDAY)


def outcomes(database: Database, id: str) -> tuple[Any, ...]:  # noqa: A002
    row = database.read_now(decisions.get, id)
    assert row is not None
    return row.outcome_72h, row.coverage_72h, row.outcome_7d, row.coverage_7d, row.outcome_28d


@pytest.mark.parametrize("held_out", [False, True])
async def test_outcomes_are_measured_the_same_way_in_both_arms(database_url: str, held_out: bool) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1)
        state = made("state", held_out=held_out)
        count = made("count", held_out=held_out, kind="count")
        await database.write(decisions.add_many, [state, count])
        await database.write(poll_days, TUESDAY.date() + timedelta(days=2), 3)
        assert await database.write(measure, TUESDAY + timedelta(hours=71)) == 0
        assert await database.write(measure, TUESDAY + timedelta(hours=72)) == 2
        assert outcomes(database, "state")[:3] == (2.0, 1.0, None)  # four out of order, two left
        assert outcomes(database, "count")[:3] == (6.0, 1.0, None)  # three days of two moves
        assert await database.read(next_outcome) == together(TUESDAY + timedelta(days=7))
        await database.write(poll_days, TUESDAY.date() + timedelta(days=6), 4)
        assert await database.write(measure, TUESDAY + timedelta(days=7)) == 2
        assert outcomes(database, "count")[2:4] == (14.0, 1.0)


async def test_an_outcome_without_coverage_stays_empty_and_is_never_zero(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1)
        await database.write(decisions.add_many, [made("count", kind="count"), made("state")])
        bad = frozenset({TUESDAY.date() + timedelta(days=1)})
        await database.write(poll_days, TUESDAY.date() + timedelta(days=2), 3, bad=bad)
        await database.write(measure, TUESDAY + timedelta(hours=72))
        assert outcomes(database, "count")[:2] == (None, 0.6667)
        assert outcomes(database, "state")[:2] == (2.0, 1.0)  # only the last day of a state is read


async def test_a_crm_that_is_late_is_waited_for_and_then_given_up(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1)
        await database.write(decisions.add_many, [made("count", kind="count")])
        due = TUESDAY + timedelta(hours=72)
        await database.write(measure, due)
        assert outcomes(database, "count")[:2] == (None, None)
        assert await database.read(next_outcome) == together(due + timedelta(hours=6))
        await database.write(measure, due + timedelta(days=7))
        assert outcomes(database, "count")[:2] == (None, 0.0)
        assert await database.read(next_outcome) == together(TUESDAY + timedelta(days=7))


async def test_decisions_are_kept_once_and_read_back_whole(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1)
        first = made("d1", declined=({"action": "x", "kind": TIP, "reason": "at-target"},))
        await database.write(decisions.add_many, [first])
        await database.write(decisions.add_many, [replace(first, action="other")])
        assert await database.read(decisions.get, "d1") == first
        assert await database.read(decisions.of_person, pid()) == (first,)
        span = (TUESDAY, TUESDAY + timedelta(hours=1))
        assert await database.read(decisions.counts, *span) == {"sent": 1}
        assert await database.read(decisions.between, *span) == (first,)


@pytest.mark.parametrize("minutes", [0, 1, 359, 360, 361])
def test_outcomes_are_measured_together_four_times_a_day_and_never_early(minutes: int) -> None:
    midnight = datetime(2026, 11, 17, tzinfo=UTC)
    due = midnight + timedelta(minutes=minutes)
    at = together(due)
    assert at is not None
    assert timedelta() <= at - due < timedelta(hours=6)
    assert (at.hour % 6, at.minute) == (0, 0)
    assert together(None) is None
