"""Buttons of our messages: the click is answered at once; what it does is done from the inbox row."""

from __future__ import annotations

import re

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

ACTIONS = re.compile(r"^(tip|remind|blocked|why|pause|resume|menu)(:|$)")


def register(app: AsyncApp) -> None:
    """tip:*, remind:*, blocked:*, why:*, pause:*, resume, and the dots."""

    @app.action(ACTIONS)
    async def clicked(ack: AsyncAck) -> None:
        await ack()
