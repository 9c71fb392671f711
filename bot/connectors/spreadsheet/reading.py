"""One reading of a folder: every row of every mapped file, once, into what the connector answers from."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

from bot.connectors.spreadsheet.cells import BadCell, Cell, DateReader, identifier, number, text
from bot.connectors.spreadsheet.deals import AFTER_EVERYTHING, Deal, DealBook
from bot.connectors.spreadsheet.events import NUMBER, EventLog
from bot.connectors.spreadsheet.mapping import (
    ActivitySection,
    FileSection,
    LoginSection,
    OpportunitySection,
    SpreadsheetMapping,
    UsageSection,
)
from bot.connectors.spreadsheet.roster import Roster, read_roster
from bot.connectors.spreadsheet.rows import FileRefused, open_sheet
from bot.domain.errors import Permanent
from bot.domain.usage import METRICS, CoverageStatus, MetricKind, RowFault

MAX_BAD_SHARE = 0.05
"""Share of unreadable rows from which a table is ``partial``: what it does not say is then no sign of no use."""
NOBODY = "the people table names nobody: is the export broken?"
LISTED_FAULTS = 1_000
"""Faults that are listed; the others are counted only."""
SNAPSHOTS = frozenset(key for key, metric in METRICS.items() if metric.kind is MetricKind.SNAPSHOT)


@dataclass(frozen=True, slots=True)
class FileFigures:
    """What the files hold as a whole, whatever day it is about. For the report of an import, never for a decision."""

    people: int
    opportunities: int
    open: int
    undated: int
    open_without_account: int
    rows: Mapping[str, int]


@dataclass(slots=True)
class Table:
    """How reading a table went. ``written``: the day its newest file was written. ``empty``: what to say of no row at all,

    "" where that is allowed: an export that broke looks like a company that stopped working.
    """

    rows: int = 0
    bad: int = 0
    problem: str = ""
    refused: int = 0
    files: int = 0
    written: date | None = None
    empty: str = ""
    first_bad: str = ""

    def status(self) -> tuple[CoverageStatus, str]:
        if self.problem:
            whole = self.files == self.refused
            return (CoverageStatus.ERROR if whole else CoverageStatus.PARTIAL), self.problem
        if not self.rows and self.empty:
            return CoverageStatus.ERROR, self.empty
        if self.rows and self.bad == self.rows:
            return CoverageStatus.ERROR, f"none of the {self.rows} rows can be read: {self.first_bad}"
        if self.rows and self.bad > MAX_BAD_SHARE * self.rows:
            return CoverageStatus.PARTIAL, f"{self.bad} of {self.rows} rows cannot be read: correct them"
        return CoverageStatus.OK, ""


@dataclass(slots=True)
class Reading:
    """Everything that was read from one state of the files."""

    roster: Roster
    people: list[str]
    number: dict[str, int]
    book: DealBook
    events: EventLog
    states: EventLog
    first_days: Mapping[str, int]
    tables: dict[str, Table]
    people_faults: tuple[RowFault, ...]
    faults: tuple[RowFault, ...]
    notes: dict[str, int]
    figures: FileFigures
    fingerprint: str


def read_files(
    mapping: SpreadsheetMapping, folder: Path, zone: ZoneInfo, files: Mapping[str, Sequence[Path]]
) -> Reading:
    """Read everything. ``files``: table -> its files. Raises Permanent when there is nobody in the people table."""
    return _Run(mapping, folder, zone, files).reading()


class _Run:
    """One reading of all files, from the first row to the last."""

    def __init__(
        self, mapping: SpreadsheetMapping, folder: Path, zone: ZoneInfo, files: Mapping[str, Sequence[Path]]
    ) -> None:
        self._mapping = mapping
        self._folder = folder
        self._zone = zone
        self._files = files
        self._tables: dict[str, Table] = {}
        self._faults: list[RowFault] = []
        self._people_faults: list[RowFault] = []
        self._notes: defaultdict[str, int] = defaultdict(int)
        self._hash = hashlib.sha256(mapping.model_dump_json().encode())
        self._dates: dict[str, DateReader] = {}
        self._roster = Roster()
        self._number: dict[str, int] = {}
        self._events = EventLog()
        self._states = EventLog()
        self._deals: list[Deal] = []
        self._activities: defaultdict[str, list[int]] = defaultdict(list)
        self._undated = 0
        self._open = 0
        self._open_without_account = 0

    def reading(self) -> Reading:
        mapping = self._mapping
        self._roster = read_roster(
            self._rows("people", mapping.people), mapping.people, self._dates_of, self._people_fault
        )
        self._tables["people"].bad = len({(f.file, f.row) for f in self._people_faults if f.dropped})
        for crm_id in self._roster.users:
            self._number[crm_id] = len(self._number)
        if not self._roster.users:
            # Nobody at all would be everybody gone.
            table = self._tables["people"]
            raise Permanent(table.problem or table.status()[1] or NOBODY, code="people-unreadable")
        if mapping.opportunities is not None:
            self._read_opportunities(mapping.opportunities)
        if mapping.activities is not None:
            self._read_activities(mapping.activities)
        if mapping.logins is not None:
            self._read_logins(mapping.logins)
        if mapping.usage is not None:
            self._read_usage(mapping.usage)
        people = list(self._roster.users)
        first_days = {people[who]: day for who, day in self._events.first_days().items()}
        deals = mapping.opportunities
        columns = deals.columns if deals is not None else None
        book = DealBook(
            self._deals,
            activities={deal: sorted(days) for deal, days in self._activities.items()},
            amount_changes_at_close=columns is not None and columns.won_amount in (None, columns.amount),
        )
        rows = {name: table.rows for name, table in self._tables.items()}
        figures = FileFigures(
            len(people),
            rows.get("opportunities", 0) - self._tables.get("opportunities", Table()).bad,
            self._open,
            self._undated,
            self._open_without_account,
            rows,
        )
        return Reading(
            self._roster,
            people,
            self._number,
            book,
            self._events,
            self._states,
            first_days,
            self._tables,
            tuple(self._people_faults),
            tuple(self._faults),
            dict(sorted(self._notes.items())),
            figures,
            self._hash.hexdigest(),
        )

    # -- rows -----------------------------------------------------------------------------------------------------------

    def _rows(self, name: str, section: FileSection) -> Iterator[tuple[str, int, Mapping[str, Cell]]]:
        """The rows of a table over all its files; what is wrong with a file as a whole becomes the table's problem."""
        for file, line, cells, fields in self._cells(name, section):
            yield file, line, dict(zip(fields, cells, strict=True))

    def _cells(
        self, name: str, section: FileSection
    ) -> Iterator[tuple[str, int, tuple[Cell, ...], tuple[str, ...]]]:
        table = self._tables[name] = Table(files=len(self._files[name]))
        refuse = self._people_fault if name == "people" else self._fault
        if not section.may_be_empty:
            table.empty = (
                f"{section.file} has headings and no rows: is the export broken? If it is right, write "
                f"may_be_empty = true into [{name}]"
            )
        if not self._files[name]:
            reason = (
                f"no file is called {section.file} in {self._folder}: put it there, or correct [{name}] file"
            )
            fault = RowFault(section.file, 0, "", reason, whole=True)
            table.problem = str(fault)
            refuse(fault)
        for path in self._files[name]:
            file = path.relative_to(self._folder).as_posix()

            def broken(fault: RowFault, table: Table = table) -> None:
                table.rows += 1
                table.first_bad = table.first_bad or str(fault)
                if refuse == self._fault:
                    table.bad += 1
                refuse(fault)

            try:
                self._hash.update(f"\0{name}\0{file}\0{_digest(path)}".encode())
                written = datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone(self._zone).date()
                table.written = max(written, table.written or written)
                sheet = open_sheet(path, file, section, broken)
                try:
                    self._dates[file] = (
                        DateReader(section.date_format, self._zone, sheet.epoch)
                        if sheet.epoch is not None
                        else DateReader(section.date_format, self._zone)
                    )
                    for line, cells in sheet.rows:
                        table.rows += 1
                        yield file, line, cells, sheet.fields
                finally:
                    sheet.close()
            except FileRefused as error:
                table.refused += 1
                fault = RowFault(file, error.line, error.heading, str(error), whole=True)
                table.problem = table.problem or str(fault)
                refuse(fault)

    def _dates_of(self, file: str) -> DateReader:
        return self._dates[file]

    def _people_fault(self, fault: RowFault) -> None:
        self._people_faults.append(fault)

    def _fault(self, fault: RowFault) -> None:
        if len(self._faults) < LISTED_FAULTS:
            self._faults.append(fault)
        else:
            self._notes["further faults, not listed"] += 1

    def _bad_row(self, name: str, fault: RowFault) -> None:
        table = self._tables[name]
        table.bad += 1
        table.first_bad = table.first_bad or str(fault)
        self._fault(fault)

    def _owner(self, section: FileSection, key: str, cell: Cell, known: dict[Cell, int | None]) -> int | None:
        """The number of whom a cell names; None for somebody who is ignored. Remembers what it has found."""
        if cell in known:
            return known[cell]
        said = identifier(cell)
        crm_id = self._roster.find(section.values.get(key, {}).get(said, said))
        found = known[cell] = None if crm_id is None else self._number[crm_id]
        return found

    def _read_opportunities(self, section: OpportunitySection) -> None:
        names = list(self._roster.users)
        headings = section.columns.model_dump(exclude_none=True)
        has_won_amount = "won_amount" in headings or "amount" in headings
        # Where one heading serves both, it dates the deal: the step may have been overwritten at any time after it.
        step_is_dated = headings.get("step_since") != headings["created"]
        created_, moves, won_, lost_, amount_ = (
            NUMBER[key]
            for key in ("records_created.opportunity", "step_moves", "won_count", "lost_count", "won_amount")
        )
        ids: dict[str, tuple[str, int]] = {}
        known: dict[Cell, int | None] = {}
        same: dict[str, str] = {}  # one object for each text that repeats: accounts, products, steps

        def words(key: str, cell: Cell) -> str:
            said = text(cell)
            said = section.values.get(key, {}).get(said, said)
            return same.setdefault(said, said)

        for file, line, cells in self._rows("opportunities", section):
            dates = self._dates[file]
            key = "id"
            try:
                identity = identifier(cells["id"])
                if not identity:
                    refuse_cell("the row has no id")
                if identity in ids:
                    first = ids[identity]
                    refuse_cell(f"{identity!r} is there already ({first[0]}, line {first[1]})")
                key = "owner"
                who = self._owner(section, key, cells[key], known)
                key = "step"
                step = words(key, cells[key])
                outcome = section.steps.get(step)
                if outcome is None:
                    refuse_cell(
                        f'step {step!r} is unknown: add it to [opportunities.steps] as "open", "won" or "lost"'
                    )
                key = "created"
                created = dates(cells[key])
                closed = None
                if outcome != "open":
                    key = "closed"
                    closed = dates(cells[key])
                    if closed is None:
                        refuse_cell(f"it is {outcome}, and nobody knows since when")
                    if created is not None and closed < created:
                        refuse_cell(f"it is closed before it begins ({date.fromordinal(created)})")
                key = "amount"
                amount = number(cells.get(key), section.decimal)
                key = "won_amount" if "won_amount" in headings else "amount"
                won_amount = number(cells.get(key), section.decimal)
                key = "expected_close"
                expected = (
                    dates(cells.get(key))
                    if outcome == "open" or headings.get(key) != headings.get("closed")
                    else None
                )
                key = "step_since"
                since = dates(cells.get(key))
                key = "last_activity"
                last = dates(cells.get(key))
                key = "account"
                account = words(key, cells.get(key))
                key = "product"
                product = words(key, cells.get(key))
                key = "name"
                title = words(key, cells.get(key))
                key = "next_step"
                next_step = words(key, cells.get(key))
            except BadCell as error:
                self._bad_row("opportunities", RowFault(file, line, headings.get(key, ""), str(error)))
                continue
            ids[identity] = (file, line)
            if who is None:
                self._notes["rows of people who are left out"] += 1
                continue
            if outcome == "open":
                self._open += 1
                self._open_without_account += not account
            if closed is not None:
                self._events.add(closed, who, moves, 1.0)
                self._events.add(closed, who, won_ if outcome == "won" else lost_, 1.0)
                if outcome == "won" and has_won_amount and won_amount is not None:
                    self._events.add(closed, who, amount_, won_amount)
            if created is None:
                if closed is None:
                    self._undated += 1
                continue
            self._events.add(created, who, created_, 1.0)
            self._deals.append(
                Deal(
                    id=identity,
                    owner=names[who],
                    created=created,
                    closed=AFTER_EVERYTHING if closed is None else closed,
                    won=outcome == "won",
                    won_amount=won_amount if outcome == "won" else None,
                    name=title,
                    account=account,
                    product=product,
                    step=step if step_is_dated else "",
                    step_since=since,
                    expected_close=expected,
                    next_step=next_step,
                    amount=amount,
                    last_activity=last,
                )
            )
        if self._undated:
            self._notes["undated opportunities"] = self._undated
        if self._open_without_account and "account" in headings:
            self._notes["open opportunities without an account"] = self._open_without_account

    def _read_activities(self, section: ActivitySection) -> None:
        headings = section.columns.model_dump(exclude_none=True)
        kinds = section.all_kinds()
        numbers = {kind: NUMBER[f"activities_completed.{kind}"] for kind in set(kinds.values()) - {"ignore"}}
        ids: set[str] = set()
        known: dict[Cell, int | None] = {}
        for file, line, cells in self._rows("activities", section):
            key = "id"
            try:
                identity = identifier(cells.get(key))
                if identity and identity in ids:
                    self._notes["repeated rows"] += 1
                    continue
                key = "person"
                who = self._owner(section, key, cells[key], known)
                key = "kind"
                said = text(cells[key])
                said = section.values.get(key, {}).get(said, said)
                kind = kinds.get(said)
                if kind is None:
                    refuse_cell(
                        f'kind {said!r} is unknown: add it to [activities.kinds] as "call", "meeting", "email", "task" or '
                        '"ignore"'
                    )
                key = "date"
                day = self._dates[file](cells[key])
                if day is None:
                    refuse_cell("the row has no date")
                key = "count"
                count = number(cells.get(key), section.decimal)
                if count is not None and count < 0:
                    refuse_cell(f"{count:g} activities cannot be")
                key = "opportunity"
                deal = identifier(cells.get(key))
            except BadCell as error:
                self._bad_row("activities", RowFault(file, line, headings.get(key, ""), str(error)))
                continue
            if identity:
                ids.add(identity)
            if who is None:
                self._notes["rows of people who are left out"] += 1
                continue
            if kind != "ignore":
                self._events.add(day, who, numbers[kind], 1.0 if count is None else count)
                if deal:
                    self._activities[deal].append(day)

    def _read_logins(self, section: LoginSection) -> None:
        headings = section.columns.model_dump()
        active = NUMBER["active_day"]
        known: dict[Cell, int | None] = {}
        for file, line, cells in self._rows("logins", section):
            key = "person"
            try:
                who = self._owner(section, key, cells[key], known)
                key = "date"
                day = self._dates[file](cells[key])
                if day is None:
                    refuse_cell("the row has no date")
            except BadCell as error:
                self._bad_row("logins", RowFault(file, line, headings[key], str(error)))
                continue
            if who is None:
                self._notes["rows of people who are left out"] += 1
            else:
                self._events.add(day, who, active, 1.0)

    def _read_usage(self, section: UsageSection) -> None:
        headings = section.columns.model_dump()
        listed = {metric: NUMBER[metric] for metric in section.metrics}
        known: dict[Cell, int | None] = {}
        metrics: dict[Cell, int] = {}
        events, states = EventLog(), EventLog()
        state_numbers = frozenset(NUMBER[key] for key in SNAPSHOTS)
        files: list[str] = []
        decimal = section.decimal
        person_at = date_at = metric_at = value_at = 0
        dates = DateReader(section.date_format, self._zone)
        for file, line, cells, fields in self._cells("usage", section):
            if not files or files[-1] != file:
                files.append(file)
                person_at, date_at, metric_at, value_at = map(
                    fields.index, ("person", "date", "metric", "value")
                )
                dates = self._dates[file]
            key = "person"
            try:
                who = self._owner(section, key, cells[person_at], known)
                key = "date"
                day = dates(cells[date_at])
                if day is None:
                    refuse_cell("the row has no date")
                key = "metric"
                metric = metrics.get(cells[metric_at])
                if metric is None:
                    said = text(cells[metric_at])
                    said = section.values.get(key, {}).get(said, said)
                    if said not in listed:
                        refuse_cell(
                            f"{said!r} is not among [usage] metrics: add it there, or map it in [usage.values.metric]"
                        )
                    metric = metrics[cells[metric_at]] = listed[said]
                key = "value"
                value = number(cells[value_at], decimal)
                if value is None:
                    refuse_cell("the row has no number")
                if value < 0:
                    refuse_cell(f"{value:g} is below 0")
            except BadCell as error:
                self._bad_row("usage", RowFault(file, line, headings[key], str(error)))
                continue
            if who is None:
                self._notes["rows of people who are left out"] += 1
                continue
            into = states if metric in state_numbers else events
            into.add(day, who, metric, value, ((len(files) - 1) << 32) | line)

        def contradicts(place: int, first: int) -> None:
            reason = f"the same person, day and metric have another number in {files[first >> 32]}, line {first & 0xFFFFFFFF}"
            self._bad_row(
                "usage", RowFault(files[place >> 32], place & 0xFFFFFFFF, headings["value"], reason)
            )

        repeated = events.settle_doubles(contradicts) + states.settle_doubles(contradicts)
        if repeated:
            self._notes["repeated rows"] += repeated
        self._events.absorb(events)
        self._states.absorb(states)


def _digest(path: Path) -> str:
    """Fingerprint of a file. Raises FileRefused when it may not be opened."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as raw:
            while block := raw.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise FileRefused(f"it cannot be opened ({error.strerror})", line=0) from error
    return digest.hexdigest()


def refuse_cell(reason: str) -> NoReturn:
    """Say no to a cell, from within a try block that names its column."""
    raise BadCell(reason)
