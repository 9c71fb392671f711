"""The Dynamics 365 connector on OData servers that are no Dataverse: what they forbid, break over, or do not have.

What is refused here is refused so by servers that were read: a parameter with 403, 422 or 500, a grouping, a table, a time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from bot.connectors.dynamics.connector import DynamicsConnector
from bot.connectors.dynamics.environment import Way
from bot.connectors.dynamics.queries import TASK, Condition, Wording
from bot.connectors.dynamics.schema import Schema
from bot.connectors.wire import whole_address
from bot.domain.errors import Permanent, Retryable
from bot.domain.usage import METRICS, CoverageStatus, Window
from tests.contract.test_dynamics import ALL, ONE, READ, TODAY, WEEK, lived, people_of, recounted, told
from tests.dataverse import Dataverse, collected, coverage_of

pytestmark = pytest.mark.anyio

UPDATES = frozenset(metric for metric in READ if metric.startswith("records_updated"))


class Picky(httpx.AsyncBaseTransport):
    """A line on which some requests are refused. ``refuses``: (path, parameters) -> a status, or 0."""

    def __init__(self, line: Any, refuses: Callable[[str, httpx.QueryParams], int]) -> None:
        self._line = line
        self.refuses = refuses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        address = httpx.URL(whole_address(request))
        status = self.refuses(address.path, address.params)
        if status:
            return httpx.Response(status, json={"error": {"code": str(status), "message": "no"}})
        answer: httpx.Response = await self._line.handle_async_request(request)
        return answer


@pytest.fixture
def crm() -> Dataverse:
    """Dataverse's tables on a server that knows no ``WhoAmI``, and so no rights."""
    return Dataverse(silent={"/WhoAmI": "404"})


def picky(crm: Dataverse, refuses: Callable[[str, httpx.QueryParams], int]) -> DynamicsConnector:
    return crm.connector(transport=Picky(crm.settings()["transport"], refuses))


def without(*names: str, status: int) -> Callable[[str, httpx.QueryParams], int]:
    return lambda _path, query: status if any(name in query for name in names) else 0


async def same_numbers(crm: Dataverse, connector: DynamicsConnector) -> None:
    parts = await collected(connector, WEEK, ALL)
    said, expected = told(parts), recounted(crm, WEEK)
    assert {key: number for key, number in said.items() if key[2] not in UPDATES} == {
        key: number for key, number in expected.items() if key[2] not in UPDATES
    }


@pytest.mark.parametrize("status", [403, 422, 500])
@pytest.mark.parametrize(
    ("refused", "way"),
    [(("fetchXml",), Way.APPLY), (("fetchXml", "$apply"), Way.ROWS)],
    ids=["fetch", "both"],
)
async def test_a_foreign_server_that_forbids_a_parameter_is_asked_in_another_way(
    crm: Dataverse, refused: tuple[str, ...], way: Way, status: int
) -> None:
    lived(crm, people_of(crm, 1))
    connector = picky(crm, without(*refused, status=status))
    await same_numbers(crm, connector)
    assert connector.environment.way is way


async def test_how_a_server_counts_is_asked_again_where_it_broke_over_it(crm: Dataverse) -> None:
    people_of(crm, 1)
    line = Picky(crm.settings()["transport"], without("fetchXml", "$apply", status=500))
    connector = crm.connector(transport=line)
    await connector.environment.start()
    ways = [connector.environment.way]
    line.refuses = lambda _path, _query: 0
    crm.clock.move_to(crm.clock.now() + timedelta(hours=1, minutes=1))
    await connector.environment.start()
    assert [*ways, connector.environment.way] == [Way.ROWS, Way.FETCH]


async def test_a_server_that_is_away_is_not_one_that_does_not_count(crm: Dataverse) -> None:
    connector = picky(crm, without("fetchXml", "$apply", status=503))
    with pytest.raises(Retryable):
        await connector.users(TODAY)


async def test_dataverse_that_forbids_its_users_is_not_asked_in_another_way() -> None:
    connector = picky(Dataverse(), without("fetchXml", "$apply", status=403))
    with pytest.raises(Permanent, match="prvReadUser at organization level"):
        await connector.users(TODAY)


async def test_a_table_that_may_be_read_but_not_grouped_is_read_row_by_row(crm: Dataverse) -> None:
    crm.knows = frozenset({"apply"})
    lived(crm, people_of(crm, 1))
    connector = picky(
        crm, lambda path, query: 403 if "$apply" in query and not path.endswith("/systemusers") else 0
    )
    await same_numbers(crm, connector)
    assert connector.environment.way is Way.APPLY


async def test_a_table_that_may_not_be_read_at_all_is_denied_all_the_same(crm: Dataverse) -> None:
    crm.knows = frozenset({"apply"})
    lived(crm, people_of(crm, 1))
    connector = picky(crm, lambda path, _query: 403 if path.endswith("/leads") else 0)
    said = coverage_of(await collected(connector, ONE, ALL))
    status, detail = said["records_created.lead", TODAY]
    assert (status, "prvReadLead" in detail) == (CoverageStatus.DENIED, True)


@pytest.mark.parametrize("knows", ["fetch", "apply", ""])
async def test_what_is_planned_is_a_next_step_whenever_it_was_changed(crm: Dataverse, knows: str) -> None:
    crm.knows = frozenset({knows})
    (who,) = people_of(crm, 0)
    deal = crm.deal(who, 40, quiet=True)
    crm.deal(who, 40, quiet=True, name="Still")
    task = crm.activity("task", who, 1, about=deal, done=False)
    for table in ("task", "activitypointer"):
        crm.change(table, task, modifiedon=None)
    connector = crm.connector()
    metrics = frozenset({"opps_no_next_step", "opps_no_activity_30d"})
    numbers = told(await collected(connector, ONE, metrics))
    assert numbers == {(who, TODAY, "opps_no_next_step"): 1, (who, TODAY, "opps_no_activity_30d"): 2}
    count, (named,) = (await connector.evidence("opps_no_next_step", [who], 3, TODAY))[who]
    assert (count, named.name) == (1, "Still")
    assert (await connector.evidence("opps_no_activity_30d", [who], 3, TODAY))[who][0] == 2


async def test_what_can_be_read_is_said_once_a_metric_though_a_deal_was_booked_late(crm: Dataverse) -> None:
    (who,) = people_of(crm, 0)
    deal = crm.deal(who, 40)
    crm.won(deal, crm.ago(5).date())
    crm.change("opportunity", deal, modifiedon=crm.clock.now())
    said = await crm.connector().probe()
    assert sorted(each.metric for each in said.metrics) == sorted(METRICS)
    assert {each.day for each in said.metrics} == {TODAY}


async def test_an_audit_that_fails_once_is_no_crm_without_one(crm: Dataverse) -> None:
    lived(crm, people_of(crm, 1))
    crm.trouble("500", "organizations", left=1)
    connector, window = crm.connector(), Window(TODAY - timedelta(days=4), TODAY)
    first = coverage_of(await collected(connector, window, ALL))
    days = [window.since, TODAY]
    assert {first[metric, day][0] for metric in {*UPDATES, "active_day"} for day in days} == {
        CoverageStatus.ERROR
    }
    again = coverage_of(await collected(connector, window, ALL))
    assert {again[metric, day][0] for metric in UPDATES for day in days} == {CoverageStatus.OK}


@pytest.mark.parametrize(("kind", "quote"), [("Edm.Guid", ""), ("Edm.String", "'")])
def test_an_id_is_written_as_the_server_keeps_it(kind: str, quote: str) -> None:
    who = "6513270e-269e-4d37-b2a7-4de452e6b438"
    schema = Schema({"tasks": {"activityid": "Edm.Guid", "_owninguser_value": kind}})
    said = Wording(schema, ZoneInfo("UTC")).odata(TASK, (Condition("owninguser", "in", (who,)),))
    assert said == f"(_owninguser_value eq {quote}{who}{quote})"


async def test_an_address_with_the_path_twice_is_named_whole(crm: Dataverse) -> None:
    connector = crm.connector(
        url="http://127.0.0.1:4004/odata/v4/crm", prefix="/odata/v4/crm", api_version="", login="none"
    )
    said = await connector.probe()
    assert "no Web API at /odata/v4/crm/odata/v4/crm:" in said.advice


@pytest.mark.parametrize("lacking", ["usersettingscollection", "timezonedefinitions"])
async def test_a_table_of_settings_that_is_not_there_is_nobodys_right_to_give(
    crm: Dataverse, lacking: str
) -> None:
    people_of(crm, 1)
    crm.lacks = {lacking}
    connector = crm.connector()
    _, (fault,) = await connector.users(TODAY)
    assert (fault.dropped, "give" in fault.reason, f"{lacking} is not here" in fault.reason) == (
        False,
        False,
        True,
    )
    assert fault.reason in (await connector.probe()).advice


async def test_without_the_names_of_zones_people_still_have_their_language(crm: Dataverse) -> None:
    (who,) = people_of(crm, 0)
    crm.settle(who, 110, language=1031)
    crm.trouble("denied", "timezonedefinitions")
    (user,), (fault,) = await crm.connector().users(TODAY)
    assert (user.zone, user.language) == (None, "de-DE")
    assert "Time Zone Definition" in fault.reason


async def test_doctor_is_told_which_right_gives_people_their_zones() -> None:
    crm = Dataverse()
    people_of(crm, 1)
    crm.trouble("denied", "usersettingscollection")
    assert "prvReadUserSettings" in (await crm.connector().probe()).advice
