"""The sandbox's own HTTP interface, for tests and for the page: `/sandbox/...`.

Whatever cannot be done is answered with `{"ok": false, "error": ..., "detail": ...}`, never with a traceback.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import payloads
from sandbox.acts import Acts, Impossible
from sandbox.clock import SteeredClock, moment
from sandbox.errors import SlackError
from sandbox.events import BotAway, Outbound
from sandbox.faults import Fault
from sandbox.foreign_json import read_json
from sandbox.parcels import Answer
from sandbox.pilot import NoJourney, Pilot
from sandbox.roster import BadRoster, add_channel, read_user
from sandbox.slack import Slack
from sandbox.state import User
from sandbox.steering import SteeringFailed
from sandbox.web_api import ConnectionLost, read_body

Json = dict[str, Any]
MAX_BODY = 5_000_000
MAX_WAIT = 30.0


class BadRequest(ValueError):
    """A request of the tester's that cannot be read."""


def refuse(error: str, detail: str, status: int) -> JSONResponse:
    """The answer to what cannot be done."""
    return JSONResponse({"ok": False, "error": error, "detail": detail}, status)


def guarded(serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn every refusal of the sandbox into an answer."""

    async def serve_guarded(request: Request) -> Response:
        try:
            return await serve(request)
        except (BadRequest, BadRoster) as exc:
            return refuse("bad_request", str(exc), 400)
        except (Impossible, NoJourney) as exc:
            return refuse("impossible", str(exc), 409)
        except SlackError as exc:
            return refuse(exc.code, json.dumps(exc.extra), 409)
        except (BotAway, SteeringFailed) as exc:
            return refuse("bot_away", str(exc), 502)

    return serve_guarded


async def body_of(request: Request) -> Json:
    """The JSON object in the body. Raises BadRequest."""
    try:
        body = await read_body(request.receive, MAX_BODY)
    except SlackError:
        raise BadRequest(f"a body has at most {MAX_BODY} bytes") from None
    except ConnectionLost:
        raise BadRequest("the body ended before its end") from None
    try:
        found = read_json(body or b"{}")
    except ValueError as exc:
        raise BadRequest(f"not JSON: {exc}") from None
    if not isinstance(found, dict):
        raise BadRequest("a JSON object is needed")
    return found


def text_of(body: Json, key: str, default: str | None = None) -> str:
    """A string from the body. Raises BadRequest."""
    value = body.get(key, default)
    if not isinstance(value, str):
        raise BadRequest(f"{key} must be a string")
    return value


class Admin:
    """The handlers."""

    def __init__(self, slack: Slack, acts: Acts, outbound: Outbound, pilot: Pilot) -> None:
        self.slack = slack
        self.acts = acts
        self.outbound = outbound
        self.pilot = pilot

    def routes(self) -> list[Route]:
        """Every address, on one page."""
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("/health", "GET", self.health),
            ("/record", "GET", self.record),
            ("/messages", "GET", self.messages),
            ("/views", "GET", self.views),
            ("/clock", "GET", self.tell_time),
            ("/clock", "POST", self.set_time),
            ("/faults", "GET", self.show_faults),
            ("/faults", "POST", self.plan_fault),
            ("/faults", "DELETE", self.clear_faults),
            ("/settings", "POST", self.settings),
            ("/users", "POST", self.users),
            ("/channels", "POST", self.channels),
            ("/say", "POST", self.say),
            ("/react", "POST", self.react),
            ("/press", "POST", self.press),
            ("/submit", "POST", self.submit),
            ("/close", "POST", self.close),
            ("/command", "POST", self.command),
            ("/shortcut", "POST", self.shortcut),
            ("/home", "POST", self.home),
        ]
        return [Route(f"/sandbox{path}", guarded(serve), methods=[verb]) for path, verb, serve in table]

    # Looking

    async def health(self, _request: Request) -> Response:
        """Alive, what time it is, and how much has happened."""
        workspace = self.slack.workspace
        return JSONResponse(
            {
                "ok": True,
                "now": self.slack.clock.now().isoformat(),
                "steered": self.slack.clock.steered,
                "users": len(workspace.users),
                "inside": self.slack.inside,
                "agenda": len(self.slack.agenda),
                "totals": self.slack.record.totals(),
            }
        )

    async def record(self, request: Request) -> Response:
        """The record, from entry `since` on, of one `kind` when given."""
        try:
            since = int(request.query_params.get("since", "0"))
        except ValueError:
            raise BadRequest("since is a number") from None
        kind = request.query_params.get("kind")
        entries = [e for e in self.slack.record.since(since) if kind is None or e["kind"] == kind]
        return JSONResponse({"ok": True, "entries": entries, "totals": self.slack.record.totals()})

    async def messages(self, request: Request) -> Response:
        """What stands in a `channel`, or in the direct message with `user`; ephemeral ones too."""
        workspace = self.slack.workspace
        user = request.query_params.get("user", "")
        channel_id = request.query_params.get("channel") or "D" + user[1:]
        channel = workspace.channels.get(channel_id)
        if channel is None:
            if user not in workspace.users:
                raise BadRequest(f"there is no user {user!r} and no channel {channel_id!r}")
            return JSONResponse({"ok": True, "channel": channel_id, "messages": []})
        ephemeral = [m for m in channel.ephemeral.values() if m.ephemeral_for == user]
        shown = [
            {**workspace.message_object(m, metadata=True), "ephemeral": m.ephemeral_for is not None}
            for m in sorted([*channel.messages, *ephemeral], key=lambda m: float(m.ts))
        ]
        return JSONResponse({"ok": True, "channel": channel_id, "messages": shown})

    async def views(self, request: Request) -> Response:
        """The Home tab and the open modals of `user`."""
        workspace = self.slack.workspace
        user = request.query_params.get("user", "")
        home = workspace.homes.get(user)
        modals = [workspace.view_object(view) for view in workspace.modals.get(user, [])]
        return JSONResponse(
            {"ok": True, "home": workspace.view_object(home) if home else None, "modals": modals}
        )

    # Time and trouble

    async def tell_time(self, _request: Request) -> Response:
        """The workspace's time and when something is due next."""
        next_at = self.slack.agenda.next_at()
        return JSONResponse({"ok": True, "now": self.slack.clock.now().isoformat(), "next_at": next_at})

    async def set_time(self, request: Request) -> Response:
        """Move a steered clock: `now`, or `advance` seconds; with `drive`, take the bot along step by step."""
        clock = self.slack.clock
        body = await body_of(request)
        if not isinstance(clock, SteeredClock):
            return refuse(
                "real_time", "this sandbox runs on real time; start it with --clock ISO to steer it", 409
            )
        try:
            if "advance" in body:
                target = clock.now() + timedelta(seconds=float(body["advance"]))
            else:
                target = moment(text_of(body, "now"))
        except (ValueError, TypeError, OverflowError) as exc:
            raise BadRequest(f"not a time: {exc}") from None
        try:
            self.pilot.check(target)
        except NoJourney as exc:
            raise BadRequest(str(exc)) from None
        if body.get("drive"):
            await self.pilot.drive(target)
        elif self.pilot.journey is not None:
            raise NoJourney("time is on its way already; stop it first")
        else:
            clock.move_to(target)
            await deliver_due(self.slack)
        return await self.tell_time(request)

    async def show_faults(self, _request: Request) -> Response:
        """The faults in force."""
        return JSONResponse({"ok": True, "faults": [asdict(fault) for fault in self.slack.faults.planned]})

    async def plan_fault(self, request: Request) -> Response:
        """Put a fault in force: kind, where, count or rate, seconds, after."""
        body = await body_of(request)
        try:
            self.slack.faults.plan(Fault(**body))
        except (TypeError, ValueError) as exc:
            raise BadRequest(str(exc)) from None
        return await self.show_faults(request)

    async def clear_faults(self, request: Request) -> Response:
        """Nothing goes wrong any more."""
        self.slack.faults.clear()
        return await self.show_faults(request)

    async def settings(self, request: Request) -> Response:
        """Switch: messages_tab_enabled, messages_tab_read_only, home_tab_enabled, limits, token_revoked."""
        body = await body_of(request)
        workspace = self.slack.workspace
        switches = (
            "messages_tab_enabled",
            "messages_tab_read_only",
            "home_tab_enabled",
            "limits",
            "token_revoked",
        )
        for key, value in body.items():
            if key not in switches or not isinstance(value, bool):
                raise BadRequest(f"{key}: known switches (true or false) are {', '.join(switches)}")
            if key == "limits":
                self.slack.limits.on = value
            elif key == "token_revoked":
                for token in workspace.tokens.values():
                    token.revoked = value
                if value:
                    await self.outbound.event(payloads.tokens_revoked_event(workspace))
            else:
                setattr(workspace, key, value)
        return JSONResponse({"ok": True})

    # Who is there

    async def users(self, request: Request) -> Response:
        """Add or change users: one object, or `users` with many; `events` false keeps the bot from hearing of it."""
        body = await body_of(request)
        workspace = self.slack.workspace
        many = body.get("users", [body] if "name" in body or "id" in body else None)
        if not isinstance(many, list):
            raise BadRequest("users is a list")
        tell = body.pop("events", "users" not in body)
        kept: list[str] = []
        told: list[Json] = []
        for given in many:
            before = workspace.users.get(str(given.get("id"))) if isinstance(given, dict) else None
            user = read_user(given, workspace)
            new = workspace.add_user(user)
            kept.append(user.id)
            told.extend(_news(self.slack, before, user, new=new))
        if tell:
            for event in told:
                await self.outbound.event(event)
        return JSONResponse({"ok": True, "ids": kept})

    async def channels(self, request: Request) -> Response:
        """Make a channel: name, is_private, members, bot."""
        body = await body_of(request)
        return JSONResponse({"ok": True, "id": add_channel(body, self.slack.workspace)})

    # Doing

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


async def deliver_due(slack: Slack) -> None:
    """Deliver what is due now, in order."""
    while due := slack.agenda.take_due(slack.clock.seconds()):
        for appointment in due:
            await appointment.do()


def _news(slack: Slack, before: User | None, user: User, *, new: bool) -> list[Json]:
    """The events that Slack sends when `before` became `user`."""
    workspace = slack.workspace
    if new or before is None:
        return [payloads.user_event(workspace, "team_join", user)]
    news: list[Json] = []
    if before.dnd != user.dnd:
        news.append(payloads.dnd_event(workspace, user))
    before.dnd, before.updated = user.dnd, user.updated
    if before != user:
        news.append(payloads.user_event(workspace, "user_change", user))
    return news
