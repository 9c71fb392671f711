"""Slack out: the only caller of ``chat.*``.

The writing client has no retry handlers: slack_sdk's default one posts a message again after a dropped connection
(slack_sdk.http_retry, ConnectionErrorRetryHandler). What may have been posted is Uncertain, and
:meth:`SlackMessenger.find` looks for it by the id in its metadata.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

import aiohttp
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.delivery.blocks import to_blocks, to_plain
from bot.delivery.faults import AWAY, FOREIGN, MAY_NOT_LOOK, SaidOnce, translate
from bot.delivery.ids import DELIVERY_EVENT, client_msg_id
from bot.domain.errors import Permanent, Retryable
from bot.domain.messages import Message
from bot.domain.ports import Outgoing, Receipt

R = TypeVar("R")

WRITE_SECONDS = 10.0
"""A post is over after this: well below the 30 s after which a message without an answer is looked for."""
CONNECT_SECONDS = 5.0
HISTORY_PAGE = 200
HISTORY_PAGES = 10
_NO_RETRIES: list[AsyncRetryHandler] = []


@dataclass(frozen=True, slots=True)
class SlackConnection:
    """One HTTP session for everything (4,000 posts a second instead of 1,500). ``writing`` never repeats a request."""

    session: aiohttp.ClientSession
    writing: AsyncWebClient
    reading: AsyncWebClient
    voice: SaidOnce = field(default_factory=SaidOnce)


@contextlib.asynccontextmanager
async def connect(token: str, *, api_url: str = AsyncWebClient.BASE_URL) -> AsyncIterator[SlackConnection]:
    """Open the session and both clients. ``api_url``: ends in ``/api/``."""
    timeout = aiohttp.ClientTimeout(total=WRITE_SECONDS, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=aiohttp.TCPConnector(limit=64, limit_per_host=32)
    ) as session:
        writing = AsyncWebClient(
            token=token, base_url=api_url, session=session, retry_handlers=list(_NO_RETRIES)
        )
        reading = AsyncWebClient(token=token, base_url=api_url, session=session)
        yield SlackConnection(session, writing, reading)


class SlackMessenger:
    """Sends, changes, deletes and finds messages of the bot. Implements the port Messenger."""

    def __init__(self, connection: SlackConnection) -> None:
        self._connection = connection
        self._dms: dict[str, str] = {}

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Post a message; a user's id as address opens the DM, and the receipt has its channel id."""
        arguments: dict[str, Any] = {"client_msg_id": client_msg_id(outgoing.delivery)}
        if outgoing.thread is not None:
            arguments["thread_ts"] = outgoing.thread
        text, blocks = to_plain(outgoing.message), to_blocks(outgoing.message, outgoing.delivery)
        answer = await self._call(
            lambda: self._connection.writing.chat_postMessage(
                channel=outgoing.address,
                text=text,
                blocks=blocks,
                metadata=_metadata(outgoing.delivery),
                unfurl_links=False,
                unfurl_media=False,
                link_names=False,
                **arguments,
            ),
            repeatable=False,
        )
        receipt = Receipt(str(answer["channel"]), str(answer["ts"]))
        if outgoing.address != receipt.channel:
            self._dms[outgoing.address] = receipt.channel
        return receipt

    async def update(self, receipt: Receipt, outgoing: Outgoing) -> None:
        """Replace a message in place. Twice is once, so doubt is Retryable."""
        text, blocks = to_plain(outgoing.message), to_blocks(outgoing.message, outgoing.delivery)
        await self._call(
            lambda: self._connection.writing.chat_update(
                channel=receipt.channel,
                ts=receipt.ts,
                text=text,
                blocks=blocks,
                metadata=_metadata(outgoing.delivery),
                link_names=False,
            ),
            repeatable=True,
        )

    async def delete(self, receipt: Receipt) -> None:
        """Delete a message. One that is gone already is deleted."""
        try:
            await self._call(
                lambda: self._connection.writing.chat_delete(channel=receipt.channel, ts=receipt.ts),
                repeatable=True,
            )
        except Permanent as error:
            if error.code != "message_not_found":
                raise

    async def find(
        self, delivery: str, channel: str, since: datetime, *, thread: str | None = None
    ) -> Receipt | None:
        """Look through the conversation since then for the delivery's id in the metadata.

        Raises Retryable when Slack does not answer or the history is longer than is read (2,000 messages), Permanent
        when it may not be read.
        """
        try:
            return await self._find(delivery, channel, since, thread)
        except Retryable as error:
            if error.code in MAY_NOT_LOOK:
                raise Permanent(str(error), code=error.code) from error
            raise

    async def _find(self, delivery: str, channel: str, since: datetime, thread: str | None) -> Receipt | None:
        where = await self._conversation(channel)
        client, cursor = self._connection.reading, ""
        for _ in range(HISTORY_PAGES):
            arguments: dict[str, Any] = {
                "channel": where,
                "oldest": f"{since.timestamp():.6f}",
                "include_all_metadata": True,
                "limit": HISTORY_PAGE,
            }
            if cursor:
                arguments["cursor"] = cursor
            if thread is None:
                page = await self._call(lambda: client.conversations_history(**arguments), repeatable=True)  # noqa: B023 - awaited at once
            else:
                page = await self._call(
                    lambda: client.conversations_replies(ts=thread, **arguments),  # noqa: B023 - awaited at once
                    repeatable=True,
                )
            for posted in page.get("messages") or ():
                payload = (posted.get("metadata") or {}).get("event_payload") or {}
                if payload.get("id") == delivery:
                    return Receipt(where, str(posted["ts"]))
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None
        raise Retryable("The conversation is too long to be read to its end.", code="history-too-long")

    async def respond(self, response_url: str, message: Message | None, *, replace: bool) -> None:
        """Answer through a response_url (5 uses, 30 minutes; no tier limit).

        With ``replace`` the clicked message changes (None: is deleted); else only the person sees the answer.
        """
        body: dict[str, Any] = {"replace_original": replace}
        if message is None:
            if not replace:
                return
            body = {"delete_original": True}
        else:
            body |= {"text": to_plain(message), "blocks": to_blocks(message)}
            if not replace:
                body["response_type"] = "ephemeral"
        client = AsyncWebhookClient(
            response_url, session=self._connection.session, retry_handlers=list(_NO_RETRIES)
        )
        try:
            answer = await client.send_dict(body)
        except FOREIGN as error:
            raise translate(error, repeatable=replace) from error
        if answer.status_code == 200:
            return
        if answer.status_code == 429 or answer.status_code >= 500:
            raise Retryable("Slack did not take the answer.", code=f"http-{answer.status_code}", after=AWAY)
        raise Permanent("The answer came too late for its response_url.", code="response-url-used")

    async def _conversation(self, address: str) -> str:
        """Channel id of an address: for a user the DM, which is opened if need be (a read in effect: it may repeat)."""
        if not address.startswith(("U", "W")):
            return address
        if address not in self._dms:
            answer = await self._call(
                lambda: self._connection.reading.conversations_open(users=address), repeatable=True
            )
            self._dms[address] = str(answer["channel"]["id"])
        return self._dms[address]

    async def _call(self, call: Callable[[], Awaitable[Any]], *, repeatable: bool) -> Mapping[str, Any]:
        """Run a call; Slack's errors become ours, and one that only people can mend is said once."""
        try:
            answer = await call()
        except FOREIGN as error:
            ours = translate(error, repeatable=repeatable)
            self._connection.voice.failed(ours)
            raise ours from error
        self._connection.voice.answered()
        return cast("Mapping[str, Any]", answer.data)


def _metadata(delivery: str) -> dict[str, Any]:
    return {"event_type": DELIVERY_EVENT, "event_payload": {"id": delivery}}
