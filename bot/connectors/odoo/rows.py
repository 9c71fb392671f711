"""Rows of Odoo as the product speaks of them: people, and the records behind a count. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeGuard

from bot.connectors.countries import country_of_zone
from bot.connectors.crm_people import is_machine, is_zone, language_of, role_of, without_circles
from bot.connectors.odoo.answers import id_of
from bot.connectors.odoo.queries import Row, number_of
from bot.connectors.open_records import OpenDeal, OpenTask
from bot.connectors.values import day_or_none, moment_or_none, text_of
from bot.domain.people import CrmUser, fold_email
from bot.domain.usage import RowFault

ODOOBOT = "1"
"""The user that Odoo itself is: what its jobs change is nobody's use (base.user_root)."""
PAGE_MODELS = frozenset({"crm.lead", "res.partner"})


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is in the CRM. ``left_out``: ids of Odoo itself, of us and of machines, whose records are nobody's use.

    ``contacts``: a contact's id -> the id of the user who has it: messages have authors, and authors are contacts.
    ``logins``: when somebody logged in last, where ``logins_shown``; Odoo keeps nothing else.
    """

    users: tuple[CrmUser, ...]
    faults: tuple[RowFault, ...]
    left_out: frozenset[str]
    contacts: Mapping[int, str] = field(default_factory=dict)
    logins: Mapping[str, datetime] = field(default_factory=dict)
    logins_shown: bool = True
    me: str = ""


def read_users(
    rows: Sequence[Row], bosses: Mapping[str, str], *, me: str, through: date, logins_shown: bool
) -> Roster:
    """User rows -> people. Who is archived is left out, except while somebody still reports to them.

    ``bosses``: user -> manager, by ids. ``me``: our own user. Whoever was created after ``through`` is not known yet.
    """
    faults: list[RowFault] = []
    left_out = {ODOOBOT, me} - {""}
    kept: dict[str, tuple[Row, date | None]] = {}
    contacts: dict[int, str] = {}
    logins: dict[str, datetime] = {}
    for line, row in enumerate(rows, 1):
        number, name = row.get("id"), row.get("name")
        if not is_number(number) or not isinstance(name, str) or not name:
            faults.append(RowFault("res.users", line, "id", f"{number!r} is no id of a user with a name"))
            continue
        who, contact = str(number), id_of(row.get("partner_id"))
        if is_number(contact):
            contacts[contact] = who
        if who in left_out or is_machine(name):
            left_out.add(who)
            continue
        since = day_or_none(row.get("create_date"))
        if since is not None and since > through:
            continue
        if (at := moment_or_none(row.get("login_date"))) is not None:
            logins[who] = at
        kept.setdefault(who, (row, since))
    tied = without_circles({who: bosses.get(who, "") for who in kept}, faults, "res.users")
    led = {tied[who] for who, (row, _) in kept.items() if row.get("active") is not False and who in tied}
    users = tuple(
        _user(who, row, tied.get(who), leads=who in led, since=since)
        for who, (row, since) in sorted(kept.items(), key=lambda each: int(each[0]))
        if row.get("active") is not False or who in led
    )
    return Roster(users, tuple(faults), frozenset(left_out), contacts, logins, logins_shown, me)


def _user(who: str, row: Row, manager: str | None, *, leads: bool, since: date | None) -> CrmUser:
    login = text_of(row.get("login"))
    email = text_of(row.get("email")) or (login if "@" in login else "")
    zone = text_of(row.get("tz")) or None
    known = zone if zone is not None and is_zone(zone) else None
    sso = text_of(row.get("oauth_uid"))
    return CrmUser(
        crm_id=who,
        name=str(row["name"]),
        email=fold_email(email) or None,
        role="manager" if leads else role_of(text_of(row.get("function")), name_of(row.get("sale_team_id"))),
        manager=manager,
        active=row.get("active") is not False,
        zone=known,
        country=country_of_zone(zone),
        language=language_of(text_of(row.get("lang"))),
        access_since=since,
        sso_ids=(sso,) if sso else (),
    )


def by_employees(rows: Iterable[Row]) -> dict[str, str]:
    """Employee rows -> user -> the next one above who is a user, by ids."""
    above: dict[int, int] = {}
    user: dict[int, str] = {}
    for row in rows:
        number = row.get("id")
        if not is_number(number):
            continue
        boss, account = id_of(row.get("parent_id")), id_of(row.get("user_id"))
        if is_number(boss):
            above[number] = boss
        if is_number(account):
            user[number] = str(account)
    found: dict[str, str] = {}
    for number, who in user.items():
        seen, at = {number}, above.get(number)
        while at is not None and at not in seen and at not in user:
            seen.add(at)
            at = above.get(at)
        if at is not None and at in user and user[at] != who:
            found[who] = user[at]
    return found


def by_teams(users: Iterable[Row], teams: Iterable[Row]) -> dict[str, str]:
    """User -> the leader of their sales team, by ids."""
    leaders = {id_of(row.get("id")): id_of(row.get("user_id")) for row in teams}
    found: dict[str, str] = {}
    for row in users:
        team = id_of(row.get("sale_team_id"))
        leader = leaders.get(team) if is_number(team) else None
        if is_number(leader) and leader != row.get("id"):
            found[str(row.get("id"))] = str(leader)
    return found


def kind_of(activity_type: Row) -> str:
    """Which activity a type is, by its category and icon: its name is in somebody's words.

    Odoo's own types have the icons ``fa-phone``, ``fa-envelope`` and ``fa-users`` (addons/mail/data/mail_activity_type_data.xml).
    """
    category, icon = text_of(activity_type.get("category")), text_of(activity_type.get("icon"))
    if category == "phonecall" or icon.startswith("fa-phone"):
        return "call"
    if category == "meeting" or icon in {"fa-users", "fa-calendar"}:
        return "meeting"
    return "email" if icon.startswith(("fa-envelope", "fa-at")) else "task"


def deal_of(row: Row, last_activity: date | None = None) -> OpenDeal:
    """An open opportunity's row, which has an id. An amount of 0 is none: Odoo has no other way to leave it open."""
    try:
        amount = number_of(row, "expected_revenue")
    except ValueError:
        amount = 0.0
    planned = row.get("activity_ids")
    return OpenDeal(
        id=str(row["id"]),
        owner=str(id_of(row.get("user_id")) or ""),
        name=text_of(row.get("name")),
        created=day_or_none(row.get("create_date")),
        close=day_or_none(row.get("date_deadline")),
        amount=amount or None,
        next_step="planned" if planned else "",
        account=name_of(row.get("partner_id")),
        step=name_of(row.get("stage_id")),
        step_since=day_or_none(row.get("date_last_stage_update")),
        last_activity=last_activity,
    )


def task_of(row: Row) -> OpenTask:
    """A planned activity's row, which has an id."""
    words = (
        text_of(row.get("summary")),
        name_of(row.get("activity_type_id")),
        text_of(row.get("res_name")),
    )
    return OpenTask(
        id=str(row["id"]),
        owner=str(id_of(row.get("user_id")) or ""),
        subject=": ".join(word for word in (words[0] or words[1], words[2]) if word),
        due=day_or_none(row.get("date_deadline")),
    )


def page_of(base: str, major: int, model: str, number: str) -> str:
    """Where a record's form is. ``number``: its id, or ``{id}``.

    From 18 on addresses name the model (addons/web/static/src/core/browser/router.js); before, they are behind a ``#``.
    """
    if major >= 18:
        return f"{base}/odoo/{model}/{number}"
    return f"{base}/web#id={number}&model={model}&view_type=form"


def is_number(value: object) -> TypeGuard[int]:
    """Whether a value is a record's id."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_id(text: object) -> bool:
    """Whether a text is a record's id as we keep it."""
    return isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 12


def with_ids(model: str, rows: Sequence[Row]) -> tuple[list[Row], list[RowFault]]:
    """Rows that have an id, and a fault for each that has none."""
    good = [row for row in rows if is_number(row.get("id"))]
    faults = [
        RowFault(model, line, "id", f"{row.get('id')!r} is no id")
        for line, row in enumerate(rows, 1)
        if not is_number(row.get("id"))
    ]
    return good, faults


def name_of(value: object) -> str:
    """The display name of a many2one, its id where it has none, "" where it is empty."""
    if isinstance(value, list | tuple) and value:
        return text_of(value[1]) or str(value[0]) if len(value) > 1 else str(value[0])
    return str(value) if is_number(value) else ""
