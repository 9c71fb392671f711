"""The firm in Salesforce."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.clock import SteeredClock
from tests.contract.firms.firm import BOSS, CALLS, DEALS, NOON, OVERDUE, REPS, Telling, day
from tests.orgs import Org


def build(_folder: Path) -> dict[str, Any]:
    org = Org(SteeredClock(NOON))
    boss = org.user(BOSS)
    who = {name: org.user(name, boss) for name in REPS}
    account = org.account(boss)
    made: dict[str, str] = {}
    for deal in DEALS:
        made[deal.name] = org.deal(
            who[deal.owner],
            deal.created,
            Name=deal.name,
            CloseDate=deal.close,
            Amount=deal.amount,
            NextStep="Call" if deal.next_step else None,
            AccountId=account if deal.account else None,
            LastActivityDate=day(deal.touched),
            StageName="Prospecting",
        )
        by = who[deal.owner]
        org.crm.change("Opportunity", made[deal.name], by, org.ago(deal.moved), StageName="Proposal")
        if deal.ended is not None:
            step = {"won": "Closed Won", "lost": "Closed Lost"}[deal.ended[0]]
            org.crm.change("Opportunity", made[deal.name], by, org.ago(deal.ended[1]), StageName=step)
    for name, days, about in CALLS:
        org.done(who[name], "Call", days, made[about])
    for name, days in OVERDUE:
        org.todo(who[name], -days)
    return org.settings()


FIRM = Telling("salesforce", build, {})
