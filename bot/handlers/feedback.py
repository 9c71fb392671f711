"""What becomes of a person's words: who may see them, and taking them back."""

from __future__ import annotations

import re

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

ACTIONS = re.compile(r"^(mode|feedback|me):")


def register(app: AsyncApp) -> None:
    """mode:*, feedback:*, me:*."""

    @app.action(ACTIONS)
    async def clicked(ack: AsyncAck) -> None:
        await ack()
