"""Who is in the CRM: users, their zones and languages, read whole once and then by what has changed.

Sources: Microsoft Learn, Dataverse: "Use change tracking to synchronize data with external systems", systemuser and
usersettings table references.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from bot.connectors.asking import all_of
from bot.connectors.dynamics.answers import NotUnderstood, TokenExpired, is_gone, page_of
from bot.connectors.dynamics.environment import FORMATTED, Environment, no_users
from bot.connectors.dynamics.queries import TABLES, USER, Row
from bot.connectors.dynamics.rows import Roster, Tastes, id_of, read_tastes, read_users
from bot.connectors.kept import ROSTER_LIFE, Kept
from bot.connectors.refusals import Denied, FieldHidden, NotOffered
from bot.domain.errors import Retryable, Throttled
from bot.domain.usage import RowFault

log = logging.getLogger(__name__)


class People:
    """Users of an environment. ``source``: its name, for the log."""

    def __init__(self, crm: Environment, *, source: str) -> None:
        self._crm = crm
        self._source = source
        self._definitions: Sequence[Row] | None = None
        self._tastes = Tastes({}, {})
        self._people: dict[str, Row] = {}
        self._delta = ""
        self._tracks = True
        self.unread_tastes = ""
        """Why people's zones and languages are not known, or not as of now; "" where they are."""
        self._roster: Kept[Roster] = Kept(crm.api.server_now, ROSTER_LIFE)

    def known(self, through: date) -> Roster | None:
        """Who is in the CRM, if that was read a moment ago."""
        return self._roster.get(through)

    async def read(self, through: date) -> Roster:
        """Who is in the CRM now; what we may read of it is looked up as well. Raises Permanent where users may not be read."""
        await self._crm.start()
        try:
            rows, (tastes, unknown) = await all_of([self._read_people(), self._read_tastes()])
        except Denied as error:
            raise no_users(error) from error
        await self._crm.look_up_rights()
        if self._crm.refused(TABLES["systemuser"]) is not None:
            raise no_users(Denied("", code="denied"))
        roster = read_users(rows, tastes, me=self._crm.me, through=through)
        unsure = self._crm.unsure_rights
        # Whoever is not in a list that may be a part of it is not taken for gone: so the fault is that rows are missing.
        part = (RowFault("systemusers", 0, "", unsure),) if unsure else ()
        roster = replace(roster, faults=(*roster.faults, *unknown, *part))
        return self._roster.keep(roster, through)

    async def _read_people(self) -> Sequence[Row]:
        """Rows of users. After the first time only what has changed, while the server still knows it; else all of them."""
        if self._delta:
            try:
                await self._follow_changes(self._delta)
                return list(self._people.values())
            except (TokenExpired, NotUnderstood, NotOffered, Denied):
                log.info("dynamics.changes_expired", extra={"source": self._source})
                self._delta = ""
        query = {"$select": self._crm.schema.select("systemusers", USER)}
        wishes = [FORMATTED]
        if self._tracks:
            try:
                await self._take_people(query, [*wishes, "odata.track-changes"])
                return list(self._people.values())
            except (NotUnderstood, TokenExpired):
                self._tracks = False  # change tracking is off for users
        await self._take_people({**query, "$orderby": TABLES["systemuser"].key}, wishes)
        return list(self._people.values())

    async def _take_people(self, query: Mapping[str, str], wishes: Sequence[str]) -> None:
        people: dict[str, Row] = {}
        delta = ""
        async for page in self._crm.pages(self._crm.of("systemusers"), query, self._crm.prefer(*wishes)):
            for row in page.rows:
                people[id_of(row.get("systemuserid")) or f"?{len(people)}"] = row
            delta = delta or page.delta
        self._people, self._delta = people, delta

    async def _follow_changes(self, link: str) -> None:
        people, delta = dict(self._people), ""
        page = page_of(await self._crm.api.follow(self._crm.followed(link), self._crm.prefer(FORMATTED)))
        asked = {link}
        while True:
            self._crm.api.rows += len(page.rows)
            for row in page.rows:
                gone = id_of(is_gone(row))
                if gone:
                    people.pop(gone, None)
                    continue
                who = id_of(row.get("systemuserid")) or f"?{len(people)}"
                people[who] = {**people.get(who, {}), **row}
            delta = delta or page.delta
            if not page.link:
                break
            if page.link in asked:
                raise Retryable("the CRM names the same page again", code="bad-answer")
            asked.add(page.link)
            page = page_of(
                await self._crm.api.follow(self._crm.followed(page.link), self._crm.prefer(FORMATTED))
            )
        self._people, self._delta = people, delta

    async def _read_tastes(self) -> tuple[Tastes, Sequence[RowFault]]:
        """Zones and languages; where they may not be read or are not there, nobody's is known, and that is said.

        Where they cannot be read just now, those of the last time are taken: nobody is less known for it.
        """
        faults: list[RowFault] = []
        try:
            if self._definitions is None:
                self._definitions = await self._optional(
                    "timezonedefinitions",
                    ("timezonecode", "standardname"),
                    "time zones",
                    "Read on Time Zone Definition",
                    faults,
                )
            settings = await self._optional(
                "usersettingscollection",
                ("systemuserid", "timezonecode", "uilanguageid"),
                "time zones and languages",
                "prvReadUserSettings (User Settings) at organization level",
                faults,
            )
        except Throttled:
            raise
        except Retryable as error:
            why = f"time zones and languages cannot be read now, those of the last time are taken: {error}"
            faults = [RowFault("usersettingscollection", 0, "timezonecode", why, dropped=False)]
        else:
            self._tastes = read_tastes(settings or (), self._definitions or ())
        self.unread_tastes = "; ".join(fault.reason for fault in faults)
        return self._tastes, faults

    async def _optional(
        self, rows: str, columns: tuple[str, ...], what: str, right: str, faults: list[RowFault]
    ) -> Sequence[Row] | None:
        """Rows of a table that we can do without; None where they may not be read or are not there, and a fault says which."""
        try:
            return await self._crm.all_rows(rows, columns)
        except (NotOffered, NotUnderstood, FieldHidden):
            why = f"{what} of people are not known: {rows} is not here, or lacks a column"
        except Denied:
            why = f"{what} of people cannot be read: give the application user's role {right}"
        faults.append(RowFault(rows, 0, "timezonecode", why, dropped=False))
        return None
