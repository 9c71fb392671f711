"""The records behind a count, worst first, as of now (docs/connectors/salesforce.md)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from bot.connectors.http import Api
from bot.connectors.kept import KeptOfOwners
from bot.connectors.of_now import OfNow
from bot.connectors.open_records import OpenDeal, OpenTask, worst_of_each
from bot.connectors.refusals import Denied, FieldHidden
from bot.connectors.salesforce.answers import grant
from bot.connectors.salesforce.courier import Courier
from bot.connectors.salesforce.queries import DEAL, FLAWS, PAST, TASK, Row, thresholds
from bot.connectors.salesforce.rows import NEEDED, deal_of, is_id, task_of
from bot.domain.usage import RecordRef

OWNERS = 400
"""Owners in one IN list: about 11 kB of address, under the 16 kB that Salesforce takes (REST API limits)."""

_Read = tuple[Row, frozenset[str]]
"""A record, and the fields that were left out when it was read: what is empty in it for that reason is not empty."""


class Evidence:
    """Reads open records of one org. ``link``: of a record, with ``{id}``; None: as the org shows them itself."""

    def __init__(self, api: Api, courier: Courier, *, link: str | None, of_now: OfNow) -> None:
        self._api = api
        self._courier = courier
        self._record_link = link
        self._of_now = of_now
        self._hidden: defaultdict[str, set[str]] = defaultdict(set)
        self._deals: KeptOfOwners[_Read] = KeptOfOwners(api.server_now)

    def forget(self, hidden: Iterable[str]) -> None:
        """Rights may have been changed since. ``hidden``: fields of Opportunity that are known not to be shown."""
        self._hidden.clear()
        self._hidden["Opportunity"] |= set(hidden)
        self._deals.forget()

    async def of(
        self, metric: str, owners: Sequence[str], limit: int, through: date
    ) -> Mapping[str, tuple[int, tuple[RecordRef, ...]]]:
        """The records behind a count of each of these owners: whatever day a decision was made for."""
        if metric not in FLAWS:
            return {}
        asked = [owner for owner in dict.fromkeys(owners) if is_id(owner)]
        if not asked:
            return {}
        session = await self._api.session()
        self._of_now.check_recent(through, "Salesforce", PAST)
        today = self._of_now.today()
        link = self._record_link or f"{session.link}/lightning/r/{FLAWS[metric][0]}/{{id}}/view"
        shape: Callable[[Row], OpenDeal | OpenTask] = deal_of
        if metric == "tasks_overdue":
            rows, shape = await self._overdue(asked, today), task_of
        else:
            rows = await self._open_deals(asked, NEEDED.get(metric, "Id"))
        records = {owner: [shape(row) for row, _ in rows.get(owner, ())] for owner in asked}
        return worst_of_each(metric, records, limit, today, link)

    async def _open_deals(self, owners: Sequence[str], needed: str) -> Mapping[str, Sequence[_Read]]:
        """Open opportunities by owner: one query for all their flaws. ``needed``: a field. Raises FieldHidden without it."""
        deals = await self._deals.of(
            owners, lambda some: self._of_owners("Opportunity", "IsClosed = false", DEAL, "CloseDate", some)
        )
        if any(needed in hidden for read in deals.values() for _, hidden in read):
            raise FieldHidden(needed, "Opportunity")
        return deals

    async def _overdue(self, owners: Sequence[str], today: date) -> Mapping[str, Sequence[_Read]]:
        entity, where = FLAWS["tasks_overdue"]
        return await self._of_owners(
            entity, where.format_map(thresholds(today)), TASK, "ActivityDate", owners
        )

    async def _of_owners(
        self, entity: str, where: str, names: Sequence[str], due: str, owners: Sequence[str]
    ) -> Mapping[str, Sequence[_Read]]:
        """Records of these owners, each once; a column that is hidden is left out."""
        found: defaultdict[str, dict[str, _Read]] = defaultdict(dict)
        for at in range(0, len(owners), OWNERS):
            among = ", ".join(f"'{owner}'" for owner in owners[at : at + OWNERS])
            rows, hidden = await self._shown(entity, f"{where} AND OwnerId IN ({among})", names, due)
            for row in rows:
                identity, owner = row.get("Id"), row.get("OwnerId")
                if isinstance(identity, str) and isinstance(owner, str):
                    found[owner][identity] = row, hidden  # a row that comes on two pages is one
        return {owner: tuple(rows.values()) for owner, rows in found.items()}

    async def _shown(
        self, entity: str, where: str, names: Sequence[str], due: str
    ) -> tuple[Sequence[Row], frozenset[str]]:
        """Rows with the fields that we may see, and those that were left out of these very rows.

        What is known to be hidden may be forgotten while they are read, as a poll does: so they bring it themselves.
        """
        known = self._hidden[
            entity
        ]  # till it is forgotten: what a stale answer hides is not said of new rights
        hidden = set(known)
        while True:
            shown = [name for name in names if name.partition(".")[0] not in hidden]
            order = ", ".join(name for name in ("OwnerId", due, "Id") if name in shown)
            try:
                rows = await self._courier.rows(
                    f"SELECT {', '.join(shown)} FROM {entity} WHERE {where} ORDER BY {order}", alone=True
                )
            except FieldHidden as error:
                name = error.field.partition(".")[0]
                if name in hidden or name in ("Id", "OwnerId") or re.search(rf"\b{re.escape(name)}\b", where):
                    raise
                hidden.add(name)
                known.add(name)
            except Denied as error:
                raise Denied(str(error) or grant(entity), code=error.code) from error
            else:
                return rows, frozenset(hidden)
