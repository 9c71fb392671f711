"""A person's own days, hours and weekly limit. They win over the file's and the programme's, never over the hard limits."""

from __future__ import annotations

from typing import Any

from bot.content.wording import weekday_names
from bot.domain.attention import EARLIEST, LATEST, MAX_WEEKLY_CAP, Standing, weekly_cap, window, working_days
from bot.domain.intents import fold
from bot.domain.messages import Message
from bot.domain.own_times import AS_BEFORE, SETTINGS, parse_days, parse_hours, parse_weekly
from bot.domain.people import Preferences
from bot.services.hearing import Heard
from store import people
from store.database import UnitOfWork

_SET_BY = {
    "days": ("working_days",),
    "hours": ("window_start", "window_end"),
    "weekly": ("weekly_cap",),
}
"""Setting -> preferences."""


def setting_of(text: str) -> tuple[str, str] | None:
    """(days, hours or weekly; the words after it) of a command; None when it sets nothing."""
    first, _, rest = text.strip().partition(" ")
    setting = SETTINGS.get(fold(first))
    return None if setting is None else (setting, rest.strip())


def chosen(setting: str, rest: str) -> dict[str, Any] | None:
    """The preferences that the words set; None when they cannot be understood. Pure."""
    if fold(rest) in AS_BEFORE:
        return dict.fromkeys(_SET_BY[setting])
    if setting == "days":
        days = parse_days(rest)
        return None if days is None else {"working_days": days}
    if setting == "hours":
        hours = parse_hours(rest)
        return None if hours is None else {"window_start": hours[0], "window_end": hours[1]}
    weekly = parse_weekly(rest)
    return None if weekly is None else {"weekly_cap": weekly}


def set_times(uow: UnitOfWork, heard: Heard, setting: str, rest: str) -> bool:
    """Keep what was typed; False when it cannot be understood, and nothing changes."""
    changes = chosen(setting, rest)
    if changes is None:
        return False
    people.change_preferences(uow, heard.person.id, **changes)
    return True


def times_words(uow: UnitOfWork, heard: Heard, setting: str, rest: str) -> Message:
    """What the person reads at once: the times that hold from now on, or how to write them. Reads only."""
    changes = chosen(setting, rest)
    now = people.preferences(uow, [heard.person.id])[heard.person.id]
    if changes is None:
        return heard.say(
            "times_unclear",
            setting=setting,
            words=rest,
            earliest=EARLIEST.strftime("%H:%M"),
            latest=LATEST.strftime("%H:%M"),
            most=MAX_WEEKLY_CAP,
        )
    kept = {name: getattr(now, name) for name in Preferences.__dataclass_fields__}
    return heard.say("times_set", **times_of(heard, Preferences(**{**kept, **changes})))


def times_of(heard: Heard, preferences: Preferences) -> dict[str, Any]:
    """Days, hours and limit that are in force, for words."""
    standing = Standing(heard.person, preferences)
    start, end = window(standing, heard.programme.rules)
    return {
        "days": weekday_names(working_days(standing), heard.person.language),
        "start": start.strftime("%H:%M"),
        "end": end.strftime("%H:%M"),
        "cap": weekly_cap(standing, heard.programme.rules),
    }
