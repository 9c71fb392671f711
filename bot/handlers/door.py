"""The one door in: every envelope from Slack is an inbox row before it is acknowledged (design.md §3, "The door").

It runs after the signature was checked and before Bolt authorizes. An event ends here, with 200. An interaction goes on to
its listener, also when it is a duplicate: the answer is a pure function of payload and reads, so it is the same again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.domain.ports import Inbox
from bot.handlers import payloads
from bot.handlers.errors import KEPT, keep

Door = Callable[..., Awaitable[Any]]


def build_door(inbox: Inbox) -> Door:
    """The middleware for ``AsyncApp(before_authorize=…)``."""

    async def door(
        request: AsyncBoltRequest,
        next: Callable[[], Awaitable[Any]],  # noqa: A002 - Bolt passes it by this name
    ) -> Any:
        body = request.body
        envelope = payloads.envelope(body)
        if envelope is None:
            request.context[KEPT] = True
            return await next()
        if envelope.kind == payloads.EVENT and payloads.is_our_own(body):
            return BoltResponse(status=200, body="")
        if not await keep(inbox, envelope):
            return BoltResponse(status=503, body="")
        request.context[KEPT] = True
        if envelope.kind == payloads.EVENT:
            return BoltResponse(status=200, body="")
        return await next()

    return door
