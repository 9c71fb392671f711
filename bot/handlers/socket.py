"""Socket Mode: the same handlers where there is no public URL. A socket that is gone is opened again at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from aiohttp import ClientError
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

log = logging.getLogger(__name__)
LOOK_EVERY = 0.5
"""Seconds. slack_sdk itself looks every ten: too late for somebody who clicks, whom Slack gives three."""
AGAIN_AFTER = 5.0


class Socket:
    """One connection of the app. ``app_token``: an app-level token with ``connections:write``.

    An envelope whose door said no (not 200) is not acknowledged, and Slack sends it again.
    """

    def __init__(self, app: AsyncApp, app_token: str) -> None:
        self._handler = AsyncSocketModeHandler(app, app_token)
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect; envelopes are handled on the running event loop from now on. Raises SlackApiError for a bad token."""
        await self._handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt's own is untyped
        self._watch = asyncio.create_task(self._keep_open())

    async def _keep_open(self) -> None:
        client = self._handler.client
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if await client.is_connected():
                continue
            try:
                await client.connect_to_new_endpoint()
            except (SlackApiError, ClientError, OSError, TimeoutError) as error:
                log.warning("socket_not_opened", extra={"error": type(error).__name__})
                await asyncio.sleep(AGAIN_AFTER)

    async def connected(self) -> bool:
        """Whether the socket is up: for the health check."""
        return bool(await self._handler.client.is_connected())

    async def close(self) -> None:
        """Close for good."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._handler.close_async()  # type: ignore[no-untyped-call]  # Bolt's own is untyped
