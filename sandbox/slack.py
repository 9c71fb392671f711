"""The pieces of one sandbox, put together: what methods, deliveries, people and the steering share."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sandbox.agenda import Agenda
from sandbox.clock import Clock
from sandbox.faults import Faults
from sandbox.limits import Limits
from sandbox.record import Record
from sandbox.socket_mode import Sockets
from sandbox.state import ALL_SCOPES, Message, View, Workspace


class Slack:
    """One workspace with its clock, limits, faults, agenda and record."""

    def __init__(
        self,
        clock: Clock,
        *,
        limits: Limits | None = None,
        faults: Faults | None = None,
        record_file: Path | None = None,
        bot_name: str = "fullsteam",
        scopes: frozenset[str] = ALL_SCOPES,
    ) -> None:
        self.clock = clock
        self.workspace = Workspace(clock, bot_name=bot_name, scopes=scopes)
        self.limits = limits or Limits()
        self.faults = faults or Faults()
        self.record = Record(clock, record_file)
        self.agenda = Agenda()
        self.sockets = Sockets(self)
        #: Calls of the bot that are being served now.
        self.inside = 0
        #: How many steer right now, and deliver what is due.
        self.driven = 0
        #: What the next change to a message comes by: a method, response_url, or a person.
        self.via = ""
        #: Held for an instant of a drive, and for an act from the page: they do not happen in one another.
        self.turn = asyncio.Lock()
        #: The app's manifest, as far as one was given: its commands and shortcuts.
        self.manifest: dict[str, Any] = {}
        #: Whom somebody has been on the page. They stay the visitor's: nothing answers for them any more by itself, not
        #: even to what came while the visitor was somebody else.
        self.played: set[str] = set()
        self._moved = asyncio.Event()
        self.workspace.seen_by.append(self._record_message)
        self.workspace.views_seen_by.append(self._record_view)

    @property
    def url(self) -> str:
        """Where the sandbox itself is reached: for response URLs, sockets and files."""
        return self.workspace.url

    @url.setter
    def url(self, url: str) -> None:
        self.workspace.url = url

    def touched(self) -> None:
        """Wake whoever waits for the workspace to change."""
        self._moved.set()

    async def quiet(self) -> None:
        """Wait until no call of the bot is inside."""
        while self.inside:
            self._moved.clear()
            await self._moved.wait()

    def _record_message(self, kind: str, message: Message) -> None:
        channel = self.workspace.channels[message.channel]
        self.record.add(
            kind,
            via=self.via,
            channel=message.channel,
            channel_type=channel.kind,
            user=message.ephemeral_for or channel.user or message.user,
            author=message.user,
            ts=message.ts,
            thread_ts=message.thread_ts,
            text=message.text,
            blocks=message.blocks,
            metadata=message.metadata,
        )

    def _record_view(self, method: str, view: View) -> None:
        content = view.content
        self.record.add(
            "view",
            via=method,
            user=view.user,
            view_id=view.id,
            type=content["type"],
            callback_id=content.get("callback_id") or "",
            blocks=content["blocks"],
        )
