"""How requests travel: by aiohttp, in the words of httpx, so that tests can pass a server in this process instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx


class Wire(httpx.AsyncBaseTransport):
    """Requests travel by aiohttp, which Slack's client uses as well: a third of the time of httpx's own transport a call.

    Proxies come from the environment, as for every program, but never for this machine. Opened by the first request.
    """

    def __init__(self, connect_seconds: float, read_seconds: float, *, here: bool = False) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._here = here

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises httpx.TransportError."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=10, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    sock_connect=self._connect_seconds,
                    sock_read=self._read_seconds,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=not self._here,
            )
        with _told_as_httpx():
            response = await self._session.request(
                request.method,
                whole_address(request),
                headers=request.headers.items(),
                data=request.content or None,
                allow_redirects=False,
            )
        return httpx.Response(response.status, headers=list(response.headers.items()), stream=_Body(response))

    async def aclose(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()


def whole_address(request: httpx.Request) -> str:
    """Where a request goes. httpx reads an address slowly, letter by letter: a query travels beside it, as its "target".

    Source: https://www.python-httpx.org/advanced/extensions/#target
    """
    target = request.extensions.get("target")
    address = str(request.url)
    return address if target is None else address.rstrip("/") + target.decode("ascii")


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it arrives."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _told_as_httpx():
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        self._response.release()


@contextmanager
def _told_as_httpx() -> Iterator[None]:
    """What aiohttp raises, in httpx's words."""
    try:
        yield
    except TimeoutError as error:
        raise httpx.ReadTimeout("no answer in time") from error
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        raise httpx.UnsupportedProtocol("no secure connection") from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError("no connection") from error
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError("the connection was dropped") from error
