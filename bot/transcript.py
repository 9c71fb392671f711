"""What was said in a replay, as a story to read: from the sandbox's record, one JSON object a line."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

_LINK = re.compile(r"<([^|>]+)\|([^>]+)>")
WIDTH = 100
SHORT = 4
"""Lines up to which a text is repeated in full."""
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}


def tell_story(record: Path, names: Mapping[str, str], zone: ZoneInfo, console: Console) -> None:
    """Print who said what when. ``names``: Slack user id -> name. ``zone``: of the times that are shown.

    Words that were told before (the same welcome to everybody) and lines that a message had already are not repeated.
    """
    story = _Story(names)
    day = None
    console.print(f"Times are those of {zone.key}.")
    for entry in _entries(record):
        told = story.line(entry)
        if told is None:
            continue
        at = datetime.fromisoformat(entry["at"]).astimezone(zone)
        if at.date() != day:
            day = at.date()
            console.print(f"\n[bold]{at:%A}, {at.day} {at:%B %Y}[/bold]")
        head, style, body = told
        console.print(Text(f"  {at:%H:%M}  ").append(head, style=style), soft_wrap=True)
        for line in body:
            for part in textwrap.wrap(line, WIDTH) or [""]:
                console.print(Text(f"         {part}"), soft_wrap=True)


def _entries(record: Path) -> Iterator[dict[str, Any]]:
    with record.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


class _Story:
    """Turns entries into lines, remembering what was told."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._labels: dict[tuple[str, str], str] = {}
        self._shown: dict[tuple[str, str], list[str]] = {}
        self._told: set[str] = set()

    def line(self, entry: Mapping[str, Any]) -> tuple[str, str, list[str]] | None:
        """Headline, its style, and the lines below it; None when the entry tells nothing."""
        kind = entry["kind"]
        who = self._names.get(entry.get("user") or "", entry.get("user") or "somebody")
        if kind in ("posted", "updated", "ephemeral"):
            return self._message(entry, kind, who)
        if kind == "said":
            return f"{who} writes", "green", _plain(str(entry.get("text") or "")).splitlines()
        if kind == "pressed":
            value = str(entry.get("value") or "")
            label = self._labels.get((entry["action_id"], value), entry["action_id"])
            return f"{who} presses [{label}]", "green", []
        if kind == "commanded":
            return f"{who} types {entry['command']} {entry['text']}".rstrip(), "green", []
        return None

    def _message(self, entry: Mapping[str, Any], kind: str, who: str) -> tuple[str, str, list[str]]:
        buttons = list(_buttons(entry.get("blocks") or ()))
        self._labels |= {(action, value): label for action, value, label in buttons}
        lines = _plain(str(entry.get("text") or "")).splitlines()
        row = " ".join(f"[{label}]" for _, _, label in buttons)
        place = (str(entry.get("channel")), str(entry.get("ts")))
        before = self._shown.get(place, [])
        self._shown[place] = lines
        if kind == "updated":
            body = [line for line in lines if line not in before] + ([row] if row else [])
            return f"the message to {who} now says", "cyan dim", body
        how = "Fullsteam to" if kind == "posted" else "Fullsteam, privately, to"
        key = "\n".join(lines).replace(who.split(maxsplit=1)[0], "…")
        if key in self._told and len(lines) > SHORT:
            return f"{how} {who}: {lines[0]} (…)", "cyan", [row] if row else []
        self._told.add(key)
        return f"{how} {who}", "cyan", lines + ([row] if row else [])


def _buttons(blocks: Any) -> Iterator[tuple[str, str, str]]:
    """(action id, value, label) of every button and menu entry."""
    for block in blocks:
        for element in block.get("elements") or ():
            action = element.get("action_id")
            if element.get("type") == "button":
                yield action, str(element.get("value") or ""), element["text"]["text"]
            for option in element.get("options") or ():
                yield action, str(option["value"]), option["text"]["text"]


def _plain(text: str) -> str:
    text = _LINK.sub(r"\2", text)
    for written, meant in _ENTITIES.items():
        text = text.replace(written, meant)
    return text
