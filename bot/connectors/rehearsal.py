"""A poll without a CRM: every request is written down, and answered as an empty CRM would."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from bot.connectors.wire import whole_address
from bot.domain.ports import Asked


class Rehearsal(httpx.AsyncBaseTransport):
    """Nothing leaves this machine. ``asked``: what would have been, in order; logins are among them, their bodies are not."""

    def __init__(self, blank: Callable[[Asked], Any]) -> None:
        self.asked: list[Asked] = []
        self._blank = blank

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Write it down; answer that there is nothing."""
        parts = urlsplit(whole_address(request))
        body: Any = None
        login = bool(request.content)
        if "json" in request.headers.get("content-type", ""):
            body, login = _without_key(json.loads(request.content)), False
        asked = Asked(
            request.method,
            unquote(parts.path),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            body,
            login,
        )
        self.asked.append(asked)
        return httpx.Response(200, json=self._blank(asked))


def _without_key(body: Any) -> Any:
    """A body without its password: a JSON-RPC call of a service has it third among its arguments (Odoo's external API)."""
    params = body.get("params") if isinstance(body, dict) else None
    if isinstance(params, dict) and isinstance(args := params.get("args"), list) and args[2:]:
        return {**body, "params": {**params, "args": [*args[:2], "…", *args[3:]]}}
    return body
