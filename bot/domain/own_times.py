"""Days, hours and a weekly limit as people type them: "Mon Tue Thu", "Mo-Do", "9:00-15:00", "1". Pure.

What cannot be meant is no guess: every function gives None for it, and the caller says how to write it.
"""

from __future__ import annotations

import re
from datetime import time

from bot.domain.attention import EARLIEST, LATEST, MAX_WEEKLY_CAP
from bot.domain.intents import fold

AS_BEFORE = frozenset({"default", "usual", "reset", "standard", "normal", "ublich"})
"""Words that take an own choice back."""
_NAMES = (
    "monday mon mo montag",
    "tuesday tue tues tu di dienstag",
    "wednesday wed weds we mi mittwoch",
    "thursday thu thur thurs th do donnerstag",
    "friday fri fr freitag",
    "saturday sat sa samstag sonnabend",
    "sunday sun su so sonntag",
)
_WEEKDAYS = {name: number for number, names in enumerate(_NAMES) for name in names.split()}
_BETWEEN = re.compile(r"\s*(?:-|–|—|\bto\b|\buntil\b|\btill\b|\bbis\b)\s*")
_AND = frozenset({"and", "und"})
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm)?(?:\s*(?:uhr|h))?")
SHORTEST = 60
"""Minutes."""


def parse_days(text: str) -> tuple[int, ...] | None:
    """Weekdays (0 = Monday), from names and spans of names; None when a word is none, or there is no day."""
    days: set[int] = set()
    spans = re.sub(_BETWEEN, "-", text.casefold())
    for word in re.split(r"[\s,;.+&/]+", spans):
        if not word or word in _AND:
            continue
        ends = [_WEEKDAYS.get(fold(end)) for end in word.split("-")]
        if None in ends or len(ends) > 2:
            return None
        first, last = ends[0], ends[-1]
        assert first is not None
        assert last is not None
        span = range(first, last + 1) if first <= last else (*range(first, 7), *range(last + 1))
        days.update(span)
    return tuple(sorted(days)) or None


def parse_hours(text: str) -> tuple[time, time] | None:
    """From and until, local time; None when it is no span of an hour or more within the hard limits, 08:00 to 18:30."""
    ends = re.split(_BETWEEN, text.casefold().strip())
    if len(ends) != 2:
        return None
    start, end = (_time(each) for each in ends)
    if start is None or end is None or start < EARLIEST or end > LATEST:
        return None
    minutes = (end.hour - start.hour) * 60 + end.minute - start.minute
    return (start, end) if minutes >= SHORTEST else None


def parse_weekly(text: str) -> int | None:
    """Notes a week, 1 to 5; None for anything else. None at all is "stop", which has a word of its own."""
    found = re.fullmatch(r"\d", text.strip())
    number = int(found[0]) if found else 0
    return number if 1 <= number <= MAX_WEEKLY_CAP else None


def _time(text: str) -> time | None:
    found = _TIME.fullmatch(text.strip())
    if not found:
        return None
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found[3] == "pm" else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


SETTINGS = {
    "days": "days",
    "day": "days",
    "tage": "days",
    "arbeitstage": "days",
    "hours": "hours",
    "times": "hours",
    "zeiten": "hours",
    "stunden": "hours",
    "weekly": "weekly",
    "limit": "weekly",
    "wochentlich": "weekly",
}
"""First word of the command, folded -> what it sets."""
