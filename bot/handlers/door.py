"""The one door in: every envelope from Slack is an inbox row before it is acknowledged (docs/decisions/0002).

It runs after the signature was checked and before Bolt authorizes. An event ends here, with 200, and so does what
nothing here reads. An interaction goes on to its listener, also when it is a duplicate: the answer is a pure function of
payload and reads, so it is the same again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.domain.ports import Inbox
from bot.handlers import payloads
from bot.handlers.errors import KEPT, keep


class Door(AsyncMiddleware):
    """The middleware for ``AsyncApp(before_authorize=…)``.

    A class, because for a function Bolt takes the payload apart first, and a form without a type raises there.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002 - Bolt passes it by this name
    ) -> BoltResponse | None:
        body = req.body
        if not payloads.is_slacks(body):
            return BoltResponse(status=400, body="")
        envelope = payloads.envelope(body)
        if envelope is None:
            req.context[KEPT] = True
            return await next()
        if envelope.kind == payloads.EVENT and payloads.is_our_own(body):
            return BoltResponse(status=200, body="")
        if not await keep(self._inbox, envelope):
            return BoltResponse(status=503, body="")
        req.context[KEPT] = True
        if envelope.kind in (payloads.EVENT, payloads.UNKNOWN):
            return BoltResponse(status=200, body="")
        return await next()
