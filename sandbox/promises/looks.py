"""What a message of the bot's looks like to whoever gets it: a welcome, a tip, a question whether to go on, or something else.

The buttons tell the kinds apart, the words tell what a tip is about (sandbox.company.reading). An answer looks like nothing
in particular: what makes it one is that somebody did something just before (sandbox.promises.watch).
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any

from sandbox.acts import elements, options
from sandbox.company.reading import read

Json = dict[str, Any]

WELCOME, TIP, BACK_OFF, STATUS, OTHER = "welcome", "tip", "back_off", "status", "other"
UNCAPPED = frozenset({STATUS})
"""Looks that do not count against the weekly number (design: status of my own feedback, thanks on a fix)."""
WHY = "tip:why"
_TIP = frozenset({"tip:do", "tip:remind", "tip:blocked"})
_STATUS = frozenset({"me:lift", WHY})
_COUNT = re.compile(r"\W*(?:bei )?(\d+|one|einem|einer|eine|ein)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?](?:\s|$)")


@dataclass(frozen=True, slots=True)
class Look:
    """`about`: of a tip, the behaviour that it asks for, in a word of ours; `tip`: the same tip has the same one, whatever
    its numbers. `count`: how many records its first line counts. `records`: ids of those that it names.
    """

    kind: str
    why: bool
    about: str = ""
    tip: str = ""
    count: int | None = None
    records: tuple[str, ...] = ()


def pressable(blocks: list[Json] | None) -> frozenset[str]:
    """Action ids; of a menu its entries, by what stands before the bar."""
    found: set[str] = set()
    for each in elements(blocks):
        entries = options(each.element)
        found.update(str(entry["value"]).partition("|")[0] for entry in entries)
        if not entries:
            found.add(str(each.element["action_id"]))
    return frozenset(found)


def look(text: str, blocks: list[Json] | None) -> Look:
    """Look at a message as it arrived."""
    buttons = pressable(blocks)
    why = WHY in buttons
    if buttons >= _TIP:
        return _tip(text, blocks, buttons, why=why)
    if "goal:later" in buttons:
        return Look(WELCOME, why)
    if buttons >= {"resume", "pause:month"} and "pause:tomorrow" not in buttons:
        return Look(BACK_OFF, why)
    if buttons and buttons <= _STATUS:
        return Look(STATUS, why)
    return Look(OTHER, why)


def _tip(text: str, blocks: list[Json] | None, buttons: frozenset[str], *, why: bool) -> Look:
    reading = read(text, blocks, buttons)
    heading = text.partition("\n")[0]
    about = reading.family or heading
    if reading.habit is not None:
        about = f"{about}:{reading.habit}"
    records = tuple(named.id for named in reading.records if named.id)
    counted = _COUNT.match(heading) if reading.records else None
    count = None
    if counted:
        count = int(counted[1]) if counted[1].isdigit() else 1
    # The same few words for everybody, remembered for each of their tips.
    return Look(TIP, why, sys.intern(about), sys.intern(f"{about}|{_gain(blocks)}"), count, records)


def _gain(blocks: list[Json] | None) -> str:
    """The first sentence below the heading and its records: it has no numbers, and differs from tip to tip."""
    sections = [block for block in blocks or [] if block.get("type") == "section" and block.get("text")]
    words = str(sections[1]["text"].get("text", "")) if len(sections) > 1 else ""
    return _SENTENCE.split(words)[0]


def words_in(blocks: list[Json] | None) -> list[str]:
    """Every text of some blocks, in no particular depth."""
    found: list[str] = []
    waiting: list[Any] = list(blocks or [])
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, dict):
            for key, value in thing.items():
                if key == "text" and isinstance(value, str):
                    found.append(value)
                elif isinstance(value, dict | list):
                    waiting.append(value)
        elif isinstance(thing, list):
            waiting.extend(thing)
    return found
