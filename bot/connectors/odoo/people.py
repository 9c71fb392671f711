"""Who is in an Odoo, and whom they report to: users, employees, sales teams (docs/connectors/odoo.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from bot.connectors.odoo.answers import IF_IT_STAYS
from bot.connectors.odoo.database import Database
from bot.connectors.odoo.queries import USER_FIELDS, USERS, Row
from bot.connectors.odoo.rights import grant_for
from bot.connectors.odoo.rows import Roster, by_employees, by_teams, is_number, read_users
from bot.connectors.refusals import Denied, NotOffered
from bot.connectors.values import text_of
from bot.domain.errors import Permanent, Retryable
from bot.domain.usage import RowFault


async def read_roster(database: Database, *, through: date, login: str) -> Roster:
    """Internal users as of a day. ``login``: ours, by which we know ourselves where Odoo does not say whose the key is.

    Raises Permanent where users may not be read.
    """
    unknown: list[RowFault] = []
    try:
        shown = await _shown(database, "res.users", USER_FIELDS)
        rows = await database.read("res.users", USERS, shown, archived=True)
    except Denied as error:
        raise Permanent(f"users cannot be read: {grant_for('res.users')}", code=error.code) from error
    session = await database.api.session()
    me = session.user or next(
        (
            str(row["id"])
            for row in rows
            if text_of(row.get("login")) == login != "" and is_number(row.get("id"))
        ),
        "",
    )
    bosses = await _bosses(database, rows, unknown)
    roster = read_users(rows, bosses, me=me, through=through, logins_shown="login_date" in shown)
    return replace(roster, faults=(*roster.faults, *unknown))


async def _shown(database: Database, model: str, names: Sequence[str]) -> list[str]:
    """Those of ``names`` that this Odoo has and shows us."""
    said = await database.call(model, "fields_get", {"allfields": list(names), "attributes": ["type"]})
    if not isinstance(said, Mapping):
        raise Retryable(f"Odoo's answer has no fields: {IF_IT_STAYS}", code="bad-answer")
    return [name for name in names if name in said or name == "id"]


async def _bosses(database: Database, users: Sequence[Row], unknown: list[RowFault]) -> Mapping[str, str]:
    """User -> manager: by employees where they are kept and have managers, else by the leader of the sales team."""
    try:
        found = by_employees(await database.read("hr.employee.public", [], ("user_id", "parent_id")))
    except (NotOffered, Denied):
        found = {}
    try:
        teams = by_teams(users, await database.read("crm.team", [], ("user_id",)))
    except (NotOffered, Denied):
        teams = {}
        if not found:
            advice = 'nobody\'s manager is known: give the integration user "Sales / User: All Documents", or install Employees'
            unknown.append(RowFault("crm.team", 0, "manager", advice, dropped=False))
    return {**teams, **found}
