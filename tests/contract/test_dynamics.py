"""The Dynamics 365 connector on a Dataverse environment: what it counts, and what it says when it is refused or fails.

The counts are held against a recount of the environment's own rows, in each of the ways in which a server may count.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from defusedxml.ElementTree import fromstring

from bot.connectors.dynamics.connector import CONNECTOR, DynamicsConnector, DynamicsSettings
from bot.connectors.dynamics.environment import Way
from bot.connectors.dynamics.poll import age_spans
from bot.connectors.dynamics.queries import DEAL_STATES, SECURABLE, Habits, unsupported
from bot.connectors.http import Policy
from bot.connectors.rehearsal import Rehearsal
from bot.connectors.settings import read_settings
from bot.domain.errors import ConfigurationError, Permanent, Retryable, Throttled
from bot.domain.usage import METRICS, Collected, CoverageStatus, MetricKind, Window
from tests.dataverse import (
    CLIENT,
    FRIDAY,
    RIGHTS,
    ROOT,
    SECRET,
    TENANT,
    URL,
    Dataverse,
    check,
    collected,
    coverage_of,
    facts_of,
)

pytestmark = pytest.mark.anyio

ALL = frozenset(METRICS)
TODAY = FRIDAY.date()
WEEK = Window(TODAY - timedelta(days=6), TODAY)
ONE = Window(TODAY, TODAY)
SNAPSHOTS = frozenset(key for key, metric in METRICS.items() if metric.kind is MetricKind.SNAPSHOT)
OK, DENIED, ERROR = CoverageStatus.OK, CoverageStatus.DENIED, CoverageStatus.ERROR
PARTIAL, UNSUPPORTED, THROTTLED = (
    CoverageStatus.PARTIAL,
    CoverageStatus.UNSUPPORTED,
    CoverageStatus.THROTTLED,
)
READ = ALL - unsupported(Habits()).keys()
SETTLED = READ - {"active_day"}
"""What can be read of the running day: rows of access in the audit come late."""
DEALS = frozenset(DEAL_STATES) & READ
WAYS: dict[str, dict[str, Any]] = {
    "FetchXML": {},
    "$apply": {"knows": frozenset({"apply"})},
    "rows": {"knows": frozenset()},
    "rows, parameters unread": {"knows": frozenset(), "ignores": True},
    "$apply, fetchXml unread": {"knows": frozenset({"apply"}), "ignores": True},
}


@pytest.fixture
def crm() -> Dataverse:
    return Dataverse()


def people_of(crm: Dataverse, count: int) -> list[str]:
    boss = crm.user("Ada Brandt")
    return [boss, *(crm.user(f"Rep {n:03}", boss) for n in range(count))]


def lived(crm: Dataverse, people: Sequence[str]) -> None:
    """A busy month, the same every time: every kind of record, with every kind of flaw, by everybody in turn."""
    for n in range(24 * len(people)):
        who, days = people[n % len(people)], (n * 7 % 97) + n % 3 / 3
        deal = crm.deal(
            who,
            days,
            quiet=n % 3 == 0,
            name=f"Deal {n}",
            customerid=crm.organization if n % 4 else None,
            estimatedvalue=100.0 * n if n % 5 else None,
            estimatedvalue_base=110.0 * n if n % 5 else None,
            estimatedclosedate=TODAY + timedelta(days=n % 41 - 20) if n % 11 else None,
        )
        if n % 3 == 0 and n % 2:
            crm.activity("phonecall", who, n % 60, about=deal)
        if n % 8 == 0:
            (crm.won if n % 16 else crm.lost)(deal, crm.ago(n % 7).date())
        crm.activity(("phonecall", "email", "task")[n % 3], who, n % 10 + 0.2)
        crm.activity("task", who, 30, due=n % 9 - 4.3, done=False)
        crm.activity("appointment", who, 9, due=1 - n % 8, done=False, statecode=(0, 1, 2, 3)[n % 4])
        kind = ("account", "contact", "lead", "incident")[n % 4]
        thing = crm.add(kind, ownerid=who, createdby=who, createdon=crm.ago(n % 11), statecode=0)
        crm.edit(people[n % 2], n % 7, thing, kind)
        crm.edit(people[n % 2], n % 7, thing, kind)
        crm.edit(who, n % 6, deal, "opportunity")
        crm.access(who, n % 7)
        crm.access(who, n % 7 + 0.1, action=65)
    crm.add(
        "goal",
        goalownerid=people[0],
        goalstartdate=TODAY.replace(day=1),
        goalenddate=TODAY.replace(day=30),
        targetmoney=2000.0,
        actualmoney=500.0,
        statecode=0,
    )


def recounted(crm: Dataverse, window: Window) -> dict[tuple[str, date, str], float]:
    """The numbers of a window, row by row."""
    found: defaultdict[tuple[str, date, str], float] = defaultdict(float)
    now, through = crm.clock.now(), window.through
    rows = {name: list(table.values()) for name, table in crm.tables.items()}
    words = {"incident": "case"}

    def on(moment: datetime | date | None) -> date | None:
        day = moment.astimezone(UTC).date() if isinstance(moment, datetime) else moment
        return day if day is not None and window.since <= day <= through else None

    for name in ("opportunity", "account", "contact", "lead", "incident"):
        for row in rows[name]:
            if day := on(row["createdon"]):
                found[row["createdby"], day, f"records_created.{words.get(name, name)}"] += 1
    for name, word in (("phonecall", "call"), ("email", "email"), ("task", "task")):
        for row in rows[name]:
            if row["statecode"] == 1 and (day := on(row["actualend"])):
                found[row["owninguser"], day, f"activities_completed.{word}"] += 1
    for row in rows["appointment"]:
        if row["statecode"] != 2 and row["scheduledend"] < now and (day := on(row["scheduledend"])):
            found[row["owninguser"], day, "activities_completed.meeting"] += 1
    changed = set()
    for row in rows["audit"]:
        day = on(row["createdon"])
        if day and row["operation"] == 2:
            changed.add((row["userid"], day, row["objecttypecode"], row["objectid"]))
        elif day and row["action"] == 64:
            found[row["userid"], day, "active_day"] = 1
    for who, day, kind, _ in changed:
        found[who, day, f"records_updated.{words.get(kind, kind)}"] += 1
    last: dict[str, date] = {}
    planned = set()
    for row in rows["activitypointer"]:
        deal = row["regardingobjectid"]
        last[deal] = max(last.get(deal, date.min), row["modifiedon"].date())
        if row["statecode"] in {0, 3}:
            planned.add(deal)
    filled: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows["opportunity"]:
        who, identity = row["owninguser"], row["opportunityid"]
        day = on(row["actualclosedate"])
        if row["statecode"] == 1 and day:
            found[who, day, "won_count"] += 1
            found[who, day, "won_amount"] += row["actualvalue_base"]
            found[who, day, "cycle_days"] += max((day - row["createdon"].date()).days, 0)
        elif row["statecode"] == 2 and day:
            found[who, day, "lost_count"] += 1
        if row["statecode"]:
            continue
        age = (through - row["createdon"].date()).days
        states = {
            "opps_open": True,
            "opps_past_close": row["estimatedclosedate"] is not None and row["estimatedclosedate"] < through,
            "opps_no_next_step": age >= 7 and identity not in planned,
            "opps_missing_amount": age >= 7 and row["estimatedvalue"] is None,
            "opps_missing_account": age >= 7 and row["customerid"] is None,
            "opps_no_activity_30d": age >= 30 and (through - last.get(identity, date.min)).days >= 30,
        }
        for metric, holds in states.items():
            found[who, through, metric] += holds
        found[who, through, "pipeline_amount"] += row["estimatedvalue_base"] or 0
        filled[who][0] += sum(
            row[each] is not None for each in ("estimatedvalue", "estimatedclosedate", "customerid")
        )
        filled[who][1] += 3
    for who, (number, of) in filled.items():
        found[who, through, "field_completeness"] = round(100 * number / of, 2)
    for row in rows["task"]:
        if row["statecode"] == 0 and row["scheduledend"] is not None and row["scheduledend"].date() < through:
            found[row["owninguser"], through, "tasks_overdue"] += 1
    for row in rows["goal"]:
        found[row["goalownerid"], through, "quota_attainment"] = 100 * row["actualmoney"] / row["targetmoney"]
    return {key: number for key, number in found.items() if number}


def told(parts: list[Collected]) -> dict[tuple[str, date, str], float]:
    return {
        (who, day, metric): number
        for (who, day), values in facts_of(parts).items()
        for metric, number in values.items()
        if number
    }


def statuses(
    parts: list[Collected], day: date = TODAY, among: frozenset[str] = SETTLED
) -> dict[str, CoverageStatus]:
    said = coverage_of(parts)
    return {metric: said[metric, day][0] for metric in sorted(among)}


def queries(crm: Dataverse) -> list[str]:
    return [asked["fetchXml"] for _, asked in crm.line.asked if "fetchXml" in asked]


# --- what is counted -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", sorted(WAYS))
async def test_every_number_is_that_of_a_recount_however_the_server_counts(way: str) -> None:
    crm = Dataverse(**WAYS[way])
    lived(crm, people_of(crm, 5))
    connector = crm.connector(batch=70)
    parts = await collected(connector, WEEK, ALL)
    expected = recounted(crm, WEEK)
    assert told(parts) == expected
    assert {metric for _, _, metric in expected} == READ, "nothing is left untried"
    assert connector.environment.way == {"F": Way.FETCH, "$": Way.APPLY, "r": Way.ROWS}[way[0]]
    assert set(statuses(parts).values()) == {OK}


async def test_a_long_span_is_not_a_query_a_day_where_a_server_knows_apply_only() -> None:
    crm = Dataverse(knows=frozenset({"apply"}))
    lived(crm, people_of(crm, 2))
    window = Window(TODAY - timedelta(days=89), TODAY)
    parts = await collected(crm.connector(), window, ALL)
    assert told(parts) == recounted(crm, window)
    assert len(crm.line.asked) < 60


async def test_zero_is_said_for_everybody_who_is_listed_where_the_crm_has_spoken(crm: Dataverse) -> None:
    people = people_of(crm, 2)
    crm.access(people[0], 0)
    late = crm.user("Eva Roth", createdon=crm.ago(1))
    parts = await collected(crm.connector(), WEEK, ALL)
    facts = facts_of(parts)
    events = READ - SNAPSHOTS
    assert facts[people[2], WEEK.since] == dict.fromkeys(events, 0.0)
    assert facts[people[2], TODAY] == dict.fromkeys(READ - {"field_completeness", "quota_attainment"}, 0.0)
    assert {day for who, day in facts if who == late} == {TODAY, TODAY - timedelta(days=1)}
    assert crm.me not in {who for who, _ in facts}


async def test_a_full_poll_of_two_thousand_people_takes_far_less_than_sixty_calls(crm: Dataverse) -> None:
    people = people_of(crm, 1999)
    for n, who in enumerate(people):
        for days in range(3):
            crm.access(who, days)
        crm.activity("phonecall", who, 1)
        crm.deal(who, n % 3, name="New")
        crm.add("contact", createdby=who, createdon=crm.ago(1), statecode=0)
        crm.edit(who, 0, crm.deal(who, 90), "opportunity")
    connector = crm.connector()
    window = Window(TODAY - timedelta(days=connector.overlap_days - 1), TODAY)
    await connector.users(TODAY)
    parts = await collected(connector, window, ALL)
    numbers = told(parts)
    assert sum(number for (_, _, metric), number in numbers.items() if metric == "active_day") == 6000
    assert sum(number for (_, _, metric), number in numbers.items() if metric == "opps_open") == 4000
    assert connector.api.calls == len(crm.line.asked) <= 42
    before = connector.api.calls
    await collected(connector, window, ALL)
    assert connector.api.calls - before <= 37


@pytest.mark.parametrize("cookies", [True, False])
async def test_more_groups_than_a_page_are_all_read(crm: Dataverse, cookies: bool) -> None:
    crm.groups, crm.cookies = 7, cookies
    people = people_of(crm, 20)
    for who in people:
        crm.add("contact", createdby=who, createdon=crm.ago(1), statecode=0)
    metric = frozenset({"records_created.contact"})
    facts = facts_of(await collected(crm.connector(), WEEK, metric))
    assert sum(values["records_created.contact"] for values in facts.values()) == 21
    asked = [options for path, options in crm.line.asked if path == "contacts"]
    assert ["fetchXml" in options for options in asked] == [True] * 3  # not read row by row instead


async def test_days_are_utc_days_wherever_the_application_user_lives(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    crm.zone = "Pacific/Auckland"
    for hour in (0, 12, 23):
        crm.add("lead", createdby=rep, createdon=datetime(2026, 11, 19, hour, 30, tzinfo=UTC), statecode=0)
    facts = facts_of(await collected(crm.connector(), WEEK, frozenset({"records_created.lead"})))
    assert {day: values["records_created.lead"] for (who, day), values in facts.items() if who == rep}[
        date(2026, 11, 19)
    ] == 3


async def test_the_day_on_which_clocks_change_is_a_day_like_others() -> None:
    crm = Dataverse()
    crm.clock.move_to(datetime(2027, 3, 28, 15, tzinfo=UTC))
    _, rep = people_of(crm, 1)
    for hour in range(24):
        at = datetime(2027, 3, 27, 12, tzinfo=UTC) + timedelta(hours=hour)
        crm.add("lead", createdby=rep, createdon=at, statecode=0)
    day = date(2027, 3, 28)
    window = Window(day - timedelta(days=1), day)
    connector = crm.connector(zone="Europe/Berlin")
    facts = facts_of(await collected(connector, window, frozenset({"records_created.lead", "opps_open"})))
    assert [facts[rep, day - timedelta(days=n)]["records_created.lead"] for n in (1, 0)] == [12, 12]
    assert facts[rep, day]["opps_open"] == 0


async def test_a_meeting_counts_once_it_has_ended_and_a_cancelled_one_never(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    crm.activity("appointment", rep, 1, due=-0.01, done=False, statecode=3)
    crm.activity("appointment", rep, 1, due=0.1, done=False, statecode=3)
    crm.activity("appointment", rep, 1, due=-0.2, done=False, statecode=2)
    facts = facts_of(await collected(crm.connector(), WEEK, frozenset({"activities_completed.meeting"})))
    assert facts[rep, TODAY] == {"activities_completed.meeting": 1.0}


async def test_mail_that_came_in_is_nobodys_work(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    crm.activity("email", rep, 0)
    crm.activity("email", rep, 0, directioncode=False)
    facts = facts_of(await collected(crm.connector(), ONE, frozenset({"activities_completed.email"})))
    assert facts[rep, TODAY] == {"activities_completed.email": 1.0}


@pytest.mark.parametrize("way", ["FetchXML", "rows"])
async def test_what_a_team_owns_is_counted_as_such_and_given_to_nobody(way: str) -> None:
    crm = Dataverse(**WAYS[way])
    _, rep = people_of(crm, 1)
    crm.deal(None, 40)
    crm.deal(None, 40)
    crm.deal(rep, 40)
    parts = await collected(crm.connector(), ONE, frozenset({"opps_open", "opps_no_activity_30d"}))
    assert {key: number for key, number in told(parts).items() if key[2] == "opps_open"} == {
        (rep, TODAY, "opps_open"): 1
    }
    assert parts[0].notes == {"opportunities of teams": 2}


async def test_what_an_integration_did_is_nobodys_use(crm: Dataverse) -> None:
    people_of(crm, 1)
    robot = crm.user("Data Loader", applicationid=crm.new_id())
    crm.deal(robot, 0)
    crm.deal(crm.me, 0)
    parts = await collected(crm.connector(), ONE, ALL)
    assert told(parts) == {}


async def test_amounts_are_in_the_organisations_currency_where_it_has_one(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    crm.deal(rep, 40)
    (part,) = await collected(crm.connector(), ONE, frozenset({"pipeline_amount"}))
    assert told([part])[rep, TODAY, "pipeline_amount"] == 1100
    crm.hidden.add(("opportunity", "estimatedvalue_base"))
    (part,) = await collected(crm.connector(), ONE, frozenset({"pipeline_amount"}))
    assert told([part])[rep, TODAY, "pipeline_amount"] == 1000


async def test_own_columns_for_next_step_and_step_are_read_if_they_are_named(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    crm.deal(rep, 90, new_nextstep="Call", new_stepsince=crm.ago(5))
    crm.deal(rep, 90, new_stepsince=crm.ago(61))
    crm.deal(rep, 70)
    habits: dict[str, Any] = {"next_step": "new_nextstep", "step_since": "new_stepsince"}
    metrics = frozenset({"opps_no_next_step", "opps_stuck_step", "field_completeness"})
    for knows in (frozenset({"fetch"}), frozenset[str]()):
        crm.knows = knows
        connector = crm.connector(**habits)
        facts = facts_of(await collected(connector, ONE, metrics))
        expected = {"opps_no_next_step": 2, "opps_stuck_step": 2, "field_completeness": 83.33}
        assert facts[rep, TODAY] == expected
        found = await connector.evidence("opps_stuck_step", [rep], 5, TODAY)
        assert [record.details["days_in_step"] for record in found[rep][1]] == ["70", "61"]


async def test_of_goals_the_shortest_that_run_count_and_a_day_that_is_none_is_named(crm: Dataverse) -> None:
    one, two, three = (crm.user(name) for name in ("One", "Two", "Three"))

    def goal(who: str, days: int, target: float | None, reached: float | None, **more: Any) -> None:
        crm.add(
            "goal",
            **{
                "goalownerid": who,
                "goalstartdate": TODAY - timedelta(days=days),
                "goalenddate": TODAY + timedelta(days=days),
                "targetmoney": target,
                "actualmoney": reached,
                "statecode": 0,
                **more,
            },
        )

    goal(one, 45, 1000.0, 400.0)
    goal(one, 182, 9000.0, 100.0)
    goal(two, 45, 100.0, 30.0)
    goal(two, 45, 300.0, None)
    goal(three, 45, None, 3.0)  # counts something else than money
    goal(three, 45, 10.0, 3.0, statecode=1)
    facts = facts_of(await collected(crm.connector(), ONE, frozenset({"quota_attainment"})))
    assert {who: values for (who, _), values in facts.items() if values} == {
        one: {"quota_attainment": 40.0},
        two: {"quota_attainment": 7.5},
    }


async def test_the_day_of_snapshots_is_the_programmes(crm: Dataverse) -> None:
    crm.clock.move_to(datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    people_of(crm, 1)
    tomorrow = TODAY + timedelta(days=1)
    for zone, day, status in (
        ("Europe/Berlin", tomorrow, OK),
        ("Europe/Berlin", TODAY, UNSUPPORTED),
        ("America/New_York", TODAY, OK),
        ("America/New_York", tomorrow, UNSUPPORTED),
    ):
        parts = await collected(crm.connector(zone=zone), Window(day, day), frozenset({"opps_open"}))
        assert coverage_of(parts)["opps_open", day][0] is status, (zone, day)


async def test_a_due_time_is_of_the_day_that_it_has_in_the_programmes_zone(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    midnight_in_berlin = datetime(2026, 11, 19, 23, 0, tzinfo=UTC)
    for minutes in (-1, 0, 1):
        crm.add(
            "task",
            owninguser=rep,
            ownerid=rep,
            statecode=0,
            subject="Offer",
            scheduledend=midnight_in_berlin + timedelta(minutes=minutes),
        )
    connector = crm.connector(zone="Europe/Berlin")
    facts = facts_of(await collected(connector, ONE, frozenset({"tasks_overdue"})))
    assert facts[rep, TODAY] == {"tasks_overdue": 1.0}
    assert (await connector.evidence("tasks_overdue", [rep], 5, TODAY))[rep][0] == 1


# --- too much at once ------------------------------------------------------------------------------------------------------


async def test_more_rows_than_may_be_counted_are_counted_for_shorter_spans(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 5))
    crm.most = 70
    connector = crm.connector(batch=200)
    parts = await collected(connector, WEEK, ALL)
    assert told(parts) == recounted(crm, WEEK)
    assert set(statuses(parts).values()) == {OK}
    assert (
        len([asked for path, asked in crm.line.asked if path == "opportunities" and "$filter" in asked]) > 1
    )
    spans = ["fetchXml" in asked for path, asked in crm.line.asked if path == "appointments"]
    assert len(spans) > 1  # the whole span, then parts of it
    assert all(spans)


async def test_tables_that_are_not_counted_by_fetchxml_are_read_row_by_row(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 4))
    for rows in ("audits", "opportunities", "leads", "tasks"):
        crm.trouble("no count", rows)
    parts = await collected(crm.connector(), WEEK, ALL)
    assert told(parts) == recounted(crm, WEEK)
    assert set(statuses(parts).values()) == {OK}


async def test_a_day_with_too_many_rows_is_read_row_by_row(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    crm.most = 10
    for n in range(25):
        crm.add("lead", createdby=rep, createdon=crm.ago(n / 100), statecode=0)
    connector = crm.connector(batch=10)
    parts = await collected(connector, ONE, frozenset({"records_created.lead"}))
    assert told(parts) == {(rep, TODAY, "records_created.lead"): 25}
    asked = [options for path, options in crm.line.asked if path == "leads" and "fetchXml" not in options]
    assert len(asked) == 3


async def test_too_many_open_opportunities_are_read_once_for_all_that_is_asked_of_them(
    crm: Dataverse,
) -> None:
    lived(crm, people_of(crm, 5))
    crm.most = 60
    parts = await collected(crm.connector(), ONE, DEALS | {"pipeline_amount", "field_completeness"})
    expected = {key: number for key, number in recounted(crm, ONE).items() if key[2] in SNAPSHOTS}
    assert told(parts) == {
        key: number for key, number in expected.items() if key[2] not in {"tasks_overdue", "quota_attainment"}
    }
    plain = [options for path, options in crm.line.asked if path == "opportunities" and "$filter" in options]
    assert len(plain) == 1


@pytest.mark.parametrize("window", [WEEK, ONE])
async def test_a_query_that_takes_too_long_is_asked_for_shorter_spans_and_then_is_an_error(
    crm: Dataverse, window: Window
) -> None:
    lived(crm, people_of(crm, 2))
    crm.trouble("aggregate", "leads", left=1)
    metrics = frozenset({"records_created.lead", "records_created.contact"})
    parts = await collected(crm.connector(), window, metrics)
    said = statuses(parts, among=metrics)
    assert said["records_created.lead"] is (ERROR if window is ONE else OK)
    read = {metric for metric, status in said.items() if status is OK}
    assert told(parts) == {key: number for key, number in recounted(crm, window).items() if key[2] in read}


@pytest.mark.parametrize("most", [12_000, pytest.param(1_000_000, marks=pytest.mark.long)])
async def test_rows_are_counted_in_flat_memory_however_many(most: int) -> None:
    import tracemalloc

    crm = Dataverse(knows=frozenset())
    (rep,) = (crm.user("Rep"),)

    def endless(rows: int) -> Any:
        async def pages(path: str, query: Any, headers: Any) -> Any:
            from bot.connectors.dynamics.answers import Page

            for start in range(0, rows, 500):
                yield Page(
                    [
                        {
                            "leadid": f"{n:032x}",
                            "_createdby_value": rep,
                            "createdon": "2026-11-20T09:00:00Z",
                        }
                        for n in range(start, start + 500)
                    ]
                )

        return pages

    async def peak(rows: int) -> int:
        connector = crm.connector()
        await connector.environment.start()
        await connector.users(TODAY)
        connector.environment.pages = endless(rows)  # type: ignore[method-assign]  # rows without a server that has to hold them
        tracemalloc.start()
        try:
            parts = await collected(connector, ONE, frozenset({"records_created.lead"}))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert told(parts)[rep, TODAY, "records_created.lead"] == rows

    few, many = await peak(3_000), await peak(most)
    assert many < few * 1.2, "the measured peak does not grow with the number of rows"


@pytest.mark.parametrize(
    ("most", "order"),
    [(16_800, "of days"), (16_800, "mixed"), pytest.param(1_002_400, "of days", marks=pytest.mark.long)],
)
async def test_different_records_are_counted_in_the_memory_of_a_day(most: int, order: str) -> None:
    import tracemalloc

    from bot.connectors.dynamics.answers import Page

    crm = Dataverse(knows=frozenset())
    rep = crm.user("Rep")
    window = Window(TODAY - timedelta(days=27), TODAY)

    def a_day(query: Any, n: int) -> bool:
        said = re.findall(r"createdon (?:ge|lt) (\d{4}-\d\d-\d\d)", query.get("$filter", ""))
        return not said or said[0] <= (window.since + timedelta(days=n)).isoformat() < said[1]

    async def peak(rows: int) -> int:
        connector = crm.connector()
        await connector.environment.start()
        await connector.users(TODAY)
        plain = connector.environment.pages

        async def pages(path: str, query: Any, headers: Any) -> Any:
            if not path.endswith("/audits") or "objectid" not in query.get("$select", ""):
                async for page in plain(path, query, headers):
                    yield page
                return
            whole = len([n for n in range(28) if a_day(query, n)]) == 28
            for n in range(28):
                if not a_day(query, n):
                    continue
                at = window.since + timedelta(days=27 - n if whole and order == "mixed" else n)
                for start in range(0, rows // 28, 100):
                    yield Page(
                        [
                            {
                                "auditid": f"{n:08x}{each:024x}",
                                "_userid_value": rep,
                                "_objectid_value": f"{n:08x}{each // 2:024x}",
                                "objecttypecode": "lead",
                                "createdon": f"{at}T09:00:00Z",
                            }
                            for each in range(start, start + 100)
                        ]
                    )

        connector.environment.pages = pages  # type: ignore[method-assign]  # rows without a server that has to hold them
        tracemalloc.start()
        try:
            parts = await collected(connector, window, frozenset({"records_updated.lead"}))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert sum(told(parts).values()) == rows // 2

    few, many = await peak(2_800), await peak(most)
    assert many - few < 12 * (most - 2_800), "bytes a row, most of which are forgotten with their day"


# --- the audit -------------------------------------------------------------------------------------------------------------


async def test_access_is_a_day_however_often_and_by_the_actions_that_are_named(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    crm.access(rep, 0)
    crm.access(rep, 0.1)
    crm.access(rep, 1, action=65)
    metric = frozenset({"active_day"})
    assert told(await collected(crm.connector(), WEEK, metric)) == {(rep, TODAY, "active_day"): 1}
    both = crm.connector(access_actions="64, 65")
    assert told(await collected(both, WEEK, metric)) == {
        (rep, TODAY - timedelta(days=n), "active_day"): 1 for n in (0, 1)
    }


@pytest.mark.parametrize("switch", ["isauditenabled", "isuseraccessauditenabled"])
async def test_an_audit_that_is_off_is_unsupported_with_what_to_turn_on(crm: Dataverse, switch: str) -> None:
    people = people_of(crm, 1)
    crm.change("organization", crm.organization, **{switch: False})
    crm.edit(people[1], 0, crm.deal(people[1], 9), "opportunity")
    parts = await collected(crm.connector(), WEEK, frozenset({"active_day", "records_updated.opportunity"}))
    said = coverage_of(parts)
    for day in {day for _, day in said}:
        assert said["active_day", day][0] is UNSUPPORTED
        assert "user access auditing" in said["active_day", day][1]
    changed = [said["records_updated.opportunity", TODAY - timedelta(days=n)][0] for n in (0, 3)]
    assert changed == ([OK, UNSUPPORTED] if switch == "isauditenabled" else [OK, OK])


async def test_days_before_the_audit_was_turned_on_or_longer_ago_than_it_is_kept_are_unsupported(
    crm: Dataverse,
) -> None:
    _, rep = people_of(crm, 1)
    crm.access(rep, 2)
    crm.audit(crm.me, 3, 4, 112)
    said = coverage_of(await collected(crm.connector(), WEEK, frozenset({"active_day"})))
    found = [said["active_day", TODAY - timedelta(days=n)][0] for n in range(7)]
    assert found == [PARTIAL] * 3 + [PARTIAL, UNSUPPORTED, UNSUPPORTED, UNSUPPORTED]
    assert "turned on" in said["active_day", TODAY - timedelta(days=3)][1]
    crm = Dataverse()
    people_of(crm, 1)
    crm.change("organization", crm.organization, auditretentionperiodv2=4)
    said = coverage_of(
        await collected(crm.connector(), WEEK, frozenset({"active_day", "records_updated.lead"}))
    )
    for metric, fresh in (("active_day", PARTIAL), ("records_updated.lead", OK)):
        found = [said[metric, TODAY - timedelta(days=n)][0] for n in range(7)]
        assert found == [fresh] * 3 + [OK] + [UNSUPPORTED] * 3


async def test_a_table_that_began_to_be_audited_says_nothing_of_before(crm: Dataverse) -> None:
    people_of(crm, 1)
    crm.audit(crm.me, 2, 4, 105, of="lead")
    metrics = frozenset({"records_updated.lead", "records_updated.contact"})
    said = coverage_of(await collected(crm.connector(), WEEK, metrics))
    assert [said["records_updated.lead", TODAY - timedelta(days=n)][0] for n in range(4)] == [
        OK,
        OK,
        PARTIAL,
        UNSUPPORTED,
    ]
    assert said["records_updated.contact", WEEK.since][0] is OK


@pytest.mark.parametrize(("hours", "status"), [(4, OK), (8, OK), (9, PARTIAL), (24, PARTIAL)])
async def test_access_that_is_recorded_so_seldom_that_days_are_left_out_is_partial(
    crm: Dataverse, hours: int, status: CoverageStatus
) -> None:
    people_of(crm, 1)
    crm.change("organization", crm.organization, useraccessauditinginterval=hours)
    said = coverage_of(await collected(crm.connector(), WEEK, frozenset({"active_day"})))
    assert said["active_day", WEEK.since][0] is status
    for _, detail in said.values() if status is PARTIAL else []:
        assert f"{hours} hours" in detail
        assert "to 4" in detail


async def test_a_day_of_access_may_be_read_when_its_audit_can_be_late_no_more(crm: Dataverse) -> None:
    people_of(crm, 1)
    metric = frozenset({"active_day"})
    for hours in (0, 8, 9, 33):
        crm.clock.move_to(FRIDAY + timedelta(hours=hours))
        connector = crm.connector()
        window = Window(crm.today - timedelta(days=connector.overlap_days - 1), crm.today)
        said = coverage_of(await collected(connector, window, metric))
        found = [said["active_day", crm.today - timedelta(days=n)][0] for n in range(connector.overlap_days)]
        assert found == [PARTIAL, PARTIAL, PARTIAL, OK, OK], hours


async def test_changes_whose_audit_is_late_are_seen_at_once_and_counted_once(crm: Dataverse) -> None:
    ada, rep = people_of(crm, 1)
    first, second = (crm.add("lead", createdby=ada, createdon=crm.ago(9), statecode=0) for _ in range(2))
    for lead in (first, second):
        crm.change("lead", lead, modifiedby=rep, modifiedon=crm.ago(1))  # no row of the audit yet
    day, metric = TODAY - timedelta(days=1), frozenset({"records_updated.lead"})
    for came in (None, first, second):
        if came is not None:
            crm.audit(rep, 1, 2, 2, came, "lead")
        parts = await collected(crm.connector(), WEEK, metric)
        assert told(parts) == {(rep, day, "records_updated.lead"): 2}
        assert set(statuses(parts, day, metric).values()) == {OK}
    crm.change("lead", first, modifiedby=ada, modifiedon=crm.ago(0))
    assert told(await collected(crm.connector(), WEEK, metric))[rep, day, "records_updated.lead"] == 2


async def test_newest_days_of_an_audit_that_fails_are_no_zero_by_who_changed_last(crm: Dataverse) -> None:
    people_of(crm, 1)
    crm.trouble("aggregate", "audits")
    metrics = frozenset({"records_updated.lead", "records_created.lead"})
    said = statuses(await collected(crm.connector(), WEEK, metrics), among=metrics)
    assert said == {"records_updated.lead": ERROR, "records_created.lead": OK}


async def test_where_a_table_is_not_audited_the_last_change_counts_while_the_day_is_fresh(
    crm: Dataverse,
) -> None:
    ada, rep = people_of(crm, 1)
    crm.audited -= {"lead"}
    lead = crm.add("lead", createdby=ada, createdon=crm.ago(9), modifiedon=crm.ago(9), statecode=0)
    crm.edit(ada, 2, lead, "lead")
    crm.edit(rep, 0.1, lead, "lead")
    crm.add("lead", createdby=ada, modifiedby=ada, createdon=crm.ago(1), modifiedon=crm.ago(1), statecode=0)
    yesterday = TODAY - timedelta(days=1)
    for knows in ({"fetch"}, {"apply"}, set[str]()):
        crm.knows = frozenset(knows)
        parts = await collected(crm.connector(), WEEK, frozenset({"records_updated.lead"}))
        assert told(parts) == {(rep, TODAY, "records_updated.lead"): 1}
        said = coverage_of(parts)
        assert said["records_updated.lead", TODAY][0] is OK
        assert said["records_updated.lead", yesterday][0] is UNSUPPORTED
        assert "turn on auditing" in said["records_updated.lead", yesterday][1]
    for hours, status in ((20.9, OK), (21, UNSUPPORTED)):  # the day ended at midnight
        crm.clock.move_to(FRIDAY + timedelta(hours=hours))
        said = coverage_of(await collected(crm.connector(), WEEK, frozenset({"records_updated.lead"})))
        assert said["records_updated.lead", TODAY][0] is status


async def test_rows_of_the_audit_that_come_late_are_in_the_days_that_are_read_again(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    connector = crm.connector()
    day = Window(TODAY, TODAY)
    metric = frozenset({"active_day"})
    assert told(await collected(connector, day, metric)) == {}
    crm.clock.move_to(FRIDAY + timedelta(days=2, hours=10))
    crm.access(rep, 2.4)
    again = Window(crm.today - timedelta(days=connector.overlap_days - 1), crm.today)
    assert (rep, TODAY, "active_day") in told(await collected(connector, again, metric))


# --- people ----------------------------------------------------------------------------------------------------------------


async def test_people_come_with_manager_zone_language_country_and_how_they_sign_on(crm: Dataverse) -> None:
    boss = crm.user("Ada Brandt", internalemailaddress=" Ada.Brandt@Example.COM ")
    rep = crm.user(
        "Jonas Weber", boss, title="Account Executive", domainname="jonas@acme.example", businessunitid=boss
    )
    sdr = crm.user("Lea Martin", boss, title="SDR EMEA", internalemailaddress=None)
    crm.settle(boss, 110, 1031)
    crm.settle(rep, 35)
    crm.settle(sdr, 9999, 0)
    users, faults = await crm.connector().users(TODAY)
    found = {user.crm_id: user for user in users}
    assert faults == ()
    assert found.keys() == {boss, rep, sdr}
    assert (found[boss].role, found[boss].email, found[boss].manager) == (
        "manager",
        "ada.brandt@example.com",
        None,
    )
    assert (found[boss].zone, found[boss].country, found[boss].language) == ("Europe/Berlin", "DE", "de-DE")
    assert (found[rep].role, found[rep].manager, found[rep].zone, found[rep].country) == (
        "seller",
        boss,
        "America/New_York",
        "US",
    )
    assert found[rep].sso_ids[1:] == ("jonas@acme.example",)
    assert found[rep].sso_ids[0] == crm.tables["systemuser"][rep]["azureactivedirectoryobjectid"]
    assert (found[sdr].role, found[sdr].zone, found[sdr].email, found[sdr].language) == (
        "sales_development",
        None,
        None,
        None,
    )
    assert found[rep].access_since == date(2026, 3, 2)


async def test_who_cannot_work_in_the_crm_is_not_active_and_machines_are_nobody(crm: Dataverse) -> None:
    gone = crm.user("Gone Boss", isdisabled=True)
    rep = crm.user("Jonas Weber", gone)
    crm.user("Left Long Ago", isdisabled=True)
    for mode, name in ((1, "Admin"), (2, "Reader"), (3, "Support"), (4, "Service"), (5, "Delegated")):
        crm.user(name, accessmode=mode)
    crm.user("# Flow", applicationid=crm.new_id())
    crm.user("SYSTEM")
    crm.user("Azure Integration")
    users, _ = await crm.connector().users(TODAY)
    assert {user.name: user.active for user in users} == {
        "Gone Boss": False,
        "Jonas Weber": True,
        "Admin": True,
        "Reader": True,
    }
    assert next(user.manager for user in users if user.crm_id == rep) == gone


async def test_a_circle_of_managers_is_cut_and_named(crm: Dataverse) -> None:
    one, two, three = (crm.user(name) for name in ("One", "Two", "Three"))
    for who, boss in ((one, two), (two, three), (three, one)):
        crm.change("systemuser", who, parentsystemuserid=boss)
    users, (fault,) = await crm.connector().users(TODAY)
    assert sum(user.manager is None for user in users) == 1
    assert (fault.dropped, "circle" in fault.reason) == (False, True)


async def test_one_person_with_two_users_is_two_users_here(crm: Dataverse) -> None:
    for name in ("Ada Brandt", "Ada Brandt (old)"):
        crm.user(name, internalemailaddress="ada@example.com")
    users, _ = await crm.connector().users(TODAY)
    assert [user.email for user in users] == ["ada@example.com"] * 2


async def test_without_a_right_to_their_settings_people_have_no_zone_and_that_is_said(crm: Dataverse) -> None:
    people_of(crm, 1)
    crm.trouble("denied", "usersettingscollection")
    users, (fault,) = await crm.connector().users(TODAY)
    assert {user.zone for user in users} == {None}
    assert (fault.dropped, "User Settings" in fault.reason) == (False, True)


@pytest.mark.parametrize("tracked", [True, False])
async def test_users_come_page_by_page_and_each_once(crm: Dataverse, tracked: bool) -> None:
    people = people_of(crm, 45)
    crm.trouble("overlaps", "systemusers")
    if not tracked:
        crm.tracked.clear()
    users, _ = await crm.connector(batch=20).users(TODAY)
    assert [user.crm_id for user in users] == sorted(people)


async def test_a_second_page_that_fails_is_no_short_list_of_people(crm: Dataverse) -> None:
    people_of(crm, 45)
    crm.trouble("page2", "systemusers", left=1)
    connector = crm.connector(batch=20)
    with pytest.raises(Retryable):
        await connector.users(TODAY)
    assert len((await connector.users(TODAY))[0]) == 46


async def test_after_the_first_time_only_what_has_changed_of_people_is_read(crm: Dataverse) -> None:
    people = people_of(crm, 30)
    connector = crm.connector()
    await connector.users(TODAY)
    crm.change("systemuser", people[1], fullname="Renamed")
    crm.change("systemuser", people[2], isdisabled=True)
    crm.delete("systemuser", people[3])
    new = crm.user("Eva Roth")
    rows = connector.api.rows
    users, _ = await connector.users(TODAY)
    found = {user.crm_id: user.name for user in users}
    assert found.keys() == {*people, new} - {people[2], people[3]}
    assert found[people[1]] == "Renamed"
    assert connector.api.rows - rows <= 5
    assert [name for name in crm.line.asked[-4][1] if "delta" in name] or any(
        "$deltatoken" in asked for _, asked in crm.line.asked
    )


async def test_when_changes_are_no_longer_known_everybody_is_read_again(crm: Dataverse) -> None:
    people = people_of(crm, 3)
    connector = crm.connector()
    await connector.users(TODAY)
    crm.delete("systemuser", people[3])
    crm.oldest_token = crm.version
    crm.change("systemuser", people[1], fullname="Renamed")
    users, _ = await connector.users(TODAY)
    assert {user.crm_id: user.name for user in users}[people[1]] == "Renamed"
    assert {user.crm_id for user in users} == set(people[:3])
    asked = [options for path, options in crm.line.asked if path == "systemusers" and "$select" in options]
    assert ["$deltatoken" in options for options in asked] == [False, True, False]
    users, _ = await connector.users(TODAY)
    assert "$deltatoken" in [options for path, options in crm.line.asked if path == "systemusers"][-1]


async def test_users_that_may_not_be_read_end_the_poll_with_what_to_grant(crm: Dataverse) -> None:
    crm.trouble("denied", "systemusers")
    with pytest.raises(Permanent, match="prvReadUser"):
        await crm.connector().users(TODAY)
    probe = await crm.connector().probe()
    assert (probe.ok, "prvReadUser" in probe.advice) == (False, True)


async def test_users_of_a_part_of_the_organisation_are_not_taken_for_all(crm: Dataverse) -> None:
    people_of(crm, 1)
    crm.rights = {"prvReadUser": "Local"}
    with pytest.raises(Permanent, match="prvReadUser"):
        await crm.connector().users(TODAY)


# --- refusals and failures -------------------------------------------------------------------------------------------------


async def test_a_table_that_is_refused_costs_its_metrics_only(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 2))
    crm.trouble("denied", "leads")
    parts = await collected(crm.connector(), WEEK, ALL)
    lost = {metric for metric, status in statuses(parts).items() if status is not OK}
    assert lost == {"records_created.lead", "records_updated.lead"}
    for metric in lost:
        status, detail = coverage_of(parts)[metric, TODAY]
        assert (status, "prvReadLead" in detail) == (DENIED, True)
    assert coverage_of(parts)["records_updated.lead", TODAY - timedelta(days=3)][0] is OK, "by the audit"


@pytest.mark.parametrize(
    ("right", "depth", "lost"),
    [
        ("prvReadLead", None, {"records_created.lead", "records_updated.lead"}),
        (
            "prvReadOpportunity",
            "Basic",
            DEALS
            | {"records_created.opportunity", "won_count", "lost_count", "won_amount", "cycle_days"}
            | {"records_updated.opportunity"}
            | {"pipeline_amount", "field_completeness"},
        ),
        ("prvReadGoal", "Deep", {"quota_attainment"}),
        (
            "prvReadActivity",
            "Local",
            {metric for metric in READ if metric.startswith("activities_")}
            | {"tasks_overdue", "opps_no_next_step", "opps_no_activity_30d"},
        ),
    ],
)
async def test_a_right_to_a_part_of_the_records_is_denied_and_never_read_as_all(
    crm: Dataverse, right: str, depth: str | None, lost: set[str]
) -> None:
    lived(crm, people_of(crm, 2))
    names = ("Opportunity", "Account", "Contact", "Lead", "Incident", "Activity", "Goal", "User")
    rights = dict.fromkeys((*(f"prvRead{name}" for name in names), "prvReadAuditSummary"), "Global")
    crm.rights = {name: deep for name, deep in (rights | {right: depth or ""}).items() if deep}
    parts = await collected(crm.connector(), ONE, ALL)
    assert {metric for metric, status in statuses(parts).items() if status is DENIED} == lost
    assert all(right in coverage_of(parts)[metric, TODAY][1] for metric in lost)
    assert not {metric for _, _, metric in told(parts)} & lost


async def test_an_audit_that_may_not_be_read_is_denied_and_changes_are_of_the_newest_day_only(
    crm: Dataverse,
) -> None:
    lived(crm, people_of(crm, 2))
    crm.trouble("denied", "audits")
    parts = await collected(crm.connector(), WEEK, ALL)
    updates = frozenset(metric for metric in READ if metric.startswith("records_updated"))
    for day, status in ((TODAY, OK), (TODAY - timedelta(days=1), UNSUPPORTED)):
        assert set(statuses(parts, day, updates).values()) == {status}
        assert statuses(parts, day, READ)["active_day"] is DENIED
        assert "prvReadAuditSummary" in coverage_of(parts)["active_day", day][1]
    assert "prvReadAuditSummary" in coverage_of(parts)["records_updated.lead", WEEK.since][1]
    assert set(statuses(parts).values()) == {OK}


@pytest.mark.parametrize(
    ("column", "lost"),
    [
        (("opportunity", "estimatedvalue"), {"opps_missing_amount", "field_completeness"}),
        (("opportunity", "estimatedclosedate"), {"opps_past_close", "field_completeness"}),
        (("opportunity", "actualvalue_base"), set()),
        (
            ("opportunity", "actualclosedate"),
            {"won_count", "lost_count", "won_amount", "cycle_days"},
        ),
        (("email", "directioncode"), {"activities_completed.email"}),
        (("task", "scheduledend"), {"tasks_overdue"}),
    ],
)
async def test_a_column_that_is_not_there_costs_what_needs_it(
    crm: Dataverse, column: tuple[str, str], lost: set[str]
) -> None:
    lived(crm, people_of(crm, 2))
    crm.hidden.add(column)
    parts = await collected(crm.connector(), ONE, ALL)
    assert {metric for metric, status in statuses(parts).items() if status is not OK} == lost
    assert all(column[1] in coverage_of(parts)[metric, TODAY][1] for metric in lost)


async def test_a_column_that_is_secured_looks_empty_and_is_not_taken_for_it(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 2))
    crm.secured = {"estimatedvalue": False, "customerid": True, "description": False}
    parts = await collected(crm.connector(), ONE, ALL)
    lost = {"opps_missing_amount", "field_completeness"}
    assert {metric for metric, status in statuses(parts).items() if status is DENIED} == lost
    assert all("column security profile" in coverage_of(parts)[metric, TODAY][1] for metric in lost)
    crm.secured["estimatedvalue"] = True
    parts = await collected(crm.connector(), ONE, ALL)
    assert set(statuses(parts).values()) == {OK}


@pytest.mark.parametrize("shape", ["denied", "400", "empty"])
async def test_where_dataverse_does_not_say_what_we_may_read_nothing_is_taken_for_all(
    crm: Dataverse, shape: str
) -> None:
    people = people_of(crm, 2)
    lived(crm, people)
    if shape == "empty":
        crm.rewrite = lambda _, answer: {} if "RolePrivileges" in answer else answer
    else:
        crm.silent = {"RetrieveUserPrivileges()": shape}
    connector = crm.connector()
    users, (fault,) = await connector.users(TODAY)
    assert (len(users), fault.dropped) == (3, True), "who is not listed is not taken for gone"
    parts = await collected(connector, ONE, ALL)
    assert set(statuses(parts).values()) == {PARTIAL}
    assert "RetrieveUserPrivileges" in coverage_of(parts)["won_count", TODAY][1]
    probe = await connector.probe()
    assert any("RetrieveUserPrivileges" in row.detail for row in probe.metrics)
    crm.rewrite, crm.silent = None, {}
    assert set(statuses(await collected(crm.connector(), ONE, ALL)).values()) == {OK}


@pytest.mark.parametrize("shape", ["denied", "400"])
async def test_where_dataverse_does_not_say_which_columns_are_secured_none_is_taken_for_open(
    crm: Dataverse, shape: str
) -> None:
    lived(crm, people_of(crm, 2))
    crm.silent = {"/Attributes": shape}
    parts = await collected(crm.connector(), ONE, ALL)
    unsure = {metric for metric, status in statuses(parts).items() if status is PARTIAL}
    assert unsure == (SECURABLE & READ)
    assert {status for metric, status in statuses(parts).items() if metric not in unsure} == {OK}
    assert all("secured" in coverage_of(parts)[metric, TODAY][1] for metric in unsure)
    parts = await collected(crm.connector(next_step="new_nextstep"), ONE, ALL)
    assert statuses(parts)["opps_no_next_step"] is PARTIAL


async def test_a_server_that_is_no_dataverse_has_no_rights_to_be_unsure_of(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 2))
    crm.silent = {"WhoAmI": "400", "RetrieveUserPrivileges()": "400", "/Attributes": "400"}
    assert set(statuses(await collected(crm.connector(), ONE, ALL)).values()) == {OK}


async def test_metadata_that_cannot_be_read_just_now_does_not_end_the_poll(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 2))
    crm.hidden.add(("task", "scheduledend"))
    crm.silent = {"$metadata": "500"}
    connector = crm.connector()
    said = statuses(await collected(connector, ONE, ALL))
    assert {metric for metric, status in said.items() if status is not OK} == {"tasks_overdue"}
    assert "now" in connector.environment.unread_schema
    crm.silent = {}
    crm.clock.move_to(FRIDAY + timedelta(hours=1))
    await connector.users(TODAY)
    assert connector.environment.unread_schema == ""
    known = connector.environment.schema.tables
    crm.silent = {"$metadata": "500"}
    crm.clock.move_to(FRIDAY + timedelta(days=2))
    await connector.users(crm.today)
    assert connector.environment.schema.tables == known
    assert known is not None
    crm.silent = {"$metadata": "429"}
    crm.clock.move_to(FRIDAY + timedelta(days=4))
    with pytest.raises(Throttled):
        await connector.users(crm.today)


@pytest.mark.parametrize("where", ["timezonedefinitions", "usersettingscollection"])
async def test_settings_of_people_that_cannot_be_read_just_now_do_not_end_the_poll(
    crm: Dataverse, where: str
) -> None:
    _, rep = people_of(crm, 1)
    crm.settle(rep, 110, 1031)
    crm.trouble("500", where)
    users, (fault,) = await crm.connector().users(TODAY)
    assert ({user.zone for user in users}, fault.dropped) == ({None}, False)
    crm.faults.clear()
    connector = crm.connector()
    before, _ = await connector.users(TODAY)
    crm.trouble("500", "usersettingscollection")
    users, (fault,) = await connector.users(TODAY)
    assert users == before
    assert "last time" in fault.reason
    crm.faults.clear()
    crm.trouble("429", "usersettingscollection")
    with pytest.raises(Throttled):
        await connector.users(TODAY)


async def test_a_column_that_vanishes_under_a_known_schema_is_denied_by_its_name(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 2))
    connector = crm.connector()
    await connector.environment.start()
    crm.hidden.add(("task", "scheduledend"))
    parts = await collected(connector, ONE, ALL)
    lost = {metric for metric, status in statuses(parts).items() if status is not OK}
    assert lost == {"tasks_overdue"}
    assert "scheduledend" in coverage_of(parts)["tasks_overdue", TODAY][1]


async def test_tables_that_are_not_there_are_unsupported(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 2))
    crm.lacks = {"incidents", "goals", "audits", "emails", "usersettingscollection", "timezonedefinitions"}
    parts = await collected(crm.connector(), ONE, ALL)
    said = statuses(parts, among=READ)
    gone = {"records_created.case", "quota_attainment", "active_day", "activities_completed.email"}
    assert {metric for metric, status in said.items() if status is UNSUPPORTED} == {
        *gone,
        "records_updated.case",
    }
    assert all(coverage_of(parts)[metric, TODAY][1] for metric in gone)


async def test_where_metadata_cannot_be_read_the_tables_are_taken_for_the_standard_ones(
    crm: Dataverse,
) -> None:
    crm.metadata = False
    lived(crm, people_of(crm, 2))
    connector = crm.connector()
    assert told(await collected(connector, WEEK, ALL)) == recounted(crm, WEEK)
    probe = await connector.probe()
    assert (probe.ok, "$metadata" in probe.advice) == (True, True)


async def test_without_goals_there_is_no_quota_and_that_is_no_zero(crm: Dataverse) -> None:
    people_of(crm, 1)
    parts = await collected(crm.connector(), ONE, frozenset({"quota_attainment"}))
    status, detail = coverage_of(parts)["quota_attainment", TODAY]
    assert (status, "goal" in detail, told(parts)) == (UNSUPPORTED, True, {})


async def test_an_empty_environment_has_zeros_only(crm: Dataverse) -> None:
    people = people_of(crm, 1)
    parts = await collected(crm.connector(), ONE, ALL)
    assert told(parts) == {}
    assert facts_of(parts)[people[0], TODAY]["opps_open"] == 0


@pytest.mark.parametrize("kind", ["cut", "html", "500", "400"])
async def test_an_answer_that_cannot_be_read_is_an_error_of_its_metrics_and_never_a_zero(
    crm: Dataverse, kind: str
) -> None:
    lived(crm, people_of(crm, 2))
    crm.trouble(kind, "leads")
    parts = await collected(crm.connector(), ONE, ALL)
    lost = {metric for metric, status in statuses(parts).items() if status is not OK}
    assert lost == {"records_created.lead", "records_updated.lead"}
    assert {statuses(parts)[metric] for metric in lost} == {ERROR}
    assert not any(lost & values.keys() for values in facts_of(parts).values())


async def test_a_page_that_fails_leaves_no_part_of_its_numbers() -> None:
    crm = Dataverse(knows=frozenset())
    lived(crm, people_of(crm, 3))
    crm.trouble("page2", "opportunities", left=10**6)
    parts = await collected(crm.connector(batch=20), ONE, DEALS | {"records_created.lead"})
    said = statuses(parts, among=DEALS | {"records_created.lead"})
    assert {said[metric] for metric in DEALS} == {ERROR}
    assert said["records_created.lead"] is OK
    assert not DEALS & {metric for values in facts_of(parts).values() for metric in values}


async def test_rows_that_come_twice_because_pages_shift_are_counted_once() -> None:
    crm = Dataverse(knows=frozenset())
    lived(crm, people_of(crm, 3))
    crm.trouble("overlaps")
    parts = await collected(crm.connector(batch=20), WEEK, ALL)
    assert told(parts) == recounted(crm, WEEK)


@pytest.mark.parametrize(
    ("said", "waits"),
    [("40", 40), (f"{FRIDAY + timedelta(seconds=90):%a, %d %b %Y %H:%M:%S} GMT", 90), ("", None)],
)
async def test_when_told_to_slow_down_nobody_asks_until_then(
    crm: Dataverse, said: str, waits: int | None
) -> None:
    lived(crm, people_of(crm, 2))
    connector = crm.connector()
    await connector.users(TODAY)
    crm.trouble("429", "leads", left=1, said=said)
    parts = await collected(connector, ONE, ALL)
    assert statuses(parts)["records_created.lead"] is THROTTLED
    asked = len(crm.line.asked)
    with pytest.raises(Throttled) as told_to_wait:
        await collected(connector, ONE, ALL)
    assert len(crm.line.asked) == asked
    if waits is not None:
        assert told_to_wait.value.after == timedelta(seconds=waits)
    crm.clock.move_to(FRIDAY + timedelta(hours=1))
    assert statuses(await collected(connector, ONE, ALL))["records_created.lead"] is OK


async def test_a_clock_that_goes_wrong_by_ten_minutes_does_no_harm(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 2))
    crm.skew = timedelta(minutes=10)
    connector = crm.connector()
    assert set(statuses(await collected(connector, ONE, ALL)).values()) == {OK}
    assert connector.api.server_now() - FRIDAY == timedelta(minutes=10)


async def test_a_line_that_drops_is_tried_again_and_no_poll_without_any_answer_is_kept(
    crm: Dataverse,
) -> None:
    people_of(crm, 1)
    crm.trouble("hang up", "leads", left=2)
    assert statuses(await collected(crm.connector(), ONE, ALL))["records_created.lead"] is OK
    connector = crm.connector()
    await connector.users(TODAY)
    crm.line.cut = True
    with pytest.raises(Retryable):
        await collected(connector, ONE, ALL)


@pytest.mark.parametrize("where", ["nextLink", "cookie"])
async def test_a_server_that_names_the_same_page_for_ever_is_not_followed(where: str) -> None:
    crm = Dataverse(knows=frozenset({"fetch"}) if where == "cookie" else frozenset())
    lived(crm, people_of(crm, 2))

    def rewrite(asked: str, answer: Any) -> Any:
        if asked == "leads" and where == "nextLink":
            answer["@odata.nextLink"] = f"{URL}{ROOT}/leads?$skiptoken=0!5000"
        elif asked == "leads":
            answer["@Microsoft.Dynamics.CRM.morerecords"] = True
        return answer

    crm.rewrite = rewrite
    crm.cookies = False
    metrics = frozenset({"records_created.lead", "records_created.contact"})
    parts = await collected(crm.connector(), WEEK, metrics)
    assert statuses(parts, among=metrics) == {
        "records_created.contact": OK,
        "records_created.lead": OK if where == "cookie" else ERROR,
    }
    if where == "cookie":  # an empty page ends it
        assert told(parts) == {key: n for key, n in recounted(crm, WEEK).items() if key[2] in metrics}


async def test_next_pages_are_asked_for_with_the_same_wishes_and_only_where_we_log_in() -> None:
    crm = Dataverse(knows=frozenset())
    lived(crm, people_of(crm, 3))
    await collected(crm.connector(batch=25), ONE, frozenset({"opps_open"}))
    pairs = list(zip(crm.line.asked, crm.line.headers, strict=True))
    pages = [headers["prefer"] for (path, _), headers in pairs if path == "opportunities"]
    assert len(pages) > 2
    assert set(pages) == {"odata.maxpagesize=25"}
    assert {httpx.URL(address).host for address in crm.line.addresses} == {
        "acme.crm4.dynamics.com",
        "login.microsoftonline.com",
    }


@pytest.mark.parametrize("shape", ["root", "relative", "spaces"])
async def test_next_pages_are_found_however_a_server_writes_its_links(shape: str) -> None:
    crm = Dataverse(knows=frozenset())
    lived(crm, people_of(crm, 3))

    def rewrite(_asked: str, answer: Any) -> Any:
        link = answer.get("@odata.nextLink", "")
        if link and shape == "spaces":
            answer["@odata.nextLink"] = link.replace("%20", " ")
        elif link:
            root = URL if shape == "root" else f"{URL}{ROOT}/"
            answer["@odata.nextLink"] = link.removeprefix(root)
        return answer

    crm.rewrite = rewrite
    assert told(await collected(crm.connector(batch=25), WEEK, ALL)) == recounted(crm, WEEK)


async def test_a_group_that_comes_again_on_the_next_page_is_counted_once(crm: Dataverse) -> None:
    crm.groups = 3
    lived(crm, people_of(crm, 3))
    before: list[Any] = []

    def rewrite(where: str, answer: Any) -> Any:
        if where == "leads":
            answer["value"] = [*before[-1:], *answer["value"]]
            before[:] = answer["value"]
        return answer

    crm.rewrite = rewrite
    metric = frozenset({"records_created.lead"})
    parts = await collected(crm.connector(), WEEK, metric)
    assert crm.line.paths().count("leads") > 2
    assert told(parts) == {key: n for key, n in recounted(crm, WEEK).items() if key[2] in metric}


@pytest.mark.parametrize("depth", ["Global", 3])
async def test_of_a_right_that_comes_by_several_roles_the_deepest_counts(
    crm: Dataverse, depth: str | int
) -> None:
    people_of(crm, 1)

    def rewrite(where: str, answer: Any) -> Any:
        if "RolePrivileges" in answer:
            rows = answer["RolePrivileges"]
            answer["RolePrivileges"] = [
                *({**row, "Depth": "Basic"} for row in rows),
                *({**row, "Depth": depth} for row in rows),
                *({**row, "Depth": "Local"} for row in rows),
            ]
        return answer

    crm.rewrite = rewrite
    parts = await collected(crm.connector(), ONE, ALL)
    assert DENIED not in statuses(parts).values()


# --- evidence --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["FetchXML", "$apply", "rows", "FetchXML, but not of activities"])
async def test_the_records_are_those_that_are_counted_however_the_server_counts(way: str) -> None:
    crm = Dataverse(**WAYS.get(way, {}))
    people = people_of(crm, 4)
    lived(crm, people)
    if way not in WAYS:
        crm.trouble("no count", "activitypointers")
    connector = crm.connector()
    numbers = told(await collected(connector, ONE, ALL))
    for metric in sorted({*DEALS, "tasks_overdue"}):
        found = await connector.evidence(metric, people, 50, TODAY)
        assert {who: count for who, (count, _) in found.items()} == {
            who: number for (who, _, said), number in numbers.items() if said == metric
        }, metric
        assert all(len({record.id for record in records}) == count for count, records in found.values())


@pytest.mark.parametrize("way", ["FetchXML", "rows"])
async def test_a_record_says_since_when_it_is_quiet_and_opens_in_the_app(way: str) -> None:
    crm = Dataverse(**WAYS[way])
    _, rep = people_of(crm, 1)
    deal = crm.deal(rep, 200, name="Northwind", quiet=True)
    crm.activity("phonecall", rep, 90, about=deal)
    crm.activity("phonecall", rep, 41, about=deal)
    connector = crm.connector(app_id="abc-1")
    _, (record,) = (await connector.evidence("opps_no_activity_30d", [rep], 5, TODAY))[rep]
    assert record.details["days_quiet"] == "41"
    assert record.details["account"] == "Name of cc01"
    assert record.link == f"{URL}/main.aspx?appid=abc-1&etn=opportunity&pagetype=entityrecord&id={deal}"
    other = crm.connector(record_link="https://crm.example.com/{id}")
    _, (record,) = (await other.evidence("opps_open", [rep], 5, TODAY))[rep]
    assert record.link == f"https://crm.example.com/{deal}"


async def test_one_reading_of_open_opportunities_serves_all_their_flaws(crm: Dataverse) -> None:
    people = people_of(crm, 3)
    lived(crm, people)
    connector = crm.connector()
    await connector.environment.start()
    before = len(crm.line.asked)
    for metric in sorted(DEALS):
        await connector.evidence(metric, people, 5, TODAY)
    assert len(crm.line.asked) - before == 3  # opportunities, any activity, one still to be done
    crm.clock.move_to(FRIDAY + timedelta(seconds=2))
    await connector.evidence("opps_open", people, 5, TODAY)
    assert len(crm.line.asked) - before == 4, "just before sending they are read again"


async def test_addresses_stay_short_and_activities_too_many_to_count_are_asked_for_fewer_people(
    crm: Dataverse,
) -> None:
    people = people_of(crm, 200)
    for who in people:
        crm.deal(who, 90)
    crm.most = 30
    found = await crm.connector().evidence("opps_no_next_step", people, 5, TODAY)
    assert found == {}
    assert max(len(address) for address in crm.line.addresses) < 10_000


async def test_evidence_of_a_day_long_gone_is_refused_and_what_is_unsupported_has_none(
    crm: Dataverse,
) -> None:
    _, rep = people_of(crm, 1)
    crm.deal(rep, 90)
    connector = crm.connector()
    with pytest.raises(Retryable):
        await connector.evidence("opps_open", [rep], 5, TODAY - timedelta(days=30))
    for metric in ("opps_stuck_step", "pipeline_amount", "won_count"):
        assert await connector.evidence(metric, [rep], 5, TODAY) == {}


async def test_records_that_may_not_be_read_any_more_say_what_to_grant(crm: Dataverse) -> None:
    _, rep = people_of(crm, 1)
    crm.trouble("denied", "opportunities")
    with pytest.raises(Permanent, match="prvReadOpportunity"):
        await crm.connector().evidence("opps_open", [rep], 5, TODAY)


# --- logging in ------------------------------------------------------------------------------------------------------------


async def test_a_session_is_renewed_before_it_ends_and_once_when_it_is_refused(crm: Dataverse) -> None:
    people_of(crm, 1)
    connector = crm.connector()
    await connector.users(TODAY)
    assert crm.logins == 1
    crm.clock.move_to(FRIDAY + timedelta(seconds=3598))
    await connector.users(TODAY)
    assert crm.logins == 2
    crm.trouble("401", "systemusers", left=1)
    await connector.users(TODAY)
    assert crm.logins == 3
    crm.trouble("401")
    with pytest.raises(Permanent):
        await connector.users(TODAY)
    assert crm.logins == 4


@pytest.mark.parametrize("lasts", ["3599", None, "soon", -1])
async def test_a_token_that_does_not_say_how_long_it_lasts_is_used_all_the_same(
    crm: Dataverse, lasts: Any
) -> None:
    people_of(crm, 1)
    crm.expires_in = lasts
    connector = crm.connector()
    assert (await connector.users(TODAY))[0]
    assert crm.logins == 1


@pytest.mark.parametrize(
    ("number", "word"),
    [
        ("7000222", "expired"),
        ("7000215", "CLIENT_SECRET"),
        ("700016", "CLIENT_ID"),
        ("90002", "TENANT"),
        ("700027", "CERTIFICATE"),
        ("500011", "FULLSTEAM_DYNAMICS_URL"),
        ("70011", "SCOPE"),
        ("53003", "conditional access"),
        ("99999999", "app registration"),
    ],
)
async def test_a_login_that_is_rejected_says_what_to_do_in_one_line(
    crm: Dataverse, number: str, word: str
) -> None:
    crm.trouble("AADSTS", "token", said=number)
    probe = await crm.connector().probe()
    assert not probe.ok
    assert word in probe.advice
    assert f"AADSTS{number}" in probe.advice
    assert "\n" not in probe.advice
    assert SECRET not in probe.advice


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"client_secret": "wrong"}, "7000215"),
        ({"client_id": "99999999-0000-0000-0000-000000000000"}, "700016"),
        ({"tenant": "other.example"}, "90002"),
        ({"scope": "user.read"}, "70011"),
        ({"token_url": f"{URL}/elsewhere"}, "FULLSTEAM_DYNAMICS_TOKEN_URL"),
        ({"api_version": "v1.0"}, "FULLSTEAM_DYNAMICS_API_VERSION"),
        ({"prefix": "/crm"}, "FULLSTEAM_DYNAMICS_PREFIX"),
    ],
)
async def test_what_is_set_wrong_is_named(crm: Dataverse, changed: dict[str, Any], word: str) -> None:
    people_of(crm, 1)
    probe = await crm.connector(**changed).probe()
    assert (probe.ok, word in probe.advice) == (False, True)


@pytest.mark.parametrize(
    ("kind", "word"), [("member", "application user"), ("disabled", "enable it"), ("denied", "security role")]
)
async def test_an_app_that_is_no_user_of_the_environment_is_told_so(
    crm: Dataverse, kind: str, word: str
) -> None:
    people_of(crm, 1)
    crm.trouble(kind)
    connector = crm.connector()
    probe = await connector.probe()
    assert (probe.ok, word in probe.advice) == (False, True)


async def test_sovereign_clouds_have_their_own_authority_and_scope(crm: Dataverse) -> None:
    people_of(crm, 1)
    connector = crm.connector(
        authority="https://login.microsoftonline.us", scope="https://acme.crm.microsoftdynamics.us/.default"
    )
    await connector.users(TODAY)
    assert crm.line.addresses[0] == f"https://login.microsoftonline.us/{TENANT}/oauth2/v2.0/token"
    connector = crm.connector(token_url="https://login.example.com/contoso.onmicrosoft.com/token", tenant="")
    await connector.users(TODAY)
    assert "https://login.example.com/contoso.onmicrosoft.com/token" in crm.line.addresses


def test_settings_that_do_not_fit_are_named_by_their_variables(tmp_path: Path) -> None:
    good = {"name": "dynamics", "url": URL, "tenant": TENANT, "client_id": CLIENT, "client_secret": SECRET}
    assert read_settings(DynamicsSettings, good).api_version == "v9.2"
    pem = tmp_path / "app.pem"
    pem.write_text("-")
    for changed, word in (
        ({"client_secret": ""}, "FULLSTEAM_DYNAMICS_CERTIFICATE"),
        ({"certificate": str(pem)}, "either FULLSTEAM_DYNAMICS_CLIENT_SECRET"),
        ({"certificate": str(tmp_path / "none.pem"), "client_secret": ""}, "names no file"),
        ({"tenant": ""}, "FULLSTEAM_DYNAMICS_TENANT"),
        ({"client_id": "", "tenant": ""}, "FULLSTEAM_DYNAMICS_CLIENT_ID (the application"),
        ({"login": "none"}, "this machine only"),
        ({"url": "http://crm.example.com"}, "https://"),
        ({"api_version": "9.2"}, "FULLSTEAM_DYNAMICS_API_VERSION"),
        ({"access_actions": "64;65"}, "FULLSTEAM_DYNAMICS_ACCESS_ACTIONS"),
    ):
        with pytest.raises(ConfigurationError) as fault:
            read_settings(DynamicsSettings, good | changed)
        assert word in str(fault.value), changed
        assert SECRET not in str(fault.value)


async def test_no_secret_is_in_a_log_a_repr_or_an_error(
    crm: Dataverse, caplog: pytest.LogCaptureFixture
) -> None:
    people_of(crm, 1)
    with caplog.at_level(logging.DEBUG):
        connector = crm.connector()
        await connector.probe()
        crm.trouble("401")
        with pytest.raises(Permanent) as error:
            await connector.users(TODAY)
        crm.faults.clear()
        crm.trouble("AADSTS", "token", said="7000222")
        said = (await crm.connector().probe()).advice
    text = caplog.text + said + repr(error.value) + repr(connector.settings) + repr(vars(connector))
    assert SECRET not in text
    assert "token-" not in text
    assert "Rep 000" not in caplog.text


# --- what is asked ---------------------------------------------------------------------------------------------------------


async def test_every_fetchxml_is_well_formed_and_of_the_reference(crm: Dataverse) -> None:
    people = people_of(crm, 2)
    crm.audited -= {"lead"}
    connector = crm.connector(next_step="new_nextstep", step_since="new_stepsince")
    await collected(connector, WEEK, ALL)
    await collected(crm.connector(), WEEK, ALL)
    await connector.evidence("opps_no_activity_30d", people, 5, TODAY)
    found = queries(crm)
    assert len(set(found)) > 20
    for said in found:
        root = fromstring(said, forbid_dtd=True)
        check(root)
        assert root.get("aggregate") == "true"
        grouped = [each for each in root.iter("attribute") if each.get("dategrouping")]
        assert all(each.get("usertimezone") == "false" for each in grouped)
        aliases = [each.get("alias") for each in root.iter("attribute")]
        assert len(aliases) == len(set(aliases))
        assert {each.get("alias") for each in root.iter("order")} <= set(aliases)


async def test_a_rehearsal_shows_every_query_and_sends_none() -> None:
    assert CONNECTOR.blank is not None
    rehearsal = Rehearsal(CONNECTOR.blank)
    settings = Dataverse().settings(transport=rehearsal)
    connector = CONNECTOR.open(settings, None)
    await connector.users(TODAY)
    parts = [part async for part in connector.collect(Window(TODAY - timedelta(days=2), TODAY), ALL)]
    assert parts
    await connector.evidence("opps_open", [Dataverse().me], 5, TODAY)
    tables = {asked.path.rpartition("/")[2] for asked in rehearsal.asked}
    assert {
        "opportunities",
        "audits",
        "goals",
        "emails",
        "tasks",
        "systemusers",
        "EntityDefinitions",
    } <= tables
    assert sum("fetchXml" in asked.query for asked in rehearsal.asked) > 20


async def test_a_probe_says_how_the_server_counts() -> None:
    for knows, word in ((("fetch", "apply"), "FetchXML"), (("apply",), "$apply"), ((), "rows")):
        crm = Dataverse(knows=frozenset(knows))
        people_of(crm, 1)
        probe = await crm.connector().probe()
        assert (probe.ok, probe.version) == (True, f"v9.2, counts by {word}")


async def test_who_we_are_and_which_tables_there_are_is_found_out_once_a_day(crm: Dataverse) -> None:
    people_of(crm, 1)
    connector = crm.connector()
    for days in (0, 0.5, 1.1):
        crm.clock.move_to(FRIDAY + timedelta(days=days))
        await connector.users(crm.today)
    seen = Counter(crm.line.paths())
    assert (seen["WhoAmI"], seen["$metadata"], seen["timezonedefinitions"]) == (2, 2, 1)


async def test_at_most_four_requests_are_under_way_at_once(crm: Dataverse) -> None:
    import asyncio

    lived(crm, people_of(crm, 2))
    now = most = 0
    inner = crm.settings()["transport"]

    class Counting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            try:
                return await inner.handle_async_request(request)
            finally:
                now -= 1

    await collected(crm.connector(transport=Counting()), ONE, ALL)
    assert most == 4


def test_spans_by_age_have_no_gap_and_no_overlap() -> None:

    spans = age_spans(TODAY)
    assert spans[-1][1] == TODAY
    for (_, last), (first, _) in pairwise(spans):
        assert first - last == timedelta(days=1)


def test_a_connector_is_opened_without_reading_anything(crm: Dataverse) -> None:
    opened = CONNECTOR.open(crm.settings(), None)
    assert isinstance(opened, DynamicsConnector)
    assert crm.line.asked == []
    assert Policy().at_once == 4


# --- the page for admins ---------------------------------------------------------------------------------------------------

PLACES = {
    "2026-11-18T00:00:00Z": "{a}",
    "2026-11-21T00:00:00Z": "{b}",
    "2026-11-20T15:00:00Z": "{now}",
    "2026-11-20T00:00:00Z": "{today}",
    "2026-11-14T00:00:00Z": "{grace}",
    "2026-10-22T00:00:00Z": "{quiet}",
    "2026-10-24": "{late}",
    "2026-11-18": "{first}",
    "2026-11-21": "{next}",
    "2026-11-20": "{today}",
}


async def written(crm: Dataverse) -> list[str]:
    """Every request of a poll and of evidence, as the page for admins shows it."""
    _, rep = people_of(crm, 1)
    connector = crm.connector()
    await collected(connector, Window(TODAY - timedelta(days=2), TODAY), ALL)
    for metric in ("opps_no_activity_30d", "opps_no_next_step", "tasks_overdue"):
        await connector.evidence(metric, [rep], 5, TODAY)
    found = []
    for path, options in crm.line.asked:
        if path.endswith("/token"):
            continue
        said = "&".join(f"{name}={value}" for name, value in options.items())
        text = f"GET {path.replace(crm.me, '{me}')}{'?' if said else ''}{said}"
        for old, new in PLACES.items():
            text = text.replace(old, new)
        found.append(text.replace(rep, "{owner}"))
    return list(dict.fromkeys(found))


async def test_every_query_and_every_setting_is_on_the_page_for_admins(
    crm: Dataverse, repository: Path
) -> None:
    page = (repository / "docs/connectors/dynamics.md").read_text()
    crm.audited -= {"lead", "incident"}
    missing = [query for query in await written(crm) if query not in page]
    assert missing == []
    names = [f"FULLSTEAM_DYNAMICS_{name.upper()}" for name in DynamicsSettings.model_fields]
    given = {"FULLSTEAM_DYNAMICS_NAME", "FULLSTEAM_DYNAMICS_ZONE"}
    assert [name for name in names if name not in given and f"`{name}`" not in page] == []
    assert [metric for metric in sorted(READ) if f"`{metric}`" not in page] == []
    assert [right for right in sorted(set(RIGHTS.values())) if f"`{right}`" not in page] == []
