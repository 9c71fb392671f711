"""Rows of Infor CRM as the product speaks of them: dates, people, deals, activities and audited changes. Pure.

Sources: Saleslogix/DotNetSDataClient (the forms of a date in JSON), Saleslogix/argos-saleslogix (names of fields, kinds of
users and of activities, timeless dates).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from bot.connectors.crm_people import is_machine, role_of, without_circles
from bot.connectors.infor.queries import STEP_FIELDS
from bot.connectors.open_records import OpenDeal, OpenTask
from bot.connectors.values import text_of
from bot.domain.people import CrmUser, fold_email
from bot.domain.usage import RowFault

Row = Mapping[str, Any]

_MILLISECONDS = re.compile(
    r"\\?/Date\((?P<ms>-?\d{1,17})(?:(?P<sign>[+-])(?P<offset>\d{4}))?\)\\?/", re.IGNORECASE
)
_NEVER = -62135596800000
"""The first instant that .NET knows: what it writes for a date that was never set."""
_TIMELESS = (time(0, 0, 0), time(0, 0, 5))
"""Times of day that stand for none: midnight, and five seconds past it, which the CRM's own clients write."""
_ID = re.compile(r"[A-Za-z0-9]{1,16}")
_CHANGE = re.compile(
    r"^\s*(?P<field>\w+): ?(?P<new>[^\n]*?)\r?\n[ \t]*Old Value: ?(?P<old>[^\n]*?)\s*$", re.MULTILINE
)
_NO_LOGIN = frozenset({"3", "w", "webviewer", "5", "r", "retired", "6", "p", "template"})
_MACHINE = frozenset({"7", "addon", "add-on"})
_NO = frozenset({"false", "f", "0", "no", "n"})
_YES = frozenset({"true", "t", "1", "yes", "y"})


# -- values -----------------------------------------------------------------------------------------------------------


def key_of(value: object) -> str:
    """The id of a record: of a nested one its ``$key``. Ids are filled up to twelve characters in the database."""
    if isinstance(value, Mapping):
        value = value.get("$key")
    return value.strip() if isinstance(value, str) else ""


def at(row: Row, path: str) -> Any:
    """A field by its path in a select, ``UserInfo/Email``; ``AccountManager/$key`` may also come as a plain id."""
    value: Any = row
    for name in path.split("/"):
        if not isinstance(value, Mapping):
            return value if name == "$key" else None
        value = value.get(name)
    return value


def has(row: Row, path: str) -> bool:
    """Whether a row says something of a field at all, if only that it is empty."""
    return path.partition("/")[0] in row


def is_id(text: object) -> bool:
    """Whether a text can be an id, and so stand in a query."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def number_of(value: object) -> float | None:
    """A number, also one written as a text; None for nothing. Raises ValueError."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no number"[:80])  # noqa: TRY004 - a row that is bad, whatever its type
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{str(value)[:40]!r} is no number") from error
    if not math.isfinite(number):
        raise ValueError(f"{str(value)[:40]!r} is no number")
    return number


def is_true(value: object, *, otherwise: bool = False) -> bool:
    """A yes or no in any of the ways in which the database writes it."""
    said = str(value).strip().casefold() if value is not None else ""
    return otherwise if said not in _YES | _NO else said in _YES


# -- dates ------------------------------------------------------------------------------------------------------------


def _read(value: object) -> tuple[datetime, timedelta | None] | None:
    """(the instant in UTC, the offset that it was written with); None for nothing. Raises ValueError."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no date"[:80])  # noqa: TRY004 - as above
    text = value.strip()
    found = _MILLISECONDS.fullmatch(text)
    try:
        if found:
            if int(found["ms"]) <= _NEVER:
                return None
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(found["ms"]))
            if found["offset"] is None:
                return moment, None
            offset = timedelta(hours=int(found["offset"][:2]), minutes=int(found["offset"][2:]))
            return moment, offset if found["sign"] == "+" else -offset
        given = datetime.fromisoformat(text)
        moment = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{value[:40]!r} is no date") from error
    if moment.year <= 1:
        return None
    offset_given = given.utcoffset()
    return moment, offset_given or None


def moment_of(value: object) -> datetime | None:
    """An instant, in UTC; None for nothing. Raises ValueError."""
    found = _read(value)
    return found[0] if found else None


def day_of(value: object) -> date | None:
    """The UTC day of an instant."""
    moment = moment_of(value)
    return moment.date() if moment else None


def calendar_day(value: object, zone: tzinfo) -> date | None:
    """A date that was meant as one (an expected close): never shifted by a zone.

    Midnight UTC is that date everywhere; so is midnight at the offset that it was written with. What has a time of day is
    the instant that somebody's midnight was stored as: its day is that of ``zone``.
    """
    found = _read(value)
    if found is None:
        return None
    moment, offset = found
    if moment.time().replace(microsecond=0) in _TIMELESS:
        return moment.date()
    if offset is not None:
        local = moment + offset
        if local.time().replace(microsecond=0) in _TIMELESS:
            return local.date()
    return moment.astimezone(zone).date()


def due_day(value: object, *, timeless: bool, zone: tzinfo) -> date | None:
    """The day of an activity: of a timeless one the date as it is written, else the day of ``zone``."""
    moment = moment_of(value)
    if moment is None:
        return None
    return moment.date() if timeless else moment.astimezone(zone).date()


# -- people -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is in the CRM. ``left_out``: whose records are nobody's use; ``me``: our own id, or "" where it is not known."""

    users: tuple[CrmUser, ...]
    faults: tuple[RowFault, ...]
    left_out: frozenset[str]
    me: str = ""


def read_users(
    rows: Sequence[Row], *, me: str, username: str, through: date, left_out: Collection[str], manager: str
) -> Roster:
    """User rows -> people: who can log in and work, and those whom they report to.

    ``me``, ``username``: our own id and login name; ``left_out``: ids or login names of others who are no people;
    ``manager``: path of the field with the manager. Whoever was created after ``through`` is not known yet.
    """
    faults: list[RowFault] = []
    nobody = {me} - {""}
    machines = {each.strip().casefold() for each in left_out if each.strip()} | {username.casefold()} - {""}
    kept: dict[str, tuple[Row, bool, date | None]] = {}
    for line, row in enumerate(rows, 1):
        identity = key_of(row) or key_of(row.get("Id"))
        name = _name(row)
        if not is_id(identity) or not name:
            faults.append(RowFault("users", line, "Id", f"{identity!r} is no id of a user with a name"))
            continue
        kind = str(row.get("Type") if row.get("Type") is not None else "").strip().casefold()
        login = text_of(row.get("UserName"))
        ours = identity in nobody or {identity.casefold(), login.casefold()} & machines
        if ours or kind in _MACHINE or is_machine(name, login):
            nobody.add(identity)
            continue
        try:
            since = day_of(row.get("CreateDate"))
        except ValueError as error:
            faults.append(RowFault("users", line, "CreateDate", str(error), dropped=False))
            since = None
        if since is not None and since > through:
            continue
        active = is_true(row.get("Enabled"), otherwise=True) and kind not in _NO_LOGIN
        kept.setdefault(identity, (row, active, since))
    bosses = without_circles(
        {who: key_of(at(row, manager)) for who, (row, _, _) in kept.items()}, faults, "users"
    )
    led = {bosses[who] for who, (_, active, _) in kept.items() if active and who in bosses}
    users = tuple(
        _user(who, row, bosses.get(who), active=active, leads=who in led, since=since)
        for who, (row, active, since) in sorted(kept.items())
        if active or who in led
    )
    return Roster(users, tuple(faults), frozenset(nobody), me)


def _name(row: Row) -> str:
    first, last = text_of(at(row, "UserInfo/FirstName")), text_of(at(row, "UserInfo/LastName"))
    shown = text_of(at(row, "UserInfo/UserName")) or text_of(row.get("$descriptor"))
    return f"{first} {last}".strip() or shown or text_of(row.get("UserName"))


def _user(
    who: str, row: Row, manager: str | None, *, active: bool, leads: bool, since: date | None
) -> CrmUser:
    known = text_of(row.get("FederatedIdentity"))
    title, department = text_of(at(row, "UserInfo/Title")), text_of(at(row, "UserInfo/Department"))
    return CrmUser(
        crm_id=who,
        name=_name(row),
        email=fold_email(text_of(at(row, "UserInfo/Email"))),
        role="manager" if leads else role_of(title, department),
        manager=manager,
        active=active,
        access_since=since,
        sso_ids=(known,) if known else (),
        office=text_of(at(row, "UserInfo/Region")) or None,
    )


# -- records ----------------------------------------------------------------------------------------------------------


def deal_of(row: Row, zone: tzinfo, next_step: str) -> OpenDeal:
    """An open opportunity. An amount of nothing is none: the CRM's forms begin with 0. Raises ValueError."""
    return OpenDeal(
        id=key_of(row),
        owner=key_of(at(row, "AccountManager/$key")),
        name=text_of(row.get("Description")),
        created=day_of(row.get("CreateDate")),
        close=calendar_day(row.get("EstimatedClose"), zone),
        amount=number_of(row.get("SalesPotential")) or None,
        next_step=text_of(at(row, next_step)) if next_step else "",
        account=text_of(at(row, "Account/AccountName")) or key_of(at(row, "Account/$key")),
        step=text_of(row.get("Stage")),
    )


def task_of(row: Row, zone: tzinfo) -> OpenTask:
    """An open activity. Raises ValueError."""
    return OpenTask(
        id=key_of(row),
        owner=key_of(row.get("UserId")) or key_of(at(row, "Leader/$key")),
        subject=text_of(row.get("Description")),
        due=due_day(row.get("StartDate"), timeless=is_true(row.get("Timeless")), zone=zone),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """A field that an audited change is about, in small letters, and its values as the CRM wrote them."""

    field: str
    new: str
    old: str


def changes_of(notes: object) -> tuple[Change, ...]:
    """The changed fields of a history row of the type atDatabaseChange.

    Its notes have two lines for each: ``Stage: Proposal`` and ``Old Value: Prospect``.
    """
    return tuple(
        Change(each["field"].casefold(), each["new"].strip(), each["old"].strip())
        for each in _CHANGE.finditer(text_of(notes))
    )


def worked_on(row: Row) -> tuple[str, date] | None:
    """(opportunity, day) of a completed activity."""
    return _touch(row, "CompletedDate")


def moved_on(row: Row) -> tuple[str, date] | None:
    """(opportunity, day) of a change of its step."""
    moved = any(change.field in STEP_FIELDS for change in changes_of(row.get("Notes")))
    return _touch(row, "CreateDate") if moved else None


def _touch(row: Row, column: str) -> tuple[str, date] | None:
    record = key_of(row.get("OpportunityId"))
    try:
        day = day_of(row.get(column))
    except ValueError:
        return None
    return (record, day) if record and day is not None else None


def is_pushed(change: Change, written: str) -> bool:
    """Whether a change of a date moves it into the future. ``written``: how dates are, as strptime has it.

    A time of day behind the date is left out. Raises ValueError where a date cannot be read.
    """
    if not change.old or not change.new:
        return False
    return _noted_day(change.new, written) > _noted_day(change.old, written)


def _noted_day(text: str, written: str) -> date:
    first = text.partition(" ")[0]
    try:
        return datetime.strptime(first, written).replace(tzinfo=UTC).date()
    except ValueError:
        pass
    found = day_of(text)  # ISO, or /Date(…)/
    if found is None:
        raise ValueError(f"{text[:40]!r} is no date")
    return found
