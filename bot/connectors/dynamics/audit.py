"""What an environment records of its own use, and since when.

Sources: Microsoft Learn, Dataverse: "Auditing overview", "Configure auditing", organization and audit table references.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.connectors.dynamics.environment import HEADERS, Environment
from bot.connectors.dynamics.queries import AUDIT, AUDIT_STARTED, ORGANISATION, RECORDS, Condition
from bot.connectors.values import moment_or_none
from bot.domain.errors import Retryable


@dataclass(frozen=True, slots=True)
class Organisation:
    """What an environment records of its use. ``interval``: hours between two rows of access; ``days``: kept for, None: for
    ever.
    """

    audit: bool
    access: bool
    interval: int
    days: int | None


async def organisation(crm: Environment) -> Organisation:
    """Whether the environment records who changes and opens it, and for how long."""
    rows = await crm.all_rows("organizations", ORGANISATION)
    if not rows:
        raise Retryable("the CRM does not say whether it keeps an audit", code="bad-answer")
    row = rows[0]
    days, interval = row.get("auditretentionperiodv2"), row.get("useraccessauditinginterval")
    audit = row.get("isauditenabled") is True
    return Organisation(
        audit,
        audit and row.get("isuseraccessauditenabled") is True,
        interval if isinstance(interval, int) and interval > 0 else 4,
        (days if days > 0 else None) if isinstance(days, int) else 30,
    )


async def audited_tables(crm: Environment) -> frozenset[str]:
    """Tables whose changes are recorded."""
    said = " or ".join(f"LogicalName eq '{name}'" for name in RECORDS)
    query = {"$select": "LogicalName,IsAuditEnabled", "$filter": said}
    found = set()
    async for page in crm.pages(crm.of("EntityDefinitions"), query, HEADERS):
        for row in page.rows:
            switch = row.get("IsAuditEnabled")
            if switch is True or (isinstance(switch, Mapping) and switch.get("Value") is True):
                found.add(str(row.get("LogicalName")))
    return frozenset(found)


async def audit_begins(crm: Environment) -> Mapping[tuple[int, str], datetime]:
    """When recording was last turned on, as far as the audit remembers: (action, table or "") -> when."""
    found: dict[tuple[int, str], datetime] = {}
    columns = ("action", "createdon", "objecttypecode")
    where = (Condition("action", "in", AUDIT_STARTED),)
    async for row in crm.rows(AUDIT, columns, where, order="createdon desc"):
        action, at = row.get("action"), row.get("createdon")
        if not isinstance(action, int) or not isinstance(at, str):
            continue
        moment = moment_or_none(at)
        key = action, str(row.get("objecttypecode") or "") if action == AUDIT_STARTED[0] else ""
        if moment is not None and (key not in found or found[key] < moment):
            found[key] = moment
    return found
