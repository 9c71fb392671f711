"""The Salesforce connector on the sandbox's CRM: what it counts, and what it says when Salesforce refuses or fails.

The counts are held against a recount in SQL on the CRM's own tables; the faults are those of sandbox/faults.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from bot.connectors.refusals import FieldHidden
from bot.connectors.salesforce.connector import CONNECTOR, SalesforceConnector, SalesforceSettings
from bot.connectors.salesforce.queries import (
    EVENTS,
    EVERY_PAGE,
    FEATURES,
    FLAWS,
    GROUPS,
    MOBILE,
    READ,
    SINGLY,
    STATES,
    VIEWS_ALL,
    by_days,
    span,
    thresholds,
)
from bot.connectors.wire import whole_address
from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.usage import METRICS, Collected, CoverageStatus, MetricKind, Window
from sandbox.crm.server import CrmServer
from sandbox.faults import Fault
from tests.contract.sandbox.workspace import running
from tests.orgs import FRIDAY, URL, Org, collected, coverage_of, facts_of

pytestmark = pytest.mark.anyio

ALL = frozenset(METRICS)
TODAY = FRIDAY.date()
WEEK = Window(TODAY - timedelta(days=6), TODAY)
SNAPSHOTS = frozenset(key for key, metric in METRICS.items() if metric.kind is MetricKind.SNAPSHOT)
OK, DENIED, ERROR = CoverageStatus.OK, CoverageStatus.DENIED, CoverageStatus.ERROR
OPPORTUNITY_STATES = READ & SNAPSHOTS - {"tasks_overdue", "quota_attainment"}
UPDATES = frozenset(metric for metric in READ if metric.startswith("records_updated."))
SEEN_BY_USE = frozenset(
    {*UPDATES, "step_moves", "close_date_pushes", "quota_attainment"}
    | {metric for metric in READ if metric.startswith("feature_use.")}
)
"""Of which nothing is said before anybody has left a trace: what is not turned on looks the same."""


@pytest.fixture
def org() -> Org:
    return Org()


def people_of(org: Org, count: int) -> list[str]:
    boss = org.user("Ada Brandt")
    return [boss, *(org.user(f"Rep {n:03}", boss) for n in range(count))]


def lived(org: Org, people: Sequence[str]) -> None:
    """A busy month, the same every time: every kind of record, with every kind of flaw, by everybody in turn."""
    account = org.account(people[0])
    for n in range(40 * len(people)):
        who, days = people[n % len(people)], (n * 7 % 97) + n % 3 / 3
        deal = org.deal(
            who,
            days,
            Name=f"Deal {n}",
            AccountId=account if n % 4 else None,
            Amount=100 * n if n % 5 else None,
            NextStep="Call" if n % 3 else None,
            CloseDate=TODAY + timedelta(days=n % 41 - 20),
            LastActivityDate=TODAY - timedelta(days=n * 5 % 70) if n % 6 else None,
            LastStageChangeDate=org.ago(n * 3 % 120) if n % 7 else None,
        )
        if n % 8 == 0:
            step = "Closed Won" if n % 16 else "Closed Lost"
            org.crm.change(
                "Opportunity", deal, who, org.ago(n % 9), StageName=step, CloseDate=org.ago(n % 9).date()
            )
        elif n % 8 == 1:
            org.crm.change(
                "Opportunity", deal, people[0], org.ago(n % 6), Amount=n, StageName=f"Step {n % 3}"
            )
        org.done(who, ("Call", "Email", "ListEmail", "Task", "Cadence")[n % 5], n % 10 + 0.2)
        org.todo(who, n % 9 - 4)
        org.meeting(who, org.ago(n % 8 - 1))
        kind = ("Account", "Contact", "Lead", "Case")[n % 4]
        record = org.record(kind, who, n % 11 + 9, OwnerId=who)
        org.crm.change(kind, record, people[n // 2 % len(people)], org.ago(n % 9), OwnerId=people[0])
        org.record(("Account", "Contact", "Lead", "Case")[n % 4], who, n % 11, OwnerId=who)
        if n % 24 == 0:
            late = org.deal(who, 40)
            org.crm.change(
                "Opportunity",
                late,
                who,
                org.ago(n % 5),
                StageName="Closed Won" if n % 16 else "Closed Lost",
                CloseDate=org.ago(n % 65 - 30).date(),
            )
            org.deal(
                who,
                20,
                StageName="Closed Won" if n % 48 else "Closed Lost",
                LastStageChangeDate=None,
                CloseDate=org.ago(n % 7).date(),
            )
            org.deal(
                who,
                n % 6,
                StageName="Closed Won" if n % 16 else "Closed Lost",
                LastStageChangeDate=None,
                CloseDate=org.ago(n % 65 - 10).date(),
            )
        org.login(who, n % 7, ("Application", "SAML Sfdc Initiated SSO", "Remote Access 2.0")[n % 3])
        org.login(who, n % 7, status="Invalid Password")
        if n % 5 == 0:
            org.login(who, n % 6, "Remote Access 2.0", application=("Salesforce for iOS", "Outlook")[n % 2])
        org.opened(
            who, n % 9, ("Report Home", "dashboards:dashboard", "Account List", "Home")[n % 4], n % 6 + 1
        )
        org.used(who, n % 9, "Salesforce Mobile" if n % 2 else "Lightning Experience")
    for number, who in enumerate(people):
        for start in (date(2026, 10, 1), date(2026, 11, 1)):
            org.quota(who, start, 1000 * (number + 1))


def recounted(org: Org, window: Window, *, moves: bool = True) -> dict[tuple[str, date, str], float]:
    """The numbers of a window by SQL of its own, people who did nothing left out."""
    since, until = f"{window.since}T00:00:00", f"{window.through + timedelta(days=1)}T00:00:00"
    queries: dict[str, str] = {
        f"records_created.{thing.lower()}": f'SELECT CreatedById, substr(CreatedDate,1,10), COUNT(*) FROM "{thing}"'
        " WHERE CreatedDate BETWEEN ?1 AND ?2 GROUP BY 1, 2"
        for thing in ("Opportunity", "Account", "Contact", "Lead", "Case")
    }
    for thing in ("Account", "Contact", "Lead", "Case"):
        queries[f"records_updated.{thing.lower()}"] = (
            f"SELECT CreatedById, substr(CreatedDate,1,10), COUNT(DISTINCT {thing}Id) FROM {thing}History"
            " WHERE CreatedDate BETWEEN ?1 AND ?2 GROUP BY 1, 2"
        )
    queries["close_date_pushes"] = (
        "SELECT CreatedById, substr(CreatedDate,1,10), COUNT(*) FROM OpportunityFieldHistory WHERE Field = 'CloseDate'"
        " AND OldValue < NewValue AND CreatedDate BETWEEN ?1 AND ?2 GROUP BY 1, 2"
    )
    for metric, word in (("report", "Report"), ("dashboard", "dashboard"), ("list", "List")):
        queries[f"feature_use.{metric}"] = (
            "SELECT UserId, MetricsDate, SUM(TotalCount) FROM LightningUsageByPageMetrics"
            f" WHERE instr(PageName, '{word}') AND MetricsDate >= substr(?1,1,10) AND MetricsDate < substr(?2,1,10) GROUP BY 1, 2"
        )
    queries["feature_use.mobile"] = (
        "SELECT UserId, MetricsDate, COUNT(*) FROM LightningUsageByAppTypeMetrics WHERE AppExperience = 'Salesforce Mobile'"
        " AND MetricsDate >= substr(?1,1,10) AND MetricsDate < substr(?2,1,10) GROUP BY 1, 2"
    )
    queries["quota_attainment"] = (
        f"SELECT QuotaOwnerId, '{window.through}', ROUND(100 * (SELECT SUM(Amount) FROM Opportunity WHERE IsWon AND"
        f" OwnerId = QuotaOwnerId AND CloseDate BETWEEN '2026-11-01' AND '{window.through}') / QuotaAmount, 2)"
        " FROM ForecastingQuota WHERE StartDate = '2026-11-01'"
    )
    history = (
        "SELECT CreatedById, substr(CreatedDate,1,10), COUNT(DISTINCT OpportunityId) FROM OpportunityFieldHistory"
        " WHERE CreatedDate BETWEEN ?1 AND ?2 {} GROUP BY 1, 2"
    )
    queries["records_updated.opportunity"] = history.format("")
    queries["step_moves"] = history.format("AND Field = 'StageName'")
    for kind, subtypes in {
        "call": "'Call'",
        "email": "'Email','ListEmail'",
        "task": "'Task','Cadence'",
    }.items():
        queries[f"activities_completed.{kind}"] = (
            "SELECT OwnerId, substr(CompletedDateTime,1,10), COUNT(*) FROM Task WHERE IsClosed AND"
            f" TaskSubtype IN ({subtypes}) AND CompletedDateTime BETWEEN ?1 AND ?2 GROUP BY 1, 2"
        )
    queries["activities_completed.meeting"] = (
        "SELECT OwnerId, substr(StartDateTime,1,10), COUNT(*) FROM Event WHERE StartDateTime BETWEEN ?1 AND ?2"
        f" AND StartDateTime < '{FRIDAY:%Y-%m-%dT%H:%M:%S}' GROUP BY 1, 2"
    )
    queries["active_day"] = (
        "SELECT UserId, substr(LoginTime,1,10), 1 FROM LoginHistory WHERE LoginTime BETWEEN ?1 AND ?2 AND"
        " Status = 'Success' AND (LoginType = 'Application' OR LoginType LIKE 'SAML%'"
        " OR Application = 'Salesforce for iOS') GROUP BY 1, 2"
    )
    entered = (
        "CASE WHEN julianday(CloseDate) >= julianday(substr(CreatedDate,1,10)) - 31"
        " THEN substr(CreatedDate,1,10) ELSE CloseDate END"
    )
    closed_on = f"COALESCE(substr(LastStageChangeDate,1,10), {entered})" if moves else "CloseDate"
    for metric, number, won in (
        ("won_count", "COUNT(*)", 1),
        ("lost_count", "COUNT(*)", 0),
        ("won_amount", "SUM(Amount)", 1),
        ("cycle_days", f"SUM(MAX(julianday({closed_on}) - julianday(substr(CreatedDate,1,10)), 0))", 1),
    ):
        queries[metric] = (
            f"SELECT OwnerId, {closed_on}, {number} FROM Opportunity WHERE IsClosed AND IsWon = {won}"
            f" AND {closed_on} >= substr(?1,1,10) AND {closed_on} < substr(?2,1,10) GROUP BY 1, 2"
        )
    old = {days: f"'{window.through - timedelta(days=days)}'" for days in (7, 30, 60)}
    states = {
        "opps_open": "1",
        "opps_past_close": f"CloseDate < '{window.through}'",
        "opps_no_next_step": f"NextStep IS NULL AND substr(CreatedDate,1,10) <= {old[7]}",
        "opps_missing_amount": f"Amount IS NULL AND substr(CreatedDate,1,10) <= {old[7]}",
        "opps_missing_account": f"AccountId IS NULL AND substr(CreatedDate,1,10) <= {old[7]}",
        "opps_no_activity_30d": f"substr(COALESCE(LastActivityDate, CreatedDate),1,10) <= {old[30]}",
        "opps_stuck_step": f"substr(COALESCE(LastStageChangeDate, CreatedDate),1,10) <= {old[60]}",
    }
    for metric, flaw in states.items():
        queries[metric] = (
            f"SELECT OwnerId, '{window.through}', COUNT(*) FROM Opportunity WHERE NOT IsClosed AND {flaw} GROUP BY 1"
        )
    queries["pipeline_amount"] = (
        f"SELECT OwnerId, '{window.through}', SUM(Amount) FROM Opportunity WHERE NOT IsClosed GROUP BY 1"
    )
    queries["field_completeness"] = (
        f"SELECT OwnerId, '{window.through}', ROUND(100.0 * (COUNT(NextStep) + COUNT(Amount) + COUNT(AccountId))"
        " / (3 * COUNT(*)), 2) FROM Opportunity WHERE NOT IsClosed GROUP BY 1"
    )
    queries["tasks_overdue"] = (
        f"SELECT OwnerId, '{window.through}', COUNT(*) FROM Task WHERE NOT IsClosed AND ActivityDate < '{window.through}' GROUP BY 1"
    )
    assert queries.keys() == READ
    return {
        (who, date.fromisoformat(day), metric): float(number)
        for metric, sql in queries.items()
        for who, day, number in org.crm.rows(sql, *((since, until) if "?" in sql else ()))
        if number
    }


def told(parts: list[Collected]) -> dict[tuple[str, date, str], float]:
    return {
        (who, day, metric): number
        for (who, day), values in facts_of(parts).items()
        for metric, number in values.items()
        if number
    }


# --- what is counted -------------------------------------------------------------------------------------------------------


async def test_every_number_is_that_of_a_recount_in_sql(org: Org) -> None:
    lived(org, people_of(org, 8))
    parts = await collected(org.connector(), WEEK, ALL)
    expected = recounted(org, WEEK)
    assert told(parts) == expected
    assert {metric for _, _, metric in expected} == READ, "nothing is left untried"


async def test_zero_is_said_for_everybody_who_is_listed_where_the_crm_has_spoken(org: Org) -> None:
    people = people_of(org, 2)
    org.login(people[0], 0)
    late = org.user("Eva Roth", CreatedDate=org.ago(1))
    parts = await collected(org.connector(), WEEK, ALL)
    facts = facts_of(parts)
    on = {day for who, day in facts if who == people[2]}
    assert len(on) == 7
    assert facts[people[2], TODAY] == dict.fromkeys(READ - SEEN_BY_USE - {"field_completeness"}, 0.0), (
        "a share of nothing is no number"
    )
    assert facts[people[2], WEEK.since] == dict.fromkeys(READ - SNAPSHOTS - SEEN_BY_USE, 0.0)
    for metric in SEEN_BY_USE:
        status, why = coverage_of(parts)[metric, TODAY]
        assert (status, bool(why)) == (CoverageStatus.UNSUPPORTED, True)
    assert {day for who, day in facts if who == late} == {TODAY, TODAY - timedelta(days=1)}
    assert org.me not in {who for who, _ in facts}


async def test_more_groups_than_a_query_gives_are_read_by_key_and_none_is_lost_or_doubled(org: Org) -> None:
    people = people_of(org, 700)
    for who in people:
        for days in range(4):
            org.record("Contact", who, days, OwnerId=who)
    metric = frozenset({"records_created.contact"})
    connector = org.connector()
    window = Window(TODAY - timedelta(days=3), TODAY)
    facts = facts_of(await collected(connector, window, metric))
    assert sum(values["records_created.contact"] for values in facts.values()) == 4 * len(people)
    assert {values["records_created.contact"] for values in facts.values()} == {1.0}
    assert sum(" FROM Contact " in asked for asked in org.line.asked) == 2


async def test_a_meeting_counts_once_it_has_begun(org: Org) -> None:
    _, rep = people_of(org, 1)
    org.meeting(rep, org.ago(0.01))
    org.meeting(rep, org.ago(-0.1))
    facts = facts_of(await collected(org.connector(), WEEK, frozenset({"activities_completed.meeting"})))
    assert facts[rep, TODAY] == {"activities_completed.meeting": 1.0}


async def test_records_of_queues_and_of_integrations_are_nobodys_work(org: Org) -> None:
    people_of(org, 1)
    queue = "00G000000000001EAA"
    org.deal(queue, 3, CreatedById=org.me)
    parts = await collected(org.connector(), WEEK, ALL)
    assert told(parts) == {}
    assert parts[0].notes == {"Opportunity groups of queues": 1}


async def test_a_daily_poll_is_about_a_dozen_requests_whatever_the_number_of_records(org: Org) -> None:
    lived(org, people_of(org, 30))
    connector = org.connector()
    await connector.users(TODAY)
    await collected(connector, Window(TODAY - timedelta(days=2), TODAY), ALL)
    assert connector.api.calls == org.line.requests <= 13
    assert len(org.line.asked) > 30


async def test_the_day_of_snapshots_is_the_programmes(org: Org) -> None:
    org.clock.move_to(datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    people_of(org, 1)
    tomorrow = TODAY + timedelta(days=1)
    for zone, day, status in (
        ("Europe/Berlin", tomorrow, OK),
        ("Europe/Berlin", TODAY, CoverageStatus.UNSUPPORTED),
        ("America/New_York", TODAY, OK),
        ("America/New_York", tomorrow, CoverageStatus.UNSUPPORTED),
    ):
        parts = await collected(org.connector(zone=zone), Window(day, day), frozenset({"opps_open"}))
        assert coverage_of(parts)["opps_open", day][0] is status, (zone, day)
        assert org.clock.now().astimezone(ZoneInfo(zone)).date() in {TODAY, tomorrow}


# --- people ----------------------------------------------------------------------------------------------------------------


async def test_people_come_with_manager_role_zone_and_country(org: Org) -> None:
    boss = org.user("Ada Brandt", Email=" Ada.Brandt@Example.COM ")
    rep = org.user("Jonas Weber", boss, TimeZoneSidKey="America/New_York", Title="Account Executive")
    sdr = org.user("Lea Martin", boss, UserRoleName="SDR EMEA", TimeZoneSidKey="Mars/Base")
    care = org.user("Eva Roth", boss, Title="Customer Success Manager")
    users, faults = await org.connector().users(TODAY)
    found = {user.crm_id: user for user in users}
    assert faults == ()
    assert found.keys() == {boss, rep, sdr, care}
    assert (found[boss].role, found[boss].email, found[boss].manager) == (
        "manager",
        "ada.brandt@example.com",
        None,
    )
    assert (found[rep].role, found[rep].manager, found[rep].zone, found[rep].country) == (
        "seller",
        boss,
        "America/New_York",
        "US",
    )
    assert (found[sdr].role, found[sdr].zone, found[sdr].country) == ("sales_development", None, None)
    assert (found[care].role, found[care].access_since) == ("customer_success", date(2026, 3, 2))


async def test_who_cannot_work_in_the_crm_is_not_active(org: Org) -> None:
    gone = org.user("Gone Boss", IsActive=False)
    rep = org.user("Jonas Weber", gone)
    org.user("Left Long Ago", IsActive=False)
    frozen = org.user("Frozen Boss")
    org.user("Lea Martin", frozen)
    org.crm.insert("UserLogin", [{"UserId": frozen, "IsFrozen": True}])
    org.user("Platform Only", LicenseName="Salesforce Platform")
    org.user("Some Community", UserType="PowerCustomerSuccess")
    users, _ = await org.connector().users(TODAY)
    assert {user.name: user.active for user in users} == {
        "Gone Boss": False,
        "Jonas Weber": True,
        "Frozen Boss": False,
        "Lea Martin": True,
    }
    assert next(user.manager for user in users if user.crm_id == rep) == gone


async def test_a_circle_of_managers_is_cut_and_named(org: Org) -> None:
    one, two, three = (org.user(name) for name in ("One", "Two", "Three"))
    for who, boss in ((one, two), (two, three), (three, one)):
        org.crm.change("User", who, org.me, FRIDAY, ManagerId=boss)
    users, faults = await org.connector().users(TODAY)
    assert [user.manager for user in users] == [None, three, one]
    assert [fault.dropped for fault in faults] == [False]
    assert one in faults[0].reason


async def test_addresses_of_a_sandbox_org_are_those_of_the_people(org: Org) -> None:
    org.user("Ada Brandt", Email="ada@example.com.invalid")
    (user,), _ = await org.connector(url="https://acme--dev.sandbox.my.salesforce.com").users(TODAY)
    assert user.email == "ada@example.com"
    (user,), _ = await org.connector().users(TODAY)
    assert user.email == "ada@example.com.invalid"


async def test_users_come_page_by_page_and_each_once(org: Org) -> None:
    people = people_of(org, 450)
    org.trouble("crm_page_overlaps", "User")
    users, _ = await org.connector(batch=200).users(TODAY)
    assert [user.crm_id for user in users] == sorted(people)
    assert sum("/query/" in asked for asked in org.line.asked) == 2


async def test_a_second_page_that_fails_is_no_short_list_of_people(org: Org) -> None:
    people_of(org, 450)
    org.trouble("crm_page_fails", "User", count=1)
    connector = org.connector(batch=200)
    with pytest.raises(Retryable):
        await connector.users(TODAY)
    assert len((await connector.users(TODAY))[0]) == 451


async def test_a_cursor_that_was_dropped_begins_the_query_again(org: Org) -> None:
    people_of(org, 250)

    def lost(asked: str, body: bytes) -> bytes:
        if "/query/" in asked and org.line.rewrite:
            org.line.rewrite = None
            return body
        return body.replace(
            b'"nextRecordsUrl":"/services/data/v68.0/query/',
            b'"nextRecordsUrl":"/services/data/v68.0/query/0x',
        )

    org.line.rewrite = lost
    users, _ = await org.connector(batch=200).users(TODAY)
    assert len(users) == 251
    assert org.server.refused["INVALID_QUERY_LOCATOR"] == 1


async def test_a_next_page_that_names_another_host_is_asked_from_ours(org: Org) -> None:
    people_of(org, 250)
    org.line.rewrite = lambda _asked, body: body.replace(
        b'"nextRecordsUrl":"/', b'"nextRecordsUrl":"https://gate.example/'
    )
    assert len((await org.connector(batch=200).users(TODAY))[0]) == 251
    assert {headers["host"] for headers in org.line.headers} == {"acme.my.salesforce.com"}
    org.line.rewrite = lambda _asked, body: body.replace(
        b'"nextRecordsUrl":"/', b'"nextRecordsUrl":"//gate.example/'
    )
    with pytest.raises(Permanent):
        await org.connector(batch=200).users(TODAY)


async def test_a_page_that_names_itself_is_not_asked_for_again(org: Org) -> None:
    people_of(org, 450)
    asked: list[str] = []

    def itself(path: str, body: bytes) -> bytes:
        if "/query/" not in path:
            return body
        asked.append(path)
        said = json.loads(body)
        return json.dumps({**said, "done": False, "nextRecordsUrl": path}).encode()

    org.line.rewrite = itself
    with pytest.raises(Retryable) as thrown:
        await org.connector(batch=200).users(TODAY)
    assert (thrown.value.code, len(asked)) == ("bad-answer", 1)


async def test_pages_without_end_are_left_after_as_many_as_there_are_rows(org: Org) -> None:
    pages = 0

    def always_another(request: httpx.Request) -> httpx.Response:
        nonlocal pages
        if "/query" not in whole_address(request):
            return httpx.Response(200, json={"access_token": "token", "id": "x/005"})
        pages += 1
        more = f"/services/data/v68.0/query/0r8{pages}-2000"
        rows = [{"Id": f"row {pages}"}]
        return httpx.Response(
            200, json={"totalSize": 3, "done": False, "nextRecordsUrl": more, "records": rows}
        )

    with pytest.raises(Retryable) as thrown:
        await org.connector(transport=httpx.MockTransport(always_another)).courier.rows(
            "SELECT Id FROM User", alone=True
        )
    assert (thrown.value.code, pages) == ("bad-answer", 3)


async def test_groups_that_do_not_go_on_are_left(org: Org) -> None:
    (question, *_) = STATES
    asked: list[str] = []

    def the_same(path: str, body: bytes) -> bytes:
        asked.append(path)
        rows = [{question.key: f"005{n:012}"} for n in range(GROUPS)]
        return json.dumps({"totalSize": GROUPS, "done": True, "records": rows}).encode()

    connector = org.connector()
    await connector.api.session()
    org.line.rewrite = the_same
    with pytest.raises(Retryable) as thrown:
        await connector.courier.groups(question, thresholds(TODAY))
    assert (thrown.value.code, len(asked)) == ("bad-answer", 2)


# --- records ---------------------------------------------------------------------------------------------------------------


async def test_records_are_named_worst_first_with_a_link_and_what_the_tips_tell(org: Org) -> None:
    _, rep = people_of(org, 1)
    account = org.account(rep, name="Northwind")
    worst = org.deal(rep, 70, Name="A", AccountId=account, CloseDate=date(2026, 11, 1), StageName="Proposal")
    mild = org.deal(rep, 20, Name="B", CloseDate=date(2026, 11, 19))
    org.deal(rep, 20, Name="C", CloseDate=TODAY)
    found = await org.connector().evidence("opps_past_close", [rep], 5, TODAY)
    count, (first, second) = found[rep]
    assert (count, first.id, second.id) == (2, worst, mild)
    assert first.link == f"{URL}/lightning/r/Opportunity/{worst}/view"
    assert dict(first.details) == {
        "account": "Northwind",
        "close_date": "2026-11-01",
        "days_past": "19",
        "days_open": "70",
        "open_since": "2026-09-11",
        "step": "Proposal",
    }
    linked = org.connector(record_link="https://crm.example.com/{id}")
    assert (await linked.evidence("opps_past_close", [rep], 1, TODAY))[rep][1][
        0
    ].link == f"https://crm.example.com/{worst}"


async def test_each_kind_of_flaw_tells_its_own_age(org: Org) -> None:
    _, rep = people_of(org, 1)
    org.deal(rep, 90, LastActivityDate=date(2026, 10, 10), LastStageChangeDate=org.ago(65))
    org.deal(rep, 80, LastActivityDate=None, LastStageChangeDate=None)
    org.todo(rep, -3)
    connector = org.connector()

    async def told_of(metric: str) -> list[dict[str, str]]:
        return [dict(ref.details) for ref in (await connector.evidence(metric, [rep], 5, TODAY))[rep][1]]

    quiet, never = sorted(await told_of("opps_no_activity_30d"), key=lambda each: "last_activity" not in each)
    assert (quiet["last_activity"], quiet["days_quiet"]) == ("2026-10-10", "41")
    assert never["days_quiet"] == "80"
    assert [each["days_in_step"] for each in await told_of("opps_stuck_step")] == ["80", "65"]
    assert await told_of("tasks_overdue") == [{"due_date": "2026-11-17", "days_past": "3"}]


async def test_many_owners_are_asked_about_in_addresses_that_salesforce_takes(org: Org) -> None:
    people = people_of(org, 900)
    for who in people[1:]:
        org.deal(who, 9, NextStep=None)
    asked = [*people, "nobody", "005' OR Name != '"]
    found = await org.connector().evidence("opps_no_next_step", asked, 3, TODAY)
    assert found.keys() == set(people[1:])
    assert sum(" FROM Opportunity " in each for each in org.line.asked) == 3
    assert "URI_TOO_LONG" not in org.server.refused


async def test_all_flaws_of_a_batch_are_one_query_and_a_moment_later_it_is_read_again(org: Org) -> None:
    people = people_of(org, 5)
    lived(org, people)
    connector = org.connector()
    for metric in sorted(FLAWS.keys() - {"tasks_overdue"}):
        await connector.evidence(metric, people[:4], 3, TODAY)
    queries = [asked for asked in org.line.asked if " FROM Opportunity " in asked]
    assert len(queries) == 1
    before = await connector.evidence("opps_no_next_step", people, 3, TODAY)
    assert [people[4] in asked and people[3] not in asked for asked in org.line.asked[-1:]] == [True]
    who, (count, (worst, *_)) = next(iter(before.items()))
    org.crm.change("Opportunity", worst.id, who, org.clock.now(), NextStep="Call")
    org.clock.move_to(FRIDAY + timedelta(seconds=2))
    after = await connector.evidence("opps_no_next_step", people, 3, TODAY)
    assert (after[who][0], worst in after[who][1]) == (count - 1, False)


async def test_records_are_those_of_now_whatever_day_the_decision_was_made_for(org: Org) -> None:
    _, rep = people_of(org, 1)
    org.deal(rep, 20, CloseDate=TODAY - timedelta(days=1))
    connector = org.connector()
    for days in (0, 1, 7):
        assert (await connector.evidence("opps_past_close", [rep], 1, TODAY - timedelta(days=days)))[rep][
            0
        ] == 1
    with pytest.raises(Retryable):
        await connector.evidence("opps_past_close", [rep], 1, TODAY - timedelta(days=8))


# --- rights ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity", "metrics"),
    [
        ("LoginHistory", {"active_day"}),
        ("OpportunityFieldHistory", {"records_updated.opportunity", "step_moves", "close_date_pushes"}),
        ("LeadHistory", {"records_updated.lead"}),
        ("Case", {"records_created.case"}),
        ("Task", {"tasks_overdue", *(f"activities_completed.{kind}" for kind in ("call", "email", "task"))}),
        ("Event", {"activities_completed.meeting"}),
        ("Contact", {"records_created.contact"}),
        (
            "Opportunity",
            {
                *(
                    *OPPORTUNITY_STATES,
                    "records_created.opportunity",
                    "won_count",
                    "lost_count",
                    "won_amount",
                ),
                *("cycle_days", "quota_attainment"),
            },
        ),
    ],
)
async def test_an_object_that_may_not_be_read_denies_its_metrics_and_no_other(
    org: Org, entity: str, metrics: set[str]
) -> None:
    lived(org, people_of(org, 2))
    org.crm.rights.denied.add(entity)
    parts = await collected(org.connector(), WEEK, ALL)
    coverage = coverage_of(parts)
    denied = {metric for (metric, day), (status, _) in coverage.items() if status is DENIED and day == TODAY}
    assert denied == metrics
    assert {coverage[metric, TODAY][0] for metric in READ - metrics} == {OK}
    assert all(
        entity in coverage[metric, TODAY][1]
        or "Login History" in coverage[metric, TODAY][1]
        or "history tracking" in coverage[metric, TODAY][1]
        for metric in metrics
    )
    assert not {metric for _, _, metric in told(parts)} & metrics


@pytest.mark.parametrize(
    ("field", "lost"),
    [
        ("NextStep", {"opps_no_next_step", "field_completeness"}),
        (
            "Amount",
            {
                "opps_missing_amount",
                "field_completeness",
                "pipeline_amount",
                "won_amount",
                "quota_attainment",
            },
        ),
        ("LastStageChangeDate", {"opps_stuck_step"}),
        ("LastActivityDate", {"opps_no_activity_30d"}),
    ],
)
async def test_a_field_that_is_hidden_costs_the_metrics_that_need_it(
    org: Org, field: str, lost: set[str]
) -> None:
    people = people_of(org, 2)
    lived(org, people)
    org.crm.rights.hidden.add(("Opportunity", field))
    connector = org.connector()
    parts = await collected(connector, WEEK, ALL)
    coverage = coverage_of(parts)
    assert {metric for metric in READ if coverage[metric, TODAY][0] is DENIED} == lost
    assert all(field in coverage[metric, TODAY][1] for metric in lost)
    expected = recounted(org, WEEK, moves=field != "LastStageChangeDate")
    assert told(parts) == {key: number for key, number in expected.items() if key[2] not in lost}
    for metric in sorted(OPPORTUNITY_STATES & FLAWS.keys() - lost):
        found = await connector.evidence(metric, people, 3, TODAY)
        assert {who: count for who, (count, _) in found.items()} == {
            who: count for (who, _, key), count in expected.items() if key == metric
        }
    for metric in sorted(FLAWS.keys() & lost):
        with pytest.raises(Permanent, match=field):
            await connector.evidence(metric, people, 3, TODAY)


async def test_a_poll_in_the_middle_of_a_message_makes_no_field_that_is_hidden_an_empty_one(org: Org) -> None:
    rep = people_of(org, 1)[1]
    for _ in range(4):
        org.deal(rep, 30, NextStep="Call")
    connector = org.connector()
    await collected(connector, WEEK, ALL)  # what is hidden is known for a day
    org.crm.rights.hidden.add(("Opportunity", "NextStep"))
    begun, polled = asyncio.Event(), asyncio.Event()
    inner = org.line.handle_async_request

    async def held(request: httpx.Request) -> httpx.Response:
        query = httpx.URL(whole_address(request)).params.get("q", "")
        if " OwnerId IN (" in query and "NextStep" not in query:
            begun.set()
            await polled.wait()
        return await inner(request)

    org.line.handle_async_request = held  # type: ignore[method-assign]  # the line itself, of this org only
    message = asyncio.create_task(connector.evidence("opps_no_next_step", [rep], 5, TODAY))
    async with asyncio.timeout(9):
        await begun.wait()
        await collected(connector, WEEK, frozenset({"records_created.lead"}))
        polled.set()
        with pytest.raises(FieldHidden, match="NextStep"):
            await message


async def test_logins_that_are_only_our_own_are_a_missing_right_and_not_an_empty_office(org: Org) -> None:
    people = people_of(org, 2)
    org.login(people[1], 1)
    org.login(org.me, 1, "Remote Access 2.0")
    org.crm.rights.login_history = False
    coverage = coverage_of(await collected(org.connector(), WEEK, ALL))
    assert {status for (metric, _), (status, _) in coverage.items() if metric == "active_day"} == {DENIED}
    assert "Monitor Login History" in coverage["active_day", TODAY][1]


async def test_a_quiet_weekend_is_no_missing_right(org: Org) -> None:
    people = people_of(org, 2)
    org.login(people[1], 9)
    org.login(org.me, 0, "Remote Access 2.0")
    parts = await collected(org.connector(), WEEK, frozenset({"active_day"}))
    assert {status for status, _ in coverage_of(parts).values()} == {OK}
    assert facts_of(parts)[people[1], TODAY] == {"active_day": 0.0}


async def test_records_that_may_not_be_read_say_what_to_grant(org: Org) -> None:
    people = people_of(org, 1)
    org.crm.rights.denied.add("Opportunity")
    with pytest.raises(Permanent, match='"View All Records" on Opportunity'):
        await org.connector().evidence("opps_open", people, 3, TODAY)


async def test_frozen_users_that_may_not_be_seen_are_named_to_the_admin(org: Org) -> None:
    people_of(org, 1)
    org.crm.rights.denied.add("UserLogin")
    users, faults = await org.connector().users(TODAY)
    assert len(users) == 2
    assert [(fault.file, fault.dropped) for fault in faults] == [("UserLogin", False)]


# --- time-outs and limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["crm_timeout", "crm_timeout_500"])
async def test_a_query_that_takes_too_long_is_asked_in_halves(org: Org, kind: str) -> None:
    lived(org, people_of(org, 4))
    org.trouble(kind, "Contact", count=3)
    parts = await collected(org.connector(), WEEK, ALL)
    assert told(parts) == recounted(org, WEEK)
    assert coverage_of(parts)["records_created.contact", TODAY] == (OK, "")
    assert sum(" FROM Contact " in asked for asked in org.line.asked) == 1 + 2 + 2 + 2


@pytest.mark.parametrize("entity", ["Contact", "Task", "Opportunity", "LoginHistory"])
async def test_a_query_that_never_ends_is_an_error_and_no_zero(org: Org, entity: str) -> None:
    lived(org, people_of(org, 2))
    org.trouble("crm_timeout", entity)
    parts = await collected(org.connector(), WEEK, ALL)
    coverage = coverage_of(parts)
    failed = {metric for metric in READ if coverage[metric, TODAY][0] is ERROR}
    assert (
        failed
        == {
            "Contact": {"records_created.contact"},
            "Task": {
                "tasks_overdue",
                *(f"activities_completed.{kind}" for kind in ("call", "email", "task")),
            },
            "LoginHistory": {"active_day"},
            "Opportunity": {
                *OPPORTUNITY_STATES,
                "records_created.opportunity",
                "won_count",
                "lost_count",
                "won_amount",
                "cycle_days",
                "quota_attainment",
            },
        }[entity]
    )
    assert not {metric for values in facts_of(parts).values() for metric in values} & failed


async def test_calls_that_are_used_up_stop_everything_until_later(org: Org) -> None:
    people = people_of(org, 2)
    connector = org.connector()
    await connector.users(TODAY)
    org.trouble("crm_request_limit")
    with pytest.raises(Throttled):
        await collected(connector, WEEK, ALL)
    asked = len(org.line.asked)
    with pytest.raises(Throttled) as thrown:
        await connector.evidence("opps_open", people, 3, TODAY)
    assert len(org.line.asked) == asked
    assert thrown.value.after is not None
    assert timedelta(minutes=30) <= thrown.value.after <= timedelta(hours=1)
    org.slack.faults.clear()
    org.clock.move_to(FRIDAY + timedelta(hours=1, minutes=1))
    assert len((await connector.users(TODAY))[0]) == 3


async def test_the_brake_holds_at_eighty_percent_whatever_stands_beside_the_number(org: Org) -> None:
    people = people_of(org, 2)
    org.server.daily_requests = 100
    connector = org.connector()

    async def ask_and_ask() -> None:
        for _ in range(100):
            await connector.evidence("tasks_overdue", people, 1, TODAY)

    with pytest.raises(Throttled, match="80%"):
        await ask_and_ask()
    assert sum(" FROM Task " in asked for asked in org.line.asked) == 80


@pytest.mark.parametrize(
    ("kind", "least", "most"), [("crm_429", 40, 40), ("crm_429_date", 39, 41), ("crm_429_bare", 1, 20)]
)
async def test_too_many_at_once_says_when_to_try_again_and_nobody_sleeps(
    org: Org, kind: str, least: int, most: int
) -> None:
    people = people_of(org, 1)
    connector = org.connector()
    for where in ("token", "Opportunity"):
        org.trouble(kind, where, seconds=40, count=1)
        with pytest.raises(Retryable) as thrown:
            await connector.evidence("opps_open", people, 1, TODAY)
        assert thrown.value.after is not None
        assert least <= thrown.value.after.total_seconds() <= most
    assert org.slept == []


async def test_one_object_that_fails_for_a_moment_leaves_the_others_as_they_are(org: Org) -> None:
    lived(org, people_of(org, 2))
    connector = org.connector()
    await connector.users(TODAY)
    org.trouble("crm_503_html", "Event")
    parts = await collected(connector, WEEK, ALL)
    coverage = coverage_of(parts)
    assert {metric for metric in READ if coverage[metric, TODAY][0] is ERROR} == {
        "activities_completed.meeting"
    }
    expected = {key: n for key, n in recounted(org, WEEK).items() if key[2] != "activities_completed.meeting"}
    assert told(parts) == expected


@pytest.mark.parametrize("kind", ["crm_503_html", "crm_truncated", "crm_429_bare", "crm_timeout_500"])
async def test_when_nothing_can_be_read_the_poll_is_told_to_come_again(org: Org, kind: str) -> None:
    lived(org, people_of(org, 1))
    connector = org.connector()
    await connector.users(TODAY)
    org.trouble(kind)
    with pytest.raises(Retryable):
        await collected(connector, WEEK, ALL)
    assert org.slept == []


async def test_a_truncated_answer_is_no_answer(org: Org) -> None:
    people_of(org, 1)
    connector = org.connector()
    org.trouble("crm_truncated", "User", count=1)
    assert len((await connector.users(TODAY))[0]) == 2, "what stumbled together is asked alone"
    org.trouble("crm_truncated", "User", count=1)
    with pytest.raises(Retryable):
        await connector.users(TODAY)
    assert len((await connector.users(TODAY))[0]) == 2


async def test_a_dropped_connection_is_tried_again_at_once(org: Org) -> None:
    people_of(org, 1)
    connector = org.connector()
    await connector.users(TODAY)
    org.line.drops = 2
    assert len((await connector.users(TODAY))[0]) == 2
    assert 0 < sum(org.slept) < 1


async def test_a_clock_that_is_ten_minutes_ahead_changes_no_day(org: Org) -> None:
    org.clock.move_to(datetime(2026, 11, 20, 23, 55, tzinfo=UTC))
    people_of(org, 1)
    org.trouble("crm_clock_skewed", seconds=600)
    parts = await collected(org.connector(), Window(TODAY, TODAY), frozenset({"opps_open"}))
    assert coverage_of(parts)["opps_open", TODAY][0] is OK
    org.slack.faults.clear()
    org.trouble("crm_clock_skewed", seconds=86_400)
    parts = await collected(org.connector(), Window(TODAY, TODAY), frozenset({"opps_open"}))
    assert coverage_of(parts)["opps_open", TODAY][0] is CoverageStatus.UNSUPPORTED


# --- logins of ours ----------------------------------------------------------------------------------------------------------


async def test_a_session_that_ended_is_renewed_by_one_login(org: Org) -> None:
    lived(org, people_of(org, 2))
    connector = org.connector()
    await connector.users(TODAY)
    org.server.end_sessions()
    parts = await collected(connector, WEEK, ALL)
    assert told(parts) == recounted(org, WEEK)
    assert org.server.asked["token"] == 2, "all at once, one login"
    org.clock.move_to(FRIDAY + timedelta(hours=3))
    await connector.users(TODAY)
    assert org.server.asked["token"] == 3
    assert org.server.refused["INVALID_SESSION_ID"] <= 4, "an old session is renewed before it is refused"


async def test_a_fresh_session_that_is_refused_once_is_renewed_once(org: Org) -> None:
    people_of(org, 1)
    org.trouble("crm_401", count=1)
    assert len((await org.connector().users(TODAY))[0]) == 2


async def test_a_session_that_is_refused_for_ever_ends_the_attempts(org: Org) -> None:
    people_of(org, 1)
    org.trouble("crm_401")
    connector = org.connector()
    for _ in range(3):
        with pytest.raises(Permanent):
            await connector.users(TODAY)
    assert org.server.asked["token"] == 2
    probe = await connector.probe()
    assert not probe.ok


async def test_a_login_that_is_rejected_is_left_alone(org: Org) -> None:
    people_of(org, 1)
    connector = org.connector(client_secret="wrong")
    for _ in range(3):
        with pytest.raises(Permanent, match="FULLSTEAM_SALESFORCE_CLIENT_SECRET"):
            await connector.users(TODAY)
    assert org.server.asked["token"] == 1
    org.trouble("crm_login_refused")
    with pytest.raises(Permanent, match="Run As"):
        await org.connector().users(TODAY)


async def test_a_login_that_cannot_be_reached_is_tried_again(org: Org) -> None:
    people_of(org, 1)
    org.trouble("crm_503_html", "token", count=1)
    connector = org.connector()
    with pytest.raises(Retryable):
        await connector.users(TODAY)
    assert len((await connector.users(TODAY))[0]) == 2


async def test_a_probe_names_the_versions_that_the_org_has(org: Org) -> None:
    lived(org, people_of(org, 4))
    probe = await org.connector(api_version="v99.0").probe()
    assert not probe.ok
    assert "v68.0" in probe.advice
    probe = await org.connector().probe()
    assert (probe.ok, probe.version) == (True, "v68.0")
    assert Counter(row.status for row in probe.metrics)[OK] == len(READ)


# --- no data is never no use ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "crm_401",
        "crm_request_limit",
        "crm_429",
        "crm_503_html",
        "crm_timeout",
        "crm_denied",
        "crm_truncated",
    ],
)
async def test_whatever_fails_no_number_is_given_for_it(org: Org, kind: str) -> None:
    lived(org, people_of(org, 2))
    connector = org.connector()
    await connector.users(TODAY)
    org.trouble(kind)
    try:
        parts = await collected(connector, WEEK, ALL)
    except (Retryable, Permanent):
        return  # the poll says so, and writes nothing
    coverage = coverage_of(parts)
    given = {metric for values in facts_of(parts).values() for metric in values}
    assert not {metric for (metric, _), (status, _) in coverage.items() if status is OK}
    assert given == set()


async def test_nothing_that_identifies_anybody_is_logged(org: Org, caplog: pytest.LogCaptureFixture) -> None:
    lived(org, people_of(org, 2))
    connector = org.connector()
    with caplog.at_level(logging.DEBUG):
        await connector.users(TODAY)
        await collected(connector, WEEK, ALL)
        org.trouble("crm_503_html")
        with pytest.raises(Retryable):
            await connector.users(TODAY)
        org.slack.faults.clear()
        await org.connector(client_secret="wrong-secret").probe()
    said = " ".join(
        f"{record.getMessage()} {record.__dict__}"
        for record in caplog.records
        if record.name.startswith("bot")
    )
    assert "salesforce.collected" in said
    for secret in (
        "wrong-secret",
        org.server.client_secret,
        "Brandt",
        "example.com",
        "SELECT",
        "Bearer",
        "0055e",
    ):
        assert secret not in said
    assert org.server.client_secret not in repr(connector._settings)


def test_spans_and_thresholds_are_whole_days() -> None:
    day = date(2026, 3, 29)  # clocks change in Europe: a UTC day has 24 hours all the same
    assert span(day, day) == {
        "a": "2026-03-29T00:00:00Z",
        "b": "2026-03-30T00:00:00Z",
        "first": "2026-03-29",
        "last": "2026-03-29",
        "early": "2026-02-26",
        "late": "2026-04-30T00:00:00Z",
    }
    assert span(day, day, datetime(2026, 3, 29, 9, 30, tzinfo=UTC))["b"] == "2026-03-29T09:30:00Z"
    assert span(day, day, datetime(2026, 3, 28, tzinfo=UTC))["b"] == "2026-03-29T00:00:00Z"
    assert thresholds(date(2026, 11, 20)) == {
        "today": "2026-11-20",
        "grace": "2026-11-14T00:00:00Z",
        "quiet": "2026-10-22T00:00:00Z",
        "quiet_day": "2026-10-22",
        "stuck": "2026-09-22T00:00:00Z",
        "quarter": "2026-08-20",
    }


async def test_the_page_for_admins_has_every_query_that_is_sent_and_no_other(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = Org(sees_all=False)
    people = people_of(org, 1)
    org.login(people[1], 0)
    org.used(people[1], 0, "Salesforce Mobile")
    which = "0PS000000000001AAA"
    given = {"AssigneeId": org.me, "PermissionSetId": which, "ViewAllData": False}
    org.crm.insert("PermissionSetAssignment", [given])
    connector = org.connector()
    await connector.users(TODAY)
    org.quota(people[1], date(2026, 11, 1), 1000)
    await collected(connector, Window(TODAY, TODAY), ALL)
    for metric in ("opps_open", "tasks_overdue"):
        await connector.evidence(metric, people[1:], 3, TODAY)
    monkeypatch.setattr("bot.connectors.salesforce.poll.GROUPS", 0)  # a crowd
    await collected(org.connector(), Window(TODAY, TODAY), ALL)
    page = (repository / "docs/connectors/salesforce.md").read_text()
    written = set(re.findall(r"`(SELECT [^`]+)`", page))
    values = (
        span(TODAY, TODAY)
        | thresholds(TODAY)
        | {"owners": f"'{people[1]}'", "period": "2026-11-01", "me": org.me}
    )
    values["sets"] = f"'{which}'"
    values["type"] = "'0Db000000000001EAA'"
    values["month"] = f"{TODAY - timedelta(days=30)}T00:00:00Z"
    now = {"b": f"{FRIDAY:%Y-%m-%dT%H:%M:%SZ}"}
    spelled = {query.format_map(values | (now if " FROM Event " in query else {})) for query in written}
    sent = {asked for asked in org.line.asked if asked.startswith("SELECT ")}
    alike = {
        query
        for query in sent
        if re.search(r"CreatedDate\) d, .* FROM (Account|Contact|Lead|Case)(History)? ", query)
        or re.search(r"SELECT Id FROM (Contact|Lead|Case)History ", query)
        or re.search(r"PageName LIKE '%(dashboard|list)%'", query.partition(" OR ")[0])
    }
    assert len(alike) == 4 + 4 + 3 + 2
    seldom = {
        SINGLY["opps_no_next_step"].soql(thresholds(TODAY)),
        EVERY_PAGE.soql(span(TODAY, TODAY)),
        VIEWS_ALL,
    }
    seldom |= {by_days(each).format_map(values) for each in (FEATURES["feature_use.report"], MOBILE)}
    for question in EVENTS:
        for each in question.simpler:
            seldom |= {one.soql(span(TODAY, TODAY)) for one in (each, *each.also)}
    assert spelled == (sent - alike) | seldom
    assert {metric for metric in READ if f"`{metric}`" not in page} <= {
        *(f"records_created.{thing}" for thing in ("account", "contact", "lead", "case")),
        *(f"records_updated.{thing}" for thing in ("account", "contact", "lead", "case")),
        *("feature_use.dashboard", "feature_use.list"),
        "activities_completed.email",
        "activities_completed.task",
    }


def test_the_page_for_admins_has_every_setting(repository: Path) -> None:
    page = (repository / "docs/connectors/salesforce.md").read_text()
    fields = SalesforceSettings.model_fields.keys() - {"name", "zone"}
    assert {field for field in fields if f"`FULLSTEAM_SALESFORCE_{field.upper()}`" not in page} == set()


# --- over a socket -----------------------------------------------------------------------------------------------------------


async def test_over_a_real_socket_it_is_all_the_same(org: Org) -> None:
    lived(org, people_of(org, 3))
    async with running(clock=org.clock) as there:
        there.sandbox.crm = CrmServer(org.crm, there.slack)
        settings = org.settings(url=there.slack.url)
        del settings["transport"]
        connector = CONNECTOR.open(settings, None)
        assert isinstance(connector, SalesforceConnector)
        users, _ = await connector.users(TODAY)
        parts = await collected(connector, WEEK, ALL)
        assert told(parts) == recounted(org, WEEK)
        found = await connector.evidence("opps_open", [user.crm_id for user in users], 1, TODAY)
        link = next(iter(found.values()))[1][0].link
        assert str(link).startswith(f"{there.slack.url}/lightning/r/Opportunity/006")
        there.slack.faults.plan(Fault("crm_dropped", "crm", count=2))
        assert len((await connector.users(TODAY))[0]) == 4
        there.slack.faults.plan(Fault("crm_slow", "crm", seconds=5))
        hasty = CONNECTOR.open(settings | {"time_out": 0.05}, None)
        assert isinstance(hasty, SalesforceConnector)
        with pytest.raises(Retryable) as thrown:
            await hasty.users(TODAY)
        assert thrown.value.code == "timeout"
        await hasty.close()
        await connector.close()
