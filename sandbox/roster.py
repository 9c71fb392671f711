"""Reading people and channels as they are given from outside: over HTTP or in a file.

A person: `name` and, all optional, `id`, `email`, `real_name`, `tz` (IANA), `is_bot`, `is_restricted`,
`is_ultra_restricted`, `deleted`, `title`, `role` and `team` (shown on the page, Slack knows neither), `locale`,
`status_text`, `status_emoji`, `status_expiration` (epoch seconds or ISO), `dnd` ({start, end}: HH:MM every day in their zone, or two ISO instants; false to end it), and for scripted
people `work` ({start, end}: HH:MM; days: 1 is Monday).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from datetime import datetime
from datetime import time as wall_time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import LAST_YEAR, moment
from sandbox.foreign_json import read_json
from sandbox.state import Quiet, User, Usergroup, Workspace

Json = dict[str, Any]


class BadRoster(ValueError):
    """A person or channel that cannot be read, with the reason."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When somebody works: local times and ISO weekdays."""

    start: wall_time = wall_time(9, 0)
    end: wall_time = wall_time(17, 30)
    days: frozenset[int] = frozenset({1, 2, 3, 4, 5})


@dataclass(slots=True)
class Roster:
    """Who is there, and when the scripted ones work."""

    users: list[User] = field(default_factory=list)
    hours: dict[str, Hours] = field(default_factory=dict)
    channels: list[Json] = field(default_factory=list)


_TEXTS = (
    "name",
    "real_name",
    "email",
    "tz",
    "title",
    "role",
    "team",
    "status_text",
    "status_emoji",
    "locale",
)
_LAST_SECOND = moment(f"{LAST_YEAR}-12-31").timestamp()
_FLAGS = ("is_bot", "is_restricted", "is_ultra_restricted", "deleted")
_KNOWN = frozenset({"id", "status_expiration", "dnd", "work", *_TEXTS, *_FLAGS})


def _clock_time(text: Any) -> wall_time:
    try:
        at = wall_time.fromisoformat(text)
    except (TypeError, ValueError):
        raise BadRoster(f"not a time of day (HH:MM): {text!r}") from None
    if at.tzinfo is not None:
        raise BadRoster(f"times of day are local, without an offset: {text!r}")
    return at


def _instant(text: Any) -> datetime:
    try:
        return moment(text)
    except (TypeError, ValueError):
        raise BadRoster(f"not an ISO instant: {text!r}") from None


def _expiration(given: Any) -> int:
    """Seconds since 1970, from a number or an ISO instant; 0 is never."""
    if given is None:
        return 0
    if isinstance(given, str):
        return int(_instant(given).timestamp())
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= _LAST_SECOND:
        raise BadRoster("status_expiration is an instant: epoch seconds or ISO")
    return int(given)


def _quiet(given: Any) -> Quiet | None:
    if not given:
        return None
    if not isinstance(given, dict) or "start" not in given or "end" not in given:
        raise BadRoster("dnd needs start and end")
    read = _instant if "T" in str(given["start"]) or " " in str(given["start"]) else _clock_time
    quiet = Quiet(read(given["start"]), read(given["end"]))
    if isinstance(quiet.start, datetime) and isinstance(quiet.end, datetime) and quiet.end <= quiet.start:
        raise BadRoster("dnd must end after it starts")
    return quiet


def read_user(given: Any, workspace: Workspace) -> User:
    """A new or changed user; what is not given stays as it was. Raises BadRoster."""
    if not isinstance(given, dict):
        raise BadRoster("a user is an object")
    unknown = given.keys() - _KNOWN
    if unknown:
        raise BadRoster(f"unknown key {min(unknown)!r}; known: {', '.join(sorted(_KNOWN))}")
    user_id = given.get("id")
    if user_id is not None and (not isinstance(user_id, str) or not user_id.startswith(("U", "W"))):
        raise BadRoster(f"a user's id starts with U or W: {user_id!r}")
    before = workspace.users.get(user_id) if user_id else None
    changes: Json = {}
    for key in _TEXTS:
        if key in given:
            if not isinstance(given[key], str) and not (key == "email" and given[key] is None):
                raise BadRoster(f"{key} must be a string")
            changes[key] = given[key]
    for key in _FLAGS:
        if key in given:
            changes[key] = bool(given[key])
    if "tz" in changes:
        try:
            ZoneInfo(changes["tz"])
        except (OSError, ValueError, KeyError):
            raise BadRoster(f"unknown time zone {changes['tz']!r}") from None
    if "dnd" in given:
        changes["dnd"] = _quiet(given["dnd"])
    if "status_expiration" in given:
        changes["status_expiration"] = _expiration(given["status_expiration"])
    if before:
        return replace(before, **changes)
    if not changes.get("name"):
        raise BadRoster("a new user needs a name")
    changes.setdefault("real_name", changes["name"])
    return User(id=user_id or workspace.new_user_id(), **changes)


def read_hours(given: Any) -> Hours:
    """When somebody works; Monday to Friday, 09:00 to 17:30, where nothing is said. Raises BadRoster."""
    if given is None:
        return Hours()
    if not isinstance(given, dict):
        raise BadRoster("work is an object with start, end, days")
    usual = Hours()
    days = given.get("days", sorted(usual.days))
    if not isinstance(days, list) or not days or not all(isinstance(d, int) and 1 <= d <= 7 for d in days):
        raise BadRoster("days are numbers from 1 (Monday) to 7 (Sunday)")
    start = _clock_time(given["start"]) if "start" in given else usual.start
    end = _clock_time(given["end"]) if "end" in given else usual.end
    if end <= start:
        raise BadRoster("work must end after it starts, on the same day")
    return Hours(start, end, frozenset(days))


def read_roster(path: Path, workspace: Workspace) -> Roster:
    """Read a JSON or TOML file with `users`, `channels` and `usergroups`, or a JSON list of users. Raises BadRoster."""
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else read_json(text)
    except OSError as exc:
        raise BadRoster(f"{path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise BadRoster(f"{path}: {exc}") from exc
    if isinstance(found, list):
        found = {"users": found}
    roster = Roster(channels=list(found.get("channels", [])))
    for number, given in enumerate(found.get("users", []), start=1):
        try:
            user = read_user(given, workspace)
            roster.hours[user.id] = read_hours(given.get("work"))
        except BadRoster as exc:
            raise BadRoster(f"{path}: user {number}: {exc}") from None
        workspace.add_user(user)
        roster.users.append(user)
    for number, given in enumerate(roster.channels, start=1):
        try:
            add_channel(given, workspace)
        except BadRoster as exc:
            raise BadRoster(f"{path}: channel {number}: {exc}") from None
    for number, given in enumerate(found.get("usergroups", []), start=1):
        try:
            add_usergroup(given, workspace)
        except BadRoster as exc:
            raise BadRoster(f"{path}: user group {number}: {exc}") from None
    return roster


def _are_users(given: Any, workspace: Workspace) -> bool:
    """Whether this is a list of ids of users."""
    return isinstance(given, list) and all(
        isinstance(each, str) and each in workspace.users for each in given
    )


def add_channel(given: Any, workspace: Workspace) -> str:
    """Make a channel: `name`, `is_private`, `members` (ids; the bot is one unless `bot` is false). Returns its id."""
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or not given["name"]:
        raise BadRoster("a channel needs a name")
    if any(channel.name == given["name"] for channel in workspace.channels.values()):
        raise BadRoster(f"there is a channel {given['name']!r} already")
    members = given.get("members", [])
    if not _are_users(members, workspace):
        raise BadRoster("members are ids of users")
    everybody = list(dict.fromkeys([*members, workspace.bot_user_id] if given.get("bot", True) else members))
    channel = workspace.add_channel(given["name"], private=bool(given.get("is_private")), members=everybody)
    return channel.id


def add_usergroup(given: Any, workspace: Workspace) -> str:
    """Make or replace a user group: `handle`, `name`, `description`, `users` (ids), `disabled`. Returns its id."""
    if not isinstance(given, dict) or not isinstance(given.get("handle"), str) or not given["handle"]:
        raise BadRoster("a user group needs a handle")
    unknown = given.keys() - {"handle", "name", "description", "users", "disabled"}
    if unknown:
        raise BadRoster(f"unknown key {min(unknown)!r} of a user group")
    users = given.get("users", [])
    if not _are_users(users, workspace):
        raise BadRoster("users are ids of users")
    texts = {key: given.get(key) or given["handle"] for key in ("name", "description")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise BadRoster("name and description are strings")
    before = next((group for group in workspace.usergroups.values() if group.handle == given["handle"]), None)
    group = Usergroup(
        before.id if before else f"S{workspace.count('usergroup'):08d}",
        given["handle"],
        texts["name"],
        before.created if before else int(workspace.clock.seconds()),
        texts["description"],
        list(dict.fromkeys(users)),
        bool(given.get("disabled")),
    )
    workspace.usergroups[group.id] = group
    return group.id
