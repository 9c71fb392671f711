"""What happens, as it happens, for everybody who has the page open.

Server-sent events (html.spec.whatwg.org/multipage/server-sent-events.html), one JSON object each, its kind in `type`:

message    posted, updated, deleted, reacted: `kind`, `channel`, `message`, and `parent` for a reply in a thread
modals     the modals before this person, from the bottom up
home       the Home tab was set
read       another tab of the same person has read a channel up to `ts`
people     somebody, or a channel, came or changed
clock      the workspace's time, and the journey it is on
reset      too much happened at once: read everything again

Nothing is kept for whoever is not there: after a break the page reads again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from sandbox.page.reading import Reading
from sandbox.slack import Slack
from sandbox.state import Message, View

Json = dict[str, Any]
MOST_WAITING = 300
#: How often the clock is looked at (seconds), and how often a line is sent so that the connection stays open.
LOOK_EVERY, BREATHE_EVERY = 0.25, 15.0

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Listener:
    """One open page, and what it has not been told yet."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.waiting: list[Json] = []
        self.woken = asyncio.Event()

    def hear(self, event: Json) -> None:
        """Something happened."""
        if len(self.waiting) >= MOST_WAITING:
            self.waiting = [{"type": "reset"}]
        else:
            self.waiting.append(event)
        self.woken.set()


class Stream:
    """Everybody who has the page open."""

    def __init__(self, slack: Slack, reading: Reading, time_of: Callable[[], Json]) -> None:
        self.slack = slack
        self.reading = reading
        self.time_of = time_of
        self.listeners: set[Listener] = set()
        self.closed = False
        workspace = slack.workspace
        workspace.seen_by.append(self._message)
        workspace.reactions_seen_by.append(lambda message: self._message("reacted", message))
        workspace.views_seen_by.append(self._view)

    def tell(self, user: str | None, event: Json) -> None:
        """Tell every open page of one person, or of everybody."""
        for listener in self.listeners:
            if user in (None, listener.user):
                listener.hear(event)

    async def close(self) -> None:
        """End every stream; whoever does not take its last words within half a second goes without."""
        self.closed = True
        for listener in self.listeners:
            listener.woken.set()
        for _ in range(50):
            if not self.listeners:
                break
            await asyncio.sleep(0.01)
        # The empty chunk that ends an answer follows the stream's own end.
        await asyncio.sleep(0.01)

    async def follow(self, user: str) -> AsyncIterator[str]:
        """The events for one open page, as lines of the protocol."""
        listener = Listener(user)
        self.listeners.add(listener)
        self.slack.played.add(user)
        clock: Json | None = None
        stack = self._stack(user)
        changes = self.slack.workspace.changes
        spoken = time.monotonic()
        try:
            yield "retry: 1000\n\n"
            while not self.closed:
                events, listener.waiting = listener.waiting, []
                listener.woken.clear()
                now = self.time_of()
                if clock is None or (now["steered"] and now != clock):
                    clock = now
                    events.append({"type": "clock", "clock": now})
                if stack != self._stack(user):
                    stack = self._stack(user)
                    events.append({"type": "modals", "modals": self.reading.modals(user)})
                if changes != self.slack.workspace.changes:
                    changes = self.slack.workspace.changes
                    events.append({"type": "people"})
                for event in events:
                    yield f"data: {_encode(event)}\n\n"
                    spoken = time.monotonic()
                if time.monotonic() - spoken > BREATHE_EVERY:
                    yield ": still here\n\n"
                    spoken = time.monotonic()
                try:
                    await asyncio.wait_for(listener.woken.wait(), LOOK_EVERY)
                except TimeoutError:
                    continue
        finally:
            self.listeners.discard(listener)

    def _message(self, kind: str, message: Message) -> None:
        if not self.listeners:
            return
        channel = self.slack.workspace.channels[message.channel]
        for listener in self.listeners:
            if listener.user in channel.members and message.ephemeral_for in (None, listener.user):
                listener.hear(
                    {
                        "type": "message",
                        "kind": "posted" if kind in ("said", "ephemeral") else kind,
                        "channel": channel.id,
                        "message": self.reading.message(message),
                        "parent": self.reading.parent(channel, message),
                    }
                )

    def _view(self, _method: str, view: View) -> None:
        if not self.listeners:
            return
        if view.content["type"] == "home":
            self.tell(view.user, {"type": "home", "view": self.slack.workspace.view_object(view)})
        for listener in self.listeners:
            if listener.user == view.user:
                listener.woken.set()

    def _stack(self, user: str) -> list[tuple[str, str]]:
        return [(view.id, view.hash) for view in self.slack.workspace.modals.get(user, [])]
