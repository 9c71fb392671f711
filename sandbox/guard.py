"""Who may ask: programs on this machine, and the sandbox's own page. A site in somebody's browser may not.

A browser names the site for which it asks (`Origin`, `Sec-Fetch-Site`) and the name by which it came here (`Host`). A
site that was let point its own name at 127.0.0.1 (DNS rebinding) shows in `Host`; every other one in the first two.
"""

from __future__ import annotations

import ipaddress
from collections.abc import MutableMapping
from typing import Any


def is_loopback(host: str) -> bool:
    """Whether a `Host` header, its port aside, is this machine's loopback by name or by number."""
    if host.startswith("["):
        name, closed, port = host[1:].partition("]")
        if not closed or (port and port[0] != ":"):
            return False
        port = port[1:]
    else:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdecimal()):
        return False
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def objection(scope: MutableMapping[str, Any]) -> tuple[str, str] | None:
    """Why a request (of HTTP, or for a socket) is not served, as a code and a sentence; None when it is."""
    headers: dict[bytes, bytes] = {}
    for key, value in scope["headers"]:
        if key == b"host" and not is_loopback(value.decode("latin-1")):
            return "forbidden_host", "the sandbox answers on loopback names only"
        headers[key] = value
    origin = headers.get(b"origin")
    # A socket is asked for from a page of the same address over http.
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"]).encode()
    if origin is not None and origin != scheme + b"://" + headers.get(b"host", b""):
        return "forbidden_origin", "only the sandbox's own page may ask this"
    if headers.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none") and not _follows_a_link(
        scope, headers
    ):
        return "forbidden_origin", "only the sandbox's own page may ask this"
    plain = headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json"
    if origin is not None and scope.get("method") == "POST" and plain:
        return "forbidden_origin", "from a browser, send application/json"
    return None


def _follows_a_link(scope: MutableMapping[str, Any], headers: dict[bytes, bytes]) -> bool:
    """Whether somebody opens a page from a link elsewhere: it stands in nobody's frame and shows them nothing.

    Elsewhere is also this machine by its other name: links to records name it by its number.
    """
    opens = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    a_page = scope["path"] == "/" or scope["path"].startswith("/lightning/r/")
    return opens and a_page and scope.get("method") == "GET"
