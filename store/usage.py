"""Usage facts, coverage, weeks and the watermark of each source.

``usage_day`` is one row per person and day with the metrics as columns; ``person_week`` outlives it (13 months against 35
days) and is recomputed from it for every week that a poll touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa

from bot.domain.usage import MEANINGFUL, METRICS, Collected, Coverage, CoverageStatus, MetricKind
from store.database import UnitOfWork
from store.statements import chunks, of_ids
from store.tables import Utc, person, person_week, source, usage_day
from store.tables import coverage as coverage_table
from store.upsert import Insert, insert, inserting, run_tuples, upsert, upserting

SNAPSHOT_LOOK_BACK = timedelta(days=7)
_NEARLY = timedelta(hours=3)
"""How long before its end a day counts as nearly over: what is told of the running day only is polled every hour."""
_EVENTS = tuple(m for m in METRICS.values() if m.kind is MetricKind.EVENT)
_ADDITIVE = tuple(m for m in METRICS.values() if m.kind is not MetricKind.SNAPSHOT)
_SNAPSHOTS = tuple(m for m in METRICS.values() if m.kind is MetricKind.SNAPSHOT)
_SNAPSHOT_KEYS = frozenset(metric.key for metric in _SNAPSHOTS)
_COLUMNS = {key: metric.column for key, metric in METRICS.items()}
_COVERAGE = ("source", "metric", "day", "status", "detail", "polled_at")
_FAILED = frozenset({CoverageStatus.ERROR, CoverageStatus.THROTTLED, CoverageStatus.DENIED})
"""Words of a query that brought no number at all. What it would have brought is as it was."""
_MEANINGFUL = frozenset(MEANINGFUL)
_SEVERITY = (
    CoverageStatus.OK,
    CoverageStatus.PARTIAL,
    CoverageStatus.THROTTLED,
    CoverageStatus.ERROR,
    CoverageStatus.DENIED,
    CoverageStatus.UNSUPPORTED,
)
"""From best to worst: the later, the longer it lasts and the more an admin has to do."""
_RANK = {status: rank for rank, status in enumerate(_SEVERITY)}
_SINCE, _THROUGH = sa.bindparam("since", type_=sa.Date), sa.bindparam("through", type_=sa.Date)
_IN_SPAN = usage_day.c.day.between(_SINCE, _THROUGH)
_READ_WELL = coverage_table.c.status == CoverageStatus.OK.value


_SOURCES = sa.select(source).order_by(source.c.name)


@dataclass(frozen=True, slots=True)
class KeptFacts:
    """``facts``: rows written; ``unknown``: facts of people that the CRM's user list does not have, left out, and
    ``strangers``: their ids in the CRM.
    """

    facts: int = 0
    unknown: int = 0
    strangers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """A CRM that is read. ``settings``: how to open it again (mapping file, folder); never a secret."""

    name: str
    kind: str
    settings: Mapping[str, Any]
    watermark: date | None
    fingerprint: str | None
    polled_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class PersonWeek:
    """Sums of one person over the ISO week that starts on ``week`` (a Monday). ``values``: event metrics that are known."""

    person: str
    week: date
    meaningful_days: int
    values: Mapping[str, float]


# --- keeping -------------------------------------------------------------------------------------------------------


def keep(
    uow: UnitOfWork, source: str, collected: Collected, now: datetime, *, zone: tzinfo = UTC
) -> KeptFacts:
    """Upsert facts and coverage, and recompute the weeks that they touch. Keeping the same again changes nothing.

    A fact writes the metrics it has. Where the coverage in ``collected`` says that a metric is ``ok`` on a day, the CRM has
    spoken for everybody on that day: a number that it no longer has is taken back, for people without a fact too.
    ``zone``: where the programme's days end, for :func:`keep_coverage`.
    """
    people = {
        row.crm_id: row.id
        for row in uow.rows(sa.select(person.c.crm_id, person.c.id).where(person.c.source == source))
    }
    authority = _authority(collected)
    rows: defaultdict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    orders: dict[frozenset[str], tuple[str, ...]] = {}
    seen: set[tuple[str, date]] = set()
    unknown = 0
    strangers: set[str] = set()
    for fact in collected.facts:
        identity = people.get(fact.crm_id)
        if identity is None:
            unknown += 1
            strangers.add(fact.crm_id)
            continue
        seen.add((identity, fact.day))
        spoken = authority.get(fact.day, frozenset())
        columns = spoken if spoken.issuperset(fact.values) else spoken.union(fact.values)
        order = orders.get(columns) or orders.setdefault(columns, tuple(sorted(columns)))
        rows[order].append(
            (
                identity,
                fact.day,
                source,
                any(value > 0 and key in _MEANINGFUL for key, value in fact.values.items()),
                *map(fact.values.get, order),
            )
        )
    for written in sorted(rows):
        _write(uow, rows[written], written)
    _take_back(uow, source, authority, seen)
    keep_coverage(uow, source, collected.coverage, now, zone=zone)
    touched = {day - timedelta(days=day.weekday()) for _, day in seen} | {
        day - timedelta(days=day.weekday()) for day in authority
    }
    for week in sorted(touched):
        _recompute_week(uow, source, week)
    return KeptFacts(len(seen), unknown, frozenset(strangers))


def _authority(collected: Collected) -> dict[date, frozenset[str]]:
    """Day -> metrics for which this reading speaks for everybody. Snapshots only on days that have one."""
    with_snapshot = {
        fact.day
        for fact in collected.facts
        if any(METRICS[key].kind is MetricKind.SNAPSHOT for key in fact.values)
    }
    spoken: defaultdict[date, set[str]] = defaultdict(set)
    for row in collected.coverage:
        if row.status is CoverageStatus.OK and (
            METRICS[row.metric].kind is not MetricKind.SNAPSHOT or row.day in with_snapshot
        ):
            spoken[row.day].add(row.metric)
    return {day: frozenset(keys) for day, keys in spoken.items()}


def _write(uow: UnitOfWork, rows: Sequence[tuple[Any, ...]], metrics: tuple[str, ...]) -> None:
    """Upsert (person, day, source, meaningful, *metrics)."""
    run_tuples(uow, *_writing(uow.dialect, metrics), rows)


@lru_cache(maxsize=256)
def _writing(dialect: str, metrics: tuple[str, ...]) -> tuple[Insert, tuple[str, ...]]:
    """The upsert of some metrics, and its columns. For M, metrics that are not written count as they are."""
    statement = inserting(dialect, usage_day)
    written = ["source", *(_COLUMNS[key] for key in metrics)]
    nothing: sa.ColumnElement[float] = sa.literal_column("0")
    kept = [
        sa.func.coalesce(usage_day.c[_COLUMNS[key]], nothing) > nothing
        for key in MEANINGFUL
        if key not in metrics
    ]
    changed: dict[str, Any] = {name: statement.excluded[name] for name in written}
    changed["meaningful"] = sa.or_(statement.excluded.meaningful, *kept)
    upserted = statement.on_conflict_do_update(index_elements=["person", "day"], set_=changed)
    return upserted, ("person", "day", "source", "meaningful", *written[1:])


def _take_back(
    uow: UnitOfWork,
    source: str,
    authority: Mapping[date, frozenset[str]],
    seen: Collection[tuple[str, date]],
) -> None:
    """Empty the numbers of people whom the CRM no longer gives any on a day that it covers."""
    if not authority:
        return
    stale: defaultdict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    written = uow.rows(
        sa.select(usage_day.c.person, usage_day.c.day).where(
            usage_day.c.source == source,
            usage_day.c.day.between(min(authority), max(authority)),
            sa.or_(
                *(usage_day.c[_COLUMNS[key]].is_not(None) for key in sorted(set().union(*authority.values())))
            ),
        )
    )
    for row in written:
        if row.day in authority and (row.person, row.day) not in seen:
            columns = tuple(sorted(authority[row.day]))
            stale[columns].append((row.person, row.day, source, False, *(None for _ in columns)))
    for columns in sorted(stale):
        _write(uow, stale[columns], columns)


def _recompute_week(uow: UnitOfWork, source: str, week: date) -> None:
    """Sum the days of one week anew, for everybody of the source."""
    until = week + timedelta(days=6)
    uow.execute(_recomputing(uow.dialect), {"week": week, "until": until, "of": source})


@lru_cache(maxsize=4)
def _recomputing(dialect: str) -> Insert:
    week = sa.bindparam("week", type_=sa.Date)
    days = sa.select(
        usage_day.c.person,
        sa.cast(week, sa.Date).label("week") if dialect != "sqlite" else week.label("week"),
        sa.func.sum(sa.case((usage_day.c.meaningful, 1), else_=0)).label("meaningful_days"),
        *(sa.func.sum(usage_day.c[metric.column]).label(metric.column) for metric in _EVENTS),
    ).where(
        usage_day.c.source == sa.bindparam("of"),
        usage_day.c.day.between(week, sa.bindparam("until", type_=sa.Date)),
    )
    names = ["person", "week", "meaningful_days", *(metric.column for metric in _EVENTS)]
    statement = inserting(dialect, person_week).from_select(names, days.group_by(usage_day.c.person))
    return statement.on_conflict_do_update(
        index_elements=["person", "week"], set_={name: statement.excluded[name] for name in names[2:]}
    )


def keep_coverage(
    uow: UnitOfWork, source: str, rows: Sequence[Coverage], now: datetime, *, zone: tzinfo = UTC
) -> None:
    """Write what a poll found out about each metric and day. The newest word counts, but for two:

    - A day that was read well once it was over stays ``ok`` when a query fails, is throttled or denied later: its numbers
      are still there, and all of them. A day that was read while it ran is not: what came after that nobody has read.
    - A CRM that tells snapshots as of now only calls those of days gone by ``unsupported``: what was read on its day stays.
      So does an event or a presence that it tells of the running day only, if it was read until the day was nearly over.

    A day is over when it is over in UTC and in ``zone``: CRMs count by either. Who was there today they tell by ``zone``.
    """
    at = Utc().process_bind_param(now, uow.connection.dialect)  # once for all rows, as the driver takes it
    told: list[Coverage] = []
    failed: list[Coverage] = []
    too_late: list[Coverage] = []
    forgotten: list[Coverage] = []
    for row in rows:
        if row.status in _FAILED:
            failed.append(row)
        elif row.status is CoverageStatus.UNSUPPORTED and row.metric in _SNAPSHOT_KEYS:
            too_late.append(row)
        elif row.status is CoverageStatus.UNSUPPORTED:
            forgotten.append(row)
        else:
            told.append(row)
    run_tuples(
        uow,
        upserting(uow.dialect, coverage_table, _COVERAGE),
        _COVERAGE,
        [(source, row.metric, row.day, row.status.value, row.detail, at) for row in told],
    )
    if failed:
        over = {day: _over(day, zone) for day in {row.day for row in failed}}
        known = _coverage_rows(source, failed, now)
        _say_unless(
            uow,
            sa.and_(_READ_WELL, coverage_table.c.polled_at >= sa.bindparam("over", type_=Utc)),
            [{**row, "over": over[row["day"]]} for row in known],
        )
    if forgotten:
        ends = {
            (row.metric, row.day): _over(row.day, zone)
            if METRICS[row.metric].kind is MetricKind.EVENT
            else datetime.combine(row.day + timedelta(days=1), time(), zone)
            for row in forgotten
        }
        _say_unless(
            uow,
            sa.and_(_READ_WELL, coverage_table.c.polled_at >= sa.bindparam("nearly", type_=Utc)),
            [
                {**row, "nearly": ends[row["metric"], row["day"]] - _NEARLY}
                for row in _coverage_rows(source, forgotten, now)
            ],
        )
    keep_failure(uow, source, too_late, now)


def keep_failure(uow: UnitOfWork, source: str, rows: Sequence[Coverage], now: datetime) -> None:
    """Coverage of a poll that failed: a day that an earlier poll read well stays as it is, and has its age (read_at)."""
    if rows:
        _say_unless(uow, _READ_WELL, _coverage_rows(source, rows, now))


def _say_unless(uow: UnitOfWork, stays: sa.ColumnElement[bool], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write coverage, but leave a row that is there and ``stays``."""
    statement = insert(uow, coverage_table)
    uow.execute(
        statement.on_conflict_do_update(
            index_elements=["source", "metric", "day"],
            set_={name: statement.excluded[name] for name in ("status", "detail", "polled_at")},
            where=sa.not_(stays),
        ),
        rows,
    )


def _over(day: date, zone: tzinfo) -> datetime:
    """The first instant at which a day is over, in UTC and in ``zone``."""
    midnight = datetime.combine(day + timedelta(days=1), time())
    return max(midnight.replace(tzinfo=UTC), midnight.replace(tzinfo=zone))


def _coverage_rows(source: str, rows: Sequence[Coverage], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "metric": row.metric,
            "day": row.day,
            "status": row.status.value,
            "detail": row.detail,
            "polled_at": now,
        }
        for row in rows
    ]


# --- sources -------------------------------------------------------------------------------------------------------


def keep_source(uow: UnitOfWork, name: str, kind: str, settings: Mapping[str, Any]) -> None:
    """Remember how to open a source again. The watermark stays."""
    upsert(uow, source, [{"name": name, "kind": kind, "settings": dict(settings)}])


def sources(uow: UnitOfWork) -> dict[str, Source]:
    """Every source by name."""
    return {
        row.name: Source(
            row.name, row.kind, row.settings, row.watermark, row.fingerprint, row.polled_at, row.error
        )
        for row in uow.rows(_SOURCES)
    }


def move_watermark(uow: UnitOfWork, name: str, through: date, fingerprint: str | None, now: datetime) -> None:
    """Everything up to ``through`` has been read. A watermark never moves back. Raises LookupError for no such source."""
    done = uow.execute(
        sa.update(source)
        .where(source.c.name == name)
        .values(
            watermark=sa.case((source.c.watermark > through, source.c.watermark), else_=through),
            fingerprint=fingerprint,
            polled_at=now,
            error=None,
        )
    )
    if done.rowcount == 0:
        raise LookupError(f"no source named {name}: keep_source comes first")


def mark_polled(uow: UnitOfWork, name: str, now: datetime) -> None:
    """The source answered now; what had failed is well again."""
    uow.execute(sa.update(source).where(source.c.name == name).values(polled_at=now, error=None))


def mark_failed(uow: UnitOfWork, name: str, error: str, now: datetime) -> None:
    """The last poll failed: why, in words for the admin. Nothing else changes."""
    uow.execute(sa.update(source).where(source.c.name == name).values(error=error, polled_at=now))


def mark_away(uow: UnitOfWork, name: str, error: str) -> bool:
    """A source does not answer between two polls. True when that is news; the next good poll takes it back."""
    well = sa.and_(source.c.name == name, source.c.error.is_(None))
    return uow.execute(sa.update(source).where(well).values(error=f"records: {error}")).rowcount > 0


# --- reading -------------------------------------------------------------------------------------------------------


def sums(
    uow: UnitOfWork, ids: Collection[str] | None, since: date, through: date
) -> dict[str, dict[str, float]]:
    """Sums of event metrics, and days of presence, over the days from ``since`` to ``through``, both included.

    A person or metric that is absent has no number; whether that means 0 is for :func:`coverage` to say. None: everybody.
    """
    return {
        row[0]: {
            metric.key: float(value)
            for metric, value in zip(_ADDITIVE, row[1:], strict=True)
            if value is not None
        }
        for row in _for_people(uow, _sums(), ids, since=since, through=through)
    }


@cache
def _sums() -> sa.Select[Any]:
    columns = [sa.func.sum(usage_day.c[metric.column]) for metric in _ADDITIVE]
    return sa.select(usage_day.c.person, *columns).where(_IN_SPAN).group_by(usage_day.c.person)


def meaningful_days(
    uow: UnitOfWork, ids: Collection[str] | None, since: date, through: date
) -> dict[str, int]:
    """Days with at least one state-changing action, by person; who has none is absent."""
    rows = _for_people(uow, _meaningful(), ids, since=since, through=through)
    return {row[0]: int(row[1]) for row in rows}


@cache
def _meaningful() -> sa.Select[Any]:
    counted = sa.select(usage_day.c.person, sa.func.count()).where(_IN_SPAN, usage_day.c.meaningful)
    return counted.group_by(usage_day.c.person)


def snapshots(
    uow: UnitOfWork, ids: Collection[str] | None, day: date, oldest: date | None = None
) -> dict[str, dict[str, float]]:
    """The latest snapshot of each person on or before ``day``, not older than ``oldest`` (default: a week before).

    All snapshot metrics of a person are of the same day. A person without one is absent.
    """
    oldest = oldest or day - SNAPSHOT_LOOK_BACK
    found: dict[str, dict[str, float]] = {}
    for row in _for_people(uow, _snapshots(), ids, since=oldest, through=day):
        found[row[0]] = {
            metric.key: float(value)
            for metric, value in zip(_SNAPSHOTS, row[1:], strict=True)
            if value is not None
        }
    return found


@cache
def _snapshots() -> sa.Select[Any]:
    columns = [usage_day.c[metric.column] for metric in _SNAPSHOTS]
    has_one = sa.or_(*(column.is_not(None) for column in columns))
    return sa.select(usage_day.c.person, *columns).where(_IN_SPAN, has_one).order_by(usage_day.c.day)


def coverage(
    uow: UnitOfWork,
    metrics: Collection[str] | None,
    since: date,
    through: date,
    *,
    source: str | None = None,
) -> dict[str, CoverageStatus]:
    """The worst status of each metric over the days from ``since`` to ``through``; None: all metrics.

    A day that no poll spoke of is ``error``. Of a snapshot metric only the last day counts. Several sources: the best of
    them on a day, unless one ``source`` is named.
    """
    wanted = METRICS.keys() if metrics is None else metrics
    parameters: dict[str, Any] = {"since": since, "through": through}
    if metrics is not None:
        parameters["metrics"] = sorted(metrics)
    if source is not None:
        parameters["source"] = source
    statement = _coverage(frozenset(parameters))
    rows = {row.metric: row for row in uow.rows(statement, parameters)}
    length = (through - since).days + 1
    found: dict[str, CoverageStatus] = {}
    for metric in wanted:
        row = rows.get(metric)
        if row is None:
            found[metric] = CoverageStatus.ERROR
        elif METRICS[metric].kind is MetricKind.SNAPSHOT:
            found[metric] = CoverageStatus.ERROR if row.last is None else _SEVERITY[row.last]
        else:
            missing = _RANK[CoverageStatus.ERROR] if row.days < length else 0
            found[metric] = _SEVERITY[max(row.worst, missing)]
    return found


@cache
def _coverage(parameters: frozenset[str]) -> sa.Select[Any]:
    where: list[sa.ColumnElement[bool]] = [coverage_table.c.day.between(_SINCE, _THROUGH)]
    if "metrics" in parameters:
        where.append(coverage_table.c.metric.in_(sa.bindparam("metrics", expanding=True)))
    if "source" in parameters:
        where.append(coverage_table.c.source == sa.bindparam("source"))
    rank = sa.case(
        *((coverage_table.c.status == status.value, place) for status, place in _RANK.items()),
        else_=_RANK[CoverageStatus.ERROR],
    )
    days = sa.select(coverage_table.c.metric, coverage_table.c.day).where(*where)
    if "source" in parameters:
        best = days.add_columns(rank.label("rank")).subquery()
    else:  # per metric and day the best over the sources
        best = (
            days.add_columns(sa.func.min(rank).label("rank"))
            .group_by(coverage_table.c.metric, coverage_table.c.day)
            .subquery()
        )
    last = sa.case((best.c.day == _THROUGH, best.c.rank), else_=None)
    return sa.select(
        best.c.metric,
        sa.func.count().label("days"),
        sa.func.max(best.c.rank).label("worst"),
        sa.func.max(last).label("last"),
    ).group_by(best.c.metric)


def read_at(uow: UnitOfWork, source: str, day: date) -> dict[str, datetime]:
    """When each metric of a day was last read well; a metric that never was is absent."""
    rows = uow.rows(_read_at(), {"source": source, "through": day})
    return {row.metric: row.polled_at for row in rows}


@cache
def _read_at() -> sa.Select[Any]:
    return sa.select(coverage_table.c.metric, coverage_table.c.polled_at).where(
        coverage_table.c.source == sa.bindparam("source"),
        coverage_table.c.day == _THROUGH,
        coverage_table.c.status == CoverageStatus.OK.value,
    )


def owed_since(
    uow: UnitOfWork, source: str, oldest: date, tried_before: datetime, partial_from: date
) -> date | None:
    """The first day, from ``oldest`` on, of which a metric was not read that may be read by now; None: there is none.

    A metric may be read by now when its newest day was. What was denied is owed at once, what failed or was read in part only
    when nobody has tried since ``tried_before``: a day that never can be read must not make every poll longer. A day that was
    read in part is owed from ``partial_from`` on only: rows that nobody mends for days are not going to be. Snapshots are left
    out: of a day gone by nobody tells them any more.
    """
    owed: dict[str, date] = {}
    for row in uow.rows(
        _OWED, {"source": source, "oldest": oldest, "tried": tried_before, "partial_from": partial_from}
    ):
        owed[row.metric] = row.day
    if not owed:
        return None
    newest = uow.rows(_NEWEST, {"source": source, "metrics": sorted(owed)})
    granted = [owed[row.metric] for row in newest if CoverageStatus(row.status) in _GRANTED]
    return min(granted, default=None)


_GRANTED = frozenset({CoverageStatus.OK, CoverageStatus.PARTIAL})
_UNREAD = (CoverageStatus.ERROR.value, CoverageStatus.THROTTLED.value)
_OWED = (
    sa.select(coverage_table.c.metric, sa.func.min(coverage_table.c.day).label("day"))
    .where(
        coverage_table.c.source == sa.bindparam("source"),
        sa.or_(
            coverage_table.c.status == CoverageStatus.DENIED.value,
            sa.and_(
                sa.or_(
                    coverage_table.c.status.in_(_UNREAD),
                    sa.and_(
                        coverage_table.c.status == CoverageStatus.PARTIAL.value,
                        coverage_table.c.day >= sa.bindparam("partial_from", type_=sa.Date),
                    ),
                ),
                coverage_table.c.polled_at <= sa.bindparam("tried", type_=Utc),
            ),
        ),
        coverage_table.c.metric.not_in(sorted(_SNAPSHOT_KEYS)),
        coverage_table.c.day >= sa.bindparam("oldest", type_=sa.Date),
    )
    .group_by(coverage_table.c.metric)
)
_LATER = coverage_table.alias()
_NEWEST = sa.select(coverage_table.c.metric, coverage_table.c.status).where(
    coverage_table.c.source == sa.bindparam("source"),
    coverage_table.c.metric.in_(sa.bindparam("metrics", expanding=True)),
    coverage_table.c.day
    == sa.select(sa.func.max(_LATER.c.day))
    .where(_LATER.c.source == coverage_table.c.source, _LATER.c.metric == coverage_table.c.metric)
    .scalar_subquery(),
)


def weeks(uow: UnitOfWork, ids: Collection[str] | None, since: date) -> dict[str, tuple[PersonWeek, ...]]:
    """Person-weeks from the week of ``since`` on, oldest first, by person. A week without a row had no fact."""
    monday = since - timedelta(days=since.weekday())
    found: defaultdict[str, list[PersonWeek]] = defaultdict(list)
    for row in _for_people(uow, _weeks(), ids, person_week.c.person, since=monday):
        values = {
            metric.key: float(value)
            for metric, value in zip(_EVENTS, row[3:], strict=True)
            if value is not None
        }
        found[row[0]].append(PersonWeek(row[0], row[1], row[2], values))
    return {each: tuple(rows) for each, rows in found.items()}


@cache
def _weeks() -> sa.Select[Any]:
    columns = [person_week.c[metric.column] for metric in _EVENTS]
    return (
        sa.select(person_week.c.person, person_week.c.week, person_week.c.meaningful_days, *columns)
        .where(person_week.c.week >= _SINCE)
        .order_by(person_week.c.person, person_week.c.week)
    )


def forget_raw(uow: UnitOfWork, before: date) -> int:
    """Delete facts and coverage of days before ``before`` (raw usage is kept for 35 days). Person-weeks stay.

    Returns how many facts went. At least 35 days must stay: a poll's overlap recomputes whole weeks from them.
    """
    gone = uow.execute(sa.delete(usage_day).where(usage_day.c.day < before)).rowcount
    uow.execute(sa.delete(coverage_table).where(coverage_table.c.day < before))
    return gone


def _for_people(
    uow: UnitOfWork,
    statement: sa.Select[Any],
    ids: Collection[str] | None,
    column: sa.ColumnElement[str] = usage_day.c.person,
    **parameters: Any,
) -> Iterator[tuple[Any, ...]]:
    """Run a query for these people, a chunk of ids at a time; None: for everybody."""
    if ids is None:
        yield from map(tuple, uow.rows(statement, parameters))
        return
    theirs = of_ids(statement, column)
    for chunk in chunks(ids):
        yield from map(tuple, uow.rows(theirs, {**parameters, "ids": chunk}))
