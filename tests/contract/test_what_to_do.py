"""A login that is rejected, a host that is another, a key that has ended, a right that is missing, a version that is not there:
of every kind of CRM each of them is one line that says what to do, and the other sources go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import bot.connectors
import tests.contract.connectors
from bot.connectors.wire import whole_address
from bot.domain.errors import Permanent
from bot.domain.ports import Connector, ConnectorKind
from bot.domain.usage import CoverageStatus
from bot.plugins import discover
from store import usage
from store.database import Database, open_database
from tests import dataverse
from tests.contract.connectors.world import World
from tests.integration.test_many_sources import Crm, house_of
from tests.planning import TUESDAY

pytestmark = pytest.mark.anyio
KINDS = {kind.name: kind for kind in discover(bot.connectors, ConnectorKind) if kind.settings is not None}
WORLDS = {world.name: world for world in discover(tests.contract.connectors, World)}
Says = Callable[[str, str], httpx.Response | None]
"""(address, body) -> what comes instead; None: what the CRM answers."""


@dataclass
class Front(httpx.AsyncBaseTransport):
    """Stands before a CRM, and answers some requests itself."""

    inner: httpx.AsyncBaseTransport
    says: Says

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        instead = self.says(whole_address(request), request.content.decode(errors="replace"))
        return await self.inner.handle_async_request(request) if instead is None else instead


def at(part: str, status: int, body: Any) -> Says:
    """This answer wherever the address, or what is asked, has this in it."""

    def says(address: str, content: str) -> httpx.Response | None:
        if re.search(part, address + "\n" + content) is None:
            return None
        return (
            httpx.Response(status, html=body) if isinstance(body, str) else httpx.Response(status, json=body)
        )

    return says


def _gone(_address: str, _content: str) -> httpx.Response:
    raise httpx.ConnectError("no connection")


def _entra(code: str) -> Says:
    said = {"error": "invalid_client", "error_description": f"{code}: the provided client secret is no good."}
    return at(r"/token\b", 401, said)


def _odoo(name: str, message: str) -> dict[str, Any]:
    return {"name": name, "message": message, "arguments": [message], "context": {}, "debug": "Traceback …"}


@dataclass(frozen=True)
class Case:
    """``says``: a word that the line must have, or several. ``changed``: settings."""

    kind: str
    trouble: str
    front: Says = lambda _address, _content: None
    says: tuple[str, ...] = ()
    changed: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.kind}, {self.trouble}"


def _gone_at(part: str) -> Says:
    return lambda address, content: _gone(address, content) if re.search(part, address) else None


NO_LOG_IN = {"login": "none", "url": "http://127.0.0.1:8080"}
TOKEN = {"token_url": "https://sso.example.com/token"}
PAGE = "<!doctype html><title>Welcome</title>"
REJECTED = [
    Case(
        "salesforce",
        "bad credentials",
        at("/oauth2/token", 400, {"error": "invalid_client"}),
        ("CLIENT_SECRET",),
    ),
    Case("dynamics", "bad credentials", _entra("AADSTS7000215"), ("CLIENT_SECRET",)),
    Case("infor", "bad credentials", at("", 401, PAGE), ("PASSWORD",)),
    Case(
        "odoo",
        "bad credentials",
        at("/json/2/|/jsonrpc", 401, _odoo("werkzeug.exceptions.Unauthorized", "Invalid apikey")),
        ("API_KEY",),
    ),
    Case(
        "salesforce",
        "a user who is not let in any more",
        at(
            "/oauth2/token",
            400,
            {"error": "invalid_grant", "error_description": "no client credentials user enabled"},
        ),
        ("Run As",),
    ),
    Case("dynamics", "expired key", _entra("AADSTS7000222"), ("secret", "new")),
    Case(
        "dynamics",
        "unknown app",
        at(r"/token\b", 400, {"error": "unauthorized_client", "error_description": "AADSTS700016: x"}),
        ("CLIENT_ID",),
    ),
    Case("salesforce", "wrong API version", changed={"api_version": "v99.0"}, says=("API_VERSION",)),
    Case("dynamics", "wrong API version", at("/api/data/", 404, PAGE), ("API_VERSION",)),
    Case("infor", "wrong path", at("", 404, PAGE), ("PATH",)),
    Case("odoo", "a version without this API", at("/json/2/|/jsonrpc", 404, PAGE), ("API",)),
    Case(
        "salesforce",
        "a session that is refused",
        at("/services/data/", 401, [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}]),
        ("OAuth policies", "_URL"),
    ),
    Case(
        "salesforce",
        "calls that are used up",
        at("/services/data/", 403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests"}]),
        ("tried again",),
    ),
    Case(
        "salesforce",
        "queries that take too long",
        at(
            "/services/data/v",
            400,
            [{"errorCode": "QUERY_TIMEOUT", "message": "Your query request was running for too long."}],
        ),
        ("tried again",),
    ),
    Case("salesforce", "a page instead of rows", at("/services/data/v", 200, {"records": 1}), ("_URL",)),
    Case("dynamics", "a log-in that it wants", at("", 401, PAGE), ("DYNAMICS_LOGIN",), NO_LOG_IN),
    Case("dynamics", "answers of no Dataverse", at("", 200, {}), ("_URL", "_PREFIX"), NO_LOG_IN),
    Case("dynamics", "nobody where to log in", _gone_at("microsoftonline"), ("_AUTHORITY",)),
    Case("dynamics", "a page where to log in", at("microsoftonline", 200, PAGE), ("_AUTHORITY",)),
    Case("dynamics", "nobody at the token address", _gone_at(r"/token\b"), ("_TOKEN_URL",), TOKEN),
    Case("dynamics", "a page at the token address", at(r"/token\b", 200, PAGE), ("_TOKEN_URL",), TOKEN),
    Case(
        "dynamics",
        "no token address",
        at(r"/token\b", 404, PAGE),
        ("check FULLSTEAM_DYNAMICS_TOKEN_URL",),
        TOKEN,
    ),
    Case(
        "dynamics",
        "a token address elsewhere",
        at(r"/token\b", 302, PAGE),
        ("set FULLSTEAM_DYNAMICS_TOKEN_URL",),
        TOKEN,
    ),
    Case(
        "dynamics",
        "a page at the token address of its own host",
        at(r"/token\b", 200, PAGE),
        ("_TOKEN_URL",),
        {"token_url": f"{dataverse.URL}/token"},
    ),
    Case("salesforce", "nobody at the token address", _gone_at(r"/token\b"), ("_TOKEN_URL",), TOKEN),
    *(Case(kind, "wrong host: nobody there", _gone, ("check",)) for kind in sorted(KINDS)),
    *(Case(kind, "wrong host: some web page", at("", 200, PAGE)) for kind in sorted(KINDS)),
    *(Case(kind, "wrong host: sent elsewhere", at("", 302, PAGE), ("address",)) for kind in sorted(KINDS)),
]
DENIED = [
    Case(
        "salesforce",
        "missing permission",
        at(
            "FROM(%20|\\+| )Opportunity\\b",
            400,
            [{"errorCode": "INVALID_TYPE", "message": "sObject type 'Opportunity' is not supported."}],
        ),
    ),
    Case(
        "dynamics",
        "missing permission",
        at(
            "opportunit",
            403,
            {
                "error": {
                    "code": "0x80040220",
                    "message": "Principal user is missing prvReadOpportunity privilege",
                }
            },
        ),
    ),
    Case(
        "infor",
        "missing permission",
        at(
            "/opportunities",
            403,
            {
                "$diagnoses": [
                    {"severity": "error", "sdataCode": "ApplicationDiagnosis", "message": "not allowed"}
                ]
            },
        ),
    ),
    Case(
        "odoo",
        "missing permission",
        at(
            r"/json/2/crm\.lead/",
            403,
            _odoo("odoo.exceptions.AccessError", "You are not allowed to access 'Lead' (crm.lead) records."),
        ),
    ),
]


def opened(case: Case, folder: Path) -> Connector:
    world = WORLDS[case.kind]
    settings = {**world.build(folder), **(case.changed or {})}
    settings["transport"] = Front(settings["transport"], case.front)
    return KINDS[case.kind].open(settings, None)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    found = open_database(sqlite_url, durable=False)
    yield found
    found.close()


def test_every_kind_is_in_the_table() -> None:
    for cases in (REJECTED, DENIED):
        assert {case.kind for case in cases} == KINDS.keys()
    for kind in KINDS:
        assert sum(case.kind == kind for case in REJECTED) >= 5


def is_one_line_that_says_what_to_do(line: str) -> bool:
    return (
        "\n" not in line
        and 20 < len(line) < 400
        and re.search(
            r"\b(check|set|give|turn on|make|create|choose|enter|let|renew|ask|tried again|log in|upload|takes)\b",
            line,
            re.IGNORECASE,
        )
        is not None
    )


@pytest.mark.parametrize("case", REJECTED, ids=str)
async def test_one_line_says_what_to_do_and_the_others_go_on(
    case: Case, database: Database, tmp_path: Path
) -> None:
    probe = await opened(case, tmp_path).probe()
    assert not probe.ok
    assert is_one_line_that_says_what_to_do(probe.advice), probe.advice
    for word in case.says:
        assert word in probe.advice
    good, bad = Crm("west"), opened(case, tmp_path)
    await house_of(database, bad, good)._poll_all(TUESDAY)
    kept = database.read_now(usage.sources)
    assert (good.polls, kept["west"].error) == (1, None)
    said = kept[bad.name].error
    assert said is not None
    assert is_one_line_that_says_what_to_do(said), said


@pytest.mark.parametrize("case", REJECTED, ids=str)
async def test_a_line_names_the_variables_of_the_source_that_it_is_about(case: Case, tmp_path: Path) -> None:
    for name in ("emea", f"{case.kind}-emea"):
        probe = await opened(replace(case, changed={**(case.changed or {}), "name": name}), tmp_path).probe()
        begin = f"FULLSTEAM_{name.replace('-', '_').upper()}_"
        for said in re.findall(r"FULLSTEAM_\w+", probe.advice):
            assert said.startswith(begin), probe.advice
            assert not said.removeprefix(begin).startswith("EMEA"), probe.advice


@pytest.mark.parametrize("status", [500, 429])
@pytest.mark.parametrize(
    ("kind", "at_log_in"), [("infor", False), ("odoo", False), ("dynamics", True), ("salesforce", True)]
)
async def test_only_what_is_a_log_in_is_called_one(
    tmp_path: Path, kind: str, status: int, at_log_in: bool
) -> None:
    probe = await opened(Case(kind, "busy", at("", status, PAGE)), tmp_path).probe()
    assert (f"its login answered {status}" in probe.advice, f"it answered {status}" in probe.advice) == (
        at_log_in,
        not at_log_in,
    )


async def test_a_version_that_is_not_there_is_named_by_a_poll_as_well(tmp_path: Path) -> None:
    at_version = at(r"/services/data/v", 404, [{"errorCode": "NOT_FOUND", "message": "x"}])
    connector = opened(Case("salesforce", "wrong API version", at_version), tmp_path)
    with pytest.raises(Permanent, match="FULLSTEAM_SALESFORCE_URL and FULLSTEAM_SALESFORCE_API_VERSION"):
        await connector.users(TUESDAY.date())


@pytest.mark.parametrize("case", DENIED, ids=str)
async def test_a_right_that_is_missing_costs_what_needs_it_and_is_named(case: Case, tmp_path: Path) -> None:
    probe = await opened(case, tmp_path).probe()
    assert probe.ok, probe.advice
    rows = {row.metric: row for row in probe.metrics}
    denied = rows["opps_open"]
    assert denied.status is CoverageStatus.DENIED
    assert is_one_line_that_says_what_to_do(denied.detail), denied.detail
    assert rows["activities_completed.meeting"].status is CoverageStatus.OK
