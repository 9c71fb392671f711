"""``/fullsteam``: answered privately in the acknowledgement, from what is known; what it changes is done from the row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.delivery.blocks import to_blocks, to_plain
from bot.domain.messages import Message
from bot.domain.ports import Envelope
from bot.handlers import payloads

COMMAND = "/fullsteam"
Answer = Callable[[Envelope], Awaitable[Message]]
"""Reads what the command asks for and words it; writes nothing."""


def register(app: AsyncApp, answer: Answer) -> None:
    """The slash command, in any channel; nobody else sees the answer."""

    @app.command(COMMAND)
    async def asked(ack: AsyncAck, body: dict[str, Any]) -> None:
        envelope = payloads.envelope(body)
        if envelope is None:
            await ack()
            return
        message = await answer(envelope)
        await ack(text=to_plain(message), blocks=to_blocks(message), response_type="ephemeral")
