"""Whole polls of Salesforce: what they cost, how they travel, how they log in, and what comes of an org that misbehaves."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bot.connectors.figures import Slices, days_of
from bot.connectors.http import SessionRefused
from bot.connectors.salesforce.connector import CONNECTOR, SalesforceConnector
from bot.connectors.salesforce.queries import EVENTS, READ
from bot.connectors.wire import whole_address
from bot.domain.errors import ConfigurationError, Permanent, Retryable
from bot.domain.usage import METRICS, CoverageStatus, Window
from sandbox.crm.server import JWT_BEARER
from tests.contract.test_salesforce import lived, people_of, recounted, told
from tests.orgs import FRIDAY, Org, collected, coverage_of, facts_of

pytestmark = pytest.mark.anyio

ALL = frozenset(METRICS)
TODAY = FRIDAY.date()
WEEK = Window(TODAY - timedelta(days=6), TODAY)
OVERLAP = Window(TODAY - timedelta(days=2), TODAY)
OK, DENIED, ERROR, UNSUPPORTED = (
    CoverageStatus.OK,
    CoverageStatus.DENIED,
    CoverageStatus.ERROR,
    CoverageStatus.UNSUPPORTED,
)


@pytest.fixture
def org() -> Org:
    return Org()


# --- cost ------------------------------------------------------------------------------------------------------------------


def busy(org: Org, count: int, days: int = 3) -> list[str]:
    """Everybody does everything on each of so many days, most of it twice."""
    people = [org.user("Ada Brandt"), *(org.user(f"Rep {n:04}") for n in range(count - 1))]
    insert, new_id, now = org.crm.insert, org.crm.new_id, org.clock.now()
    moments = [now - timedelta(days=ago, hours=1) for ago in range(days)]
    each = [(who, at) for who in people for at in moments]
    for kind in ("Account", "Contact", "Lead", "Case"):
        records = [
            {"Id": new_id(kind), "OwnerId": who, "CreatedById": who, "CreatedDate": at} for who, at in each
        ]
        insert(kind, records)
        insert(
            f"{kind}History",
            [
                {f"{kind}Id": record["Id"], "Field": "OwnerId", "CreatedById": who, "CreatedDate": at}
                for record, (who, at) in zip(records, each, strict=True)
            ],
        )
    for step, close in (("Proposal", 30), ("Closed Won", None), ("Closed Lost", None)):
        insert(
            "Opportunity",
            [
                {
                    "Id": new_id("Opportunity"),
                    "OwnerId": who,
                    "CreatedById": who,
                    "CreatedDate": at - timedelta(days=place % 3),
                    "StageName": step,
                    "Amount": 10,
                    "CloseDate": (at + timedelta(days=close or 0)).date(),
                    "LastStageChangeDate": at,
                }
                for place, (who, at) in enumerate(each)
            ],
        )
    deals = [row["Id"] for row in org.crm.rows("SELECT Id FROM Opportunity LIMIT ?", len(each))]
    for field, old, new in (("StageName", "A", "B"), ("CloseDate", "2026-11-20", "2026-12-20")):
        insert(
            "OpportunityFieldHistory",
            [
                {
                    "OpportunityId": deal,
                    "Field": field,
                    "OldValue": old,
                    "NewValue": new,
                    "CreatedById": who,
                    "CreatedDate": at,
                }
                for deal, (who, at) in zip(deals, each, strict=True)
            ],
        )
    for subtype in ("Call", "Email", "Task"):
        insert(
            "Task",
            [
                {
                    "OwnerId": who,
                    "TaskSubtype": subtype,
                    "IsClosed": True,
                    "CompletedDateTime": at,
                    "CreatedDate": at,
                }
                for who, at in each
                for _ in range(2)
            ],
        )
    insert(
        "Event",
        [{"OwnerId": who, "StartDateTime": at, "IsChild": False, "CreatedDate": at} for who, at in each],
    )
    insert(
        "LoginHistory",
        [
            {"UserId": who, "LoginTime": at, "LoginType": kind, "Status": "Success"}
            for who, at in each
            for kind in ("Application", "Remote Access 2.0")
        ],
    )
    insert(
        "LightningUsageByPageMetrics",
        [
            {"UserId": who, "MetricsDate": at.date(), "PageName": page, "TotalCount": 2}
            for who, at in each
            for page in ("Report", "dashboards:dashboard", "Account List")
        ],
    )
    insert(
        "LightningUsageByAppTypeMetrics",
        [
            {"UserId": who, "MetricsDate": at.date(), "AppExperience": experience}
            for who, at in each
            for experience in ("Lightning Experience", "Salesforce Mobile")
        ],
    )
    for who in people:
        for month in (9, 10, 11):
            org.quota(who, date(2026, month, 1), 100)
        org.todo(who, -2)
    return people


async def test_a_poll_of_two_thousand_busy_people_takes_forty_calls_at_most(org: Org) -> None:
    people = busy(org, 2000)
    connector = org.connector()
    users, _ = await connector.users(TODAY)
    parts = await collected(connector, OVERLAP, ALL)
    assert connector.api.calls == org.line.requests <= 40
    assert len(users) == len(people)
    coverage, facts = coverage_of(parts), facts_of(parts)
    assert {metric for metric in READ if coverage[metric, TODAY][0] is not OK} == set()
    assert len(facts) == 3 * len(people)
    events = {metric for metric in READ if METRICS[metric].kind != "snapshot"} - {
        "cycle_days",
        "records_created.opportunity",
    }
    expected = dict.fromkeys(events, 1.0) | {
        **dict.fromkeys((f"activities_completed.{kind}" for kind in ("call", "email", "task")), 2.0),
        **dict.fromkeys((f"feature_use.{kind}" for kind in ("report", "dashboard", "list")), 2.0),
        "won_amount": 10.0,
    }
    yesterday = TODAY - timedelta(days=1)
    wrong = {
        metric
        for who in people
        for metric, number in expected.items()
        if facts[who, yesterday][metric] != number
    }
    assert wrong == set()


async def test_it_takes_forty_calls_at_most_where_everybody_wins_and_moves_five_deals_a_day(org: Org) -> None:
    people = busy(org, 2000)
    deals = [row["Id"] for row in org.crm.rows("SELECT Id FROM Opportunity LIMIT ?", len(people))]
    moved = {"Field": "CloseDate", "OldValue": "2026-11-20", "NewValue": "2026-12-20"}
    for days in range(3):
        at = org.ago(days) - timedelta(hours=1)
        pushes = [
            {**moved, "OpportunityId": deals[n % 2000], "CreatedById": people[n % 2000], "CreatedDate": at}
            for n in range(7900)
        ]
        org.crm.insert("OpportunityFieldHistory", pushes)
        won = {"StageName": "Closed Won", "Amount": 1, "CloseDate": at.date(), "LastStageChangeDate": at}
        older = [
            {"Id": org.crm.new_id("Opportunity"), "OwnerId": who, "CreatedDate": at - timedelta(days=10 + n)}
            for who in people
            for n in range(4)
        ]
        org.crm.insert("Opportunity", [{**won, **each} for each in older])
    connector = org.connector()
    await connector.users(TODAY)
    parts = await collected(connector, OVERLAP, ALL)
    assert connector.api.calls == org.line.requests <= 40
    coverage, facts = coverage_of(parts), facts_of(parts)
    unread = {metric for metric in READ if coverage[metric, TODAY][0] is not OK}
    assert unread == {"close_date_pushes"}, "more rows than are read of a day"
    assert coverage["close_date_pushes", TODAY][0] is UNSUPPORTED
    assert {values["won_count"] for values in facts.values()} == {5.0}


def only_queries(org: Org) -> None:
    """The org knows a login and ``query``: everything else is no address of it."""
    inner = org.line.handle_async_request

    async def answer(request: httpx.Request) -> httpx.Response:
        path = httpx.URL(whole_address(request)).path
        if not path.endswith(("/token", "/query")) and "/query/" not in path:
            org.line.requests += 1
            return httpx.Response(404, json=[{"errorCode": "NOT_FOUND", "message": "not found"}])
        return await inner(request)

    org.line.handle_async_request = answer  # type: ignore[method-assign]  # what is not there is not reached


async def test_a_day_of_two_thousand_busy_people_takes_forty_calls_where_each_query_goes_alone(
    org: Org,
) -> None:
    people = busy(org, 2000, days=1)
    only_queries(org)
    connector = org.connector()
    users, _ = await connector.users(TODAY)
    parts = await collected(connector, Window(TODAY, TODAY), ALL)
    assert connector.api.calls == org.line.requests <= 40
    assert len(users) == len(people)
    coverage, facts = coverage_of(parts), facts_of(parts)
    assert {metric for metric in READ if coverage[metric, TODAY][0] is not OK} == set()
    assert told(parts) == recounted(org, Window(TODAY, TODAY))
    assert len(facts) == len(people)


async def test_three_days_of_a_small_org_take_forty_calls_where_each_query_goes_alone(org: Org) -> None:
    lived(org, people_of(org, 20))
    only_queries(org)
    connector = org.connector()
    await connector.users(TODAY)
    parts = await collected(connector, OVERLAP, ALL)
    assert connector.api.calls == org.line.requests <= 40
    assert told(parts) == recounted(org, OVERLAP)


async def test_an_org_in_which_nothing_happened_takes_no_more_calls(org: Org) -> None:
    people_of(org, 20)
    only_queries(org)
    connector = org.connector()
    await connector.users(TODAY)
    await collected(connector, OVERLAP, ALL)
    assert connector.api.calls == org.line.requests <= 40


async def test_it_takes_no_more_calls_for_ten_times_the_records(org: Org) -> None:
    people = people_of(org, 20)
    lived(org, people)

    async def calls() -> int:
        connector = org.connector()
        await connector.users(TODAY)
        await collected(connector, OVERLAP, ALL)
        return connector.api.calls

    before = await calls()
    for n in range(4000):
        org.done(people[n % 5], "Call", n % 3)
        org.record("Contact", people[n % 7], n % 3, OwnerId=people[0])
    assert await calls() == before


async def test_a_crowd_is_asked_otherwise_and_counted_alike(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(org, people_of(org, 5))
    monkeypatch.setattr("bot.connectors.salesforce.poll.GROUPS", 4)
    yesterday = Window(TODAY - timedelta(days=1), TODAY - timedelta(days=1))
    snapshots = {metric for metric in METRICS if METRICS[metric].kind == "snapshot"}
    for window in (Window(TODAY, TODAY), yesterday, WEEK):
        past = snapshots if window is yesterday else set()
        asked = len(org.line.asked)
        parts = await collected(org.connector(), window, ALL)
        expected = {key: number for key, number in recounted(org, window).items() if key[2] not in past}
        late = {"feature_use.report", "feature_use.dashboard", "feature_use.list", "feature_use.mobile"}
        untold = {metric for metric in late if coverage_of(parts)[metric, window.through][0] is UNSUPPORTED}
        assert told(parts) == {key: number for key, number in expected.items() if key[2] not in untold}
        sent = " ".join(org.line.asked[asked:])
        assert "LoginType LIKE" in sent
        assert "AppExperience LIKE" in sent
        assert ("NOT IN ('Call'" in sent) == (window is not WEEK)


async def test_more_closings_than_are_read_in_one_are_read_apart(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = people_of(org, 2)
    for number in range(60):
        for who in people:
            deal = org.deal(who, 30 + number)
            org.crm.change("Opportunity", deal, who, org.ago(0.1), StageName="Closed Won", CloseDate=TODAY)
    events = tuple(replace(each, most=1) if "cycle_days" in each.metrics else each for each in EVENTS)
    monkeypatch.setattr("bot.connectors.salesforce.poll.EVENTS", events)
    for module in ("queries", "courier"):
        monkeypatch.setattr(f"bot.connectors.salesforce.{module}.GROUPS", 80)
    closings = frozenset({"won_count", "lost_count", "won_amount", "cycle_days"})
    parts = await collected(org.connector(), OVERLAP, closings)
    assert {status for status, _ in coverage_of(parts).values()} == {OK}
    expected = {key: number for key, number in recounted(org, OVERLAP).items() if key[2] in closings}
    assert told(parts) == expected
    assert len(expected) == 3 * len(people)


# --- how queries travel ----------------------------------------------------------------------------------------------------


async def test_where_queries_cannot_go_together_each_goes_alone_for_good(org: Org) -> None:
    lived(org, people_of(org, 2))
    org.server.composite = False
    connector = org.connector()
    await connector.users(TODAY)
    parts = await collected(connector, WEEK, ALL)
    assert told(parts) == recounted(org, WEEK)
    assert org.server.asked["composite"] == 1, "it is asked for once"
    plain = org.connector(together=1)
    assert told(await collected(plain, WEEK, ALL)) == recounted(org, WEEK)
    assert org.server.asked["composite"] == 1


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"compositeResponse": 7}', b'{"compositeResponse": []}', b'{"compositeResponse": [{"x": 1}]}'],
)
async def test_a_composite_answer_of_another_shape_is_not_believed(org: Org, body: bytes) -> None:
    lived(org, people_of(org, 2))
    org.line.together = body
    connector = org.connector()
    await connector.users(TODAY)
    assert told(await collected(connector, WEEK, ALL)) == recounted(org, WEEK)


async def test_a_gateway_that_stumbles_over_several_queries_gets_one_at_a_time(org: Org) -> None:
    lived(org, people_of(org, 2))
    org.line.together = b"<html>what is this?</html>"
    connector = org.connector(at_once=1)
    await connector.users(TODAY)
    assert told(await collected(connector, WEEK, ALL)) == recounted(org, WEEK)
    assert [headers.get("content-type") for headers in org.line.headers].count("application/json") == 3


async def test_an_org_without_describe_is_asked_for_everything(org: Org) -> None:
    lived(org, people_of(org, 2))
    org.line.rewrite = lambda asked, body: b"[]" if "sobjects" in asked else body
    org.crm.rights.denied.add("Case")
    org.crm.rights.hidden.add(("Opportunity", "NextStep"))
    parts = await collected(org.connector(), WEEK, ALL)
    lost = {"records_created.case", "opps_no_next_step", "field_completeness"}
    assert {metric for metric in READ if coverage_of(parts)[metric, TODAY][0] is DENIED} == lost
    expected = {key: number for key, number in recounted(org, WEEK).items() if key[2] not in lost}
    assert told(parts) == expected


async def test_what_describe_does_not_list_is_not_asked_for(org: Org) -> None:
    people_of(org, 2)
    org.crm.rights.denied |= {"Case", "CaseHistory", "ForecastingQuota"}
    org.crm.rights.hidden.add(("Opportunity", "Amount"))
    connector = org.connector()
    parts = await collected(connector, WEEK, ALL)
    queries = [asked for asked in org.line.asked if asked.startswith("SELECT")]
    assert not [
        query for query in queries if " FROM Case" in query or "Forecasting" in query or "Amount" in query
    ]
    coverage = coverage_of(parts)
    assert coverage["records_created.case", TODAY][0] is DENIED
    assert coverage["quota_attainment", TODAY][0] is UNSUPPORTED
    assert coverage["pipeline_amount", TODAY][0] is DENIED
    asked = len(org.line.asked)
    await collected(connector, WEEK, ALL)
    assert not [each for each in org.line.asked[asked:] if "sobjects" in each], "known for a day"


async def test_a_field_that_cannot_be_counted_is_filtered_instead(org: Org) -> None:
    people = people_of(org, 2)
    lived(org, people)

    def uncountable(asked: str, body: bytes) -> bytes:
        if not asked.endswith("Opportunity/describe"):
            return body
        said = json.loads(body)
        for each in said["fields"]:
            each["aggregatable"] = each["aggregatable"] and each["name"] != "NextStep"
        return json.dumps(said).encode()

    org.line.rewrite = uncountable
    parts = await collected(org.connector(), WEEK, ALL)
    expected = {key: n for key, n in recounted(org, WEEK).items() if key[2] != "field_completeness"}
    assert told(parts) == expected
    assert coverage_of(parts)["field_completeness", TODAY][0] is ERROR


async def test_groups_in_another_order_than_ours_are_each_counted_once(org: Org) -> None:
    """An org may sort ids in its own way: ranges that overlap give a group twice, and it is one."""
    people = [org.user(f"Rep {n:03}") for n in range(900)]
    for who in people:
        for days in range(3):
            org.record("Contact", who, days, OwnerId=who)
    connector = org.connector()
    roster = await connector.people.known(TODAY)
    shuffled = replace(roster, known=tuple(reversed(roster.known)))
    connector.people._roster.keep(shuffled, TODAY)
    facts = facts_of(await collected(connector, OVERLAP, frozenset({"records_created.contact"})))
    assert {values["records_created.contact"] for values in facts.values()} == {1.0}
    assert len(facts) == 3 * len(people)


# --- time-outs -------------------------------------------------------------------------------------------------------------


async def test_a_snapshot_that_takes_too_long_is_asked_for_half_of_the_people(org: Org) -> None:
    people = people_of(org, 40)
    lived(org, people[:9])
    org.trouble("crm_timeout", "Task", count=3)
    parts = await collected(org.connector(), Window(TODAY, TODAY), frozenset({"tasks_overdue"}))
    assert coverage_of(parts)["tasks_overdue", TODAY] == (OK, "")
    expected = {key: n for key, n in recounted(org, WEEK).items() if key[2] == "tasks_overdue"}
    assert told(parts) == expected
    assert len({asked for asked in org.line.asked if " FROM Task " in asked}) == 7


async def test_what_nobody_can_read_is_given_up_after_a_few_queries(org: Org) -> None:
    lived(org, people_of(org, 40)[:5])
    org.trouble("crm_timeout", "Event")
    metric = "activities_completed.meeting"
    parts = await collected(org.connector(), WEEK, frozenset({metric, "active_day"}))
    assert {status for (key, _), (status, _) in coverage_of(parts).items() if key == metric} == {ERROR}
    asked = [each for each in org.line.asked if " FROM Event " in each]
    assert len(asked) <= 2 * 7 - 1 + 4


class Slow(httpx.AsyncBaseTransport):
    """The line to an org that answers no query about an object if it is for more than so many days: in time, or as it should."""

    def __init__(
        self,
        line: httpx.AsyncBaseTransport,
        entity: str,
        moment: str,
        most: int,
        instead: httpx.Response | None = None,
    ) -> None:
        self._line, self._most, self._instead = line, most, instead
        self._of = re.compile(rf" FROM {entity} WHERE {moment} >= (\S{{10}})\S+ AND {moment} < (\S{{10}})")
        self.asked: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = unquote(whole_address(request) + request.content.decode(errors="replace"))
        spans = [
            (date.fromisoformat(b) - date.fromisoformat(a)).days
            for a, b in self._of.findall(sent.replace("+", " "))
        ]
        self.asked += spans
        if any(days > self._most for days in spans):
            if self._instead is not None:
                return httpx.Response(self._instead.status_code, content=self._instead.content)
            raise httpx.ReadTimeout("nothing yet")
        return await self._line.handle_async_request(request)


@pytest.mark.parametrize("together", [5, 1])
async def test_a_query_that_is_not_answered_in_time_is_asked_for_fewer_days(org: Org, together: int) -> None:
    lived(org, people_of(org, 3))
    slow = Slow(org.line, "Contact", "CreatedDate", 4)
    connector = org.connector(transport=slow, together=together)
    assert told(await collected(connector, WEEK, ALL)) == recounted(org, WEEK)
    assert sorted(set(slow.asked)) == [3, 4, 7]
    again = len(slow.asked)
    assert told(await collected(connector, WEEK, ALL)) == recounted(org, WEEK)
    assert slow.asked[again:] == [4, 3], "what was too much is not tried again"
    org.clock.move_to(FRIDAY + timedelta(hours=13))
    again = len(slow.asked)
    await collected(connector, WEEK, ALL)
    assert slow.asked[again:][0] == 7, "for half a day"
    assert org.server.asked["composite"] > 1 or together == 1, "queries travel together as before"


async def test_a_question_that_takes_too_long_again_and_again_is_left_and_begins_smaller_next_time(
    org: Org,
) -> None:
    lived(org, people_of(org, 3))
    quarter = Window(TODAY - timedelta(days=89), TODAY)
    metrics = frozenset({"records_created.contact", "records_created.lead"})
    given_up = httpx.Response(400, json=[{"errorCode": "QUERY_TIMEOUT", "message": "too long"}])
    slow = Slow(org.line, "Contact", "CreatedDate", 3, given_up)
    connector = org.connector(transport=slow, together=1)
    coverage = coverage_of(await collected(connector, quarter, metrics))
    contacts = {status for (metric, _), (status, _) in coverage.items() if metric.endswith("contact")}
    leads = {status for (metric, _), (status, _) in coverage.items() if metric.endswith("lead")}
    assert (contacts, leads) == ({ERROR}, {OK})
    assert slow.asked == [90, 45, 23, 12, 6]
    parts = await collected(connector, quarter, metrics)
    assert set(slow.asked[5:]) == {3}
    assert {status for status, _ in coverage_of(parts).values()} == {OK}
    assert told(parts) == {key: n for key, n in recounted(org, quarter).items() if key[2] in metrics}


# --- many days of many people ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [7, 90])
async def test_many_days_of_many_people_are_read_in_parts_with_the_same_answer(
    org: Org, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    people = people_of(org, 5)
    lived(org, people)
    for ago in (20, 60):  # kept, if not of late
        record = org.record("Case", people[0], 80, OwnerId=people[0])
        org.crm.change("Case", record, people[0], org.ago(ago), OwnerId=people[1])
    org.crm.rights.denied |= {"LeadHistory", "LightningUsageByAppTypeMetrics"}
    window = Window(TODAY - timedelta(days=days - 1), TODAY)
    whole = await collected(org.connector(), window, ALL)
    monkeypatch.setattr("bot.connectors.figures.PERSON_DAYS", 12)
    parts = await collected(org.connector(), window, ALL)
    assert len(parts) > 2
    assert [row.day for part in parts for row in part.coverage] == sorted(
        row.day for part in whole for row in part.coverage
    )
    assert coverage_of(parts) == coverage_of(whole)
    assert facts_of(parts) == facts_of(whole)
    assert max(len({fact.day for fact in part.facts}) for part in parts) < days


async def test_in_parts_too_what_is_told_tomorrow_and_what_is_not_kept_is_not_taken_for_nothing(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rep = people_of(org, 1)
    org.opened(rep, 9, "Report", 4)
    org.opened(rep, 2, "Dashboard", 4)
    org.login(rep, 1)
    window = Window(TODAY - timedelta(days=13), TODAY)
    whole = coverage_of(await collected(org.connector(), window, ALL))
    monkeypatch.setattr("bot.connectors.figures.PERSON_DAYS", 6)
    parts = coverage_of(await collected(org.connector(), window, ALL))
    assert parts == whole
    said = [parts["feature_use.report", TODAY - timedelta(days=ago)][0] for ago in (13, 9, 8, 0)]
    assert said == [OK, OK, UNSUPPORTED, UNSUPPORTED]
    assert parts["feature_use.list", TODAY - timedelta(days=13)][0] is UNSUPPORTED
    assert {parts["active_day", day][0] for _, day in parts} == {OK}


async def test_in_parts_too_somebody_who_logged_in_on_any_of_the_days_shows_that_logins_are_seen(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rep = people_of(org, 1)
    org.login(rep, 60)
    monkeypatch.setattr("bot.connectors.figures.PERSON_DAYS", 6)
    quarter, metric = Window(TODAY - timedelta(days=89), TODAY), frozenset({"active_day"})
    parts = await collected(org.connector(), quarter, metric)
    assert {status for status, _ in coverage_of(parts).values()} == {OK}
    assert told(parts) == {(rep, TODAY - timedelta(days=60), "active_day"): 1.0}


async def test_a_poll_in_parts_that_breaks_off_keeps_what_it_has_and_says_that_the_rest_is_owed(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(org, people_of(org, 3))
    monkeypatch.setattr("bot.connectors.figures.PERSON_DAYS", 12)
    connector = org.connector()
    days: list[date] = []

    async def read() -> None:
        async for part in connector.collect(WEEK, ALL):
            days.extend({row.day for row in part.coverage})
            org.trouble("crm_503_html")

    with pytest.raises(Retryable):
        await read()
    assert sorted(days) == days_of(WEEK)[: len(days)]
    assert 0 < len(days) < 7


def test_few_people_are_read_at_once_and_many_in_parts_that_grow_while_little_happens() -> None:
    quarter = Window(TODAY - timedelta(days=89), TODAY)
    assert list(Slices(quarter, 200)) == list(Slices(quarter, 0)) == [quarter]
    assert list(Slices(OVERLAP, 2000)) == [OVERLAP]
    busy_parts = list(Slices(quarter, 2000))
    assert {len(days_of(part)) for part in busy_parts} == {10}
    assert [day for part in busy_parts for day in days_of(part)] == days_of(quarter)
    quiet, lengths = Slices(quarter, 2000), []
    for part in quiet:
        lengths.append(len(days_of(part)))
        quiet.had(5)
    assert lengths == [10, 20, 40, 20]


# --- what is not always there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "word"), [("eac", "Einstein"), ("none", "ACTIVITY_SOURCE")])
async def test_where_activities_are_kept_elsewhere_nobody_is_told_that_there_are_none(
    org: Org, source: str, word: str
) -> None:
    lived(org, people_of(org, 2))
    parts = await collected(org.connector(activity_source=source), WEEK, ALL)
    coverage = coverage_of(parts)
    silent = {metric for metric in METRICS if coverage[metric, TODAY][0] is UNSUPPORTED} - {"opps_open_long"}
    assert silent == {
        "opps_no_activity_30d",
        *(f"activities_completed.{kind}" for kind in ("call", "email", "meeting", "task")),
    }
    assert all(word in coverage[metric, TODAY][1] for metric in silent)
    assert not any(" FROM Event " in asked for asked in org.line.asked)


async def test_what_was_opened_today_is_told_tomorrow(org: Org) -> None:
    _, rep = people_of(org, 1)
    org.opened(rep, 2, "Report", 4)
    org.opened(rep, 1, "Report", 3)
    parts = await collected(org.connector(), OVERLAP, frozenset({"feature_use.report", "feature_use.list"}))
    coverage, facts = coverage_of(parts), facts_of(parts)
    days = [TODAY - timedelta(days=days) for days in (2, 1, 0)]
    assert [coverage["feature_use.report", day][0] for day in days] == [OK, OK, UNSUPPORTED]
    assert [facts.get((rep, day), {}).get("feature_use.report") for day in days] == [4.0, 3.0, None]
    assert {coverage["feature_use.list", day][0] for day in days} == {UNSUPPORTED}, "no such page is named"


async def test_a_sandbox_org_has_no_usage_app_and_says_so(org: Org) -> None:
    people_of(org, 1)
    org.crm.rights.denied |= {"LightningUsageByPageMetrics", "LightningUsageByAppTypeMetrics"}
    coverage = coverage_of(await collected(org.connector(), WEEK, ALL))
    for metric in ("feature_use.report", "feature_use.mobile"):
        status, why = coverage[metric, TODAY]
        assert (status, "sandboxes" in why) == (UNSUPPORTED, True)


@pytest.mark.parametrize(
    ("starts", "reached"),
    [
        ([date(2026, 11, 1)], 30.0),
        ([date(2026, 10, 1), date(2026, 11, 1)], 30.0),
        ([date(2026, 9, 1)], 50.0),
        ([date(2026, 9, 1), date(2026, 10, 1)], None),
        ([date(2026, 12, 1)], None),
        ([], None),
    ],
)
async def test_a_quota_is_that_of_the_running_period(
    org: Org, starts: list[date], reached: float | None
) -> None:
    _, rep = people_of(org, 1)
    for start in starts:
        org.quota(rep, start, 1000)
    org.deal(rep, 90, StageName="Closed Won", Amount=300, CloseDate=date(2026, 11, 5))
    org.deal(rep, 90, StageName="Closed Won", Amount=200, CloseDate=date(2026, 9, 5))
    parts = await collected(org.connector(), WEEK, frozenset({"quota_attainment"}))
    status, _ = coverage_of(parts)["quota_attainment", TODAY]
    assert status is (UNSUPPORTED if reached is None else OK)
    assert facts_of(parts).get((rep, TODAY), {}).get("quota_attainment") == reached


async def test_quotas_of_several_forecast_types_need_a_choice(org: Org) -> None:
    _, rep = people_of(org, 1)
    one, two = "0Db000000000001EAA", "0Db000000000002EAA"
    for kind, amount in ((one, 1000), (two, 500)):
        org.quota(rep, date(2026, 11, 1), amount, kind)
    org.deal(rep, 90, StageName="Closed Won", Amount=100, CloseDate=TODAY)
    metric = frozenset({"quota_attainment"})
    status, why = coverage_of(await collected(org.connector(), WEEK, metric))["quota_attainment", TODAY]
    assert (status, "FORECAST_TYPE" in why) == (UNSUPPORTED, True)
    parts = await collected(org.connector(forecast_type=two), WEEK, metric)
    assert facts_of(parts)[rep, TODAY] == {"quota_attainment": 20.0}


async def test_more_pushes_than_are_read_on_a_day_are_not_counted_on_that_day_only(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.connectors.salesforce.poll.MOST_PUSHES", 600)
    monkeypatch.setattr("bot.connectors.salesforce.poll.PUSHES_A_DAY", 300)
    _, rep = people_of(org, 1)
    for number in range(901):
        deal = org.deal(rep, 60)
        days = 1.1 if number < 900 else 2.1
        org.crm.change("Opportunity", deal, rep, org.ago(days), CloseDate=TODAY + timedelta(days=90))
    connector = org.connector(batch=200)
    parts = await collected(connector, OVERLAP, frozenset({"close_date_pushes"}))
    said = {day: status for (_, day), (status, _) in coverage_of(parts).items()}
    assert said == {
        TODAY - timedelta(days=2): OK,
        TODAY - timedelta(days=1): UNSUPPORTED,
        TODAY: OK,
    }
    assert facts_of(parts)[rep, TODAY - timedelta(days=2)] == {"close_date_pushes": 1.0}


@pytest.mark.parametrize(("sets", "status"), [([False, True], OK), ([False, False], DENIED)])
async def test_whoever_does_not_see_everybodys_activities_counts_none(
    sets: list[bool], status: CoverageStatus
) -> None:
    org = Org(sees_all=False)
    people = people_of(org, 2)
    lived(org, people)
    org.crm.insert("PermissionSetAssignment", [{"AssigneeId": org.me, "ViewAllData": sees} for sees in sets])
    org.crm.insert("PermissionSetAssignment", [{"AssigneeId": people[0], "ViewAllData": True}])
    parts = await collected(org.connector(), WEEK, ALL)
    coverage = coverage_of(parts)
    others = {
        "tasks_overdue",
        *(f"activities_completed.{kind}" for kind in ("call", "email", "meeting", "task")),
    }
    assert {coverage[metric, TODAY][0] for metric in others} == {status}
    assert coverage["opps_no_activity_30d", TODAY][0] is not DENIED, "that is a field of the deal"
    given = {metric for _, _, metric in told(parts)} & others
    assert given == (others if status is OK else set())
    if status is DENIED:
        assert all("View All Data" in coverage[metric, TODAY][1] for metric in others)


# --- logging in by key -------------------------------------------------------------------------------------------------------


KEY = rsa.generate_private_key(65537, 2048)


def pem(key: Any, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "app.key"
    path.write_bytes(pem(KEY))
    return path


def by_key(org: Org, key_file: Path, **changed: Any) -> SalesforceConnector:
    org.server.certificate = (
        KEY.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    org.server.approved = {"bot@example.com": org.me}
    given = {"client_secret": None, "username": "bot@example.com", "private_key_file": key_file}
    return org.connector(**(given | changed))


async def test_a_login_by_key_needs_no_secret(org: Org, key_file: Path) -> None:
    lived(org, people_of(org, 2))
    connector = by_key(org, key_file)
    assert told(await collected(connector, WEEK, ALL)) == recounted(org, WEEK)
    assert (await connector.api.session()).user == org.me
    org.server.end_sessions()
    assert len((await connector.users(TODAY))[0]) == 3


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"audience": "https://test.salesforce.com"}, "FULLSTEAM_SALESFORCE_AUDIENCE"),
        ({"username": "nobody@example.com"}, "pre-authorized"),
        ({"client_id": "another"}, "FULLSTEAM_SALESFORCE_CLIENT_ID"),
    ],
)
async def test_a_login_by_key_that_is_rejected_says_what_to_do(
    org: Org, key_file: Path, changed: dict[str, Any], advice: str
) -> None:
    with pytest.raises(Permanent, match=advice) as thrown:
        await by_key(org, key_file, **changed).users(TODAY)
    assert "\n" not in str(thrown.value)
    assert org.server.asked["token"] == 1


async def test_a_key_that_is_not_the_app_s_is_named(org: Org, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(pem(rsa.generate_private_key(65537, 2048)))
    with pytest.raises(SessionRefused, match="certificate"):
        await by_key(org, other).users(TODAY)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"hello", "no private key"),
        (pem(KEY, b"secret"), "password"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "no RSA key"),
        (None, "cannot be read"),
    ],
)
async def test_a_key_file_of_no_use_is_one_line(
    org: Org, key_file: Path, content: bytes | None, advice: str
) -> None:
    connector = by_key(org, key_file)
    if content is None:
        key_file.unlink()
    else:
        key_file.write_bytes(content)
    with pytest.raises(SessionRefused, match=advice):
        await connector.users(TODAY)
    assert org.line.requests == 0


async def test_an_assertion_is_made_by_the_server_s_clock(org: Org, key_file: Path) -> None:
    people_of(org, 1)
    there = Org()
    there.clock.move_to(FRIDAY + timedelta(minutes=10))
    there.user("Ada Brandt")
    connector = by_key(there, key_file, clock=org.clock)
    assert len((await connector.users(TODAY))[0]) == 1
    assert there.server.asked["token"] == 2, "the first answer told the time"
    assert there.server.refused["invalid_grant"] == 1


def test_an_assertion_says_who_for_whom_and_for_how_long(key_file: Path) -> None:
    claims: list[dict[str, Any]] = []

    async def ask() -> None:
        org = Org()
        connector = by_key(org, key_file)
        sent: list[bytes] = []
        inner = org.line.handle_async_request

        async def listen(request: Any) -> Any:
            sent.append(request.content)
            return await inner(request)

        org.line.handle_async_request = listen  # type: ignore[method-assign]  # the line is listened to
        await connector.users(TODAY)
        form = dict(parse_qsl(sent[0].decode()))
        assert form["grant_type"] == JWT_BEARER
        claims.append(jwt.decode(form["assertion"], options={"verify_signature": False}))

    asyncio.run(ask())
    ((said),) = claims
    assert said == {
        "iss": "3MVG9sandbox",
        "sub": "bot@example.com",
        "aud": "https://login.salesforce.com",
        "exp": int((FRIDAY + timedelta(minutes=3)).timestamp()),
    }


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"client_secret": None}, "FULLSTEAM_SALESFORCE_CLIENT_SECRET is not set"),
        ({"username": "a"}, "either FULLSTEAM_SALESFORCE_CLIENT_SECRET"),
        ({"client_secret": None, "username": "a"}, "FULLSTEAM_SALESFORCE_PRIVATE_KEY_FILE is not set"),
        ({"client_secret": None, "private_key_file": __file__}, "FULLSTEAM_SALESFORCE_USERNAME is not set"),
        ({"client_secret": None, "username": "a", "private_key_file": "/no/such"}, "names no file"),
    ],
)
def test_one_way_to_log_in_has_to_be_whole(org: Org, changed: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError) as thrown:
        CONNECTOR.open(org.settings(**changed), None)
    assert word in str(thrown.value)


# --- an org that misbehaves ----------------------------------------------------------------------------------------------------


async def test_an_object_that_is_forbidden_denies_its_metrics_and_no_other(org: Org) -> None:
    lived(org, people_of(org, 2))
    org.trouble("crm_forbidden", "Contact")
    coverage = coverage_of(await collected(org.connector(), WEEK, ALL))
    assert {metric for metric in READ if coverage[metric, TODAY][0] is DENIED} == {"records_created.contact"}


async def test_a_row_that_changes_between_two_pages_is_one_row(org: Org) -> None:
    people = people_of(org, 450)

    def again(asked: str, body: bytes) -> bytes:
        if "/query/" not in asked:
            return body
        said = json.loads(body)
        said["records"].insert(0, {**said["records"][0], "Id": people[10], "Name": "Renamed"})
        return json.dumps(said).encode()

    org.line.rewrite = again
    users, faults = await org.connector(batch=200).users(TODAY)
    assert ([user.crm_id for user in users], faults) == (sorted(people), ())


async def test_a_row_that_arrives_late_counts_on_its_day_and_a_deal_closed_late_on_the_day_of_closing(
    org: Org,
) -> None:
    _, rep = people_of(org, 1)
    metrics = frozenset({"records_created.contact", "won_count", "cycle_days"})
    deal = org.deal(rep, 30)
    before = facts_of(await collected(org.connector(), OVERLAP, metrics))
    org.record("Contact", rep, 1.5, OwnerId=rep)  # older than what was read
    org.crm.change(
        "Opportunity", deal, rep, org.ago(0.1), StageName="Closed Won", CloseDate=TODAY - timedelta(days=20)
    )
    after = facts_of(await collected(org.connector(), OVERLAP, metrics))
    yesterday = TODAY - timedelta(days=1)
    assert (before[rep, yesterday]["records_created.contact"], before[rep, TODAY]["won_count"]) == (0, 0)
    assert after[rep, org.ago(1.5).date()]["records_created.contact"] == 1
    assert (after[rep, TODAY]["won_count"], after[rep, TODAY]["cycle_days"]) == (1, 30)


async def test_a_deal_that_is_won_counts_once_however_its_close_date_lies_and_whichever_days_are_read(
    org: Org,
) -> None:
    """Won by a change of stage, or entered as won; and three days later its close date is written anew."""
    _, rep = people_of(org, 1)
    metrics = frozenset({"won_count", "won_amount", "cycle_days"})
    lies = (-30, -12, -1, 0, 2, 20)
    deals = [org.deal(rep, 60, Amount=10) for _ in lies]
    entered: list[str] = []
    kept: dict[tuple[str, date, str], float] = {}
    start = org.clock.now()
    for passed in range(len(lies) + 6):
        org.clock.move_to(start + timedelta(days=passed))
        today = org.clock.now().date()
        if passed < len(lies):
            close = today + timedelta(days=lies[passed])
            won = {"StageName": "Closed Won", "CloseDate": close}
            org.crm.change("Opportunity", deals[passed], rep, org.ago(0.1), **won)
            entered.append(org.deal(rep, 0.1, Amount=1, LastStageChangeDate=None, **won))
        if 3 <= passed < len(lies) + 3:
            anew = start.date() + timedelta(days=passed - 3 - lies[passed - 3])
            for deal in (deals[passed - 3], entered[passed - 3]):
                org.crm.change("Opportunity", deal, rep, org.ago(0.1), CloseDate=anew)
        for days in (2, 6):  # every poll, and one that reads further back
            window = Window(today - timedelta(days=days), today)
            kept |= told(await collected(org.connector(), window, metrics))
    won_on = {day: number for (_, day, metric), number in kept.items() if metric == "won_count" and number}
    assert won_on == {(start + timedelta(days=n)).date(): 2 for n in range(len(lies))}
    assert sum(number for (_, _, metric), number in kept.items() if metric == "won_amount") == 66
    assert sum(number for (_, _, metric), number in kept.items() if metric == "cycle_days") == sum(
        range(60, 66)
    )


async def test_history_that_was_imported_as_won_counts_on_its_close_date_once(org: Org) -> None:
    _, rep = people_of(org, 1)
    for ago in (31, 32, 60, 80):
        org.deal(
            rep,
            1,
            StageName="Closed Won",
            LastStageChangeDate=None,
            CloseDate=TODAY - timedelta(days=1 + ago),
        )
    counts: dict[date, float] = {}
    for first, last in ((89, 60), (59, 33), (40, 0), (2, 0), (89, 0)):
        window = Window(TODAY - timedelta(days=first), TODAY - timedelta(days=last))
        parts = await collected(org.connector(), window, frozenset({"won_count"}))
        counts |= {day: number for (_, day, _), number in told(parts).items()}
    assert counts == {TODAY - timedelta(days=ago): 1.0 for ago in (1, 33, 61, 81)}


async def test_an_empty_org_says_nothing_of_anybody(org: Org) -> None:
    parts = await collected(org.connector(), WEEK, ALL)
    assert facts_of(parts) == {}
    coverage = coverage_of(parts)
    assert coverage["active_day", TODAY][0] is DENIED, "not one login is seen, not even ours"
    assert coverage["records_created.lead", TODAY][0] is OK


async def test_a_day_on_which_clocks_change_has_24_hours_all_the_same(org: Org) -> None:
    _, rep = people_of(org, 1)
    org.clock.move_to(datetime(2027, 3, 28, 20, 0, tzinfo=UTC))
    sunday = date(2027, 3, 28)
    for hour in range(24):
        at = datetime(2027, 3, 27, 23, 30, tzinfo=UTC) + timedelta(hours=hour)
        org.crm.insert("Contact", [{"OwnerId": rep, "CreatedById": rep, "CreatedDate": at}])
    parts = await collected(
        org.connector(zone="Europe/Berlin"),
        Window(sunday - timedelta(days=1), sunday),
        frozenset({"records_created.contact"}),
    )
    facts = facts_of(parts)
    assert [facts[rep, day]["records_created.contact"] for day in (sunday - timedelta(days=1), sunday)] == [
        1,
        23,
    ]


async def test_people_are_known_by_their_id_whatever_they_are_called(org: Org) -> None:
    rep = org.user("Jonas Weber", Email="Jonas.WEBER@Example.com")
    twin = org.user("Jonas Weber (old)", Email="jonas.weber@example.com", IsActive=True)
    connector = org.connector()
    first, _ = await connector.users(TODAY)
    assert {user.crm_id for user in first} == {rep, twin}
    assert {user.email for user in first} == {"jonas.weber@example.com"}, (
        "two people with one address: matching says so"
    )
    org.crm.change("User", rep, org.me, org.clock.now(), Name="Jonas Weber-Roth")
    second, _ = await connector.users(TODAY)
    assert [user.name for user in second if user.crm_id == rep] == ["Jonas Weber-Roth"]
