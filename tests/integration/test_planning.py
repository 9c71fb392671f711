"""Planning on both databases: who is decided when, what is written, and that twice is once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.errors import Retryable
from bot.domain.messages import TIP, WELCOME
from bot.domain.nudging import GOAL_CHOSEN, NONE, RELEASE
from bot.domain.people import SlackUser
from bot.domain.programme import Rules
from bot.domain.usage import CoverageStatus
from store import barriers, decisions, matching, outbox, people, slots, usage
from store.database import Database, UnitOfWork
from store.slots import Slot
from store.tables import decision, feedback, slot
from store.tables import outbox as outbox_table
from tests.builders import programme
from tests.fakes import HolidaysOn
from tests.planning import (
    CONTENT,
    MONDAY,
    PROGRAMME,
    TUESDAY,
    WEDNESDAY,
    add_numbers,
    add_people,
    crm_with,
    messy,
    opened,
    pid,
    plan_at,
)

pytestmark = pytest.mark.anyio
NO_HOLD_OUT = replace(PROGRAMME, rules=replace(Rules(), hold_out=0.0))


def rows(database: Database, table: sa.Table, *where: Any) -> list[sa.Row[Any]]:
    query = sa.select(table).where(*where).order_by(*table.primary_key.columns)
    return database.read_now(lambda uow: uow.rows(query))


async def _ready(
    database: Database, number: int = 1, *, slots_at: datetime = TUESDAY, **changes: Any
) -> dict[int, dict[str, float]]:
    """People whose slot is due on Tuesday, with four deals without an account each."""
    numbers = {n: messy() for n in range(1, number + 1)}
    ids = await database.write(add_people, number, **changes)
    await database.write(add_numbers, slots_at.date() - timedelta(days=1), numbers)
    await database.write(slots.keep, [Slot(each, slots_at) for each in ids])
    return numbers


async def test_a_decision_its_message_and_the_next_slot_are_written_together(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database)
        report = await plan_at(database, TUESDAY, crm_with(numbers), programme=NO_HOLD_OUT)
        assert (report.decisions, report.queued, report.held_out) == (1, 1, 0)
        [made] = await database.read(decisions.of_person, pid())
        queued = await database.read(outbox.by_id, made.outbox or "")
        assert queued is not None
        assert (queued.kind, queued.decision, queued.address, queued.state) == (TIP, made.id, "U1", "ready")
        assert queued.dedupe_key == f"decision:{made.id}"
        assert queued.expires_at == TUESDAY.replace(hour=16, minute=30)
        assert queued.recheck is not None
        assert (queued.recheck.metric, queued.recheck.owner) == ("opps_missing_account", "crm-1")
        assert len(queued.recheck.records) == 3
        assert (made.trigger, made.behaviour, made.action) == (
            "missing_account",
            "account_filled",
            queued.template,
        )
        assert made.draw is not None
        assert sum(made.probabilities.values()) == 1.0
        assert made.record_hash is not None
        assert made.context["baseline"] == 4.0
        assert (made.context["rng"], made.context["code"]) == ("hmac-sha256", RELEASE)
        assert (made.context["unavail_reasons"], made.context["delivered_in_dnd"]) == ([], False)
        unknown = ("opinion", "meeting_load", "window_arm", "last_feedback")
        assert [made.context[name] for name in unknown] == [None] * 4
        assert made.context["eligible_behaviours"] == ["account_filled"]
        assert made.local_weekday_hour == "Tue 11"
        [next_slot] = (await database.read(slots.of, [pid()])).values()
        assert next_slot.next_at.date() == date(2026, 11, 18)
        assert report.next_due == next_slot.next_at


async def test_planning_twice_decides_once(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database, 5)
        crm = crm_with(numbers)
        first = await plan_at(database, TUESDAY, crm)
        again = await plan_at(database, TUESDAY, crm)
        assert (first.decisions, again.decisions) == (5, 0)
        # As after a crash in which the slots were lost: the same key, the same id, nothing new.
        before = rows(database, decision), rows(database, outbox_table)
        await database.write(slots.keep, [Slot(pid(n), TUESDAY) for n in range(1, 6)])
        crashed = await plan_at(database, TUESDAY, crm)
        assert (crashed.decisions, crashed.queued) == (0, 0)
        assert (rows(database, decision), rows(database, outbox_table)) == before


async def test_two_planners_at_once_decide_once(database_url: str) -> None:
    with opened(database_url) as one, opened(database_url) as two:
        numbers = await _ready(one, 30)
        crm = crm_with(numbers)
        reports = await asyncio.gather(*(plan_at(each, TUESDAY, crm) for each in (one, two, one, two)))
        assert sum(report.decisions for report in reports) == 30
        assert len(rows(one, decision)) == 30
        queued = sum(report.queued for report in reports)
        assert queued == len(rows(one, outbox_table)) == len(rows(one, decision, decision.c.action != NONE))


async def test_a_new_person_in_the_pilot_is_welcomed_and_gets_nothing_else(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = {1: messy()}
        await database.write(add_people, 1, welcomed=None)
        await database.write(add_numbers, date(2026, 11, 15), numbers)
        report = await plan_at(database, MONDAY, crm_with(numbers))
        assert (report.decisions, report.next_due is not None) == (0, True)
        assert report.next_due is not None
        assert report.next_due.date() == MONDAY.date()
        await plan_at(database, report.next_due, crm_with(numbers))
        [queued] = rows(database, outbox_table)
        assert queued.kind == WELCOME
        # Not delivered yet: the next day nothing is decided beside it.
        await database.write(slots.keep, [Slot(pid(), TUESDAY)])
        await plan_at(database, TUESDAY, crm_with(numbers))
        assert len(rows(database, outbox_table)) == 1
        [waiting, _] = await database.read(decisions.of_person, pid())
        assert (waiting.action, waiting.reason is None) == (NONE, False)


async def test_nobody_outside_the_pilot_or_without_slack_has_a_decision_point(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 2, welcomed=None)
        await database.write(
            people.keep_slack_users,
            [SlackUser("U2", "p2@example.com", "Person 2", None, is_guest=True)],
            MONDAY,
        )
        await database.write(matching.match, (), MONDAY)
        outside = programme(pilot_teams=())
        numbers = {1: messy()}
        await plan_at(database, TUESDAY, crm_with(numbers))
        assert {row.person for row in rows(database, slot)} == {pid(1)}
        # Their team leaves the pilot: one last row says why, and the slot goes.
        await database.write(lambda uow: uow.execute(sa.text("UPDATE person SET pilot = false")))
        await database.write(slots.keep, [Slot(pid(1), WEDNESDAY)])
        await plan_at(database, WEDNESDAY, crm_with(numbers), programme=outside)
        assert rows(database, slot) == []
        assert {row.reason for row in rows(database, decision, decision.c.at == WEDNESDAY)} == {
            "not-in-pilot"
        }


async def test_a_goal_that_was_chosen_brings_a_tip_without_a_coin(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database, slots_at=MONDAY + timedelta(hours=5))
        now = MONDAY + timedelta(hours=5)
        await database.write(_choose, "personal", now)
        await plan_at(database, now, crm_with(numbers))
        [made] = await database.read(decisions.of_person, pid())
        assert (made.point, made.draw, made.kind) == (GOAL_CHOSEN, None, TIP)
        assert CONTENT.tips[made.action].goal == "personal"
        [queued] = rows(database, outbox_table)
        assert queued.due_at == now


def _choose(uow: UnitOfWork, goal: str, at: datetime) -> None:
    people.change_preferences(uow, pid(), goal=goal, goal_chosen_at=at)
    slots.bring_forward(uow, pid(), at, GOAL_CHOSEN)


async def test_a_crm_that_is_away_puts_the_decision_off(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database)
        crm = crm_with(numbers)
        crm.silent = Retryable("The CRM does not answer.", code="crm-away")
        report = await plan_at(database, TUESDAY, crm)
        assert (report.decisions, report.moved) == (0, 1)
        assert report.next_due == TUESDAY + timedelta(minutes=15)
        crm.silent = None
        assert (await plan_at(database, TUESDAY + timedelta(minutes=15), crm)).decisions == 1


async def test_a_crm_that_is_away_is_said_once_until_a_poll_finds_it_well(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database)
        crm = crm_with(numbers)
        crm.silent = Retryable("The CRM does not answer.", code="crm-away")

        def said() -> int:
            return [record.message for record in caplog.records].count("plan.crm_silent")

        for n in range(4):
            await plan_at(database, TUESDAY + n * timedelta(minutes=15), crm)
        assert said() == 1
        day = TUESDAY.date() - timedelta(days=1)
        await database.write(usage.move_watermark, "crm", day, None, TUESDAY + timedelta(minutes=50))
        await plan_at(database, TUESDAY + timedelta(minutes=60), crm)
        assert said() == 2


async def test_a_crm_that_stays_away_ends_in_a_decision_with_its_reason(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database)
        crm = crm_with(numbers)
        crm.silent = Retryable("The CRM does not answer.", code="crm-away")
        late = TUESDAY.replace(hour=16, minute=20)
        assert (await plan_at(database, late, crm)).reasons == {"no-evidence": 1}


async def test_records_that_are_gone_by_now_send_nothing(database_url: str) -> None:
    with opened(database_url) as database:
        await _ready(database)
        report = await plan_at(database, TUESDAY, crm_with({1: messy(0)}))
        assert report.reasons == {"not-true-any-more": 1}


async def test_the_crm_is_asked_once_for_each_metric(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database, 40)
        crm = crm_with(numbers)
        await plan_at(database, TUESDAY, crm)
        assert [(metric, len(owners)) for metric, owners, _, _ in crm.asked] == [("opps_missing_account", 40)]


async def test_a_failed_poll_silences_what_reads_it(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database)
        dark = {"opps_missing_account": CoverageStatus.PARTIAL}
        await database.write(add_numbers, TUESDAY.date() - timedelta(days=1), numbers, statuses=dark)
        report = await plan_at(database, TUESDAY, crm_with(numbers))
        assert report.queued == 0
        [made] = await database.read(decisions.of_person, pid())
        reasons = {each["action"]: each["reason"] for each in made.declined}
        assert reasons["missing_account"] == "no-data:opps_missing_account:partial"


async def test_an_old_poll_silences_everything(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database)
        report = await plan_at(database, TUESDAY + timedelta(days=1), crm_with(numbers))
        [reason] = report.reasons
        assert reason.startswith("no-data:")
        assert reason.endswith(":stale")


async def test_an_open_barrier_silences_that_behaviour(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database)
        await database.write(_report_barrier, "account_filled")
        assert (await plan_at(database, TUESDAY, crm_with(numbers))).reasons == {"barrier-open": 1}


def _report_barrier(uow: UnitOfWork, behaviour: str) -> None:
    barriers.open_barrier(
        uow, person=pid(), behaviour=behaviour, feedback="f1", owner="lead@example.com", at=MONDAY
    )


async def test_not_for_me_rests_the_trigger(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database)
        values = {
            "id": "f1",
            "key": "k1",
            "person": pid(),
            "kind": "not_for_me",
            "state": "kept",
            "text": "",
            "trigger": "missing_account",
            "created_at": MONDAY - timedelta(days=3),
            "visible_at": MONDAY,
        }
        await database.write(lambda uow: uow.execute(sa.insert(feedback).values(values)))
        assert (await plan_at(database, TUESDAY, crm_with(numbers))).reasons == {"rests-after-not-for-me": 1}


async def test_a_holiday_moves_the_slot_and_decides_nothing(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database, country="DE")
        off = HolidaysOn({"DE": frozenset({TUESDAY.date()})})
        report = await plan_at(database, TUESDAY, crm_with(numbers), holidays=off)
        assert (report.decisions, report.moved) == (0, 1)
        assert report.next_due is not None
        assert report.next_due.date() == WEDNESDAY.date()


async def test_after_a_coin_the_next_week_is_free_again_and_not_before(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database)
        crm = crm_with(numbers)
        await plan_at(database, TUESDAY, crm)
        reasons: dict[date, str | None] = {}
        for day in range(1, 8):
            now = TUESDAY + timedelta(days=day)
            await database.write(add_numbers, now.date() - timedelta(days=1), numbers)
            await database.write(slots.keep, [Slot(pid(), now)])
            await plan_at(database, now, crm)
            made = (await database.read(decisions.of_person, pid(), 1))[0]
            reasons[made.local_day] = made.reason
        assert all(reason is not None for day, reason in reasons.items() if day < date(2026, 11, 24))
        [first] = rows(database, decision, decision.c.at == TUESDAY)
        last = (await database.read(decisions.of_person, pid(), 1))[0]
        assert last.local_day == date(2026, 11, 24)
        if first.held_out:
            assert last.draw is not None  # nothing was sent, so nothing but the coin window stood in the way


async def test_six_silent_messages_are_not_forgotten_after_a_quiet_quarter(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database, welcomed=MONDAY - timedelta(days=300))
        await database.write(_ignored_messages, 6, MONDAY - timedelta(days=200))
        await database.write(_ignored_messages, 1, MONDAY - timedelta(days=150), kind="back_off")
        assert (await plan_at(database, TUESDAY, crm_with(numbers))).reasons == {"ignored-pause": 1}


def _ignored_messages(uow: UnitOfWork, number: int, last: datetime, kind: str = TIP) -> None:
    for n in range(number):
        at = last - timedelta(days=7 * n)
        uow.execute(
            sa.insert(outbox_table).values(
                id=f"{kind}{n}",
                dedupe_key=f"{kind}{n}",
                kind=kind,
                person=pid(),
                address="U1",
                template="t",
                version=1,
                language="en",
                state="sent",
                created_at=at,
                due_at=at,
                claimed_at=at,
                settled_at=at,
                attempts=1,
            )
        )


async def test_looking_ahead_writes_nothing_and_tells_what_would_be(database_url: str) -> None:
    with opened(database_url) as database:
        numbers = await _ready(database, 3)
        tables = (decision, outbox_table, slot)
        before = [rows(database, table) for table in tables]
        report = await plan_at(
            database, TUESDAY - timedelta(hours=2), crm_with(numbers), dry_run=True, days=7
        )
        assert [rows(database, table) for table in tables] == before
        first = [each for each in report.planned if each.day == TUESDAY.date()]
        assert {(each.trigger, each.count) for each in first} == {("missing_account", 4)}
        later = {(each.day.isoformat(), each.reason) for each in report.planned if each.reason}
        assert ("2026-11-18", "spacing") in later
        assert ("2026-11-23", "better-day") in later or ("2026-11-23", "weekly-cap") in later
        assert {each.day.weekday() for each in report.planned} <= {0, 1, 2, 3, 4}
        assert all(each.reason is None for each in first)  # who is held out is not told
        real = await plan_at(database, TUESDAY, crm_with(numbers))
        assert real.decisions == 3


async def test_looking_ahead_names_those_who_cannot_be_written_to(database_url: str) -> None:
    with opened(database_url) as database:
        await database.write(add_people, 1, welcomed=None)
        await database.write(people.keep_slack_users, [SlackUser("U1", "x@example.com", "X", None)], MONDAY)
        await database.write(matching.match, (), MONDAY)
        report = await plan_at(database, TUESDAY, crm_with({}), dry_run=True)
        assert [(each.action, each.reason) for each in report.planned] == [(NONE, "not-matched:unmatched")]
