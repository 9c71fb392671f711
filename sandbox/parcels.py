"""What goes out to the bot and what comes back, whichever way it travels: over HTTP or over a socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.foreign_json import read_json

Json = dict[str, Any]

#: The kinds of deliveries, by the names that Socket Mode gives them.
EVENTS, INTERACTIVE, COMMANDS = "events_api", "interactive", "slash_commands"
#: Interactions whose answer carries something: errors or a view, options to choose from.
ANSWERED = frozenset({"view_submission", "block_suggestion"})


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing to deliver. `key` names it in the record, `about` are the fields that the record keeps of it."""

    kind: str
    payload: Json
    key: str
    about: Json

    @property
    def answerable(self) -> bool:
        """Whether Slack reads what the acknowledgement carries."""
        return self.kind == COMMANDS or self.payload.get("type") in ANSWERED


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bot said: `status` is None when it said nothing; then `reason` has Slack's word for why."""

    status: int | None
    body: bytes = b""
    reason: str = ""
    final: bool = False

    @property
    def acked(self) -> bool:
        """Whether Slack counts it as acknowledged."""
        return self.status is not None and 200 <= self.status < 300

    def content(self) -> Json | None:
        """The JSON object in the body, or None."""
        if not self.body.strip():
            return None
        try:
            found = read_json(self.body)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None
