"""Socket Mode: the same handlers where there is no public URL. A socket that drops is opened again by slack_sdk."""

from __future__ import annotations

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp


class Socket:
    """One connection of the app. ``app_token``: an app-level token with ``connections:write``.

    An envelope whose door said no (not 200) is not acknowledged, and Slack sends it again.
    """

    def __init__(self, app: AsyncApp, app_token: str) -> None:
        self._handler = AsyncSocketModeHandler(app, app_token)

    async def open(self) -> None:
        """Connect; envelopes are handled on the running event loop from now on. Raises SlackApiError for a bad token."""
        await self._handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt's own is untyped

    async def connected(self) -> bool:
        """Whether the socket is up: for the health check."""
        return bool(await self._handler.client.is_connected())

    async def close(self) -> None:
        """Close for good."""
        await self._handler.close_async()  # type: ignore[no-untyped-call]  # Bolt's own is untyped
