"""How many calls a poll of Dataverse takes, whatever the number of records, and that its numbers stay the same for it.

An environment at a tenth: 200 people, 500 rows and groups a page, 5,000 rows to a count; all numbers are recounted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.connectors.dynamics.connector import DynamicsConnector
from bot.connectors.dynamics.environment import FEW
from bot.connectors.dynamics.poll import merged
from bot.domain.usage import METRICS, CoverageStatus, Window
from tests.contract.test_dynamics import SETTLED, TODAY, lived, people_of, recounted, statuses, told
from tests.dataverse import Dataverse, collected

pytestmark = pytest.mark.anyio

ALL = frozenset(METRICS)
OVERLAP = Window(TODAY - timedelta(days=DynamicsConnector.overlap_days - 1), TODAY)
DAYS = range(DynamicsConnector.overlap_days)
KINDS = ("account", "contact", "lead", "incident")


def tenth(**given: Any) -> Dataverse:
    """An environment in which a tenth of Dataverse's rows fit a page or a count."""
    return Dataverse(groups=500, most=5000, **given)


def reader(crm: Dataverse) -> DynamicsConnector:
    """A connector that takes such an environment for what it is."""
    connector = crm.connector(batch=500)
    connector.environment.few = FEW // 10
    return connector


def busy(crm: Dataverse, people: Sequence[str]) -> None:
    """Each of the days that a poll reads again everybody has a login, three activities, four new and changed records, a deal
    that was won and a new one.
    """
    for who in people:
        for days in DAYS:
            crm.access(who, days)
            for kind in ("phonecall", "email", "task"):
                crm.activity(kind, who, days)
            for kind in KINDS:
                new = crm.add(kind, ownerid=who, createdby=who, createdon=crm.ago(days), statecode=0)
                crm.edit(who, days, new, kind)
            deal = crm.deal(who, days + 40, quiet=True)
            crm.edit(who, days, deal, "opportunity")
            crm.won(deal, crm.ago(days).date())
            crm.deal(who, days, quiet=True)


def stocked(crm: Dataverse, people: Sequence[str], *, ages: range, each: int = 30) -> None:
    """Everybody has so many open opportunities, with every flaw; created so many days ago."""
    for who in people:
        for n in range(each):
            given = {"customerid": None, "estimatedvalue": None, "estimatedvalue_base": None}
            day = TODAY - timedelta(days=3)
            crm.deal(who, ages[n % len(ages)], quiet=True, estimatedclosedate=day, **given)


async def polled(crm: Dataverse, connector: DynamicsConnector, window: Window = OVERLAP) -> int:
    """A poll, its numbers held against a recount; how many calls it took."""
    before = connector.api.calls
    await connector.users(TODAY)
    parts = await collected(connector, window, ALL)
    # Closings of days before the window come as well, where some were booked late.
    inside = {key: number for key, number in told(parts).items() if key[1] >= window.since}
    assert inside == recounted(crm, window)
    known = SETTLED - {"quota_attainment"}
    assert set(statuses(parts, among=known).values()) == {CoverageStatus.OK}
    return connector.api.calls - before


async def test_a_poll_of_two_thousand_busy_people_takes_far_less_than_sixty_calls() -> None:
    crm = tenth()
    busy(crm, people_of(crm, 199))
    connector = reader(crm)
    assert await polled(crm, connector) <= 42
    assert await polled(crm, connector) <= 37


async def test_ten_thousand_changes_and_sixty_thousand_open_deals_take_less_than_sixty_calls() -> None:
    crm = tenth()
    people = people_of(crm, 199)
    busy(crm, people)
    stocked(crm, people, ages=range(8, 60))
    for who in people:
        for days in DAYS:
            crm.activity("appointment", who, 9, due=-days - 0.2, done=False, statecode=3)
            deal = crm.deal(who, days + 40, quiet=True)
            crm.lost(deal, crm.ago(days).date())
    connector = reader(crm)
    assert await polled(crm, connector) <= 56
    assert await polled(crm, connector) <= 46
    refused = connector.environment.learned.refused
    assert refused, "there was something to remember"


@pytest.mark.parametrize("joins", ["", "wrong", "breaks"])
async def test_a_server_that_does_not_count_days_beside_each_other_is_believed_by_the_day_only(
    joins: str,
) -> None:
    crm = Dataverse(groups=50, joins=joins)
    busy(crm, people_of(crm, 19))
    connector = crm.connector(batch=50)
    assert await polled(crm, connector) <= 60
    tried = [said for _, asked in crm.line.asked if 'alias="d0"' in (said := asked.get("fetchXml", ""))]
    assert len(tried) == 2, "once a kind of table: the audit, and the others"
    assert connector.environment.learned.beside == {"": False, "audit": False}
    assert await polled(crm, connector) <= 55
    assert len([1 for _, asked in crm.line.asked if 'alias="d0"' in asked.get("fetchXml", "")]) == 2


async def test_long_spans_are_counted_a_week_beside_each_other() -> None:
    crm = tenth()
    people = people_of(crm, 199)
    for who in people:
        for days in range(20):
            crm.activity("phonecall", who, days)
    window = Window(TODAY - timedelta(days=19), TODAY)
    connector = reader(crm)
    metric = frozenset({"activities_completed.call"})
    parts = await collected(connector, window, metric)
    expected = {key: number for key, number in recounted(crm, window).items() if key[2] in metric}
    assert told(parts) == expected
    assert len(expected) == 20 * 200
    assert Counter(crm.line.paths())["phonecalls"] == 3, "as a group a day these would be eight pages"


async def test_rights_are_looked_up_once_a_poll() -> None:
    crm = Dataverse()
    people_of(crm, 1)
    connector = crm.connector()
    for polls in (1, 2):
        await connector.users(TODAY)
        await collected(connector, OVERLAP, ALL)
        assert sum("RetrieveUserPrivileges" in path for path in crm.line.paths()) == polls
    await collected(connector, OVERLAP, ALL)
    assert sum("RetrieveUserPrivileges" in path for path in crm.line.paths()) == 3


async def test_days_that_are_too_much_at_once_are_not_tried_again_at_the_next_poll() -> None:
    crm = tenth()
    people = people_of(crm, 19)
    for who in people:
        for days in DAYS:
            for _ in range(60):
                crm.activity("phonecall", who, days)
    connector = reader(crm)
    metric = frozenset({"activities_completed.call"})
    taken = []
    for _ in range(2):
        before = Counter(crm.line.paths())["phonecalls"]
        parts = await collected(connector, OVERLAP, metric)
        assert sum(told(parts).values()) == 20 * 60 * len(DAYS)
        taken.append(Counter(crm.line.paths())["phonecalls"] - before)
    assert taken == [3, 2]


async def test_too_many_changes_are_counted_table_by_table_before_day_by_day() -> None:
    crm = tenth()
    people = people_of(crm, 19)
    for who in people:
        for kind in KINDS:
            made = crm.ago(50)
            things = [
                crm.add(kind, ownerid=who, createdby=who, createdon=made, modifiedon=made) for _ in range(3)
            ]
            for days in DAYS:
                for n in range(20):
                    crm.audit(who, days, 2, 2, things[n % 3], kind)
    connector = reader(crm)
    taken = []
    for _ in range(2):
        before = len(crm.line.asked)
        await polled(crm, connector)
        changes = [
            said for _, said in crm.line.asked[before:] if "objecttypecode" in said.get("fetchXml", "")
        ]
        taken.append(len(changes))
    assert taken == [1 + 5, 5]


async def test_opportunities_too_many_of_one_day_are_read_row_by_row_and_that_is_remembered() -> None:
    crm = tenth()
    people = people_of(crm, 19)
    stocked(crm, people, ages=range(50, 51), each=300)
    connector = reader(crm)
    taken = [await polled(crm, connector) for _ in range(2)]
    assert taken[0] <= 60
    scans = [asked for path, asked in crm.line.asked if path == "opportunities" and "$skiptoken" in asked]
    assert len(scans) == 2 * 11
    assert taken[1] <= taken[0] - 10


async def test_how_days_are_counted_beside_each_other_is_on_the_page_for_admins(repository: Path) -> None:
    crm = Dataverse()
    people_of(crm, 2600)
    window = Window(TODAY - timedelta(days=1), TODAY)
    metrics = frozenset({"activities_completed.call", "records_updated.account", "records_updated.contact"})
    await collected(crm.connector(), window, metrics)
    asked = [f"GET {path}?fetchXml={said['fetchXml']}" for path, said in crm.line.asked if "fetchXml" in said]
    places = {
        f"{window.since}T00:00:00Z": "{a}",
        f"{TODAY}T00:00:00Z": "{today}",
        "2026-11-21T00:00:00Z": "{b}",
    }
    page = (repository / "docs/connectors/dynamics.md").read_text()
    shown = 0
    for query in asked:
        if 'alias="d0"' in query and ("phonecalls" in query or "audits" in query):
            for moment, place in places.items():
                query = query.replace(moment, place)  # noqa: PLW2901 - the query as the page shows it
            assert query in page
            shown += 1
    assert shown == 2


# --- by $apply -------------------------------------------------------------------------------------------------------------


async def test_a_small_firm_whose_server_knows_apply_only_takes_less_than_sixty_calls() -> None:
    crm = Dataverse(knows=frozenset({"apply"}))
    lived(crm, people_of(crm, 23))
    connector = crm.connector()
    assert await polled(crm, connector) <= 45
    assert await polled(crm, connector) <= 40


@pytest.mark.parametrize("sorts", [True, False])
async def test_groups_by_apply_on_several_pages_are_all_counted(sorts: bool) -> None:
    crm = Dataverse(knows=frozenset({"apply"}), groups=7, sorts=sorts)
    people = people_of(crm, 20)
    for who in people:
        for days in DAYS:
            for _ in range(2):
                crm.activity("phonecall", who, days)
    connector = crm.connector(batch=25)
    metric = frozenset({"activities_completed.call"})
    parts = await collected(connector, OVERLAP, metric)
    assert told(parts) == {
        (who, TODAY - timedelta(days=days), "activities_completed.call"): 2 for who in people for days in DAYS
    }
    assert connector.environment.learned.sorts is sorts
    grouped = [asked for _, asked in crm.line.asked if "$apply" in asked and "groupby" in asked["$apply"]]
    assert any("$orderby" in asked for asked in grouped)


# --- ages ------------------------------------------------------------------------------------------------------------------


def test_ages_of_few_opportunities_are_counted_together_and_leave_no_day_out() -> None:
    days = [date(2026, 11, n) for n in range(1, 8)]
    ages = [(days[4], days[5], 3), (days[0], days[1], 6), (days[2], days[2], 4), (days[3], days[3], 9)]
    assert merged(ages, days[6], 10) == [(days[0], days[2]), (days[3], days[3]), (days[4], days[6])]
    assert merged([], days[6], 10) == []
