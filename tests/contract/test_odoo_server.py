"""Our Odoo is one that a foreign client accepts: odoorpc logs in, reads, groups and is refused, over HTTP on this machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import odoorpc  # type: ignore[import-untyped]  # it has no type hints
import pytest
import uvicorn

from bot.connectors.odoo.connector import OdooConnector, OdooSettings
from bot.domain.usage import METRICS
from sandbox.app import listen
from tests.contract.test_odoo import TODAY, WEEK, lived, people_of, told
from tests.odoo_server import DATABASE, KEY, LOGIN, ME, Odoo, collected


@pytest.fixture(params=[17, 19])
def odoo(request: pytest.FixtureRequest) -> Odoo:
    odoo = Odoo(major=request.param)
    lived(odoo, people_of(odoo, 3))
    return odoo


@pytest.fixture
def port(odoo: Odoo) -> Iterator[int]:
    """Where it listens."""
    sock = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(odoo, log_level="error", lifespan="off", date_header=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    yield sock.getsockname()[1]
    server.should_exit = True
    thread.join(5)
    sock.close()


@pytest.fixture
def client(port: int) -> odoorpc.ODOO:
    client = odoorpc.ODOO("127.0.0.1", port=port, timeout=10)
    client.login(DATABASE, LOGIN, KEY)
    return client


def test_a_foreign_client_learns_the_version_and_logs_in(odoo: Odoo, client: odoorpc.ODOO) -> None:
    assert client.version == f"{odoo.major}.0"
    assert (client.env.uid, client.db.list()) == (ME, [DATABASE])


def test_a_foreign_client_reads_the_records(odoo: Odoo, client: odoorpc.ODOO) -> None:
    leads = client.env["crm.lead"]
    open_ones = [["type", "=", "opportunity"], ["active", "=", True]]
    ids = leads.search(open_ones)
    assert sorted(ids) == sorted(
        number
        for number, row in odoo.rows["crm.lead"].items()
        if row["type"] == "opportunity" and row["active"]
    )
    rows = leads.search_read(open_ones, ["user_id", "name"], limit=3)
    assert [row["user_id"][0] for row in rows] == [
        odoo.rows["crm.lead"][row["id"]]["user_id"] for row in rows
    ]
    assert client.env["crm.lead"].browse(ids[0]).name == odoo.rows["crm.lead"][ids[0]]["name"]


def test_a_foreign_client_groups_by_person_and_day_as_we_do(odoo: Odoo, client: odoorpc.ODOO) -> None:
    groups = client.execute_kw(
        "crm.lead",
        "read_group",
        [
            [["create_date", ">=", f"{WEEK.since} 00:00:00"]],
            ["amount:sum(expected_revenue)"],
            ["create_uid", "create_date:day"],
        ],
        {"lazy": False, "context": {"tz": "UTC", "active_test": False}},
    )
    assert groups
    rows = [row for row in odoo.rows["crm.lead"].values() if row["create_date"] >= f"{WEEK.since} 00:00:00"]
    assert sum(group["__count"] for group in groups) == len(rows)
    for group in groups:
        day = group["__range"]["create_date:day"]["from"][:10]
        own = [
            row
            for row in rows
            if row["create_uid"] == group["create_uid"][0] and row["create_date"].startswith(day)
        ]
        assert (group["__count"], group["amount"]) == (len(own), sum(row["expected_revenue"] for row in own))


def test_a_foreign_client_is_refused_as_we_are(odoo: Odoo, client: odoorpc.ODOO, port: int) -> None:
    odoo.denied = {"crm.lead"}
    with pytest.raises(odoorpc.error.RPCError, match="not allowed"):
        client.execute("crm.lead", "search", [])
    with pytest.raises(odoorpc.error.RPCError, match="exist"):
        client.execute("no.such.model", "search", [])
    other = odoorpc.ODOO("127.0.0.1", port=port, timeout=10)
    with pytest.raises(odoorpc.error.RPCError, match="Wrong login"):
        other.login(DATABASE, LOGIN, "wrong")
    with pytest.raises(odoorpc.error.RPCError, match="does not exist"):
        other.login("nope", LOGIN, KEY)


def test_over_http_the_connector_counts_what_it_counts_in_this_process(odoo: Odoo, port: int) -> None:
    async def read() -> None:
        here = odoo.connector()
        settings = OdooSettings(url=f"http://127.0.0.1:{port}", database=DATABASE, login=LOGIN, api_key=KEY)
        there = OdooConnector(settings, clock=odoo.clock)
        try:
            users, _ = await there.users(TODAY)
            assert users
            wanted = frozenset(METRICS)
            assert told(await collected(there, WEEK, wanted)) == told(await collected(here, WEEK, wanted))
        finally:
            await there.close()

    asyncio.run(read())
