"""What a message is about, as somebody who reads it would say: from its words, its list of deals and its buttons.

Nothing of the bot's own is looked at, no template name and no metadata: a person sees neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

TIP, WELCOME, BACK_OFF, WHICH_BARRIER, WHO_SEES = "tip", "welcome", "back_off", "which_barrier", "who_sees"
WHEN, HOW_LONG, GOAL, OTHER = "when", "how_long", "goal", "other"
"""Kinds of message: what the reader can press tells them apart."""

FIRST_WEEKS = "first_weeks"
FAMILIES = (
    "past_close_date",
    "no_next_step",
    "no_activity",
    "stuck_step",
    "missing_amount",
    "missing_account",
    "open_long",
    FIRST_WEEKS,
)

_ABOUT = tuple(
    (family, re.compile(pattern, re.IGNORECASE))
    for family, pattern in (
        ("past_close_date", r"close date in the past|abschlussdatum in der vergangenheit"),
        ("no_next_step", r"\b(has|have) no next step|fehlt der nächste schritt"),
        ("no_activity", r"been quiet for|seit \d+ tagen keine aktivität"),
        ("stuck_step", r"been in the same step for|seit .{1,30} im selben schritt"),
        ("missing_amount", r"\b(has|have) no amount|fehlt der betrag"),
        ("missing_account", r"\b(has|have) no account|ist kein kunde zugeordnet"),
        ("open_long", r"been open longer than|länger offen, als"),
    )
)
_NEW_THING = tuple(
    (habit, re.compile(pattern, re.IGNORECASE))
    for habit, pattern in (
        ("leads", r"\bleads?\b"),
        ("cases", r"\bcases?\b|\b(fall|fälle)\b"),
        ("tasks", r"\b(tasks?|promised|calls for tomorrow)\b|\b(aufgaben?|zugesagt|anrufe für morgen)\b"),
        (
            "contacts",
            r"\bwho decides\b|person you just|callers|\bwer .{0,25}entscheidet|person, mit der|anrufer",
        ),
        ("activities", r"\bnotes?\b|\blog(ged)?\b|phone|review|notiz|telefon|eingetragen|besprechung"),
        ("step", r"\bsteps?\b|\bschritte?\b|\bscreen\b|\bmaske\b"),
        ("accounts", r"\bcustomer|\bkunde"),
        ("entering", r"\bdeals?\b"),
    )
)
"""What a first-weeks tip invites to, first fitting pattern of its heading."""
_RECORD_ID = re.compile(r"/(?:Opportunity|Task)/([A-Za-z0-9]{15,18})(?:/|$)")


@dataclass(frozen=True, slots=True)
class Named:
    """A record that a message names: its name, and its id where the name is a link into the CRM."""

    name: str
    id: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What somebody takes from a message.

    `kind`: tip, welcome and so on. `family`: of a tip, what makes it timely; None when the words are not understood.
    `habit`: of a first-weeks tip, what it invites to. `records`: the deals that it lists.
    """

    kind: str
    family: str | None = None
    habit: str | None = None
    records: tuple[Named, ...] = ()


def kind_of(pressable: frozenset[str]) -> str:
    """The kind of a message with these buttons (action ids, and entries of menus by what stands before the first |)."""
    if {"tip:do", "tip:blocked"} <= pressable:
        return TIP
    if "goal:later" in pressable:
        return WELCOME
    if {"resume", "pause:month"} <= pressable:
        return BACK_OFF
    prefixes = {action.partition(":")[0] for action in pressable}
    for prefix, kind in (
        ("blocked", WHICH_BARRIER),
        ("mode", WHO_SEES),
        ("remind", WHEN),
        ("goal", GOAL),
        ("pause", HOW_LONG),
    ):
        if prefix in prefixes:
            return kind
    return OTHER


def read(text: str, blocks: list[Json] | None, pressable: frozenset[str]) -> Reading:
    """Read a message. `pressable`: what is new to press in it."""
    kind = kind_of(pressable)
    if kind != TIP:
        return Reading(kind)
    heading = _heading(blocks) or text.partition("\n")[0]
    records = tuple(_records(blocks))
    for family, pattern in _ABOUT:
        if pattern.search(heading):
            return Reading(kind, family, records=records)
    if records:
        return Reading(kind, records=records)
    habit = next((habit for habit, pattern in _NEW_THING if pattern.search(heading)), None)
    return Reading(kind, FIRST_WEEKS, habit)


def _heading(blocks: list[Json] | None) -> str:
    """The first bold line."""
    for block in blocks or []:
        words = block.get("text")
        if block.get("type") in ("section", "header") and isinstance(words, dict):
            return str(words.get("text", "")).strip("* \n")
    return ""


def _records(blocks: list[Json] | None) -> Iterator[Named]:
    """The entries of its lists."""
    for block in blocks or []:
        for part in block.get("elements") or []:
            if not isinstance(part, dict) or part.get("type") != "rich_text_list":
                continue
            for line in part.get("elements") or []:
                first = next(iter(line.get("elements") or []), None)
                if not first:
                    continue
                if first.get("type") == "link":
                    found = _RECORD_ID.search(str(first.get("url", "")))
                    yield Named(str(first.get("text", "")), found.group(1) if found else None)
                elif str(first.get("text", "")) != "…":
                    yield Named(str(first.get("text", "")), None)
