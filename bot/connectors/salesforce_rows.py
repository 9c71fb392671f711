"""Rows of Salesforce as the product speaks of them: people, and the records behind a count. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from bot.connectors.countries import country_of_zone
from bot.connectors.salesforce_queries import Row
from bot.domain.people import CrmUser, fold_email
from bot.domain.usage import GRACE_DAYS, QUIET_DAYS, STUCK_DAYS, RecordRef, RowFault

LICENCES = ("Salesforce",)
"""Licences (Profile.UserLicense.Name) with which somebody can work on opportunities."""
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_LOCALE = re.compile(r"([a-z]{2,3})(?:_(?:[A-Z][a-z]{3}_)?([A-Z]{2}))?(?:_|$)")
_ROLE_WORDS = (
    ("sales_development", re.compile(r"\b(sdr|bdr|sales development|business development)\b", re.IGNORECASE)),
    ("customer_success", re.compile(r"\b(customer success|csm|renewals?|account care)\b", re.IGNORECASE)),
    ("service", re.compile(r"\b(support|service desk|customer service|field service)\b", re.IGNORECASE)),
)
_MACHINES = re.compile(r"\b(integration|api only|automated process|platform integration)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is in the CRM. ``left_out``: ids of integration users, whose records are nobody's use; ``me``: our own, or ""."""

    users: tuple[CrmUser, ...]
    faults: tuple[RowFault, ...]
    left_out: frozenset[str]
    me: str = ""


def read_users(
    rows: Sequence[Row],
    frozen: frozenset[str],
    *,
    me: str,
    through: date,
    licences: Sequence[str] = LICENCES,
    sandbox: bool = False,
) -> Roster:
    """User rows -> people. Who is inactive is left out, except while somebody still reports to them.

    ``me``: our own user. ``sandbox``: addresses end in ``.invalid`` there. Whoever was created after ``through`` is not
    known yet.
    """
    faults: list[RowFault] = []
    left_out = {full_id(me)} if me else set()
    kept: dict[str, tuple[Row, bool, date | None]] = {}
    for line, row in enumerate(rows, 1):
        identity, name = row.get("Id"), row.get("Name")
        if not isinstance(identity, str) or not is_id(identity) or not isinstance(name, str):
            faults.append(RowFault("User", line, "Id", f"{identity!r} is no id of a user with a name"))
            continue
        profile, licence = _path(row, "Profile", "Name"), _path(row, "Profile", "UserLicense", "Name")
        if identity in left_out or _MACHINES.search(profile) or _MACHINES.search(licence):
            left_out.add(identity)
            continue
        since = _date_of(row.get("CreatedDate"))
        if since is not None and since > through:
            continue
        active = (
            row.get("IsActive") is True and identity not in frozen and (not licence or licence in licences)
        )
        kept.setdefault(identity, (row, active, since))
    bosses = _without_circles(
        {who: str(row.get("ManagerId") or "") for who, (row, _, _) in kept.items()}, faults
    )
    led = {bosses[who] for who, (_, active, _) in kept.items() if active and who in bosses}
    users = tuple(
        _user(who, row, bosses.get(who), sandbox=sandbox, active=active, leads=who in led, since=since)
        for who, (row, active, since) in sorted(kept.items())
        if active or who in led
    )
    return Roster(users, tuple(faults), frozenset(left_out), full_id(me))


def _user(
    who: str, row: Row, manager: str | None, *, sandbox: bool, active: bool, leads: bool, since: date | None
) -> CrmUser:
    email = fold_email(str(row.get("Email") or "")) or ""
    zone = str(row.get("TimeZoneSidKey") or "") or None
    words = " ".join(
        (_path(row, "UserRole", "Name"), str(row.get("Title") or ""), _path(row, "Profile", "Name"))
    )
    role = next((role for role, said in _ROLE_WORDS if said.search(words)), "seller")
    return CrmUser(
        crm_id=who,
        name=str(row["Name"]),
        email=(email.removesuffix(".invalid") if sandbox else email) or None,
        role="manager" if leads else role,
        manager=manager,
        active=active,
        zone=zone if zone is not None and is_zone(zone) else None,
        country=country_of_zone(zone),
        language=language_of(str(row.get("LocaleSidKey") or "")),
        access_since=since,
    )


def language_of(locale: str) -> str | None:
    """``de_DE_EURO`` as ``de-DE``; None for what names no language.

    LocaleSidKey is how somebody reads dates and numbers (developer.salesforce.com, object reference, User).
    """
    found = _LOCALE.match(locale)
    return None if found is None else "-".join(part for part in found.groups() if part)


def _without_circles(bosses: Mapping[str, str], faults: list[RowFault]) -> dict[str, str]:
    """Managers, without those who would be their own: a circle is cut at its smallest id."""
    tied = {who: boss for who, boss in bosses.items() if boss in bosses and boss != who}
    for start in sorted(tied):
        seen, at = {start}, tied.get(start)
        while at is not None and at not in seen:
            seen.add(at)
            at = tied.get(at)
        if at == start:
            del tied[start]
            faults.append(
                RowFault("User", 0, "ManagerId", f"{start} is their own manager by a circle", dropped=False)
            )
    return tied


def full_id(identity: str) -> str:
    """The 18 characters of an id of 15 (Salesforce Help, "Converting a 15-Character ID to an 18-Character ID")."""
    if len(identity) != 15:
        return identity
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    parts = (identity[at : at + 5] for at in (0, 5, 10))
    return identity + "".join(
        letters[sum(1 << place for place, letter in enumerate(part) if letter.isupper())] for part in parts
    )


def _path(row: Row, *names: str) -> str:
    value: Any = row
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return str(value or "")


def _date_of(text: object) -> date | None:
    """The UTC day of an instant or a day."""
    return _read_day(text[:10]) if isinstance(text, str) else None


@lru_cache(maxsize=4096)
def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def is_id(text: object) -> bool:
    """Whether a text can be an id, and so stand in a query."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def is_zone(name: str) -> bool:
    """Whether it is an IANA time zone that is known here."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


NEEDED = {
    "opps_past_close": "CloseDate",
    "opps_no_next_step": "NextStep",
    "opps_no_activity_30d": "LastActivityDate",
    "opps_stuck_step": "LastStageChangeDate",
    "opps_missing_amount": "Amount",
    "opps_missing_account": "AccountId",
}
"""The field that a flaw is in."""


def is_flawed(metric: str, row: Row, today: date) -> bool:
    """Whether an open record is among those that FLAWS counts: the same conditions, on a row that was read."""
    created = _date_of(row.get("CreatedDate")) or today
    value = row.get(NEEDED.get(metric, "Id"))
    match metric:
        case "opps_past_close":
            close = _date_of(value)
            return close is not None and close < today
        case "opps_no_next_step" | "opps_missing_amount" | "opps_missing_account":
            return value is None and (today - created).days >= GRACE_DAYS
        case "opps_no_activity_30d":
            return (today - (_date_of(value) or created)).days >= QUIET_DAYS
        case "opps_stuck_step":
            return (today - (_date_of(value) or created)).days >= STUCK_DAYS
    return True


def badness(metric: str, row: Row, today: date) -> int:
    """How bad a record is, in days: since when it has been so, or open."""
    since = {
        "tasks_overdue": "ActivityDate",
        "opps_past_close": "CloseDate",
        "opps_no_activity_30d": "LastActivityDate",
        "opps_stuck_step": "LastStageChangeDate",
    }.get(metric, "CreatedDate")
    day = _date_of(row.get(since)) or _date_of(row.get("CreatedDate"))
    return (today - day).days if day is not None else 0


def record(metric: str, row: Row, today: date, link: str) -> RecordRef:
    """A record as a message names it: display values as of ``today``. ``link``: with ``{id}``."""
    identity, bad = str(row["Id"]), badness(metric, row, today)
    address = link.replace("{id}", quote(identity, safe=""))
    if metric == "tasks_overdue":
        due = str(row.get("ActivityDate") or "")
        details = {"due_date": due, "days_past": str(bad)} if due else {}
        return RecordRef(identity, str(row.get("Subject") or identity), address, details)
    details = {}
    created = _date_of(row.get("CreatedDate"))
    if created is not None:
        details = {"days_open": str((today - created).days), "open_since": created.isoformat()}
    if account := _path(row, "Account", "Name"):
        details["account"] = account
    if step := str(row.get("StageName") or ""):
        details["step"] = step
    if metric == "opps_past_close":
        details |= {"close_date": str(row.get("CloseDate")), "days_past": str(bad)}
    elif metric == "opps_no_activity_30d":
        details["days_quiet"] = str(bad)
        last = _date_of(row.get("LastActivityDate"))
        if last is not None and (created is None or last > created):
            details["last_activity"] = last.isoformat()
    elif metric == "opps_stuck_step":
        details["days_in_step"] = str(bad)
    return RecordRef(identity, str(row.get("Name") or identity), address, details)
