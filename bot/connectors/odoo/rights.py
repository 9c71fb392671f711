"""What the integration user may see, and what to give it for what it may not (docs/connectors/odoo.md).

Most refusals Odoo raises by itself. One it does not: whoever has *Sales / User: Own Documents Only* is shown their own leads
and opportunities and those of nobody, and of everything else no word (a record rule: addons/crm/security/crm_security.xml,
crm_rule_personal_lead and crm_rule_all_lead). Messages and planned activities are hidden with the record that they are on
(mail.message, mail.activity: _search). Nor is there a word of the leads of companies that the integration user is not in
(crm_lead_company_rule), or of those that a record rule of the firm's own hides. So what is on leads is read only where a group
of Odoo's own shows all of them, in every company, or where the settings say that we see all.

Sources: odoo/addons/base/models/res_users.py (has_group: a method of the model up to 17, of a user from 18 on, as
addons/web/static/src/core/user_service.js and core/user.js call it); odoo/models.py (search_count);
odoo/addons/base/models/res_users.py (companies_count: of all that there are; company_ids: of those that we may see).
"""

from __future__ import annotations

from bot.connectors.http import SessionRefused
from bot.connectors.odoo.database import Database
from bot.connectors.odoo.queries import Domain
from bot.connectors.odoo.rows import is_id, is_number
from bot.connectors.refusals import Denied
from bot.domain.errors import Permanent, Retryable

ALL_LEADS = "sales_team.group_sale_salesman_all_leads"
"""*Sales / User: All Documents*, which *Sales / Administrator* implies: by its rule everybody's leads are seen."""
GROUP_OF_USERS_SINCE = 18
"""From here on a group is asked of a user; before, of whoever asks."""
_ALL_DOCUMENTS = 'give the integration user the group "Sales / User: All Documents"'
_INTERNAL = 'make the integration user an internal user ("User types / Internal User")'
GRANTS = {
    "crm.lead": _ALL_DOCUMENTS,
    "res.partner": _ALL_DOCUMENTS,
    "helpdesk.ticket": 'give the integration user the group "Helpdesk / User"',
    "calendar.event": _INTERNAL,
    "mail.message": _INTERNAL,
    "mail.activity": _INTERNAL,
    "mail.tracking.value": "only administrators may read mail.tracking.value: give it an access right for reading, for a"
    " group of the integration user's, or live without",
    "res.users": _INTERNAL,
}
OWN_ONLY = f"the integration user is shown no leads or opportunities but its own: {_ALL_DOCUMENTS}"
NOT_ALL = (
    "others' opportunities are seen, but Odoo does not say that all are: "
    f"{_ALL_DOCUMENTS}, or, if a group of your own shows it every one, set FULLSTEAM_ODOO_SEES_ALL=yes"
)
OTHER_COMPANIES = (
    "the integration user is in {ours} of {all} companies, and what is in the others is not seen: allow it all of them, or, if"
    " nobody who is read has opportunities there, set FULLSTEAM_ODOO_SEES_ALL=yes"
)
WHO_ARE_WE = "Odoo does not say whose key it is, so not whether everybody's opportunities are seen: set FULLSTEAM_ODOO_LOGIN"


def grant_for(model: str) -> str:
    """What an admin has to give before a model can be read."""
    return GRANTS.get(model, f"give the integration user the right to read {model}")


async def check_leads(database: Database, me: str, *, sees_all: bool) -> None:
    """Whether everybody's leads and opportunities are seen: somebody else's alone does not show that all are.

    ``me``: our own user. ``sees_all``: the settings say so; where nobody's is seen they are not believed. Raises Denied where
    they are not seen or it is not known, and what Odoo raises where it does not answer.
    """
    if not is_id(me):
        raise Denied(WHO_ARE_WE, code="who-are-we")
    others: Domain = [["user_id", "!=", False], ["user_id", "!=", int(me)]]
    count = await database.call("crm.lead", "search_count", {"domain": others, "limit": 1}, archived=True)
    if not isinstance(count, int) or isinstance(count, bool):
        raise Retryable("Odoo's answer is no count", code="bad-answer")
    if not await _has_group(database, me, ALL_LEADS):
        if not count:
            raise Denied(OWN_ONLY, code="own-documents-only")
        if not sees_all:
            raise Denied(NOT_ALL, code="not-all")
    elif not sees_all:
        await _check_companies(database, me)


async def _check_companies(database: Database, me: str) -> None:
    """Whether we are in every company. Raises Denied where we are not; an Odoo that does not say is not held to it."""
    try:
        rows = await database.read("res.users", [["id", "=", int(me)]], ("companies_count", "company_ids"))
    except SessionRefused:
        raise
    except Permanent:
        return
    for row in rows:
        every, ours = row.get("companies_count"), row.get("company_ids")
        if is_number(every) and isinstance(ours, list) and len(ours) < every:
            raise Denied(OTHER_COMPANIES.format(ours=len(ours), all=every), code="other-companies")


async def _has_group(database: Database, me: str, group: str) -> bool:
    """Whether we have a group; False where Odoo does not say."""
    server = await database.server()
    ids = [int(me)] if server.major >= GROUP_OF_USERS_SINCE else []
    try:
        said = await database.call("res.users", "has_group", {"group_ext_id": group}, ids=ids)
    except SessionRefused:
        raise
    except Permanent:
        return False
    return said is True
