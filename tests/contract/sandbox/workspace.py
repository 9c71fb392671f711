"""A sandbox that really listens, and a bot that a test writes, for the tests of this folder."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.app import Sandbox, Server, listen, serving
from sandbox.clock import Clock, SteeredClock
from sandbox.events import Outbound
from sandbox.limits import Limits
from sandbox.slack import Slack
from sandbox.state import ALL_SCOPES, User

TOKEN = "xoxb-test"
SECRET = "a-signing-secret"
MORNING = datetime(2017, 3, 1, 9, 0, tzinfo=UTC)


@dataclass
class Seen:
    """One request that reached the fake bot."""

    headers: dict[str, str]
    body: bytes
    path: str = ""


@dataclass
class FakeBot:
    """An HTTP server in the bot's place; `answer` may be replaced by a test."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    ticks: list[str] = field(default_factory=list)
    answer: Callable[[Seen], Any] = lambda _seen: Response(status_code=200)
    on_tick: Callable[[str], Any] = lambda _now: None
    steered: bool = True
    decided: dict[str, Any] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve_event(self, request: Request) -> Response:
        seen = Seen(dict(request.headers), await request.body(), request.url.path)
        self.seen.append(seen)
        answer = self.answer(seen)
        return await answer if hasattr(answer, "__await__") else answer

    async def serve_clock(self, request: Request) -> Response:
        now = (await request.json())["now"]
        self.ticks.append(now)
        answer = self.on_tick(now)
        next_due = await answer if hasattr(answer, "__await__") else answer
        return JSONResponse({"next_due": next_due})

    async def serve_inspect(self, request: Request) -> Response:
        found = (self.decided or {}).get(request.path_params["user"])
        return JSONResponse(found or {"error": "unknown user"}, status_code=200 if found else 404)


@asynccontextmanager
async def listening(bot: FakeBot) -> AsyncIterator[FakeBot]:
    """Serve the fake bot."""
    sock = listen("127.0.0.1", bot.port)
    bot.port = sock.getsockname()[1]
    routes = [Route("/slack/events", bot.serve_event, methods=["POST"])]
    if bot.steered:
        routes.append(Route("/clock", bot.serve_clock, methods=["POST"]))
    if bot.decided is not None:
        routes.append(Route("/inspect/{user}", bot.serve_inspect, methods=["GET"]))
    app = Starlette(routes=routes)
    server = Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:  # noqa: ASYNC110 # uvicorn has a flag and no event
        await asyncio.sleep(0.005)
    try:
        yield bot
    finally:
        server.end()
        await task


@dataclass
class Running:
    """A sandbox that listens."""

    slack: Slack
    sandbox: Sandbox
    session: aiohttp.ClientSession

    @property
    def outbound(self) -> Outbound:
        return self.sandbox.outbound

    async def call(self, method: str, token: str | None = TOKEN, **args: Any) -> dict[str, Any]:
        """A JSON call; the answer's body, with the HTTP status as `_status` and the headers as `_headers`."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.post(
            f"{self.slack.url}/api/{method}", json=args, headers=headers
        ) as response:
            answer = await response.json()
            return {**answer, "_status": response.status, "_headers": dict(response.headers)}

    async def admin(self, verb: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        async with self.session.request(verb, f"{self.slack.url}/sandbox/{path}", json=body) as response:
            return response.status, await response.json()

    async def do(self, path: str, **body: Any) -> dict[str, Any]:
        status, answer = await self.admin("POST", path, body)
        assert status == 200, answer
        return answer


@asynccontextmanager
async def running(
    *,
    bot: FakeBot | None = None,
    clock: Clock | None = None,
    scopes: frozenset[str] = ALL_SCOPES,
    limits: Limits | None = None,
    insist: bool = False,
    echo: bool = False,
) -> AsyncIterator[Running]:
    """Serve a sandbox with three people in it: Ann, Ben (gone), and a machine."""
    slack = Slack(clock or SteeredClock(MORNING), scopes=scopes, limits=limits)
    slack.workspace.grant(TOKEN)
    slack.workspace.grant("xapp-test", app_level=True)
    for user in (
        User("U1", "ann", "Ann Lee", "Ann@firm.example", "Europe/Berlin"),
        User("U2", "ben", "Ben Gone", "ben@firm.example", deleted=True),
        User("U3", "machine", "A Machine", is_bot=True),
        User("U4", "cleo", "Cleo Ray", "cleo@firm.example", "America/Chicago"),
    ):
        slack.workspace.add_user(user)
    outbound = Outbound(slack, bot.url if bot else "http://127.0.0.1:9", SECRET, insist=insist, echo=echo)
    sock = listen("127.0.0.1", 0)
    async with serving(slack, outbound, sock) as sandbox, aiohttp.ClientSession() as session:
        yield Running(slack, sandbox, session)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def buttons(*action_ids: str, block_id: str = "row") -> list[dict[str, Any]]:
    """A section and a row of buttons."""
    elements = [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": name},
            "action_id": name,
            "value": f"v-{name}",
        }
        for name in action_ids
    ]
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": "What now?"}},
        {"type": "actions", "block_id": block_id, "elements": elements},
    ]
