"""What people do, over HTTP at `/sandbox/...`: write, press, submit, command, come and go. The page asks for the same."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import payloads
from sandbox.acts import Acts
from sandbox.admin import BadRequest, Json, body_of, guarded, text_of
from sandbox.events import Outbound
from sandbox.parcels import Answer
from sandbox.pilot import Pilot
from sandbox.slack import Slack

MAX_WAIT = 30.0


class Doing:
    """The handlers."""

    def __init__(self, slack: Slack, acts: Acts, outbound: Outbound, pilot: Pilot) -> None:
        self.slack = slack
        self.acts = acts
        self.outbound = outbound
        self.pilot = pilot

    def routes(self) -> list[Route]:
        """Every address, on one page."""
        table: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
            ("/say", self.say),
            ("/react", self.react),
            ("/press", self.press),
            ("/suggest", self.suggest),
            ("/submit", self.submit),
            ("/close", self.close),
            ("/command", self.command),
            ("/shortcut", self.shortcut),
            ("/home", self.home),
            ("/join", self.join),
            ("/uninstall", self.uninstall),
        ]
        return [Route(f"/sandbox{path}", guarded(serve), methods=["POST"]) for path, serve in table]

    async def say(self, request: Request) -> Response:
        """`user` writes `text`, in a thread with `thread_ts`, in a channel with `channel`."""
        body = await body_of(request)
        user, text = text_of(body, "user"), text_of(body, "text")
        channel = text_of(body, "channel", "")
        thread_ts = text_of(body, "thread_ts", "") or None
        more: Json = {}

        async def act() -> Answer:
            message = self.acts.write(user, text, channel_id=channel, thread_ts=thread_ts)
            more.update(ts=message.ts, channel=message.channel)
            return await self.outbound.event(payloads.message_event(self.slack.workspace, message))

        return await self._done(body, act, more=more)

    async def react(self, request: Request) -> Response:
        """`user` puts the emoji `name` on the message `message_ts` in `channel`; with `remove` takes it back."""
        body = await body_of(request)
        names = [text_of(body, key) for key in ("user", "channel", "message_ts", "name")]
        react = self.acts.unreact if body.get("remove") else self.acts.react
        return await self._done(body, lambda: react(*names))

    async def press(self, request: Request) -> Response:
        """`user` presses `action_id` on `message_ts` in `channel` (or in `view_id`), choosing `value`.

        `block_id` tells two elements of one name apart. `inputs`: what stands in the other fields there, value by
        action_id or block_id.
        """
        body = await body_of(request)
        user, action_id = text_of(body, "user"), text_of(body, "action_id")
        inputs = body.get("inputs")
        if inputs is not None and not isinstance(inputs, dict):
            raise BadRequest("inputs is an object: value by action_id")
        where: Json = {
            "inputs": inputs,
            "channel_id": text_of(body, "channel", "D" + user[1:]),
            "message_ts": text_of(body, "message_ts", ""),
            "view_id": text_of(body, "view_id", ""),
            "block_id": text_of(body, "block_id", ""),
        }
        value = body.get("selected", body.get("value"))
        return await self._done(body, lambda: self.acts.press(user, action_id, **where, value=value))

    async def suggest(self, request: Request) -> Response:
        """`user` types `text` into the menu `action_id` of `message_ts` in `channel`, or of `view_id`: the options.

        `block_id` tells two menus of one name apart.
        """
        body: Json = await body_of(request)
        user = text_of(body, "user")
        options = await self.acts.suggest(
            user,
            text_of(body, "action_id"),
            text_of(body, "text", ""),
            channel_id=text_of(body, "channel", "D" + user[1:]),
            message_ts=text_of(body, "message_ts", ""),
            view_id=text_of(body, "view_id", ""),
            block_id=text_of(body, "block_id", ""),
        )
        return JSONResponse({"ok": True, **options})

    async def submit(self, request: Request) -> Response:
        """`user` fills in the open modal with `inputs` (value by action_id) and submits it."""
        body = await body_of(request)
        inputs = body.get("inputs", {})
        if not isinstance(inputs, dict):
            raise BadRequest("inputs is an object: value by action_id")
        user, view_id = text_of(body, "user"), text_of(body, "view_id", "")
        return await self._done(body, lambda: self.acts.submit(user, inputs, view_id=view_id))

    async def close(self, request: Request) -> Response:
        """`user` closes the open modal."""
        body = await body_of(request)
        user, view_id = text_of(body, "user"), text_of(body, "view_id", "")
        return await self._done(body, lambda: self.acts.close(user, view_id=view_id))

    async def command(self, request: Request) -> Response:
        """`user` types the slash `command` with `text`."""
        body = await body_of(request)
        typed = [text_of(body, "user"), text_of(body, "command"), text_of(body, "text", "")]
        channel = text_of(body, "channel", "")
        return await self._done(body, lambda: self.acts.command(*typed, channel_id=channel))

    async def shortcut(self, request: Request) -> Response:
        """`user` uses the shortcut `callback_id` on `message_ts` in `channel`; without a message, a global one."""
        body = await body_of(request)
        names = [text_of(body, key) for key in ("user", "callback_id")]
        names += [text_of(body, key, "") for key in ("channel", "message_ts")]
        return await self._done(body, lambda: self.acts.shortcut(*names))

    async def home(self, request: Request) -> Response:
        """`user` opens the app's Home tab (`tab`: home or messages)."""
        body = await body_of(request)
        user, tab = text_of(body, "user"), text_of(body, "tab", "home")
        return await self._done(body, lambda: self.acts.open_home(user, tab))

    async def join(self, request: Request) -> Response:
        """`user` (a member, or the bot) joins `channel`."""
        body = await body_of(request)
        answer = await self.acts.join(text_of(body, "user"), text_of(body, "channel"))
        return JSONResponse({"ok": True, "status": answer.status, "acked": answer.acked})

    async def uninstall(self, _request: Request) -> Response:
        """The app is taken out of the workspace."""
        answer = await self.acts.uninstall()
        return JSONResponse({"ok": True, "status": answer.status, "acked": answer.acked})

    async def _done(
        self, body: Json, act: Callable[[], Awaitable[Answer]], *, more: Json | None = None
    ) -> Response:
        """Do it; with `settle` not within an instant of a drive, and under steered time the bot then does what is due."""
        seq = self.slack.record.last
        if body.get("settle"):
            async with self.slack.turn:
                seq = self.slack.record.last
                answer = await act()
                if answer.acked:
                    await self.pilot.settle()
        else:
            answer = await act()
        return await self._answered(body, answer, seq, **(more or {}))

    async def _answered(self, body: Json, answer: Answer, seq: int, **more: Any) -> Response:
        """What the bot answered, and what it did since; `wait` is how long to wait for the first thing (seconds)."""
        follow = ("posted", "updated", "deleted", "ephemeral", "view")
        try:
            wait = float(body.get("wait", 0))
        except (TypeError, ValueError, OverflowError):
            wait = math.nan
        if math.isnan(wait):
            raise BadRequest("wait is a number of seconds")
        patience = time.monotonic() + min(wait, MAX_WAIT)
        while True:
            done = [entry for entry in self.slack.record.since(seq) if entry["kind"] in follow]
            if done or time.monotonic() >= patience:
                break
            await asyncio.sleep(0.01)
        return JSONResponse(
            {
                "ok": True,
                "status": answer.status,
                "acked": answer.acked,
                "reason": answer.reason,
                "body": answer.body.decode("utf-8", "replace"),
                "follow_ups": done,
                **more,
            }
        )
