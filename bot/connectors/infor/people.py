"""Who is in the CRM: its users, those whom they report to, and who of them is no person."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from bot.connectors.http import SessionRefused
from bot.connectors.infor.installation import Installation
from bot.connectors.infor.lists import twice
from bot.connectors.infor.queries import PEOPLE, Question
from bot.connectors.infor.rows import Roster, Row, read_users
from bot.connectors.kept import ROSTER_LIFE, Kept
from bot.connectors.refusals import Denied, NotOffered
from bot.domain.errors import Permanent, Retryable
from bot.domain.usage import RowFault


class People:
    """Reads the users of one installation, and remembers them for some minutes."""

    def __init__(self, installation: Installation) -> None:
        self._crm = installation
        self._known: Kept[Roster] = Kept(installation.api.server_now, ROSTER_LIFE)

    async def known(self, through: date) -> Roster:
        """Who is in the CRM, read a moment ago or now."""
        return self._known.get(through) or await self.read(through)

    async def read(self, through: date) -> Roster:
        """Who is in the CRM now. Raises Permanent where users cannot be read, Retryable where there are none."""
        settings, lists = self._crm.settings, self._crm.lists
        session = await self._crm.api.session()
        manager = settings.manager
        question = Question("users", "", PEOPLE, (manager, "FederatedIdentity", "CreateDate"))

        async def read() -> list[Row]:
            return [row async for row in lists.rows(question, "")]

        try:
            rows = await twice(read)
        except SessionRefused:
            raise
        except NotOffered as error:
            raise Permanent(
                "there are no users at this address:"
                f" check {settings.variable('url')} and {settings.variable('path')}",
                code=error.code,
            ) from error
        except Denied as error:
            raise Permanent(
                "users cannot be read: give the integration user the right to see them", code=error.code
            ) from error
        if not rows:
            raise Retryable(
                "Infor CRM lists no users, not even our own: give it the right to see them, and check"
                f" {settings.variable('path')} and {settings.variable('dataset')}",
                code="no-users",
            )
        roster = read_users(
            rows,
            me=session.user,
            username=settings.username,
            through=through,
            left_out=settings.left_out.split(","),
            manager=manager,
        )
        if lists.is_absent(question, manager):
            advice = (
                f"users have no field {manager}: set {settings.variable('manager')}, or there are no teams"
            )
            fault = RowFault("users", 0, "manager", advice, dropped=False)
            roster = replace(roster, faults=(*roster.faults, fault))
        return self._known.keep(roster, through)
