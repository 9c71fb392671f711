"""The web process: Slack's requests, health, metrics; under steered time also the clock and a look inside, loopback only."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

MAX_BODY = 4 * 1024 * 1024
"""Bytes. Slack's largest payloads (a view of 250 KB, a message of 40,000 characters) stay far below."""
MAX_CLOCK_BODY = 4 * 1024
"""Bytes of a request that moves the clock: one instant."""
_TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)
_NUMBER = re.compile(r"\d{1,6}", re.ASCII)
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What Bolt raises for a body that is no JSON object, or one nested without end."""
STEERED_NOW = "x-steered-now"
"""Header of a steered workspace's requests: the instant at which they are made, ISO 8601. Slack's own have none."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")

Health = Callable[[], Awaitable[Mapping[str, Any]]]
"""JSON-ready; ``ok`` False answers 503."""
Advance = Callable[[datetime], Awaitable[datetime | None]]
"""Set the steered clock, do what is due, and say what is due next."""
Inspect = Callable[[str, int, bool], Awaitable[Mapping[str, Any] | None]]
"""(Slack user, how many of the newest, reasons only) -> what was decided, None when nobody is known by that id."""
INSPECTED, MOST_INSPECTED = 20, 5_000
"""Decisions that are shown when nobody says how many, and the most that may be asked for."""

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
    signing_secret: str | None = None,
) -> Starlette:
    """The ASGI application. ``app`` None: Slack comes by socket only.

    ``advance``, ``inspect`` and ``arrive`` only under steered time: without them the paths do not exist, and nobody's header
    moves a clock. ``arrive`` needs the ``signing_secret``: only a request that is signed says when it was made.
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
        routes.append(
            Route("/slack/events", _events(app, _arrivals(arrive, signing_secret)), methods=["POST"])
        )
    if advance is not None:
        routes.append(Route("/clock", _clock(advance), methods=["POST"]))
    if inspect is not None:
        routes.append(Route("/inspect/{user}", _inspect(inspect), methods=["GET"]))
    return Starlette(routes=routes)


Arrived = Callable[[Request, bytes], None]
"""Looks at a request and its body before they are worked."""


def _arrivals(arrive: Arrive | None, signing_secret: str | None) -> Arrived | None:
    """Moves the clock to the instant that a signed request from this machine names; Bolt verifies it once more."""
    if arrive is None or signing_secret is None:
        return None
    verifier = SignatureVerifier(signing_secret)

    def arrived(request: Request, body: bytes) -> None:
        now = _written(request.headers.get(STEERED_NOW))
        if now is not None and _is_near(request) and verifier.is_valid_request(body, dict(request.headers)):
            arrive(now)

    return arrived


def _events(app: AsyncApp, arrived: Arrived | None) -> Callable[[Request], Awaitable[Response]]:
    async def events(request: Request) -> Response:
        return await _slack(app, request, arrived)

    return events


async def _slack(app: AsyncApp, request: Request, arrived: Arrived | None) -> Response:
    """Refuse what cannot be Slack's before Bolt reads it: it would answer 500 with a traceback."""
    timestamp = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
        return JSONResponse({"error": "invalid request"}, status_code=401)
    body = await _read(request, MAX_BODY)
    if body is None:
        return JSONResponse({"error": "too large"}, status_code=413)
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return JSONResponse({"error": "invalid request"}, status_code=401)
    if arrived is not None:
        arrived(request, body)
    try:
        asked = to_async_bolt_request(request, body)
    except _UNREADABLE:
        return JSONResponse({"error": "no payload of Slack's"}, status_code=400)
    return to_starlette_response(await app.async_dispatch(asked))


async def _read(request: Request, most: int) -> bytes | None:
    """The body; None when it is larger than ``most`` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


def _is_near(request: Request) -> bool:
    """Whether the caller is on this machine and nobody stands in between."""
    near = request.client is not None and _is_loopback(request.client.host)
    return near and not any(header in request.headers for header in _FORWARDED)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_program_here(request: Request) -> bool:
    """Whether a program on this machine asks: no page that a browser here shows, whatever its name resolves to.

    A browser names the site of the page (``Origin``, ``Sec-Fetch-Site``) and the name by which it came here (``Host``).
    Source: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
    """
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    of_a_page = "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none"
    return _is_near(request) and _is_loopback(host) and not of_a_page


def _clock(advance: Advance) -> Callable[[Request], Awaitable[Response]]:
    async def clock(request: Request) -> Response:
        if not _is_program_here(request):
            return PlainTextResponse("only from this machine", status_code=403)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return JSONResponse({"error": "send application/json"}, status_code=415)
        body = await _read(request, MAX_CLOCK_BODY)
        if body is None:
            return JSONResponse({"error": "too large"}, status_code=413)
        now = _instant(body)
        if now is None:
            return JSONResponse({"error": 'send {"now": "2026-11-21T09:00:00Z"}'}, status_code=400)
        due = await advance(now)
        return JSONResponse({"next_due": None if due is None else due.astimezone(UTC).isoformat()})

    return clock


def _instant(body: bytes) -> datetime | None:
    try:
        written = json.loads(body)["now"]
    except (ValueError, KeyError, TypeError, RecursionError):
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
        if not _is_program_here(request):
            return PlainTextResponse("only from this machine", status_code=403)
        asked = request.query_params
        limit, only = asked.get("limit", str(INSPECTED)), asked.get("only", "everything")
        if not _NUMBER.fullmatch(limit) or not 0 < int(limit) <= MOST_INSPECTED:
            return PlainTextResponse(f"limit is a number from 1 to {MOST_INSPECTED}", status_code=400)
        if only not in ("everything", "reasons"):
            return PlainTextResponse("only is everything or reasons", status_code=400)
        found = await inspect(request.path_params["user"], int(limit), only == "reasons")
        return JSONResponse(
            {"error": "unknown user"} if found is None else dict(found),
            status_code=404 if found is None else 200,
        )

    return show
