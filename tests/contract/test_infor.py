"""The Infor CRM connector on an SData server: what it counts, and what it says when the server refuses or fails.

The counts are held against a recount of the server's own tables; its answers against a feed recorded from Infor's client.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import resource
import tracemalloc
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from bot.connectors.http import Answer
from bot.connectors.infor.answers import diagnoses_of, metric_of
from bot.connectors.infor.connector import CONNECTOR, InforConnector, InforSettings, blank
from bot.connectors.infor.queries import ACTIVITIES, DONE_AS, READ, STATES, UPDATED
from bot.connectors.infor.rows import (
    Change,
    calendar_day,
    changes_of,
    day_of,
    due_day,
    is_pushed,
    moment_of,
    number_of,
)
from bot.connectors.rehearsal import Rehearsal
from bot.connectors.settings import read_settings
from bot.domain.errors import ConfigurationError, Permanent, Retryable, Throttled
from bot.domain.usage import METRICS, Collected, CoverageStatus, Window
from sandbox.clock import SteeredClock
from tests.infor_crm import (
    FRIDAY,
    PASSWORD,
    URL,
    USER,
    Site,
    collected,
    coverage_of,
    diagnosis,
    diagnosis_xml,
    facts_of,
)

pytestmark = pytest.mark.anyio

ALL = frozenset(METRICS)
TODAY = FRIDAY.date()
DAY = Window(TODAY, TODAY)
WEEK = Window(TODAY - timedelta(days=6), TODAY)
OK, PARTIAL, DENIED = CoverageStatus.OK, CoverageStatus.PARTIAL, CoverageStatus.DENIED
UNSUPPORTED, THROTTLED, ERROR = (
    CoverageStatus.UNSUPPORTED,
    CoverageStatus.THROTTLED,
    CoverageStatus.ERROR,
)
CONTACTS = frozenset({"records_created.contact"})
HTML = b"<!DOCTYPE html><html><head><title>IIS</title></head><body><h2>Server Error</h2></body></html>"
KEYS = {
    "ti": "ACME_TST",
    "ci": "ACME_TST~id",
    "cs": "secret",
    "iu": "https://mingle-ionapi.example.com",
    "pu": "https://mingle-sso.example.com:443/ACME_TST/as/",
    "ot": "token.oauth2",
    "saak": "ACME_TST#ak",
    "sask": "sk",
}


@pytest.fixture
def site() -> Site:
    return Site()


def ionapi(folder: Path, **changed: str | None) -> Path:
    file = folder / "fullsteam.ionapi"
    file.write_text(
        json.dumps({key: value for key, value in {**KEYS, **changed}.items() if value is not None})
    )
    return file


def people_of(site: Site, count: int) -> list[str]:
    """A boss, who closed two deals last year, and as many people."""
    boss = site.user("Ada Brandt")
    for status in ("Closed - Won", "Closed - Lost"):
        site.won(boss, 400, 500, Status=status)
    return [boss, *(site.user(f"Rep {n:03}", boss) for n in range(count))]


def lived(site: Site, people: Sequence[str], times: int = 12) -> None:
    """A busy month, the same every time: every kind of record, with every kind of flaw, by everybody in turn."""
    for n in range(times * len(people)):
        who, days = people[n % len(people)], n * 7 % 97 + n % 3 / 3
        close = datetime.combine(TODAY + timedelta(days=n % 41 - 20), time(), UTC)
        deal = site.deal(
            who,
            days,
            Description=f"Deal {n}",
            account="Northwind" if n % 4 else "",
            SalesPotential=100.0 * n if n % 5 else None,
            NextStep="Call" if n % 3 else None,
            EstimatedClose=close if n % 6 else None,
        )
        if n % 8 == 0:
            closed = datetime.combine(TODAY - timedelta(days=n % 9), time(), UTC)
            status = "Closed - Won" if n % 16 else "Closed - Lost"
            site.row("opportunities", deal).update(Status=status, ActualClose=closed)
        elif n % 8 == 1:
            site.changed(who, deal, n * 5 % 80, ("Stage", f"Step {n % 3}", "Lead"), ("NextStep", "Call", ""))
        elif n % 8 == 2:
            site.changed(people[0], deal, n % 6, ("EstimatedClose", f"12/{n % 27 + 1}/2026", "12/14/2026"))
        site.done(who, ("atPhoneCall", "atEMail", "atAppointment", "atToDo", "atNote")[n % 5], n % 40, deal)
        site.todo(who, n % 9 - 4, Recurring=n % 11 == 0)
        site.record(("accounts", "contacts", "leads", "tickets")[n % 4], who, n % 11)
        site.changed(
            who,
            f"X{n % 7}",
            n % 9,
            ("Status", "A", "B"),
            column=("ContactId", "LeadId", "TicketId", "AccountId")[n % 4],
        )
        site.login(who, n % 7)
        site.login(who, n % 7, "Login Failure")


def recounted(site: Site, window: Window) -> dict[tuple[str, date, str], float]:
    """The numbers of a window by another way: straight from the tables, people who did nothing left out."""
    found: defaultdict[tuple[str, date, str], float] = defaultdict(float)
    tables, today = site.server.tables, window.through
    for thing, kind in {
        "opportunity": "opportunities",
        "account": "accounts",
        "contact": "contacts",
        "lead": "leads",
        "case": "tickets",
    }.items():
        for row in tables[kind]:
            found[row["CreateUser"].strip(), row["CreateDate"].date(), f"records_created.{thing}"] += 1
    seen = set()
    last_worked: dict[str, date] = {}
    last_moved: dict[str, date] = {}
    for row in tables["history"]:
        if row["Type"] != "atDatabaseChange":
            day, done = row["CompletedDate"].date(), DONE_AS.get(row["Type"].lower())
            if done:
                found[row["UserId"], day, f"activities_completed.{done}"] += 1
            last_worked[row["OpportunityId"]] = max(day, last_worked.get(row["OpportunityId"], day))
            continue
        day, who = row["CreateDate"].date(), row["CreateUser"]
        for thing, column in (
            ("opportunity", "OpportunityId"),
            ("case", "TicketId"),
            ("lead", "LeadId"),
            ("contact", "ContactId"),
            ("account", "AccountId"),
        ):
            if row[column]:
                seen.add((who, day, f"records_updated.{thing}", row[column]))
                break
        if row["Notes"].startswith("Stage"):
            seen.add((who, day, "step_moves", row["OpportunityId"]))
            last_moved[row["OpportunityId"]] = max(day, last_moved.get(row["OpportunityId"], day))
        if row["Notes"].startswith("EstimatedClose") and int(row["Notes"].split("/")[1]) > 14:
            found[who, day, "close_date_pushes"] += 1
    for who, day, metric, _ in seen:
        found[who, day, metric] += 1
    for row in tables["auditLogs"]:
        if row["EventName"] == "Login":
            found[row["UserId"], row["EventDate"].date(), "active_day"] = 1
    for row in tables["activities"]:
        if (
            row["StartDate"].date() < today
            and not row["Recurring"]
            and row["Type"] in ("atToDo", "atPhoneCall")
        ):
            found[row["UserId"], today, "tasks_overdue"] += 1
    filled: defaultdict[str, list[int]] = defaultdict(list)
    for row in tables["opportunities"]:
        who, created = row["AccountManager"]["$key"].strip(), row["CreateDate"].date()
        amount, age = row["SalesPotential"] or 0, (today - row["CreateDate"].date()).days
        if row["Status"].startswith("Closed"):
            day = row["ActualClose"].date()
            won = row["Status"].endswith("Won")
            found[who, day, "won_count" if won else "lost_count"] += 1
            if won:
                found[who, day, "won_amount"] += amount
                found[who, day, "cycle_days"] += max((day - created).days, 0)
            continue
        close = row["EstimatedClose"] and row["EstimatedClose"].date()
        flaws = {
            "opps_open": True,
            "opps_past_close": close is not None and close < today,
            "opps_no_next_step": not row["NextStep"] and age >= 7,
            "opps_missing_amount": not amount and age >= 7,
            "opps_missing_account": not row["Account"] and age >= 7,
            "opps_no_activity_30d": (today - last_worked.get(row["Id"], created)).days >= 30 and age >= 30,
            "opps_stuck_step": (today - last_moved.get(row["Id"], created)).days >= 60 and age >= 60,
        }
        for metric, flawed in flaws.items():
            found[who, today, metric] += flawed
        found[who, today, "pipeline_amount"] += amount
        filled[who].append(sum(map(bool, (close, amount, row["Account"], row["NextStep"]))))
    for who, parts in filled.items():
        found[who, today, "field_completeness"] = 100 * sum(parts) / (4 * len(parts))
    return {
        key: number for key, number in found.items() if number and window.since <= key[1] <= window.through
    }


def numbers(parts: list[Collected]) -> dict[tuple[str, date, str], float]:
    return {
        (who, day, metric): number
        for (who, day), values in facts_of(parts).items()
        for metric, number in values.items()
        if number
    }


async def status_of(connector: InforConnector, metrics: frozenset[str] = CONTACTS) -> dict[str, str]:
    """Metric -> status of today, where the poll as a whole goes on."""
    coverage = coverage_of(await collected(connector, DAY, metrics | {"records_created.lead"}))
    assert coverage["records_created.lead", TODAY][0] is OK, "the others go on"
    return {metric: coverage[metric, TODAY][0] for metric in metrics}


# -- what is counted --------------------------------------------------------------------------------------------------


async def test_every_number_is_what_the_tables_say(site: Site) -> None:
    people = people_of(site, 6)
    lived(site, people)
    parts = await collected(site.connector(login_resource="auditLogs", page=30), WEEK, ALL)
    expected = recounted(site, WEEK)
    assert numbers(parts) == pytest.approx(expected)
    assert {metric for _, _, metric in expected} == READ, "each of them was put to the test"
    coverage = coverage_of(parts)
    for metric in METRICS:
        for day in (WEEK.since, TODAY):
            known = metric in READ and (metric not in STATES or day == TODAY)
            assert coverage[metric, day][0] is (OK if known else UNSUPPORTED), metric


async def test_the_server_s_own_metrics_and_the_list_say_the_same(site: Site) -> None:
    lived(site, people_of(site, 24), times=5)
    both = frozenset({"opps_open", "pipeline_amount"})
    counted = await collected(site.connector(page=10), DAY, both)
    asked = [address for address in site.server.asked if "executeMetric" in address]
    assert (
        "_filterName=AccountManager&_metricName=CountOpportunities&_activeFilter=(Status eq 'Open')"
        in asked[0]
    )
    read = [address for address in site.server.asked if "/opportunities?" in address]
    assert all("&count=1&" in address for address in read), "no list of them was read"
    assert "startIndex=21" in " ".join(asked), "more account managers than a page has"
    site.server.counts = False
    assert numbers(await collected(site.connector(page=10), DAY, both)) == numbers(counted)
    site.server.counts = True
    site.server.metrics.clear()
    listed = await collected(site.connector(page=10), DAY, both)
    assert numbers(listed) == numbers(counted) != {}
    assert coverage_of(listed) == coverage_of(counted)
    site.trouble("executeMetric", 500, HTML)
    assert numbers(await collected(site.connector(page=10), DAY, both)) == numbers(counted)


async def test_a_metric_that_names_somebody_twice_or_not_everybody_is_not_believed(site: Site) -> None:
    (ada, rep) = people_of(site, 1)
    site.deal(rep, 3)
    site.deal(ada, 3)

    def twice(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        if "executeMetric" in asked:
            body["$resources"] *= 2
        return body

    def cut_short(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        if "executeMetric" in asked:
            body["$resources"] = body["$resources"][:1] if "startIndex=1&" in asked else []
        return body

    for wrong in (twice, cut_short):
        site.server.rewrite = wrong
        parts = await collected(site.connector(), DAY, frozenset({"opps_open"}))
        assert numbers(parts) == {(who, TODAY, "opps_open"): 1 for who in (ada, rep)}, "from the list"


async def test_what_an_activity_is_called_and_who_completed_it(site: Site) -> None:
    ada, rep = people_of(site, 1)
    call = site.done(rep, "ATPHONECALL", 0)
    site.row("history", call).update(CompletedUser=None)
    mail = site.done(rep, "atEMail", 0)
    site.row("history", mail).update(CompletedUser=ada)
    site.done(rep, "atPersonal", 0)
    facts = numbers(await collected(site.connector(), DAY, frozenset(ACTIVITIES)))
    assert facts == {
        (rep, TODAY, "activities_completed.call"): 1,
        (ada, TODAY, "activities_completed.email"): 1,
    }, "what is personal is nobody's business"


async def test_what_was_inserted_is_no_change_and_a_record_counts_once_a_day(site: Site) -> None:
    _, rep = people_of(site, 1)
    deal = site.deal(rep, 20)
    for _ in range(3):
        site.changed(rep, deal, 0, ("Stage", "A", "B"))
    site.row("history", site.changed(rep, "R9", 0, ("Stage", "A", ""))).update(Result="Insert")
    facts = numbers(await collected(site.connector(), DAY, UPDATED))
    assert facts == {
        (rep, TODAY, "records_updated.opportunity"): 1,
        (rep, TODAY, "step_moves"): 1,
    }


async def test_what_is_not_audited_is_unsupported_and_never_zero(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.changed(rep, site.deal(rep, 90), 80, ("NextStep", "Call", ""))
    coverage = coverage_of(await collected(site.connector(), DAY, UPDATED | {"opps_stuck_step"}))
    assert coverage["records_updated.opportunity", TODAY] == (OK, ""), "there was one, of another time"
    for metric, what in (
        ("step_moves", "Stage"),
        ("close_date_pushes", "EstimatedClose"),
        ("opps_stuck_step", "Stage"),
    ):
        status, detail = coverage[metric, TODAY]
        assert (status, f"no change of {what} is in the history" in detail) == (UNSUPPORTED, True)
    with pytest.raises(Permanent, match="auditing"):
        await site.connector().evidence("opps_stuck_step", [rep], 5, TODAY)


async def test_where_changes_are_not_audited_the_last_one_of_each_record_counts() -> None:
    site = Site(SteeredClock(FRIDAY - timedelta(hours=4)))  # the day before ended less than twelve hours ago
    ada, rep = people_of(site, 1)
    for minutes in (0, 5):
        site.record("leads", rep, 0, ModifyUser=rep, ModifyDate=site.ago(0) + timedelta(minutes=minutes))
    site.record("leads", rep, 9, ModifyUser=ada, ModifyDate=site.ago(1))
    site.record("leads", rep, 9, ModifyUser=None, ModifyDate=site.ago(1))
    window = Window(TODAY - timedelta(days=1), TODAY)
    parts = await collected(site.connector(), window, frozenset({"records_updated.lead"}))
    assert numbers(parts) == {
        (rep, TODAY, "records_updated.lead"): 1,
        (ada, window.since, "records_updated.lead"): 1,
    }
    assert parts[0].notes == {"leads of nobody": 1}
    site.clock.move_to(FRIDAY)
    parts = await collected(site.connector(), window, frozenset({"records_updated.lead"}))
    assert numbers(parts) == {(rep, TODAY, "records_updated.lead"): 1}
    status, detail = coverage_of(parts)["records_updated.lead", window.since]
    assert (status, "leads are not audited" in detail) == (UNSUPPORTED, True), (
        "somebody may have changed it since"
    )
    assert coverage_of(parts)["records_updated.lead", TODAY][0] is OK
    site.trouble("ModifyDate", 403, HTML)
    parts = await collected(
        site.connector(), DAY, frozenset({"records_updated.lead", "records_created.lead"})
    )
    assert coverage_of(parts)["records_updated.lead", TODAY][0] is DENIED


async def test_a_date_in_a_change_that_cannot_be_read_costs_the_pushes_of_that_day_only(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.changed(rep, site.deal(rep, 20), 0, ("EstimatedClose", "24.12.2026", "01.12.2026"))
    window = Window(TODAY - timedelta(days=1), TODAY)
    parts = await collected(site.connector(), window, UPDATED)
    coverage = coverage_of(parts)
    assert coverage["close_date_pushes", TODAY][0] is PARTIAL
    assert "FULLSTEAM_INFOR_AUDIT_DATES" in coverage["close_date_pushes", TODAY][1]
    assert coverage["close_date_pushes", window.since][0] is OK
    assert coverage["records_updated.opportunity", TODAY][0] is OK
    parts = await collected(site.connector(audit_dates="%d.%m.%Y"), window, UPDATED)
    assert numbers(parts)[rep, TODAY, "close_date_pushes"] == 1


async def test_what_comes_again_and_again_is_not_overdue_and_is_counted_apart(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.todo(rep, -300, Recurring=True)
    site.todo(rep, -1)
    site.todo(rep, -1, kind="atAppointment")
    parts = await collected(site.connector(), DAY, frozenset({"tasks_overdue"}))
    assert numbers(parts) == {(rep, TODAY, "tasks_overdue"): 1}
    assert parts[0].notes == {"activities that come again and again": 1}


async def test_a_status_of_ones_own_and_the_field_of_the_next_step_are_settings(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.deal(rep, 30, Status="Offen", Stage="Anruf", NextStep=None)
    site.won(rep, 0, 5, Status="Gewonnen")
    site.won(rep, 0, 5, Status="Storno")
    settings: dict[str, Any] = {"open_status": "Offen, Ruht", "won_status": "gewonnen", "next_step": "Stage"}
    settings["other_status"] = "Storno"
    wanted = frozenset({"opps_open", "won_count", "lost_count", "opps_no_next_step"})
    facts = facts_of(await collected(site.connector(**settings), DAY, wanted))
    assert facts[rep, TODAY] == {"opps_open": 1, "won_count": 1, "lost_count": 0, "opps_no_next_step": 0}


async def test_a_field_that_is_not_there_costs_only_what_needs_it(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.deal(rep, 30)
    site.won(rep, 0, 5, SalesPotential=70.0)
    wanted = frozenset({"opps_no_next_step", "opps_past_close", "field_completeness", "won_amount"})
    connector = site.connector(next_step="Naechster")
    parts = await collected(connector, DAY, wanted)
    status, detail = coverage_of(parts)["opps_no_next_step", TODAY]
    assert (status, "FULLSTEAM_INFOR_NEXT_STEP" in detail) == (DENIED, True)
    assert facts_of(parts)[rep, TODAY] == {"opps_past_close": 0, "field_completeness": 100, "won_amount": 70}
    with pytest.raises(Permanent, match="NEXT_STEP"):
        await connector.evidence("opps_no_next_step", [rep], 5, TODAY)

    def silent(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        for row in body.get("$resources", []):
            row.pop("NextStep", None)
        return body

    site.server.rewrite = silent
    assert (
        coverage_of(await collected(site.connector(), DAY, wanted))["opps_no_next_step", TODAY][0] is DENIED
    )


async def test_a_deal_without_the_date_of_its_creation_costs_the_days_to_winning_only(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.won(rep, 0, 5, CreateDate=None)
    parts = await collected(site.connector(), DAY, frozenset({"won_count", "cycle_days"}))
    coverage = coverage_of(parts)
    assert numbers(parts) == {(rep, TODAY, "won_count"): 1}
    assert [coverage[metric, TODAY][0] for metric in ("won_count", "cycle_days")] == [OK, PARTIAL]


async def test_only_our_own_open_deals_are_what_a_missing_right_looks_like(site: Site) -> None:
    people_of(site, 1)
    site.deal("UBOT", 30)
    wanted = frozenset({"opps_past_close", "opps_open", "pipeline_amount"})
    coverage = coverage_of(await collected(site.connector(), DAY, wanted))
    for metric in wanted:
        status, detail = coverage[metric, TODAY]
        assert (status, "of every owner" in detail) == (DENIED, True)


async def test_who_did_nothing_in_a_crm_where_others_are_seen_has_zeros(site: Site) -> None:
    ada, rep = people_of(site, 1)
    site.deal(ada, 3)
    site.login(ada, 20)
    parts = await collected(site.connector(login_resource="auditLogs"), DAY, ALL)
    given = READ - {"field_completeness", "step_moves", "close_date_pushes", "opps_stuck_step"}
    assert facts_of(parts)[rep, TODAY] == dict.fromkeys(given, 0)
    assert {row.status for part in parts for row in part.coverage if row.metric in given} == {OK}


async def test_a_snapshot_is_never_given_an_older_date(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.deal(rep, 30)
    yesterday = Window(TODAY - timedelta(days=1), TODAY - timedelta(days=1))
    coverage = coverage_of(await collected(site.connector(), yesterday, ALL))
    assert {coverage[metric, yesterday.through][0] for metric in STATES} == {UNSUPPORTED}
    site.server.skew = timedelta(minutes=10)
    parts = await collected(site.connector(), DAY, frozenset({"opps_open"}))
    assert numbers(parts) == {(rep, TODAY, "opps_open"): 1}, "ten minutes between two clocks are no other day"


# -- dates ------------------------------------------------------------------------------------------------------------

WEST, EAST = ZoneInfo("America/Los_Angeles"), ZoneInfo("Pacific/Auckland")
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


def ms(moment: datetime, offset: str = "") -> str:
    return f"/Date({int(moment.timestamp() * 1000)}{offset})/"


@pytest.mark.parametrize("zone", [WEST, EAST, ZoneInfo("Europe/Berlin"), UTC])
@pytest.mark.parametrize(
    "value",
    [
        ms(MIDNIGHT),
        ms(MIDNIGHT + timedelta(seconds=5)),
        ms(MIDNIGHT, "+0200"),
        "2026-11-20T00:00:00Z",
        "2026-11-20T00:00:05",
        "2026-11-20",
        "2026-11-20T00:00:00+00:00",
    ],
)
def test_a_date_that_is_meant_as_one_is_the_same_everywhere(value: str, zone: Any) -> None:
    assert due_day(value, timeless=True, zone=zone) == date(2026, 11, 20)
    assert calendar_day(value, zone) == date(2026, 11, 20)


def test_somebody_s_midnight_is_their_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    local = datetime(2026, 11, 20, tzinfo=berlin)
    assert calendar_day(ms(local), berlin) == date(2026, 11, 20)
    assert calendar_day(ms(local, "+0100"), WEST) == date(2026, 11, 20)
    assert calendar_day("2026-11-20T00:00:00+13:00", WEST) == date(2026, 11, 20)
    assert calendar_day("2026-11-20T00:00:00-08:00", EAST) == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        (WEST, datetime(2026, 11, 20, 7, 59, tzinfo=UTC), date(2026, 11, 19)),
        (WEST, datetime(2026, 11, 20, 8, 0, tzinfo=UTC), date(2026, 11, 20)),
        (EAST, datetime(2026, 11, 20, 11, 0, tzinfo=UTC), date(2026, 11, 21)),
        # The clocks go back on 1 November, and forward on 8 March 2026 in Los Angeles.
        (WEST, datetime(2026, 11, 2, 7, 30, tzinfo=UTC), date(2026, 11, 1)),
        (WEST, datetime(2026, 11, 1, 6, 59, tzinfo=UTC), date(2026, 10, 31)),
        (WEST, datetime(2026, 3, 9, 6, 59, tzinfo=UTC), date(2026, 3, 8)),
        (WEST, datetime(2026, 3, 9, 7, 0, tzinfo=UTC), date(2026, 3, 9)),
    ],
)
def test_an_activity_with_a_time_is_of_the_day_of_its_zone(
    zone: ZoneInfo, moment: datetime, day: date
) -> None:
    assert due_day(ms(moment), timeless=False, zone=zone) == day
    assert due_day(ms(moment), timeless=True, zone=zone) == moment.date()


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Europe/Berlin", "Pacific/Auckland"])
@pytest.mark.parametrize(
    "now", [FRIDAY, datetime(2026, 11, 1, 20, tzinfo=UTC), datetime(2026, 3, 8, 20, tzinfo=UTC)]
)
async def test_a_timeless_task_is_overdue_the_day_after_in_every_zone(zone: str, now: datetime) -> None:
    site = Site(SteeredClock(now))
    _, rep = people_of(site, 1)
    today = now.astimezone(ZoneInfo(zone)).date()
    for days in (-1, 0, 1):
        due = datetime.combine(today + timedelta(days=days), time(0, 0, 5), UTC)
        site.add("activities", Type="atToDo", StartDate=due, Timeless=True, UserId=rep, Description=str(days))
    connector = site.connector(zone=zone)
    parts = await collected(connector, Window(today, today), frozenset({"tasks_overdue"}))
    assert facts_of(parts)[rep, today] == {"tasks_overdue": 1}
    found = await connector.evidence("tasks_overdue", [rep], 5, today)
    assert [(each.name, each.details["days_past"]) for each in found[rep][1]] == [("-1", "1")]


def test_what_was_never_set_is_no_date_and_what_is_none_says_so() -> None:
    assert moment_of("/Date(-62135596800000)/") is None
    assert moment_of("0001-01-01T00:00:00") is None
    assert (day_of(None), day_of(""), calendar_day(None, UTC)) == (None, None, None)
    assert day_of(r"\/Date(1763596800000)\/") == date(2025, 11, 20)
    for bad in ("/Date(x)/", "20 Nov", 7, "/Date(99999999999999999)/", True):
        with pytest.raises(ValueError, match="is no date"):
            day_of(bad)
    assert (number_of("12.5"), number_of(""), number_of(3)) == (12.5, None, 3)
    strange: list[object] = ["x", True, [], "NaN", "-Infinity", "1e999", 10**400, float("inf"), float("nan")]
    for wrong in strange:
        with pytest.raises(ValueError, match="is no number"):
            number_of(wrong)


def test_audited_changes_are_read_as_they_are_written() -> None:
    notes = "Stage: Proposal\r\n  Old Value: Prospect\r\nEstimatedClose: 12/24/2026 12:00:00 AM\n  Old Value: \nX: y"
    assert changes_of(notes) == (
        Change("stage", "Proposal", "Prospect"),
        Change("estimatedclose", "12/24/2026 12:00:00 AM", ""),
    )
    pushed = Change("estimatedclose", "12/24/2026 12:00:00 AM", "11/30/2026")
    assert is_pushed(pushed, "%m/%d/%Y")
    assert not is_pushed(Change("estimatedclose", "11/30/2026", "12/24/2026"), "%m/%d/%Y")
    assert not is_pushed(Change("estimatedclose", "12/24/2026", ""), "%m/%d/%Y")
    assert is_pushed(Change("estimatedclose", "2026-12-24", "2026-11-30T00:00:00Z"), "%m/%d/%Y")
    assert changes_of(None) == ()


# -- pages ------------------------------------------------------------------------------------------------------------


def contacts(site: Site, count: int) -> str:
    _, rep = people_of(site, 1)
    for _ in range(count):
        site.record("contacts", rep, 0)
    return rep


async def created(site: Site, **settings: Any) -> float | CoverageStatus:
    """How many contacts are counted for everybody today, or why not."""
    parts = await collected(site.connector(page=10, **settings), DAY, CONTACTS | {"records_created.lead"})
    coverage = coverage_of(parts)
    assert coverage["records_created.lead", TODAY][0] is OK
    status = coverage["records_created.contact", TODAY][0]
    return sum(numbers(parts).values()) if status is OK else status


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25])
@pytest.mark.parametrize(
    "how", ["by id", "without a count", "short pages", "in no order", "order is refused"]
)
async def test_every_row_of_a_list_counts_once(site: Site, count: int, how: str) -> None:
    contacts(site, count)
    site.server.tables["contacts"].reverse()
    site.server.counts = how != "without a count"
    site.server.most = 4 if how == "short pages" else 500
    site.server.orders = how != "in no order"
    site.server.knows_order = how != "order is refused"
    site.server.after_ids = how
    assert await created(site) == count


async def test_pages_are_asked_by_id_and_each_begins_after_the_last(site: Site) -> None:
    contacts(site, 25)
    assert await created(site) == 25
    asked = [address.partition("&where=")[2] for address in site.server.asked if "/contacts?" in address]
    span = "(CreateDate ge @2026-11-20T00:00:00Z@ and CreateDate lt @2026-11-21T00:00:00Z@)"
    ids = sorted(row["Id"] for row in site.server.tables["contacts"])
    assert asked == [
        f"{span}&orderby=Id",
        f"{span} and Id gt '{ids[9]}'&orderby=Id",
        f"{span} and Id gt '{ids[19]}'&orderby=Id",
    ]
    assert not any("%27" in address or "%40" in address for address in site.server.raw), (
        "quotes stay as they are"
    )


async def test_rows_that_come_and_go_meanwhile_do_not_hide_others(site: Site) -> None:
    rep = contacts(site, 25)
    rows = site.server.tables["contacts"]
    pages = 0

    def move(kind: str) -> None:
        nonlocal pages
        pages += kind == "contacts"
        if kind == "contacts" and pages == 2:
            del rows[0]  # of a page that was read: by number, the next would begin one too late
            site.add("contacts", Id="A0", CreateUser=rep, CreateDate=site.ago(0))
            site.add("contacts", Id="Z9", CreateUser=rep, CreateDate=site.ago(0))

    site.server.before_page = move
    assert await created(site) == 26, "all 25, and the one that came behind"


async def test_a_list_without_order_that_moves_is_read_again_and_then_not_believed(site: Site) -> None:
    contacts(site, 25)
    site.server.knows_order = False
    rows = site.server.tables["contacts"]
    moved = 0

    def move(kind: str) -> None:
        nonlocal moved
        if kind == "contacts" and moved < 1 and "startIndex=11" in site.server.asked[-1]:
            moved += 1
            del rows[0]

    site.server.before_page = move
    assert await created(site) == 24, "read again"
    moved = -5
    assert await created(site) is ERROR


async def test_a_row_on_two_pages_counts_once(site: Site) -> None:
    contacts(site, 15)
    last: list[dict[str, Any]] = []

    def again(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        if "/contacts?" in asked:
            body["$resources"] = last + body["$resources"]
            last[:] = body["$resources"][-1:]
        return body

    site.server.rewrite = again
    assert await created(site) == 15


@pytest.mark.parametrize(
    "wrong",
    [
        lambda rows, first: rows if first else [dict(row, **{"$key": "A"}) for row in rows],
        lambda rows, _first: [{key: value for key, value in row.items() if key != "$key"} for row in rows],
    ],
    ids=["another order", "no ids"],
)
async def test_pages_that_cannot_be_right_are_an_error(site: Site, wrong: Any) -> None:
    contacts(site, 15)

    def rewrite(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        if "/contacts?" in asked:
            body["$resources"] = wrong(body["$resources"], "Id gt" not in asked)
        return body

    site.server.rewrite = rewrite
    assert await created(site) is ERROR


async def test_the_same_page_again_and_again_is_an_error_and_ends(site: Site) -> None:
    contacts(site, 10)
    first: list[Any] = []

    def rewrite(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        if "/contacts?" not in asked:
            return body
        first[:] = first or [body]
        return first[0] | {"$totalResults": 99}

    site.server.rewrite = rewrite
    assert await created(site) is ERROR


@pytest.mark.parametrize("status", [500, 503, 403, 400])
async def test_a_later_page_that_fails_is_no_smaller_number(site: Site, status: int) -> None:
    contacts(site, 25)
    site.trouble("/contacts?", status, HTML, after=1)
    assert await created(site) is (DENIED if status == 403 else ERROR)


async def test_a_page_that_is_too_long_for_the_server_is_asked_for_a_shorter_one(site: Site) -> None:
    contacts(site, 130)
    site.trouble("count=100&where=(CreateDate", 500, HTML)
    parts = await collected(site.connector(), DAY, CONTACTS)
    assert sum(numbers(parts).values()) == 130
    assert site.slept == []


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, diagnosis("ApplicationDiagnosis", "Access denied"), DENIED),
        (403, HTML, DENIED),
        (500, diagnosis("ApplicationDiagnosis", "Access is denied."), DENIED),
        (404, diagnosis("ResourceKindNotFound"), UNSUPPORTED),
        (404, diagnosis_xml("ResourceKindNotFound"), UNSUPPORTED),
        (404, HTML, UNSUPPORTED),
        (400, diagnosis("BadWhereSyntax"), ERROR),
        (400, diagnosis("bAdUrLsYnTaX"), ERROR),
        (400, diagnosis_xml("BadQueryParameter"), ERROR),
        (500, diagnosis_xml("BadUrlSyntax"), ERROR),
        (400, HTML, ERROR),
        (404, diagnosis("DatasetNotFound"), ERROR),
        (503, diagnosis("ApplicationUnavailable"), ERROR),
        (500, diagnosis("ApplicationDiagnosis", "Object reference not set"), ERROR),
        (503, HTML, ERROR),
        (500, b"", ERROR),
        (200, HTML, ERROR),
        (200, b"", ERROR),
        (200, b"null", ERROR),
        (200, b'{"$totalResults": 3}', ERROR),
        (200, b'<feed xmlns="http://www.w3.org/2005/Atom"><entry/></feed>', ERROR),
        (200, b'{"$resources":[{"$key":"A","CreateUser":"U1","Crea', ERROR),
        (200, json.dumps([{"severity": "Error", "message": "it went wrong"}]).encode(), ERROR),
        (200, json.dumps([{"severity": "Error", "sdataCode": "BadWhereSyntax"}]).encode(), ERROR),
        (200, diagnosis("ResourceKindNotFound"), UNSUPPORTED),
        (500, b'<!DOCTYPE x [<!ENTITY a "b">]><diagnosis><sdataCode>&a;</sdataCode></diagnosis>', ERROR),
        (302, b"", ERROR),
    ],
)
async def test_a_refusal_is_a_status_and_never_zero(
    site: Site, status: int, body: bytes, expected: str
) -> None:
    contacts(site, 3)
    site.trouble("/contacts?", status, body)
    assert await status_of(site.connector()) == {"records_created.contact": expected}


@pytest.mark.parametrize("kind", ["accounts", "contacts", "tickets", "opportunities", "history", "auditLogs"])
async def test_a_right_that_is_missing_costs_what_needs_it_and_says_what_to_grant(
    site: Site, kind: str
) -> None:
    lived(site, people_of(site, 2), times=6)
    good = coverage_of(await collected(site.connector(login_resource="auditLogs"), DAY, ALL))
    site.trouble(f"/{kind}", 403, HTML)
    coverage = coverage_of(await collected(site.connector(login_resource="auditLogs"), DAY, ALL))
    lost = {key for key, (status, _) in coverage.items() if status is DENIED}
    assert lost
    assert all(f"read all {kind}, of every owner" in coverage[key][1] for key in lost)
    assert {key: each for key, each in coverage.items() if key not in lost} == {
        key: each for key, each in good.items() if key not in lost
    }
    expected = {
        "accounts": {"records_created.account"},
        "contacts": {"records_created.contact"},
        "tickets": {"records_created.case"},
        "auditLogs": {"active_day"},
        "history": {*ACTIVITIES, *UPDATED, "opps_no_activity_30d", "opps_stuck_step"},
        "opportunities": (STATES - {"tasks_overdue"})
        | {"records_created.opportunity", "won_count", "lost_count", "won_amount", "cycle_days"},
    }
    assert {metric for metric, _ in lost} == expected[kind]


@pytest.mark.parametrize(
    ("after", "wait"),
    [
        ({"Retry-After": "90"}, timedelta(seconds=90)),
        ({"Retry-After": format_datetime(FRIDAY + timedelta(minutes=3), usegmt=True)}, timedelta(minutes=3)),
        ({}, None),
    ],
)
async def test_too_many_requests_end_the_asking_until_then(
    site: Site, after: dict[str, str], wait: timedelta | None
) -> None:
    people_of(site, 1)
    connector = site.connector()
    await connector.users(TODAY)
    site.trouble("/contacts?", 429, b"", headers=after)
    with pytest.raises(Throttled) as caught:
        await collected(connector, DAY, CONTACTS)
    assert caught.value.after == wait if wait else caught.value.after is not None
    site.server.troubles.clear()
    site.trouble("/leads?", 429, b"", headers=after)
    fresh = site.connector(at_once=1)
    coverage = coverage_of(
        await collected(fresh, DAY, frozenset({"records_created.opportunity", "records_created.lead"}))
    )
    assert [coverage[f"records_created.{thing}", TODAY][0] for thing in ("opportunity", "lead")] == [
        OK,
        THROTTLED,
    ]


async def test_a_query_that_takes_too_long_is_asked_in_halves_down_to_a_day(site: Site) -> None:
    _, rep = people_of(site, 1)
    for days in range(7):
        site.record("contacts", rep, days)
    slow = diagnosis("ApplicationDiagnosis", "Timeout expired. The timeout period elapsed")
    for first, last in ((14, 21), (14, 18), (14, 16), (15, 16)):
        site.trouble(
            f"CreateDate ge @2026-11-{first}T00:00:00Z@ and CreateDate lt @2026-11-{last}", 500, slow
        )
    parts = await collected(site.connector(page=20), WEEK, CONTACTS)
    coverage = coverage_of(parts)
    lost = [day.day for (_, day), (status, _) in sorted(coverage.items()) if status is not OK]
    assert lost == [15]
    assert sum(numbers(parts).values()) == 6


async def test_a_dropped_connection_is_tried_again_at_once(site: Site) -> None:
    contacts(site, 3)
    connector = site.connector()
    await connector.users(TODAY)
    site.server.drops = 2
    assert sum(numbers(await collected(connector, DAY, CONTACTS)).values()) == 3
    site.server.cut = True
    with pytest.raises(Retryable):
        await collected(connector, DAY, CONTACTS)


async def test_a_bad_row_is_named_and_costs_partial(site: Site) -> None:
    rep = contacts(site, 3)

    def broken(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        if "/contacts?" in asked:
            body["$resources"].append({"$key": "ZZ", "CreateUser": rep, "CreateDate": "/Date(oops)/"})
        return body

    site.server.rewrite = broken
    parts = await collected(site.connector(), DAY, CONTACTS)
    assert coverage_of(parts)["records_created.contact", TODAY][0] is PARTIAL
    assert [str(fault) for fault in parts[0].faults] == ["contacts, line 4: '/Date(oops)/' is no date"]


async def test_a_closed_contract_or_a_wrong_path_says_which_setting(site: Site) -> None:
    people_of(site, 1)
    probe = await site.connector(dynamic="dynamik").probe()
    assert not probe.ok
    assert "FULLSTEAM_INFOR_PATH" in probe.advice
    probe = await site.connector(path="/slxdata").probe()
    assert not probe.ok
    assert "FULLSTEAM_INFOR_PATH" in probe.advice
    site.trouble("/users?", 404, HTML)
    assert "FULLSTEAM_INFOR_URL" in (await site.connector().probe()).advice


async def test_paths_and_the_address_of_a_gateway_are_settings(site: Site) -> None:
    rep = contacts(site, 3)
    connector = site.connector(url="https://ion.example.com/ACME_TST/CRMSData", name="emea")
    assert sum(numbers(await collected(connector, DAY, CONTACTS)).values()) == 3
    assert all(
        address.startswith("https://ion.example.com/ACME_TST/CRMSData/sdata/slx/")
        for address in site.server.asked
    )
    assert rep
    site.trouble("getCurrentUser", 401)
    assert "FULLSTEAM_EMEA_PASSWORD" in (await site.connector(name="emea").probe()).advice


# -- logging in -------------------------------------------------------------------------------------------------------


async def test_name_and_password_travel_twice_and_the_session_s_cookie_comes_back(site: Site) -> None:
    contacts(site, 25)
    connector = site.connector(page=10)
    await collected(connector, DAY, ALL)
    assert site.server.sessions == 1
    assert len(site.server.asked) > 20
    for headers in site.server.headers:
        assert headers["authorization"] == headers["x-authorization"] == "Basic ZnVsbHN0ZWFtOnMzY3JldCE="
        assert headers["x-authorization-mode"] == "no-challenge"
    assert all("SlxSession=1" in headers["cookie"] for headers in site.server.headers[1:])


async def test_a_wrong_password_is_said_and_not_tried_for_an_hour(site: Site) -> None:
    people_of(site, 1)
    connector = site.connector(password="no")
    probe = await connector.probe()
    assert (probe.ok, "check FULLSTEAM_INFOR_USERNAME and FULLSTEAM_INFOR_PASSWORD" in probe.advice) == (
        False,
        True,
    )
    asked = len(site.server.asked)
    assert not (await connector.probe()).ok
    assert len(site.server.asked) == asked
    site.clock.move_to(site.clock.now() + timedelta(hours=1))
    await connector.probe()
    assert len(site.server.asked) == asked + 1


async def test_a_session_that_is_refused_once_is_renewed_and_for_ever_is_an_error(site: Site) -> None:
    contacts(site, 3)
    connector = site.connector()
    await connector.users(TODAY)
    site.trouble("/contacts?", 401, HTML, times=1)
    assert sum(numbers(await collected(connector, DAY, CONTACTS)).values()) == 3
    site.trouble("/contacts?", 401, HTML)
    with pytest.raises(Permanent):
        await collected(site.connector(), DAY, CONTACTS)


async def test_a_server_that_does_not_say_who_we_are_is_read_all_the_same(site: Site) -> None:
    contacts(site, 3)
    site.record("contacts", "UBOT", 0)
    site.trouble("getCurrentUser", 404, HTML)
    users, _ = await site.connector().users(TODAY)
    assert "UBOT" not in {user.crm_id for user in users}, "known by its login name"
    assert sum(numbers(await collected(site.connector(), DAY, CONTACTS)).values()) == 3


async def test_an_ionapi_file_logs_in_by_its_service_account(site: Site, tmp_path: Path) -> None:
    contacts(site, 3)
    settings: dict[str, Any] = {"username": "", "password": "", "ionapi_file": ionapi(tmp_path)}
    assert sum(numbers(await collected(site.connector(**settings), DAY, CONTACTS)).values()) == 3
    assert site.server.asked[0] == "https://mingle-sso.example.com/ACME_TST/as/token.oauth2"
    assert site.server.forms == [{"grant_type": "password", "username": "ACME_TST#ak", "password": "sk"}]
    assert site.server.headers[1]["authorization"] == "Bearer token1"
    assert "x-authorization" not in site.server.headers[-1]


@pytest.mark.parametrize(
    ("changed", "grant", "takes_basic", "forms"),
    [
        ({"saak": None, "sask": None}, "", True, [("client_credentials", False)]),
        ({}, "client_credentials", True, [("client_credentials", False)]),
        ({}, "", False, [("password", False), ("password", True)]),
    ],
)
async def test_other_grants_and_the_client_s_proof_in_the_body(
    site: Site,
    tmp_path: Path,
    changed: dict[str, None],
    grant: str,
    takes_basic: bool,
    forms: list[tuple[str, bool]],
) -> None:
    people_of(site, 1)
    site.server.takes_basic = takes_basic
    file = ionapi(tmp_path, **changed)
    connector = site.connector(username="", password="", ionapi_file=file, grant=grant)
    assert (await connector.probe()).ok
    assert [(form["grant_type"], "client_id" in form) for form in site.server.forms] == forms


async def test_a_token_is_renewed_before_it_ends_and_when_it_is_refused(site: Site, tmp_path: Path) -> None:
    contacts(site, 3)
    site.server.lasts = "600"
    connector = site.connector(username="", password="", ionapi_file=ionapi(tmp_path))
    await connector.users(TODAY)
    site.clock.move_to(site.clock.now() + timedelta(minutes=8))
    await connector.users(TODAY)
    assert len(site.server.tokens) == 1
    site.clock.move_to(site.clock.now() + timedelta(minutes=1))
    await connector.users(TODAY)
    assert len(site.server.tokens) == 2
    site.server.tokens["token2"] = site.clock.now()
    await connector.users(TODAY)
    assert len(site.server.tokens) == 3


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"sask": "wr0ng"}, "the service account is not valid"),
        ({"cs": "wr0ng"}, "the client id or its secret is not valid"),
        ({"pu": "http://sso.example.com/"}, "set FULLSTEAM_INFOR_TOKEN_URL"),
    ],
)
async def test_a_rejected_log_in_says_what_to_do_and_no_secret(
    site: Site, tmp_path: Path, changed: dict[str, str], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connector = site.connector(username="", password="", ionapi_file=ionapi(tmp_path, **changed))
    probe = await connector.probe()
    assert (probe.ok, says in probe.advice) == (False, True)
    said = f"{probe} {connector.settings!r} {[vars(record) for record in caplog.records]}"
    assert not [secret for secret in ("sk", "wr0ng", "ACME_TST#ak") if re.search(rf"\b{secret}\b", said)]


async def test_an_unknown_grant_and_a_page_instead_of_a_log_in_say_so(site: Site, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"username": "", "password": "", "ionapi_file": ionapi(tmp_path)}
    site.server.grants = set()
    assert "FULLSTEAM_INFOR_GRANT" in (await site.connector(**settings).probe()).advice
    site.trouble("token.oauth2", 404, HTML)
    assert "FULLSTEAM_INFOR_TOKEN_URL" in (await site.connector(**settings).probe()).advice


@pytest.mark.parametrize(
    ("token_url", "variable"), [("", "IONAPI_FILE"), ("https://sso.example.com/token.oauth2", "TOKEN_URL")]
)
async def test_a_log_in_elsewhere_that_is_none_is_said_by_what_names_it(
    site: Site, tmp_path: Path, token_url: str, variable: str
) -> None:
    file = ionapi(tmp_path)
    connector = site.connector(username="", password="", ionapi_file=file, token_url=token_url)
    site.trouble("token.oauth2", 200, HTML)
    assert f"check FULLSTEAM_INFOR_{variable}" in (await connector.probe()).advice


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, ["set FULLSTEAM_INFOR_USERNAME and FULLSTEAM_INFOR_PASSWORD, or FULLSTEAM_INFOR_IONAPI_FILE"]),
        ({"username": "x"}, ["set FULLSTEAM_INFOR_USERNAME and FULLSTEAM_INFOR_PASSWORD"]),
        ({"username": "x", "password": "y", "ionapi_file": "good"}, ["but not both"]),
        ({"ionapi_file": "{}"}, ["FULLSTEAM_INFOR_IONAPI_FILE", "has no ci, cs, pu, ot"]),
        ({"ionapi_file": "no json"}, ["download it anew"]),
        (
            {"ionapi_file": json.dumps(KEYS | {"saak": "", "sask": ""}), "grant": "password"},
            ["FULLSTEAM_INFOR_IONAPI_FILE: the file has no service account", "FULLSTEAM_INFOR_GRANT"],
        ),
        (
            {"username": "x", "password": "y", "audit_dates": "foo"},
            ["FULLSTEAM_INFOR_AUDIT_DATES is not written as it should be: how dates", "e.g. %d.%m.%Y"],
        ),
        ({"username": "x", "password": "y", "at_once": "9"}, ["FULLSTEAM_INFOR_AT_ONCE is out of range"]),
        ({"username": "x", "password": "y", "url": "http://crm.example.com"}, ["must start with https://"]),
    ],
)
def test_exactly_one_way_to_log_in_and_every_fault_in_its_variable(
    tmp_path: Path, given: dict[str, Any], says: list[str]
) -> None:
    if "ionapi_file" in given:
        file = ionapi(tmp_path)
        if given["ionapi_file"] != "good":
            file.write_text(given["ionapi_file"])
        given = {**given, "ionapi_file": file}
    with pytest.raises(ConfigurationError) as caught:
        read_settings(InforSettings, {"name": "infor", "url": URL, **given})
    assert [each for each in says if each not in str(caught.value)] == []
    assert "secret" not in str(caught.value)


async def test_no_secret_and_no_name_is_in_a_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    lived(site, people_of(site, 2), times=4)
    connector = site.connector()
    site.trouble("/leads?", 500, HTML)
    await collected(connector, DAY, ALL)
    said = json.dumps([vars(record) for record in caplog.records], default=str) + repr(connector.settings)
    assert "infor.collected" in said
    assert not [
        word for word in (PASSWORD, "ZnVsbHN0ZWFt", "Brandt", "Northwind", "CreateDate") if word in said
    ]


# -- people -----------------------------------------------------------------------------------------------------------


async def test_people_are_those_who_can_work_and_whom_they_report_to(site: Site) -> None:
    boss = site.user("Ada Brandt", Enabled=False)
    rep = site.user("Jonas Weber", boss, FederatedIdentity="jonas@sso", UserInfo={"Title": "SDR"})
    site.user("Old Timer", boss, Enabled="F")
    for kind in (3, "5", "Retired", "R", 6, "Template"):
        site.user("No Login", boss, Type=kind)
    site.user("Sync Tool", boss, Type=7)
    site.user("The Administrator", Id="ADMIN", UserName="admin")
    site.user("Data Integration", boss)
    site.user("Not Yet", boss, CreateDate=site.clock.now() + timedelta(days=2))
    site.record("contacts", "ADMIN", 0)
    users, faults = await site.connector().users(TODAY)
    assert [(user.crm_id, user.role, user.active, user.manager) for user in users] == [
        (boss, "manager", False, None),
        (rep, "sales_development", True, boss),
    ]
    jonas = users[1]
    assert (jonas.name, jonas.email, jonas.sso_ids) == (
        "Jonas Weber",
        "jonas.weber@example.com",
        ("jonas@sso",),
    )
    assert (jonas.access_since, jonas.office, jonas.zone) == (date(2026, 3, 2), "Berlin", None)
    assert faults == ()
    assert numbers(await collected(site.connector(), DAY, CONTACTS)) == {}, "what ADMIN does is nobody's use"


async def test_circles_renamed_people_and_two_users_of_one_address(site: Site) -> None:
    ada = site.user("Ada Brandt", "U000003")
    jonas = site.user("Jonas Weber", ada)
    lea = site.user("Lea Martin", jonas, UserInfo={"Email": "ADA.brandt@example.com"})
    users, faults = await site.connector().users(TODAY)
    assert lea == "U000003"
    assert [fault.reason for fault in faults] == [f"{ada} is their own manager by a circle"]
    assert [user.email for user in users].count("ada.brandt@example.com") == 2, "matching says who they are"
    site.row("users", jonas)["UserInfo"] |= {"LastName": "Schulz"}
    renamed = {user.crm_id: user.name for user in (await site.connector().users(TODAY))[0]}
    assert renamed[jonas] == "Jonas Schulz"


async def test_a_user_that_cannot_be_read_is_named_and_the_others_are_there(site: Site) -> None:
    people_of(site, 1)
    site.user("Broken", Id="not an id!")
    users, faults = await site.connector().users(TODAY)
    assert len(users) == 2
    assert [fault.reason for fault in faults] == ["'not an id!' is no id of a user with a name"]


async def test_without_a_field_for_managers_there_are_no_teams_and_that_is_said(site: Site) -> None:
    people_of(site, 1)
    users, faults = await site.connector(manager="Boss/$key").users(TODAY)
    assert {user.manager for user in users} == {None}
    assert [("FULLSTEAM_INFOR_MANAGER" in fault.reason, fault.dropped) for fault in faults] == [(True, False)]
    assert users[0].access_since == date(2026, 3, 2), "the other fields were found to be there"


async def test_a_list_of_nobody_is_not_believed(site: Site) -> None:
    site.server.tables["users"].clear()
    with pytest.raises(Retryable, match="no users, not even our own"):
        await site.connector().users(TODAY)


@pytest.mark.parametrize(("status", "says"), [(403, "users cannot be read"), (500, "answered 500")])
async def test_without_users_nobody_is_taken_for_gone(site: Site, status: int, says: str) -> None:
    people_of(site, 3)
    site.trouble("/users?", status, HTML)
    with pytest.raises((Permanent, Retryable), match=says):
        await collected(site.connector(), DAY, ALL)


# -- what a message names ---------------------------------------------------------------------------------------------


async def test_records_are_named_worst_first_with_what_is_known_of_them(site: Site) -> None:
    _, rep = people_of(site, 1)
    quiet = site.deal(rep, 200, Description="Quiet")
    site.done(rep, "atPhoneCall", 45, quiet)
    site.deal(rep, 40, Description="Never", account="")
    busy = site.deal(rep, 200, Description="Busy")
    site.done(rep, "atPhoneCall", 29, busy)
    site.changed(rep, quiet, 100, ("Stage", "Proposal", "Lead"))
    site.changed(rep, busy, 10, ("Stage", "Proposal", "Lead"))
    connector = site.connector(web_url="https://crm.example.com/SlxClient/")
    count, named = (await connector.evidence("opps_no_activity_30d", [rep], 5, TODAY))[rep]
    assert (count, [each.name for each in named]) == (2, ["Quiet", "Never"])
    assert named[0].details["days_quiet"] == "45", "further back than a poll looks"
    assert named[0].link == f"https://crm.example.com/SlxClient/Opportunity.aspx?entityid={quiet}"
    assert (named[0].details["account"], named[0].details["step"]) == ("Northwind", "Proposal")
    assert "account" not in named[1].details
    ((stuck,),) = [
        each[1] for each in (await connector.evidence("opps_stuck_step", [rep], 5, TODAY)).values()
    ]
    assert (stuck.name, stuck.details["days_in_step"]) == ("Quiet", "100")
    linked = site.connector(record_link="https://bi.example.com/{id}")
    found = await linked.evidence("opps_open", [rep], 1, TODAY)
    assert found[rep][1][0].link == f"https://bi.example.com/{quiet}"
    assert (await site.connector().evidence("opps_open", [rep], 1, TODAY))[rep][1][0].link is None


async def test_a_poll_reads_no_name_of_a_customer_s_record(site: Site) -> None:
    lived(site, people_of(site, 2), times=4)
    await collected(site.connector(), DAY, ALL)
    selected = {
        field
        for asked in site.server.asked
        for field in asked.partition("&select=")[2].partition("&")[0].split(",")
    }
    assert "NextStep" in selected
    assert not selected & {"Description", "Account/AccountName", "LongNotes", "ContactName"}


async def test_many_owners_are_asked_about_in_few_requests_and_strange_ones_in_none(site: Site) -> None:
    people = people_of(site, 44)
    for who in people:
        site.deal(who, 30)
    connector = site.connector(page=500)
    await connector.users(TODAY)
    before = connector.meter().calls
    found = await connector.evidence("opps_open", [*people, "x' or Status ne '"], 5, TODAY)
    assert found.keys() == set(people)
    assert connector.meter().calls - before == 3
    assert await connector.evidence("opps_open", ["x' or 1 eq 1"], 5, TODAY) == {}
    assert connector.meter().calls - before == 3, "what is no id is in no condition"
    with pytest.raises(Retryable, match="as of now"):
        await connector.evidence("opps_open", people, 5, TODAY - timedelta(days=8))


async def test_a_missing_right_is_said_where_records_are_named(site: Site) -> None:
    _, rep = people_of(site, 1)
    site.trouble("/opportunities?", 403, HTML)
    with pytest.raises(Permanent, match="read all opportunities"):
        await site.connector().evidence("opps_open", [rep], 5, TODAY)
    site.trouble("/activities?", 403, HTML)
    with pytest.raises(Permanent, match="read all activities"):
        await site.connector().evidence("tasks_overdue", [rep], 5, TODAY)


# -- cost and shape ---------------------------------------------------------------------------------------------------


def test_the_fake_answers_as_the_recorded_feed_does(site: Site, shared_folder: Path) -> None:
    recorded = json.loads((shared_folder / "conformance/infor/metric1.json").read_text())
    _, rep = people_of(site, 1)
    site.deal(rep, 3, SalesPotential=70.0)

    async def ask() -> Any:
        connector = site.connector()
        path = "/sdata/slx/dynamic/-/opportunities/$queries/executeMetric"
        query = (
            "_filterName=AccountManager&_metricName=SumSalesPotential&_activeFilter=&startIndex=1&count=100"
        )
        return (await connector.api.get(f"{path}?{query}&format=json")).body

    faked = asyncio.run(ask())
    assert faked.keys() == recorded.keys()
    assert {key: type(value) for key, value in faked.items()} == {
        key: type(value) for key, value in recorded.items()
    }
    row, model = faked["$resources"][0], recorded["$resources"][0]
    assert {key: type(value) for key, value in row.items()} == {
        key: type(value) for key, value in model.items()
    }
    padded = [each["name"] for each in recorded["$resources"]]
    assert {len(name) for name in padded} == {len(row["name"])} == {12}


async def test_the_recorded_feed_is_read_to_the_last_row(site: Site, shared_folder: Path) -> None:
    recorded = json.loads((shared_folder / "conformance/infor/metric1.json").read_text())
    found = dict(metric_of(recorded["$resources"]))
    assert len(found) == recorded["$totalResults"] == 15
    assert (found["UDEMOA00000I"], found["ADMIN"], found["UDEMOA000004"]) == (601069883.0, 10330.0, 0.0)
    for row in recorded["$resources"]:
        site.user(row["$descriptor"], Id=row["name"].strip())
    for row in found:
        site.deal(row, 3)
    site.user("The Administrator", Id="ADMIN")

    def rewrite(asked: str, body: dict[str, Any]) -> dict[str, Any]:
        return recorded if "=SumSalesPotential" in asked and "Status ne" not in asked else body

    site.server.rewrite = rewrite
    parts = await collected(site.connector(), DAY, frozenset({"pipeline_amount"}))
    facts = facts_of(parts)
    assert facts["UDEMOA00000I", TODAY] == {"pipeline_amount": 601069883.0}
    assert facts["UDEMOA000004", TODAY] == {"pipeline_amount": 0.0}
    assert ("ADMIN", TODAY) not in facts


def test_errors_are_read_in_every_form_in_which_they_come() -> None:
    def of(status: int, body: bytes) -> list[tuple[str, bool]]:
        try:
            answer = Answer(status, {}, json.loads(body))
        except ValueError:
            answer = Answer(status, {}, None, is_json=False, raw=body)
        return [(each.code, each.is_error) for each in diagnoses_of(answer)]

    assert of(400, diagnosis("BadUrlSyntax")) == [("badurlsyntax", True)]
    assert of(400, diagnosis_xml("BadUrlSyntax")) == [("badurlsyntax", True)]
    assert of(200, b'[{"severity": "Warning", "sdataCode": "X"}]') == [("x", False)]
    assert of(200, b'{"severity": "error", "sdataCode": "X"}') == [("x", True)]
    assert of(500, HTML) == of(500, b"") == of(500, b"<a") == of(200, b"[1]") == of(200, b"7") == []


async def test_at_most_two_requests_are_under_way_unless_more_are_set(site: Site) -> None:
    lived(site, people_of(site, 2), times=4)
    for at_once in (None, 4):
        line = _Slow(site)
        given: dict[str, Any] = {} if at_once is None else {"at_once": at_once}
        await collected(site.connector(transport=line, **given), DAY, ALL)
        assert line.most == (at_once or 2)


class _Slow(httpx.AsyncBaseTransport):
    """The line, a moment slower. ``most``: how many were under way at once."""

    def __init__(self, site: Site) -> None:
        self.site, self.now, self.most = site, 0, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.now -= 1
        return await self.site.server.handle_async_request(request)


async def test_what_is_settled_is_read_once_and_a_second_poll_costs_less(site: Site) -> None:
    people = people_of(site, 3)
    lived(site, people, times=30)
    wanted = frozenset({"opps_no_activity_30d", "opps_stuck_step"})
    connector = site.connector(page=10)
    first = await collected(connector, DAY, wanted)
    pages = sum("/history?" in each for each in site.server.asked)
    site.server.asked.clear()
    assert await collected(connector, DAY, wanted) == first
    again = [each for each in site.server.asked if "/history?" in each]
    assert len(again) <= pages / 2
    assert sum("ModifyDate ge" in each for each in again) == 1, "and whether anything was written late"
    site.clock.move_to(site.clock.now() + timedelta(days=1))
    tomorrow = Window(TODAY + timedelta(days=1), TODAY + timedelta(days=1))
    fresh = await collected(site.connector(page=10), tomorrow, wanted)
    assert await collected(connector, tomorrow, wanted) == fresh, "the same as who never read before"


QUIET = frozenset({"opps_no_activity_30d"})


async def quiet_deals(site: Site, connector: InforConnector, rep: str) -> float:
    """How many of somebody's deals nobody worked on, as a poll says it and as the records do."""
    today = site.today
    count = facts_of(await collected(connector, Window(today, today), QUIET))[rep, today][
        "opps_no_activity_30d"
    ]
    named = await connector.evidence("opps_no_activity_30d", [rep], 9, today)
    assert named.get(rep, (0, ()))[0] == count
    return count


async def test_work_that_is_written_down_late_is_seen_by_the_next_poll(site: Site) -> None:
    boss, rep = people_of(site, 1)
    deals = [site.deal(rep, 100) for _ in range(2)]
    site.done(boss, "atPhoneCall", 1, site.deal(boss, 100))
    old = site.done(rep, "atPhoneCall", 45, deals[1])
    connector = site.connector()
    assert await quiet_deals(site, connector, rep) == 2
    call = site.done(rep, "atPhoneCall", 10, deals[0])
    for hours, row, changed in (
        (1, call, {"CreateDate": FRIDAY, "ModifyDate": FRIDAY}),
        (2, old, {"CompletedDate": FRIDAY - timedelta(days=20), "ModifyDate": FRIDAY + timedelta(hours=1)}),
    ):
        site.row("history", row).update(changed)
        site.clock.move_to(FRIDAY + timedelta(hours=hours))
        assert await quiet_deals(site, connector, rep) == 2 - hours
    for days in (1, 3, 4):
        site.clock.move_to(FRIDAY + timedelta(days=days))
        assert await quiet_deals(site, connector, rep) == 0, "nor is it forgotten"


@pytest.mark.parametrize("understood", [True, False])
async def test_what_is_settled_is_read_again_every_day(site: Site, understood: bool) -> None:
    boss, rep = people_of(site, 1)
    deals = [site.deal(rep, 100) for _ in range(3)]
    site.done(boss, "atPhoneCall", 1, site.deal(boss, 100))
    gone = site.done(rep, "atPhoneCall", 10, deals[0])
    if not understood:
        site.trouble("and ModifyDate ge", 400, diagnosis("BadWhereSyntax"))
    connector = site.connector()
    assert await quiet_deals(site, connector, rep) == 2
    # A right was given that shows rows of long ago; and one is deleted.
    for deal in deals[1:]:
        site.done(rep, "atPhoneCall", 12, deal)
    table = site.server.tables["history"]
    table[:] = [row for row in table if row["Id"] != gone]
    site.clock.move_to(FRIDAY + timedelta(days=1, minutes=1))
    assert await quiet_deals(site, connector, rep) == 1
    assert await quiet_deals(site, site.connector(), rep) == 1, "as for who never read before"


async def test_a_row_that_arrives_late_is_in_the_next_poll_and_once(site: Site) -> None:
    rep = contacts(site, 2)
    window = Window(TODAY - timedelta(days=2), TODAY)
    connector = site.connector()
    assert sum(numbers(await collected(connector, window, CONTACTS)).values()) == 2
    site.record("contacts", rep, 1.5)
    facts = numbers(await collected(connector, window, CONTACTS))
    assert facts == {
        (rep, TODAY, "records_created.contact"): 2,
        (rep, TODAY - timedelta(days=1), "records_created.contact"): 1,
    }


async def test_memory_stays_flat_however_many_rows_there_are(site: Site) -> None:
    people_of(site, 1)
    peaks = []
    for rows in (2_000, 16_000):
        line = _Endless(site, rows)
        connector = site.connector(transport=line, page=500)
        await connector.users(TODAY)
        tracemalloc.start()
        parts = await collected(connector, DAY, CONTACTS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert sum(numbers(parts).values()) == rows
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.slow
async def test_memory_stays_flat_over_a_million_rows(site: Site) -> None:
    people_of(site, 1)
    peaks = []
    for rows in (20_000, 1_000_000):
        connector = site.connector(transport=_Endless(site, rows), page=500)
        parts = await collected(connector, DAY, CONTACTS)
        assert sum(numbers(parts).values()) == rows
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert peaks[1] - peaks[0] < 8 * 1024, "kilobytes"


class _Endless(httpx.AsyncBaseTransport):
    """The line to a server with so many contacts, made page by page."""

    def __init__(self, site: Site, rows: int) -> None:
        self.site, self.rows = site, rows

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.site.server.handle_async_request(request)
        asked = self.site.server.asked.pop()
        if "/contacts?" not in asked:
            return response
        found = re.search(r"Id gt 'C(\d+)'", asked)
        start = int(found[1]) + 1 if found else 0
        moment = ms(FRIDAY)
        body = ",".join(
            f'{{"$key":"C{n:09d}","CreateUser":"U000002","CreateDate":"{moment}"}}'
            for n in range(start, min(start + 500, self.rows))
        )
        return httpx.Response(200, content=f'{{"$resources":[{body}]}}'.encode())


async def test_a_poll_can_be_rehearsed_and_every_list_is_seen(tmp_path: Path) -> None:
    line = Rehearsal(blank)
    given = {"url": URL, "login_resource": "auditLogs", "transport": line}
    for log_in in ({"username": USER, "password": PASSWORD}, {"ionapi_file": ionapi(tmp_path)}):
        connector = CONNECTOR.open({**given, **log_in}, None)
        today = connector.installation.of_now.today()  # type: ignore[attr-defined]
        await connector.users(today)
        parts = [part async for part in connector.collect(Window(today, today), ALL)]
        await connector.evidence("opps_open", ["UDEMOA00000I"], 5, today)
        assert not any(fact.values for part in parts for fact in part.facts)
    asked = {each.path.rpartition("/-/")[2] for each in line.asked}
    assert asked >= {
        "users",
        "opportunities",
        "opportunities/$queries/executeMetric",
        "accounts",
        "contacts",
        "leads",
        "tickets",
        "history",
        "activities",
        "auditLogs",
        "$service/getCurrentUser",
    }
    assert "password" not in str(line.asked).casefold()
