"""On each day the connector knows what was known then: whatever is dated later may change, nothing up to that day does."""

from __future__ import annotations

import asyncio
import csv
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bot.connectors.spreadsheet.connector import SpreadsheetConnector, open_spreadsheet
from bot.domain.usage import METRICS, Collected, RecordRef, Window
from tests.fakes import FakeClock

FIRST, LAST = date(2016, 10, 20), date(2017, 12, 31)
SNAPSHOTS = ("opps_open", "opps_open_long", "opps_stuck_step", "opps_missing_account")


@pytest.fixture(scope="module")
def maven(shared_folder: Path) -> Path:
    return shared_folder / "data/maven"


def known_on(connector: SpreadsheetConnector, day: date) -> list[object]:
    """Everything that the connector says with ``through=day``."""

    async def ask() -> list[object]:
        users, _ = await connector.users(day)
        parts: list[Collected] = [
            part async for part in connector.collect(Window(FIRST, day), frozenset(METRICS))
        ]
        owners = [user.crm_id for user in users]
        return [
            list(users),
            [part.facts for part in parts],
            [part.coverage for part in parts],
            [dict(await connector.evidence(metric, owners, 50, day)) for metric in SNAPSHOTS],
            await connector.open_deals(day, longer_than=90),
        ]

    return asyncio.run(ask())


def change_the_future(row: dict[str, str], day: date, chance: random.Random) -> dict[str, str] | None:
    """Another future of one deal: what is dated up to ``day`` stays, all that comes later is drawn anew."""
    later = (day + timedelta(days=chance.randint(1, 60))).isoformat()
    begun, closed = row["engage_date"], row["close_date"]
    if begun and begun > day.isoformat():
        if chance.random() < 0.3:
            return None  # never happens
        row = {**row, "engage_date": later, "account": chance.choice(["", "Isdom"]), "product": "MG Special"}
        row |= {"deal_stage": "Engaging", "close_date": "", "close_value": ""}
    elif closed and closed <= day.isoformat():
        return row
    if row["engage_date"]:
        end = date.fromisoformat(max(later, row["engage_date"])) + timedelta(days=chance.randint(0, 90))
        row |= chance.choice(
            [
                {"deal_stage": "Engaging", "close_date": "", "close_value": ""},
                {"deal_stage": "Prospecting", "close_date": "", "close_value": ""},
                {
                    "deal_stage": "Won",
                    "close_date": end.isoformat(),
                    "close_value": str(chance.randint(1, 9999)),
                },
                {"deal_stage": "Lost", "close_date": end.isoformat(), "close_value": "0"},
            ]
        )
    return row


def write(folder: Path, header: list[str], rows: list[dict[str, str]], maven: Path) -> Path:
    folder.mkdir()
    (folder / "sales_teams.csv").write_bytes((maven / "sales_teams.csv").read_bytes())
    with (folder / "sales_pipeline.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.mark.parametrize("seed", range(6))
def test_changing_what_is_dated_after_a_day_changes_nothing_up_to_it(
    seed: int, repository: Path, maven: Path, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    day = FIRST + timedelta(days=chance.randint(20, (LAST - FIRST).days - 5))
    with (maven / "sales_pipeline.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        header = list(reader.fieldnames or ())
    other = [changed for row in rows if (changed := change_the_future(dict(row), day, chance)) is not None]
    by_id = {row["opportunity_id"]: row for row in other}
    assert sum(1 for row in rows if by_id.get(row["opportunity_id"]) != row) > 50
    other += [
        {
            **rows[0],
            "opportunity_id": f"NEW{number}",
            "engage_date": (day + timedelta(days=1 + number)).isoformat(),
            "deal_stage": "Engaging",
            "close_date": "",
        }
        for number in range(20)
    ]
    chance.shuffle(other)
    mapping = repository / "examples/maven/mapping.toml"
    settle = timedelta(0)
    as_it_was = open_spreadsheet(mapping, maven, settle=settle)
    otherwise = open_spreadsheet(mapping, write(tmp_path / "other", header, other, maven), settle=settle)
    before, after = known_on(as_it_was, day), known_on(otherwise, day)
    for was, would_be in zip(before, after, strict=True):
        assert was == would_be
    assert known_on(as_it_was, LAST) != known_on(otherwise, LAST)


def test_a_deal_is_nothing_then_open_then_won(repository: Path, tmp_path: Path, maven: Path) -> None:
    header = "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value"
    row = dict(
        zip(
            header.split(","),
            ["D1", "Moses Frase", "GTXPro", "Isdom", "Won", "2017-03-10", "2017-06-05", "4514"],
            strict=True,
        )
    )
    folder = write(tmp_path / "one", header.split(","), [row], maven)
    connector = open_spreadsheet(repository / "examples/maven/mapping.toml", folder, settle=timedelta(0))

    async def on(
        day: date,
    ) -> tuple[Mapping[str, float], Mapping[str, tuple[int, tuple[RecordRef, ...]]], date | None]:
        users, _ = await connector.users(day)
        since = next(user.access_since for user in users if user.crm_id == "Moses Frase")
        [part] = [part async for part in connector.collect(Window(day, day), frozenset(METRICS))]
        [fact] = [fact for fact in part.facts if fact.crm_id == "Moses Frase"]
        return fact.values, await connector.evidence("opps_open", ["Moses Frase"], 5, day), since

    values, records, since = asyncio.run(on(date(2017, 3, 9)))
    assert (values["opps_open"], records, since) == (0, {}, None)
    values, records, since = asyncio.run(on(date(2017, 3, 10)))
    assert (values["records_created.opportunity"], values["opps_open"], since) == (1, 1, date(2017, 3, 10))
    values, records, _ = asyncio.run(on(date(2017, 6, 4)))
    assert "won_amount" not in values
    count, (record,) = records["Moses Frase"]
    assert (count, record.name, record.link) == (
        1,
        "GTX Pro for Isdom",
        "https://crm.example.com/opportunity/D1",
    )
    assert record.details == {
        "days_open": "86",
        "open_since": "2017-03-10",
        "account": "Isdom",
        "product": "GTX Pro",
    }
    values, records, _ = asyncio.run(on(date(2017, 6, 5)))
    assert (values["won_count"], values["won_amount"], values["step_moves"]) == (1, 4514, 1)
    assert (values["opps_open"], records) == (0, {})


def test_the_probe_names_what_the_files_cannot_say(repository: Path, maven: Path) -> None:
    clock = FakeClock(datetime(2018, 1, 2, tzinfo=UTC))
    connector = open_spreadsheet(
        repository / "examples/maven/mapping.toml", maven, clock=clock, settle=timedelta(0)
    )
    probe = asyncio.run(connector.probe())
    assert probe.ok
    said = {row.metric: row for row in probe.metrics}
    assert said["opps_past_close"].status == "unsupported"
    assert "only closed deals have a close date" in said["opps_past_close"].detail
    assert said["feature_use.report"].detail == "no mapped column says it"
    assert said["opps_missing_account"].status == "ok"
