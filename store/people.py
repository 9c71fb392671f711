"""People: the CRM's users, Slack's users, how they belong together, and what each person chose."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from typing import Any

import sqlalchemy as sa

from bot.domain.attention import Presence
from bot.domain.people import (
    GOALS,
    SECOND,
    UNMATCHED,
    WEEKDAYS,
    CrmUser,
    Person,
    Preferences,
    SlackUser,
    fold_email,
    fold_ids,
    person_id,
    without_circles,
)
from bot.domain.ports import DndWindow
from bot.domain.programme import Programme
from store.database import UnitOfWork
from store.statements import chunks, of_ids, select_by, spelt_out, update_by
from store.tables import person, preference, slack_user
from store.upsert import upsert


@dataclass(frozen=True, slots=True)
class KeptUsers:
    """What a reading of the CRM's users changed. Person ids, sorted.

    ``circles``: crm_ids of those who would have been their own managers by a circle, and got none.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    unchanged: int = 0
    circles: tuple[str, ...] = ()


# --- the CRM's users -----------------------------------------------------------------------------------------------


def keep_users(
    uow: UnitOfWork,
    source: str,
    users: Sequence[CrmUser],
    programme: Programme,
    now: datetime,
    *,
    complete: bool = True,
) -> KeptUsers:
    """Insert and update the people of a source; who is no longer listed is no longer active.

    The team is the manager's person id; whoever manages themselves, by a circle or directly, or is managed by somebody
    unknown, has no team. A manager who is not active keeps their team: it is for the CRM to say who leads it now.
    Zone, country and language fall back to the programme's. ``complete=False`` (rows were unreadable) and an empty list
    make nobody leave: a broken export is not a resignation.
    """
    known = {row.id: row for row in uow.rows(select_by(person.c.source), {"which": source})}
    emails = {user.crm_id: fold_email(user.email) for user in users}
    bosses, circles = without_circles({user.crm_id: user.manager or "" for user in users})
    rows: dict[str, dict[str, Any]] = {}
    for user in users:
        boss = bosses.get(user.crm_id)
        own, boss_email = emails[user.crm_id], emails[boss] if boss is not None else None
        identity = person_id(source, user.crm_id)
        rows[identity] = {
            "id": identity,
            "source": source,
            "crm_id": user.crm_id,
            "name": user.name,
            "email": own,
            "role": user.role,
            "team": person_id(source, boss) if boss is not None else None,
            "active": user.active,
            "zone": user.zone or programme.zone,
            "country": user.country or programme.country,
            "language": user.language or programme.language,
            "access_since": user.access_since,
            "working_days": _days_to_text(user.working_days or WEEKDAYS),
            "office": user.office,
            "sso_ids": list(fold_ids(user.sso_ids)) or None,
            "pilot": programme.in_pilot(boss_email, own),
            "seen_at": now,
        }
    added = sorted(rows.keys() - known.keys())
    changed = sorted(
        identity
        for identity in rows.keys() & known.keys()
        if _differs(known[identity], rows[identity], but="seen_at")
    )
    upsert(uow, person, [{**rows[each], "match": UNMATCHED} for each in (*added, *changed)], keep=["match"])
    _stamp(uow, person.c.seen_at, rows.keys() - {*added, *changed}, now)
    gone = (
        sorted(identity for identity in known.keys() - rows.keys() if known[identity].active)
        if users and complete
        else []
    )
    for chunk in chunks(gone):
        uow.execute(sa.update(person).where(person.c.id.in_(chunk)).values(active=False))
    return KeptUsers(
        tuple(added), tuple(changed), tuple(gone), len(rows) - len(added) - len(changed), circles
    )


def _differs(known: sa.Row[Any], row: Mapping[str, Any], *, but: str) -> bool:
    """Whether a row that is there says something else, ``but`` aside: of hundreds that are read, few do."""
    return any(value != getattr(known, column) for column, value in row.items() if column != but)


def _stamp(uow: UnitOfWork, column: sa.Column[datetime], ids: Collection[str], now: datetime) -> None:
    """Write into ``column`` that these rows were read again and stay as they are."""
    for chunk in chunks(ids):
        uow.execute(_stamping(column), {"ids": chunk, column.name: now})


@cache
def _stamping(column: sa.Column[datetime]) -> sa.Update:
    return sa.update(column.table).where(column.table.c.id.in_(sa.bindparam("ids", expanding=True)))


def get(uow: UnitOfWork, ids: Collection[str] | None = None) -> dict[str, Person]:
    """People by id; None: everybody, those who left included. Slack's zone goes before the CRM's."""
    return {found.id: found for found in _people(uow, ids)}


def by_slack(uow: UnitOfWork, slack_id: str) -> Person | None:
    """The person who was matched to this Slack user."""
    row = uow.one(_by_slack(), {"which": slack_id})
    return _person(row) if row is not None else None


@cache
def _by_slack() -> sa.Select[Any]:
    return _PERSON.where(person.c.slack_id == sa.bindparam("which"))


def by_email(uow: UnitOfWork, email: str) -> Person | None:
    """The one active person with this address; None when there is none, or more than one. Their users in other CRMs are not
    asked (SECOND).
    """
    rows = uow.rows(_by_email(), {"which": fold_email(email)})
    return _person(rows[0]) if len(rows) == 1 else None


@cache
def _by_email() -> sa.Select[Any]:
    return _PERSON.where(
        person.c.email == sa.bindparam("which"), person.c.active, person.c.match.not_in(spelt_out(SECOND))
    )


def mark_welcomed(uow: UnitOfWork, person_id: str, at: datetime) -> None:
    """The welcome was delivered. The first time counts."""
    uow.execute(_not_welcomed(), {"which": person_id, "welcomed_at": at})


@cache
def _not_welcomed() -> sa.Update:
    return update_by(person.c.id).where(person.c.welcomed_at.is_(None))


def mark_notice_read(uow: UnitOfWork, person_id: str, at: datetime) -> None:
    """They chose, after reading who sees it, how their words are passed on. The first time counts."""
    uow.execute(
        sa.update(person)
        .where(person.c.id == person_id, person.c.notice_read_at.is_(None))
        .values(notice_read_at=at)
    )


# --- what they chose -----------------------------------------------------------------------------------------------


def preferences(uow: UnitOfWork, ids: Collection[str] | None = None) -> dict[str, Preferences]:
    """What people chose, with the defaults for whoever chose nothing; None: of everybody who chose something."""
    if ids is None:
        return {row.person: _preferences(row) for row in uow.rows(_PREFERENCE)}
    found: dict[str, Preferences] = {}
    for chunk in chunks(ids):
        rows = uow.rows(of_ids(_PREFERENCE, preference.c.person), {"ids": chunk})
        found |= {row.person: _preferences(row) for row in rows}
    return {each: found.get(each) or Preferences(each) for each in ids}


_CHOICES = frozenset(Preferences.__dataclass_fields__) - {"person"}


def change_preferences(uow: UnitOfWork, /, person_id: str, **changes: Any) -> Preferences:
    """Change what a person chose, and return all of it. Names and types are those of :class:`Preferences`.

    Raises ValueError for a name, goal or weekday that does not exist.
    """
    if unknown := changes.keys() - _CHOICES:
        raise ValueError(f"no such preference: {', '.join(sorted(unknown))}")
    if changes.get("goal") not in (None, *GOALS):
        raise ValueError(f"no such goal: {changes['goal']}")
    row: dict[str, Any] = {}
    for name, value in changes.items():
        if name in ("kinds_off", "tips_never"):
            row[name] = sorted(value or ())
        elif name == "working_days":
            row[name] = None if value is None else _days_to_text(value)
        elif name in ("window_start", "window_end"):
            row[name] = None if value is None else value.strftime("%H:%M")
        else:
            row[name] = value
    empty: dict[str, Any] = {"kinds_off": [], "tips_never": []}
    upsert(
        uow,
        preference,
        [{"person": person_id, **empty, **row}],
        keep=[name for name in empty if name not in row],
    )
    return preferences(uow, [person_id])[person_id]


# --- Slack's users -------------------------------------------------------------------------------------------------


def sso_ids_sought(uow: UnitOfWork) -> frozenset[str]:
    """By what names single sign-on knows everybody who is active in the CRM, folded."""
    return frozenset(each for row in uow.rows(_ACTIVE_SSO) for each in row.sso_ids)


def keep_slack_users(
    uow: UnitOfWork,
    users: Sequence[SlackUser],
    now: datetime,
    *,
    named: Collection[str] = (),
    sought: frozenset[str] | None = None,
) -> None:
    """Insert and update Slack users as users.list and user_change tell them. Do-not-disturb is :func:`keep_dnd`'s.

    Only those with the address or an id of single sign-on of somebody active in the CRM are kept, and those who are ``named``:
    member ids and folded addresses of the programme, whose names are shown, and of the identity file. Whoever no longer is
    one of them is forgotten. ``sought``: :func:`sso_ids_sought`, where it was asked before; reading many pages asks it once.
    """
    given = {user.id: user for user in users}
    known: dict[str, sa.Row[Any]] = {}
    for chunk in chunks(given):
        known |= {row.id: row for row in uow.rows(of_ids(_SLACK_USER, slack_user.c.id), {"ids": chunk})}
    rows: dict[str, dict[str, Any]] = {
        user.id: {
            "id": user.id,
            "email": fold_email(user.email),
            "sso_ids": _sso_ids(user, known.get(user.id)),
            "name": user.name,
            "zone": user.zone,
            "language": user.language,
            "is_bot": user.is_bot,
            "is_guest": user.is_guest,
            "deleted": user.deleted,
            "away": user.away,
            "away_until": user.away_until,
            "read_at": now,
        }
        for user in given.values()
    }
    ours = _ours(uow, rows, named, sought)
    for chunk in chunks(known.keys() - ours):
        uow.execute(sa.delete(slack_user).where(slack_user.c.id.in_(chunk)))
    same = {each for each in ours & known.keys() if not _differs(known[each], rows[each], but="read_at")}
    upsert(uow, slack_user, [row for each, row in rows.items() if each in ours - same])
    _stamp(uow, slack_user.c.read_at, same, now)


def _sso_ids(user: SlackUser, known: sa.Row[Any] | None) -> list[str] | None:
    """What single sign-on calls them; what was known where this reading does not say."""
    if user.sso_ids is None:
        return known.sso_ids if known is not None else None
    return list(fold_ids(user.sso_ids)) or None


def _ours(
    uow: UnitOfWork,
    rows: Mapping[str, Mapping[str, Any]],
    named: Collection[str],
    sought: frozenset[str] | None = None,
) -> set[str]:
    """Ids of the accounts that somebody may be tied to, or whose name is shown."""
    addresses = {row["email"] for row in rows.values() if row["email"] is not None}
    wanted = set(named)
    for chunk in chunks(addresses):
        wanted |= {row.email for row in uow.rows(of_ids(_ACTIVE, person.c.email), {"ids": chunk})}
    if sought is None:
        known = any(row["sso_ids"] for row in rows.values())
        sought = sso_ids_sought(uow) if known else frozenset()
    return {
        each
        for each, row in rows.items()
        if each in wanted or row["email"] in wanted or not sought.isdisjoint(row["sso_ids"] or ())
    }


def forget_slack_users(uow: UnitOfWork, named: Collection[str]) -> int:
    """Delete the accounts that :func:`keep_slack_users` would not keep any more. Returns how many.

    Whoever left keeps the id of their account, so that what they still write is recognised as theirs.
    """
    rows = {
        row.id: {"email": row.email, "sso_ids": row.sso_ids}
        for row in uow.rows(sa.select(slack_user.c.id, slack_user.c.email, slack_user.c.sso_ids))
    }
    gone = rows.keys() - _ours(uow, rows, named)
    for chunk in chunks(gone):
        uow.execute(sa.delete(slack_user).where(slack_user.c.id.in_(chunk)))
    return len(gone)


def keep_dnd(uow: UnitOfWork, windows: Mapping[str, DndWindow], now: datetime) -> None:
    """Do-not-disturb by Slack user id. Users that were never read are left out."""
    if windows:
        uow.execute(
            update_by(slack_user.c.id),
            [
                {"which": who, "dnd_start": window.start, "dnd_end": window.end, "read_at": now}
                for who, window in windows.items()
            ],
        )


def slack_users(uow: UnitOfWork, ids: Collection[str] | None = None) -> dict[str, SlackUser]:
    """Slack users by id; None: all of them, bots and deactivated ones included."""
    if ids is None:
        return {row.id: _slack_user(row) for row in uow.rows(_SLACK_USER)}
    theirs = of_ids(_SLACK_USER, slack_user.c.id)
    return {row.id: _slack_user(row) for chunk in chunks(ids) for row in uow.rows(theirs, {"ids": chunk})}


def slack_name(uow: UnitOfWork, email: str) -> str | None:
    """The name of the one living Slack account with this address; None when there is none, or more than one."""
    rows = uow.rows(
        sa.select(slack_user.c.name).where(
            slack_user.c.email == fold_email(email), ~slack_user.c.deleted, ~slack_user.c.is_bot
        )
    )
    return (rows[0].name or None) if len(rows) == 1 else None


def slack_account(uow: UnitOfWork, email: str) -> str | None:
    """The id of the one living Slack account with this address; None when there is none, or more than one."""
    rows = uow.rows(
        sa.select(slack_user.c.id).where(
            slack_user.c.email == fold_email(email), ~slack_user.c.deleted, ~slack_user.c.is_bot
        )
    )
    return str(rows[0].id) if len(rows) == 1 else None


def presence(uow: UnitOfWork, person_ids: Collection[str], now: datetime) -> dict[str, Presence]:
    """What Slack last said of people: do not disturb, and an out-of-office status that has not run out."""
    found: dict[str, Presence] = {}
    for chunk in chunks(person_ids):
        for row in uow.rows(of_ids(_presence(), person.c.id), {"ids": chunk}):
            dnd = row.dnd_start is not None and row.dnd_end is not None and row.dnd_start <= now < row.dnd_end
            away = row.away and (row.away_until is None or now < row.away_until)
            found[row.person] = Presence(
                dnd_until=row.dnd_end if dnd else None,
                away_until=row.away_until if away else None,
                away=away,
            )
    return {each: found.get(each, Presence()) for each in person_ids}


@cache
def _presence() -> sa.Select[Any]:
    return sa.select(
        person.c.id.label("person"),
        slack_user.c.away,
        slack_user.c.away_until,
        slack_user.c.dnd_start,
        slack_user.c.dnd_end,
    ).join(slack_user, slack_user.c.id == person.c.slack_id)


# --- rows ----------------------------------------------------------------------------------------------------------

_PREFERENCE = sa.select(preference)
_SLACK_USER = sa.select(slack_user)
_ACTIVE = sa.select(person.c.email).where(person.c.active)
_ACTIVE_SSO = sa.select(person.c.sso_ids).where(person.c.active, person.c.sso_ids.is_not(None))
_PERSON = sa.select(person, slack_user.c.zone.label("slack_zone")).outerjoin(
    slack_user, slack_user.c.id == person.c.slack_id
)


def _people(uow: UnitOfWork, ids: Collection[str] | None) -> Iterator[Person]:
    if ids is None:
        yield from (_person(row) for row in uow.rows(_PERSON.order_by(person.c.id)))
        return
    for chunk in chunks(ids):
        yield from (_person(row) for row in uow.rows(of_ids(_PERSON, person.c.id), {"ids": chunk}))


def _person(row: sa.Row[Any]) -> Person:
    return Person(
        id=row.id,
        source=row.source,
        crm_id=row.crm_id,
        name=row.name,
        email=row.email,
        role=row.role,
        team=row.team,
        active=row.active,
        zone=row.slack_zone or row.zone,
        country=row.country,
        language=row.language or "en",
        access_since=row.access_since,
        working_days=_text_to_days(row.working_days),
        pilot=row.pilot,
        match=row.match,
        slack_id=row.slack_id,
        welcomed_at=row.welcomed_at,
        notice_read_at=row.notice_read_at,
        matched_by=row.matched_by,
    )


def _preferences(row: sa.Row[Any]) -> Preferences:
    return Preferences(
        person=row.person,
        goal=row.goal,
        goal_chosen_at=row.goal_chosen_at,
        paused_until=row.paused_until,
        stopped_at=row.stopped_at,
        kinds_off=frozenset(row.kinds_off),
        tips_never=frozenset(row.tips_never),
        working_days=None if row.working_days is None else _text_to_days(row.working_days),
        window_start=None if row.window_start is None else time.fromisoformat(row.window_start),
        window_end=None if row.window_end is None else time.fromisoformat(row.window_end),
        weekly_cap=row.weekly_cap,
        feedback_mode=row.feedback_mode,
    )


def _slack_user(row: sa.Row[Any]) -> SlackUser:
    return SlackUser(
        id=row.id,
        email=row.email,
        name=row.name,
        zone=row.zone,
        language=row.language,
        is_bot=row.is_bot,
        is_guest=row.is_guest,
        deleted=row.deleted,
        sso_ids=None if row.sso_ids is None else tuple(row.sso_ids),
        away=row.away,
        away_until=row.away_until,
        dnd_start=row.dnd_start,
        dnd_end=row.dnd_end,
    )


def _days_to_text(days: Collection[int]) -> str:
    if not set(days) <= set(range(7)):
        raise ValueError(f"weekdays are 0 (Monday) to 6: {sorted(days)}")
    return "".join(str(day) for day in sorted(set(days)))


def _text_to_days(text: str) -> tuple[int, ...]:
    return tuple(int(digit) for digit in text)
