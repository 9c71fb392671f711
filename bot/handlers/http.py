"""The web process: Slack's requests, health, metrics; under steered time also the clock and a look inside, loopback only."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

MAX_BODY = 4 * 1024 * 1024
"""Bytes. Slack's largest payloads (a view of 250 KB, a message of 40,000 characters) stay far below."""
_TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What Bolt raises for a body that is no JSON object, or one nested without end."""
STEERED_NOW = "x-steered-now"
"""Header of a steered workspace's requests: the instant at which they are made, ISO 8601. Slack's own have none."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")

Health = Callable[[], Awaitable[Mapping[str, Any]]]
"""JSON-ready; ``ok`` False answers 503."""
Advance = Callable[[datetime], Awaitable[datetime | None]]
"""Set the steered clock, do what is due, and say what is due next."""
Inspect = Callable[[str], Awaitable[Mapping[str, Any] | None]]
"""What was decided about a Slack user, None when nobody is known by that id."""

Arrive = Callable[[datetime], None]
"""Set the steered clock to the instant of a request: what is heard is heard when it is said, not at the tick before."""


def build_asgi(
    app: AsyncApp | None,
    *,
    health: Health,
    registry: CollectorRegistry,
    advance: Advance | None = None,
    inspect: Inspect | None = None,
    arrive: Arrive | None = None,
) -> Starlette:
    """The ASGI application. ``app`` None: Slack comes by socket only.

    ``advance``, ``inspect`` and ``arrive`` only under steered time: without them the paths do not exist, and nobody's header
    moves a clock.
    """

    async def healthz(_request: Request) -> Response:
        state = dict(await health())
        return JSONResponse(state, status_code=200 if state.get("ok") else 503)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    routes = [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]
    if app is not None:
        routes.append(Route("/slack/events", _events(app, arrive), methods=["POST"]))
    if advance is not None:
        routes.append(Route("/clock", _clock(advance), methods=["POST"]))
    if inspect is not None:
        routes.append(Route("/inspect/{user}", _inspect(inspect), methods=["GET"]))
    return Starlette(routes=routes)


def _events(app: AsyncApp, arrive: Arrive | None) -> Callable[[Request], Awaitable[Response]]:
    async def events(request: Request) -> Response:
        if arrive is not None and _is_loopback(request):
            now = _written(request.headers.get(STEERED_NOW))
            if now is not None:
                arrive(now)
        return await _slack(app, request)

    return events


async def _slack(app: AsyncApp, request: Request) -> Response:
    """Refuse what cannot be Slack's before Bolt reads it: it would answer 500 with a traceback."""
    timestamp = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
        return JSONResponse({"error": "invalid request"}, status_code=401)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return JSONResponse({"error": "too large"}, status_code=413)
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return JSONResponse({"error": "invalid request"}, status_code=401)
    try:
        asked = to_async_bolt_request(request, bytes(body))
    except _UNREADABLE:
        return JSONResponse({"error": "no payload of Slack's"}, status_code=400)
    return to_starlette_response(await app.async_dispatch(asked))


def _is_loopback(request: Request) -> bool:
    """Whether the caller is on this machine and nobody stands in between."""
    near = request.client is not None and request.client.host in _LOOPBACK
    return near and not any(header in request.headers for header in _FORWARDED)


def _clock(advance: Advance) -> Callable[[Request], Awaitable[Response]]:
    async def clock(request: Request) -> Response:
        if not _is_loopback(request):
            return PlainTextResponse("only from this machine", status_code=403)
        now = _instant(await request.body())
        if now is None:
            return JSONResponse({"error": 'send {"now": "2026-11-21T09:00:00Z"}'}, status_code=400)
        due = await advance(now)
        return JSONResponse({"next_due": None if due is None else due.astimezone(UTC).isoformat()})

    return clock


def _instant(body: bytes) -> datetime | None:
    try:
        written = json.loads(body)["now"]
    except (ValueError, KeyError, TypeError):
        return None
    return _written(written)


def _written(written: Any) -> datetime | None:
    """An instant with its offset, as ISO 8601 or seconds since 1970; None for anything else."""
    try:
        found = (
            datetime.fromtimestamp(written, UTC)
            if isinstance(written, (int, float))
            else datetime.fromisoformat(str(written))
        )
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo is not None else None


def _inspect(inspect: Inspect) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        if not _is_loopback(request):
            return PlainTextResponse("only from this machine", status_code=403)
        found = await inspect(request.path_params["user"])
        return JSONResponse(
            {"error": "unknown user"} if found is None else dict(found),
            status_code=404 if found is None else 200,
        )

    return show
