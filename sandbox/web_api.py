"""The Web API's door: `POST /api/<method>`, as a plain ASGI application.

It reads the call (form or JSON, token in the header or among the arguments), asks limits and faults, runs the
method and answers as Slack does: HTTP 200 with `ok`, 429 with `Retry-After`. No input makes it fail with a traceback.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from sandbox import (
    methods_app,
    methods_chat,
    methods_conversations,
    methods_files,
    methods_usergroups,
    methods_users,
    methods_views,
)
from sandbox.calls import Call, Json, Method
from sandbox.errors import SlackError, invalid_arguments
from sandbox.faults import INBOUND, Fault
from sandbox.foreign_json import read_json
from sandbox.slack import Slack

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 1_000_000
METHODS: dict[str, Method] = {
    **methods_app.METHODS,
    **methods_chat.METHODS,
    **methods_conversations.METHODS,
    **methods_files.METHODS,
    **methods_usergroups.METHODS,
    **methods_users.METHODS,
    **methods_views.METHODS,
}
# Made once: json.dumps with options makes an encoder for every call.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_JSON_HEADER = (b"content-type", b"application/json; charset=utf-8")


class ConnectionLost(Exception):
    """The answer is not to be given: the connection closes (or is reset) instead."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "dropped")
        self.reset = reset


async def read_body(receive: Receive, most: int = MAX_BODY) -> bytes:
    """The whole body. Raises SlackError when it is longer than `most` bytes or the sender goes away."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body") and len(body) <= most:
        return body
    parts = [body]
    size = len(body)
    while message["type"] == "http.request" and message.get("more_body"):
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size <= most:
            parts.append(part)
    if message["type"] != "http.request":
        raise ConnectionLost(reset=False)
    if size > most:
        # Slack's word for a body that is missing or truncated.
        raise SlackError("request_timeout", status=413)
    return b"".join(parts)


def read_arguments(headers: dict[bytes, bytes], query: bytes, body: bytes) -> Json:
    """The arguments of a call. Raises SlackError with Slack's name for what cannot be read."""
    args: Json = {}
    try:
        if query:
            args.update(parse_qsl(query.decode(), keep_blank_values=True))
        if not body:
            return args
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind == b"application/json":
            try:
                given = read_json(body)
            except ValueError:
                raise SlackError("invalid_json") from None
            if not isinstance(given, dict):
                raise SlackError("json_not_object")
            args.update(given)
        elif kind == b"application/x-www-form-urlencoded":
            args.update(parse_qsl(body.decode(), keep_blank_values=True))
        elif not kind:
            raise SlackError("missing_post_type")
        else:
            raise SlackError("invalid_post_type")
    except UnicodeDecodeError:
        raise SlackError("invalid_charset") from None
    except ValueError:
        raise SlackError("invalid_form_data") from None
    return args


class WebApi:
    """The ASGI application that serves every method in METHODS."""

    def __init__(self, slack: Slack) -> None:
        self.slack = slack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request under /api/."""
        slack = self.slack
        slack.inside += 1
        try:
            name = scope["path"][5:]
            status, headers = 200, [_JSON_HEADER]
            try:
                answer = await self._answer(name, scope, receive)
            except SlackError as no:
                answer = no.body()
                status = no.status
                headers.extend((key.lower().encode(), value.encode()) for key, value in no.headers.items())
                slack.record.add("rejected", method=name, error=no.code)
            except ConnectionLost as lost:
                await hang_up(send, receive, reset=lost.reset)
                return
            body = _encode(answer).encode()
            # Without it the answer goes out in chunks, which both sides take longer over.
            headers.append((b"content-length", b"%d" % len(body)))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        finally:
            slack.inside -= 1
            slack.touched()

    async def _answer(self, name: str, scope: Scope, receive: Receive) -> Json:
        if scope["method"] not in ("POST", "GET"):
            raise SlackError("invalid_post_type")
        body = await read_body(receive)
        headers = dict(scope["headers"])
        args = read_arguments(headers, scope["query_string"], body)
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        call = Call(self.slack, name, args, size=len(body))
        if not method.public:
            self._authorize(call, headers, method)
        fault = self.slack.faults.take(INBOUND, name)
        if fault:
            self._before(fault)
        wait = self.slack.limits.call(name, self.slack.clock.seconds())
        if wait:
            raise SlackError("ratelimited", status=429, headers={"Retry-After": str(wait)})
        missing = [key for key in method.required if args.get(key) in (None, "")]
        if missing:
            raise invalid_arguments(*(f"missing required field: {key}" for key in missing))
        self.slack.via = name
        answer = {"ok": True, **method.run(call)}
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault and fault.kind == "drop_after_commit":
            raise ConnectionLost(reset=False)
        return answer

    def _authorize(self, call: Call, headers: dict[bytes, bytes], method: Method) -> None:
        given = headers.get(b"authorization", b"").decode("latin-1")
        text = given[7:].strip() if given[:7].lower() == "bearer " else call.args.get("token")
        if not text:
            raise SlackError("not_authed")
        token = self.slack.workspace.tokens.get(text) if isinstance(text, str) else None
        if token is None:
            raise SlackError("invalid_auth")
        if token.revoked:
            raise SlackError("token_revoked")
        if token.app_level and call.method not in ("auth.test", "apps.connections.open"):
            raise SlackError("not_allowed_token_type")
        call.token = token
        if method.scopes:
            call.needs(*method.scopes)

    @staticmethod
    def _before(fault: Fault) -> None:
        if fault.kind == "reset_before_commit":
            raise ConnectionLost(reset=True)
        if fault.kind == "http_500":
            raise SlackError("internal_error", status=500)
        if fault.kind == "ratelimited":
            raise SlackError(
                "ratelimited", status=429, headers={"Retry-After": str(max(1, round(fault.seconds)))}
            )
        if fault.kind == "token_revoked":
            raise SlackError("token_revoked")
        if fault.kind == "unavailable":
            raise SlackError("service_unavailable")


async def hang_up(send: Send, receive: Receive, *, reset: bool) -> None:
    """Close the connection under a request without answering it, with a TCP reset when asked for.

    ASGI has no word for this: the transport is taken from uvicorn's request cycle, whose method `send` is.
    """
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined] # uvicorn's RequestResponseCycle
    if reset:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
