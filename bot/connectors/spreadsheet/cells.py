"""One cell of a spreadsheet -> one value. Nothing is guessed: what can be read in two ways is refused, with what to declare."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

Cell = str | int | float | bool | datetime | date | object | None
"""What the csv module (text) or openpyxl (Python values) hands over."""

EXCEL_ERRORS = frozenset({"#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NULL!", "#NUM!", "#####"})
_SHORTENED = re.compile(r"^(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})$")
_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
_GROUPED = {
    ".": re.compile(r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$"),
    ",": re.compile(r"^[+-]?\d{1,3}(\.\d{3})+(,\d*)?$"),
}
_ISO = re.compile(r"^(\d{4})-(\d{2})-(\d{2})(?:[T ](.+))?$")
_FIRST_SERIAL, _LAST_SERIAL = 20_000, 80_000
"""Excel's day numbers from 1954 to 2119: other numbers in a date column are no dates."""
_EPOCH_1900: Final = date(1899, 12, 30)
EXCEL_DATE_FORMAT = "excel"


class BadCell(ValueError):
    """A cell that cannot be used. The message says why, and what to declare in the mapping if that would help."""


def text(cell: Cell) -> str:
    """Trimmed text with single spaces; "" for an empty cell. "NA" and "None" are text like any other."""
    if isinstance(cell, str):
        value = " ".join(cell.split())
        if value in EXCEL_ERRORS:
            raise BadCell(f"the cell holds Excel's error {value}")
        return value
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, (datetime, date)):
        return cell.isoformat()
    return str(cell)


def identifier(cell: Cell) -> str:
    """An id as text. ``1e+05`` is 100000; ``1.23457E+11`` is refused: Excel has thrown digits away."""
    value = text(cell)
    shortened = _SHORTENED.match(value)
    if shortened is None:
        return value
    digits, exponent = shortened[2] or "", int(shortened[3])
    if digits.strip("0"):
        raise BadCell(f"{value!r} is a shortened number, digits are lost: export this column as text")
    return shortened[1] + "0" * exponent


def number(cell: Cell, decimal: str | None = None) -> float | None:
    """A finite number, None for an empty cell. ``decimal``: the declared decimal sign, "." or ",".

    With a declared sign the other one groups thousands. Without, a comma is refused: ``1,054`` has two meanings.
    """
    if isinstance(cell, bool):
        raise BadCell(f"{text(cell)} is no number")
    if isinstance(cell, (int, float)):
        if not math.isfinite(cell):
            raise BadCell("the number is not finite")
        return float(cell)
    raw = text(cell)
    if not raw:
        return None
    value = raw.strip("$€£¥ ").replace(" ", "").replace("\u202f", "").replace("'", "").replace("’", "")
    if decimal is None:
        if "," in value:
            raise BadCell(f'{raw!r} can be read in two ways: declare decimal = "." or decimal = ","')
    elif decimal == ",":
        if "." in value and not _GROUPED[","].match(value):
            raise BadCell(f'{raw!r} is no number with the declared decimal = ","')
        value = value.replace(".", "").replace(",", ".")
    elif "," in value:
        if not _GROUPED["."].match(value):
            raise BadCell(f'{raw!r} is no number with the declared decimal = "."')
        value = value.replace(",", "")
    if not _NUMBER.match(value):
        raise BadCell(f"{raw!r} is no number")
    found = float(value)
    if not math.isfinite(found):
        raise BadCell(f"{raw!r} is too large")
    return found


_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_TOKENS = {
    "YYYY": r"(?P<year>\d{4})",
    "YY": r"(?P<short>\d{2})",
    "Mon": r"(?P<month_name>[A-Za-z]{3})[a-z]*\.?",
    "MM": r"(?P<month>\d{1,2})",
    "M": r"(?P<month>\d{1,2})",
    "DD": r"(?P<day>\d{1,2})",
    "D": r"(?P<day>\d{1,2})",
}
_TOKEN = re.compile("YYYY|YY|Mon|MM|M|DD|D")
_CLOCK = r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp][Mm])?)?"


def date_pattern(date_format: str) -> re.Pattern[str]:
    """The pattern of a declared format such as ``DD/MM/YYYY`` or ``D Mon YY``; a time of day may follow and is dropped.

    Raises ValueError with what is wrong.
    """
    found = _TOKEN.findall(date_format)
    kinds = ["Y" if token[0] == "Y" else "M" if token[0] == "M" else "D" for token in found]
    if sorted(kinds) != ["D", "M", "Y"]:
        raise ValueError(
            f"{date_format!r} is no date format: name day (DD), month (MM or Mon) and year (YYYY or YY) once each, e.g. "
            '"DD/MM/YYYY", "MM/DD/YYYY", "DD.MM.YYYY", or "excel" for Excel\'s day numbers'
        )
    pattern, at = "", 0
    for match in _TOKEN.finditer(date_format):
        pattern += re.escape(date_format[at : match.start()]) + _TOKENS[match[0]]
        at = match.end()
    return re.compile(f"^{pattern}{re.escape(date_format[at:])}{_CLOCK}$")


class DateReader:
    """Reads the dates of one table. Instances remember what they have read: exports repeat the same few hundred days.

    ``date_format``: declared format; None: ISO 8601 only. ``zone``: where an instant with an offset is turned into a day.
    ``epoch``: day 0 of Excel's day numbers in this workbook.
    """

    def __init__(self, date_format: str | None, zone: ZoneInfo, epoch: date = _EPOCH_1900) -> None:
        self._format = date_format
        self._zone = zone
        self._epoch = epoch
        self._serials = date_format == EXCEL_DATE_FORMAT
        self._pattern = date_pattern(date_format) if date_format and not self._serials else None
        self._known: dict[str, int | None] = {"": None}

    def __call__(self, cell: Cell) -> int | None:
        """The day as :meth:`datetime.date.toordinal`, None for an empty cell. Raises BadCell."""
        if isinstance(cell, str):
            try:
                return self._known[cell]
            except KeyError:
                found = self._read(text(cell))
                if len(self._known) < 100_000:
                    self._known[cell] = found
                return found
        if cell is None:
            return None
        if isinstance(cell, datetime):
            return (cell.astimezone(self._zone) if cell.tzinfo else cell).date().toordinal()
        if isinstance(cell, date):
            return cell.toordinal()
        if isinstance(cell, (int, float)) and not isinstance(cell, bool):
            return self._serial(float(cell))
        raise BadCell(f"{text(cell)!r} is no date")

    def _serial(self, value: float) -> int:
        if not _FIRST_SERIAL <= value <= _LAST_SERIAL:
            raise BadCell(f"{value:g} is no day number of Excel's between 1954 and 2119")
        return (self._epoch + timedelta(days=int(value))).toordinal()

    def _read(self, value: str) -> int | None:
        if not value:
            return None
        if self._serials:
            read = number(value, ".")
            assert read is not None
            return self._serial(read)
        if self._pattern is not None:
            match = self._pattern.match(value)
            if match is None:
                raise BadCell(f"{value!r} does not have the declared date_format {self._format!r}")
            return _day(value, match)
        iso = _ISO.match(value)
        if iso is None:
            raise BadCell(_unclear(value))
        try:
            if iso[4] is not None:
                instant = datetime.fromisoformat(value)
                return (instant.astimezone(self._zone) if instant.tzinfo else instant).date().toordinal()
            return date(int(iso[1]), int(iso[2]), int(iso[3])).toordinal()
        except ValueError as error:
            raise BadCell(f"{value!r} is no date: {error}") from error


def _day(value: str, match: re.Match[str]) -> int:
    parts = match.groupdict()
    if parts.get("year"):
        year = int(parts["year"])
    else:
        short = int(parts["short"])
        year = 2000 + short if short < 70 else 1900 + short
    if parts.get("month_name"):
        month = _MONTHS.get(parts["month_name"].lower(), 0)
        if not month:
            raise BadCell(f"{value!r}: {parts['month_name']!r} is no English month")
    else:
        month = int(parts["month"])
    try:
        return date(year, month, int(parts["day"])).toordinal()
    except ValueError as error:
        raise BadCell(f"{value!r} is no date: {error}") from error


def _unclear(value: str) -> str:
    parts = re.match(r"^(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{2,4})", value)
    if parts and int(parts[1]) <= 12 and int(parts[2]) <= 12 and parts[1] != parts[2]:
        return f'{value!r} can be read in two ways: declare date_format = "DD/MM/YYYY" or "MM/DD/YYYY"'
    if re.fullmatch(r"\d{5}(\.\d+)?", value):
        return f'{value!r} looks like a day number of Excel\'s: declare date_format = "excel"'
    return f'{value!r} is no ISO date (2017-03-04): declare date_format, e.g. "DD/MM/YYYY"'
