"""Rows of Dataverse as the product speaks of them: people, groups, the records behind a count, goals. Pure."""

from __future__ import annotations

import locale
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.core import get_global

from bot.connectors.countries import country_of_zone
from bot.connectors.crm_people import is_machine, is_zone, language_of, role_of
from bot.connectors.dynamics.queries import Habits, Question, Row
from bot.connectors.dynamics.schema import Schema, property_of
from bot.connectors.open_records import OpenDeal, OpenTask
from bot.connectors.values import moment_or_none
from bot.domain.people import CrmUser, fold_email, without_circles
from bot.domain.usage import RowFault

SHOWN = "@OData.Community.Display.V1.FormattedValue"
"""Added to a property's name: its value as people see it (Microsoft Learn, "Formatted values")."""
PEOPLE_MODES = frozenset({0, 1, 2})
"""Access modes of people: read-write, administrative, read. Support, non-interactive and delegated users are none."""
_BUILT_IN = frozenset({"SYSTEM", "INTEGRATION"})


# -- people -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is in the CRM. ``left_out``: users that are no people; ``known``: ids of all users; ``me``: our own, or ""."""

    users: tuple[CrmUser, ...]
    faults: tuple[RowFault, ...]
    left_out: frozenset[str]
    known: frozenset[str]
    me: str = ""


@dataclass(frozen=True, slots=True)
class Tastes:
    """What people set for themselves, by user id: IANA zone and language."""

    zones: Mapping[str, str]
    languages: Mapping[str, str]


def read_tastes(settings: Iterable[Row], definitions: Iterable[Row]) -> Tastes:
    """``usersettings`` and ``timezonedefinition`` rows -> zones and languages. Windows zones become IANA's by CLDR."""
    names = {row.get("timezonecode"): str(row.get("standardname") or "") for row in definitions}
    zones, languages = {}, {}
    for row in settings:
        who = id_of(row.get("systemuserid"))
        zone = _windows_zones().get(names.get(row.get("timezonecode"), ""), "")
        if who and zone and is_zone(zone):
            zones[who] = zone
        number = row.get("uilanguageid")
        said = locale.windows_locale.get(number, "") if isinstance(number, int) else ""
        language = language_of(said)
        if who and language:
            languages[who] = language
    return Tastes(zones, languages)


@cache
def _windows_zones() -> Mapping[str, str]:
    found: Mapping[str, str] = get_global("windows_zone_mapping")
    return found


def read_users(rows: Sequence[Row], tastes: Tastes, *, me: str, through: date) -> Roster:
    """``systemuser`` rows -> people. Who is disabled is left out, except while somebody still reports to them.

    ``me``: our own user. Whoever was created after ``through`` is not known yet.
    """
    faults: list[RowFault] = []
    left_out = {me} if me else set()
    known: set[str] = set(left_out)
    kept: dict[str, tuple[Row, bool, date | None]] = {}
    for line, row in enumerate(rows, 1):
        who, name = id_of(row.get("systemuserid")), row.get("fullname")
        if not who or not isinstance(name, str) or not name:
            reason = f"{row.get('systemuserid')!r} is no id of a user with a name"
            faults.append(RowFault("systemusers", line, "systemuserid", reason))
            continue
        known.add(who)
        if who in left_out or _is_no_person(row, name):
            left_out.add(who)
            continue
        since = utc_day(row.get("createdon"))
        if since is not None and since > through:
            continue
        kept.setdefault(who, (row, row.get("isdisabled") is not True, since))
    bosses, cut = without_circles(
        {who: id_of(row.get(property_of("parentsystemuserid"))) for who, (row, _, _) in kept.items()}
    )
    faults += (
        RowFault(
            "systemusers", 0, "parentsystemuserid", f"{each} is their own manager by a circle", dropped=False
        )
        for each in cut
    )
    led = {bosses[who] for who, (_, active, _) in kept.items() if active and who in bosses}
    users = tuple(
        _user(who, row, bosses.get(who), tastes, active=active, leads=who in led, since=since)
        for who, (row, active, since) in sorted(kept.items())
        if active or who in led
    )
    return Roster(users, tuple(faults), frozenset(left_out), frozenset(known), me)


def _is_no_person(row: Row, name: str) -> bool:
    mode = row.get("accessmode")
    return (
        bool(row.get("applicationid"))
        or (isinstance(mode, int) and mode not in PEOPLE_MODES)
        or name in _BUILT_IN
        or is_machine(name)
    )


def _user(
    who: str, row: Row, manager: str | None, tastes: Tastes, *, active: bool, leads: bool, since: date | None
) -> CrmUser:
    unit = str(row.get(property_of("businessunitid") + SHOWN) or "")
    zone = tastes.zones.get(who)
    ids = (str(row.get(each) or "").strip() for each in ("azureactivedirectoryobjectid", "domainname"))
    return CrmUser(
        crm_id=who,
        name=str(row["fullname"]),
        email=fold_email(str(row.get("internalemailaddress") or "")),
        role="manager" if leads else role_of(str(row.get("title") or ""), unit),
        manager=manager,
        active=active,
        zone=zone,
        country=country_of_zone(zone),
        language=tastes.languages.get(who),
        access_since=since,
        sso_ids=tuple(each for each in ids if each),
    )


def id_of(value: object) -> str:
    """An id as it is compared, in lower case and without braces; "" for what is none."""
    try:
        return str(UUID(value)) if isinstance(value, str) else ""
    except ValueError:
        return ""


# -- times ------------------------------------------------------------------------------------------------------------------


def utc_day(value: object) -> date | None:
    """The UTC day of an instant, or a plain day."""
    return day_in(value, None)


def day_in(value: object, zone: ZoneInfo | None) -> date | None:
    """The day of an instant in a zone (None: UTC), or a plain day."""
    if isinstance(value, str) and len(value) == len("2026-11-20"):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    moment = moment_or_none(value)
    return None if moment is None else moment.astimezone(zone or UTC).date()


# -- groups -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """What one count says of one person. ``who``: "" for what belongs to nobody; ``day``: None for a state."""

    who: str
    day: date | None
    by: tuple[Any, ...]
    count: float
    sums: Mapping[str, float]


def fetched(question: Question, row: Row) -> Group:
    """A group of a FetchXML answer; a property that is null is absent. Raises ValueError."""
    return Group(
        _who(row.get("u")),
        _day_of_parts(row) if question.moment else None,
        tuple(row.get(f"g{n}") for n in range(len(question.by))),
        _number(row.get("n")),
        {
            alias: _number(row.get(alias, 0) if row.get(alias) is not None else 0)
            for alias in (*question.sums, *question.filled)
        },
    )


def side_by_side(question: Question, row: Row, days: Sequence[date]) -> list[Group]:
    """Groups of a FetchXML answer that counts days beside each other. Raises ValueError, also where they do not add up."""
    who, by = _who(row.get("u")), tuple(row.get(f"g{n}") for n in range(len(question.by)))
    counts = [_number(row.get(f"n{n}", 0)) for n in range(len(days))]
    rows = [_number(row.get(f"c{n}", 0)) for n in range(len(days))] if question.distinct else counts
    if sum(rows) != _number(row.get("n")):
        raise ValueError("the days do not add up to the rows")
    return [Group(who, day, by, count, {}) for day, count in zip(days, counts, strict=True) if count]


def applied(question: Question, row: Row, day: date | None) -> Group:
    """A group of a ``$apply`` answer, asked for one day. Raises ValueError."""
    return Group(
        _who(row.get(property_of(question.person))),
        day,
        tuple(row.get(property_of(each)) for each in question.by),
        _number(row.get("n")),
        {alias: _number(row.get(alias) or 0) for alias in question.sums},
    )


def listed(question: Question, row: Row) -> Group:
    """A plain row, as a group of one. Raises ValueError."""
    day = utc_day(row.get(property_of(question.moment))) if question.moment else None
    if question.moment and day is None:
        raise ValueError(f"{question.moment} is {row.get(property_of(question.moment))!r}, which is no day")
    return Group(
        _who(row.get(property_of(question.person))),
        day,
        tuple(row.get(property_of(each)) for each in question.by),
        1.0,
        {alias: _number(row.get(property_of(column)) or 0) for alias, column in question.sums.items()},
    )


def _who(value: object) -> str:
    if value is None or value == "":
        return ""
    found = id_of(value)
    if not found:
        raise ValueError(f"{value!r} is no id of a user")
    return found


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):  # IEEE754Compatible: decimals may come as text
        return float(value)
    raise ValueError(f"{value!r} is no number")


def _day_of_parts(row: Row) -> date:
    parts = [row.get(each) for each in ("y", "m", "d")]
    try:
        return date(*(int(str(each)) for each in parts))
    except ValueError as error:
        raise ValueError(f"{'-'.join(str(each) for each in parts)} is no day") from error


# -- records ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reader:
    """Rows of opportunities and tasks, as this CRM names their columns. ``zone``: for dates that a person sets."""

    schema: Schema
    habits: Habits
    zone: ZoneInfo

    def deal(self, row: Row, activity: date | None = None, *, planned: bool = False) -> OpenDeal:
        """An open opportunity. ``activity``: of the last one about it; ``planned``: whether one is still to be done."""
        amount = row.get("estimatedvalue")
        account = property_of(self._name("account"))
        step = self.habits.next_step
        since = self.habits.step_since
        created = utc_day(row.get("createdon"))
        if activity is not None and created is not None and activity < created:
            activity = None  # of before there was this opportunity
        return OpenDeal(
            id=id_of(row.get("opportunityid")),
            owner=self.owner(row),
            name=str(row.get("name") or ""),
            created=created,
            close=day_in(row.get("estimatedclosedate"), self.zone),
            amount=None if amount is None else _number(amount),
            next_step=str(row.get(step) or "") if step else "planned" if planned else "",
            account=str(row.get(account + SHOWN) or row.get(account) or ""),
            step=str(row.get("stepname") or ""),
            step_since=day_in(row.get(since), self.zone) if since else None,
            last_activity=activity,
        )

    def filled(self, row: Row, columns: Iterable[str]) -> int:
        """How many of these columns are filled in."""
        return sum(row.get(property_of(self._name(each))) not in {None, ""} for each in columns)

    def amount(self, row: Row) -> float:
        """The amount of an opportunity in the organisation's currency."""
        value = row.get(property_of(self._name("open_amount")))
        return 0.0 if value is None else _number(value)

    def task(self, row: Row) -> OpenTask:
        """An open task."""
        return OpenTask(
            id=id_of(row.get("activityid")),
            owner=_who(row.get(property_of(self.schema.column("tasks", "owner")))),
            subject=str(row.get("subject") or ""),
            due=day_in(row.get("scheduledend"), self.zone),
        )

    def owner(self, row: Row) -> str:
        """Whose opportunity it is; "" for a team's."""
        return _who(row.get(property_of(self._name("owner"))))

    def _name(self, meant: str) -> str:
        return self.schema.column("opportunities", meant)


def attainment(rows: Iterable[Row], today: date, zone: ZoneInfo) -> dict[str, float]:
    """Running goals with an amount -> percent reached, by owner id.

    Where somebody has goals of several lengths, the shortest count; several of the same days are added up. Raises ValueError.
    """
    best: dict[str, tuple[int, float, float]] = {}
    for row in rows:
        who = _who(row.get(property_of("goalownerid")))
        first, last = (day_in(row.get(each), zone) for each in ("goalstartdate", "goalenddate"))
        target = 0.0 if row.get("targetmoney") is None else _number(row["targetmoney"])
        if not who or first is None or last is None or not first <= today <= last or target <= 0:
            continue
        reached = 0.0 if row.get("actualmoney") is None else _number(row["actualmoney"])
        length = (last - first).days
        known = best.get(who)
        if known is None or length < known[0]:
            best[who] = length, reached, target
        elif length == known[0]:
            best[who] = length, known[1] + reached, known[2] + target
    return {who: round(100 * reached / target, 2) for who, (_, reached, target) in best.items()}
