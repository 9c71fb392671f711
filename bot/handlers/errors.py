"""What Slack is told when something breaks: a kept envelope is answered 200, one that was not kept is not.

Slack sends an event again that is not answered 200 (at once, after a minute, after five); the inbox row makes a repeat
harmless. Once the envelope is kept its work is safe, so whatever else fails is ours to say in the log, not Slack's to repeat.
"""

from __future__ import annotations

import logging

from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.domain.ports import Envelope, Inbox

log = logging.getLogger(__name__)

KEPT = "fullsteam_kept"
"""Set in the request's context once the envelope is committed, or needs no keeping."""


async def keep(inbox: Inbox, envelope: Envelope) -> bool:
    """Keep an envelope; False when that failed, for whatever reason: then Slack has to send it again."""
    try:
        await inbox.keep(envelope)
    except Exception as error:  # whatever it is, the answer is the same: not kept
        log.error(
            "door.not_kept", extra={"key": envelope.key, "kind": envelope.kind, "error": type(error).__name__}
        )
        return False
    return True


def catch_errors(app: AsyncApp) -> None:
    """Register the one error handler: of listeners and of middleware."""

    @app.error
    async def answer_anyway(error: Exception, request: AsyncBoltRequest) -> BoltResponse:
        return _failed(error, request)


class AnsweringApp(AsyncApp):
    """A Bolt app in which what was kept is answered 200 whatever Bolt makes of it.

    Bolt looks for a listener outside of its own error handling: a form without a type or a click without a button raises
    there, and what no listener matches is 404.
    """

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        try:
            response = await super().async_dispatch(req)
        except Exception as error:  # a payload that Bolt cannot read
            return _failed(error, req)
        if response.status == 404 and req.context.get(KEPT):
            return BoltResponse(status=200, body="")
        return response


def _failed(error: Exception, request: AsyncBoltRequest) -> BoltResponse:
    kept = bool(request.context.get(KEPT))
    log.error("handlers.failed", extra={"error": type(error).__name__, "kept": kept})
    return BoltResponse(status=200 if kept else 503, body="")
