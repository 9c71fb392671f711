"""Rows of Salesforce as the product speaks of them: people, and the records behind a count. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from bot.connectors.countries import country_of_zone
from bot.connectors.crm_people import is_machine, is_zone, language_of, role_of, without_circles
from bot.connectors.open_records import OpenDeal, OpenTask
from bot.connectors.salesforce.queries import Row
from bot.connectors.values import day_or_none
from bot.domain.errors import Permanent
from bot.domain.people import CrmUser, fold_email
from bot.domain.usage import RowFault

LICENCES = ("Salesforce",)
"""Licences (Profile.UserLicense.Name) with which somebody can work on opportunities."""
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is in the CRM. ``left_out``: ids of integration users, whose records are nobody's use; ``me``: our own, or "".

    ``known``: every id, active or not, in the order in which Salesforce sorts them.
    """

    users: tuple[CrmUser, ...]
    faults: tuple[RowFault, ...]
    left_out: frozenset[str]
    me: str = ""
    known: tuple[str, ...] = ()


def read_users(
    rows: Sequence[Row],
    frozen: frozenset[str],
    *,
    me: str,
    through: date,
    username: str = "",
    licences: Sequence[str] = LICENCES,
    sandbox: bool = False,
) -> Roster:
    """User rows -> people. Who is inactive is left out, except while somebody still reports to them.

    ``me``: our own user, or "" where only its ``username`` is known, if that. ``sandbox``: addresses end in ``.invalid`` there. Whoever was created after ``through`` is not
    known yet. Raises Permanent where there are users, and nobody has one of the ``licences``.
    """
    faults: list[RowFault] = []
    me = me or _named(rows, username)
    left_out = {full_id(me)} if me else set()
    wanted = {each.casefold() for each in licences}
    unlicensed: Counter[str] = Counter()
    kept: dict[str, tuple[Row, bool, date | None]] = {}
    for line, row in enumerate(rows, 1):
        identity, name = row.get("Id"), row.get("Name")
        if not isinstance(identity, str) or not is_id(identity) or not isinstance(name, str):
            faults.append(RowFault("User", line, "Id", f"{identity!r} is no id of a user with a name"))
            continue
        profile, licence = _path(row, "Profile", "Name"), _path(row, "Profile", "UserLicense", "Name")
        if identity in left_out or is_machine(profile, licence):
            left_out.add(identity)
            continue
        since = day_or_none(row.get("CreatedDate"))
        if since is not None and since > through:
            continue
        active = row.get("IsActive") is True and identity not in frozen
        if active and licence and licence.casefold() not in wanted:
            active = False
            unlicensed[licence] += identity not in kept
        kept.setdefault(identity, (row, active, since))
    bosses = without_circles(
        {who: str(row.get("ManagerId") or "") for who, (row, _, _) in kept.items()}, faults, "User"
    )
    if unlicensed and not any(active for _, active, _ in kept.values()):
        theirs = ", ".join(each for each, _ in unlicensed.most_common(3))
        raise Permanent(
            f"nobody has a licence of FULLSTEAM_SALESFORCE_LICENCES ({', '.join(licences)}), so nobody is listed:"
            f" set it to those of your sellers, of {theirs}",
            code="no-licence",
        )
    faults += _left_out(unlicensed)
    led = {bosses[who] for who, (_, active, _) in kept.items() if active and who in bosses}
    users = tuple(
        _user(who, row, bosses.get(who), sandbox=sandbox, active=active, leads=who in led, since=since)
        for who, (row, active, since) in sorted(kept.items())
        if active or who in led
    )
    known = dict.fromkeys(row["Id"] for row in rows if is_id(row.get("Id")))
    return Roster(users, tuple(faults), frozenset(left_out), full_id(me), tuple(known))


def _named(rows: Sequence[Row], username: str) -> str:
    """The id of the user of this name, "" where there is none."""
    wanted = username.casefold()
    found = (row.get("Id") for row in rows if wanted and str(row.get("Username") or "").casefold() == wanted)
    return next((str(each) for each in found if is_id(each)), "")


def _left_out(unlicensed: Mapping[str, int]) -> Iterator[RowFault]:
    """Which licences were left out, and of how many people."""
    for licence, count in sorted(unlicensed.items()):
        whose = "1 active user has" if count == 1 else f"{count} active users have"
        why = f"{whose} the licence {licence!r}, which FULLSTEAM_SALESFORCE_LICENCES does not name: left out"
        yield RowFault("User", 0, "licence", why, dropped=False)


def _user(
    who: str, row: Row, manager: str | None, *, sandbox: bool, active: bool, leads: bool, since: date | None
) -> CrmUser:
    email = fold_email(str(row.get("Email") or "")) or ""
    zone = str(row.get("TimeZoneSidKey") or "") or None
    role = role_of(_path(row, "UserRole", "Name"), str(row.get("Title") or ""), _path(row, "Profile", "Name"))
    federation = str(row.get("FederationIdentifier") or "").strip()
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
        sso_ids=(federation,) if federation else (),
    )


def sees_all(rows: Sequence[Row]) -> bool | None:
    """Whether one of our permission sets lets us see everybody's records; None: they do not say."""
    sets = [row.get("PermissionSet") for row in rows]
    said = [each.get("PermissionsViewAllData") if isinstance(each, Mapping) else None for each in sets]
    if any(each is True for each in said):
        return True
    return False if said and all(each is False for each in said) else None


def seen_in_part(rows: Sequence[Row]) -> frozenset[str] | None:
    """The objects that we may read, but not all records of them; None: the permissions do not say."""
    seen: dict[str, bool] = {}
    for row in rows:
        name, everything = row.get("SobjectType"), row.get("PermissionsViewAllRecords")
        if not isinstance(name, str) or not isinstance(everything, bool):
            return None
        seen[name] = seen.get(name, False) or everything
    return frozenset(name for name, everything in seen.items() if not everything) if seen else None


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


def is_id(text: object) -> bool:
    """Whether a text can be an id, and so stand in a query."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


NEEDED = {
    "opps_past_close": "CloseDate",
    "opps_no_next_step": "NextStep",
    "opps_no_activity_30d": "LastActivityDate",
    "opps_stuck_step": "LastStageChangeDate",
    "opps_missing_amount": "Amount",
    "opps_missing_account": "AccountId",
}
"""The field that a flaw is in."""


def deal_of(row: Row) -> OpenDeal:
    """An open opportunity's row."""
    amount = row.get("Amount")
    return OpenDeal(
        id=str(row["Id"]),
        owner=str(row.get("OwnerId") or ""),
        name=str(row.get("Name") or ""),
        created=day_or_none(row.get("CreatedDate")),
        close=day_or_none(row.get("CloseDate")),
        amount=float(amount) if isinstance(amount, int | float) else None,
        next_step=str(row.get("NextStep") or ""),
        account=_path(row, "Account", "Name") or str(row.get("AccountId") or ""),
        step=str(row.get("StageName") or ""),
        step_since=day_or_none(row.get("LastStageChangeDate")),
        last_activity=day_or_none(row.get("LastActivityDate")),
    )


def task_of(row: Row) -> OpenTask:
    """An open task's row."""
    return OpenTask(
        id=str(row["Id"]),
        owner=str(row.get("OwnerId") or ""),
        subject=str(row.get("Subject") or ""),
        due=day_or_none(row.get("ActivityDate")),
    )
