"""Open records of people, and the last activity about each: what a count is made of, read again when it is spoken of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from bot.connectors.asking import all_of
from bot.connectors.dynamics.answers import NotUnderstood, TooMany
from bot.connectors.dynamics.environment import Environment, Way
from bot.connectors.dynamics.queries import (
    ACTIVITY,
    OPEN,
    OPPORTUNITY,
    OVERDUE,
    PLANNED,
    TASK,
    Condition,
    Row,
    Table,
    deal_columns,
    grant,
)
from bot.connectors.dynamics.rows import Reader, id_of, utc_day
from bot.connectors.dynamics.schema import property_of
from bot.connectors.kept import RECORDS_LIFE, Kept, KeptOfOwners
from bot.connectors.open_records import OpenDeal, OpenTask, grace_day, quiet_day
from bot.connectors.refusals import Denied

OWNERS = 80
"""Owners in one filter: about 6 kB of address, under what any server takes (Dataverse: 32 kB)."""
ABOUT_ANYTHING = Condition("regardingobjectid", "not-null")


class OpenRecords:
    """Open opportunities and overdue tasks of an environment, by owner."""

    def __init__(self, crm: Environment) -> None:
        self._crm = crm
        self._deals: KeptOfOwners[Row] = KeptOfOwners(crm.api.server_now)
        self._activities: Kept[dict[tuple[str, str], date]] = Kept(crm.api.server_now, RECORDS_LIFE)

    def forget(self) -> None:
        """What was read a moment ago is of no use any more."""
        self._deals.forget()
        self._activities.forget()

    async def tasks(self, owners: Sequence[str], today: date) -> Mapping[str, Sequence[OpenTask]]:
        """Overdue tasks of these people."""
        rows, reader = await self._overdue(owners, today), self._reader()
        return {owner: [reader.task(row) for row in rows.get(owner, ())] for owner in owners}

    async def deals(
        self, metric: str, owners: Sequence[str], today: date
    ) -> Mapping[str, Sequence[OpenDeal]]:
        """Open opportunities of these people, with what ``metric`` has to know of their activities."""
        # No younger than the opportunities: none of these is to be without its own.
        known = self._activities.get()
        if known is None:
            known = self._activities.keep({})
        rows, reader = await self._deals.of(owners, self._open_deals), self._reader()
        last: Mapping[str, date] = {}
        due: Mapping[str, date] = {}
        if metric == "opps_no_activity_30d":
            last = await self._last_activities(known, owners, rows, (), quiet_day(today))
        elif metric == "opps_no_next_step" and not self._crm.habits.next_step:
            due = await self._last_activities(known, owners, rows, PLANNED, grace_day(today))

        def shaped(row: Row) -> OpenDeal:
            identity = id_of(row.get(OPPORTUNITY.key))
            return reader.deal(row, last.get(identity), planned=identity in due)

        return {owner: [shaped(row) for row in own] for owner, own in rows.items()}

    def _reader(self) -> Reader:
        return Reader(self._crm.schema, self._crm.habits, self._crm.zone)

    async def _open_deals(self, owners: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """Open opportunities by owner: one query for all their flaws."""
        return await self._of_owners(OPPORTUNITY, deal_columns(self._crm.habits), (OPEN,), owners)

    async def _overdue(self, owners: Sequence[str], today: date) -> Mapping[str, Sequence[Row]]:
        due = Condition("scheduledend", "lt", today, zoned=True)
        return await self._of_owners(TASK, OVERDUE, (OPEN, due), owners)

    async def _of_owners(
        self, table: Table, columns: tuple[str, ...], where: tuple[Condition, ...], owners: Sequence[str]
    ) -> Mapping[str, Sequence[Row]]:
        """Records of these owners, each once."""
        owner = self._crm.schema.column(table.rows, "owner")
        found: defaultdict[str, dict[str, Row]] = defaultdict(dict)

        async def read(some: Sequence[str]) -> None:
            among = Condition(owner, "in", tuple(some))
            async for row in self._crm.rows(table, columns, (*where, among), shown=True):
                identity, who = id_of(row.get(table.key)), id_of(row.get(property_of(owner)))
                if identity and who:
                    found[who][identity] = row

        try:
            await all_of([read(owners[at : at + OWNERS]) for at in range(0, len(owners), OWNERS)])
        except Denied as error:
            raise Denied(str(error) or grant(table), code=error.code) from error
        return {who: tuple(rows.values()) for who, rows in found.items()}

    async def _last_activities(
        self,
        known: dict[tuple[str, str], date],
        owners: Sequence[str],
        deals: Mapping[str, Sequence[Row]],
        where: tuple[Condition, ...],
        before: date,
    ) -> Mapping[str, date]:
        """Opportunity id -> the day of the last activity about it. ``before``: only older opportunities matter.

        ``known``: what was read of it a moment ago, by kind of activity; what is read now is added.
        """
        kind = "planned" if where else "any"
        missing = [owner for owner in owners if (kind, owner) not in known]
        found = await self._count_activities(missing, where)
        if found is None:
            old = [
                identity
                for owner in missing
                for row in deals.get(owner, ())
                if (utc_day(row.get("createdon")) or date.min) < before
                and (identity := id_of(row.get(OPPORTUNITY.key)))
            ]
            parts = [old[at : at + OWNERS] for at in range(0, len(old), OWNERS)]
            found = await all_of(
                [
                    last_activities(self._crm, where, Condition("regardingobjectid", "in", tuple(part)))
                    for part in parts
                ]
            )
        for part in found:
            known.update({(kind, identity): day for identity, day in part.items()})
        known.update({(kind, owner): date.min for owner in missing})
        return {identity: day for (said, identity), day in known.items() if said == kind}

    async def _count_activities(
        self, owners: Sequence[str], where: tuple[Condition, ...]
    ) -> list[Mapping[str, date]] | None:
        """By FetchXML; None where the server does not count them so."""
        if self._crm.way is not Way.FETCH:
            return None
        parts = [owners[at : at + OWNERS] for at in range(0, len(owners), OWNERS)]
        try:
            return await all_of([self._fetch_activities(part, where) for part in parts])
        except (NotUnderstood, TooMany):
            return None

    async def _fetch_activities(
        self, owners: Sequence[str], where: tuple[Condition, ...]
    ) -> Mapping[str, date]:
        found: dict[str, date] = {}
        try:
            async for row in self._crm.fetch_rows(
                ACTIVITY,
                lambda page, cookie: self._crm.wording.about(owners, where, page=page, cookie=cookie),
            ):
                day = _day_that_counts(row.get("last"), where)
                if day is not None:
                    found[id_of(row.get("r"))] = day
        except TooMany:
            if len(owners) == 1:
                raise
            middle = len(owners) // 2
            for part in (owners[:middle], owners[middle:]):
                found.update(await self._fetch_activities(part, where))
        return found


async def last_activities(
    crm: Environment, where: tuple[Condition, ...], about: Condition = ABOUT_ANYTHING
) -> Mapping[str, date]:
    """What such activities are about -> the day of the last one, row by row: memory grows with records, not with rows."""
    found: dict[str, date] = {}
    async for row in crm.rows(ACTIVITY, ("regardingobjectid", "modifiedon"), (*where, about)):
        identity = id_of(row.get(property_of("regardingobjectid")))
        day = _day_that_counts(row.get("modifiedon"), where)
        if day is not None:
            found[identity] = max(day, found.get(identity, day))
    return found


def _day_that_counts(modified: object, where: Sequence[Condition]) -> date | None:
    """The day of an activity's last change. One that is asked for by its state is there, whether it has such a day or not."""
    day = utc_day(modified)
    return date.min if day is None and tuple(where) == PLANNED else day
