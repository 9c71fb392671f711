"""Slack's deliveries to the app: signed, with a deadline of three real seconds, and redelivered when they fail.

docs.slack.dev/apis/events-api (retries), docs.slack.dev/authentication/verifying-requests-from-slack (signature).
An event that is not answered with 2xx is sent again at once, after a minute and after five minutes (workspace clock).
An interaction is sent once; that a person presses again is the business of the person. Of more than 30,000 events in an
hour the app hears once a minute that it is rate limited (`app_rate_limited`), and of the events nothing.

With `insist`, a refused or broken connection is tried again every 20 ms of real time until the bot is back: under
steered time nothing may depend on how long a bot that was killed takes to start.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp

from sandbox.faults import OUTBOUND
from sandbox.foreign_json import read_json
from sandbox.parcels import COMMANDS, EVENTS, INTERACTIVE, Answer, Parcel
from sandbox.payloads import envelope, message_changed_event, message_event, rate_limited
from sandbox.slack import Slack
from sandbox.state import Message

Json = dict[str, Any]

ACK_SECONDS = 3.0
AGAIN_AFTER = (0.0, 60.0, 300.0)
EVENTS_AN_HOUR = 30_000
#: How long an answer to GET /inspect may take (real seconds).
INSPECT_SECONDS = 30.0
INSIST_EVERY = 0.02
INSIST_FOR = 60.0
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
_encode = json.JSONEncoder(separators=(",", ":")).encode


class BotAway(Exception):
    """The bot did not come back in time."""


class Outbound:
    """The way out to the bot: to its request URL, or over the sockets that it opened when the app is in Socket Mode."""

    def __init__(
        self,
        slack: Slack,
        bot: str,
        signing_secret: str,
        *,
        path: str = "/slack/events",
        insist: bool = False,
        echo: bool = False,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        self.slack = slack
        self.ack_seconds = ack_seconds
        self.root = bot.rstrip("/")
        self.url = self.root + path
        self.insist = insist
        self._secret = signing_secret.encode()
        self._session: aiohttp.ClientSession | None = None
        self._held: Json | None = None
        #: Slack's limit of events in sixty minutes.
        self.events_an_hour = EVENTS_AN_HOUR
        #: How many events were delivered in each of the last sixty calendar minutes, as [minute, number].
        self._minutes: deque[list[int]] = deque()
        self._this_hour = 0
        #: The minute of which the app was last told that it is rate limited.
        self._told_limited = -1
        if echo:
            slack.workspace.seen_by.append(self._echo)

    @property
    def session(self) -> aiohttp.ClientSession:
        """One session for everything that goes to the bot."""
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100))
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        self.slack.sockets.close()
        if self._session:
            await self._session.close()
            self._session = None

    # Events

    async def event(self, event: Json) -> Answer:
        """Deliver an event, with the faults that are in force; the answer is that of the first attempt."""
        payload = envelope(self.slack.workspace, event)
        if not self._counted():
            return await self._limited(payload)
        fault = self.slack.faults.take(OUTBOUND, event["type"])
        if fault and fault.kind == "lose":
            self.slack.record.add("lost", key=payload["event_id"], event=event["type"])
            return Answer(None, reason="lost")
        if fault and fault.kind == "reorder" and self._held is None:
            self._held = payload
            # It comes after the next event; should there be none for a minute, it comes alone.
            self.slack.agenda.add(self.slack.clock.seconds() + 60, "events", self.release)
            return Answer(None, reason="held")
        answer = await self._attempt(payload, 0, "")
        if fault and fault.kind == "duplicate":
            await self._attempt(payload, 0, "", again=False)
        await self.release()
        return answer

    def _counted(self) -> bool:
        """Count one event; False when the hour has had as many as Slack delivers."""
        minute = int(self.slack.clock.seconds() // 60)
        while self._minutes and self._minutes[0][0] <= minute - 60:
            self._this_hour -= self._minutes.popleft()[1]
        if self._this_hour >= self.events_an_hour:
            return False
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append([minute, 0])
        self._minutes[-1][1] += 1
        self._this_hour += 1
        return True

    async def _limited(self, payload: Json) -> Answer:
        """An event that is not delivered, for there were too many; the app is told once a minute."""
        self.slack.record.add("lost", key=payload["event_id"], event=payload["event"]["type"])
        minute = int(self.slack.clock.seconds() // 60)
        if minute != self._told_limited:
            self._told_limited = minute
            about = {"what": "app_rate_limited", "user": None, "channel": None, "ts": None, "text": None}
            told = rate_limited(self.slack.workspace, minute * 60)
            await self.post(lambda _try: Parcel(EVENTS, told, f"app_rate_limited:{minute}", about))
        return Answer(None, reason="app_rate_limited")

    async def release(self) -> None:
        """Deliver the event that a reorder fault held back, if there is one."""
        held, self._held = self._held, None
        if held:
            await self._attempt(held, 0, "")

    async def _attempt(self, payload: Json, number: int, why: str, *, again: bool = True) -> Answer:
        event = payload["event"]
        about = {
            "what": event["type"],
            "user": _author(event),
            "channel": event.get("channel"),
            "ts": event.get("ts") or event.get("event_ts"),
            "text": event.get("text"),
        }
        parcel = Parcel(EVENTS, payload, payload["event_id"], about)
        answer = await self.post(lambda _try: parcel, number, why)
        if not answer.acked and not answer.final and again and number < len(AGAIN_AFTER):
            due = self.slack.clock.seconds() + AGAIN_AFTER[number]
            self.slack.agenda.add(due, "events", lambda: self._retry(payload, number + 1, answer.reason))
        return answer

    async def _retry(self, payload: Json, number: int, why: str) -> None:
        await self._attempt(payload, number, why)

    def _echo(self, kind: str, message: Message) -> None:
        """The app's own messages come back as events, as Slack sends them."""
        workspace = self.slack.workspace
        if not message.bot or message.ephemeral_for or kind not in ("posted", "updated"):
            return
        event = (
            message_event(workspace, message)
            if kind == "posted"
            else message_changed_event(workspace, message)
        )

        async def deliver() -> None:
            await self.event(event)

        self.slack.agenda.add(self.slack.clock.seconds(), "events", deliver)

    # Interactions

    async def interaction(self, make: Callable[[], Json], about: Json) -> Answer:
        """Deliver an interaction; `make` gives a fresh payload (trigger, response_url) for each press."""

        def parcel(_try: int) -> Parcel:
            payload = make()
            if "trigger_id" in payload:
                key = payload["trigger_id"]
            elif payload["type"] == "block_suggestion":
                key = f"{payload['action_id']}:{payload['value']}"
            else:
                key = f"{payload['view']['id']}:{payload['view']['hash']}"
            return Parcel(INTERACTIVE, payload, key, {"what": payload["type"], **about})

        return await self.post(parcel)

    async def command(self, make: Callable[[], dict[str, str]], about: Json) -> Answer:
        """Deliver a slash command."""

        def parcel(_try: int) -> Parcel:
            form = make()
            return Parcel(COMMANDS, form, form["trigger_id"], {"what": "slash_command", **about})

        return await self.post(parcel)

    async def inspected(self, user_id: str, **asked: str | int) -> tuple[str, Json | None]:
        """What the app says that it decided about somebody (`GET /inspect/{user}`), and how that went.

        `known` with what it said; `unknown` when it does not know them, `closed` when it has no such address, `away`.
        """
        patience = aiohttp.ClientTimeout(total=INSPECT_SECONDS)
        address = f"{self.root}/inspect/{user_id}"
        try:
            async with self.session.get(address, params=asked, timeout=patience) as response:
                status, said = response.status, await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return "away", None
        try:
            found = read_json(said)
        except ValueError:
            found = None
        if status == 200 and isinstance(found, dict):
            return "known", found
        return "unknown" if status == 404 and isinstance(found, dict) and "error" in found else "closed", None

    # The wire

    async def post(self, make: Callable[[int], Parcel], number: int = 0, why: str = "") -> Answer:
        """Deliver once; with `insist`, until the bot takes the connection. Raises BotAway after a minute of none."""
        started = time.monotonic()
        tries = 0
        while True:
            parcel = make(tries)
            if self.slack.sockets.on:
                answer = await self.slack.sockets.deliver(parcel, number, why, self.ack_seconds)
            else:
                answer = await self._post_once(parcel, number, why)
            broken = answer.status is None and answer.reason == "connection_failed"
            if not broken or tries == 0:
                self._note(parcel, number, answer)
            if not broken or not self.insist:
                return answer
            if time.monotonic() - started > INSIST_FOR:
                raise BotAway(f"the bot at {self.url} has not answered for {INSIST_FOR:.0f} s")
            tries += 1
            if parcel.kind == EVENTS:
                number, why = max(number, 1), "connection_failed"
            await asyncio.sleep(INSIST_EVERY)

    async def _post_once(self, parcel: Parcel, number: int, why: str) -> Answer:
        body, content_type = on_paper(parcel)
        headers = {
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        }
        headers.update(self.signature(body))
        if self.slack.clock.steered:
            # A bot that keeps this clock hears things when they are said, not at its last tick.
            headers["X-Steered-Now"] = self.slack.clock.now().isoformat()
        if number:
            headers["X-Slack-Retry-Num"] = str(number)
            headers["X-Slack-Retry-Reason"] = why or "unknown_error"
        try:
            async with (
                asyncio.timeout(self.ack_seconds),
                self.session.post(self.url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                said = await response.read()
        except TimeoutError:
            return Answer(None, reason="http_timeout")
        except (aiohttp.ClientError, OSError):
            return Answer(None, reason="connection_failed")
        no_more = response.headers.get("x-slack-no-retry") == "1"
        reason = "" if 200 <= response.status < 300 else "http_error"
        return Answer(response.status, said, reason, no_more)

    def signature(self, body: bytes) -> dict[str, str]:
        """The two headers by which the app knows that Slack speaks; the time in them is real."""
        stamp = str(int(time.time()))
        mac = hmac.new(self._secret, b"v0:" + stamp.encode() + b":" + body, hashlib.sha256)
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": "v0=" + mac.hexdigest()}

    def _note(self, parcel: Parcel, number: int, answer: Answer) -> None:
        self.slack.record.add(
            "delivery",
            key=parcel.key,
            attempt=number,
            status=answer.status,
            acked=answer.acked,
            reason=answer.reason,
            **parcel.about,
        )


def on_paper(parcel: Parcel) -> tuple[bytes, str]:
    """The body of a delivery over HTTP and its content type."""
    if parcel.kind == EVENTS:
        return _encode(parcel.payload).encode(), JSON
    if parcel.kind == INTERACTIVE:
        return urlencode({"payload": _encode(parcel.payload)}).encode(), FORM
    return urlencode(parcel.payload).encode(), FORM


def _author(event: Json) -> str | None:
    user = event.get("user")
    return user["id"] if isinstance(user, dict) else user
