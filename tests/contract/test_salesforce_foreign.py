"""Salesforce as others know it: every query parses where nobody here wrote the grammar, and a foreign client works with the CRM.

The grammar is npm's @jetstreamapp/soql-parser-js (tests/foreign), the client PyPI's simple-salesforce.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)
from simple_salesforce.login import SalesforceLogin

from bot.connectors.rehearsal import Rehearsal
from bot.connectors.salesforce.connector import CONNECTOR, blank
from bot.connectors.salesforce.queries import EVENTS, FLAWS, SINGLY, span, thresholds
from bot.domain.errors import Permanent, Retryable
from bot.domain.usage import METRICS, Window
from sandbox.crm.server import CrmServer
from sandbox.faults import Fault
from tests.contract.sandbox.test_foreign_client import folder
from tests.contract.sandbox.workspace import running
from tests.contract.test_salesforce import lived, people_of
from tests.contract.test_salesforce_polls import KEY, pem
from tests.orgs import FRIDAY, Org, collected

pytestmark = pytest.mark.anyio
__all__ = ["folder"]

ALL = frozenset(METRICS)
TODAY = FRIDAY.date()
WEEK = Window(TODAY - timedelta(days=6), TODAY)


async def everything(org: Org, people: list[str], **settings: Any) -> None:
    """People, a week of every metric, and the records behind each."""
    connector = org.connector(**settings)
    try:
        await connector.users(TODAY)
        await collected(connector, WEEK, ALL)
        for metric in FLAWS:
            await connector.evidence(metric, people, 3, TODAY)
    except (Retryable, Permanent):
        pass  # what was asked until then counts


def misfortunes() -> list[Callable[[Org], None]]:
    """What makes a connector ask otherwise."""

    def hidden(*names: str) -> Callable[[Org], None]:
        return lambda org: org.crm.rights.hidden.update(("Opportunity", name) for name in names)

    def slow(*entities: str) -> Callable[[Org], None]:
        def strike(org: Org) -> None:
            for entity in entities:
                org.trouble("crm_timeout", entity, count=9)

        return strike

    def alone(org: Org) -> None:
        org.server.composite = False

    def unseen(org: Org) -> None:
        org.crm.rights.login_history = False

    def undescribed(org: Org) -> None:
        hidden("Amount", "NextStep", "LastStageChangeDate")(org)
        org.line.rewrite = lambda asked, body: b"[]" if "sobjects" in asked else body

    return [
        lambda _org: None,
        hidden("Amount"),
        hidden("LastStageChangeDate", "NextStep"),
        slow("Task", "Opportunity", "OpportunityFieldHistory"),
        alone,
        unseen,
        undescribed,
    ]


async def asked_for(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every query that polls and messages send, when all goes well and when it does not."""
    found: set[str] = set()
    for happen in misfortunes():
        org = Org()
        people = people_of(org, 5)
        lived(org, people)
        happen(org)
        await everything(org, people)
        found |= {each for each in org.line.asked if each.startswith("SELECT ")}
    crowd = Org()
    many = [crowd.user(f"Rep {n:04}") for n in range(700)]
    for who in many:
        for days in range(4):
            crowd.record("Contact", who, days, OwnerId=who)
    await everything(crowd, many)
    empty = Org()
    await everything(empty, [empty.me])
    rehearsal = Rehearsal(blank)
    connector = CONNECTOR.open(empty.settings(transport=rehearsal), None)
    await connector.users(TODAY)
    assert [part async for part in connector.collect(WEEK, ALL)]
    rehearsed = {each.query["q"] for each in rehearsal.asked if "q" in each.query}
    assert len(rehearsed) > 30
    values = span(TODAY, TODAY) | thresholds(TODAY)
    singly = {question.soql(values) for question in SINGLY.values()}
    for each in (crowd, empty):
        found |= {text for text in each.line.asked if text.startswith("SELECT ")}
    with monkeypatch.context() as patch:
        patch.setattr("bot.connectors.salesforce.poll.GROUPS", 0)
        connector = crowd.connector()
        await connector.users(TODAY)
        crowd.used(many[0], 0, "Salesforce Mobile")
        crowd.quota(many[0], date(2026, 11, 1), 100)
        await collected(connector, Window(TODAY, TODAY), ALL)
    found |= {text for text in crowd.line.asked if text.startswith("SELECT ")}
    apart = {
        one.soql(values) for question in EVENTS for each in question.simpler for one in (each, *each.also)
    }
    return found | rehearsed | singly | apart


async def test_every_query_parses_where_nobody_here_wrote_the_grammar(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = sorted(await asked_for(monkeypatch))
    for part in (
        " <= '005",
        " > '005",
        "OwnerId IN (",
        "LIKE '%list%'",
        "NOT IN ('Call'",
        "LoginType LIKE",
        "AppExperience LIKE",
        "AND ForecastingTypeId = '",
        "GROUP BY Field",
        "FROM ForecastingQuota",
        "FROM CaseHistory",
    ):
        assert any(part in query for query in queries), part
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", "soql.mjs"],
        cwd=folder,
        input=json.dumps([*queries, "SELECT Id, MAX(LoginTime) last FROM LoginHistory"]),
        capture_output=True,
        text=True,
        check=True,
    )
    wrong = json.loads(done.stdout)
    assert [query for query, _ in wrong] == ["SELECT Id, MAX(LoginTime) last FROM LoginHistory"], wrong[:3]
    assert len(queries) > 80


# --- a foreign client ------------------------------------------------------------------------------------------------------


class ToHere(requests.adapters.HTTPAdapter):
    """Salesforce is on this machine, and speaks plain HTTP: the client only knows https://something.salesforce.com."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        assert request.url is not None
        request.url = f"{self._url}/{request.url.split('/', 3)[3]}"
        return super().send(request, *args, **options)


async def with_foreign_client(work: Callable[[Org, CrmServer, requests.Session, Any], None]) -> None:
    """Run what a foreign client does, in a thread of its own, against the CRM over a socket."""
    org = Org()
    async with running(clock=org.clock) as there:
        there.sandbox.crm = server = CrmServer(org.crm, there.slack)
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", ToHere(there.slack.url))
        await asyncio.to_thread(work, org, server, session, there.slack)


async def test_a_foreign_client_reads_page_by_page_and_knows_its_limits() -> None:
    def work(org: Org, server: CrmServer, session: requests.Session, slack: Any) -> None:
        people = people_of(org, 450)
        org.deal(people[1], 9)
        token, instance = SalesforceLogin(
            consumer_key=server.client_id,
            consumer_secret=server.client_secret,
            domain="acme.my",
            session=session,
        )
        assert instance
        client: Any = Salesforce(
            session_id=token, instance="acme.my.salesforce.com", version="68.0", session=session
        )
        found = client.query_all("SELECT Id, Name FROM User WHERE UserType = 'Standard' ORDER BY Id")
        assert [row["Id"] for row in found["records"]] == sorted([org.me, *people])
        client.headers["Sforce-Query-Options"] = "batchSize=200"
        first = client.query("SELECT Id FROM User")
        assert (first["done"], len(first["records"]), first["totalSize"]) == (False, 200, 452)
        assert len(client.query_more(first["nextRecordsUrl"], identifier_is_url=True)["records"]) == 200
        assert len(client.query_all("SELECT Id FROM User")["records"]) == 452
        grouped = client.query("SELECT OwnerId, COUNT(Id) n FROM Opportunity GROUP BY OwnerId")
        assert [(row["OwnerId"], row["n"]) for row in grouped["records"]] == [(people[1], 1)]
        assert client.api_usage["api-usage"] == (7, 100_000)
        assert {"Id", "Amount"} <= {field["name"] for field in client.Opportunity.describe()["fields"]}
        assert {each["name"] for each in client.describe()["sobjects"]} >= {"User", "Opportunity"}

    await with_foreign_client(work)


async def test_a_foreign_client_logs_in_by_key_and_asks_for_several_things_at_once() -> None:
    def work(org: Org, server: CrmServer, session: requests.Session, slack: Any) -> None:
        people_of(org, 3)
        server.certificate = (
            KEY.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )
        server.approved = {"bot@example.com": org.me}
        org.clock.move_to(datetime.now(UTC))  # its assertion is made by this machine's clock
        token, _ = SalesforceLogin(
            username="bot@example.com",
            consumer_key=server.client_id,
            privatekey=pem(KEY).decode(),
            session=session,
        )
        client: Any = Salesforce(
            session_id=token, instance="acme.my.salesforce.com", version="68.0", session=session
        )
        queries = {"one": "SELECT+Id+FROM+User", "two": "SELECT+X+FROM+Opportunity"}
        body = {
            "compositeRequest": [
                {"method": "GET", "referenceId": name, "url": f"/services/data/v68.0/query?q={soql}"}
                for name, soql in queries.items()
            ]
        }
        parts = client.restful("composite", method="POST", json=body)["compositeResponse"]
        told = {part["referenceId"]: (part["httpStatusCode"], part["body"]) for part in parts}
        assert (told["one"][0], told["one"][1]["totalSize"]) == (200, 5)
        assert (told["two"][0], told["two"][1][0]["errorCode"]) == (400, "INVALID_FIELD")
        with pytest.raises(SalesforceMalformedRequest):
            client.query("SELECT Nothing FROM Opportunity")
        with pytest.raises(SalesforceResourceNotFound):
            client.restful("nothing")
        with (
            pytest.warns(UserWarning, match="authorize this"),
            pytest.raises(SalesforceAuthenticationFailed, match="approved this consumer"),
        ):
            SalesforceLogin(
                username="else@example.com",
                consumer_key=server.client_id,
                privatekey=pem(KEY).decode(),
                session=session,
            )
        slack.faults.plan(Fault("crm_401", "crm"))
        with pytest.raises(SalesforceExpiredSession):
            client.query("SELECT Id FROM User")

    await with_foreign_client(work)
