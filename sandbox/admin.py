"""What a tester holds, over HTTP at `/sandbox/...`: looking, time and trouble, switches, who is there.

What people do there is in `doing`.

Whatever cannot be done is answered with `{"ok": false, "error": ..., "detail": ...}`, never with a traceback.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import payloads
from sandbox.acts import Impossible
from sandbox.clock import SteeredClock, moment
from sandbox.errors import SlackError
from sandbox.events import BotAway, Outbound
from sandbox.faults import Fault
from sandbox.foreign_json import read_json
from sandbox.pilot import NoJourney, Pilot
from sandbox.roster import BadRoster, add_channel, add_usergroup, read_user
from sandbox.slack import Slack
from sandbox.socket_mode import REASONS
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

    def __init__(self, slack: Slack, outbound: Outbound, pilot: Pilot) -> None:
        self.slack = slack
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
            ("/sockets", "GET", self.sockets),
            ("/sockets", "POST", self.switch_sockets),
            ("/users", "POST", self.users),
            ("/channels", "POST", self.channels),
            ("/usergroups", "POST", self.usergroups),
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

    async def sockets(self, _request: Request) -> Response:
        """Whether the app is in Socket Mode, and its open sockets."""
        links = [
            {"link": link.number, "leaving": link.leaving, "pending": len(link.pending)}
            for link in self.slack.sockets.links
        ]
        return JSONResponse({"ok": True, "on": self.slack.sockets.on, "links": links})

    async def switch_sockets(self, request: Request) -> Response:
        """`on` switches Socket Mode; `disconnect` asks the app to leave its sockets, with that reason."""
        body = await body_of(request)
        on, reason = body.get("on"), body.get("disconnect")
        if on is not None and not isinstance(on, bool):
            raise BadRequest("on is true or false")
        if reason is not None and reason not in REASONS:
            raise BadRequest(f"disconnect is one of {', '.join(REASONS)}")
        if on is not None:
            self.slack.sockets.turn(on=on)
        if reason is not None:
            self.slack.sockets.end(reason)
        return await self.sockets(request)

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

    async def usergroups(self, request: Request) -> Response:
        """Add or replace a user group: `handle`, `name`, `description`, `users` (ids), `disabled`."""
        return JSONResponse({"ok": True, "id": add_usergroup(await body_of(request), self.slack.workspace)})


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
