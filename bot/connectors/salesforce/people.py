"""Who is in the org: users, and whose access is frozen (docs/connectors/salesforce.md).

Source: Object Reference (User, UserLogin).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from bot.connectors.asking import all_of
from bot.connectors.http import Api, SessionRefused
from bot.connectors.kept import ROSTER_LIFE, Kept
from bot.connectors.refusals import Denied, FieldHidden
from bot.connectors.salesforce.answers import grant
from bot.connectors.salesforce.courier import Courier
from bot.connectors.salesforce.queries import FROZEN, USER, Row, users
from bot.connectors.salesforce.rows import Roster, read_users
from bot.domain.errors import Permanent, Retryable, Throttled
from bot.domain.usage import RowFault

FROZEN_LIFE = timedelta(days=1)
COLUMNS_LIFE = timedelta(days=1)
"""How long a field that was hidden is not asked for again."""
NEEDED = frozenset({"Id", "Name", "IsActive"})
BARE = ("Id", "Name", "Email", "Username", "IsActive")
"""What is asked for where the server does not say which field it does not know."""
_COSTS = {
    "Email": "nobody is found in Slack by e-mail",
    "ManagerId": "there are no teams",
    "FederationIdentifier": "nobody is found by single sign-on",
    "Profile.Name": "integration users may be taken for people",
    "Profile.UserLicense.Name": "everybody active is taken, whatever the licence",
    "TimeZoneSidKey": "zone and country are not known",
    "LocaleSidKey": "the language is not known",
    "CreatedDate": "it is not known since when somebody has access",
}


class People:
    """Reads the users of one org. ``licences``: of those who work on opportunities; ``sandbox``: it is a sandbox org.

    ``username``: our own, where it is in the settings.
    """

    def __init__(
        self, api: Api, courier: Courier, *, licences: Sequence[str], sandbox: bool, username: str = ""
    ) -> None:
        self._api = api
        self._courier = courier
        self._licences = licences
        self._sandbox = sandbox
        self._username = username
        self._columns: tuple[datetime, tuple[str, ...]] | None = None
        self._roster: Kept[Roster] = Kept(api.server_now, ROSTER_LIFE)
        self._frozen: Kept[frozenset[str]] = Kept(api.server_now, FROZEN_LIFE)

    async def known(self, through: date) -> Roster:
        """Who is in the CRM, read a moment ago or now."""
        return self._roster.get(through) or await self.read(through)

    async def read(self, through: date) -> Roster:
        """Who is in the CRM now. ``through``: whoever came after it is not known yet."""
        session = await self._api.session()
        unknown: list[RowFault] = []

        async def frozen_ids() -> frozenset[str]:
            known = self._frozen.get()
            if known is not None:
                return known
            try:
                rows = await self._courier.rows(FROZEN)
            except (SessionRefused, Throttled):
                raise
            except (Retryable, Permanent) as error:
                why = grant("UserLogin") if isinstance(error, Denied) else str(error)
                why = f"frozen users are not known: {why}"
                unknown.append(RowFault("UserLogin", 0, "IsFrozen", why, dropped=False))
                return self._frozen.last or frozenset()
            return self._frozen.keep(frozenset(str(row.get("UserId")) for row in rows))

        rows, frozen = await all_of([self._all_users(), frozen_ids()])
        roster = read_users(
            rows,
            frozen,
            me=session.user,
            username=self._username,
            through=through,
            licences=self._licences,
            sandbox=self._sandbox,
        )
        roster = replace(roster, faults=(*roster.faults, *unknown, *self._hidden()))
        return self._roster.keep(roster, through)

    async def _all_users(self) -> Sequence[Row]:
        """Users with the fields that we may see: one that is hidden costs what it is for."""
        if self._columns is None or abs(self._api.server_now() - self._columns[0]) > COLUMNS_LIFE:
            self._columns = self._api.server_now(), USER
        at, columns = self._columns
        while True:
            try:
                rows = await self._courier.rows(users(columns))
            except FieldHidden as error:
                lost = _lost(columns, error)
                if lost & NEEDED:
                    raise
                left = tuple(each for each in columns if each not in lost) if lost else BARE
                if left == columns:
                    raise
            except Denied as error:
                raise Permanent(
                    f'users cannot be read: give the integration user "View All Users" ({error.code})',
                    code=error.code,
                ) from error
            except Permanent as error:
                if error.code not in ("invalid-field", "malformed", "http-400") or columns == BARE:
                    raise
                left = BARE
            else:
                self._columns = at, columns
                return rows
            columns = left

    def _hidden(self) -> Iterator[RowFault]:
        """What we may not see of users."""
        columns = USER if self._columns is None else self._columns[1]
        for name in USER:
            if name not in columns:
                cost = f", so {_COSTS[name]}" if name in _COSTS else ""
                why = f"it cannot be read{cost}: give the integration user read access to the field"
                yield RowFault("User", 0, name, why, dropped=False)


def _lost(columns: Sequence[str], error: FieldHidden) -> frozenset[str]:
    """The fields that need what is hidden: a field, a relationship, or a field behind one."""
    name, entity = error.field.casefold(), error.entity.casefold()
    found = set()
    for column in columns:
        *path, last = column.casefold().split(".")
        behind = path[-1:] == [entity] and last == name
        if behind or name in path or (column.casefold() == name and entity in ("user", "related object")):
            found.add(column)
    return frozenset(found)
