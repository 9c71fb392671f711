"""A Salesforce org in this process: the sandbox's CRM behind its HTTP server, and a connector that reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from bot.connectors.http import Policy
from bot.connectors.salesforce.connector import SalesforceConnector, SalesforceSettings
from bot.connectors.wire import whole_address
from bot.domain.usage import Collected, CoverageStatus, Window
from sandbox.clock import SteeredClock
from sandbox.crm.records import Crm
from sandbox.crm.server import CrmServer
from sandbox.faults import Fault
from sandbox.slack import Slack

FRIDAY = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
URL = "https://acme.my.salesforce.com"


class Line(httpx.AsyncBaseTransport):
    """The line to the org. ``cut``: nobody answers. ``drops``: so many requests more are lost on the way.

    ``rewrite``: (query or path, body) -> another body, also of a query that travels with others.
    """

    def __init__(self, server: CrmServer) -> None:
        self.cut = False
        self.drops = 0
        self.rewrite: Callable[[str, bytes], bytes] | None = None
        self.together: bytes | None = None
        """What is answered to a request with several queries."""
        self.asked: list[str] = []
        """The queries, and the paths of what is no query."""
        self.requests = 0
        """How often anything travelled, several queries in one request counted once."""
        self.headers: list[httpx.Headers] = []
        self._inner = httpx.ASGITransport(server, raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request = httpx.Request(
            request.method, whole_address(request), headers=request.headers, content=request.content
        )
        asked = [request.url.params.get("q", request.url.path)]
        if request.url.path.endswith("/composite"):
            parts = json.loads(request.content)["compositeRequest"]
            asked = [httpx.URL(part["url"]).params.get("q", part["url"]) for part in parts]
        self.asked += asked
        self.requests += 1
        self.headers.append(request.headers)
        if self.cut:
            raise httpx.ConnectError("nobody there")
        if self.drops:
            self.drops -= 1
            raise httpx.RemoteProtocolError("hung up")
        if self.together is not None and request.url.path.endswith("/composite"):
            return httpx.Response(200, content=self.together)
        response = await self._inner.handle_async_request(request)
        if self.rewrite is None:
            return response
        body = await response.aread()
        if request.url.path.endswith("/composite") and response.status_code == 200:
            answer = json.loads(body)
            for query, part in zip(asked, answer["compositeResponse"], strict=True):
                part["body"] = json.loads(self.rewrite(query, _written(part["body"])))
            body = _written(answer)
        else:
            body = self.rewrite(asked[0], body)
        headers = [(key, value) for key, value in response.headers.items() if key != "content-length"]
        return httpx.Response(response.status_code, headers=headers, content=body)


def _written(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


@dataclass
class Org:
    """``me``: the integration user; ``sees_all``: it has View All Data, and is shown so. ``slept``: what the connector would have
    slept, in seconds.
    """

    clock: SteeredClock = field(default_factory=lambda: SteeredClock(FRIDAY))
    slept: list[float] = field(default_factory=list)
    sees_all: bool = True

    def __post_init__(self) -> None:
        self.slack = Slack(self.clock)
        self.crm = Crm(clock=self.clock)
        self.server = CrmServer(self.crm, self.slack)
        self.line = Line(self.server)
        self.me = self.user("Integration", ProfileName="Salesforce API Only System Integrations")
        self.crm.api_user = self.me
        if self.sees_all:
            given = {"AssigneeId": self.me, "PermissionSetId": "0PS000000000001AAA", "ViewAllData": True}
            self.crm.insert("PermissionSetAssignment", [given])

    @property
    def today(self) -> date:
        return self.clock.now().date()

    def settings(self, **changed: Any) -> dict[str, Any]:
        """What ``ConnectorKind.open`` takes."""
        return {
            "url": URL,
            "client_id": self.server.client_id,
            "client_secret": self.server.client_secret,
            "transport": self.line,
            "clock": self.clock,
            **changed,
        }

    def connector(
        self, policy: Policy | None = None, record_link: str | None = None, **changed: Any
    ) -> SalesforceConnector:
        """A connector that never sleeps."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        settings = self.settings(**changed)
        transport, clock = settings.pop("transport"), settings.pop("clock")
        return SalesforceConnector(
            SalesforceSettings(**settings),
            clock=clock,
            record_link=record_link,
            transport=transport,
            policy=policy,
            sleep=sleep,
        )

    def trouble(self, kind: str, where: str = "*", **options: Any) -> None:
        """Put a fault in force (sandbox/faults.py); ``where``: an object."""
        self.slack.faults.plan(Fault(kind, "crm" if where == "*" else f"crm:{where}", **options))

    # -- records --------------------------------------------------------------------------------------------------------

    def user(self, name: str, manager: str | None = None, **fields: Any) -> str:
        given = {
            "Id": self.crm.new_id("User"),
            "Name": name,
            "Email": f"{name.lower().replace(' ', '.')}@example.com",
            "Username": f"{name.lower().replace(' ', '.')}@example.com.acme",
            "IsActive": True,
            "UserType": "Standard",
            "ManagerId": manager,
            "ProfileName": "Sales User",
            "LicenseName": "Salesforce",
            "TimeZoneSidKey": "Europe/Berlin",
            "LocaleSidKey": "en_US",
            "CreatedDate": datetime(2026, 3, 2, 9, tzinfo=UTC),
        }
        self.crm.insert("User", [given | fields])
        return str((given | fields)["Id"])

    def ago(self, days: float) -> datetime:
        return self.clock.now() - timedelta(days=days)

    def deal(self, owner: str, days: float, **fields: Any) -> str:
        """An opportunity in good order that was created so many days ago."""
        given = {
            "Id": self.crm.new_id("Opportunity"),
            "Name": "Deal",
            "OwnerId": owner,
            "AccountId": None,
            "StageName": "Proposal",
            "Amount": 1000,
            "NextStep": "Call",
            "CloseDate": self.today + timedelta(days=30),
            "CreatedById": owner,
            "CreatedDate": self.ago(days),
            "LastActivityDate": self.today,
            "LastStageChangeDate": self.ago(1),
        }
        self.crm.insert("Opportunity", [given | fields])
        return str((given | fields)["Id"])

    def account(self, owner: str, days: float = 100, name: str = "Northwind") -> str:
        return self.record("Account", owner, days, Name=name, OwnerId=owner)

    def record(self, kind: str, by: str, days: float, **fields: Any) -> str:
        identity = self.crm.new_id(kind)
        self.crm.insert(kind, [{"Id": identity, "CreatedById": by, "CreatedDate": self.ago(days), **fields}])
        return identity

    def done(self, owner: str, subtype: str, days: float, deal: str | None = None) -> None:
        """A task that was closed so many days ago."""
        self.record(
            "Task",
            owner,
            days,
            OwnerId=owner,
            WhatId=deal,
            Subject=subtype,
            TaskSubtype=subtype,
            IsClosed=True,
            CompletedDateTime=self.ago(days),
            ActivityDate=self.ago(days).date(),
        )

    def todo(self, owner: str, due_in: int) -> str:
        due = self.today + timedelta(days=due_in)
        return self.record(
            "Task", owner, 20, OwnerId=owner, Subject="Send offer", IsClosed=False, ActivityDate=due
        )

    def meeting(self, owner: str, start: datetime) -> None:
        self.record("Event", owner, 9, OwnerId=owner, Subject="Visit", StartDateTime=start, IsChild=False)

    def opened(self, user: str, days: int, page: str, times: int) -> None:
        """What the Lightning Usage App counts."""
        day = self.ago(days).date()
        self.crm.insert(
            "LightningUsageByPageMetrics",
            [{"UserId": user, "MetricsDate": day, "PageName": page, "TotalCount": times}],
        )

    def used(self, user: str, days: int, experience: str) -> None:
        day = self.ago(days).date()
        self.crm.insert(
            "LightningUsageByAppTypeMetrics",
            [{"UserId": user, "MetricsDate": day, "AppExperience": experience}],
        )

    def quota(self, user: str, start: date, amount: float, kind: str = "0Db000000000001EAA") -> None:
        self.crm.insert(
            "ForecastingQuota",
            [{"QuotaOwnerId": user, "StartDate": start, "QuotaAmount": amount, "ForecastingTypeId": kind}],
        )

    def login(
        self,
        user: str,
        days: float,
        kind: str = "Application",
        status: str = "Success",
        application: str = "Browser",
    ) -> None:
        self.crm.insert(
            "LoginHistory",
            [
                {
                    "UserId": user,
                    "LoginTime": self.ago(days),
                    "LoginType": kind,
                    "Status": status,
                    "Application": application,
                }
            ],
        )


async def collected(
    connector: SalesforceConnector, window: Window, metrics: frozenset[str]
) -> list[Collected]:
    return [part async for part in connector.collect(window, metrics)]


def facts_of(parts: list[Collected]) -> dict[tuple[str, date], dict[str, float]]:
    return {(fact.crm_id, fact.day): dict(fact.values) for part in parts for fact in part.facts}


def coverage_of(parts: list[Collected]) -> dict[tuple[str, date], tuple[CoverageStatus, str]]:
    return {(row.metric, row.day): (row.status, row.detail) for part in parts for row in part.coverage}
