"""Rows of CSV and XLSX files, one at a time: headings found, columns picked, lines counted, broken rows named."""

from __future__ import annotations

import codecs
import csv
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from bot.connectors.spreadsheet.cells import BadCell, Cell, text
from bot.connectors.spreadsheet.mapping import FileSection, columns_of
from bot.domain.usage import RowFault

DELIMITERS = (";", ",", "\t", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLOCK = 1 << 20
csv.field_size_limit(1 << 20)


class FileRefused(Exception):
    """A file that cannot be read at all. ``line``, ``heading``: where; the message says what to do."""

    def __init__(self, reason: str, *, line: int = 1, heading: str = "") -> None:
        super().__init__(reason)
        self.line = line
        self.heading = heading


@dataclass(frozen=True, slots=True)
class Sheet:
    """An open table. ``rows`` gives (line, cells of the mapped columns, in the order of ``fields``).

    ``epoch``: day 0 of the workbook's day numbers, None for text files.
    """

    fields: tuple[str, ...]
    headings: tuple[str, ...]
    rows: Iterator[tuple[int, tuple[Cell, ...]]]
    close: Callable[[], None]
    epoch: date | None = None


def open_sheet(path: Path, name: str, section: FileSection, refuse: Callable[[RowFault], None]) -> Sheet:
    """Open a file and find the mapped columns. ``name``: what faults call the file. ``refuse`` is told of broken rows.

    Raises FileRefused when headings are missing or doubled, the file is no such file, or its encoding is another one.
    """
    columns = columns_of(section)
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        return _open_workbook(path, section, columns)
    return _open_text(path, name, section, columns, refuse)


# --- text ----------------------------------------------------------------------------------------------------------


def _open_text(
    path: Path,
    name: str,
    section: FileSection,
    columns: Mapping[str, str],
    refuse: Callable[[RowFault], None],
) -> Sheet:
    encoding, clean = _encoding(path, section.encoding)
    delimiter, skip = _delimiter(path, encoding, section, columns)
    file = path.open(encoding=encoding, errors="strict" if clean else "surrogateescape", newline="")
    for _ in range(skip):
        file.readline()
    reader = csv.reader(file, delimiter=delimiter)
    headings: list[str] = []
    try:
        headings = [text(cell) for cell in next(reader)]
        picks = _pick(headings, columns, line=skip + 1)
    except (BadCell, FileRefused) as error:
        file.close()
        if not clean and _undecodable(headings):
            reason = (
                f"some characters of the headings are not {section.encoding}: declare the encoding, most often "
                'encoding = "cp1252"'
            )
            raise FileRefused(reason, line=skip + 1) from error
        raise error if isinstance(error, FileRefused) else FileRefused(str(error), line=skip + 1) from error
    width = len(headings)

    def rows() -> Iterator[tuple[int, tuple[Cell, ...]]]:
        before = reader.line_num
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                reason = f"the file cannot be read from here on ({error}): is there a quotation mark that never ends?"
                raise FileRefused(reason, line=skip + before + 1) from error
            if row is None:
                return
            line, before = skip + before + 1, reader.line_num
            if not any(row) or not any(cell.strip() for cell in row):
                continue
            if len(row) != width:
                # Also when the last ones are empty: a comma in a text would shift every cell after it.
                more = "more" if len(row) > width else "fewer"
                hint = " (a delimiter in a text without quotation marks?)" if len(row) > width else ""
                reason = f"{len(row)} columns, {more} than the {width} headings{hint}"
                refuse(RowFault(name, line, "", reason))
                continue
            if not clean and _undecodable(row):
                reason = f'some characters are not {section.encoding}: declare the encoding, e.g. encoding = "cp1252"'
                refuse(RowFault(name, line, "", reason))
                continue
            yield line, tuple(row[at] for at in picks)

    return Sheet(tuple(columns), tuple(columns.values()), rows(), file.close)


def _encoding(path: Path, declared: str) -> tuple[str, bool]:
    """The encoding to use, and whether the whole file can be read with it. A byte order mark goes before the mapping."""
    with path.open("rb") as file:
        start = file.read(4)
        encoding = next((name for bom, name in _BOMS if start.startswith(bom)), declared)
        if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
            encoding = "utf-8-sig"
        file.seek(0)
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            if encoding == "utf-16":
                raise FileRefused("the file begins like UTF-16 but is not: save it as CSV UTF-8") from None
            return encoding, False
    return encoding, True


def _undecodable(row: Iterable[str]) -> bool:
    return any("\udc80" <= letter <= "\udcff" for cell in row for letter in cell)


def _delimiter(
    path: Path, encoding: str, section: FileSection, columns: Mapping[str, str]
) -> tuple[str, int]:
    """The delimiter under which most of the mapped headings are found, and how many lines come before them."""
    skip = section.header_line - 1
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        lines = list(islice(file, skip + 50))
    if lines and lines[0].strip().lower() in {f"sep={each}" for each in DELIMITERS}:
        skip += 1  # Excel's own line, which no program shows
    if len(lines) <= skip or not lines[skip].strip():
        raise FileRefused("the file has no line of headings" if lines else "the file is empty", line=skip + 1)
    wanted = {_fold(heading) for heading in columns.values()}
    found: list[tuple[int, str]] = []
    for delimiter in [section.delimiter] if section.delimiter else DELIMITERS:
        try:
            headings = next(csv.reader(lines[skip:], delimiter=delimiter))
        except csv.Error as error:
            raise FileRefused(f"the headings cannot be read: {error}", line=skip + 1) from error
        found.append((len(wanted & {_fold(heading) for heading in headings}), delimiter))
    return max(found, key=lambda each: each[0])[1], skip


# --- workbooks -----------------------------------------------------------------------------------------------------


def _open_workbook(path: Path, section: FileSection, columns: Mapping[str, str]) -> Sheet:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        reason = "it is no readable workbook (protected by a password, or not saved as .xlsx?): save it again"
        raise FileRefused(reason) from error
    if section.sheet is not None and section.sheet not in book.sheetnames:
        names = ", ".join(repr(name) for name in book.sheetnames)
        book.close()
        raise FileRefused(
            f"there is no sheet {section.sheet!r}; there are {names}: write one of them as sheet"
        )
    sheet: Any = book[section.sheet] if section.sheet is not None else book.worksheets[0]
    sheet.reset_dimensions()  # some exports state a size that is too small, and rows would be lost
    lines = enumerate(sheet.iter_rows(values_only=True), 1)
    head = next(islice(lines, section.header_line - 1, None), None)
    if head is None or not any(cell is not None for cell in head[1]):
        book.close()
        raise FileRefused("the sheet has no line of headings", line=section.header_line)
    try:
        headings = [text(cell) for cell in head[1]]
        picks = _pick(headings, columns, line=section.header_line)
    except (BadCell, FileRefused) as error:
        book.close()
        raise (
            error if isinstance(error, FileRefused) else FileRefused(str(error), line=section.header_line)
        ) from error

    def rows() -> Iterator[tuple[int, tuple[Cell, ...]]]:
        try:
            for line, row in lines:
                if any(cell is not None and cell != "" for cell in row):
                    width = len(row)
                    yield line, tuple(row[at] if at < width else None for at in picks)
        except (zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
            raise FileRefused(f"the workbook is damaged: {error}; save it again") from error

    return Sheet(
        tuple(columns),
        tuple(columns.values()),
        rows(),
        book.close,
        book.epoch.date(),
    )


# --- headings ------------------------------------------------------------------------------------------------------


def _fold(heading: str) -> str:
    return " ".join(heading.split()).casefold()


def _pick(headings: Sequence[str], columns: Mapping[str, str], *, line: int) -> list[int]:
    """Where each mapped column is. Raises FileRefused for doubled or missing headings."""
    places: dict[str, int] = {}
    for at, heading in enumerate(headings):
        folded = _fold(heading)
        if folded and folded in places:
            reason = (
                "the heading is there twice, and nobody can know which column is meant: rename one of them"
            )
            raise FileRefused(reason, line=line, heading=heading)
        places[folded] = at
    missing = [heading for heading in columns.values() if _fold(heading) not in places]
    if missing:
        there = ", ".join(repr(heading) for heading in headings if heading)
        reason = (
            f"no such heading; there are {there}: correct the mapping, or declare delimiter or header_line"
        )
        raise FileRefused(reason, line=line, heading=", ".join(missing))
    return [places[_fold(heading)] for heading in columns.values()]
