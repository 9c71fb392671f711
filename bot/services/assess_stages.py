"""Assess everybody's adoption stage, once for each completed ISO week, from person-weeks and coverage."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta

from bot.domain.adoption import (
    DAILY_ROLES,
    OUTCOMES,
    StageState,
    Week,
    advance,
    dispersion,
    outcome_yield,
    week_features,
)
from bot.domain.behaviours import Behaviour, shown
from bot.domain.people import Person, Preferences
from bot.domain.ports import Holidays
from bot.domain.programme import Programme
from bot.domain.usage import MEANINGFUL, CoverageStatus
from store import people as people_store
from store import stages, usage
from store.database import Database, UnitOfWork
from store.stages import StageRow
from store.usage import PersonWeek

log = logging.getLogger(__name__)

LONGEST = 56
"""Weeks that a first assessment goes back at most: person-weeks are kept for 13 months."""
LOOK_BACK = 12
"""Weeks behind the features of one week: the last 8 that count, with room for those that do not."""
WRITE = 1_000
_ONE = timedelta(weeks=1)
_NEVER = (CoverageStatus.UNSUPPORTED, CoverageStatus.DENIED)


@dataclass(frozen=True, slots=True)
class StageReport:
    """``assessed``: person-weeks. ``moves``: person, from stage, to stage, week (its Monday)."""

    assessed: int = 0
    moves: tuple[tuple[str, str | None, str, date], ...] = field(default=())


async def assess(
    database: Database, *, programme: Programme, holidays: Holidays, now: datetime
) -> StageReport:
    """Assess every person and week that is complete and not assessed yet. Cheap when there is none.

    A week is complete when its source was read to its Sunday: an assessment never runs ahead of the numbers.
    """
    rows, moves = await database.read(_assess, programme, holidays)
    for start in range(0, len(rows), WRITE):
        await database.write(stages.keep, rows[start : start + WRITE], now)
    if rows:
        log.info("stages.assessed", extra={"person_weeks": len(rows), "moves": len(moves)})
    return StageReport(len(rows), tuple(moves))


def stages_wait(uow: UnitOfWork) -> bool:
    """Whether a week that was read to its end is still to be assessed for somebody."""
    return any(
        source.watermark is not None and stages.behind(uow, source.name, _last_complete(source.watermark))
        for source in usage.sources(uow).values()
    )


def _assess(
    uow: UnitOfWork, programme: Programme, holidays: Holidays
) -> tuple[list[StageRow], list[tuple[str, str | None, str, date]]]:
    rows: list[StageRow] = []
    moves: list[tuple[str, str | None, str, date]] = []
    for source in usage.sources(uow).values():
        if source.watermark is None:
            continue
        last = _last_complete(source.watermark)
        waiting = stages.behind(uow, source.name, last)
        if not waiting:
            continue
        work = _Assessment(uow, programme, holidays, source.name, last, waiting)
        for person, before, row in work.run():
            rows.append(row)
            if before is None or before.stage != row.state.stage:
                moves.append((person, before.stage if before else None, row.state.stage, row.week))
    return rows, moves


def _last_complete(watermark: date) -> date:
    """Monday of the last ISO week that was read to its Sunday."""
    return watermark - timedelta(days=watermark.weekday() + (0 if watermark.weekday() == 6 else 7))


class _Assessment:
    """The weeks of one source that wait to be assessed, in order."""

    def __init__(
        self,
        uow: UnitOfWork,
        programme: Programme,
        holidays: Holidays,
        source: str,
        last: date,
        waiting: Mapping[str, date | None],
    ) -> None:
        self._uow = uow
        self._programme = programme
        self._holidays = holidays
        self._source = source
        self._last = last
        everybody = people_store.get(uow)
        self._people = {k: p for k, p in everybody.items() if p.source == source and p.active}
        self._choices = people_store.preferences(uow, list(self._people))
        # Far back only for those of whom the first number matters; else what the features of the first week read.
        far = [k for k, after in waiting.items() if after is None or self._people[k].access_since is None]
        self._weeks = self._read_weeks(far, last - LONGEST * _ONE)
        self._starts = {each: self._start(each, after) for each, after in waiting.items()}
        first = min(self._starts.values(), default=last)
        self._weeks = self._read_weeks(None, first - LOOK_BACK * _ONE) | self._weeks
        self._calendar: dict[tuple[tuple[int, ...], str | None, date], tuple[int, int]] = {}
        self._states = stages.current(uow, list(waiting))
        self._known: dict[str, dict[date, Week]] = {}
        for each, before in stages.features_since(uow, last - LOOK_BACK * _ONE).items():
            if each in self._people:
                self._known[each] = {
                    week: self._week(each, week, covered=bool(features.get("covered", True)))
                    for week, features in before.items()
                }
        self._by_role: dict[str, list[Behaviour]] = {}
        for behaviour in programme.behaviours.values():
            for role in behaviour.roles if behaviour.core else ():
                self._by_role.setdefault(role, []).append(behaviour)

    def run(self) -> Iterable[tuple[str, StageState | None, StageRow]]:
        """Every person and week that waits, week by week: (person, state before, new row)."""
        week = min(self._starts.values(), default=self._last + _ONE)
        while week <= self._last:
            due = [self._people[each] for each, start in self._starts.items() if start <= week]
            yield from self._one_week(week, due)
            week += _ONE

    def _read_weeks(self, ids: Sequence[str] | None, since: date) -> dict[str, dict[date, PersonWeek]]:
        """Person-weeks of these people, None: of everybody, by person and week."""
        return {
            each: {week.week: week for week in weeks}
            for each, weeks in usage.weeks(self._uow, ids, since).items()
            if each in self._people
        }

    def _start(self, person: str, assessed: date | None) -> date:
        """First week to assess: after the last one; else that of access or of the first number, whichever is earlier."""
        oldest = self._last - LONGEST * _ONE
        if assessed is not None:
            return max(assessed + _ONE, oldest)
        since = self._people[person].access_since
        firsts = [week for week in self._weeks.get(person, {}) if week <= self._last]
        if since is not None:
            firsts.append(since - timedelta(days=since.weekday()))
        return min(self._last, max(oldest, min(firsts, default=self._last)))

    def _one_week(
        self, week: date, due: Sequence[Person]
    ) -> Iterable[tuple[str, StageState | None, StageRow]]:
        end = week + timedelta(days=6)
        this_week = usage.coverage(self._uow, MEANINGFUL, week, end, source=self._source)
        four_weeks = usage.coverage(self._uow, None, week - 3 * _ONE, end, source=self._source)
        seen = [
            status
            for metric, status in this_week.items()
            if status not in _NEVER or _was_read(metric, week, self._weeks)
        ]
        covered = bool(seen) and all(status is CoverageStatus.OK for status in seen)
        snapshots = usage.snapshots(self._uow, [person.id for person in due], end, end)
        fours = {each: self._four_weeks(each, week) for each in self._people}
        rates = self._rates(fours, four_weeks)
        live = self._programme.go_live <= end
        for person in due:
            known = self._known.setdefault(person.id, {})
            known[week] = self._week(person.id, week, covered=covered)
            weeks = [
                known.get(week - back * _ONE)
                or self._week(person.id, week - back * _ONE, covered=self._had_numbers(person.id, week, back))
                for back in range(LOOK_BACK - 1, -1, -1)
            ]
            sums, active = fours[person.id]
            workdays = sum(each.workdays for each in weeks[-4:])
            core = [
                shown(each, sums, snapshots.get(person.id, {}), four_weeks, working_share=workdays / 20)
                for each in self._by_role.get(person.role, ())
            ]
            judged = [each for each in core if each.known]
            features = week_features(
                weeks,
                weeks_exposed=self._exposed(person, end),
                live=live,
                done=sum(each.done for each in judged),
                asked=len(judged),
                outcome_yield=rates.yield_of(person.role, sums, active),
                daily=person.role in DAILY_ROLES,
                access_known=person.access_since is not None,
            )
            before = self._states.get(person.id)
            after = advance(before, features)
            self._states[person.id] = after
            body = {**asdict(features), "week": week.isoformat()}
            yield person.id, before, StageRow(person.id, week, after, body)

    def _had_numbers(self, person: str, week: date, back: int) -> bool:
        """Whether a week before the first assessed one counts: only if there is a number, else it says nothing."""
        return week - back * _ONE in self._weeks.get(person, {})

    def _week(self, person: str, week: date, *, covered: bool) -> Week:
        own = self._people.get(person)
        row = self._weeks.get(person, {}).get(week)
        workdays, off = self._days(own, self._choices.get(person), week) if own else (5, 0)
        return Week(week, row.meaningful_days if row else 0, workdays, off, covered)

    def _days(self, person: Person, choice: Preferences | None, week: date) -> tuple[int, int]:
        """Working days of a person's week, and how many of theirs are holidays; the same for many people."""
        weekdays = (choice.working_days if choice else None) or person.working_days
        key = (weekdays, person.country, week)
        if key not in self._calendar:
            self._calendar[key] = self._count_days(weekdays, person.country, week)
        return self._calendar[key]

    def _count_days(self, weekdays: tuple[int, ...], country: str | None, week: date) -> tuple[int, int]:
        days = [week + timedelta(days=offset) for offset in range(7) if offset in weekdays]
        holidays = self._holidays.between(country, week, week + timedelta(days=6)) if country else frozenset()
        off = sum(day in holidays for day in days)
        return len(days) - off, off

    def _exposed(self, person: Person, end: date) -> int:
        """Weeks since both access and go-live, the first being week 1.

        Where access is unknown the first number stands for it, and go-live where there is none.
        """
        live = self._programme.go_live
        since = person.access_since or min(self._weeks.get(person.id, {}), default=live)
        return max(0, (end - max(since, live)).days // 7 + 1)

    def _four_weeks(self, person: str, week: date) -> tuple[dict[str, float], int]:
        """Sums of the event metrics, and meaningful days, over the four weeks that end with this one."""
        found: dict[str, float] = {}
        active = 0
        weeks = self._weeks.get(person, {})
        for back in range(4):
            row = weeks.get(week - back * _ONE)
            if row is not None:
                active += row.meaningful_days
                for metric, value in row.values.items():
                    found[metric] = found.get(metric, 0.0) + value
        return found, active

    def _rates(
        self, fours: Mapping[str, tuple[dict[str, float], int]], coverage: Mapping[str, CoverageStatus]
    ) -> _Rates:
        """Outcomes for each meaningful day, by role."""
        known = {
            role: metrics
            for role, metrics in OUTCOMES.items()
            if all(coverage.get(metric) is CoverageStatus.OK for metric in metrics)
        }
        samples: dict[str, list[tuple[float, int]]] = {}
        for person in self._people.values():
            if person.role in known:
                sums, active = fours[person.id]
                events = sum(sums.get(metric, 0.0) for metric in known[person.role])
                samples.setdefault(person.role, []).append((events, active))
        return _Rates(samples)


def _was_read(metric: str, week: date, people: Mapping[str, Mapping[date, usage.PersonWeek]]) -> bool:
    """Whether anybody has a number of it in the last weeks. One that is refused since then is missing from what a week of
    use is made of; one that never was there is not.
    """
    oldest = week - LOOK_BACK * _ONE
    return any(
        metric in row.values for weeks in people.values() for at, row in weeks.items() if oldest <= at <= week
    )


class _Rates:
    """Outcome events for each meaningful day, and how much people differ, by role."""

    def __init__(self, samples: Mapping[str, Sequence[tuple[float, int]]]) -> None:
        self._rates: dict[str, tuple[float, float]] = {}
        for role, rows in samples.items():
            days, events = sum(active for _, active in rows), sum(count for count, _ in rows)
            if days > 0 and events > 0:
                rate = events / days
                self._rates[role] = (
                    rate,
                    dispersion([(count, active * rate) for count, active in rows if active > 0]),
                )

    def yield_of(self, role: str, sums: Mapping[str, float], active: int) -> float | None:
        """None where outcomes are not covered, or nobody in the role had any."""
        if role not in self._rates:
            return None
        rate, shape = self._rates[role]
        events = sum(sums.get(metric, 0.0) for metric in OUTCOMES[role])
        return round(outcome_yield(events, active * rate, shape), 4)
