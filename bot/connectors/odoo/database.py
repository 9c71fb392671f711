"""One database of Odoo's, over whichever of its two protocols it speaks: methods, records, groups (docs/connectors/odoo.md).

Sources: Odoo documentation, "External JSON-2 API", "External RPC API", "Search domains".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import httpx
from pydantic import SecretStr

from bot.connectors.http import Api, Policy, SessionRefused
from bot.connectors.odoo.answers import IF_IT_STAYS, Server, grouped, groups_of, judge, log_in, result_of, rpc
from bot.connectors.odoo.queries import ROWS, Domain, Question, Row
from bot.connectors.odoo.rows import is_number
from bot.domain.errors import Retryable
from bot.domain.ports import Clock

CUT_AFTERWARDS = frozenset({"mail.message", "mail.activity"})


class Database:
    """Asks and reads; nothing that writes. ``api``: the line, its session and what was asked over it."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        database: str,
        login: str,
        api_key: SecretStr,
        protocol: str,
        policy: Policy,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``name``: of the connector. ``protocol``: ``json2``, ``jsonrpc``, or ``auto`` for what the version has."""
        self._database = database
        self._api_key = api_key
        self._found: list[Server] = []
        self.api = Api(
            url,
            name=name,
            log_in=log_in(
                url,
                database=database,
                login=login,
                api_key=api_key.get_secret_value(),
                api=protocol,
                found=self._found,
            ),
            judge=judge,
            clock=clock,
            policy=policy,
            transport=transport,
            sleep=sleep,
        )

    @property
    def version(self) -> str:
        """Odoo's own, "" while nobody has been let in."""
        return self._found[-1].version if self._found else ""

    async def server(self) -> Server:
        """Which Odoo it is; logs in when nobody has."""
        await self.api.session()
        return self._found[-1]

    async def call(
        self,
        model: str,
        method: str,
        named: Mapping[str, Any],
        *,
        archived: bool = False,
        ids: Sequence[int] = (),
    ) -> Any:
        """One method of one model. ``archived``: archived records are among those found. Days are cut in UTC."""
        server = await self.server()
        context = {"lang": "en_US", "tz": "UTC", "active_test": not archived}
        if server.json2:
            body = {**({"ids": list(ids)} if ids else {}), **named, "context": context}
            return (await self.api.post(f"/json/2/{model}/{method}", body)).body
        session = await self.api.session()
        args = [list(ids)] if ids else []
        asked = rpc(
            "object",
            "execute_kw",
            self._database,
            int(session.user),
            self._api_key.get_secret_value(),
            model,
            method,
            args,
            {**named, "context": context},
        )
        try:
            return result_of(await self.api.post("/jsonrpc", asked))
        except SessionRefused as error:
            self.api.reject(error)
            raise

    async def pages(
        self, model: str, domain: Domain, fields: Iterable[str], *, archived: bool = False
    ) -> AsyncGenerator[Sequence[Row], None]:
        """Records, page by page, in the order of their ids: each page begins after the last record of the one before.

        A page of messages or activities may be shorter than it could be, because what is hidden from us is taken out of it
        afterwards (mail.message, mail.activity: _search): of those only an empty one is the last.
        """
        names = sorted({"id", *fields})
        after = 0
        while True:
            page = await self.call(
                model,
                "search_read",
                {
                    "domain": [*domain, ["id", ">", after]],
                    "fields": names,
                    "limit": ROWS,
                    "order": "id",
                },
                archived=archived,
            )
            if not isinstance(page, list) or not all(isinstance(row, Mapping) for row in page):
                raise Retryable(f"Odoo's answer has no records: {IF_IT_STAYS}", code="bad-answer")
            if not page:
                return
            last = max((row["id"] for row in page if is_number(row.get("id"))), default=after)
            if last <= after:
                raise Retryable("Odoo gives the same records again", code="bad-answer")
            self.api.rows += len(page)
            after = last
            yield page
            if len(page) < ROWS and model not in CUT_AFTERWARDS:
                return

    async def read(
        self, model: str, domain: Domain, fields: Iterable[str], *, archived: bool = False
    ) -> list[Row]:
        """All records, for what is as many as people are."""
        rows: list[Row] = []
        async with aclosing(self.pages(model, domain, fields, archived=archived)) as pages:
            async for page in pages:
                rows += page
        return rows

    async def groups(self, question: Question, domain: Domain, server: Server) -> list[Row]:
        """All groups of a question; one that moves to the next page while we read is one group."""
        found: dict[tuple[Any, ...], Row] = {}
        offset, pages = 0, 0
        while True:
            method, named = grouped(question, domain, offset, server)
            body = await self.call(question.model, method, named, archived=question.archived)
            page = groups_of(question, body, server)
            before = len(found)
            for row in page:
                found[tuple(str(row.get(spec)) for spec in question.groupby)] = row
            self.api.rows += len(page)
            if len(page) < named["limit"]:
                return list(found.values())
            if len(found) == before:
                raise Retryable("Odoo gives the same groups again", code="bad-answer")
            pages += 1
            offset += len(page)
