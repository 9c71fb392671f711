"""Every figure of an import of the Maven data equals what the csv module alone finds in the files."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bot.connectors.spreadsheet.connector import SpreadsheetConnector, open_spreadsheet
from bot.domain.people import person_id
from bot.domain.programme import Programme
from bot.domain.usage import METRICS, CoverageStatus
from bot.services.poll_crm import PollReport, import_files, poll
from store import people, usage
from store.database import Database, migrate, open_database

NOW = datetime(2018, 1, 2, 15, 0, tzinfo=UTC)
LAST = date(2018, 1, 1)  # lag_days = 1
PROGRAMME = Programme(
    name="CRM",
    crm_name="CRM",
    go_live=date(2016, 10, 1),
    sponsor="dana@example.com",
    sponsor_name="Dana",
    adoption_lead="lee@example.com",
    privacy_officer="kim@example.com",
    owners={},
    zone="America/New_York",
    pilot_teams=("dustin.brinkmann@example.com",),
)
MID = date(2017, 8, 15)


def connector_for(repository: Path, folder: Path) -> SpreadsheetConnector:
    return open_spreadsheet(repository / "examples/maven/mapping.toml", folder, settle=timedelta(0))


@pytest.fixture
def maven(shared_folder: Path) -> Path:
    return shared_folder / "data/maven"


@pytest.fixture
def deals(maven: Path) -> list[dict[str, str]]:
    with (maven / "sales_pipeline.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def agents(maven: Path) -> list[dict[str, str]]:
    with (maven / "sales_teams.csv").open(newline="") as file:
        return list(csv.DictReader(file))


async def imported(database: Database, connector: SpreadsheetConnector) -> PollReport:
    return await import_files(
        database, connector, PROGRAMME, NOW, kind="spreadsheet", settings={"mapping": "mapping.toml"}
    )


@pytest.mark.anyio
async def test_every_figure_of_the_import_is_in_the_files(
    database_url: str,
    repository: Path,
    maven: Path,
    deals: list[dict[str, str]],
    agents: list[dict[str, str]],
) -> None:
    database = open_database(database_url, durable=False)
    connector = connector_for(repository, maven)
    report = await imported(database, connector)
    everybody = database.read_now(people.get)
    database_sums = database.read_now(usage.sums, None, date(2016, 1, 1), LAST)
    database.close()

    assert report.failure is None
    assert report.faults == ()
    # People: 35 agents listed, 30 with deals, 6 managers; teams, zones and addresses.
    assert len(agents) == 35
    sellers = {each.crm_id: each for each in everybody.values() if each.role == "seller"}
    managers = {each.crm_id: each for each in everybody.values() if each.role == "manager"}
    assert sellers.keys() == {row["sales_agent"] for row in agents}
    assert managers.keys() == {row["manager"] for row in agents}
    assert len(managers) == 6
    zones = {"Central": "America/Chicago", "East": "America/New_York", "West": "America/Los_Angeles"}
    for row in agents:
        seller = sellers[row["sales_agent"]]
        assert seller.team == managers[row["manager"]].id
        assert seller.zone == managers[row["manager"]].zone == zones[row["regional_office"]]
        assert seller.email == row["sales_agent"].lower().replace(" ", ".") + "@example.com"
        assert seller.pilot == (row["manager"] == "Dustin Brinkmann")
    with_deals = {row["sales_agent"] for row in deals}
    assert len(with_deals) == 30
    first = {
        agent: min(
            day
            for row in deals
            if row["sales_agent"] == agent
            for day in (row["engage_date"], row["close_date"])
            if day
        )
        for agent in with_deals
    }
    assert {
        each.crm_id: each.access_since.isoformat() for each in sellers.values() if each.access_since
    } == first

    # Facts by metric, in the report and in the database, by agent.
    expected: defaultdict[str, Counter[str]] = defaultdict(Counter)
    days: set[tuple[str, str]] = set()
    for row in deals:
        agent = row["sales_agent"]
        if row["engage_date"]:
            expected["records_created.opportunity"][agent] += 1
            days.add((agent, row["engage_date"]))
        if row["deal_stage"] in ("Won", "Lost"):
            expected["step_moves"][agent] += 1
            expected["won_count" if row["deal_stage"] == "Won" else "lost_count"][agent] += 1
            days.add((agent, row["close_date"]))
        if row["deal_stage"] == "Won":
            expected["won_amount"][agent] += int(row["close_value"])
    for metric, by_agent in expected.items():
        assert report.totals[metric] == sum(by_agent.values())
        assert {
            agent: sums[metric]
            for agent in with_deals
            if metric in (sums := database_sums[person_id("maven", agent)])
        } == dict(by_agent)
    assert report.totals.keys() == expected.keys()
    # One fact for each agent and day on which something happened, and a snapshot of everybody on the last day.
    assert report.facts == len(days | {(each.crm_id, LAST.isoformat()) for each in everybody.values()})
    assert report.unknown == 0

    # What the file cannot say, and its blemishes.
    undated = [row for row in deals if not row["engage_date"] and not row["close_date"]]
    still_open = [row for row in deals if row["deal_stage"] not in ("Won", "Lost")]
    no_account = [row for row in still_open if not row["account"]]
    assert (len(undated), len(still_open), len(no_account)) == (500, 2089, 1425)
    assert report.notes == {
        "undated opportunities": len(undated),
        "open opportunities without an account": len(no_account),
    }
    figures = await connector.figures()
    assert (figures.opportunities, figures.open, figures.undated, figures.open_without_account) == (
        len(deals),
        len(still_open),
        len(undated),
        len(no_account),
    )
    assert {metric for metric, row in report.coverage.items() if row.status is CoverageStatus.OK} == {
        *expected,
        "opps_open",
        "opps_open_long",
        "opps_stuck_step",
        "opps_missing_account",
    }
    assert {row.status for row in report.coverage.values()} == {CoverageStatus.OK, CoverageStatus.UNSUPPORTED}


def open_by_agent(deals: list[dict[str, str]], day: date, longer_than: int = -1) -> dict[str, int]:
    """What is open at the end of a day, as somebody with the files and a pencil would count it."""
    counted: Counter[str] = Counter()
    for row in deals:
        begun, closed = row["engage_date"], row["close_date"]
        if begun and begun <= day.isoformat() and not (closed and closed <= day.isoformat()):
            counted[row["sales_agent"]] += (day - date.fromisoformat(begun)).days > longer_than
    return {agent: count for agent, count in counted.items() if count}


@pytest.mark.anyio
@pytest.mark.parametrize("day", [date(2016, 11, 30), MID, date(2017, 12, 31)])
async def test_open_deals_and_those_open_for_more_than_90_days_on_a_day(
    repository: Path, maven: Path, deals: list[dict[str, str]], day: date
) -> None:
    connector = connector_for(repository, maven)
    assert await connector.open_deals(day) == open_by_agent(deals, day)
    assert await connector.open_deals(day, longer_than=90) == open_by_agent(deals, day, 90)
    counted = await connector.evidence("opps_open", sorted({row["sales_agent"] for row in deals}), 2, day)
    assert {agent: count for agent, (count, _) in counted.items()} == open_by_agent(deals, day)


@pytest.mark.anyio
@pytest.mark.parametrize("day", [date(2017, 3, 31), MID, date(2017, 12, 31)])
async def test_open_deals_without_an_account_a_week_after_they_began(
    repository: Path, maven: Path, deals: list[dict[str, str]], day: date
) -> None:
    connector = connector_for(repository, maven)
    without = [row for row in deals if not row["account"]]
    agents = sorted({row["sales_agent"] for row in deals})
    counted = await connector.evidence("opps_missing_account", agents, 1, day)
    assert {agent: count for agent, (count, _) in counted.items()} == open_by_agent(without, day, 6)
    if day == MID:
        assert open_by_agent(without, day, 6) != open_by_agent(without, day)  # some are younger


@pytest.mark.anyio
async def test_a_second_import_changes_nothing(database_url: str, repository: Path, maven: Path) -> None:
    database = open_database(database_url, durable=False)

    def everything() -> list[object]:
        return [
            sorted(database.read_now(people.get).items()),
            sorted(
                (who, sorted(each.items()))
                for who, each in database.read_now(usage.sums, None, date(2016, 1, 1), LAST).items()
            ),
            database.read_now(usage.weeks, None, date(2016, 1, 1)),
            database.read_now(usage.snapshots, None, LAST),
            database.read_now(usage.sources),
            database.read_now(usage.coverage, None, LAST, LAST),
        ]

    first_report = await imported(database, connector_for(repository, maven))
    first = everything()
    second_report = await imported(database, connector_for(repository, maven))
    assert everything() == first
    assert second_report.facts == first_report.facts
    assert second_report.people == people.KeptUsers((), (), (), 41)
    database.close()


@pytest.mark.anyio
async def test_the_import_and_polling_day_by_day_end_with_the_same_facts(
    sqlite_url: str, repository: Path, maven: Path, tmp_path: Path
) -> None:
    whole = open_database(sqlite_url, durable=False)
    connector = connector_for(repository, maven)
    await imported(whole, connector)
    other_url = f"sqlite:///{tmp_path / 'daily.db'}"
    migrate(other_url)
    daily = open_database(other_url, durable=False)
    since = date(2017, 3, 1)
    for offset in range(40):
        now = datetime(2017, 3, 2, 15, 0, tzinfo=UTC) + timedelta(days=offset)
        report = await poll(daily, connector, PROGRAMME, now)
        assert report.through == since + timedelta(days=offset)
    until = since + timedelta(days=39)

    def sums(database: Database) -> dict[str, dict[str, float]]:
        found = database.read_now(usage.sums, None, since, until)
        return {
            each: values for each, values in found.items() if values
        }  # who did nothing has days all the same

    assert sums(daily) == sums(whole)
    assert daily.read_now(usage.meaningful_days, None, since, until) == whole.read_now(
        usage.meaningful_days, None, since, until
    )
    full_weeks = date(2017, 3, 6), date(2017, 4, 3)
    for each, rows in whole.read_now(usage.weeks, None, full_weeks[0]).items():
        wanted = {row.week: row.values for row in rows if row.week < full_weeks[1] and row.values}
        got = {
            row.week: row.values
            for row in daily.read_now(usage.weeks, [each], full_weeks[0]).get(each, ())
            if row.week < full_weeks[1] and row.values
        }
        assert got == wanted
    assert daily.read_now(usage.sources)["maven"].watermark == until
    assert all(
        daily.read_now(usage.coverage, ["won_count", "opps_open"], since, until)[metric] is CoverageStatus.OK
        for metric in ("won_count", "opps_open")
    )
    assert daily.read_now(usage.coverage, METRICS, since, until)["opps_past_close"] is (
        CoverageStatus.UNSUPPORTED
    )
    whole.close()
    daily.close()
