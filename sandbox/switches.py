"""More of the sandbox's own HTTP interface: the app's sockets, user groups, options that the bot suggests, joining."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.acts import Acts
from sandbox.admin import BadRequest, Json, body_of, guarded, text_of
from sandbox.roster import add_usergroup
from sandbox.slack import Slack
from sandbox.socket_mode import REASONS


class Switches:
    """The handlers."""

    def __init__(self, slack: Slack, acts: Acts) -> None:
        self.slack = slack
        self.acts = acts

    def routes(self) -> list[Route]:
        """Every address."""
        table = [
            ("/sockets", "GET", self.sockets),
            ("/sockets", "POST", self.switch_sockets),
            ("/usergroups", "POST", self.usergroups),
            ("/suggest", "POST", self.suggest),
            ("/join", "POST", self.join),
            ("/uninstall", "POST", self.uninstall),
        ]
        return [Route(f"/sandbox{path}", guarded(serve), methods=[verb]) for path, verb, serve in table]

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

    async def usergroups(self, request: Request) -> Response:
        """Add or replace a user group: `handle`, `name`, `description`, `users` (ids), `disabled`."""
        return JSONResponse({"ok": True, "id": add_usergroup(await body_of(request), self.slack.workspace)})

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

    async def join(self, request: Request) -> Response:
        """`user` (a member, or the bot) joins `channel`."""
        body = await body_of(request)
        answer = await self.acts.join(text_of(body, "user"), text_of(body, "channel"))
        return JSONResponse({"ok": True, "status": answer.status, "acked": answer.acked})

    async def uninstall(self, _request: Request) -> Response:
        """The app is taken out of the workspace."""
        answer = await self.acts.uninstall()
        return JSONResponse({"ok": True, "status": answer.status, "acked": answer.acked})
