"""Messages as text, for people who read them in a terminal: replay without a workspace, and previews.

A messenger like the one of Slack: it keeps where each message went, and shows what it says.
"""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime

from bot.domain.errors import Permanent
from bot.domain.messages import Buttons, Heading, Message, Note, Paragraph, Quote, Records
from bot.domain.people import SlackUser
from bot.domain.ports import Clock, DndWindow, Outgoing, Receipt
from bot.rendering import Mrkdwn, plain_text

WIDTH = 88


def readable(message: Message, *, width: int = WIDTH) -> str:
    """The message as a reader sees it, wrapped: no mark-up, links as their words."""
    lines: list[str] = []
    for part in message.parts:
        match part:
            case Heading(text) | Paragraph(text):
                for line in plain_text(Mrkdwn(text)).splitlines():
                    lines += textwrap.wrap(line, width) or [""]
            case Note(text):
                lines += textwrap.wrap(f"({plain_text(Mrkdwn(text))})", width)
            case Records(records):
                for record in records:
                    detail = f" · {record.detail}" if record.detail else ""
                    lines += textwrap.wrap(f"• {record.name}{detail}", width, subsequent_indent="  ")
            case Quote(text):
                for line in text.splitlines():
                    lines += textwrap.wrap(line, width, initial_indent="> ", subsequent_indent="> ")
            case Buttons(buttons, menu):
                row = " ".join(f"[{button.label}]" for button in buttons)
                behind = " · ".join(entry.label for entry in menu)
                lines += textwrap.wrap(
                    " ".join(filter(None, [row, f"(⋯ {behind})" if behind else ""])), width
                )
    return "\n".join(lines) if lines else message.text


class ConsoleMessenger:
    """Writes messages with ``write`` (one call a message). ``names``: how to call an address; absent: the address."""

    def __init__(
        self, write: Callable[[str], object], clock: Clock, *, names: Mapping[str, str] | None = None
    ) -> None:
        self._write = write
        self._clock = clock
        self._names = names or {}
        self._posted: dict[str, Receipt] = {}
        self._standing: set[Receipt] = set()

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Show a message. Channel ``D<address>`` for a user; ts as in Slack: seconds of the clock and a number."""
        channel = _channel(outgoing.address)
        receipt = Receipt(channel, f"{int(self._clock.now().timestamp())}.{len(self._posted) + 1:06d}")
        self._posted[outgoing.delivery] = receipt
        self._standing.add(receipt)
        self._show("to", outgoing.address, outgoing.message)
        return receipt

    async def update(self, receipt: Receipt, outgoing: Outgoing) -> None:
        """Show what a message turned into."""
        if receipt not in self._standing:
            raise Permanent("There is no such message.", code="message_not_found")
        self._show("changed for", outgoing.address, outgoing.message)

    async def delete(self, receipt: Receipt) -> None:
        """Take a message away."""
        if receipt not in self._standing:
            raise Permanent("There is no such message.", code="message_not_found")
        self._standing.discard(receipt)
        self._write(f"--- {self._time()} deleted in {receipt.channel}\n")

    async def find(
        self, delivery: str, channel: str, since: datetime, *, thread: str | None = None
    ) -> Receipt | None:
        """Where a delivery went, if this messenger showed it and it still stands."""
        receipt = self._posted.get(delivery)
        return receipt if receipt in self._standing and receipt.channel == _channel(channel) else None

    async def respond(self, response_url: str, message: Message | None, *, replace: bool) -> None:
        """Show an answer to a click."""
        if message is None:
            self._write(f"--- {self._time()} {'took the message away' if replace else 'said nothing'}\n")
            return
        self._show("turned into" if replace else "answered", "", message)

    def _show(self, how: str, address: str, message: Message) -> None:
        who = f" {self._names.get(address, address)}" if address else ""
        body = textwrap.indent(readable(message), "    ")
        self._write(f"--- {self._time()} {how}{who}\n{body}\n")

    def _time(self) -> str:
        return self._clock.now().strftime("%a %Y-%m-%d %H:%M UTC")


class ConsoleDirectory:
    """Slack users from a list, none of whom is ever in do-not-disturb."""

    def __init__(self, users: Sequence[SlackUser] = ()) -> None:
        self._users = tuple(users)

    async def users(self) -> AsyncIterator[Sequence[SlackUser]]:
        """All of them in one page."""
        yield self._users

    async def workspace(self) -> str:
        """There is only one."""
        return "console"

    async def dnd(self, slack_ids: Sequence[str]) -> Mapping[str, DndWindow]:
        """Nobody."""
        return {each: DndWindow() for each in slack_ids}


def _channel(address: str) -> str:
    return f"D{address}" if address.startswith(("U", "W")) else address
