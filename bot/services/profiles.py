"""Profiles: what the CRM says of people's work, as every trigger and rule reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bot.domain.behaviours import Behaviour, Shown, shown
from bot.domain.nudging import Profile
from bot.domain.people import Person, Preferences
from bot.domain.ports import Holidays
from bot.domain.programme import Programme
from bot.domain.usage import METRICS, CoverageStatus
from store import feedback, stages, usage
from store.database import UnitOfWork

SPAN = timedelta(days=27)
"""28 days, both ends included."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one person. ``day``: the last day that the source was read for, ``read_at``: metric -> when.

    ``shown``: the behaviours of their role. ``stage_features``: those behind their stage, if they have one.
    """

    profile: Profile
    shown: Mapping[str, Shown]
    read_at: Mapping[str, datetime]
    stage_features: Mapping[str, object]
    last_feedback: tuple[str, datetime] | None = None
    """What they said or pressed last, and when."""


def build(
    uow: UnitOfWork,
    people: Sequence[Person],
    preferences: Mapping[str, Preferences],
    programme: Programme,
    holidays: Holidays,
    *,
    today: date,
) -> dict[str, Reading]:
    """Profiles of people, as of the last day that their source was read for.

    A source that was never read gives profiles without any coverage: nothing may be concluded from them.
    """
    found: dict[str, Reading] = {}
    sources = usage.sources(uow)
    standing = stages.latest(uow, [person.id for person in people])
    spoken = feedback.latest(uow, [person.id for person in people])
    off = _HolidaysByCountry(holidays)
    by_role: dict[str, list[Behaviour]] = {}
    for behaviour in programme.behaviours.values():
        for role in behaviour.roles:
            by_role.setdefault(role, []).append(behaviour)
    for name in sorted({person.source for person in people}):
        group = [person for person in people if person.source == name]
        ids = [person.id for person in group]
        day = sources[name].watermark if name in sources else None
        if day is None:
            for person in group:
                empty = _empty(person, today, standing.get(person.id))
                found[person.id] = Reading(empty, _shown(empty, by_role), {}, {}, spoken.get(person.id))
            continue
        snapshot = usage.snapshots(uow, ids, day, day)
        sums_28d = usage.sums(uow, ids, day - SPAN, day)
        meaningful = usage.meaningful_days(uow, ids, day - SPAN, day)
        coverage = usage.coverage(uow, None, day - SPAN, day, source=name)
        read_at = usage.read_at(uow, name, day)
        for person in group:
            own = preferences.get(person.id)
            weekdays = (own.working_days if own else None) or person.working_days
            row = standing.get(person.id)
            profile = Profile(
                person=person.id,
                role=person.role,
                day=day,
                snapshot=snapshot.get(person.id, {}),
                sums_28d=sums_28d.get(person.id, {}),
                coverage=coverage,
                meaningful_28d=meaningful.get(person.id, 0),
                workdays_28d=off.workdays(weekdays, person.country, day - SPAN, day),
                weeks_since_access=_weeks(person.access_since, day),
                stage=row.state.stage if row else None,
            )
            found[person.id] = Reading(
                profile,
                _shown(profile, by_role),
                read_at,
                row.features if row else {},
                spoken.get(person.id),
            )
    return found


def breadth(readings: Mapping[str, Shown], behaviours: Mapping[str, Behaviour]) -> float | None:
    """Share of core behaviours done; None with fewer than three covered."""
    core = [each for key, each in readings.items() if each.known and behaviours[key].core]
    return sum(each.done for each in core) / len(core) if len(core) >= 3 else None


def _shown(profile: Profile, by_role: Mapping[str, Sequence[Behaviour]]) -> dict[str, Shown]:
    share = profile.workdays_28d / 20
    return {
        behaviour.id: shown(
            behaviour, profile.sums_28d, profile.snapshot, profile.coverage, working_share=share
        )
        for behaviour in by_role.get(profile.role, ())
    }


def _empty(person: Person, today: date, row: stages.StageRow | None) -> Profile:
    unread = dict.fromkeys(METRICS, CoverageStatus.ERROR)
    return Profile(
        person=person.id,
        role=person.role,
        day=today,
        snapshot={},
        sums_28d={},
        coverage=unread,
        meaningful_28d=0,
        workdays_28d=0,
        weeks_since_access=_weeks(person.access_since, today),
        stage=row.state.stage if row else None,
    )


def _weeks(since: date | None, day: date) -> int | None:
    """Full weeks since access; None when unknown, or not yet."""
    return (day - since).days // 7 if since is not None and since <= day else None


class _HolidaysByCountry:
    """Working days of a span, computed once for each pattern and country."""

    def __init__(self, holidays: Holidays) -> None:
        self._holidays = holidays
        self._known: dict[tuple[tuple[int, ...], str | None, date, date], int] = {}

    def workdays(self, weekdays: tuple[int, ...], country: str | None, first: date, last: date) -> int:
        key = (weekdays, country, first, last)
        if key not in self._known:
            off = self._holidays.between(country, first, last) if country else frozenset()
            days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
            self._known[key] = sum(1 for day in days if day.weekday() in weekdays and day not in off)
        return self._known[key]
