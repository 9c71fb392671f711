"""Read a CRM: its people, then facts and coverage since the watermark, minus an overlap."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from math import fsum
from statistics import fmean
from typing import Any
from zoneinfo import ZoneInfo

from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.ports import Connector, Historical
from bot.domain.programme import Programme
from bot.domain.usage import (
    METRICS,
    PERCENT,
    Collected,
    Coverage,
    CoverageStatus,
    MetricKind,
    RowFault,
    Window,
)
from store import matching, people, usage
from store.database import Database, UnitOfWork

log = logging.getLogger(__name__)

CHANGED_OVERLAP_DAYS = 28
"""The same when the files are new ones: an export may correct weeks. Not more than raw usage allows (forget_raw)."""
MENDED_DAYS = 7
"""Of a day that was read in part: how long it is read again in the hope that somebody mends its rows."""
BACKFILL_DAYS = 90
"""What the first poll of a source reads; an import reads everything."""
TRIED_AGAIN = timedelta(hours=6)
"""After how long a day is read again of which a metric failed, and which no poll asks for any more by itself."""


@dataclass(frozen=True, slots=True)
class PollReport:
    """What a poll brought.

    ``facts``: (person, day) rows kept. ``by_metric``: how many of them have that metric. ``totals``: sums of each event
    metric. ``now``: of each snapshot as of ``through`` its sum over people, of one in percent the mean. ``coverage``: status
    per metric on ``through``. ``gaps``: on how many days of the poll an event metric had another status than ``ok``.
    ``failure``: why nothing more could be read, None if all went well; ``code``: the same as a word, "" where there is none;
    ``retry_after``: when to try again. ``unknown``: facts of people who are not in the CRM's list of people.
    """

    source: str
    since: date
    through: date
    people: people.KeptUsers = field(default_factory=people.KeptUsers)
    facts: int = 0
    unknown: int = 0
    by_metric: Mapping[str, int] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)
    now: Mapping[str, float] = field(default_factory=dict)
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    gaps: Mapping[str, Mapping[CoverageStatus, int]] = field(default_factory=dict)
    faults: tuple[RowFault, ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)
    failure: str | None = None
    code: str = ""
    retry_after: timedelta | None = None
    gap: Window | None = None
    """Days before ``since`` that no poll has read: the watermark stays before them, and the next poll reads them."""


async def poll(
    database: Database,
    connector: Connector,
    programme: Programme,
    now: datetime,
    *,
    full: bool = False,
    since: date | None = None,
) -> PollReport:
    """Read a CRM once and keep what it says. Polling twice is polling once.

    ``full``: from the oldest row on, where the connector knows it. ``since``: from that day on; days before it that were
    never read stay owed. A poll that fails keeps what
    it had read, writes ``error`` coverage for the days it owes, and says why in the report; it does not raise.
    """
    through = last_day(programme, connector.lag_days, now)
    known = (await database.read(usage.sources)).get(connector.name)
    if known is None:
        await database.write(usage.keep_source, connector.name, "crm", {})
    watermark = known.watermark if known is not None else None
    first = min(since or _since(watermark, through, connector.overlap_days), through)
    report = PollReport(connector.name, first, through)
    try:
        users, faults = await connector.users(through)
        kept: people.KeptUsers = await database.write(
            _keep_people,
            connector.name,
            list(users),
            programme,
            now,
            complete=not any(fault.dropped for fault in faults),
        )
        circles = (
            RowFault("people", 0, "manager", f"{each} is their own manager by a circle", dropped=False)
            for each in kept.circles
        )
        report = replace(report, faults=(*faults, *circles), people=kept)
        if since is None:
            first = await _first_day(database, connector, known, through, now, full=full)
            report = replace(report, since=first)
        else:
            report = replace(report, gap=_gap(watermark, first, through, connector.overlap_days))
        report = await _read(database, connector, report, now, _zone(programme))
    except (Retryable, Permanent) as error:
        if known is None or known.error != str(error):
            # Said when it begins, and when it changes; not at every poll until it ends.
            log.warning("poll.failed", extra={"source": connector.name, "code": error.code})
        owed = Window(through if watermark is None else min(watermark + timedelta(days=1), through), through)
        await database.write(_keep_failure, connector.name, owed, error, now)
        after = error.after if isinstance(error, Retryable) else None
        return replace(report, failure=str(error), code=error.code, retry_after=after)
    if known is not None and known.error is not None:
        log.info("poll.recovered", extra={"source": connector.name})
    return report


async def import_files(
    database: Database,
    connector: Connector,
    programme: Programme,
    now: datetime,
    *,
    kind: str,
    settings: Mapping[str, Any],
) -> PollReport:
    """Read everything that a source has, and remember how to open it again. Importing twice changes nothing.

    What read nothing, because it could not, is not remembered: no later poll is to fail by it.
    """
    report = await poll(database, connector, programme, now, full=True)
    wrong = report.failure is not None or any(fault.whole for fault in report.faults)
    people_read = len(report.people.added) + len(report.people.changed) + report.people.unchanged
    if report.facts or people_read or not wrong:
        await database.write(usage.keep_source, connector.name, kind, settings)
    return report


async def next_window(
    database: Database | None, connector: Connector, zone: tzinfo, now: datetime, since: date | None = None
) -> Window:
    """The days that the next poll of a source asks for. ``database`` None: as if nothing had been read yet."""
    through = now.astimezone(zone).date() - timedelta(days=connector.lag_days)
    if since is not None:
        return Window(min(since, through), through)
    if database is None:
        return Window(_since(None, through, connector.overlap_days), through)
    known = (await database.read(usage.sources)).get(connector.name)
    return Window(await _first_day(database, connector, known, through, now, full=False), through)


def last_day(programme: Programme, lag_days: int, now: datetime) -> date:
    """The last day that a poll may ask for: today where the programme lives, minus the lag."""
    return now.astimezone(_zone(programme)).date() - timedelta(days=lag_days)


def _zone(programme: Programme) -> ZoneInfo:
    return ZoneInfo(programme.zone or "UTC")


def _since(watermark: date | None, through: date, overlap: int) -> date:
    if watermark is None:
        return through - timedelta(days=BACKFILL_DAYS - 1)
    # Never further back than the first poll reads: days that stay partial must not make every poll longer.
    return max(watermark - timedelta(days=overlap - 1), through - timedelta(days=BACKFILL_DAYS - 1))


def _gap(watermark: date | None, first: date, through: date, overlap: int) -> Window | None:
    """Days before ``first`` that the next poll has to read; None when there are none."""
    owed = _since(None, through, overlap) if watermark is None else watermark + timedelta(days=1)
    return Window(owed, first - timedelta(days=1)) if owed < first else None


async def _first_day(
    database: Database,
    connector: Connector,
    known: usage.Source | None,
    through: date,
    now: datetime,
    *,
    full: bool,
) -> date:
    if full and isinstance(connector, Historical):
        return await connector.first_day(through) or through
    watermark = known.watermark if known is not None else None
    overlap = connector.overlap_days
    if known is not None and known.fingerprint:
        probe = await connector.probe()
        overlap = connector.overlap_days if probe.version == known.fingerprint else CHANGED_OVERLAP_DAYS
    first = _since(watermark, through, overlap)
    if watermark is not None:
        # A right may be missing for ever, and one query fail while the others do not: such days do not hold the watermark,
        # so every other metric is as fresh as it can be. They are read again once the metric can be read.
        backfill = _since(None, through, overlap)
        mended = through - timedelta(days=MENDED_DAYS - 1)
        owed = await database.read(usage.owed_since, connector.name, backfill, now - TRIED_AGAIN, mended)
        if owed is not None:
            # Whole weeks: older days of a week may be gone already, and its sum is made anew from what is there.
            first = max(min(first, owed - timedelta(days=owed.weekday())), backfill)
    return min(first, through)


async def _read(
    database: Database, connector: Connector, report: PollReport, now: datetime, zone: tzinfo
) -> PollReport:
    """Every part is kept, and the watermark moved over its days, in one transaction."""
    window = Window(report.since, report.through)
    by_metric: Counter[str] = Counter()
    totals: defaultdict[str, float] = defaultdict(float)
    states: defaultdict[str, list[float]] = defaultdict(list)
    notes: Counter[str] = Counter()
    faults = list(report.faults)
    coverage: dict[str, Coverage] = {}
    gaps: defaultdict[str, Counter[CoverageStatus]] = defaultdict(Counter)
    facts = unknown = 0
    async with aclosing(connector.collect(window, frozenset(METRICS))) as parts:  # type: ignore[type-var]  # collect is a generator
        async for part in parts:
            kept = await database.write(
                _keep_part, connector.name, part, now, zone, reached=report.gap is None
            )
            facts += kept.facts
            unknown += kept.unknown
            for fact in part.facts:
                if fact.crm_id in kept.strangers:
                    continue
                by_metric.update(fact.values.keys())
                for key, value in fact.values.items():
                    if METRICS[key].kind is not MetricKind.SNAPSHOT:
                        totals[key] += value
                    elif fact.day == window.through:
                        states[key].append(value)
            notes.update(part.notes)
            faults.extend(part.faults)
            coverage |= {row.metric: row for row in part.coverage if row.day == window.through}
            for row in part.coverage:
                if (
                    row.status is not CoverageStatus.OK
                    and METRICS[row.metric].kind is not MetricKind.SNAPSHOT
                ):
                    gaps[row.metric][row.status] += 1
    return replace(
        report,
        facts=facts,
        unknown=unknown,
        by_metric=dict(sorted(by_metric.items())),
        totals=dict(sorted(totals.items())),
        now={
            key: fmean(values) if METRICS[key].unit == PERCENT else fsum(values)
            for key, values in sorted(states.items())
        },
        coverage=coverage,
        gaps={metric: dict(days) for metric, days in sorted(gaps.items())},
        faults=tuple(faults),
        notes=dict(sorted(notes.items())),
    )


def _keep_people(uow: UnitOfWork, source: str, *args: Any, complete: bool) -> people.KeptUsers:
    users, programme, now = args
    kept = people.keep_users(uow, source, users, programme, now, complete=complete)
    if kept.added or kept.changed or kept.left:
        matching.match(uow, programme.identities, now)
    return kept


def _keep_part(
    uow: UnitOfWork, source: str, part: Collected, now: datetime, zone: tzinfo, *, reached: bool
) -> usage.KeptFacts:
    """Facts, coverage and watermark together: days that were asked for are behind us, and coverage says what is owed.

    ``reached``: whether every day before these has been asked for too; else the watermark stays where it is.
    """
    kept = usage.keep(uow, source, part, now, zone=zone)
    days = [row.day for row in part.coverage]
    if days:
        usage.mark_polled(uow, source, now)
    if days and reached:
        usage.move_watermark(uow, source, max(days), part.fingerprint or None, now)
    return kept


async def keep_broken(
    database: Database, connector: Connector, programme: Programme, now: datetime, kind: str
) -> None:
    """A poll ended by a fault of the program (``kind``: its class): what it owes is ``error``, as for any other failure."""
    known = (await database.read(usage.sources)).get(connector.name)
    watermark = known.watermark if known is not None else None
    through = last_day(programme, connector.lag_days, now)
    owed = Window(through if watermark is None else min(watermark + timedelta(days=1), through), through)
    error = Permanent(f"{connector.name}: reading it ended by a fault of the program ({kind}): see the log")
    await database.write(_keep_failure, connector.name, owed, error, now)


def _keep_failure(
    uow: UnitOfWork, source: str, owed: Window, error: Retryable | Permanent, now: datetime
) -> None:
    status = CoverageStatus.THROTTLED if isinstance(error, Throttled) else CoverageStatus.ERROR
    days = [owed.since + timedelta(days=n) for n in range((owed.through - owed.since).days + 1)]
    rows = [Coverage(metric, day, status, str(error)) for day in days or [owed.through] for metric in METRICS]
    usage.keep_failure(uow, source, rows, now)
    usage.mark_failed(uow, source, str(error), now)
