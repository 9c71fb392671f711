"""Keeps envelopes before they are acknowledged (port Inbox), and hands them over in memory right after the commit."""

from __future__ import annotations

from collections.abc import Callable

from bot.domain.ports import Clock, Envelope
from store import inbox
from store.database import Database


class KeptInbox:
    """``handed(key)`` is called on the event loop once a new envelope is durable; it must not wait nor raise.

    It is only a short cut: a key that gets lost in memory is found by query (services.work_inbox without ``only``).
    """

    def __init__(self, database: Database, clock: Clock, handed: Callable[[str], None]) -> None:
        self._database = database
        self._clock = clock
        self._handed = handed

    async def keep(self, envelope: Envelope) -> bool:
        """Write it, before everything else that waits for the database; returns after the commit."""
        new = await self._database.write_first(inbox.keep, envelope, self._clock.now())
        if new:
            self._handed(envelope.key)
        return new
