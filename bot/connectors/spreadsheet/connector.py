"""CRM in, from files: CSV and XLSX in a folder, read through a mapping (docs/connectors/spreadsheet.md).

The rows are kept in memory, by the fingerprint of their files; names of customers' records live only there. Everything is
answered as it was known on a day: a deal that begins later does not exist yet, one that is closed later is still open.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import re
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from bot.connectors.spreadsheet.deals import RECORD_METRICS, Deal, DealBook
from bot.connectors.spreadsheet.events import NUMBER
from bot.connectors.spreadsheet.mapping import SpreadsheetMapping, load_mapping, mapping_file, provided
from bot.connectors.spreadsheet.reading import SNAPSHOTS, FileFigures, Reading, read_files
from bot.domain.errors import ConfigurationError, Permanent, Retryable
from bot.domain.people import CrmUser
from bot.domain.ports import Clock, ConnectorKind, Probe
from bot.domain.usage import (
    METRICS,
    Collected,
    Coverage,
    CoverageStatus,
    RecordRef,
    RowFault,
    UsageFact,
    Window,
)

log = logging.getLogger(__name__)

SETTLE = timedelta(seconds=5)
"""How long a file must lie still before it is read."""
PART_FACTS = 50_000
_UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", ".filepart", ".download")

Stamp = tuple[int, int]
"""Modification time (ns) and size of a file."""


class _FileSystemTime:
    def now(self) -> datetime:
        return datetime.now(UTC)


class SpreadsheetConnector:
    """Reads spreadsheets; implements :class:`bot.domain.ports.Connector` and ``Historical``.

    ``folder``: where the files are. ``settle``: how long a file must lie still (0: for an import by hand), by ``clock``;
    None: by the machine's own time, which is what its file system writes too.
    ``record_link``: deep link with ``{id}``, used where the mapping has none.
    """

    def __init__(
        self,
        mapping: SpreadsheetMapping,
        folder: Path,
        *,
        clock: Clock | None = None,
        settle: timedelta = SETTLE,
        record_link: str | None = None,
    ) -> None:
        self.name = mapping.source.name
        self.lag_days = mapping.source.lag_days
        self.overlap_days = 3
        self._mapping = mapping
        self._folder = folder
        self._clock = clock or _FileSystemTime()
        self._settle = settle
        self._link = mapping.source.record_link or record_link
        self._zone = ZoneInfo(mapping.source.zone)
        self._provided = provided(mapping)
        self._said_unsupported = mapping.said_unsupported()
        self._reading: Reading | None = None
        self._read_stamps: dict[Path, Stamp] = {}
        self._seen: dict[Path, tuple[Stamp, datetime]] = {}
        self._lock = threading.Lock()

    # -- the port -------------------------------------------------------------------------------------------------------

    async def probe(self) -> Probe:
        """What the files can say. ``version`` is the fingerprint of what was read."""
        try:
            reading = await self._current()
        except (Retryable, Permanent) as error:
            return Probe(self.name, "", ok=False, advice=str(error))
        day = self._clock.now().astimezone(self._zone).date() - timedelta(days=self.lag_days)
        coverage = tuple(self._coverage(reading, sorted(METRICS), day))
        wrong = sorted({table.problem for table in reading.tables.values() if table.problem})
        return Probe(self.name, reading.fingerprint, ok=not wrong, advice=" ".join(wrong), metrics=coverage)

    async def users(self, through: date) -> tuple[Sequence[CrmUser], Sequence[RowFault]]:
        """People and their managers. With ``access_since = "first-dated-row"`` only rows up to ``through`` count."""
        reading = await self._current()
        section = self._mapping.people
        users = []
        for crm_id, user in reading.roster.users.items():
            since = user.access_since
            if section.access_since is not None:
                first = reading.first_days.get(crm_id)
                since = date.fromordinal(first) if first is not None else None
            if since is not None and since > through:
                since = None
            users.append(replace(user, access_since=since))
        return users, reading.people_faults

    async def collect(self, window: Window, metrics: frozenset[str]) -> AsyncIterator[Collected]:
        """Facts day by day, in parts of whole days; snapshots of everybody for the last day."""
        reading = await self._current()
        wanted = sorted(metrics)
        dated = frozenset(NUMBER[key] for key in wanted if key in self._provided and key not in SNAPSHOTS)
        facts: list[UsageFact] = []
        coverage: list[Coverage] = []
        faults, notes = reading.faults, reading.notes
        for day in _days(window):
            of_day = reading.events.of_day(day.toordinal(), dated)
            if day == window.through:
                self._add_snapshots(reading, of_day, day, wanted)
            facts += [UsageFact(reading.people[who], day, of_day[who]) for who in sorted(of_day)]
            coverage += self._coverage(reading, wanted, day)
            if len(facts) >= PART_FACTS or day == window.through:
                yield Collected(tuple(facts), tuple(coverage), faults, notes, fingerprint=reading.fingerprint)
                facts, coverage, faults, notes = [], [], (), {}

    async def evidence(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """Records behind a snapshot metric as known on ``through``, worst first. None for a metric that is unsupported."""
        reading = await self._current()
        tables = self._provided.get(metric, ())
        found: dict[str, tuple[int, tuple[RecordRef, ...]]] = {}
        day = through.toordinal()
        if metric in RECORD_METRICS and "opportunities" in tables:
            for owner in owners:
                worst = reading.book.worst(metric, owner, day)
                if worst:
                    found[owner] = (
                        len(worst),
                        tuple(self._record(reading.book, metric, deal, day) for _, deal in worst[:limit]),
                    )
        elif tables == ("usage",) and metric in SNAPSHOTS:
            counted = reading.states.of_day(day, frozenset({NUMBER[metric]}))
            for owner in owners:
                count = int(counted.get(reading.number.get(owner, -1), {}).get(metric, 0))
                if count > 0:
                    found[owner] = (count, ())
        return found

    async def first_day(self, through: date) -> date | None:
        """The day of the oldest dated row on or before ``through``."""
        reading = await self._current()
        first = min(reading.events.days(), default=None)
        return date.fromordinal(first) if first is not None and first <= through.toordinal() else None

    # -- for reports ----------------------------------------------------------------------------------------------------

    async def open_deals(self, through: date, longer_than: int | None = None) -> dict[str, int]:
        """Open opportunities by owner (crm_id) at the end of a day; ``longer_than``: only those open for more days."""
        reading = await self._current()
        day = through.toordinal()
        counted = {
            owner: sum(1 for deal in deals if longer_than is None or day - deal.created > longer_than)
            for owner, deals in reading.book.open_on(day).items()
        }
        return {owner: count for owner, count in sorted(counted.items()) if count}

    async def figures(self) -> FileFigures:
        """What the files hold as a whole. For the report of an import."""
        return (await self._current()).figures

    # -- inside ---------------------------------------------------------------------------------------------------------

    def _add_snapshots(
        self, reading: Reading, of_day: dict[int, dict[str, float]], day: date, wanted: Sequence[str]
    ) -> None:
        ordinal = day.toordinal()
        unread = {name for name, t in reading.tables.items() if t.status()[0] is CoverageStatus.ERROR}
        wanted = [key for key in wanted if unread.isdisjoint(self._provided.get(key, ()))]
        stated = frozenset(
            NUMBER[key] for key in wanted if key in SNAPSHOTS and self._provided.get(key) == ("usage",)
        )
        for who, values in reading.states.of_day(ordinal, stated).items():
            of_day.setdefault(who, {}).update(values)
        counted = [
            key for key in wanted if key in SNAPSHOTS and "opportunities" in self._provided.get(key, ())
        ]
        if counted:
            for who, crm_id in enumerate(reading.people):
                values = of_day.setdefault(who, {})
                for key in counted:
                    values[key] = reading.book.counts(key, crm_id, ordinal)

    def _coverage(self, reading: Reading, wanted: Sequence[str], day: date) -> Iterator[Coverage]:
        late: dict[str, tuple[CoverageStatus, str]] = {}
        for name, table in reading.tables.items():
            status, detail = table.status()
            if status is CoverageStatus.OK and self._mapping.source.coverage == "written" and table.written:
                has_until = table.written - timedelta(days=self.lag_days)
                if day > has_until:
                    status = CoverageStatus.PARTIAL
                    detail = f"[{name}] was last written on {table.written}: {day} is not in it yet"
            late[name] = status, detail
        for metric in wanted:
            tables = self._provided.get(metric)
            if tables is None:
                reason = self._said_unsupported.get(metric, "no mapped column says it")
                yield Coverage(metric, day, CoverageStatus.UNSUPPORTED, reason)
                continue
            bad = [late[name] for name in tables if late[name][0] is not CoverageStatus.OK]
            status, detail = (
                max(bad, key=lambda each: each[0] is CoverageStatus.ERROR) if bad else (CoverageStatus.OK, "")
            )
            yield Coverage(metric, day, status, detail)

    def _record(self, book: DealBook, metric: str, deal: Deal, day: int) -> RecordRef:
        link = self._link.replace("{id}", quote(deal.id, safe="")) if self._link else None
        return book.record(metric, deal, day, title=self._title(deal), link=link)

    def _title(self, deal: Deal) -> str:
        deals = self._mapping.opportunities
        templates = (deals.title if deals is not None else ()) or (
            "{name}",
            "{product} for {account}",
            "{account}",
            "{product} ({id})",
        )
        parts = {"id": deal.id, "name": deal.name, "account": deal.account, "product": deal.product}
        for template in templates:
            used = re.findall(r"\{(\w+)\}", template)
            if all(parts[name] for name in used):
                return re.sub(r"\{(\w+)\}", lambda match: parts[match[1]], template)
        return deal.id

    # -- files ----------------------------------------------------------------------------------------------------------

    async def _current(self) -> Reading:
        """The newest reading. Raises Retryable while there is none: no file yet, or one that is still being written."""
        now = self._clock.now()
        files = self._files()
        stamps = {path: stamp for paths in files.values() for path in paths if (stamp := _stamp(path))}
        if self._reading is not None and stamps == self._read_stamps:
            return self._reading
        return await asyncio.to_thread(self._refresh, files, stamps, now)

    def _files(self) -> dict[str, list[Path]]:
        """Table -> its files, in the order of their names. Lock files and unfinished downloads are no files."""
        return {
            name: sorted(
                path
                for path in self._folder.glob(section.file)
                if path.is_file()
                and not path.name.startswith(("~$", "."))
                and path.suffix.lower() not in _UNFINISHED
            )
            for name, section in self._mapping.tables().items()
        }

    def _refresh(self, files: dict[str, list[Path]], stamps: dict[Path, Stamp], now: datetime) -> Reading:
        with self._lock:
            if self._reading is not None and stamps == self._read_stamps:
                return self._reading  # another thread was faster
            unsettled = [path.name for path in stamps if not self._is_settled(path, stamps[path], now)]
            if not unsettled:
                if not files["people"]:
                    unsettled_reason = f"no file is called {self._mapping.people.file} in {self._folder}"
                    return self._last_or(Retryable(unsettled_reason, code="no-file"))
                reading = self._read(files)
                after = {path: stamp for paths in files.values() for path in paths if (stamp := _stamp(path))}
                if after == stamps:
                    self._reading, self._read_stamps = reading, stamps
                    return reading
                unsettled = [path.name for path in stamps if after.get(path) != stamps[path]]
            waiting = f"still being written: {', '.join(sorted(unsettled))}"
            return self._last_or(Retryable(waiting, code="file-settling", after=self._settle))

    def _last_or(self, error: Retryable) -> Reading:
        """What was read last stays in force; its coverage says from when it is."""
        if self._reading is None:
            raise error
        log.info("spreadsheet.waiting", extra={"source": self.name, "code": error.code})
        return self._reading

    def _is_settled(self, path: Path, stamp: Stamp, now: datetime) -> bool:
        """Whether nobody writes to a file: unlocked, and still since ``settle``, by its own time or by two looks."""
        if _is_locked(path):
            return False
        if self._settle <= timedelta(0):
            return True
        before = self._seen.get(path)
        if before is None or before[0] != stamp:
            before = self._seen[path] = (stamp, now)
        modified = datetime.fromtimestamp(stamp[0] / 1e9, UTC)
        return now - before[1] >= self._settle or now - modified >= self._settle

    # -- reading --------------------------------------------------------------------------------------------------------

    def _read(self, files: Mapping[str, Sequence[Path]]) -> Reading:
        reading = read_files(self._mapping, self._folder, self._zone, files)
        log.info(
            "spreadsheet.read",
            extra={
                "source": self.name,
                "files": sum(map(len, files.values())),
                "rows": sum(reading.figures.rows.values()),
                "faults": len(reading.faults) + len(reading.people_faults),
            },
        )
        return reading


def open_spreadsheet(
    path: Path,
    folder: Path | None = None,
    *,
    clock: Clock | None = None,
    settle: timedelta = SETTLE,
    record_link: str | None = None,
) -> SpreadsheetConnector:
    """Open spreadsheets through a mapping file, or a folder with one. ``folder`` None: the files are beside the mapping.

    Raises ConfigurationError with every fault of the mapping, or when there is no such folder.
    """
    path = mapping_file(path)
    mapping = load_mapping(path)
    if folder is not None and not folder.is_dir():
        raise ConfigurationError([f"there is no folder {folder}: name the one with the files"])
    return SpreadsheetConnector(
        mapping, folder or path.parent, clock=clock, settle=settle, record_link=record_link
    )


def _open(settings: Mapping[str, Any], record_link: str | None) -> SpreadsheetConnector:
    return open_spreadsheet(Path(settings["mapping"]), Path(settings["data"]), record_link=record_link)


CONNECTOR = ConnectorKind(name="spreadsheet", open=_open)
"""Settings: ``mapping``, the path of a mapping; ``data``, the folder with the files."""


def _days(window: Window) -> Iterator[date]:
    for ordinal in range(window.since.toordinal(), window.through.toordinal() + 1):
        yield date.fromordinal(ordinal)


def _stamp(path: Path) -> Stamp | None:
    """None for a file that went away in between."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def _is_locked(path: Path) -> bool:
    """Whether another program holds a lock on the file, of either kind that there is on POSIX."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:  # it went away, or may not be opened: reading it says so
        return False
    return False
