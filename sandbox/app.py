"""The sandbox as one ASGI application: the Web API, the response URLs and the sandbox's own interface."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.acts import Acts
from sandbox.admin import Admin, deliver_due, refuse
from sandbox.crm.pages import RecordPages
from sandbox.crm.server import CrmServer
from sandbox.doing import Doing
from sandbox.errors import SlackError
from sandbox.events import BotAway, Outbound
from sandbox.foreign_json import read_json
from sandbox.guard import objection
from sandbox.methods_files import MAX_FILE, upload
from sandbox.page.server import Page
from sandbox.pilot import Pilot
from sandbox.slack import Slack
from sandbox.socket_mode import refuse as refuse_socket
from sandbox.web_api import MAX_BODY, ConnectionLost, Receive, Scope, Send, WebApi, hang_up, read_body

#: How often the agenda is looked at under real time (seconds).
LOOK_EVERY = 0.02
#: The faults that can strike a response_url.
BROKEN = frozenset({"drop_after_commit", "reset_before_commit"})


class NotLoopback(ValueError):
    """Somebody asked for an address that others could reach."""


class PortTaken(OSError):
    """Another program listens on this port."""


def loopback(host: str) -> str:
    """`host`, when it is this machine's loopback and nothing else. Raises NotLoopback."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise NotLoopback(f"the sandbox listens on loopback only (127.0.0.1 or ::1), not on {host!r}")
    return host


class Sandbox:
    """The ASGI application."""

    def __init__(self, slack: Slack, outbound: Outbound) -> None:
        self.slack = slack
        self.outbound = outbound
        self.acts = Acts(slack, outbound)
        self.pilot = Pilot(slack, outbound)
        self.page = Page(slack, outbound, self.pilot)
        self.web_api = WebApi(slack)
        #: The company's CRM, where there is a company.
        self.crm: CrmServer | None = None
        self.rest = Starlette(
            routes=[
                Route("/actions/{rest:path}", self._response_url, methods=["POST"]),
                Route("/upload/v1/{rest}", self._uploaded, methods=["POST"]),
                Route("/files/{file}/{name:path}", self._file, methods=["GET"]),
                *Admin(slack, outbound, self.pilot).routes(),
                *Doing(slack, self.acts, outbound, self.pilot).routes(),
                *self.page.routes(),
                *RecordPages(slack, lambda: self.crm.crm if self.crm else None).routes(),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what a site in a browser asks for is refused, whatever the address."""
        if scope["type"] not in ("http", "websocket"):
            return
        no = objection(scope)
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send, no)
        elif no:
            await refuse(*no, 403)(scope, receive, send)
        elif scope["path"].startswith("/api/"):
            await self.web_api(scope, receive, send)
        elif self.crm and scope["path"].startswith("/services/"):
            await self.crm(scope, receive, send)
        else:
            scope["sandbox.wire"] = (send, receive)
            await self.rest(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send, no: tuple[str, str] | None) -> None:
        if no:
            await receive()
            await refuse_socket(send, 403, no[0])
        elif scope["path"] != "/link/":
            await receive()
            await refuse_socket(send, 404, "not_found")
        else:
            await self.slack.sockets.serve(scope, receive, send)

    async def _response_url(self, request: Request) -> Response:
        slack = self.slack
        slack.inside += 1
        try:
            return JSONResponse(await self._responded(request))
        except SlackError as no:
            slack.record.add("rejected", method="response_url", error=no.code)
            return JSONResponse(no.body(), no.status if no.status != 200 else 400)
        except ConnectionLost as lost:
            return _HangUp(reset=lost.reset)
        finally:
            slack.inside -= 1
            slack.touched()

    async def _responded(self, request: Request) -> dict[str, Any]:
        body = await read_body(request.receive)
        fault = self.slack.faults.take(BROKEN, "response_url")
        if fault and fault.kind == "reset_before_commit":
            raise ConnectionLost(reset=True)
        try:
            args = read_json(body)
        except ValueError:
            args = None
        if not isinstance(args, dict):
            raise SlackError("invalid_payload", status=400)
        answer = self.acts.respond(request.url.path, args, len(body))
        if fault:
            raise ConnectionLost(reset=False)
        return answer

    async def _uploaded(self, request: Request) -> Response:
        """The bytes of a file, at the address that `files.getUploadURLExternal` gave."""
        slack = self.slack
        slack.inside += 1
        try:
            body = await read_body(request.receive, MAX_FILE + MAX_BODY)
            kind = request.headers.get("content-type", "")
            return PlainTextResponse(upload(slack, request.url.path, kind, body))
        except SlackError as no:
            slack.record.add("rejected", method="upload", error=no.code)
            return JSONResponse(no.body(), no.status)
        except ConnectionLost as lost:
            return _HangUp(reset=lost.reset)
        finally:
            slack.inside -= 1
            slack.touched()

    async def _file(self, request: Request) -> Response:
        """An uploaded file, for the page; it comes as a download unless it is a picture, and runs nothing."""
        file = self.slack.workspace.files.get(request.path_params["file"])
        if file is None or not file.completed:
            return JSONResponse({"ok": False, "error": "file_not_found"}, 404)
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        if not file.mimetype.startswith("image/"):
            headers["Content-Disposition"] = "attachment"
        return Response(file.content, media_type=file.mimetype, headers=headers)


class _HangUp(Response):
    """Not an answer: the connection closes."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_send, raw_receive = scope["sandbox.wire"]
        await hang_up(raw_send, raw_receive, reset=self.reset)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on loopback; port 0 is any free one. Raises NotLoopback, PortTaken and OSError."""
    host = loopback(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio leaves Nagle on and every answer takes 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            raise PortTaken(f"port {port} is taken: choose another with --port (0 is any free one)") from exc
        raise
    return sock


@asynccontextmanager
async def serving(slack: Slack, outbound: Outbound, sock: socket.socket) -> AsyncIterator[Sandbox]:
    """Serve on `sock` for as long as the block runs. `slack.url` is where."""
    host, port = sock.getsockname()[:2]
    slack.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    sandbox = Sandbox(slack, outbound)
    config = uvicorn.Config(
        sandbox,
        log_level="warning",
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
        ws="websockets-sansio",
        ws_max_size=MAX_BODY,
        ws_ping_interval=10,
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started and not task.done():  # noqa: ASYNC110 # uvicorn has a flag and no event
        await asyncio.sleep(0.005)
    try:
        yield sandbox
    finally:
        await sandbox.page.close()
        await outbound.close()
        server.end()
        await task
        slack.record.close()


class Server(uvicorn.Server):
    """uvicorn without its own signal handling (the command line decides when to stop), which ends at once when told to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the command line."""
        yield

    def end(self) -> None:
        """Nobody waits for an answer any more: whatever is open is closed."""
        self.should_exit = self.force_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        """Serve until told to end; uvicorn would look ten times a second whether it should."""
        await self.on_tick(0)
        await self._told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listening sockets, the connections, and what still runs for them."""
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        running = list(self.server_state.tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def keep_agenda(slack: Slack) -> None:
    """Deliver what is due as time goes by, until cancelled. For a sandbox that nobody drives."""
    while True:
        try:
            if not slack.driven:
                await deliver_due(slack)
        except BotAway:
            slack.record.add("gave_up", user="", reason="the bot is away")
        await asyncio.sleep(LOOK_EVERY)
