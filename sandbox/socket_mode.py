"""Socket Mode: deliveries over WebSockets that the app opens (docs.slack.dev/apis/events-api/using-socket-mode).

`apps.connections.open` gives an address with a ticket that opens one socket. Slack says `hello`, then sends envelopes;
each goes to one of the open sockets, in turn, and the app acknowledges it by its `envelope_id` within three real
seconds. A socket is left when Slack says `disconnect`: `warning`, `refresh_requested`, `link_disabled`,
`too_many_websockets`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from sandbox.faults import SOCKET
from sandbox.foreign_json import read_json
from sandbox.parcels import EVENTS, Answer, Parcel

if TYPE_CHECKING:
    from sandbox.slack import Slack

Json = dict[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_LINKS = 10
#: How long a ticket opens a socket (real seconds; Slack gives no figure).
TICKET_SECONDS = 30.0
#: What Slack announces in `hello`; with `debug_reconnects=true` in the address it is six minutes.
LINK_SECONDS, DEBUG_LINK_SECONDS = 18_060.0, 360.0
#: Between a warning and the refresh, and between the refresh and the end.
NOTICE_SECONDS = 10.0
REASONS = ("warning", "refresh_requested", "link_disabled", "too_many_websockets")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Link:
    """One open socket. `pending` are the envelopes on it that nobody has acknowledged yet."""

    def __init__(self, number: int, send: Send, seconds: float) -> None:
        self.number = number
        self.seconds = seconds
        self.pending: dict[str, asyncio.Future[Any]] = {}
        #: Whether Slack has asked the app to leave: nothing new is sent here.
        self.leaving = False
        #: When it was last given an envelope, as a count.
        self.turn = 0
        self._send = send

    async def say(self, content: Json) -> None:
        """Send one text frame. Raises OSError when nobody is there any more."""
        await self._send({"type": "websocket.send", "text": _encode(content)})

    async def disconnect(self, reason: str) -> None:
        """Tell the app that this socket ends, and why."""
        self.leaving = self.leaving or reason != "warning"
        await self.say({"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}})

    async def close(self) -> None:
        """Close it as WebSockets are closed."""
        await self._send({"type": "websocket.close", "code": 1000})

    def kill(self) -> None:
        """Cut the connection under it, without a word.

        ASGI has no word for this either: the transport is taken from uvicorn's protocol, whose method `send` is.
        """
        transport: asyncio.Transport = self._send.__self__.transport  # type: ignore[attr-defined] # uvicorn's WebSocketsSansIOProtocol
        transport.abort()

    def lost(self) -> None:
        """Nobody will acknowledge what is pending."""
        for waiting in self.pending.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("the socket is gone"))


class Sockets:
    """The sockets of the app. `on` is the app's setting: with it, nothing is delivered over HTTP."""

    def __init__(self, slack: Slack) -> None:
        self.slack = slack
        self.on = False
        self.links: list[Link] = []
        self._tickets: dict[str, float] = {}
        self._opened = asyncio.Event()
        self._turns = 0
        #: Where an envelope was sent that nobody acknowledged: it comes again on another socket.
        self._missed: dict[str, int] = {}
        self._goodbyes: set[asyncio.Task[None]] = set()

    def address(self) -> str:
        """A WebSocket address that can be opened once."""
        number = self.slack.workspace.count("ticket")
        ticket = f"{number:08x}-sandbox"
        self._tickets[ticket] = time.monotonic()
        root = self.slack.url.replace("http", "ws", 1)
        return f"{root}/link/?ticket={ticket}&app_id={self.slack.workspace.app_id}"

    def _admits(self, ticket: str) -> bool:
        given = self._tickets.pop(ticket, None)
        return given is not None and time.monotonic() - given <= TICKET_SECONDS

    # One socket, from its opening to its end

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        await receive()
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        if not self._admits(asked.get("ticket", [""])[0]):
            self.slack.record.add("rejected", method="link", error="invalid_ticket")
            await refuse(send, 403, "invalid_ticket")
            return
        await send({"type": "websocket.accept"})
        debugged = asked.get("debug_reconnects", [""])[0] == "true"
        number = self.slack.workspace.count("link")
        link = Link(number, send, DEBUG_LINK_SECONDS if debugged else LINK_SECONDS)
        why = (
            "link_disabled" if not self.on else "too_many_websockets" if len(self.links) >= MAX_LINKS else ""
        )
        self.slack.record.add("socket", what=why or "opened", link=number)
        try:
            if why:
                await link.disconnect(why)
                await link.close()
                return
            await self._attend(link, receive)
        except OSError:
            return  # the app is gone: what was pending is told by _attend

    async def _attend(self, link: Link, receive: Receive) -> None:
        await link.say(self._hello(link))
        self.links.append(link)
        self._opened.set()
        expiry = asyncio.create_task(self._expire(link))
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                self._hear(link, message.get("text") or "")
        finally:
            expiry.cancel()
            self.links.remove(link)
            link.lost()
            self.slack.record.add("socket", what="closed", link=link.number)

    def _hello(self, link: Link) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.links) + 1,
            "connection_info": {"app_id": self.slack.workspace.app_id},
            "debug_info": {
                "host": "sandbox",
                "build_number": 1,
                "approximate_connection_time": int(link.seconds),
            },
        }

    def _hear(self, link: Link, text: str) -> None:
        """An acknowledgement; what is none is recorded and has no effect, as with Slack."""
        try:
            said = read_json(text)
        except ValueError:
            said = None
        envelope_id = said.get("envelope_id") if isinstance(said, dict) else None
        waiting = link.pending.get(envelope_id) if isinstance(envelope_id, str) else None
        if waiting is None:
            self.slack.record.add("socket", what="not understood", link=link.number)
        elif not waiting.done():
            waiting.set_result(said.get("payload"))

    async def _expire(self, link: Link) -> None:
        await asyncio.sleep(link.seconds - NOTICE_SECONDS)
        await self._take_leave(link, "warning")

    async def _take_leave(self, link: Link, reason: str) -> None:
        try:
            await link.disconnect(reason)
            if reason == "warning":
                await asyncio.sleep(NOTICE_SECONDS)
                await link.disconnect("refresh_requested")
            if reason in {"warning", "refresh_requested"}:
                await asyncio.sleep(NOTICE_SECONDS)
            await link.close()
        except OSError:
            return  # it has left before the end

    def end(self, reason: str) -> int:
        """Ask the app to leave every socket; `link_disabled` ends them at once. Returns how many there are."""
        for link in self.links:
            task = asyncio.get_running_loop().create_task(self._take_leave(link, reason))
            self._goodbyes.add(task)
            task.add_done_callback(self._goodbyes.discard)
        return len(self.links)

    def turn(self, *, on: bool) -> None:
        """Switch Socket Mode on or off; off ends every socket."""
        self.on = on
        if not on:
            self.end("link_disabled")

    def close(self) -> None:
        """Forget who was asked to leave: the server ends."""
        for task in self._goodbyes:
            task.cancel()

    # Deliveries

    async def deliver(self, parcel: Parcel, number: int, why: str, seconds: float) -> Answer:
        """Send one envelope to one socket and wait `seconds` for its acknowledgement.

        While no socket is open it waits for one: an app that was asked to refresh is back in a moment.
        """
        link: Link | None = None
        try:
            async with asyncio.timeout(seconds):
                link = await self._next(parcel.key)
                answer = await self._over(link, parcel, number, why)
        except TimeoutError:
            answer = Answer(None, reason="timeout" if link else "connection_failed")
        if link and not answer.acked:
            self._missed[parcel.key] = link.number
        else:
            self._missed.pop(parcel.key, None)
        return answer

    async def _next(self, key: str) -> Link:
        while True:
            ready = [link for link in self.links if not link.leaving]
            if ready:
                missed = self._missed.get(key)
                others = [link for link in ready if link.number != missed] or ready
                link = min(others, key=lambda each: each.turn)
                self._turns += 1
                link.turn = self._turns
                return link
            self._opened.clear()
            await self._opened.wait()

    async def _over(self, link: Link, parcel: Parcel, number: int, why: str) -> Answer:
        count = self.slack.workspace.count("envelope")
        envelope_id = f"{count:08x}-0000-4000-8000-{link.number:012x}"
        envelope: Json = {
            "envelope_id": envelope_id,
            "payload": parcel.payload,
            "type": parcel.kind,
            "accepts_response_payload": parcel.answerable,
        }
        if parcel.kind == EVENTS:
            envelope |= {"retry_attempt": number, "retry_reason": why}
        fault = self.slack.faults.take(SOCKET, str(parcel.about["what"]))
        waiting = link.pending[envelope_id] = asyncio.get_running_loop().create_future()
        try:
            await link.say(envelope)
            if fault and fault.kind == "socket_killed":
                await asyncio.wait([waiting], timeout=fault.seconds)
                link.kill()
                return Answer(None, reason="connection_failed")
            said = await waiting
        except OSError:
            return Answer(None, reason="connection_failed")
        finally:
            del link.pending[envelope_id]
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # looked at: asyncio warns of what nobody has read
        if fault:
            link.kill()
        body = b"" if said is None or not parcel.answerable else _encode(said).encode()
        return Answer(200, body)


async def refuse(send: Send, status: int, error: str) -> None:
    """Refuse the handshake with a status and Slack's kind of body."""
    headers = [(b"content-type", b"application/json")]
    body = _encode({"ok": False, "error": error}).encode()
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
