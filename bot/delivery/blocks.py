"""Message -> Block Kit, within every limit of Slack's, whatever the texts.

Limits: docs.slack.dev/reference/block-kit (3,000 characters a text, 50 blocks, 25 elements of an actions block, 5 options
behind the dots); a whole message of more than about 13 KB is refused (``msg_blocks_too_long``), so ours end at 10,000
bytes. Names of records and words of people stand in rich text, which Slack never parses; our own mrkdwn is ``verbatim``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.delivery.ids import MENU, block_id, option_value
from bot.domain.messages import Button, Buttons, Heading, Message, Note, Paragraph, Part, Quote, Records
from bot.rendering import escape, safe_url

Block = dict[str, Any]

MAX_BLOCKS = 50
MAX_BYTES = 10_000
MAX_TEXT = 3_000
MAX_PLAIN = 3_900
"""Slack recommends 4,000 for ``text`` and refuses more on an update."""
MAX_ELEMENTS = 25
MAX_OPTIONS = 5
MAX_LABEL = 75
MAX_BUTTON_VALUE = 2_000
MAX_ACTION_ID = 255
MAX_CONFIRM = 300
MAX_CONFIRM_LABEL = 30
MAX_CONFIRM_TITLE = 100
_CUT = "…"
_TOKEN = re.compile(r"<[^<>]*>|&(?:amp|lt|gt);|.", re.DOTALL)
"""What must not be cut in two: a link, an entity, a character."""


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of each thing is shown: tightened step by step until the whole message fits."""

    text: int
    splits: int
    lines: int
    name: int
    quote: int


_ROOMS = (
    _Room(text=MAX_TEXT, splits=4, lines=40, name=150, quote=3_000),
    _Room(text=MAX_TEXT, splits=1, lines=20, name=150, quote=1_500),
    _Room(text=1_200, splits=1, lines=10, name=100, quote=800),
    _Room(text=400, splits=1, lines=5, name=75, quote=300),
    _Room(text=150, splits=1, lines=3, name=50, quote=100),
)


def to_plain(message: Message) -> str:
    """``text`` of a post: the whole message in plain words, for screen readers and notifications. Never empty.

    Escaped, because Slack parses this field: a name like ``<!channel>`` calls nobody.
    """
    return _cut(escape(_clean(message.text)), MAX_PLAIN) or _cut(message.template, MAX_PLAIN) or _CUT


def to_blocks(message: Message, delivery: str = "") -> list[Block]:
    """Blocks of a message, at least one. ``delivery``: outbox id, makes the block ids.

    Long texts are split on word borders or end in an ellipsis; what does not fit is left out from the end, buttons last.
    """
    cancel = message.extra.get("cancel", "Cancel")
    blocks: list[Block] = []
    for room in _ROOMS:
        blocks = [block for part in message.parts for block in _part(part, room, cancel)]
        if _fits(blocks):
            break
    else:
        blocks = _keep_what_fits(blocks)
    if not blocks:
        blocks = [_section(_cut(to_plain(message), 1_000))]
    return [_named(block, delivery, number) for number, block in enumerate(blocks)] if delivery else blocks


def pieces(text: str, limit: int) -> list[str]:
    """Split mrkdwn into pieces of at most ``limit`` characters: at a line's end or a word's, never in a link or entity."""
    out: list[str] = []
    rest = text.strip()
    while len(rest) > limit:
        end = _border(rest, limit)
        out.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [piece for piece in [*out, rest] if piece]


def _border(text: str, limit: int) -> int:
    """Where the first piece of a too long text ends: at least 1, at most ``limit``."""
    at = last_space = last_line = 0
    for token in _TOKEN.finditer(text):
        if token.end() > limit:
            break
        at = token.end()
        if token.group().isspace():
            last_space = token.start()
            if token.group() == "\n":
                last_line = token.start()
    if last_line > limit // 2:
        return last_line
    # A single link or entity that is longer than the limit can only be cut hard.
    return last_space or at or limit


def _cut(text: str, limit: int) -> str:
    """The text, or as much of it as fits on a word border and an ellipsis."""
    text = text.strip()
    if len(text) <= limit:
        return text
    if limit <= len(_CUT):
        return _CUT[:limit]
    return pieces(text, limit - len(_CUT))[0] + _CUT


def _plain(text: str, limit: int) -> str:
    """Plain text on one line, not empty. No entities here, so any character border will do if there is no word's."""
    line = " ".join(_clean(text).split())
    if len(line) <= limit:
        return line or _CUT
    head = line[: limit - len(_CUT)]
    word, space, _ = head.rpartition(" ")
    return (word if space and len(word) > limit // 2 else head).rstrip() + _CUT


def _clean(text: str) -> str:
    """Without characters that JSON carries and Slack refuses (NUL) or that no encoder takes (half a surrogate pair)."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


# --- parts ---------------------------------------------------------------------------------------------------------


def _part(part: Part, room: _Room, cancel: str) -> Iterator[Block]:
    match part:
        case Heading(text):
            words = _cut(" ".join(_clean(text).split()).replace("*", ""), min(room.text, MAX_TEXT - 2))
            if words:
                yield _section(f"*{words}*")
        case Paragraph(text):
            whole = pieces(_clean(text), room.text)
            for number, piece in enumerate(whole[: room.splits], 1):
                last = number == room.splits and len(whole) > room.splits
                yield _section(pieces(piece, room.text - len(_CUT))[0] + _CUT if last else piece)
        case Records(lines):
            items = [_line(line.name, line.detail, line.link, room) for line in lines[: room.lines]]
            if len(lines) > room.lines:
                items.append({"type": "rich_text_section", "elements": [_words(_CUT)]})
            if items:
                yield _rich({"type": "rich_text_list", "style": "bullet", "elements": items})
        case Quote(text):
            words = _cut_plain(_clean(text), room.quote)
            if words:
                yield _rich({"type": "rich_text_quote", "elements": [_words(words)]})
        case Note(text):
            words = _cut(_clean(text), min(room.text, 2_000))
            if words:
                yield {"type": "context", "elements": [_mrkdwn(words)]}
        case Buttons(buttons, menu):
            yield from _actions(buttons, menu, cancel)


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _rich(element: Block) -> Block:
    return {"type": "rich_text", "elements": [element]}


def _words(text: str) -> Block:
    return {"type": "text", "text": text}


def _cut_plain(text: str, limit: int) -> str:
    """Somebody's words, line breaks kept."""
    text = text.strip()
    return text if len(text) <= limit else text[: limit - len(_CUT)].rstrip() + _CUT


def _line(name: str, detail: str, link: str | None, room: _Room) -> Block:
    shown, url = _plain(name, room.name), safe_url(link)
    first: Block = {"type": "link", "url": url, "text": shown} if url else _words(shown)
    rest = [_words(f" · {_plain(detail, room.name)}")] if detail.strip() else []
    return {"type": "rich_text_section", "elements": [first, *rest]}


def _actions(buttons: Sequence[Button], menu: Sequence[Button], cancel: str) -> Iterator[Block]:
    """Rows of elements. What is too long for the dots becomes a button; an action id comes once in a block."""
    elements = [element for button in buttons if (element := _button(button, cancel))]
    options: list[Block] = []
    for entry in menu:
        option = _option(entry)
        if option is not None:
            options.append(option)
        elif (element := _button(entry, cancel)) is not None:
            elements.append(element)
    for start in range(0, len(options), MAX_OPTIONS):
        number = start // MAX_OPTIONS + 1
        elements.append(
            {
                "type": "overflow",
                "action_id": MENU if number == 1 else f"{MENU}:{number}",
                "options": options[start : start + MAX_OPTIONS],
            }
        )
    row: list[Block] = []
    used: set[str] = set()
    for element in elements:
        if len(row) == MAX_ELEMENTS or element["action_id"] in used:
            yield {"type": "actions", "elements": row}
            row, used = [], set()
        row.append(element)
        used.add(element["action_id"])
    if row:
        yield {"type": "actions", "elements": row}


def _button(button: Button, cancel: str) -> Block | None:
    """None when the button could not do what its label says: its link is no address, or its value does not fit."""
    if not button.action or len(button.action) > MAX_ACTION_ID or len(button.value) > MAX_BUTTON_VALUE:
        return None
    element: Block = {
        "type": "button",
        "action_id": button.action,
        "text": {"type": "plain_text", "text": _plain(button.label, MAX_LABEL)},
    }
    if button.value:
        element["value"] = button.value
    if button.url is not None:
        url = safe_url(button.url)
        if url is None:
            return None
        element["url"] = url
    if button.style in {"primary", "danger"}:
        element["style"] = button.style
    if button.confirm:
        element["confirm"] = {
            "title": {"type": "plain_text", "text": _plain(button.label, MAX_CONFIRM_TITLE)},
            "text": {"type": "plain_text", "text": _plain(button.confirm, MAX_CONFIRM)},
            "confirm": {"type": "plain_text", "text": _plain(button.label, MAX_CONFIRM_LABEL)},
            "deny": {"type": "plain_text", "text": _plain(cancel, MAX_CONFIRM_LABEL)},
        }
    return element


def _option(entry: Button) -> Block | None:
    """None when it is no plain choice: then it is a button."""
    packed = option_value(entry.action, entry.value)
    if packed is None or entry.url is not None or entry.confirm:
        return None
    return {"text": {"type": "plain_text", "text": _plain(entry.label, MAX_LABEL)}, "value": packed}


# --- the whole -----------------------------------------------------------------------------------------------------


def _size(blocks: Sequence[Block]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False).encode())


def _fits(blocks: Sequence[Block]) -> bool:
    # Each block gets an id of up to about 60 bytes later on.
    return len(blocks) <= MAX_BLOCKS and _size(blocks) + 60 * len(blocks) <= MAX_BYTES


def _keep_what_fits(blocks: Sequence[Block]) -> list[Block]:
    """As many blocks as fit, in their order: rows of buttons are kept first, shortened if they alone are too much."""
    room, places, kept = MAX_BYTES, MAX_BLOCKS, set()
    shortened: dict[int, Block] = {}
    for wanted in ("actions", None):
        for number, block in enumerate(blocks):
            if number in kept or (wanted is not None and block["type"] != wanted):
                continue
            fitting = _shorten(block, room // 2 if wanted and len(blocks) > 1 else room)
            if fitting is None or places == 0:
                continue
            kept.add(number)
            shortened[number] = fitting
            room -= _size([fitting]) + 60
            places -= 1
    return [shortened[number] for number in sorted(kept)]


def _shorten(block: Block, room: int) -> Block | None:
    """The block with as many of its elements as fit into ``room`` bytes; None when not even one does."""
    if _size([block]) + 60 <= room:
        return block
    if block["type"] != "actions":
        return None
    elements = list(block["elements"])
    while elements:
        elements.pop()
        shorter = {**block, "elements": elements}
        if elements and _size([shorter]) + 60 <= room:
            return shorter
    return None


def _named(block: Block, delivery: str, number: int) -> Block:
    mark = hashlib.sha256(json.dumps(block, sort_keys=True).encode()).hexdigest()[:8]
    return {**block, "block_id": block_id(delivery, number, mark)}
