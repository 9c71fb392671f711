"""What a poll costs: calls, seconds and memory of our connectors and of the clients on PyPI, for the same facts from the same server.

Salesforce: the sandbox's CRM on loopback, beside simple-salesforce. Odoo: the stand-in of our tests on loopback, beside
odoorpc; the stand-in is slow, so its seconds compare and mean nothing by themselves. Both references run twice: with the very
queries that our connector asked, one after the other as these clients do, and by reading the records themselves, as they are
commonly used; neither makes facts of them. Each runs in a process of its own, the server in another one. Memory: the same once
more with ten times the records (crowds.py), a first poll of 90 days, and an Infor CRM that makes up its pages while they are read.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import odoorpc  # type: ignore[import-untyped]  # it has no type hints
import requests
import uvicorn
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce

from bench import crowds
from bench.crowds import DAYS
from bench.report import Figure, apart, peak_memory
from bot.connectors.wire import Wire, whole_address
from bot.domain.ports import Connector, Metered
from bot.domain.usage import METRICS, CoverageStatus, Window
from bot.wiring import let_go, open_source
from tests.odoo_server import DATABASE, KEY, LOGIN

PEOPLE, FEW, MANY = crowds.PEOPLE, 100_000, 1_000_000


def measure(kind: str) -> Iterator[Figure]:
    """``kind`` of database: none is used, a connector gives facts and keeps nothing."""
    del kind
    fewer: Mapping[str, Any] = {}
    for count in (FEW, MANY):
        with serving(partial(crowds.salesforce, count)) as url:
            own = apart(ours, "salesforce", _org(url), DAYS)
            yield _beside(
                f"Salesforce: {crowds.PEOPLE} people, {count:,} records of {DAYS} days",
                {**own, "records": count},
                {
                    **({f"ours, {FEW:,} records": fewer} if fewer else {}),
                    "simple-salesforce, the same queries": {
                        **apart(_query_all, url, soql_of(own["asked"])),
                        "records": count,
                    },
                    "simple-salesforce, the records themselves": apart(simple_salesforce_rows, url),
                },
            )
            fewer = {**own, "records": count}
    with serving(crowds.busy) as url:
        days = crowds.BUSY_DAYS
        polls = {count: apart(ours, "salesforce", _org(url), count) for count in (days, 3)}
        yield _beside(
            f"Salesforce: {crowds.BUSY_PEOPLE:,} people who do everything each day, first poll of {days} days",
            polls.pop(days),
            {f"ours, {count} days": found for count, found in polls.items()},
        )
    with serving(crowds.odoo) as url:
        own = apart(ours, "odoo", _database(url), DAYS)
        yield _beside(
            f"Odoo 17: {crowds.ODOO_PEOPLE} people, {crowds.ODOO_RECORDS:,} records of {DAYS} days",
            {**own, "records": crowds.ODOO_RECORDS},
            {
                "odoorpc, the same queries": {
                    **apart(_execute, url, calls_of(own["asked"])),
                    "records": crowds.ODOO_RECORDS,
                },
                "odoorpc, the records themselves": apart(odoorpc_rows, url),
            },
        )
    fewer = {}
    for count in (FEW, MANY):
        with serving(partial(crowds.crowded_odoo, count)) as url:
            own = apart(ours, "odoo", _database(url), DAYS)
            if count == FEW:
                fewer = own
                continue
            yield _beside(
                f"Odoo 17: {count:,} changes read row by row, {count:,} records counted by the server",
                own,
                {
                    f"ours, {FEW:,} changes and {FEW:,} records": fewer,
                    "odoorpc, the same queries": apart(_execute, url, calls_of(own["asked"])),
                    f"odoorpc, the changes in one answer, {crowds.ODOO_RECORDS:,} records": apart(
                        odoorpc_rows, url
                    ),
                },
            )
    few, many = apart(infor_memory, FEW), apart(infor_memory, MANY)
    yield Figure(
        f"Infor CRM: memory while {MANY:,} rows are read",
        f"{many['memory']:.0f} MiB at most, {MANY / many['seconds']:,.0f} rows/s, {many['calls']:,} calls",
        (
            f"{FEW:,} rows: {few['memory']:.0f} MiB, {FEW / few['seconds']:,.0f} rows/s, {few['calls']:,} calls",
            f"the program alone, as it is loaded: {many['before']:.0f} MiB",
        ),
    )


def _org(url: str) -> dict[str, str]:
    return {"url": url, "client_id": crowds.CLIENT_ID, "client_secret": crowds.CLIENT_SECRET}


def _database(url: str) -> dict[str, str]:
    return {"url": url, "database": DATABASE, "login": LOGIN, "api_key": KEY, "api": "jsonrpc"}


def _beside(name: str, own: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> Figure:
    """``records``: how many the server counted for an answer; without it the rows over the line are what was read."""

    def said(found: Mapping[str, Any]) -> str:
        seconds, memory = (
            found["seconds"],
            f"{found['memory']:.0f} MiB at most ({found['before']:.0f} before)",
        )
        speed = f"{found['rows'] / seconds:,.0f} rows/s over the line"
        if "records" in found:
            speed = f"{found['records'] / seconds:,.0f} records/s"
        facts = f"; {found['facts']:,} facts made of them" if "facts" in found else ""
        return f"{found['calls']:,} calls, {seconds:.2f} s, {speed}, {memory} ({found['rows']:,} rows over the line{facts})"

    return Figure(name, said(own), tuple(f"{label}: {said(found)}" for label, found in others.items()))


# --- ours --------------------------------------------------------------------------------------------------------------


def window(days: int = DAYS) -> Window:
    today = datetime.now(UTC).date()
    return Window(today - timedelta(days=days - 1), today)


class Recorder(httpx.AsyncBaseTransport):
    """The network, and what was asked over it: (address, body)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self._wire = Wire(10, 60, here=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_json = "json" in request.headers.get("content-type", "")
        self.asked.append((whole_address(request), json.loads(request.content) if is_json else None))
        return await self._wire.handle_async_request(request)

    async def aclose(self) -> None:
        await self._wire.aclose()


def ours(kind: str, given: Mapping[str, Any], days: int) -> dict[str, Any]:
    """People, then facts of so many days: a poll but for the database."""
    recorder = Recorder()
    connector = open_source(kind, {**given, "name": kind}, transport=recorder)
    assert isinstance(connector, Metered)
    before, began = forget_peak(), time.perf_counter()

    async def read() -> int:
        try:
            return await _read(connector, days)
        finally:
            await recorder.aclose()

    facts = asyncio.run(read())
    seconds = time.perf_counter() - began
    meter = connector.meter()
    return {
        "seconds": seconds,
        "calls": meter.calls,
        "rows": meter.rows,
        "memory": forget_peak(),
        "before": before,
        "facts": facts,
        "asked": recorder.asked,
    }


async def _read(connector: Connector, days: int = DAYS) -> int:
    facts = read_well = 0
    await connector.users(window().through)
    async for part in connector.collect(window(days), frozenset(METRICS)):
        facts += len(part.facts)
        read_well += sum(row.status is CoverageStatus.OK for row in part.coverage)
    await let_go({connector.name: connector})
    if not read_well:
        raise SystemExit(f"{connector.name}: nothing could be read")
    return facts


# --- Salesforce --------------------------------------------------------------------------------------------------------


class _Plain(HTTPAdapter):
    """simple-salesforce knows https only; the server on this machine has http."""

    calls = 0

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.calls += 1
        request.url = str(request.url).replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


def _simple(url: str) -> tuple[Salesforce, _Plain]:
    adapter = _Plain()
    session = requests.Session()
    session.mount("https://127.0.0.1", adapter)
    session.trust_env = False
    host = url.removeprefix("http://")
    form = {
        "grant_type": "client_credentials",
        "client_id": crowds.CLIENT_ID,
        "client_secret": crowds.CLIENT_SECRET,
    }
    token = session.post(f"https://{host}/services/oauth2/token", data=form, timeout=30).json()[
        "access_token"
    ]
    client = Salesforce(instance_url=f"https://{host}", session_id=token, session=session, version="68.0")
    return client, adapter


def soql_of(asked: list[tuple[str, Any]]) -> list[str]:
    """The queries among some requests, those inside a composite request as well; further pages are left to whoever asks."""
    addresses = [address for address, _ in asked]
    for _, body in asked:
        if isinstance(body, dict):
            addresses += [str(each["url"]) for each in body.get("compositeRequest", [])]
    found = [dict(parse_qsl(urlsplit(each).query)).get("q", "") for each in addresses]
    return list(dict.fromkeys(filter(None, found)))


_DEAL = (
    *("OwnerId", "CreatedById", "CreatedDate", "StageName", "IsClosed", "IsWon", "Amount", "CloseDate"),
    *("NextStep", "AccountId", "LastActivityDate", "LastStageChangeDate"),
)


def simple_salesforce_rows(url: str) -> dict[str, Any]:
    """The records with the columns that the same facts need."""
    since = f"{window().since.isoformat()}T00:00:00Z"
    columns = {
        "User": ("Name, Email, IsActive, ManagerId, Profile.Name, TimeZoneSidKey", ""),
        "Account": ("CreatedById, CreatedDate", f"CreatedDate >= {since}"),
        "Contact": ("CreatedById, CreatedDate", f"CreatedDate >= {since}"),
        "Opportunity": (", ".join(_DEAL), ""),
        "Task": ("OwnerId, TaskSubtype, CompletedDateTime, ActivityDate, IsClosed", ""),
        "Event": ("OwnerId, StartDateTime", f"StartDateTime >= {since}"),
        "LoginHistory": ("UserId, LoginTime, LoginType, Status", f"LoginTime >= {since}"),
        "OpportunityFieldHistory": (
            "CreatedById, CreatedDate, Field, OldValue, NewValue",
            f"CreatedDate >= {since}",
        ),
    }
    queries = [
        f"SELECT Id, {names} FROM {thing}" + (f" WHERE {where}" if where else "")
        for thing, (names, where) in columns.items()
    ]
    return _query_all(url, queries)


def _query_all(url: str, queries: list[str]) -> dict[str, Any]:
    before, began = forget_peak(), time.perf_counter()
    client, adapter = _simple(url)
    rows = sum(len(client.query_all(query)["records"]) for query in queries)
    return {
        "seconds": time.perf_counter() - began,
        "calls": adapter.calls,
        "rows": rows,
        "memory": forget_peak(),
        "before": before,
    }


# --- Odoo --------------------------------------------------------------------------------------------------------------


def _odoorpc(url: str) -> tuple[Any, list[int]]:
    """A client that is logged in, and the number of its calls."""
    port = urlsplit(url).port
    client, calls = odoorpc.ODOO("127.0.0.1", protocol="jsonrpc", port=port, version="17.0"), [0]
    send = client.json

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        return send(*args, **kwargs)

    client.json = counted
    client._connector.timeout = 120  # noqa: SLF001 - as its constructor takes it
    user = client.json("/jsonrpc", {"service": "common", "method": "login", "args": [DATABASE, LOGIN, KEY]})[
        "result"
    ]
    return (client, user), calls


def calls_of(asked: list[tuple[str, Any]]) -> list[list[Any]]:
    """The calls of ``object.execute_kw`` among some requests: model, method, arguments."""
    bodies = (body["params"] for _, body in asked if isinstance(body, dict) and "params" in body)
    return [list(params["args"][3:]) for params in bodies if params.get("method") == "execute_kw"]


def odoorpc_rows(url: str) -> dict[str, Any]:
    """The records with the columns that the same facts need."""
    since = f"{window().since} 00:00:00"
    return _execute(
        url,
        [
            ["res.users", "search_read", [], {"domain": [], "fields": ["name", "login", "active", "tz"]}],
            [
                "crm.lead",
                "search_read",
                [],
                {
                    "domain": [["type", "=", "opportunity"]],
                    "fields": [
                        "user_id",
                        "create_uid",
                        "create_date",
                        "stage_id",
                        "expected_revenue",
                        "date_deadline",
                    ],
                    "context": {"active_test": False},
                },
            ],
            [
                "mail.message",
                "search_read",
                [],
                {"domain": [["date", ">=", since]], "fields": ["create_uid", "date", "subtype_id", "model"]},
            ],
            ["mail.activity", "search_read", [], {"domain": [], "fields": ["user_id", "date_deadline"]}],
            [
                "mail.tracking.value",
                "search_read",
                [],
                {
                    "domain": [["create_date", ">=", since]],
                    "fields": ["create_uid", "create_date", "old_value_datetime", "new_value_datetime"],
                },
            ],
        ],
    )


def _execute(url: str, calls: list[list[Any]]) -> dict[str, Any]:
    before, began = forget_peak(), time.perf_counter()
    (client, user), sent = _odoorpc(url)
    rows = 0
    for model, method, args, named in calls:
        try:
            found = client.json(
                "/jsonrpc",
                {
                    "service": "object",
                    "method": "execute_kw",
                    "args": [DATABASE, user, KEY, model, method, args, named],
                },
            )["result"]
        except odoorpc.error.RPCError:
            continue  # what may not be read costs a call there as well
        rows += len(found) if isinstance(found, list) else 0
    return {
        "seconds": time.perf_counter() - began,
        "calls": sent[0],
        "rows": rows,
        "memory": forget_peak(),
        "before": before,
    }


# --- memory ------------------------------------------------------------------------------------------------------------


class Endless(httpx.AsyncBaseTransport):
    """An Infor CRM whose history has ``most`` rows, each made when its page is asked for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._people = [f"U{number:011d}" for number in range(PEOPLE)]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        parts = urlsplit(whole_address(request))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        kind, count = parts.path.rpartition("/")[2], int(query.get("count", "100"))
        if kind == "getCurrentUser":
            return httpx.Response(200, json={"response": {"userId": "UBOT", "userName": "bot"}})
        where = query.get("where", "")
        rows: list[dict[str, Any]] = []
        if kind == "users":
            rows = [_infor_user(each) for each in self._people if f"Id gt '{each}'" not in where]
            rows = [each for each in rows if each["$key"] > _after(where)][:count]
        elif kind == "opportunities" and count == 1:  # somebody else's can be seen
            rows = [{"$key": "O1", "AccountManager": {"$key": self._people[0]}, "Status": "Open"}]
        elif kind == "history" and "CompletedUser" in query.get("select", ""):
            begin = int(_after(where)[1:] or "-1") + 1
            rows = [self._row(number) for number in range(begin, min(begin + count, self._most))]
        return httpx.Response(200, json={"$startIndex": 1, "$itemsPerPage": count, "$resources": rows})

    def _row(self, number: int) -> dict[str, Any]:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        at = today - timedelta(days=number % DAYS)
        return {
            "$key": f"H{number:011d}",
            "Id": f"H{number:011d}",
            "Type": "atPhoneCall",
            "CompletedDate": f"/Date({int(at.timestamp()) * 1000})/",
            "CompletedUser": self._people[number % PEOPLE],
            "UserId": self._people[number % PEOPLE],
        }


def _after(where: str) -> str:
    """The id behind which a page begins."""
    return where.partition("Id gt '")[2].partition("'")[0]


def _infor_user(identity: str) -> dict[str, Any]:
    return {
        "$key": identity,
        "Id": identity,
        "UserName": identity.casefold(),
        "Enabled": True,
        "UserInfo": {"UserName": f"Person {identity}", "Email": f"{identity.casefold()}@example.com"},
    }


def infor_memory(most: int) -> dict[str, Any]:
    """The peak of this process while a poll reads so many rows."""
    given = {
        "name": "infor",
        "url": "https://crm.example.com",
        "username": "bot",
        "password": "p",
        "page": 500,
    }
    connector = open_source("infor", given, transport=Endless(most))
    assert isinstance(connector, Metered)
    before, began = forget_peak(), time.perf_counter()
    asyncio.run(_read(connector))
    return {
        "seconds": time.perf_counter() - began,
        "memory": forget_peak(),
        "before": before,
        "calls": connector.meter().calls,
    }


def forget_peak() -> float:
    """The most memory of this process since it was last forgotten (Linux), or ever, in MiB."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return peak_memory()
    text = status.read_text(encoding="utf-8")
    reset.write_text("5", encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmHWM"))


# --- serving -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(make: Callable[[], Any]) -> Iterator[str]:
    """An ASGI application in a process of its own; yields its address."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(make, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join(20)


def _serve(make: Callable[[], Any], tell: Connection) -> None:
    config = uvicorn.Config(
        make(), host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        task = asyncio.create_task(server.serve())
        for _ in itertools.count():
            if server.started or task.done():
                break
            await asyncio.sleep(0.01)
        tell.send(server.servers[0].sockets[0].getsockname()[1])
        await task

    asyncio.run(run())
