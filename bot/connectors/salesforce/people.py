"""Who is in the org: users, and whose access is frozen (docs/connectors/salesforce.md).

Source: Object Reference (User, UserLogin).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from bot.connectors.asking import all_of
from bot.connectors.http import Api
from bot.connectors.refusals import Denied
from bot.connectors.salesforce.answers import grant
from bot.connectors.salesforce.courier import Courier
from bot.connectors.salesforce.queries import FROZEN, USERS, Row
from bot.connectors.salesforce.rows import Roster, read_users
from bot.domain.errors import Permanent
from bot.domain.usage import RowFault

ROSTER_LIFE = timedelta(minutes=10)
FROZEN_LIFE = timedelta(days=1)


class People:
    """Reads the users of one org. ``licences``: of those who work on opportunities; ``sandbox``: it is a sandbox org."""

    def __init__(self, api: Api, courier: Courier, *, licences: Sequence[str], sandbox: bool) -> None:
        self._api = api
        self._courier = courier
        self._licences = licences
        self._sandbox = sandbox
        self._roster: tuple[datetime, date, Roster] | None = None
        self._frozen: tuple[datetime, frozenset[str]] | None = None

    async def known(self, through: date) -> Roster:
        """Who is in the CRM, read a moment ago or now."""
        if self._roster is not None:
            at, asked, roster = self._roster
            if asked == through and abs(self._api.server_now() - at) <= ROSTER_LIFE:
                return roster
        return await self.read(through)

    async def read(self, through: date) -> Roster:
        """Who is in the CRM now. ``through``: whoever came after it is not known yet."""
        session = await self._api.session()
        unknown: list[RowFault] = []

        async def frozen_ids() -> frozenset[str]:
            now = self._api.server_now()
            if self._frozen is not None and abs(now - self._frozen[0]) <= FROZEN_LIFE:
                return self._frozen[1]
            try:
                rows = await self._courier.rows(FROZEN)
            except Denied:
                unknown.append(RowFault("UserLogin", 0, "IsFrozen", grant("UserLogin"), dropped=False))
                return frozenset()
            self._frozen = now, frozenset(str(row.get("UserId")) for row in rows)
            return self._frozen[1]

        rows, frozen = await all_of([self._all_users(), frozen_ids()])
        roster = read_users(
            rows,
            frozen,
            me=session.user,
            through=through,
            licences=self._licences,
            sandbox=self._sandbox,
        )
        roster = replace(roster, faults=(*roster.faults, *unknown))
        self._roster = self._api.server_now(), through, roster
        return roster

    async def _all_users(self) -> Sequence[Row]:
        try:
            return await self._courier.rows(USERS)
        except Denied as error:
            raise Permanent(
                f'users cannot be read: give the integration user "View All Users" ({error.code})',
                code=error.code,
            ) from error
