"""A right that is given after the first poll: two polls later the database is as if it had been there from the beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from bot.domain.ports import Connector
from bot.domain.usage import METRICS, CoverageStatus, MetricKind
from bot.services.poll_crm import BACKFILL_DAYS, poll
from sandbox.clock import SteeredClock
from store import usage
from store.database import Database, migrate, open_database
from tests.contract import test_infor, test_odoo
from tests.dying_polls import PROGRAMME
from tests.infor_crm import Site
from tests.integration.test_poll_salesforce import kept
from tests.odoo_server import Odoo

pytestmark = pytest.mark.anyio

OK, DENIED = CoverageStatus.OK, CoverageStatus.DENIED
EVENTS = [key for key, metric in METRICS.items() if metric.kind is not MetricKind.SNAPSHOT]


@dataclass(frozen=True)
class Refused:
    """A CRM that refuses something, until it does not."""

    clock: SteeredClock
    open: Callable[[], Connector]
    give: Callable[[], None]


ODOO_KEEPS = (
    "nobody's leads but our own",
    "leads of the other company",
    "res.partner",
    "mail.message",
    "mail.tracking.value",
)


def odoo_without(right: str) -> Refused:
    odoo = Odoo()
    test_odoo.lived(odoo, test_odoo.people_of(odoo, 2))
    groups = set(odoo.groups)
    if right == ODOO_KEEPS[0]:
        odoo.groups.clear()
    elif right == ODOO_KEEPS[1]:
        odoo.companies = 2
    else:
        odoo.denied = {right}

    def give() -> None:
        odoo.groups |= groups
        odoo.denied, odoo.companies = set(), 1

    return Refused(odoo.clock, odoo.connector, give)


INFOR_KEEPS = (
    "anything of others",
    "/opportunities?",
    "/history?",
    "/contacts?",
    "/auditLogs?",
)


def infor_without(right: str) -> Refused:
    site = Site()
    test_infor.lived(site, test_infor.people_of(site, 2), times=5)
    tables = {kind: list(rows) for kind, rows in site.server.tables.items()}
    if right == INFOR_KEEPS[0]:
        for kind in tables.keys() - {"users", "auditLogs"}:
            site.server.tables[kind].clear()
    else:
        site.trouble(right, 403)

    def give() -> None:
        site.server.troubles.clear()
        site.server.tables.update(tables)

    return Refused(site.clock, lambda: site.connector(login_resource="auditLogs"), give)


@pytest.fixture(
    params=[
        *(pytest.param((odoo_without, right), id=f"odoo: {right}") for right in ODOO_KEEPS),
        *(pytest.param((infor_without, right), id=f"infor: {right}") for right in INFOR_KEEPS),
    ]
)
def crm(request: pytest.FixtureRequest) -> Refused:
    build, right = request.param
    found: Refused = build(right)
    return found


@pytest.fixture
def databases(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[Database, Database]]:
    other = f"sqlite:///{tmp_path / 'fresh.db'}"
    migrate(other)
    opened = [open_database(url, durable=False) for url in (sqlite_url, other)]
    yield opened[0], opened[1]
    for each in opened:
        each.close()


def statuses(database: Database) -> set[CoverageStatus]:
    return {row[2] for row in kept(database)[2]}


def numbers(database: Database, day: date) -> tuple[dict[str, dict[str, float]], dict[str, CoverageStatus]]:
    """Everybody's events of a day, and what is said of them."""
    return (
        database.read_now(usage.sums, None, day, day),
        database.read_now(usage.coverage, EVENTS, day, day),
    )


async def look(into: Database, connector: Connector, crm: Refused) -> None:
    assert (await poll(into, connector, PROGRAMME, crm.clock.now())).failure is None


async def give_and_look_twice(database: Database, connector: Connector, crm: Refused) -> None:
    crm.give()
    for _ in range(2):
        crm.clock.move_to(crm.clock.now() + timedelta(hours=1))
        await look(database, connector, crm)


async def test_what_was_denied_at_first_is_in_the_end_as_if_it_never_had_been(
    crm: Refused, databases: tuple[Database, Database]
) -> None:
    database, fresh = databases
    connector = crm.open()
    await look(database, connector, crm)
    assert DENIED in statuses(database)
    await give_and_look_twice(database, connector, crm)
    assert DENIED not in statuses(database)
    await look(fresh, crm.open(), crm)
    assert kept(database) == kept(fresh)


@pytest.mark.parametrize(
    "crm", [(odoo_without, ODOO_KEEPS[0]), (infor_without, INFOR_KEEPS[0])], indirect=True
)
async def test_so_is_what_was_denied_for_days(crm: Refused, databases: tuple[Database, Database]) -> None:
    database, fresh = databases
    connector = crm.open()
    for _ in range(3):
        await look(database, connector, crm)
        crm.clock.move_to(crm.clock.now() + timedelta(days=1))
    await give_and_look_twice(database, connector, crm)
    await look(fresh, crm.open(), crm)
    compared = 0
    for day in (crm.clock.now().date() - timedelta(days=n) for n in range(BACKFILL_DAYS)):
        (known, status), (told, said) = numbers(database, day), numbers(fresh, day)
        for metric in (each for each in EVENTS if said[each] is OK):
            assert status[metric] is OK, (metric, day)
            assert [known[who].get(metric) for who in told] == [told[who].get(metric) for who in told]
            compared += 1
    assert compared > BACKFILL_DAYS * 10
