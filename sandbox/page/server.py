"""The page: the workspace in a browser, at `/`, and what it asks for, below `/sandbox/page/`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sandbox.admin import BadRequest, body_of, guarded, refuse, text_of
from sandbox.clock import moment
from sandbox.events import Outbound
from sandbox.page.reading import Reading, Unseen
from sandbox.page.stream import Stream
from sandbox.pilot import Pilot
from sandbox.slack import Slack

Json = dict[str, Any]
STATIC = Path(__file__).resolve().parent / "static"
#: The page loads nothing from elsewhere, runs nothing inline, and stands in nobody's frame.
POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
MOST_MESSAGES = 200


class Page:
    """The handlers."""

    def __init__(self, slack: Slack, outbound: Outbound, pilot: Pilot) -> None:
        self.slack = slack
        self.outbound = outbound
        self.pilot = pilot
        self.reading = Reading(slack)
        self.stream = Stream(slack, self.reading, pilot.state)
        self.files = {path.name: path for path in STATIC.iterdir() if path.suffix in KINDS}

    def routes(self) -> list[Route]:
        """Every address, on one page."""
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("/sandbox/page/workspace", "GET", self.workspace),
            ("/sandbox/page/conversations", "GET", self.conversations),
            ("/sandbox/page/messages", "GET", self.messages),
            ("/sandbox/page/thread", "GET", self.thread),
            ("/sandbox/page/views", "GET", self.views),
            ("/sandbox/page/stream", "GET", self.follow),
            ("/sandbox/page/read", "POST", self.read),
            ("/sandbox/page/journey", "POST", self.travel),
            ("/sandbox/page/journey", "DELETE", self.stop),
            ("/sandbox/inspect", "GET", self.inspect),
        ]
        return [
            Route("/", self.index, methods=["GET"]),
            Route("/page/{name}", self.file, methods=["GET"]),
            *(Route(path, guarded(_seen(serve)), methods=[verb]) for path, verb, serve in table),
        ]

    # Files

    async def index(self, _request: Request) -> Response:
        """The page."""
        return FileResponse(STATIC / "index.html", media_type="text/html", headers=HEADERS)

    async def file(self, request: Request) -> Response:
        """A file of the page."""
        path = self.files.get(request.path_params["name"])
        if path is None:
            return refuse("not_found", "the page has no such file", 404)
        return FileResponse(path, media_type=KINDS[path.suffix], headers=HEADERS)

    # Looking

    async def workspace(self, _request: Request) -> Response:
        """Who is there, the app, and the time."""
        return _told(
            team={"id": self.slack.workspace.team_id, "name": self.slack.workspace.team_name},
            people=self.reading.people(),
            app=self.reading.app(),
            clock=self.pilot.state(),
        )

    async def conversations(self, request: Request) -> Response:
        """The conversations of `user`, with how much is unread, and the names of all channels."""
        user = self.reading.person(_asked(request, "user"))
        names = {
            channel.id: channel.name for channel in self.slack.workspace.channels.values() if channel.name
        }
        return _told(conversations=self.reading.conversations(user), names=names)

    async def messages(self, request: Request) -> Response:
        """The newest messages of `channel` that `user` sees, before the ts `before` when given."""
        user = self.reading.person(_asked(request, "user"))
        channel = self.reading.channel(_asked(request, "channel"), user)
        if channel is None:
            return _told(messages=[], more=False, read="")
        try:
            limit = min(max(1, int(request.query_params.get("limit", "60"))), MOST_MESSAGES)
        except ValueError:
            raise BadRequest("limit is a number") from None
        shown = self.reading.history(channel, user, request.query_params.get("before", ""), limit)
        return _told(**shown, read=self.reading.read_to(channel, user))

    async def thread(self, request: Request) -> Response:
        """A message of `channel`, by its `ts`, and the replies to it."""
        user = self.reading.person(_asked(request, "user"))
        channel = self.reading.channel(_asked(request, "channel"), user)
        if channel is None:
            raise Unseen("nobody has written there yet")
        return _told(messages=self.reading.thread(channel, user, _asked(request, "ts")))

    async def views(self, request: Request) -> Response:
        """The Home tab and the open modals of `user`."""
        user = self.reading.person(_asked(request, "user"))
        return _told(home=self.reading.home(user.id), modals=self.reading.modals(user.id))

    async def follow(self, request: Request) -> Response:
        """What happens from now on, as server-sent events for `user`."""
        user = self.reading.person(_asked(request, "user"))
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(self.stream.follow(user.id), media_type="text/event-stream", headers=headers)

    async def read(self, request: Request) -> Response:
        """`user` has read `channel` up to the message `ts`; with `unread`, wants it unread from there on."""
        body = await body_of(request)
        user = self.reading.person(text_of(body, "user"))
        channel = self.reading.channel(text_of(body, "channel"), user)
        if channel is not None:
            mark = self.reading.put_back if body.get("unread") else self.reading.mark
            ts = mark(channel, user, text_of(body, "ts"))
            self.stream.tell(user.id, {"type": "read", "channel": channel.id, "ts": ts})
        return _told()

    # Time

    async def travel(self, request: Request) -> Response:
        """Set out: `advance` seconds, `to` an ISO instant, or `run` until stopped."""
        body = await body_of(request)
        try:
            if body.get("run") is True:
                target = None
            elif "advance" in body:
                target = self.slack.clock.now() + timedelta(seconds=float(body["advance"]))
            else:
                target = moment(text_of(body, "to"))
        except (ValueError, TypeError, OverflowError) as exc:
            raise BadRequest(f"not a time: {exc}") from None
        self.pilot.start(target)
        return _told(clock=self.pilot.state())

    async def stop(self, _request: Request) -> Response:
        """Stop where time is."""
        self.pilot.stop()
        return _told(clock=self.pilot.state())

    # What the app decided

    async def inspect(self, request: Request) -> Response:
        """What the app says that it decided about `user`: state `known`, `unknown`, `closed` or `away`."""
        user = self.reading.person(_asked(request, "user"))
        state, found = await self.outbound.inspected(user.id)
        return _told(state=state, inspection=found)

    async def close(self) -> None:
        """End what is under way: journeys, and streams, which get a moment to say their last word."""
        await self.pilot.close()
        await self.stream.close()


def _told(**more: Any) -> Response:
    return JSONResponse({"ok": True, **more}, headers={"Cache-Control": "no-store"})


def _asked(request: Request, key: str) -> str:
    found = request.query_params.get(key)
    if not found:
        raise BadRequest(f"{key} is missing")
    return found


def _seen(serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn what a person does not see into an answer."""

    async def serve_seen(request: Request) -> Response:
        try:
            return await serve(request)
        except Unseen as exc:
            return refuse("not_found", str(exc), 404)

    return serve_seen
