"""Several CRMs at once: they are polled side by side, what one does is nothing to the others, and the order leaves no trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.clock import SteeredClock
from bot.domain.errors import ConfigurationError, FullsteamError, Permanent, Retryable, Skippable
from bot.domain.people import CrmUser
from bot.domain.ports import Connector, Probe
from bot.domain.usage import Collected, Coverage, CoverageStatus, RecordRef, RowFault, UsageFact, Window
from bot.services.poll_crm import poll
from bot.vault import Vault, new_key
from bot.wiring import House, kept_sources, probed
from store import usage
from store.database import Database, UnitOfWork, open_database
from store.tables import coverage, person, person_week, usage_day
from tests.fakes import FakeClock, FakeDirectory, FakeMessenger, NoHolidays
from tests.planning import CONTENT, PROGRAMME, TRIGGERS, TUESDAY

pytestmark = pytest.mark.anyio


@dataclass
class Crm:
    """One person with three days of calls. ``before``: awaited before its people are told."""

    name: str
    before: Callable[[], Any] | None = None
    raises: Exception | None = None
    polls: int = 0
    lag_days: int = 0
    overlap_days: int = 3
    closed: bool = False
    asked: list[Window] = field(default_factory=list)

    async def probe(self) -> Probe:
        return Probe(self.name, "1", ok=True, advice="")

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        if self.before is not None:
            await self.before()
        if self.raises is not None:
            raise self.raises
        return (CrmUser("1", f"Rep of {self.name}", f"{self.name}@example.com", "seller"),), ()

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        self.polls += 1
        self.asked.append(window)
        for back in (2, 1, 0):
            day = window.through - timedelta(days=back)
            await asyncio.sleep(0)
            facts = (UsageFact("1", day, {"activities_completed.call": 1.0}),)
            yield Collected(facts, tuple(Coverage(metric, day, CoverageStatus.OK) for metric in metrics))

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        return {}

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = open_database(sqlite_url, durable=False)
    yield opened
    opened.close()


def house_of(database: Database, *crms: Connector, **more: Any) -> House:
    return House(
        clock=SteeredClock(TUESDAY),
        database=database,
        programme=PROGRAMME,
        content=CONTENT,
        triggers=TRIGGERS,
        connectors={crm.name: crm for crm in crms},
        holidays=NoHolidays(),  # type: ignore[arg-type]  # the house asks it what the port has
        secret=b"s" * 32,
        messenger=FakeMessenger(FakeClock(TUESDAY)),
        directory=FakeDirectory(),
        **more,
    )


def kept(database: Database) -> list[list[tuple[Any, ...]]]:
    """Everything that polls write."""

    def read(uow: UnitOfWork) -> list[list[tuple[Any, ...]]]:
        tables = (person, usage_day, person_week, coverage)
        return [[tuple(row) for row in uow.rows(sa.select(table))] for table in tables]

    return [sorted(rows, key=repr) for rows in database.read_now(read)]


async def test_sources_are_asked_at_the_same_time(database: Database) -> None:
    both = asyncio.Barrier(2)

    async def meet() -> None:
        async with asyncio.timeout(20):
            await both.wait()  # one after the other, they would wait for each other in vain

    crms = Crm("east", meet), Crm("west", meet)
    house = house_of(database, *crms)
    again = await house._poll_all(TUESDAY)
    assert again == TUESDAY + house.poll_every
    assert [crm.polls for crm in crms] == [1, 1]
    assert len(kept(database)[1]) == 6


async def test_who_answers_first_leaves_no_trace(
    databases: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = []
    for first in ("east", "west", None):
        gate = asyncio.Event()

        async def wait(gate: asyncio.Event = gate) -> None:
            await gate.wait()

        async def open_gate(gate: asyncio.Event = gate) -> None:
            gate.set()

        hooks = {"east": wait, "west": wait, first: open_gate} if first else {}
        url = databases.sqlite(tmp_path_factory.mktemp("order"), migrated=True)
        with_order = open_database(url, durable=False)
        await house_of(with_order, *(Crm(name, hooks.get(name)) for name in ("east", "west")))._poll_all(
            TUESDAY
        )
        found.append(kept(with_order))
        with_order.close()
    assert found[0] == found[1] == found[2]
    assert len(found[0][1]) == 6


@pytest.mark.parametrize(
    "error",
    [
        Retryable("away", after=timedelta(minutes=3)),
        Permanent("login rejected"),
        ConfigurationError(["a file is gone"]),
        Skippable("odd"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_source_that_fails_stops_no_other(database: Database, error: FullsteamError) -> None:
    good = Crm("west")
    again = await house_of(database, Crm("east", raises=error), good)._poll_all(TUESDAY)
    assert good.polls == 1
    assert len(kept(database)[1]) == 3
    assert str(error) in str(database.read_now(usage.sources)["east"].error)
    assert database.read_now(usage.sources)["west"].error is None
    wait = getattr(error, "after", None)
    assert again == TUESDAY + (wait or timedelta(hours=1))


async def test_a_fault_of_the_program_is_the_failure_of_its_own_source(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    good, away = Crm("west"), Crm("south", raises=Retryable("away", after=timedelta(minutes=5)))
    broken = Crm("east", raises=KeyError("bug"))
    due = await house_of(database, broken, good, away)._poll_all(TUESDAY)
    assert due == TUESDAY + timedelta(minutes=5), "what the others asked for holds"
    assert (good.polls, len(kept(database)[1])) == (1, 3)
    found = database.read_now(usage.sources)["east"]
    assert "KeyError" in (found.error or "")
    day = TUESDAY.date()
    said = database.read_now(lambda uow: usage.coverage(uow, ["won_count"], day, day, source="east"))
    assert said["won_count"] is CoverageStatus.ERROR
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == ["poll.broke"]


class Silent(Crm):
    async def probe(self) -> Probe:
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")


class Broken(Crm):
    async def probe(self) -> Probe:
        raise Permanent("the login is rejected")


async def test_a_probe_has_a_time_of_its_own_and_its_failure_is_a_probe() -> None:
    silent, broken, good = await asyncio.gather(
        probed(Silent("east"), 0.01), probed(Broken("north")), probed(Crm("west"))
    )
    assert (silent.ok, silent.name, "no answer within" in silent.advice) == (False, "east", True)
    assert (broken.ok, broken.advice) == (False, "the login is rejected")
    assert good.ok


ORG = {"url": "https://acme.my.salesforce.com", "client_id": "3MVG9", "client_secret": "s3cret-of-the-org"}


async def test_what_is_connected_while_it_runs_is_read_and_what_is_forgotten_is_let_go(
    database: Database,
) -> None:
    vault = Vault([new_key()])
    house = house_of(database, vault=vault)
    await house.open_sources()
    assert house.connectors == {}
    database.write_now(usage.keep_source, "emea", "salesforce", vault.seal("emea", {**ORG, "name": "emea"}))
    await house.open_sources()
    assert sorted(house.connectors) == ["emea"]
    first = house.connectors["emea"]
    await house.open_sources()
    assert house.connectors["emea"] is first, "the same settings: the same session"
    changed = {**ORG, "name": "emea", "client_id": "another"}
    database.write_now(usage.keep_source, "emea", "salesforce", vault.seal("emea", changed))
    await house.open_sources()
    assert house.connectors["emea"] is not first
    database.write_now(usage.keep_source, "emea", "crm", {})
    await house.open_sources()
    assert house.connectors == {}


async def test_what_cannot_be_opened_is_said_once_and_the_others_are_polled(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    sealed = Vault([new_key()]).seal("emea", {**ORG, "name": "emea"})
    database.write_now(usage.keep_source, "emea", "salesforce", sealed)
    good = Crm("west")
    house = house_of(database, good)
    for _ in range(3):
        await house._poll_all(TUESDAY)
    assert good.polls == 3
    (said,) = [record for record in caplog.records if record.message == "source.not_opened"]
    assert said.__dict__["source"] == "emea"
    assert "FULLSTEAM_KEYS is not set" in said.__dict__["advice"]
    assert "s3cret-of-the-org" not in repr(said.__dict__)
    house.vault = Vault([new_key()])
    await house.open_sources()
    assert "emea" not in house.connectors


def test_a_sealed_source_is_no_other_source_s(database: Database) -> None:
    vault = Vault([new_key()])
    database.write_now(usage.keep_source, "apac", "salesforce", vault.seal("emea", {**ORG, "name": "emea"}))
    assert list(database.read_now(kept_sources)) == ["apac"]
    _, moved = database.read_now(kept_sources)["apac"]
    with pytest.raises(Permanent, match="another source"):
        vault.unseal("apac", moved)


async def test_days_that_since_leaves_out_are_read_by_the_next_poll(database: Database) -> None:
    crm = Crm("east")
    today = TUESDAY.date()
    lately, yesterday = today - timedelta(days=2), today - timedelta(days=1)

    first = await poll(database, crm, PROGRAMME, TUESDAY, since=yesterday)
    assert first.gap == Window(today - timedelta(days=89), today - timedelta(days=2))
    second = await poll(database, crm, PROGRAMME, TUESDAY)
    assert (second.since, second.gap) == (today - timedelta(days=89), None), (
        "the whole backfill, as if nothing was"
    )

    away = TUESDAY + timedelta(days=10)
    looked = await poll(database, crm, PROGRAMME, away, since=away.date())
    assert looked.gap == Window(today + timedelta(days=1), away.date() - timedelta(days=1))
    caught_up = await poll(database, crm, PROGRAMME, away)
    assert (caught_up.since, caught_up.gap) == (lately, None), "with the overlap of three days"
    again = await poll(database, crm, PROGRAMME, away, since=away.date() - timedelta(days=1))
    assert again.gap is None, "nothing is left out between what was read and that day"
