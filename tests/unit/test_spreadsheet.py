"""The spreadsheet connector: whatever a file looks like, good rows are kept, bad ones are named, nothing is guessed."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from bot.connectors.spreadsheet.connector import SpreadsheetConnector
from bot.connectors.spreadsheet.mapping import SpreadsheetMapping, check_mapping, load_mapping
from bot.domain.errors import ConfigurationError, Permanent, Retryable
from bot.domain.people import CrmUser
from bot.domain.usage import METRICS, Collected, CoverageStatus, RowFault, Window
from tests.fakes import FakeClock

DAY = date(2026, 11, 18)
NOON = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)
PEOPLE = "name,email,boss\nAda Brandt,ada@example.com,\nJonas Weber,jonas@example.com,Ada Brandt\n"
DEALS = "id,owner,begun,stage,ended,account,value\n"


def raw_mapping(**tables: Any) -> dict[str, Any]:
    return {
        "source": {"name": "test", "coverage": "complete"},
        "people": {
            "file": "people.csv",
            "columns": {"name": "name", "email": "email", "manager": "boss"},
        },
        **tables,
    }


def opportunities(**keys: Any) -> dict[str, Any]:
    return {
        "file": "deals*",
        "columns": {
            "id": "id",
            "owner": "owner",
            "created": "begun",
            "step": "stage",
            "closed": "ended",
            "account": "account",
            "won_amount": "value",
        },
        "steps": {"Open": "open", "Won": "won", "Lost": "lost"},
        **keys,
    }


OPPORTUNITIES = opportunities(file="deals.csv")
USAGE = {
    "file": "usage*.csv",
    "metrics": ["activities_completed.call", "tasks_overdue"],
    "columns": {"person": "who", "date": "day", "metric": "metric", "value": "value"},
}


def connector(
    folder: Path, files: Mapping[str, str | bytes], raw: dict[str, Any], **keys: Any
) -> SpreadsheetConnector:
    for name, content in {"people.csv": PEOPLE, **files}.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    keys.setdefault("settle", timedelta(0))
    keys.setdefault("clock", FakeClock(NOON))
    return SpreadsheetConnector(check_mapping(raw), folder, **keys)


def collect(source: SpreadsheetConnector, since: date = DAY, through: date = DAY) -> Collected:
    async def ask() -> list[Collected]:
        return [part async for part in source.collect(Window(since, through), frozenset(METRICS))]

    parts = asyncio.run(ask())
    return Collected(
        tuple(fact for part in parts for fact in part.facts),
        tuple(row for part in parts for row in part.coverage),
        tuple(fault for part in parts for fault in part.faults),
        {key: count for part in parts for key, count in part.notes.items()},
        parts[-1].fingerprint,
    )


def users(source: SpreadsheetConnector) -> tuple[dict[str, CrmUser], Sequence[RowFault]]:
    found, faults = asyncio.run(source.users(DAY))
    return {user.crm_id: user for user in found}, faults


def values(collected: Collected, who: str = "jonas@example.com", day: date = DAY) -> dict[str, float]:
    return next((dict(f.values) for f in collected.facts if (f.crm_id, f.day) == (who, day)), {})


def statuses(collected: Collected, day: date = DAY) -> dict[str, tuple[CoverageStatus, str]]:
    return {row.metric: (row.status, row.detail) for row in collected.coverage if row.day == day}


# --- what files look like ------------------------------------------------------------------------------------------

ROW = "D1;Jonas Weber;2026-11-01;Won;2026-11-18;Café;1054\n"
HEADER = DEALS.replace(",", ";")


@pytest.mark.parametrize(
    "content",
    [
        (HEADER + ROW).replace(";", ","),
        HEADER + ROW,
        (HEADER + ROW).replace(";", "\t"),
        (HEADER + ROW).replace(";", "|"),
        "\ufeff" + HEADER + ROW,
        "sep=;\r\n" + (HEADER + ROW).replace("\n", "\r\n"),
        (HEADER + ROW).encode("utf-16"),
        HEADER + ROW + "\n\n;;;;;;\n  ;\t\n"[:12],
        HEADER.upper() + ROW.replace("Jonas Weber", "  JONAS@example.com "),
        HEADER.replace("account", " Account ") + ROW.replace("Jonas Weber", "jonas  weber"),
    ],
    ids=["comma", "semicolon", "tab", "pipe", "bom", "sep", "utf-16", "blank", "case", "space"],
)
def test_a_file_is_read_however_it_is_written(tmp_path: Path, content: str | bytes) -> None:
    source = connector(tmp_path, {"deals.csv": content}, raw_mapping(opportunities=OPPORTUNITIES))
    collected = collect(source)
    assert collected.faults == ()
    assert values(collected)["won_amount"] == 1054
    assert values(collected)["step_moves"] == 1


def test_a_declared_encoding_and_decimal_comma(tmp_path: Path) -> None:
    raw = raw_mapping(opportunities={**OPPORTUNITIES, "encoding": "cp1252", "decimal": ","})
    content = (HEADER + ROW.replace("1054", "1.054,50") + "D2;Jonas Weber;2026-11-01;Open;;Café;\n").encode(
        "cp1252"
    )
    source = connector(tmp_path, {"deals.csv": content}, raw)
    assert values(collect(source))["won_amount"] == 1054.5
    _, records = asyncio.run(source.evidence("opps_open", ["jonas@example.com"], 5, DAY))["jonas@example.com"]
    assert records[0].details["account"] == "Café"


def test_an_undeclared_encoding_costs_the_rows_that_it_spoils(tmp_path: Path) -> None:
    content = (HEADER + ROW.replace("Café", "Isdom") + ROW.replace("D1", "D2")).encode("cp1252")
    collected = collect(connector(tmp_path, {"deals.csv": content}, raw_mapping(opportunities=OPPORTUNITIES)))
    assert values(collected)["won_count"] == 1
    [fault] = collected.faults
    assert (fault.file, fault.row) == ("deals.csv", 3)
    assert "declare the encoding" in fault.reason


def workbook(path: Path, rows: Sequence[Sequence[object]], title: str = "Deals") -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    book.save(path)


def test_a_workbook_with_real_dates_day_numbers_and_numbers_as_ids(tmp_path: Path) -> None:
    workbook(
        tmp_path / "deals.xlsx",
        [
            DEALS.strip().split(","),
            [100000.0, "Jonas Weber", datetime(2026, 11, 1, 9, 30), "Won", 46344, "Isdom", 1054.5],
            ["D2", "Jonas Weber", "2026-11-02", "Open", None, None, None],
            [None] * 7,
        ],
    )
    raw = raw_mapping(opportunities={**OPPORTUNITIES, "file": "deals.xlsx", "sheet": "Deals"})
    source = connector(tmp_path, {}, raw)
    collected = collect(source)
    assert collected.faults == ()
    assert date.fromordinal(date(1899, 12, 30).toordinal() + 46344) == DAY
    assert values(collected)["won_amount"] == 1054.5
    assert values(collected)["opps_missing_account"] == 1
    found = asyncio.run(source.evidence("opps_open", ["jonas@example.com"], 5, date(2026, 11, 17)))
    assert {record.id for record in found["jonas@example.com"][1]} == {"100000", "D2"}


def test_a_sheet_that_is_not_there_is_named(tmp_path: Path) -> None:
    workbook(tmp_path / "deals.xlsx", [DEALS.strip().split(",")], title="Sheet7")
    raw = raw_mapping(opportunities={**OPPORTUNITIES, "file": "deals.xlsx", "sheet": "Deals"})
    [fault] = collect(connector(tmp_path, {}, raw)).faults
    assert "there is no sheet 'Deals'; there are 'Sheet7'" in fault.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not a workbook", "no readable workbook"),
        (b"", "no readable workbook"),
    ],
)
def test_a_workbook_that_is_none_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    raw = raw_mapping(opportunities={**OPPORTUNITIES, "file": "deals.xlsx"})
    collected = collect(connector(tmp_path, {"deals.xlsx": content}, raw))
    assert reason in collected.faults[0].reason
    assert statuses(collected)["opps_open"][0] is CoverageStatus.ERROR


# --- bad rows ------------------------------------------------------------------------------------------------------


def test_every_bad_row_is_named_with_line_column_and_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = [f"G{n},Jonas Weber,2026-11-18,Open,,Isdom,\n" for n in range(200)]
    bad = [
        ("B1,Nobody Known,2026-11-01,Open,,,\n", "owner", "not in the people table"),
        ("B2,Jonas Weber,03/04/2026,Open,,,\n", "begun", "two ways"),
        ("B3,Jonas Weber,2026-11-01,Stalled,,,\n", "stage", "add it to [opportunities.steps]"),
        ("B4,Jonas Weber,2026-11-01,Won,,,100\n", "ended", "nobody knows since when"),
        ("B5,Jonas Weber,2026-11-10,Lost,2026-11-01,,\n", "ended", "closed before it begins"),
        ('B6,Jonas Weber,2026-11-01,Won,2026-11-18,,"1,054"\n', "value", "two ways"),
        ("G7,Jonas Weber,2026-11-01,Open,,,\n", "id", "there already (deals.csv, line 9)"),
        (",Jonas Weber,2026-11-01,Open,,,\n", "id", "no id"),
        ("B9,Jonas Weber,2026-11-01,Open,,Isdom, Inc.,\n", "", "8 columns, more than the 7 headings"),
        ("B10,Jonas We\n", "", "2 columns, fewer than the 7 headings"),
    ]
    content = (
        DEALS
        + "".join(good)
        + "".join(row for row, _, _ in bad)
        + "G200,Ada Brandt,2026-11-18,Open,,Isdom,\n"
    )
    collected = collect(connector(tmp_path, {"deals.csv": content}, raw_mapping(opportunities=OPPORTUNITIES)))
    assert values(collected)["records_created.opportunity"] == 200
    assert values(collected, "ada@example.com")["records_created.opportunity"] == 1
    assert len(collected.faults) == len(bad)
    for at, (fault, (_, field, reason)) in enumerate(zip(collected.faults, bad, strict=True)):
        assert (fault.file, fault.row, fault.field) == ("deals.csv", 202 + at, field)
        assert reason in fault.reason
    assert statuses(collected)["opps_open"][0] is CoverageStatus.OK


def test_a_line_break_in_a_cell_does_not_shift_the_lines(tmp_path: Path) -> None:
    content = DEALS + 'G1,Jonas Weber,2026-11-01,Open,,"two\nlines",\nB1,Nobody,2026-11-01,Open,,,\n'
    [fault] = collect(
        connector(tmp_path, {"deals.csv": content}, raw_mapping(opportunities=OPPORTUNITIES))
    ).faults
    assert fault.row == 4


def test_many_bad_rows_make_the_table_partial(tmp_path: Path) -> None:
    rows = [f"G{n},Jonas Weber,{'2026-11-18' if n % 10 else '18.11.2026'},Open,,,\n" for n in range(100)]
    collected = collect(
        connector(tmp_path, {"deals.csv": DEALS + "".join(rows)}, raw_mapping(opportunities=OPPORTUNITIES))
    )
    status, detail = statuses(collected)["opps_open"]
    assert status is CoverageStatus.PARTIAL
    assert "10 of 100 rows" in detail


def test_faults_are_counted_when_they_are_too_many_to_list(tmp_path: Path) -> None:
    rows = [f"B{n},Nobody,2026-11-01,Open,,,\n" for n in range(1_500)]
    collected = collect(
        connector(tmp_path, {"deals.csv": DEALS + "".join(rows)}, raw_mapping(opportunities=OPPORTUNITIES))
    )
    assert len(collected.faults) == 1_000
    assert collected.notes["further faults, not listed"] == 500


@pytest.mark.parametrize(
    ("header", "field", "reason"),
    [
        ("id,owner,begun,stage,ended,account,value,Owner", "Owner", "there twice"),
        ("id,owner,begun,stage,ended,account", "value", "no such heading; there are 'id', 'owner'"),
        ("", "", "the file is empty"),
    ],
)
def test_a_file_with_wrong_headings_is_refused_as_a_whole(
    tmp_path: Path, header: str, field: str, reason: str
) -> None:
    collected = collect(
        connector(tmp_path, {"deals.csv": header}, raw_mapping(opportunities=OPPORTUNITIES, usage=USAGE))
    )
    fault = next(fault for fault in collected.faults if fault.file == "deals.csv")
    assert fault.field == field
    assert reason in fault.reason
    assert statuses(collected)["opps_open"][0] is CoverageStatus.ERROR


def test_one_of_several_files_being_bad_makes_the_table_partial(tmp_path: Path) -> None:
    files = {"deals-1.csv": DEALS + ROW.replace(";", ","), "deals-2.csv": "nothing,of,it\n"}
    raw = raw_mapping(opportunities=opportunities(file="deals-*.csv"))
    collected = collect(connector(tmp_path, files, raw))
    assert values(collected)["won_count"] == 1
    assert statuses(collected)["won_count"][0] is CoverageStatus.PARTIAL


def test_a_quotation_mark_that_never_ends_loses_no_row_before_it(tmp_path: Path) -> None:
    content = DEALS + ROW.replace(";", ",") + 'D2,"Jonas Weber,' + "x" * (1 << 20) + "\n"
    collected = collect(connector(tmp_path, {"deals.csv": content}, raw_mapping(opportunities=OPPORTUNITIES)))
    assert values(collected)["won_count"] == 1
    assert "quotation mark" in collected.faults[0].reason
    assert collected.faults[0].row == 3


# --- people --------------------------------------------------------------------------------------------------------


def test_people_managers_offices_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    people = (
        "name,boss,office,since,days,active\n"
        "Ana Lima,Max Power,North,2026-01-05,Mon-Thu,yes\n"
        "Ána Lima,Max Power,Moon,05/06/2026,Mon-Fri,no\n"
        "Cher,Max Power,North,,,yes\n"
        "Ana Lima,,,,,\n"
        ",,North,,,\n"
        "Api User,,,,,\n"
        "Max Power,Max Power,South,2027-01-01,,TRUE\n"
    )
    raw = raw_mapping(usage=USAGE)
    raw["people"] = {
        "file": "people.csv",
        "email_template": "{first}.{last}@example.com",
        "zones": {"North": "Europe/Oslo", "South": "Europe/Rome"},
        "ignore": ["API user"],
        "columns": {
            "name": "name",
            "manager": "boss",
            "office": "office",
            "access_since": "since",
            "working_days": "days",
            "active": "active",
        },
    }
    found, faults = users(connector(tmp_path, {"people.csv": people}, raw))
    assert list(found) == ["Ana Lima", "Ána Lima", "Cher", "Max Power"]
    ana, other, cher, boss = found.values()
    assert (ana.email, ana.zone, ana.manager, ana.role) == (
        "ana.lima@example.com",
        "Europe/Oslo",
        "Max Power",
        "seller",
    )
    assert (ana.working_days, ana.access_since) == ((0, 1, 2, 3), date(2026, 1, 5))
    assert (other.email, other.zone, other.active) == ("ana.lima@example.com", None, False)
    assert cher.email is None
    # A manager with a row of their own; nobody is their own manager; a day to come is not known yet.
    assert (boss.role, boss.manager, boss.access_since) == ("manager", None, None)
    said = {(fault.row, fault.field): fault for fault in faults}
    assert "no time zone: add it to [people.zones]" in said[3, "office"].reason
    assert "two ways" in said[3, "since"].reason
    assert "is the address of 'Ana Lima' too" in said[3, "name"].reason
    assert "not a first and a last name" in said[4, "name"].reason
    assert "there already (people.csv, line 2)" in said[5, ""].reason
    assert "names nobody" in said[6, "name"].reason
    assert {key for key, fault in said.items() if fault.dropped} == {(5, ""), (6, "name")}


def test_teams_are_who_reports_to_one_manager(tmp_path: Path) -> None:
    people = "name,email,team\nAda Brandt,ada@example.com,\nJo Li,jo@example.com,North\nBo Ek,bo@example.com,Lost\n"
    raw = raw_mapping(usage=USAGE)
    raw["people"] = {
        "file": "people.csv",
        "team_managers": {"North": "ada@example.com"},
        "columns": {"name": "name", "email": "email", "team": "team"},
    }
    found, faults = users(connector(tmp_path, {"people.csv": people}, raw))
    assert (found["jo@example.com"].manager, found["ada@example.com"].role) == ("ada@example.com", "manager")
    assert found["bo@example.com"].manager is None
    assert "add it to [people.team_managers]" in faults[0].reason


def test_a_name_that_two_people_have_is_not_guessed(tmp_path: Path) -> None:
    people = "name,email,boss\nJo Li,jo1@example.com,\nJo Li,jo2@example.com,\n"
    usage = "who,day,metric,value\nJo Li,2026-11-18,activities_completed.call,3\njo2@example.com,2026-11-18,activities_completed.call,4\n"
    collected = collect(
        connector(tmp_path, {"people.csv": people, "usage.csv": usage}, raw_mapping(usage=USAGE))
    )
    assert values(collected, "jo2@example.com")["activities_completed.call"] == 4
    assert "the name of 2 people" in collected.faults[0].reason


# --- the other tables ----------------------------------------------------------------------------------------------


def test_usage_rows_say_what_they_say_and_contradictions_are_faults(tmp_path: Path) -> None:
    usage = (
        "who,day,metric,value\n"
        "Jonas Weber,2026-11-18,activities_completed.call,3\n"
        "Jonas Weber,2026-11-18,activities_completed.call,3\n"
        "Jonas Weber,2026-11-18,activities_completed.call,4\n"
        "Jonas Weber,2026-11-18,tasks_overdue,2\n"
        "Jonas Weber,2026-11-17,tasks_overdue,9\n"
        "Jonas Weber,2026-11-18,won_count,1\n"
        "Jonas Weber,2026-11-18,activities_completed.call,-1\n"
        "Jonas Weber,,activities_completed.call,1\n"
    )
    source = connector(tmp_path, {"usage-1.csv": usage}, raw_mapping(usage=USAGE))
    collected = collect(source, date(2026, 11, 17))
    assert values(collected) == {"activities_completed.call": 3, "tasks_overdue": 2}
    assert values(collected, day=date(2026, 11, 17)) == {}  # a state is told for the last day only
    assert collected.notes == {"repeated rows": 1}
    assert [(fault.row, fault.field) for fault in collected.faults] == [
        (7, "metric"),
        (8, "value"),
        (9, "day"),
        (4, "value"),
    ]
    assert "have another number in usage-1.csv, line 2" in collected.faults[-1].reason
    assert asyncio.run(source.evidence("tasks_overdue", ["jonas@example.com"], 5, DAY)) == {
        "jonas@example.com": (2, ())
    }
    assert statuses(collected)["won_count"] == (CoverageStatus.UNSUPPORTED, "no mapped column says it")


def test_activities_and_logins_become_counts_and_days(tmp_path: Path) -> None:
    activities = (
        "id,who,when,what,deal\n"
        "1,Jonas Weber,2026-11-18 09:00:00,Phone,D1\n"
        "2,Jonas Weber,2026-11-18,Phone,\n"
        "2,Jonas Weber,2026-11-18,Phone,\n"
        "3,Jonas Weber,2026-11-18,Note,D1\n"
        "4,Jonas Weber,2026-11-18,Fax,D1\n"
    )
    logins = "who,when\nJonas Weber,2026-11-18T08:00:00\nJonas Weber,2026-11-18T17:00:00\n"
    deals = DEALS + "D1,Jonas Weber,2026-09-01,Open,,,\nD2,Jonas Weber,2026-09-01,Open,,,\n"
    raw = raw_mapping(
        opportunities=OPPORTUNITIES,
        activities={
            "file": "acts.csv",
            "columns": {"id": "id", "person": "who", "date": "when", "kind": "what", "opportunity": "deal"},
            "kinds": {"Phone": "call", "Note": "ignore"},
        },
        logins={"file": "logins.csv", "columns": {"person": "who", "date": "when"}},
    )
    source = connector(tmp_path, {"acts.csv": activities, "logins.csv": logins, "deals.csv": deals}, raw)
    collected = collect(source)
    assert values(collected)["activities_completed.call"] == 2
    assert values(collected)["active_day"] == 1
    assert values(collected)["opps_no_activity_30d"] == 1
    assert (
        values(collect(source, through=date(2026, 11, 17), since=date(2026, 11, 17)), day=date(2026, 11, 17))[
            "opps_no_activity_30d"
        ]
        == 2
    )
    assert statuses(collected)["activities_completed.meeting"][0] is CoverageStatus.UNSUPPORTED
    assert [fault.row for fault in collected.faults] == [6]


def test_what_is_wrong_with_open_deals(tmp_path: Path) -> None:
    header = "id,owner,begun,stage,due,amount,next,moved,touched\n"
    rows = [
        "A,Jonas Weber,2026-09-01,Open,2026-11-01,100,call back,2026-11-10,2026-11-17\n",
        "B,Jonas Weber,2026-09-01,Open,2026-12-01,,,2026-09-10,2026-10-01\n",
        "C,Jonas Weber,2026-11-01,Open,,50,,,2026-12-24\n",
    ]
    raw = raw_mapping(
        opportunities={
            "file": "deals.csv",
            "steps": {"Open": "open"},
            "columns": {
                "id": "id",
                "owner": "owner",
                "created": "begun",
                "step": "stage",
                "expected_close": "due",
                "amount": "amount",
                "next_step": "next",
                "step_since": "moved",
                "last_activity": "touched",
            },
        }
    )
    source = connector(
        tmp_path, {"deals.csv": header + "".join(rows)}, raw, record_link="https://crm.example/{id}"
    )
    found = values(collect(source))
    assert found == {
        "opps_open": 3,
        "opps_open_long": 0,
        "opps_past_close": 1,
        "opps_no_next_step": 2,
        "opps_no_activity_30d": 1,
        "opps_stuck_step": 1,
        "opps_missing_amount": 1,
        "pipeline_amount": 150,
    }
    count, records = asyncio.run(source.evidence("opps_stuck_step", ["jonas@example.com"], 1, DAY))[
        "jonas@example.com"
    ]
    assert (count, records[0].id, records[0].link) == (1, "B", "https://crm.example/B")
    assert records[0].details["days_in_step"] == "69"
    assert records[0].details["step"] == "Open"
    _, records = asyncio.run(source.evidence("opps_past_close", ["jonas@example.com"], 1, DAY))[
        "jonas@example.com"
    ]
    assert records[0].details["close_date"] == "2026-11-01"
    _, records = asyncio.run(source.evidence("opps_no_next_step", ["jonas@example.com"], 5, DAY))[
        "jonas@example.com"
    ]
    assert [record.id for record in records] == ["B", "C"]  # worst first


def test_a_new_deal_has_a_week_before_what_it_lacks_is_counted(tmp_path: Path) -> None:
    header = "id,owner,begun,stage,account,amount,next\n"
    columns = {"id": "id", "owner": "owner", "created": "begun", "step": "stage"} | {
        "account": "account",
        "amount": "amount",
        "next_step": "next",
    }
    raw = raw_mapping(
        opportunities={"file": "deals.csv", "steps": {"Open": "open"}, "columns": columns, "values": {}}
    )
    source = connector(tmp_path, {"deals.csv": header + "A,Jonas Weber,2026-11-11,Open,,,\n"}, raw)
    lacks = ("opps_missing_account", "opps_missing_amount", "opps_no_next_step")
    for day, count in ((date(2026, 11, 17), 0), (date(2026, 11, 18), 1)):
        found = values(collect(source, since=day, through=day), day=day)
        assert {key: found[key] for key in lacks} == dict.fromkeys(lacks, count)
        for key in lacks:
            assert len(asyncio.run(source.evidence(key, ["jonas@example.com"], 5, day))) == count
    assert asyncio.run(source.figures()).open_without_account == 1


def test_a_country_without_known_holidays_is_named_and_the_programme_s_counts(tmp_path: Path) -> None:
    people = (
        "name,email,country\n"
        "Ada Marsh,ada@example.com,Germany\n"
        "Ben Okafor,ben@example.com,de-by\n"
        "Cem Kaya,cem@example.com,DE-XX\n"
        "Dia Roy,dia@example.com,\n"
    )
    raw = raw_mapping(usage=USAGE)
    raw["people"]["columns"] = {"name": "name", "email": "email", "country": "country"}
    found, faults = users(connector(tmp_path, {"people.csv": people}, raw))
    assert [user.country for user in found.values()] == [None, "DE-BY", None, None]
    said = {(fault.row, fault.field, fault.dropped): fault.reason for fault in faults}
    assert said.keys() == {(2, "country", False), (4, "country", False)}
    assert "no public holidays are known for 'Germany'" in said[2, "country", False]
    assert "regions of DE: BB" in said[4, "country", False]


def deals_without(*columns: str) -> dict[str, object]:
    """The mapping of a deal table that has only what every one has, and ``moved``, unless it is left out."""
    mapped = {"id": "id", "owner": "owner", "created": "begun", "step": "stage", "step_since": "moved"}
    kept = {field: heading for field, heading in mapped.items() if field not in columns}
    return {"file": "deals.csv", "steps": {"Open": "open"}, "columns": kept}


def test_nobody_is_told_that_a_deal_is_stuck_where_no_column_says_since_when(tmp_path: Path) -> None:
    files = {"deals.csv": "id,owner,begun,stage,moved\nA,Jonas Weber,2026-01-05,Open,\n"}
    source = connector(tmp_path, files, raw_mapping(opportunities=deals_without("step_since")))
    collected = collect(source)
    assert statuses(collected)["opps_stuck_step"][0] is CoverageStatus.UNSUPPORTED
    assert "opps_stuck_step" not in values(collected)
    assert asyncio.run(source.evidence("opps_stuck_step", ["jonas@example.com"], 1, DAY)) == {}


def test_a_deal_without_the_day_of_its_step_is_not_counted_as_stuck(tmp_path: Path) -> None:
    rows = "A,Jonas Weber,2026-01-05,Open,\nB,Jonas Weber,2026-01-05,Open,2026-02-01\n"
    files = {"deals.csv": "id,owner,begun,stage,moved\n" + rows}
    source = connector(tmp_path, files, raw_mapping(opportunities=deals_without()))
    assert values(collect(source))["opps_stuck_step"] == 1
    found = asyncio.run(source.evidence("opps_stuck_step", ["jonas@example.com"], 5, DAY))
    count, records = found["jonas@example.com"]
    assert (count, [record.id for record in records]) == (1, ["B"])


def test_open_longer_than_ones_own_usual_needs_five_won_deals(tmp_path: Path) -> None:
    won = [
        f"W{n},Jonas Weber,2026-01-01,Won,{date(2026, 1, 1) + timedelta(days=10 * n)},,1\n"
        for n in range(1, 6)
    ]
    open_ = ["O1,Jonas Weber,2026-10-09,Open,,,\n", "O2,Jonas Weber,2026-10-08,Open,,,\n"]
    for count, expected in ((4, 0), (5, 1)):
        content = DEALS + "".join(won[:count]) + "".join(open_)
        source = connector(tmp_path, {"deals.csv": content}, raw_mapping(opportunities=OPPORTUNITIES))
        # Won after 10, 20, 30, 40 and 50 days: three quarters of them within 40 days. O1 is 40 days old, O2 is 41.
        assert values(collect(source))["opps_open_long"] == expected


# --- files in motion -----------------------------------------------------------------------------------------------


def test_a_file_that_is_still_written_is_left_alone_until_it_lies_still(tmp_path: Path) -> None:
    clock = FakeClock(NOON)
    raw = raw_mapping(opportunities=OPPORTUNITIES)
    source = connector(
        tmp_path, {"deals.csv": DEALS + ROW.replace(";", ",")}, raw, clock=clock, settle=timedelta(seconds=10)
    )
    for name in ("people.csv", "deals.csv"):
        os.utime(tmp_path / name, (NOON.timestamp() - 3, NOON.timestamp() - 3))
    with pytest.raises(Retryable, match="still being written"):
        users(source)
    clock.move(timedelta(seconds=8))
    assert values(collect(source))["won_count"] == 1
    # More is written: what was read stays in force, then the new rows come.
    fingerprint = collect(source).fingerprint
    with (tmp_path / "deals.csv").open("a") as file:
        file.write("D9,Jonas Weber,2026-11-01,Won,2026-11-18,,7\n")
    later = clock.now().timestamp()
    os.utime(tmp_path / "deals.csv", (later, later))
    assert values(collect(source))["won_count"] == 1
    clock.move(timedelta(seconds=11))
    assert values(collect(source))["won_count"] == 2
    assert collect(source).fingerprint != fingerprint


def test_two_looks_settle_a_file_from_a_machine_whose_clock_is_ahead(tmp_path: Path) -> None:
    clock = FakeClock(NOON - timedelta(days=365))
    source = connector(tmp_path, {}, raw_mapping(usage=USAGE), clock=clock, settle=timedelta(seconds=10))
    with pytest.raises(Retryable):
        users(source)
    clock.move(timedelta(seconds=10))
    assert len(users(source)[0]) == 2


@pytest.mark.parametrize("lock", [fcntl.flock, fcntl.lockf])
def test_a_locked_file_is_left_alone(tmp_path: Path, lock: Any) -> None:
    source = connector(tmp_path, {"usage.csv": "who,day,metric,value\n"}, raw_mapping(usage=USAGE))
    holder = os.fork() if lock is fcntl.lockf else None
    ready, release = tmp_path / "ready", tmp_path / "release"
    if holder == 0:  # a POSIX lock is of a process: another one has to hold it
        try:
            with (tmp_path / "usage.csv").open("r+") as file:
                fcntl.lockf(file, fcntl.LOCK_EX)
                ready.touch()
                while not release.exists():
                    pass
        finally:
            os._exit(0)
    if holder is not None:
        while not ready.exists():
            pass
        with pytest.raises(Retryable):
            users(source)
        release.touch()
        os.waitpid(holder, 0)
    else:
        with (tmp_path / "usage.csv").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(Retryable):
                users(source)
    assert len(users(source)[0]) == 2


def test_lock_files_and_downloads_are_no_files(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "deals.csv": DEALS + ROW.replace(";", ","),
        "~$deals.xlsx": b"lock",
        "deals2.csv.part": "half",
        "deals3.tmp": "half",
        ".~lock.deals.csv#": "lock",
    }
    collected = collect(
        connector(tmp_path, files, {**raw_mapping(), "opportunities": opportunities(file="*deals*.csv")})
    )
    assert collected.faults == ()
    assert values(collected)["won_count"] == 1


def test_no_file_yet_is_worth_waiting_for(tmp_path: Path) -> None:
    source = connector(tmp_path, {}, raw_mapping(opportunities=OPPORTUNITIES))
    collected = collect(source)
    assert statuses(collected)["opps_open"] == (
        CoverageStatus.ERROR,
        f"deals.csv was not read: no file is called deals.csv in {tmp_path}: put it there, or correct [opportunities] file",
    )
    (tmp_path / "people.csv").unlink()
    empty = SpreadsheetConnector(check_mapping(raw_mapping(usage=USAGE)), tmp_path, settle=timedelta(0))
    with pytest.raises(Retryable, match=r"no file is called people\.csv"):
        users(empty)


def test_people_without_a_usable_heading_is_for_the_admin(tmp_path: Path) -> None:
    source = connector(tmp_path, {"people.csv": "x,y\n1,2\n"}, raw_mapping(usage=USAGE))
    with pytest.raises(Permanent, match="no such heading"):
        users(source)


def test_a_day_after_the_last_export_is_not_known(tmp_path: Path) -> None:
    raw = raw_mapping(opportunities=OPPORTUNITIES)
    raw["source"] = {"name": "test", "lag_days": 1}
    source = connector(tmp_path, {"deals.csv": DEALS + ROW.replace(";", ",")}, raw)
    written = datetime(2026, 11, 18, 3, 0, tzinfo=UTC).timestamp()
    os.utime(tmp_path / "deals.csv", (written, written))
    collected = collect(source, date(2026, 11, 17), DAY)
    assert statuses(collected, date(2026, 11, 17))["won_count"][0] is CoverageStatus.OK
    status, detail = statuses(collected, DAY)["won_count"]
    assert status is CoverageStatus.PARTIAL
    assert "last written on 2026-11-18: 2026-11-18 is not in it yet" in detail


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    files = {"deals.csv": DEALS + ROW.replace(";", ",")}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    raw = raw_mapping(opportunities=OPPORTUNITIES)
    one, two = connector(tmp_path / "one", files, raw), connector(tmp_path / "two", files, raw)
    assert repr(collect(one)) == repr(collect(two))


# --- mappings ------------------------------------------------------------------------------------------------------


def faults_of(raw: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        check_mapping(raw)
    return refused.value.faults


def test_every_fault_of_a_mapping_is_told_at_once_with_what_to_write() -> None:
    raw = {
        "source": {"name": "My CRM", "zone": "Mars/Olympus", "lag": 1},
        "people": {"file": "../people.csv", "columns": {"email": "E-Mail"}, "default_role": "boss"},
        "opportunities": {
            "file": "deals.ods",
            "date_format": "dd.mm.yy",
            "encoding": "klingon",
            "columns": {"id": "Id", "owner": "Owner", "created": "Created", "step": "Stage"},
            "steps": {"Won": "won"},
            "title": ["{produkt}"],
            "values": {"product": {"a": "b"}},
        },
        "usage": {**USAGE, "metrics": ["calls"]},
    }
    said = "\n".join(faults_of(raw))
    for part in (
        "[source] lag is not a known key; known are name, lag_days, zone, coverage, record_link",
        "[people.columns] name is missing: write the heading of the names",
        "only .csv, .tsv, .txt and .xlsx are read",
        "[opportunities] date_format: 'dd.mm.yy' is no date format",
        "encoding = 'klingon' is unknown",
        "{produkt} cannot be used",
        "[opportunities.values.product]: product is not in [opportunities.columns]",
        "[opportunities.columns] closed is missing",
        "'calls' is no metric",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"source": {"name": "My CRM"}}, "use lower-case letters"),
        ({"source": {"name": "x", "zone": "Mars/Olympus"}}, "no IANA time zone"),
        ({"source": {"name": "x", "lag_days": "1"}}, "[source] lag_days = '1' is not allowed"),
        ({"source": {"name": "x", "coverage": "all"}}, 'write coverage = "written" or coverage = "complete"'),
        ({"source": {"name": "x", "record_link": "https://crm"}}, "a web address with {id}"),
        ({"usage": {**USAGE, "file": "/etc/passwd.csv"}}, "inside the data folder"),
        ({"usage": None}, "[usage]"),
        ({"unsupported": [{"metrics": ["nope*"], "reason": "x"}]}, "'nope*' is no metric"),
        ({"unsupported": [{"metrics": ["opps_open"]}]}, "reason"),
        ({"people": {"file": "p.csv", "columns": {"name": "n"}}}, "nobody has an e-mail address"),
        (
            {"people": {"file": "p.csv", "columns": {"name": "n"}, "email_template": "{vorname}@x.com"}},
            "write an address with {first}",
        ),
        (
            {
                "people": {
                    "file": "p.csv",
                    "columns": {"name": "n", "email": "e"},
                    "zones": {"N": "Europe/Oslo"},
                }
            },
            "map office",
        ),
        (
            {
                "people": {
                    "file": "p.csv",
                    "columns": {"name": "n", "email": "e", "office": "o"},
                    "countries": {"N": "XX"},
                }
            },
            "[people.countries] 'N': no public holidays are known for 'XX'",
        ),
        (
            {"people": {"file": "p.csv", "columns": {"name": "n", "email": "e", "team": "t"}}},
            "[people.team_managers] is missing",
        ),
        ({"opportunities": OPPORTUNITIES, "usage": {**USAGE, "metrics": ["won_count"]}}, "counted twice"),
    ],
)
def test_a_fault_of_a_mapping_says_what_to_write(change: dict[str, Any], part: str) -> None:
    raw = raw_mapping(usage=USAGE) | change
    if raw["usage"] is None:
        del raw["usage"]
    assert any(part in fault for fault in faults_of(raw))


def test_a_mapping_file_that_is_missing_or_no_toml_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no file"):
        load_mapping(tmp_path / "mapping.toml")
    (tmp_path / "mapping.toml").write_text("[source\n")
    with pytest.raises(ConfigurationError, match="it is no TOML"):
        load_mapping(tmp_path / "mapping.toml")


@pytest.mark.parametrize("name", ["maven", "usage-rows"])
def test_the_examples_are_good_mappings(repository: Path, name: str) -> None:
    assert isinstance(load_mapping(repository / "examples" / name / "mapping.toml"), SpreadsheetMapping)


def test_the_small_example_can_be_imported(repository: Path) -> None:
    folder = repository / "examples/usage-rows"
    source = SpreadsheetConnector(load_mapping(folder / "mapping.toml"), folder, settle=timedelta(0))
    collected = collect(source, date(2026, 11, 16))
    assert collected.faults == ()
    assert values(collected, "lea.martin@example.com", date(2026, 11, 16)) == {"activities_completed.call": 6}
    assert values(collected, "jonas.weber@example.com") == {"tasks_overdue": 5}
