"""One cell of a spreadsheet: read, or refused with what to declare; never guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.connectors.spreadsheet.cells import BadCell, DateReader, date_pattern, identifier, number, text
from bot.connectors.spreadsheet.roster import fill_email, working_days

BERLIN = ZoneInfo("Europe/Berlin")


def day(cell: object, date_format: str | None = None) -> date | None:
    found = DateReader(date_format, BERLIN)(cell)
    return None if found is None else date.fromordinal(found)


@pytest.mark.parametrize(
    ("cell", "date_format", "expected"),
    [
        ("2017-03-04", None, date(2017, 3, 4)),
        (" 2017-03-04 ", None, date(2017, 3, 4)),
        ("2017-03-04T09:30:00", None, date(2017, 3, 4)),
        ("2017-03-04 23:30:00+00:00", None, date(2017, 3, 5)),  # half past midnight in Berlin
        ("2017-03-04T23:30:00Z", None, date(2017, 3, 5)),
        (datetime(2017, 3, 4, 23, 59), None, date(2017, 3, 4)),
        (datetime(2017, 3, 4, 23, 59, tzinfo=UTC), None, date(2017, 3, 5)),
        (date(2017, 3, 4), None, date(2017, 3, 4)),
        (42798.0, None, date(2017, 3, 4)),  # Excel's day number, in a workbook
        (42798, "DD/MM/YYYY", date(2017, 3, 4)),
        ("42798", "excel", date(2017, 3, 4)),
        ("42798.75", "excel", date(2017, 3, 4)),
        ("03/04/2017", "DD/MM/YYYY", date(2017, 4, 3)),
        ("03/04/2017", "MM/DD/YYYY", date(2017, 3, 4)),
        ("3.4.17", "DD.MM.YY", date(2017, 4, 3)),
        ("4 Mar 2017", "D Mon YYYY", date(2017, 3, 4)),
        ("4-March-2017", "D-Mon-YYYY", date(2017, 3, 4)),
        ("03/04/2017 11:59 PM", "MM/DD/YYYY", date(2017, 3, 4)),
        ("20170304", "YYYYMMDD", date(2017, 3, 4)),
        ("", None, None),
        ("   ", "DD/MM/YYYY", None),
        (None, None, None),
    ],
)
def test_a_date_is_read_as_declared(cell: object, date_format: str | None, expected: date | None) -> None:
    assert day(cell, date_format) == expected


@pytest.mark.parametrize(
    ("cell", "date_format", "reason"),
    [
        ("03/04/2017", None, "two ways"),
        ("25/04/2017", None, "no ISO date"),
        ("42798", None, 'declare date_format = "excel"'),
        ("2017-02-30", None, "is no date"),
        ("31/02/2017", "DD/MM/YYYY", "is no date"),
        ("04/25/2017", "DD/MM/YYYY", "is no date"),
        ("2017-03-04", "DD/MM/YYYY", "declared date_format"),
        ("4 Foo 2017", "D Mon YYYY", "no English month"),
        (7.0, None, "no day number"),
        ("tomorrow", None, "no ISO date"),
        (True, None, "is no date"),
    ],
)
def test_a_date_that_is_unclear_is_refused(cell: object, date_format: str | None, reason: str) -> None:
    with pytest.raises(BadCell, match=reason):
        day(cell, date_format)


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(2068, 12, 31)))
def test_a_date_written_as_declared_comes_back(when: date) -> None:
    assert day(when.isoformat()) == when
    assert day(when.strftime("%d/%m/%Y"), "DD/MM/YYYY") == when
    assert day(when.strftime("%m/%d/%y"), "MM/DD/YY") == when


@pytest.mark.parametrize("wrong", ["", "DD/MM", "YYYY-YYYY-DD", "dd/mm/yyyy", "%d/%m/%Y"])
def test_a_date_format_names_day_month_and_year_once(wrong: str) -> None:
    with pytest.raises(ValueError, match="no date format"):
        date_pattern(wrong)


@pytest.mark.parametrize(
    ("cell", "decimal", "expected"),
    [
        ("1054", None, 1054),
        ("1054.5", None, 1054.5),
        ("1,054", ".", 1054),
        ("1,054.50", ".", 1054.5),
        ("1.054,50", ",", 1054.5),
        ("1.054", ",", 1054),
        ("1054,5", ",", 1054.5),
        ("1 054,50 €", ",", 1054.5),
        ("1 054,50", ",", 1054.5),
        ("$1,054", ".", 1054),
        ("-3", None, -3),
        ("1e3", None, 1000),
        (12, None, 12),
        (12.5, ",", 12.5),
        ("", None, None),
        (None, None, None),
    ],
)
def test_a_number_is_read_as_declared(cell: object, decimal: str | None, expected: float | None) -> None:
    assert number(cell, decimal) == expected


@pytest.mark.parametrize(
    ("cell", "decimal", "reason"),
    [
        ("1,054", None, "two ways"),
        ("10,54", ".", "no number"),
        ("10.54", ",", "no number"),
        ("n/a", None, "no number"),
        ("1e999", None, "too large"),
        ("nan", None, "no number"),
        (float("inf"), None, "not finite"),
        (True, None, "no number"),
        ("#DIV/0!", None, "Excel's error"),
    ],
)
def test_a_number_that_is_unclear_is_refused(cell: object, decimal: str | None, reason: str) -> None:
    with pytest.raises(BadCell, match=reason):
        number(cell, decimal)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1e+05", "100000"),
        ("1E+05", "100000"),
        ("2.00E+11", "200000000000"),
        (100000.0, "100000"),
        (7, "7"),
        ("00123", "00123"),
        ("NA", "NA"),
        ("  A 1 ", "A 1"),
    ],
)
def test_an_id_stays_what_it_was(cell: object, expected: str) -> None:
    assert identifier(cell) == expected


def test_an_id_that_excel_has_shortened_is_refused() -> None:
    with pytest.raises(BadCell, match="digits are lost"):
        identifier("1.23457E+11")


def test_text_keeps_what_looks_like_nothing() -> None:
    assert [text(cell) for cell in ("NA", "None", " Ada\u00a0 Brandt ", None, 3.0, 2.5, True)] == [
        "NA",
        "None",
        "Ada Brandt",
        "",
        "3",
        "2.5",
        "TRUE",
    ]


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("{first}.{last}@example.com", "Mei-Mei Johns", "mei-mei.johns@example.com"),
        ("{first}.{last}@Example.com", "Zoë O'Brien", "zoe.obrien@example.com"),
        ("{f}{last}@example.com", "José García Márquez", "jgarciamarquez@example.com"),
        ("{first}.{last}@example.com", "Łukasz Groß", "lukasz.gross@example.com"),
        ("{first}.{last}@example.com", "Lovelace, Ada", "ada.lovelace@example.com"),
        ("{id}@example.com", "Ada Lovelace", "x7@example.com"),
    ],
)
def test_an_address_is_made_from_a_name(template: str, name: str, expected: str) -> None:
    assert fill_email(template, name, "X7") == expected


@pytest.mark.parametrize(
    ("name", "plain", "german"),
    [
        ("Jürgen Groß", "jurgen.gross", "juergen.gross"),
        ("Ju\u0308rgen Groß", "jurgen.gross", "juergen.gross"),  # the umlaut as two characters
        ("Änne Öztürk", "anne.ozturk", "aenne.oeztuerk"),
        ("Zoë O'Brien", "zoe.obrien", "zoe.obrien"),
    ],
)
def test_umlauts_are_written_as_the_company_writes_them(name: str, plain: str, german: str) -> None:
    template = "{first}.{last}@example.com"
    assert fill_email(template, name, "1") == f"{plain}@example.com"
    assert fill_email(template, name, "1", "german") == f"{german}@example.com"


@pytest.mark.parametrize("name", ["Cher", "山田 太郎"])
def test_no_address_is_made_up(name: str) -> None:
    with pytest.raises(BadCell):
        fill_email("{first}.{last}@example.com", name, "1")


def test_working_days_are_ranges_or_lists() -> None:
    assert working_days("Mon-Thu") == (0, 1, 2, 3)
    assert working_days("Monday, Tue; fri") == (0, 1, 4)
    for wrong in ("Fri-Mon", "Foo", "Mon-Tue-Wed"):
        with pytest.raises(BadCell):
            working_days(wrong)
