"""The one question of the welcome: what would make the CRM worth it for you."""

from __future__ import annotations

import re

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

ACTIONS = re.compile(r"^goal:")


def register(app: AsyncApp) -> None:
    """goal:*."""

    @app.action(ACTIONS)
    async def chosen(ack: AsyncAck) -> None:
        await ack()
