"""What was said in a replay, as a story to read: from the sandbox's record, one JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

_LINK = re.compile(r"<([^|>]+)\|([^>]+)>")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}


def tell_story(record: Path, names: Mapping[str, str], zone: ZoneInfo, console: Console) -> None:
    """Print who said what when. ``names``: Slack user id -> name. ``zone``: of the times that are shown."""
    labels: dict[tuple[str, str], str] = {}
    day = None
    for entry in _entries(record):
        at = datetime.fromisoformat(entry["at"]).astimezone(zone)
        line = _line(entry, names, labels)
        if line is None:
            continue
        if at.date() != day:
            day = at.date()
            console.print(f"\n[bold]{at:%A, %d %B %Y}[/bold]")
        head, body = line
        console.print(Text(f"  {at:%H:%M}  ").append_text(head), soft_wrap=True)
        if body:
            console.print(Padding(Text(body), (0, 0, 0, 9)))


def _entries(record: Path) -> Iterator[dict[str, Any]]:
    with record.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _line(
    entry: Mapping[str, Any], names: Mapping[str, str], labels: dict[tuple[str, str], str]
) -> tuple[Text, str] | None:
    """Headline and text of an entry, None when it tells nothing. Remembers the labels of buttons on the way."""
    kind = entry["kind"]
    who = names.get(entry.get("user") or "", entry.get("user") or "somebody")
    if kind in ("posted", "updated", "ephemeral"):
        buttons = list(_buttons(entry.get("blocks") or ()))
        for action, value, label in buttons:
            labels[action, value] = label
        row = " ".join(f"[{label}]" for _, _, label in buttons)
        how = {"posted": "Fullsteam to", "updated": "now shown to", "ephemeral": "privately to"}[kind]
        text = _plain(str(entry.get("text") or ""))
        return Text(f"{how} {who}", style="cyan"), f"{text}\n{row}" if row else text
    if kind == "said":
        return Text(f"{who} writes", style="green"), _plain(str(entry.get("text") or ""))
    if kind == "pressed":
        value = str(entry.get("value") or "")
        label = labels.get((entry["action_id"], value), entry["action_id"])
        return Text(f"{who} presses [{label}]", style="green"), ""
    if kind == "commanded":
        return Text(f"{who} types {entry['command']} {entry['text']}".rstrip(), style="green"), ""
    return None


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
