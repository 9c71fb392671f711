"""The records behind a count, read again when somebody is written to: names, links, what is wrong (docs/connectors/odoo.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from urllib.parse import quote

from bot.connectors.kept import KeptOfOwners
from bot.connectors.odoo.answers import Server, id_of
from bot.connectors.odoo.database import Database
from bot.connectors.odoo.queries import DEAL, FLAWS, RECENT, TASK, Domain, Row, filled, thresholds
from bot.connectors.odoo.rights import grant_for
from bot.connectors.odoo.rows import (
    PAGE_MODELS,
    deal_of,
    is_number,
    page_of,
    task_of,
    with_ids,
)
from bot.connectors.open_records import OpenTask, worst_of_each
from bot.connectors.refusals import Denied
from bot.connectors.values import day_or_none, text_of
from bot.domain.errors import Retryable
from bot.domain.usage import RecordRef


class Records:
    """Open opportunities and planned activities. ``url``: where their forms are, unless ``record_link`` says it."""

    def __init__(self, database: Database, *, url: str, record_link: str | None) -> None:
        self._database = database
        self._url = url
        self._record_link = record_link
        self._deals: KeptOfOwners[Row] = KeptOfOwners(database.api.server_now)

    def forget(self) -> None:
        """What was read is read again."""
        self._deals.forget()

    async def behind(
        self, metric: str, owners: Sequence[str], limit: int, today: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """Of each owner who has any: how many, and the worst of them. ``metric``: one of FLAWS; ``owners``: ids of users."""
        server = await self._database.server()
        try:
            if metric == "tasks_overdue":
                return await self._overdue(server, owners, limit, today)
            rows = await self._deals.of(owners, self._open_deals)
            last: Mapping[int, date] = {}
            if metric == "opps_no_activity_30d":
                last = await self._last_activity([row["id"] for own in rows.values() for row in own])
        except Denied as error:
            raise Denied(str(error) or grant_for(FLAWS[metric][0]), code=error.code) from error
        link = self._record_link or page_of(self._url, server.major, "crm.lead", "{id}")
        deals = {owner: [deal_of(row, last.get(row["id"])) for row in own] for owner, own in rows.items()}
        return worst_of_each(metric, deals, limit, today, link)

    async def _open_deals(self, owners: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """Open opportunities by owner: one query for all their flaws."""
        domain = [*FLAWS["opps_open"][1], ["user_id", "in", [int(owner) for owner in owners]]]
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for row in await self._named("crm.lead", domain, DEAL):
            found[str(id_of(row.get("user_id")))].append(row)
        return found

    async def _overdue(
        self, server: Server, owners: Sequence[str], limit: int, today: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """Planned activities past their day. An activity has no page: the link is to what it is planned on."""
        model, where = FLAWS["tasks_overdue"]
        domain = [*filled(where, thresholds(today)), ["user_id", "in", [int(owner) for owner in owners]]]
        found: defaultdict[str, list[OpenTask]] = defaultdict(list)
        pages: dict[str, str] = {}
        for row in await self._named(model, domain, TASK):
            found[str(id_of(row.get("user_id")))].append(task_of(row))
            about, number = text_of(row.get("res_model")), row.get("res_id")
            if about in PAGE_MODELS and is_number(number):
                pages[str(row["id"])] = page_of(self._url, server.major, about, quote(str(number), safe=""))
        told = worst_of_each(
            "tasks_overdue", {owner: found.get(owner, []) for owner in owners}, limit, today, ""
        )
        return {
            owner: (count, tuple(replace(each, link=pages.get(each.id)) for each in named))
            for owner, (count, named) in told.items()
        }

    async def _named(self, model: str, domain: Domain, fields: Sequence[str]) -> list[Row]:
        """Records that have an id: what has none can be neither named nor opened, and a count without it would be too low.

        Raises Retryable.
        """
        rows, faults = with_ids(model, await self._database.read(model, domain, fields))
        if faults:
            raise Retryable(f"Odoo's answer has a record without an id ({model})", code="bad-answer")
        return rows

    async def _last_activity(self, deals: Sequence[int]) -> Mapping[int, date]:
        """When something was last done about each deal, where anything was."""
        found: dict[int, date] = {}
        if not deals:
            return found
        domain: Domain = [["model", "=", "crm.lead"], ["res_id", "in", sorted(deals)], *RECENT[1:]]
        async with aclosing(self._database.pages("mail.message", domain, ("res_id", "date"))) as pages:
            async for page in pages:
                for row in page:
                    number, day = row.get("res_id"), day_or_none(row.get("date"))
                    if is_number(number) and day is not None:
                        found[number] = max(day, found.get(number, day))
        return found
