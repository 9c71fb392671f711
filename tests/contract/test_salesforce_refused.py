"""Salesforce refuses a way of asking, or fails over a look at something else: what is counted is the same, or an error."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from bot.domain.usage import METRICS, CoverageStatus, Window
from tests.contract.test_salesforce import lived, people_of, recounted, told
from tests.contract.test_salesforce_rights import instead
from tests.orgs import FRIDAY, Org, collected, coverage_of

pytestmark = pytest.mark.anyio

TODAY = FRIDAY.date()
WEEK = Window(TODAY - timedelta(days=6), TODAY)
LIKED = frozenset({"active_day", *(metric for metric in METRICS if metric.startswith("feature_use."))})
OK, DENIED = CoverageStatus.OK, CoverageStatus.DENIED
REFUSALS = {
    "INVALID_FIELD": "field 'LoginType' can not be filtered in a query call",
    "MALFORMED_QUERY": "unexpected token: LIKE",
    "INVALID_QUERY_FILTER_OPERATOR": "invalid operator on a picklist field",
}


@pytest.fixture
def org() -> Org:
    return Org()


# --- LIKE on a picklist ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("groups", [2000, 4])
@pytest.mark.parametrize("window", [Window(TODAY, TODAY), WEEK])
async def test_where_like_may_not_filter_the_same_is_counted_plainly(
    org: Org, monkeypatch: pytest.MonkeyPatch, code: str, groups: int, window: Window
) -> None:
    people = people_of(org, 5)
    lived(org, people)
    org.used(people[1], 0, "Salesforce Mobile")
    monkeypatch.setattr("bot.connectors.salesforce.poll.GROUPS", groups)
    asked = await collected(org.connector(together=1), window, LIKED)
    refusal = httpx.Response(400, json=[{"errorCode": code, "message": REFUSALS[code]}])
    instead(org, lambda query: refusal if " LIKE " in query else None)
    parts = await collected(org.connector(together=1), window, LIKED)
    assert told(parts).items() >= told(asked).items()
    assert told(parts).items() <= {(key, number) for key, number in recounted(org, window).items()}
    assert {key for key, (status, _) in coverage_of(asked).items() if status is OK} <= {
        key for key, (status, _) in coverage_of(parts).items() if status is OK
    }
    pages = [query for query in org.line.asked if "PageName" in query and " LIKE " not in query]
    assert len(pages) == 1, "once for all kinds of pages"


async def test_a_right_that_is_missing_is_not_asked_for_plainly(
    org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(org, people_of(org, 5))
    monkeypatch.setattr("bot.connectors.salesforce.poll.GROUPS", 4)
    org.crm.rights.denied.add("LoginHistory")
    parts = await collected(org.connector(), WEEK, LIKED)
    assert coverage_of(parts)["active_day", TODAY][0] is DENIED
    assert not [query for query in org.line.asked if " FROM LoginHistory " in query and "LIKE" not in query]


# --- the look whether others log in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (503, b"<html>", CoverageStatus.ERROR),
        (400, b'[{"errorCode": "QUERY_TIMEOUT", "message": "too long"}]', CoverageStatus.ERROR),
        (400, b'[{"errorCode": "MALFORMED_QUERY", "message": "what?"}]', CoverageStatus.ERROR),
        (
            403,
            b'[{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests"}]',
            CoverageStatus.THROTTLED,
        ),
        (400, b'[{"errorCode": "INVALID_TYPE", "message": "not supported"}]', DENIED),
    ],
)
async def test_a_look_for_others_logins_that_fails_is_no_missing_right(
    org: Org, status: int, body: bytes, word: CoverageStatus
) -> None:
    people = people_of(org, 2)
    org.login(people[1], 9)
    org.login(org.me, 0, "Remote Access 2.0")
    month = f"LoginTime >= {TODAY - timedelta(days=30)}"
    instead(org, lambda query: httpx.Response(status, content=body) if month in query else None)
    parts = await collected(
        org.connector(together=1), WEEK, frozenset({"active_day", "records_created.lead"})
    )
    found = {said for (metric, _), said in coverage_of(parts).items() if metric == "active_day"}
    assert {status for status, _ in found} == {word}
    assert all(("Monitor Login History" in why) == (word is DENIED) for _, why in found)
    assert not {metric for _, _, metric in told(parts)} & {"active_day"}
