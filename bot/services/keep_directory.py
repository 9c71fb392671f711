"""Slack says that somebody changed, joined, or does not want to be disturbed: kept at once, between two full readings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bot.domain.people import SlackUser, fold_email
from bot.domain.ports import DndWindow
from bot.domain.programme import Programme
from store import matching, people
from store.database import UnitOfWork
from store.inbox import InboxRow


def keep_profile(uow: UnitOfWork, row: InboxRow, programme: Programme, now: datetime) -> str:
    """user_change, team_join. People are matched again only when something changed that matching reads."""
    user = _user(row.body.get("profile") or {})
    if user is None:
        return "no-profile"
    before = people.slack_users(uow, [user.id]).get(user.id)
    people.keep_slack_users(uow, [user], now, named=programme.accounts())
    if before is None or _identity(before) != _identity(user):
        matching.match(uow, programme.identities, now)
        return "profile-matched"
    return "profile-kept"


def keep_dnd(uow: UnitOfWork, row: InboxRow, _programme: Programme, now: datetime) -> str:
    """dnd_updated_user: the schedule, or a snooze that runs longer."""
    if row.user is None:
        return "no-user"
    body, window = row.body, DndWindow()
    start, end = _instant(body.get("next_dnd_start_ts")), _instant(body.get("next_dnd_end_ts"))
    if body.get("dnd_enabled") and start is not None and end is not None and start < end:
        window = DndWindow(start, end)
    snoozed = _instant(body.get("snooze_endtime")) if body.get("snooze_enabled") else None
    if snoozed is not None and snoozed > now:
        reaches = (
            window.end is not None and window.start is not None and window.start <= snoozed <= window.end
        )
        window = DndWindow(now, window.end if reaches else snoozed)
    people.keep_dnd(uow, {row.user: window}, now)
    return "dnd-kept"


def _identity(user: SlackUser) -> tuple[object, ...]:
    """What matching reads of it (bot/domain/matching.py)."""
    return (fold_email(user.email), user.is_bot, user.is_guest, user.deleted)


def _user(profile: Mapping[str, Any]) -> SlackUser | None:
    if not profile.get("id"):
        return None
    return SlackUser(
        id=str(profile["id"]),
        email=profile.get("email"),
        name=str(profile.get("name") or profile["id"]),
        zone=profile.get("zone"),
        language=profile.get("language"),
        is_bot=bool(profile.get("is_bot")),
        is_guest=bool(profile.get("is_guest")),
        deleted=bool(profile.get("deleted")),
        away=bool(profile.get("away")),
        away_until=_instant(profile.get("status_expiration")),
    )


def _instant(seconds: Any) -> datetime | None:
    """Slack's seconds since 1970; 0 and nonsense mean never."""
    if not isinstance(seconds, (int, float)) or not 0 < seconds < 32_503_680_000:
        return None
    return datetime.fromtimestamp(seconds, UTC)
