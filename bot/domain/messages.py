"""Messages: what is said, apart from where it is said. ``delivery/blocks.py`` turns a Message into Block Kit.

``text`` in every part is mrkdwn with `& < >` escaped already (rendering does it); ``Quote`` and labels are plain text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

TIP = "tip"
WELCOME = "welcome"
REMINDER = "reminder"
"""A reminder that the person asked for."""
ANSWER = "answer"
"""An answer to what the person said or pressed."""
BACK_OFF = "back_off"
"""Asks once, after six ignored messages, whether to go on."""
STATUS = "status"
"""Status of the person's own feedback, thanks on a fix."""
PULSE = "pulse"
CHECK_IN = "check_in"
RECOGNITION_ASK = "recognition_ask"
SPONSOR_DM = "sponsor_dm"
"""A sponsor's own words to one person: the next free place, within five working days."""
ANNOUNCEMENT = "announcement"
DIGEST = "digest"
DESK = "desk"


@dataclass(frozen=True, slots=True)
class KindRule:
    """What applies to a kind of message. ``place``: order when several compete, lowest first."""

    capped: bool
    windowed: bool
    coin: bool
    frozen_by_barrier: bool
    place: int


KINDS: Mapping[str, KindRule] = {
    STATUS: KindRule(False, True, False, False, 0),
    ANNOUNCEMENT: KindRule(True, True, False, False, 1),
    SPONSOR_DM: KindRule(True, True, False, False, 1),
    RECOGNITION_ASK: KindRule(True, True, False, False, 2),
    PULSE: KindRule(True, True, False, True, 3),
    CHECK_IN: KindRule(True, True, False, True, 4),
    BACK_OFF: KindRule(True, True, False, False, 4),
    WELCOME: KindRule(True, True, False, False, 5),
    TIP: KindRule(True, True, True, True, 6),
    DIGEST: KindRule(False, True, False, False, 7),
    DESK: KindRule(False, True, False, False, 7),
    REMINDER: KindRule(False, False, False, False, 8),
    ANSWER: KindRule(False, False, False, False, 8),
}


@dataclass(frozen=True, slots=True)
class Button:
    """``action``: the action id, e.g. ``tip:do``; ``value``: opaque, at most 2,000 characters (the message's id)."""

    action: str
    label: str
    value: str = ""
    url: str | None = None
    style: str | None = None
    confirm: str | None = None
    """A question that Slack asks before it counts the click."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What the message is about, in bold, at the top."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Mrkdwn text."""

    text: str


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One named record: plain ``name``, optional deep ``link``, plain ``detail`` such as "was due 3 Nov"."""

    name: str
    detail: str = ""
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """The records that a message is about."""

    lines: tuple[RecordLine, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a person: plain text, never parsed."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Small print: as-of date, who can see it."""

    text: str


@dataclass(frozen=True, slots=True)
class Buttons:
    """A row of buttons; ``menu`` are those behind the dots (at most 5)."""

    buttons: tuple[Button, ...]
    menu: tuple[Button, ...] = ()


Part = Heading | Paragraph | Records | Quote | Note | Buttons
_PARTS: Mapping[str, type[Any]] = {
    part.__name__: part for part in (Heading, Paragraph, Records, Quote, Note, Buttons)
}


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was decided; what was decided is what is sent.

    ``text``: the whole message in plain words (screen readers, notifications); never empty.
    ``template`` and ``version``: the content it came from.
    """

    kind: str
    text: str
    parts: tuple[Part, ...]
    template: str
    version: int = 1
    language: str = "en"
    extra: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping; :meth:`from_json` is its inverse."""
        return {
            "kind": self.kind,
            "text": self.text,
            "parts": [{"part": type(part).__name__, **asdict(part)} for part in self.parts],
            "template": self.template,
            "version": self.version,
            "language": self.language,
            "extra": dict(self.extra),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Message:
        """The message that :meth:`to_json` wrote."""
        parts = []
        for raw in body["parts"]:
            fields = {key: value for key, value in raw.items() if key != "part"}
            if raw["part"] == "Records":
                fields["lines"] = tuple(RecordLine(**line) for line in fields["lines"])
            if raw["part"] == "Buttons":
                fields["buttons"] = tuple(Button(**button) for button in fields["buttons"])
                fields["menu"] = tuple(Button(**button) for button in fields["menu"])
            parts.append(_PARTS[raw["part"]](**fields))
        return cls(**{**body, "parts": tuple(parts)})


def delivery_id(dedupe_key: str) -> str:
    """Outbox id of a dedupe key: known before the row is written, the same after a crash; travels in the metadata."""
    return "m" + hashlib.sha256(dedupe_key.encode()).hexdigest()[:23]
