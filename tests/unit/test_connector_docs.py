"""The page for admins is true: its example works as printed, every key is on it, every message that it explains exists."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from bot.connectors.infor import queries as infor_queries
from bot.connectors.infor.connector import InforSettings
from bot.connectors.settings import GIVEN
from bot.connectors.spreadsheet.connector import open_spreadsheet
from bot.connectors.spreadsheet.mapping import _SECTIONS, check_mapping
from bot.connectors.wire import whole_address
from bot.domain.ports import Connector
from bot.domain.usage import METRICS, Window


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs/connectors/spreadsheet.md").read_text()


def test_the_worked_example_works_as_printed(page: str, tmp_path: Path) -> None:
    files = re.findall(r"`([\w.-]+\.csv)`\n\n```csv\n(.*?)```", page, re.DOTALL)
    assert [name for name, _ in files] == ["team.csv", "deals-2026-11.csv"]
    for name, content in files:
        (tmp_path / name).write_text(content)
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0])
    connector = open_spreadsheet(mapping, settle=timedelta(0))
    through = date(2026, 11, 17)

    async def read() -> None:
        users, faults = await connector.users(through)
        assert faults == ()
        assert [(user.name, user.role, user.manager, user.zone) for user in users] == [
            ("Maria Lang", "manager", None, "Europe/Berlin"),
            ("Tom Okafor", "seller", "maria.lang@example.com", "Europe/Berlin"),
            ("Ines Costa", "seller", "maria.lang@example.com", "Europe/Lisbon"),
        ]
        [part] = [part async for part in connector.collect(Window(through, through), frozenset(METRICS))]
        assert part.faults == ()
        tom = next(fact.values for fact in part.facts if fact.crm_id == "tom.okafor@example.com")
        assert (tom["won_amount"], tom["opps_open"], tom["opps_missing_account"]) == (12_500, 1, 1)

    asyncio.run(read())


def test_every_piece_of_toml_on_the_page_is_valid(page: str) -> None:
    first, *pieces = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for piece in pieces:
        check_mapping(tomllib.loads(first + piece))


def test_every_key_is_explained(page: str) -> None:
    missing = [
        f"[{section}] {key}"
        for section, model in _SECTIONS.items()
        for key in model.model_fields
        if not re.search(rf"`{key}`|\b{key}`|\[+{key}[\].]", page)
    ]
    assert missing == []


def test_every_message_that_is_explained_exists(page: str, repository: Path) -> None:
    source = "".join(path.read_text() for path in sorted((repository / "bot/connectors").rglob("*.py")))
    source = re.sub(r'"\s*\n\s*f?"', "", source).replace("\\'", "'")
    table = page.split("## What each message means", 1)[1].split("\n## ", 1)[0]
    explained = [
        message
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for message in re.findall(r"`([^`]+)`", row)
    ]
    assert len(explained) > 25
    parts = [part.strip(" :") for message in explained for part in message.split("…")]
    assert [part for part in parts if part.strip(" ,") not in source] == []


# -- docs/connectors/infor.md -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def infor_page(repository: Path) -> str:
    return (repository / "docs/connectors/infor.md").read_text()


def test_every_setting_of_infor_is_on_its_page_and_no_other(infor_page: str) -> None:
    known = {f"FULLSTEAM_INFOR_{field.upper()}" for field in InforSettings.model_fields.keys() - GIVEN}
    assert set(re.findall(r"FULLSTEAM_INFOR_\w+", infor_page)) == known


def test_every_list_that_infor_is_asked_for_is_on_its_page(infor_page: str) -> None:
    questions = [each for each in vars(infor_queries).values() if isinstance(each, infor_queries.Question)]
    questions += [*infor_queries.CREATED.values(), *infor_queries.MODIFIED.values()]
    assert len(questions) > 10
    missing = [
        text
        for question in questions
        for text in (question.where, question.kind, ",".join(question.fields))
        if f"`{text}`" not in infor_page
        and question not in (infor_queries.IS_AUDITED, infor_queries.OPEN_NAMED)
        and not (question is infor_queries.OVERDUE_NAMED and text.startswith("Description"))
    ]
    assert missing == []
    assert f"`{','.join(infor_queries.PEOPLE)}`" in infor_page


def test_every_metric_of_infor_is_explained(infor_page: str) -> None:
    assert [
        metric
        for metric in infor_queries.READ
        if f"`{metric}`" not in infor_page
        and f"`.{metric.partition('.')[2]}`" not in infor_page
        and not metric.startswith("records_updated.")
    ] == []


# -- docs/connectors/adding-one.md ------------------------------------------------------------------------------------


class _Tally(httpx.AsyncBaseTransport):
    """The CRM of the example. ``closed``: a path that may not be read."""

    def __init__(self, today: date) -> None:
        self.closed = ""
        self.lists: dict[str, list[dict[str, object]]] = {
            "/users": [
                {"id": "U1", "name": "Ada Brandt", "email": "Ada@Example.com"},
                {"id": "U2", "name": "Jonas Weber", "manager": "U1"},
            ],
            "/counts": [{"user": "U2", "day": str(today), "n": 3}],
            "/deals": [
                {"id": "D1", "owner": "U2", "name": "Late", "close": str(today - timedelta(days=9))},
                {"id": "D2", "owner": "U2", "name": "Fine", "close": str(today + timedelta(days=9))},
            ],
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = urlsplit(whole_address(request)).path
        if request.headers["authorization"] != "Bearer k3y":
            return httpx.Response(401)
        return httpx.Response(403 if path == self.closed else 200, json=self.lists[path])


def test_the_example_of_a_connector_works_as_printed(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repository / "docs/connectors/adding-one.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "tally.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location("tally", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "tally", module)
    spec.loader.exec_module(module)
    today = datetime.now(UTC).date()
    line = _Tally(today)
    given = {"url": "https://acme.tally.example.com", "key": "k3y", "transport": line}
    connector: Connector = module.CONNECTOR.open(given, None)
    wanted = frozenset(METRICS)

    async def said(day: date) -> tuple[dict[tuple[str, str], float], dict[str, str]]:
        parts = [part async for part in connector.collect(Window(day, day), wanted)]
        facts = {
            (fact.crm_id, metric): number
            for part in parts
            for fact in part.facts
            for metric, number in fact.values.items()
            if number
        }
        return facts, {row.metric: row.status for part in parts for row in part.coverage}

    async def ask() -> None:
        users, faults = await connector.users(today)
        assert [(user.role, user.manager, user.email) for user in users] == [
            ("manager", None, "ada@example.com"),
            ("seller", "U1", None),
        ]
        assert faults == []
        facts, coverage = await said(today)
        assert facts == dict.fromkeys((("U2", metric) for metric in module.EVENTS), 3) | {
            ("U2", "opps_open"): 2,
            ("U2", "opps_past_close"): 1,
        }
        assert coverage.keys() == wanted
        found = await connector.evidence("opps_past_close", ["U1", "U2"], 5, today)
        assert [(ref.name, ref.link) for ref in found["U2"][1]] == [("Late", f"{given['url']}/deals/D1")]
        assert (await connector.probe()).ok
        line.closed = "/counts"
        facts, coverage = await said(today)
        assert {coverage[metric] for metric in module.EVENTS} == {"denied"}
        assert facts.keys() == {("U2", "opps_open"), ("U2", "opps_past_close")}
        _, coverage = await said(today - timedelta(days=1))
        assert coverage["opps_open"] == "unsupported"
        other = module.CONNECTOR.open({**given, "key": "wrong", "name": "emea"}, None)
        assert "check FULLSTEAM_EMEA_KEY" in (await other.probe()).advice

    asyncio.run(ask())
