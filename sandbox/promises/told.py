"""What a person told the bot, as anybody would read it: stop, pause until Monday, days, hours, a weekly number.

Only what is unmistakable is read. A setting that is not understood here makes the check milder, never stricter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time, timedelta

_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday mon mo montag",
            "tuesday tue di dienstag",
            "wednesday wed mi mittwoch",
            "thursday thu do donnerstag",
            "friday fri fr freitag",
            "saturday sat sa samstag",
            "sunday sun so sonntag",
        ),
        1,
    )
    for name in names.split()
}
_SETTINGS = {"days": "days", "tage": "days", "hours": "hours", "zeiten": "hours"} | dict.fromkeys(
    ("weekly", "limit", "wöchentlich"), "weekly"
)
_SPEAKING = frozenset({"feedback", "say", "idee", "avis"})
_STOPS = frozenset(
    {
        *("stop", "stopp", "stop it", "please stop", "stop please", "bitte stopp", "unsubscribe"),
        *("please stop messaging me", "stop messaging me", "arrête", "arrêtez", "basta"),
    }
)
_RESUMES = frozenset({"resume", "weiter", "go on", "mach weiter", "start again", "continue", "please resume"})
_STOPPED = ("Stopped.", "Gestoppt.")
"""How the bot confirms it: whoever read that was promised silence, whatever they had said."""
_REMIND = re.compile(r"\b(remind|later|not now|erinner\w*|später|rappel\w*|plus tard|recuérd\w*)\b")
_TAKE_BACK = re.compile(r"\b(delete|remove|erase|lösch\w*|supprim\w*|efface\w*|borra\w*|forget)\b")
_PAUSE_FOR = re.compile(r"pause (?:for )?(\d+|a|one|two|three) (day|week|month)s?")
_NUMBERS = {"a": 1, "one": 1, "two": 2, "three": 3}
_LENGTHS = {"day": 1, "week": 7, "month": 30}
_HOURS = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*(?:-|–|to|until|bis)\s*(\d{1,2})(?:[:.](\d{2}))?")
PAUSE_BUTTONS = {"pause:tomorrow", "pause:next_week", "pause:month"}


@dataclass(frozen=True, slots=True)
class Setting:
    """Own days (ISO weekdays), hours or weekly number; None in all: as before they had one of their own.

    `unclear`: not understood here, though the bot may have understood it.
    """

    name: str
    days: frozenset[int] | None = None
    hours: tuple[time, time] | None = None
    weekly: int | None = None
    unclear: bool = False


def plain(text: str) -> str:
    """Small letters, words divided by single blanks, no marks around them."""
    return " ".join(re.findall(r"[\w'’.:–-]+", text.casefold())).strip(" .")


def setting(text: str) -> Setting | None:
    """What `/fullsteam TEXT` sets; None when it sets nothing."""
    first, _, rest = plain(text).partition(" ")
    name = _SETTINGS.get(first)
    if name is None:
        return None
    if rest in ("default", "usual", "standard"):
        return Setting(name)
    if name == "days":
        days = [_WEEKDAYS.get(word) for word in rest.split()]
        known = frozenset(day for day in days if day is not None)
        return Setting(name, days=known) if known and None not in days else Setting(name, unclear=True)
    if name == "hours":
        found = _HOURS.fullmatch(rest)
        if not found or int(found[1]) > 23 or int(found[3]) > 23:
            return Setting(name, unclear=True)
        ends = time(int(found[1]), int(found[2] or 0)), time(int(found[3]), int(found[4] or 0))
        return Setting(name, hours=ends)
    return Setting(name, weekly=int(rest)) if rest in "12345" and rest else Setting(name, unclear=True)


def speaks(text: str) -> bool:
    """Whether `/fullsteam TEXT` passes words on: it is answered at once, and in the direct message when they were read."""
    return plain(text).partition(" ")[0] in _SPEAKING


def is_stop(text: str) -> bool:
    """Whether these words can only mean stop."""
    return plain(text) in _STOPS


def confirms_stop(answer: str) -> bool:
    """Whether an answer of the bot's promises silence for good."""
    return answer.startswith(_STOPPED)


def is_resume(text: str) -> bool:
    """Whether these words ask it to go on."""
    return plain(text) in _RESUMES


def asks_to_be_reminded(text: str) -> bool:
    """Whether these words ask for the same message once more."""
    return _REMIND.search(plain(text)) is not None


def takes_back(text: str) -> bool:
    """Whether these words take back what was said, and with it what stood in the way."""
    return _TAKE_BACK.search(plain(text)) is not None


def pause_until(text: str, today: date) -> date | None:
    """The day on which a pause ends that words ask for; None when they ask for none, or for one that is not read here."""
    words = plain(text).removeprefix("please ").removesuffix(" please")
    if words == "pause":
        return today + timedelta(days=7)
    if words in ("pause until tomorrow", "pause bis morgen"):
        return today + timedelta(days=1)
    if found := _PAUSE_FOR.fullmatch(words):
        number = _NUMBERS.get(found[1]) or int(found[1])
        # A month may end two days earlier than thirty; the shorter reading is the milder check.
        return today + timedelta(days=number * (28 if found[2] == "month" else _LENGTHS[found[2]]))
    named = words.removeprefix("pause until ").removeprefix("pause bis ")
    if named != words and named in _WEEKDAYS:
        return today + timedelta(days=(_WEEKDAYS[named] - today.isoweekday()) % 7 or 7)
    return None


def pause_of_button(action: str, today: date) -> date:
    """The day on which a pause ends that a button asks for."""
    days = {"pause:tomorrow": 1, "pause:next_week": 8 - today.isoweekday(), "pause:month": 30}
    return today + timedelta(days=days[action])
