"""An Infor CRM in this process: an SData server with records, faults to order, and a connector that reads it.

Shapes of answers: the recorded feed of Infor's own client (tests hold them to it), its requests and models
(Saleslogix/argos-sdk, argos-saleslogix), diagnoses of the SData standard (Saleslogix/DotNetSDataClient).
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from bot.connectors.http import Policy
from bot.connectors.infor.connector import InforConnector, InforSettings
from bot.connectors.wire import whole_address
from bot.domain.usage import Collected, CoverageStatus, Window
from sandbox.clock import SteeredClock

FRIDAY = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
URL = "https://crm.example.com"
USER, PASSWORD = "fullsteam", "s3cret!"

_RECORD = ("Id", "CreateUser", "CreateDate", "ModifyUser", "ModifyDate")
SCHEMA: Mapping[str, tuple[str, ...]] = {
    "opportunities": (
        *_RECORD,
        "Description",
        "Account",
        "AccountManager",
        "Status",
        "Stage",
        "EstimatedClose",
        "ActualClose",
        "ActualAmount",
        "SalesPotential",
        "NextStep",
    ),
    "accounts": (*_RECORD, "AccountName"),
    "contacts": _RECORD,
    "leads": _RECORD,
    "tickets": _RECORD,
    "history": (
        *_RECORD,
        "Type",
        "Result",
        "Description",
        "Notes",
        "CompletedDate",
        "CompletedUser",
        "UserId",
        "Timeless",
        "AccountId",
        "ContactId",
        "OpportunityId",
        "LeadId",
        "TicketId",
    ),
    "users": (
        "Id",
        "UserName",
        "Enabled",
        "Type",
        "UserInfo",
        "Manager",
        "FederatedIdentity",
        "CreateDate",
    ),
    "activities": (
        "Id",
        "Type",
        "StartDate",
        "Timeless",
        "Recurring",
        "UserId",
        "Leader",
        "Description",
    ),
    "auditLogs": ("Id", "UserId", "EventName", "EventDate"),
}
"""Fields by resource: a query for any other is refused."""
METRICS = {"CountOpportunities", "SumSalesPotential"}
_TOKEN = re.compile(r"\s*(\(|\)|'(?:[^']|'')*'|@[^@]+@|[\w$./-]+)")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge,
}  # fmt: skip


class Refusal(Exception):
    """What the server does not do. ``code``: one of SData's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def filled(identity: str) -> str:
    """An id as the database has it, filled up to twelve characters."""
    return identity.ljust(12)


def written(value: Any) -> Any:
    """A value as the feed has it."""
    if isinstance(value, datetime):
        return f"/Date({int(value.timestamp() * 1000)})/"
    return {key: written(each) for key, each in value.items()} if isinstance(value, dict) else value


class Condition:
    """A where condition, read by the grammar of the standard, against a resource's fields."""

    def __init__(self, text: str, fields: tuple[str, ...]) -> None:
        self._fields = fields
        self._words = self._split(text)
        self._at = 0
        self.holds = self._any()
        if self._at != len(self._words):
            raise Refusal(400, "BadWhereSyntax", f"unexpected {self._words[self._at]}")

    @staticmethod
    def _split(text: str) -> list[str]:
        words, at = [], 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise Refusal(400, "BadWhereSyntax", f"cannot read the condition at {at}")
            words.append(found[1])
            at = found.end()
        return words

    def _next(self) -> str:
        if self._at >= len(self._words):
            raise Refusal(400, "BadWhereSyntax", "the condition ends early")
        self._at += 1
        return self._words[self._at - 1]

    def _is_next(self, word: str) -> bool:
        found = self._at < len(self._words) and self._words[self._at].casefold() == word
        self._at += found
        return found

    def _any(self) -> Callable[[Mapping[str, Any]], bool]:
        parts = [self._all()]
        while self._is_next("or"):
            parts.append(self._all())
        return lambda row: any(part(row) for part in parts)

    def _all(self) -> Callable[[Mapping[str, Any]], bool]:
        parts = [self._one()]
        while self._is_next("and"):
            parts.append(self._one())
        return lambda row: all(part(row) for part in parts)

    def _one(self) -> Callable[[Mapping[str, Any]], bool]:
        if self._is_next("("):
            inner = self._any()
            if not self._is_next(")"):
                raise Refusal(400, "BadWhereSyntax", "a bracket is not closed")
            return inner
        path = re.split(r"[./]", self._next())
        if path[0] not in self._fields:
            raise Refusal(400, "BadWhereSyntax", f"Property {path[0]} was not found")
        how, value = self._next().casefold(), self._value(self._next())
        if how == "like":
            pattern = re.compile(re.escape(str(value)).replace("%", ".*"), re.IGNORECASE | re.DOTALL)
            return lambda row: pattern.fullmatch(str(of(row, path) or "")) is not None
        if how not in _COMPARE:
            raise Refusal(400, "BadWhereSyntax", f"unknown operator {how}")

        def compare(row: Mapping[str, Any]) -> bool:
            found = of(row, path)
            if value is None or found is None:
                return bool(_COMPARE[how](found, value)) if how in ("eq", "ne") and value is None else False
            if isinstance(found, str):
                return _COMPARE[how](found.rstrip().casefold(), str(value).rstrip().casefold())
            return _COMPARE[how](found, value)

        return compare

    @staticmethod
    def _value(word: str) -> Any:
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        if word.startswith("@"):
            given = datetime.fromisoformat(word[1:-1])
            return given if given.tzinfo else given.replace(tzinfo=UTC)
        if word.casefold() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[word.casefold()]
        try:
            return float(word)
        except ValueError as error:
            raise Refusal(400, "BadWhereSyntax", f"{word} is no value") from error


def of(row: Mapping[str, Any], path: list[str]) -> Any:
    """A field by its path; ``Id`` of a nested record is its key."""
    value: Any = row
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get("$key" if name == "Id" and "$key" in value else name)
    return value


@dataclass
class Trouble:
    """An answer that comes instead. ``where``: a part of the address, unquoted; ``after``: how often it goes well before."""

    where: str
    status: int = 500
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    after: int = 0


def diagnosis(code: str, message: str = "it went wrong") -> bytes:
    """What is wrong, in JSON."""
    said = {"severity": "error", "sdataCode": code, "applicationCode": "", "message": message}
    return json.dumps({"$diagnoses": [said]}).encode()


def diagnosis_xml(code: str, message: str = "it went wrong") -> bytes:
    """The same in XML, as it comes where nobody looked at format=json."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><sdata:diagnoses xmlns:sdata="http://schemas.sage.com/sdata/2008/1">'
        f"<sdata:diagnosis><sdata:severity>Error</sdata:severity><sdata:sdataCode>{code}</sdata:sdataCode>"
        f"<sdata:message>{message}</sdata:message></sdata:diagnosis></sdata:diagnoses>"
    ).encode()


class InforServer(httpx.AsyncBaseTransport):
    """The server and the line to it. ``cut``: nobody answers; ``asked``: the addresses, unquoted, in order.

    ``ignores``: parts of a condition, and metrics, for which it gives rows as if there were no condition.
    ``after_ids``: what it does of a condition that begins after an id: goes on, refuses, ignores.
    """

    def __init__(self, clock: SteeredClock) -> None:
        self.clock = clock
        self.tables: dict[str, list[dict[str, Any]]] = {kind: [] for kind in SCHEMA}
        self.cut = False
        self.drops = 0
        self.troubles: list[Trouble] = []
        self.asked: list[str] = []
        self.raw: list[str] = []
        self.headers: list[httpx.Headers] = []
        self.sessions = 0
        self.tokens: dict[str, datetime] = {}
        self.forms: list[dict[str, str]] = []
        self.grants: set[str] = {"password", "client_credentials"}
        self.takes_basic = True
        self.me = filled("UBOT")
        self.skew = timedelta(0)
        self.lasts: object = 7200
        self.metrics = set(METRICS)
        self.ignores: frozenset[str] = frozenset()
        self.orders = True
        self.knows_order = True
        self.after_ids = "goes on"
        self.most = 500
        self.counts = True
        self.before_page: Callable[[str], None] | None = None
        self.rewrite: Callable[[str, dict[str, Any]], Any] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("nobody there")
        address = whole_address(request)
        self.raw.append(address)
        self.asked.append(unquote(address))
        self.headers.append(request.headers)
        if self.drops:
            self.drops -= 1
            raise httpx.RemoteProtocolError("hung up")
        response = self._answer(request, address)
        response.headers["Date"] = format_datetime(self.clock.now() + self.skew, usegmt=True)
        if "SlxSession" not in request.headers.get("cookie", ""):
            self.sessions += 1
            response.headers["Set-Cookie"] = f"SlxSession={self.sessions}; path=/; HttpOnly"
        return response

    def _answer(self, request: httpx.Request, address: str) -> httpx.Response:
        for trouble in self.troubles:
            if trouble.where in self.asked[-1]:
                if trouble.after:
                    trouble.after -= 1
                elif trouble.times != 0:
                    trouble.times = None if trouble.times is None else trouble.times - 1
                    return httpx.Response(trouble.status, content=trouble.body, headers=dict(trouble.headers))
        parts = urlsplit(address)
        if parts.path.endswith("/token.oauth2"):
            return self._token(request)
        if not self._may(request):
            return httpx.Response(
                401, html="<html><h1>401</h1></html>", headers={"WWW-Authenticate": "Basic"}
            )
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        try:
            body = self._feed(request.method, parts.path, query, address)
        except Refusal as error:
            return httpx.Response(error.status, content=diagnosis(error.code, error.message))
        if self.rewrite is not None:
            body = self.rewrite(self.asked[-1], body)
        return httpx.Response(200, json=body)

    # -- who asks -------------------------------------------------------------------------------------------------------

    def _may(self, request: httpx.Request) -> bool:
        said = request.headers.get("authorization", "")
        if said.startswith("Bearer "):
            return self.tokens.get(said[7:], self.clock.now()) > self.clock.now()
        return (
            said == "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            and request.headers.get("x-authorization") == said
            and request.headers.get("x-authorization-mode") == "no-challenge"
        )

    def _token(self, request: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl(request.content.decode()))
        self.forms.append(form)
        header = request.headers.get("authorization", "")
        proof = b64decode(header[6:]).decode() if header.startswith("Basic ") and self.takes_basic else ""
        client = proof or f"{form.get('client_id')}:{form.get('client_secret')}"
        if client != "ACME_TST~id:secret":
            return httpx.Response(401, json={"error": "invalid_client"})
        if form["grant_type"] not in self.grants:
            return httpx.Response(400, json={"error": "unsupported_grant_type"})
        if form["grant_type"] == "password" and (form["username"], form["password"]) != ("ACME_TST#ak", "sk"):
            return httpx.Response(400, json={"error": "invalid_grant"})
        token = f"token{len(self.tokens) + 1}"
        self.tokens[token] = self.clock.now() + timedelta(hours=2)
        return httpx.Response(
            200, json={"access_token": token, "token_type": "Bearer", "expires_in": self.lasts}
        )

    # -- feeds ----------------------------------------------------------------------------------------------------------

    def _feed(self, method: str, path: str, query: Mapping[str, str], address: str) -> dict[str, Any]:
        _, found, rest = path.partition("/sdata/slx/")
        contract, _, rest = rest.partition("/-/")
        if not found or contract not in ("dynamic", "system"):
            raise Refusal(404, "ContractNotFound", f"no contract {contract}")
        if rest == "$service/getCurrentUser" and contract == "system" and method == "POST":
            return {
                "response": {
                    "userId": self.me,
                    "userName": USER,
                    "prettyName": "Fullsteam",
                    "roles": [],
                    "securedActions": [],
                }
            }
        kind, _, operation = rest.partition("/")
        if kind not in SCHEMA or (kind == "activities") != (contract == "system"):
            raise Refusal(404, "ResourceKindNotFound", f"no resource {kind}")
        if self.before_page is not None:
            self.before_page(kind)
        if operation == "$queries/executeMetric":
            rows = self._metric(kind, query)
        elif operation:
            raise Refusal(404, "BadUrlSyntax", f"no operation {operation}")
        else:
            rows = list(self._rows(kind, query))
        return self._paged(rows, query, address)

    def _rows(self, kind: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        where = query.get("where", "")
        if "Id gt" in where and self.after_ids == "refuses":
            raise Refusal(400, "BadWhereSyntax", "Id cannot be compared")
        if self.after_ids == "ignores":
            where = where.partition(" and Id gt")[0]
        if any(part in where for part in self.ignores):
            where = ""
        holds = Condition(where, SCHEMA[kind]).holds if where else lambda _row: True
        rows = [row for row in self.tables[kind] if holds(row)]
        if query.get("orderby"):
            if not self.knows_order:
                raise Refusal(400, "BadQueryParameter", "orderby is not supported")
            if self.orders:
                rows.sort(key=lambda row: str(row["Id"]).rstrip().casefold())
        paths = [each.split("/") for each in query.get("select", "").split(",") if each]
        for each in paths:
            if each[0] not in SCHEMA[kind]:
                raise Refusal(400, "BadQueryParameter", f"Property {each[0]} was not found")
        for row in rows:
            said: dict[str, Any] = {"$httpStatus": 200, "$etag": "D5GhoP////8=", "$key": filled(row["Id"])}
            said["$descriptor"] = str(row.get("Description") or row.get("UserName") or "")
            for each in paths:
                value = row.get(each[0])
                if len(each) > 1 and isinstance(value, dict):
                    nested = said.setdefault(each[0], {"$key": filled(value["$key"])})
                    nested[each[1]] = written(value.get(each[1]))
                else:
                    said[each[0]] = written(value)
            yield said

    def _metric(self, kind: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        name = query.get("_metricName", "")
        if (
            kind != "opportunities"
            or name not in self.metrics
            or query.get("_filterName") != "AccountManager"
        ):
            raise Refusal(400, "BadQueryParameter", f"no metric {name}")
        where = query["_activeFilter"] if name not in self.ignores else ""
        holds = Condition(where, SCHEMA[kind]).holds if where else lambda _row: True
        found: dict[str, float] = {}
        for row in self.tables[kind]:
            if holds(row):
                who = str(row["AccountManager"]["$key"]).strip()
                found[who] = found.get(who, 0.0) + (
                    1.0 if name.startswith("Count") else float(row["SalesPotential"] or 0)
                )
        return [
            {
                "$httpStatus": 200,
                "$etag": "D5GhoP////8=",
                "$descriptor": f"Somebody, {who}",
                "name": filled(who),
                "value": number,
            }
            for who, number in sorted(found.items(), key=lambda each: -each[1])
        ]

    def _paged(self, rows: list[dict[str, Any]], query: Mapping[str, str], address: str) -> dict[str, Any]:
        start, count = int(query.get("startIndex", "1")), min(int(query.get("count", "100")), self.most)
        body: dict[str, Any] = {
            "$url": address,
            "$totalResults": len(rows),
            "$startIndex": start,
            "$itemsPerPage": count,
            "$first": re.sub(r"startIndex=\d+", "startIndex=1", address),
            "$resources": rows[start - 1 : start - 1 + count],
        }
        if not self.counts:
            del body["$totalResults"]
        return body


@dataclass
class Site:
    """An installation with people. ``slept``: what the connector would have slept, in seconds."""

    clock: SteeredClock = field(default_factory=lambda: SteeredClock(FRIDAY))
    slept: list[float] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        self.server = InforServer(self.clock)
        self.user("Fullsteam Bot", Id="UBOT", UserName=USER)

    @property
    def today(self) -> date:
        return self.clock.now().date()

    def settings(self, **changed: Any) -> dict[str, Any]:
        """What ``ConnectorKind.open`` takes."""
        return {
            "url": URL,
            "username": USER,
            "password": PASSWORD,
            "transport": self.server,
            "clock": self.clock,
            **changed,
        }

    def connector(
        self, policy: Policy | None = None, record_link: str | None = None, **changed: Any
    ) -> InforConnector:
        """A connector that never sleeps."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        given = self.settings(**changed)
        transport, clock = given.pop("transport"), given.pop("clock")
        return InforConnector(
            InforSettings(**given),
            clock=clock,
            record_link=record_link,
            transport=transport,
            policy=policy,
            sleep=sleep,
        )

    def trouble(self, where: str, status: int = 500, body: bytes = b"", **options: Any) -> None:
        """Put a fault in force; ``where``: part of the address."""
        self.server.troubles.append(Trouble(where, status, body, **options))

    # -- records --------------------------------------------------------------------------------------------------------

    def ago(self, days: float) -> datetime:
        return self.clock.now() - timedelta(days=days)

    def add(self, kind: str, **fields: Any) -> str:
        """A record; what is not given is null."""
        self.made += 1
        identity = str(fields.pop("Id", f"R{self.made:07d}"))
        row = {"$key": identity, **dict.fromkeys(SCHEMA[kind]), "Id": identity, **fields}
        self.server.tables[kind].append(row)
        return identity

    def row(self, kind: str, identity: str) -> dict[str, Any]:
        return next(row for row in self.server.tables[kind] if row["Id"] == identity)

    def user(self, name: str, manager: str | None = None, **fields: Any) -> str:
        first, _, last = name.partition(" ")
        identity = str(fields.get("Id") or f"U{len(self.server.tables['users']):06d}")
        shown = {
            "$key": identity,
            "UserName": name,
            "FirstName": first,
            "LastName": last,
            "Email": f"{name.replace(' ', '.')}@Example.com",
            "Title": "Sales Rep",
            "Department": "Sales",
            "Region": "Berlin",
        }
        given: dict[str, Any] = {
            "Id": identity,
            "UserName": name.split(maxsplit=1)[0].lower(),
            "Enabled": True,
            "Type": 0,
            "UserInfo": shown | fields.pop("UserInfo", {}),
            "Manager": {"$key": manager} if manager else None,
            "CreateDate": datetime(2026, 3, 2, 9, tzinfo=UTC),
        }
        return self.add("users", **(given | fields))

    def record(self, kind: str, by: str, days: float, **fields: Any) -> str:
        return self.add(kind, **{"CreateUser": by, "CreateDate": self.ago(days), **fields})

    def deal(self, owner: str, days: float, **fields: Any) -> str:
        """An opportunity in good order that was created so many days ago."""
        account = fields.pop("account", "Northwind")
        given = {
            "Description": "Deal",
            "AccountManager": {"$key": filled(owner)},
            "Account": {"$key": "A1", "AccountName": account} if account else None,
            "Status": "Open",
            "Stage": "Proposal",
            "SalesPotential": 1000.0,
            "NextStep": "Call",
            "EstimatedClose": datetime.combine(self.today + timedelta(days=30), time(), UTC),
        }
        return self.record("opportunities", filled(owner), days, **(given | fields))

    def done(self, owner: str, kind: str, days: float, deal: str | None = None) -> str:
        """An activity that was completed so many days ago."""
        return self.record(
            "history",
            owner,
            days,
            Type=kind,
            CompletedDate=self.ago(days),
            CompletedUser=filled(owner),
            UserId=owner,
            OpportunityId=deal,
        )

    def changed(
        self, by: str, deal: str, days: float, *changes: tuple[str, str, str], column: str = "OpportunityId"
    ) -> str:
        """An audited change; ``changes``: (field, new, old)."""
        return self.record(
            "history",
            by,
            days,
            Type="atDatabaseChange",
            Result="Update",
            Description="Change to " + ", ".join(name for name, _, _ in changes),
            Notes="\r\n".join(f"{name}: {new}\r\n  Old Value: {old}" for name, new, old in changes),
            **{"AccountId": "A1", column: deal},
        )

    def won(self, owner: str, days: int, created: int, **fields: Any) -> str:
        """A deal that was won so many days ago."""
        closed = datetime.combine(self.today - timedelta(days=days), time(), UTC)
        return self.deal(owner, created, **{"Status": "Closed - Won", "ActualClose": closed, **fields})

    def todo(self, owner: str, due_in: int, kind: str = "atToDo", **fields: Any) -> str:
        """A timeless activity, as the clients write it: five seconds past midnight."""
        due = datetime.combine(self.today + timedelta(days=due_in), time(0, 0, 5), UTC)
        given = {"Type": kind, "StartDate": due, "Timeless": True, "UserId": owner, "Recurring": False}
        return self.add("activities", **(given | {"Description": "Send offer"} | fields))

    def login(self, who: str, days: float, event: str = "Login") -> str:
        return self.add("auditLogs", UserId=who, EventName=event, EventDate=self.ago(days))


async def collected(connector: InforConnector, window: Window, metrics: frozenset[str]) -> list[Collected]:
    return [part async for part in connector.collect(window, metrics)]


def facts_of(parts: list[Collected]) -> dict[tuple[str, date], dict[str, float]]:
    return {(fact.crm_id, fact.day): dict(fact.values) for part in parts for fact in part.facts}


def coverage_of(parts: list[Collected]) -> dict[tuple[str, date], tuple[CoverageStatus, str]]:
    return {(row.metric, row.day): (row.status, row.detail) for part in parts for row in part.coverage}
